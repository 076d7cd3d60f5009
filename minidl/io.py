"""Files: networks and results as .npz archives of plain arrays with one JSON header.  Nothing is ever unpickled.

Writing is atomic: a file appears whole under its name or not at all.  Reading checks everything before
anything is used: a damaged or foreign file is a `DataError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from .backend import asarray, to_numpy
from .errors import DataError, DTypeError, MinidlError
from .layers import Described
from .models import Sequential

HEADER = "minidl"  # the archive's entry that holds the JSON header
_DAMAGE = (ValueError, OSError, EOFError, KeyError, TypeError, RuntimeError, MemoryError, OverflowError,
           SyntaxError, zipfile.BadZipFile, zlib.error)  # fmt: skip


def save(net: Sequential, path: str | Path) -> None:
    """Write a network, architecture and parameters, to `path` (as given: no suffix is added), atomically.

    Every parameter is an array of the .npz archive under its own name, so that other tools can read them.
    """
    layers = [layer.describe() for layer in net.layers.values()]
    header = {"layers": layers, "input_shape": net.input_shape, "dtype": net.dtype}
    write_archive(path, "network", header, net.params)


def load(path: str | Path) -> Sequential:
    """The network in a file written by `save`, with its parameters in the array library in use.

    Raises `DataError` if the file is missing, damaged, of another kind, or inconsistent with itself.  Layers
    of your own must be defined (their module imported) before.
    """
    header, arrays = read_archive(path, "network")
    try:
        layers = [Described.rebuild(description) for description in header["layers"]]
        net = Sequential(*layers, input_shape=header["input_shape"], dtype=header["dtype"])
    except (*_DAMAGE, AttributeError, MinidlError) as error:
        fix = "import the module that defines the layers, if they are your own"
        raise DataError("load", f"{path} to describe a network of known layers", repr(error), fix) from error
    wanted, found = shapes_and_dtypes(net.params), shapes_and_dtypes(arrays)
    if wanted != found:
        differing = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        raise DataError("load", f"{path} to hold the parameters of its layers", f"others for {differing}")
    net.params.update({name: asarray(value) for name, value in arrays.items()})
    return net


def write_archive(path: str | Path, kind: str, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Arrays and a JSON-able header to an .npz file of the given kind, atomically."""
    text = json.dumps({"kind": kind, "version": 1, **header}, default=_plain)
    plain = {name: to_numpy(value) for name, value in arrays.items()}
    for name, array in plain.items():
        if array.dtype.hasobject:
            raise DTypeError("save", "arrays of numbers", f"{name} of Python objects", "they would have to be pickled")
    with atomically(path) as file:
        np.savez(file, **{HEADER: np.array(text)}, **plain)  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, for the header."""
    if isinstance(value, np.generic):
        return value.item()
    raise DataError("save", "a header of numbers, strings, lists and dicts", f"{type(value).__name__} {value!r}")


def read_archive(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and all arrays of a file written by `write_archive`; `DataError` for anything else."""
    expected = f"{path} to be a minidl {kind} file"
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise DataError("load", expected, "something that is not an .npz archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        header = json.loads(str(arrays.pop(HEADER)))
        found = (header["kind"], header["version"])
    except FileNotFoundError as error:
        raise DataError("load", expected, "no such file") from error
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError("load", expected, f"a damaged or foreign file ({error!r})") from error
    if found != (kind, 1):
        raise DataError("load", f"{expected}, version 1", f"{found[0]!r}, version {found[1]!r}")
    return header, arrays


def shapes_and_dtypes(arrays: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    """What two sets of arrays must agree in for one to take the place of the other."""
    return {name: (a.shape, str(a.dtype)) for name, a in arrays.items()}


@contextlib.contextmanager
def atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write, that takes its name once it is whole and on disk; if the block fails nothing is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's umask, which mkstemp's private files do not follow."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
