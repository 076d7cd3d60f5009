"""Who survives: an archive of the best genome of each niche, one niche for each class of the network under attack.

In `MapElites` every child competes in every niche, so that what was bred for one class may turn out to be the best
start for another.  In `Elitism`, its control, a child competes only with its own parent's.
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
    """MAP-Elites (Mouret and Clune 2015) with the classes as niches, as Nguyen, Yosinski and Clune have it.

    genomes (K stacked), images (K, C, H, W), fitness (K,): the best of each niche.  born (K,): the generation it is of.
    An archive is never changed; `challenged` gives another one.
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
    def founded(cls: type[Self], genomes: Genome, images: Array, fitness: Array) -> Self:
        """The archive of a first generation of N: fitness (N, K), of each in each niche."""
        best = fitness.argmax(axis=0)
        return cls(genomes.take(best), images[best], fitness.max(axis=0), namespace(best).zeros_like(best))

    def challenged(self: Self, children: Genome, images: Array, fitness: Array, niches: Array, generation: int) -> Self:
        """The archive after N children tried: those that are fitter than whoever was there take the place.

        fitness (N, K): of each child in each niche.  niches (N,): those that their parents were taken from.
        """
        fitness = self.admitted(fitness, niches)
        best, reached = fitness.argmax(axis=0), fitness.max(axis=0)
        taken = namespace(fitness).nonzero(reached > self.fitness)[0]
        winners = best[taken]
        return type(self)(
            self.genomes.replaced(taken, children.take(winners)), replaced(self.images, taken, images[winners]),
            replaced(self.fitness, taken, reached[taken]), replaced(self.born, taken, generation),
        )  # fmt: skip

    def admitted(self, fitness: Array, niches: Array) -> Array:
        """The fitness (N, K) with which children compete: as it is, in every niche."""
        return fitness

    def parents(self, count: int, draws: Draws) -> Array:
        """Niches whose elites are to be parents, all equally likely: (count,)."""
        return draws.below(len(self), count)

    def arrays(self) -> dict[str, Array]:
        """Everything, by name, for a file."""
        genes = {f"genome/{name}": array for name, array in self.genomes.arrays.items()}
        return {**genes, "images": self.images, "fitness": self.fitness, "born": self.born}

    @classmethod
    def from_arrays(cls: type[Self], arrays: dict[str, Any]) -> Self:
        """The archive of what `arrays` gave.  Raises `KeyError` if something is missing, `ShapeError` if it differs."""
        genes = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith("genome/")}
        found = cls(Genome(genes), arrays["images"], arrays["fitness"], arrays["born"])
        lengths = [len(given) for given in (found.genomes, found.images, found.fitness, found.born)]
        if len(set(lengths)) != 1:
            raise ShapeError(cls.__name__, "as many genomes, images, fitnesses and births", f"{lengths}")
        return found


class Elitism(MapElites):
    """One line for each class: a child competes in the niche of its parent alone, and no line learns from another."""

    def admitted(self, fitness: Array, niches: Array) -> Array:
        """The fitness in its own niche, and -∞ elsewhere."""
        xp = namespace(fitness)
        own = niches[:, None] == xp.arange(fitness.shape[1])
        return xp.where(own, fitness, -xp.inf)


#: The archives that a file can name.
ARCHIVES: dict[str, type[MapElites]] = {"MapElites": MapElites, "Elitism": Elitism}
