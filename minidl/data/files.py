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

from ..errors import DataError
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
    """The file of that name, unpacked if it is there, gzipped otherwise."""
    return folder / name if os.path.exists(folder / name) else folder / f"{name}.gz"


def missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the files that are not in the folder, neither unpacked nor gzipped."""
    # os.path.exists is False for a folder that may not be searched, where Path.exists raises up to Python 3.13.
    return [name for name in names if not os.path.exists(find(folder, name))]


def own_folder(operation: str, name: str, needed: Sequence[Sequence[str]]) -> Path | None:
    """The folder ``$MINIDL_DATA/<name>/``, or None if the variable is unset or empty.

    ``needed``: groups of files, of each of which at least one must be there, gzipped or not.
    Raises `DataError` if that is not so: who sets the variable wants these files, and no others in their place.
    """
    own = os.environ.get("MINIDL_DATA")
    if not own:
        return None
    folder = Path(own) / name
    absent = [" or ".join(group) for group in needed if len(missing(folder, group)) == len(group)]
    if absent:
        places = [place for place in (Path(own), folder) if not os.path.isdir(place)]
        got = f"no folder {places[0]}" if places else "no such files"
        fix = f"put the files into {folder}, gzipped or not, or unset MINIDL_DATA"
        raise DataError(operation, f"{', '.join(absent)} in {folder}, as MINIDL_DATA is set", got, fix)
    return folder


def cache_folder() -> Path:
    """Where downloads are kept: pooch's cache for minidl, under the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("minidl"))


@contextmanager
def written_to(operation: str, folder: Path) -> Iterator[Path]:
    """A temporary folder within a folder, which is made if need be.  What is moved out of it stays, the rest goes.

    Opened before a download, so that a folder nobody can write into is told first.
    Raises `DataError`, in the name of the operation, if writing fails, here or in the block.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            yield Path(temporary)
    except OSError as error:
        fix = f"make room in {folder} and let yourself write there, or put the files elsewhere and set MINIDL_DATA"
        raise DataError(operation, f"to write into {folder}", repr(error), fix) from error
