"""Laws of networks behind autoencoders: one function, attacked as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.defences.stacked
from attacks import Victim, fgsm, pgd, stacked
from minidl import batch_jacobian, linearize, models, ops
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.layers import Dense, Flatten, Softmax
from minidl.models import Sequential
from minidl.testing import Mutant, line

seeds = st.integers(0, 2**32 - 1)
SHAPE = (1, 2, 3)


def parts(seed: int, count: int) -> list[Sequential]:
    """Autoencoders, and a classifier of four classes."""
    filters = [models.autoencoder(SHAPE, (4,), seed=seed % 100 + i, dtype="float64") for i in range(count)]
    return [*filters, models.mlp(SHAPE, 4, (5,), bias=True, seed=seed % 100, dtype="float64")]


@given(seed=seeds, count=st.integers(0, 2))
def test_its_jacobian_is_the_product_of_theirs(seed, count) -> None:
    several, x = parts(seed, count), np.random.default_rng(seed).random((3, *SHAPE))
    values, product = x, None
    for part in several:
        jacobian = batch_jacobian(part, values).reshape(3, -1, 6)
        product, values = jacobian if product is None else jacobian @ product, part(values)
    both = stacked(*several)
    np.testing.assert_array_equal(both(x), values)
    np.testing.assert_allclose(batch_jacobian(both, x).reshape(3, 4, 6), product, atol=1e-12)
    lin = linearize(both, x)
    np.testing.assert_allclose(lin.jvp(np.ones_like(x)), product.sum(axis=-1), atol=1e-12)


def test_it_is_attacked_as_a_whole() -> None:
    """The step follows the gradient of the whole, and success is what the whole predicts."""
    several, x = parts(0, 2), np.random.default_rng(0).random((20, *SHAPE)) * 0.2 + 0.4
    both = stacked(*several)
    y, victim = both(x).argmax(axis=1), Victim(both)
    result = fgsm(victim, x, y, epsilon=0.1)
    logits = linearize(lambda x: several[2](several[1](several[0](x))), x)
    p = np.exp(logits.value) / np.exp(logits.value).sum(axis=1, keepdims=True)
    gradient = logits.vjp(p - np.eye(4)[y])
    np.testing.assert_allclose(result.x_adv, x + 0.1 * np.sign(gradient), atol=1e-12)
    np.testing.assert_array_equal(result.adv_pred, both(result.x_adv).argmax(axis=1))
    assert (both.input_shape, both.output_shape, both.dtype) == (SHAPE, (4,), "float64")
    assert repr(both).startswith("Stacked(Sequential")
    with pytest.raises(ShapeError):
        pgd(both, x[:, :, :1], y)


def test_functions_may_be_parts() -> None:
    x, w = np.random.default_rng(0).random((4, 3)), np.ones((3, 2))
    both = stacked(ops.exp, lambda x: x @ w)
    np.testing.assert_allclose(both(x), np.exp(x) @ w)
    assert not any(hasattr(both, name) for name in ("input_shape", "output_shape", "dtype"))
    behind = stacked(ops.exp, models.mlp(SHAPE, 4, (5,)))
    assert not hasattr(behind, "input_shape")
    assert (behind.output_shape, behind.dtype) == ((4,), "float32")


def test_an_empty_batch_has_logits() -> None:
    assert stacked(*parts(0, 1))(np.zeros((0, *SHAPE))).shape == (0, 4)


@pytest.mark.parametrize(("made", "error", "message"), [
    ((), ShapeError, "stacked: expected one network or more, got none"),
    (([models.mlp()],), DTypeError, r"networks or functions, got list.*stacked\(\*parts\)"),
    ((models.autoencoder(), 3), DTypeError, "got int"),
    ((models.mlp(), models.autoencoder()), ShapeError, r"takes \(10,\), the outputs of the one before, got \(1, 28, 28\)"),
    ((models.autoencoder(), models.mlp((1, 2, 2))), ShapeError, r"takes \(1, 28, 28\).*got \(1, 2, 2\)"),
    ((models.autoencoder(), models.mlp(dtype="float64")), DTypeError, "one dtype, got float32 and float64"),
])  # fmt: skip
def test_parts_that_do_not_fit_raise_an_error(made, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        stacked(*made)
    assert isinstance(caught.value, MinidlError)


def test_attacks_refuse_probabilities() -> None:
    probabilities = Sequential(Flatten(), Dense(10), Softmax(), input_shape=(1, 28, 28))
    with pytest.raises(DTypeError, match="gives logits.*Softmax"):
        Victim(stacked(models.autoencoder(), probabilities))
    with pytest.raises((RangeError, ShapeError)):  # images are no logits
        Victim(models.autoencoder()).logits(np.zeros((2, 1, 28, 28), np.float32))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
STACKED = attacks.defences.stacked.Stacked
MUTANTS = [
    Mutant("stacked: the last part alone", line(STACKED, "__call__", "in self.parts", "in self.parts[-1:]"), test_its_jacobian_is_the_product_of_theirs),
    Mutant("stacked: autoencoders are not differentiated", line(STACKED, "__call__", "x = part(x)", "x = part(__import__('minidl').ops.stop_gradient(x) if part is self.parts[-1] else x)"), test_its_jacobian_is_the_product_of_theirs),
    Mutant("stacked: autoencoders pass gradients as they are", line(STACKED, "__call__", "x = part(x)", "x = part(x) if part is self.parts[-1] else x + __import__('minidl').ops.stop_gradient(part(x) - x)"), test_its_jacobian_is_the_product_of_theirs),
    Mutant("stacked: outputs of the first part", line(STACKED, "__init__", "getattr(parts[-1], \"output_shape\", None)", "getattr(parts[0], \"output_shape\", None)"), test_it_is_attacked_as_a_whole),
    Mutant("stacked: inputs of whichever part has some", line(STACKED, "__init__", "getattr(parts[0], \"input_shape\", None)", "next((part.input_shape for part in parts if hasattr(part, 'input_shape')), None)"), test_functions_may_be_parts),
    Mutant("stacked: probabilities pass for logits", line(STACKED, "gives_probabilities", "self.parts[-1]", "self.parts[0]"), test_attacks_refuse_probabilities),
]
# fmt: on
