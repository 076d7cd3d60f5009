"""Laws of what is measured after an attack: each measure against its definition written out, one image at a time."""

from __future__ import annotations

import functools
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.common.result
import attacks.report.by_class
import attacks.report.evaluate
import attacks.report.outcomes
from attacks import AttackResult, Targeted, Untargeted, Victim, bim, evaluation_plots, fgsm, jsma, sign_noise
from attacks.common.norms import takes_several
from attacks.report import evaluate
from attacks.report.by_class import vulnerability
from attacks.report.evaluate import AttackTable, evaluate_attack, robustness_curve, top_k
from attacks.report.outcomes import OUTCOMES, Outcomes, outcomes
from minidl import backend, losses
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.npz import read_archive, write_archive
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network, other_targets
from tests.support.other_arrays import add_the_stand_in, check_the_same_on

seeds = st.integers(0, 2**32 - 1)


def ending(labels, before, after, targeted: bool = False) -> AttackResult:
    """A result with these labels and answers, on images that each moved by another distance."""
    labels, before, after = np.array(labels, int), np.array(before, int), np.array(after, int)
    goal, x = (Targeted if targeted else Untargeted)(labels), np.zeros((len(labels), 2))
    moved = x + np.arange(1, len(labels) + 1)[:, None] / 10
    return AttackResult(
        x, moved, goal.achieved(after), goal, before, after, labels * 0, 9, 6, 0, {"attack": "none"}, 0.5
    )


@st.composite
def endings(draw, classes: int = 4) -> AttackResult:
    n = draw(st.integers(0, 9))
    labels, before, after = (draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)) for _ in range(3))
    return ending(labels, before, after, draw(st.booleans()))


# --- top-k and accuracy against ε ------------------------------------------------------------------------


@given(data=st.data(), classes=st.integers(2, 6))
def test_top_k_is_the_place_in_the_order(data, classes) -> None:
    n = data.draw(st.integers(0, 5))
    rows = [data.draw(st.lists(st.integers(-2, 2), min_size=classes, max_size=classes)) for _ in range(n)]
    logits, labels = np.array(rows, float).reshape(n, classes), np.array([i % classes for i in range(n)], int)
    for k in range(1, classes + 1):
        order = [sorted(range(classes), key=lambda j, row=row: (-row[j], j)) for row in logits]
        assert top_k(logits, labels, k).tolist() == [label in best[:k] for label, best in zip(labels, order)]
    assert top_k(logits, logits.argmax(axis=-1), 1).all()


@given(seed=seeds)
def test_the_curve_is_the_accuracy_at_each_epsilon(seed) -> None:
    (x, y), net, lengths = images(seed), network(seed % 50), [0.0, 0.05, 0.2]
    victim = Victim(net)
    curve = robustness_curve(victim, x, y, fgsm, lengths, k=(1, 3, 5), norm="l2")
    assert victim.backwards == len(x)  # one gradient for all
    called = []

    def alone(victim, x, goal, *, epsilon, norm):
        called.append(epsilon)
        return fgsm(victim, x, goal, epsilon=epsilon, norm=norm)

    again = robustness_curve(net, x, y, alone, lengths, k=(1, 3, 5), norm="l2")
    assert called == lengths
    called.clear()
    robustness_curve(net, x, y, takes_several(alone), lengths, norm="l2")
    assert called == [lengths]  # all at once, as it is marked
    robustness_curve(victim, x, y, functools.partial(fgsm, norm="l2"), lengths)
    assert victim.backwards == 2 * len(x)
    np.testing.assert_array_equal(again.accuracy, curve.accuracy)
    for column, epsilon in enumerate(lengths):
        logits = net(fgsm(net, x, y, epsilon=epsilon, norm="l2").x_adv)
        for row, k in enumerate((1, 3, 5)):
            expected = np.mean([label in np.argsort(-z)[:k] for z, label in zip(logits, y)])
            assert curve.accuracy[row, column] == curve.top(k)[column] == expected
    assert curve.top(1)[0] == np.mean(net(x).argmax(axis=1) == y)
    assert (curve.top(5) == 1).all()
    assert (curve.attack, curve.k) == ("fgsm", (1, 3, 5))
    assert str(curve).count("\n") == 3 + len(lengths)


class Impatient(Victim):
    """Somebody presses Ctrl-C at the fourth pull-back."""

    def linearize(self, x):
        if self.backwards >= 3 * len(x):
            raise KeyboardInterrupt
        return super().linearize(x)


