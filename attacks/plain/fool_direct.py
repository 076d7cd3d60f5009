"""Evolved images: MAP-Elites, and `fool_direct`, whose genes are pixels (Nguyen, Yosinski and Clune 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.core import Array

from .notation import J, Network

Genome = Any  # of any type: each encoding has its own


def map_elites(
    f: Network, born: Callable[[], Genome], mutated: Callable[[Genome, int], Genome], image: Callable[[Genome], Array],
    generations: int, population: int, rng: Any,
) -> list[Array]:  # fmt: skip
    """For each class, the image with the highest confidence: the elite of a niche, which any child may replace (§2.1).

    born() returns a random genome, mutated(parent, generation) a child, and image(genome) its image.
    """
    elites: dict[int, Genome] = {}
    best: dict[int, float] = {}
    for generation in range(generations):
        if generation == 0:
            children = [born() for _ in range(population)]  # 1. the first are random
        else:  # 2. the others are children of elites, any class's
            parents = [elites[int(k)] for k in rng.integers(len(elites), size=population)]
            children = [mutated(parent, generation) for parent in parents]
        for child in children:
            z = f(image(child))
            for k in range(len(z)):  # 3. each child competes in every niche
                confidence = -J(z, k)  # log p_k, which orders as p_k does, and never rounds to 0 or 1
                if k not in elites or confidence > best[k]:
                    elites[k], best[k] = child, confidence  # 4. and replaces the elite if its confidence is higher
    return [image(elites[k]) for k in sorted(elites)]


def fool_direct(f: Network, shape: tuple[int, ...], generations: int = 200, population: int = 200, rate: float = 0.1,
                halved_every: int = 1000, rng: Any = None) -> list[Array]:  # fmt: skip
    """The direct encoding (§2.3): one gene for each pixel.  One image for each class.

    f: the network.
    shape: of the images, (C, H, W).
    generations, population: the number of rounds, and of children in each.
    rate: the probability that a gene mutates.
    halved_every: the number of generations after which the rate is halved.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> from attacks import plain
    >>> from minidl import models
    >>> f = plain.one(models.lenet(seed=0, dtype="float64"))
    >>> images = plain.fool_direct(f, (1, 28, 28), generations=2, population=5)
    >>> len(images), images[0].shape
    (10, (1, 28, 28))
    """
    rng = rng or np.random.default_rng(0)
    born = lambda: rng.random(shape)
    mutated = lambda x, generation: polynomial(x, rate / 2 ** (generation // halved_every), 0, 1, rng)
    return map_elites(f, born, mutated, lambda x: x, generations, population, rng)


def polynomial(x: Array, rate: float, low: float, high: float, rng: Any, eta: float = 15.0) -> Array:
    """Polynomial mutation (Deb 2001): each entry moves with probability `rate`, usually by a small amount."""
    moves, r = rng.random(x.shape) < rate, rng.random(x.shape)
    delta = np.where(r < 0.5, (2 * r) ** (1 / (eta + 1)) - 1, 1 - (2 * (1 - r)) ** (1 / (eta + 1)))
    return np.where(moves, np.clip(x + delta * (high - low), low, high), x)
