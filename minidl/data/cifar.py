"""CIFAR-10 in its binary layout: each image is one byte for its label and 3·32·32 for its pixels, red plane first.

Its authors also give it out as pickled Python objects.  Those are refused: to unpickle a file is to run it.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
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
from .pixels import scaled

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER, FOLDER_OF_PICKLES = "cifar-10-batches-bin", "cifar-10-batches-py"  # as in the archives
PICKLES = ("data_batch_1", "test_batch", "batches.meta", "train", "test", "meta")
TRAIN, TEST = tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"
SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # bytes of one image with its label
MOST = 10_000  # images in a file

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
#: Of the archive.  Its authors publish the MD5, c32a1d4ab5d03f1284b67883e8d87530.
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


def load_cifar10(path: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test photos of ten kinds of things, 3×32×32.

    path: a folder that has the binary version, in ``cifar-10-batches-bin/`` or in itself: data_batch_1.bin to
    data_batch_5.bin, or some of them, and test_batch.bin, each gzipped or not.  None: from ``$MINIDL_DATA`` if it is
    set, else from the user's cache, else downloaded into it and checked by SHA-256.

    Returns: (train, test), two `Dataset`s of images (N, 3, 32, 32), in the order of the files.
    Raises: `DataError` if the files are not there, cannot be downloaded or cached, or are not what they should be,
    such as the version for Python, which is pickled; nothing damaged is cached.

        train, test = load_cifar10("downloads")

    >>> from minidl.data import load_cifar10
    >>> load_cifar10("no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_cifar10: expected ...
    """
    if own := own_binary("load_cifar10", FOLDER, FOLDER_OF_PICKLES, [TRAIN, [TEST]], path):
        return _read(own)
    folder = cache_folder() / FOLDER
    if missing(folder, (*TRAIN, TEST)):
        _download(folder)
    return _read(folder)


def own_binary(
    operation: str, folder: str, pickled: str, needed: Sequence[Sequence[str]], path: str | Path | None
) -> Path | None:
    """As `own_folder`.  pickled: what the authors call the folder of the version for Python, which is told by name."""
    try:
        return own_folder(operation, (folder,), needed, path)
    except DataError as error:
        root = Path(path or os.environ["MINIDL_DATA"])
        places = [place / name for place in (root, root / pickled, root / folder) for name in PICKLES]
        if file := next((place for place in places if os.path.isfile(place)), None):
            raise _pickled(operation, file) from error
        raise


def _pickled(operation: str, path: str | Path) -> DataError:
    got = f"{path}, pickled for Python: opening such a file can run any program, so it is not opened"
    return DataError(operation, "CIFAR in its binary version", got, f"fetch that from {HOME}; its images are the same")


def read_batch(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, 3, 32, 32) and labels (N,), both uint8, in one file of CIFAR-10's binary layout, gzipped or not.

    Raises `DataError` if the file is missing, not a regular file or damaged, has no images or more than 10,000, ends
    within an image, or has a label above 9.
    """
    images, labels = read_records("read_batch", path, MOST, (len(CLASS_NAMES),))
    return images, labels[:, 0]


def read_records(operation: str, path: str | Path, most: int, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """As `read_batch`, of at most so many images with a label for each number of classes: labels (N, len(classes))."""
    size = len(classes) + PIXELS
    with unpacked(operation, path, "CIFAR", most=most * size) as content:
        values = read_bounded(content, most * size)  # one more than there may be, and no more, whatever follows
    if values[:1] == b"\x80" and values[1:2] <= b"\x05":  # a pickle and its version; no label is as large
        raise _pickled(operation, path)
    if not values or len(values) > most * size or len(values) % size:
        expected = f"1 to {most} images of {size} bytes in {path}"
        got = f"more than {most}" if len(values) > most * size else f"{len(values)} bytes"
        raise DataError(operation, expected, got, "fetch it again")
    records = np.frombuffer(values, np.uint8).reshape(-1, size)
    labels = records[:, : len(classes)]
    for column, count in zip(labels.T, classes):
        if column.max() >= count:
            got = f"{column.max()} for image {column.argmax()}"
            raise DataError(operation, f"labels below {count} in {path}", got, "fetch it again")
    return records[:, len(classes) :].reshape(-1, *SHAPE), labels


def _read(folder: Path) -> tuple[Dataset, Dataset]:
    absent = missing(folder, TRAIN)
    return _joined([find(folder, name) for name in TRAIN if name not in absent]), _joined([find(folder, TEST)])


def _joined(paths: list[Path]) -> Dataset:
    batches = [read_batch(path) for path in paths]
    x = scaled("load_cifar10", np.concatenate([images for images, _ in batches]), paths[0])
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
