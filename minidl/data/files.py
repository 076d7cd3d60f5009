"""Files of data sets: opened whether they are gzipped or not, looked for, and kept in the user's cache.

What others wrote may be damaged or hostile.  So nothing is read beyond what it can be, and whatever goes wrong is a
`DataError`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import DataError, DTypeError
from ..files import regular_file

SLACK = 2**20  # bytes a packed file may have more than what is in it: gzip's headers, which are far fewer
PIECE = 2**20  # bytes read at once


@contextmanager
def unpacked(operation: str, path: str | Path, kind: str, most: int) -> Iterator[IO[bytes]]:
    """A file to read from, unzipped on the way if it is gzipped; ``most``: the bytes it may have unpacked.

    What is read is for the caller to bound, with `read_bounded`: of a gzipped file only its packed size is known.
    Raises `DataError`, in the name of the operation, if the file is missing, not a regular file, too long, or damaged
    so that it cannot be read: what is expected is then a sound file of that kind.
    """
    regular_file(operation, path, most + SLACK)
    try:
        with open(path, "rb") as file, _unzipped(file) as content:
            yield content
    except (OSError, EOFError, MemoryError, zlib.error) as error:
        raise DataError(operation, f"{path} to be a sound {kind} file", repr(error), "fetch it again") from error


@contextmanager
def _unzipped(file: IO[bytes]) -> Iterator[IO[bytes]]:
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    with gzip.open(file) if zipped else file as content:
        yield content  # type: ignore[misc]


def read_bounded(content: IO[bytes], most: int) -> bytearray:
    """The rest of a file, or the next ``most + 1`` bytes of it: one too many tells that there is more.

    It is read in pieces, so that memory follows what is there and not what a header promises.
    """
    values = bytearray()
    while len(values) <= most and (piece := content.read(min(PIECE, most + 1 - len(values)))):
        values += piece
    return values


def unzip(content: bytes, most: int) -> bytearray:
    """What is in a gzipped file, given as its bytes; these themselves if they are not gzipped.

    Raises `DataError` if that is more than ``most`` bytes, and what `gzip` raises if they are damaged.
    """
    with _unzipped(io.BytesIO(content)) as opened:
        values = read_bounded(opened, most)
    if len(values) > most:
        raise DataError("unzip", f"at most {most} bytes", "more", "fetch it again")
    return values


def verify(content: bytes | bytearray, sha256: str) -> None:
    """Raises `DataError` if this is not what has the digest; the first bytes tell a web page from damaged data."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        got = f"{digest}, of {len(content)} bytes that begin with {bytes(content[:16])!r}"
        raise DataError("download", f"SHA-256 {sha256}", got, "fetch it again")


def find(folder: Path, name: str) -> Path:
    """The file of that name, unpacked if it is there, gzipped otherwise, however it was unpacked.

    ``train-images-idx3-ubyte`` is also found as ``train-images.idx3-ubyte``, and within a folder of its own name.
    """
    # os.path.exists is False for a folder that may not be searched, where Path.exists raises up to Python 3.13.
    places = [place for place in _spellings(folder, name) if os.path.exists(place)]
    files = (place for place in places if not os.path.isdir(place))
    return next(files, next(iter(places), folder / f"{name}.gz"))  # a folder in its place will be told when it is read


def _spellings(folder: Path, name: str) -> Iterator[Path]:
    names = dict.fromkeys((name, name.replace("-idx", ".idx")))
    for place in (folder, *(folder / within for within in names)):
        for spelling in names:
            yield place / spelling
            yield place / f"{spelling}.gz"


def missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the files that are not in the folder, neither unpacked nor gzipped."""
    return [name for name in names if not os.path.exists(find(folder, name))]


def own_folder(
    operation: str, names: Sequence[str], needed: Sequence[Sequence[str]], path: str | Path | None = None
) -> Path | None:
    """The folder that has the files: one of those names within `path` or ``$MINIDL_DATA``, or `path` itself.

    It is the first that has them all; None without a path, if the variable is unset or empty.
    ``needed``: groups of files, of each of which at least one must be there, gzipped or not.
    Raises `DataError` if there is no such folder: who names one wants these files, and no others in their place.
    `DTypeError` for a path that is none.
    """
    if path is not None and not isinstance(path, str | os.PathLike):
        raise DTypeError(operation, "the path of a folder", type(path).__name__)
    root = path if path is not None else os.environ.get("MINIDL_DATA")
    if not root:
        return None
    places = [Path(root) / name for name in names] + [Path(root)] * (path is not None)
    folder = next((place for place in places if not _absent(place, needed)), None)
    if folder is None:
        raise _nothing_there(operation, Path(root), places, needed, path is not None)
    return folder


def _absent(folder: Path, needed: Sequence[Sequence[str]]) -> list[str]:
    """The groups of files of which none is in the folder, in words."""
    return [" or ".join(group) for group in needed if len(missing(folder, group)) == len(group)]


def _nothing_there(
    operation: str, root: Path, places: Sequence[Path], needed: Sequence[Sequence[str]], named: bool
) -> DataError:
    """What was looked for, and what is there.  named: whether the caller has named the folder."""
    likely = places[-1] if named else places[0]  # where to put the files
    nearest = min([likely, *places], key=lambda place: len(_absent(place, needed)))  # with most of the files
    others = [str(place) for place in places if place != nearest]
    expected = f"{', '.join(_absent(nearest, needed))} in {nearest}" + (
        f" (or in {', '.join(others)})" if others else ""
    )
    absent = next((place for place in (root, nearest) if not os.path.isdir(place)), None)
    there = listing(nearest)
    got = f"no folder {absent}" if absent else f"no such files, but {there}" if there else "an empty folder"
    if named:
        of_file = "name a folder: that of the file, or the one that it unpacks to"
        fix = of_file if os.path.isfile(root) else f"put the files into {nearest}, gzipped or not"
        return DataError(operation, expected, got, fix)
    fix = f"put the files into {nearest}, gzipped or not, or unset MINIDL_DATA"
    return DataError(operation, f"{expected}, as MINIDL_DATA is set", got, fix)


def listing(folder: Path, most: int = 8) -> str:
    """What is in a folder, for an error: the first names in order, folders with a stroke, how many others; or ""."""
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in os.scandir(folder))
    except OSError as error:
        return f"a folder that cannot be looked into ({error.strerror})"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def cache_folder() -> Path:
    """Where downloads are kept: pooch's cache for minidl, under the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("minidl"))


@contextmanager
def written_to(operation: str, folder: Path) -> Iterator[Path]:
    """A temporary folder within a folder, which is made if need be.  What is moved out of it stays, the rest goes.

    Opened before a download, so that a folder without write permission raises an error first.
    Raises `DataError`, in the name of the operation, if writing fails, here or in the block.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            yield Path(temporary)
    except OSError as error:
        fix = f"make room in {folder} and let yourself write there, or put the files elsewhere and set MINIDL_DATA"
        raise DataError(operation, f"to write into {folder}", repr(error), fix) from error
