"""Laws of the few-pixel attack: few pixels, a black box, parents that differ, and nothing that makes it worse."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.minimal.few_pixel
from attacks import Targeted, Untargeted, Victim
from attacks.common.objectives import margin
from attacks.common.run import begin
from attacks.minimal.few_pixel import Group, few_pixel, others
from minidl import backend, ops
from minidl.errors import MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.attacks.test_every_attack import images, network, other_targets
from tests.laws.attacks.test_square import Asked, steps_network
from tests.support.other_arrays import add_the_stand_in, check_the_same_on

seeds = st.integers(0, 2**32 - 1)
LOW, HIGH = -0.5, 1.5  # bounds that no default would give


def goal_of(net, x, y, targeted, seed):
    return Targeted(other_targets(net, x, np.random.default_rng(seed))) if targeted else Untargeted(y)


def places(result) -> np.ndarray:
    """How many pixels of each image were changed, in whichever channels."""
    return (result.x_adv != result.x).any(axis=1).sum(axis=(1, 2))


def drawn_by_hand(x, genes) -> np.ndarray:
    """One candidate's image, a pixel after the other."""
    picture = x.copy()
    for row, column, *values in genes.astype(np.float64):
        i, j = min(int(row * x.shape[1]), x.shape[1] - 1), min(int(column * x.shape[2]), x.shape[2] - 1)
        picture[:, i, j] = [LOW + (HIGH - LOW) * value for value in values]
    return picture


@given(seed=seeds, pixels=st.integers(1, 3), targeted=st.booleans(), batch_size=st.sampled_from([7, 25, 1000]))
def test_bounds_budget_and_honesty(seed, pixels, targeted, batch_size) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    goal, victim, before = goal_of(net, x, y, targeted, seed), Victim(net, (LOW, HIGH), batch_size), x.copy()
    result = few_pixel(victim, x, goal, pixels=pixels, population=12, generations=3, seed=seed)
    assert (result.x_adv.dtype, result.x_adv.shape) == (np.float32, x.shape)
    assert result.x_adv.min() >= LOW
    assert result.x_adv.max() <= HIGH
    assert (places(result) <= pixels).all()
    np.testing.assert_array_equal(result.success, goal.achieved(net(result.x_adv).argmax(axis=1)))
    done = goal.achieved(result.clean_pred)
    np.testing.assert_array_equal(result.x_adv[done], x[done])
    assert (result.iterations[done] == 0).all()
    assert (result.iterations[~result.success] == 3).all()
    assert result.forwards == victim.queries == 2 * len(x) + 12 * (result.iterations + 1)[~done].sum()
    assert result.backwards == 0
    np.testing.assert_array_equal(x, before)


def test_it_asks_for_no_slopes() -> None:
    x = np.random.default_rng(1).random((20, 1, 4, 4))
    y, victim = steps_network(x).argmax(axis=1), Victim(steps_network)
    victim.linearize = None
    few, more = (few_pixel(victim, x, y, pixels=pixels, population=10, generations=10) for pixels in (1, 5))
    assert few.success.mean() < more.success.mean()
    assert more.success.mean() > 0.7


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("pixels", [1, 2])
def test_on_a_linear_network_it_finds_the_best_pixels(pixels, targeted) -> None:
    """Which are the ones that gain most if each channel is set to the better bound: by trying them all."""
    rng = np.random.default_rng(pixels)
    w, x = rng.normal(size=(3, 5, 6)), rng.random((4, 3, 5, 6))

    def never(x):  # class 1 is far: the search goes on to the end
        z = ops.reshape(x, (-1, 90)) @ w.reshape(90, 1)
        return ops.concatenate([0 * z, z - 1000], axis=1)

    zeros = np.zeros(4, int)
    result = few_pixel(never, x, Targeted(zeros + 1) if targeted else zeros, pixels=pixels)
    gains = np.maximum(-w * x, w * (1 - x)).sum(axis=1).reshape(4, -1)
    best = np.sort(gains, axis=1)[:, -pixels:].sum(axis=1)
    gain = (w * (result.x_adv - x)).sum(axis=(1, 2, 3))
    assert (gain < best * (1 + 1e-6)).all()
    np.testing.assert_allclose(gain, best, rtol=1e-6 if pixels == 1 else 0.05)
    assert not result.success.any()


