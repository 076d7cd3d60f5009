"""`stacked`: autoencoders in front of a network, as one function, so that every attack goes through all of it.

A denoising autoencoder turns most adversarial images that were made against a network alone into images that the
network classifies correctly.  That is no defence yet: the two together are a network, too, and have adversarial images
of their own.  Gu and Rigazio found them closer than those of the network alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from minidl.core import Array
from minidl.errors import DTypeError, ShapeError


class Stacked:
    """Networks one after the other: each takes the outputs of the one before.

    parts: one or more networks, or functions built of minidl operations, each from arrays (N, ...) to arrays (N, ...);
    the last one returns logits.

    `input_shape` is that of the first part, `output_shape` that of the last, and `dtype` that of the first part that
    has one; a function of yours may have none of them.  All parts are run without dropout.
    Raises: `ShapeError` for a part whose inputs do not have the shape of the outputs before it, or for no parts;
    `DTypeError` for something that cannot be called, or for parts of several dtypes.
    Source: Gu and Rigazio 2014, §3.

    >>> import numpy as np
    >>> from attacks.defences.stacked import Stacked
    >>> from minidl import models
    >>> both = Stacked(models.autoencoder(seed=0), models.mlp(seed=0))
    >>> both(np.zeros((2, 1, 28, 28), dtype=np.float32)).shape
    (2, 10)
    """

    def __init__(self, *parts: Callable[[Array], Array]) -> None:
        if not parts:
            raise ShapeError("stacked", "one network or more", "none")
        for part in parts:
            if not callable(part):
                fix = "stacked(*parts)" if isinstance(part, list | tuple) else ""
                raise DTypeError("stacked", "networks or functions", type(part).__name__, fix)
        for before, after in pairwise(parts):
            made, taken = getattr(before, "output_shape", None), getattr(after, "input_shape", None)
            if made is not None and taken is not None and made != taken:
                raise ShapeError("stacked", f"a part that takes {made}, the outputs of the one before", f"{taken}")
        dtypes = sorted({part.dtype for part in parts if hasattr(part, "dtype")})
        if len(dtypes) > 1:
            fix = "make all of them with the same dtype, such as float32"
            raise DTypeError("stacked", "parts of one dtype", " and ".join(dtypes), fix)
        self.parts = parts
        described: dict[str, Any] = {"input_shape": getattr(parts[0], "input_shape", None),
                                     "output_shape": getattr(parts[-1], "output_shape", None),
                                     "dtype": dtypes[0] if dtypes else None}  # fmt: skip
        vars(self).update({name: value for name, value in described.items() if value is not None})

    @property
    def gives_probabilities(self) -> bool:
        """Whether the last part ends with a Softmax, which attacks refuse."""
        return bool(getattr(self.parts[-1], "gives_probabilities", False))

    def __call__(self, x: Array) -> Array:
        """The outputs of the last part: logits (N, K)."""
        for part in self.parts:
            x = part(x)
        return x

    def __repr__(self) -> str:
        return f"Stacked({', '.join(map(repr, self.parts))})"


def stacked(*parts: Callable[[Array], Array]) -> Stacked:
    """Networks one after the other, as one: autoencoders in front of a classifier.

    parts: as of `Stacked`.

    >>> from attacks.defences.stacked import stacked
    >>> from minidl import models
    >>> stacked(models.autoencoder(seed=0), models.mlp(seed=0)).output_shape
    (10,)
    """
    return Stacked(*parts)
