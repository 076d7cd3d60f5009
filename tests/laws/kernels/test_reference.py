"""The plain kernels against the textbook, in NumPy's own words or by statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl import conv, linearize
from minidl.kernels import reference
from minidl.kernels.reference import conv as reference_conv
from minidl.kernels.reference import pairs as reference_pairs
from minidl.testing import Mutant, line


def splitmix64(state: int) -> int:
    """One output of SplitMix64 in plain integers: the published algorithm, one line a step."""
    mask = 2**64 - 1
    z = state & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@given(st.integers(0, 2**63), st.integers(0, 10**6))
def test_random_bits_are_splitmix64(key, first) -> None:
    bits = reference.random_bits(key, np.zeros((2, 3)), first).reshape(-1)
    expected = [splitmix64(key + (first + i + 1) * 0x9E3779B97F4A7C15) for i in range(6)]
    assert bits.dtype == np.uint64
    assert bits.tolist() == expected


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


@st.composite
def slopes(draw):
    """a, b (N, M) and a domain: random, with many ties, opposed, or alike to the last bits."""
    n, m, kind = (
        draw(st.integers(1, 4)),
        draw(st.integers(2, 9)),
        draw(st.sampled_from(["random", "ties", "opposed", "last bits"])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "random":
        a, b = rng.normal(size=(2, n, m))
    elif kind == "ties":
        a, b = rng.integers(-2, 3, size=(2, n, m)).astype(np.float64)
    elif kind == "opposed":
        a = rng.integers(-3, 4, size=(n, m)).astype(np.float32)
        b = rng.integers(0, 2, size=(n, m)).astype(np.float32) - a
    else:  # where a sum, or a product, rounds to the same number
        a = 1 + rng.integers(0, 4, size=(n, m)).astype(np.float32) * np.float32(2**-23)
        b = (1e4 * rng.random((n, m))).astype(np.float32)
    return a, b, rng.random((n, m)) < draw(st.sampled_from([0.3, 0.8, 1.0]))


def same_pairs(drawn) -> None:
    np.testing.assert_array_equal(reference.best_pairs(*drawn), reference.best_pairs_by_definition(*drawn))


@settings(max_examples=300)
@given(slopes())
def test_pairs_are_the_ones_of_the_definition(drawn) -> None:
    """Exactly, ties included."""
    same_pairs(drawn)


def test_ten_thousand_pairs_are_the_ones_of_the_definition() -> None:
    """The same over 12,000 rows of a generator, half of them small whole numbers, which tie all the time."""
    rng = np.random.default_rng(0)
    for m in range(2, 26):
        a, b = rng.normal(size=(2, 250, m)), rng.integers(-2, 3, (2, 250, m)).astype(np.float64)
        for pair in (a, b):
            same_pairs((*pair, rng.random((250, m)) < 0.8))


@given(slopes())
def test_pairs_by_definition_are_what_two_loops_find(drawn) -> None:
    a, b, domain = drawn
    for i, chosen in enumerate(reference.best_pairs_by_definition(*drawn)):
        best, pairs = None, []
        for p in range(a.shape[1]):
            for q in range(p + 1, a.shape[1]):
                sum_a, sum_b = a[i, p] + a[i, q], b[i, p] + b[i, q]
                if domain[i, p] and domain[i, q] and sum_a > 0 and sum_b > 0:
                    product = sum_a * sum_b
                    pairs = (
                        [(p, q)] if best is None or product > best else [*pairs, (p, q)] if product == best else pairs
                    )
                    best = product if best is None else max(best, product)
        if best is None:
            assert tuple(chosen) == (-1, -1)
        else:
            rank = {int(p): r for r, p in enumerate(np.lexsort((np.arange(a.shape[1]), -b[i], -a[i])))}
            first = min(pairs, key=lambda pair: sorted(rank[p] for p in pair))
            assert sorted(chosen) == sorted(first)


@given(slopes(), st.sampled_from([1, 4, 20]))
def test_pairs_in_tiles_break_ties_alike(drawn, budget) -> None:
    a, b, domain = drawn
    order = reference_pairs._ranked(*(np.where(domain, v, -np.inf) for v in (a, b)))
    ranked = [np.take_along_axis(np.where(domain, v, -np.inf), order, 1) for v in (a, b)]
    places = reference_pairs._best_of_candidates(*ranked, budget)
    pixels = np.where(places < 0, -1, np.take_along_axis(order, places, 1))
    np.testing.assert_array_equal(pixels, reference.best_pairs_by_definition(a, b, domain))


def test_pairs_where_every_feature_is_a_candidate() -> None:
    """Opposed slopes put all features on the skyband; the search is then cut into tiles."""
    rng = np.random.default_rng(0)
    a = rng.permutation(300)[None] / 300.0
    b = 1.3 - a**2  # concave: none dominates another
    domain = np.ones(a.shape, bool)
    expected = reference.best_pairs_by_definition(a, b, domain)
    for budget in (10, 1000, 2**20):
        order = reference_pairs._ranked(a, b)
        placed = reference_pairs._best_of_candidates(
            np.take_along_axis(a, order, 1), np.take_along_axis(b, order, 1), budget
        )
        np.testing.assert_array_equal(np.take_along_axis(order, placed, 1), expected)
    np.testing.assert_array_equal(reference.best_pairs(a, b, domain), expected)


def test_single_features_are_eq_8s_arg_max() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 50, 7))
    domain = np.random.default_rng(1).random((50, 7)) < 0.7
    for row, feature in enumerate(reference.best_features(a, b, domain)[:, 0]):
        s = [a[row, i] * abs(b[row, i]) if a[row, i] > 0 and -b[row, i] < 0 and domain[row, i] else 0 for i in range(7)]
        assert feature == (int(np.argmax(s)) if max(s) > 0 else -1)


@given(st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_ties_in_a_window_go_to_the_first_in_row_major_order(size, stride, seed) -> None:
    """In the value of a window it does not matter; in its slope it does, in both walks."""
    x = np.random.default_rng(seed).integers(0, 2, (2, 1, 5, 5)).astype(np.float64)
    lin = linearize(lambda x: conv.max_pool2d(x, size, stride), x)
    pulled = lin.vjp(np.ones_like(lin.value))
    expected = np.zeros_like(x)
    for n in range(2):
        for i in range(lin.value.shape[2]):
            for j in range(lin.value.shape[3]):
                window = x[n, 0, i * stride : i * stride + size, j * stride : j * stride + size]
                u, v = divmod(int(window.argmax()), size)
                expected[n, 0, i * stride + u, j * stride + v] += 1
    np.testing.assert_array_equal(pulled, expected)
    t = np.random.default_rng(seed).random(x.shape)
    np.testing.assert_allclose(lin.jvp(t).sum(), (t * expected).sum(), rtol=1e-12)


def test_sigmoid_keeps_the_digits_of_small_values() -> None:
    for kind, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        x = np.array([-80, -40, -20, -15, -1, 0, 1, 20, 80], kind)
        sigmoids = reference.sigmoid(x)
        assert sigmoids.dtype == kind
        np.testing.assert_allclose(sigmoids, 1 / (1 + np.exp(-x.astype(np.float64))), rtol=tolerance)
    assert reference.sigmoid(np.array([-1e4, 1e4])).tolist() == [0, 1]


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- convolution and pooling
    Mutant("max-pool: the last of equals wins", line(reference_conv, "argmax_windows", "& ~has_maximum", ""), test_ties_in_a_window_go_to_the_first_in_row_major_order),
    # --- layers and random draws
    Mutant("dropout: not inverted", line(reference, "dropout_mask", "* (1.0 / (1.0 - rate))", ""), lambda: test_dropout_mask_keeps_the_mean(0.2)),
    Mutant("dropout: keeps what it should drop", line(reference, "dropout_mask", ">=", "<"), lambda: test_dropout_mask_keeps_the_mean(0.2)),
    Mutant("random bits: every block starts alike", line(reference, "random_bits", "first + 1, first + 1 + like.size", "1, 1 + like.size"), test_draws_do_not_depend_on_how_they_are_cut),
    # --- JSMA
    Mutant("pairs: only the best feature of each kind", line(reference_pairs, "best_pairs", "runner_up[:, :-1]", "largest[:, 1:-1]"), test_pairs_are_the_ones_of_the_definition),
    Mutant("pairs: ties to the last", line(reference_pairs, "_best_of_candidates", "product > best[r : r + rows]", "product >= best[r : r + rows]"), test_pairs_in_tiles_break_ties_alike),
    Mutant("pairs: ranked by a alone", line(reference_pairs, "_ranked", "(-b).argsort", "(0 * b).argsort"), test_pairs_are_the_ones_of_the_definition),
    Mutant("single features: two negative factors count", line(reference_pairs, "saliency", "(a > 0) & (b > 0)", "(a == a)"), test_single_features_are_eq_8s_arg_max),
]
# fmt: on