@given(seed=seeds, targeted=st.booleans())
def test_children_replace_candidates_that_are_no_better(seed, targeted) -> None:
    """Two generations replayed with none of our code: who the parents may have been, and who stays."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(2 * 5 * 6, 4)), rng.uniform(LOW, HIGH, (2, 2, 5, 6))
    net = Asked(lambda x: ops.reshape(x, (-1, 60)) @ w)
    y = net(x).argmax(axis=1)
    goal = Targeted((y + 1) % 4) if targeted else Untargeted(y)
    group = Group(begin("few_pixel", Victim(net, (LOW, HIGH)), x, goal, seed), slice(0, 2), 3, 5)
    for generation in (1, 2):
        before, fitness = group.active.genes.astype(np.float64), group.active.fitness.copy()
        group.breed(generation, 0.5)
        children = margin(goal.take([0] * 5 + [1] * 5), net.net(net.seen[-1])).reshape(2, 5)
        for n in range(2):
            for i in range(5):
                mates = [before[n, list(r)] for r in permutations(set(range(5)) - {i}, 3)]
                asked = net.seen[-1][5 * n + i]
                born = [np.clip(a + 0.5 * (b - c), 0, 1) for a, b, c in mates]
                expected = group.active.genes[n, i] if children[n, i] >= fitness[n, i] else before[n, i]
                assert any(abs(drawn_by_hand(x[n], child) - asked).max() < 1e-5 for child in born)
                if children[n, i] >= fitness[n, i]:
                    assert any(abs(child - expected).max() < 1e-6 for child in born)
                    np.testing.assert_allclose(drawn_by_hand(x[n], expected), asked, atol=1e-6)
                np.testing.assert_array_equal(group.active.genes[n, i], expected)
        np.testing.assert_allclose(group.active.fitness, np.maximum(fitness, children))


def test_parents_differ_and_everyone_is_asked() -> None:
    for population in (4, 5, 9):
        drawn = np.random.default_rng(0).random((4000, population, 3), dtype=np.float32)
        drawn[0], drawn[1] = 2.0**-24, 1 - 2.0**-24  # the least and the greatest that are drawn
        numbers = np.stack(others(drawn))
        assert numbers.min() == 0
        assert numbers.max() == population - 1
        everyone = np.concatenate([numbers, np.broadcast_to(np.arange(population), numbers.shape[1:])[None]])
        assert all((np.diff(np.sort(everyone, axis=0), axis=0) > 0).ravel())
        for r in numbers:
            counts = np.stack([(r == number).sum(axis=0) for number in range(population)])
            np.testing.assert_allclose(counts[~np.eye(population, dtype=bool)] * (population - 1) / 4000, 1, atol=0.2)


def test_the_first_candidates_are_the_papers() -> None:
    """Places uniform; values N(128, 127²) out of 0 to 255, in each channel for itself, cut off at the bounds."""
    x, seen = np.full((3, 2, 4, 5), 0.37), []
    net = Asked(lambda x: np.tile([0.0, 9.0], (len(x), 1)))
    few_pixel(Victim(net, batch_size=2000), x, np.ones(3, int), population=2000, generations=1)
    for asked in net.seen[1::2][:3]:  # the first of each example
        changed = (asked != 0.37).any(axis=1)
        assert (changed.sum(axis=(1, 2)) == 1).all()
        np.testing.assert_allclose(changed.mean(axis=0), 1 / 20, atol=0.02)
        values = asked.transpose(0, 2, 3, 1)[changed]
        np.testing.assert_allclose((values == 0).mean(axis=0), 0.159, atol=0.03)
        np.testing.assert_allclose((values == 1).mean(axis=0), 0.159, atol=0.03)
        np.testing.assert_allclose((values < 0.25).mean(axis=0), 0.309, atol=0.03)
        assert abs(np.corrcoef(values.T)[0, 1]) < 0.1
        seen.append(asked)
    assert not np.array_equal(seen[0], seen[1])


def test_pixels_are_set_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((3, 2, 4, 5))
    run = begin("few_pixel", Victim(lambda x: ops.reshape(x, (-1, 40)) @ rng.normal(size=(40, 3)), (LOW, HIGH)), x,
                np.zeros(3, int), 0)  # fmt: skip
    genes = rng.random((3, 4, 4)).astype(np.float32)
    genes[0, 3, :2] = genes[0, 1, :2]  # two on one place
    genes[1, :2, :2], genes[2, 0, :2] = [[0, 1], [1, 0]], 1  # corners
    expected = [drawn_by_hand(picture, candidate) for picture, candidate in zip(x, genes)]
    np.testing.assert_allclose(Group(run, slice(0, 3), 4, 4)._drawn(np.arange(3), genes), expected, atol=1e-6)


@given(seed=seeds, targeted=st.booleans())
def test_more_generations_never_do_worse(seed, targeted) -> None:
    """Successes stay as they are.  And an interruption in the next is as good as having asked for no more."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, dtype=np.float64)
    goal, reached, results = goal_of(net, x, net(x).argmax(axis=1), targeted, seed), [], []
    for generations in range(1, 5):
        options = {"population": 5, "seed": seed}
        result = few_pixel(net, x, goal, generations=generations, **options)
        assert not result.params["interrupted"]
        reached.append(margin(goal, net(result.x_adv)))
        results.append(result)
        if not result.success.all():
            cut = few_pixel(Tired(net, 3 + generations), x, goal, generations=9, **options)
            assert cut.params["interrupted"]
            np.testing.assert_array_equal(cut.x_adv, result.x_adv)
            np.testing.assert_array_equal(cut.iterations, result.iterations)
    assert (np.diff(reached, axis=0) >= 0).all()
    for fewer, more in pairwise(results):
        np.testing.assert_array_equal(more.x_adv[fewer.success], fewer.x_adv[fewer.success])
        np.testing.assert_array_equal(more.iterations[fewer.success], fewer.iterations[fewer.success])


