"""Wrong rules, planted on purpose: each must be caught by the law that stands beside it.

A law that never failed proves nothing.  Three ways to plant one: another derivative for an elementwise
primitive, another rule for any primitive, or another line in the text of a function.
"""

from __future__ import annotations
import __future__

import inspect
import itertools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import attacks.by_class
import attacks.gradient_sign
import attacks.norms
import attacks.objectives
import attacks.projected_gradient
import attacks.result
import attacks.saliency
import attacks.victim
from attacks import Targeted, Victim
from minidl import (
    conv,
    core,
    derivatives,
    evaluation,
    history,
    io,
    layers,
    losses,
    models,
    ops,
    products,
    recipe,
    reductions,
    shaping,
)
from minidl.core import Primitive, elementwise
from minidl.data import cifar, dataset, idx
from minidl.kernels import reference, reference_conv, reference_pairs
from minidl.optim import RMSProp
from tests.laws import (
    test_attacks,
    test_closed_records,
    test_compositions,
    test_engine,
    test_jsma,
    test_kernels,
    test_layers,
    test_losses,
    test_objectives,
    test_optim,
    test_projected_gradient,
)
from tests.laws.test_primitives import LAWS
from tests.unit import test_bad_inputs, test_cifar, test_data, test_evaluation, test_io, test_models, test_train
from tests.zoo import CASES


@dataclass(frozen=True)
class Mutant:
    """A wrong rule by name, how to plant it (with pytest's monkeypatch), and the law that must fail under it.

    backend: whose kernels the law runs on, those of `reference` unless the mutant is in others.
    """

    name: str
    plant: Callable[[Any], None]
    law: Callable[..., None]
    backend: str = "numpy"


def over_the_zoo(law: str, case: str) -> Callable[[], None]:
    """One of the laws of `test_primitives` over one case of the zoo."""

    @settings(max_examples=100, phases=[Phase.generate])  # that it fails is all one asks: no shrinking
    @given(data=st.data(), seed=st.integers(0, 2**32 - 1))
    def run(data: st.DataObject, seed: int) -> None:
        LAWS[law](data.draw(CASES[case]), seed)

    run.__name__ = f"{law}[{case}]"
    return run


def slope(operation: Any, *derivatives: Any) -> Callable[[Any], None]:
    """Other derivatives for an elementwise operation."""
    primitive = getattr(operation, "__wrapped__", operation)
    wrong = elementwise(primitive.name, primitive.forward, *derivatives)
    return lambda patch: (patch.setattr(primitive, "push", wrong.push), patch.setattr(primitive, "pull", wrong.pull))


def rule(operation: Any, direction: str, *rules: Any) -> Callable[[Any], None]:
    """Other rules for a primitive, in one direction, or another forward function."""
    primitive: Primitive = getattr(operation, "__wrapped__", operation)
    return lambda patch: patch.setattr(primitive, direction, rules[0] if direction == "forward" else list(rules))


def line(owner: Any, name: str, old: str, new: str) -> Callable[[Any], None]:
    """Another text in the function `name` of a module or class, wherever it is already referred to."""

    def plant(patch: Any) -> None:
        found = inspect.getattr_static(owner, name)
        function = getattr(found, "func", None) or getattr(found, "fget", None) or found  # of properties too
        function = inspect.unwrap(function)  # of class methods, and of what is decorated
        text = textwrap.dedent(inspect.getsource(function))
        assert old in text, f"{old!r} is no longer in {name}"
        text, scope = text[text.index("def ") :].replace(old, new), {}
        flags = __future__.annotations.compiler_flag
        exec(compile(text, f"<mutant of {name}>", "exec", flags=flags), function.__globals__, scope)
        patch.setattr(function, "__code__", scope[name].__code__)

    return plant


def targets_are_reached_downhill() -> None:
    x = np.random.default_rng(0).random((5, 1, 4, 4))
    net = test_attacks.network(dtype="float64")
    t = test_attacks.other_targets(net, x, np.random.default_rng(1))
    moved = attacks.gradient_sign.fgsm(Victim(net), x, Targeted(t), epsilon=1e-4, clip=False).x_adv
    assert (losses.cross_entropy(net(moved), t, "none") < losses.cross_entropy(net(x), t, "none")).all()


