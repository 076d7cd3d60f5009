"""Pixels as files have them, bytes from 0 to 255, made into pixels as networks have them: float32 from 0 to 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError


def scaled(operation: str, values: np.ndarray, where: Any) -> np.ndarray:
    """Whole numbers from 0 to 255 divided by 255, and numbers of floating point from 0 to 1 as they are, in float32.

    where: what they were read from, for the error: `DataError`, in the name of the operation, for other numbers.
    """
    most = 1 if values.dtype.kind == "f" else 255
    if values.size and not 0 <= values.min() <= values.max() <= most:  # also for NaN
        got = f"{values.dtype} from {values.min()} to {values.max()}"
        raise DataError(operation, f"pixels from 0 to 255, or from 0 to 1 in floating point, in {where}", got)
    x = np.ascontiguousarray(values, np.float32)
    if most == 255:
        x /= np.float32(255)
    return x
