"""CIFAR-100 in its binary layout: for each image a byte for its superclass, one for its class, 3·32·32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..backend import asarray
from ..errors import DataError
from .cifar import HOME, own_binary, read_records
from .dataset import Dataset
from .files import find, read_bounded, unpacked
from .pixels import scaled

FOLDER, FOLDER_OF_PICKLES = "cifar-100-binary", "cifar-100-python"  # as in the archives
MOST = 50_000  # images in a file
CLASSES = (20, 100)
LETTERS = 10_000  # that the names of the classes can have, all together


def load_cifar100(path: str | Path | None = None, coarse: bool = False) -> tuple[Dataset, Dataset]:
    """CIFAR-100 (Krizhevsky 2009): 50,000 training and 10,000 test photos of a hundred kinds of things, 3×32×32.

    path: a folder that has the binary version, in ``cifar-100-binary/`` or in itself: train.bin, test.bin, and
    fine_label_names.txt or coarse_label_names.txt, each gzipped or not.  None: from ``$MINIDL_DATA``.  It is never
    downloaded.
    coarse: whether labels are the twenty superclasses, such as "fish", instead of the hundred classes.

    Returns: (train, test), two `Dataset`s of images (N, 3, 32, 32).
    Raises: `DataError` as `load_cifar10` does.

        train, test = load_cifar100("downloads")

    >>> from minidl.data import load_cifar100
    >>> load_cifar100("no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_cifar100: expected ...
    """
    names = f"{'coarse' if coarse else 'fine'}_label_names.txt"
    needed = [["train.bin"], ["test.bin"], [names]]
    folder = own_binary("load_cifar100", FOLDER, FOLDER_OF_PICKLES, needed, path)
    if folder is None:
        fix = f"fetch cifar-100-binary.tar.gz from {HOME}, unpack it, and name its folder: load_cifar100(path=...)"
        raise DataError("load_cifar100", "a path, or MINIDL_DATA in the environment", "neither", fix)
    class_names = _names(find(folder, names), CLASSES[not coarse])
    return _part(find(folder, "train.bin"), class_names, coarse), _part(find(folder, "test.bin"), class_names, coarse)


def _names(path: Path, count: int) -> tuple[str, ...]:
    with unpacked("load_cifar100", path, "text", most=LETTERS) as content:
        names = tuple(read_bounded(content, LETTERS).decode("utf-8", "replace").split())
    if len(names) != count:
        raise DataError("load_cifar100", f"{count} names in {path}", f"{len(names)}", "fetch it again")
    return names


def _part(path: Path, class_names: tuple[str, ...], coarse: bool) -> Dataset:
    images, labels = read_records("load_cifar100", path, MOST, CLASSES)
    y = labels[:, 0 if coarse else 1].astype(np.int64)
    return Dataset(asarray(scaled("load_cifar100", images, path)), asarray(y), class_names)
