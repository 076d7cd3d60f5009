"""What the laws that bind attacks to their plain twins share: networks of one image, and random numbers for both."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

import numpy as np

from attacks import plain
from minidl import ops
from tests.laws.attacks.test_every_attack import images, network


def page(attack: str) -> ModuleType:
    """The file of a plain attack.  `attacks.plain.pgd` is the function of that name in it, not the file."""
    return import_module(f"attacks.plain.{attack}")


def drawn(seed: int, n: int = 3):
    """A network, the same as a function of one image, n images, and the labels that they are read as."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, n, np.float64)
    return net, plain.one(net), x, net(x).argmax(axis=-1)


def steady(seed: int, shape: tuple[int, ...] = (1, 4, 4), classes: int = 4):
    """Such a network whose outputs are rounded alike in any batch, so that two equal images never differ in fitness."""
    w = np.random.default_rng(seed).normal(size=(classes, *shape))

    def net(x):
        z = ops.sum(ops.reshape(x, (len(x), 1, *shape)) * w, axis=(-3, -2, -1))
        return z + ops.tanh(3 * z)

    return net, plain.one(net)


class Replayed:
    """A random generator that hands out the uniform numbers of a fast attack, in whichever words it is asked for them.

    They come in groups: of numbers that belong together, such as what decides whether a neuron is added, and where.
    `random`, and whatever gives a whole array, begin the next group, so that what was not asked for is left out.
    """

    def __init__(self, groups: Iterable[list]) -> None:
        self.groups, self.group = iter(groups), []

    def next(self, shape: tuple[int, ...] | None, fresh: bool = False) -> np.ndarray:
        if fresh or shape is not None or not self.group:
            self.group = list(next(self.groups))
        u = np.asarray(self.group.pop(0))
        assert shape is None or u.shape == shape
        return u

    def random(self, shape: int | tuple[int, ...] | None = None) -> np.ndarray:
        return self.next((shape,) if isinstance(shape, int) else shape, fresh=True)

    def uniform(self, low: float, high: float, shape: tuple[int, ...] | None = None) -> np.ndarray:
        assert low == -high
        return high * (2 * self.next(shape) - 1)

    def integers(self, low: int, high: int | None = None, size: int | None = None) -> np.ndarray:
        low, high = (0, low) if high is None else (low, high)
        return low + (self.next(None if size is None else (size,)) * (high - low)).astype(int)

    def normal(self, mean: float, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
        return mean + deviation * self.next(shape)  # these are normal already

    def choice(self, options: list, shape: int | tuple[int, ...], replace: bool = True) -> np.ndarray:
        if replace:
            first, second = options
            return np.where(self.next(shape) < 0.5, first, second)
        left = list(options)
        return np.array([left.pop(int(u * len(left))) for u in self.next((shape,))])
