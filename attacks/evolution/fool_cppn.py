"""`fool_cppn`: patterns, painted by small networks that evolve, which another network takes for digits.

Read `plain/fool_cppn.py` first: the same for one image at a time, in plain loops.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..common.victim import as_victim
from .archive import MapElites
from .canvas import canvas
from .cppn import CPPN
from .evolve import evolve
from .result import FoolingResult


def fool_cppn(
    victim: Any,
    *,
    generations: int = 200,
    population: int = 200,
    shape: tuple[int, int, int] | None = None,
    archive: type[MapElites] = MapElites,
    seed: int = 0,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    **encoding: Any,
) -> FoolingResult:
    """For each class a pattern painted by a small network, evolved until the victim is confident of the class.

    Read `plain.fool_cppn` first.

    victim: a network, any function to logits (it need not be made of minidl operations), or a `Victim`.
    generations: how many, at least 1.
    population: genomes in a generation, at least 1.
    shape: (C, H, W) of the images, if the network does not have an input_shape.
    archive: `MapElites`, or `Elitism` for comparison, or a class of your own.
    seed: a whole number.  All draws are functions of seed, generation, and the draws before in it.
    progress: whether to show a bar, with the median and the least confidence.
    checkpoint: a file, written from time to time, at the end, and if the victim raises an error.  If it exists and is
    of a run with the same settings, that run continues, also for more generations.  On the same backend and number of
    threads it ends with the same bits as one that was never interrupted.
    encoding: parameters of `CPPN`, such as ``rate=0.1``.

    Returns: a `FoolingResult`.  Ctrl-C ends the run after the last whole generation, with ``params["interrupted"]``
    set; before the first, it is raised.
    Raises: as `evolve` and `CPPN` do, and `ShapeError` if the shape is not known.
    Source: Nguyen, Yosinski and Clune 2015, Figure 5: `evolve` with this encoding.

    >>> from attacks import fool_cppn
    >>> from minidl import models
    >>> fool_cppn(models.lenet(), generations=2, population=5).images.shape
    (10, 1, 28, 28)
    """
    victim = as_victim(victim)
    encoded = CPPN(**canvas("fool_cppn", victim, shape) | encoding)
    result = evolve(victim, encoded, generations=generations, population=population, archive=archive, seed=seed,
                    progress=progress, checkpoint=checkpoint)  # fmt: skip
    return replace(result, params=result.params | {"attack": "fool_cppn"})
