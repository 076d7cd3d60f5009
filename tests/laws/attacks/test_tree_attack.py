"""Laws of the attack on decision trees: it equals brute force, and no smaller perturbation would do."""

from __future__ import annotations

import itertools
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attacks.black_box.tree_attack
from attacks import Targeted, plain, tree_attack
from attacks.black_box.tree_attack import LENGTHS, Leaves, at_most, just_above
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line

pytestmark = pytest.mark.skipif(not find_spec("sklearn"), reason="scikit-learn grows the trees")
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15)


def new_tree(**options):
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(**options)


def regressor(x, y):
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor().fit(x, y)


def grown(seed: int, features: int = 3, classes: int = 3, count: int = 30):
    """A tree grown on noise, images, and what it predicts for them.  Features are tested twice on some paths."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((count, features)).astype(np.float32), rng.integers(0, classes, count)
    y[:classes] = np.arange(classes)
    tree = new_tree(max_depth=int(rng.integers(1, 7)), random_state=0).fit(x, y)
    images = rng.random((4, features)).astype(np.float32)
    return tree, images, tree.predict(images)


def brute_force(tree, x: np.ndarray, wanted, norm: str) -> float:
    """The least length of all images whose pixels are x's own, or at either side of a threshold of theirs."""
    choices = []
    for feature, own in enumerate(x):
        thresholds = tree.tree_.threshold[tree.tree_.feature == feature]
        below = np.array([t if t <= h else np.nextafter(t, np.float32(-9)) for t, h in
                          zip(thresholds.astype(np.float32), thresholds)], np.float32)  # fmt: skip
        choices.append(np.unique(np.concatenate([[own], below, np.nextafter(below, np.float32(9))])))
    grid = np.array(list(itertools.product(*choices)), np.float32)
    grid = grid[wanted(tree.predict(grid))] - x
    return float(LENGTHS[norm](grid).min()) if len(grid) else np.inf


def check_equals_brute_force(tree, x, y) -> None:
    for norm in LENGTHS:
        result = tree_attack(tree, x, y, norm=norm)
        np.testing.assert_array_equal(result.success, tree.predict(result.x_adv) != y)
        for i in range(len(x)):
            least = brute_force(tree, x[i], lambda predicted, i=i: predicted != y[i], norm)
            assert result.success[i] == np.isfinite(least)
            if result.success[i]:
                assert abs(LENGTHS[norm](result.x_adv[i] - x[i]) - least) <= 1e-6


@given(seed=seeds)
def test_it_equals_brute_force(seed) -> None:
    check_equals_brute_force(*grown(seed))


@pytest.mark.slow
def test_it_equals_brute_force_on_two_thousand_trees() -> None:
    for seed in range(2000):
        tree, x, y = grown(seed)
        check_equals_brute_force(tree, x[:1], y[:1])


@few
@given(seed=seeds, norm=st.sampled_from(sorted(LENGTHS)))
def test_no_smaller_perturbation_succeeds(seed, norm) -> None:
    """Random perturbations that are a little smaller never do."""
    (tree, x, y), rng = grown(seed, features=5, count=60), np.random.default_rng(seed)
    result = tree_attack(tree, x, y, norm=norm)
    for i in np.flatnonzero(result.success):
        least = LENGTHS[norm](result.x_adv[i] - x[i])
        tried = rng.normal(size=(400, 5))
        if norm == "l0":
            tried *= rng.random(tried.shape).argsort(axis=1) < least - 1
            tried = np.where(tried != 0, rng.random(tried.shape) - x[i], 0)
        else:
            tried *= 0.999 * (least / LENGTHS[norm](tried))[:, None]
        assert (tree.predict((x[i] + tried).astype(np.float32)) == y[i]).all()


def test_trees_that_were_trained_with_missing_values() -> None:
    """A split of missing against not has the threshold ∞, below splits of the same feature."""
    x, y = np.array([[np.nan], [0.5], [0.75], [np.nan]], np.float32), [1, 1, 2, 0]
    tree, images = new_tree(random_state=0).fit(x, y), np.array([[0.8], [1.0]], np.float32)
    result = tree_attack(tree, images, tree.predict(images))
    np.testing.assert_array_equal(result.x_adv, np.full((2, 1), 0.625, np.float32))
    assert result.success.all()


def test_pixels_that_rounding_puts_inside_stay() -> None:
    x = np.repeat([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]], 3, axis=0)
    tree = new_tree(random_state=0).fit(x, np.repeat([0, 1, 0, 2], 3))
    result = tree_attack(tree, np.array([[0.5 + 1e-9, 0.2]]), np.array([0]), norm="l0")
    assert result.l0.tolist() == [1]


