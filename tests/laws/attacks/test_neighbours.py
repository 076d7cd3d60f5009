"""Laws of soft nearest neighbours: the formula, the derivative, and the nearest neighbour in the limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.black_box.neighbours
from attacks import SoftNeighbours, fgsm
from minidl import jacobian, losses
from minidl.errors import DTypeError, MinidlError, RangeError
from minidl.testing import Mutant, line

seeds = st.integers(0, 2**32 - 1)


def stored(seed: int, count: int = 12, shape: tuple[int, ...] = (1, 2, 2)):
    rng = np.random.default_rng(seed)
    return rng.random((count, *shape)), rng.permutation(np.arange(count) % 3), rng.random((4, *shape))


@given(seed=seeds, temperature=st.floats(0.05, 5))
def test_probabilities_are_the_papers(seed, temperature) -> None:
    """Σ_{i: y_i = k} softmax_i(-‖x - x_i‖²/T), point by point."""
    points, labels, x = stored(seed)
    logits = SoftNeighbours(points, labels, temperature)(x)
    for each, row in zip(x, logits):
        weights = np.exp([-((each - point) ** 2).sum() / temperature for point in points])
        expected = np.array([weights[labels == k].sum() for k in range(3)])
        np.testing.assert_allclose(np.exp(row), expected, rtol=1e-9)
        np.testing.assert_allclose(np.exp(row) / np.exp(row).sum(), expected / weights.sum(), rtol=1e-9)


@given(seed=seeds)
def test_the_derivative_is_that_of_central_differences(seed) -> None:
    points, labels, x = stored(seed)
    f, step = SoftNeighbours(points, labels), 1e-6
    for mode in ("forward", "reverse"):
        exact = jacobian(f, x[:1], mode=mode)[0, :, 0]
        for place in np.ndindex(1, 2, 2):
            moved = np.zeros_like(x[:1])
            moved[(0, *place)] = step
            slope = (f(x[:1] + moved) - f(x[:1] - moved))[0] / (2 * step)
            np.testing.assert_allclose(exact[(slice(None), *place)], slope, atol=1e-7)


@given(seed=seeds)
def test_at_a_low_temperature_the_nearest_neighbour_decides(seed) -> None:
    points, labels, x = stored(seed)
    f = SoftNeighbours(points, labels, temperature=1e-6)
    distances = ((x[:, None] - points) ** 2).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(f(x).argmax(axis=1), labels[distances.argmin(axis=1)])
    np.testing.assert_array_equal(f(points).argmax(axis=1), labels)


def test_fgsm_moves_away_from_neighbours_of_the_class() -> None:
    points, labels = np.array([[0.2, 0.5], [0.8, 0.5]]), np.array([0, 1])
    result = fgsm(SoftNeighbours(points, labels), np.array([[0.4, 0.5]]), np.array([0]), epsilon=0.2)
    np.testing.assert_allclose(result.x_adv, [[0.6, 0.5]])
    assert result.success.all()
    f, x = SoftNeighbours(points, labels), np.array([[0.4, 0.5]])
    assert losses.cross_entropy(f(result.x_adv), np.array([0])) > losses.cross_entropy(f(x), np.array([0]))


def test_it_agrees_with_scikit_learn() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    points, labels, x = stored(5, 60, (8,))
    hard = neighbors.KNeighborsClassifier(1).fit(points, labels)
    np.testing.assert_array_equal(SoftNeighbours(points, labels, 1e-6)(x).argmax(axis=1), hard.predict(x))


@pytest.mark.parametrize(("arguments", "message"), [
    ((np.zeros((2, 3)), np.array([0, 1]), 0.0), "temperature above 0"),
    ((np.zeros((2, 3)), np.array([0, 2])), r"a point of each class.*\[1, 0, 1\]"),
    ((np.zeros((2, 3)), np.array([0, -1])), "a point of each class"),
    ((np.zeros((2, 3)), np.array([0])), "a label for each point.*2 points"),
    ((np.zeros((0, 3)), np.zeros(0, int)), "a point of each class"),
])  # fmt: skip
def test_points_that_do_not_fit_raise_an_error(arguments, message) -> None:
    with pytest.raises(RangeError, match=message) as caught:
        SoftNeighbours(*arguments)
    assert isinstance(caught.value, MinidlError)


def test_points_of_other_precision() -> None:
    points, labels, x = stored(0)
    half = SoftNeighbours(points.astype(np.float16), labels)
    assert half.dtype == "float32"
    np.testing.assert_allclose(half(x.astype(np.float32)), SoftNeighbours(points, labels)(x), atol=0.02)
    for wrong, message in ((lambda: SoftNeighbours((255 * points).astype(np.uint8), labels), "floating-point"),
                           (lambda: SoftNeighbours(points.tolist(), labels), "floating-point"),
                           (lambda: SoftNeighbours(points, labels.astype(float)), "integer dtype.*astype")):  # fmt: skip
        with pytest.raises(DTypeError, match=message):
            wrong()


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
SOFT = attacks.black_box.neighbours.SoftNeighbours
MUTANTS = [
    Mutant("neighbours: far ones count more", line(SOFT, "__call__", "-squared / self.temperature", "squared / self.temperature"), test_at_a_low_temperature_the_nearest_neighbour_decides),
    Mutant("neighbours: distances, not their squares", line(SOFT, "__call__", "-squared / self.temperature", "-(squared ** 0.5) / self.temperature"), test_probabilities_are_the_papers),
    Mutant("neighbours: points and classes mixed up", line(SOFT, "__init__", '[by_class]', ""), test_probabilities_are_the_papers),
    Mutant("neighbours: the first class has one point more", line(SOFT, "__init__", "[0, *np.cumsum(counts).tolist()]", "[0, counts[0] + 1, *np.cumsum(counts).tolist()[1:]]"), test_probabilities_are_the_papers),
    Mutant("neighbours: one product too few", line(SOFT, "__call__", "- 2 * (rows", "- 1 * (rows"), test_probabilities_are_the_papers),
]
# fmt: on
