"""Pixels in units of their bounds, from 0 to 1, so that distances mean the same for all images.

An attack that weighs distances against logits, or starts with a step of a certain size, has constants for that.  In
these units they mean the same for bytes (0 to 255), for pixels from -1 to 1, and for any others.
"""

from __future__ import annotations

from math import prod

from minidl.backend import kernels, namespace
from minidl.core import Array

from .run import Run


class Units:
    """The images of a run in units of its bounds: `start` (N, M), flat, with 0 for the low bound and 1 for the high."""

    def __init__(self, run: Run) -> None:
        self.run, (self.low, self.high) = run, run.victim.bounds
        self.width = self.high - self.low
        self.start = self.of(run.x.reshape(len(run.x), prod(run.x.shape[1:])))

    def of(self, x: Array) -> Array:
        """Pixels in units of the bounds."""
        return namespace(x).clip((x - self.low) / self.width, 0, 1)  # the quotient may have been rounded up

    def images(self, u: Array, rows: Array) -> Array:
        """u (n, M) as a batch of images; rows (n,): from which images of the run they were made.

        A pixel that has not moved is returned exactly as it was, in spite of rounding.
        """
        xp, gather = namespace(u), kernels(u).gather
        origin = gather(self.run.x, rows)
        pixels = xp.clip(self.low + self.width * u, self.low, self.high).reshape(origin.shape)
        unmoved = (u == gather(self.start, rows)).reshape(origin.shape)
        return self.run.as_returned(xp.where(unmoved, origin, pixels), origin)
