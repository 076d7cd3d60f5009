"""`rubbish`: images that show nothing, and how many of them a network accepts as a digit all the same.

No search is needed: where a network is linear, its confidence grows with the distance from what it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import ops
from minidl.backend import kernels, namespace, to_numpy
from minidl.core import Array
from minidl.errors import RangeError, ShapeError
from minidl.losses import softmax

from ..common.checks import check_counts, check_number, check_seed
from ..common.goal import Goal, Targeted
from ..common.norms import normal
from ..common.objectives import cross_entropy, is_label
from ..common.run import stream
from ..common.victim import as_victim
from .intervals import share
from .tables import Table, Tabled

#: How logits (N, K) become probabilities (N, K): all classes together, or each by itself.
PROBABILITIES: dict[str, Callable[[Array], Array]] = {"softmax": softmax, "sigmoid": ops.sigmoid, "exp": ops.exp}

#: How images are drawn: from N(0, I), whatever the bounds are, or from U(low, high), the bounds.
KINDS = ("normal", "uniform")


@dataclass(frozen=True, eq=False)
class Rubbish(Tabled):
    """Images of nothing, and what a network predicts for them.  ``str()`` returns a table.

    images: (n, ...).
    probabilities: of each class (n, K), a NumPy array.
    threshold: an image is accepted if its largest probability is above it.
    towards: None; or the class k of a gradient step: an image is then accepted if p_k is above the threshold.

    >>> import numpy as np
    >>> from attacks.report.rubbish import Rubbish
    >>> Rubbish(np.zeros((2, 4)), np.array([[0.9, 0.1], [0.5, 0.5]]), 0.5)
    Rubbish(2 images, 1 accepted)
    """

    images: Array
    probabilities: np.ndarray
    threshold: float
    towards: int | None = None

    @property
    def predictions(self) -> np.ndarray:
        """The class of each image, k itself for a step towards k: (n,)."""
        n = len(self.probabilities)
        return self.probabilities.argmax(axis=1) if self.towards is None else np.full(n, self.towards)

    @property
    def confidences(self) -> np.ndarray:
        """The probability of that class: (n,)."""
        return self.probabilities[np.arange(len(self.probabilities)), self.predictions]

    @property
    def accepted(self) -> np.ndarray:
        """Which images the network accepts as one of its classes: (n,) bool."""
        return self.confidences > self.threshold

    @property
    def fraction(self) -> float:
        """The share of accepted images; nan for no images."""
        return float(self.accepted.mean()) if len(self.accepted) else float("nan")

    @property
    def confidence(self) -> float:
        """The mean confidence of the accepted images; nan for none."""
        return float(self.confidences[self.accepted].mean()) if self.accepted.any() else float("nan")

    @property
    def classes(self) -> np.ndarray:
        """How many images are accepted as each class: (K,)."""
        return np.bincount(self.predictions[self.accepted], minlength=self.probabilities.shape[1])

    def __repr__(self) -> str:
        return f"Rubbish({len(self.images)} images, {self.accepted.sum()} accepted)"

    def _tables(self) -> list[Table]:
        n, accepted = len(self.images), int(self.accepted.sum())
        rows: list[list[Any]] = [["accepted, % (95 % interval)", share(accepted, n)]]
        rows += [["mean confidence of those", self.confidence]]
        rows += [[f"accepted as class {k}", int(count)] for k, count in enumerate(self.classes) if count]
        return [(f"{n} images of nothing", ["", ""], rows)]


def rubbish(
    victim: Any,
    n: int = 1000,
    kind: str = "normal",
    *,
    towards: int | None = None,
    epsilon: float = 0.1,
    probabilities: str = "softmax",
    threshold: float = 0.5,
    shape: tuple[int, ...] | None = None,
    seed: int = 0,
) -> Rubbish:
    """Draw images at random, and count how many a network accepts as one of its classes.

    victim: a network, a function to logits, or a `Victim`.
    n: how many images, at least 0.
    kind: "normal", each pixel from N(0, 1), most of them outside the bounds, as in the paper; or "uniform", from U(low,
    high) of the victim's bounds.
    towards: a class k, to which each image is moved by one step,  x ← x + ε·sign(∇p_k(x)).  None leaves them as drawn.
    epsilon: ε of that step, at least 0.
    probabilities: how logits become probabilities: "softmax"; "sigmoid", for one yes or no for each class; or "exp",
    for logits that are log p, as an RBF network has.
    threshold: of a probability, from 0 to 1, above which an image is accepted.
    shape: of an image, if the network does not say it.
    seed: a whole number.  Image i is a function of (seed, i), whatever n is.

    Returns: a `Rubbish`.
    Raises: `RangeError` for an unknown name or a number out of range, `ShapeError` if the shape is not known, and
    `DTypeError` for a network that is not made of minidl operations, if there is a step.
    Source: Goodfellow, Shlens and Szegedy 2014, §8 and Figure 5.  There the text adds ε∇p_k, the caption its sign.  The
    sign is that of ∇log p_k, which does not vanish where p_k is tiny.

    >>> from attacks import rubbish
    >>> from minidl import models
    >>> rubbish(models.softmax_regression(), 100)
    Rubbish(100 images, 0 accepted)
    """
    victim = as_victim(victim)
    check_counts("rubbish", least=0, n=n)
    check_seed("rubbish", seed)
    check_number("rubbish", "threshold from 0 to 1", threshold, most=1)
    check_number("rubbish", "epsilon of at least 0, finite", epsilon)
    if kind not in KINDS or probabilities not in PROBABILITIES:
        expected = f"a kind of {list(KINDS)} and probabilities of {list(PROBABILITIES)}"
        raise RangeError("rubbish", expected, f"{kind!r} and {probabilities!r}")
    shape = getattr(victim.net, "input_shape", None) if shape is None else shape
    if shape is None:
        raise ShapeError("rubbish", "to know the shape of an image", "a function that does not say",
                         "shape=(1, 28, 28)")  # fmt: skip
    x = _drawn(kind, (n, *shape), getattr(victim.net, "dtype", "float32"), victim.bounds, seed)
    if towards is not None:
        classes = victim.logits(x[:1]).shape[1]
        if not 0 <= towards < classes:
            raise RangeError("rubbish", f"a class towards which to step, in 0 ... {classes - 1}", f"{towards}")
        goal = Targeted(namespace(x).full(n, towards, dtype="int64"))
        objective = cross_entropy if probabilities == "softmax" else _logit
        x = x + epsilon * namespace(x).sign(victim.gradient(x, goal, objective))
    return Rubbish(x, to_numpy(PROBABILITIES[probabilities](victim.logits(x))), float(threshold), towards)


def _drawn(kind: str, shape: tuple[int, ...], dtype: str, bounds: tuple[float, float], seed: int) -> Array:
    like = namespace().zeros(shape, dtype=dtype)
    if kind == "normal":
        return normal(stream(seed), like)
    low, high = bounds
    return low + (high - low) * kernels(like).random_uniform(stream(seed), like)


def _logit(goal: Goal, logits: Array) -> Array:
    """Z_k: (N,), which grows with any p_k that depends on Z_k alone."""
    return ops.sum(ops.where(is_label(goal, logits), logits, 0), axis=-1)
