"""What the laws say when they are broken: which one, of what, where, and from what it may come."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import core, testing
from minidl.errors import DTypeError
from minidl.testing import Case, Mutant, laws, line, messages
from minidl.testing.zoo import cases

X = np.array([[0.5, -1.25, 2.0], [1.0, 0.25, -0.75]])


def wrong(**rules) -> core.Primitive:
    """The square, with rules of which one may be wrong."""
    right = {"push": [lambda t, y, x: 2 * x * t], "pull": [lambda g, y, x: 2 * x * g]}
    return core.Primitive("square", lambda x: x * x, **right | rules)


def test_a_right_one_passes() -> None:
    testing.check_all(wrong(), X)


@pytest.mark.parametrize(
    ("rules", "law", "cause"),
    [({"pull": [lambda g, y, x: 3 * x * g]}, "adjoint", "transpose"),
     ({"push": [lambda t, y, x: -2 * x * t], "pull": [lambda g, y, x: -2 * x * g]}, "differences", "sign")],
)  # fmt: skip
def test_the_broken_law_its_function_and_its_causes_are_named(rules, law, cause) -> None:
    with pytest.raises(AssertionError, match=f"{law}: off by .* relative to .*; worst at ") as caught:
        testing.check_all(wrong(**rules), X)
    (note,) = caught.value.__notes__
    assert note.startswith(f"Law {law!r} of <primitive square>, at x (2, 3) float64: ")
    assert cause in note.partition("Likely causes, in order: ")[2]


def test_a_pull_back_that_is_not_summed_has_another_shape() -> None:
    """Its products with a tangent that was repeated as well would add up to the right number."""
    repeated = core.Primitive("repeated", lambda x: x * np.ones((2, 1)), push=[lambda t, y, x: t * np.ones((2, 1))],
                              pull=[lambda g, y, x: g])  # fmt: skip
    with pytest.raises(AssertionError, match=r"adjoint: Jᵀ·g has shape \(2, 3\), expected \(3,\)"):
        testing.check_adjoint(repeated, X[0])


def test_the_worst_entry_is_shown_with_both_values() -> None:
    result = X.copy()
    result[1, 2] = np.nan
    for value in (np.nan, 4.0):
        result[1, 2] = value
        with pytest.raises(AssertionError, match=rf"worst at \[1, 2\] of shape \(2, 3\): {value:g}, expected -0.75$"):
            messages.close("law", result, X, 1e-6)


def test_single_precision_raises_an_error_with_the_fix() -> None:
    with pytest.raises(
        DTypeError, match=r"check_all: expected x of dtype float64, got float32. Fix: x.astype\(np.float64\)"
    ):
        testing.check_all(wrong(), X.astype(np.float32))
    with pytest.raises(DTypeError, match=r"got list. Fix: np.asarray\(x, float\)"):
        testing.check_all(wrong(), X.tolist())


def test_every_law_has_its_causes() -> None:
    assert testing.CAUSES.keys() == testing.LAWS.keys()
    assert testing.CASE_CAUSES.keys() == testing.CASE_LAWS.keys()
    assert all(law.__doc__ for law in cases.CHECKS.values())
    assert cases.CHECKS.keys() == testing.CASE_LAWS.keys()


def test_a_drawn_case_is_printed_with_its_constants() -> None:
    b, power = np.array([0.5, 2.0]), 3
    case = Case(lambda x: (x + b) ** power, np.array([1.0, -1.0]), np.exp, "a power of a sum")
    assert repr(case) == "Case(a power of a sum at x = array([ 1., -1.]), b = array([0.5, 2. ]), power = 3)"
    assert repr(Case(core.Primitive("p", np.exp, [], []), np.zeros(1), np.exp, "p")) == "Case(p at x = array([0.]))"


MUTANTS = [
    Mutant("laws: the shape of Jᵀ·g is not looked at",
           line(laws, "check_adjoint", "pulled.shape != x.shape", "False"),
           test_a_pull_back_that_is_not_summed_has_another_shape),
]  # fmt: skip
