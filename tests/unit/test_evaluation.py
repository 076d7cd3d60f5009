"""What `evaluate` reports, against small examples worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minidl import evaluation, models
from minidl.data import Dataset
from minidl.evaluation import Evaluation
from minidl.testing import Mutant, line
from minidl.train import evaluate

ANSWERS = Evaluation(
    labels=np.array([0, 0, 1, 1, 2, 2]),
    predictions=np.array([0, 1, 1, 1, 2, 0]),
    confidences=np.array([0.95, 0.55, 0.85, 0.65, 0.95, 0.35]),
    classes=3,
)
EMPTY = Evaluation(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 3)


def test_error_and_both_confidences() -> None:
    assert ANSWERS.error == pytest.approx(2 / 6)
    assert ANSWERS.accuracy == pytest.approx(4 / 6)
    assert ANSWERS.confidence == pytest.approx(np.mean([0.95, 0.55, 0.85, 0.65, 0.95, 0.35]))
    assert ANSWERS.confidence_on_errors == pytest.approx((0.55 + 0.35) / 2)


def test_confusion_has_labels_in_rows() -> None:
    np.testing.assert_array_equal(replace(ANSWERS).confusion, [[1, 1, 0], [0, 2, 0], [1, 0, 1]])


def test_calibration() -> None:
    calibration = ANSWERS.calibration(bins=10)
    np.testing.assert_array_equal(calibration.counts, [0, 0, 0, 1, 0, 1, 1, 0, 1, 2])
    np.testing.assert_allclose(calibration.confidence[[3, 5, 6, 8, 9]], [0.35, 0.55, 0.65, 0.85, 0.95])
    np.testing.assert_allclose(calibration.accuracy[[3, 5, 6, 8, 9]], [0, 0, 1, 1, 1])
    assert np.isnan(calibration.accuracy[[0, 1, 2, 4, 7]]).all()
    assert calibration.error == pytest.approx((0.35 + 0.55 + 0.35 + 0.15 + 2 * 0.05) / 6)


def test_certainty_falls_into_the_last_bin() -> None:
    sure = Evaluation(np.array([0]), np.array([0]), np.array([1.0]), 2)
    assert sure.calibration(4).counts.tolist() == [0, 0, 0, 1]
    assert sure.calibration(1).error == 0


def test_coverage_takes_equals_together() -> None:
    coverage = ANSWERS.coverage()
    np.testing.assert_allclose(coverage.threshold, [0.95, 0.85, 0.65, 0.55, 0.35])
    np.testing.assert_allclose(coverage.coverage, [2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    np.testing.assert_allclose(coverage.error, [0, 0, 0, 1 / 5, 2 / 6])


def test_no_examples() -> None:
    assert np.isnan([EMPTY.error, EMPTY.confidence, EMPTY.confidence_on_errors]).all()
    assert EMPTY.confusion.shape == (3, 3)
    assert np.isnan(EMPTY.calibration().error)
    assert EMPTY.coverage().error.shape == (0,)


def test_evaluate_by_hand_and_whatever_the_batch_size() -> None:
    net = models.softmax_regression(4, 3, dtype="float64", seed=3)
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(size=(10, 4)), rng.integers(0, 3, 10), ("a", "b", "c"))
    z = data.x @ net.params["dense1.W"] + net.params["dense1.b"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    for size in (1, 3, 10, 99):
        evaluation = evaluate(net, data, size)
        np.testing.assert_array_equal(evaluation.predictions, p.argmax(axis=1))
        np.testing.assert_allclose(evaluation.confidences, p.max(axis=1))
        np.testing.assert_array_equal(evaluation.labels, data.y)
    assert evaluate(net, data.take(0)).error != evaluate(net, data.take(0)).error  # nan: nothing to average


def test_a_softmax_at_the_end_is_taken_at_its_word() -> None:
    from minidl.layers import Dense, Softmax

    net = models.Sequential(Dense(3), Softmax(), input_shape=4)
    data = Dataset(np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0]), ("a", "b", "c"))
    np.testing.assert_allclose(evaluate(net, data).confidences, net(data.x).max(axis=1), rtol=1e-6)


def test_dropout_sleeps_during_evaluation() -> None:
    net = models.mlp(4, 3, (8,))
    data = Dataset(np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0]), ("a", "b", "c"))
    np.testing.assert_array_equal(evaluate(net, data).confidences, evaluate(net, data).confidences)


def test_labels_of_small_integers_do_not_overflow() -> None:
    """Twenty classes squared are more than a byte holds."""
    x, y = np.eye(20), np.arange(20)
    for kind in (np.uint8, np.int8, np.int64):
        data = Dataset(x, y.astype(kind), tuple(map(str, range(20))))
        assert data.y.dtype == np.int64
        np.testing.assert_array_equal(evaluate(lambda x: 2 * x, data).confusion, np.eye(20))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("evaluate: confusion transposed", line(evaluation.Evaluation, "confusion", "self.labels * self.classes + self.predictions", "self.predictions * self.classes + self.labels"), test_confusion_has_labels_in_rows),
    Mutant("evaluate: confidence on errors over all", line(evaluation.Evaluation, "confidence_on_errors", "self.confidences[self.wrong]", "self.confidences"), test_error_and_both_confidences),
]
# fmt: on
