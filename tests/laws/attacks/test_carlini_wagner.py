"""Laws of Carlini and Wagner's attacks: exact on linear networks, honest about failures, each example on its own."""

from __future__ import annotations

import inspect
import itertools
from math import atanh

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from attacks import Targeted, Untargeted, Victim
from attacks.common.objectives import margin
from attacks.minimal import carlini_wagner, descent
from attacks.minimal.carlini_wagner import cw_l0, cw_l2, cw_linf
from minidl import ops
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.kernels.reference import steps as reference_steps
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network, other_targets

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=5, phases=[Phase.generate])  # thousands of steps each: a failure is not minimised
ATTACKS = [cw_l2, cw_l0, cw_linf]


def quick(attack) -> dict:
    """Parameters with which it takes a fraction of a second."""
    own = {"cw_l2": {"binary_search_steps": 4}, "cw_l0": {"largest_c": 100.0}, "cw_linf": {}}
    return {"steps": 40, "lr": 0.05, "initial_c": 1.0} | own[attack.__name__]


def linear(w: np.ndarray, offset: float = 0.0):
    """Two classes, of which the second is ahead by w·x + offset.

    By elementwise products, so that no example's rounding depends on who else is in the batch.
    """

    def net(x):
        ahead = ops.sum(ops.reshape(x, (len(x), 1, len(w))) * np.stack([0 * w, w]), axis=-1)
        return ahead + np.array([0.0, offset])

    return net


def of_its_own(w: np.ndarray):
    """A curved network of len(w) classes whose every output is rounded alike in any batch."""

    def net(x):
        z = ops.sum(ops.reshape(x, (len(x), 1, w.shape[1])) * w, axis=-1)
        return z + ops.tanh(3 * z)

    return net


def drawn_network(seed: int):
    """Such a network, six images of its nine pixels, and targets."""
    rng = np.random.default_rng(seed)
    net, x = of_its_own(rng.normal(size=(4, 9))), rng.random((6, 9))
    x[rng.random(x.shape) < 0.3] = 0
    x[rng.random(x.shape) < 0.2] = 1
    return net, x, (net(x).argmax(axis=1) + rng.integers(1, 4, 6)) % 4


# --- where it ends ---------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(seed=seeds, kappa=st.sampled_from([0.0, 0.3]))
def test_l2_finds_the_nearest_point_of_a_linear_networks_other_side(seed, kappa) -> None:
    """At distance (margin + κ)/‖w‖₂."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=8), 0.4 + 0.2 * rng.random((5, 8))
    net = linear(w, -float(w @ x.mean(axis=0)))
    labels = net(x).argmax(axis=1)
    nearest = (abs(net(x) @ [-1, 1]) + kappa) / np.sqrt(w @ w)
    x, labels, nearest = (a[nearest < 0.3] for a in (x, labels, nearest))  # within the bounds, all the way
    for goal in (Untargeted(labels), Targeted(1 - labels)):
        result = cw_l2(net, x, goal, confidence=kappa, initial_c=1.0)
        assert result.success.all()
        assert (result.l2 >= nearest * (1 - 1e-9)).all()
        assert (result.l2 <= nearest * 1.01 + 1e-3).all()


@few
@given(seed=seeds)
def test_linf_comes_near_the_optimum_of_a_linear_network(seed) -> None:
    """margin/‖w‖₁, from above, and by less than a τ that was not reached."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=8), 0.4 + 0.2 * rng.random((5, 8))
    net = linear(w, -float(w @ x.mean(axis=0)))
    t = 1 - net(x).argmax(axis=1)
    nearest = abs(net(x) @ [-1, 1]) / abs(w).sum()
    result = cw_linf(net, x, Targeted(t))
    assert result.success.all()
    assert (result.linf >= nearest * (1 - 1e-9)).all()
    assert (result.linf <= nearest / 0.85 + 1e-3).all()


