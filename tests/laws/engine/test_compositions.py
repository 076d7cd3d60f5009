"""Where the operations that are composed of others have their corners: zeros, ties, infinities, dtypes, constants."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import Primitive, grad, jacobian, linearize, ops, products, reductions
from minidl.conv import avg_pool2d, max_pool2d
from minidl.core import Record
from minidl.testing import Mutant, line, rule

X = np.array([[3.0, -1.0, 2.0], [0.5, 0.25, -4.0]])


@pytest.mark.parametrize("ddof", [0, 1])
def test_spreads_as_numpy_has_them(ddof) -> None:
    for axis in (None, 0, 1):
        np.testing.assert_allclose(ops.var(X, axis, ddof=ddof), np.var(X, axis, ddof=ddof), rtol=1e-12)
        np.testing.assert_allclose(ops.std(X, axis, ddof=ddof), np.std(X, axis, ddof=ddof), rtol=1e-12)


def test_equal_entries_have_no_spread_and_no_slope() -> None:
    """.1 + .1 + .1 is not .3, so that the mean of three is not .1: and yet no entry deviates from it."""
    for x in (np.full(3, 0.1), np.zeros(2), np.array([7.0])):
        assert ops.var(x) == ops.std(x) == 0
        np.testing.assert_array_equal(grad(ops.std, x), 0)
        np.testing.assert_array_equal(grad(ops.var, x), 0)


def test_products_with_zeros_to_the_second_derivative() -> None:
    """∂Πx/∂x_i is the product of the others, ∂²Πx/∂x_i∂x_j that of all but two, however many are 0."""
    for x in (np.array([0.0, 2, 3]), np.array([0.0, 0, 3]), np.zeros(3), np.array([2.0, 0, 3, 5, 0])):
        others = [np.prod(np.delete(x, i)) for i in range(len(x))]
        np.testing.assert_array_equal(grad(ops.prod, x), others)
        twice = [[0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(len(x))] for i in range(len(x))]
        np.testing.assert_array_equal(jacobian(lambda x: grad(ops.prod, x), x), twice)


def test_products_of_nothing_and_of_whole_numbers() -> None:
    assert (ops.prod(np.zeros((2, 0)), axis=1) == 1).all()
    assert grad(lambda x: ops.prod(x), np.zeros(0)).shape == (0,)
    assert ops.prod(np.array([200, 200], np.uint8)) == 40000  # as NumPy's, in integers that hold it


def test_log_sum_exp_of_any_size() -> None:
    x = np.array([[1000.0, 1000.0], [-1000.0, -1001.0], [-np.inf, 3.0], [np.inf, 3.0]])
    np.testing.assert_allclose(
        ops.logsumexp(x, axis=1), [1000 + np.log(2), -1000 + np.log1p(np.exp(-1)), 3, np.inf], rtol=1e-15
    )
    np.testing.assert_allclose(grad(lambda x: ops.sum(ops.logsumexp(x, axis=1)), x[:3]), ops.softmax(x[:3]), rtol=1e-12)


def test_log_sum_exp_of_impossible_things() -> None:
    x = np.array([[-np.inf, -np.inf], [0.0, -np.inf]])
    np.testing.assert_array_equal(ops.logsumexp(x, axis=1), [-np.inf, 0])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(ops.logsumexp(x, axis=1)[1:]), x), [[0, 0], [1, 0]])
    np.testing.assert_array_equal(grad(ops.logsumexp, x[0]), 0)


def test_bounds_have_the_slope_of_what_is_between() -> None:
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x.clip(-1, 1)), x), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(ops.clip(x, high=0)), x), [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(ops.clip(x), x)
    np.testing.assert_array_equal(grad(lambda low: ops.sum(ops.clip(x, low)), np.zeros(5)), [1, 1, 0, 0, 0])


def test_least_of_equals() -> None:
    np.testing.assert_array_equal(grad(ops.min, np.array([2.0, 1.0, 1.0])), [0, 1, 0])
    assert np.isnan(linearize(ops.min, np.array([1.0, np.nan])).value)
    assert ops.min(np.array([3, 1], np.uint8)) == 1


def test_remainders() -> None:
    """a mod b has slope 1 in a and -⌊a/b⌋ in b, and the sign of b."""
    a, b = np.array([7.0, -7.0, 7.0]), np.array([3.0, 3.0, -3.0])
    np.testing.assert_array_equal(linearize(lambda a: a % b, a).value, [1, 2, -2])
    np.testing.assert_array_equal(grad(lambda a: ops.sum(a % b), a), 1)
    np.testing.assert_array_equal(grad(lambda b: ops.sum(a % b), b), [-2, 3, 3])
    np.testing.assert_array_equal(grad(lambda b: ops.sum(7.0 % b), b), [-2, -2, 3])


def test_a_stopped_gradient_is_stopped_at_every_level() -> None:
    x = np.array([2.0, 3.0])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * ops.stop_gradient(x)), x), x)
    assert not linearize(ops.stop_gradient, x).depends
    # d/dx [x · d/dy (x·y)] = 2x; stopped within the inner function, x is a constant of the outer one, too
    inner = lambda x: grad(lambda y: ops.sum(y * ops.stop_gradient(x * y)), x)
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * inner(x)), x), x * x)
    np.testing.assert_array_equal(ops.stop_gradient(x), x)


def test_tangents_go_through_dtypes() -> None:
    """A cotangent of what was made narrower is narrow, and wide again behind: so a network may compute in float32."""
    seen, x = [], np.linspace(0, 1, 5)
    spied = Primitive(
        "spied", lambda x: x * 2,
        push=[lambda t, y, x: seen.append(t.dtype) or t * 2], pull=[lambda g, y, x: seen.append(g.dtype) or g * 2],
    )  # fmt: skip
    lin = linearize(lambda x: spied(spied(x).astype(np.float32)), x)
    assert lin.value.dtype == np.float32
    assert lin.jvp(np.ones(5)).dtype == np.float32
    assert seen == [np.float64, np.float32]
    assert lin.vjp(np.ones(5, np.float32)).dtype == np.float64
    assert seen[2:] == [np.float32, np.float64]
    assert ops.astype(x, int).dtype == int


def test_boxes_have_the_methods_of_arrays() -> None:
    def both(x):
        return [
            x.ravel(), x.flatten(), x[:1].squeeze(), x[:1].squeeze(0), x.min(), x.min(axis=1), x.prod(axis=0), x.var(),
            x.std(axis=1, ddof=1), x.clip(-1, 1), x.swapaxes(0, 1), x.repeat(2, axis=0), x.dot(X.T), x.astype(np.float32),
            x.astype("float64", copy=False), x % 0.7, 0.7 % x,
        ]  # fmt: skip

    for actual, expected in zip(both(Record().box(X)), both(X), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(ops.stop_gradient(actual), expected, rtol=1e-12)


def test_frames_may_be_infinite() -> None:
    framed = linearize(lambda x: ops.pad(x, 1, -np.inf), X)
    assert (framed.value[0] == -np.inf).all()
    np.testing.assert_array_equal(framed.vjp(np.ones((4, 5))), 1)


def test_padded_pools_look_over_the_edge() -> None:
    """Of negative pixels the greatest is none of the frame; in a mean the frame's zeros count."""
    x = -np.arange(1.0, 5).reshape(1, 1, 2, 2)
    np.testing.assert_array_equal(max_pool2d(x, 2, padding=1)[0, 0], [[-1, -2], [-3, -4]])
    np.testing.assert_array_equal(avg_pool2d(x, 2, padding=1)[0, 0], x[0, 0] / 4)
    np.testing.assert_array_equal(max_pool2d(x, (2, 1))[0, 0], [[-1, -2]])  # side by side, for oblong ones too
    np.testing.assert_array_equal(grad(lambda x: ops.sum(max_pool2d(x, 2, padding=1)), x), 1)


