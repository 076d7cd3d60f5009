"""NumPy and Python inside a differentiated function: operators work, everything else says what to write instead."""

from __future__ import annotations

import math
import operator
import traceback

import numpy as np
import pytest

from minidl import core, grad, linearize, numpy_calls, ops
from minidl.core import Record
from minidl.errors import DataError, DTypeError, MinidlError, MissingAttributeError
from minidl.testing import Mutant, line

X = np.array([0.5, -1.25, 2.0])
C = np.array([3.0, 0.25, -2.0])


def written_into(x, array):
    array[0] = x[0]


def changed(x, array):
    array += x


#: What a student writes, and words of the answer.
REFUSED = {
    "np.exp(x)": (lambda x: np.exp(x), r"numpy.exp: .*use minidl.ops.exp"),
    "np.abs(x)": (lambda x: np.abs(x), "numpy.absolute: .*use minidl.ops.absolute"),
    "np.maximum(x, 0)": (lambda x: np.maximum(x, 0), "numpy.maximum: .*use minidl.ops.maximum"),
    "np.maximum(0, x)": (lambda x: np.maximum(0, x), "numpy.maximum: .*use minidl.ops.maximum"),
    "np.square(x)": (lambda x: np.square(x), r"numpy.square: .*Fix: x \* x"),
    "np.arctan(x)": (lambda x: np.arctan(x), "numpy.arctan: .*compose it of minidl.ops.*unbox"),
    "np.add.reduce(x)": (lambda x: np.add.reduce(x), "numpy.add: .*use minidl.ops.sum"),
    "np.multiply.outer(x, x)": (lambda x: np.multiply.outer(x, x), "numpy.multiply: .*compose it"),
    "np.add(x, x, dtype)": (lambda x: np.add(x, x, dtype=np.float32), "numpy.add: .*use minidl.ops.add"),
    "np.mean(x)": (lambda x: np.mean(x), "numpy.mean: .*use minidl.ops.mean"),
    "np.stack([x, x])": (lambda x: np.stack([x, x]), "numpy.stack: .*use minidl.ops.stack"),
    "np.linalg.norm(x)": (lambda x: np.linalg.norm(x), "numpy.linalg.norm: .*use minidl.ops.norm"),
    "np.array([x[0], 1])": (lambda x: np.array([x[0], 1.0]), r"numpy.asarray: .*ops.stack\(parts\) for np.array"),
    "np.asarray(x)": (lambda x: np.asarray(x), "numpy.asarray: .*minidl.core.unbox"),
    "math.exp(x[0])": (lambda x: math.exp(x[0]), "float: .*ops.exp for math.exp"),
    "float(x[0])": (lambda x: float(x[0]), r"float: .*float\(minidl.core.unbox\(x\)\)"),
    "int(x[0])": (lambda x: int(x[0]), r"int: .*int\(minidl.core.unbox\(x\)\)"),
    "round(x[0], 2)": (lambda x: round(x[0], 2), r"round: .*round\(minidl.core.unbox\(x\)\)"),
    "c[0] = x[0]": (lambda x: written_into(x, C.copy()), "float: .*ops.stack to fill an array"),
    "c += x": (lambda x: changed(x, C.copy()), r"numpy.add: .*write a = a \+ b for a \+= b"),
    "x[0] = 1": (lambda x: operator.setitem(x, 0, 1), "ops.where"),
    "x.tolist()": (lambda x: x.tolist(), "x.tolist: .*compose it of minidl.ops"),
    "x.cumsum()": (lambda x: x.cumsum(), "x.cumsum: .*compose it of minidl.ops"),
    "x.argmax()": (lambda x: x.argmax(), "x.argmax: .*unbox"),
    "x.astype(int)": (lambda x: x.astype(int), r"astype: .*ops.stop_gradient\(x\)"),
    'f"{x[0]:.3f}"': (lambda x: f"{x[0]:.3f}", r'format: .*Fix: f"{minidl.core.unbox\(x\):.3f}"'),
}


@pytest.mark.parametrize("written", REFUSED)
def test_calls_that_lose_the_derivative_raise_an_error_with_the_fix(written) -> None:
    call, words = REFUSED[written]
    with pytest.raises(DTypeError, match=words) as caught:
        linearize(call, X)
    assert isinstance(caught.value, TypeError)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("written", REFUSED)
def test_a_box_of_a_closed_record_counts_as_its_value(written) -> None:
    """Whatever NumPy and Python make of the array, they make of the box that was kept."""
    call, _ = REFUSED[written]

    def outcome(x):
        try:
            return np.asarray(call(x), dtype=object).tolist()
        except (TypeError, ValueError) as error:
            return type(error)

    kept = Record().box(X)
    kept.record.open = False
    if written not in (
        "x[0] = 1",
        "round(x[0], 2)",
    ):  # never written to; what is picked of a box is an array, of rank 0
        assert outcome(kept) == outcome(X.copy())


