"""The examples that an attack still works on: most are done long before the last, and need no more runs of the network.

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
    """`rows` (n,), which rows of a batch are at work, and every array (n, ...) that is assigned to it.  None stays."""

    def __init__(self, rows: Array, **arrays: Array) -> None:
        super().__init__(rows=rows, **arrays)

    @classmethod
    def standing(cls, done: Array) -> ActiveSet:
        """Those of a batch that are not done, (N,) bool."""
        return cls(namespace(done).nonzero(~done)[0])

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, batch: Array) -> Array:
        """Their rows of a batch (N, ...): a copy, (n, ...)."""
        return kernels(batch).gather(batch, self.rows)

    def scatter(self, batch: Array, values: Array, where: Array | None = None) -> None:
        """Write values (n, ...) into their rows of a batch (N, ...): into all, or `where` (n,) bool says so."""
        if where is None:
            batch[self.rows] = values
        else:
            batch[self.rows[where]] = values[where]

    def drop(self, done: Array) -> None:
        """Who is done, (n,) bool, leaves.  All arrays lose their rows at once, whenever Ctrl-C may come."""
        if done.any():
            left = ActiveSet.standing(done)
            vars(self).update({name: a if a is None else left.gather(a) for name, a in vars(self).items()})

    def count(self, iterations: Array) -> None:
        """One more iteration (N,) for each of them."""
        iterations[self.rows] += 1