def test_a_half_finished_attack_is_in_no_curve_and_named_in_the_table() -> None:
    net, (x, y) = network(), images(0)
    whole = robustness_curve(net, x, y, bim, [0.01, 0.1], steps=2, k=1)
    cut = robustness_curve(Impatient(net), x, y, bim, [0.01, 0.1], steps=2, k=1)
    assert (whole.interrupted, cut.interrupted) == (False, True)
    assert cut.epsilons.tolist() == [0.01]
    np.testing.assert_array_equal(cut.accuracy, whole.accuracy[:, :1])
    assert "interrupted" in str(cut)
    assert "interrupted" not in str(whole)
    halves = bim(Impatient(net), x, y, steps=9)
    assert "bim, ε 0.3 (interrupted)" in str(evaluate_attack(halves, net))


def test_towards_targets_the_curve_still_counts_the_labels() -> None:
    (x, y), net = images(1), network()
    goal = Targeted(other_targets(net, x, np.random.default_rng(0)))
    curve = robustness_curve(net, x, y, functools.partial(fgsm, clip=False), [0.3], k=1, goal=goal)
    expected = np.mean(net(fgsm(net, x, goal, epsilon=0.3, clip=False).x_adv).argmax(axis=1) == y)
    assert curve.accuracy.tolist() == [[expected]]


def test_a_curve_over_nothing_is_nan() -> None:
    x, y = images(0)
    assert np.isnan(robustness_curve(network(), x[:0], y[:0], fgsm, [0.1, 0.2]).accuracy).all()


# --- the table -------------------------------------------------------------------------------------------


@given(seed=seeds, epsilon=st.floats(0.01, 0.6))
def test_the_table_is_counted_by_hand(seed, epsilon) -> None:
    (x, y), net = images(seed), network(seed % 50)
    result = fgsm(net, x, y, epsilon=epsilon, norm="l2")
    (report,) = evaluate_attack(result, net).rows
    p = {name: [max(losses.softmax(net(each[None]))[0]) for each in some] for name, some in
         (("before", result.x), ("after", result.x_adv))}  # fmt: skip
    done = [i for i in range(len(x)) if net(result.x_adv[i : i + 1]).argmax() != y[i]]
    assert (report.name, report.examples) == (f"fgsm, ε {epsilon:g}", len(x))
    assert report.success == len(done) / len(x)
    for name in p:
        np.testing.assert_allclose(getattr(report.confidence, name), np.mean(p[name]), rtol=1e-5)
        if done:
            expected = np.mean([p[name][i] for i in done])
            np.testing.assert_allclose(getattr(report.confidence_of_successes, name), expected, rtol=1e-5)
    moved = result.x_adv - result.x
    if done:
        lengths = {"l0": [np.count_nonzero(moved[i]) for i in done], "l1": [abs(moved[i]).sum() for i in done],
                   "l2": [np.linalg.norm(moved[i].ravel()) for i in done],
                   "linf": [abs(moved[i]).max() for i in done]}  # fmt: skip
        for norm, values in lengths.items():
            expected = [np.mean(values), np.median(values), np.percentile(values, 10), np.percentile(values, 90)]
            np.testing.assert_allclose(report.distances[norm], expected, rtol=1e-5)
    else:
        assert np.isnan([*report.confidence_of_successes, *report.distances["l2"]]).all()
    assert (report.forwards, report.backwards) == (2.0, 1.0)
    assert 0 < report.seconds == result.seconds


def test_several_attacks_in_one_table() -> None:
    (x, y), net = images(0), network()
    several = [*fgsm(net, x, y, epsilon=[0.1, 0.2]), jsma(net, x, y)]
    table = evaluate_attack(several, net)
    assert [row.name for row in table.rows] == ["fgsm, ε 0.1", "fgsm, ε 0.2", "jsma"]
    named = evaluate_attack({"gradient": several[0], "noise": sign_noise(net, x, y)}, net)
    assert [row.name for row in named.rows] == ["gradient", "noise"]
    text = str(table)
    for row in table.rows:
        assert f"{row.success:.4f}" in text
        assert f"{row.name}, linf" in text
    assert str(AttackTable(())).count("-") > 10
    nothing = evaluate_attack(fgsm(net, x[:0], y[:0]), net).rows[0]
    assert np.isnan([nothing.success, *nothing.confidence, *nothing.distances["l0"]]).all()
    assert nothing.examples == nothing.forwards == 0