def test_the_line_that_was_wrong_stands_in_the_traceback() -> None:
    """NumPy hides our error behind one of its own when a box is written into an array."""
    with pytest.raises(DTypeError) as caught:
        grad(REFUSED["c[0] = x[0]"][0], X)
    assert "array[0] = x[0]" in "".join(traceback.format_exception(caught.value))


def test_errors_of_ones_own_come_as_they_are() -> None:
    def wrong(x, mine):
        try:
            np.exp(x)
        except DTypeError as error:
            raise mine from error

    with pytest.raises(LookupError, match="mine"):
        linearize(lambda x: wrong(x, LookupError("mine")), X)
    with pytest.raises((DataError, DTypeError), match="mine"):  # the first, which is a ValueError, too
        linearize(lambda x: wrong(x, DataError("mine", "", "")), X)
    with pytest.raises(ValueError, match="^mine$"):
        linearize(lambda x: (_ for _ in ()).throw(ValueError("mine")), X)


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


def test_operators_ask_the_box_when_an_array_stands_first() -> None:
    first = np.abs(C)
    for a in (first, first[0], np.float32(2), 2):
        for operate in OPERATORS[: None if a is first else -1]:
            lin = linearize(lambda x, operate=operate, a=a: operate(a, x), X)
            t = np.array([1.0, -2.0, 0.5])
            difference = (operate(a, X + 1e-6 * t) - operate(a, X - 1e-6 * t)) / 2e-6
            assert lin.depends
            assert np.array_equal(lin.value, operate(a, X))
            assert np.allclose(lin.jvp(t), difference, rtol=1e-7, atol=1e-7)
        for compare in COMPARISONS:
            linearize(lambda x, compare=compare, a=a: x * same(compare(a, x), compare(a, X)), X)


def same(actual, expected):
    assert type(actual) is np.ndarray
    assert np.array_equal(actual, expected)
    return 1.0


@pytest.mark.parametrize("name", numpy_calls.INSTEAD)
def test_what_is_to_be_written_instead_computes_the_same(name) -> None:
    instead, limits = numpy_calls.INSTEAD[name], {"low": -1.0, "high": 1.0}
    names = compile(instead, name, "eval").co_names
    given = [{"x": X + 1.5, "a": X, "b": C, **limits}[each] for each in ("x", "a", "b", "low", "high") if each in names]
    function = getattr(np, name, None) or getattr(np.ndarray, name)
    lin = linearize(lambda x: eval(instead, {"ops": ops, "x": x, "a": x, "b": C, **limits}), given[0])
    assert lin.depends
    assert np.allclose(lin.value, function(*given), rtol=1e-12)


def test_attributes_that_no_array_has_are_missing_as_ever() -> None:
    box = Record().box(X)
    for name in ("exp", "valu", "__array_namespace__", "get"):
        with pytest.raises(AttributeError, match=f"'Box' object has no attribute '{name}'") as caught:
            getattr(box, name)
        assert not isinstance(caught.value, MinidlError)
        assert not hasattr(box, name)
    assert not hasattr(box, "tolist")  # refused as a missing attribute, which hasattr understands
    assert issubclass(MissingAttributeError, AttributeError)
    assert f"{box}" == str(box) == repr(box)
    with pytest.raises(AttributeError):
        core.Box.__new__(core.Box).value  # noqa: B018 - a box that was never filled


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("array first: sides exchanged", line(numpy_calls, "_ufunc", "OPERATORS[name](*arguments)", "OPERATORS[name](*arguments[::-1])"), test_operators_ask_the_box_when_an_array_stands_first),
    Mutant("array first: comparisons exchanged", line(numpy_calls, "_ufunc", "map(unbox, arguments)", "map(unbox, arguments[::-1])"), test_operators_ask_the_box_when_an_array_stands_first),
    Mutant("array first: the derivative lost", line(numpy_calls, "_ufunc", "OPERATORS[name](*arguments)", "function(*map(unbox, arguments))"), test_operators_ask_the_box_when_an_array_stands_first),
    Mutant("array[i] = box: the student's line lost", line(core, "linearize", ".with_traceback(error.__traceback__)", ""), test_the_line_that_was_wrong_stands_in_the_traceback),
    Mutant("array[i] = box: other errors swallowed", line(core, "linearize", "type(error) is ValueError and ", ""), test_errors_of_ones_own_come_as_they_are),
]
# fmt: on
