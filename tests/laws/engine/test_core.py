"""Laws of the engine itself: nesting, records, dicts, stacks of directions, chunks."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl
from minidl import (
    Box,
    Primitive,
    batch_jacobian,
    core,
    derivatives,
    grad,
    hvp,
    jacobian,
    linearize,
    losses,
    models,
    ops,
    reductions,
    testing,
    value_and_grad,
)
from minidl.layers import Glorot
from minidl.testing import Mutant, arrays, line, shapes, slope

seeds = st.integers(0, 2**32 - 1)


def smooth(x):
    return ops.sum(ops.tanh(x * x) + ops.exp(x * 0.5))


def test_derivatives_of_a_power_by_hand() -> None:
    x = np.array(2.0)
    f = lambda x: x**4
    first = lambda x: grad(f, x)
    second = lambda x: grad(first, x)
    third = lambda x: grad(second, x)
    assert [float(f(x)), float(first(x)), float(second(x)), float(third(x)), float(grad(third, x))] == [
        16,
        32,
        48,
        48,
        24,
    ]


def test_perturbation_confusion() -> None:
    """d/dx [x · d/dy (x + y)] = 1: the inner derivative must not see the outer x (Siskind and Pearlmutter 2005)."""
    one = np.array(1.0)
    assert float(grad(lambda x: x * grad(lambda y: x + y, one), one)) == 1.0
    assert float(grad(lambda x: x * linearize(lambda y: x + y, one).jvp(np.array(1.0)), one)) == 1.0
    assert float(grad(lambda x: x * grad(lambda y: x * y, x), np.array(3.0))) == 6.0
    # y · d/dz(z·y·x) = y²x; d/dy at y = x: 2x·x = 2x²; d/dx: 4x
    deep = grad(lambda x: grad(lambda y: y * grad(lambda z: z * y * x, y), x), np.array(2.0))
    assert float(deep) == 8.0


@given(data=st.data(), seed=seeds)
def test_hvp_is_the_hessian_times_v(data, seed) -> None:
    x = data.draw(arrays(data.draw(shapes(0, 2))))
    v = np.random.default_rng(seed).normal(size=x.shape)
    hessian = jacobian(lambda x: grad(smooth, x), x)
    np.testing.assert_allclose(hvp(smooth, x, v), np.tensordot(hessian, v, x.ndim), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(hessian.reshape(x.size, -1), hessian.reshape(x.size, -1).T, atol=1e-12)


@given(data=st.data(), seed=seeds)
def test_nested_forward_in_forward_and_reverse_in_forward(data, seed) -> None:
    x = data.draw(arrays(data.draw(shapes(1, 2))))
    s, t = np.random.default_rng(seed).normal(size=(2, *x.shape))
    forward = linearize(lambda x: linearize(smooth, x).jvp(s), x).jvp(t)
    reverse = (linearize(lambda x: grad(smooth, x), x).jvp(t) * s).sum()
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
    step = 1e-5
    difference = (linearize(smooth, x + step * t).jvp(s) - linearize(smooth, x - step * t).jvp(s)) / (2 * step)
    np.testing.assert_allclose(forward, difference, rtol=1e-5, atol=1e-5)


@given(data=st.data(), seed=seeds)
def test_jacobian_of_a_jacobian(data, seed) -> None:
    """A Jacobian taken inside a function can be differentiated, in either mode."""
    x, w = data.draw(arrays((2,))), np.random.default_rng(seed).normal(size=(2, 3))
    for mode in ("forward", "reverse"):
        testing.check_differences(lambda x, mode=mode: jacobian(lambda z: ops.tanh(z @ w), x, mode), x, seed)
        rows = np.stack([x, 2 * x])
        testing.check_differences(lambda x, mode=mode: batch_jacobian(lambda z: ops.tanh(z @ w), x, mode), rows, seed)


def parameters(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"dense1.W": rng.normal(size=(3, 2)), "dense1.b": rng.normal(size=2), "unused": rng.normal(size=4)}


def of_parameters(p):
    return ops.tanh(np.array([[0.5, -1.0, 2.0], [1.0, 0.0, 0.25]]) @ p["dense1.W"] + p["dense1.b"])


@given(seed=seeds)
def test_functions_of_a_dict(seed) -> None:
    p, rng = parameters(seed), np.random.default_rng(seed + 1)
    lin = linearize(of_parameters, p)
    t, g = {name: rng.normal(size=w.shape) for name, w in p.items()}, rng.normal(size=(2, 2))
    pulled = lin.vjp(g)
    assert list(pulled) == list(p)
    assert not pulled["unused"].any()
    np.testing.assert_allclose((lin.jvp(t) * g).sum(), sum((t[n] * pulled[n]).sum() for n in p), rtol=1e-10)
    forward, reverse = jacobian(of_parameters, p, "forward", chunk=2), jacobian(of_parameters, p, "reverse", chunk=3)
    for name, w in p.items():
        assert forward[name].shape == (2, 2, *w.shape)
        np.testing.assert_allclose(forward[name], reverse[name], atol=1e-12)
    f = lambda p: ops.sum(of_parameters(p) ** 2)
    step = 1e-6
    up, down = ({n: w + sign * step * t[n] for n, w in p.items()} for sign in (1, -1))
    product = hvp(f, p, t)
    for name in p:
        np.testing.assert_allclose(product[name], (grad(f, up)[name] - grad(f, down)[name]) / (2 * step), atol=1e-6)


@given(data=st.data(), seed=seeds)
def test_extra_axes_are_independent_directions(data, seed) -> None:
    x = data.draw(arrays(data.draw(shapes(1, 3))))
    lead = data.draw(shapes(0, 2))
    lin = linearize(lambda x: ops.tanh(x) * ops.sum(x), x)
    t = np.random.default_rng(seed).normal(size=(*lead, *x.shape))
    for walk in (lin.jvp, lin.vjp):
        stacked = walk(t)
        assert stacked.shape == t.shape
        for i in np.ndindex(*lead):
            np.testing.assert_allclose(stacked[i], walk(t[i]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk", [None, 1, 2, 100])
@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_batch_jacobian_is_each_rows_jacobian(mode, chunk) -> None:
    net = models.mlp((2, 3), 4, (5,), activation="tanh", bias=True, init_weights=Glorot(), dtype="float64")
    x = np.random.default_rng(0).normal(size=(3, 2, 3))
    jacobians = batch_jacobian(net, x, mode, chunk)
    assert jacobians.shape == (3, 4, 2, 3)
    for i in range(3):
        np.testing.assert_allclose(jacobians[i], jacobian(lambda z: net(z[None])[0], x[i], mode, chunk), atol=1e-12)


def test_jacobians_of_the_mlp_agree_in_both_modes() -> None:
    """The digits' network, float64, 784 inputs: forward = reverse to 1e-10, rows in a batch = rows alone."""
    net = models.mlp(init_weights=Glorot(), dtype="float64")
    x = minidl.data.load_digits()[1].take(3).x.astype(np.float64)
    forward, reverse = (batch_jacobian(net, x, mode, chunk=100) for mode in ("forward", "reverse"))
    assert forward.shape == (3, 10, 1, 28, 28)
    assert abs(forward).max() > 0.01
    np.testing.assert_allclose(forward, reverse, atol=1e-10, rtol=0)
    testing.check_rows(net, x[:2])


