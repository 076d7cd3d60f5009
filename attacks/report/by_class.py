"""What attacks say about the classes of a network: matrices by source and target class, hardness, who is vulnerable.

The measures for pairs are those of Papernot et al. 2016, §IV-V.  There the source of an example is the class the
network took it for, so that no attack has its source for a target, and the diagonals are nan.
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

    nan where there were none.  Raises `DTypeError` if the attack was not targeted.
    """
    return _by_pair(result, to_numpy(result.success).astype(np.float64), classes)


def distortion_matrix(result: AttackResult, classes: int = 10, successful: bool = True) -> np.ndarray:
    """ε(s, t): the mean fraction of features changed from class s (row) to target t (column): (K, K) (Fig. 13).

    Over the successful attacks, or over all of them.  nan where there were none.
    """
    which = to_numpy(result.success) if successful else np.ones(len(result), bool)
    return _by_pair(result, to_numpy(result.distortion), classes, which)


def hardness_matrix(result: AttackResult, ladder: Sequence[float], classes: int = 10) -> np.ndarray:
    """H(s, t) = ∫ ε(s, t, τ) dτ, how much must be changed to fool from s to t, over all success rates: (K, K)
    (eqs. 12 and 13, Fig. 14).

    ladder: growing values of Υ.  Each gives a success rate τ_k and a mean distortion ε_k over all attacks, and
    H ≈ Σ_k (τ_{k+1} - τ_k)·(ε_{k+1} + ε_k)/2.  All come from the one run, whose Υ must be at least the last: under
    a smaller Υ, `jsma` would have taken the same steps, and stopped earlier.  Unlike the paper, which ran the
    attack again for each Υ, and counts from its smallest, we begin at τ = 0, where nothing is changed.
    Raises `RangeError` for a ladder that falls or goes beyond the run, for a run that was interrupted, and for
    |θ| < 1, where a feature is moved several times and the number of steps does not say how many were changed.
    """
    features, largest = result.params.get("features", 0), result.params.get("max_distortion", 0.0)
    if not features or abs(result.params["theta"]) != 1 or result.params["interrupted"]:
        got = ", ".join(f"{name}={result.params.get(name)}" for name in ("attack", "theta", "interrupted"))
        raise RangeError("hardness_matrix", "a complete run of jsma with θ = ±1", got)
    if list(ladder) != sorted(ladder) or not len(ladder) or not 0 <= ladder[0] <= ladder[-1] <= largest + 1e-12:
        raise RangeError("hardness_matrix", f"growing distortions in [0, {largest:g}]", f"{list(ladder)}")
    width = result.features
    steps, final = to_numpy(result.iterations), to_numpy(result.distortion)
    rates, costs = [np.zeros((classes, classes))], [np.zeros((classes, classes))]
    for bound in ladder:
        allowed = steps_allowed(width, bound, features)
        done = to_numpy(result.success) & (steps <= allowed)
        rates.append(_by_pair(result, done.astype(np.float64), classes))
        costs.append(_by_pair(result, np.where(steps <= allowed, final, features * allowed / max(width, 1)), classes))
    return sum((t1 - t0) * (e1 + e0) / 2 for t0, t1, e0, e1 in zip(rates, rates[1:], costs, costs[1:]))  # type: ignore[return-value]


def adversarial_distance(victim: Any, x: Array, target: Array, theta: float = 1.0, **options: Any) -> np.ndarray:
    """A(X, t) = 1 - (1/M)·Σ_i 1[S(X, t)[i] > 0]: the share of features that do not serve the target: (N,) (eq. 14)."""
    serves = to_numpy(is_salient(victim, x, target, theta=theta, **options))
    return 1 - serves.mean(axis=tuple(range(1, serves.ndim)))


def robustness(distances: np.ndarray) -> float:
    """R(F) = min over X and t of A(X, t) (eq. 15).  nan if there are none."""
    return float(distances.min()) if distances.size else float("nan")


def mean_by_pair(source: Array, target: Array, values: Array, classes: int = 10) -> np.ndarray:
    """The mean of values (N,) for each pair of source (row) and target (column) class: (K, K), nan where none is."""
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
    """How each class fares under an attack, all (K,): ``str()`` gives the table.

    counts: its examples.  success: the share of them that were attacked successfully.  distance: how far the
    successful ones were moved on average, in `norm`.  taken_for: what the network most often takes the successful
    ones for (the first of equals).  nan, and -1 in taken_for, where there are none.
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
    """Success, distance and the commonest confusion for each source class.

    The source is the true label where the attack was untargeted, and the class the network took the example for
    where it was targeted.  norm: "linf", "l2", "l1", or "l0" for the number of entries changed.
    Raises `RangeError` for an unknown norm, or classes that do not reach the largest there is.
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
