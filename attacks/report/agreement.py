"""`agreement`: whether networks that misclassify the same adversarial image predict the same wrong class for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.errors import DTypeError, RangeError

from ..common.goal import Untargeted
from ..common.result import AttackResult
from ..common.victim import as_victim
from .intervals import share
from .tables import Table, Tabled


@dataclass(frozen=True, eq=False)
class Agreement(Tabled):
    """How other networks classify the adversarial images of their source.  ``str()`` returns the table.

    names: of the M other networks.
    misclassified: images that the source misclassifies.
    wrong: of those, how many each of the others misclassifies (M,).
    same: and for how many it predicts the same class as the source (M,).

    >>> import numpy as np
    >>> from attacks.report.agreement import Agreement
    >>> print(Agreement(["softmax"], 100, np.array([80]), np.array([60])))
    Of 100 images that their source misclassifies, % (95 % interval)
    network  misclassified    same class  same, of both wrong
    ---------------------------------------------------------
    softmax   80.0 (71-87)  60.0 (50-69)         75.0 (65-83)
    <BLANKLINE>
    """

    names: list[str]
    misclassified: int
    wrong: np.ndarray
    same: np.ndarray

    def __repr__(self) -> str:
        return f"Agreement({', '.join(self.names)}: {self.misclassified} images)"

    def _tables(self) -> list[Table]:
        n = self.misclassified
        rows = [[name, share(wrong, n), share(same, n), share(same, wrong)]
                for name, wrong, same in zip(self.names, self.wrong.tolist(), self.same.tolist())]  # fmt: skip
        title = f"Of {n} images that their source misclassifies, % (95 % interval)"
        return [(title, ["network", "misclassified", "same class", "same, of both wrong"], rows)]


def agreement(result: AttackResult, y: Any, others: Mapping[str, Any]) -> Agreement:
    """How often other networks predict the same wrong class as the source, for the images that it misclassifies.

    result: of an attack on the source.
    y: the true labels (N,).
    others: by name, networks, functions to logits, or `Victim`s.

    Returns: an `Agreement`.  A network that classifies an image correctly does not agree.  Of the images that both
    misclassify, one in K - 1 would have the same class by chance, if the wrong classes were equally likely.
    Raises: `DTypeError` for anything but an `AttackResult` and a dict, `RangeError` for other labels.
    Source: Goodfellow, Shlens and Szegedy 2014, §8.

    >>> import numpy as np
    >>> from attacks import agreement, fgsm
    >>> from minidl import models
    >>> net, x = models.mlp(seed=0), np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32)
    >>> y = net(x).argmax(axis=1)
    >>> table = agreement(fgsm(net, x, y, epsilon=0.1), y, {"itself": net})
    >>> int(table.same[0]) == table.misclassified
    True
    """
    if not isinstance(result, AttackResult):
        raise DTypeError("agreement", "an AttackResult", type(result).__name__, "agreement(fgsm(net, x, y), y, others)")
    if not isinstance(others, Mapping):
        raise DTypeError("agreement", "networks by name, in a dict", type(others).__name__, '{"name": net}')
    labels, predicted = to_numpy(Untargeted(y).labels), to_numpy(result.adv_pred)
    if labels.shape != predicted.shape:
        raise RangeError("agreement", f"one label per image {predicted.shape}", f"{labels.shape}")
    wrong_there = predicted != labels
    theirs = [to_numpy(as_victim(net).predict(result.x_adv))[wrong_there] for net in others.values()]
    wrong = [(each != labels[wrong_there]).sum() for each in theirs]
    same = [(each == predicted[wrong_there]).sum() for each in theirs]
    return Agreement(list(others), int(wrong_there.sum()), np.array(wrong, np.int64), np.array(same, np.int64))