def test_a_stack_of_one() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for axis in (0, 1, 2, -1):
        np.testing.assert_array_equal(ops.stack([x], axis), np.stack([x], axis))
    with pytest.raises(minidl.ShapeError, match="one or more"):
        ops.stack([])


def in_place(t, *_):
    t *= 3
    return t


def changing_x(x):
    if isinstance(x, np.ndarray):
        np.maximum(x, 0, out=x)
    return ops.relu(x)


TRIPLED = {"push": [lambda t, *_: t * 3], "pull": [lambda g, *_: g * 3]}


@pytest.mark.parametrize("wrong", [
    changing_x,
    Primitive("tripled", lambda x: x * 3, **TRIPLED | {"push": [in_place]}),
    Primitive("tripled", lambda x: x * 3, **TRIPLED | {"pull": [in_place]}),
], ids=["x", "the tangent", "the cotangent"])  # fmt: skip
def test_functions_that_change_what_they_are_given_are_reported(wrong) -> None:
    with pytest.raises(AssertionError, match="changed"):
        testing.check_plain(wrong, np.array([[-1.0, 2.0]]))


@pytest.mark.parametrize(
    "wrong", [lambda x: x - ops.mean(x, axis=0), lambda x: x * np.arange(1.0, 1 + len(x))[:, None]]
)
def test_functions_that_mix_the_rows_of_a_batch_are_reported(wrong) -> None:
    with pytest.raises(AssertionError, match="rows"):
        testing.check_rows(wrong, np.array([[-1.0, 2.0], [3.0, 5.0]]))
    testing.check_rows(wrong, np.zeros((0, 2)))  # nothing is mixed there


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_nothing_in_nothing_out(shape) -> None:
    x = np.zeros(shape)
    lin = linearize(lambda x: ops.tanh(x) * 2, x)
    assert lin.jvp(x).shape == lin.vjp(x).shape == shape
    for mode in ("forward", "reverse"):
        assert jacobian(ops.tanh, x, mode).shape == shape + shape
    assert batch_jacobian(ops.tanh, np.zeros((0, 3))).shape == (0, 3, 3)


