"""The loaders, and where their files come from: bundled, your own folder, the cache, or a download."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from ..backend import asarray
from ..errors import DataError
from .dataset import Dataset
from .download import fetch
from .files import cache_folder, find, missing, own_folder, unzip, verify, written_to
from .idx import read_idx

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "t10k": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}  # fmt: skip
#: Of each file, the shape of what is in it.  One's own files may have fewer values, but not more.
SHAPES = {"train-images-idx3-ubyte": (60_000, 28, 28), "train-labels-idx1-ubyte": (60_000,),
          "t10k-images-idx3-ubyte": (10_000, 28, 28), "t10k-labels-idx1-ubyte": (10_000,)}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a set can be downloaded: mirrors of <file>.gz, and the SHA-256 of each file once unpacked."""

    name: str
    class_names: tuple[str, ...]
    mirrors: tuple[str, ...]
    sha256: dict[str, str]

    @property
    def operation(self) -> str:
        """The name of the loader, for errors."""
        return f"load_{self.name.replace('-', '_')}"


MNIST = Source(
    "mnist",
    DIGITS,
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)
FASHION = Source(
    "fashion-mnist",
    CLOTHES,
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
     "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)  # fmt: skip


def load_digits() -> tuple[Dataset, Dataset]:
    """8,000 training and 2,000 test digits, bundled: 10,000 images of MNIST's training set, split by class.

    No network, no files to fetch.  See digits/README.md for their origin and licence.
    """
    folder = Path(__file__).parent / "digits"
    return _read("load_digits", folder, DIGITS)


def load_mnist() -> tuple[Dataset, Dataset]:
    """MNIST whole (LeCun, Cortes and Burges): 60,000 training and 10,000 test digits, 1×28×28.

    If MINIDL_DATA is set, taken from the folder ``$MINIDL_DATA/mnist/``, which must have the four IDX files (gzipped
    or not).  Else from the user's cache, else downloaded into it and checked by digest.
    Raises `DataError` if the files are not there, cannot be downloaded or kept, or are not what they should be;
    nothing damaged is cached.
    """
    return _load(MNIST)


def load_fashion_mnist() -> tuple[Dataset, Dataset]:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): ten kinds of clothes in the format of MNIST.

    Found as `load_mnist` finds its files, in ``$MINIDL_DATA/fashion-mnist/``.  Raises `DataError` likewise.
    """
    return _load(FASHION)


def _load(source: Source) -> tuple[Dataset, Dataset]:
    if own := own_folder(source.operation, source.name, [[name] for name in SHAPES]):
        return _read(source.operation, own, source.class_names)
    folder = cache_folder() / source.name
    if absent := missing(folder, SHAPES):
        _download(source, absent, folder)
    return _read(source.operation, folder, source.class_names)


def _read(operation: str, folder: Path, class_names: tuple[str, ...]) -> tuple[Dataset, Dataset]:
    return _part(operation, folder, "train", class_names), _part(operation, folder, "t10k", class_names)


def _part(operation: str, folder: Path, part: str, class_names: tuple[str, ...]) -> Dataset:
    images, labels = (read_idx(find(folder, n), len(SHAPES[n]), most=prod(SHAPES[n])) for n in FILES[part])
    sizes = f"{len(images)} and {len(labels)} ({part})"
    if len(images) != len(labels):
        raise DataError(operation, f"as many labels as images in {folder}", sizes, "fetch both files again")
    if not images.size:
        raise DataError(operation, f"images in {folder}", f"none ({part})", "fetch both files again")
    if labels.max() >= len(class_names):
        got = f"{labels.max()} ({part})"
        raise DataError(operation, f"labels below {len(class_names)} in {folder}", got, "fetch the file again")
    x = images[:, None].astype(np.float32) / np.float32(255)
    return Dataset(asarray(x), asarray(labels.astype(np.int64)), class_names)


def _download(source: Source, names: list[str], folder: Path) -> None:
    """Fetch the files into the folder, each from the first mirror that delivers it sound."""
    fix = (f"put the four .gz files into {folder} (or $MINIDL_DATA/{source.name}/), "
           "or use load_digits(), which needs no network")  # fmt: skip
    with written_to(source.operation, folder) as temporary:
        for name in names:
            urls = [f"{mirror}{name}.gz" for mirror in source.mirrors]
            sound = partial(_sound, sha256=source.sha256[name], most=_bytes(name))
            content = fetch(source.operation, f"{name}.gz", urls, _bytes(name), sound, fix)
            (temporary / name).write_bytes(content)
            os.replace(temporary / name, folder / f"{name}.gz")


def _bytes(name: str) -> int:
    """How long a file is once unpacked: its header, which has a length for each axis, and its values."""
    return 4 + 4 * len(SHAPES[name]) + prod(SHAPES[name])


def _sound(content: bytes, sha256: str, most: int) -> bytes:
    """The same file.  Raises `DataError`, or what `gzip` raises, if it is not the right one."""
    verify(unzip(content, most), sha256)
    return content
