"""Optimisers: given gradients, change the parameters a little, in place.

An optimiser is a frozen description, like a layer; what it remembers from step to step (velocities, mean
squares) is a separate flat dict that `init` makes and `update` maintains, so that a checkpoint can hold it.
η is the learning rate `lr`.  The arithmetic is in the kernels.

Where a number may change as training goes on, a function of the epochs that are behind can stand in its place: see
`minidl.schedules`.  ``optimizer.at(epochs)`` is then the optimiser of that moment, which has numbers alone.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
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
    """The base of all optimisers.  `slots` names what is remembered for each parameter; it starts at zero.

    `scheduled` names the numbers that may be schedules instead.
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
        """This optimiser after so many epochs: with the numbers that its schedules give then; itself if it has none.

        Raises `RangeError` for a learning rate that is not finite and at least 0, and for a momentum outside [0, 1).
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
        """A fresh state: zeros in the shape of each parameter, under "slot/name", and the number of steps taken."""
        state = {f"{slot}/{name}": namespace(w).zeros_like(w) for slot in self.slots for name, w in params.items()}
        return {"step": np.zeros((), np.int64), **state}

    def update(self, params: Params, grads: Params, state: Params, penalty: Penalty | None = None) -> None:
        """One step, in place: params and state are changed, grads are not.

        penalty: one whose gradient is not in grads yet; the kernels add it on the way, without an array for it.
        Raises `DTypeError` for one that has schedules yet: see `at`.
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

    The Nesterov form is that of Sutskever et al. 2013, with w standing for the point looked ahead to.
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
    """s ← ρs + (1-ρ)g²;  w ← w - η g/√(s + ε)   (Tieleman and Hinton 2012; the defaults are Lacok's).

    His code has ε inside the root, his text outside: ``epsilon_inside=False`` gives w ← w - η g/(√s + ε).
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
    """m ← β₁m + (1-β₁)g;  s ← β₂s + (1-β₂)g²;  w ← w - η m̂/(√ŝ + ε)   (Kingma and Ba 2015, Algorithm 1).

    m̂ = m/(1-β₁ᵗ) and ŝ = s/(1-β₂ᵗ) correct for the start at zero; t counts steps from 1.
    """

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("mean", "mean_square")

    def _step(self, w: Array, g: Array, slots: list[Array], step: int, penalty: tuple[float, float]) -> None:
        kernels(w).adam(w, g, *slots, step, self.lr, self.beta1, self.beta2, self.epsilon, *penalty)