def test_seconds_are_kept_and_an_older_file_has_none(tmp_path) -> None:
    (x, y), net = images(0), network()
    results = fgsm(net, x, y, epsilon=[0.1, 0.2])
    assert 0 < results[0].seconds < results[1].seconds
    assert jsma(net, x, y, all_targets=True).seconds > 0
    results[0].save(tmp_path / "now.npz")
    assert AttackResult.load(tmp_path / "now.npz").seconds == results[0].seconds
    header, arrays = read_archive(tmp_path / "now.npz", "attack")
    write_archive(tmp_path / "then.npz", "attack", {k: v for k, v in header.items() if k != "seconds"}, arrays)
    assert np.isnan(AttackResult.load(tmp_path / "then.npz").seconds)


# --- outcomes and classes --------------------------------------------------------------------------------


def outcome_of_one(p, q, y, groups, also) -> str:
    """The definition, for one image."""
    if p != y:
        return "benign adversarial" if q == y else "none"
    if q == y:
        return "none"
    if also is not None and also[q]:
        return "re-focused"
    if groups is not None and groups[q] == groups[y]:
        return "conatural"
    return "true adversarial"


@pytest.mark.parametrize("groups", [None, "aba", "abc", "aaa"])
@pytest.mark.parametrize("labelled", [True, False])
def test_outcomes_are_the_definition(groups, labelled) -> None:
    """Every label, answer before, answer after, and every set of things in the picture, among three classes."""
    shown = list(itertools.product([False, True], repeat=3))
    y, p, q, pictures = zip(*itertools.product(range(3), range(3), range(3), shown))
    also = np.array(pictures) if labelled else None
    counts = outcomes(ending(y, p, q), np.array(y), groups=groups and np.array(list(groups)), also=also)
    expected = [outcome_of_one(*each, groups, s if labelled else None) for *each, s in zip(p, q, y, pictures)]
    assert counts.names == expected
    assert counts.counts == {name: expected.count(name) for name in OUTCOMES}
    assert all(name in str(counts) for name in OUTCOMES)
    for classes in ([0, 1, 2], []):
        assert sum(outcomes(ending([], [], []), np.zeros(0, int), groups=groups and classes).counts.values()) == 0


@given(result=endings(), norm=st.sampled_from(["l0", "l1", "l2", "linf"]))
def test_vulnerability_is_counted_class_by_class(result, norm) -> None:
    measured = vulnerability(result, 4, norm)
    source = result.clean_pred if isinstance(result.goal, Targeted) else result.goal.labels
    for k in range(4):
        mine = [i for i in range(len(result)) if source[i] == k]
        done = [i for i in mine if result.success[i]]
        answers = [int(result.adv_pred[i]) for i in done]
        assert measured.counts[k] == len(mine)
        np.testing.assert_equal(measured.success[k], len(done) / len(mine) if mine else np.nan)
        np.testing.assert_allclose(measured.distance[k], np.mean(getattr(result, norm)[done]) if done else np.nan)
        assert measured.taken_for[k] == (min(answers, key=lambda a: (-answers.count(a), a)) if done else -1)
    assert str(measured).count("\n") == 3 + 4


# --- refusals, figures, other arrays ---------------------------------------------------------------------

