"""Laws of what NEAT does to networks: each operation does what its name says, nothing else, and where it is told to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks.evolution import CPPN, structure
from attacks.evolution.genome import Draws
from attacks.evolution.structure import INPUTS, Wiring, one_of
from minidl.kernels import reference
from minidl.kernels.reference import FUNCTIONS
from minidl.testing import Mutant, line

seeds = st.integers(0, 2**32 - 1)
OPERATIONS = ("add_connection", "delete_connection", "change_connection", "add_neuron", "delete_neuron")
MORE = {"add_connection": (10.0,), "add_neuron": (len(FUNCTIONS),)}  # what else these are told
LINEAR = FUNCTIONS.index("linear")
COUNT = 12
ALL = np.ones(COUNT, bool)


def evolved(seed: int, neurons: int = 3, channels: int = 2, generations: int = 5) -> Wiring:
    """Networks after generations of much mutation; the first has no connection, the second has all."""
    rates = np.random.default_rng(seed).choice([0.0, 0.5, 1.0], 6)
    asked = dict(zip(("rate", *OPERATIONS), rates))
    encoding = CPPN((channels, 2, 2), neurons=neurons, dtype="float64", **asked)
    genomes = encoding.start(COUNT, Draws(seed, 0))
    for generation in range(1, generations):
        genomes = encoding.vary(genomes, genomes, generation, Draws(seed, generation))
        check(Wiring.of(genomes, channels))
    net = Wiring.of(genomes, channels)
    net.weights[0] = 0
    net.weights[1][net.free()[1]] = 1.5
    check(net)
    return net


def check(net: Wiring) -> None:
    """The layout that everything relies on."""
    assert (net.functions.dtype, net.hidden.dtype) == (np.int8, np.int64)
    assert (abs(net.weights) <= 10).all()
    assert ((net.functions >= 0) & (net.functions < len(FUNCTIONS))).all()
    assert ((net.hidden >= 0) & (net.hidden <= net.end - INPUTS)).all()
    for w, functions, hidden in zip(net.weights, net.functions, net.hidden):
        assert not np.tril(w).any()  # each hears only those before it
        assert not w[:, :INPUTS].any()  # inputs have no sources
        assert not w[net.end :].any()  # outputs have no targets
        unused = slice(INPUTS + hidden, net.end)
        assert not w[unused].any()
        assert not w[:, unused].any()
        assert not functions[unused].any()
        assert not functions[:INPUTS].any()


def after(operation: str, net: Wiring, happens: np.ndarray, seed: int) -> Wiring:
    """The networks after an operation; those before are left as they were."""
    new = Wiring.of(net.genomes(), net.outputs)
    getattr(structure, operation)(new, happens, Draws(seed, 99), *MORE.get(operation, ()))
    check(new)
    return new


def compact(net: Wiring, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Network n without its unused slots: weights and functions."""
    used = [*range(INPUTS + net.hidden[n]), *range(net.end, net.size)]
    return net.weights[n][np.ix_(used, used)], net.functions[n][used]


def without(w: np.ndarray, slot: int) -> np.ndarray:
    return np.delete(np.delete(w, slot, axis=0), slot, axis=1)


def connections(net: Wiring) -> np.ndarray:
    return (net.weights != 0).sum(axis=(1, 2))


def free(net: Wiring, n: int) -> set[tuple[int, int]]:
    """Where network n could get a connection, by loops."""
    speakers = range(INPUTS + net.hidden[n])
    hearers = [*range(INPUTS, INPUTS + net.hidden[n]), *range(net.end, net.size)]
    return {(i, j) for i in speakers for j in hearers if i < j and net.weights[n, i, j] == 0}


def possible(operation: str, net: Wiring, n: int) -> bool:
    """Whether there is anything that it could do to network n."""
    if operation == "add_connection":
        return bool(free(net, n))
    if operation == "delete_neuron":
        return net.hidden[n] > 0
    return net.weights[n].any() and (operation != "add_neuron" or INPUTS + net.hidden[n] < net.end)


@given(seed=seeds, neurons=st.integers(1, 5), channels=st.integers(1, 3))
def test_whatever_happens_leaves_networks_in_order(seed, neurons, channels) -> None:
    evolved(seed, neurons, channels, generations=9)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(seed=seeds)
