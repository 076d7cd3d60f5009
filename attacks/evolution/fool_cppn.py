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
    """Patterns, painted by small networks that evolve, until the victim is sure that they are a 0, a 1, …

    Read `plain.fool_cppn` first.

    As `fool_direct`, with a `CPPN` as the encoding, whose parameters `encoding` may give; the paper's Figure 5.
    """
    victim = as_victim(victim)
    encoded = CPPN(**canvas("fool_cppn", victim, shape) | encoding)
    result = evolve(victim, encoded, generations=generations, population=population, archive=archive, seed=seed,
                    progress=progress, checkpoint=checkpoint)  # fmt: skip
    return replace(result, params=result.params | {"attack": "fool_cppn"})
