"""The loop: a generation is bred, drawn and judged as one batch, and challenges the archive.

Nothing but the network's logits is asked for, population × generations times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import current, kernels, namespace, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, ShapeError
from minidl.progress import bar

from ..common.checks import check_counts, check_seed
from ..common.victim import Victim, as_victim
from . import checkpoints
from .archive import MapElites
from .genome import Draws, Encoding, Genome
from .result import FoolingResult

EVERY = 20.0  # seconds between two checkpoints


@dataclass(frozen=True, eq=False)
class Breeder:
    """What a run does in each generation: everything about it but how far it is."""

    victim: Victim
    encoding: Encoding
    archive: type[MapElites]
    population: int
    seed: int

    def first(self) -> MapElites:
        """The archive of the first generation."""
        born, images = self.drawn(self.encoding.start(self.population, Draws(self.seed, 0)))
        return self.archive.founded(born, images, self.fitness(images))

    def next(self, elites: MapElites, generation: int) -> MapElites:
        """The archive once the elites' children have challenged it."""
        draws = Draws(self.seed, generation)
        niches, others = elites.parents(self.population, draws), elites.parents(self.population, draws)
        parents, partners = elites.genomes.take(niches), elites.genomes.take(others)
        children, images = self.drawn(self.encoding.vary(parents, partners, generation, draws))
        return elites.challenged(children, images, self.fitness(images), niches, generation)

    def drawn(self, genomes: Genome) -> tuple[Genome, Array]:
        """The genomes and their images.  Raises `DTypeError` or `ShapeError` for those that an encoding got wrong."""
        if not isinstance(genomes, Genome):
            raise DTypeError("evolve", "an encoding that gives a Genome", type(genomes).__name__)
        images = self.encoding.render(genomes)
        self.victim.check_images("evolve", images)
        if not len(genomes) == len(images) == self.population:
            got = f"{len(genomes)} genomes with {len(images)} images"
            raise ShapeError("evolve", f"an encoding that gives {self.population}, as it is told to", got)
        return genomes, images

    def fitness(self, images: Array) -> Array:
        """The logarithm of each class's probability, (N, K), in float64: it orders images as the probability does,
        and rounds neither end off, where a network is all but certain of one class, and so of all others."""
        logits = self.victim.logits(images).astype("float64")
        return kernels(logits).log_softmax(logits)


class Evolution:
    """A run under way: how far it is, what it has found, and the file that keeps that, if there is one."""

    def __init__(self, breeder: Breeder, generations: int, checkpoint: str | Path | None) -> None:
        self.breeder, self.generations, self.checkpoint, self.interrupted = breeder, generations, checkpoint, False
        self.settings = {"population": breeder.population, "seed": breeder.seed, "backend": current().name}
        elites: MapElites | None = None
        self.history: list[np.ndarray] = []
        if checkpoint is not None:
            self.settings |= checkpoints.names(breeder.victim, breeder.encoding, breeder.archive)
            elites, self.history = checkpoints.resumed(
                checkpoint, self.settings, breeder.encoding, breeder.archive, generations
            )
        if elites is not None:
            checkpoints.check_judge(elites, breeder.fitness(elites.images))
        self.state = elites, len(self.history)  # the archive and the generations done, which change at once
        self._asked = breeder.victim.forwards - self.done * breeder.population
        self._begun = self._written = time.perf_counter()

    @property
    def done(self) -> int:
        """How many generations."""
        return self.state[1]

    def step(self) -> None:
        """Another generation.  Ctrl-C may come between any two lines, and finds the state before or after it."""
        elites, done = self.state
        elites = self.breeder.first() if elites is None else self.breeder.next(elites, done)
        self.history.append(np.exp(to_numpy(elites.fitness)))
        self.state = elites, done + 1

    def keep(self, every: float = 0.0) -> None:
        """Write the checkpoint, unless the last one is younger than `every` seconds."""
        elites, done = self.state
        if self.checkpoint is not None and elites is not None and time.perf_counter() - self._written >= every:
            checkpoints.write(self.checkpoint, self.settings, elites, self.history[:done])
            self._written = time.perf_counter()

    def result(self) -> FoolingResult:
        """What has been found, after one generation at least."""
        elites, done = self.state
        assert elites is not None
        breeder = self.breeder
        params = {"attack": "evolve", "generations": self.generations, "population": breeder.population,
                  "encoding": repr(breeder.encoding), "archive": breeder.archive.__name__,
                  "interrupted": self.interrupted}  # fmt: skip
        return FoolingResult(
            elites.images, namespace(elites.fitness).exp(elites.fitness), np.stack(self.history[:done]), elites,
            self.breeder.victim.forwards - self._asked, 0, self.breeder.seed, params,
            time.perf_counter() - self._begun,
        )  # fmt: skip


