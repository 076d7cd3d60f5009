"""What training minimises, and attacks maximise: cross-entropy on logits, squared error, penalties.

A loss for `train.fit` is a function of logits (n, K) and labels (n,) that returns one number per example, (n,).  It is
built of minidl operations, so that it has a derivative.  `CrossEntropy` makes such losses.

Logits z (..., K) are the outputs of a network's last layer, before any softmax; p = softmax(z) are the probabilities.
Cross-entropy is a primitive: ∂(cross-entropy)/∂z = p - onehot(y) is one rule, stable for logits of any size, instead of
a chain of exponentials and logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import ops
from .backend import kernels, namespace
from .core import Array, Primitive, unbox
from .errors import DTypeError, RangeError, ShapeError
from .reductions import _softmax, log_softmax, over_classes, softmax

__all__ = [
    "CrossEntropy",
    "Loss",
    "Penalty",
    "binary_cross_entropy",
    "cross_entropy",
    "l1",
    "l2",
    "log_softmax",
    "softmax",
    "squared_error",
]

#: What `train.fit` can minimise: logits (n, K) and labels (n,) to a number for each example, (n,).
Loss = Callable[[Array, Array], Array]

# J_row = (p - onehot)ᵀ; and the derivative of p - onehot is that of p
_cross_entropy: Primitive = Primitive(
    "cross_entropy",
    over_classes("cross_entropy"),
    push=[lambda t, y, z, labels: ops.sum(_gradient(z, labels) * t, axis=-1)],
    pull=[lambda g, y, z, labels: _gradient(z, labels) * ops.reshape(g, (*g.shape, 1))],
)
_gradient: Primitive = Primitive(
    "cross_entropy_gradient",
    over_classes("cross_entropy_gradient"),
    push=[lambda t, y, z, labels: _softmax.push[0](t, _softmax(z), z)],
    pull=[lambda g, y, z, labels: _softmax.pull[0](g, _softmax(z), z)],
)


def cross_entropy(logits: Array, labels: Array, reduction: str = "mean", check: bool = True) -> Array:
    """-log p_label, with p = softmax(logits).

    logits: (..., K), floating point, of any size.
    labels: (...), integers in 0 … K-1.
    reduction: "mean" over all examples; "sum", whose gradient for one example does not depend on how many examples
    there are; or "none", one number per example.
    check: whether to check the labels.  On a GPU a check waits for the device; `fit` checks all labels once instead.

    Returns: a scalar, or (...) for "none".
    Raises: `DTypeError` for labels that are not integers, `ShapeError` if they do not fit the logits or there is
    nothing to average, `RangeError` for a label outside 0 … K-1 or another reduction.

    >>> import numpy as np
    >>> from minidl import losses
    >>> losses.cross_entropy(np.zeros((2, 10)), np.array([3, 5]), "none").round(4)
    array([2.3026, 2.3026])
    """
    if reduction not in ("mean", "sum", "none"):
        raise RangeError("cross_entropy", "reduction 'mean', 'sum' or 'none'", repr(reduction))
    each = _cross_entropy(logits, check_labels("cross_entropy", labels, logits) if check else labels)
    return each if reduction == "none" else ops.mean(each) if reduction == "mean" else ops.sum(each)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy with label smoothing and class weights, one number per example: a loss for `train.fit`.

    It is w_y·((1-s)·J(z, y) + s·J̄(z)), with J of `cross_entropy`, and J̄ its mean over all K labels.

    label_smoothing: s, at least 0 and below 1: the share of each label that is spread over all classes.
    class_weights: w, a number for each class, at least 0.  With 1/(share of the class), rare classes count as much as
    common ones.  Their sum is not divided by: weights twice as large double the learning rate.

    Raises: `RangeError` for other numbers; when called, `ShapeError` for another number of classes than weights, and as
    `cross_entropy` does.
    Source: label smoothing is from Szegedy et al. 2016, §7.

    >>> import numpy as np
    >>> from minidl import losses
    >>> loss = losses.CrossEntropy(label_smoothing=0.1, class_weights=[1.0, 2.0])
    >>> loss(np.array([[3.0, 0.0], [3.0, 0.0]]), np.array([0, 1])).round(4)
    array([0.1986, 5.7972])
    """

    label_smoothing: float = 0.0
    class_weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise RangeError("CrossEntropy", "label_smoothing in [0, 1)", f"{self.label_smoothing}")
        if self.class_weights is None:
            return
        if not hasattr(self.class_weights, "__len__"):
            got = type(self.class_weights).__name__
            raise DTypeError("CrossEntropy", "class_weights that are a number for each class", got)
        weights = tuple(map(float, self.class_weights))
        if not (all(0 <= w < math.inf for w in weights) and any(weights)):
            expected = "class_weights that are finite and at least 0, one of them above"
            raise RangeError("CrossEntropy", expected, f"{weights}")
        object.__setattr__(self, "class_weights", weights)  # the dataclass is frozen; checkpoints compare its numbers

    def __call__(self, logits: Array, labels: Array) -> Array:
        each = cross_entropy(logits, labels, "none")
        if self.label_smoothing:
            of_all = -ops.mean(log_softmax(logits), axis=-1)
            each = (1 - self.label_smoothing) * each + self.label_smoothing * of_all
        if self.class_weights is None:
            return each
        if len(self.class_weights) != logits.shape[-1]:
            got = f"{len(self.class_weights)} weights for {logits.shape[-1]} classes"
            raise ShapeError("CrossEntropy", "a weight for each class", got)
        return each * namespace(unbox(logits)).asarray(self.class_weights, dtype=logits.dtype)[labels]


