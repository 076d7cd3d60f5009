"""Files of data sets: opened whether they are gzipped or not, downloaded, and kept in the user's cache."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import DataError


@contextmanager
def unpacked(operation: str, path: str | Path, kind: str) -> Iterator[IO[bytes]]:
    """A file to read from, unzipped on the way if it is gzipped.

    Raises `DataError`, in the name of the operation, if the file is missing, or damaged so that it cannot be read:
    what is expected is then a sound file of that kind.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if zipped else file as content:
                yield content  # type: ignore[misc]
    except FileNotFoundError as error:
        raise DataError(operation, f"a file {path}", "no such file") from error
    except (OSError, EOFError, MemoryError, zlib.error) as error:
        raise DataError(operation, f"{path} to be a sound {kind} file", repr(error), "fetch it again") from error


def find(folder: Path, name: str) -> Path:
    """The file of that name, unpacked if it is there, gzipped otherwise."""
    return folder / name if (folder / name).exists() else folder / f"{name}.gz"


def cache_folder() -> Path:
    """Where downloads are kept: pooch's cache for minidl, under the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("minidl"))


def download(url: str, path: Path) -> None:
    """What is at an address, to a file, whatever it is.  Raises `OSError`, which requests' errors are too."""
    import pooch

    pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)(url, str(path), None)
