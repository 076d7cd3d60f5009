"""Pictures in folders, a folder for each class, read by Pillow: the work of `Dataset.from_folder`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, RangeError
from ..files import regular_file
from ..progress import bar
from .files import listing
from .idx import LARGEST
from .pixels import scaled

SUFFIXES = (".png", ".jpg", ".jpeg")
OF_SYSTEMS = ("thumbs.db", "desktop.ini")  # what Windows leaves in folders; others hide theirs behind a dot
BYTES, PIXELS = 2**26, 2**26  # that a picture may have, packed and unpacked
MODES = {1: "L", 3: "RGB"}  # Pillow's, of one and of three channels

Size = tuple[int, int]


def read_folder(
    path: str | Path, size: Size | None, channels: int | None, class_names: Sequence[str] | None, progress: bool
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The pictures (N, C, H, W) float32 in [0, 1], their labels (N,) int64, and the names of the classes."""
    if channels not in (None, 1, 3):
        raise RangeError(
            "from_folder", "channels=1 for grey, 3 for colours, or None for what the first has", f"{channels!r}"
        )
    if size is not None and not (isinstance(size, tuple | list) and len(size) == 2 and all(_is_count(n) for n in size)):
        raise RangeError("from_folder", "a size (height, width) in pixels, both at least 1", f"{size!r}")
    names = _classes(Path(path), class_names)
    files = [(file, label) for label, name in enumerate(names) for file in _pictures(Path(path) / name, class_names)]
    if not files:
        raise DataError("from_folder", f"pictures in {path}", "none")
    x: Any = None
    for i, (file, _) in enumerate(bar(files, Path(path).name, progress, unit="picture")):
        pixels = _picture(file, size, channels)
        if x is None:
            _check_memory(len(files), pixels)
            x, channels = np.empty((len(files), *pixels.shape), np.uint8), len(pixels)
        if pixels.shape != x.shape[1:]:
            fix = f"size={x.shape[2:]} for all of them"
            raise DataError("from_folder", f"{file} to be of {_words(x[0])} as {files[0][0]} is", _words(pixels), fix)
        x[i] = pixels
    return scaled("from_folder", x, path), np.array([label for _, label in files], np.int64), names


def _is_count(n: Any) -> bool:
    return isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1


def _words(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]} pixels"


def _check_memory(count: int, pixels: np.ndarray) -> None:
    if count * pixels.size > LARGEST:
        got = f"{count} of {pixels.size}, which take {count * pixels.size * 4 / 2**30:.1f} GB"
        raise DataError(
            "from_folder", f"at most {LARGEST} pixels and channels in all", got, "size=(64, 64) for smaller ones"
        )


def _classes(path: Path, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the sub-folders, sorted; or those that were asked for, of which some may be absent."""
    entries = _entries(path)
    names = [entry.name for entry in entries if entry.is_dir()]
    loose = [entry.name for entry in entries if not entry.is_dir() and _is_picture(entry.name)]
    if not names or loose:
        got = f"{loose[0]} beside them" if names else listing(path) or "an empty folder"
        raise DataError("from_folder", f"pictures in sub-folders of {path}, one for each class", got)
    if wanted is None:
        return tuple(names)
    if unknown := sorted(set(names) - set(wanted)):
        raise DataError("from_folder", f"sub-folders of {path} named as class_names", f"{unknown[0]} besides")
    return tuple(wanted)


def _pictures(folder: Path, wanted: Sequence[str] | None) -> list[Path]:
    """The PNG and JPEG files of a class, sorted.  Only where the classes were asked for may one be empty or absent."""
    if wanted is not None and not os.path.isdir(folder):
        return []
    entries = _entries(folder)
    for entry in entries:
        if not _is_picture(entry.name):
            inner, other = (
                "name the folder that holds the folders of the classes",
                "move it elsewhere, or save it as PNG",
            )
            fix = inner if entry.is_dir() else other
            raise DataError("from_folder", f"PNG and JPEG pictures alone in {folder}", entry.name, fix)
    if not entries and wanted is None:
        fix = "remove the folder, or say class_names=(...), of which some may have no pictures"
        raise DataError("from_folder", f"pictures in {folder}", "none", fix)
    return [folder / entry.name for entry in entries]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name, without what file managers and notebooks hide there."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError("from_folder", f"a folder {folder}", repr(error), "check the path") from error
    return [entry for entry in entries if entry.name[0] != "." and entry.name.lower() not in OF_SYSTEMS]


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _picture(file: Path, size: Size | None, channels: int | None) -> np.ndarray:
    """One picture as bytes (C, H, W), upright.  Whatever is wrong with it is a `DataError` that names the file."""
    from PIL import Image

    regular_file("from_folder", file, BYTES)
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            return _pixels(image, size, channels)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises errors of many types for damaged files, some of them its own
        message = str(error) if isinstance(error, _Unsuited) else repr(error)
        raise DataError(
            "from_folder", f"{file} to be a sound PNG or JPEG picture", message, "remove it, or save it anew"
        ) from error


class _Unsuited(Exception):
    """A sound picture that cannot be taken as it is."""


def _pixels(image: Any, size: Size | None, channels: int | None) -> np.ndarray:
    from PIL import Image, ImageOps

    if image.width * image.height > PIXELS:  # before any of it is unpacked
        raise _Unsuited(f"{image.width} x {image.height} pixels, more than {PIXELS}")
    if image.mode.startswith(("I", "F")):
        raise _Unsuited(f"more than 8 bits a pixel (mode {image.mode})")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            raise _Unsuited("transparent pixels, which have no colour")
    grey = image.mode in ("1", "L", "LA")
    image = image.convert(MODES[channels or (1 if grey else 3)])
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