@given(seed=seeds)
def test_it_is_the_plain_one(seed) -> None:
    tree, x, y = grown(seed)
    result = tree_attack(tree, x, y)
    for i in range(len(x)):
        np.testing.assert_array_equal(result.x_adv[i], plain.tree_attack(tree, x[i], y[i]))


@given(seed=seeds)
def test_targets_are_reached(seed) -> None:
    tree, x, y = grown(seed)
    t = (y + 1) % 3
    result = tree_attack(tree, x, Targeted(t))
    for i in range(len(x)):
        least = brute_force(tree, x[i], lambda predicted, i=i: predicted == t[i], "l2")
        assert result.success[i] == np.isfinite(least)
        assert not result.success[i] or abs(LENGTHS["l2"](result.x_adv[i] - x[i]) - least) <= 1e-6
    unchanged = tree_attack(tree, x, t)
    np.testing.assert_array_equal(unchanged.x_adv, x)  # the tree predicts another class than t already


def test_a_feature_that_is_tested_twice_is_moved_between_both_thresholds() -> None:
    x = np.array([[0.1], [0.3], [0.5], [0.7], [0.9]], np.float32)
    tree = new_tree().fit(x, [0, 0, 1, 0, 0])
    result = tree_attack(tree, x, tree.predict(x))
    assert tree.predict(result.x_adv).tolist() == [1, 1, 0, 1, 1]
    np.testing.assert_allclose(result.x_adv[:, 0], [0.4, 0.4, 0.4, 0.6, 0.6], atol=1e-6)


@few
@given(seed=seeds, low=st.floats(0.2, 0.45), high=st.floats(0.55, 0.8))
def test_it_stays_within_the_bounds(seed, low, high) -> None:
    tree, x, _ = grown(seed)
    x = x.clip(np.float32(low) + np.float32(1e-6), np.float32(high) - np.float32(1e-6))
    y = tree.predict(x)
    result = tree_attack(tree, x, y, bounds=(low, high))
    assert result.x_adv.min() >= low
    assert result.x_adv.max() <= high
    np.testing.assert_array_equal(result.x_adv[~result.success], x[~result.success])
    for i in range(len(x)):
        least = brute_force(tree, x[i], lambda predicted, i=i: predicted != y[i], "l2")
        assert not result.success[i] or LENGTHS["l2"](result.x_adv[i] - x[i]) >= least - 1e-6


@given(threshold=st.floats(0, 1), kind=st.sampled_from([np.float16, np.float32, np.float64]))
def test_pixels_on_either_side_of_a_threshold_are_neighbours(threshold, kind) -> None:
    x = np.zeros(1, kind)
    left, right = at_most(threshold, x), just_above(threshold, x)
    assert float(np.float32(left)) <= threshold < float(np.float32(right))
    step = np.float16 if kind == np.float16 else np.float32
    assert step(right) == np.nextafter(step(left), step(2))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions(kind) -> None:
    tree, x, _ = grown(3)
    x = x.astype(kind)
    y = tree.predict(x)
    result = tree_attack(tree, x, y)
    assert result.x_adv.dtype == kind
    assert result.success.all()
    np.testing.assert_array_equal(tree.predict(result.x_adv) != y, True)
    np.testing.assert_allclose(result.l2, tree_attack(tree, x.astype(np.float32), y).l2, atol=2e-3)


@few
@given(seed=seeds)
def test_no_example_depends_on_another(seed) -> None:
    tree, x, y = grown(seed)
    whole, first = tree_attack(tree, x, y), tree_attack(tree, x[:1], y[:1])
    np.testing.assert_array_equal(first.x_adv, whole.x_adv[:1])


def test_in_parts_it_is_the_same(monkeypatch) -> None:
    tree, x, y = grown(7)
    whole = tree_attack(tree, x, y)
    monkeypatch.setattr(attacks.black_box.tree_attack, "AT_ONCE", 1)
    np.testing.assert_array_equal(tree_attack(tree, x, y).x_adv, whole.x_adv)


