"""Data sets in the format of MNIST: bundled, or from your own folder, the cache, or a download.

A `Source` describes each of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from ..backend import asarray
from ..errors import DataError, RangeError
from .dataset import Dataset
from .download import fetch
from .files import cache_folder, find, missing, own_folder, unzip, verify, written_to
from .idx import read_idx
from .pixels import scaled

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
#: The shape of the array in each file.  Your own files may have fewer values, but not more.
SHAPES = {"train-images-idx3-ubyte": (60_000, 28, 28), "train-labels-idx1-ubyte": (60_000,),
          "t10k-images-idx3-ubyte": (10_000, 28, 28), "t10k-labels-idx1-ubyte": (10_000,)}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A data set: its four files, how to read them, and where they may be.

    name: in the cache and in errors.
    class_names: of label 0, 1, …
    folders: where the files may be within a folder of the user.
    shapes: of each file the largest shape; training images, training labels, test images, test labels.
    first_label: the label of the first class in the files.
    transposed: whether rows and columns are exchanged in the files.
    mirrors: addresses of <file>.gz.
    sha256: of each unpacked file.
    home: without mirrors, the page where the files can be fetched by hand.
    """

    name: str
    class_names: tuple[str, ...]
    folders: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: SHAPES)
    first_label: int = 0
    transposed: bool = False
    mirrors: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    home: str = ""

    @property
    def operation(self) -> str:
        """The name of the loader, for errors."""
        return f"load_{self.name.replace('-', '_')}"