def binary_cross_entropy(log_probabilities: Array, labels: Array) -> Array:
    """-log p_y - Σ_{k≠y} log(1 - p_k): each class is a question of its own, whose answer is yes for the label only.

    log_probabilities: log p_k (..., K), floating point, at most 0, such as the outputs of `models.rbf_network`.  They
    need not sum to 1.
    labels: y (...), integers in 0 … K-1.

    Returns: one number per example, (...): a loss for `train.fit`.
    Raises: as `cross_entropy` does for labels.

    1 - p is taken to be at least the rounding error of the dtype, so that the loss is finite where another class has
    p = 1.

    >>> import numpy as np
    >>> from minidl import losses
    >>> losses.binary_cross_entropy(np.log(np.array([[0.5, 0.5]])), np.array([0])).round(4)
    array([1.3863])
    """
    labels = check_labels("binary_cross_entropy", labels, log_probabilities)
    plain = unbox(log_probabilities)
    xp = namespace(plain)
    is_label = xp.arange(plain.shape[-1]) == labels[..., None]
    no = ops.maximum(1 - ops.exp(log_probabilities), float(xp.finfo(plain.dtype).eps))
    return -ops.sum(ops.where(is_label, log_probabilities, ops.log(no)), axis=-1)


def of_each(operation: str, loss: Loss, logits: Array, labels: Array) -> Array:
    """loss(logits, labels), if it is one floating-point number per label (n,); else an error."""
    each = loss(logits, labels)
    expected = f"a loss that returns one floating-point number per example, shape {labels.shape}"
    if not hasattr(each, "dtype") or each.dtype.kind != "f":
        got = f"{type(each).__name__} of dtype {each.dtype}" if hasattr(each, "dtype") else type(each).__name__
        raise DTypeError(operation, expected, got, "use minidl's operations on the logits, and return their array")
    if each.shape != labels.shape:
        fix = "leave out the mean over the examples" if each.ndim == 0 else "sum over the classes: axis=-1"
        raise ShapeError(operation, expected, f"shape {each.shape}", fix)
    return each


def check_labels(operation: str, labels: Array, logits: Array) -> Array:
    """The labels, if there is an integer in 0 … K-1 for each row of logits (..., K); else an error."""
    if getattr(getattr(labels, "dtype", None), "kind", "") not in ("i", "u"):
        got = str(getattr(labels, "dtype", type(labels).__name__))
        raise DTypeError(operation, "labels of an integer dtype", got, as_labels(labels))
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        got = f"labels {labels.shape} for logits {logits.shape}"
        raise ShapeError(operation, "one label per row of logits", got, as_labels(labels, rank=logits.ndim - 1))
    if labels.size and not 0 <= labels.min() <= labels.max() < logits.shape[-1]:
        got = f"labels from {labels.min()} to {labels.max()}"
        raise RangeError(operation, f"labels in 0 ... {logits.shape[-1] - 1}", got)
    return labels


def as_labels(labels: Any, name: str = "labels", rank: int = 1) -> str:
    """The code that turns lists, one-hot rows, columns or floats into labels, for error messages."""
    if isinstance(labels, (list, tuple)):
        return f"np.asarray({name})"
    kind: str = getattr(getattr(labels, "dtype", None), "kind", "")
    shape: tuple[int, ...] = getattr(labels, "shape", ())
    if kind in ("f", "i", "u", "b") and len(shape) == rank + 1:
        return f"{name}.argmax(axis=-1)" if shape[-1] > 1 else f"{name}[..., 0]"
    return f"{name}.astype(np.int64)" if kind == "f" else ""


