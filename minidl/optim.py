"""Optimisers: each changes the parameters a little, in place, by their gradients.

An optimiser is a frozen description, like a layer.  What it keeps from step to step (velocities, mean squares) is a
flat dict that `init` makes and `update` changes, so that a checkpoint can hold it.  η is the learning rate `lr`.  The
arithmetic is in the kernels.

A number that changes during training can be given as a function of the epochs so far: see `minidl.schedules`.
``optimizer.at(epochs)`` is then the optimiser at that time, with numbers only.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from .backend import kernels, namespace
from .core import Array
from .errors import DTypeError, RangeError
from .losses import Penalty
from .schedules import Schedule, is_number

Params = dict[str, Array]


@dataclass(frozen=True)
class Optimizer:
    """The base of all optimisers.

    lr: the learning rate η, above 0, or a schedule.

    A subclass has `slots`, the names of the arrays that are kept for each parameter, which start at zero; `scheduled`,
    the names of the numbers that may be schedules; and a method `_step`.
    Raises: `RangeError` for a number out of range.

    >>> from minidl.optim import SGD, Optimizer
    >>> isinstance(SGD(), Optimizer)
    True
    """

    lr: float | Schedule = 0.01
    slots: ClassVar[tuple[str, ...]] = ()
    scheduled: ClassVar[tuple[str, ...]] = ("lr",)

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not callable(self.lr) and not 0 < self.lr < math.inf:
            raise RangeError(name, "a finite learning rate above 0", f"lr={self.lr}")
        for factor in ("momentum", "rho", "beta1", "beta2"):
            if factor in self.scheduled and callable(getattr(self, factor)):
                continue
            if not 0 <= getattr(self, factor, 0) < 1:
                raise RangeError(name, f"{factor} in [0, 1)", f"{getattr(self, factor)}")
        if not getattr(self, "epsilon", 1) > 0:
            raise RangeError(name, "an epsilon above 0", f"{self.epsilon}")  # type: ignore[attr-defined]

    def at(self, epochs: float) -> Optimizer:
        """This optimiser after so many epochs, with the numbers of its schedules then; itself if it has none.

        Raises `RangeError` if a schedule returns a learning rate that is not finite and at least 0, or a momentum
        outside [0, 1).
        """
        schedules = {name: getattr(self, name) for name in self.scheduled if callable(getattr(self, name))}
        if not schedules:
            return self
        now = copy.copy(self)
        for name, schedule in schedules.items():
            value: Any = schedule(epochs)
            if not is_number(value) or (name != "lr" and value >= 1):
                expected = f"a schedule that gives {name} {'of at least 0, finite' if name == 'lr' else 'in [0, 1)'}"
                raise RangeError(type(self).__name__, expected, f"{value!r} after {epochs:.4g} epochs")
            object.__setattr__(now, name, float(value))
        return now

    def init(self, params: Params) -> Params:
        """The initial state: zeros in the shape of each parameter, under "slot/name", and the number of steps, 0."""
        state = {f"{slot}/{name}": namespace(w).zeros_like(w) for slot in self.slots for name, w in params.items()}
        return {"step": np.zeros((), np.int64), **state}

    def update(self, params: Params, grads: Params, state: Params, penalty: Penalty | None = None) -> None:
        """One step, in place: params and state are changed, grads are not.

        penalty: one whose gradient is not in grads; the kernels add it, without an array for it.
        Raises `DTypeError` for an optimiser that still has schedules: see `at`.
        """
        if any(callable(getattr(self, name)) for name in self.scheduled):
            fix = "optimizer.at(epochs).update(...)"
            raise DTypeError("update", "an optimizer of numbers", f"schedules in {type(self).__name__}", fix)
        state["step"] += 1
        for name, w in params.items():
            slots = [state[f"{slot}/{name}"] for slot in self.slots]
            self._step(w, grads[name], slots, int(state["step"]), (penalty or _NONE).factors(name))

    def _step(self, w: Array, g: Array, slots: list[Array], step: int, penalty: tuple[float, float]) -> None:
        raise NotImplementedError


_NONE = Penalty()


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum μ:  v ← μv - ηg;  w ← w + v.  With nesterov:  w ← w + μv - ηg.

    lr: the learning rate η, above 0, or a schedule.
    momentum: μ, in [0, 1), or a schedule.
    nesterov: the form of Sutskever et al. 2013, where w is the point that is looked ahead to.

    >>> import numpy as np
    >>> from minidl.optim import SGD
    >>> optimizer, params = SGD(lr=0.1), {"w": np.array([1.0])}
    >>> optimizer.update(params, {"w": np.array([2.0])}, optimizer.init(params))
    >>> params["w"].round(4)
    array([0.8])
    """

    lr: float | Schedule = 0.1
    momentum: float | Schedule = 0.0
    nesterov: bool = False
    slots: ClassVar[tuple[str, ...]] = ("velocity",)
    scheduled: ClassVar[tuple[str, ...]] = ("lr", "momentum")

    def _step(self, w: Array, g: Array, slots: list[Array], step: int, penalty: tuple[float, float]) -> None:
        kernels(w).sgd(w, g, *slots, self.lr, self.momentum, self.nesterov, *penalty)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """s ← ρs + (1-ρ)g²;  w ← w - η g/√(s + ε).

    lr: the learning rate η, above 0, or a schedule.
    rho: ρ, in [0, 1).
    epsilon: ε, above 0.
    epsilon_inside: whether ε is inside the root, as in Lacok's code; False is w ← w - η g/(√s + ε), as in his text.

    Source: Tieleman and Hinton 2012; the defaults are those of Lacok 2016.

    >>> import numpy as np
    >>> from minidl.optim import RMSProp
    >>> optimizer, params = RMSProp(lr=0.1), {"w": np.array([1.0])}
    >>> optimizer.update(params, {"w": np.array([2.0])}, optimizer.init(params))
    >>> params["w"].round(4)
    array([0.6838])
    """

    lr: float | Schedule = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-6
    epsilon_inside: bool = True
    slots: ClassVar[tuple[str, ...]] = ("mean_square",)

    def _step(self, w: Array, g: Array, slots: list[Array], step: int, penalty: tuple[float, float]) -> None:
        kernels(w).rmsprop(w, g, *slots, self.lr, self.rho, self.epsilon, self.epsilon_inside, *penalty)


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁m + (1-β₁)g;  s ← β₂s + (1-β₂)g²;  w ← w - η m̂/(√ŝ + ε).

    m̂ = m/(1-β₁ᵗ) and ŝ = s/(1-β₂ᵗ) correct for the start at zero; t counts steps from 1.

    lr: the learning rate η, above 0, or a schedule.
    beta1: β₁, in [0, 1).
    beta2: β₂, in [0, 1).
    epsilon: ε, above 0.

    Source: Kingma and Ba 2015, Algorithm 1.

    >>> import numpy as np
    >>> from minidl.optim import Adam
    >>> optimizer, params = Adam(lr=0.1), {"w": np.array([1.0])}
    >>> optimizer.update(params, {"w": np.array([2.0])}, optimizer.init(params))
    >>> params["w"].round(4)
    array([0.9])
    """

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("mean", "mean_square")

    def _step(self, w: Array, g: Array, slots: list[Array], step: int, penalty: tuple[float, float]) -> None:
        kernels(w).adam(w, g, *slots, step, self.lr, self.beta1, self.beta2, self.epsilon, *penalty)


@dataclass(frozen=True)
class MaxNorm(Optimizer):
    """The steps of another optimiser, each followed by a projection: no unit's weights are longer than `limit`.

    optimizer: another `Optimizer`, whose schedules it follows.
    limit: the greatest L2 norm of the weights into one unit, above 0: of a column of a matrix (inputs, units), or of a
    filter of (channels, C, h, w).

    Longer weights are scaled to the limit; shorter ones, biases and other parameters are left as they are.  A penalty
    on the weights would shrink short ones as well.
    Raises: `RangeError` for a limit out of range, `DTypeError` for anything but an optimiser.
    Source: Srebro et al. 2005; with dropout, Hinton et al. 2012 and the maxout networks of Goodfellow et al. 2013.

    >>> import numpy as np
    >>> from minidl.optim import SGD, MaxNorm
    >>> optimizer, params = MaxNorm(SGD(lr=0.1), limit=1.0), {"dense1.W": np.array([[3.0, 0.3], [4.0, 0.4]])}
    >>> optimizer.update(params, {"dense1.W": np.zeros((2, 2))}, optimizer.init(params))
    >>> params["dense1.W"]
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    lr: ClassVar[property] = property(lambda self: self.optimizer.lr)  # type: ignore[misc]
    optimizer: Optimizer = field(default_factory=SGD)
    limit: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise DTypeError("MaxNorm", "an optimizer", type(self.optimizer).__name__, "MaxNorm(SGD(0.1), limit=2.0)")
        if not (is_number(self.limit) and self.limit > 0):
            raise RangeError("MaxNorm", "a finite limit above 0", repr(self.limit))

    def at(self, epochs: float) -> MaxNorm:
        return replace(self, optimizer=self.optimizer.at(epochs))

    def init(self, params: Params) -> Params:
        return self.optimizer.init(params)

    def update(self, params: Params, grads: Params, state: Params, penalty: Penalty | None = None) -> None:
        self.optimizer.update(params, grads, state, penalty)
        for name, w in params.items():
            if name.endswith(".W") and w.ndim > 1:
                over = (0,) if w.ndim == 2 else tuple(range(1, w.ndim))
                norms = (w * w).sum(axis=over, keepdims=True) ** 0.5
                w *= self.limit / namespace(w).maximum(norms, self.limit)
