"""The smallest perturbation that changes what a decision tree predicts (Papernot et al. 2016, but exact)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidl.core import Array


def tree_attack(tree: Any, x: Array, y: int) -> Array:
    """The nearest point, in L2, of the boxes of all leaves with another class than y.

    tree: a trained DecisionTreeClassifier of scikit-learn.
    x, y: an image of one axis (M,), in float32, and its label.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from attacks import plain
    >>> split = SimpleNamespace(  # pixel 0: at most .5 is class 0, more is class 1
    ...     children_left=[1, -1, -1], children_right=[2, -1, -1], feature=[0, -2, -2], threshold=[0.5, -2, -2],
    ...     value=np.array([[[0.5, 0.5]], [[1.0, 0.0]], [[0.0, 1.0]]]))
    >>> tree = SimpleNamespace(tree_=split, classes_=np.arange(2))
    >>> plain.tree_attack(tree, np.array([0.2, 0.9], np.float32), 0).round(4)
    array([0.5, 0.9], dtype=float32)
    """
    nearest = [np.clip(x, low, high) for k, low, high in leaves(tree, np.full_like(x, 0), np.full_like(x, 1)) if k != y]
    return min(nearest, key=lambda X: float(np.linalg.norm(X - x)), default=x)


def leaves(tree: Any, low: Array, high: Array, node: int = 0) -> Iterator[tuple[int, Array, Array]]:
    """Each leaf below a node: its class, and the least and the greatest pixels of the images that end there."""
    t, feature = tree.tree_, tree.tree_.feature[node]
    if t.children_left[node] == t.children_right[node]:
        yield tree.classes_[t.value[node][0].argmax()], low, high
        return
    left = low.dtype.type(t.threshold[node])  # the greatest pixel that goes to the left: one that is ≤ threshold
    left = left if left <= t.threshold[node] else np.nextafter(left, low.dtype.type(-np.inf))
    if low[feature] <= left:
        below = high.copy()
        below[feature] = min(high[feature], left)
        yield from leaves(tree, low, below, t.children_left[node])
    right = np.nextafter(left, low.dtype.type(np.inf))  # the least pixel that goes to the right
    if right <= high[feature]:
        above = low.copy()
        above[feature] = max(low[feature], right)
        yield from leaves(tree, above, high, t.children_right[node])
