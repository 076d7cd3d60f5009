"""Uncertainty by dropout: how much a network's probabilities differ from run to run, and a detector made of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, MissingPackageError, ShapeError
from minidl.layers import Dropout
from minidl.losses import softmax
from minidl.models import Sequential

from ..common.checks import check_counts, check_seed

PART = 500


def dropout_variance(net: Sequential, x: Array, *, runs: int = 50, seed: int = 0) -> np.ndarray:
    """The variance of the predicted probabilities over runs with dropout, summed over the classes: (N,).

    net: a `Sequential` with dropout that returns logits.
    x: images (N, ...).
    runs: how many, at least 2.
    seed: a whole number.  The masks of image i are a function of (seed, i) alone.

    Returns: (1/R) Σ_r ‖p_r‖² - ‖(1/R) Σ_r p_r‖², a NumPy array in float64.  High is suspicious.
    Raises: `DTypeError` for a network without dropout, `RangeError` for numbers out of range.
    Source: Feinman et al. 2017, §4.2, after Gal and Ghahramani 2016.

    >>> import numpy as np
    >>> from attacks.defences.uncertainty import dropout_variance
    >>> from minidl import models
    >>> x = np.random.default_rng(0).random((3, 784), dtype=np.float32)
    >>> bool((dropout_variance(models.mlp(), x, runs=5) > 0).all())
    True
    """
    has_dropout = isinstance(net, Sequential) and any(
        isinstance(layer, Dropout) and layer.rate for layer in net.layers.values()
    )
    if not has_dropout:
        raise DTypeError(
            "dropout_variance",
            "a network with dropout",
            repr(net),
            "use a network with Dropout layers, such as models.mlp()",
        )
    check_counts("dropout_variance", least=2, runs=runs)
    check_seed("dropout_variance", seed)
    variances = [np.zeros(0)]
    for part, start in enumerate(range(0, len(x), PART)):
        p = np.stack([_probabilities(net, x[start : start + PART], (seed, part, run)) for run in range(runs)])
        variances.append(p.var(axis=0).sum(axis=-1))
    return np.concatenate(variances)


def _probabilities(net: Sequential, x: Array, key: tuple[int, ...]) -> np.ndarray:
    return to_numpy(softmax(net.apply(net.params, x, np.random.default_rng(key)))).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Combination:
    """Several scores as one: logistic regression on their z-scores.

    names: of the scores.
    model: scikit-learn's pipeline.

    Make one with `combine`.

    >>> from attacks.defences.uncertainty import combine
    >>> combine({"a": [0.0, 0.1]}, {"a": [1.0, 1.1]}).weights["a"] > 0
    True
    """

    names: tuple[str, ...]
    model: Any

    @property
    def weights(self) -> dict[str, float]:
        """By how much the log odds of being adversarial grow with a deviation of each score."""
        return dict(zip(self.names, map(float, self.model[-1].coef_[0])))

    def score(self, scores: Mapping[str, Any]) -> np.ndarray:
        """The log odds that each image is adversarial: (N,).  `ShapeError` for other scores than it was fitted to."""
        return self.model.decision_function(_columns("Combination", scores, self.names))


def combine(clean: Mapping[str, Any], adversarial: Mapping[str, Any]) -> Combination:
    """Fit a `Combination` to clean images and to images of an attack.

    clean: by name, scores of clean images (N,).
    adversarial: the same of adversarial images (M,).  Judge it by *other* attacks: of those that it was fitted to it
    says nothing new.

    Raises: `ShapeError` for scores that do not fit each other, `MissingPackageError` without scikit-learn.
    Source: Feinman et al. 2017, §5.3.

    >>> from attacks.defences.uncertainty import combine
    >>> combination = combine({"a": [0.0, 0.1, 0.2]}, {"a": [1.0, 1.1, 1.2]})
    >>> low, high = combination.score({"a": [0.0, 1.0]})
    >>> bool(low < high)
    True
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        expected, fix = "scikit-learn, for logistic regression", 'run pip install "minidl[black-box]"'
        raise MissingPackageError("combine", expected, str(error), fix) from error
    names = tuple(clean)
    parts = [_columns("combine", each, names) for each in (clean, adversarial)]
    labels = np.repeat([0, 1], [len(part) for part in parts])
    return Combination(names, make_pipeline(StandardScaler(), LogisticRegression()).fit(np.concatenate(parts), labels))


def _columns(operation: str, scores: Mapping[str, Any], names: tuple[str, ...]) -> np.ndarray:
    columns = [np.asarray(each, np.float64) for each in scores.values()]
    if tuple(scores) != names or not names or any(each.shape != columns[0].shape or each.ndim != 1 for each in columns):
        got = {name: each.shape for name, each in zip(scores, columns)}
        raise ShapeError(operation, f"scores (N,) of {list(names)}, in this order", f"{got}")
    return np.stack(columns, axis=1)
