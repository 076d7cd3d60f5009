"""Laws of the Square attack: Algorithms 1 and 2, a black box, budgets, and that no query ever makes it worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.bounded.square
from attacks import Targeted, Untargeted, Victim
from attacks.bounded.square import side, square
from attacks.common.objectives import margin
from minidl import ops
from minidl.errors import MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.attacks.test_every_attack import images, network, other_targets

seeds = st.integers(0, 2**32 - 1)


class Asked:
    """A network that remembers what it was asked."""

    def __init__(self, net) -> None:
        self.net, self.seen = net, []

    def __call__(self, x):
        self.seen.append(x.copy())
        return self.net(x)


@given(seed=seeds, epsilon=st.floats(0, 0.5), targeted=st.booleans())
def test_bounds_budget_and_honesty(seed, epsilon, targeted) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    goal = Targeted(other_targets(net, x, np.random.default_rng(seed))) if targeted else Untargeted(y)
    victim, before = Victim(net), x.copy()
    result = square(victim, x, goal, epsilon=epsilon, queries=12, seed=seed)
    assert (result.x_adv.dtype, result.x_adv.shape) == (np.float32, x.shape)
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
    assert (result.linf <= epsilon + np.spacing(np.float32(1 + epsilon))).all()
    np.testing.assert_array_equal(result.success, goal.achieved(net(result.x_adv).argmax(axis=1)))
    done = goal.achieved(result.clean_pred)
    np.testing.assert_array_equal(result.x_adv[done], x[done])
    assert (result.iterations[done] == 0).all()
    assert (result.iterations[~result.success] == 12).all()
    assert result.forwards == victim.queries == 2 * len(x) + result.iterations.sum()
    np.testing.assert_array_equal(x, before)


def steps_network(x):
    """Pixels above ½ count as 1, others as 0: nowhere has it a slope, which it gives as 0."""
    w = np.random.default_rng(0).normal(size=(16, 4))
    return ops.reshape(ops.where(x > 0.5, 1.0, 0.0) + 0 * x, (-1, 16)) @ w


def test_it_asks_for_no_slopes() -> None:
    x = np.random.default_rng(1).random((20, 1, 4, 4))
    y = steps_network(x).argmax(axis=1)
    victim = Victim(steps_network)
    victim.linearize = None
    result = square(victim, x, y, epsilon=0.2, queries=100)
    assert result.success.mean() > 0.5
    assert result.backwards == 0


@given(seed=seeds, targeted=st.booleans())
def test_every_query_is_a_square_and_kept_if_it_helps(seed, targeted) -> None:
    """Watched from outside: what was asked, beside the best so far, replayed with none of our code."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(2 * 5 * 6, 4)), rng.uniform(0.3, 0.7, (1, 2, 5, 6))
    net = Asked(lambda x: ops.reshape(x, (-1, 60)) @ w)
    y = net(x).argmax(axis=1)
    goal = Targeted((y + 1) % 4) if targeted else Untargeted(y)
    net.seen.clear()
    result = square(net, x, goal, epsilon=0.05, queries=40, seed=seed)
    stripes, *others = (asked[0] for asked in net.seen[1:-1])
    np.testing.assert_allclose(np.ptp(np.sign(stripes - x[0]), axis=1), 0)  # one sign in each column of each channel
    assert not any(goal.achieved(net.net(asked[None]).argmax(axis=1))[0] for asked in [stripes, *others][:-1])
    best = stripes
    for number, asked in enumerate(others, start=2):
        h = side(number / 40, 0.8, 5, 6)
        changed = (asked != best).any(axis=0)
        rows, columns = np.nonzero(changed)
        if len(rows):
            assert np.ptp(rows) < h
            assert np.ptp(columns) < h
        np.testing.assert_allclose(abs(asked - x[0]), 0.05)
        if margin(goal, net.net(asked[None]))[0] > margin(goal, net.net(best[None]))[0]:
            best = asked
    if not result.success:
        assert result.iterations == 40
    np.testing.assert_array_equal(result.x_adv[0], best)