def test_what_does_not_depend_on_x_has_derivative_zero() -> None:
    x = np.ones(3)
    lin = linearize(lambda x: np.arange(2.0), x)
    assert not lin.depends
    assert (lin.jvp(np.ones((5, 3))) == np.zeros((5, 2))).all()
    assert (lin.vjp(np.ones((5, 2))) == np.zeros((5, 3))).all()
    assert lin.jacobian().shape == (2, 3)
    assert (linearize(lambda x: x, x).vjp(x) == x).all()  # and the identity has the identity
    assert value_and_grad(lambda p: np.array(1.0), {})[1] == {}


def test_the_value_computed_once_serves_many_walks() -> None:
    runs = []
    lin = linearize(lambda x: runs.append(1) or ops.exp(x), np.ones(4))
    lin.jvp(np.ones(4)), lin.vjp(np.ones((7, 4))), lin.jacobian()
    assert len(runs) == 1


def test_control_flow_follows_values() -> None:
    f = lambda x: x * 2 if x > 1 else x * x
    assert float(grad(f, np.array(3.0))) == 2
    assert float(grad(f, np.array(0.5))) == 1


def test_boxes_behave_as_arrays() -> None:
    def f(x):
        assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float64)
        assert (x >= 0).all()
        assert not (x == -1).any()
        first, second = x  # iteration
        return (
            ops.stack([first * np.ones(3), second]).sum(axis=0).mean()
            + x.max()
            + x.T.reshape(6)[0]
            + x.transpose(1, 0)[0, 1]
        )

    testing.check_all(f, np.arange(6.0).reshape(2, 3) + 1)
    assert linearize(lambda x: isinstance(x, Box) and "Box(" in repr(x) and x, np.ones(2)).depends


def test_numpy_scalars_and_arrays_on_the_left() -> None:
    for left in (np.float64(2), np.array([2.0, 3.0]), 2, 2.0):
        testing.check_all(lambda x, left=left: left * x + left - x + left / x + left**x, np.array([1.5, 2.5]))


@given(data=st.data())
def test_ties_go_to_the_first(data) -> None:
    """Of equal maxima, only the first in row-major order has a slope, in both walks."""
    shape = data.draw(shapes(1, 3))
    lin = linearize(lambda x: ops.max(x), np.full(shape, 0.5))
    expected = np.zeros(shape)
    expected.flat[0] = 1
    np.testing.assert_array_equal(lin.vjp(np.array(1.0)), expected)
    np.testing.assert_array_equal(lin.jacobian("forward"), expected)
    for op in (ops.maximum, ops.minimum):
        np.testing.assert_array_equal(
            grad(lambda x, op=op: ops.sum(op(x, np.full(shape, 0.5))), np.full(shape, 0.5)), 1
        )
        np.testing.assert_array_equal(
            grad(lambda x, op=op: ops.sum(op(np.full(shape, 0.5), x)), np.full(shape, 0.5)), 0
        )


