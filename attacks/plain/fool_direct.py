"""Images bred to fool: MAP-Elites, and with pixels as genes `fool_direct` (Nguyen, Yosinski and Clune 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.core import Array

from .notation import J, Network

Genome = Any  # whatever the encoding makes of it


def map_elites(
    f: Network, born: Callable[[], Genome], mutated: Callable[[Genome, int], Genome], image: Callable[[Genome], Array],
    generations: int, population: int, rng: Any,
) -> list[Array]:  # fmt: skip
    """For each class the image that f is surest of: the elite of a niche, which any child may take (§2.1).

    born gives a random genome, mutated(parent, generation) a child, and image(genome) its image.
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
            for k in range(len(z)):  # 3. each child tries in every niche
                confidence = -J(z, k)  # log p_k, which orders as p_k does, and never rounds to 0 or 1
                if k not in elites or confidence > best[k]:
                    elites[k], best[k] = child, confidence  # 4. and replaces the elite if f is surer of it
    return [image(elites[k]) for k in sorted(elites)]


def fool_direct(f: Network, shape: tuple[int, ...], generations: int = 200, population: int = 200, rate: float = 0.1,
                halved_every: int = 1000, rng: Any = None) -> list[Array]:  # fmt: skip
    """The direct encoding (§2.3): a gene a pixel, uniform at first, each mutated with a probability that is halved
    now and then.  One image for each class.

    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.
    """
    rng = rng or np.random.default_rng(0)
    born = lambda: rng.random(shape)
    mutated = lambda x, generation: polynomial(x, rate / 2 ** (generation // halved_every), 0, 1, rng)
    return map_elites(f, born, mutated, lambda x: x, generations, population, rng)


def polynomial(x: Array, rate: float, low: float, high: float, rng: Any, eta: float = 15.0) -> Array:
    """Polynomial mutation (Deb 2001): each entry moves with probability `rate`, mostly by little."""
    moves, r = rng.random(x.shape) < rate, rng.random(x.shape)
    delta = np.where(r < 0.5, (2 * r) ** (1 / (eta + 1)) - 1, 1 - (2 * (1 - r)) ** (1 / (eta + 1)))
    return np.where(moves, np.clip(x + delta * (high - low), low, high), x)
