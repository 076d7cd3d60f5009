"""The laws of `minidl.testing`, over every operation, loss and layer in the zoo, at drawn shapes and layouts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import backend, linearize, testing
from tests.zoo import CASES, Case


def value(case: Case, seed: int) -> None:
    """The value is NumPy's, in shape, dtype and number, on plain arrays and on boxes."""
    expected = np.asarray(case.numpy(case.x))
    for found in (case.f(case.x), linearize(case.f, case.x).value):
        assert np.shape(found) == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


LAWS = {
    "value": value,
    "adjoint": lambda case, seed: testing.check_adjoint(case.f, case.x, seed),
    "stacked": lambda case, seed: testing.check_adjoint(case.f, case.x, seed, stacked=(2, 3)),
    "differences": lambda case, seed: testing.check_differences(case.f, case.x, seed),
    "linear": lambda case, seed: testing.check_linear(case.f, case.x, seed),
    "modes": lambda case, seed: testing.check_modes(case.f, case.x, chunk=1 + seed % 5),
    "nested": lambda case, seed: testing.check_nested(case.f, case.x, seed),
    "nested stacks": lambda case, seed: testing.check_nested_stacks(case.f, case.x, seed),
    "plain": lambda case, seed: testing.check_plain(case.f, case.x, seed),
}
#: Cases that hold a constant in float64, which would rightly promote.
HOLDS_FLOAT64 = {"add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "mod", "where",
                 "matmul", "dot", "einsum",
                 "concatenate", "stack", "conv2d", "conv_layer", "conv2d_max", "unit", "squared_error", "dense_layer", "dropout_asleep"}  # fmt: skip


#: Cases that have kernels of their own on each backend; the others are the same on all.
HAVE_KERNELS = ["conv2d", "conv_layer", "max_pool2d", "cross_entropy", "dropout_awake", "unit", "conv2d_max"]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", CASES)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_law(name: str, law: str, data: st.DataObject, seed: int) -> None:
    LAWS[law](data.draw(CASES[name]), seed)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", HAVE_KERNELS)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_law_on_readable_kernels(name: str, law: str, data: st.DataObject, seed: int) -> None:
    with backend.use("numpy"):
        LAWS[law](data.draw(CASES[name]), seed)


@pytest.mark.parametrize("name", sorted(set(CASES) - HOLDS_FLOAT64))
@given(data=st.data())
def test_float32_stays_float32(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    testing.check_float32(case.f, case.x)
