"""The loop: each generation is varied, drawn and evaluated as one batch, and then updates the archive.

It uses the network's logits only, population × generations times.
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
    """The settings of a run, and what it does in each generation."""

    victim: Victim
    encoding: Encoding
    archive: type[MapElites]
    population: int
    seed: int

    def first(self) -> MapElites:
        """The archive of the first generation."""
        born, images = self.drawn(self.encoding.start(self.population, Draws(self.seed, 0)))
        return self.archive.first(born, images, self.fitness(images))

    def next(self, elites: MapElites, generation: int) -> MapElites:
        """The archive, updated by the children of its elites."""
        draws = Draws(self.seed, generation)
        niches, others = elites.parents(self.population, draws), elites.parents(self.population, draws)
        parents, partners = elites.genomes.take(niches), elites.genomes.take(others)
        children, images = self.drawn(self.encoding.vary(parents, partners, generation, draws))
        return elites.updated(children, images, self.fitness(images), niches, generation)

    def drawn(self, genomes: Genome) -> tuple[Genome, Array]:
        """The genomes and their images.  Raises `DTypeError` or `ShapeError` if the encoding returned others."""
        if not isinstance(genomes, Genome):
            raise DTypeError("evolve", "an encoding that returns a Genome", type(genomes).__name__)
        images = self.encoding.render(genomes)
        self.victim.check_images("evolve", images)
        if not len(genomes) == len(images) == self.population:
            got = f"{len(genomes)} genomes with {len(images)} images"
            raise ShapeError("evolve", f"an encoding that returns {self.population} genomes and images", got)
        return genomes, images

    def fitness(self, images: Array) -> Array:
        """The logarithm of each class's probability (N, K), in float64.  It orders images as the probability does, and
        does not round probabilities close to 0 or 1."""
        logits = self.victim.logits(images).astype("float64")
        return kernels(logits).log_softmax(logits)


class Evolution:
    """A run: its archive, its history, and its checkpoint, if there is one."""

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
            checkpoints.check_same_victim(elites, breeder.fitness(elites.images))
        self.state = elites, len(self.history)  # the archive and the finished generations, in one assignment
        self._asked = breeder.victim.forwards - self.done * breeder.population
        self._begun = self._written = time.perf_counter()

    @property
    def done(self) -> int:
        """How many generations are finished."""
        return self.state[1]

    def step(self) -> None:
        """One more generation.  After Ctrl-C at any line, the state is that before or after it."""
        elites, done = self.state
        elites = self.breeder.first() if elites is None else self.breeder.next(elites, done)
        self.history.append(np.exp(to_numpy(elites.fitness)))
        self.state = elites, done + 1

    def keep(self, every: float = 0.0) -> None:
        """Write the checkpoint, if the last one is at least `every` seconds old."""
        elites, done = self.state
        if self.checkpoint is not None and elites is not None and time.perf_counter() - self._written >= every:
            checkpoints.write(self.checkpoint, self.settings, elites, self.history[:done])
            self._written = time.perf_counter()

    def result(self) -> FoolingResult:
        """The result, after one generation at least."""
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
    """Raise `DTypeError` for anything but an encoding, or a class of archives."""
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
    """For each class the image with the highest confidence, by evolution.

    victim: a network, any function to logits (it need not be made of minidl operations), or a `Victim`.
    encoding: `DirectEncoding`, `CPPN`, or one of your own (see `Encoding`).
    generations: how many, at least 1.
    population: genomes in a generation, at least 1.
    archive: `MapElites`, or `Elitism` for comparison, or a class of your own.
    seed: a whole number.  All draws are functions of seed, generation, and the draws before in it.
    progress: whether to show a bar, with the median and the least confidence.
    checkpoint: a file, written from time to time, at the end, and if the victim raises an error.  If it exists and is
    of a run with the same settings, that run continues, also for more generations.  On the same backend and number of
    threads it ends with the same bits as one that was never interrupted.

    The first generation is made by the encoding; the others are children of elites, from any niche.  The fitness is the
    logarithm of the probability of the class.  A checkpoint recognises the victim by its name, its parameters, and its
    predictions for the archive's images, which costs K queries that the result does not count.

    Returns: a `FoolingResult`.  Ctrl-C ends the run after the last whole generation, with ``params["interrupted"]``
    set; before the first, it is raised.
    Raises: `RangeError` for a number out of range; `ShapeError`, `DTypeError` or `RangeError` for images that the
    network does not accept, or an encoding that returns another number of them; `DataError` for a checkpoint of another
    run; `DTypeError` for a checkpoint with a victim, encoding or archive without a name.
    Source: Nguyen, Yosinski and Clune 2015, §2.

    >>> from attacks.evolution import CPPN, evolve
    >>> from minidl import models
    >>> evolve(models.lenet(), CPPN((1, 28, 28)), generations=2, population=5).history.shape
    (2, 10)
    """
    check_counts("evolve", generations=generations, population=population)
    check_seed("evolve", seed)
    _check(encoding, archive)
    run = Evolution(Breeder(as_victim(victim), encoding, archive, population, seed), generations, checkpoint)
    try:
        with bar(range(generations), "evolution", progress, unit="generation", initial=run.done) as generations_bar:
            for _ in range(run.done, generations):
                run.step()
                median, worst = np.median(run.history[-1]), run.history[-1].min()
                generations_bar.set_postfix(median=f"{median:.4f}", worst=f"{worst:.4f}", refresh=False)
                generations_bar.update()
                run.keep(EVERY)
        run.keep()
    except KeyboardInterrupt:
        if not run.done:
            raise
        run.interrupted = True
        run.keep()
    except Exception:  # such as one of the victim: what there was before is kept
        run.keep()
        raise
    return run.result()
