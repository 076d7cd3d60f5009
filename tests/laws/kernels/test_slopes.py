"""The slopes of the activations are written once, in `kernels.slopes`: all that differentiates an activation goes by it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import backend, fused, grad, layers, linearize, ops
from minidl.kernels import cpu, reference, slopes
from minidl.kernels.cuda import launch


def test_all_know_the_same_activations() -> None:
    """Layers, the readable kernels, and the CUDA kernels, which number them."""
    assert list(slopes.SLOPES) == list(reference.ACTIVATIONS) == ["identity", *layers.ACTIVATIONS]
    (numbered,) = re.findall(r"enum \{ (.*) \};", launch.SOURCE)
    assert numbered.lower().split(", ") == list(slopes.SLOPES)


@given(name=st.sampled_from(list(slopes.SLOPES)), seed=st.integers(0, 2**32 - 1))
def test_a_slope_is_the_derivative_of_its_activation(name, seed) -> None:
    """(φ(z + h) - φ(z - h))/2h, away from the kink of ReLU; in terms of y, on arrays, numbers and in C's words alike."""
    z = np.random.default_rng(seed).normal(scale=3, size=5)
    z = np.where(abs(z) < 1e-3, 1.0, z)
    y, step = reference.ACTIVATIONS[name](z), 1e-6
    difference = (reference.ACTIVATIONS[name](z + step) - reference.ACTIVATIONS[name](z - step)) / (2 * step)
    actual = np.broadcast_to(slopes.SLOPES[name](y), z.shape)
    np.testing.assert_allclose(actual, difference, atol=1e-7)
    np.testing.assert_array_equal(actual, [slopes.SLOPES[name](float(each), 1.0) for each in y])
    np.testing.assert_array_equal(actual, np.broadcast_to(eval(slopes.in_c(name), {"y": y, "one": 1}), z.shape))


def nested(f, z):
    """The slope within another derivative, where rules run on boxes."""
    return linearize(lambda z: linearize(f, z).vjp(np.ones(z.shape)), z).value


def of_kernel(kernel, z, name):
    return kernel(np.ones_like(z), reference.ACTIVATIONS[name](z), name, None, 0.0)


SLOPE = {
    "ops": lambda z, name: grad(lambda z: ops.sum(getattr(ops, name)(z)), z),
    "ops, nested": lambda z, name: nested(getattr(ops, name), z),
    "fused": lambda z, name: grad(lambda z: ops.sum(fused.activate(z, None, name)), z),
    "fused, nested": lambda z, name: nested(lambda z: fused.activate(z, None, name), z),
    "the readable kernel": lambda z, name: of_kernel(reference.activate_vjp, z, name),
    "the compiled kernel": lambda z, name: of_kernel(cpu.activate_vjp, z, name),
}


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
@pytest.mark.parametrize("where", SLOPE)
def test_all_kernels_have_the_same_slope(where, name) -> None:
    z = np.array([-2.0, -0.5, 0.0, 0.25, 1.0, 3.0])
    with backend.use("numpy"):
        actual = SLOPE[where](z, name)
    np.testing.assert_array_equal(actual, slopes.SLOPES[name](reference.ACTIVATIONS[name](z)))


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
@pytest.mark.parametrize("where", sorted(set(SLOPE) - {"the compiled kernel"}))
def test_another_slope_in_the_table_is_another_slope_for_all(where, name, monkeypatch) -> None:
    """But for what is compiled already; that it is compiled anew is a test of `test_numba`."""
    z = np.array([-2.0, -0.5, 0.25, 1.0, 3.0])
    monkeypatch.setattr(getattr(slopes, name), "__code__", (lambda y, one=1: 3 * one + y).__code__)
    with backend.use("numpy"):
        np.testing.assert_array_equal(SLOPE[where](z, name), 3 + reference.ACTIVATIONS[name](z))


@pytest.mark.parametrize("name", slopes.SLOPES)
def test_cuda_has_the_slopes_of_the_table(name) -> None:
    assert f"case {name.upper()}: return {slopes.in_c(name)};" in launch.SOURCE