@few
@given(seed=seeds)
def test_l0_finds_the_fewest_pixels_of_a_linear_network(seed) -> None:
    """Of an image with as much room everywhere: the steepest; all others are to the bit what they were."""
    rng = np.random.default_rng(seed)
    w, x, fewest = rng.normal(size=12), np.full((1, 12), 0.5), int(rng.integers(1, 5))
    steepest = abs(w).argsort()[::-1]
    lack = 0.5 * (abs(w)[steepest[:fewest]].sum() - 0.3 * abs(w)[steepest[fewest - 1]])
    result = cw_l0(linear(w, -float(w @ x[0]) - lack), x, Targeted(np.array([1])), initial_c=1.0)
    assert result.success.all()
    assert sorted(np.flatnonzero(result.x_adv[0] != 0.5)) == sorted(steepest[:fewest])


@pytest.mark.parametrize("attack", ATTACKS)
@few
@given(data=st.data(), seed=seeds)
def test_bounds_and_honesty(attack, data, seed) -> None:
    net, x = network(seed % 50), np.random.default_rng(seed).integers(0, 3, (6, 1, 4, 4)).astype(np.float32) / 2
    low, high = data.draw(st.sampled_from([(0.0, 1.0), (-1.0, 3.0)]))
    x, rng = low + (high - low) * x, np.random.default_rng(seed)
    t = other_targets(net, x, rng)
    goal = data.draw(st.sampled_from([Targeted(t), Untargeted(rng.integers(0, 5, 6))]))
    victim, before = Victim(net, (low, high)), x.copy()
    result = attack(victim, x, goal, confidence=data.draw(st.sampled_from([0.0, 0.5])), **quick(attack))
    assert (result.x_adv.shape, result.x_adv.dtype) == (x.shape, x.dtype)
    assert result.x_adv.min() >= low
    assert result.x_adv.max() <= high
    predicted = net(result.x_adv).argmax(axis=1)
    np.testing.assert_array_equal(result.success, goal.achieved(predicted))
    assert (result.forwards, result.backwards) == (victim.forwards, victim.backwards)
    assert result.backwards >= result.iterations.sum()
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("attack", ATTACKS)
@few
@given(seed=seeds, kappa=st.sampled_from([0.0, 0.3, 1.0]))
def test_successes_have_the_margin_asked_for(attack, seed, kappa) -> None:
    """In any batch: the margin of each is there when it is looked at alone."""
    small, (x, y) = network(seed % 50), images(seed)
    net = lambda x: 10 * small(x)  # within whose reach these margins are
    result = attack(net, x, Untargeted(y), confidence=kappa, **quick(attack))
    assert result.success.all()
    for i in range(len(x)):
        assert margin(Untargeted(y[i : i + 1]), net(result.x_adv[i : i + 1]))[0] >= kappa


@pytest.mark.slow
@few
@given(seed=seeds)
def test_more_searches_never_end_farther_away(seed) -> None:
    net, x, t = drawn_network(seed)
    lengths = []
    for searches in (1, 2, 4, 7):
        result = cw_l2(net, x, Targeted(t), binary_search_steps=searches, initial_c=0.01, steps=150)
        lengths.append(np.where(result.success, result.l2, np.inf))
    assert all((b <= a + 1e-12).all() for a, b in itertools.pairwise(lengths))
    assert np.isfinite(lengths[-1]).any()


@pytest.mark.slow
def test_giving_up_early_costs_next_to_nothing() -> None:
    net, x, t = drawn_network(0)
    early, late = (cw_l2(net, x, Targeted(t), abort_early=a) for a in (True, False))
    assert early.iterations.sum() < 0.6 * late.iterations.sum()
    both = early.success & late.success
    assert early.success.sum() == late.success.sum()
    assert early.l2[both].mean() <= 1.02 * late.l2[both].mean() + 1e-3


