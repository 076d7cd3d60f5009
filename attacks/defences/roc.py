"""`roc`: how well a score distinguishes adversarial images from clean ones, at every threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.errors import RangeError, ShapeError

from ..common.checks import check_number


@dataclass(frozen=True, eq=False)
class ROC:
    """The receiver operating characteristic: the share of flagged images at each threshold, from none to all.

    thresholds: decreasing (T,); images with a score of at least the threshold are flagged.
    false_positive_rates: of the clean images (T,).
    true_positive_rates: of the adversarial images (T,).
    area: under the curve, from 0 to 1: the probability that an adversarial image has a higher score than a clean one.
    Ties count half.

    >>> from attacks.defences.roc import roc
    >>> roc([0.0, 1.0], [1.0, 2.0])
    ROC(area 0.8750)
    """

    thresholds: np.ndarray
    false_positive_rates: np.ndarray
    true_positive_rates: np.ndarray
    area: float

    def __repr__(self) -> str:
        return f"ROC(area {self.area:.4f})"


def roc(clean: Any, adversarial: Any) -> ROC:
    """The ROC of a score that should be high for adversarial images.

    clean: scores of clean images (N,), finite.
    adversarial: scores of adversarial images (M,), finite.

    Raises: `ShapeError` for no scores or another shape, `RangeError` for NaN or infinite ones.

    >>> from attacks.defences.roc import roc
    >>> roc([0.1, 0.2], [0.3, 0.4]).area
    1.0
    """
    clean, adversarial = (_scores("roc", given) for given in (clean, adversarial))
    thresholds = np.concatenate([[np.inf], np.unique(np.concatenate([clean, adversarial]))[::-1]])
    rates = [(len(each) - np.searchsorted(np.sort(each), thresholds)) / len(each) for each in (clean, adversarial)]
    area = float(np.trapezoid(rates[1], rates[0]))
    return ROC(thresholds, rates[0], rates[1], area)


def threshold_at(clean: Any, rate: float) -> float:
    """The lowest threshold above which lie at most so many of the clean scores.

    clean: scores of clean images (N,), finite.  Images with a score *above* the threshold are flagged.
    rate: the false-positive rate, from 0 to 1.

    Raises: as `roc`; `RangeError` for another rate.

    >>> from attacks.defences.roc import threshold_at
    >>> threshold_at([1.0, 2.0, 3.0, 4.0], 0.25)
    3.0
    """
    scores = np.sort(_scores("threshold_at", clean))
    check_number("threshold_at", "a rate from 0 to 1", rate, most=1)
    allowed = int(np.floor(rate * len(scores) + 1e-9))
    if allowed == len(scores):
        return float(np.nextafter(scores[0], -np.inf))
    return float(scores[len(scores) - 1 - allowed])


def _scores(operation: str, given: Any) -> np.ndarray:
    scores = np.asarray(to_numpy(given) if hasattr(given, "dtype") else given, dtype=np.float64)
    if scores.ndim != 1 or not len(scores):
        raise ShapeError(operation, "scores (N,), one at least", f"{scores.shape}")
    if not np.isfinite(scores).all():
        raise RangeError(operation, "finite scores", "infinite or NaN ones")
    return scores
