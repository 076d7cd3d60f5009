"""Laws of L-BFGS: the least value in a box, the least distortion of a linear network, and the search for c."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.common.result
import attacks.minimal.lbfgs
import attacks.minimal.minimise
from attacks import Targeted, Untargeted, Victim
from attacks.common.objectives import margin
from attacks.minimal.lbfgs import lbfgs, log_likelihood
from attacks.minimal.minimise import minimise
from minidl import losses
from minidl.errors import MinidlError, RangeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.attacks.test_every_attack import images, network, other_targets

seeds = st.integers(0, 2**32 - 1)


# --- in a box --------------------------------------------------------------------------------------------


def quadratics(seed: int, n: int = 4, size: int = 6):
    """f(x) = ½xᵀAx - bᵀx + 9 for n rows, A positive definite, and points of [-1, 1]^size to begin at."""
    rng = np.random.default_rng(seed)
    roots, b = rng.normal(size=(n, size, size)), 3 * rng.normal(size=(n, size))
    a = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(size)

    def f(points, which):
        curved = (a[which] @ points[..., None])[..., 0]
        return (points * (0.5 * curved - b[which])).sum(axis=1) + 9, curved - b[which]

    return f, rng.uniform(-1, 1, (n, size))


@given(seed=seeds)
def test_a_quadratic_ends_where_no_free_entry_has_a_slope(seed) -> None:
    """The conditions of Karush, Kuhn and Tucker, which a convex function meets at its minimum alone."""
    f, x = quadratics(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attacks.minimal.minimise.LEAST_GAIN", 1e-14)
        minimiser = minimise(f, x, (-1, 1), 500)
    assert (abs(minimiser) <= 1).all()
    g = f(minimiser, np.arange(4))[1]
    assert abs(np.where(abs(minimiser) < 1, g, 0)).max() < 1e-3
    assert (np.where(minimiser == -1, g, 0) >= -1e-3).all()
    assert (np.where(minimiser == 1, g, 0) <= 1e-3).all()


@given(seed=seeds, steps=st.integers(1, 9))
def test_no_step_makes_it_worse_and_rows_are_independent(seed, steps) -> None:
    f, x = quadratics(seed)
    before, minimiser = x.copy(), minimise(f, x, (-1, 1), steps)
    assert (f(minimiser, np.arange(4))[0] <= f(x, np.arange(4))[0]).all()
    near = np.clip(minimiser + 1e-3, -1, 1)  # from where a step of length 1 goes too far
    assert (f(minimise(f, near, (-1, 1), 1), np.arange(4))[0] <= f(near, np.arange(4))[0]).all()
    alone = minimise(lambda points, which: f(points, which + 2), x[2:3], (-1, 1), steps)
    np.testing.assert_allclose(alone, minimiser[2:3], atol=1e-9)
    np.testing.assert_array_equal(x, before)


def test_it_is_quicker_than_steps_along_the_slope() -> None:
    """On a valley 100 times as long as it is wide, from which a plain descent takes hundreds of steps."""
    scale, calls = np.array([1.0, 100.0]), []

    def f(points, which):
        calls.append(len(points))
        return 0.5 * (scale * points**2).sum(axis=1) + 1, scale * points

    minimiser = minimise(f, np.array([[0.9, 0.7]]), (-1, 1), 100)
    np.testing.assert_allclose(minimiser, 0, atol=1e-2)
    assert sum(calls) < 30


def test_where_there_is_no_slope_it_stays() -> None:
    x = np.full((2, 3), 0.5)
    flat = lambda points, which: (np.ones(len(points)), np.zeros_like(points))
    np.testing.assert_array_equal(minimise(flat, x, (0, 1), 5), x)
    pushed = lambda points, which: (points.sum(axis=1), np.ones_like(points))
    np.testing.assert_array_equal(minimise(pushed, 0 * x, (0, 1), 5), 0 * x)
    np.testing.assert_array_equal(minimise(pushed, x, (0, 1), 50), 0 * x)
    assert minimise(flat, x[:0], (0, 1), 5).shape == (0, 3)


# --- the attack ------------------------------------------------------------------------------------------


def nearest_in_the_box(x, w, b) -> np.ndarray:
    """The point of [0, 1]^M nearest to x where w·x + b ≥ 0, which is a clip(x + λw): λ by bisection."""
    low, high = 0.0, 1.0
    while np.clip(x + high * w, 0, 1) @ w + b < 0:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if np.clip(x + middle * w, 0, 1) @ w + b >= 0 else (middle, high)
    return np.clip(x + high * w, 0, 1)


@given(seed=seeds, targeted=st.booleans())
def test_on_a_linear_network_it_finds_the_nearest_point_in_the_box(seed, targeted) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.random((3, 8)), 4 * rng.normal(size=8)
    x = np.where(rng.random(x.shape) < 0.3, x.round(), x)  # some of them stand at a bound
    b = -0.6 * np.maximum(w, 0).sum() - 0.4 * np.minimum(w, 0).sum() - 1e-3  # within reach: 60 % of the way
    matrix, shift = np.stack([0 * w, w], axis=1), np.array([0, b])
    x = x[(x @ w + b) < 0]
    y = np.zeros(len(x), int)
    result = lbfgs(lambda x: x @ matrix + shift, x, Targeted(1 - y) if targeted else y, search_steps=25, steps=200)
    assert result.success.all()
    for i in range(len(x)):
        expected = nearest_in_the_box(x[i], w, b)
        distance = np.sqrt(((expected - x[i]) ** 2).sum())
        np.testing.assert_allclose(result.l2[i], distance, rtol=0.02, atol=1e-3)


@given(seed=seeds, targeted=st.booleans())
def test_bounds_and_honesty(seed, targeted) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    goal = Targeted(other_targets(net, x, np.random.default_rng(seed))) if targeted else Untargeted(y)
    victim, before = Victim(net), x.copy()
    result = lbfgs(victim, x, goal, search_steps=4, steps=10)
    assert result.x_adv.dtype == np.float32
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
    np.testing.assert_array_equal(result.success, goal.achieved(net(result.x_adv).argmax(axis=1)))
    done = goal.achieved(result.clean_pred)
    np.testing.assert_array_equal(result.x_adv[done], x[done])
    np.testing.assert_array_equal(result.iterations, np.where(done, 0, 4))
    assert (result.forwards, result.backwards) == (victim.forwards, victim.backwards)
    np.testing.assert_allclose(result.rms, np.sqrt(((result.x_adv - x) ** 2).reshape(7, -1).mean(axis=1)), rtol=1e-4)
    np.testing.assert_array_equal(x, before)


@pytest.mark.slow
@given(seed=seeds)
def test_more_searches_never_end_farther_away(seed) -> None:
    net, (x, _) = network(seed % 50, "float64"), images(seed, dtype=np.float64)
    y = net(x).argmax(axis=1)
    few, many = (lbfgs(net, x, y, search_steps=n, steps=10) for n in (3, 7))
    assert (many.success >= few.success).all()
    assert (many.l2 <= few.l2 + 1e-12)[few.success].all()


def test_c_grows_and_falls_tenfold_and_then_is_halved_in_between(monkeypatch) -> None:
    """The first image is fooled below c = 30, the second below c = .05, the third never."""
    x, limits, tried = np.full((3, 2), 0.5), np.array([30, 0.05, 0]), []

    def pretended(units, active, aim, c, steps):
        tried.append(c.copy())
        return np.where(c < limits, 0.9, 0.4)[:, None] * np.ones(2)

    monkeypatch.setattr(attacks.minimal.lbfgs, "_minimiser", pretended)
    result = lbfgs(lambda x: (x - 0.6) @ np.array([[-1.0, 1.0], [-1.0, 1.0]]), x, np.zeros(3, int), search_steps=5)
    first, second, third = np.array(tried).T
    np.testing.assert_allclose(first, [1, 10, 100, 1000**0.5, (10 * 1000**0.5) ** 0.5])
    np.testing.assert_allclose(second, [1, 0.1, 0.01, 0.001**0.5, (0.001**0.5 * 0.1) ** 0.5])
    np.testing.assert_allclose(third, [1, 0.1, 0.01, 0.001, 0.0001])
    np.testing.assert_array_equal(result.success, [True, True, False])


def test_of_all_successes_the_closest_is_kept(monkeypatch) -> None:
    """Though as a rule it is the last, it need not be: here each success is farther away than the one before."""
    farther = lambda units, active, aim, c, steps: units.start[active.rows] + 0.2 + c[:, None] / 1e3
    monkeypatch.setattr(attacks.minimal.lbfgs, "_minimiser", farther)
    x, net = np.full((1, 2), 0.5), lambda x: (x - 0.6) @ np.array([[-1.0, 1.0], [-1.0, 1.0]])
    result = lbfgs(net, x, np.zeros(1, int), search_steps=3)
    np.testing.assert_allclose(result.x_adv, 0.701)


def test_a_failure_is_the_closest_attempt() -> None:
    """The target cannot be reached: what comes back is nearer to it than the image was, and marked."""
    net = lambda x: x @ np.array([[1.0, 0.5], [1.0, 0.9]]) + np.array([3.0, 0.0])
    x, goal = np.full((2, 2), 0.5), Targeted(np.ones(2, int))
    result = lbfgs(net, x, goal)
    assert not result.success.any()
    assert (margin(goal, net(result.x_adv)) > margin(goal, net(x))).all()
    np.testing.assert_allclose(result.x_adv, 0, atol=1e-2)


def test_of_all_failures_the_closest_is_kept(monkeypatch) -> None:
    """Though as a rule it is the last: here each attempt ends farther from the target than the one before."""
    away = lambda units, active, aim, c, steps: units.start[active.rows] - 0.3 * c[:, None]
    monkeypatch.setattr(attacks.minimal.lbfgs, "_minimiser", away)
    net = lambda x: x @ np.array([[1.0, 0.5], [1.0, 0.9]]) + np.array([3.0, 0.0])
    result = lbfgs(net, np.full((1, 2), 0.5), Targeted(np.ones(1, int)), search_steps=3)
    assert not result.success.any()
    np.testing.assert_allclose(result.x_adv, 0.2)


@given(seed=seeds, spread=st.sampled_from([1.0, 1000.0]))
def test_likelihoods_are_those_of_softmax(seed, spread) -> None:
    rng = np.random.default_rng(seed)
    z, y = spread * rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    rows = np.arange(6)
    np.testing.assert_allclose(
        log_likelihood(Targeted(y), z), -losses.cross_entropy(z, y, "none"), rtol=1e-9, atol=1e-9 * spread
    )
    others = np.where(np.arange(4) == y[:, None], -np.inf, z)
    against = np.logaddexp.reduce(others, axis=1) - np.logaddexp.reduce(z, axis=1)
    np.testing.assert_allclose(log_likelihood(Untargeted(y), z), against, rtol=1e-9, atol=1e-9 * spread)
    if spread == 1:
        np.testing.assert_allclose(np.exp(log_likelihood(Untargeted(y), z)), 1 - losses.softmax(z)[rows, y])


@given(seed=seeds, size=st.integers(1, 9))
def test_no_example_weighs_on_another(seed, size) -> None:
    (x, y), net = images(seed, dtype=np.float64), network(dtype="float64")
    options = {"search_steps": 3, "steps": 5}
    whole, order = lbfgs(net, x, y, **options), np.random.default_rng(seed).permutation(7)
    for other, x_adv in (
        (lbfgs(Victim(net, batch_size=size), x, y, **options), whole.x_adv),
        (lbfgs(net, x[order], y[order], **options), whole.x_adv[order]),
        (lbfgs(net, x[2:3], y[2:3], **options), whole.x_adv[2:3]),
    ):
        np.testing.assert_allclose(other.x_adv, x_adv, atol=1e-7)
    np.testing.assert_array_equal(lbfgs(net, x, y, **options).x_adv, whole.x_adv)


def test_half_precision_is_computed_in_single() -> None:
    net, (x, _) = network(), images(0)
    x = x.astype(np.float16)
    result = lbfgs(net, x, net(x).argmax(axis=-1), search_steps=4)
    assert result.x_adv.dtype == np.float16
    assert result.success.any()


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for goal in (y[:0], Targeted(y[:0])):
        result = lbfgs(network(), x[:0], goal)
        assert (len(result), result.x_adv.shape, result.iterations.shape, result.rms.shape) == (
            0, (0, 1, 4, 4), (0,), (0,))  # fmt: skip


def test_an_interruption_keeps_what_there_is() -> None:
    (x, _), net = images(1, dtype=np.float64), network(dtype="float64")
    y, counted = net(x).argmax(axis=1), Tired(net, 10**9)
    whole = lbfgs(counted, x, y, search_steps=2, steps=3)
    runs = 10**9 - counted.left  # the last of them for the predictions at the end
    result = lbfgs(Tired(net, runs + 1), x, y, search_steps=3, steps=3)  # in the midst of the third search
    assert result.params["interrupted"]
    np.testing.assert_array_equal(result.x_adv, whole.x_adv)
    np.testing.assert_array_equal(result.iterations, 2)


REFUSED = {
    "search_steps": ({"search_steps": 0}, "search_steps, at least 1.*0"),
    "steps": ({"steps": 2.5}, "steps, at least 1.*2.5"),
    "initial_c": ({"initial_c": 0}, "initial_c above 0.*0"),
    "initial_c infinite": ({"initial_c": np.inf}, "initial_c.*inf"),
    "initial_c a word": ({"initial_c": "small"}, "initial_c.*small"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, message), (x, y), victim = REFUSED[name], images(0), Victim(network())
    with pytest.raises(RangeError, match=message) as caught:
        lbfgs(victim, x, y, **options)
    assert isinstance(caught.value, MinidlError)
    assert (victim.forwards, victim.backwards) == (0, 0)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("L-BFGS: memory of one kind only", line(attacks.minimal.minimise, "_newton", "weight - rho", "-rho"), test_it_is_quicker_than_steps_along_the_slope),
    Mutant("L-BFGS: no memory", line(attacks.minimal.minimise, "_pair", "useful = product >", "useful = 0 * product >"), test_it_is_quicker_than_steps_along_the_slope),
    Mutant("L-BFGS: every step is accepted", line(attacks.minimal.minimise, "_downhill", "enough = new_value <= ", "enough = new_value <= 99 + "), test_no_step_makes_it_worse_and_rows_are_independent),
    Mutant("L-BFGS: beyond the box", line(attacks.minimal.minimise, "_downhill", "xp.clip(left.x + t * left.d, *bounds)", "left.x + t * left.d"), test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: bound entries take part", line(attacks.minimal.minimise, "minimise", "free = ~(", "free = (x == x) | ("), test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: steps never halved", line(attacks.minimal.minimise, "_downhill", "t / 2", "t"), test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: another row's function", line(attacks.minimal.minimise, "_downhill", "f(point, left.which)", "f(point, left.rows)"), test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: another row's memory", line(attacks.minimal.minimise, "minimise", "if done.any():", "if False:"), test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS attack: the least c", line(attacks.minimal.lbfgs, "lbfgs", "c / 10, xp.where", "c * 10, xp.where"), test_c_grows_and_falls_tenfold_and_then_is_halved_in_between),
    Mutant("L-BFGS attack: the arithmetic mean", line(attacks.minimal.lbfgs, "lbfgs", "(succeeds * fails) ** 0.5", "(succeeds + fails) / 2"), test_c_grows_and_falls_tenfold_and_then_is_halved_in_between),
    Mutant("L-BFGS attack: the last success", line(attacks.minimal.lbfgs, "lbfgs", "length < shortest", "done"), test_of_all_successes_the_closest_is_kept),
    Mutant("L-BFGS attack: the last failure", line(attacks.minimal.lbfgs, "lbfgs", "xp.isinf(shortest) & (reached > closest)", "xp.isinf(shortest) & (c < 0.5) & (c > 0.05)"), test_a_failure_is_the_closest_attempt),
    Mutant("L-BFGS attack: |r|² weighed twice", line(attacks.minimal.lbfgs, "_minimiser", "2 * weight[:, None] * r", "4 * weight[:, None] * r"), test_on_a_linear_network_it_finds_the_nearest_point_in_the_box),
    Mutant("L-BFGS attack: away from the target", line(attacks.minimal.lbfgs, "log_likelihood", "goal.direction < 0", "goal.direction > 0"), test_likelihoods_are_those_of_softmax),
    Mutant("L-BFGS attack: sums overflow", line(attacks.minimal.lbfgs, "_log_sum_exp", "unbox(z).max(axis=-1)", "0 * unbox(z)[:, 0]"), test_likelihoods_are_those_of_softmax),
    Mutant("result: distortion without its root", line(attacks.common.result.AttackResult, "rms", "self.features, 1) ** 0.5", "self.features, 1)"), test_bounds_and_honesty),
]
# fmt: on
