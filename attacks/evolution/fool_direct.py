"""`fool_direct` and `fool_cppn`: images made from nothing, few of which a person would recognise, and a network all.

Read `plain/evolution.py` and `plain/cppn.py` first: the same in plain loops.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from minidl.errors import ShapeError

from ..common.victim import Victim, as_victim
from .archive import MapElites
from .cppn import CPPN
from .direct import DirectEncoding
from .evolve import evolve
from .canvas import check_canvas
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
    return _fooled("fool_direct", DirectEncoding, victim, shape, encoding, generations=generations,
                   population=population, archive=archive, seed=seed, progress=progress,
                   checkpoint=checkpoint)  # fmt: skip


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
    return _fooled("fool_cppn", CPPN, victim, shape, encoding, generations=generations,
                   population=population, archive=archive, seed=seed, progress=progress,
                   checkpoint=checkpoint)  # fmt: skip


def _fooled(attack: str, kind: type[DirectEncoding | CPPN], victim: Any, shape: Any, encoding: dict[str, Any],
            **loop: Any) -> FoolingResult:  # fmt: skip
    """`evolve` with an encoding of that kind, which is told what the network says of its images."""
    victim = as_victim(victim)
    result = evolve(victim, kind(**canvas(attack, victim, shape) | encoding), **loop)
    return replace(result, params=result.params | {"attack": attack})


def canvas(attack: str, victim: Victim, shape: Any) -> dict[str, Any]:
    """What the network says of its images, for an encoding."""
    known = getattr(victim.net, "input_shape", None)
    if known is not None and len(known) != 3:
        fix = f"fool lambda x: net(ops.reshape(x, (-1, {prod(known)}))), and say shape=(C, H, W)"
        raise ShapeError(attack, "a network of images (C, H, W)", f"one of inputs {known}", fix)
    shape = known if shape is None else shape
    if shape is None:
        raise ShapeError(attack, "to know the shape of an image", "a function that does not say", "shape=(1, 28, 28)")
    dtype = str(np.promote_types(getattr(victim.net, "dtype", "float32"), np.float32))  # never half precision
    check_canvas(attack, shape, victim.bounds, dtype)
    return {"shape": tuple(shape), "bounds": victim.bounds, "dtype": dtype}
