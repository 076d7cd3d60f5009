"""CIFAR-10 in its binary layout: each image is one byte for its label and 3·32·32 for its pixels, red plane first."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np

from ..backend import asarray
from ..errors import DataError
from .dataset import Dataset
from .download import fetch
from .files import (
    SLACK,
    cache_folder,
    find,
    missing,
    own_folder,
    read_bounded,
    unpacked,
    unzip,
    verify,
    written_to,
)

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-bin"  # as in the archive
TRAIN, TEST = tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # bytes of one image with its label
MOST = 10_000  # images in a file

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
#: Of the archive.  Its authors publish the MD5, c32a1d4ab5d03f1284b67883e8d87530.
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


def load_cifar10() -> tuple[Dataset, Dataset]:
    """CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test photos of ten kinds of things, 3×32×32.

    If MINIDL_DATA is set, taken from the folder ``$MINIDL_DATA/cifar-10-batches-bin/``: data_batch_1.bin to
    data_batch_5.bin, or as many of them as there are, and test_batch.bin, each gzipped or not.  ``len(train)`` says
    how many images that came to.  Else from the user's cache, else downloaded into it and checked by digest.
    Images keep the order of their files.
    Raises `DataError` if the files are not there, cannot be downloaded or kept, or are not what they should be;
    nothing damaged is cached.
    """
    if own := own_folder("load_cifar10", FOLDER, [TRAIN, [TEST]]):
        return _read(own)
    folder = cache_folder() / FOLDER
    if missing(folder, (*TRAIN, TEST)):
        _download(folder)
    return _read(folder)


def read_batch(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, 3, 32, 32) and labels (N,), both uint8, in one file of the binary layout, gzipped or not.

    Raises `DataError` if the file is missing, not a regular file or damaged, has no images or more than 10,000, ends
    within an image, or has a label above 9.
    """
    with unpacked("read_batch", path, "CIFAR-10", most=MOST * RECORD) as content:
        values = read_bounded(content, MOST * RECORD)  # one more than there may be, and no more, whatever follows
    if not values or len(values) > MOST * RECORD or len(values) % RECORD:
        expected = f"1 to {MOST} images of {RECORD} bytes in {path}"
        got = f"more than {MOST}" if len(values) > MOST * RECORD else f"{len(values)} bytes"
        raise DataError("read_batch", expected, got, "fetch it again")
    records = np.frombuffer(values, np.uint8).reshape(-1, RECORD)
    images, labels = records[:, 1:].reshape(-1, *SHAPE), records[:, 0]
    if labels.max() >= len(CLASS_NAMES):
        got = f"{labels.max()} for image {labels.argmax()}"
        raise DataError("read_batch", f"labels below {len(CLASS_NAMES)} in {path}", got, "fetch it again")
    return images, labels


def _read(folder: Path) -> tuple[Dataset, Dataset]:
    absent = missing(folder, TRAIN)
    return _joined([find(folder, name) for name in TRAIN if name not in absent]), _joined([find(folder, TEST)])


def _joined(paths: list[Path]) -> Dataset:
    batches = [read_batch(path) for path in paths]
    x = np.concatenate([images for images, _ in batches], dtype=np.float32)
    x /= np.float32(255)
    y = np.concatenate([labels for _, labels in batches], dtype=np.int64)
    return Dataset(asarray(x), asarray(y), CLASS_NAMES)


def _download(folder: Path) -> None:
    """The six files, from the archive that is at the address; they are cached only if it is the right one."""
    fix = f"put the six .bin files into {folder} (or $MINIDL_DATA/{FOLDER}/)"
    with written_to("load_cifar10", folder) as temporary:
        batches = fetch("load_cifar10", "CIFAR-10", [URL], _largest(), _batches, fix)
        for name, content in batches.items():
            (temporary / name).write_bytes(content)
            read_batch(temporary / name)
        for name in batches:
            os.replace(temporary / name, folder / name)


def _largest() -> int:
    """The bytes the unpacked archive can have: six full files, and what little is around and between them."""
    return 6 * MOST * RECORD + SLACK


def _batches(archive: bytes) -> dict[str, bytes]:
    """The six files in the archive by their names.  Nothing in it is looked at before we know that it is the right one.

    Raises `DataError`, or what `gzip` and `tarfile` raise, if it is not.
    """
    verify(archive, SHA256)
    with tarfile.open(fileobj=io.BytesIO(unzip(archive, _largest())), mode="r:") as members:
        return {name: _member(members, name) for name in (*TRAIN, TEST)}


def _member(members: tarfile.TarFile, name: str) -> bytes:
    try:
        content = members.extractfile(f"{FOLDER}/{name}")
    except KeyError:
        content = None
    if content is None:
        raise DataError("load_cifar10", f"{FOLDER}/{name} in the archive", "no such file")
    values = read_bounded(content, MOST * RECORD)
    if len(values) > MOST * RECORD:
        raise DataError("load_cifar10", f"at most {MOST * RECORD} bytes in {FOLDER}/{name}", "more")
    return bytes(values)
