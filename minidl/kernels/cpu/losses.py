"""Cross-entropy and its gradient, a row at a time.

Not relaxed: a compiler that may reorder sums would undo the subtraction of the maximum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import reference, threads
from .compiled import compiled, twin

Array = Any


@compiled(relaxed=False)
def _cross_entropy(first, last, z, labels, out):
    """-log p_label of rows first … last."""
    for n in range(first, last):
        top, total = z[n].max(), z.dtype.type(0)
        for k in range(z.shape[1]):
            total += np.exp(z[n, k] - top)
        out[n] = np.log(total) - (z[n, labels[n]] - top)


@compiled(relaxed=False)
def _cross_entropy_gradient(first, last, z, labels, out):
    """p - onehot of rows first … last, with -Σ_{j≠label} p_j in the place of the label."""
    for n in range(first, last):
        top, total, others = z[n].max(), z.dtype.type(0), z.dtype.type(0)
        for k in range(z.shape[1]):
            out[n, k] = np.exp(z[n, k] - top)
            total += out[n, k]
        for k in range(z.shape[1]):
            out[n, k] /= total
            others += out[n, k] if k != labels[n] else z.dtype.type(0)
        out[n, labels[n]] = -others


def _name_classes(labels: Array, z: Array) -> bool:
    """Whether the loops may use the labels as they are: as indices, unchecked."""
    return labels.shape == z.shape[:-1] and 0 <= labels.min() <= labels.max() < z.shape[-1]


def _logits_and_labels(z: Array, labels: Array) -> tuple[Array, Array]:
    rows = np.ascontiguousarray(z).reshape(labels.size, z.shape[-1])
    return rows, np.ascontiguousarray(labels, dtype=np.int64).reshape(labels.size)


@twin(integers=True)
def cross_entropy(z: Array, labels: Array) -> Array:
    if not _name_classes(labels, z):
        return reference.cross_entropy(z, labels)
    out = np.empty(labels.shape, z.dtype)
    threads.share(_cross_entropy, labels.size, 10 * z.size, *_logits_and_labels(z, labels), out.reshape(labels.size))
    return out


@twin(integers=True)
def cross_entropy_gradient(z: Array, labels: Array) -> Array:
    if not _name_classes(labels, z):
        return reference.cross_entropy_gradient(z, labels)
    rows, flat = _logits_and_labels(z, labels)
    out = np.empty(rows.shape, z.dtype)
    threads.share(_cross_entropy_gradient, labels.size, 10 * z.size, rows, flat, out)
    return out.reshape(z.shape)