def test_mutations_happen_where_asked_and_possible(operation, seed) -> None:
    net, happens = evolved(seed), np.random.default_rng(seed).random(COUNT) < 0.6
    new = after(operation, net, happens, seed)
    for n in range(COUNT):
        changed = any((ours[n] != theirs[n]).any() for ours, theirs in zip(
            (net.weights, net.functions, net.hidden), (new.weights, new.functions, new.hidden)))  # fmt: skip
        if operation != "change_connection":
            assert changed == (happens[n] and possible(operation, net, n))
        elif changed:  # it may not, where all that is left of its row, or column, is taken
            assert happens[n]


@given(seed=seeds)
def test_a_connection_comes(seed) -> None:
    net = evolved(seed)
    new = after("add_connection", net, ALL, seed)
    np.testing.assert_array_equal(new.functions, net.functions)
    np.testing.assert_array_equal(new.hidden, net.hidden)
    for n in range(COUNT):
        places = set(map(tuple, np.argwhere(new.weights[n] != net.weights[n])))
        assert len(places) == bool(free(net, n))
        assert places <= free(net, n)


@given(seed=seeds)
def test_a_connection_goes(seed) -> None:
    net = evolved(seed)
    new = after("delete_connection", net, ALL, seed)
    np.testing.assert_array_equal(new.functions, net.functions)
    np.testing.assert_array_equal(new.hidden, net.hidden)
    np.testing.assert_array_equal(connections(new), np.maximum(connections(net) - 1, 0))
    np.testing.assert_array_equal(new.weights[new.weights != 0], net.weights[new.weights != 0])


@given(seed=seeds)
def test_a_connection_moves(seed) -> None:
    """To another source of the same target, or another target of the same source, with its weight."""
    net = evolved(seed)
    new = after("change_connection", net, ALL, seed)
    np.testing.assert_array_equal(new.functions, net.functions)
    np.testing.assert_array_equal(new.hidden, net.hidden)
    for n in range(COUNT):
        places = np.argwhere(new.weights[n] != net.weights[n])
        if len(places):
            assert len(places) == 2
            here, there = sorted(map(tuple, places), key=lambda place: net.weights[n][place] == 0)
            assert there in free(net, n)
            assert new.weights[n][here] == 0
            assert new.weights[n][there] == net.weights[n][here]
            assert (here[0] == there[0]) != (here[1] == there[1])


