"""Gradient ascent on a class's probability: what evolution's images look like when the slopes are known.

Read `plain/fool_gradient.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minidl.backend import asarray, kernels, namespace, to_numpy
from minidl.core import Array
from minidl.errors import ShapeError
from minidl.progress import bar

from ..common.checks import check_counts, check_number, check_seed
from ..common.goal import Goal, Targeted
from ..common.norms import l2_length, l2_steepest, normal, per_example
from ..common.precision import in_dtype_of, in_single
from ..common.run import stream
from ..common.victim import Victim, as_victim
from .canvas import canvas
from .result import FoolingResult

LATE = 0.1  # the part of what a probability lacks that a late step is to win


def fool_gradient(
    victim: Any,
    *,
    decay: float = 0.01,
    steps: int = 300,
    rise: float = 0.03,
    start: Array | None = None,
    shape: tuple[int, int, int] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> FoolingResult:
    """For each class k an image that climbs p_k, the probability of the class, by its gradient.

    Read `plain.fool_gradient` first.

    Nguyen, Yosinski and Clune 2015, §3.4 and their supplement.  Each step is x ← x + q ∇p/‖∇p‖², after which, were p
    linear, it would have risen by q = min(rise, .1(1 - p)); then x ← m + (1 - decay)(x - m), which keeps images near m
    and so a little more regular, and x is kept within the bounds.  Their unregularised images are those of
    ``decay=0, steps=500, rise=0.02``.

    victim: a network made of minidl operations, or a `Victim`.  start (m): an image (C, H, W) of floating-point numbers
    within the bounds, such as the mean of the training images (theirs); the middle of the bounds if None.  The first x
    is m plus normal noise of a deviation of 1/255 of the range of the bounds.  shape: (C, H, W) of the images, if
    neither the network nor `start` says.  Draws depend on the seed alone; the classes climb as one batch.

    Returns what the last step ended with: history (steps, K) has p after each step.  Ctrl-C ends it early.
    Raises `RangeError` for numbers out of range, `ShapeError` where the shape is unknown or that of `start` is another,
    `DTypeError` for a network that is not made of minidl operations.
    """
    victim = as_victim(victim)
    check_counts("fool_gradient", steps=steps)
    check_seed("fool_gradient", seed)
    for name, number in (("decay", decay), ("rise", rise)):
        check_number("fool_gradient", f"{name} from 0 to 1", number, most=1)
    given = _centre(victim, start, shape)
    centre = in_single(given)
    begun, asked, pulled = time.perf_counter(), victim.forwards, victim.backwards
    x = _noisy(centre, victim.logits(centre[None]).shape[1], seed, victim.bounds)
    goal, interrupted = Targeted(asarray(np.arange(len(x)))), False
    history: list[np.ndarray] = []
    state = x, 0
    try:
        for step in bar(range(steps), "gradient ascent", progress, unit="step"):
            p, x = _step(victim, x, goal, centre, decay, rise)
            history.append(to_numpy(p))
            state = x, step + 1  # at once: Ctrl-C may come between any two lines
        images = in_dtype_of(x, _of_each_class(given, len(x)))
        confidence = _probability(victim.logits(images))
    except KeyboardInterrupt:
        x, interrupted = state[0], True
        images = in_dtype_of(x, _of_each_class(given, len(x)))
        confidence = _probability(victim.logits(images))
    done = state[1]
    after = np.stack([*history[1:done], to_numpy(confidence)]) if done else np.empty((0, len(x)))
    params = {"attack": "fool_gradient", "decay": decay, "steps": steps, "rise": rise, "interrupted": interrupted}
    forwards, backwards = victim.forwards - asked, victim.backwards - pulled
    return FoolingResult(images, confidence, after, None, forwards, backwards, seed, params,
                         time.perf_counter() - begun)  # fmt: skip


def _step(victim: Victim, x: Array, goal: Goal, centre: Array, decay: float, rise: float) -> tuple[Array, Array]:
    """The probabilities (K,) at x, and x a step further.

    The slope is taken of log p, from which ∇p = p ∇log p: it is there even where p is next to nothing.  Then q asks for
    leaps; none is longer than the bounds are wide.
    """
    xp, (low, high) = namespace(x), victim.bounds
    logits, slope = victim.logits_and_gradient(x, goal)  # of -J(x, t) = log p_t
    p, norm = _probability(logits), l2_length(slope)
    tiny = float(xp.finfo(x.dtype).tiny)
    widest = (high - low) * (x.size / len(x)) ** 0.5
    length = xp.minimum(xp.minimum(rise, LATE * (1 - p)) / xp.maximum(p * norm, tiny), widest)  # q/‖∇p‖
    moved = x + per_example(length.astype(x.dtype), x) * l2_steepest(slope)  # where there is no slope, x stays
    return p, xp.clip(centre + (1 - decay) * (moved - centre), low, high)


def _probability(logits: Array) -> Array:
    """Of class k for row k: (K,), in float64, since near 1 the digits of float32 are too coarse."""
    p, k = kernels(logits).softmax(logits.astype("float64")), namespace(logits).arange(len(logits))
    return p[k, k]


def _centre(victim: Victim, start: Any, shape: Any) -> Array:
    """m, (C, H, W): what is given, or the middle of the bounds."""
    if start is not None:
        victim.check_images("fool_gradient", start[None] if hasattr(start, "shape") else start)
        if start.ndim != 3 or shape not in (None, tuple(start.shape)):
            raise ShapeError("fool_gradient", f"a start of shape {shape or '(C, H, W)'}", f"{start.shape}")
        return start
    known = canvas("fool_gradient", victim, shape)
    return namespace().full(known["shape"], sum(victim.bounds) / 2, dtype=known["dtype"])


def _of_each_class(image: Array, classes: int) -> Array:
    return namespace(image).broadcast_to(image, (classes, *image.shape))


def _noisy(centre: Array, classes: int, seed: int, bounds: tuple[float, float]) -> Array:
    """One start for each class: (K, C, H, W)."""
    xp, (low, high) = namespace(centre), bounds
    like = xp.zeros((classes, *centre.shape), dtype=centre.dtype)
    noise = normal(stream(seed), like) * ((high - low) / 255)
    return xp.clip(centre + noise, low, high)
