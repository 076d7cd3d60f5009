"""Laws of ensembles: the mean of logits, and of Jacobians."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl.ensemble
from attacks import bim
from minidl import batch_jacobian, models, ops
from minidl.errors import DTypeError, MinidlError, ShapeError
from minidl.layers import Dense, Flatten, Softmax
from minidl.models import Sequential
from minidl.testing import Mutant, line

seeds = st.integers(0, 2**32 - 1)


def nets(seed: int, count: int) -> list[models.Sequential]:
    return [models.mlp((1, 2, 3), 4, (5,), seed=seed % 100 + i, dtype="float64") for i in range(count)]


@given(seed=seeds, count=st.integers(1, 4))
def test_logits_and_jacobians_are_the_means(seed, count) -> None:
    several, x = nets(seed, count), np.random.default_rng(seed).random((3, 1, 2, 3))
    both = models.ensemble(*several)
    np.testing.assert_allclose(both(x), np.mean([net(x) for net in several], axis=0), atol=1e-12)
    expected = np.mean([batch_jacobian(net, x) for net in several], axis=0)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(batch_jacobian(both, x, mode=mode), expected, atol=1e-12)


def test_it_is_attacked_like_a_network() -> None:
    both, x = models.ensemble(*nets(0, 3)), np.random.default_rng(0).random((6, 1, 2, 3))
    y = both(x).argmax(axis=1)
    result = bim(both, x, y, epsilon=0.4, momentum=1.0)
    np.testing.assert_array_equal(result.success, both(result.x_adv).argmax(axis=1) != y)
    assert (both.input_shape, both.output_shape, both.dtype) == ((1, 2, 3), (4,), "float64")
    assert repr(both).startswith("Ensemble(Sequential")
    with pytest.raises(ShapeError):
        bim(both, x[:, :, :1], y)


def test_functions_may_be_members() -> None:
    w, x = np.ones((3, 2)), np.random.default_rng(0).random((4, 3))
    both = models.ensemble(lambda x: x @ w, lambda x: ops.exp(x) @ w)
    np.testing.assert_allclose(both(x), (x @ w + np.exp(x) @ w) / 2)
    assert not hasattr(both, "input_shape")


@pytest.mark.parametrize(("networks", "error", "message"), [
    ((), ShapeError, "one network or more, got none"),
    (([models.mlp()],), DTypeError, r"networks or functions, got list.*models.ensemble\(\*networks\)"),
    ((models.mlp(), 3), DTypeError, "got int"),
    ((models.mlp(), Sequential(Flatten(), Dense(10), Softmax(), input_shape=(1, 28, 28))), DTypeError, "give logits.*Softmax"),
    ((models.mlp(), models.mlp((1, 2, 2))), ShapeError, r"one input_shape.*\(1, 28, 28\) and \(1, 2, 2\)"),
    ((models.mlp(), models.mlp(classes=3)), ShapeError, "one output_shape"),
])  # fmt: skip
def test_networks_that_do_not_fit_raise_an_error(networks, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        models.ensemble(*networks)
    assert isinstance(caught.value, MinidlError)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("ensemble: the sum of logits", line(minidl.ensemble.Ensemble, "__call__", "ops.mean(", "ops.sum("), test_logits_and_jacobians_are_the_means),
    Mutant("ensemble: the first network alone", line(minidl.ensemble.Ensemble, "__call__", "for net in self.networks", "for net in self.networks[:1]"), test_logits_and_jacobians_are_the_means),
]
# fmt: on
