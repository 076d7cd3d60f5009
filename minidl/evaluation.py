"""Measuring: `evaluate` runs a network over a data set, and an `Evaluation` answers every question about it.

Confidence is the largest softmax probability.  The papers rarely say over which examples they average it, so
both readings are here: over all, and over the misclassified ones.  Results are NumPy arrays, on the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from . import losses
from .backend import to_numpy
from .core import Array
from .data.dataset import Dataset
from .errors import RangeError
from .tables import html_table


class Calibration(NamedTuple):
    """Confidence against accuracy, in bins of confidence.  Empty bins have nan for the means.

    edges: of the bins (bins + 1,).
    counts: examples in each bin (bins,).
    confidence: their mean confidence (bins,).
    accuracy: their accuracy (bins,).
    error: the expected calibration error, Σ counts/N · |confidence - accuracy|.

    >>> import numpy as np
    >>> from minidl.evaluation import Evaluation
    >>> Evaluation(np.array([0, 1]), np.array([0, 0]), np.array([0.9, 0.6]), classes=2).calibration(bins=2)
    Calibration(2 bins, 2 examples, error 0.2500)
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float

    def __repr__(self) -> str:
        return f"Calibration({len(self.counts)} bins, {self.counts.sum()} examples, error {self.error:.4f})"


class Coverage(NamedTuple):
    """The share of examples whose confidence is at least a threshold, and the error among them, for every threshold.

    threshold: the distinct confidences, from the largest.
    coverage: the share of examples that are classified; the last entry is 1.
    error: the share of these that are misclassified.

    >>> import numpy as np
    >>> from minidl.evaluation import Evaluation
    >>> Evaluation(np.array([0, 1]), np.array([0, 0]), np.array([0.9, 0.6]), classes=2).coverage().error
    array([0. , 0.5])
    """

    threshold: np.ndarray
    coverage: np.ndarray
    error: np.ndarray

    def __repr__(self) -> str:
        return f"Coverage({len(self.threshold)} thresholds)"


@dataclass(frozen=True)
class Evaluation:
    """A network's predictions of N examples.  Averages over no examples are nan.

    labels: (N,), int64.
    predictions: predicted classes (N,), int64.
    confidences: the predicted probability of the predicted class (N,), in [0, 1].
    classes: how many there are.

    >>> import numpy as np
    >>> from minidl.evaluation import Evaluation
    >>> Evaluation(np.array([0, 1]), np.array([0, 0]), np.array([0.9, 0.6]), classes=2).error
    0.5
    """

    labels: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    classes: int

    def __repr__(self) -> str:
        return f"Evaluation({len(self.labels)} examples, {self.classes} classes, error {self.error:.4f})"

    def _repr_html_(self) -> str:
        numbers = {"examples": len(self.labels), "error": self.error, "accuracy": self.accuracy,
                "confidence": self.confidence, "confidence on errors": self.confidence_on_errors}  # fmt: skip
        return html_table(list(numbers), [list(numbers.values())])

    @cached_property
    def wrong(self) -> np.ndarray:
        """Which examples are misclassified: (N,) bool."""
        return self.predictions != self.labels

    @property
    def error(self) -> float:
        """The share of misclassified examples."""
        return _mean(self.wrong)

    @property
    def accuracy(self) -> float:
        """1 - error."""
        return 1 - self.error

    @property
    def confidence(self) -> float:
        """The mean confidence over all examples."""
        return _mean(self.confidences)

    @property
    def confidence_on_errors(self) -> float:
        """The mean confidence over the misclassified examples."""
        return _mean(self.confidences[self.wrong])

    @cached_property
    def confusion(self) -> np.ndarray:
        """(K, K) counts: row = label, column = prediction."""
        cells = self.labels * self.classes + self.predictions
        return np.bincount(cells, minlength=self.classes**2).reshape(self.classes, self.classes)

    def calibration(self, bins: int = 10) -> Calibration:
        """Confidence against accuracy in equal bins (Guo et al. 2017).  Raises `RangeError` for bins < 1."""
        if bins < 1:
            raise RangeError("calibration", "at least 1 bin", f"{bins}")
        edges = np.linspace(0, 1, bins + 1)
        which = np.clip(np.searchsorted(edges, self.confidences, side="left") - 1, 0, bins - 1)
        count = np.bincount(which, minlength=bins)
        with np.errstate(invalid="ignore"):
            confidence = np.bincount(which, self.confidences, minlength=bins) / count
            accuracy = np.bincount(which, ~self.wrong, minlength=bins) / count
        gaps = np.nansum(count * abs(confidence - accuracy))
        error = float(gaps / len(which)) if len(which) else float("nan")
        return Calibration(edges, count, confidence, accuracy, error)

    def coverage(self) -> Coverage:
        """Coverage against error, for every threshold on the confidence (El-Yaniv and Wiener 2010)."""
        order = np.argsort(-self.confidences, kind="stable")
        threshold, answered = self.confidences[order], np.arange(1, len(order) + 1)
        error = np.cumsum(self.wrong[order]) / answered
        last = np.append(threshold[1:] != threshold[:-1], True)[: len(order)]  # equal confidences are accepted together
        return Coverage(threshold[last], (answered / max(len(order), 1))[last], error[last])


def evaluate(net: Callable[[Array], Array], dataset: Dataset, batch_size: int = 1000) -> Evaluation:
    """Run a network over a data set in evaluation mode, without dropout.

    net: a network, or any function from inputs (n, ...) to logits (n, K).  For a network that ends with Softmax,
    confidences are its outputs; else the softmax of its outputs.
    dataset: a `Dataset`.
    batch_size: how many examples are run at once, at least 1.

    Returns: an `Evaluation`, with error, accuracy, confusion, calibration and coverage.
    Raises: `ShapeError` unless the outputs are (n, K); `RangeError` if they are not finite, or if a function returns
    probabilities.

    >>> import numpy as np
    >>> from minidl import Dataset, evaluate, models
    >>> data = Dataset(np.zeros((4, 1, 28, 28), np.float32), np.array([0, 1, 2, 3]))
    >>> len(evaluate(models.lenet(), data).predictions)
    4
    """
    predictions: list[np.ndarray] = []
    confidences: list[np.ndarray] = []
    classes = len(dataset.class_names)
    gives_probabilities = getattr(net, "gives_probabilities", False)
    for x, _ in dataset.batches(batch_size):
        outputs = losses.check_logits("evaluate", net(x), len(x))
        if not gives_probabilities and not predictions and losses.are_probabilities(outputs):
            fix = "evaluate what comes before the softmax, or a network that ends with layers.Softmax()"
            raise RangeError("evaluate", "logits", "rows that sum to 1, as probabilities do", fix)
        p = outputs if gives_probabilities else losses.softmax(outputs)
        predictions.append(to_numpy(outputs.argmax(axis=-1)).astype(np.int64))
        confidences.append(to_numpy(p.max(axis=-1)).astype(np.float64))
        classes = max(classes, outputs.shape[1])
    joined = [np.concatenate(parts) if parts else np.zeros(0, kind) for parts, kind in
              ((predictions, np.int64), (confidences, np.float64))]  # fmt: skip
    return Evaluation(to_numpy(dataset.y), joined[0], joined[1], classes)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
