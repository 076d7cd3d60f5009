"""What evolution works on: genomes, how an encoding varies and draws them, and random numbers.

A genome is a few named arrays, and a population is the same arrays with one more axis in front.  So a whole generation
is varied and drawn at once, without a loop over objects, and saving it is saving arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.errors import ShapeError

from ..common.checks import check_number
from ..common.run import stream


@dataclass(frozen=True, eq=False)
class Genome:
    """N genomes, stacked.

    arrays: by name, each with N rows, one for each genome; `ShapeError` for none, or for different numbers of rows.

    >>> import numpy as np
    >>> from attacks.evolution import Genome
    >>> genomes = Genome({"pixels": np.zeros((3, 1, 28, 28))})
    >>> len(genomes), genomes.take(np.array([0, 2])), genomes["pixels"].shape
    (3, Genome(2 of pixels), (3, 1, 28, 28))
    """

    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ShapeError("Genome", "arrays with one row for each genome", f"{lengths} rows")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __repr__(self) -> str:
        return f"Genome({len(self)} of {', '.join(self.arrays)})"

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def take(self, rows: Array) -> Genome:
        """The genomes with these numbers (n,), copied: n of them."""
        return Genome({name: array[rows] for name, array in self.arrays.items()})

    def replaced(self, rows: Array, others: Genome) -> Genome:
        """A copy, with n others in the rows with these numbers (n,)."""
        return Genome({name: replaced(array, rows, others[name]) for name, array in self.arrays.items()})


def replaced(array: Array, rows: Array, others: Array) -> Array:
    """A copy of the array with others in some of its rows."""
    copied = array.copy()
    copied[rows] = others
    return copied


class Draws:
    """The random numbers of one generation: functions of seed, generation, and the number of draws before.

    seed: of the run.
    generation: from 0.

    >>> from attacks.evolution import Draws
    >>> draws = Draws(seed=0, generation=1)
    >>> draws.uniform(2, 3).shape, draws.below(10, 4).max() < 10
    ((2, 3), np.True_)
    """

    def __init__(self, seed: int, generation: int) -> None:
        self.seed, self.generation, self.asked = seed, generation, 0

    def key(self) -> int:
        """The key of a new stream of random numbers, for a kernel that draws."""
        self.asked += 1
        return stream(self.seed, self.generation, self.asked)

    def uniform(self, *shape: int, dtype: str = "float64") -> Array:
        """Numbers strictly between 0 and 1."""
        like = namespace().zeros(shape, dtype=dtype)
        return kernels(like).random_uniform(self.key(), like)

    def below(self, limit: Any, *shape: int) -> Array:
        """Whole numbers from 0 to limit - 1, for a number or an array of limits; 0 where the limit is 0."""
        return (self.uniform(*shape) * limit).astype("int64")

    def happens(self, probability: float, *shape: int) -> Array:
        """True with that probability: bool."""
        return self.uniform(*shape) < probability


class Encoding(Protocol):
    """How genomes are started, varied, and drawn as images (C, H, W): any class with these three methods.

    A checkpoint recognises an encoding by its class and its content.

    >>> import numpy as np
    >>> from attacks.evolution import Genome, evolve
    >>> from minidl import models
    >>> class Stripes:
    ...     def start(self, count, draws):
    ...         return Genome({"columns": draws.uniform(count, 28, dtype="float32")})
    ...     def vary(self, parents, partners, generation, draws):
    ...         columns = parents["columns"]
    ...         new = draws.uniform(*columns.shape, dtype="float32")
    ...         return Genome({"columns": np.where(draws.happens(0.1, *columns.shape), new, columns)})
    ...     def render(self, genomes):
    ...         return np.repeat(genomes["columns"][:, None, None, :], 28, axis=2)
    >>> evolve(models.lenet(), Stripes(), generations=2, population=5).images.shape
    (10, 1, 28, 28)
    """

    def start(self, count: int, draws: Draws) -> Genome:
        """`count` genomes of the first generation."""

    def vary(self, parents: Genome, partners: Genome, generation: int, draws: Draws) -> Genome:
        """N children, one of each parent; an encoding with crossover also uses the partner in the same row."""

    def render(self, genomes: Genome) -> Array:
        """The images (N, C, H, W), a function of the genomes alone."""


def check_rates(encoding: str, **rates: Any) -> None:
    """Raise `RangeError` for a number that is not a probability."""
    for name, rate in rates.items():
        check_number(encoding, f"{name} to be a probability, from 0 to 1", rate, most=1)


def check_positive(encoding: str, **numbers: Any) -> None:
    """Raise `RangeError` for anything but a finite number above 0."""
    for name, number in numbers.items():
        check_number(encoding, f"{name} to be a number above 0", number, but=0)
