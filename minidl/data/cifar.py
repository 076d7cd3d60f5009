"""CIFAR-10 in its binary layout: each image is one byte for its label and 3·32·32 for its pixels, red plane first."""

from __future__ import annotations

import os
import tarfile
import tempfile
import zlib
from pathlib import Path

import numpy as np

from ..backend import asarray
from ..errors import DataError
from .dataset import Dataset
from .files import cache_folder, download, find, unpacked

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

    Taken from the folder ``$MINIDL_DATA/cifar-10-batches-bin/`` if there is one: data_batch_1.bin to
    data_batch_5.bin, or as many of them as there are, and test_batch.bin, each gzipped or not.  ``len(train)`` says
    how many images that came to.  Else from the user's cache, else downloaded into it and checked by digest.
    Images keep the order of their files.
    Raises `DataError` if that fails or a file is not what it should be; nothing damaged is cached.
    """
    own = os.environ.get("MINIDL_DATA")
    if own and (folder := Path(own) / FOLDER).is_dir():
        return _read(folder)
    folder = cache_folder() / FOLDER
    if not all((folder / name).exists() for name in (*TRAIN, TEST)):
        _download(folder)
    return _read(folder)


def read_batch(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, 3, 32, 32) and labels (N,), both uint8, in one file of the binary layout, gzipped or not.

    Raises `DataError` if the file is missing or damaged, has no images or more than 10,000, ends within an image, or
    has a label above 9.
    """
    with unpacked("read_batch", path, "CIFAR-10") as content:
        values = content.read(MOST * RECORD + 1)  # one more than there may be, and no more, whatever follows
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
    there = [path for name in TRAIN if (path := find(folder, name)).exists()]
    if not there:
        raise DataError("load_cifar10", f"at least one of {', '.join(TRAIN)} in {folder}", "none")
    return _joined(there), _joined([find(folder, TEST)])


def _joined(paths: list[Path]) -> Dataset:
    batches = [read_batch(path) for path in paths]
    x = np.concatenate([images for images, _ in batches], dtype=np.float32)
    x /= np.float32(255)
    y = np.concatenate([labels for _, labels in batches], dtype=np.int64)
    return Dataset(asarray(x), asarray(y), CLASS_NAMES)


def _download(folder: Path) -> None:
    """The six files, from the archive that is at the address; they are cached only if it is the right one."""
    import pooch

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        archive = Path(temporary) / "archive.tar.gz"
        try:
            download(URL, archive)
            if (digest := pooch.file_hash(str(archive), alg="sha256")) != SHA256:
                raise DataError("load_cifar10", f"an archive of SHA-256 {SHA256}", digest)
            paths = _unpack(archive)
        except (OSError, EOFError, tarfile.TarError, zlib.error, DataError) as error:
            fix = f"put the six .bin files into {folder} (or $MINIDL_DATA/{FOLDER}/)"
            raise DataError("load_cifar10", f"to download CIFAR-10 from {URL}", str(error), fix) from error
        for path in paths:
            os.replace(path, folder / path.name)


def _unpack(archive: Path) -> list[Path]:
    """The six files beside the archive, each known to be sound.

    The archive names what is in it, but we say where it goes: nothing can be written elsewhere.
    """
    paths = [archive.parent / name for name in (*TRAIN, TEST)]
    with tarfile.open(archive, "r:gz") as members:
        for path in paths:
            try:
                content = members.extractfile(f"{FOLDER}/{path.name}")
            except KeyError:
                content = None
            if content is None:
                raise DataError("load_cifar10", f"{FOLDER}/{path.name} in the archive", "no such file")
            path.write_bytes(content.read(MOST * RECORD + 1))
            read_batch(path)
    return paths
