"""Correct programs that the laws of derivatives are tried on, and a short way to write wrong ones.

The correct ones come from all over the engine: its families of operations, its layers one by one on the readable
kernels, and a network whose layers are compiled and joined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers, ops
from ..conv import max_pool2d
from ..core import Primitive
from ..models import Sequential
from .laws import Program

Rule = Callable[..., Any]


def wrong(forward: Rule, push: Rule, pull: Rule) -> Primitive:
    """An operation of one array, with the rules that it is given.

    forward: of x.
    push: of (t, y, x).
    pull: of (g, y, x).

    >>> from minidl.coursework.programs import wrong
    >>> wrong(lambda x: 2 * x, lambda t, y, x: 2 * t, lambda g, y, x: 3 * g)
    <primitive program>
    """
    return Primitive("program", forward, push=[push], pull=[pull])


def apart(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers that differ by .1 at least, and from 0 as well, in random order: away from every kink."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2) * 0.2 + 0.1).reshape(shape)


def _product(rng: np.random.Generator) -> tuple[Any, ...]:
    w = rng.normal(size=(3, 4))
    return lambda x: x @ w, rng.normal(size=(2, 3))


def _rows(rng: np.random.Generator) -> tuple[Any, ...]:
    rows = rng.integers(0, 3, 5)
    return lambda x: x[rows] * x[rows], rng.normal(size=(3, 2))


def _network(rng: np.random.Generator) -> tuple[Any, ...]:
    net = Sequential(layers.Dense(5), layers.Tanh(), layers.Dense(3), input_shape=(4,), dtype="float64",
                     seed=int(rng.integers(1000)))  # fmt: skip
    return net, rng.normal(size=(2, 4))


def _lenet(rng: np.random.Generator) -> tuple[Any, ...]:
    net = Sequential(layers.Conv2d(2, 3), layers.MaxPool2d(2), layers.Tanh(), layers.Flatten(), layers.Dense(3),
                     input_shape=(1, 6, 6), dtype="float64", seed=int(rng.integers(1000)))  # fmt: skip
    return net, rng.normal(size=(1, 1, 6, 6))


CORRECT = (
    Program("tanh", lambda rng: (ops.tanh, rng.normal(size=(2, 3)))),
    Program("a function of one number", lambda rng: (lambda x: ops.sin(x) * x, np.array(rng.normal()))),
    Program("a product of matrices", _product),
    Program("softmax", lambda rng: (ops.softmax, rng.normal(size=(2, 4)))),
    Program("rows that are read several times", _rows),
    Program("the maximum over the last axis", lambda rng: (lambda x: ops.max(x, axis=-1), apart(rng, 2, 3))),
    Program("max-pooling", lambda rng: (lambda x: max_pool2d(x, 2), apart(rng, 1, 4, 4))),
    Program("a function with values of a million", lambda rng: (lambda x: 1e6 * ops.exp(x), rng.normal(size=3))),
    Program("a function that ignores half of its input", lambda rng: (lambda x: ops.exp(x[:2]), rng.normal(size=4))),
    Program("a function with one output", lambda rng: (lambda x: ops.sum(x * x * x), rng.normal(size=(2, 2)))),
    Program("a network, its layers one by one", _network),
    Program("a convolutional network, compiled", _lenet, backend="numba"),
)
