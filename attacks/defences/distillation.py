"""Defensive distillation (Papernot et al. 2016): a network trained on another's soft labels, at a high temperature.

At temperature T, logits are divided by T before the softmax.  A network trained at T = 100 has logits about a hundred
times as large.  Used afterwards at T = 1, its probabilities are 1 and 0 up to rounding, and the gradient of its
cross-entropy is 0.  So attacks that follow this gradient stop, and those that follow the logits go on: the gradient is
masked, and the network no more robust than before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minidl import losses, ops
from minidl.core import Array, unbox
from minidl.data import Dataset
from minidl.errors import DTypeError, ShapeError
from minidl.models import Sequential
from minidl.train import History, fit

from ..common.checks import check_number


@dataclass(frozen=True)
class AtTemperature:
    """Cross-entropy at temperature T, a loss for `train.fit`: that of logits/T.

    temperature: T, above 0; else `RangeError`.

    >>> import numpy as np
    >>> from attacks.defences.distillation import AtTemperature
    >>> AtTemperature(2.0)(np.array([[2.0, 0.0]]), np.array([0])).round(4)
    array([0.3133])
    """

    temperature: float

    def __post_init__(self) -> None:
        check_number("AtTemperature", "a temperature above 0, finite", self.temperature, but=0)

    def __call__(self, logits: Array, labels: Array) -> Array:
        return losses.cross_entropy(logits / self.temperature, labels, "none", check=False)


@dataclass(frozen=True, eq=False)
class Distillation:
    """-Σ_k p_k log q_k, the mean over a batch: an objective for `train.fit`, by which a student copies a teacher.

    p = softmax(Z/T) are the teacher's soft labels, constants, and q the student's probabilities, also at T.  The labels
    of the data set are not used.

    teacher: a network, or a function from inputs (N, ...) to logits (N, K).
    temperature: T, above 0.

    Raises: `DTypeError` for a teacher that cannot be called, `RangeError` for other temperatures; when called,
    `ShapeError` for another number of classes.
    Source: Hinton, Vinyals and Dean 2015; Papernot, McDaniel, Wu, Jha and Swami 2016, eq. 9.

    >>> import numpy as np
    >>> from attacks.defences.distillation import Distillation
    >>> from minidl import Dataset, fit, models
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> soft = Distillation(models.softmax_regression(seed=1), temperature=20.0)
    >>> len(fit(models.softmax_regression(), data, epochs=1, objective=soft, progress=False))
    1
    """

    teacher: Callable[[Array], Array]
    temperature: float = 100.0

    def __post_init__(self) -> None:
        if not callable(self.teacher):
            raise DTypeError("Distillation", "a network or a function as the teacher", type(self.teacher).__name__)
        check_number("Distillation", "a temperature above 0, finite", self.temperature, but=0)

    def __call__(self, net: Sequential, params: dict[str, Array], x: Array, y: Array, moment: Any) -> Array:
        theirs, ours = unbox(self.teacher(x)), net.apply(params, x, moment.rng)
        if theirs.shape != ours.shape:
            got = f"a teacher's logits {theirs.shape} and a student's {ours.shape}"
            raise ShapeError("Distillation", "two networks of the same classes", got)
        soft_labels = losses.softmax(theirs / self.temperature)
        return -ops.mean(ops.sum(soft_labels * losses.log_softmax(ours / self.temperature), axis=-1))


def distill(
    teacher: Sequential, student: Sequential, dataset: Dataset, *, temperature: float = 100.0, **options: Any
) -> tuple[History, History]:
    """Train a teacher at temperature T, and a student on its soft labels at T, both in place.

    teacher, student: networks of the same inputs and classes, as they start.
    dataset: a `Dataset`.
    temperature: T, above 0.
    options: of `fit`, for both: epochs, optimizer, ….  Without `checkpoint`: the two runs would share it.

    Returns: the two histories.  After Ctrl-C in the first training there is no second.
    Raises: as `fit` does; `DTypeError` for a checkpoint or a network that is its own teacher.

    Use the student at T = 1: ``student(x)`` are its logits.  An attacker who knows of T attacks ``student(x)/T``.

    >>> import numpy as np
    >>> from attacks.defences.distillation import distill
    >>> from minidl import Dataset, models
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> teacher, student = models.softmax_regression(seed=0), models.softmax_regression(seed=1)
    >>> [len(history) for history in distill(teacher, student, data, epochs=2, progress=False)]
    [2, 2]
    """
    if teacher is student:
        raise DTypeError("distill", "two networks", "one, twice", "make another with its own seed")
    if options.get("checkpoint") is not None:
        fix = "call fit twice: with loss=AtTemperature(T), then objective=Distillation(teacher, T)"
        raise DTypeError("distill", "no checkpoint", repr(options["checkpoint"]), fix)
    soft = Distillation(teacher, temperature)
    first = fit(teacher, dataset, loss=AtTemperature(temperature), **options)
    if first.interrupted:
        return first, History(interrupted=True)
    return first, fit(student, dataset, objective=soft, **options)
