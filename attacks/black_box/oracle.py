"""`Oracle`: a classifier of which an attacker sees labels only, and a count of the questions that it was asked."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from math import prod
from typing import Any

import numpy as np

from minidl.backend import namespace, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError

from ..common.checks import check_counts
from ..common.precision import check_dtype, in_single
from ..common.victim import LinearizedPart, Victim


class BudgetError(MinidlError, RuntimeError):
    """More queries would be made than an oracle's budget allows; none of them was."""


class Oracle(Victim):
    """Anything that returns labels, as a `Victim` of the attacks that need nothing else.

    predict: a function from images (n, ...) to labels (n,), integers from 0 to K-1 or truth values, as an array or a
    list; it may ask another process, or a server.  Or a `Victim`; or any other object with a method `predict` for rows
    of features (n, M), such as a classifier of scikit-learn: it gets NumPy arrays, one row for each image.
    classes: K, at least 2.
    bounds: the least and the greatest value of a pixel, finite.
    batch_size: how many images are sent at once, at least 1.
    budget: how many images it may be asked about in all, or None.
    executor: a `concurrent.futures.Executor` that asks about several batches at a time, or None.  `predict` has to be
    picklable if it works in other processes.

    It never shows more than labels: its logits are 1 for the label and 0 for all other classes, and it has no gradient.
    `queries` counts the images that it was asked about, before they are sent: after an interrupt or an error, more may
    be counted than were sent, but never fewer.  Labels do not depend on the executor.
    Raises: `BudgetError` for queries beyond the budget, before any of them is made; what `predict` raises; and as
    `Victim` does.

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
        check_counts("Oracle", least=2, classes=classes)
        if not callable(predict) and not hasattr(predict, "predict"):
            got, fix = type(predict).__name__, "Oracle(lambda x: net(x).argmax(axis=1))"
            raise DTypeError("Oracle", "a function from images to labels, or a classifier", got, fix)
        super().__init__(_Asked(predict, int(classes)), bounds, batch_size)
        check_counts("Oracle", least=0, budget=0 if budget is None else budget)
        self.classes, self.budget, self.executor = int(classes), budget, executor
        self._lock = threading.Lock()  # between reading the count and changing it, no other thread may do so

    def __repr__(self) -> str:
        budget = "" if self.budget is None else f", {self.left} left of {self.budget}"
        return f"Oracle({self.classes} classes, {self.queries} queries{budget})"

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
        check_dtype("Oracle", x)
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
        if labels.dtype.kind not in "iub":
            raise DTypeError("Oracle", "integer labels", str(labels.dtype), "labels.astype(int)")
        if not 0 <= labels.min() <= labels.max() < self.classes:
            got = f"labels from {labels.min()} to {labels.max()}"
            fix = "say classes=..." if labels.min() >= 0 else "(labels > 0).astype(int) for -1 and 1"
            raise RangeError("Oracle", f"labels in 0 ... {self.classes - 1}", got, fix)
        return labels.astype(np.int64)


class _Asked:
    """A function of images with an output_shape: a class, so that it can be sent to other processes."""

    def __init__(self, predict: Any, classes: int) -> None:
        self.predict, self.output_shape = predict, (classes,)

    def __call__(self, x: Array) -> Any:
        if callable(self.predict):
            return self.predict(x)
        if isinstance(self.predict, Victim):
            return self.predict.predict(x)
        return self.predict.predict(to_numpy(x).reshape(len(x), prod(x.shape[1:])))
