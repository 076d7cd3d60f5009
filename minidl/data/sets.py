"""The loaders, and where their files come from: bundled, your own folder, the cache, or a download."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..backend import asarray
from ..errors import DataError
from .dataset import Dataset
from .files import cache_folder, download, find
from .idx import read_idx

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
PARTS = ("train", "t10k")
FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "t10k": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a set can be downloaded: mirrors of <file>.gz, and the SHA-256 of each file once unpacked."""

    name: str
    class_names: tuple[str, ...]
    mirrors: tuple[str, ...]
    sha256: dict[str, str]


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
    return _read(folder, "train", DIGITS), _read(folder, "t10k", DIGITS)


def load_mnist() -> tuple[Dataset, Dataset]:
    """MNIST whole (LeCun, Cortes and Burges): 60,000 training and 10,000 test digits, 1×28×28.

    Taken from the folder ``$MINIDL_DATA/mnist/`` if it has the four IDX files (gzipped or not), else from
    the user's cache, else downloaded into it and checked by digest.
    Raises `DataError` if that fails or a file is not what it should be; nothing damaged is cached.
    """
    return _load(MNIST)


def load_fashion_mnist() -> tuple[Dataset, Dataset]:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): ten kinds of clothes in the format of MNIST.

    Found as `load_mnist` finds its files, in ``$MINIDL_DATA/fashion-mnist/``.  Raises `DataError` likewise.
    """
    return _load(FASHION)


def _load(source: Source) -> tuple[Dataset, Dataset]:
    own = os.environ.get("MINIDL_DATA")
    if own and (folder := Path(own) / source.name).is_dir():
        return _read(folder, "train", source.class_names), _read(folder, "t10k", source.class_names)
    folder = cache_folder() / source.name
    missing = [name for name in source.sha256 if not find(folder, name).exists()]
    if missing:
        _download(source, missing, folder)
    return _read(folder, "train", source.class_names), _read(folder, "t10k", source.class_names)


def _read(folder: Path, part: str, class_names: tuple[str, ...]) -> Dataset:
    images, labels = (read_idx(find(folder, name), rank) for name, rank in zip(FILES[part], (3, 1)))
    if len(images) != len(labels):
        raise DataError("load", f"as many labels as images in {folder}", f"{len(images)} and {len(labels)} ({part})")
    if len(labels) and labels.max() >= len(class_names):
        raise DataError("load", f"labels below {len(class_names)} in {folder}", f"{labels.max()} ({part})")
    x = images[:, None].astype(np.float32) / np.float32(255)
    return Dataset(asarray(x), asarray(labels.astype(np.int64)), class_names)


def _download(source: Source, names: list[str], folder: Path) -> None:
    """Fetch the files into the folder, each from the first mirror that delivers it sound."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        failures: list[str] = []
        digest = source.sha256[name]
        if not any(_fetch(f"{mirror}{name}.gz", folder, name, digest, failures) for mirror in source.mirrors):
            where = f"put the four .gz files into {folder} (or $MINIDL_DATA/{source.name}/)"
            raise DataError(f"load {source.name}", f"to download {name}.gz", "; ".join(failures),
                            f"{where}, or use load_digits(), which needs no network")  # fmt: skip


def _fetch(url: str, folder: Path, name: str, sha256: str, failures: list[str]) -> bool:
    """Whether the file came from this address and is the right one; it is cached only then."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        file = Path(temporary) / f"{name}.gz"
        try:
            download(url, file)
            values = read_idx(file, rank=int(name[name.index("idx") + 3]))
        except (OSError, DataError) as error:
            failures.append(f"{url}: {error}")
            return False
        header = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
        if hashlib.sha256(header + values.tobytes()).hexdigest() != sha256:
            failures.append(f"{url}: another file than expected (SHA-256 differs)")
            return False
        os.replace(file, folder / f"{name}.gz")
        return True
