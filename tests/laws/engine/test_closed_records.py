"""What is kept from a function counts as its value once the function is over; and what no function may return."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Box, core, grad, hvp, jacobian, linearize, losses, models, ops, testing
from minidl.core import settle
from minidl.errors import DTypeError
from minidl.layers import Glorot
from minidl.testing import Mutant, arrays, line, shapes

seeds = st.integers(0, 2**32 - 1)


def keeping_square(x, kept):
    """Σy³ at y = x, differentiated by itself, which leaves y² in `kept`."""
    grad(lambda y: kept.append(y * y) or ops.sum(y * y * y), x)
    return kept[-1]


def test_a_value_kept_from_an_inner_derivative_still_depends_on_the_outer_input() -> None:
    """∂(Σ x·x²)/∂x = 3x², where x² was computed, and kept, inside of another derivative."""
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * keeping_square(x, [])), x), [3, 12])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(keeping_square(x, [])), x), [2, 4])
    testing.check_all(lambda x: x * keeping_square(x, []), x)
    testing.check_all(lambda x: keeping_square(x, []), x)  # returned as it is


@given(data=st.data(), seed=seeds)
def test_kept_values_in_every_place(data, seed) -> None:
    """As an argument, an index's array, a tangent, a cotangent, a point of linearization, in dicts and stacks."""
    x, rng = data.draw(arrays(data.draw(shapes(1, 2)))), np.random.default_rng(seed)
    w = rng.normal(size=x.shape)
    for place in (
        lambda x, kept: ops.stack([kept, w])[0] + kept.sum(axis=-1, keepdims=True),
        lambda x, kept: linearize(lambda z: z * z, x).jvp(kept),
        lambda x, kept: linearize(lambda z: z * z, x).vjp(kept),
        lambda x, kept: linearize(lambda z: z, x).vjp(kept),
        lambda x, kept: grad(lambda z: ops.sum(z * z * x), kept),
        lambda x, kept: grad(lambda p: ops.sum(p["a"] * p["b"] * x), {"a": kept, "b": x})["b"],
        lambda x, kept: w * kept + kept / 2 - (1 - kept),
    ):
        testing.check_differences(lambda x, place=place: place(x, keeping_square(x, [])), x, seed)
        plain = place(x, x * x)
        np.testing.assert_allclose(place(x, keeping_square(x, [])), plain, rtol=1e-12, atol=1e-12)


def test_a_gradient_penalty_written_naturally() -> None:
    """loss(kept) + λΣg²: logits kept from the derivative in the images, differentiated in the parameters."""
    net = models.mlp((1, 2, 2), 3, (4,), activation="tanh", bias=True, init_weights=Glorot(), dtype="float64")
    x, y = np.random.default_rng(0).random((5, 1, 2, 2)), np.array([0, 1, 2, 0, 1])

    def objective(params, natural=True):
        kept = []

        def inner(x):
            kept.append(net.apply(params, x))
            return losses.cross_entropy(kept[-1], y, "sum")

        g = grad(inner, x)
        logits = kept[-1] if natural else net.apply(params, x)
        return losses.cross_entropy(logits, y) + 0.1 * ops.sum(g * g)

    natural, plain = grad(objective, net.params), grad(lambda params: objective(params, natural=False), net.params)
    for name, expected in plain.items():
        assert abs(expected).max() > 1e-3
        np.testing.assert_allclose(natural[name], expected, rtol=1e-12)


def kept_box(x: np.ndarray) -> Box:
    kept = []
    linearize(lambda x: kept.append(x * 2) or x, x)
    return kept[0]


def test_outside_a_kept_box_is_an_array_to_numpy() -> None:
    x = np.array([1.0, 2.0])
    kept = kept_box(x)
    assert isinstance(kept, Box)
    np.testing.assert_array_equal(np.asarray(kept), [2, 4])
    np.testing.assert_array_equal(np.array(kept, dtype=np.float32), [2, 4])
    assert np.sum(kept) == 6
    np.testing.assert_array_equal(np.concatenate([kept, kept]), [2, 4, 2, 4])
    np.testing.assert_array_equal(np.sum(a=kept, axis=0), 6)
    identity = linearize(lambda x: x, x)
    for product in (
        kept * 2,
        x * kept * 2 / x,
        ops.multiply(kept, 2.0),
        2 * identity.vjp(kept),
        2 * identity.jvp(kept),
    ):
        assert isinstance(product, np.ndarray)
        np.testing.assert_array_equal(product, [4, 8])
    assert isinstance(identity.vjp(kept), np.ndarray)
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * kept), x), [2, 4])  # a constant


