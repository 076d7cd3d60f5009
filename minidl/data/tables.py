"""Images in a table of comma-separated values, as Kaggle has MNIST: the work of `Dataset.from_csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import isqrt, prod
from numbers import Integral
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import DataError
from ..progress import bar
from .files import unpacked
from .idx import LARGEST
from .pixels import scaled

LINE = 2**22  # bytes in a line: a million pixels
LONGEST = 4  # digits of a label: a longer one is more likely an identity number
BYTES = {str(n).encode(): n for n in range(256)}  # looked up: faster than int() of each, and nothing else is found

Line = tuple[int, bytes]  # its number, and what is in it


def read_csv(
    path: str | Path, shape: Sequence[int] | None, class_names: Sequence[str] | None, progress: bool
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The images (N, *shape) float32 in [0, 1], their labels (N,) int64, and the names of the classes."""
    pixels, labels = bytearray(), list[int]()
    with unpacked("from_csv", path, "CSV", most=4 * LARGEST + LINE) as content:
        lines = _lines(content, path)
        columns, first = _header(path, lines)
        image = _shape(path, columns - 1, shape)
        for number, line in bar(chain(first, lines), Path(path).name, progress, unit="line"):
            label, values = _row(path, number, line, columns)
            labels.append(label)
            pixels += values
            if len(pixels) > LARGEST:
                raise DataError("from_csv", f"at most {LARGEST} pixels in {path}", "more", "split the file")
    if not labels:
        raise DataError("from_csv", f"images in {path}", "no line but the header")
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(max(labels) + 1)))
    if max(labels) >= len(names):
        raise DataError(
            "from_csv", f"a class name for every label in {path}", f"label {max(labels)} for {len(names)} names"
        )
    x = scaled("from_csv", np.frombuffer(pixels, np.uint8), path)
    return x.reshape(len(labels), *image), np.array(labels, np.int64), names


def _lines(content: IO[bytes], path: str | Path) -> Iterator[Line]:
    """The lines that are not empty, with their numbers, counted from 1."""
    number = 0
    while line := content.readline(LINE):
        number += 1
        if len(line) == LINE:
            raise DataError("from_csv", f"lines of less than {LINE} bytes in {path}", f"a longer one, line {number}")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # a mark that Excel writes in front of UTF-8
        if line := line.strip():
            yield number, line


def _header(path: str | Path, lines: Iterator[Line]) -> tuple[int, list[Line]]:
    """How many columns there are, and the first line once more if it is no header but an image already."""
    number, line = next(lines, (0, b""))
    fields = line.split(b",")
    if len(fields) < 2:
        fix = "unpack it" if line.startswith(b"PK") else "save it with commas between the columns"
        raise DataError("from_csv", f"{path} to begin with a line of columns", f"{line[:40]!r}", fix)
    if fields[0].isdigit():
        return len(fields), [(number, line)]
    if fields[0].strip(b'" ').lower() != b"label":
        fix = "take a file with labels: from one without, such as Kaggle's test.csv, nothing can be learnt"
        raise DataError("from_csv", f"the first column of {path} to be called label", f"{fields[0][:40]!r}", fix)
    return len(fields), []


def _shape(path: str | Path, pixels: int, shape: Sequence[int] | None) -> tuple[int, ...]:
    """The shape of one image, which has that many pixels: if None is given, (1, side, side)."""
    if shape is None:
        side = isqrt(pixels)
        if side**2 != pixels:
            fix = "say shape=(channels, height, width); or is there no column of labels?"
            raise DataError(
                "from_csv", f"a label and the pixels of a square image in {path}", f"{pixels + 1} columns", fix
            )
        return 1, side, side
    lengths = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not all(isinstance(n, Integral) and int(n) > 0 for n in lengths) or prod(lengths) != pixels:
        raise DataError("from_csv", f"a shape of {pixels} pixels, as {path} has them", f"{lengths}")
    return tuple(map(int, lengths))


def _row(path: str | Path, number: int, line: bytes, columns: int) -> tuple[int, bytes]:
    """A line's label and pixels."""
    fields = line.replace(b" ", b"").split(b",")
    if len(fields) != columns:
        raise DataError("from_csv", f"{columns} columns in line {number} of {path}", f"{len(fields)}", "mend the line")
    try:
        pixels = bytes(map(BYTES.__getitem__, fields[1:]))
    except KeyError as error:
        got = f"{error.args[0][:40]!r} in column {fields.index(error.args[0], 1) + 1}"
        raise DataError("from_csv", f"pixels from 0 to 255, whole numbers, in line {number} of {path}", got) from error
    if not fields[0].isdigit() or len(fields[0]) > LONGEST:
        fix, got = "put the label into the first column", f"{fields[0][:40]!r} in line {number}"
        raise DataError("from_csv", f"labels from 0 to {10**LONGEST - 1}, whole numbers, in {path}", got, fix)
    return int(fields[0]), pixels