X, Y = images(0)
REFUSALS = {
    "k of 0": (lambda v: robustness_curve(v, X, Y, fgsm, [0.1], k=0), RangeError, "k from 1 to 5"),
    "k beyond the classes": (lambda v: robustness_curve(v, X, Y, fgsm, [0.1], k=(1, 6)), RangeError, "to 5.*got 6"),
    "k no whole number": (lambda v: robustness_curve(v, X, Y, fgsm, [0.1], k=1.5), RangeError, "whole number k"),
    "no epsilon": (lambda v: robustness_curve(v, X, Y, fgsm, []), RangeError, "grow, at least one"),
    "falling epsilons": (lambda v: robustness_curve(v, X, Y, fgsm, [0.2, 0.1]), RangeError, "grow"),
    "an epsilon twice": (lambda v: robustness_curve(v, X, Y, fgsm, [0.1, 0.1]), RangeError, "grow"),
    "negative epsilon": (lambda v: robustness_curve(v, X, Y, fgsm, [-0.1, 0.1]), RangeError, "epsilon of at least 0"),
    "too few labels": (lambda v: robustness_curve(v, X, Y[:3], fgsm, [0.1]), ShapeError, r"label per row.*\(3,\)"),
    "a goal for labels": (lambda v: robustness_curve(v, X, Untargeted(Y), fgsm, [0.1]), DTypeError, "integer"),
    "labels beside the targets": (lambda v: robustness_curve(v, X, Y + 9, fgsm, [0.1], goal=Targeted(Y)), RangeError, "0 .* 4"),
    "images out of bounds": (lambda v: robustness_curve(v, X * 9, Y, fgsm, [0.1]), RangeError, "pixels in"),
    "a label out of range": (lambda v: top_k(np.zeros((1, 3)), np.array([3]), 1), RangeError, "labels in 0"),
    "a logit of NaN": (lambda v: top_k(np.array([[0.0, np.nan]]), np.array([0]), 1), RangeError, "ranked.*NaN"),
    "a table of images": (lambda v: evaluate_attack([X], v), DTypeError, "AttackResult.*ndarray"),
    "a named table of images": (lambda v: evaluate_attack({"x": X}, v), DTypeError, "AttackResult.*ndarray"),
    "outcomes of too few": (lambda v: outcomes(ending([0], [0], [1]), Y), ShapeError, "one label per image"),
    "outcomes of no class": (lambda v: outcomes(ending([0], [0], [1]), np.array([-1])), RangeError, "at least 0.*-1"),
    "too few groups": (lambda v: outcomes(ending([0], [0], [2]), np.array([0]), groups=[0, 1]), ShapeError, r"\.\.\. 2"),
    "also too narrow": (lambda v: outcomes(ending([0], [0], [1]), np.array([0]), also=np.ones((1, 1), bool)), ShapeError,
                        "K > 1"),
    "also of numbers": (lambda v: outcomes(ending([0], [0], [1]), np.array([0]), also=np.ones((1, 2))), ShapeError,
                        "bool.*float64"),
    "classes too few": (lambda v: vulnerability(ending([0], [0], [2]), 2), RangeError, r"0 \.\.\. 1.*class 2"),
    "an unknown norm": (lambda v: vulnerability(ending([0], [0], [2]), 3, "l3"), RangeError, "a norm of.*l3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_before_any_work(name) -> None:
    call, error, message = REFUSALS[name]
    victim = Victim(network())
    with pytest.raises(error, match=message):
        call(victim)
    assert victim.forwards == victim.backwards == 0


def test_only_the_k_that_were_measured_can_be_asked_for() -> None:
    with pytest.raises(RangeError, match=r"k of \[1, 5\].*2"):
        robustness_curve(network(), X, Y, fgsm, [0.1]).top(2)


def drawn(figure) -> str:
    """What is written in a figure, once it has been drawn."""
    figure.savefig(io.BytesIO(), format="png")
    return " ".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))


def test_there_is_a_figure_for_each() -> None:
    net = network()
    result = fgsm(net, X, Y)
    curve = robustness_curve(net, X, Y, fgsm, [0.0, 0.1])
    assert "fast, top-5" in drawn(evaluation_plots.robustness_curves({"fast": curve}, scale=255))
    assert "within" in drawn(evaluation_plots.success_by_distance({"fast": result, "none": ending([], [], [])}))
    texts = drawn(evaluation_plots.outcome_bars({"fast": outcomes(result, Y), "nothing": Outcomes(np.zeros(0, int))}))
    assert all(name in texts for name in (*OUTCOMES, "nothing"))
    blurred = {"blur": ([0.5, 1.0], {"fast": [[0.1, 0.4], [0.2, np.nan]], "slow": [[0.3, 0.5], [0.2, 0.2]]})}
    figure = evaluation_plots.destruction_curves(blurred, levels={"blur": {"fast": 0.7}})
    assert "slow, top-5" in drawn(figure)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines][2] == [0.7]
    birds = evaluation_plots.vulnerability_bars(vulnerability(ending([0], [0], [2]), 3), ["wren", "finch", "shrike"])
    assert "→ shrike" in drawn(birds)


def test_success_by_distance_ends_at_the_success_rate() -> None:
    result = ending([0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 1, 0])  # successes at distances .1·√2, .3·√2 and .4·√2
    (line,) = evaluation_plots.success_by_distance({"a": result}).axes[0].lines
    np.testing.assert_allclose(line.get_xdata()[1:-1], np.array([0.1, 0.3, 0.4]) * 2**0.5)
    np.testing.assert_array_equal(line.get_ydata(), [0, 0.25, 0.5, 0.75, 0.75])


def test_measures_on_another_library(monkeypatch) -> None:
    def measured():
        net, (x, y) = network(), map(backend.asarray, images(0))
        result = fgsm(net, x, y, epsilon=0.2)
        curve = robustness_curve(net, x, y, fgsm, [0.0, 0.1], k=(1, 2))
        report = evaluate_attack(result, net).rows[0]
        return (curve.accuracy, report.confidence, report.distances["l2"], outcomes(result, y).which,
                vulnerability(result, 5).success)  # fmt: skip

    add_the_stand_in(monkeypatch)
    check_the_same_on("strict", measured, rtol=1e-6)


