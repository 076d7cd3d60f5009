"""`Victim`: the network under attack, the bounds of its pixels, and counters of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, prod
from numbers import Integral, Real
from typing import Any

from minidl import ops
from minidl.backend import namespace
from minidl.core import Array, linearize
from minidl.derivatives import grad
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.inputs import reshaped
from minidl.losses import are_probabilities, check_logits

from .goal import Goal
from .objectives import Objective, cross_entropy
from .precision import check_dtype, in_single


class Victim:
    """The network under attack: evaluated without dropout, and differentiated in its input only.

    net: a network, or any function built of minidl operations, from inputs (N, ...) to logits (N, K).
    bounds: the least and the greatest value of a pixel, finite.
    batch_size: how many examples are run at once, at least 1.  It bounds memory, and changes nothing else.

    It counts examples: `forwards` are run through the network, `backwards` are cotangents pulled back through it, and
    `queries` are the forward runs without a derivative, which a black-box attacker could ask for.
    Images in half precision are run in single precision: their gradients would be rounded to 0.
    Raises: `DTypeError` for a net that is not callable, or that returns probabilities; `RangeError` for bounds that are
    not low < high, or a batch_size below 1.

    >>> import numpy as np
    >>> from attacks import Victim
    >>> from minidl import models
    >>> victim = Victim(models.mlp(seed=0), bounds=(0, 255))
    >>> victim.predict(np.zeros((3, 784), dtype=np.float32)).shape, victim.queries
    ((3,), 3)
    """

    def __init__(self, net: Callable[[Array], Array], bounds: Any = (0, 1), batch_size: Any = 1000):
        if not callable(net):
            fix = "Oracle(classifier) for attacks by labels alone" if hasattr(net, "predict") else ""
            raise DTypeError("Victim", "a network or a function", type(net).__name__, fix)
        if not are_bounds(bounds):
            raise RangeError("Victim", "bounds (low, high), two finite numbers with low < high", f"{bounds}")
        if getattr(net, "gives_probabilities", False):
            raise DTypeError("Victim", "a network that gives logits", "one that ends with Softmax",
                             "leave the Softmax out: its gradient vanishes where the network is sure")  # fmt: skip
        if not isinstance(batch_size, Integral) or int(batch_size) < 1:
            raise RangeError("Victim", "a whole batch_size, at least 1", f"{batch_size}")
        self.net, self.bounds, self.batch_size = net, (float(bounds[0]), float(bounds[1])), int(batch_size)
        self.forwards = self.backwards = self.queries = 0
        self._gives_logits = False  # which the first rows show; later a row alone may look like probabilities

    def logits(self, x: Array) -> Array:
        """The logits (N, K) of x (N, ...).

        Raises `ShapeError` or `RangeError` for outputs that cannot be logits: of another shape, not finite, or rows of
        probabilities, recognised because none is negative and each row sums to 1.
        """
        outputs, x = [], in_single(x)
        for part in self.parts(x):
            outputs.append(check_logits("Victim", self.net(x[part]), len(x[part]), classes=2))
            self.forwards += len(x[part])
            self.queries += len(x[part])
        logits = namespace(x).concatenate(outputs)
        if not self._gives_logits and are_probabilities(logits):
            fix = "attack what comes before the softmax"
            raise RangeError("Victim", "logits", "rows that sum to 1, as probabilities do", fix)
        self._gives_logits = self._gives_logits or len(x) > 0
        return logits

    def predict(self, x: Array) -> Array:
        """The predicted classes (N,): the place of the largest logit, the first of equal ones."""
        return self.logits(x).argmax(axis=-1)

    def parts(self, x: Array) -> Iterator[slice]:
        """Slices of x, of at most `batch_size` examples.  At least one, so that an empty batch has outputs, too."""
        return (slice(i, i + self.batch_size) for i in range(0, max(len(x), 1), self.batch_size))

    def linearize(self, x: Array) -> LinearizedPart:
        """One run of the network on a part of a batch, ``for part in victim.parts(x)``, and its derivative there.

        Raises `DTypeError` if the network is not made of minidl operations, and as `logits` does.
        """
        return LinearizedPart(self, in_single(x))

    def logits_and_gradient(self, x: Array, goal: Goal, objective: Objective = cross_entropy) -> tuple[Array, Array]:
        """The logits (N, K) at x, and the gradient of the objective, like x, along which each example nears the goal.

        It is the gradient of a sum over the examples, so that no example depends on the others.  Raises as `linearize`
        does, and `RangeError` for a gradient that is not finite.
        """
        logits, gradients = [], []
        for part in self.parts(x):
            lin, aim = self.linearize(x[part]), goal.take(part)
            logits.append(lin.value)
            gradients.append(lin.vjp(grad(lambda z, aim=aim: ops.sum(objective(aim, z)), lin.value)))
        xp = namespace(x)
        return xp.concatenate(logits), xp.concatenate(gradients)

    def gradient(self, x: Array, goal: Goal, objective: Objective = cross_entropy) -> Array:
        """The second of `logits_and_gradient`: ∂J(x, y)/∂x away from a label, -∂J(x, t)/∂x towards a target."""
        return self.logits_and_gradient(x, goal, objective)[1]

    def check_images(self, attack: str, x: Any) -> None:
        """Raise the matching error for x that is not a batch of floating-point examples within the bounds."""
        check_dtype(attack, x)
        shape = getattr(self.net, "input_shape", x.shape[1:])
        flat = len(shape) != 1 and x.ndim == 2  # rows of pixels, which networks that flatten their inputs accept
        if x.ndim < 2 or (x.shape[1:] != tuple(shape) and not flat):
            expected = f"a batch (N, {', '.join(map(str, shape)) or '...'})"
            raise ShapeError(attack, expected, f"{x.shape}", reshaped(x.shape, tuple(shape)))
        low, high = self.bounds
        if x.size and not (x.min() >= low and x.max() <= high):  # also false for NaN
            got = f"values from {float(x.min())} to {float(x.max())}"
            fix = "scale them, or say bounds=... to the Victim (or the adversary)"
            raise RangeError(attack, f"pixels in [{low:.9g}, {high:.9g}], none NaN", got, fix)


class LinearizedPart:
    """A network linearized at examples x (n, ...), and counted by its victim: `value`, its logits (n, K), and `vjp`."""

    def __init__(self, victim: Victim, x: Array) -> None:
        self._victim, self._lin = victim, linearize(victim.net, x)
        if not self._lin.depends:
            raise DTypeError("Victim", "a network made of minidl operations", "outputs cut off from the input",
                             "use minidl.ops in it instead of NumPy")  # fmt: skip
        victim.forwards += len(x)
        self.value: Array = check_logits("Victim", self._lin.value, len(x), classes=2)

    def vjp(self, g: Array) -> Array:
        """Jᵀ·g, (..., n, ...), for cotangents g (..., n, K).  Raises `RangeError` if it is not finite."""
        pulled = self._lin.vjp(g)
        self._victim.backwards += prod(g.shape[:-1])
        if not namespace(pulled).isfinite(pulled).all():
            fix = "scale the logits down, or attack in float64: x.astype(np.float64)"
            raise RangeError("Victim", "finite gradients", "infinite or NaN ones, of finite logits", fix)
        return pulled


def are_bounds(bounds: Any) -> bool:
    """Whether these are two finite numbers, the first below the second, and not too far apart for their difference."""
    numbers = isinstance(bounds, tuple | list) and all(isinstance(bound, Real) for bound in bounds)
    return numbers and len(bounds) == 2 and 0 < float(bounds[1]) - float(bounds[0]) < inf


def as_victim(victim: Any) -> Victim:
    """A victim as it is; a network or function as a `Victim` with pixels in [0, 1]."""
    return victim if isinstance(victim, Victim) else Victim(victim)
