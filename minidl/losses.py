"""What training minimises and attacks push against: cross-entropy on logits, squared error, penalties.

A loss for `train.fit` is a function of logits (n, K) and labels (n,) that gives one number per example, (n,): of
minidl's operations, so that it has a derivative.  `CrossEntropy` makes ready ones.

Logits are a network's last layer before any softmax, z (..., K); p = softmax(z) are the probabilities.
The losses are primitives with a closed-form rule, so that ∂(cross-entropy)/∂z = p - onehot(y) is one step,
stable for logits of any size, instead of a chain of exponentials and logarithms.
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
from .reductions import _softmax, log_softmax, over_classes, softmax  # noqa: F401

#: What `train.fit` can minimise: logits (n, K) and labels (n,) to a number for each example, (n,).
Loss = Callable[[Array, Array], Array]

# J_row = (p - onehot)ᵀ; and the derivative of p - onehot is that of p
_cross_entropy: Primitive = Primitive(
    "cross_entropy",
    over_classes("cross_entropy"),
    push=[lambda t, y, z, labels: ops.sum(_slope(z, labels) * t, axis=-1)],
    pull=[lambda g, y, z, labels: _slope(z, labels) * ops.reshape(g, (*g.shape, 1))],
)
_slope: Primitive = Primitive(
    "cross_entropy_gradient",
    over_classes("cross_entropy_gradient"),
    push=[lambda t, y, z, labels: _softmax.push[0](t, _softmax(z), z)],
    pull=[lambda g, y, z, labels: _softmax.pull[0](g, _softmax(z), z)],
)


def cross_entropy(logits: Array, labels: Array, reduction: str = "mean", check: bool = True) -> Array:
    """-log p_label, from logits (..., K) and integer labels (...) in 0 … K-1.

    reduction: "mean" over all examples, "sum" (whose gradient for one example does not depend on how many
    others there are), or "none" for one number per example.  Finite for logits of any size.
    check: False leaves out the checks of the labels.  To look at them is to wait for the GPU that they are on; `fit`
    does so once, for all of them.
    Raises `DTypeError` for labels that are not integers, `ShapeError` if they do not fit the logits or there
    is nothing to average, `RangeError` for a label outside 0 … K-1 or another reduction.
    """
    if reduction not in ("mean", "sum", "none"):
        raise RangeError("cross_entropy", "reduction 'mean', 'sum' or 'none'", repr(reduction))
    each = _cross_entropy(logits, check_labels("cross_entropy", labels, logits) if check else labels)
    return each if reduction == "none" else ops.mean(each) if reduction == "mean" else ops.sum(each)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy for which labels are not certain, or some classes count more than others; one number per example.

    It is w_y·((1-s)·J(z, y) + s·J̄(z)), with J of `cross_entropy` and J̄ its mean over all K labels there are.
    label_smoothing (s), at least 0 and below 1: how much of each label is shared out among all classes (Szegedy et
    al. 2016, §7).  class_weights (w): a number for each class, at least 0; those of 1/(share of the class) make rare
    classes count as much as common ones.  Nothing is divided by their sum: weights twice as large are a learning rate
    twice as large.  A loss for `train.fit`; without either it is ``cross_entropy(logits, labels, "none")``.
    Raises `RangeError` for others; when called, `ShapeError` for another number of classes than there are weights, and
    as `cross_entropy` does.
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
        object.__setattr__(self, "class_weights", weights)  # frozen, compared and known to checkpoints by its numbers

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


def of_each(operation: str, loss: Loss, logits: Array, labels: Array) -> Array:
    """loss(logits, labels), if that is one floating-point number per label (n,); else an error that says so."""
    each = loss(logits, labels)
    expected = f"a loss that returns one floating-point number per example, shape {labels.shape}"
    if not hasattr(each, "dtype") or each.dtype.kind != "f":
        got = f"{type(each).__name__} of dtype {each.dtype}" if hasattr(each, "dtype") else type(each).__name__
        raise DTypeError(operation, expected, got, "use minidl's operations on the logits, and give back their array")
    if each.shape != labels.shape:
        fix = "leave out the mean over the examples" if each.ndim == 0 else "sum over the classes: axis=-1"
        raise ShapeError(operation, expected, f"shape {each.shape}", fix)
    return each


def check_labels(operation: str, labels: Array, logits: Array) -> Array:
    """The labels, if there is an integer in 0 … K-1 for each row of logits (..., K); an error otherwise."""
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
    """What to write to make labels of them, one whole number each: of lists, of one-hot rows, of columns, of floats."""
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
    """Whether rows (N, K) of numbers are probabilities: none is negative, and each row sums to 1, but for rounding.

    Logits can only look so by accident, one row or two of them: ask for as many as there are, and once.
    """
    tolerance = max(1e-5, 8 * float(namespace(rows).finfo(rows.dtype).eps))
    return bool(len(rows)) and bool((rows >= 0).all()) and bool((abs(rows.sum(axis=-1) - 1) <= tolerance).all())


def squared_error(predictions: Array, targets: Array) -> Array:
    """The mean of (prediction - target)², over arrays of the same shape (`ShapeError` if they differ)."""
    if predictions.shape != targets.shape:
        got = f"{predictions.shape} and {targets.shape}"
        raise ShapeError("squared_error", "predictions and targets of one shape", got)
    difference = predictions - targets
    return ops.mean(difference * difference)


@dataclass(frozen=True)
class Penalty:
    """λ₁ Σ|w| + λ₂ Σw² over the weights: every parameter named "….W" in a flat dict; biases go free.

    l1 and l2 are the two λ, at least 0.  At w = 0 the slope of |w| is taken as 0.  ``Penalty(1e-4, 1e-4)(params)``
    is a scalar, to be added to a mean loss; `train.fit` takes one as `penalty`.  Raises `RangeError` for λ < 0.
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
        """λ₁ and λ₂ for the parameter of that name: 0 for biases."""
        return (self.l1, self.l2) if name.endswith(".W") else (0.0, 0.0)

    def value(self, params: dict[str, Array]) -> Array:
        """The same number as by a call, for plain arrays, in one pass over each."""
        terms = [kernels(w).penalty(w, *self.factors(name)) for name, w in params.items() if any(self.factors(name))]
        return sum(terms[1:], start=terms[0]) if terms else self(params)


def l1(w: Array) -> Array:
    """Σ|w|."""
    return ops.sum(ops.absolute(w))


def l2(w: Array) -> Array:
    """Σw²; there is no ½ in front, as in Lacok's code."""
    return ops.sum(w * w)
