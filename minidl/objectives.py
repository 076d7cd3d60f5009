"""What training minimises where that is not a loss of logits: the objectives of the literature, for `train.fit`.

An objective is called as ``objective(net, params, x, y, moment)`` and returns a scalar: see `train.Objective`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from . import losses
from .core import Array
from .draws import normal
from .errors import RangeError
from .sequential import Sequential

__all__ = ["Reconstruction"]

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Reconstruction:
    """The mean squared error per pixel of an autoencoder f:  ‖f(x + σz) - x‖²/n, with z from N(0, I).

    noise: σ, at least 0.  With noise it is a *denoising* autoencoder: it has to find x without having seen it.  Noisy
    pixels are not clipped.  The noise of a step is a function of the seed, the epoch and the step.

    Raises: `RangeError` for a negative or infinite σ; when called, `ShapeError` for a network whose outputs do not have
    the shape of x.
    Source: Vincent et al. 2008; with this σ, Gu and Rigazio 2014, §3.2.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, models, objectives
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> objective = objectives.Reconstruction(noise=0.1)
    >>> history = fit(models.autoencoder(), data, epochs=3, objective=objective, progress=False)
    >>> history.loss[-1] < history.loss[0]
    True
    """

    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise < math.inf:
            raise RangeError("Reconstruction", "a finite noise of at least 0", f"{self.noise}")

    def __call__(self, net: Sequential, params: Arrays, x: Array, y: Array, moment: Any) -> Array:
        noisy = x + self.noise * normal(moment.key, x) if self.noise else x
        return losses.squared_error(net.apply(params, noisy, moment.rng), x)
