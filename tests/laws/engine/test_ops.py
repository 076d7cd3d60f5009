"""The laws of `minidl.testing`, over every operation, loss and layer in the zoo, at drawn shapes and layouts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from minidl import (
    backend,
    conv,
    core,
    derivatives,
    fused,
    layers,
    losses,
    ops,
    products,
    reductions,
    shaping,
)
from minidl.kernels import slopes
from minidl.kernels.reference import conv as reference_conv
from minidl.testing import CASE_LAWS, CASES, Mutant, Patch, line, over_the_zoo, rule, slope


@pytest.mark.parametrize("law", CASE_LAWS)
@pytest.mark.parametrize("name", CASES)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_law(name: str, law: str, data: st.DataObject, seed: int) -> None:
    CASE_LAWS[law](data.draw(CASES[name]), seed)


def runs_kernels(name: str) -> bool:
    """Whether a case runs kernels, of which each backend has its own; all else is the same on all of them."""
    asked: list[str] = []
    with Patch() as patch:
        patch.setattr(backend.Backend, "kernels", property(lambda it: asked.append(it.name) or it.load_kernels()))
        seed(0)(over_the_zoo("linear", name, examples=4))()  # processes that share the tests agree
    return bool(asked)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "with_kernels" in metafunc.fixturenames:
        metafunc.parametrize("with_kernels", list(filter(runs_kernels, CASES)))


@pytest.mark.parametrize("law", CASE_LAWS)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_law_on_readable_kernels(with_kernels: str, law: str, data: st.DataObject, seed: int) -> None:
    with backend.use("numpy"):
        CASE_LAWS[law](data.draw(CASES[with_kernels]), seed)


zoo = over_the_zoo
#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- elementwise derivatives
    Mutant("exp: constant derivative", slope(ops.exp, 1), zoo("differences", "exp")),
    Mutant("exp: pull-back forgets the slope", rule(ops.exp, "pull", lambda g, y, x: g), zoo("adjoint", "exp")),
    Mutant("exp: cotangent dropped", rule(ops.exp, "pull", lambda g, y, x: y), zoo("linear", "exp")),
    Mutant("log: x for 1/x", slope(ops.log, lambda y, x: x), zoo("differences", "log")),
    Mutant("sqrt: missing ½", slope(ops.sqrt, lambda y, x: 1 / y), zoo("differences", "sqrt")),
    Mutant("tanh: 1 + y²", slope(ops.tanh, lambda y, x: 1 + y * y), zoo("differences", "tanh")),
    Mutant("tanh: slope frozen for nesting", slope(ops.tanh, lambda y, x: 1 - core.unbox(y) ** 2), zoo("nested", "tanh")),
    Mutant("sigmoid: missing 1 - y", slope(ops.sigmoid, lambda y, x: y), zoo("differences", "sigmoid")),
    Mutant("softplus: σ(-x)", slope(ops.softplus, lambda y, x: ops.sigmoid(-x)), zoo("differences", "softplus")),
    Mutant("relu: slope 1 everywhere", slope(ops.relu, 1), zoo("differences", "relu")),
    Mutant("relu: leaks below 0", rule(ops.relu, "forward", lambda x: np.where(x > 0, x, x / 9)), zoo("value", "relu")),
    Mutant("absolute: slope 1", slope(ops.absolute, 1), zoo("differences", "absolute")),
    Mutant("negative: sign lost", slope(ops.negative, 1), zoo("differences", "negative")),
    Mutant("subtract: both plus", slope(ops.subtract, 1, 1), zoo("differences", "subtract")),
    Mutant("multiply: factors swapped", slope(ops.multiply, lambda y, a, b: a, lambda y, a, b: b), zoo("differences", "multiply")),
    Mutant("divide: sign of the divisor", slope(ops.divide, lambda y, a, b: 1 / b, lambda y, a, b: y / b), zoo("differences", "divide")),
    Mutant("power: exponent not lowered", slope(ops.power, lambda y, a, b: b * y, lambda y, a, b: y * ops.log(a)), zoo("differences", "power")),
    Mutant("power: no logarithm", slope(ops.power, lambda y, a, b: b * y / a, lambda y, a, b: y), zoo("differences", "power")),
    Mutant("minimum: the other one", slope(ops.minimum, lambda y, a, b: a > b, lambda y, a, b: a <= b), zoo("differences", "minimum")),
    Mutant("where: pulls back to both", rule(ops._where, "pull", None, lambda g, y, c, a, b: g, lambda g, y, c, a, b: g), zoo("adjoint", "where")),
    # --- composed operations
    Mutant("sin: slope of the wrong sign", slope(ops.sin, lambda y, x: -ops.cos(x)), zoo("differences", "sin")),
    Mutant("cos: slope of the wrong sign", slope(ops.cos, lambda y, x: ops.sin(x)), zoo("differences", "cos")),
    Mutant("mod: the quotient is not forgotten", slope(ops.mod, 1, lambda y, a, b: -(a / b)), zoo("differences", "mod")),
    Mutant("mod: the divisor has no slope", slope(ops.mod, 1, 0), zoo("differences", "mod")),
    Mutant("clip: the upper bound is a lower one", line(ops, "clip", "minimum(x, high)", "maximum(x, high)"), zoo("value", "clip")),
    Mutant("min: the greatest", line(reductions, "min", "ops.negative(max(ops.negative(x), axis, keepdims))", "max(x, axis, keepdims)"), zoo("value", "min")),
    Mutant("prod: the odd one lost", line(reductions, "prod", "ops.concatenate([pairs, rows[..., n - 1 :]], axis=-1) if n % 2 else pairs", "pairs"), zoo("value", "prod")),
    Mutant("var: the mean a constant", line(reductions, "_deviations", "mean(near, axis, keepdims=True)", "unbox(mean(near, axis, keepdims=True))"), zoo("nested", "var")),
    Mutant("softmax: always along the last axis", line(reductions, "_along", "if axis == -1 or", "if True or"), zoo("value", "softmax_along")),
    Mutant("swapaxes: nothing swapped", line(shaping, "swapaxes", "order[a], order[b] = b, a", "pass"), zoo("value", "swapaxes")),
    Mutant("squeeze: every axis of length 1", line(shaping, "squeeze", "if axis is None else axis", ""), zoo("value", "squeeze")),
    Mutant("expand_dims: counted without the others", line(shaping, "expand_dims", "rank = x.ndim + len(places)", "rank = x.ndim + min(len(places), 1)"), zoo("value", "expand_dims")),
    Mutant("ravel: by columns", line(shaping, "ravel", "reshape(x,", "reshape(ops.transpose(x),"), zoo("value", "ravel")),
    Mutant("flip: nothing turned", line(shaping, "flip", "-1 if", "1 if"), zoo("value", "flip")),
    Mutant("pad: before for after", line(shaping, "pad", "[before, x, after]", "[after, x, before]"), zoo("value", "pad")),
    Mutant("pad: of zeros only", line(shaping, "pad", "value, dtype", "0, dtype"), zoo("value", "pad")),
    Mutant("repeat: the row, not its entries", line(shaping, "repeat", "x.ndim + axis + 1), (*before, length, *counts, *after)", "x.ndim + axis), (*before, *counts, length, *after)"), zoo("value", "repeat")),
    Mutant("repeat: each entry once", line(shaping, "repeat", "for _ in range(n)", "for _ in range(1)"), zoo("value", "repeat")),
    Mutant("dot: numbers as vectors", line(products, "dot", "if 0 in ranks", "if 1 in ranks"), zoo("value", "dot")),
    Mutant("einsum: no diagonals", line(products, "_once_each", "len(set(letters)) < len(letters)", "False"), zoo("value", "einsum")),
    Mutant("einsum: summed too early", line(products, "einsum", "*(letter for _, later in pieces[i:] for letter in later)", ""), zoo("value", "einsum", examples=1000)),
    Mutant("einsum: in another order", line(products, "_ordered", "ops.transpose(x, order)", "ops.transpose(x, sorted(order))"), zoo("value", "einsum")),
    Mutant("pooling: a frame of zeros", line(conv, "max_pool2d", "-namespace(unbox(x)).inf", "0.0"), zoo("value", "max_pool2d")),
    Mutant("pooling: down for across", line(conv, "_pool", ":: steps[0] // step, :: steps[1] // step", ":: steps[1] // step, :: steps[0] // step"), zoo("value", "avg_pool2d")),
    Mutant("pooling: padded on one axis", line(conv, "_framed", "(n, n) for n in margins", "(margins[0], margins[0]) for n in margins"), zoo("value", "avg_pool2d")),
    # --- linear maps and products
    Mutant("reshape: pulled back in column order", rule(ops._reshape, "pull", lambda g, y, x, shape, ndim: (
        g if g.ndim < 2 else ops._reshape(ops._swap_last(g), shape=x.shape, ndim=len(shape)))), zoo("adjoint", "reshape")),
    Mutant("transpose: not inverted", rule(ops._transpose, "pull", lambda g, y, x, axes: ops._transpose(g, axes=axes)), zoo("adjoint", "transpose")),
    Mutant("broadcast: averages for sums", line(ops, "_broadcast_transpose", "sum(g,", "mean(g,"), zoo("adjoint", "add")),
    Mutant("mean: not divided", line(ops, "mean", "/ count", "/ 1"), zoo("value", "mean")),
    Mutant("index: repeated reads overwrite", line(ops, "_place", "xp.add.at(out, (slice(None), flat.reshape(-1)),", "out.__setitem__((slice(None), flat.reshape(-1)),"), zoo("adjoint", "repeated_index")),
    Mutant("concatenate: off by one", line(ops, "_concatenate_pull", "for part in parts[:i]", "for part in parts[: i - 1]"), zoo("adjoint", "concatenate")),
    Mutant("concatenate: pushed into the wrong place", line(ops, "_concatenate_push", "*rest[:i], t, *rest[i + 1 :]", "t, *rest[1:]"), zoo("differences", "concatenate")),
    Mutant("matmul: missing transpose", rule(ops._matmul, "pull", lambda g, y, a, b: g @ ops._swap_last(b), lambda g, y, a, b: a @ g), zoo("adjoint", "matmul")),
    Mutant("matmul: product in the wrong order", rule(ops._matmul, "push", lambda t, y, a, b: b @ t, lambda t, y, a, b: a @ t), zoo("differences", "matmul")),
    Mutant("reshape: a stack counted twice", line(ops, "_last", "x.shape[x.ndim - ndim :]", "x.shape"), zoo("nested stacks", "reshape")),
    # --- convolution and pooling
    Mutant("conv: filters turned round", line(reference_conv, "conv2d", "_filters(w)", "_filters(w[..., ::-1, ::-1])"), zoo("value", "conv2d")),
    Mutant("conv: padding off by one", line(reference_conv, "conv2d_input", "x[:, :, padding :", "x[:, :, max(padding - 1, 0) :"), zoo("adjoint", "conv2d")),
    Mutant("conv: stride forgotten in the windows", line(reference_conv, "_offsets", "+ 1, stride)", "+ 1, 1)"), zoo("value", "conv2d")),
    Mutant("conv: filters' gradient of flipped windows", line(reference_conv, "conv2d_weights", "columns.T)", "columns[::-1].T)"), zoo("adjoint", "conv2d")),
    Mutant("conv: windows overwrite for add", line(reference_conv, "conv2d_input", "x[there] += columns[u, v]", "x[there] = columns[u, v]"), zoo("adjoint", "conv2d")),
    Mutant("conv: stacks of filters mixed up", line(conv, "_unfold", "(p, prod(stack), length, *rest)), (1, 0, 2, 3, 4))", "(p, length, prod(stack), *rest)), (2, 0, 1, 3, 4))"), zoo("nested stacks", "conv2d")),
    Mutant("conv: bias forgotten", line(layers.Conv2d, "apply", 'y + ops.reshape(params["b"], (self.channels, 1, 1)) if self.bias else y', "y"), zoo("value", "conv_layer")),
    Mutant("max-pool: overlapping windows overwrite", line(reference_conv, "put_into_windows", "x[there] += ", "x[there] = "), zoo("adjoint", "max_pool2d")),
    Mutant("max-pool: every entry is the maximum", rule(conv._max_pool2d, "push", lambda t, y, x, size, stride: conv._sum_windows(t, size=size, stride=stride)), zoo("differences", "max_pool2d")),
    Mutant("avg-pool: not divided", line(conv, "avg_pool2d", "/ prod(size)", "/ 1"), zoo("value", "avg_pool2d")),
    Mutant("avg-pool: only the first pixel", line(reference_conv, "spread_into_windows", "x[there] += y", "x[there] = y"), zoo("adjoint", "avg_pool2d")),
    # --- losses
    Mutant("softmax: sum forgotten", rule(reductions._softmax, "pull", lambda g, p, z: p * g), zoo("adjoint", "softmax")),
    Mutant("log_softmax: sum forgotten", rule(reductions._log_softmax, "push", lambda t, y, z: t), zoo("differences", "log_softmax")),
    Mutant("cross-entropy: cotangent of ones", rule(losses._cross_entropy, "pull", lambda g, y, z, labels: losses._gradient(z, labels) * ops.reshape(g * 0 + 1, (*g.shape, 1))), zoo("adjoint", "cross_entropy")),
    Mutant("cross-entropy: not nestable", rule(losses._gradient, "push", lambda t, y, z, labels: t * 0), zoo("nested", "cross_entropy")),
    Mutant("penalty: L2 with a half", line(losses, "l2", "w * w", "w * w / 2"), zoo("value", "penalty")),
    # --- joined layers, and the slopes of activations, from which all rules for them are made
    Mutant("tanh: 1 + y² in the table", line(slopes, "tanh", "one - y * y", "one + y * y"), zoo("differences", "tanh")),
    Mutant("sigmoid: y² in the table", line(slopes, "sigmoid", "(one - y)", "y"), zoo("differences", "sigmoid")),
    Mutant("relu: slope 1 in the table", line(slopes, "relu", "y > 0", "y >= 0"), zoo("differences", "relu")),
    Mutant("unit: nested, the slope of what dropout scaled", line(fused, "_through", "y * (1 - rate)", "y"), zoo("nested", "activate")),
    Mutant("unit: nested, nothing dropped", line(fused, "_through", "* mask", ""), zoo("nested", "activate")),
    Mutant("unit: the bias of one row", line(fused, "_to_rows", "(1,) * (y.ndim - 1) + units", "units + (1,) * (y.ndim - 1)"), zoo("adjoint", "activate")),
    Mutant("conv2d_max: the bias on the last axis", line(fused, "_pull_bias", "(-4, -2, -1)", "(-4, -3, -2)"), zoo("nested stacks", "conv2d_max")),
    # --- the engine
    Mutant("forward walk: only the first argument", lambda patch: patch.setattr(core.functools, "reduce", lambda f, parts: parts[0]), zoo("differences", "gram")),
    Mutant("backward walk: overwrites", line(core, "vector_jacobian_product", "cotangents[parent] + pulled if parent in cotangents else pulled", "pulled"), zoo("adjoint", "gram")),
    Mutant("chunks: the last one lost", line(derivatives, "_basis", "range(0, max(size, 1), step)", "range(0, max(size - step, 1), step)"), zoo("modes", "tanh")),
    # --- layers and random draws
    Mutant("dense: bias forgotten", line(layers.Dense, "apply", 'y + params["b"] if self.bias else y', "y"), zoo("value", "dense_layer")),
    Mutant("flatten: H, W, C order", line(layers.Flatten, "apply", "ops.reshape(x, ", "ops.reshape(ops.transpose(x, [0, *range(2, x.ndim), 1]), "), zoo("value", "flatten_layer")),
]
# fmt: on
