"""Linear classifiers: as minidl networks with the same weights, and `svm_step`, the step against one.

Read `plain/svm_step.py` first: the same for one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import ops
from minidl.backend import asarray, namespace
from minidl.core import Array, unbox
from minidl.errors import DTypeError, ShapeError
from minidl.layers import Dense, Flatten
from minidl.models import Sequential

from ..bounded.fgsm import at_each_radius
from ..common.goal import Goal
from ..common.norms import NORMS, as_radii, takes_several
from ..common.run import begin


def linear_network(classifier: Any, input_shape: Sequence[int], dtype: str = "float32") -> Sequential:
    """A trained linear classifier of scikit-learn as a network  Z = x·W + b, which can be differentiated.

    classifier: with `coef_` (K, M), `intercept_` (K,) and `classes_`, such as a LogisticRegression or LinearSVC.  For
    two classes scikit-learn has one row w; the logits are then 0 and w·x + b.
    input_shape: of one image, with M pixels.
    dtype: "float32", or "float64" for logits that agree to the last digits.

    Raises: `DTypeError` for a classifier that is not linear or not trained, whose classes are not 0 … K-1, or that
    compares classes one against one, as SVC does; `ShapeError` for another number of pixels.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from attacks.black_box.linear import linear_network
    >>> trained = SimpleNamespace(coef_=np.eye(3), intercept_=np.zeros(3), classes_=np.arange(3))
    >>> linear_network(trained, (3,))(np.array([[0.1, 0.7, 0.2]])).argmax(axis=1)
    array([1])
    """
    if not all(hasattr(classifier, name) for name in ("coef_", "intercept_", "classes_")):
        fix = "LogisticRegression().fit(rows, labels)"
        raise DTypeError("linear_network", "a linear classifier that is trained", type(classifier).__name__, fix)
    classes, w = np.asarray(classifier.classes_), np.atleast_2d(classifier.coef_)
    if hasattr(classifier, "support_vectors_") or len(w) != (1 if len(classes) == 2 else len(classes)):
        got, fix = f"{type(classifier).__name__} with {w.shape} weights", "LinearSVC().fit(rows, labels)"
        raise DTypeError("linear_network", f"a row of weights for each of {len(classes)} classes", got, fix)
    b = np.broadcast_to(np.asarray(classifier.intercept_).reshape(-1), len(w))
    if classes.dtype.kind not in "iu" or not np.array_equal(classes, np.arange(len(classes))):
        raise DTypeError("linear_network", "a classifier of the labels 0 ... K-1", f"{classes}")
    if len(classes) == 2:
        w, b = np.concatenate([0 * w, w]), np.concatenate([0 * b, b])
    if np.prod(input_shape) != w.shape[1]:
        raise ShapeError("linear_network", f"an input_shape of {w.shape[1]} pixels", f"{tuple(input_shape)}")
    net = Sequential(Flatten(), Dense(len(classes), bias=True), input_shape=input_shape, dtype=dtype)
    net.params = {"dense1.W": asarray(w.T, dtype=dtype), "dense1.b": asarray(b, dtype=dtype)}
    return net


@takes_several
def svm_step(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 5.0,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """One step away from the predicted class of a linear classifier:  x' = x - ε·w_k/‖w_k‖₂.

    w_k is the gradient of the logit of the predicted class k, which a linear classifier has as a column of weights.
    Read `plain.svm_step` first.

    victim: a linear network such as `linear_network` makes; of any other, w_k is the gradient at x.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`, by which success is counted; the step does not depend on it.
    epsilon: the L2 length ε of the step, at least 0.  A sequence returns a list of results, from one gradient.
    clip: whether to keep the images within the bounds, which shortens the step.
    seed: not used: nothing here is random.
    progress: not used: one step needs no bar.

    Returns: an `AttackResult`.
    Raises: as `run.begin` does, and `RangeError` for a negative ε, before any work.
    Source: Papernot, McDaniel and Goodfellow 2016.  ε is an L2 length here: with ε = .3 in L∞, FGSM moves a digit
    by up to 8.4 in L2, so that equal numbers are not equal perturbations.

    >>> import numpy as np
    >>> from attacks import svm_step
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> svm_step(models.softmax_regression(seed=0), x, np.array([3, 5]), epsilon=1.5).l2.round(3)
    array([1.5, 1.5], dtype=float32)
    """
    radii = as_radii("svm_step", epsilon)
    run = begin("svm_step", victim, x, goal, seed, _against_the_prediction)
    return at_each_radius(run, NORMS["l2"].move, run.gradient, radii, epsilon, clip, norm="l2")


def _against_the_prediction(goal: Goal, logits: Array) -> Array:
    """-Z_k of the predicted class k of each example: (N,).  Its gradient is -w_k."""
    k = unbox(logits).argmax(axis=-1)
    return -ops.index(logits, (namespace(k).arange(len(k)), k))