def test_small_integers_have_room_for_products() -> None:
    source, target = np.array([19, 15], np.uint8), np.array([1, 1], np.uint8)
    means = evaluate.mean_by_pair(source, target, np.array([1.0, 2.0]), 20)
    assert means[19, 1] == 1
    assert means[15, 1] == 2
    wide = ending([19, 19, 15], [19, 19, 15], [15, 15, 19])
    narrow = replace(wide, goal=Untargeted(wide.goal.labels.astype(np.uint8)))
    np.testing.assert_array_equal(vulnerability(narrow, 30).taken_for, vulnerability(wide, 30).taken_for)


def test_the_measures_by_class_can_be_asked_for_here_too() -> None:
    assert evaluate.success_matrix.__module__ == evaluate.vulnerability.__module__ == "attacks.report.by_class"
    assert evaluate.outcomes is outcomes


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("top-k: ties to the last", line(attacks.report.evaluate, "top_k", "xp.arange(logits.shape[-1]) < labels", "xp.arange(logits.shape[-1]) > labels"), test_top_k_is_the_place_in_the_order),
    Mutant("top-k: one too many", line(attacks.report.evaluate, "top_k", "sum(axis=-1) < k", "sum(axis=-1) <= k"), test_top_k_is_the_place_in_the_order),
    Mutant("curve: the first ε everywhere", line(attacks.report.evaluate, "_at_each", "epsilon=length, ", "epsilon=lengths[0], "), test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: no work is shared", line(attacks.report.evaluate, "_at_each", '"takes_several", False)', '"takes_nothing", False)'), test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: partial attacks one by one", line(attacks.report.evaluate, "_at_each", 'getattr(attack, "func", attack)', "attack"), test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: interrupted attacks count", line(attacks.report.evaluate, "robustness_curve", "if interrupted:", "if False:"), test_a_half_finished_attack_is_in_no_curve_and_named_in_the_table),
    Mutant("classes: no room for products", line(attacks.report.by_class, "_wide", ".astype(np.int64)", ""), test_small_integers_have_room_for_products),
    Mutant("curve: counts the targets", line(attacks.report.evaluate, "robustness_curve", "top_k(logits, y, each)", "top_k(logits, goal.labels, each)"), test_towards_targets_the_curve_still_counts_the_labels),
    Mutant("table: distances of failures too", line(attacks.report.evaluate, "_report", "(result, norm))[done]", "(result, norm))"), test_the_table_is_counted_by_hand),
    Mutant("table: confidence before for after", line(attacks.report.evaluate, "_report", "BeforeAndAfter(_mean(before), _mean(after))", "BeforeAndAfter(_mean(after), _mean(before))"), test_the_table_is_counted_by_hand),
    Mutant("table: confidence of successes over all", line(attacks.report.evaluate, "_report", "_mean(after[done])", "_mean(after)"), test_the_table_is_counted_by_hand),
    Mutant("table: percentiles turned round", line(attacks.report.evaluate, "spread", "(50, 10, 90)", "(50, 90, 10)"), test_the_table_is_counted_by_hand),
    Mutant("outcomes: mistakes before the attack count", line(attacks.report.outcomes, "outcomes", "(p == y) & (q != y)", "q != y"), lambda: test_outcomes_are_the_definition("aba", True)),
    Mutant("outcomes: conatural goes first", line(attacks.report.outcomes, "outcomes", "fooled & also", "(which == 0) & also"), lambda: test_outcomes_are_the_definition("aba", True)),
    Mutant("outcomes: any change is benign", line(attacks.report.outcomes, "outcomes", "(p != y) & (q == y)", "(p != y) & (q != p)"), lambda: test_outcomes_are_the_definition("aba", True)),
    Mutant("classes: success among the answers", line(attacks.report.by_class, "vulnerability", "np.bincount(source[done], minlength=classes)", "np.bincount(after[done], minlength=classes)"), test_vulnerability_is_counted_class_by_class),
    Mutant("classes: the most frequent label of each prediction", line(attacks.report.by_class, "vulnerability", "ends.argmax(axis=1)", "ends.argmax(axis=0)"), test_vulnerability_is_counted_class_by_class),
    Mutant("classes: distances of failures too", line(attacks.report.by_class, "vulnerability", "np.bincount(source[done], to_numpy(getattr(result, norm))[done], ", "np.bincount(source, to_numpy(getattr(result, norm)), "), test_vulnerability_is_counted_class_by_class),
    Mutant("seconds: not kept", line(attacks.common.result.AttackResult, "save", '"seconds": self.seconds', '"seconds": 0.0'), test_seconds_are_kept_and_an_older_file_has_none),
]
# fmt: on
