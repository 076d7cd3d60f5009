"""Wrong mutations and wrong CPPNs, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

from minidl.kernels import reference_evolution
from tests.laws import test_evolution_kernels as laws
from tests.laws.mutants import Mutant, line


def published() -> None:
    laws.test_mutations_are_distributed_as_published(15, "centre")


def at_the_rate() -> None:
    laws.test_entries_move_at_the_rate_and_alone(0.1)


# fmt: off
MUTANTS = [
    Mutant("mutation: an exponent of 1/η", line(reference_evolution, "polynomial_mutation", "1 / (strength + 1)", "1 / strength"), published),
    Mutant("mutation: of strength 20", line(reference_evolution, "polynomial_mutation", "1 / (strength + 1)", "1 / 21"), published),
    Mutant("mutation: downwards alone", line(reference_evolution, "polynomial_mutation", "1 - (2 * (1 - r)) ** power", "(2 * (1 - r)) ** power - 1"), published),
    Mutant("mutation: what moves says how far", line(reference_evolution, "polynomial_mutation", "draws[..., 1]", "draws[..., 0]"), published),
    Mutant("mutation: of the greater bound", line(reference_evolution, "polynomial_mutation", "(high - low)", "high"), published),
    Mutant("mutation: the rest moves", line(reference_evolution, "polynomial_mutation", "< rate", "> rate"), at_the_rate),
    Mutant("mutation: neighbours move alike", line(reference_evolution, "polynomial_mutation", "draws[..., 0] < rate", "draws[..., 0].repeat(2, axis=-1)[..., : x.shape[-1]] < rate"), at_the_rate),
    Mutant("mutation: out of bounds", line(reference_evolution, "polynomial_mutation", "xp.clip(x + delta * (high - low), low, high)", "x + delta * (high - low)"), laws.test_mutations_by_hand),
    Mutant("mutation: draws that know the size", line(reference_evolution, "polynomial_mutation", "draws[..., 0] < rate, draws[..., 1]", "draws.reshape(2, *x.shape)[0] < rate, draws.reshape(2, *x.shape)[1]"), laws.test_mutations_by_hand),
    Mutant("cppn: connections backwards", line(reference_evolution, "cppn", "weights[:, i, i + 1 :, None]", "weights[:, i + 1 :, i, None]"), laws.test_networks_compute_what_their_neurons_do),
    Mutant("cppn: inputs that listen", line(reference_evolution, "cppn", "values[:, i] = inputs[i] if", "values[:, i] = values[:, i] + inputs[i] if"), laws.test_what_does_not_count_has_no_effect),
    Mutant("cppn: the first for the last", line(reference_evolution, "cppn", "values[:, neurons - outputs :]", "values[:, :outputs]"), laws.test_networks_compute_what_their_neurons_do),
    Mutant("cppn: the functions of the first network", line(reference_evolution, "cppn", "functions[:, i, None]", "functions[:1, i, None]"), laws.test_networks_compute_what_their_neurons_do),
    Mutant("cppn: tanh z", line(reference_evolution, "_computed", "z / 2", "z"), laws.test_networks_compute_what_their_neurons_do),
    Mutant("cppn: a bell with a tip", line(reference_evolution, "_computed", "-z * z", "-abs(z)"), laws.test_networks_compute_what_their_neurons_do),
    Mutant("cppn: a line without end", line(reference_evolution, "_computed", "xp.clip(z, -3, 3)", "z"), laws.test_networks_compute_what_their_neurons_do),
    Mutant("cppn: an exponential that overflows", line(reference_evolution, "_computed", "xp.tanh(z / 2)", "2 / (1 + xp.exp(-z)) - 1"), laws.test_nothing_overflows),
]