def test_the_squares_are_where_they_may_be() -> None:
    """Of many draws: every pixel, and every sign in every channel, equally often."""
    x = np.full((400, 2, 4, 5), 0.5)
    net = Asked(lambda x: np.tile([0.0, 9.0], (len(x), 1)))
    square(net, x, np.ones(400, int), epsilon=0.5, queries=2, initial_share=0.9)  # the last: h = 1
    stripes, asked = net.seen[1:3]
    changed = asked != stripes
    assert (changed.sum(axis=(2, 3)) <= 1).all()
    assert (changed.sum(axis=0) > 400 / 20 / 2 / 4).all()  # each pixel is hit 20 times, and half of them change it
    both = changed[:, 0].any(axis=(1, 2)) & changed[:, 1].any(axis=(1, 2))
    assert 50 < both.sum() < 150  # a quarter
    first, second = (asked[both, channel][changed[both, channel]] for channel in (0, 1))
    assert 0.3 < (first == second).mean() < 0.7  # the channels have signs of their own
    assert (stripes.mean(axis=0) > 0.4).all()
    assert (stripes.mean(axis=0) < 0.6).all()
    assert abs((stripes[:, 0] == stripes[:, 1]).mean() - 0.5) < 0.1


@pytest.mark.parametrize(("queries", "expected"), [
    (10, 25), (11, 18), (51, 13), (201, 9), (1001, 6), (2001, 4), (4001, 3), (6001, 2), (8001, 2), (10_000, 2)])  # fmt: skip
def test_sides_follow_the_papers_schedule(queries, expected) -> None:
    assert side(queries / 10_000, 0.8, 28, 28) == expected
    assert side(queries / 10_000, 1.0, 1, 9) == 1