def test_inside_a_box_stays_a_box() -> None:
    """The outer record is open while the inner one is closed: NumPy is refused what depends on it."""

    def f(x):
        kept = keeping_square(x, [])
        assert isinstance(settle(kept), Box)
        with pytest.raises(DTypeError, match="use minidl.ops"):
            np.sum(kept)
        with pytest.raises(DTypeError, match="use minidl.ops"):
            np.asarray(kept)
        with pytest.raises(DTypeError, match="use minidl.ops"):
            np.stack((x, x))
        return ops.sum(kept)

    assert linearize(f, np.ones(2)).depends


def test_a_function_that_fails_closes_its_record() -> None:
    kept = []

    def f(x):
        kept.append(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        linearize(f, np.ones(2))
    assert isinstance(kept[0] + 1, np.ndarray)
    np.testing.assert_array_equal(kept[0] + 1, [2, 2])


def test_an_inner_function_that_returns_an_outer_box() -> None:
    """It does not depend on its own input, but goes on to depend on the outer one."""

    def f(x):
        lin = linearize(lambda y: x * 3, np.ones(2))
        assert not lin.depends
        assert (lin.vjp(np.ones(2)) == 0).all()
        return ops.sum(lin.value * x)

    np.testing.assert_array_equal(grad(f, np.array([1.0, 2.0])), [6, 12])
    np.testing.assert_array_equal(hvp(f, np.array([1.0, 2.0]), np.array([1.0, 0.0])), [6, 0])


# --- what a function may return --------------------------------------------------------------------------


def in_an_object_array(x):
    objects = np.empty(2, object)
    objects[0], objects[1] = x[0], x[1]
    return objects


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (in_an_object_array, r"floating-point array, got ndarray of dtype object.*ops.stack\(parts\)"),
        (lambda x: x > 0, r"floating-point array, got ndarray of dtype bool.*ops.where\(condition, 1.0, 0.0\)"),
        (lambda x: (x > 0).astype(int), r"floating-point array, got ndarray of dtype int64.*y.astype\(np.float64\)"),
        (lambda x: (x > 0).astype(complex), "floating-point array, got ndarray of dtype complex128"),
        (lambda x: [x[0], x[1]], "floating-point array, got list"),
    ],
)
def test_outputs_that_are_no_floating_point_array(f, message) -> None:
    for derivative in (linearize, jacobian, grad):
        with pytest.raises(DTypeError, match=message):
            derivative(f, np.array([1.0, 2.0]))


def test_which_pieces_of_x_were_reached() -> None:
    p = {"a": np.ones(2), "b": np.ones(2), "c": np.ones(2), "d": np.ones(2)}
    lin = linearize(lambda p: ops.sign(p["a"]) * 0 + (p["c"] + p["d"]) @ np.ones((2, 2)), p)
    assert lin.reached() == {"a", "c", "d"}  # whatever the derivative is
    assert linearize(lambda p: [p["a"] * 2, p["b"] * 2][1], p).reached() == {"b"}
    assert linearize(lambda p: np.ones(2), p).reached() == set()
    assert linearize(lambda x: x * 2, np.ones(2)).reached() == {None}
    assert linearize(lambda x: np.ones(2), np.ones(2)).reached() == set()


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("a closed record: recorded all the same", line(core.Primitive, "__call__", "if not all(record.open for record in records):", "if False:"), test_outside_a_kept_box_is_an_array_to_numpy),
    Mutant("a closed record: outer boxes opened too", line(core, "settle", "isinstance(x, Box) and not x.record.open", "isinstance(x, Box)"), test_a_gradient_penalty_written_naturally),
    Mutant("a closed record: kept outputs are constants", line(core, "linearize", "settle(f(boxes))", "f(boxes)"), test_a_value_kept_from_an_inner_derivative_still_depends_on_the_outer_input),
    Mutant("a closed record: not for tangents", line(core, "_in_dtype_of", "direction = settle(direction)", "pass"), test_outside_a_kept_box_is_an_array_to_numpy),
    Mutant("a record that never closes", line(core, "linearize", "record.open = False", "pass"), test_a_function_that_fails_closes_its_record),
    Mutant("linearize: the output is not checked", line(core, "linearize", 'if _kind(plain) != "f":', "if False:"), lambda: test_outputs_that_are_no_floating_point_array(lambda x: x > 0, "bool")),
    Mutant("reached: later operations count, too", line(core.Linearization, "reached", "if index in needed:", "if True:"), test_which_pieces_of_x_were_reached),
]
# fmt: on
