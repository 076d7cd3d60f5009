"""Attacks by class: matrices by source and target class, hardness, and the vulnerability of each class.

The measures for pairs are those of Papernot et al. 2016, §IV-V.  There the source of an example is its predicted
class, so that no source is its own target, and the diagonals are nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, RangeError

from ..common.goal import Targeted
from ..common.norms import norm_named
from ..common.result import AttackResult
from ..minimal.jsma import is_salient, steps_allowed
from .tables import Table, Tabled


def success_matrix(result: AttackResult, classes: int = 10) -> np.ndarray:
    """τ(s, t): the share of attacks from class s (row) on target t (column) that succeed: (K, K) (Fig. 12).

    result: of a targeted attack.
    classes: K.

    Returns: the matrix, nan where there were no attacks.
    Raises: `DTypeError` if the attack was not targeted.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import Targeted, jsma
    >>> from attacks.report.by_class import success_matrix
    >>> net, x = models.mlp((4,), 3, hidden=(5,), seed=0), np.zeros((2, 4), dtype=np.float32)
    >>> t = (net(x).argmax(axis=1) + 1) % 3
    >>> result = jsma(net, x, Targeted(t), max_distortion=0.5)
    >>> success_matrix(result, classes=3).shape
    (3, 3)
    """
    return _by_pair(result, to_numpy(result.success).astype(np.float64), classes)


def distortion_matrix(result: AttackResult, classes: int = 10, successful: bool = True) -> np.ndarray:
    """ε(s, t): the mean fraction of features changed from class s (row) to target t (column): (K, K) (Fig. 13).

    result: of a targeted attack.
    classes: K.
    successful: whether to count the successful attacks alone, or all.

    Returns: the matrix, nan where there were no attacks.
    Raises: `DTypeError` if the attack was not targeted.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import Targeted, jsma
    >>> from attacks.report.by_class import distortion_matrix
    >>> net, x = models.mlp((4,), 3, hidden=(5,), seed=0), np.zeros((2, 4), dtype=np.float32)
    >>> t = (net(x).argmax(axis=1) + 1) % 3
    >>> result = jsma(net, x, Targeted(t), max_distortion=0.5)
    >>> distortion_matrix(result, classes=3, successful=False).shape
    (3, 3)
    """
    which = to_numpy(result.success) if successful else np.ones(len(result), bool)
    return _by_pair(result, to_numpy(result.distortion), classes, which)


def hardness_matrix(result: AttackResult, distortions: Sequence[float], classes: int = 10) -> np.ndarray:
    """H(s, t) = ∫ ε(s, t, τ) dτ: the mean distortion from s to t, over all success rates: (K, K) (eq. 13, Fig. 14).

    H ≈ Σ_k (τ_{k+1} - τ_k)·(ε_{k+1} + ε_k)/2, where the k-th value of Υ has the success rate τ_k and the mean
    distortion ε_k over all attacks.  All come from one run: under a smaller Υ, `jsma` would have taken the same steps,
    and stopped earlier.

    result: of `jsma` with θ = ±1, not interrupted.
    distortions: increasing values of Υ, up to that of the run.
    classes: K.

    Raises: `RangeError` for distortions that do not increase or are beyond the run, for an interrupted run, and for
    |θ| < 1, where a feature is changed several times, so that the number of steps is not the number of changed
    features.  Unlike the paper, which ran the attack again for each Υ and starts from the smallest, we start at τ = 0.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import Targeted, jsma
    >>> from attacks.report.by_class import hardness_matrix
    >>> net, x = models.mlp((4,), 3, hidden=(5,), seed=0), np.zeros((2, 4), dtype=np.float32)
    >>> t = (net(x).argmax(axis=1) + 1) % 3
    >>> result = jsma(net, x, Targeted(t), max_distortion=0.5)
    >>> hardness_matrix(result, [0.25, 0.5], classes=3).shape
    (3, 3)
    """
    features, largest = result.params.get("features", 0), result.params.get("max_distortion", 0.0)
    if not features or abs(result.params["theta"]) != 1 or result.params["interrupted"]:
        got = ", ".join(f"{name}={result.params.get(name)}" for name in ("attack", "theta", "interrupted"))
        raise RangeError("hardness_matrix", "a complete run of jsma with θ = ±1", got)
    bounds = list(distortions)
    if not bounds or bounds != sorted(bounds) or not 0 <= bounds[0] <= bounds[-1] <= largest + 1e-12:
        raise RangeError("hardness_matrix", f"growing distortions in [0, {largest:g}]", f"{bounds}")
    width = result.features
    steps, final = to_numpy(result.iterations), to_numpy(result.distortion)
    rates, costs = [np.zeros((classes, classes))], [np.zeros((classes, classes))]
    for bound in bounds:
        allowed = steps_allowed(width, bound, features)
        done = to_numpy(result.success) & (steps <= allowed)
        rates.append(_by_pair(result, done.astype(np.float64), classes))
        costs.append(_by_pair(result, np.where(steps <= allowed, final, features * allowed / max(width, 1)), classes))
    return sum((t1 - t0) * (e1 + e0) / 2 for t0, t1, e0, e1 in zip(rates, rates[1:], costs, costs[1:]))  # type: ignore[return-value]


def adversarial_distance(victim: Any, x: Array, target: Array, theta: float = 1.0, **options: Any) -> np.ndarray:
    """A(X, t) = 1 - (1/M)·Σ_i 1[S(X, t)[i] > 0]: the share of features not salient for the target: (N,) (eq. 14).

    victim: the network.
    x: images (N, ...).
    target: classes (N,).
    theta: 1 for features that are to increase, -1 for those that are to decrease.
    options: of `attacks.minimal.jsma.is_salient`.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks.report.by_class import adversarial_distance
    >>> adversarial_distance(models.mlp(), np.zeros((2, 784), dtype=np.float32), np.array([3, 5])).shape
    (2,)
    """
    serves = to_numpy(is_salient(victim, x, target, theta=theta, **options))
    return 1 - serves.mean(axis=tuple(range(1, serves.ndim)))


def robustness(distances: np.ndarray) -> float:
    """R(F) = min over X and t of A(X, t) (eq. 15).

    distances: of `adversarial_distance`, any shape.

    Returns: the least, nan if there are none.

    >>> import numpy as np
    >>> from attacks.report.by_class import robustness
    >>> robustness(np.array([0.5, 0.25]))
    0.25
    """
    return float(distances.min()) if distances.size else float("nan")


def mean_by_pair(source: Array, target: Array, values: Array, classes: int = 10) -> np.ndarray:
    """The mean of values for each pair of source (row) and target (column) class: (K, K).

    source, target: classes (N,).
    values: numbers (N,).
    classes: K.

    Returns: the matrix, nan for pairs without examples.
    Raises: `RangeError` for classes that are not in 0 … K-1.

    >>> from attacks.report.by_class import mean_by_pair
    >>> mean_by_pair([0, 0], [1, 1], [2.0, 4.0], classes=2)
    array([[nan,  3.],
           [nan, nan]])
    """
    source, target = _wide(source), _wide(target)
    _check_classes("mean_by_pair", (source, target), classes)
    cells = source * classes + target
    counts = np.bincount(cells, minlength=classes**2)
    sums = np.bincount(cells, to_numpy(values).astype(np.float64), minlength=classes**2)
    return _ratio(sums, counts).reshape(classes, classes)


def _by_pair(result: AttackResult, values: np.ndarray, classes: int, which: Any = slice(None)) -> np.ndarray:
    if not isinstance(result.goal, Targeted):
        raise DTypeError("by_class", "the result of a targeted attack", type(result.goal).__name__, "Targeted(t)")
    source, target = to_numpy(result.clean_pred), to_numpy(result.goal.labels)
    return mean_by_pair(source[which], target[which], values[which], classes)


# --- one class at a time ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Vulnerability(Tabled):
    """How often each class is attacked successfully, and at which distance.  ``str()`` returns the table.

    norm: of the distances.
    counts: the number of examples of each class (K,).
    success: the success rate of each class (K,), nan where there are no examples.
    distance: the mean distance of the successful examples of each class (K,), nan where there are none.
    taken_for: the most frequent prediction for the successful examples of each class (K,), -1 where there are none.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.by_class import vulnerability
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> vulnerability(result, classes=3)
    Vulnerability(3 classes, 2 examples, l2)
    """

    norm: str
    counts: np.ndarray
    success: np.ndarray
    distance: np.ndarray
    taken_for: np.ndarray

    def __repr__(self) -> str:
        return f"Vulnerability({len(self.counts)} classes, {self.counts.sum()} examples, {self.norm})"

    def _tables(self) -> list[Table]:
        taken_for = [int(k) if k >= 0 else "-" for k in self.taken_for]
        measured = zip(self.counts, map(float, self.success), map(float, self.distance), taken_for)
        rows = [[k, *values] for k, values in enumerate(measured)]
        heads = ["class", "examples", "success", f"mean {self.norm}", "taken for"]
        return [("Vulnerability of each class (distances of the successful)", heads, rows)]


def vulnerability(result: AttackResult, classes: int = 10, norm: str = "l2") -> Vulnerability:
    """Success rate, distance and most frequent wrong prediction of each source class.

    The source is the label for untargeted attacks, and the prediction on the clean image for targeted ones.

    result: of any attack.
    classes: K.
    norm: "linf", "l2", "l1", or "l0" for the number of changed entries.

    Returns: a `Vulnerability`.
    Raises: `RangeError` for an unknown norm, or for labels that are not in 0 … K-1.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.by_class import vulnerability
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> vulnerability(result, classes=3).counts
    array([1, 0, 1])
    """
    if norm != "l0":
        norm_named("vulnerability", norm)
    targeted = isinstance(result.goal, Targeted)
    source, after = _wide(result.clean_pred if targeted else result.goal.labels), _wide(result.adv_pred)
    _check_classes("vulnerability", (source, after), classes)
    done = to_numpy(result.success)
    counts, successes = np.bincount(source, minlength=classes), np.bincount(source[done], minlength=classes)
    moved = np.bincount(source[done], to_numpy(getattr(result, norm))[done], minlength=classes)
    ends = np.bincount(source[done] * classes + after[done], minlength=classes**2).reshape(classes, classes)
    return Vulnerability(
        norm, counts, _ratio(successes, counts), _ratio(moved, successes),
        np.where(successes, ends.argmax(axis=1), -1),
    )  # fmt: skip


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts, sums / np.maximum(counts, 1), np.nan)


def _wide(labels: Array) -> np.ndarray:
    """Labels on the host, in an integer that has room for products of them."""
    return to_numpy(labels).astype(np.int64)


def _check_classes(operation: str, labels: Sequence[np.ndarray], classes: int) -> None:
    for extreme in (int(edge) for some in labels if some.size for edge in (some.min(), some.max())):
        if not 0 <= extreme < classes:
            raise RangeError(operation, f"classes in 0 ... {classes - 1}", f"class {extreme}", "say classes=...")
