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
from .files import unpacked

LARGEST = 2**31  # values in a file; MNIST has 47 million


def read_idx(path: str | Path, rank: int) -> np.ndarray:
    """The uint8 array of the given rank in an IDX file, gzipped or not.

    Raises `DataError` if the file is missing, damaged, of another type or rank, too short or too long.
    """
    with unpacked("read_idx", path, "IDX") as content:
        return _read(content, path, rank)


def _read(content: IO[bytes], path: str | Path, rank: int) -> np.ndarray:
    magic, expected = content.read(4), bytes([0, 0, 8, rank])
    if magic != expected:
        raise DataError("read_idx", f"{path} to begin with {expected.hex(' ')}", magic.hex(" ") or "an empty file")
    lengths = content.read(4 * rank)
    if len(lengths) < 4 * rank:
        raise DataError("read_idx", f"{rank} lengths in {path}", "a file that ends before them", "fetch it again")
    shape = struct.unpack(f">{rank}I", lengths)
    if prod(shape) > LARGEST:  # a damaged length must not make us ask for terabytes
        raise DataError("read_idx", f"at most {LARGEST} values in {path}", f"lengths {shape}", "fetch it again")
    values = content.read(prod(shape) + 1)  # one more than there should be, and no more, whatever follows
    if len(values) != prod(shape):
        got = "more" if len(values) > prod(shape) else f"{len(values)}"
        raise DataError("read_idx", f"{prod(shape)} values of shape {shape} in {path}", got, "fetch it again")
    return np.frombuffer(values, np.uint8).reshape(shape)
