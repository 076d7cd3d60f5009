"""Losses where they are hard: enormous logits, and examples the network is all but certain of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import grad, linearize, losses, ops
from minidl.kernels import reference
from minidl.testing import Mutant, line


@given(st.lists(st.sampled_from([-1e4, -1.0, 0.0, 2.0, 1e4]), min_size=2, max_size=5), st.data())
def test_finite_at_enormous_logits(values, data) -> None:
    for dtype in (np.float32, np.float64):
        z, y = np.array([values], dtype), np.array([data.draw(st.integers(0, len(values) - 1))])
        loss, slope = losses.cross_entropy(z, y), grad(lambda z, y=y: losses.cross_entropy(z, y), z)
        assert np.isfinite(loss)
        assert np.isfinite(slope).all()
        assert loss.dtype == slope.dtype == dtype
        shifted = z[0].astype(np.float64) - max(values)
        expected = np.log(np.exp(shifted).sum()) - shifted[y[0]]
        np.testing.assert_allclose(loss, expected, rtol=1e-6, atol=1e-6)
        for f in (losses.softmax, losses.log_softmax):
            assert np.isfinite(linearize(f, z).vjp(np.ones_like(z))).all()


@given(st.floats(5, 80), st.integers(2, 6))
def test_slope_is_exact_where_the_network_is_certain(margin, classes) -> None:
    """p_label - 1 = -Σ others holds to the last bits, where subtracting from 1 would leave noise or 0."""
    z = np.zeros((1, classes), np.float32)
    z[0, 0] = margin
    slope = grad(lambda z: losses.cross_entropy(z, np.array([0]), "sum"), z)[0]
    exact = np.exp(-np.float64(np.float32(margin))) / (1 + (classes - 1) * np.exp(-np.float64(np.float32(margin))))
    np.testing.assert_allclose(slope[1:], exact, rtol=1e-5)
    np.testing.assert_allclose(slope[0], -(classes - 1) * exact, rtol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_fused_rule_equals_the_composition(seed) -> None:
    """cross_entropy = mean of -log_softmax at the label = mean of log Σ e^z - z_label, in value and slope."""
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(4, 5)), rng.integers(0, 5, 4)
    rows = np.arange(4)
    versions = [
        lambda z: losses.cross_entropy(z, y),
        lambda z: -ops.mean(losses.log_softmax(z)[rows, y]),
        lambda z: -ops.mean(ops.log(losses.softmax(z))[rows, y]),
        lambda z: ops.mean(ops.log(ops.sum(ops.exp(z), axis=-1)) - z[rows, y]),
    ]
    for other in versions[1:]:
        np.testing.assert_allclose(versions[0](z), other(z), rtol=1e-12)
        np.testing.assert_allclose(grad(versions[0], z), grad(other, z), atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_shifting_all_logits_changes_nothing(seed, shift) -> None:
    z, y = np.random.default_rng(seed).normal(size=(3, 4)), np.array([0, 1, 3])
    np.testing.assert_allclose(losses.softmax(z), losses.softmax(z + shift), rtol=1e-10)
    np.testing.assert_allclose(losses.cross_entropy(z, y), losses.cross_entropy(z + shift, y), atol=1e-10)


def test_sum_does_not_weigh_examples_by_their_number() -> None:
    z, y = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 2, 0, 1])
    together = grad(lambda z: losses.cross_entropy(z, y, "sum"), z)
    for i in range(5):
        alone = grad(lambda z, i=i: losses.cross_entropy(z, y[i : i + 1], "sum"), z[i : i + 1])
        np.testing.assert_array_equal(alone[0], together[i])


def test_penalty_spares_biases_and_may_be_nothing() -> None:
    params = {"dense1.W": np.array([[1.0, -2.0]]), "dense1.b": np.array([5.0])}
    assert losses.Penalty(0.5, 0.25)(params) == pytest.approx(0.5 * 3 + 0.25 * 5)
    slopes = grad(losses.Penalty(0.5, 0.25), params)
    np.testing.assert_allclose(slopes["dense1.W"], [[0.5 + 0.5, -0.5 - 1.0]])
    np.testing.assert_array_equal(slopes["dense1.b"], [0])
    assert float(losses.Penalty()(params)) == 0
    np.testing.assert_array_equal(grad(losses.Penalty(), params)["dense1.W"], [[0, 0]])
    only_biases = {"dense1.b": np.array([5.0])}
    assert grad(losses.Penalty(1, 1), only_biases)["dense1.b"] == 0


@pytest.mark.parametrize(("dtype", "off"), [("float16", 0.05), ("float32", 1e-4), ("float64", 1e-4)])
def test_probabilities_are_distinguished_from_logits(dtype, off) -> None:
    """In their own precision: in half precision, rows of 100 classes sum to 1 but for several thousandths."""
    rng = np.random.default_rng(0)
    for classes in (2, 10, 100):
        p = losses.softmax(rng.normal(size=(50, classes))).astype(dtype)
        assert losses.are_probabilities(p)
        last, negative = p.copy(), p.copy()
        last[-1] *= np.asarray(1 + off, dtype)
        negative[0, :2] += np.array([-2, 2], dtype)
        assert not losses.are_probabilities(last)
        assert not losses.are_probabilities(negative)
    assert not losses.are_probabilities(p[:0])


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("softmax: no rescaling", line(reference, "softmax", "z - z.max(axis=-1, keepdims=True)", "z"), test_finite_at_enormous_logits),
    Mutant("cross-entropy: p_label - 1 by subtraction", line(reference, "cross_entropy_gradient", "-others.sum(axis=-1, keepdims=True)", "softmax(z) - 1"), test_slope_is_exact_where_the_network_is_certain),
    Mutant("penalty: biases too", line(losses.Penalty, "__call__", 'if name.endswith(".W")', "if name"), test_penalty_spares_biases_and_may_be_nothing),
]
# fmt: on