def test_einsum_is_numpys_where_nothing_is_left() -> None:
    for subscripts, shapes in {"ij,jk->ik": [(2, 0), (0, 3)], "ij->i": [(2, 0)], "i,i->i": [(0,), (0,)]}.items():
        operands = [np.ones(shape) for shape in shapes]
        np.testing.assert_array_equal(ops.einsum(subscripts, *operands), np.einsum(subscripts, *operands))
    assert ops.einsum(" ij , jk -> ik ", X, X.T).shape == (2, 2)
    assert ops.einsum(",i->i", 2.0, X[0]).tolist() == [6.0, -2.0, 4.0]


def test_implied_letters_are_in_order() -> None:
    """Of the alphabet, not of the operands: so has NumPy it."""
    x, y = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    for subscripts, operands in (("ji", (x,)), ("cb,ba", (x, y))):
        np.testing.assert_array_equal(ops.einsum(subscripts, *operands), np.einsum(subscripts, *operands))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("astype: cotangents stay as they are", rule(ops._astype, "pull", lambda g, y, x, dtype: g), test_tangents_go_through_dtypes),
    Mutant("stop_gradient: goes on", line(ops, "stop_gradient", "return unbox(x)", "return x"), test_a_stopped_gradient_is_stopped_at_every_level),
    Mutant("stop_gradient: the innermost only", line(ops, "stop_gradient", "return unbox(x)", "return getattr(x, 'value', x)"), test_a_stopped_gradient_is_stopped_at_every_level),
    Mutant("prod: divided by what is left out", rule(ops.multiply, "pull", lambda g, y, a, b: g * y / a, lambda g, y, a, b: g * y / b), test_products_with_zeros_to_the_second_derivative),
    Mutant("prod: whole numbers overflow", line(reductions, "prod", 'unbox(x).dtype.kind != "f"', "False"), test_products_of_nothing_and_of_whole_numbers),
    Mutant("var: ddof forgotten", line(reductions, "_deviations", "count - ddof", "count"), lambda: test_spreads_as_numpy_has_them(1)),
    Mutant("std: equal entries deviate", line(reductions, "_deviations", "x - unbox(x).max(axis=over, keepdims=True) if x.size else x", "x"), test_equal_entries_have_no_spread_and_no_slope),
    Mutant("logsumexp: overflows", line(reductions, "logsumexp", "xp.where(xp.isfinite(greatest), greatest, 0)", "0.0"), test_log_sum_exp_of_any_size),
    Mutant("logsumexp: log 0", line(reductions, "logsumexp", "nothing = total == 0", "nothing = total != total"), test_log_sum_exp_of_impossible_things),
    Mutant("einsum: implied letters as they come", line(products, "_parsed", "sorted(letter for letter, n in counts.items() if n == 1)", "letter for letter, n in counts.items() if n == 1"), test_implied_letters_are_in_order),
]
# fmt: on
