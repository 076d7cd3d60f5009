"""`Dataset`: images with their labels, frozen.  Every loader returns two, ``(train, test)``.

Of your own images: `Dataset.from_folder`, `Dataset.from_csv`, or arrays, ``Dataset(x, y, class_names)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import asarray, kernels, namespace, to_numpy
from ..core import Array
from ..errors import DTypeError, RangeError, ShapeError
from .pictures import read_folder
from .tables import read_csv


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their labels, frozen.  Every loader returns two, ``(train, test)``.

    x: examples (N, ...), floating point.  Loaders return float32 images (N, C, H, W) with pixels in [0, 1].
    y: labels (N,), integers in 0 … K-1, kept as int64.
    class_names: the names of the K classes; by default "0", "1", … up to the largest label.

    ``data[0]`` is an example, (image, label); ``data[:100]`` a `Dataset`; ``for image, label in data`` goes through
    all.
    Raises: `DTypeError`, `ShapeError` or `RangeError` if x and y are not as said here.

    >>> import numpy as np
    >>> from minidl import Dataset
    >>> photos = np.zeros((2, 32, 32, 3), np.uint8)  # bytes (N, H, W, C)
    >>> data = Dataset(photos.transpose(0, 3, 1, 2).astype(np.float32) / 255, np.array([0, 1]), ("cat", "dog"))
    >>> data, data[0][0].shape
    (Dataset(2 examples of shape (3, 32, 32), 2 classes), (3, 32, 32))
    """

    x: Array
    y: Array
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kinds = [getattr(getattr(a, "dtype", None), "kind", "?") for a in (self.x, self.y)]
        if kinds[0] != "f" or kinds[1] not in "iu":
            got = f"{getattr(self.x, 'dtype', type(self.x))} and {getattr(self.y, 'dtype', type(self.y))}"
            fixes = ["x.astype(np.float32) / 255 for bytes"] * (kinds[0] in "iu")
            fixes += ["y.astype(np.int64)"] * (kinds[1] == "f")
            raise DTypeError("Dataset", "floating-point x and integer y", got, " and ".join(fixes))
        if self.x.ndim < 2 or self.y.shape != self.x.shape[:1]:
            raise ShapeError("Dataset", "x (N, ...) and y (N,)", f"{self.x.shape} and {self.y.shape}")
        least, greatest = (int(self.y.min()), int(self.y.max())) if len(self.y) else (0, -1)
        names = tuple(self.class_names) or tuple(map(str, range(greatest + 1)))
        if least < 0 or greatest >= len(names):
            raise RangeError("Dataset", "a class name for every label, from label 0 on",
                             f"labels from {least} to {greatest} for {len(names)} names")  # fmt: skip
        object.__setattr__(self, "y", self.y.astype("int64", copy=False))
        object.__setattr__(self, "class_names", names)

    @classmethod
    def from_folder(
        cls, path: str | Path, *, size: tuple[int, int] | None = None, channels: int | None = None,
        class_names: Sequence[str] | None = None, progress: bool = True,
    ) -> Dataset:  # fmt: skip
        """The PNG and JPEG pictures of a folder with a sub-folder for each class, pixels in [0, 1], float32.

        path: the folder.
        size: (height, width) to scale all pictures to; None: they must have one size.
        channels: 1 for grey, 3 for colour; None: as the first picture.
        class_names: the names of the sub-folders in an order of your own, of which some may have no pictures; None:
        sorted.
        progress: whether to show a bar.

            train = Dataset.from_folder("pets/train", size=(32, 32))  # pets/train/cat/1.png, pets/train/dog/2.jpg, …
            test = Dataset.from_folder("pets/test", size=(32, 32), class_names=train.class_names)

        Returns: a `Dataset`; pictures are in order of class, then of file name, turned upright by their EXIF data.
        Raises: `DataError`, which names the picture, for one that is damaged, of another size, of more than 8 bits, or
        partly transparent; for other files among them, classes without pictures, and more than 2³⁰ values in all.
        `RangeError` for a size or channels out of range.
        """
        x, y, names = read_folder(path, size, channels, class_names, progress)
        return cls(asarray(x), asarray(y), names)

    @classmethod
    def from_csv(
        cls, path: str | Path, *, shape: Sequence[int] | None = None, class_names: Sequence[str] | None = None,
        progress: bool = True,
    ) -> Dataset:  # fmt: skip
        """The images of a table, a line for each: its label, then its pixels from 0 to 255.

        path: the file, as Kaggle has MNIST: with a header line that begins with ``label`` or without one, gzipped or
        not.
        shape: of one image, such as (3, 32, 32); None: (1, side, side), from the number of pixels.
        class_names: the names of the classes; None: "0", "1", …
        progress: whether to show a bar.

            train, validation = Dataset.from_csv("digit-recognizer/train.csv").split(0.9)

        Returns: a `Dataset`, with pixels in [0, 1], float32.
        Raises: `DataError`, which names the line, for one with too few or too many columns or other numbers; for a
        table without labels, pixels that do not fit the shape, and labels without a name.
        """
        x, y, names = read_csv(path, shape, class_names, progress)
        return cls(asarray(x), asarray(y), names)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, which: Any) -> Any:
        """One example (image, label) for a number, counted from the end if it is negative; else `take`.

        Raises `IndexError` for a number out of range.
        """
        if not isinstance(which, int | np.integer) or isinstance(which, bool):
            return self.take(which)
        if not -len(self) <= which < len(self):
            raise IndexError(f"Dataset: expected a number from {-len(self)} to {len(self) - 1}, got {which}")
        return self.x[int(which)], int(self.y[int(which)])

    def __iter__(self) -> Iterator[tuple[Array, int]]:
        return zip(self.x, to_numpy(self.y).tolist())

    def __repr__(self) -> str:
        return f"Dataset({len(self)} examples of shape {self.x.shape[1:]}, {len(self.class_names)} classes)"

    def replace(self, **changes: Any) -> Dataset:
        """The same data set with another x, y or class_names, such as adversarial images with the old labels."""
        return replace(self, **changes)

    def take(self, which: Any) -> Dataset:
        """Some of the examples: the first n for a number, else those of a slice, an index array or a mask.

        Raises `RangeError` for a number out of range, `DTypeError` and `ShapeError` for anything but whole numbers or a
        mask of all examples.
        """
        if isinstance(which, (int, np.integer)) and which < 0:
            raise RangeError("Dataset.take", "a number of examples, at least 0", f"{which}")
        which = slice(which) if isinstance(which, (int, np.integer)) else which
        which = which if isinstance(which, slice) else self._numbers(which)
        return self.replace(x=self.x[which], y=self.y[which])

    def _numbers(self, which: Any) -> Array:
        """An index array or a mask, checked, because CuPy does not raise an error for numbers out of range."""
        numbers = namespace(self.x).asarray(which)
        numbers = numbers if numbers.size else numbers.astype("int64")  # NumPy makes floats of []
        if numbers.dtype.kind not in "biu":
            raise DTypeError("Dataset.take", "whole numbers or a mask", f"{numbers.dtype}", "which.astype(np.int64)")
        if numbers.ndim != 1 or (numbers.dtype == bool and len(numbers) != len(self)):
            expected = f"a list of numbers, or a mask of {len(self)} examples"
            raise ShapeError("Dataset.take", expected, f"an array of shape {numbers.shape}")
        if numbers.size and numbers.dtype != bool and not -len(self) <= numbers.min() <= numbers.max() < len(self):
            got = f"numbers from {numbers.min()} to {numbers.max()}"
            raise RangeError("Dataset.take", f"numbers of {len(self)} examples", got)
        return numbers

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Two data sets, the first with `fraction` of the examples, drawn at random from the seed; order is kept.

        Raises `RangeError` for a fraction outside [0, 1].
        """
        if not 0 <= fraction <= 1:
            raise RangeError("Dataset.split", "a fraction in [0, 1]", f"{fraction}")
        order = np.random.default_rng(seed).permutation(len(self))
        cut = round(fraction * len(self))
        return self.take(np.sort(order[:cut])), self.take(np.sort(order[cut:]))

    def batches(self, size: int, rng: np.random.Generator | None = None, drop_last: bool = False) -> Batches:
        """The examples as batches (x, y) of `size`: in order, or shuffled once with an rng.

        The last batch is smaller if it must be; drop_last leaves it out.  Raises `RangeError` for size < 1.
        """
        if size < 1:
            raise RangeError("Dataset.batches", "a size of at least 1", f"{size}")
        return Batches(self, size, rng, drop_last)


class Batches:
    """An iterable of batches, with a length."""

    def __init__(self, dataset: Dataset, size: int, rng: np.random.Generator | None, drop_last: bool) -> None:
        self.dataset, self.size = dataset, size
        self.order = None if rng is None else asarray(rng.permutation(len(dataset)))
        self.stop = len(dataset) // size * size if drop_last else len(dataset)

    def __len__(self) -> int:
        return -(-self.stop // self.size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        for i in range(0, self.stop, self.size):
            if self.order is None:
                yield self.dataset.x[i : i + self.size], self.dataset.y[i : i + self.size]
            else:
                which = self.order[i : i + self.size]
                yield kernels(self.dataset.x).gather(self.dataset.x, which), self.dataset.y[which]