def check_logits(operation: str, logits: Array, examples: int, classes: int = 1) -> Array:
    """The logits, if they are (examples, K) finite floating-point numbers with K at least `classes`; else an error."""
    if getattr(logits, "ndim", 0) != 2 or len(logits) != examples or logits.shape[1] < classes:
        got = str(getattr(logits, "shape", type(logits).__name__))
        more = f", at least {classes} classes" if classes > 1 else ""
        raise ShapeError(operation, f"logits ({examples}, classes){more}", got)
    if logits.dtype.kind != "f":
        raise DTypeError(operation, "floating-point logits", str(logits.dtype), "logits.astype(np.float32)")
    if not namespace(logits).isfinite(logits).all():
        raise RangeError(operation, "finite logits", "infinite or NaN ones", "check whether the training has diverged")
    return logits


def are_probabilities(rows: Array) -> bool:
    """Whether rows (N, K) of numbers look like probabilities: none is negative, and each sums to 1, up to rounding.

    One row of logits may look so by accident, many rows do not.
    """
    tolerance = max(1e-5, 8 * float(namespace(rows).finfo(rows.dtype).eps))
    return bool(len(rows)) and bool((rows >= 0).all()) and bool((abs(rows.sum(axis=-1) - 1) <= tolerance).all())


def squared_error(predictions: Array, targets: Array) -> Array:
    """The mean of (prediction - target)².

    predictions: floating point, of any shape.
    targets: of the same shape; else `ShapeError`.

    >>> import numpy as np
    >>> from minidl import losses
    >>> float(losses.squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    if predictions.shape != targets.shape:
        got = f"{predictions.shape} and {targets.shape}"
        raise ShapeError("squared_error", "predictions and targets of one shape", got)
    difference = predictions - targets
    return ops.mean(difference * difference)


@dataclass(frozen=True)
class Penalty:
    """λ₁ Σ|w| + λ₂ Σw² over the weights, every parameter named "….W"; biases are left out.

    l1: λ₁, at least 0.  At w = 0 the slope of |w| is taken as 0.
    l2: λ₂, at least 0.

    Called with a flat dict of parameters, it returns a scalar, to be added to a mean loss; `train.fit` takes one as
    `penalty`.  Raises `RangeError` for λ < 0.

    >>> import numpy as np
    >>> from minidl import losses
    >>> float(losses.Penalty(l1=0.1, l2=1.0)({"dense1.W": np.array([1.0, -2.0]), "dense1.b": np.array([9.0])}))
    5.3
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        if not (self.l1 >= 0 and self.l2 >= 0):
            raise RangeError("Penalty", "l1 and l2 of at least 0", f"l1={self.l1}, l2={self.l2}")

    def __call__(self, params: dict[str, Array]) -> Array:
        weights = [w for name, w in params.items() if name.endswith(".W")]
        terms = [self.l1 * l1(w) for w in weights if self.l1] + [self.l2 * l2(w) for w in weights if self.l2]
        if not terms:  # still a scalar of the parameters' library and dtype
            return 0 * l2(next(iter(params.values())))
        return sum(terms[1:], start=terms[0])

    def factors(self, name: str) -> tuple[float, float]:
        """λ₁ and λ₂ for the parameter of that name; 0 and 0 for biases."""
        return (self.l1, self.l2) if name.endswith(".W") else (0.0, 0.0)

    def value(self, params: dict[str, Array]) -> Array:
        """The same number as a call returns, for plain arrays, in one pass over each."""
        terms = [kernels(w).penalty(w, *self.factors(name)) for name, w in params.items() if any(self.factors(name))]
        return sum(terms[1:], start=terms[0]) if terms else self(params)


def l1(w: Array) -> Array:
    """Σ|w|.

    w: floating point, of any shape.

    >>> import numpy as np
    >>> from minidl import losses
    >>> float(losses.l1(np.array([1.0, -2.0])))
    3.0
    """
    return ops.sum(ops.absolute(w))


def l2(w: Array) -> Array:
    """Σw², without a factor ½, as in Lacok's code.

    w: floating point, of any shape.

    >>> import numpy as np
    >>> from minidl import losses
    >>> float(losses.l2(np.array([1.0, -2.0])))
    5.0
    """
    return ops.sum(w * w)
