"""Laws of the two encodings: what a pixel's genes become, and what a network paints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attacks.evolution import CPPN, DirectEncoding, Genome, cppn, direct
from attacks.evolution.cppn import coordinates
from attacks.evolution.direct import simulated_binary_crossover
from attacks.evolution.genome import Draws
from attacks.evolution.structure import INPUTS
from minidl.kernels.reference import FUNCTIONS
from minidl.testing import Mutant, line

seeds = st.integers(0, 2**32 - 1)
bounds = st.tuples(st.floats(-3, 1), st.floats(0.01, 4)).map(lambda b: (b[0], b[0] + b[1]))
shapes = st.tuples(*[st.integers(1, 5)] * 3)
X, Y, RADIUS, ONE = range(4)
SINE, SIGMOID, GAUSSIAN, LINEAR = range(4)
STILL = dict.fromkeys(
    ("rate", "add_connection", "delete_connection", "change_connection", "add_neuron", "delete_neuron"), 0.0
)


def pixels(count: int, encoding: DirectEncoding, seed: int = 0) -> Genome:
    return encoding.start(count, Draws(seed, 0))


# --- any encoding ---------------------------------------------------------------------------------------------


@example(seed=0, shape=(1, 3, 3), bounds=(0.1, 0.7), dtype="float32", kind=CPPN)  # whose range is rounded up
@given(seed=seeds, shape=shapes, bounds=bounds, dtype=st.sampled_from(["float32", "float64"]),
       kind=st.sampled_from([DirectEncoding, CPPN]))  # fmt: skip
def test_images_have_their_shape_and_keep_their_bounds(seed, shape, bounds, dtype, kind) -> None:
    encoding = kind(shape, bounds, rate=1.0, dtype=dtype, **({"crossover": 1.0} if kind is DirectEncoding else {}))
    genomes = encoding.start(9, Draws(seed, 0))
    for generation in range(1, 4):
        images = encoding.render(genomes)
        assert (images.shape, images.dtype) == ((9, *shape), dtype)
        assert images.min() >= images.dtype.type(bounds[0])
        assert images.max() <= images.dtype.type(bounds[1])
        before = {name: array.copy() for name, array in genomes.arrays.items()}
        partners = genomes.take(np.arange(9)[::-1])
        children = encoding.vary(genomes, partners, generation, Draws(seed, generation))
        again = encoding.vary(genomes, partners, generation, Draws(seed, generation))
        for name, array in before.items():
            np.testing.assert_array_equal(genomes[name], array)  # parents are not changed
            np.testing.assert_array_equal(children[name], again[name])
            assert (children[name].shape, children[name].dtype) == (array.shape, array.dtype)
        genomes = children


@pytest.mark.parametrize("encoding", [DirectEncoding((1, 3, 3), rate=0.0), CPPN((1, 3, 3), **STILL)], ids=repr)
def test_what_never_happens_does_not(encoding) -> None:
    parents = encoding.start(20, Draws(0, 0))
    children = encoding.vary(parents, parents.take(np.arange(20)[::-1]), 1, Draws(0, 1))
    for name, array in parents.arrays.items():
        np.testing.assert_array_equal(children[name], array)


# --- pixels ---------------------------------------------------------------------------------------------------


@given(bounds=bounds)
def test_pixels_start_anywhere_within_their_bounds(bounds) -> None:
    drawn = (pixels(50, DirectEncoding((1, 6, 5), bounds, dtype="float64"))["pixels"] - bounds[0]) / np.ptp(bounds)
    np.testing.assert_allclose(np.histogram(drawn, 5, (0, 1))[0] / 300, 1, atol=0.25)
    assert len(np.unique(drawn)) == drawn.size


@pytest.mark.parametrize(("generation", "share"), [(1, 0.4), (9, 0.4), (10, 0.2), (19, 0.2), (20, 0.1), (35, 0.05)])
def test_fewer_genes_move_as_generations_pass(generation, share) -> None:
    encoding = DirectEncoding((1, 20, 20), rate=0.4, halved_every=10)
    parents = pixels(100, encoding)
    children = encoding.vary(parents, parents, generation, Draws(0, generation))
    moved = children["pixels"] != parents["pixels"]
    assert abs(moved.mean() - share) < 4 * (share * (1 - share) / moved.size) ** 0.5
    np.testing.assert_allclose(moved.mean(axis=(1, 2, 3)), share, atol=0.12)  # in every genome


def test_the_papers_rates_and_strengths() -> None:
    encoding = DirectEncoding((1, 28, 28))
    parents = Genome({"pixels": np.full((100, 1, 28, 28), 0.5)})
    steps = encoding.vary(parents, parents, 999, Draws(0, 999))["pixels"] - 0.5
    moved = steps[steps != 0]
    assert abs(len(moved) / steps.size - 0.1) < 0.005
    assert abs(abs(moved).mean() - 1 / 17) < 0.002  # E|δ| = 1 - (η+1)/(η+2) = 1/(η+2), η = 15
    assert abs(moved.mean()) < 0.002


@pytest.mark.parametrize("crossover", [0.0, 0.3, 1.0])
def test_partners_have_a_part_as_often_as_they_are_asked_to(crossover) -> None:
    encoding = DirectEncoding((1, 4, 4), rate=0.0, crossover=crossover, dtype="float64")
    parents, partners = pixels(1500, encoding, 1), pixels(1500, encoding, 2)
    children = encoding.vary(parents, partners, 1, Draws(0, 1))
    crossed = (children["pixels"] != parents["pixels"]).reshape(1500, -1).any(axis=1)
    assert abs(crossed.mean() - crossover) <= 4 * (crossover * (1 - crossover) / 1500) ** 0.5
    nobody = encoding.vary(parents, parents, 1, Draws(0, 1))  # a child of a pair of equals
    np.testing.assert_allclose(nobody["pixels"], parents["pixels"], rtol=1e-15)


@pytest.mark.parametrize("strength", [0.5, 2.0, 10.0])
def test_crossovers_spread_as_deb_and_agrawal_have_it(strength) -> None:
    """β = |child - middle| / |parent - middle| has the density ½(η+1)βⁿ up to 1, ½(η+1)/β^{η+2} beyond."""
    x, y = np.full(20_000, 0.3), np.full(20_000, 0.4)
    child = simulated_binary_crossover(Draws(0, 0), x, y, strength, (-1e9, 1e9))
    for side in (child > 0.35, child < 0.35):  # on which it is says nothing of how far it goes
        beta, count = np.sort(abs(child[side] - 0.35) / 0.05), side.sum()
        cdf = np.where(beta < 1, 0.5 * beta ** (strength + 1), 1 - 0.5 * beta ** -(strength + 1))
        assert abs(cdf - (np.arange(count) + 0.5) / count).max() < 1.63 / count**0.5  # Kolmogorov, 1 %
        assert abs(count / 20_000 - 0.5) < 0.015
    inside = simulated_binary_crossover(Draws(0, 0), x, y, strength, (0.3, 0.36))
    np.testing.assert_array_equal(inside, np.clip(child, 0.3, 0.36))


@given(seed=seeds)
def test_mirrored_children_lie_around_their_parents_middle(seed) -> None:
    x, y = np.random.default_rng(seed).random((2, 9, 1, 3, 3))
    one, other = (simulated_binary_crossover(Draws(seed, 0), *pair, 10.0, (-9, 9)) for pair in ((x, y), (y, x)))
    np.testing.assert_allclose(one + other, x + y, rtol=1e-12)
    assert (one != x).mean() > 0.9


# --- networks that paint --------------------------------------------------------------------------------------


def painting(shape: tuple[int, int, int], *connections: tuple[int, int, float], functions: dict[int, int],
             hidden: int = 0, bounds: tuple[float, float] = (0, 1)) -> np.ndarray:  # fmt: skip
    """What one network with these connections (from, to, weight) paints: (C, H, W).  It has room for 3 neurons."""
    encoding = CPPN(shape, bounds, neurons=3, dtype="float64")
    weights, numbers = np.zeros((1, 7 + shape[0], 7 + shape[0])), np.zeros((1, 7 + shape[0]), np.int8)
    for i, j, weight in connections:
        weights[0, i, j] = weight
    for neuron, function in functions.items():
        numbers[0, neuron] = function
    return encoding.render(Genome({"weights": weights, "functions": numbers, "hidden": np.array([hidden])}))[0]


def test_coordinates_run_from_edge_to_edge() -> None:
    x, y, radius, one = coordinates(2, 3)
    np.testing.assert_array_equal(x, [-1, 0, 1, -1, 0, 1])
    np.testing.assert_array_equal(y, [-1, -1, -1, 1, 1, 1])
    np.testing.assert_allclose(radius, np.sqrt(x**2 + y**2))
    np.testing.assert_array_equal(one, 1)
    np.testing.assert_array_equal(coordinates(1, 1)[:, 0], [0, 0, 0, 1])


@pytest.mark.parametrize("function", range(4), ids=FUNCTIONS)
def test_pixels_are_outputs_of_functions(function) -> None:
    """|φ(w·x + b)|, scaled to the bounds."""
    formula = [np.sin, lambda z: 2 / (1 + np.exp(-z)) - 1, lambda z: np.exp(-z * z), lambda z: np.clip(z, -3, 3) / 3]
    image = painting((1, 4, 5), (X, 7, 4.0), (ONE, 7, 1.5), functions={7: function}, bounds=(-1, 3))
    z = np.tile(4 * np.linspace(-1, 1, 5) + 1.5, (4, 1))
    np.testing.assert_allclose(image[0], -1 + 4 * abs(formula[function](z)), atol=1e-12)


def test_what_hears_only_the_radius_is_round() -> None:
    image = painting((1, 7, 7), (RADIUS, 4, 2.0), (4, 7, 3.0), functions={4: SINE, 7: GAUSSIAN}, hidden=1)[0]
    for turned in (image.T, image[::-1], image[:, ::-1], np.rot90(image)):
        np.testing.assert_allclose(turned, image, atol=1e-12)
    assert np.ptp(image) > 0.1


def test_what_hears_only_x_has_columns_and_only_y_rows() -> None:
    columns = painting((1, 5, 6), (X, 7, 2.0), (ONE, 7, 1.0), functions={7: SIGMOID})[0]
    rows = painting((1, 6, 5), (Y, 7, 2.0), (ONE, 7, 1.0), functions={7: SIGMOID})[0]
    assert (columns == columns[:1]).all()
    assert len(np.unique(columns)) > 4
    np.testing.assert_array_equal(rows, columns.T)


def test_every_channel_has_an_output_of_its_own() -> None:
    connections = [(X, 4, 1.0), (4, 7, 1.0), (4, 8, 2.0), (4, 9, -1.0), (Y, 9, 0.5)]
    image = painting((3, 4, 5), *connections, functions={4: LINEAR, 7: LINEAR, 8: LINEAR, 9: SINE}, hidden=1)
    x, y = np.linspace(-1, 1, 5)[None], np.linspace(-1, 1, 4)[:, None]
    expected = [abs(x / 9) + 0 * y, abs(2 * x / 9) + 0 * y, abs(np.sin(y / 2 - x / 3))]
    np.testing.assert_allclose(image, expected, atol=1e-12)


def test_a_network_without_connections_paints_what_its_function_makes_of_nothing() -> None:
    for function, value in ((SINE, 0), (SIGMOID, 0), (GAUSSIAN, 1), (LINEAR, 0)):
        assert (painting((1, 2, 2), functions={7: function}) == value).all()


def test_the_first_networks_have_no_hidden_neurons() -> None:
    genomes = CPPN((2, 3, 3), neurons=5, limit=4.0).start(800, Draws(0, 0))
    weights, functions, hidden = (genomes[name] for name in ("weights", "functions", "hidden"))
    assert not hidden.any()
    connected = np.zeros((11, 11), bool)
    connected[:INPUTS, -2:] = True
    assert ((weights != 0) == connected).all()
    np.testing.assert_allclose(np.histogram(weights[:, connected], 4, (-4, 4))[0] / 1600, 1, atol=0.15)
    assert not functions[:, :-2].any()
    assert (abs(np.bincount(functions[:, -2:].ravel()) - 400) < 80).all()


CHANGES = {"add_connection": (1, 0), "delete_connection": (-1, 0), "change_connection": (0, 0), "add_neuron": (1, 1)}


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_structure_changes_as_often_as_it_is_asked_to(operation, probability) -> None:
    encoding = CPPN((3, 2, 2), **STILL | {operation: probability})
    parents = CPPN((3, 2, 2), **STILL | {"add_neuron": 1.0}).vary(  # each with one neuron, and places for connections
        first := encoding.start(900, Draws(0, 0)), first, 1, Draws(0, 1))  # fmt: skip
    children = encoding.vary(parents, parents, 2, Draws(0, 2))
    changed = (children["weights"] != parents["weights"]).any(axis=(1, 2))
    connections, neurons = CHANGES[operation]
    count = lambda genomes: (genomes["weights"] != 0).sum(axis=(1, 2))
    np.testing.assert_array_equal(count(children), count(parents) + connections * changed)
    np.testing.assert_array_equal(children["hidden"], parents["hidden"] + neurons * changed)
    possible = 0.8 if operation == "change_connection" else 1.0  # some have no place to move to
    assert possible * probability - 0.06 < changed.mean() < probability + 0.06
    gone = CPPN((3, 2, 2), **STILL | {"delete_neuron": probability}).vary(parents, parents, 2, Draws(0, 2))
    assert abs((gone["hidden"] == 0).mean() - probability) < 0.06


@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_weights_and_functions_change_as_often_as_they_are_asked_to(rate) -> None:
    encoding = CPPN((3, 2, 2), **STILL | {"rate": rate}, limit=2.0)
    parents = encoding.start(1000, Draws(0, 0))
    children = encoding.vary(parents, parents, 1, Draws(0, 1))
    there = parents["weights"] != 0
    assert abs((children["weights"] != parents["weights"])[there].mean() - rate) < 0.02
    assert abs((children["functions"] != parents["functions"])[:, -3:].mean() - rate * 3 / 4) < 0.04
    assert 1.5 < abs(children["weights"]).max() <= 2


def structured(operation: str) -> object:
    return lambda: test_structure_changes_as_often_as_it_is_asked_to(operation, 0.25)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- draws and pixels
    Mutant("draws: the complement happens", line(Draws, "happens", "< probability", "> probability"), lambda: test_partners_have_a_part_as_often_as_they_are_asked_to(0.3)),
    Mutant("direct: a rate that stays", line(DirectEncoding, "vary", "0.5 **", "1.0 **"), lambda: test_fewer_genes_move_as_generations_pass(20, 0.1)),
    Mutant("direct: a rate that falls in every generation", line(DirectEncoding, "vary", "generation // self.halved_every", "generation / self.halved_every"), lambda: test_fewer_genes_move_as_generations_pass(9, 0.4)),
    Mutant("direct: all are crossed", line(DirectEncoding, "vary", "happens[:, None, None, None], crossed, pixels", "crossed == crossed, crossed, pixels"), lambda: test_partners_have_a_part_as_often_as_they_are_asked_to(0.3)),
    Mutant("crossover: an exponent of 1/η", line(direct, "simulated_binary_crossover", "(strength + 1)", "strength"), lambda: test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    Mutant("crossover: always on the partner's side", line(direct, "simulated_binary_crossover", "half, -half", "half, half"), lambda: test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    Mutant("crossover: out of bounds", line(direct, "simulated_binary_crossover", "return xp.clip(", "return (lambda x, *_: x)("), lambda: test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    Mutant("crossover: spread on one side, contracted on the other", line(direct, "simulated_binary_crossover", "side < 0.5", "u < 0.5"), lambda: test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    # --- networks that paint
    Mutant("CPPN: only weights above 0", line(CPPN, "start", "* 2 - 1) * self.limit", ") * self.limit"), test_the_first_networks_have_no_hidden_neurons),
    Mutant("CPPN: dark where an output is below 0", line(CPPN, "render", "abs(outputs)", "outputs.clip(0)"), lambda: test_pixels_are_outputs_of_functions(0)),
    Mutant("CPPN: rounded up beyond the bounds", line(CPPN, "render", "xp.minimum(images, high)", "images"), test_images_have_their_shape_and_keep_their_bounds),
    Mutant("CPPN: a square radius", line(cppn, "coordinates", "np.hypot(x, y)", "np.maximum(abs(x), abs(y))"), test_coordinates_run_from_edge_to_edge),
    Mutant("CPPN: rows for columns", line(cppn, "coordinates", "y, x = (grid.ravel()", "x, y = (grid.ravel()"), test_what_hears_only_x_has_columns_and_only_y_rows),
    Mutant("CPPN: neurons as often as connections", line(CPPN, "vary", "self.add_neuron, count", "self.add_connection, count"), structured("add_neuron")),
]
# fmt: on