@given(seed=seeds, size=st.integers(1, 40))
def test_no_example_weighs_on_another(seed, size) -> None:
    (x, y), (strangers, _), net = images(seed, dtype=np.float64), images(seed + 1), network(dtype="float64")
    options = {"pixels": 2, "population": 6, "generations": 4, "seed": 3}
    whole = few_pixel(net, x, y, **options)
    cut, few = few_pixel(Victim(net, batch_size=size), x, y, **options), few_pixel(net, x[:3], y[:3], **options)
    np.testing.assert_array_equal(cut.x_adv, whole.x_adv)
    np.testing.assert_array_equal(cut.iterations, whole.iterations)
    np.testing.assert_array_equal(few.x_adv, whole.x_adv[:3])
    np.testing.assert_array_equal(few_pixel(net, x, y, **options).x_adv, whole.x_adv)
    others, labels = np.concatenate([strangers[:4].astype(np.float64), x[4:]]), y.copy()
    labels[:4] = net(others[:4]).argmax(axis=1)  # all of them to be searched for; or, in a while, none
    for mates in (labels, np.where(np.arange(7) < 4, (labels + 1) % 5, y)):
        np.testing.assert_array_equal(few_pixel(net, others, mates, **options).x_adv[4:], whole.x_adv[4:])


@pytest.mark.parametrize(("size", "most"), [(1, 1), (5, 5), (9, 5), (10, 10), (100, 35)])
def test_no_more_images_at_a_time_than_the_victim_takes(size, most) -> None:
    class Narrow(Victim):
        def logits(self, x):
            asked.append(len(x))
            return super().logits(x)

    (x, _), net, asked = images(0), network(), []
    few_pixel(Narrow(net, batch_size=size), x, net(x).argmax(axis=1), population=5, generations=2)
    assert max(asked[1:-1]) == most


def test_a_tie_that_the_goal_does_not_count_is_no_success() -> None:
    x, y = images(0)[0], np.zeros(7, int)
    for goal in (y, Targeted(y + 1)):
        result = few_pixel(lambda x: ops.reshape(x, (-1, 16)) @ np.zeros((16, 2)), x, goal, population=4, generations=2)
        assert not result.success.any()
        assert (result.iterations == 2).all()


