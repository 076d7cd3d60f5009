"""Changes of a network's structure, as in NEAT, for a whole population at once: of its connections and neurons.

A network is a matrix of weights, 0 where there is no connection.  A neuron has inputs only from neurons before it, so
that the matrix is strictly upper triangular and the network has no cycles.  Slots 0 … `INPUTS` - 1 are the inputs; then
come the hidden neurons, which fill their region from its beginning; the outputs are the last.  A new neuron is inserted
at a random place between the two that it connects, and those after it move up.  (Of two unconnected neurons, only the
later one can later get a connection from the earlier one; the random place decides which is which.)

All functions change a population's arrays in place: weights (N, V, V), functions (N, V), hidden (N,).  `happens` (N,)
bool says for which networks.  A network that cannot be changed, such as one without connections, stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from minidl.backend import kernels, namespace
from minidl.core import Array

from .genome import Draws, Genome

INPUTS = 4  # x, y, radius, bias


@dataclass(frozen=True)
class Wiring:
    """The networks of a population while they are changed.  outputs: how many slots at the end are outputs."""

    weights: Array
    functions: Array
    hidden: Array
    outputs: int

    @classmethod
    def of(cls, genomes: Genome, outputs: int) -> Wiring:
        """The networks of the genomes, copied."""
        return cls(genomes["weights"].copy(), genomes["functions"].copy(), genomes["hidden"].copy(), outputs)

    def genomes(self) -> Genome:
        """The networks as genomes."""
        return Genome({"weights": self.weights, "functions": self.functions, "hidden": self.hidden})

    @property
    def size(self) -> int:
        """V: the number of slots."""
        return self.weights.shape[1]

    @property
    def end(self) -> int:
        """The first slot after the region of the hidden neurons."""
        return self.size - self.outputs

    def is_source(self) -> Array:
        """Whether a slot is an input or a hidden neuron: (N, V)."""
        return namespace(self.hidden).arange(self.size) < (INPUTS + self.hidden)[:, None]

    def is_target(self) -> Array:
        """Whether a slot is a hidden neuron or an output: (N, V)."""
        slots = namespace(self.hidden).arange(self.size)
        return (slots >= INPUTS) & (self.is_source() | (slots >= self.end))

    def free(self) -> Array:
        """Where a connection could be added: (N, V, V)."""
        slots = namespace(self.hidden).arange(self.size)
        forward = slots[:, None] < slots
        return self.is_source()[:, :, None] & self.is_target()[:, None, :] & forward & (self.weights == 0)


def one_of(possible: Array, draws: Draws) -> tuple[Array, Array, Array]:
    """A random one of the possible entries (N, V, V) bool of each network, all equally likely.

    Returns whether there is one (N,) bool, its row and its column (N,).
    """
    size = possible.shape[2]
    so_far = possible.reshape(len(possible), -1).astype("int32").cumsum(axis=1)
    number = draws.below(so_far[:, -1], len(possible)) + 1
    place = (so_far >= number[:, None]).argmax(axis=1)
    return so_far[:, -1] > 0, place // size, place % size


def change_weights(net: Wiring, draws: Draws, rate: float, strength: float, limit: float) -> None:
    """Each connection's weight moves with probability `rate`, by polynomial mutation within ±limit."""
    mutate = kernels(net.weights).polynomial_mutation
    moved = mutate(draws.key(), net.weights, rate, strength, (-limit, limit))
    net.weights[...] = namespace(net.weights).where(net.weights != 0, moved, 0)


def change_functions(net: Wiring, draws: Draws, rate: float, functions: int) -> None:
    """Each neuron's function is drawn anew, one of `functions`, with probability `rate`."""
    shape = net.functions.shape
    drawn = draws.below(functions, *shape).astype(net.functions.dtype)
    changes = draws.happens(rate, *shape) & net.is_target()
    net.functions[...] = namespace(drawn).where(changes, drawn, net.functions)


