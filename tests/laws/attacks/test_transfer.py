"""Laws of the transfer matrix: what is counted, and the intervals."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.report.transfer
from attacks import Oracle, TransferMatrix, Untargeted, Victim, fgsm, pgd, transfer_matrix
from minidl.errors import DTypeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.attacks.test_every_attack import images, network

seeds = st.integers(0, 2**32 - 1)
ATTACK = partial(fgsm, epsilon=0.15)


@given(seed=seeds)
def test_it_counts_what_both_classify_correctly(seed) -> None:
    """Pair by pair, spelled out; the source's own misclassifications do not matter."""
    nets = {name: network(seed % 50 + i) for i, name in enumerate("abc")}
    x, y = images(seed, 40)
    targets = {
        "a": nets["a"],
        "victim": Victim(nets["b"]),
        "oracle": Oracle(lambda x: nets["c"](x).argmax(1), classes=5),
    }
    m = transfer_matrix(nets, targets, ATTACK, x, y)
    assert (m.sources, m.targets) == (list("abc"), list(targets))
    for s, source in enumerate(nets.values()):
        result = ATTACK(source, x, y)
        assert abs(m.l2[s] - result.l2.mean()) < 1e-6
        for t, target in enumerate(nets.values()):
            both = (source(x).argmax(1) == y) & (target(x).argmax(1) == y)
            fooled = both & (target(result.x_adv).argmax(1) != y)
            assert (m.counts[s, t], m.successes[s, t]) == (both.sum(), fooled.sum())
            expected = fooled.sum() / both.sum() if both.any() else np.nan
            np.testing.assert_equal(m.rates[s, t], expected)


def test_a_source_is_whatever_the_attack_takes() -> None:
    x, y = images(0, 20)
    m = transfer_matrix({"seed 3": 3}, {"net": network()}, lambda seed, x, y: ATTACK(network(seed), x, y), x, y)
    expected = transfer_matrix({"net": network(3)}, {"net": network()}, ATTACK, x, Untargeted(y).labels)
    np.testing.assert_array_equal(m.successes, expected.successes)


@given(count=st.integers(1, 500), share=st.floats(0, 1))
def test_intervals_are_wilsons(count, share) -> None:
    """Its ends are the rates p for which (p̂ - p)² = z²·p(1 - p)/n."""
    successes = round(share * count)
    m = TransferMatrix(["s"], ["t"], np.array([[count]]), np.array([[successes]]), np.zeros(1))
    low, high = m.interval()[0, 0]
    rate = successes / count
    assert 0 <= low <= rate <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs((rate - end) ** 2 - 1.959964**2 * end * (1 - end) / count) < 1e-9
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == count)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), []
    for p in (0.05, 0.3, 0.9):
        k = rng.binomial(100, p, 4000)
        m = TransferMatrix(["s"], ["t"] * 4000, np.full((1, 4000), 100), k[None], np.zeros(1))
        low, high = m.interval()[0].T
        covered.append(((low <= p) & (p <= high)).mean())
    assert 0.93 < min(covered) < max(covered) < 0.98


def test_pairs_without_examples_are_empty() -> None:
    x, y = images(0, 6)
    nothing = {"net": network()}
    m = transfer_matrix(nothing, nothing, ATTACK, x, (network()(x).argmax(1) + 1) % 5)
    assert m.counts.tolist() == [[0]]
    assert np.isnan(m.rates).all()
    assert "-" in str(m)
    m.figure().savefig(io.BytesIO())
    none = transfer_matrix(nothing, nothing, ATTACK, x[:0], y[:0])
    assert np.isnan(none.rates).all()
    assert np.isnan(none.l2).all()


def test_it_prints_as_a_table_and_draws_its_names() -> None:
    m = TransferMatrix(["DNN", "LR"], ["DNN", "LR", "kNN"], np.full((2, 3), 100),
                       np.array([[90, 20, 5], [10, 100, 0]]), np.array([1.5, 2.25]))  # fmt: skip
    assert "DNN        1.50  90.0 (83-94)" in str(m)
    assert "100.0 (96-100)" in str(m)
    assert "of 100 to 100 examples" in str(m)
    assert "<td" in m._repr_html_()
    axes = m.figure("Title").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["DNN", "LR", "kNN"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["DNN", "LR"]
    assert sorted(text.get_text() for text in axes.texts) == ["0", "10", "100", "20", "5", "90"]
    assert repr(m) == "TransferMatrix(2 sources, 3 targets)"


def test_ctrl_c_is_never_a_matrix_of_weak_attacks() -> None:
    (x, _), nets = images(0), {"net": network()}
    y = network()(x).argmax(axis=1)
    with pytest.raises(KeyboardInterrupt):
        transfer_matrix(nets, nets, lambda net, x, y: pgd(Tired(net, 3), x, y, epsilon=0.1), x, y)


def test_arguments_that_do_not_fit_raise_an_error() -> None:
    x, y = images(0)
    nets = {"net": network()}
    with pytest.raises(ShapeError, match="at least one source and one target.*0 sources"):
        transfer_matrix({}, nets, ATTACK, x, y)
    with pytest.raises(ShapeError, match="0 targets"):
        transfer_matrix(nets, {}, ATTACK, x, y)
    with pytest.raises(DTypeError, match="returns an AttackResult.*ndarray"):
        transfer_matrix(nets, nets, lambda net, x, y: x, x, y)
    with pytest.raises(DTypeError, match="in dicts, got list"):
        transfer_matrix([network()], nets, ATTACK, x, y)
    with pytest.raises(ShapeError, match=r"one label per image \(7,\)"):
        transfer_matrix(nets, nets, ATTACK, x, y[:3])
    with pytest.raises(DTypeError, match="labels of an integer dtype"):
        transfer_matrix(nets, nets, ATTACK, x, y.astype(float))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MODULE = attacks.report.transfer
MUTANTS = [
    Mutant("transfer: what the source misclassifies counts", line(MODULE, "transfer_matrix", "counts.append([(by_source & correct[each])", "counts.append([(correct[each])"), test_it_counts_what_both_classify_correctly),
    Mutant("transfer: what the target misclassifies counts", line(MODULE, "transfer_matrix", "(by_source & correct[each] & wrong[each])", "(by_source & wrong[each])"), test_it_counts_what_both_classify_correctly),
    Mutant("transfer: the images as they are", line(MODULE, "transfer_matrix", "victim.predict(result.x_adv)", "victim.predict(result.x)"), test_it_counts_what_both_classify_correctly),
    Mutant("transfer: an interval of one deviation", line(attacks.report.intervals, "wilson", "NORMAL_QUANTILE", "1.0"), test_the_interval_covers_the_truth_as_often_as_it_says),
]
# fmt: on