def test_seeds_draw_anew() -> None:
    (x, _), net = images(1), network()
    y = net(x).argmax(axis=1)
    first, other = (few_pixel(net, x, y, population=4, generations=1, seed=seed).x_adv for seed in (0, 1))
    assert (first != other).any(axis=(1, 2, 3)).all()


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for goal in (y[:0], Targeted(y[:0])):
        result = few_pixel(network(), x[:0], goal)
        assert (len(result), result.x_adv.shape, result.iterations.shape) == (0, (0, 1, 4, 4), (0,))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_images_of_other_precision_stay_so_and_within_the_bounds(dtype) -> None:
    x = np.full((3, 1, 4, 4), 0.6, dtype)
    victim = Victim(lambda x: ops.reshape(x, (-1, 16)) @ np.ones((16, 2)).astype(dtype), (0.1, 0.7))
    result = few_pixel(victim, x, np.zeros(3, int), population=50, generations=2)
    assert result.x_adv.dtype == dtype
    assert result.x_adv.min() >= 0.1
    assert result.x_adv.max() <= 0.7


def test_it_runs_on_another_library(monkeypatch) -> None:
    def attacked():
        net, (x, y) = network(), map(backend.asarray, images(0))
        results = [few_pixel(Victim(net, batch_size=13), x, goal, pixels=2, population=5, generations=3)
                   for goal in (y, Targeted((net(x).argmax(axis=1) + 1) % 5))]  # fmt: skip
        return [backend.to_numpy(a) for result in results for a in (result.x_adv, result.iterations)]

    add_the_stand_in(monkeypatch)
    check_the_same_on("strict", attacked, rtol=1e-6)


