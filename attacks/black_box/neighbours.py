"""`SoftNeighbours`: nearest neighbours with a gradient.  All stored points vote, near ones with more weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import ops
from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, RangeError

from ..common.checks import check_number
from ..common.precision import check_dtype, in_single


class SoftNeighbours:
    """A differentiable stand-in for nearest neighbours:  p_k(x) = Σ_{i: y_i = k} softmax_i(-‖x - x_i‖²/T).

    points: x_i (P, ...), floating point.
    labels: y_i (P,), integers, each of 0 … K-1 at least once.
    temperature: T > 0, in units of squared distances.  The smaller, the closer to the single nearest neighbour.

    Called with images x (N, ...), it returns logits (N, K):  Z_k = log Σ_{i: y_i = k} exp(-‖x - x_i‖²/T),  of which
    softmax makes p_k.
    Raises: `RangeError` for a temperature that is not above 0, or for a class without a point; `DTypeError` for points
    that are no floating-point numbers, or labels that are no integers.
    Source: Papernot, McDaniel and Goodfellow 2016, with T = 1.

    >>> import numpy as np
    >>> from attacks.black_box.neighbours import SoftNeighbours
    >>> f = SoftNeighbours(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1]))
    >>> f(np.array([[0.2, 0.1]])).round(2)
    array([[-0.05, -1.45]])
    """

    def __init__(self, points: Array, labels: Array, temperature: float = 1.0) -> None:
        self.temperature = check_number("SoftNeighbours", "a temperature above 0", temperature, but=0)
        check_dtype("SoftNeighbours", points)
        classes = to_numpy(labels)
        if classes.dtype.kind not in "iu":
            raise DTypeError("SoftNeighbours", "labels of an integer dtype", f"{classes.dtype}", "labels.astype(int)")
        counts = np.bincount(classes) if classes.size and classes.min() >= 0 else np.zeros(1, int)
        if len(classes) != len(points) or not counts.all():
            got = f"{len(points)} points, and {counts.tolist()} of each class"
            raise RangeError("SoftNeighbours", "a label for each point, and a point of each class", got)
        by_class = np.argsort(classes, kind="stable")
        rows = to_numpy(in_single(points)).reshape(len(points), -1)[by_class]
        self.points: Any = asarray(rows)
        self.ends = [0, *np.cumsum(counts).tolist()]
        self.input_shape, self.output_shape = tuple(points.shape[1:]), (len(counts),)
        self.dtype = str(rows.dtype)

    def __call__(self, x: Array) -> Array:
        rows = ops.reshape(x, (len(x), -1))
        squared = ops.sum(rows**2, axis=-1, keepdims=True) - 2 * (rows @ self.points.T) + (self.points**2).sum(axis=-1)
        closeness = -squared / self.temperature
        by_class = zip(self.ends, self.ends[1:])
        return ops.stack([ops.logsumexp(closeness[:, first:last], axis=-1) for first, last in by_class], axis=-1)
