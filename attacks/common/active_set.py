"""The examples that an attack still works on.  Most are done long before the last, and then cost no more runs.

active = ActiveSet(rows)             # rows (n,): their places in the batch
active.x = active.gather(x)          # their rows of a batch (N, ...): (n, ...)
active.drop(done)                    # done (n,) bool: they leave, and rows and x get shorter
active.scatter(x_adv, active.x)      # back into their rows of a batch (N, ...)
"""

from __future__ import annotations

from types import SimpleNamespace

from minidl.backend import kernels, namespace
from minidl.core import Array


class ActiveSet(SimpleNamespace):
    """The active rows of a batch, and arrays that have an entry for each of them.

    rows: (n,), integer, their places in the batch.
    arrays: others (n, ...), by name; more may be assigned later.  When rows are dropped, all of them get shorter; None
    stays None.

    >>> import numpy as np
    >>> from attacks.common.active_set import ActiveSet
    >>> active = ActiveSet(np.arange(3), x=np.array([0.1, 0.2, 0.3]))
    >>> active.drop(np.array([True, False, False]))
    >>> active.rows, active.x
    (array([1, 2]), array([0.2, 0.3]))
    """

    def __init__(self, rows: Array, **arrays: Array) -> None:
        super().__init__(rows=rows, **arrays)

    @classmethod
    def without(cls, done: Array) -> ActiveSet:
        """The examples of a batch that are not done (N,) bool."""
        return cls(namespace(done).nonzero(~done)[0])

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, batch: Array) -> Array:
        """The active rows of a batch (N, ...): a copy (n, ...)."""
        return kernels(batch).gather(batch, self.rows)

    def scatter(self, batch: Array, values: Array, where: Array | None = None) -> None:
        """Write values (n, ...) into the active rows of a batch (N, ...): all, or those where `where` (n,) is true."""
        if where is None:
            batch[self.rows] = values
        else:
            batch[self.rows[where]] = values[where]

    def drop(self, done: Array) -> None:
        """Remove the rows that are done (n,), bool.  All arrays change at once, also if Ctrl-C is pressed."""
        if done.any():
            left = ActiveSet.without(done)
            vars(self).update({name: a if a is None else left.gather(a) for name, a in vars(self).items()})

    def count(self, iterations: Array) -> None:
        """Add 1 to the iterations (N,) of the active rows."""
        iterations[self.rows] += 1