REFUSED = {
    "no pixel": ({"pixels": 0}, RangeError, "number of pixels, at least 1.*0"),
    "half a pixel": ({"pixels": 0.5}, RangeError, "number of pixels, at least 1.*0.5"),
    "more than there are": ({"pixels": 17}, RangeError, "at most the 16 pixels of an image.*17"),
    "too few": ({"population": 3}, RangeError, "whole number of population, at least 4, got 3"),
    "half a candidate": ({"population": 4.5}, RangeError, "number of population, at least 4, got 4.5"),
    "all": ({"population": True}, RangeError, "number of population, at least 4, got True"),
    "many": ({"population": "many"}, RangeError, "number of population, at least 4, got 'many'"),
    "no generation": ({"generations": 0}, RangeError, "number of generations, at least 1.*0"),
    "yes": ({"generations": True}, RangeError, "number of generations, at least 1.*True"),
    "no weight": ({"weight": 0}, RangeError, "weight above 0, at most 2.*0"),
    "too heavy": ({"weight": 2.1}, RangeError, "weight above 0, at most 2.*2.1"),
    "no number": ({"weight": float("nan")}, RangeError, "weight above 0.*nan"),
    "seed": ({"seed": -1}, RangeError, "seed.*-1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, error, message), (x, y), victim = REFUSED[name], images(0), Victim(network())
    with pytest.raises(error, match=message) as caught:
        few_pixel(victim, x, y, **options)
    assert isinstance(caught.value, MinidlError)
    assert victim.forwards == 0


def test_anything_but_a_batch_of_images_raises_an_error() -> None:
    (x, y), victim = images(0), Victim(network())
    for shape in ((7, 16), (7, 4, 4)):
        with pytest.raises(ShapeError, match=rf"images \(N, C, H, W\).*{shape[1]}.*reshape"):
            few_pixel(victim, x.reshape(shape), y)
    assert victim.forwards == 0


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("few pixels: a parent twice", line(attacks.minimal.few_pixel, "others", "xp.concatenate([taken, number[None]])", "taken"), test_parents_differ_and_everyone_is_asked),
    Mutant("few pixels: its own parent", line(attacks.minimal.few_pixel, "others", "+ xp.arange(population), []", "+ population, []"), test_parents_differ_and_everyone_is_asked),
    Mutant("few pixels: taken in any order", line(attacks.minimal.few_pixel, "others", "xp.sort(taken, axis=0)", "taken"), test_parents_differ_and_everyone_is_asked),
    Mutant("few pixels: the whole difference", line(Group, "breed", "weight * (x2 - x3)", "(x2 - x3)"), test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: children of others' candidates", line(Group, "_candidates", "self.population * ", "0 * "), test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: every child is kept", line(Group, "breed", "fitness >= active.fitness", "fitness == fitness"), test_more_generations_never_do_worse),
    Mutant("few pixels: no child is kept", line(Group, "breed", "fitness >= active.fitness", "fitness != fitness"), test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: beyond the bounds", line(Group, "breed", "xp.clip(x1 + weight * (x2 - x3), 0, 1)", "x1 + weight * (x2 - x3)"), test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: the same draws in every generation", line(Group, "breed", "self._uniform(generation, 0, 3)", "self._uniform(1, 0, 3)"), lambda: test_on_a_linear_network_it_finds_the_best_pixels(2, False)),
    Mutant("few pixels: the worst is returned", line(Group, "settle", "argmax", "argmin"), test_more_generations_never_do_worse),
    Mutant("few pixels: failures stay as they were", line(Group, "settle", "active.scatter(x_adv, ", "active.scatter(x_adv, active.gather(self.run.x) if (active.fitness < 0).all() else "), lambda: test_on_a_linear_network_it_finds_the_best_pixels(1, True)),
    Mutant("few pixels: successes go on", line(Group, "settle", "active.fitness.max(axis=-1) >= 0", "active.fitness.max(axis=-1) > 1e9"), test_more_generations_never_do_worse),
    Mutant("few pixels: ties count", line(Group, "_judge", "xp.minimum(reached, -least)", "reached"), test_a_tie_that_the_goal_does_not_count_is_no_success),
    Mutant("few pixels: all candidates drawn at once", line(Group, "_judge", "for i in range(0, len(flat), victim.batch_size):\n        part = slice(i, i + victim.batch_size)", "for part in [slice(None)]:"), lambda: test_no_more_images_at_a_time_than_the_victim_takes(1, 1)),
    Mutant("few pixels: the goal of another example", line(Group, "_judge", "self.run.goal.take(rows[part])", "self.run.goal.take(rows[part][::-1])"), test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: draws of the place in the group", line(Group, "_uniform", "first = self.part.start *", "first = 0 *"), test_no_example_weighs_on_another),
    Mutant("few pixels: draws of the place among the rest", line(Group, "_uniform", "self.active.rows - self.part.start", "namespace(x).arange(len(self.active))"), test_no_example_weighs_on_another),
    Mutant("few pixels: values with too wide a spread", line(Group, "_born", "0.5 + 0.5 * box_muller", "0.5 + box_muller"), test_the_first_candidates_are_the_papers),
    Mutant("few pixels: grey from the start", line(Group, "_born", "(2, channels, channels)", "(2, 1, 1)"), test_the_first_candidates_are_the_papers),
    Mutant("few pixels: rows for columns", line(Group, "_drawn", "row[:, pixel], column[:, pixel]", "column[:, pixel] % 4, row[:, pixel]"), test_pixels_are_set_one_after_the_other),
    Mutant("few pixels: the earlier counts", line(Group, "_drawn", "in range(genes.shape[1])", "in reversed(range(genes.shape[1]))"), test_pixels_are_set_one_after_the_other),
    Mutant("few pixels: shares of 0 to 1, whatever the bounds", line(Group, "_drawn", "low + (high - low) * genes", "1 * genes"), test_pixels_are_set_one_after_the_other),
    Mutant("few pixels: the weight is not checked", line(attacks.minimal.few_pixel, "_check", "most=2, but=0", "least=-9, most=99"), lambda: test_errors_before_any_work("too heavy")),
    Mutant("few pixels: three candidates", line(attacks.minimal.few_pixel, "few_pixel", "least=LEAST_POPULATION", "least=3"), lambda: test_errors_before_any_work("too few")),
]
# fmt: on
