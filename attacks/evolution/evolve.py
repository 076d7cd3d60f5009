"""The loop: a generation is bred, drawn and judged as one batch, and challenges the archive.

Nothing but the network's logits is asked for, population × generations times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import kernels, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError
from minidl.progress import bar

from ..result import check_counts, check_seed
from ..victim import Victim, as_victim
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
        born = self.encoding.start(self.population, Draws(self.seed, 0))
        images = self.encoding.render(born)
        return self.archive.founded(born, images, self.fitness(images))

    def next(self, elites: MapElites, generation: int) -> MapElites:
        """The archive once the elites' children have challenged it."""
        draws = Draws(self.seed, generation)
        niches, others = elites.parents(self.population, draws), elites.parents(self.population, draws)
        parents, partners = elites.genomes.take(niches), elites.genomes.take(others)
        children: Genome = self.encoding.vary(parents, partners, generation, draws)
        images = self.encoding.render(children)
        return elites.challenged(children, images, self.fitness(images), niches, generation)

    def fitness(self, images: Array) -> Array:
        """The probability of each class, (N, K)."""
        self.victim.check_images("evolve", images)
        logits = self.victim.logits(images)
        return kernels(logits).softmax(logits)


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
    `Elitism` for comparison.  Fitness is the probability of the class.

    All draws are functions of (seed, generation) and of what was asked for before in it.  progress: a bar with the
    median and the least confidence.  checkpoint: a file, written now and then and at the end; if it exists and is of a
    run with the same settings, that run goes on from there, to the same bits, be it for more generations than it was
    meant for.  Ctrl-C ends a run after the last whole generation and returns what there is, with
    ``params["interrupted"]`` set; before there is anything, it is raised.  The result counts the queries of all parts
    of a run, and the seconds of the last.  Memory does not grow with generations, but for the K numbers that each
    leaves in history.

    Raises `RangeError` for numbers out of range, `ShapeError`, `DTypeError` or `RangeError` for images that the network
    does not take, `DataError` for a checkpoint of another run, `DTypeError` for a checkpoint with a victim, encoding or
    archive that has no name to be known by.
    """
    check_counts("evolve", generations=generations, population=population)
    check_seed("evolve", seed)
    _check(encoding, archive)
    breeder = Breeder(as_victim(victim), encoding, archive, population, seed)
    settings = {"encoding": repr(encoding), "archive": archive.__name__, "population": population, "seed": seed}
    elites: MapElites | None = None
    history: list[np.ndarray] = []
    if checkpoint is not None:
        settings |= checkpoints.names(breeder.victim, encoding, archive)
        elites, history = checkpoints.resumed(checkpoint, settings, archive, generations)
    done, asked, begun, interrupted = len(history), breeder.victim.forwards, time.perf_counter(), False
    state, written = (elites, done), begun

    def keep() -> None:
        if checkpoint is not None and state[0] is not None:
            checkpoints.write(checkpoint, settings, state[0], history[: state[1]])

    try:
        with bar(range(generations), "evolution", progress, unit="generation", initial=done) as shown:
            for generation in range(done, generations):
                elites = breeder.first() if elites is None else breeder.next(elites, generation)
                history.append(to_numpy(elites.fitness))
                state = elites, generation + 1  # at once: Ctrl-C may come between any two lines
                median, worst = np.median(history[-1]), history[-1].min()
                shown.set_postfix(median=f"{median:.4f}", worst=f"{worst:.4f}", refresh=False)
                shown.update()
                if time.perf_counter() - written > EVERY:
                    keep()
                    written = time.perf_counter()
        keep()
    except KeyboardInterrupt:
        if state[0] is None:
            raise
        interrupted = True
        keep()
    elites, reached = state
    assert elites is not None  # one generation at least
    params = {"attack": "evolve", "generations": generations, "population": population,
              "encoding": settings["encoding"], "archive": settings["archive"], "interrupted": interrupted}  # fmt: skip
    return FoolingResult(
        elites.images, elites.fitness, np.stack(history[:reached]), elites,
        breeder.victim.forwards - asked + done * population, 0, seed, params, time.perf_counter() - begun,
    )  # fmt: skip