def _check(encoding: Any, archive: Any) -> None:
    """Refuse what is no encoding, and what is no class of archives."""
    if isinstance(encoding, type) or not all(hasattr(encoding, name) for name in ("start", "vary", "render")):
        raise DTypeError("evolve", "an encoding, such as CPPN((1, 28, 28))", repr(encoding))
    if not isinstance(archive, type) or not issubclass(archive, MapElites):
        raise DTypeError("evolve", "a class of archives, MapElites or one made of it", repr(archive))


def evolve(
    victim: Any,
    encoding: Encoding,
    *,
    generations: int = 200,
    population: int = 200,
    archive: type[MapElites] = MapElites,
    seed: int = 0,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> FoolingResult:
    """For each class the image that a network is surest of, by evolution: Nguyen, Yosinski and Clune 2015, §2.

    victim: a network, any function to logits (it need not be made of minidl operations: no slopes are asked for), or a
    `Victim`.  encoding: `DirectEncoding`, `CPPN`, or one of your own.  population: genomes in a generation; the first
    is made by the encoding, the others are children of elites, which may come from any niche.  archive: `MapElites`, or
    `Elitism` for comparison.  Fitness is the probability of the class, or rather its logarithm.

    All draws are functions of (seed, generation) and of what was asked for before in it.  progress: a bar with the
    median and the least confidence.  checkpoint: a file, written now and then, at the end, and if the victim fails.  If
    it exists and is of a run with the same settings, that run goes on from there, be it for more generations than it
    was meant for; on the same backend, with as many threads of BLAS, it ends with the same bits as one that was never
    cut short.  The victim is known by its name and parameters, and by what it says of the archive's images: they are
    shown to it once more, which are K queries that the result does not count.  It counts, as those of any other part of
    a run, population × generations; its seconds are those of the last part.

    Ctrl-C ends a run after the last whole generation and returns what there is, with ``params["interrupted"]`` set;
    before there is anything, it is raised.  Memory does not grow with generations, but for the K numbers that each
    leaves in history.

    Raises `RangeError` for numbers out of range; `ShapeError`, `DTypeError` or `RangeError` for images that the network
    does not take, and for encodings that do not give as many as they are asked for; `DataError` for a checkpoint of
    another run; `DTypeError` for a checkpoint with a victim, encoding or archive that has no name to be known by.
    """
    check_counts("evolve", generations=generations, population=population)
    check_seed("evolve", seed)
    _check(encoding, archive)
    run = Evolution(Breeder(as_victim(victim), encoding, archive, population, seed), generations, checkpoint)
    try:
        with bar(range(generations), "evolution", progress, unit="generation", initial=run.done) as shown:
            for _ in range(run.done, generations):
                run.step()
                median, worst = np.median(run.history[-1]), run.history[-1].min()
                shown.set_postfix(median=f"{median:.4f}", worst=f"{worst:.4f}", refresh=False)
                shown.update()
                run.keep(EVERY)
        run.keep()
    except KeyboardInterrupt:
        if not run.done:
            raise
        run.interrupted = True
        run.keep()
    except Exception:  # the victim's, perhaps: no reason to lose what there was before
        run.keep()
        raise
    return run.result()
