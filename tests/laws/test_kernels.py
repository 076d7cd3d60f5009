"""The plain kernels against the textbook, in NumPy's own words or by statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.kernels import reference


def splitmix64(state: int) -> int:
    """One output of SplitMix64 in plain integers: the published algorithm, one line a step."""
    mask = 2**64 - 1
    z = state & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@given(st.integers(0, 2**63), st.integers(0, 10**6))
def test_random_bits_are_splitmix64(key, first) -> None:
    found = reference.random_bits(key, np.zeros((2, 3)), first).reshape(-1)
    expected = [splitmix64(key + (first + i + 1) * 0x9E3779B97F4A7C15) for i in range(6)]
    assert found.dtype == np.uint64
    assert found.tolist() == expected


def test_splitmix64_known_answers() -> None:
    """The first outputs for seed 1234567, as published with the generator."""
    assert reference.random_bits(1234567, np.zeros(3)).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423]  # fmt: skip


@given(st.integers(0, 2**63), st.integers(1, 5), st.integers(0, 20))
def test_draws_do_not_depend_on_how_they_are_cut(key, rows, first) -> None:
    whole = reference.random_bits(key, np.zeros((6, 4)), first)
    np.testing.assert_array_equal(whole[rows:], reference.random_bits(key, np.zeros((6 - rows, 4)), first + 4 * rows))


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_dropout_mask_keeps_the_mean(rate) -> None:
    mask = reference.dropout_mask(3, np.zeros((400, 500), np.float32), rate)
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / (1 - rate))}
    deviation = np.sqrt(rate / (1 - rate) / mask.size)
    assert abs(mask.mean(dtype=np.float64) - 1) < 4 * deviation
    both = (mask[:, 1:] != 0) & (mask[:, :-1] != 0)  # neighbours are independent
    assert abs(both.mean() - (1 - rate) ** 2) < 4 / np.sqrt(both.size)


def test_random_signs_are_fair_and_differ_between_keys() -> None:
    a, b = (reference.random_signs(key, np.zeros((300, 300))) for key in (0, 1))
    assert set(np.unique(a)) == {-1.0, 1.0}
    assert abs(a.mean()) < 4 / 300
    assert abs((a * b).mean()) < 4 / 300


@given(st.lists(st.floats(-40, 40), min_size=1, max_size=5))
def test_sigmoid_and_softplus_at_moderate_values(values) -> None:
    x = np.array(values)
    np.testing.assert_allclose(reference.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-7, atol=1e-15)
    np.testing.assert_allclose(reference.softplus(x), np.logaddexp(0, x), rtol=1e-12)


def test_sigmoid_and_softplus_at_enormous_values() -> None:
    x = np.array([-1e4, 0.0, 1e4], np.float32)
    np.testing.assert_array_equal(reference.sigmoid(x), np.array([0, 0.5, 1], np.float32))
    np.testing.assert_allclose(reference.softplus(x), [0, np.log(2), 1e4], rtol=1e-6)
