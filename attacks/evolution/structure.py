"""What NEAT does to a network's structure, to a whole population at once: connections and neurons come, move and go.

A network is a matrix of weights, 0 where there is no connection, in which a neuron hears only those before it: strictly
upper triangular, and so acyclic by construction.  Slots 0 … `INPUTS` - 1 are the inputs; then come the hidden neurons,
which fill their region from its beginning; the outputs are the last.  A new neuron is squeezed in somewhere between the
two that it connects; those behind it move up.  (Of two neurons that do not hear each other, only the later one can
thus learn to hear the earlier; the place of a new one is drawn for that reason.)

Everything here changes a population's arrays in place: weights (N, V, V), functions (N, V), hidden (N,).  `happens`
(N,) bool says for whom; where there is nothing to be done, as when a network has no connection left, nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass

from minidl.backend import kernels, namespace
from minidl.core import Array

from .genome import Draws, Genome

INPUTS = 4  # x, y, radius, bias


@dataclass(frozen=True)
class Wiring:
    """The networks of a population while they are rewired.  outputs: how many slots at the end are outputs."""

    weights: Array
    functions: Array
    hidden: Array
    outputs: int

    @classmethod
    def of(cls, genomes: Genome, outputs: int) -> Wiring:
        """Those of the genomes, copied."""
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
        """The first slot behind the region of the hidden neurons."""
        return self.size - self.outputs

    def speak(self) -> Array:
        """Whether a slot is an input or a hidden neuron: (N, V)."""
        return namespace(self.hidden).arange(self.size) < (INPUTS + self.hidden)[:, None]

    def hear(self) -> Array:
        """Whether a slot is a hidden neuron or an output: (N, V)."""
        slots = namespace(self.hidden).arange(self.size)
        return (slots >= INPUTS) & (self.speak() | (slots >= self.end))

    def free(self) -> Array:
        """Where there is no connection, but could be one: (N, V, V)."""
        slots = namespace(self.hidden).arange(self.size)
        forward = slots[:, None] < slots
        return self.speak()[:, :, None] & self.hear()[:, None, :] & forward & (self.weights == 0)


def one_of(possible: Array, draws: Draws) -> tuple[Array, Array, Array]:
    """One of the entries that are possible (N, V, V) bool, all equally likely, for each network.

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
    changes = draws.happens(rate, *shape) & net.hear()
    net.functions[...] = namespace(drawn).where(changes, drawn, net.functions)


def add_connection(net: Wiring, happens: Array, draws: Draws, limit: float) -> None:
    """A connection that was not there, of a weight within ±limit."""
    found, i, j = one_of(net.free(), draws)
    weight = (draws.uniform(len(found), dtype=str(net.weights.dtype)) * 2 - 1) * limit
    n = _numbers(happens & found)
    net.weights[n, i[n], j[n]] = weight[n]


def delete_connection(net: Wiring, happens: Array, draws: Draws) -> None:
    """A connection goes."""
    found, i, j = one_of(net.weights != 0, draws)
    n = _numbers(happens & found)
    net.weights[n, i[n], j[n]] = 0


def change_connection(net: Wiring, happens: Array, draws: Draws) -> None:
    """A connection gets another source, or another target, and keeps its weight."""
    slots = namespace(net.hidden).arange(net.size)
    found, i, j = one_of(net.weights != 0, draws)
    same_source = draws.happens(0.5, len(found))[:, None, None]
    kept = (same_source & (slots[:, None] == i[:, None, None])) | (~same_source & (slots == j[:, None, None]))
    free, to_i, to_j = one_of(net.free() & kept, draws)
    n = _numbers(happens & found & free)
    net.weights[n, to_i[n], to_j[n]] = net.weights[n, i[n], j[n]]
    net.weights[n, i[n], j[n]] = 0


def add_neuron(net: Wiring, happens: Array, draws: Draws, functions: int) -> None:
    """A neuron in the midst of a connection: it hears with weight 1, and speaks with the connection's own.

    So do Stanley and Miikkulainen 2002; the authors of the fooling images give both the old weight.  Its function is
    one of `functions`.  A network whose region is full stays as it is.
    """
    xp, slots = namespace(net.hidden), namespace(net.hidden).arange(net.size)
    found, i, j = one_of(net.weights != 0, draws)
    first, last = xp.maximum(i + 1, INPUTS), xp.minimum(j, INPUTS + net.hidden)
    p = first + draws.below(last - first + 1, len(found))
    function = draws.below(functions, len(found)).astype(net.functions.dtype)
    n = _numbers(happens & found & (INPUTS + net.hidden < net.end))
    i, j, p = i[n], j[n], p[n]
    _reorder(net, n, xp.where((slots > p[:, None]) & (slots < net.end), slots - 1, slots), p)
    j = j + ((j >= p) & (j < net.end))
    weight = net.weights[n, i, j]
    net.weights[n, i, p], net.weights[n, p, j], net.weights[n, i, j] = 1, weight, 0
    net.functions[n, p] = function[n]
    net.hidden[n] += 1


def delete_neuron(net: Wiring, happens: Array, draws: Draws) -> None:
    """A hidden neuron goes, with all its connections; those behind it move down."""
    xp, slots = namespace(net.hidden), namespace(net.hidden).arange(net.size)
    p = INPUTS + draws.below(net.hidden, len(net.hidden))
    n = _numbers(happens & (net.hidden > 0))
    p = p[n][:, None]
    left_over = xp.full(len(n), net.end - 1)  # the last slot of the region, which the one before it has become
    _reorder(net, n, xp.where((slots >= p) & (slots < net.end - 1), slots + 1, slots), left_over)
    net.hidden[n] -= 1


def _numbers(which: Array) -> Array:
    return namespace(which).nonzero(which)[0]


def _reorder(net: Wiring, n: Array, source: Array, empty: Array) -> None:
    """Networks n get in each slot what is in slot `source` (n, V), and nothing in the slots `empty` (n,)."""
    xp = namespace(source)
    moved = xp.take_along_axis(net.weights[n], source[:, :, None], axis=1)
    moved = xp.take_along_axis(moved, source[:, None, :], axis=2)
    full = xp.arange(net.size) != empty[:, None]
    net.weights[n] = moved * (full[:, :, None] & full[:, None, :])
    net.functions[n] = xp.take_along_axis(net.functions[n], source, axis=1) * full