@given(seed=seeds, targeted=st.booleans())
def test_more_queries_never_do_worse(seed, targeted) -> None:
    """The margins of searches that are ended after 1, 2, … queries only rise."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, dtype=np.float64)
    goal = Untargeted(net(x).argmax(axis=1))
    if targeted:
        goal = Targeted(other_targets(net, x, np.random.default_rng(seed)))
    reached = []
    for asked in range(1, 10):
        result = square(Tired(net, 2 + asked), x, goal, epsilon=0.02, queries=20, seed=seed)
        assert result.params["interrupted"]
        assert result.iterations.max() == asked
        reached.append(margin(goal, net(result.x_adv)))
    assert (np.diff(reached, axis=0) >= 0).all()
    assert not square(net, x, goal, epsilon=0.02, queries=3).params["interrupted"]


@given(seed=seeds, size=st.integers(1, 9))
def test_no_example_weighs_on_another(seed, size) -> None:
    (x, y), net = images(seed, dtype=np.float64), network(dtype="float64")
    options = {"epsilon": 0.1, "queries": 15, "seed": 3}
    whole = square(net, x, y, **options)
    cut, few = square(Victim(net, batch_size=size), x, y, **options), square(net, x[:3], y[:3], **options)
    np.testing.assert_array_equal(cut.x_adv, whole.x_adv)
    np.testing.assert_array_equal(few.x_adv, whole.x_adv[:3])
    np.testing.assert_array_equal(square(net, x, y, **options).x_adv, whole.x_adv)
    stubborn = y.copy()
    stubborn[0] = (net(x[:1]).argmax(axis=1)[0] + 1) % 5  # the first has fallen: the others ask as before
    np.testing.assert_array_equal(square(net, x, stubborn, **options).x_adv[1:], whole.x_adv[1:])


def test_seeds_draw_anew() -> None:
    (x, _), net = images(1), network()
    y = net(x).argmax(axis=1)
    first, other = (square(net, x, y, epsilon=0.02, queries=5, seed=seed).x_adv for seed in (0, 1))
    assert (first != other).any(axis=(1, 2, 3)).all()


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for goal in (y[:0], Targeted(y[:0])):
        result = square(network(), x[:0], goal)
        assert (len(result), result.x_adv.shape, result.iterations.shape) == (0, (0, 1, 4, 4), (0,))


REFUSED = {
    "epsilon": ({"epsilon": -0.1}, RangeError, "epsilon of at least 0.*-0.1"),
    "several": ({"epsilon": [0.1, 0.2]}, RangeError, r"epsilon.*\[0.1, 0.2\]"),
    "none": ({"queries": 0}, RangeError, "number of queries, at least 1.*0"),
    "half": ({"queries": 1.5}, RangeError, "number of queries, at least 1.*1.5"),
    "yes": ({"queries": True}, RangeError, "number of queries, at least 1.*True"),
    "no share": ({"initial_share": 0}, RangeError, "initial_share above 0.*0"),
    "too much": ({"initial_share": 1.1}, RangeError, "initial_share above 0, at most 1.*1.1"),
    "no number": ({"initial_share": "all"}, RangeError, "initial_share.*all"),
    "seed": ({"seed": -1}, RangeError, "seed.*-1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, error, message), (x, y), victim = REFUSED[name], images(0), Victim(network())
    with pytest.raises(error, match=message) as caught:
        square(victim, x, y, **options)
    assert isinstance(caught.value, MinidlError)
    assert victim.forwards == 0


def test_flat_images_raise_an_error() -> None:
    (x, y), victim = images(0), Victim(network())
    with pytest.raises(ShapeError, match=r"images \(N, C, H, W\).*\(7, 16\).*reshape"):
        square(victim, x.reshape(7, 16), y)
    assert victim.forwards == 0


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("Square: every square is kept", line(attacks.bounded.square, "search", "achieved | (reached > active.best)", "reached == reached"), test_more_queries_never_do_worse),
    Mutant("Square: nothing is kept", line(attacks.bounded.square, "search", "achieved | (reached > active.best)", "xp.isinf(active.best)"), test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: beyond the bounds", line(attacks.bounded.square, "search", "xp.clip(run.x + d, *run.victim.bounds)", "run.x + d"), test_bounds_budget_and_honesty),
    Mutant("Square: squares of 2ε", line(attacks.bounded.square, "search", "(-radius, radius)", "(-2 * radius, 2 * radius)"), test_bounds_budget_and_honesty),
    Mutant("Square: successes go on", line(attacks.bounded.square, "search", "active.drop(achieved)", "pass"), test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: begins with noise", line(attacks.bounded.square, "_drawn", "uniform(channels, 1, width) < 0.5", "uniform(channels, height, width) < 0.5"), test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: one column too wide", line(attacks.bounded.square, "_drawn", "columns < s + h", "columns <= s + h"), test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: never at the edge", line(attacks.bounded.square, "_drawn", "height - h + 1", "height - h"), test_the_squares_are_where_they_may_be),
    Mutant("Square: all channels alike", line(attacks.bounded.square, "_drawn", "drawn[:, 2:, None, None]", "drawn[:, 2:3, None, None]"), test_the_squares_are_where_they_may_be),
    Mutant("Square: draws of the place among the rest", line(attacks.bounded.square, "_drawn", "active.gather(kernels(run.x).random_uniform(run.key(0, query), like))", "kernels(run.x).random_uniform(run.key(0, query), like)[: len(active)]"), test_no_example_weighs_on_another),
    Mutant("Square: the same draws in every query", line(attacks.bounded.square, "_drawn", "run.key(0, query)", "run.key(0, 1)"), test_it_asks_for_no_slopes),
    Mutant("Square: one schedule however many queries", line(attacks.bounded.square, "side", "10_000 * part", "part"), lambda: test_sides_follow_the_papers_schedule(51, 13)),
    Mutant("Square: sides halved, not areas", line(attacks.bounded.square, "side", " ** 0.5", ""), lambda: test_sides_follow_the_papers_schedule(51, 13)),
]
# fmt: on
