"""What evolution needs to be told: what a genome is, how an encoding varies and draws it, and which dice are rolled.

A genome is a few named arrays, and a population is the same arrays with one more axis in front.  So there are no
objects to walk through: a whole generation is varied and drawn at once, and saving it is saving arrays.
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
    """N genomes, stacked: arrays by name, of which each has N rows, one for each genome.

    Raises `ShapeError` if there is no array, or if they differ in their number of rows.
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
        """These, copied, but the others (n of them) in the rows with these numbers (n,)."""
        return Genome({name: replaced(array, rows, others[name]) for name, array in self.arrays.items()})


def replaced(array: Array, rows: Array, others: Array) -> Array:
    """A copy of the array with others in some of its rows."""
    copied = array.copy()
    copied[rows] = others
    return copied


class Draws:
    """The random numbers of one generation: functions of seed, generation, and how many were asked for before."""

    def __init__(self, seed: int, generation: int) -> None:
        self.seed, self.generation, self.asked = seed, generation, 0

    def key(self) -> int:
        """The key of a stream of its own, for a kernel that draws for itself."""
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
        """Whether a thing of that probability happens: bool."""
        return self.uniform(*shape) < probability


class Encoding(Protocol):
    """How genomes are born, varied and drawn as images (C, H, W) within the bounds.  Any class with these will do.

    Checkpoints know it by its class and what it holds.
    """

    def start(self, count: int, draws: Draws) -> Genome:
        """`count` genomes of the first generation."""

    def vary(self, parents: Genome, partners: Genome, generation: int, draws: Draws) -> Genome:
        """A child of each parent (and, if the encoding crosses them, of the partner in the same row): N of them."""

    def render(self, genomes: Genome) -> Array:
        """Their images (N, C, H, W), functions of the genomes alone."""


def check_rates(encoding: str, **rates: Any) -> None:
    """Refuse whatever is no probability, with `RangeError`."""
    for name, rate in rates.items():
        check_number(encoding, f"{name} to be a probability, from 0 to 1", rate, most=1)


def check_positive(encoding: str, **numbers: Any) -> None:
    """Refuse whatever is no finite number above 0, with `RangeError`."""
    for name, number in numbers.items():
        check_number(encoding, f"{name} to be a number above 0", number, but=0)
