"""The files of minidl: .npz archives of plain arrays with one JSON header.  Nothing is ever unpickled.

Reading checks everything before anything is used: a damaged, hostile or foreign file is a `DataError`, and costs no
more memory than the file has bytes, or than was said beforehand.  A digest in the header covers all of it, so that
what loads is what was saved, to the bit.  Files of version 1, which have none, load all the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .backend import to_numpy
from .errors import DataError, DTypeError
from .files import atomically, check_writable, regular_file

HEADER = "minidl"  # the archive's entry that holds the JSON header
DIGEST = "sha256"  # the header's entry that holds the digest of everything else
VERSION = 2

SMALL = 2**20  # bytes that a header may have, though it is deflated in a file that has fewer

ShapesAndDtypes = dict[str, tuple[tuple[int, ...], str]]


def write_archive(path: str | Path, kind: str, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Arrays and a JSON-able header to an .npz file of the given kind, atomically.

    Raises `DTypeError` for arrays of Python objects, `DataError` for a header of anything but plain data, and for a
    path where no file can be written.
    """
    check_writable("save", path)
    plain = {name: to_numpy(value) for name, value in arrays.items()}
    for name, array in plain.items():
        if array.dtype.kind not in "fiub":
            raise DTypeError("save", "arrays of numbers", f"{name} of {_dtype_name(array)}", "save plain arrays")
    known = json.loads(json.dumps({"kind": kind, "version": VERSION, **header}, default=_plain))
    text = json.dumps({**known, DIGEST: _digest(known, plain)})
    with atomically(path) as file:
        np.savez(file, **{HEADER: np.array(text)}, **plain)  # type: ignore[arg-type]


def _dtype_name(array: np.ndarray) -> str:
    return "Python objects" if array.dtype.hasobject else f"dtype {array.dtype}"


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, for the header."""
    if isinstance(value, np.generic):
        return value.item()
    raise DataError("save", "a header of numbers, strings, lists and dicts", f"{type(value).__name__} {value!r}")


def _digest(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of the header, and of the name, dtype, shape and values of every array."""
    total = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.reshape(-1).view("u1").data)
    return total.hexdigest()


def read_archive(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and all arrays of a file written by `write_archive`; `DataError` for anything else."""
    with opened(path, kind) as archive:
        return archive.header, archive.arrays()


@contextmanager
def opened(path: str | Path, kind: str) -> Iterator[Archive]:
    """The archive in a file of that kind: its header has been read, its arrays have not.

    Raises `DataError` for anything else, also if what goes wrong does so within the block.
    """
    expected = f"{path} to be a minidl {kind} file"
    regular_file("load", path)
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise DataError("load", expected, "something that is not an .npz archive")
        with zipfile.ZipFile(path) as members:
            archive = Archive(path, members, os.path.getsize(path))
            what, version = archive.header.get("kind"), archive.header.get("version")
            if (what, version) not in ((kind, 1), (kind, VERSION)):
                raise DataError("load", f"{expected}, version {VERSION}", f"{what!r}, version {version!r}")
            yield archive
    except DataError:
        raise
    except Exception as error:  # whatever parsers say of bytes that were not made for them
        raise DataError("load", expected, f"a damaged or foreign file ({error!r})") from error


class Archive:
    """An open archive: its header, what it says of its arrays, and the arrays themselves once they are wanted."""

    def __init__(self, path: str | Path, members: zipfile.ZipFile, size: int) -> None:
        self.path, self._members, self._size = path, members, size
        names = [info.filename for info in members.infolist()]
        if sum(info.compress_size for info in members.infolist()) > size:  # zipfile makes room for what it is told
            raise DataError("load", f"{path} to be as large as its members, {size} bytes", "members that are larger")
        if len(set(names)) < len(names):
            raise DataError("load", f"{path} to name each array once", f"{sorted(names)}")
        for name in names:
            if not name.endswith(".npy"):
                raise DataError("load", f"{path} to hold arrays alone", f"{name!r}, which is none", "take it out")
        if f"{HEADER}.npy" not in names:
            raise DataError("load", f"{path} to be a file of minidl", "a foreign archive: it has no header")
        header = json.loads(str(self._array(members.getinfo(f"{HEADER}.npy"), "U")))
        if not isinstance(header, dict):
            raise DataError("load", f"{path} to have a header of names and values", type(header).__name__)
        self._sha256 = header.pop(DIGEST, None)
        self.header: dict[str, Any] = header

    @property
    def is_older(self) -> bool:
        """Whether it was written before files had digests, and knew classes by more than their names."""
        return bool(self.header["version"] == 1)

    def shapes_and_dtypes(self) -> ShapesAndDtypes:
        """What the file says of its arrays, without reading their values."""
        entries = {}
        for name, info in self._entries().items():
            with self._members.open(info) as member:
                shape, dtype, _ = _declared(member)
            entries[name] = shape, str(dtype)
        return entries

    def arrays(self, most: int | None = None) -> dict[str, np.ndarray]:
        """All arrays, by name; most: how many bytes they may have, as many as the file if None.

        They are stored as they are, so that they cannot be more than the file; compressed, by other programs, they
        could be a thousand times as much.
        """
        entries = self._entries()
        needed, allowed = sum(info.file_size for info in entries.values()), self._size if most is None else most
        if needed > allowed:
            raise DataError("load", f"{self.path} to hold at most {allowed} bytes of arrays", f"{needed}")
        loaded = {name: self._array(info, "fiub") for name, info in entries.items()}
        if not self.is_older and _digest(self.header, loaded) != self._sha256:
            raise DataError("load", f"{self.path} to be as it was saved", "other contents (SHA-256 differs)")
        return loaded

    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        every = {info.filename.removesuffix(".npy"): info for info in self._members.infolist()}
        return {name: info for name, info in every.items() if name != HEADER}

    def _array(self, info: zipfile.ZipInfo, kinds: str) -> np.ndarray:
        """One member, read whole, so that the zip's own checksum is compared."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError("load", f"{info.filename} to be stored or deflated", f"method {info.compress_type}")
        if info.filename == f"{HEADER}.npy" and info.file_size > max(self._size, SMALL):
            raise DataError("load", f"a header no larger than {self.path}", f"{info.file_size} bytes")
        content = io.BytesIO(self._members.read(info))
        shape, dtype, fortran = _declared(content)
        values = content.getbuffer()[content.tell() :]
        if dtype.kind not in kinds or len(values) != prod(shape) * dtype.itemsize:
            expected = f"{prod(shape)} values of {dtype} in {info.filename}"
            raise DataError("load", expected, f"{len(values)} bytes" if dtype.kind in kinds else f"dtype {dtype}")
        flat = np.frombuffer(values, dtype) if len(values) else np.empty(0, dtype)
        return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


def _declared(member: Any) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape, dtype and order (whether by columns) in the header of an .npy file, of its two usual versions."""
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise DataError("load", "arrays in version 1 or 2 of the .npy format", f"version {version}")
    shape, fortran, dtype = read(member)
    return shape, dtype, fortran


def shapes_and_dtypes(arrays: dict[str, Any]) -> ShapesAndDtypes:
    """What two sets of arrays must agree in for one to take the place of the other."""
    return {name: (a.shape, str(a.dtype)) for name, a in arrays.items()}
