"""`Dataset`: images with their labels, frozen.  Every loader returns two, ``(train, test)``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import asarray, kernels, namespace
from ..core import Array
from ..errors import DTypeError, RangeError, ShapeError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples x (N, ...) floating-point and their labels y (N,), int64 in 0 … K-1, with the K classes' names.

    From the loaders, x is float32 images (N, C, H, W) with pixels in [0, 1].
    Raises `DTypeError`, `ShapeError` or `RangeError` if x and y are not that.
    """

    x: Array
    y: Array
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        kinds = [getattr(getattr(a, "dtype", None), "kind", "?") for a in (self.x, self.y)]
        if kinds[0] != "f" or kinds[1] not in "iu":
            got = f"{getattr(self.x, 'dtype', type(self.x))} and {getattr(self.y, 'dtype', type(self.y))}"
            raise DTypeError("Dataset", "floating-point x and integer y", got)
        if self.x.ndim < 2 or self.y.shape != self.x.shape[:1]:
            raise ShapeError("Dataset", "x (N, ...) and y (N,)", f"{self.x.shape} and {self.y.shape}")
        if len(self.y) and not 0 <= self.y.min() <= self.y.max() < len(self.class_names):
            got = f"labels from {self.y.min()} to {self.y.max()} for {len(self.class_names)} names"
            raise RangeError("Dataset", "a class name for every label", got)
        object.__setattr__(self, "y", self.y.astype("int64", copy=False))

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Dataset({len(self)} examples of shape {self.x.shape[1:]}, {len(self.class_names)} classes)"

    def replace(self, **changes: Any) -> Dataset:
        """The same data set with another x, y or class_names, such as adversarial images with the old labels."""
        return replace(self, **changes)

    def take(self, which: Any) -> Dataset:
        """Some of the examples: the first n for a number, else those of a slice, an index array or a mask."""
        if isinstance(which, (int, np.integer)) and which < 0:
            raise RangeError("Dataset.take", "a number of examples, at least 0", f"{which}")
        which = slice(which) if isinstance(which, (int, np.integer)) else which
        which = which if isinstance(which, slice) else namespace(self.x).asarray(which)
        return self.replace(x=self.x[which], y=self.y[which])

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
    """An iterable of batches that knows how many they are."""

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
