"""The IDX format of MNIST: two zero bytes, a type code, the rank, each length, then the values, all big-endian.

Nearly all such files hold unsigned bytes, QMNIST's labels 32-bit numbers.  A file may be gzipped, whatever its name.
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
TYPES = {8: "u1", 9: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}  # by their codes; LeCun's page has them all
MOST_AXES = 64  # that NumPy can have


def read_idx(path: str | Path, rank: int | None = None, most: int = LARGEST) -> np.ndarray:
    """The array in an IDX file, gzipped or not.

    path: the file.
    rank: how many axes it must have; None: any number.
    most: the largest number of values it may have.

    Returns: an array of uint8, int8, int16, int32, float32 or float64, as the file says.
    Raises: `DataError` if the file is missing, not a regular file, damaged, of another type or rank, too short, too
    long, or has too many values.

    >>> import tempfile, pathlib
    >>> from minidl.data import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    ...     read_idx(path)
    array([7, 8, 9], dtype=uint8)
    """
    header = 4 + 4 * (MOST_AXES if rank is None else rank)
    with unpacked("read_idx", path, "IDX", most=header + 8 * most) as content:
        return _read(content, path, rank, most)


def _read(content: IO[bytes], path: str | Path, rank: int | None, most: int) -> np.ndarray:
    magic = content.read(4)
    known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in TYPES and magic[3] <= MOST_AXES
    if not known or (rank is not None and magic[3] != rank):
        types = ", ".join(f"{code:02x}" for code in TYPES)
        expected = f"{path} to begin with 00 00, a type ({types}) and a rank" + ("" if rank is None else f" of {rank}")
        raise DataError("read_idx", expected, magic.hex(" ") or "an empty file", "name an IDX file, or fetch it again")
    dtype, rank = np.dtype(TYPES[magic[2]]), magic[3]
    lengths = content.read(4 * rank)
    if len(lengths) < 4 * rank:
        raise DataError("read_idx", f"{rank} lengths in {path}", "a file that ends before them", "fetch it again")
    shape = struct.unpack(f">{rank}I", lengths)
    if prod(max(n, 1) for n in shape) > most:  # also beside a length of 0, where NumPy refuses lengths that are absurd
        raise DataError("read_idx", f"at most {most} values in {path}", f"lengths {shape}", "fetch it again")
    size = prod(shape) * dtype.itemsize
    values = read_bounded(content, size)  # one more byte than there should be, and no more, whatever follows
    if len(values) != size:
        got = "more" if len(values) > size else f"{len(values) // dtype.itemsize}"
        raise DataError("read_idx", f"{prod(shape)} values of shape {shape} in {path}", got, "fetch it again")
    return np.frombuffer(values, dtype.newbyteorder(">")).astype(dtype, copy=False).reshape(shape)