MNIST = Source(
    "mnist",
    DIGITS,
    ("mnist", "MNIST/raw"),
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    sha256={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)
FASHION = Source(
    "fashion-mnist",
    CLOTHES,
    ("fashion-mnist", "FashionMNIST/raw"),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
             "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)  # fmt: skip
KMNIST = Source("kmnist", KUZUSHIJI, ("kmnist", "KMNIST/raw"), home="http://codh.rois.ac.jp/kmnist/")
QMNIST = Source(
    "qmnist",
    DIGITS,
    ("qmnist", "QMNIST/raw"),
    {"qmnist-train-images-idx3-ubyte": (60_000, 28, 28), "qmnist-train-labels-idx2-int": (60_000, 8),
     "qmnist-test-images-idx3-ubyte": (60_000, 28, 28), "qmnist-test-labels-idx2-int": (60_000, 8)},
    home="https://github.com/facebookresearch/qmnist",
)  # fmt: skip


def load_digits() -> tuple[Dataset, Dataset]:
    """8,000 training and 2,000 test digits, bundled: 10,000 images of MNIST's training set, split by class.

    No network and no other files are needed.  See digits/README.md for their origin and licence.

    Returns: (train, test), two `Dataset`s of images (N, 1, 28, 28).

    >>> from minidl import load_digits
    >>> train, test = load_digits()
    >>> len(train), len(test), train.x.shape[1:]
    (8000, 2000, (1, 28, 28))
    """
    return _read(Source("digits", DIGITS), Path(__file__).parent / "digits")


def load_mnist(path: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """MNIST (LeCun, Cortes and Burges): 60,000 training and 10,000 test digits.

    path: a folder that has the four IDX files, gzipped or not, in itself or in ``mnist/`` or ``MNIST/raw/``
    (torchvision's) within it.  Names may have dashes or a dot (``train-images.idx3-ubyte``), and each file may be in a
    folder of its own name, as Kaggle's archive has them.  None: from ``$MINIDL_DATA`` if it is set, else from the
    user's cache, else downloaded into it and checked by SHA-256.

    Returns: (train, test), two `Dataset`s of images (N, 1, 28, 28).
    Raises: `DataError` if the files are not there or are not what they should be.

        train, test = load_mnist("data")  # a folder where torchvision has kept them

    >>> from minidl.data import load_mnist
    >>> load_mnist("no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_mnist: expected ...
    """
    return _load(MNIST, path)


def load_fashion_mnist(path: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 and 10,000 images of ten kinds of clothes.

    path: a folder that has the four IDX files, gzipped or not, in itself or in ``fashion-mnist/`` or
    ``FashionMNIST/raw/`` within it.  None: from ``$MINIDL_DATA`` if it is set, else from the user's cache, else
    downloaded into it and checked by SHA-256.

    Returns: (train, test), two `Dataset`s of images (N, 1, 28, 28).
    Raises: `DataError` if the files are not there or are not what they should be.

    >>> from minidl.data import load_fashion_mnist
    >>> load_fashion_mnist("no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_fashion_mnist: expected ...
    """
    return _load(FASHION, path)


def load_kmnist(path: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Kuzushiji-MNIST (Clanuwat et al. 2018): 60,000 and 10,000 images of ten letters of cursive Japanese.

    path: a folder that has the four IDX files, gzipped or not, in itself or in ``kmnist/`` or ``KMNIST/raw/`` within
    it.  None: from ``$MINIDL_DATA``.  It is never downloaded; the error says where the files can be fetched.

    Returns: (train, test), two `Dataset`s of images (N, 1, 28, 28).
    Raises: `DataError` if the files are not there or are not what they should be.

    >>> from minidl.data import load_kmnist
    >>> load_kmnist("no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_kmnist: expected ...
    """
    return _load(KMNIST, path)


def load_qmnist(path: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """QMNIST (Yadav and Bottou 2019): MNIST reconstructed, with all of its 60,000 test digits.

    path: a folder that has the four IDX files, gzipped or not, in itself or in ``qmnist/`` or ``QMNIST/raw/`` within
    it.  None: from ``$MINIDL_DATA``.  It is never downloaded; the error says where the files can be fetched.  Of the
    eight numbers of each label, the first is the class; `read_idx` returns them all.

    Returns: (train, test), two `Dataset`s of images (N, 1, 28, 28).
    Raises: `DataError` if the files are not there or are not what they should be.

    >>> from minidl.data import load_qmnist
    >>> load_qmnist("no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_qmnist: expected ...
    """
    return _load(QMNIST, path)


def load_emnist(split: str, path: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """EMNIST (Cohen et al. 2017): handwritten letters and digits, upright, with labels from 0.

    split: "letters" (26 classes, large and small together), "balanced" or "bymerge" (47), "byclass" (62), "digits" or
    "mnist" (10); `RangeError` for others.
    path: a folder that has the four IDX files, gzipped or not, in itself or in ``emnist/``,
    ``EMNIST/raw/`` or ``gzip/`` within it.  None: from
    ``$MINIDL_DATA``.  It is never downloaded; the error says where the files can be fetched.  Images in the
    files are transposed, and letters count from 1; both are corrected.

    Returns: (train, test), two `Dataset`s of images (N, 1, 28, 28).
    Raises: `DataError` if the files are not there or are not what they should be.

        train, test = load_emnist("letters", "downloads/gzip")  # as the authors' archive unpacks

    >>> from minidl.data import load_emnist
    >>> load_emnist("letters", "no such folder")
    Traceback (most recent call last):
    minidl.errors.DataError: load_emnist: expected ...
    """
    return _load(emnist(split), path)


def emnist(split: str) -> Source:
    """The source of one of EMNIST's six splits.  Raises `RangeError` for another name."""
    capitals, small = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
    merged = tuple("0123456789" + capitals + "abdefghnqrt")  # of small letters those that look unlike their capitals
    classes = {"letters": tuple(capitals), "balanced": merged, "bymerge": merged,
               "byclass": tuple("0123456789" + capitals + small), "digits": DIGITS, "mnist": DIGITS}  # fmt: skip
    if split not in classes:
        raise RangeError("load_emnist", f"a split, one of {sorted(classes)}", repr(split))
    shapes: dict[str, tuple[int, ...]] = {}
    for part, most in (("train", 697_932), ("test", 116_323)):  # of "byclass", the largest
        shapes[f"emnist-{split}-{part}-images-idx3-ubyte"] = (most, 28, 28)
        shapes[f"emnist-{split}-{part}-labels-idx1-ubyte"] = (most,)
    return Source("emnist", classes[split], ("emnist", "EMNIST/raw", "gzip"), shapes, int(split == "letters"), True,
                  home="https://www.nist.gov/itl/products-and-services/emnist-dataset")  # fmt: skip


def _load(source: Source, path: str | Path | None) -> tuple[Dataset, Dataset]:
    if own := own_folder(source.operation, source.folders, [[name] for name in source.shapes], path):
        return _read(source, own)
    folder = cache_folder() / source.name
    if absent := missing(folder, source.shapes):
        _download(source, absent, folder)
    return _read(source, folder)


def _read(source: Source, folder: Path) -> tuple[Dataset, Dataset]:
    train_images, train_labels, test_images, test_labels = source.shapes
    return _part(source, folder, train_images, train_labels), _part(source, folder, test_images, test_labels)


def _part(source: Source, folder: Path, *names: str) -> Dataset:
    images, labels = (_array(folder, name, source.shapes[name]) for name in names)
    operation, part, first = source.operation, names[0].split("-images")[0], source.first_label
    if len(images) != len(labels):
        got = f"{len(images)} and {len(labels)} ({part})"
        raise DataError(operation, f"as many labels as images in {folder}", got, "fetch both files again")
    if not images.size:
        raise DataError(operation, f"images in {folder}", f"none ({part})", "fetch both files again")
    labels = labels if labels.ndim == 1 else labels[:, 0]
    most = first + len(source.class_names)
    if labels.dtype.kind not in "iu" or not first <= labels.min() <= labels.max() < most:
        expected = f"labels below {most} in {folder}, whole numbers from {first}"
        got = f"{labels.dtype} from {labels.min()} to {labels.max()} ({part})"
        raise DataError(operation, expected, got, "fetch the file again")
    x = scaled(operation, images.swapaxes(1, 2) if source.transposed else images, find(folder, names[0]))
    return Dataset(asarray(x[:, None]), asarray(labels.astype(np.int64) - first), source.class_names)


def _array(folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return read_idx(find(folder, name), len(shape), most=prod(shape))


def _download(source: Source, names: list[str], folder: Path) -> None:
    """Download the files into the folder, each from the first mirror that has it undamaged."""
    if not source.mirrors:
        fix = f"fetch them from {source.home}, and name their folder: {source.operation}(path=...)"
        raise DataError(source.operation, f"{', '.join(names)} in {folder}", "no such files, and no mirror", fix)
    fix = (f"put the four .gz files into {folder} (or $MINIDL_DATA/{source.name}/), "
           "or use load_digits(), which needs no network")  # fmt: skip
    with written_to(source.operation, folder) as temporary:
        for name in names:
            urls, most = [f"{mirror}{name}.gz" for mirror in source.mirrors], _bytes(source.shapes[name])
            sound = partial(_sound, sha256=source.sha256[name], most=most)
            content = fetch(source.operation, f"{name}.gz", urls, most, sound, fix)
            (temporary / name).write_bytes(content)
            os.replace(temporary / name, folder / f"{name}.gz")


def _bytes(shape: tuple[int, ...]) -> int:
    """The size of an unpacked file of bytes: a header with a length for each axis, and the values."""
    return 4 + 4 * len(shape) + prod(shape)


def _sound(content: bytes, sha256: str, most: int) -> bytes:
    """The content unchanged.  Raises `DataError`, or an error of `gzip`, if it is not the right file."""
    verify(unzip(content, most), sha256)
    return content
