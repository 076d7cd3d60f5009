"""`fool_direct`: images evolved pixel by pixel, which look like noise to a person and like a digit to a network.

Read `plain/fool_direct.py` first: the same for one image at a time, in plain loops.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..common.victim import as_victim
from .archive import MapElites
from .canvas import canvas
from .direct import DirectEncoding
from .evolve import evolve
from .result import FoolingResult


def fool_direct(
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
    """Noise, evolved pixel by pixel, until the network is sure that it is a 0, a 1, …: one image for each class.

    Read `plain.fool_direct` first.

    victim: a network, any function to logits, or a `Victim`, whose bounds the pixels keep.  shape: (C, H, W) of the
    images, if the network does not say.  encoding: parameters of `DirectEncoding`, such as rate=0.1.  All else is
    that of `evolve`, which this is with a direct encoding; the paper's Figure 4.
    Raises as `evolve` and `DirectEncoding` do, and `ShapeError` where the shape is unknown.
    """
    victim = as_victim(victim)
    encoded = DirectEncoding(**canvas("fool_direct", victim, shape) | encoding)
    result = evolve(victim, encoded, generations=generations, population=population, archive=archive, seed=seed,
                    progress=progress, checkpoint=checkpoint)  # fmt: skip
    return replace(result, params=result.params | {"attack": "fool_direct"})
