"""`tree_attack`: the exact smallest perturbation that changes what a decision tree predicts.

A tree cuts the space of images into boxes, one for each leaf: on the way to it, each split says that one feature is at
most, or more than, a threshold.  The nearest point of a box is the image clipped to it.  So the answer is the nearest
of the boxes of other classes, and no search is needed.

Read `plain/tree_attack.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from minidl.backend import namespace, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.progress import bar

from ..common.precision import check_dtype
from ..common.result import AttackResult
from ..common.run import begin
from .oracle import Oracle

#: The length of perturbations (..., features), by the name of the norm.
LENGTHS = {
    "l2": lambda d: np.sqrt((d.astype(np.float64) ** 2).sum(axis=-1)),
    "l1": lambda d: abs(d.astype(np.float64)).sum(axis=-1),
    "linf": lambda d: abs(d).max(axis=-1, initial=0),
    "l0": lambda d: (d != 0).sum(axis=-1),
}
AT_ONCE = 2**24  # numbers in memory: examples times leaves times features of a path


def tree_attack(
    tree: Any,
    x: Array,
    goal: Any,
    *,
    norm: str = "l2",
    bounds: Any = (0, 1),
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """The smallest perturbation that changes what a decision tree predicts, exactly.  Read `plain.tree_attack` first.

    tree: a trained DecisionTreeClassifier of scikit-learn, with integer labels from 0 on.
    x: images (N, ...), floating point, within the bounds; one feature for each pixel.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    norm: which length is smallest: "l2", "l1", "linf", or "l0" for the number of changed pixels.  Of leaves at equal
    distances, the first is taken.
    bounds: the least and the greatest value of a pixel, finite.
    seed: not used: nothing here is random.
    progress: whether to show a bar over the images.

    Returns: an `AttackResult`.  An example fails only if no leaf that would do lies within the bounds; x is then
    returned.
    Raises: as `run.begin` does, and `DTypeError` for a tree that is not trained, or none at all.
    Source: Papernot, McDaniel and Goodfellow 2016, look for a leaf of another class in the neighbourhood of x's
    own, from its parent upwards.  A leaf that is near in the tree may be far in space, and features that the path tests
    twice can be undone; so we compare all leaves.  scikit-learn compares features in float32, and so do we: for x in
    float64, distances are exact to one rounding error of float32.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from attacks import tree_attack
    >>> split = SimpleNamespace(  # pixel 0: at most .5 is class 0, more is class 1
    ...     children_left=np.array([1, -1, -1]), children_right=np.array([2, -1, -1]), feature=np.array([0, -2, -2]),
    ...     threshold=np.array([0.5, -2, -2]), value=np.array([[[0.5, 0.5]], [[1.0, 0.0]], [[0.0, 1.0]]]))
    >>> tree = SimpleNamespace(
    ...     tree_=split, classes_=np.arange(2), predict=lambda rows: (rows[:, 0] > 0.5).astype(int))
    >>> result = tree_attack(tree, np.array([[0.2, 0.9]]), np.array([0]))
    >>> result.x_adv.round(4), result.success
    (array([[0.5, 0.9]]), array([ True]))
    """
    if not isinstance(norm, str) or norm not in LENGTHS:
        raise RangeError("tree_attack", f"a norm of {sorted(LENGTHS)}", repr(norm))
    check_dtype("tree_attack", x)
    leaves = Leaves.of(tree, x)
    run = begin("tree_attack", Oracle(tree, classes=max(leaves.classes, 2), bounds=bounds), x, goal, seed)
    low, high = leaves.low.clip(run.victim.bounds[0]), leaves.high.clip(None, run.victim.bounds[1])
    possible = (low <= high).all(axis=-1)  # within the bounds
    rows, active = to_numpy(run.x).reshape(len(x), prod(x.shape[1:])), to_numpy(run.not_yet_successful().rows)
    moved, steps = rows.copy(), np.zeros(len(x), np.int64)
    goal, size = type(run.goal)(to_numpy(run.goal.labels)), max(1, AT_ONCE // max(low.size, 1))
    with run.interruptible(), bar(range(len(active)), "Tree attack", progress, unit="image") as images_bar:
        for part in (active[i : i + size] for i in range(0, len(active), size)):
            tested = rows[part[:, None, None], leaves.features]  # (n, L, D)
            would_do = goal.take(part[:, None]).achieved(leaves.label) & possible
            distance = np.where(would_do, LENGTHS[norm](into(tested, low, high) - tested), np.inf)
            reached = np.isfinite(distance).any(axis=1)
            for i, leaf in zip(part[reached], distance.argmin(axis=1)[reached]):
                places = slice(leaves.tests[leaf])
                features = leaves.features[leaf, places]
                moved[i, features] = into(rows[i, features], low[leaf, places], high[leaf, places])
                steps[i] = 1
            images_bar.update(len(part))
    asarray = namespace(run.x).asarray
    return run.end(asarray(moved.reshape(x.shape)), asarray(steps), norm=norm)


@dataclass(frozen=True)
class Leaves:
    """The boxes of a tree's L leaves, of which each tests at most D features on its path.

    label: (L,), the class of each.
    tests: (L,), how many features it tests.
    features: (L, D), which these are, and then zeros.
    low, high: (L, D), the least and the greatest value that they may have, in the dtype of the images; then ±∞.
    classes: K, one more than the greatest label.
    """

    label: np.ndarray
    tests: np.ndarray
    features: np.ndarray
    low: np.ndarray
    high: np.ndarray
    classes: int

    @staticmethod
    def of(tree: Any, x: Any) -> Leaves:
        """The leaves of a trained tree, for images in the dtype of x."""
        if not hasattr(tree, "tree_") or not hasattr(tree, "classes_"):
            fix = "DecisionTreeClassifier().fit(rows, labels)"
            raise DTypeError("tree_attack", "scikit-learn's decision tree, trained", type(tree).__name__, fix)
        several_outputs = isinstance(tree.classes_, list)
        labels = np.zeros(0) if several_outputs else np.asarray(tree.classes_)
        if labels.dtype.kind not in "iu" or labels.min() < 0:
            raise DTypeError("tree_attack", "a tree of one label each, integers from 0 on", f"{tree.classes_}")
        known = getattr(tree, "n_features_in_", prod(x.shape[1:]))
        if prod(x.shape[1:]) != known:
            raise ShapeError("tree_attack", f"images of {known} pixels, one for each feature", f"{x.shape}")
        boxes, kinds = [], []
        nodes: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})]  # the root: nothing is tested yet
        while nodes:
            node, box = nodes.pop()
            left, right = tree.tree_.children_left[node], tree.tree_.children_right[node]
            if left == right:  # a leaf
                boxes.append(box)
                kinds.append(labels[tree.tree_.value[node][0].argmax()])
                continue
            feature, threshold = int(tree.tree_.feature[node]), tree.tree_.threshold[node]
            low, high = box.get(feature, (-np.inf, np.inf))
            nodes.append((right, {**box, feature: (max(low, just_above(threshold, x)), high)}))
            nodes.append((left, {**box, feature: (low, min(high, at_most(threshold, x)))}))
        most = max(len(box) for box in boxes)
        features = np.zeros((len(boxes), most), int)
        bounds = np.full((2, len(boxes), most), [[[-np.inf]], [[np.inf]]], x.dtype)
        for leaf, box in enumerate(boxes):
            for place, (feature, (low, high)) in enumerate(box.items()):
                features[leaf, place], bounds[:, leaf, place] = feature, (low, high)
        tests = np.array([len(box) for box in boxes])
        return Leaves(np.array(kinds), tests, features, bounds[0], bounds[1], int(labels.max()) + 1)


def into(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """x clipped to a box; but a pixel of float64 stays where it is if it is inside once it is rounded to float32."""
    compared = x.astype(np.float32) if x.dtype.itemsize > 4 else x
    return np.where((compared < low) | (compared > high), np.clip(x, low, high), x)


def at_most(threshold: float, x: Any) -> float:
    """The greatest value of the dtype of x, and of float32, that a split sends to the left: value ≤ threshold."""
    kind = compared_as(x)
    value = kind(threshold)
    return float(value if float(value) <= threshold else np.nextafter(value, kind(-np.inf)))


def just_above(threshold: float, x: Any) -> float:
    """The least value of the dtype of x, and of float32, that a split sends to the right: value > threshold."""
    kind = compared_as(x)
    return float(np.nextafter(kind(at_most(threshold, x)), kind(np.inf)))


def compared_as(x: Any) -> Any:
    """The type that pixels of x have when they are compared: float32, or half precision, all of which it has, too."""
    return np.dtype(x.dtype if x.dtype.itemsize < 4 else np.float32).type
