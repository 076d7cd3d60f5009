"""`transfer_matrix`: which models misclassify the adversarial images that were made for others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, ShapeError
from minidl.progress import bar

from ..common.goal import Untargeted
from ..common.result import AttackResult
from ..common.victim import as_victim
from . import plots
from .intervals import share, wilson
from .tables import Table, Tabled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TransferMatrix(Tabled):
    """How often each target (column) misclassifies the adversarial images of each source (row).

    sources, targets: their names, S and T of them.
    counts: of examples that both classify correctly before the attack (S, T).
    successes: of those, how many the target misclassifies after it (S, T).
    l2: the mean L2 length of the perturbations of each source (S,), over all its examples.

    >>> import numpy as np
    >>> from attacks.report.transfer import TransferMatrix
    >>> m = TransferMatrix(["a"], ["a", "b"], np.array([[100, 50]]), np.array([[90, 10]]), np.array([1.5]))
    >>> m.rates.tolist(), m.interval()[0, 1].round(2).tolist()
    ([[0.9, 0.2]], [0.11, 0.33])
    """

    sources: list[str]
    targets: list[str]
    counts: np.ndarray
    successes: np.ndarray
    l2: np.ndarray

    @property
    def rates(self) -> np.ndarray:
        """successes/counts: (S, T), from 0 to 1, nan where no example is counted."""
        return np.where(self.counts, self.successes / np.maximum(self.counts, 1), np.nan)

    def interval(self) -> np.ndarray:
        """The 95 % interval of each rate, (S, T, 2), as if each example were an independent draw (Wilson 1927)."""
        return wilson(self.successes, self.counts)

    def __repr__(self) -> str:
        return f"TransferMatrix({len(self.sources)} sources, {len(self.targets)} targets)"

    def _tables(self) -> list[Table]:
        cells = [[share(*pair) for pair in zip(*row)] for row in zip(self.successes.tolist(), self.counts.tolist())]
        rows = [[source, f"{length:.2f}", *row] for source, length, row in zip(self.sources, self.l2, cells)]
        counted = f"{self.counts.min()} to {self.counts.max()} examples" if self.counts.size else "no examples"
        title = f"Misclassified by the target, % (95 % interval), of {counted} that both classify correctly"
        return [(title, ["source", "mean L2", *self.targets], rows)]

    def figure(self, title: str = "Misclassified by the target, %") -> Figure:
        """The matrix in colours, with its numbers."""
        return plots.matrix(
            100 * self.rates, title=title, label="%", form="{:.0f}", rows=self.sources, columns=self.targets,
            limits=(0, 100), row_label="source", column_label="target",
        )  # fmt: skip


def transfer_matrix(
    sources: Mapping[str, Any],
    targets: Mapping[str, Any],
    attack: Callable[[Any, Array, Array], AttackResult],
    x: Array,
    y: Array,
    *,
    progress: bool = False,
) -> TransferMatrix:
    """Attack each source, and count which targets misclassify the images.

    sources: by name, what the attack takes as its victim: networks, or anything else.
    targets: by name, what to test: networks, functions to logits, `Victim`s or `Oracle`s.
    attack: ``attack(source, x, y)`` returns an `AttackResult`, such as ``partial(fgsm, epsilon=0.3)``.
    x: images (N, ...), floating point.
    y: labels (N,), integers.
    progress: whether to show a bar over the sources.

    Returns: a `TransferMatrix`.  An example counts for a pair if source and target both classify it correctly as it is;
    it is a success if the target misclassifies the adversarial image, also where the source does not.
    Raises: as the attack does; `DTypeError` for one that returns something else; `ShapeError` if there is nothing to
    attack or to test.  Ctrl-C raises `KeyboardInterrupt`, also if the attack itself would return what it has reached.

    >>> import numpy as np
    >>> from functools import partial
    >>> from attacks import fgsm, transfer_matrix
    >>> from minidl import models
    >>> nets = {"mlp": models.mlp(seed=0), "softmax": models.softmax_regression(seed=0)}
    >>> x = np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32)
    >>> transfer_matrix(nets, nets, partial(fgsm, epsilon=0.1), x, nets["mlp"](x).argmax(axis=1)).rates.shape
    (2, 2)
    """
    for each in (sources, targets):
        if not isinstance(each, Mapping):
            fix = '{"name": net}'
            raise DTypeError("transfer_matrix", "sources and targets by name, in dicts", type(each).__name__, fix)
    if not sources or not targets:
        got = f"{len(sources)} sources and {len(targets)} targets"
        raise ShapeError("transfer_matrix", "at least one source and one target", got)
    goal = Untargeted(y)
    if goal.labels.shape != (len(x),):
        raise ShapeError("transfer_matrix", f"one label per image ({len(x)},)", f"{goal.labels.shape}")
    victims = {name: as_victim(target) for name, target in targets.items()}
    correct = {name: to_numpy(victim.predict(x) == goal.labels) for name, victim in victims.items()}
    counts, successes, lengths = [], [], []
    for source in bar(sources.values(), "Transfer", progress, unit="source"):
        result = attack(source, x, y)
        if not isinstance(result, AttackResult):
            raise DTypeError("transfer_matrix", "an attack that returns an AttackResult", type(result).__name__)
        if result.params.get("interrupted"):
            raise KeyboardInterrupt  # a matrix of half an attack would look like a weak one
        by_source = to_numpy(result.clean_pred == goal.labels)
        wrong = {each: to_numpy(victim.predict(result.x_adv) != goal.labels) for each, victim in victims.items()}
        counts.append([(by_source & correct[each]).sum() for each in victims])
        successes.append([(by_source & correct[each] & wrong[each]).sum() for each in victims])
        lengths.append(float(result.l2.mean()) if len(result) else float("nan"))
    return TransferMatrix(list(sources), list(targets), np.array(counts), np.array(successes), np.array(lengths))