# --- each example on its own -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
@few
@given(seed=seeds)
def test_the_other_examples_do_not_matter(attack, seed) -> None:
    (net, x, t), options = drawn_network(seed), quick(attack) | {"steps": 120}  # so that some stall before others
    together = attack(net, x, Targeted(t), **options)
    order = np.random.default_rng(seed).permutation(6)
    permuted = attack(Victim(net, batch_size=4), x[order], Targeted(t[order]), **options)
    np.testing.assert_array_equal(permuted.x_adv, together.x_adv[order])
    np.testing.assert_array_equal(permuted.iterations, together.iterations[order])
    for i in range(6):
        alone = attack(net, x[i : i + 1], Targeted(t[i : i + 1]), **options)
        np.testing.assert_array_equal(alone.x_adv[0], together.x_adv[i])


@pytest.mark.parametrize("attack", ATTACKS)
def test_same_call_same_bits_and_any_shape(attack) -> None:
    net, (x, y) = network(), images(3)
    once, again = (attack(net, x, y, seed=5, **quick(attack)) for _ in range(2))
    np.testing.assert_array_equal(once.x_adv, again.x_adv)
    flat = attack(net, x.reshape(7, 16), y, **quick(attack))
    np.testing.assert_array_equal(flat.x_adv.reshape(x.shape), once.x_adv)
    assert flat.x_adv.shape == (7, 16)


@pytest.mark.parametrize("attack", ATTACKS)
def test_empty_batches(attack) -> None:
    x, y = images(0)
    for goal in (Untargeted(y[:0]), Targeted(y[:0])):
        result = attack(network(), x[:0], goal)
        assert result.x_adv.shape == (0, 1, 4, 4)
        assert result.success.shape == result.iterations.shape == (0,)


# --- what is left alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_achieved_already_is_left_as_it_is(attack) -> None:
    """Unless its margin is less than κ."""
    net, (x, _) = network(dtype="float64"), images(0, dtype=np.float64)
    y = (net(x).argmax(axis=1) + np.arange(7) % 2) % 5  # every other label is wrong
    result = attack(net, x, y, **quick(attack))
    np.testing.assert_array_equal(result.x_adv[1::2], x[1::2])
    assert (result.iterations[1::2] == 0).all()
    assert (result.iterations[::2] > 0).all()
    widest = margin(Untargeted(y), net(x)).max()
    sure = attack(net, x, y, confidence=float(widest) + 0.1, **quick(attack))
    assert (sure.iterations > 0).all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_pixels_at_the_bounds_can_move_and_those_without_slope_do_not(attack) -> None:
    w = np.array([1.0, -1.0, 1.0, 0.0, 0.0, 0.0])
    x = np.array([[0.0, 1.0, 0.0, 0.0, 1.0, 0.3]], np.float64)
    result = attack(linear(w, 0.1), x, Targeted(np.array([1])), **quick(attack))
    assert result.success.all()
    assert (result.x_adv[0, :3] != x[0, :3]).any()
    np.testing.assert_array_equal(result.x_adv[0, 3:5], x[0, 3:5])
    np.testing.assert_allclose(result.x_adv[0, 5], x[0, 5], rtol=0, atol=1e-15)


# --- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_failure_is_the_closest_attempt_and_marked(attack) -> None:
    """The goal is out of reach: even the corner of the bounds that serves it best is on the wrong side."""
    w = np.array([1.0, -2.0, 0.5])
    net, x = linear(w, -4.0), np.array([[0.5, 0.5, 0.5], [0.0, 1.0, 0.2]])
    result = attack(net, x, Targeted(np.array([1, 1])), **quick(attack))
    assert not result.success.any()
    gap = net(result.x_adv) @ [1, -1]
    assert (gap < net(x) @ [1, -1] - 0.5).all()
    np.testing.assert_allclose(gap, 4 - 1.5, atol=0.05)  # at (1, 0, 1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_ctrl_c_keeps_what_was_found(attack) -> None:
    net, x, t = drawn_network(1)
    calls = 0

    def interrupted(images):
        nonlocal calls
        calls += 1
        if calls == 200:
            raise KeyboardInterrupt
        return net(images)

    result = attack(interrupted, x, Targeted(t), initial_c=1.0, lr=0.05)
    assert result.params["interrupted"]
    assert result.success.any()
    np.testing.assert_array_equal(result.success, net(result.x_adv).argmax(axis=1) == t)
    assert not attack(net, x, Targeted(t), **quick(attack)).params["interrupted"]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    "wrong",
    [{"confidence": -1.0}, {"confidence": float("nan")}, {"steps": 0}, {"steps": 1.5}, {"steps": True}, {"lr": 0.0},
     {"lr": float("inf")}, {"initial_c": 0.0}, {"initial_c": "1"}, {"binary_search_steps": 0}, {"largest_c": 1e-6}],
    ids=str,
)  # fmt: skip
def test_bad_parameters_raise_an_error_before_any_work(attack, wrong) -> None:
    if next(iter(wrong)) not in inspect.signature(attack).parameters:
        return
    (x, y), victim = images(0), Victim(network())
    with pytest.raises(RangeError, match=attack.__name__):
        attack(victim, x, y, **wrong)
    assert victim.forwards == 0


