"""Laws of `testing.compare`: what agrees passes, what does not is shown with its worst entry and likely causes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import conv, ops, testing
from minidl.core import Primitive
from minidl.testing import CASES, Mutant, compare, comparing, line

X = np.array([[0.5, -1.25, 2.0], [1.0, 0.25, -0.75]])


def plain_convolution(x, w):
    """As a student writes it: in minidl's operations, a window at a time."""
    (height, width), (h, v) = x.shape[2:], w.shape[2:]
    rows = [[ops.sum(x[:, None, :, i : i + h, j : j + v] * w[None], axis=(2, 3, 4)) for j in range(width - v + 1)]
            for i in range(height - h + 1)]  # fmt: skip
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_the_zoo_agrees_with_numpy(name, data) -> None:
    case = data.draw(CASES[name])
    compare(case.f, case.numpy, case)


@given(x=testing.arrays((2, 1, 4, 3)), w=testing.arrays((3, 1, 2, 2)), seed=st.integers(0, 99))
def test_a_convolution_written_otherwise_agrees_in_every_argument(x, w, seed) -> None:
    compare(plain_convolution, conv.conv2d, (x, w), derivatives=True, seed=seed)
    single = (x.astype("float32"), w.astype("float32"))
    compare(plain_convolution, conv.conv2d, single, derivatives=True, seed=seed)


def messages(f, g, *options, **more) -> tuple[str, str]:
    """What is said of two functions that differ: the error, and its note."""
    with pytest.raises(AssertionError) as caught:
        compare(f, g, *options, **more)
    (note,) = caught.value.__notes__
    return str(caught.value), note


def nearly(x):
    """tanh, but for one entry."""
    y = np.tanh(x)
    y[1, 0] += 1e-7
    return y


def test_the_worst_entry_both_functions_and_the_arguments_are_shown() -> None:
    error, note = messages(nearly, ops.tanh, X)
    assert error == ("value: off by 5.09e-08 relative to 1.96; allowed 1e-10; worst at [1, 0] of shape (2, 3): 0.761594256, "
                     "expected 0.761594156")  # fmt: skip
    assert note.startswith(
        "Law 'value' of nearly, at ((2, 3) float64): the same as of <primitive tanh>\nLikely causes, in order: another formula; "
    )
    compare(nearly, ops.tanh, X, tolerance=1e-7)
    compare(nearly, ops.tanh, X.astype("float32"))


@pytest.mark.parametrize(("wrong", "error"), [
    (lambda x: np.tanh(x).T, r"value: shape \(3, 2\), expected \(2, 3\)"),
    (lambda x: np.tanh(x).astype("longdouble"), "value: dtype .*, expected float64"),
    (lambda x: np.tanh(x, out=x), r"arguments: number 0, \(2, 3\) float64, was changed"),
    (lambda x: np.where(x > 0, np.tanh(x), np.nan), r"worst at \[0, 1\].*: nan, expected"),
])  # fmt: skip
def test_differences_of_every_kind_are_reported(wrong, error) -> None:
    before = X.copy()
    with pytest.raises(AssertionError, match=error):
        compare(wrong, ops.tanh, X)
    assert np.array_equal(X, before)


def with_rules(**rules) -> Primitive:
    """A product of arrays, with one rule that is wrong."""
    push, pull = (
        [lambda t, y, a, b: t * b, lambda t, y, a, b: a * t],
        [lambda g, y, a, b: g * b, lambda g, y, a, b: a * g],
    )
    for direction, kept in (("push", push), ("pull", pull)):
        for position, rule in rules.get(direction, {}).items():
            kept[position] = rule
    return Primitive("product", lambda a, b: a * b, push, pull)


@pytest.mark.parametrize(("rules", "law", "position"), [
    ({"push": {0: lambda t, y, a, b: -t * b}}, "J·t", 0),
    ({"push": {1: lambda t, y, a, b: t * t * a}}, "J·t", 1),
    ({"pull": {0: lambda g, y, a, b: g * a}}, "Jᵀ·g", 0),
    ({"pull": {1: lambda g, y, a, b: g}}, "Jᵀ·g", 1),
])  # fmt: skip
def test_wrong_derivatives_are_reported_by_walk_and_argument(rules, law, position) -> None:
    wrong = with_rules(**rules)
    compare(wrong, ops.multiply, (X, X + 1))  # the values agree
    error, note = messages(wrong, ops.multiply, (X, X + 1), derivatives=True)
    assert error.startswith(f"{law} in argument {position}: off by ")
    assert note.startswith(
        f"Law {law!r} of <primitive product>, at ((2, 3) float64, (2, 3) float64): the same as of multiply"
    )
    assert "factor" in note


def test_whole_numbers_and_others_are_arguments_without_a_derivative() -> None:
    rows = np.array([0, 0, 1])
    compare(
        lambda x, rows, factor: x[rows] * factor,
        lambda x, rows, factor: ops.index(x, rows) * factor,
        (X, rows, 3.0),
        derivatives=True,
    )


def test_what_fails_otherwise_is_explained_too() -> None:
    with pytest.raises(ValueError, match="broadcast") as caught:
        compare(lambda x: x + np.ones(7), ops.tanh, X)
    assert "Law 'value' of <lambda>" in caught.value.__notes__[0]


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("compare: in float32, as precise as in float64", line(comparing, "_allowed", "itemsize > 4", "itemsize > 0"), test_a_convolution_written_otherwise_agrees_in_every_argument),
    Mutant("compare: as if all were float32", line(comparing, "_allowed", "itemsize > 4", "itemsize > 8"), test_the_worst_entry_both_functions_and_the_arguments_are_shown),
    Mutant("compare: a function beside itself", line(comparing, "_same_value", "np.asarray(g(*", "np.asarray(f(*"), test_the_worst_entry_both_functions_and_the_arguments_are_shown),
    Mutant("compare: dtypes are not compared", line(comparing, "_same_value", "actual.dtype != expected.dtype", "False"), lambda: test_differences_of_every_kind_are_reported(lambda x: np.tanh(x).astype("longdouble"), "dtype")),
    Mutant("compare: arguments may be changed", line(comparing, "_left_alone", "not np.array_equal(after, before", "not np.array_equal(before, before"), lambda: test_differences_of_every_kind_are_reported(lambda x: np.tanh(x, out=x), "was changed")),
    Mutant("compare: arguments are changed for the other one", line(comparing, "_copies", "x.copy() if", "x if"), lambda: test_differences_of_every_kind_are_reported(lambda x: np.tanh(x, out=x), "was changed")),
    Mutant("compare: the first argument alone", line(comparing, "_same_derivative", "arguments[:i], arguments[i], arguments[i + 1 :]", "arguments[:0], arguments[0], arguments[1:]"), lambda: test_wrong_derivatives_are_reported_by_walk_and_argument({"pull": {1: lambda g, y, a, b: g}}, "Jᵀ·g", 1)),
    Mutant("compare: pushed only", line(comparing, "compare", '("J·t", "Jᵀ·g")', '("J·t",)'), lambda: test_wrong_derivatives_are_reported_by_walk_and_argument({"pull": {0: lambda g, y, a, b: g * a}}, "Jᵀ·g", 0)),
]
# fmt: on
