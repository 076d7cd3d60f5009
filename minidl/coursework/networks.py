"""The small digits and the small fixed networks that attacks and defences are judged on.

The digits are the bundled ones, averaged over 2×2 pixels: 14×14, so that a network trains in a second and every check
ends in seconds.  A network is trained when it is first asked for, and the same on every run of one machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .. import backend, layers
from ..data import Dataset, load_digits
from ..errors import RangeError
from ..models import Sequential
from ..optim import Adam
from ..train import fit

SHAPE = (1, 14, 14)


@dataclass(frozen=True)
class Digits:
    """The two parts of the small digits: x (n, 1, 14, 14), float32 in [0, 1], and y, the labels."""

    train: Dataset
    test: Dataset


@cache
def digits() -> Digits:
    """All small digits: 8,000 to train on and 2,000 to test on."""
    train, test = (Dataset(halved(part.x), part.y) for part in load_digits())
    return Digits(train, test)


def halved(x: np.ndarray) -> np.ndarray:
    """Images (n, 1, H, W) averaged over 2×2 pixels: (n, 1, H/2, W/2).

    >>> import numpy as np
    >>> from minidl.coursework.networks import halved
    >>> halved(np.arange(4.0).reshape(1, 1, 2, 2))
    array([[[[1.5]]]])
    """
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5), dtype=x.dtype)


def _linear(seed: int) -> Sequential:
    return Sequential(layers.Flatten(), layers.Dense(10), input_shape=SHAPE, seed=seed)


def _mlp(seed: int) -> Sequential:
    hidden = layers.Dense(64), layers.ReLU()
    return Sequential(layers.Flatten(), *hidden, layers.Dense(10), input_shape=SHAPE, seed=seed)


def _smooth(seed: int) -> Sequential:
    hidden = layers.Dense(48), layers.Tanh()
    return Sequential(layers.Flatten(), *hidden, layers.Dense(10), input_shape=SHAPE, seed=seed)


KINDS: dict[str, Callable[[int], Sequential]] = {"linear": _linear, "mlp": _mlp, "smooth": _smooth}


@cache
def network(kind: str, seed: int = 0, epochs: int = 5) -> Sequential:
    """A trained network on the small digits.

    kind: "linear", "mlp" (64 rectified units) or "smooth" (48 of the hyperbolic tangent).
    seed: of its parameters and of the order of the examples.
    epochs: of training.
    """
    if kind not in KINDS:
        raise RangeError("network", f"one of {sorted(KINDS)}", repr(kind))
    net = KINDS[kind](seed)
    with backend.use("numpy"):
        fit(net, digits().train, epochs=epochs, optimizer=Adam(3e-3), seed=seed, progress=False)
    return net


def classified(net: Sequential, n: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The first n test digits, from the given one on, that the network classifies correctly: images and labels."""
    test = digits().test
    right = np.flatnonzero(net(test.x).argmax(axis=1) == test.y)
    right = right[right >= first][:n]
    return test.x[right], test.y[right]