@pytest.mark.parametrize("attack", ATTACKS)
def test_bad_inputs_raise_an_error(attack) -> None:
    net, (x, y) = network(), images(0)
    with pytest.raises(RangeError, match=attack.__name__):
        attack(net, 2 * x, y)
    with pytest.raises(ShapeError, match=attack.__name__):
        attack(net, x, y[:3])
    with pytest.raises(DTypeError, match=attack.__name__):
        attack(net, (255 * x).astype(np.uint8), y)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("C&W: success at any margin", line(descent.Descent, "_reaches", "self.confidence + rounding_tolerance", "rounding_tolerance"), lambda: test_successes_have_the_margin_asked_for(cw_linf)),
    Mutant("C&W: the last success, not the closest", line(descent.Descent, "_keep", "(lengths < cost)", "(lengths > 0)"), test_more_searches_never_end_farther_away),
    Mutant("C&W: the closest attempt forgotten", line(descent.Descent, "_keep", "~reached & (lacks < cost)", "False & reached"), lambda: test_a_failure_is_the_closest_attempt_and_marked(cw_l0)),
    Mutant("C&W: one stop for all examples", line(descent.Descent, "_stall", "xp.where(decreased, 0, active.since + 1)", "xp.where(decreased.any(), 0, active.since + 1)"), lambda: test_the_other_examples_do_not_matter(cw_l2)),
    Mutant("C&W: no search stops early", line(descent.Descent, "_stall", "(active.since >= self.patience)", "(active.since < 0)"), test_giving_up_early_costs_next_to_nothing),
    Mutant("C&W: a tanh as wide as the bounds", lambda patch: (patch.setattr(descent, "HALF", 0.5 + 1e-9), patch.setattr(descent, "LIMIT", atanh(1 - 2e-9))), lambda: test_pixels_at_the_bounds_can_move_and_those_without_slope_do_not(cw_l2)),
    Mutant("C&W: beyond the bounds", line(reference_steps, "tanh_adam", "xp.clip(centre + half * xp.tanh(w), *bounds)", "centre + half * 1.2 * xp.tanh(w)"), lambda: test_pixels_at_the_bounds_can_move_and_those_without_slope_do_not(cw_l2)),
    Mutant("C&W: the gradient of the distance left out", line(reference_steps, "tanh_adam", "(g + pull)", "(g + 0 * pull)"), test_l2_finds_the_nearest_point_of_a_linear_networks_other_side),
    Mutant("C&W L0: the best pixels fixed", line(carlini_wagner, "_fix_pixels", "g * (best - x), xp.inf)", "g * (x - best), xp.inf)"), test_l0_finds_the_fewest_pixels_of_a_linear_network),
    Mutant("C&W: Ctrl-C loses all", line(carlini_wagner, "_end", "x_adv = ", "x_adv = run.x if run.interrupted else "), lambda: test_ctrl_c_keeps_what_was_found(cw_linf)),
    Mutant("C&W: parameters are not checked", line(carlini_wagner, "_check", 'check_number(attack, f"{name} above 0", value, but=0)', "pass"), lambda: test_bad_parameters_raise_an_error_before_any_work(cw_l2, {"lr": 0.0})),
]
# fmt: on
