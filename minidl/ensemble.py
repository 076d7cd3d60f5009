"""`Ensemble`: several networks as one, whose logits are the mean of theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from .core import Array
from .errors import DTypeError, ShapeError


class Ensemble:
    """Networks as one: its logits are the mean of their logits, and its Jacobian the mean of their Jacobians.

    networks: one or more, or functions built of minidl operations, from inputs (N, ...) to logits (N, K).

    `input_shape`, `output_shape` and `dtype` are those of the first network that has them.
    Raises: `ShapeError` for networks of different shapes, or none; `DTypeError` for something that cannot be called, or
    that gives probabilities.
    Source: Liu et al. 2017 attack an ensemble for images that transfer, by the mean of probabilities; Dong et al. 2018
    find the mean of logits better.

    >>> import numpy as np
    >>> from minidl import models
    >>> both = models.ensemble(models.mlp(seed=0), models.lenet(seed=0))
    >>> both(np.zeros((2, 1, 28, 28), dtype=np.float32)).shape
    (2, 10)
    """

    def __init__(self, *networks: Callable[[Array], Array]) -> None:
        if not networks:
            raise ShapeError("models.ensemble", "one network or more", "none")
        for net in networks:
            if not callable(net):
                fix = "models.ensemble(*networks)" if isinstance(net, list | tuple) else ""
                raise DTypeError("models.ensemble", "networks or functions", type(net).__name__, fix)
            if getattr(net, "gives_probabilities", False):
                raise DTypeError("models.ensemble", "networks that give logits", "one that ends with Softmax",
                                 "leave the Softmax out")  # fmt: skip
        self.networks = networks
        for name in ("input_shape", "output_shape", "dtype"):
            values: list[Any] = [getattr(net, name) for net in networks if hasattr(net, name)]
            if name != "dtype" and len(set(values)) > 1:
                raise ShapeError("models.ensemble", f"networks of one {name}", " and ".join(map(str, values)))
            if values:
                setattr(self, name, values[0])

    def __call__(self, x: Array) -> Array:
        """The mean of the logits: (N, K)."""
        return ops.mean(ops.stack([net(x) for net in self.networks]), axis=0)

    def __repr__(self) -> str:
        return f"Ensemble({', '.join(map(repr, self.networks))})"


def ensemble(*networks: Callable[[Array], Array]) -> Ensemble:
    """Several networks as one, whose logits are the mean of theirs.

    networks: as of `Ensemble`.

    >>> from minidl import models
    >>> models.ensemble(models.mlp(seed=0), models.mlp(seed=1)).output_shape
    (10,)
    """
    return Ensemble(*networks)
