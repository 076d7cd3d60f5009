"""Gradient ascent on the probability of a class: fooling images by gradients instead of evolution.

Read `plain/fool_gradient.py` first: the same for one class at a time, in plain loops.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minidl.backend import asarray, kernels, namespace, to_numpy
from minidl.core import Array
from minidl.draws import normal
from minidl.errors import ShapeError
from minidl.progress import bar

from ..common.checks import check_counts, check_number, check_seed
from ..common.goal import Goal, Targeted
from ..common.norms import l2_length, l2_steepest, per_example
from ..common.precision import in_dtype_of, in_single
from ..common.run import stream
from ..common.victim import Victim, as_victim
from .canvas import canvas
from .result import FoolingResult

LATE = 0.1  # the share of 1 - p that a late step is to gain


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
    """For each class k an image that maximises p_k, the probability of the class, by gradient ascent.

        x ← x + q ∇p/‖∇p‖²,   q = min(rise, .1(1 - p)),   then   x ← m + (1 - decay)(x - m)

    Read `plain.fool_gradient` first.

    victim: a network made of minidl operations, or a `Victim`.
    decay: how strongly images are drawn to m in each step, from 0 to 1; it makes them a little more regular.
    steps: how many, at least 1.
    rise: q, by how much p would grow in a step if it were linear, from 0 to 1.
    start: m, an image (C, H, W), floating point, within the bounds, such as the mean of the training images, as in the
    paper.  None is the middle of the bounds.  The first x is m plus normal noise, with a deviation of 1/255 of the
    bounds' range.
    shape: (C, H, W) of the images, if neither the network nor `start` has one.
    seed: a whole number, of which the noise is a function.
    progress: whether to show a bar over the steps.

    Returns: a `FoolingResult` of the last step; `history` (steps, K) is p after each step.  Ctrl-C ends it early.
    Raises: `RangeError` for a number out of range, `ShapeError` if the shape is not known, or not that of `start`,
    `DTypeError` for a network that is not made of minidl operations.
    Source: Nguyen, Yosinski and Clune 2015, §3.4 and supplement.  Their unregularised images are those of
    ``decay=0, steps=500, rise=0.02``.

    >>> from attacks import fool_gradient
    >>> from minidl import models
    >>> fool_gradient(models.lenet(), steps=3).history.shape
    (3, 10)
    """
    victim = as_victim(victim)
    check_counts("fool_gradient", steps=steps)
    check_seed("fool_gradient", seed)
    for name, number in (("decay", decay), ("rise", rise)):
        check_number("fool_gradient", f"{name} from 0 to 1", number, most=1)
    given = _centre(victim, start, shape)
    centre = in_single(given)
    began, forwards_before, backwards_before = time.perf_counter(), victim.forwards, victim.backwards
    x = _noisy(centre, victim.logits(centre[None]).shape[1], seed, victim.bounds)
    goal, interrupted = Targeted(asarray(np.arange(len(x)))), False
    history: list[np.ndarray] = []
    state = x, 0
    try:
        for step in bar(range(steps), "gradient ascent", progress, unit="step"):
            p, x = _step(victim, x, goal, centre, decay, rise)
            history.append(to_numpy(p))
            state = x, step + 1  # in one assignment, so that Ctrl-C cannot separate them
        images = in_dtype_of(x, _of_each_class(given, len(x)))
        confidence = _probability(victim.logits(images))
    except KeyboardInterrupt:
        x, interrupted = state[0], True
        images = in_dtype_of(x, _of_each_class(given, len(x)))
        confidence = _probability(victim.logits(images))
    done = state[1]
    after = np.stack([*history[1:done], to_numpy(confidence)]) if done else np.empty((0, len(x)))
    params = {"attack": "fool_gradient", "decay": decay, "steps": steps, "rise": rise, "interrupted": interrupted}
    forwards, backwards = victim.forwards - forwards_before, victim.backwards - backwards_before
    return FoolingResult(images, confidence, after, None, forwards, backwards, seed, params,
                         time.perf_counter() - began)  # fmt: skip


def _step(victim: Victim, x: Array, goal: Goal, centre: Array, decay: float, rise: float) -> tuple[Array, Array]:
    """The probabilities (K,) at x, and x after a step.

    The gradient is that of log p, and ∇p = p ∇log p: it does not vanish where p is tiny.  There the steps for q would
    be huge, so that they are limited to the width of the bounds.
    """
    xp, (low, high) = namespace(x), victim.bounds
    logits, gradient = victim.logits_and_gradient(x, goal)  # of -J(x, t) = log p_t
    p, norm = _probability(logits), l2_length(gradient)
    tiny = float(xp.finfo(x.dtype).tiny)
    widest = (high - low) * (x.size / len(x)) ** 0.5
    length = xp.minimum(xp.minimum(rise, LATE * (1 - p)) / xp.maximum(p * norm, tiny), widest)  # q/‖∇p‖
    moved = x + per_example(length.astype(x.dtype), x) * l2_steepest(gradient)  # for a gradient of 0, x stays
    return p, xp.clip(centre + (1 - decay) * (moved - centre), low, high)


def _probability(logits: Array) -> Array:
    """The probability of class k for row k: (K,), in float64, because float32 is too coarse near 1."""
    p, k = kernels(logits).softmax(logits.astype("float64")), namespace(logits).arange(len(logits))
    return p[k, k]


def _centre(victim: Victim, start: Any, shape: Any) -> Array:
    """m, (C, H, W): `start`, or the middle of the bounds."""
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
