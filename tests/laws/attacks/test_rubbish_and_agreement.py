"""Laws of images of nothing, and of agreement between networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks import Victim, agreement, fgsm, rubbish
from attacks.report import agreement as agreements
from attacks.report import intervals
from attacks.report import rubbish as of_nothing
from attacks.report.intervals import share, wilson
from attacks.report.rubbish import Rubbish
from minidl import linearize, models, ops
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.layers import Glorot
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network

seeds = st.integers(0, 2**32 - 1)


# --- intervals -------------------------------------------------------------------------------------------


@given(count=st.integers(1, 500), part=st.floats(0, 1))
def test_the_ends_of_an_interval_solve_wilsons_equation(count, part) -> None:
    successes = round(part * count)
    rate = successes / count
    for end in wilson(successes, count):
        if 0 < end < 1:
            assert abs((rate - end) ** 2 - 1.959964**2 * end * (1 - end) / count) < 1e-9
    assert wilson(np.array([0, 1]), np.array([[0], [3]])).shape == (2, 2, 2)
    assert np.isnan(wilson(0, 0)).all()


# --- rubbish ---------------------------------------------------------------------------------------------


def net(classes: int = 4) -> models.Sequential:
    return models.softmax_regression((1, 3, 3), classes, seed=0, dtype="float64")


@given(
    seed=seeds,
    kind=st.sampled_from(["normal", "uniform"]),
    probabilities=st.sampled_from(["softmax", "sigmoid", "exp"]),
)
def test_what_is_accepted_is_counted_one_by_one(seed, kind, probabilities) -> None:
    linear = net()
    for w in linear.params.values():
        w[...] = np.random.default_rng(seed).normal(size=w.shape)
    result = rubbish(linear, 30, kind, probabilities=probabilities, threshold=0.6, seed=seed)
    z = linear(result.images)
    p = {"softmax": np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), "sigmoid": 1 / (1 + np.exp(-z)), "exp": np.exp(z)}
    np.testing.assert_allclose(result.probabilities, p[probabilities], rtol=1e-9)
    accepted = [row for row in p[probabilities] if row.max() > 0.6]
    assert result.accepted.sum() == len(accepted)
    assert result.fraction == len(accepted) / 30
    np.testing.assert_array_equal(result.classes, np.bincount([row.argmax() for row in accepted], minlength=4))
    if accepted:
        assert result.confidence == pytest.approx(np.mean([row.max() for row in accepted]))


@pytest.mark.parametrize(("kind", "mean", "deviation"), [("normal", 0, 1), ("uniform", 1, 4 / np.sqrt(12))])
def test_the_images_are_drawn_as_is_said(kind, mean, deviation) -> None:
    x = rubbish(Victim(net(), bounds=(-1, 3)), 2000, kind, seed=3).images
    assert x.shape == (2000, 1, 3, 3)
    assert x.dtype == np.float64
    assert x.mean() == pytest.approx(mean, abs=5 * deviation / np.sqrt(x.size))
    assert x.std() == pytest.approx(deviation, rel=0.02)
    if kind == "uniform":
        assert x.min() >= -1
        assert x.max() <= 3
    each = x.reshape(2000, -1)
    assert abs(np.corrcoef(each.T) - np.eye(9)).max() < 0.12, "pixels are independent"


def test_an_image_does_not_depend_on_how_many_there_are() -> None:
    many, few, other = (rubbish(net(), n, seed=seed).images for n, seed in ((20, 5), (7, 5), (20, 6)))
    np.testing.assert_array_equal(many[:7], few)
    assert not (many == other).any()
    assert len(rubbish(net(), 0).images) == 0
    assert np.isnan(rubbish(net(), 0).fraction)
    assert np.isnan(rubbish(net(), 0).confidence)
    assert "0 images of nothing" in str(rubbish(net(), 0))


@given(seed=seeds, towards=st.integers(0, 3), probabilities=st.sampled_from(["softmax", "sigmoid", "exp"]))
def test_a_step_follows_the_sign_of_the_gradient_of_its_class(seed, towards, probabilities) -> None:
    victim = models.mlp((1, 3, 3), 4, (6,), activation="tanh", init_weights=Glorot(), seed=seed % 100, dtype="float64")
    before = rubbish(victim, 5, seed=seed, probabilities=probabilities)
    after = rubbish(victim, 5, seed=seed, probabilities=probabilities, towards=towards, epsilon=0.25)
    lin = linearize(lambda x: of_nothing.PROBABILITIES[probabilities](victim(x)), before.images)
    gradient = lin.vjp(np.repeat(np.eye(4)[towards][None], 5, axis=0))
    np.testing.assert_allclose(after.images, before.images + 0.25 * np.sign(gradient), atol=1e-12)
    np.testing.assert_array_equal(after.predictions, np.full(5, towards))
    np.testing.assert_array_equal(after.accepted, after.probabilities[:, towards] > 0.5)


def test_what_rubbish_refuses() -> None:
    for options, match in (
        ({"n": -1}, "whole number of n, at least 0"), ({"kind": "gauss"}, "kind of"), ({"probabilities": "p"}, "kind of"),
        ({"towards": 4}, r"in 0 ... 3"), ({"threshold": 2}, "threshold from 0 to 1"), ({"epsilon": -1}, "epsilon"),
        ({"seed": -1}, "seed"),
    ):  # fmt: skip
        with pytest.raises(RangeError, match=match):
            rubbish(net(), **{"n": 3, **options})
    with pytest.raises(ShapeError, match=r"shape=\(1, 28, 28\)"):
        rubbish(lambda x: ops.reshape(x, (len(x), -1)), 3)
    assert len(rubbish(lambda x: ops.reshape(x, (len(x), -1)), 3, shape=(1, 2, 2)).images) == 3


# --- agreement -------------------------------------------------------------------------------------------


@given(seed=seeds)
def test_agreement_is_counted_one_by_one(seed) -> None:
    source, other = network(seed % 50), network(seed % 50 + 1)
    x, y = images(seed, 30)
    result = fgsm(source, x, y, epsilon=0.2)
    table = agreement(result, y, {"itself": source, "other": Victim(other)})
    theirs, ours = other(result.x_adv).argmax(1), source(result.x_adv).argmax(1)
    wrong = [n for n in range(30) if ours[n] != y[n]]
    assert table.misclassified == len(wrong)
    assert table.wrong.tolist() == [len(wrong), sum(theirs[n] != y[n] for n in wrong)]
    assert table.same.tolist() == [len(wrong), sum(theirs[n] == ours[n] for n in wrong)]


def test_what_agreement_refuses_and_prints() -> None:
    source, (x, y) = network(0), images(0, 6)
    result = fgsm(source, x, y, epsilon=0.2)
    with pytest.raises(DTypeError, match="AttackResult"):
        agreement(x, y, {})
    with pytest.raises(DTypeError, match="by name, in a dict"):
        agreement(result, y, [source])
    with pytest.raises(RangeError, match="one label per image"):
        agreement(result, y[:2], {})
    nothing = fgsm(source, x[:0], y[:0], epsilon=0.2)
    assert "Of 0 images" in str(agreement(nothing, y[:0], {"itself": source}))
    assert share(0, 0) == "-"


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("Wilson: a normal interval", line(intervals, "wilson", "/ (1 + z**2 / n)[..., None]", ""), test_the_ends_of_an_interval_solve_wilsons_equation),
    Mutant("Wilson: one deviation", line(intervals, "wilson", "NORMAL_QUANTILE", "1.0"), test_the_ends_of_an_interval_solve_wilsons_equation),
    Mutant("rubbish: the least probable class", line(Rubbish, "predictions", "argmax(axis=1)", "argmin(axis=1)"), test_what_is_accepted_is_counted_one_by_one),
    Mutant("rubbish: all confidences", line(Rubbish, "confidence", "self.confidences[self.accepted].mean()", "self.confidences.mean()"), test_what_is_accepted_is_counted_one_by_one),
    Mutant("rubbish: rejected images have classes", line(Rubbish, "classes", "self.predictions[self.accepted]", "self.predictions"), test_what_is_accepted_is_counted_one_by_one),
    Mutant("rubbish: uniform on [0, 1]", line(of_nothing, "_drawn", "low, high = bounds", "low, high = 0, 1"), lambda: test_the_images_are_drawn_as_is_said("uniform", 1, 4 / np.sqrt(12))),
    Mutant("rubbish: uniform from the middle", line(of_nothing, "_drawn", "return low + (high", "return (high"), lambda: test_the_images_are_drawn_as_is_said("uniform", 1, 4 / np.sqrt(12))),
    Mutant("rubbish: of any seed", line(of_nothing, "_drawn", "normal(stream(seed), like)", "normal(stream(0), like)"), test_an_image_does_not_depend_on_how_many_there_are),
    Mutant("rubbish: drawn for this n", line(of_nothing, "_drawn", "normal(stream(seed), like)", "normal(stream(seed, len(like)), like)"), test_an_image_does_not_depend_on_how_many_there_are),
    Mutant("rubbish: away from the class", line(of_nothing, "rubbish", "x = x + epsilon", "x = x - epsilon"), test_a_step_follows_the_sign_of_the_gradient_of_its_class),
    Mutant("rubbish: along the gradient, not its sign", line(of_nothing, "rubbish", "namespace(x).sign(victim.gradient(x, goal, objective))", "victim.gradient(x, goal, objective)"), test_a_step_follows_the_sign_of_the_gradient_of_its_class),
    Mutant("rubbish: the logit for softmax, too", line(of_nothing, "rubbish", 'cross_entropy if probabilities == "softmax" else _logit', "_logit"), test_a_step_follows_the_sign_of_the_gradient_of_its_class),
    Mutant("agreement: with correct predictions, too", line(agreements, "agreement", "wrong_there = predicted != labels", "wrong_there = predicted >= 0"), test_agreement_is_counted_one_by_one),
    Mutant("agreement: on the images as they were", line(agreements, "agreement", "predict(result.x_adv)", "predict(result.x)"), test_agreement_is_counted_one_by_one),
    Mutant("agreement: of any wrong class", line(agreements, "agreement", "each == predicted[wrong_there]", "each != labels[wrong_there]"), test_agreement_is_counted_one_by_one),
]
# fmt: on