def test_leaves_are_boxes_that_cover_everything_once() -> None:
    tree, _, _ = grown(11)
    leaves, x = (
        Leaves.of(tree, np.zeros((1, 3), np.float32)),
        np.random.default_rng(0).random((500, 3)).astype(np.float32),
    )
    inside = np.ones((500, len(leaves.label)), bool)
    for leaf in range(len(leaves.label)):
        for place in range(leaves.tests[leaf]):
            pixel = x[:, leaves.features[leaf, place]]
            inside[:, leaf] &= (pixel >= leaves.low[leaf, place]) & (pixel <= leaves.high[leaf, place])
    assert (inside.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(leaves.label[inside.argmax(axis=1)], tree.predict(x))
    assert len(leaves.label) == tree.get_n_leaves()


def test_a_tree_of_one_leaf_cannot_be_changed() -> None:
    x = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    tree = new_tree().fit(x, np.zeros(5, int))
    result = tree_attack(tree, x, np.zeros(5, int))
    assert not result.success.any()
    np.testing.assert_array_equal(result.x_adv, x)


def test_an_empty_batch_gives_an_empty_result() -> None:
    tree, x, y = grown(0)
    for goal in (y[:0], Targeted(y[:0])):
        assert tree_attack(tree, x[:0], goal).x_adv.shape == (0, 3)


def test_arguments_that_do_not_fit_raise_an_error() -> None:
    tree, x, y = grown(0)
    words = new_tree().fit(x, list("abca"))
    for arguments, options, error, message in (
        ((new_tree(), x, y), {}, DTypeError, "scikit-learn's decision tree, trained.*fit"),
        ((words, x, y), {}, DTypeError, "integers from 0 on"),
        ((tree, x, y), {"norm": "l3"}, RangeError, "norm of.*l3"),
        ((tree, x + 1, y), {}, RangeError, r"pixels in \[0, 1\]"),
        ((tree, x, y + 7), {}, RangeError, "labels in 0 ... 2"),
        ((tree, (255 * x).astype(np.uint8), y), {}, DTypeError, "floating-point"),
        ((tree, x.tolist(), y), {}, DTypeError, "floating-point"),
        ((tree, x[:, :2], y), {}, ShapeError, r"images of 3 pixels.*\(4, 2\)"),
        ((tree, x, y), {"norm": ["l2"]}, RangeError, "norm of"),
        ((new_tree().fit(x, np.stack([y, y], axis=1)), x, y), {}, DTypeError, "a tree of one label each"),
        ((regressor(x, y), x, y), {}, DTypeError, "scikit-learn's decision tree.*DecisionTreeRegressor"),
    ):
        with pytest.raises(error, match=message) as caught:
            tree_attack(*arguments, **options)
        assert isinstance(caught.value, MinidlError)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MODULE = attacks.black_box.tree_attack
MUTANTS = [
    Mutant("tree: the farthest leaf", line(MODULE, "tree_attack", "distance.argmin(axis=1)", "np.where(np.isfinite(distance), -distance, np.inf).argmin(axis=1)"), test_it_equals_brute_force),
    Mutant("tree: the first leaf that would do", line(MODULE, "tree_attack", "distance.argmin(axis=1)", "np.isfinite(distance).argmax(axis=1)"), test_it_equals_brute_force),
    Mutant("tree: leaves of the same class, too", line(MODULE, "tree_attack", "goal.take(part[:, None]).achieved(leaves.label) & possible", "possible[None] & (part[:, None] >= 0)"), test_it_equals_brute_force),
    Mutant("tree: leaves beyond the bounds", line(MODULE, "tree_attack", "(low <= high).all(axis=-1)", "np.ones(len(low), bool)"), test_it_stays_within_the_bounds),
    Mutant("tree: always in L2", line(MODULE, "tree_attack", "LENGTHS[norm](", 'LENGTHS["l2"]('), test_it_equals_brute_force),
    Mutant("tree: one of two tests of a feature", line(Leaves, "of", "min(high, at_most(threshold, x))", "at_most(threshold, x)"), test_trees_that_were_trained_with_missing_values),
    Mutant("tree: rounded pixels are moved", line(MODULE, "into", "x.astype(np.float32) if x.dtype.itemsize > 4 else x", "x"), test_pixels_that_rounding_puts_inside_stay),
    Mutant("tree: left and right mixed up", line(Leaves, "of", "nodes.append((right, {", "nodes.append((left, {"), test_leaves_are_boxes_that_cover_everything_once),
    Mutant("tree: on the threshold is on the right", line(MODULE, "just_above", "np.nextafter(kind(at_most(threshold, x)), kind(np.inf))", "kind(at_most(threshold, x))"), test_it_equals_brute_force),
    Mutant("tree: rounded thresholds", line(MODULE, "at_most", "value if float(value) <= threshold else np.nextafter(value, kind(-np.inf))", "value"), test_pixels_on_either_side_of_a_threshold_are_neighbours),
    Mutant("tree: half precision is compared in single", line(MODULE, "compared_as", "x.dtype if x.dtype.itemsize < 4 else np.float32", "np.float32"), test_pixels_on_either_side_of_a_threshold_are_neighbours),
    Mutant("tree: the number of a class, not its label", line(Leaves, "of", "labels[tree.tree_.value[node][0].argmax()]", "labels[::-1][tree.tree_.value[node][0].argmax()]"), test_leaves_are_boxes_that_cover_everything_once),
] if find_spec("sklearn") else []
# fmt: on
