"""How robust a network is: accuracy against ε, and a table of several attacks.

Results are NumPy arrays on the host, except of `top_k`.  A mean over no examples is nan.  Measures by class are in
`by_class`, and the outcome of each image in `outcomes`; both can be imported from here too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from minidl.backend import namespace, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, RangeError
from minidl.losses import check_labels, softmax

from ..common.goal import Goal, Untargeted
from ..common.norms import as_radii
from ..common.result import AttackResult
from ..common.victim import Victim, as_victim
from .by_class import (  # noqa: F401
    adversarial_distance,
    distortion_matrix,
    hardness_matrix,
    mean_by_pair,
    robustness,
    success_matrix,
    vulnerability,
)
from .outcomes import outcomes  # noqa: F401
from .tables import Table, Tabled

# --- accuracy against ε ----------------------------------------------------------------------------------


def top_k(logits: Array, labels: Array, k: int) -> Array:
    """Whether each label is among the k greatest of its logits: (N,) bool.

    Of equal logits the first counts as the greatest, as in ``argmax``, so that k = 1 is the prediction.

    logits: (N, K), without NaN.
    labels: (N,).
    k: from 1 to K.

    Raises: as `minidl.losses.check_labels`, and `RangeError` for another k or for NaN.

    >>> import numpy as np
    >>> from attacks.report.evaluate import top_k
    >>> top_k(np.array([[0.1, 0.7, 0.2]]), np.array([2]), 2)
    array([ True])
    """
    check_labels("top_k", labels, logits)
    _check_k("top_k", k, logits.shape[-1])
    xp = namespace(logits)
    own = xp.take_along_axis(logits, labels[:, None], axis=-1)
    if not ((own == own).all() and (logits == logits).all()):
        raise RangeError("top_k", "logits that can be ranked", "NaN")
    ahead = (logits > own) | ((logits == own) & (xp.arange(logits.shape[-1]) < labels[:, None]))
    return ahead.sum(axis=-1) < k


@dataclass(frozen=True, eq=False)
class RobustnessCurve(Tabled):
    """Accuracy under an attack of increasing strength.  ``str()`` returns the table.

    attack: its name.
    epsilons: (E,), those that are done.
    k: for each row, how many of the greatest logits count.
    accuracy: (len(k), E).
    interrupted: whether Ctrl-C ended the attack.  Then the ε that it was working on is left out: half an attack would
    make the network look robust.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluate import robustness_curve
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> robustness_curve(net, x, y, fgsm, [0.0, 0.1]).top(1).shape
    (2,)
    """

    attack: str
    epsilons: np.ndarray
    k: tuple[int, ...]
    accuracy: np.ndarray
    interrupted: bool = False

    def top(self, k: int) -> np.ndarray:
        """The accuracies (E,) for one of the k."""
        if k not in self.k:
            raise RangeError("top", f"a k of {list(self.k)}", f"{k}")
        return self.accuracy[self.k.index(k)]

    def __repr__(self) -> str:
        text = f"{self.attack}, {len(self.epsilons)} epsilons"
        if len(self.epsilons):
            text += f" to {self.epsilons[-1]:g}, top-{self.k[0]} accuracy to {self.accuracy[0, -1]:.4f}"
        return f"RobustnessCurve({text}{', interrupted' * self.interrupted})"

    def _tables(self) -> list[Table]:
        rows = [[f"{e:g}", *map(float, column)] for e, column in zip(self.epsilons, self.accuracy.T)]
        title = f"Accuracy under {self.attack}" + ", which was interrupted" * self.interrupted
        return [(title, ["ε", *(f"top-{k}" for k in self.k)], rows)]


def robustness_curve(
    victim: Any,
    x: Array,
    y: Array,
    attack: Callable[..., Any],
    epsilons: Iterable[float],
    *,
    k: int | Sequence[int] | None = None,
    goal: Goal | None = None,
    **parameters: Any,
) -> RobustnessCurve:
    """How often the label is still among the k greatest logits after an attack, for each ε.

    victim: the network.
    x: images (N, ...).  All of them count, also those that are misclassified without an attack.
    y: labels (N,).
    attack: any with a parameter ``epsilon``.  One that is marked by `norms.takes_several` is called once with all ε,
    and shares the work; others are called for each.
    epsilons: increasing, at least 0; ε = 0 shows the accuracy before.
    k: one number or several; None: 1, and also 5 if there are as many classes.
    goal: of the attack; None: any class but y.  With ``Targeted(t)`` the curve still counts y.
    parameters: of the attack, by name.

    Returns: a `RobustnessCurve`.
    Raises: `RangeError` for epsilons that are empty or do not increase, or for a k beyond the number of classes;
    otherwise as `minidl.losses.check_labels` and the attack, all before any work.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluate import robustness_curve
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> robustness_curve(net, x, y, fgsm, [0.0, 0.1, 0.2]).accuracy.shape
    (1, 3)
    """
    victim, given = as_victim(victim), list(epsilons) if isinstance(epsilons, Iterable) else epsilons
    lengths = as_radii("robustness_curve", given)
    if not lengths or any(a >= b for a, b in pairwise(lengths)):
        raise RangeError("robustness_curve", "epsilons that grow, at least one", f"{lengths}")
    victim.check_images("robustness_curve", x)
    classes = victim.net(x[:1]).shape[-1]  # asked of the network itself: this counts as no query
    k = ((1, 5) if classes >= 5 else (1,)) if k is None else k
    several = tuple(k) if isinstance(k, Sequence) else (k,)
    for each in several:
        _check_k("robustness_curve", each, classes)
    check_labels("robustness_curve", y, namespace(x).zeros((len(x), classes)))
    goal = Untargeted(y) if goal is None else goal
    name, columns, interrupted = getattr(getattr(attack, "func", attack), "__name__", "attack"), [], False
    for result in _at_each(lengths, attack, victim, x, goal, parameters):
        interrupted = bool(result.params.get("interrupted"))
        if interrupted:
            break
        name, logits = result.params.get("attack", name), victim.logits(result.x_adv)
        columns.append([_mean(to_numpy(top_k(logits, y, each))) for each in several])
    accuracy = np.array(columns, dtype=np.float64).reshape(len(columns), len(several)).T
    return RobustnessCurve(name, np.array(lengths[: len(columns)]), tuple(map(int, several)), accuracy, interrupted)


def _at_each(lengths: list[float], attack: Callable[..., Any], *arguments: Any) -> Iterable[AttackResult]:
    """The results for each ε, at once if the attack is marked as one that can."""
    *given, parameters = arguments
    accepted = inspect.signature(attack).parameters
    if "epsilon" not in accepted and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        name = getattr(attack, "__name__", "it")
        raise RangeError("robustness_curve", "an attack that takes epsilon", f"{name}, which does not",
                         "draw evaluation_plots.success_by_distance")  # fmt: skip
    if getattr(getattr(attack, "func", attack), "takes_several", False):  # func: of a functools.partial
        return attack(*given, epsilon=lengths, **parameters)
    return (attack(*given, epsilon=length, **parameters) for length in lengths)


def _check_k(operation: str, k: Any, classes: int) -> None:
    if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= int(k) <= classes:
        fix = f"k=(1, {classes})" if classes > 1 else ""
        raise RangeError(operation, f"a whole number k from 1 to {classes}, the number of classes", f"{k}", fix)


# --- several attacks in one table ------------------------------------------------------------------------


class BeforeAndAfter(NamedTuple):
    """A mean over the same examples before and after an attack.

    before, after: the two means.

    >>> from attacks.report.evaluate import BeforeAndAfter
    >>> BeforeAndAfter(0.98, 0.75).after
    0.75
    """

    before: float
    after: float


class Spread(NamedTuple):
    """Mean and quantiles of many values.

    mean, median: of all.
    low, high: the 10th and the 90th percentile, linear between two values.

    >>> from attacks.report.evaluate import Spread
    >>> Spread(1.5, 1.4, 1.0, 2.0).median
    1.4
    """

    mean: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class AttackReport:
    """The numbers of one attack.

    name: in the table.
    examples: how many were attacked.
    success: the share of them that are successful.
    confidence: the mean confidence over all of them.
    confidence_of_successes: the same over the successful ones.  Papers rarely say which of the two they mean.
    distances: by norm ("l0", "l1", "l2", "linf"), of the successful ones.
    forwards, backwards: runs of the network for each example.
    seconds: run time of the whole attack.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluate import evaluate_attack
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> evaluate_attack(result, net).rows[0].examples
    2
    """

    name: str
    examples: int
    success: float
    confidence: BeforeAndAfter
    confidence_of_successes: BeforeAndAfter
    distances: dict[str, Spread]
    forwards: float
    backwards: float
    seconds: float

    def __repr__(self) -> str:
        return f"AttackReport({self.name}: {self.examples} examples, success {self.success:.4f})"


@dataclass(frozen=True)
class AttackTable(Tabled):
    """Attacks side by side, one row each.  ``str()`` returns the table.

    rows: an `AttackReport` for each.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluate import evaluate_attack
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> evaluate_attack([result, result], net)
    AttackTable(2 attacks)
    """

    rows: tuple[AttackReport, ...]

    def __repr__(self) -> str:
        return f"AttackTable({len(self.rows)} attacks)"

    def _tables(self) -> list[Table]:
        done = [[r.name, r.examples, r.success, *r.confidence, *r.confidence_of_successes,
                 f"{r.forwards:.1f}", f"{r.backwards:.1f}", f"{r.seconds:.2f}"] for r in self.rows]  # fmt: skip
        heads = ["attack", "examples", "success", "confidence", "after", "where it\nsucceeds", "after",
                 "forward\nruns", "backward\nruns", "seconds"]  # fmt: skip
        norms = [[f"{r.name}, {norm}", *map(float, spread)] for r in self.rows for norm, spread in r.distances.items()]
        return [
            ("Attacks (runs per example)", heads, done),
            ("Distances of the successful", ["attack, norm", "mean", "median", "10 %", "90 %"], norms),
        ]


def evaluate_attack(results: Any, victim: Any) -> AttackTable:
    """The table of one attack or several: success, confidences, distances, runs of the network, seconds.

    results: an `AttackResult`, a list of them, or a dict with their names in the table.
    victim: the network that was attacked; it computes the confidences, which results do not have.

    Returns: an `AttackTable`.
    Raises: `DTypeError` for anything that is not a result.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluate import evaluate_attack
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> evaluate_attack({"FGSM": result}, net)
    AttackTable(1 attacks)
    """
    victim = as_victim(victim)
    if isinstance(results, AttackResult):
        results = [results]
    if not isinstance(results, Mapping | Iterable):
        raise DTypeError("evaluate_attack", "results of attacks", type(results).__name__)
    named = results.items() if isinstance(results, Mapping) else ((_name(result), result) for result in results)
    return AttackTable(tuple(_report(str(name), result, victim) for name, result in named))


def _name(result: Any) -> str:
    _check_result("evaluate_attack", result)
    epsilon = result.params.get("epsilon")
    return str(result.params.get("attack", "attack")) + ("" if epsilon is None else f", ε {epsilon:g}")


def _marked(name: str, result: AttackResult) -> str:
    """The name, marked if the attack was interrupted."""
    return f"{name} (interrupted)" if result.params.get("interrupted") else name


def _report(name: str, result: AttackResult, victim: Victim) -> AttackReport:
    _check_result("evaluate_attack", result)
    done = to_numpy(result.success)
    before, after = (to_numpy(softmax(victim.logits(x)).max(axis=-1)).astype(float) for x in (result.x, result.x_adv))
    distances = {norm: spread(to_numpy(getattr(result, norm))[done]) for norm in ("l0", "l1", "l2", "linf")}
    each = max(len(result), 1)
    return AttackReport(
        _marked(name, result), len(result), _mean(done), BeforeAndAfter(_mean(before), _mean(after)),
        BeforeAndAfter(_mean(before[done]), _mean(after[done])), distances,
        result.forwards / each, result.backwards / each, result.seconds,
    )  # fmt: skip


def spread(values: np.ndarray) -> Spread:
    """Mean, median, 10th and 90th percentile.

    values: (N,).

    Returns: a `Spread`; all nan if there are no values.

    >>> import numpy as np
    >>> from attacks.report.evaluate import spread
    >>> spread(np.arange(11.0)).high
    9.0
    """
    if not values.size:
        return Spread(*[float("nan")] * 4)
    return Spread(_mean(values), *(float(np.percentile(values, q)) for q in (50, 10, 90)))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _check_result(operation: str, result: Any) -> None:
    if not isinstance(result, AttackResult):
        raise DTypeError(operation, "an AttackResult", type(result).__name__)