zoo = over_the_zoo
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
    Mutant("relu: slope 1 at 0", slope(ops.relu, lambda y, x: y >= 0), test_engine.test_kinks_as_documented),
    Mutant("relu: leaks below 0", rule(ops.relu, "forward", lambda x: np.where(x > 0, x, x / 9)), zoo("value", "relu")),
    Mutant("absolute: slope 1", slope(ops.absolute, 1), zoo("differences", "absolute")),
    Mutant("negative: sign lost", slope(ops.negative, 1), zoo("differences", "negative")),
    Mutant("subtract: both plus", slope(ops.subtract, 1, 1), zoo("differences", "subtract")),
    Mutant("multiply: factors swapped", slope(ops.multiply, lambda y, a, b: a, lambda y, a, b: b), zoo("differences", "multiply")),
    Mutant("divide: sign of the divisor", slope(ops.divide, lambda y, a, b: 1 / b, lambda y, a, b: y / b), zoo("differences", "divide")),
    Mutant("power: exponent not lowered", slope(ops.power, lambda y, a, b: b * y, lambda y, a, b: y * ops.log(a)), zoo("differences", "power")),
    Mutant("power: no logarithm", slope(ops.power, lambda y, a, b: b * y / a, lambda y, a, b: y), zoo("differences", "power")),
    Mutant("maximum: ties to both", slope(ops.maximum, lambda y, a, b: a >= b, lambda y, a, b: a <= b), test_engine.test_ties_go_to_the_first),
    Mutant("minimum: the other one", slope(ops.minimum, lambda y, a, b: a > b, lambda y, a, b: a <= b), zoo("differences", "minimum")),
    Mutant("where: pulls back to both", rule(ops._where, "pull", None, lambda g, y, c, a, b: g, lambda g, y, c, a, b: g), zoo("adjoint", "where")),
    Mutant("power: ∞·0 in the exponent's slope", line(ops, "_slope_in_exponent", "where(positive, y, 0)", "y"), test_engine.test_the_exponents_slope_is_0_unless_the_base_is_above_0),
    Mutant("norm: no slope where x is 0", line(ops, "norm", "nonzero = square != 0", "nonzero = square == square"), test_engine.test_kinks_as_documented),
    Mutant("norm: squares of any size", line(ops, "norm", "ratio = x / scale", "scale = 1\n    ratio = x"), lambda: test_engine.test_norms_of_any_size(1e30)),
    # --- composed operations
    Mutant("sin: slope of the wrong sign", slope(ops.sin, lambda y, x: -ops.cos(x)), zoo("differences", "sin")),
    Mutant("cos: slope of the wrong sign", slope(ops.cos, lambda y, x: ops.sin(x)), zoo("differences", "cos")),
    Mutant("mod: the quotient is not forgotten", slope(ops.mod, 1, lambda y, a, b: -(a / b)), zoo("differences", "mod")),
    Mutant("mod: the divisor has no slope", slope(ops.mod, 1, 0), zoo("differences", "mod")),
    Mutant("clip: the upper bound is a lower one", line(ops, "clip", "minimum(x, high)", "maximum(x, high)"), zoo("value", "clip")),
    Mutant("astype: cotangents stay as they are", rule(ops._astype, "pull", lambda g, y, x, dtype: g), test_compositions.test_tangents_go_through_dtypes),
    Mutant("stop_gradient: goes on", line(ops, "stop_gradient", "return unbox(x)", "return x"), test_compositions.test_a_stopped_gradient_is_stopped_at_every_level),
    Mutant("stop_gradient: the innermost only", line(ops, "stop_gradient", "return unbox(x)", "return getattr(x, 'value', x)"), test_compositions.test_a_stopped_gradient_is_stopped_at_every_level),
    Mutant("min: the greatest", line(reductions, "min", "ops.negative(max(ops.negative(x), axis, keepdims))", "max(x, axis, keepdims)"), zoo("value", "min")),
    Mutant("prod: the odd one lost", line(reductions, "prod", "ops.concatenate([pairs, rows[..., n - 1 :]], axis=-1) if n % 2 else pairs", "pairs"), zoo("value", "prod")),
    Mutant("prod: divided by what is left out", rule(ops.multiply, "pull", lambda g, y, a, b: g * y / a, lambda g, y, a, b: g * y / b), test_compositions.test_products_with_zeros_to_the_second_derivative),
    Mutant("prod: whole numbers overflow", line(reductions, "prod", 'unbox(x).dtype.kind != "f"', "False"), test_compositions.test_products_of_nothing_and_of_whole_numbers),
    Mutant("var: the mean a constant", line(reductions, "_deviations", "mean(near, axis, keepdims=True)", "unbox(mean(near, axis, keepdims=True))"), zoo("nested", "var")),
    Mutant("var: ddof forgotten", line(reductions, "_deviations", "count - ddof", "count"), lambda: test_compositions.test_spreads_as_numpy_has_them(1)),
    Mutant("std: equal entries deviate", line(reductions, "_deviations", "x - unbox(x).max(axis=over, keepdims=True) if x.size else x", "x"), test_compositions.test_equal_entries_have_no_spread_and_no_slope),
    Mutant("logsumexp: overflows", line(reductions, "logsumexp", "xp.where(xp.isfinite(greatest), greatest, 0)", "0.0"), test_compositions.test_log_sum_exp_of_any_size),
    Mutant("logsumexp: log 0", line(reductions, "logsumexp", "nothing = total == 0", "nothing = total != total"), test_compositions.test_log_sum_exp_of_impossible_things),
    Mutant("softmax: always along the last axis", line(reductions, "_along", "if axis == -1 or", "if True or"), zoo("value", "softmax_along")),
    Mutant("swapaxes: nothing swapped", line(shaping, "swapaxes", "order[a], order[b] = b, a", "pass"), zoo("value", "swapaxes")),
    Mutant("squeeze: every axis of length 1", line(shaping, "squeeze", "if axis is None else axis", ""), zoo("value", "squeeze")),
    Mutant("expand_dims: counted without the others", line(shaping, "expand_dims", "rank = x.ndim + len(places)", "rank = x.ndim + 1"), zoo("value", "expand_dims")),
    Mutant("ravel: by columns", line(shaping, "ravel", "reshape(x,", "reshape(ops.transpose(x),"), zoo("value", "ravel")),
    Mutant("flip: nothing turned", line(shaping, "flip", "-1 if", "1 if"), zoo("value", "flip")),
    Mutant("pad: before for after", line(shaping, "pad", "[before, x, after]", "[after, x, before]"), zoo("value", "pad")),
    Mutant("pad: of zeros only", line(shaping, "pad", "value, dtype", "0, dtype"), zoo("value", "pad")),
    Mutant("repeat: the row, not its entries", line(shaping, "repeat", "x.ndim + axis + 1), (*before, length, *counts, *after)", "x.ndim + axis), (*before, *counts, length, *after)"), zoo("value", "repeat")),
    Mutant("repeat: each entry once", line(shaping, "repeat", "for _ in range(n)", "for _ in range(1)"), zoo("value", "repeat")),
    Mutant("dot: numbers as vectors", line(products, "dot", "if 0 in ranks", "if 1 in ranks"), zoo("value", "dot")),
    Mutant("einsum: no diagonals", line(products, "_once_each", "len(set(letters)) < len(letters)", "False"), zoo("value", "einsum")),
    Mutant("einsum: summed too early", line(products, "einsum", "*(letter for _, later in pieces[i:] for letter in later)", ""), zoo("value", "einsum")),
    Mutant("einsum: in another order", line(products, "_ordered", "ops.transpose(x, order)", "ops.transpose(x, sorted(order))"), zoo("value", "einsum")),
    Mutant("einsum: implied letters as they come", line(products, "_parsed", "sorted(letter for letter, n in counts.items() if n == 1)", "letter for letter, n in counts.items() if n == 1"), test_compositions.test_implied_letters_are_in_order),
    Mutant("pooling: a frame of zeros", line(conv, "max_pool2d", "-namespace(unbox(x)).inf", "0.0"), zoo("value", "max_pool2d")),
    Mutant("pooling: down for across", line(conv, "_pool", ":: steps[0] // step, :: steps[1] // step", ":: steps[1] // step, :: steps[0] // step"), zoo("value", "avg_pool2d")),
    Mutant("pooling: padded on one axis", line(conv, "_framed", "(n, n) for n in margins", "(margins[0], margins[0]) for n in margins"), zoo("value", "avg_pool2d")),
    # --- records
    Mutant("a closed record: recorded all the same", line(core.Primitive, "__call__", "if not all(record.open for record in records):", "if False:"), test_closed_records.test_outside_a_kept_box_is_an_array_to_numpy),
    Mutant("a closed record: outer boxes opened too", line(core, "settle", "isinstance(x, Box) and not x.record.open", "isinstance(x, Box)"), test_closed_records.test_a_gradient_penalty_written_naturally),
    Mutant("a closed record: kept outputs are constants", line(core, "linearize", "settle(f(boxes))", "f(boxes)"), test_closed_records.test_a_value_kept_from_an_inner_derivative_still_depends_on_the_outer_input),
    Mutant("a closed record: not for tangents", line(core, "_typed", "direction = settle(direction)", "pass"), test_closed_records.test_outside_a_kept_box_is_an_array_to_numpy),
    Mutant("a record that never closes", line(core, "linearize", "record.open = False", "pass"), test_closed_records.test_a_function_that_fails_closes_its_record),
    Mutant("linearize: any output will do", line(core, "linearize", 'if _kind(plain) != "f":', "if False:"), lambda: test_closed_records.test_outputs_that_are_no_floating_point_array(lambda x: x > 0, "bool")),
    Mutant("reached: whatever came later", line(core.Linearization, "reached", "node is not None and index in needed", "node is not None"), test_closed_records.test_which_pieces_of_x_were_reached),
    # --- linear maps and products
    Mutant("reshape: pulled back in column order", rule(ops._reshape, "pull", lambda g, y, x, shape, ndim: (
        g if g.ndim < 2 else ops._reshape(ops._swap_last(g), shape=x.shape, ndim=len(shape)))), zoo("adjoint", "reshape")),
    Mutant("transpose: not inverted", rule(ops._transpose, "pull", lambda g, y, x, axes: ops._transpose(g, axes=axes)), zoo("adjoint", "transpose")),
    Mutant("broadcast: averages for sums", line(ops, "_broadcast_transpose", "sum(g,", "mean(g,"), zoo("adjoint", "add")),
    Mutant("mean: not divided", line(ops, "mean", "/ count", "/ 1"), zoo("value", "mean")),
    Mutant("index: repeated reads overwrite", line(ops, "_place", "xp.add.at(out, (slice(None), flat.reshape(-1)),", "out.__setitem__((slice(None), flat.reshape(-1)),"), zoo("adjoint", "repeated_index")),
    Mutant("concatenate: off by one", line(ops, "_concatenate_pull", "for part in parts[:i]", "for part in parts[: i - 1]"), zoo("adjoint", "concatenate")),
    Mutant("concatenate: pushed into the wrong place", line(ops, "_concatenate_push", "*rest[:i], t, *rest[i + 1 :]", "t, *rest[1:]"), zoo("differences", "concatenate")),
    Mutant("max: pulls from the last of equals", line(reductions, "max", "unbox(rows).argmax(axis=-1)", "rows.shape[-1] - 1 - unbox(rows)[..., ::-1].argmax(axis=-1)"), test_engine.test_ties_go_to_the_first),
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
    Mutant("max-pool: the last of equals wins", line(reference_conv, "winners", "& ~found", ""), test_kernels.test_ties_in_a_window_go_to_the_first_in_row_major_order),
    Mutant("max-pool: overlapping windows overwrite", line(reference_conv, "unpick", "x[there] += ", "x[there] = "), zoo("adjoint", "max_pool2d")),
    Mutant("max-pool: everyone wins", rule(conv._max_pool2d, "push", lambda t, y, x, size, stride: conv._sum_windows(t, size=size, stride=stride)), zoo("differences", "max_pool2d")),
    Mutant("avg-pool: not divided", line(conv, "avg_pool2d", "/ prod(size)", "/ 1"), zoo("value", "avg_pool2d")),
    Mutant("avg-pool: only the first pixel", line(reference_conv, "spread", "x[there] += y", "x[there] = y"), zoo("adjoint", "avg_pool2d")),
    # --- losses
    Mutant("softmax: no rescaling", line(reference, "softmax", "z - z.max(axis=-1, keepdims=True)", "z"), test_losses.test_finite_at_enormous_logits),
    Mutant("softmax: sum forgotten", rule(reductions._softmax, "pull", lambda g, p, z: p * g), zoo("adjoint", "softmax")),
    Mutant("log_softmax: sum forgotten", rule(reductions._log_softmax, "push", lambda t, y, z: t), zoo("differences", "log_softmax")),
    Mutant("cross-entropy: cotangent of ones", rule(losses._cross_entropy, "pull", lambda g, y, z, labels: losses._slope(z, labels) * ops.reshape(g * 0 + 1, (*g.shape, 1))), zoo("adjoint", "cross_entropy")),
    Mutant("cross-entropy: p_label - 1 by subtraction", line(reference, "cross_entropy_slope", "-others.sum(axis=-1, keepdims=True)", "softmax(z) - 1"), test_losses.test_slope_is_exact_where_the_network_is_certain),
    Mutant("cross-entropy: not nestable", rule(losses._slope, "push", lambda t, y, z, labels: t * 0), zoo("nested", "cross_entropy")),
    Mutant("penalty: biases too", line(losses.Penalty, "__call__", 'if name.endswith(".W")', "if name"), test_losses.test_penalty_spares_biases_and_may_be_nothing),
    Mutant("penalty: L2 with a half", line(losses, "l2", "w * w", "w * w / 2"), zoo("value", "penalty")),
    # --- the engine
    Mutant("forward walk: only the first argument", lambda patch: patch.setattr(core.functools, "reduce", lambda f, parts: parts[0]), zoo("differences", "gram")),
    Mutant("backward walk: overwrites", line(core.Linearization, "vjp", "cotangents[parent] + pulled if parent in cotangents else pulled", "pulled"), zoo("adjoint", "gram")),
    Mutant("all records on one level", lambda patch: patch.setattr(core, "_levels", itertools.repeat(1)), test_engine.test_perturbation_confusion),
    Mutant("gradient of twice the function", line(derivatives, "value_and_grad", ".ones((), dtype=lin.value.dtype)", ".ones((), dtype=lin.value.dtype) * 2"), test_engine.test_derivatives_of_a_power_by_hand),
    Mutant("hvp: v forgotten", line(derivatives, "hvp", ".jvp(v)", ".jvp(v * 0 + 1)"), test_engine.test_hvp_is_the_hessian_times_v),
    Mutant("batch Jacobian: axes not moved", line(derivatives, "batch_jacobian", "[*range(1, columns.ndim), 0]", "range(columns.ndim)"), test_engine.test_jacobians_of_the_mlp_agree_in_both_modes),
    Mutant("chunks: the last one lost", line(derivatives, "_basis", "range(0, max(size, 1), step)", "range(0, max(size - step, 1), step)"), zoo("modes", "tanh")),
    # --- layers and random draws
    Mutant("dense: bias forgotten", line(layers.Dense, "apply", 'y + params["b"] if self.bias else y', "y"), zoo("value", "dense_layer")),
    Mutant("flatten: H, W, C order", line(layers.Flatten, "apply", "ops.reshape(x, ", "ops.reshape(ops.transpose(x, [0, *range(2, x.ndim), 1]), "), zoo("value", "flatten_layer")),
    Mutant("dropout: not inverted", line(reference, "dropout_mask", "* (1.0 / (1.0 - rate))", ""), lambda: test_kernels.test_dropout_mask_keeps_the_mean(0.2)),
    Mutant("dropout: keeps what it should drop", line(reference, "dropout_mask", ">=", "<"), lambda: test_kernels.test_dropout_mask_keeps_the_mean(0.2)),
    Mutant("dropout: never sleeps", line(layers.Dropout, "key", "if rng is None or self.rate == 0:\n        return None", "import numpy as np\n    rng = rng or np.random.default_rng()"), test_layers.test_dropout_is_active_exactly_when_an_rng_is_given),
    Mutant("dropout: one mask for all layers", line(layers.Dropout, "key", "int(rng.integers(2**63))", "1"), test_layers.test_dropout_layers_draw_different_masks),
    Mutant("random bits: every block starts alike", line(reference, "random_bits", "first + 1, first + 1 + like.size", "1, 1 + like.size"), test_kernels.test_draws_do_not_depend_on_how_they_are_cut),
    Mutant("He: fan-out", line(layers.He, "__call__", "fan_in)", "fan_out)"), lambda: test_layers.test_initialisers_have_the_stated_spread(layers.He(), np.sqrt(2 / 300))),
    Mutant("Glorot: √3", line(layers.Glorot, "__call__", "6 /", "3 /"), lambda: test_layers.test_initialisers_have_the_stated_spread(layers.Glorot(), np.sqrt(2 / 700))),
    # --- optimisers
    Mutant("SGD: uphill", line(reference, "sgd", "velocity -= lr * g", "velocity += lr * g"), lambda: test_optim.test_equation("sgd")),
    Mutant("Nesterov: plain momentum", line(reference, "sgd", "momentum * velocity - lr * g if nesterov else velocity", "velocity"), lambda: test_optim.test_equation("nesterov")),
    Mutant("RMSProp: ε always outside", line(reference, "rmsprop", "(mean_square + epsilon) ** 0.5 if inside else ", ""), lambda: test_optim.test_equation("rmsprop")),
    Mutant("RMSProp: ρ and 1 - ρ swapped", line(reference, "rmsprop", "mean_square *= rho\n    mean_square += (1 - rho)", "mean_square *= 1 - rho\n    mean_square += rho"), lambda: test_optim.test_equation("rmsprop")),
    Mutant("Adam: no bias correction", line(reference, "adam", "(lr / (1 - beta1**step))", "lr"), lambda: test_optim.test_equation("adam")),
    Mutant("Adam: ε inside the root", line(reference, "adam", ") ** 0.5 + epsilon)", " + epsilon) ** 0.5)"), lambda: test_optim.test_equation("adam")),
    # --- JSMA
    Mutant("JSMA: the others' slopes with the wrong sign", line(attacks.saliency, "_slopes", "a - pulled[1].reshape(a.shape)", "pulled[1].reshape(a.shape) - a"), test_jsma.test_saliency_is_eq_8),
    Mutant("JSMA: not mirrored", line(attacks.saliency, "_slopes", "-a, -b", "a, b"), test_jsma.test_the_mirror_image),
    Mutant("JSMA: a touched feature leaves the domain", line(attacks.saliency, "_move", "domain[where] = (flat[where] != before) & movable(flat[where])", "domain[where] = False"), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("JSMA: a saturated feature stays in the domain", line(attacks.saliency, "_move", "domain[where] = (flat[where] != before) & movable(flat[where])", "pass"), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("JSMA: one step too many", line(attacks.saliency, "steps_allowed", "/ features + 1e-9", "/ features + 1"), test_jsma.test_bounds_budget_and_honesty),
    Mutant("JSMA: probabilities taken for logits", line(attacks.saliency, "_slopes", 'if outputs == "logits":', "if True:"), test_jsma.test_with_probabilities_the_second_condition_says_nothing),
    Mutant("hardness: rectangles", line(attacks.by_class, "hardness_matrix", "(e1 + e0) / 2", "e1"), test_jsma.test_a_smaller_budget_is_the_beginning_of_a_larger_one),
    Mutant("matrices: source and target swapped", line(attacks.by_class, "mean_by_pair", "source * classes + target", "target * classes + source"), test_jsma.test_measures_by_hand),
    Mutant("pairs: only the best feature of each kind", line(reference_pairs, "best_pairs", "runner_up[:, :-1]", "largest[:, 1:-1]"), test_kernels.test_pairs_are_the_ones_of_the_definition),
    Mutant("pairs: ties to the last", line(reference_pairs, "_best_of_candidates", "product > best[r : r + rows]", "product >= best[r : r + rows]"), test_kernels.test_pairs_in_tiles_break_ties_alike),
    Mutant("pairs: ranked by a alone", line(reference_pairs, "_ranked", "(-b).argsort", "(0 * b).argsort"), test_kernels.test_pairs_are_the_ones_of_the_definition),
    Mutant("single features: two wrongs make a right", line(reference_pairs, "saliency", "(a > 0) & (b > 0)", "(a == a)"), test_kernels.test_single_features_are_eq_8s_arg_max),
    # --- attacks
    Mutant("FGSM: downhill", line(attacks.gradient_sign, "fgsm", "run.victim.gradient(", "-run.victim.gradient("), test_attacks.test_the_step_is_the_papers),
    Mutant("FGSM: targets as if untargeted", lambda patch: patch.setattr(Targeted, "direction", 1), targets_are_reached_downhill),
    Mutant("FGSM: the gradient, not its sign", line(reference, "sign_step", "xp.sign(g)", "g"), test_attacks.test_the_step_is_the_papers),
    Mutant("FGSM: never clipped", line(reference, "sign_step", "bounds is None", "True"), test_attacks.test_bounds_budget_and_honesty),
    Mutant("FGSM: always clipped", line(attacks.gradient_sign, "_climb", "run.victim.bounds if clip else None", "run.victim.bounds"), test_attacks.test_the_step_is_the_papers),
    Mutant("result: success judged before the attack", line(attacks.result.Run, "end", "self.goal.achieved(adv_pred)", "self.goal.achieved(self.clean_pred)"), test_attacks.test_bounds_budget_and_honesty),
    Mutant("victim: pull-backs not counted", line(attacks.victim.Victim, "pull_back", "self.backwards += prod(g.shape[:-1])", ""), test_attacks.test_a_ladder_reuses_one_gradient),
    Mutant("targets: who is there is moved", line(attacks.result.Run, "end", "xp.where(norms.per_example(there, x_adv), self.given, x_adv)", "x_adv"), lambda: test_attacks.test_who_is_at_the_target_comes_back_as_they_are("fgsm, l2, to a target")),
    Mutant("targets: who is there has taken steps", line(attacks.result.Run, "end", "xp.where(there, 0, iterations)", "iterations"), lambda: test_attacks.test_who_is_at_the_target_comes_back_as_they_are("fgsm, l2, to a target")),
    Mutant("noise: the seed forgotten", line(attacks.gradient_sign, "sign_noise", "random_signs(seed, run.x)", "random_signs(0, run.x)"), test_attacks.test_same_seed_same_bits),
    Mutant("L2: squares vanish", line(ops, "norm", "scale = xp.where((largest > 0) & xp.isfinite(largest), largest, 1)", "scale = xp.ones_like(largest)"), test_attacks.test_tiny_and_zero_gradients),
    Mutant("L1 projection: grows what is inside", line(attacks.norms, "l1_project", "return xp.where(l1_length(d)[:, None] > epsilon, lowered, rows).reshape(d.shape)", "return (xp.sign(rows) * xp.maximum(abs(rows) - theta, 0)).reshape(d.shape)"), lambda: test_attacks.test_projection("l1")),
    # --- projected gradient, objectives, norms
    Mutant("BIM: never projected", line(attacks.norms, "linf_move", "origin, epsilon)", "None, epsilon)"), test_projected_gradient.test_bounds_budget_and_honesty),
    Mutant("BIM: steps too short", line(attacks.projected_gradient, "bim", "1.0, objective", "0.9, objective"), test_projected_gradient.test_bim_reaches_the_optimum_of_a_linear_network),
    Mutant("BIM: from where it stands, not from the image", line(attacks.projected_gradient, "_climb", "gather(run.x, active), radius", "now, radius"), test_projected_gradient.test_bounds_budget_and_honesty),
    Mutant("least likely: the likeliest", line(attacks.projected_gradient, "least_likely", "argmin", "argmax"), test_projected_gradient.test_least_likely_goes_to_the_least_likely),
    Mutant("PGD: every restart from one point", line(attacks.projected_gradient, "_start", "run.key(restart)", "run.key(0)"), test_projected_gradient.test_restarts_only_retry_what_stands),
    Mutant("PGD: the fallen tried again", line(attacks.projected_gradient, "_at_each_radius", "if restart:", "if False:"), test_projected_gradient.test_restarts_only_retry_what_stands),
    Mutant("PGD: the fallen forgotten at the next radius", line(attacks.projected_gradient, "_at_each_radius", "fallen = found[radius].success & schedule.early_stop", "pass"), test_projected_gradient.test_what_fell_at_a_smaller_radius_stays_fallen),
    Mutant("PGD: one start for all seeds", line(attacks.result.Run, "key", "self.seed", "0"), test_projected_gradient.test_same_seed_same_bits),
    Mutant("PGD: successes go on", line(attacks.projected_gradient, "_climb", "if schedule.early_stop:", "if False:"), test_projected_gradient.test_early_stop_is_at_the_first_success),
    Mutant("Ctrl-C goes unsaid", lambda patch: patch.setattr(attacks.result.Run, "interrupted", property(lambda run: False, lambda run, value: None), raising=False), lambda: test_projected_gradient.test_ctrl_c_keeps_what_is_done(attacks.bim)),
    Mutant("Ctrl-C while judging: all is lost", line(attacks.result.Run, "end", "if self.interrupted is None:", "if True:"), test_projected_gradient.test_ctrl_c_during_the_last_prediction_loses_nothing),
    Mutant("victim: runs counted when all are done", line(attacks.victim.Victim, "pull_back", "self.forwards += len(x[part])", ""), test_projected_gradient.test_what_is_run_before_ctrl_c_is_counted),
    Mutant("ball: bytes rounded like numbers below 1", line(attacks.norms, "_stay", "roundings = size * ", "roundings = "), test_projected_gradient.test_bytes_stay_in_the_ball_too),
    Mutant("steps: rounded down", line(attacks.projected_gradient, "kurakin_steps", "math.ceil", "math.floor"), test_projected_gradient.test_the_papers_number_of_steps),
    Mutant("L1 step: the bounds forgotten", line(attacks.norms, "l1_move", "bounds is None or not x.size", "True"), test_projected_gradient.test_a_step_in_l1_is_the_best_within_the_bounds),
    Mutant("L1 step: from the least steep", line(attacks.norms, "l1_move", "[:, ::-1]", ""), test_projected_gradient.test_a_step_in_l1_is_the_best_within_the_bounds),
    Mutant("random start: on the sphere", line(attacks.norms, "_exponential", "-xp.log", "0 * xp.log"), test_projected_gradient.test_random_starts_are_uniform_in_the_ball),
    Mutant("random start: variance 1", line(attacks.norms, "l2_random", " * 0.5**0.5", ""), test_projected_gradient.test_random_starts_are_uniform_in_the_ball),
    Mutant("margin: the label among the others", line(attacks.objectives, "margin", "ops.where(labels, -namespace(labels).inf, logits)", "logits"), test_objectives.test_definitions),
    Mutant("ratio: the second for the third", line(attacks.objectives, "dlr", "(0, 2, needed - 1)", "(0, 1, needed - 1)"), test_objectives.test_definitions),
    Mutant("objectives: targets as if untargeted", lambda patch: patch.setattr(Targeted, "direction", 1), test_objectives.test_definitions),
    # --- data, files, training, reports
    Mutant("fit: a network that cannot learn", line(recipe, "_check_connected", "if not reached:", "if False:"), test_train.test_a_network_cut_off_from_its_parameters_is_refused),
    Mutant("fit: parameters that learn nothing go unsaid", line(recipe, "_check_connected", "if cut_off:", "if False:"), test_train.test_parameters_that_nothing_depends_on_are_named_once),
    Mutant("evaluate: softmax of probabilities", line(evaluation, "evaluate", "losses.are_probabilities(outputs)", "False"), lambda: test_bad_inputs.test_the_engine_refuses("evaluate: probabilities")),
    Mutant("batches: a shuffled batch twice", line(dataset.Batches, "__iter__", "self.order[i : i + self.size]", "self.order[: self.size]"), test_train.test_shuffling_shows_every_example_once_in_a_new_order_each_epoch),
    Mutant("fit: the same order every epoch", line(recipe.Recipe, "batches", "(self.seed, epoch)", "self.seed"), test_train.test_shuffling_shows_every_example_once_in_a_new_order_each_epoch),
    Mutant("resume: the optimiser forgets", line(history, "_checkpointed", '"state": state, ', ""), lambda tmp_path: test_train.test_resumed_runs_end_with_the_same_bits(tmp_path, RMSProp(0.01))),
    Mutant("evaluate: confusion transposed", line(evaluation.Evaluation, "confusion", "self.labels * self.classes + self.predictions", "self.predictions * self.classes + self.labels"), test_evaluation.test_confusion_has_labels_in_rows),
    Mutant("evaluate: confidence on errors over all", line(evaluation.Evaluation, "confidence_on_errors", "self.confidences[self.wrong]", "self.confidences"), test_evaluation.test_error_and_both_confidences),
    Mutant("IDX: little-endian lengths", line(idx, "_read", '">{rank}I"', '"<{rank}I"'), test_data.test_round_trip),
    Mutant("IDX: too much is fine", line(idx, "_read", "len(values) != size", "len(values) < size"), test_data.test_oversized),
    Mutant("CIFAR-10: colours side by side", line(cifar, "read_records", "reshape(-1, *SHAPE)", "reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)"), test_cifar.test_round_trip),
    Mutant("CIFAR-10: the label last", line(cifar, "read_records", "labels = records[:, : len(classes)]", "labels = records[:, -len(classes) :]"), test_cifar.test_round_trip),
    Mutant("VGG: ever wider", line(models, "vgg", "min(2**stage, 8)", "2**stage"), lambda: test_models.test_vggs_stages(11, "11222")),
    Mutant("VGG: a pooling too few", line(models, "vgg", "shorter_side > 1", "shorter_side > 2"), lambda: test_models.test_vggs_stages(11, "11222")),
    Mutant("load: whatever the file holds", line(io, "load", "wanted != found", "False"), test_io.test_parameters_must_fit),
]
# fmt: on
