"""Checks of a network's inputs: their shape, dtype and scale, and what to type if they do not fit.

Training, evaluation and attacks share these messages.  The bounds of pixels are checked by attacks.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from . import layers
from .core import Array
from .errors import DTypeError

#: The largest root mean square without a warning: standardised pixels have 1, pixels in [0, 1] less.
USUAL = 10.0
PIECE = 1000  # examples squared at once


def reshaped(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """The code that makes a batch (N, *wanted) of an array of that shape, if that is clear; else ""."""
    if shape == wanted:
        return "x[None] for one example alone"
    if len(wanted) != 3:
        return ""
    channels, *picture = wanted
    if shape[1:] == (*picture, channels):
        return "x.transpose(0, 3, 1, 2) for channels first"
    if shape == (*picture, channels):
        return "x.transpose(2, 0, 1)[None] for one example alone, channels first"
    if channels == 1 and shape[1:] == tuple(picture):
        return "x[:, None] for an axis of its one channel"
    return ""


def is_wider(x: Array, net: Any) -> bool:
    """Whether images of that dtype make the network compute with more bits than its parameters have."""
    own = getattr(net, "dtype", None)
    return own is not None and np.promote_types(x.dtype, own) != np.dtype(own)


def check_training_images(operation: str, x: Array, net: Any, stacklevel: int) -> None:
    """Raise `DTypeError` for training images in a wider dtype than the network's; warn of images that are not scaled.

    Images in a narrower dtype are accepted: their values are exact in the network's dtype.
    stacklevel: of the warning, a `RuntimeWarning`, from the caller.
    """
    if is_wider(x, net):
        fix = f"dataset.replace(x=dataset.x.astype({net.dtype!r})) for this network"
        raise DTypeError(operation, f"images in {net.dtype}, as the network computes", f"{x.dtype}", fix)
    size = 0.0 if _may_scale(net) else root_mean_square(x)
    if size > USUAL:
        scaling = "dataset.replace(x=dataset.x / 255) if they are bytes"
        message = f"{operation}: pixels of {size:.3g} (root mean square); training works well for at most about 1"
        warnings.warn(f"{message}. Fix: {scaling}", RuntimeWarning, stacklevel=stacklevel + 1)


def warn_if_wider(operation: str, x: Array, net: Any, stacklevel: int) -> None:
    """Warn of images to attack in a wider dtype than the network's: the attack takes longer, which may be intended."""
    if is_wider(x, net):
        message = f"{operation}: images in {x.dtype} make the network compute in {x.dtype}, which takes twice as long"
        warnings.warn(f"{message}. Fix: x.astype({net.dtype!r})", RuntimeWarning, stacklevel=stacklevel + 1)


def root_mean_square(x: Array) -> float:
    """√(mean of x²), in float32 at least; infinite on overflow."""
    with np.errstate(over="ignore"):
        parts = (x[i : i + PIECE] for i in range(0, len(x), PIECE))
        total: Any = sum(_squares(part if part.dtype.itemsize > 2 else part.astype("float32")) for part in parts)
    return float(total) ** 0.5 / max(x.size, 1) ** 0.5


def _squares(part: Array) -> Array:
    return (part * part).sum().astype("float64")


def _may_scale(net: Any) -> bool:
    """Whether a layer that is not minidl's comes before the first weights: it may scale the pixels."""
    for name, layer in net.layers.items():
        if type(layer).__module__ != layers.__name__:
            return True
        if net.params_of(name):
            return False
    return False
