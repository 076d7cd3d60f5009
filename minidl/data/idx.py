"""The IDX format of MNIST: two zero bytes, a type code, the rank, each length (big-endian), then the values.

Only unsigned bytes (type code 8) are read, which is what MNIST and its relatives hold.  A file may be gzipped.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import DataError
from .files import read_bounded, unpacked

LARGEST = 2**30  # values in a file; MNIST has 47 million


def read_idx(path: str | Path, rank: int, most: int = LARGEST) -> np.ndarray:
    """The uint8 array of the given rank in an IDX file, gzipped or not; ``most``: the values it may have.

    Raises `DataError` if the file is missing, not a regular file, damaged, of another type or rank, too short, too
    long, or has more values than that.
    """
    with unpacked("read_idx", path, "IDX", most=4 + 4 * rank + most) as content:
        return _read(content, path, rank, most)


def _read(content: IO[bytes], path: str | Path, rank: int, most: int) -> np.ndarray:
    magic, expected = content.read(4), bytes([0, 0, 8, rank])
    if magic != expected:
        raise DataError("read_idx", f"{path} to begin with {expected.hex(' ')}", magic.hex(" ") or "an empty file")
    lengths = content.read(4 * rank)
    if len(lengths) < 4 * rank:
        raise DataError("read_idx", f"{rank} lengths in {path}", "a file that ends before them", "fetch it again")
    shape = struct.unpack(f">{rank}I", lengths)
    if prod(max(n, 1) for n in shape) > most:  # also beside a length of 0, where NumPy refuses lengths that are absurd
        raise DataError("read_idx", f"at most {most} values in {path}", f"lengths {shape}", "fetch it again")
    values = read_bounded(content, prod(shape))  # one more than there should be, and no more, whatever follows
    if len(values) != prod(shape):
        got = "more" if len(values) > prod(shape) else f"{len(values)}"
        raise DataError("read_idx", f"{prod(shape)} values of shape {shape} in {path}", got, "fetch it again")
    return np.frombuffer(values, np.uint8).reshape(shape)