def test_kinks_as_documented() -> None:
    zero = np.array(0.0)
    assert float(grad(ops.relu, zero)) == 0
    assert float(grad(ops.absolute, zero)) == 0
    assert float(grad(lambda x: x**0, zero)) == 0
    assert float(grad(lambda b: np.array(-2.0) ** (b * 1.0), np.array(2.0))) == 0
    nan_elsewhere = grad(lambda x: ops.sum(ops.where(np.array([True, False]), x, np.nan)), np.array([1.0, np.inf]))
    np.testing.assert_array_equal(nan_elsewhere, [1, 0])
    np.testing.assert_array_equal(grad(ops.norm, np.zeros(2)), 0)
    slopes = grad(lambda x: ops.sum(ops.norm(x, axis=1)), np.array([[3.0, 4], [0, 0]]))
    np.testing.assert_allclose(slopes, [[0.6, 0.8], [0, 0]], rtol=1e-12)


def test_choosing_comes_before_computing() -> None:
    """What is not chosen is differentiated all the same, and 0·∞ is NaN; as `where` says, with the way to write it."""
    x = np.array([-1.0, 0.0, 4.0])
    with np.errstate(invalid="ignore", divide="ignore"):
        late = grad(lambda x: ops.sum(ops.where(x > 0, ops.sqrt(x), 0)), x)
    np.testing.assert_array_equal(late, [np.nan, np.nan, 0.25])
    early = grad(lambda x: ops.sum(ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1)), 0)), x)
    np.testing.assert_array_equal(early, [0, 0, 0.25])


