"""Selection: an archive of the best genome of each niche, with a niche for each class of the network under attack.

In `MapElites` every child competes in every niche, so that a child of one class's genome may become the best of another
class.  In `Elitism`, for comparison, a child competes only in the niche of its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from minidl.backend import namespace
from minidl.core import Array
from minidl.errors import ShapeError

from .genome import Draws, Genome, replaced

Self = TypeVar("Self", bound="MapElites")


@dataclass(frozen=True, eq=False)
class MapElites:
    """MAP-Elites (Mouret and Clune 2015) with the classes as niches, as Nguyen, Yosinski and Clune 2015 use it.

    genomes: the best of each niche, K stacked.
    images: their images (K, C, H, W).
    fitness: theirs (K,).
    born: the generation of each (K,).

    An archive is never changed; `updated` returns a new one.  For another kind of selection, make a subclass with
    another `competing_fitness` or `parents`.

    >>> from attacks.evolution import DirectEncoding, MapElites, evolve
    >>> from minidl import models
    >>> len(evolve(models.lenet(), DirectEncoding((1, 28, 28)), generations=2, population=5, archive=MapElites).archive)
    10
    """

    genomes: Genome
    images: Array
    fitness: Array
    born: Array

    def __len__(self) -> int:
        return len(self.fitness)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} niches, {self.genomes!r})"

    @classmethod
    def first(cls: type[Self], genomes: Genome, images: Array, fitness: Array) -> Self:
        """The archive of a first generation of N genomes, with their fitness (N, K) in each niche."""
        best = fitness.argmax(axis=0)
        return cls(genomes.take(best), images[best], fitness.max(axis=0), namespace(best).zeros_like(best))

    def updated(self: Self, children: Genome, images: Array, fitness: Array, niches: Array, generation: int) -> Self:
        """The archive after N children: in each niche, the best of them replaces the genome there if it is fitter.

        fitness (N, K): of each child in each niche.  niches (N,): those of their parents.
        """
        fitness = self.competing_fitness(fitness, niches)
        best, reached = fitness.argmax(axis=0), fitness.max(axis=0)
        improved = namespace(fitness).nonzero(reached > self.fitness)[0]
        fittest = best[improved]
        return type(self)(
            self.genomes.replaced(improved, children.take(fittest)), replaced(self.images, improved, images[fittest]),
            replaced(self.fitness, improved, reached[improved]), replaced(self.born, improved, generation),
        )  # fmt: skip

    def competing_fitness(self, fitness: Array, niches: Array) -> Array:
        """The fitness (N, K) with which children compete: unchanged, so that they compete in every niche."""
        return fitness

    def parents(self, count: int, draws: Draws) -> Array:
        """The niches of the parents, all equally likely: (count,)."""
        return draws.below(len(self), count)

    def arrays(self) -> dict[str, Array]:
        """All arrays by name, for a file."""
        genes = {f"genome/{name}": array for name, array in self.genomes.arrays.items()}
        return {**genes, "images": self.images, "fitness": self.fitness, "born": self.born}

    @classmethod
    def from_arrays(cls: type[Self], arrays: dict[str, Any]) -> Self:
        """The archive with these arrays.  Raises `KeyError` if one is missing, `ShapeError` if they do not fit."""
        genes = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith("genome/")}
        archive = cls(Genome(genes), arrays["images"], arrays["fitness"], arrays["born"])
        lengths = [len(given) for given in (archive.genomes, archive.images, archive.fitness, archive.born)]
        if len(set(lengths)) != 1:
            raise ShapeError(cls.__name__, "as many genomes, images, fitnesses and births", f"{lengths}")
        return archive


class Elitism(MapElites):
    """A separate line for each class: a child competes only in the niche of its parent.

    genomes, images, fitness, born: as for `MapElites`.

    >>> from attacks.evolution import DirectEncoding, Elitism, evolve
    >>> from minidl import models
    >>> evolve(models.lenet(), DirectEncoding((1, 28, 28)), generations=2, population=5, archive=Elitism).archive
    Elitism(10 niches, Genome(10 of pixels))
    """

    def competing_fitness(self, fitness: Array, niches: Array) -> Array:
        """The fitness in the niche of the parent, and -∞ elsewhere."""
        xp = namespace(fitness)
        own = niches[:, None] == xp.arange(fitness.shape[1])
        return xp.where(own, fitness, -xp.inf)


#: The archives that a file can name.
ARCHIVES: dict[str, type[MapElites]] = {"MapElites": MapElites, "Elitism": Elitism}
