"""CPPNs: small networks that paint, and whose structure evolves (Nguyen et al. 2015; Stanley 2007; NEAT, 2002).

A genome is (W, φ): neuron j computes φ_j(Σ_i W_ij·v_i) of the neurons before it.  The first four are x, y, radius and
1, the last C the channels of a pixel.  Each mutation gives new ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.core import Array

from .fool_direct import map_elites, polynomial
from .notation import Network

FUNCTIONS = (np.sin, lambda z: np.tanh(z / 2), lambda z: np.exp(-z * z), lambda z: np.clip(z, -3, 3) / 3)
INPUTS, LIMIT = 4, 10.0  # weights are within ±10

Wiring = tuple[Array, Array]  # W (V, V), 0 where there is no connection, and φ (V,), by number


def fool_cppn(f: Network, shape: tuple[int, int, int], generations: int = 200, population: int = 200,
              neurons: int = 30, rng: Any = None) -> list[Array]:  # fmt: skip
    """The indirect encoding (§2.3): images (C, H, W) that CPPNs paint, one for each class.

    f: the network.
    shape: of the images, (C, H, W).
    generations, population: the number of rounds, and of children in each.
    neurons: how many hidden neurons a CPPN may have.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> from attacks import plain
    >>> from minidl import models
    >>> f = plain.one(models.lenet(seed=0, dtype="float64"))
    >>> images = plain.fool_cppn(f, (1, 28, 28), generations=2, population=5)
    >>> len(images), images[0].shape
    (10, (1, 28, 28))
    """
    rng, C = rng or np.random.default_rng(0), shape[0]

    def born() -> Wiring:  # no hidden neuron; each input connected to each output
        W, phi = np.zeros((INPUTS + C, INPUTS + C)), np.zeros(INPUTS + C, int)
        W[:INPUTS, INPUTS:] = rng.uniform(-LIMIT, LIMIT, (INPUTS, C))
        phi[INPUTS:] = rng.integers(len(FUNCTIONS), size=C)
        return W, phi

    mutated = lambda net, generation: mutate(net, C, neurons, rng)
    return map_elites(f, born, mutated, lambda net: painted(net, shape), generations, population, rng)


def painted(net: Wiring, shape: tuple[int, int, int]) -> Array:
    """The image: the inputs are the coordinates of a pixel; the absolute values of the outputs are its colour."""
    (W, phi), (C, height, width) = net, shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    v = [x, y, np.hypot(x, y), np.ones_like(x)]
    for j in range(INPUTS, len(W)):
        v.append(FUNCTIONS[phi[j]](sum(W[i, j] * v[i] for i in range(j))))
    return np.minimum(abs(np.stack(v[-C:])), 1)


def mutate(net: Wiring, C: int, neurons: int, rng: Any, rate: float = 0.1) -> Wiring:
    """A child: weights and functions changed a little, and the structure, with these probabilities."""
    W, phi = net
    W = np.where(W != 0, polynomial(W, rate, -LIMIT, LIMIT, rng), 0)
    W = change_connection(W, C, rng) if rng.random() < 0.5 else W
    changes, drawn = rng.random(len(phi)) < rate, rng.integers(len(FUNCTIONS), size=len(phi))
    phi = np.where(changes & (np.arange(len(phi)) >= INPUTS), drawn, phi)
    W = add_connection(W, C, rng) if rng.random() < 0.5 else W
    W = delete_connection(W, rng) if rng.random() < 0.3 else W
    W, phi = add_neuron(W, phi, C, neurons, rng) if rng.random() < 0.5 else (W, phi)
    return delete_neuron(W, phi, C, rng) if rng.random() < 0.2 else (W, phi)


def connections(W: Array) -> list[tuple[int, int]]:
    """(i, j) for each connection there is, from i to j."""
    return [(int(i), int(j)) for i, j in np.argwhere(W)]


def missing(W: Array, C: int) -> list[tuple[int, int]]:
    """(i, j) for each possible connection that does not exist: i < j, i is no output, and j no input."""
    return [(i, j) for i in range(len(W) - C) for j in range(max(i + 1, INPUTS), len(W)) if W[i, j] == 0]


def one_of(places: list[tuple[int, int]], rng: Any) -> tuple[int, int]:
    """One of them, all equally likely."""
    return places[rng.integers(len(places))]


def add_connection(W: Array, C: int, rng: Any) -> Array:
    """A connection that was not there, of any weight."""
    W, places = W.copy(), missing(W, C)
    if places:
        i, j = one_of(places, rng)
        W[i, j] = rng.uniform(-LIMIT, LIMIT)
    return W


def delete_connection(W: Array, rng: Any) -> Array:
    """Remove a connection."""
    W, places = W.copy(), connections(W)
    if places:
        W[one_of(places, rng)] = 0
    return W


def change_connection(W: Array, C: int, rng: Any) -> Array:
    """A connection gets another target, or another source, and keeps its weight."""
    W, places = W.copy(), connections(W)
    if not places:
        return W
    (i, j), end = one_of(places, rng), rng.integers(2)
    others = [place for place in missing(W, C) if place[end] == (i, j)[end]]
    if others:
        W[one_of(others, rng)], W[i, j] = W[i, j], 0
    return W


def add_neuron(W: Array, phi: Array, C: int, neurons: int, rng: Any) -> Wiring:
    """A neuron p splits the connection from i to j: i → p has weight 1, and p → j the weight of the connection."""
    places = connections(W)
    if not places or len(W) - INPUTS - C >= neurons:
        return W, phi
    i, j = one_of(places, rng)
    p = rng.integers(max(i + 1, INPUTS), min(j, len(W) - C) + 1)  # somewhere between the two
    W = np.insert(np.insert(W, p, 0, axis=0), p, 0, axis=1)  # later neurons, j among them, move up by one
    W[i, p], W[p, j + 1], W[i, j + 1] = 1, W[i, j + 1], 0
    return W, np.insert(phi, p, rng.integers(len(FUNCTIONS)))


def delete_neuron(W: Array, phi: Array, C: int, rng: Any) -> Wiring:
    """Remove a hidden neuron and all its connections."""
    hidden = len(W) - INPUTS - C
    if hidden == 0:
        return W, phi
    p = INPUTS + rng.integers(hidden)
    return np.delete(np.delete(W, p, axis=0), p, axis=1), np.delete(phi, p)
