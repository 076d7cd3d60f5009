"""`compare`: a function against one that is known to be right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..core import Array, linearize
from .messages import called, close, explain

Function = Callable[..., Array]
Arguments = tuple[Any, ...]

#: What is compared, and what a difference most likely comes from, the likeliest first.
DIFFERENCES = {
    "value": "another formula; axes in another order, or a sum over the wrong ones; shapes that broadcast where they "
    "should not; an index that begins one too early or too late; a constant in float64 among arrays in float32",
    "arguments": "an assignment in place (x += …, x[…] = …) to an array that was given: write to a copy",
    "J·t": "a push-forward with another sign or factor; a part of the function is computed outside minidl.ops; at a "
    "kink, or a tie, both may be right",
    "Jᵀ·g": "a pull-back with another sign or factor, a missing transpose, a sum left out; a part of the function is "
    "computed outside minidl.ops; at a kink, or a tie, both may be right",
}


def compare(f: Function, g: Function, case: Any, derivatives: bool = False, seed: int = 0,
            tolerance: float | None = None) -> None:  # fmt: skip
    """Raise `AssertionError` unless two functions agree on a case: in value, shape and dtype, and in their derivatives.

    f: yours.
    g: the one that is known to be right.
    case: an array, a tuple of arguments, or a `Case` of the zoo, whose point is used.
    derivatives: whether to compare J·t and Jᵀ·g too, in each floating-point argument.
    seed: of the random directions t and g.
    tolerance: for the largest difference, relative to 1 + the largest entry; None: 1e-10, or 1e-4 in float32.

    The error shows the worst entry, both values and its place; its note names the functions, the arguments, and the
    likely causes.  With drawn arguments, in a test:

        @given(x=testing.arrays((2, 1, 5, 5)), w=testing.arrays((3, 1, 2, 2)))
        def test_mine(x, w):
            testing.compare(my_convolution, conv.conv2d, (x, w), derivatives=True)

    >>> import numpy as np
    >>> from minidl import testing
    >>> testing.compare(lambda x: x * x, lambda x: x**2, np.array([1.0, 2.0]), derivatives=True)
    >>> testing.compare(lambda x: x + x, lambda x: x**2, np.array([1.0, 2.0]))
    Traceback (most recent call last):
    AssertionError: value: off by 0.2 relative to 5; allowed 1e-10; worst at [0] of shape (2,): 2, expected 1...
    """
    case = getattr(case, "x", case)
    arguments: Arguments = case if isinstance(case, tuple) else (case,)
    checks: list[tuple[str, Callable[[], None]]] = [
        ("value", lambda: _same_value(f, g, arguments, tolerance)),
        ("arguments", lambda: _left_alone(f, arguments)),
    ]
    for i, x in enumerate(arguments) if derivatives else ():
        if getattr(getattr(x, "dtype", None), "kind", "") == "f":
            for law in ("J·t", "Jᵀ·g"):
                checks.append((law, partial(_same_derivative, law, f, g, arguments, i, seed, tolerance)))
    for law, check in checks:
        try:
            check()
        except Exception as error:
            point = ", ".join(f"{x.shape} {x.dtype}" if hasattr(x, "dtype") else repr(x) for x in arguments)
            explain(error, law, f"{called(f)}, at ({point})", f"the same as of {called(g)}", DIFFERENCES)
            raise


def _copies(arguments: Arguments) -> Arguments:
    return tuple(x.copy() if hasattr(x, "copy") else x for x in arguments)


def _allowed(tolerance: float | None, expected: np.ndarray) -> float:
    return (1e-10 if expected.dtype.itemsize > 4 else 1e-4) if tolerance is None else tolerance


def _same_value(f: Function, g: Function, arguments: Arguments, tolerance: float | None) -> None:
    actual, expected = np.asarray(f(*_copies(arguments))), np.asarray(g(*_copies(arguments)))
    close("value", actual, expected, _allowed(tolerance, expected))
    if actual.dtype != expected.dtype:
        raise AssertionError(f"value: dtype {actual.dtype}, expected {expected.dtype}")


def _left_alone(f: Function, arguments: Arguments) -> None:
    given = _copies(arguments)
    f(*given)
    for i, (after, before) in enumerate(zip(given, arguments)):
        if hasattr(before, "dtype") and not np.array_equal(after, before, equal_nan=before.dtype.kind == "f"):
            raise AssertionError(f"arguments: number {i}, {before.shape} {before.dtype}, was changed")


def _same_derivative(law: str, f: Function, g: Function, arguments: Arguments, i: int, seed: int,
                     tolerance: float | None) -> None:  # fmt: skip
    """J·t or Jᵀ·g in the i-th argument."""
    rng, before, x, after = np.random.default_rng(seed), arguments[:i], arguments[i], arguments[i + 1 :]
    mine, theirs = (linearize(lambda x, h=h: h(*before, x, *after), x) for h in (f, g))
    if law == "J·t":
        direction = rng.normal(size=x.shape)
        actual, expected = mine.jvp(direction), theirs.jvp(direction)
    else:
        direction = rng.normal(size=theirs.value.shape)
        actual, expected = mine.vjp(direction), theirs.vjp(direction)
    close(f"{law} in argument {i}", actual, expected, _allowed(tolerance, expected))
