"""Whether images are such as a network takes, and what to type where they are not: of another shape, dtype or scale.

What every door says of it comes from here; the bounds of pixels are an attack's own.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from . import layers
from .core import Array
from .errors import DTypeError

#: The greatest root mean square that passes without a word: standardised pixels have 1, those in [0, 1] less.
USUAL = 10.0
PIECE = 1000  # examples squared at once


def reshaped(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to type to make a batch (N, *wanted) of an array of that shape, where it is plain; else nothing."""
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
    """Whether images of that dtype have the network compute in more bits than its parameters have."""
    own = getattr(net, "dtype", None)
    return own is not None and np.promote_types(x.dtype, own) != np.dtype(own)


def check_lesson(operation: str, x: Array, net: Any, stacklevel: int) -> None:
    """Refuse images to learn from in a wider dtype than the network's; warn of those that are not scaled.

    Narrower ones are taken: their values are numbers of the network's dtype, too.  Raises `DTypeError`.
    stacklevel: of the warning, a `RuntimeWarning`, as seen from the caller.
    """
    if is_wider(x, net):
        fix = f"dataset.replace(x=dataset.x.astype({net.dtype!r})) for this network"
        raise DTypeError(operation, f"images in {net.dtype}, as the network computes", f"{x.dtype}", fix)
    size = 0.0 if _may_scale(net) else root_mean_square(x)
    if size > USUAL:
        scaling = "dataset.replace(x=dataset.x / 255) if they are bytes"
        message = f"{operation}: pixels of {size:.3g} (root mean square), where at most about 1 is learnt from well"
        warnings.warn(f"{message}. Fix: {scaling}", RuntimeWarning, stacklevel=stacklevel + 1)


def warn_if_wider(operation: str, x: Array, net: Any, stacklevel: int) -> None:
    """Warn of images to attack in a wider dtype than the network's: that takes longer, which may be meant."""
    if is_wider(x, net):
        message = f"{operation}: images in {x.dtype} have a network of {net.dtype} compute in {x.dtype}, twice as long"
        warnings.warn(f"{message}. Fix: x.astype({net.dtype!r})", RuntimeWarning, stacklevel=stacklevel + 1)


def root_mean_square(x: Array) -> float:
    """√(mean of x²), in float32 at least; what overflows there is infinite."""
    with np.errstate(over="ignore"):
        parts = (x[i : i + PIECE] for i in range(0, len(x), PIECE))
        total: Any = sum(_squares(part if part.dtype.itemsize > 2 else part.astype("float32")) for part in parts)
    return float(total) ** 0.5 / max(x.size, 1) ** 0.5


def _squares(part: Array) -> Array:
    return (part * part).sum().astype("float64")


def _may_scale(net: Any) -> bool:
    """Whether a layer of the user's own comes before the first weights: it may bring pixels of any size to about 1."""
    for name, layer in net.layers.items():
        if type(layer).__module__ != layers.__name__:
            return True
        if net.params_of(name):
            return False
    return False
