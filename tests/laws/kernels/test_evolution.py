"""The mutation against its distribution, and CPPNs against a neuron's own definition, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.kernels.reference import FUNCTIONS, cppn, polynomial_mutation
from minidl.kernels.reference import evolution as reference_evolution
from minidl.testing import Mutant, line

# --- polynomial mutation -------------------------------------------------------------------------------------

LOW, HIGH, RATE, ENTRIES = -0.5, 2.0, 0.5, 400_000
STARTS = {"low": LOW, "centre": (LOW + HIGH) / 2, "high": HIGH}


def distribution(delta: np.ndarray, strength: float) -> np.ndarray:
    """P(δ ≤ d).  The density is (η+1)/2·(1-|δ|)^η on (-1, 1) (Deb 2001, p. 124); its integral from -1 to d ≤ 0 is
    ½(1-|d|)^{η+1}, and by symmetry that to d > 0 is 1 less the same."""
    tail = 0.5 * (1 - abs(delta)) ** (strength + 1)
    return np.where(delta <= 0, tail, 1 - tail)


def kolmogorov_smirnov(strength: float, start: str, supposed: float) -> float:
    """√n sup |F_n - F| of mutations with one strength from the distribution of a supposed one.

    An entry stays with probability 1 - rate, and else is at start + δ·(high - low): F is the mixture.  Those at the
    bounds have been stopped there, so F is compared where it can be seen: in between.
    """
    x = np.full(ENTRIES, STARTS[start])
    mutated = np.sort(polynomial_mutation(7, x, RATE, strength, (LOW, HIGH)))
    delta = (mutated - x) / (HIGH - LOW)
    expected = RATE * distribution(delta, supposed) + (1 - RATE) * (delta > 0)
    seen = (mutated > LOW) & (mutated < HIGH) & (mutated != x)
    before, after = np.arange(ENTRIES) / ENTRIES, np.arange(1, ENTRIES + 1) / ENTRIES
    return math.sqrt(ENTRIES) * np.maximum(abs(before - expected), abs(after - expected))[seen].max()


#: Exceeded by chance with a probability of 2e^{-2·1.95²} = 0.001.
CRITICAL = 1.95


@pytest.mark.parametrize(("strength", "start"), [(15, "centre"), (15, "low"), (15, "high"), (0, "low"), (2.5, "high")])
def test_mutations_are_distributed_as_published(strength, start) -> None:
    assert kolmogorov_smirnov(strength, start, strength) < CRITICAL


@pytest.mark.parametrize("supposed", [14, 16, 20])
def test_another_strength_would_be_seen(supposed) -> None:
    """The test above can fail: 14 stands for an exponent of 1/η."""
    assert kolmogorov_smirnov(15, "centre", supposed) > 1.5 * CRITICAL


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_entries_move_at_the_rate_and_alone(rate) -> None:
    x = np.full((500, 400), 0.5)
    moved = polynomial_mutation(3, x, rate, 15, (0, 1)) != x
    assert abs(moved.mean() - rate) < 4 * math.sqrt(rate * (1 - rate) / x.size)
    for both in (moved[:, 1:] & moved[:, :-1], moved[1:] & moved[:-1]):  # neighbours are independent
        assert abs(both.mean() - rate**2) < 4 * rate / math.sqrt(both.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_rate_0_none_moves_and_at_rate_1_all(dtype) -> None:
    x = np.random.default_rng(0).uniform(0.4, 0.6, (30, 40)).astype(dtype)
    before = x.copy()
    np.testing.assert_array_equal(polynomial_mutation(3, x, 0.0, 15, (0, 1)), x)
    moved = polynomial_mutation(3, x, 1.0, 15, (0, 1))
    assert moved.dtype == dtype
    assert ((moved != x) & (moved >= 0) & (moved <= 1)).all()
    np.testing.assert_array_equal(x, before)


@given(st.integers(0, 2**64 - 1), st.integers(0, 11))
def test_mutations_by_hand(key, i) -> None:
    """Entry i is moved by draws 2i and 2i + 1, whatever the shape."""
    x = np.linspace(LOW, HIGH, 12)
    first, second = (
        (int(bits >> np.uint64(12)) + 0.5) / 2**52
        for bits in reference.random_bits(key, np.zeros(24))[2 * i : 2 * i + 2]
    )
    delta = (2 * second) ** (1 / 4) - 1 if second < 0.5 else 1 - (2 * (1 - second)) ** (1 / 4)
    expected = min(max(x[i] + delta * (HIGH - LOW), LOW), HIGH) if first < RATE else x[i]
    mutated = polynomial_mutation(key, x.reshape(3, 4), RATE, 3, (LOW, HIGH)).reshape(12)[i]
    assert abs(mutated - expected) < 1e-14
    assert mutated == polynomial_mutation(key, x[: i + 1], RATE, 3, (LOW, HIGH))[i]


# --- CPPNs -----------------------------------------------------------------------------------------------------

PHI = {
    "sine": math.sin,
    "sigmoid": lambda z: 2 / (1 + math.exp(-z)) - 1,
    "gaussian": lambda z: math.exp(-z * z),
    "linear": lambda z: max(-3.0, min(z, 3.0)) / 3,
}


def value(w: list, functions: list, pixel: list, j: int) -> float:
    """Of neuron j, from those that it listens to, and so on down to the inputs."""
    if j < len(pixel):
        return pixel[j]
    z = sum(w[i][j] * value(w, functions, pixel, i) for i in range(j) if w[i][j])
    return PHI[FUNCTIONS[functions[j]]](z)


@st.composite
def populations(draw):
    """Weights, functions, inputs, and how many outputs: a few networks, with and without hidden neurons."""
    rng, n = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(1, 4))
    given, outputs, pixels = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    neurons = given + draw(st.integers(0, 5)) + outputs
    w = np.triu(rng.uniform(-4, 4, (n, neurons, neurons)) * (rng.random((n, neurons, neurons)) < 0.5), 1)
    return w, rng.integers(0, 4, (n, neurons)).astype(np.int8), rng.uniform(-1.5, 1.5, (given, pixels)), outputs


@given(populations())
def test_networks_compute_what_their_neurons_do(population) -> None:
    w, functions, inputs, outputs = population
    images, neurons = cppn(*population), w.shape[1]
    assert images.shape == (len(w), outputs, inputs.shape[1])
    for n, o, p in np.ndindex(images.shape):
        pixel = inputs[:, p].tolist()
        expected = value(w[n].tolist(), functions[n].tolist(), pixel, neurons - outputs + o)
        assert abs(images[n, o, p] - expected) < 1e-12


@given(populations(), st.integers(0, 2**32 - 1))
def test_what_does_not_count_has_no_effect(population, seed) -> None:
    """Connections backwards, to a neuron itself and into inputs; what the inputs' functions are; and whatever leads to a
    neuron that no other listens to."""
    w, functions, inputs, outputs = population
    rng, neurons = np.random.default_rng(seed), w.shape[1]
    w[:, len(inputs) : neurons - outputs : 2] = 0  # these have no targets
    unheard = np.zeros(neurons, bool)
    unheard[len(inputs) : neurons - outputs : 2] = True
    expected = cppn(w, functions, inputs, outputs)
    forwards, into = np.triu(np.ones((neurons, neurons), bool), 1), unheard | (np.arange(neurons) < len(inputs))
    others = np.where(forwards & ~into, w, rng.uniform(-9, 9, w.shape))
    others[:, unheard] = np.where(forwards[unheard], 0, others[:, unheard])
    roles = np.where(into, rng.integers(0, 4, functions.shape), functions)
    np.testing.assert_array_equal(cppn(others, roles, inputs, outputs), expected)


def test_nothing_overflows() -> None:
    """Sums of any size, in float32: RuntimeWarnings are errors."""
    inputs, kinds = np.array([[-1e4, -200.0, 200.0, 1e4]], np.float32), np.arange(4)[:, None] * np.ones((1, 2), int)
    images = cppn(np.ones((4, 2, 2), np.float32), kinds, inputs, 1)[:, 0]
    np.testing.assert_allclose(images[0], np.sin(inputs[0].astype(np.float64)), atol=1e-6)
    np.testing.assert_array_equal(images[1:], [[-1, -1, 1, 1], [0, 0, 0, 0], [-1, -1, 1, 1]])


def published() -> None:
    test_mutations_are_distributed_as_published(15, "centre")


def at_the_rate() -> None:
    test_entries_move_at_the_rate_and_alone(0.1)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("mutation: an exponent of 1/η", line(reference_evolution, "polynomial_mutation", "1 / (strength + 1)", "1 / strength"), published),
    Mutant("mutation: of strength 20", line(reference_evolution, "polynomial_mutation", "1 / (strength + 1)", "1 / 21"), published),
    Mutant("mutation: downwards alone", line(reference_evolution, "polynomial_mutation", "1 - (2 * (1 - r)) ** power", "(2 * (1 - r)) ** power - 1"), published),
    Mutant("mutation: one draw for whether and how far", line(reference_evolution, "polynomial_mutation", "draws[..., 1]", "draws[..., 0]"), published),
    Mutant("mutation: of the greater bound", line(reference_evolution, "polynomial_mutation", "(high - low)", "high"), published),
    Mutant("mutation: the other entries move", line(reference_evolution, "polynomial_mutation", "< rate", "> rate"), at_the_rate),
    Mutant("mutation: neighbours move alike", line(reference_evolution, "polynomial_mutation", "draws[..., 0] < rate", "draws[..., 0].repeat(2, axis=-1)[..., : x.shape[-1]] < rate"), at_the_rate),
    Mutant("mutation: out of bounds", line(reference_evolution, "polynomial_mutation", "xp.clip(x + delta * (high - low), low, high)", "x + delta * (high - low)"), test_mutations_by_hand),
    Mutant("mutation: draws that know the size", line(reference_evolution, "polynomial_mutation", "draws[..., 0] < rate, draws[..., 1]", "draws.reshape(2, *x.shape)[0] < rate, draws.reshape(2, *x.shape)[1]"), test_mutations_by_hand),
    Mutant("cppn: connections backwards", line(reference_evolution, "cppn", "weights[:, i, i + 1 :, None]", "weights[:, i + 1 :, i, None]"), test_networks_compute_what_their_neurons_do),
    Mutant("cppn: inputs have sources", line(reference_evolution, "cppn", "values[:, i] = inputs[i] if", "values[:, i] = values[:, i] + inputs[i] if"), test_what_does_not_count_has_no_effect),
    Mutant("cppn: the first for the last", line(reference_evolution, "cppn", "values[:, neurons - outputs :]", "values[:, :outputs]"), test_networks_compute_what_their_neurons_do),
    Mutant("cppn: the functions of the first network", line(reference_evolution, "cppn", "functions[:, i, None]", "functions[:1, i, None]"), test_networks_compute_what_their_neurons_do),
    Mutant("cppn: tanh z", line(reference_evolution, "_computed", "z / 2", "z"), test_networks_compute_what_their_neurons_do),
    Mutant("cppn: exp(-|z|) for exp(-z²)", line(reference_evolution, "_computed", "-z * z", "-abs(z)"), test_networks_compute_what_their_neurons_do),
    Mutant("cppn: the line is not clipped", line(reference_evolution, "_computed", "xp.clip(z, -3, 3)", "z"), test_networks_compute_what_their_neurons_do),
    Mutant("cppn: an exponential that overflows", line(reference_evolution, "_computed", "xp.tanh(z / 2)", "2 / (1 + xp.exp(-z)) - 1"), test_nothing_overflows),
]
# fmt: on