def test_a_connection_moves_at_either_end_alike() -> None:
    net = of(np.zeros((4000, 8, 8)), hidden=2, outputs=2)
    net.weights[:, 1, 4] = 3.0
    structure.change_connection(net, np.ones(4000, bool), Draws(0, 0))
    same_source = (net.weights[:, 1] != 0).any(axis=1)
    assert abs(same_source.mean() - 0.5) < 0.03
    np.testing.assert_array_equal((net.weights[same_source] != 0).sum(axis=0)[1] > 500, [0, 0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal((net.weights[~same_source] != 0).sum(axis=0)[:, 4] > 500, [1, 0, 1, 1, 0, 0, 0, 0])


def splits(net: Wiring, new: Wiring, n: int, p: int) -> bool:
    """Whether neuron p of the new network n stands in the midst of a connection of the old one, all else being old."""
    (w, functions), (v, now) = compact(net, n), compact(new, n)
    heard, targets = np.flatnonzero(v[:, p]), np.flatnonzero(v[p])
    if len(heard) != 1 or len(targets) != 1:
        return False
    i, j = heard[0], targets[0] - 1
    cut = w.copy()
    cut[i, j] = 0
    same = (without(v, p) == cut).all() and (np.delete(now, p) == functions).all()
    return same and v[i, p] == 1 and v[p, j + 1] == w[i, j] != 0


@given(seed=seeds)
def test_a_neuron_comes(seed) -> None:
    net = evolved(seed)
    new = after("add_neuron", net, ALL, seed)
    for n in np.flatnonzero([possible("add_neuron", net, n) for n in range(COUNT)]):
        assert new.hidden[n] == net.hidden[n] + 1
        assert any(splits(net, new, n, p) for p in range(INPUTS, INPUTS + new.hidden[n]))


def answers(net: Wiring) -> np.ndarray:
    inputs = np.random.default_rng(0).uniform(-1, 1, (INPUTS, 7))
    return reference.cppn(net.weights, net.functions, inputs, net.outputs)


def test_a_linear_neuron_passes_on_a_third_of_what_it_hears() -> None:
    """That is what linear makes of up to 3: with three times its weight, the network is as it was without it."""
    seen = 0
    for seed in range(12):
        net = evolved(seed)
        new = after("add_neuron", net, ALL, seed)
        for n in np.flatnonzero(new.hidden > net.hidden):
            split = [p for p in range(INPUTS, INPUTS + new.hidden[n]) if splits(net, new, n, p)]
            if len(split) == 1:
                new.functions[n, split[0]] = LINEAR
                new.weights[n, split[0]] *= 3
                np.testing.assert_allclose(answers(new)[n], answers(net)[n], atol=1e-9)
                seen += 1
    assert seen > 30


def test_a_new_neuron_may_come_anywhere_between_and_be_anything() -> None:
    net = of(np.zeros((4000, 8, 8)), hidden=2, outputs=1)  # and a slot to spare
    net.weights[:, 0, 7], net.functions[:] = 2.0, [0, 0, 0, 0, 1, 2, 0, 3]
    structure.add_neuron(net, np.ones(4000, bool), Draws(0, 0), len(FUNCTIONS))
    place = (net.weights[:, 0] == 1).argmax(axis=1)
    assert (abs(np.bincount(place, minlength=8)[4:7] - 4000 / 3) < 120).all()
    np.testing.assert_array_equal(net.weights[range(4000), place, 7], 2)
    assert (abs(np.bincount(net.functions[range(4000), place], minlength=4) - 1000) < 120).all()


@given(seed=seeds)
def test_a_neuron_goes_with_its_connections(seed) -> None:
    net = evolved(seed)
    new = after("delete_neuron", net, ALL, seed)
    np.testing.assert_array_equal(new.hidden, np.maximum(net.hidden - 1, 0))
    for n in np.flatnonzero(net.hidden):
        (w, functions), (v, now) = compact(net, n), compact(new, n)
        gone = range(INPUTS, INPUTS + net.hidden[n])
        assert any((v == without(w, p)).all() and (now == np.delete(functions, p)).all() for p in gone)


def test_any_neuron_may_go() -> None:
    net = of(np.zeros((3000, 9, 9)), hidden=3, outputs=1)  # and a slot to spare
    net.functions[:] = [0, 0, 0, 0, 1, 2, 3, 0, 0]
    structure.delete_neuron(net, np.ones(3000, bool), Draws(0, 0))
    left, counts = np.unique(net.functions[:, 4:7], axis=0, return_counts=True)
    np.testing.assert_array_equal(left, [[1, 2, 0], [1, 3, 0], [2, 3, 0]])
    assert (abs(counts - 1000) < 120).all()


def of(weights: np.ndarray, hidden: int, outputs: int) -> Wiring:
    """Networks of these weights."""
    count = len(weights)
    return Wiring(weights, np.zeros(weights.shape[:2], np.int8), np.full(count, hidden), outputs)


# --- one of several -------------------------------------------------------------------------------------------


@given(seed=seeds, size=st.integers(1, 6), density=st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_one_of_those_that_are_possible(seed, size, density) -> None:
    entries = np.random.default_rng(seed).random((COUNT, size, size)) < density
    exists, i, j = one_of(entries, Draws(seed, 0))
    np.testing.assert_array_equal(exists, entries.any(axis=(1, 2)))
    assert entries[exists, i[exists], j[exists]].all()


def test_all_that_are_possible_are_equally_likely() -> None:
    entries = np.random.default_rng(0).random((5, 6)) < 0.3
    exists, i, j = one_of(np.tile(entries, (6000, 1, 1)), Draws(3, 1))
    counts, expected = np.zeros((5, 6)), 6000 / entries.sum()
    np.add.at(counts, (i, j), 1)
    assert exists.all()
    assert entries.sum() > 5
    assert not counts[~entries].any()
    assert (abs(counts[entries] - expected) < 4 * expected**0.5).all()


# --- weights and functions ------------------------------------------------------------------------------------


@given(seed=seeds, rate=st.sampled_from([0.0, 1.0]))
def test_weights_move_and_connections_stay(seed, rate) -> None:
    net = evolved(seed)
    new = Wiring.of(net.genomes(), 2)
    structure.change_weights(new, Draws(seed, 99), rate, 15.0, 10.0)
    check(new)
    np.testing.assert_array_equal(new.weights != 0, net.weights != 0)
    np.testing.assert_array_equal(new.functions, net.functions)
    inside = (net.weights != 0) & (abs(net.weights) < 9)  # others may be kept where they are by the limit
    assert ((new.weights != net.weights)[inside] == rate).all()


def test_functions_are_drawn_anew_for_neurons_with_sources() -> None:
    for rate in (0.0, 0.5, 1.0):
        net = of(np.zeros((2000, 8, 8)), hidden=1, outputs=2)  # and a slot to spare
        structure.change_functions(net, Draws(0, 0), rate, len(FUNCTIONS))
        assert not net.functions[:, [0, 1, 2, 3, 5]].any()
        for slot in (4, 6, 7):
            shares = np.bincount(net.functions[:, slot], minlength=4) / 2000
            np.testing.assert_allclose(shares, [1 - rate * 3 / 4, *[rate / 4] * 3], atol=0.04)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("structure: parents are rewired", line(Wiring, "of", 'genomes["weights"].copy()', 'genomes["weights"]'), test_a_connection_goes),
    Mutant("structure: connections backwards", line(Wiring, "free", "& forward", ""), test_a_connection_comes),
    Mutant("structure: to neurons that are not there", line(Wiring, "is_target", "(self.is_source() | (slots >= self.end))", "(self.is_source() | (slots >= 0))"), test_a_connection_comes),
    Mutant("structure: the first that is possible", line(structure, "one_of", "draws.below(so_far[:, -1], len(possible))", "0 * draws.below(so_far[:, -1], len(possible))"), test_all_that_are_possible_are_equally_likely),
    Mutant("structure: the one before", line(structure, "one_of", "len(possible)) + 1", "len(possible))"), test_one_of_those_that_are_possible),
    Mutant("structure: a deletion takes all connections of its source", line(structure, "delete_connection", "i[n], j[n]] = 0", "i[n]] = 0"), test_a_connection_goes),
    Mutant("structure: connections move to other sources alone", line(structure, "change_connection", "happens(0.5,", "happens(0.0,"), test_a_connection_moves_at_either_end_alike),
    Mutant("structure: what moves stays, too", line(structure, "change_connection", "i[n], j[n]] = 0", "i[n], j[n]] *= 1"), test_a_connection_moves),
    Mutant("structure: a neuron beside its connection", line(structure, "add_neuron", "= 1, weight, 0", "= 1, weight, weight"), test_a_neuron_comes),
    Mutant("structure: the old weight twice", line(structure, "add_neuron", "= 1, weight, 0", "= weight, weight, 0"), test_a_neuron_comes),
    Mutant("structure: a neuron too many", line(structure, "add_neuron", "net.hidden < net.end)", "net.hidden <= net.end)"), test_a_neuron_comes),
    Mutant("structure: new neurons come first", line(structure, "add_neuron", "p = first + ", "p = first + 0 * "), test_a_new_neuron_may_come_anywhere_between_and_be_anything),
    Mutant("structure: the last neuron goes", line(structure, "delete_neuron", "draws.below(net.hidden, len(net.hidden))", "net.hidden - 1"), test_any_neuron_may_go),
    Mutant("structure: functions stay behind", line(structure, "_reorder", "xp.take_along_axis(net.functions[n], source, axis=1)", "net.functions[n]"), test_a_neuron_goes_with_its_connections),
    Mutant("structure: weights of absent connections move", line(structure, "change_weights", "namespace(net.weights).where(net.weights != 0, moved, 0)", "moved"), test_weights_move_and_connections_stay),
    Mutant("structure: functions of neurons without sources change", line(structure, "change_functions", "& net.is_target()", ""), test_functions_are_drawn_anew_for_neurons_with_sources),
]
# fmt: on
