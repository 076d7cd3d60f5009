"""`Oracle`: a classifier of which an attacker sees labels only, and a count of the questions that it was asked."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import Any

import numpy as np

from minidl.backend import namespace, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError

from ..common.checks import check_counts
from ..common.precision import in_single
from ..common.victim import LinearizedPart, Victim


class BudgetError(MinidlError, RuntimeError):
    """More queries would be made than an oracle's budget allows; none of them was."""


class Oracle(Victim):
    """Anything that returns labels, as a `Victim` of the attacks that need nothing else.

    predict: a function from images (n, ...) to labels (n,), integers from 0 to K-1, as an array or a list; it may ask
    another process, or a server.  Or an object with a method `predict` for rows of features (n, M), such as a
    classifier of scikit-learn: it gets NumPy arrays, one row for each image.
    classes: K, at least 2.
    bounds: the least and the greatest value of a pixel, finite.
    batch_size: how many images are sent at once, at least 1.
    budget: how many images it may be asked about in all, or None.
    executor: a `concurrent.futures.Executor` that asks about several batches at a time, or None.  `predict` has to be
    picklable if it works in other processes.

    It never shows more than labels: its logits are 1 for the label and 0 for all other classes, and it has no gradient.
    `queries` counts the images that it was asked about, before they are sent: after an interrupt, too, no image was
    sent that is not counted.  Labels do not depend on the executor.
    Raises: `BudgetError` for queries beyond the budget, before any of them is made, and as `Victim` does.

    >>> import numpy as np
    >>> from attacks import Oracle
    >>> oracle = Oracle(lambda x: (x.mean(axis=(1, 2, 3)) > 0.5).astype(int), classes=2, budget=100)
    >>> oracle.predict(np.full((3, 1, 28, 28), 0.9)).tolist(), oracle.queries, oracle.left
    ([1, 1, 1], 3, 97)
    """

    def __init__(
        self, predict: Any, *, classes: int = 10, bounds: Any = (0, 1), batch_size: Any = 1000,
        budget: int | None = None, executor: Executor | None = None,
    ) -> None:  # fmt: skip
        asked = _of_rows(predict) if hasattr(predict, "predict") else predict
        super().__init__(asked, bounds, batch_size)
        check_counts("Oracle", least=2, classes=classes)
        check_counts("Oracle", least=0, budget=0 if budget is None else budget)
        self.classes, self.budget, self.executor = int(classes), budget, executor
        self._lock = threading.Lock()  # between reading the count and changing it, no other thread may do so

    @property
    def left(self) -> float:
        """How many queries are left: infinitely many without a budget."""
        return float("inf") if self.budget is None else self.budget - self.queries

    def check_budget(self, operation: str, needed: int) -> None:
        """Raise `BudgetError` if fewer than `needed` queries are left.  An attack can ask this before any work."""
        if needed > self.left:
            got = f"{self.left} left of {self.budget}"
            raise BudgetError(operation, f"a budget for {needed} queries", got, "ask for fewer, or say budget=...")

    def predict(self, x: Array) -> Array:
        """The labels (N,), int64, of images x (N, ...): N queries."""
        x = in_single(x)
        with self._lock:
            self.check_budget("Oracle", len(x))
            self.queries += len(x)
            self.forwards += len(x)
        batches = [x[part] for part in self.parts(x)] if len(x) else []
        ask = map if self.executor is None else self.executor.map
        labels = [self._checked(answer, len(batch)) for answer, batch in zip(ask(self.net, batches), batches)]
        return namespace(x).asarray(np.concatenate([np.zeros(0, np.int64), *labels]))

    def logits(self, x: Array) -> Array:
        """1 for the label and 0 for all other classes: (N, K), in the dtype of x."""
        xp, labels = namespace(x), self.predict(x)
        return (xp.arange(self.classes) == labels[:, None]).astype(in_single(x).dtype)

    def linearize(self, x: Array) -> LinearizedPart:
        """Raise `DTypeError`: an oracle has no gradient."""
        fix = "attack a substitute of it (`substitute`), or use `hopskipjump`, which needs labels only"
        raise DTypeError("Oracle", "an attack that needs no gradient", "one that asks for it", fix)

    def _checked(self, answer: Any, count: int) -> np.ndarray:
        """The answer for a batch of that size, as labels (n,)."""
        labels = np.asarray(to_numpy(answer))
        if labels.shape != (count,):
            fix = "net(x).argmax(axis=1)" if labels.shape == (count, self.classes) else ""
            raise ShapeError("Oracle", f"a label for each of {count} images", f"answers of shape {labels.shape}", fix)
        if labels.dtype.kind not in "iu":
            raise DTypeError("Oracle", "integer labels", str(labels.dtype), "labels.astype(int)")
        if not 0 <= labels.min() <= labels.max() < self.classes:
            got = f"labels from {labels.min()} to {labels.max()}"
            raise RangeError("Oracle", f"labels in 0 ... {self.classes - 1}", got, "say classes=...")
        return labels.astype(np.int64)


class _of_rows:
    """The `predict` of a classifier of rows, for images: a class, so that it can be sent to another process."""

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def __call__(self, x: Array) -> Any:
        return self.classifier.predict(to_numpy(x).reshape(len(x), -1))