def add_connection(net: Wiring, happens: Array, draws: Draws, limit: float) -> None:
    """A new connection, with a weight within ±limit."""
    exists, i, j = one_of(net.free(), draws)
    weight = (draws.uniform(len(exists), dtype=str(net.weights.dtype)) * 2 - 1) * limit
    n = _numbers(happens & exists)
    net.weights[n, i[n], j[n]] = weight[n]


def delete_connection(net: Wiring, happens: Array, draws: Draws) -> None:
    """A connection is removed."""
    exists, i, j = one_of(net.weights != 0, draws)
    n = _numbers(happens & exists)
    net.weights[n, i[n], j[n]] = 0


def change_connection(net: Wiring, happens: Array, draws: Draws) -> None:
    """A connection gets another source, or another target, and keeps its weight."""
    slots = namespace(net.hidden).arange(net.size)
    exists, i, j = one_of(net.weights != 0, draws)
    same_source = draws.happens(0.5, len(exists))[:, None, None]
    allowed = (same_source & (slots[:, None] == i[:, None, None])) | (~same_source & (slots == j[:, None, None]))
    free, to_i, to_j = one_of(net.free() & allowed, draws)
    n = _numbers(happens & exists & free)
    net.weights[n, to_i[n], to_j[n]] = net.weights[n, i[n], j[n]]
    net.weights[n, i[n], j[n]] = 0


def add_neuron(net: Wiring, happens: Array, draws: Draws, functions: int) -> None:
    """A neuron splits a connection: its input has weight 1, its output the weight of the connection.

    As in Stanley and Miikkulainen 2002; the authors of the fooling images use the old weight for both.  Its function is
    one of `functions`.  A network whose region is full stays as it is.
    """
    xp, slots = namespace(net.hidden), namespace(net.hidden).arange(net.size)
    exists, i, j = one_of(net.weights != 0, draws)
    first, last = xp.maximum(i + 1, INPUTS), xp.minimum(j, INPUTS + net.hidden)
    p = first + draws.below(last - first + 1, len(exists))
    function = draws.below(functions, len(exists)).astype(net.functions.dtype)
    n = _numbers(happens & exists & (INPUTS + net.hidden < net.end))
    i, j, p = i[n], j[n], p[n]
    _reorder(net, n, xp.where((slots > p[:, None]) & (slots < net.end), slots - 1, slots), p)
    j = j + ((j >= p) & (j < net.end))
    weight = net.weights[n, i, j]
    net.weights[n, i, p], net.weights[n, p, j], net.weights[n, i, j] = 1, weight, 0
    net.functions[n, p] = function[n]
    net.hidden[n] += 1


def delete_neuron(net: Wiring, happens: Array, draws: Draws) -> None:
    """A hidden neuron is removed, with all its connections; those after it move down."""
    xp, slots = namespace(net.hidden), namespace(net.hidden).arange(net.size)
    p = INPUTS + draws.below(net.hidden, len(net.hidden))
    n = _numbers(happens & (net.hidden > 0))
    p = p[n][:, None]
    left_over = xp.full(len(n), net.end - 1)  # the last slot of the region, which is empty now
    _reorder(net, n, xp.where((slots >= p) & (slots < net.end - 1), slots + 1, slots), left_over)
    net.hidden[n] -= 1


def _numbers(which: Array) -> Array:
    return namespace(which).nonzero(which)[0]


def _reorder(net: Wiring, n: Array, source: Array, empty: Array) -> None:
    """Move the neurons of networks n: each slot gets that of slot `source` (n, V); the slots `empty` (n,) get none."""
    xp = namespace(source)
    moved = xp.take_along_axis(net.weights[n], source[:, :, None], axis=1)
    moved = xp.take_along_axis(moved, source[:, None, :], axis=2)
    full = xp.arange(net.size) != empty[:, None]
    net.weights[n] = moved * (full[:, :, None] & full[:, None, :])
    net.functions[n] = xp.take_along_axis(net.functions[n], source, axis=1) * full
