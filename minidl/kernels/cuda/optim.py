"""The updates of the optimisers, in place, a thread for each weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import reals, twin, update

Array = Any


@twin
def sgd(w: Array, g: Array, velocity: Array, lr: float, momentum: float, nesterov: bool, l1: float = 0.0,
        l2: float = 0.0) -> None:  # fmt: skip
    """One thread for each weight."""
    update("sgd", w, g, (velocity,), *reals(w, lr, momentum, l1, 2 * l2), np.int32(nesterov))


@twin
def rmsprop(w: Array, g: Array, mean_square: Array, lr: float, rho: float, epsilon: float, inside: bool,
            l1: float = 0.0, l2: float = 0.0) -> None:  # fmt: skip
    """One thread for each weight."""
    numbers = reals(w, lr, rho, 1 - rho, epsilon, l1, 2 * l2)
    update("rmsprop", w, g, (mean_square,), *numbers, np.int32(inside))


@twin
def adam(w: Array, g: Array, mean: Array, mean_square: Array, step: int, lr: float, beta1: float, beta2: float,
         epsilon: float, l1: float = 0.0, l2: float = 0.0) -> None:  # fmt: skip
    """One thread for each weight."""
    rate, correction = lr / (1 - beta1**step), 1 - beta2**step
    numbers = reals(w, rate, correction, beta1, 1 - beta1, beta2, 1 - beta2, epsilon, l1, 2 * l2)
    update("adam", w, g, (mean, mean_square), *numbers)
