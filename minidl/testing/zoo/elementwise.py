"""Drawn cases of elementwise operations: of one argument, of two, and of `where`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import ops
from ..drawing import Draw, arrays, broadcastable, shapes, st
from .cases import CASES, Case, case

# --- elementwise, one argument ---------------------------------------------------------------------------


def unary(name: str, f: Callable, oracle: Callable, low: int = -16) -> None:
    """An operation of one argument.  low: of the sixteenths that are drawn, to stay where it is defined."""

    @st.composite
    def drawn(draw: Draw) -> Case:
        return Case(f, draw(arrays(draw(shapes(0, 4)), low=low)), oracle, name)

    CASES[name] = drawn()


unary("exp", ops.exp, np.exp)
unary("log", ops.log, np.log, low=2)
unary("sqrt", ops.sqrt, np.sqrt, low=2)
unary("sin", ops.sin, np.sin)
unary("cos", ops.cos, np.cos)
unary("tanh", ops.tanh, np.tanh)
unary("sigmoid", ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)))
unary("softplus", ops.softplus, lambda x: np.log(1 + np.exp(x)))
unary("relu", ops.relu, lambda x: np.where(x > 0, x, 0))
unary("sign", ops.sign, np.sign)
unary("absolute", ops.absolute, np.abs)
unary("negative", ops.negative, np.negative)
unary("cube_of_operators", lambda x: -(x * x - 1.0) * x + abs(2.0 - x) / 4, lambda x: -(x * x - 1) * x + abs(2 - x) / 4)
unary("numbers", lambda x: 3.0 - 2 * x + x / 4, lambda x: 3 - 2 * x + x / 4)
unary("one_over", lambda x: 1 / x, lambda x: 1 / x, low=2)
unary("square", lambda x: x**2, lambda x: x**2)
unary("fourth_root", lambda x: x**0.25, lambda x: x**0.25, low=2)
unary("to_the_nought", lambda x: x**0 * x, lambda x: x)
unary("two_to_the", lambda x: 2**x, lambda x: 2.0**x)
unary(
    "clip", lambda x: ops.clip(x, -1.0, 1.0) * ops.clip(x, high=0.5), lambda x: np.clip(x, -1, 1) * np.minimum(x, 0.5)
)
unary("clipped", lambda x: ops.minimum(ops.maximum(x, -1.0), 1.0), lambda x: np.clip(x, -1, 1))


# --- elementwise, two arguments: each side alone, and both at once ---------------------------------------


def binary(name: str, f: Callable, oracle: Callable, low: int = -16) -> None:
    """An operation of two arguments that broadcast: as a function of either, and of both at once."""

    @st.composite
    def drawn(draw: Draw) -> Case:
        first, second = draw(broadcastable())
        a, b = draw(arrays(first, low=low)), draw(arrays(second, low=low)) + 1 / 32  # never equal to a
        which = draw(st.sampled_from(["first", "second", "both"]))
        if which == "first":
            return Case(lambda x: f(x, b), a, lambda x: oracle(x, b), f"{name}, {first} with {second}, first")
        if which == "second":
            return Case(lambda x: f(a, x), b, lambda x: oracle(a, x), f"{name}, {first} with {second}, second")
        return Case(lambda x: f(x, x * x + 3), a, lambda x: oracle(x, x * x + 3), f"{name} of x and x² + 3")

    CASES[name] = drawn()


binary("add", ops.add, np.add)
binary("subtract", ops.subtract, np.subtract)
binary("multiply", ops.multiply, np.multiply)
binary("divide", ops.divide, np.divide, low=2)
binary("power", ops.power, np.power, low=2)
# 0.003: so that no b divides an a, nor nearly
binary("mod", lambda a, b: a % (b + 0.003), lambda a, b: np.mod(a, b + 0.003))
binary("maximum", ops.maximum, np.maximum)
binary("minimum", ops.minimum, np.minimum)


@case
def where(draw: Draw) -> Case:
    first, second = draw(broadcastable())
    shape = np.broadcast_shapes(first, second)
    condition = np.array(draw(st.lists(st.booleans(), min_size=(n := int(np.prod(shape))), max_size=n))).reshape(shape)
    a, b = draw(arrays(first)), draw(arrays(second))
    if draw(st.booleans()):
        return Case(lambda x: ops.where(condition, x, b), a, lambda x: np.where(condition, x, b), "where, first")
    return Case(lambda x: ops.where(condition, a, x), b, lambda x: np.where(condition, a, x), "where, second")
