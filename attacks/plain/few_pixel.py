"""The few-pixel attack: differential evolution on the places and colours of a few pixels (Su, Vargas, Sakurai 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.core import Array

from .notation import Network, margin


def few_pixel(f: Network, x: Array, y: int, pixels: int = 1, population: int = 400, generations: int = 100,
              F: float = 0.5, rng: Any = None) -> Array:  # fmt: skip
    """DE/rand/1 (their §3): increase the margin by changing a few pixels, without gradients.

    A candidate is (row, column, colours…) for each pixel, all from 0 to 1.

    f, x, y: the network, an image (C, H, W) and its label.
    pixels: how many may change.
    population, generations: the number of candidates, and of rounds.
    F: the weight of a difference of two candidates.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.lenet(seed=0, dtype="float64")), np.full((1, 28, 28), 0.5)
    >>> X = plain.few_pixel(f, x, 3, population=10, generations=2)
    >>> int((X != x).sum()) <= 1
    True
    """
    rng, C = rng or np.random.default_rng(0), len(x)
    places = rng.random((population, pixels, 2))  # 1. places anywhere, colours from N(½, ½²)
    colours = rng.normal(0.5, 0.5, (population, pixels, C))
    candidates = list(np.clip(np.concatenate([places, colours], axis=-1), 0, 1))
    fitness = [margin(f(painted(x, candidate)), y) for candidate in candidates]
    for _ in range(generations):
        if max(fitness) > 0:
            break
        parents = candidates.copy()
        for i in range(population):  # 2. three other candidates, all different, make a child
            r1, r2, r3 = rng.choice([r for r in range(population) if r != i], 3, replace=False)
            child = np.clip(parents[r1] + F * (parents[r2] - parents[r3]), 0, 1)  # 3. x_r1 + F·(x_r2 - x_r3)
            reached = margin(f(painted(x, child)), y)
            if reached >= fitness[i]:
                candidates[i], fitness[i] = child, reached  # 4. the child replaces the candidate, unless it is worse
    return painted(x, candidates[int(np.argmax(fitness))])


def painted(x: Array, candidate: Array) -> Array:
    """The image with a candidate's pixels in it."""
    X, (_, height, width) = x.copy(), x.shape
    for row, column, *colour in candidate:
        X[:, min(int(row * height), height - 1), min(int(column * width), width - 1)] = colour
    return X
