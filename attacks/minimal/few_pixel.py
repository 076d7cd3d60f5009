"""The few-pixel attack (Su, Vargas and Sakurai 2017): which one, three or five pixels, in which colours, succeed?

Gradients are of little use here, because a pixel is either changed or not.  Differential evolution (Storn and Price
1997) needs none: it keeps a few hundred candidates, and moves each along the difference of two others.

Read `plain/few_pixel.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from math import prod
from typing import Any

from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.draws import box_muller
from minidl.errors import RangeError, ShapeError
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_counts, check_number
from ..common.objectives import margin
from ..common.result import AttackResult
from ..common.run import Run, begin

LEAST_POPULATION = 4  # a child's three parents, and the candidate that it competes with


def few_pixel(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    pixels: int = 1,
    population: int = 400,
    generations: int = 100,
    weight: float = 0.5,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """A few pixels of any colour that bring the image closest to the goal, by differential evolution on logits.

    Read `plain.few_pixel` first.

    victim: a network, any function to logits (here it need not be made of minidl operations), or a `Victim`.
    x: images (N, C, H, W), floating point, within the victim's bounds; they stay there.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    pixels: how many may be changed, in all their channels, at least 1.
    population: candidates for each example, at least 4.
    generations: how many at most, at least 1.
    weight: F, the share of a difference by which a child moves, above 0 and at most 2.
    seed: a whole number.  All draws are functions of (seed, index of the example in x, generation, population, pixels,
    C).
    progress: whether to show a bar over the generations.

    A candidate is `pixels` places and their new values; if two places are equal, the later counts.  At first, places
    are uniform, and values normal around the middle of the bounds, with a deviation of half their range.  In each
    generation, the children  x_r1 + F·(x_r2 - x_r3)  of three other candidates, all different, replace candidates that
    are no closer to the goal; there is no crossover (DE/rand/1).  An example is finished when a candidate achieves the
    goal.

    Returns: an `AttackResult`, with the best candidate of each example, also of those without success; `iterations`
    (N,) counts generations.  Each, and the first candidates, cost `population` queries; at most ``victim.batch_size``
    images are drawn at a time.  After Ctrl-C it holds what was reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and before any work `ShapeError` for x of another rank, `RangeError` for a parameter
    out of range.
    Source:  Su, Vargas and Sakurai 2017, §3.  Their fitness is the probability of the target or label, which is rounded
    to 1 or 0 for a confident network; here it is the margin.  They continue until the target has 90 %, or the label
    less than 5 %; here success ends it.  Children outside of the bounds or the image are clipped; they do not say what
    is done.

    >>> import numpy as np
    >>> from attacks import few_pixel
    >>> from minidl import models
    >>> x = np.full((2, 1, 28, 28), 0.5, dtype=np.float32)
    >>> result = few_pixel(models.lenet(seed=0), x, np.array([3, 5]), population=4, generations=2)
    >>> bool((result.l0 <= 1).all())
    True
    """
    check_counts("few_pixel", pixels=pixels, generations=generations)
    check_counts("few_pixel", least=LEAST_POPULATION, population=population)
    _check(x, pixels, weight)
    run = begin("few_pixel", victim, x, goal, seed)
    x_adv, bred = run.started()
    size = max(1, run.victim.batch_size // population)
    groups = range(0, len(x), size)
    with (
        run.interruptible(),
        bar(range(len(groups) * generations), "Few pixels", progress, unit="generation") as generations_bar,
    ):
        for first in groups:
            group = Group(run, slice(first, first + size), int(pixels), int(population))
            _evolve(group, x_adv, bred, generations, float(weight), generations_bar)
    return run.end(x_adv, bred, pixels=int(pixels), population=int(population), generations=int(generations),
                   weight=float(weight))  # fmt: skip


def _check(x: Any, pixels: int, weight: Any) -> None:
    check_number("few_pixel", "a weight above 0, at most 2", weight, most=2, but=0)
    if getattr(x, "ndim", 4) != 4:
        raise ShapeError("few_pixel", "images (N, C, H, W)", f"{x.shape}", "x.reshape(-1, 1, 28, 28) for flat digits")
    if hasattr(x, "shape") and pixels > x.shape[2] * x.shape[3]:
        raise RangeError("few_pixel", f"at most the {x.shape[2] * x.shape[3]} pixels of an image", repr(pixels))


def _evolve(group: Group, x_adv: Array, bred: Array, generations: int, weight: float, generations_bar: Any) -> None:
    """The evolution of one group: the best of its active examples go into x_adv; `bred` counts their generations."""
    group.settle(x_adv)
    for generation in range(1, generations + 1):
        generations_bar.set_postfix(active=len(group.active), refresh=False)
        if not len(group.active):
            generations_bar.update(generations + 1 - generation)
            break
        group.breed(generation, weight)
        group.active.count(bred)
        group.settle(x_adv)
        generations_bar.update()


class Group:
    """Neighbouring examples, as many as fit into a batch, and their candidates.

    active: those that are not finished.  Of each, genes (n, P, pixels, 2 + C) float32, from 0 to 1: the row, the column
    and the value in each channel, as shares of the height, the width and the range between the bounds; and fitness
    (n, P): how close to the goal.
    """

    def __init__(self, run: Run, part: slice, pixels: int, population: int) -> None:
        self.run, self.part, self.population = run, part, population
        self.active = ActiveSet.without(run.goal.achieved(run.clean_pred)[part])
        self.active.rows += part.start
        self.active.genes = self._born(pixels)
        self.active.fitness = self._judge(self.active.genes)

    def breed(self, generation: int, weight: float) -> None:
        """A child for each candidate, which it replaces unless it is worse."""
        active, xp = self.active, namespace(self.active.genes)
        x1, x2, x3 = (self._candidates(r) for r in others(self._uniform(generation, 0, 3)))
        children = xp.clip(x1 + weight * (x2 - x3), 0, 1)
        fitness = self._judge(children)
        better = fitness >= active.fitness
        active.genes = xp.where(better[:, :, None, None], children, active.genes)
        active.fitness = xp.where(better, fitness, active.fitness)

    def settle(self, x_adv: Array) -> None:
        """The best candidate of each goes into x_adv; those that achieve the goal are finished."""
        active = self.active
        if not len(active):
            return
        best = active.fitness.argmax(axis=-1)
        active.scatter(x_adv, self._drawn(active.rows, active.genes[namespace(best).arange(len(best)), best]))
        active.drop(active.fitness.max(axis=-1) >= 0)

    def _uniform(self, generation: int, stream: int, *shape: int) -> Array:
        """Draws (n, P, ...) from 0 to 1.  Finished examples of the group get draws, too, so that none shift."""
        x = self.run.x[self.part]
        like = namespace(x).zeros((len(x), self.population, *shape), dtype="float32")
        first = self.part.start * prod(like.shape[1:])
        drawn = kernels(like).random_uniform(self.run.key(generation, stream), like, first)
        return kernels(like).gather(drawn, self.active.rows - self.part.start)

    def _born(self, pixels: int) -> Array:
        """The first candidates: places anywhere, values from N(½, ½²), which the bounds cut off."""
        xp, channels = namespace(self.run.x), self.run.x.shape[1]
        places, u, v = (self._uniform(0, stream, pixels, n) for stream, n in enumerate((2, channels, channels)))
        return xp.concatenate([places, xp.clip(0.5 + 0.5 * box_muller(u, v), 0, 1)], axis=-1)

    def _candidates(self, which: Array) -> Array:
        """The candidates with these numbers (n, P), among those of the same example: shaped like genes."""
        xp, genes = namespace(which), self.active.genes
        flat = genes.reshape(-1, *genes.shape[2:])
        rows = which + self.population * xp.arange(len(which))[:, None]
        return kernels(flat).gather(flat, rows.reshape(-1)).reshape(genes.shape)

    def _judge(self, genes: Array) -> Array:
        """The margin of each candidate, (n, P); below 0 if it does not achieve the goal, where there is a tie, too."""
        victim = self.run.victim
        xp, flat = namespace(genes), genes.reshape(-1, *genes.shape[2:])
        rows = self.active.rows[xp.arange(len(flat)) // self.population]
        margins = [xp.zeros(0, dtype=self.run.clean_logits.dtype)]
        for i in range(0, len(flat), victim.batch_size):
            part = slice(i, i + victim.batch_size)
            logits = victim.logits(self._drawn(rows[part], flat[part]))
            goal = self.run.goal.take(rows[part])
            reached, least = margin(goal, logits), float(xp.finfo(logits.dtype).tiny)
            margins.append(xp.where(goal.achieved(logits.argmax(axis=-1)), reached, xp.minimum(reached, -least)))
        return xp.concatenate(margins).reshape(genes.shape[:2])

    def _drawn(self, rows: Array, genes: Array) -> Array:
        """The images of those numbers (k,), with these candidates' (k, pixels, 2 + C) pixels set: (k, C, H, W)."""
        origin, (low, high) = kernels(genes).gather(self.run.x, rows), self.run.victim.bounds
        xp, images = namespace(origin), origin.copy()
        row, column = (xp.minimum((genes[..., axis] * size).astype("int64"), size - 1)
                       for axis, size in enumerate(images.shape[2:]))  # fmt: skip
        values = xp.clip(low + (high - low) * genes[..., 2:].astype(images.dtype), low, high)
        for pixel in range(genes.shape[1]):  # one after the other: of two on one place the later counts
            images[xp.arange(len(images)), :, row[:, pixel], column[:, pixel]] = values[:, pixel]
        return self.run.as_returned(images, origin)


def others(drawn: Array) -> list[Array]:
    """Three numbers r1, r2, r3 (n, P) for each of P candidates, from draws (n, P, 3): different, and none its own.

    The k-th is drawn among those that are left, and then moved up past each that is taken.
    """
    xp, population = namespace(drawn), drawn.shape[1]
    taken, numbers = xp.zeros(drawn.shape[:2], dtype="int64")[None] + xp.arange(population), []
    for k in range(3):
        number = (drawn[..., k] * (population - 1 - k)).astype("int64")
        for other in xp.sort(taken, axis=0):
            number = number + (number >= other)
        taken = xp.concatenate([taken, number[None]])
        numbers.append(number)
    return numbers