def test_the_exponents_slope_is_0_unless_the_base_is_above_0() -> None:
    """∂aᵇ/∂b = 0 for a ≤ 0, also where aᵇ is infinite, for arrays, numbers, and second derivatives."""
    a, b = np.array([0.0, 0.0, 0.0, -2.0, 2.0]), np.array([-1.0, 0.0, 2.0, 2.0, 3.0])
    with np.errstate(divide="ignore"):
        gradient = grad(lambda b: ops.sum(a**b), b)
        np.testing.assert_array_equal(gradient, [0, 0, 0, 0, 8 * np.log(2)])
        np.testing.assert_array_equal(grad(lambda b: ops.sum(0.0**b), b), 0)
        np.testing.assert_array_equal(grad(lambda b: ops.sum((-2.0) ** b), np.array([2.0])), 0)
        second = grad(lambda b: ops.sum(grad(lambda b: ops.sum(a**b), b)), b)
    np.testing.assert_allclose(second, [0, 0, 0, 0, 8 * np.log(2) ** 2], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_norms_of_any_size(scale) -> None:
    """In float32, where the squares would be 0 or infinite."""
    x = np.array([3.0, -4.0], np.float32) * np.float32(scale)
    np.testing.assert_allclose(ops.norm(x), 5 * scale, rtol=1e-6)
    np.testing.assert_allclose(grad(ops.norm, x), [0.6, -0.8], rtol=1e-6)
    assert ops.norm(np.array([np.inf, 1.0])) == np.inf
    assert np.isnan(ops.norm(np.array([np.nan, 1.0])))


def test_threads_do_not_share_records() -> None:
    cotangents = {}

    def work(i: int) -> None:
        x = np.linspace(0, 1, 50) + i
        cotangents[i] = all(np.array_equal(grad(smooth, x), grad(smooth, x)) for _ in range(30)) and grad(smooth, x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    for i in range(4):
        np.testing.assert_array_equal(cotangents[i], grad(smooth, np.linspace(0, 1, 50) + i))


def test_records_leave_no_cycles() -> None:
    """A finished record is freed at once, not at the next garbage collection: training would hoard memory."""
    import gc
    import weakref

    watched = []

    def f(x):
        made = ops.exp(x)
        watched.append(weakref.ref(made.value))
        return ops.tanh(made @ made)

    gc.disable()
    try:
        linearize(f, np.ones((3, 3))).vjp(np.ones((3, 3)))
        assert watched[0]() is None
    finally:
        gc.enable()


def test_cross_entropy_of_the_network_in_the_parameters() -> None:
    """Backpropagation through a whole network against differences, in every parameter."""
    net = models.mlp((1, 3, 3), 4, (5, 5), bias=True, activation="tanh", init_weights=Glorot(), dtype="float64", seed=1)
    x, y = np.random.default_rng(0).random((6, 1, 3, 3)), np.array([0, 1, 2, 3, 3, 0])
    for name in net.params:
        loss = lambda w, name=name: losses.cross_entropy(net.apply({**net.params, name: w}, x), y)
        testing.check_all(loss, net.params[name])


def test_walks_give_arrays_of_ones_own() -> None:
    """What a walk returns may be written to: no other array shares its memory."""
    x = {"a": np.zeros(3), "b": np.ones(3)}
    t, g = {name: np.ones(3) for name in x}, np.ones(3)
    pushed = linearize(lambda p: p["a"], x).jvp(t)
    pulled = linearize(lambda p: p["a"] + p["b"], x).vjp(g)
    summed = linearize(lambda p: ops.sum(p["a"]), x).vjp(np.ones(()))
    for array in (pushed, *pulled.values(), *summed.values()):
        array += 7
    assert (g == 1).all()
    assert all((piece == 1).all() for piece in t.values())
    assert (pulled["a"] == 8).all()
    assert (pulled["b"] == 8).all()


def test_walks_compute_in_the_dtype_of_the_point() -> None:
    x = np.linspace(0, 1, 5)
    lin = linearize(ops.tanh, x)
    np.testing.assert_array_equal(lin.vjp(np.ones(5, np.float32)), lin.vjp(np.ones(5)))
    np.testing.assert_array_equal(lin.jvp(np.ones(5, np.int64)), lin.jvp(np.ones(5)))


def test_walks_are_in_single_precision_where_the_point_is() -> None:
    """Whatever comes in: double precision on the way would be slower, and other bits."""
    seen, x = [], np.linspace(0, 1, 5, dtype=np.float32)
    spied = Primitive(
        "spied", lambda x: x * 2,
        push=[lambda t, y, x: seen.append(t.dtype) or t * 2], pull=[lambda g, y, x: seen.append(g.dtype) or g * 2],
    )  # fmt: skip
    lin = linearize(lambda x: spied(ops.exp(x)), x)
    for kind in (np.float64, np.float32, np.float16, np.int64):
        assert lin.jvp(np.ones(5, kind)).dtype == lin.vjp(np.ones(5, kind)).dtype == np.float32
    assert set(seen) == {np.dtype(np.float32)}


def test_stacks_at_a_constant() -> None:
    """Of an array, of a dict, of a dict of nothing; the zeros are in the dtype of what they belong to."""
    constant = linearize(lambda p: np.ones(2, np.float32), {"a": np.ones(3), "b": np.ones((2, 2), np.float32)})
    pushed = constant.jvp({"a": np.ones((4, 5, 3)), "b": np.ones((4, 5, 2, 2))})
    assert (pushed.shape, pushed.dtype, pushed.any()) == ((4, 5, 2), np.float32, False)
    pulled = constant.vjp(np.ones((6, 2)))
    assert {name: (g.shape, str(g.dtype), g.any()) for name, g in pulled.items()} == {
        "a": ((6, 3), "float64", False), "b": ((6, 2, 2), "float32", False)}  # fmt: skip
    assert linearize(lambda p: np.ones(2), {}).jvp({}).shape == (2,)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("derivative", [jacobian, batch_jacobian])
def test_chunks_bound_how_many_directions_are_walked_at_once(derivative, mode, monkeypatch) -> None:
    walked = []
    for name in ("jvp", "vjp"):
        theirs = getattr(core.Linearization, name)
        spied = lambda lin, direction, theirs=theirs: walked.append(len(direction)) or theirs(lin, direction)
        monkeypatch.setattr(core.Linearization, name, spied)
    x = np.random.default_rng(0).normal(size=(3, 5))
    size = 5 if derivative is batch_jacobian else 15
    f = lambda x: ops.tanh(x)
    for chunk in (1, 2, size, size + 1):
        walked.clear()
        derivative(f, x, mode, chunk=chunk)
        whole, rest = divmod(size, chunk)
        assert walked == [chunk] * whole + [rest] * (rest > 0)
    monkeypatch.setattr(derivatives, "COMFORTABLE", x.nbytes * 2)  # of the largest array, for two directions
    walked.clear()
    derivative(f, x, mode)
    assert max(walked) == 2
    monkeypatch.setattr(derivatives, "COMFORTABLE", 1)
    walked.clear()
    derivative(f, x, mode)
    assert set(walked) == {1}


def test_empty_stacks_and_batches_of_images() -> None:
    net = models.lenet((1, 16, 16), 3, channels=(2, 3), hidden=4, dtype="float64")
    x = np.zeros((2, 1, 16, 16))
    assert linearize(net, x).jvp(np.zeros((0, *x.shape))).shape == (0, 2, 3)
    assert linearize(net, x).vjp(np.zeros((0, 2, 3))).shape == (0, *x.shape)
    gradients = linearize(lambda params: net.apply(params, x[:0]), net.params).vjp(np.zeros((0, 3)))
    assert all((gradients[name] == np.zeros(w.shape)).all() for name, w in net.params.items())


def test_mixed_second_derivatives_of_a_power() -> None:
    """∂²aᵇ/∂a∂b = aᵇ⁻¹(1 + b·log a), at b = 0 too, in either order."""
    for a, b in ((2.0, 0.0), (2.0, 3.0), (0.5, -1.0)):
        expected = a ** (b - 1) * (1 + b * np.log(a))
        by_a_then_b = grad(lambda b, a=a: grad(lambda a: a**b, np.array(a)), np.array(b))
        by_b_then_a = grad(lambda a, b=b: grad(lambda b: a**b, np.array(b)), np.array(a))
        np.testing.assert_allclose([by_a_then_b, by_b_then_a], expected, rtol=1e-12)
    assert grad(lambda a: a ** np.zeros(()), np.zeros(())) == 0  # and 0⁰ is a constant


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- elementwise derivatives
    Mutant("relu: slope 1 at 0", slope(ops.relu, lambda y, x: y >= 0), test_kinks_as_documented),
    Mutant("maximum: ties to both", slope(ops.maximum, lambda y, a, b: a >= b, lambda y, a, b: a <= b), test_ties_go_to_the_first),
    Mutant("power: ∞·0 in the exponent's slope", line(ops, "_slope_in_exponent", "where(positive, y, 0)", "y"), test_the_exponents_slope_is_0_unless_the_base_is_above_0),
    Mutant("norm: no slope where x is 0", line(ops, "norm", "nonzero = square != 0", "nonzero = square == square"), test_kinks_as_documented),
    Mutant("norm: squares of any size", line(ops, "norm", "ratio = x / scale", "scale = 1\n    ratio = x"), lambda: test_norms_of_any_size(1e30)),
    # --- linear maps and products
    Mutant("max: pulls from the last of equals", line(reductions, "max", "unbox(rows).argmax(axis=-1)", "rows.shape[-1] - 1 - unbox(rows)[..., ::-1].argmax(axis=-1)"), test_ties_go_to_the_first),
    # --- the engine
    Mutant("all records on one level", lambda patch: patch.setattr(core, "_levels", itertools.repeat(1)), test_perturbation_confusion),
    Mutant("gradient of twice the function", line(derivatives, "value_and_grad", ".ones((), dtype=lin.value.dtype)", ".ones((), dtype=lin.value.dtype) * 2"), test_derivatives_of_a_power_by_hand),
    Mutant("hvp: v forgotten", line(derivatives, "hvp", ".jvp(v)", ".jvp(v * 0 + 1)"), test_hvp_is_the_hessian_times_v),
    Mutant("batch Jacobian: axes not moved", line(derivatives, "batch_jacobian", "[*range(1, columns.ndim), 0]", "range(columns.ndim)"), test_jacobians_of_the_mlp_agree_in_both_modes),
]
# fmt: on
