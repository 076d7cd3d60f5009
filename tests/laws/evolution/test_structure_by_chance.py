"""Laws of chance in what NEAT does to networks: no place is preferred, and weights go as far as they are asked to."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.evolution import CPPN, structure
from attacks.evolution.genome import Draws, Genome
from attacks.evolution.structure import Wiring
from minidl.kernels.reference import FUNCTIONS
from minidl.testing import Mutant, line
from tests.laws.evolution.test_encodings import STILL
from tests.laws.evolution.test_structure import free, of

COUNT = 4000
ALL = np.ones(COUNT, bool)
#: A network with two hidden neurons, 4 and 5, a slot to spare, and two outputs, 7 and 8; all weights are different.
CONNECTIONS = {(0, 4): 2.0, (1, 4): -3.0, (1, 7): 4.0, (3, 8): -5.0, (4, 5): 6.0, (4, 8): 7.0, (5, 7): -8.0}


def networks() -> Wiring:
    """That network, many times."""
    net = of(np.zeros((COUNT, 9, 9)), hidden=2, outputs=2)
    for (i, j), weight in CONNECTIONS.items():
        net.weights[:, i, j] = weight
    return net


def alike(choices: np.ndarray, expected: set) -> None:
    """Each expected value is chosen about as often as the others, and no other value is chosen."""
    values, counts = np.unique(choices, axis=0, return_counts=True)
    share = COUNT / len(expected)
    assert set(map(tuple, values) if values.ndim > 1 else values) == expected
    assert (abs(counts - share) < 4 * share**0.5).all()


def test_a_connection_may_come_anywhere() -> None:
    net, before = networks(), networks()
    structure.add_connection(net, ALL, Draws(0, 0), 1.0)
    places = np.argwhere(net.weights != before.weights)
    np.testing.assert_array_equal(places[:, 0], np.arange(COUNT))
    alike(places[:, 1:], free(before, 0))


def test_any_connection_may_go() -> None:
    net, before = networks(), networks()
    structure.delete_connection(net, ALL, Draws(0, 0))
    alike(before.weights[net.weights != before.weights], set(CONNECTIONS.values()))


def test_any_connection_may_move_and_to_anywhere_it_can() -> None:
    net, before = networks(), networks()
    structure.change_connection(net, ALL, Draws(0, 0))
    changed = net.weights != before.weights
    alike(before.weights[changed & (before.weights != 0)], set(CONNECTIONS.values()))
    moved = [np.argwhere(net.weights[:, i, j] == 0).ravel() for i, j in CONNECTIONS]
    for n, (i, j) in zip(moved, CONNECTIONS):
        places = {(a, b) for a, b in free(before, 0) if (a == i) != (b == j)}
        assert set(map(tuple, np.argwhere(changed[n] & (before.weights[n] == 0))[:, 1:])) == places


def test_a_neuron_may_come_into_any_connection() -> None:
    net = networks()
    structure.add_neuron(net, ALL, Draws(0, 0), len(FUNCTIONS))
    new = np.argwhere(net.weights == 1)  # what a new neuron hears with, and no other
    np.testing.assert_array_equal(new[:, 0], np.arange(COUNT))
    alike(net.weights[new[:, 0], new[:, 2]].sum(axis=1), set(CONNECTIONS.values()))


# --- weights --------------------------------------------------------------------------------------------------


def varied(weights: np.ndarray, generation: int = 1, **options: float) -> np.ndarray:
    """The weights of children of networks (N, 8, 8) with three hidden neurons at most and one output."""
    encoding = CPPN((1, 2, 2), neurons=3, dtype="float64", **STILL | options)
    count = len(weights)
    parents = Genome({"weights": weights, "functions": np.zeros((count, 8), np.int8), "hidden": np.zeros(count, int)})
    return encoding.vary(parents, parents, generation, Draws(0, generation))["weights"]


@pytest.mark.parametrize("limit", [0.7, 30.0])
def test_new_weights_lie_anywhere_within_the_limit(limit) -> None:
    weights = varied(np.zeros((COUNT, 8, 8)), add_connection=1.0, limit=limit)
    drawn = np.sort(weights[weights != 0]) / limit
    assert len(drawn) == COUNT
    assert abs((drawn + 1) / 2 - (np.arange(COUNT) + 0.5) / COUNT).max() < 1.63 / COUNT**0.5  # Kolmogorov, 1 %


@pytest.mark.parametrize("strength", [2.0, 15.0, 60.0])
@pytest.mark.parametrize("limit", [0.7, 30.0])
def test_weights_move_as_far_as_they_are_asked_to(strength, limit) -> None:
    """E|δ| = 1/(η+2); from the middle, where ½ is as far as one can go, a little less: (1 - ½^{η+2})/(η+2)."""
    steps = []
    for generation in (1, 2):
        before = np.zeros((COUNT, 8, 8))
        before[:, :4, 7] = 1e-9
        steps.append((varied(before, generation, rate=1.0, strength=strength, limit=limit) - before)[:, :4, 7])
    drawn = np.stack(steps) / (2 * limit)
    expected = (1 - 0.5 ** (strength + 2)) / (strength + 2)
    assert abs(abs(drawn).mean() / expected - 1) < 0.03
    assert abs(drawn.mean()) < 0.03 * expected
    assert (drawn[0] != drawn[1]).mean() > 0.7  # drawn anew in each generation; of great moves some end at the limit


def first(operation: str, possible: str) -> object:
    """An operation that takes always the first of those that are possible."""
    number = f"({possible}).reshape(len(net.hidden), -1).argmax(axis=1)"
    wrong = f"(({possible}).any(axis=(1, 2)), {number} // net.size, {number} % net.size)"
    return line(structure, operation, f"one_of({possible}, draws)", wrong)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("chance: connections come at the first place", first("add_connection", "net.free()"), test_a_connection_may_come_anywhere),
    Mutant("chance: the first connection goes", first("delete_connection", "net.weights != 0"), test_any_connection_may_go),
    Mutant("chance: the first connection moves", first("change_connection", "net.weights != 0"), test_any_connection_may_move_and_to_anywhere_it_can),
    Mutant("chance: connections move to the first place", first("change_connection", "net.free() & allowed"), test_any_connection_may_move_and_to_anywhere_it_can),
    Mutant("chance: neurons come into the first connection", first("add_neuron", "net.weights != 0"), test_a_neuron_may_come_into_any_connection),
    Mutant("chance: new weights above 0 alone", line(structure, "add_connection", "* 2 - 1) * limit", ") * limit"), lambda: test_new_weights_lie_anywhere_within_the_limit(0.7)),
    Mutant("chance: new weights of 1", line(structure, "add_connection", "= weight[n]", "= 1"), lambda: test_new_weights_lie_anywhere_within_the_limit(30.0)),
    Mutant("chance: new weights within 10", line(structure, "add_connection", "- 1) * limit", "- 1) * 10"), lambda: test_new_weights_lie_anywhere_within_the_limit(0.7)),
    Mutant("chance: the same moves for ever", line(structure, "change_weights", "draws.key()", "0"), lambda: test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    Mutant("chance: moves of one strength", line(structure, "change_weights", "rate, strength,", "rate, 1,"), lambda: test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    Mutant("CPPN: moves of one strength", line(CPPN, "vary", "self.rate, self.strength", "self.rate, 1"), lambda: test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    Mutant("CPPN: moves within 10", line(CPPN, "vary", "self.strength, self.limit", "self.strength, 10"), lambda: test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
]
# fmt: on
