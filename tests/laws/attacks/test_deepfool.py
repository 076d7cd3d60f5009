"""Laws of DeepFool: the exact distance where the network is affine, and what holds of every attack."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.minimal.deepfool
from attacks import Targeted, Untargeted, Victim, plain
from attacks.minimal.deepfool import deepfool
from minidl.errors import MinidlError, RangeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network, other_targets

seeds = st.integers(0, 2**32 - 1)
norms = st.sampled_from(["l2", "linf"])


def affine(seed: int, classes: int = 5):
    """x, W, b: four images in [0.2, 0.8]^16, and an affine network of them."""
    rng = np.random.default_rng(seed)
    return 0.2 + 0.6 * rng.random((4, 16)), rng.normal(size=(16, classes)), rng.normal(size=classes)


@given(seed=seeds, norm=norms, overshoot=st.sampled_from([0.02, 0.5]))
def test_on_an_affine_network_one_step_crosses_the_nearest_boundary(seed, norm, overshoot) -> None:
    """The point by the formula of §3.2, and with it the distance: min_k |f_k|/‖w_k‖_q, times 1 + η."""
    x, matrix, b = affine(seed)
    y = (x @ matrix + b).argmax(axis=1)
    result = deepfool(lambda x: x @ matrix + b, x, y, norm=norm, overshoot=overshoot, clip=False)
    for i in range(4):
        w, f = (matrix - matrix[:, [y[i]]]).T, (x[i] @ matrix + b) - (x[i] @ matrix + b)[y[i]]
        lengths = np.array([np.linalg.norm(row, 2 if norm == "l2" else 1) for row in w])
        distance = np.array([np.inf if k == y[i] else abs(f[k]) / lengths[k] for k in range(5)])
        nearest = distance.argmin()
        if overshoot * abs(f[nearest]) < 2e-5 * np.ptp(x[i] @ matrix + b):
            continue  # so near the boundary, rounding might decide: it goes further
        direction = w[nearest] / lengths[nearest] if norm == "l2" else np.sign(w[nearest])
        np.testing.assert_allclose(result.x_adv[i], x[i] + (1 + overshoot) * distance[nearest] * direction, rtol=1e-9)
        np.testing.assert_allclose(getattr(result, norm)[i], (1 + overshoot) * distance.min(), rtol=1e-9)
        assert result.iterations[i] == 1
    assert result.success.all()


@given(seed=seeds, norm=norms)
def test_two_classes_and_pixels_at_the_bounds(seed, norm) -> None:
    """Where what a step loses to the bounds brings the walk ever closer to the boundary, it does not end on it."""
    rng = np.random.default_rng(seed)
    x, w = np.clip(rng.normal(0.5, 1, (6, 16)), 0, 1).astype(np.float32), rng.normal(size=(16, 2)).astype(np.float32)
    b = np.array([0, -(x @ (w[:, 1] - w[:, 0])).mean()], np.float32)
    net = lambda x: x @ w + b
    result = deepfool(net, x, net(x).argmax(axis=1), norm=norm)
    gap = net(result.x_adv) @ np.array([-1, 1], np.float32)
    assert result.success.all()
    assert (abs(gap) > 5e-6 * np.ptp(net(x), axis=1)).all()


@given(seed=seeds, norm=norms)
def test_it_is_the_papers_algorithm(seed, norm) -> None:
    """Algorithm 2 and its L∞ form in plain loops: the same images, to 1e-9."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, dtype=np.float64)
    y, options = net(x).argmax(axis=1), {"overshoot": 0.3, "steps": 6}  # far over, so that rounding decides nothing
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attacks.minimal.deepfool, "LEAST_GAP", 0.0)
        result = deepfool(net, x, y, norm=norm, clip=False, **options)
    for i in range(len(x)):
        expected = plain.deepfool(plain.one(net), x[i], norm=norm, **options)
        np.testing.assert_allclose(result.x_adv[i], expected, atol=1e-9)


@given(seed=seeds, norm=norms)
def test_a_target_is_reached_over_the_boundary_to_it_alone(seed, norm) -> None:
    """With two classes there is one boundary, and the target lies behind it; with more, the target all the same."""
    x, matrix, b = affine(seed, 2)
    y = (x @ matrix + b).argmax(axis=1)
    free = {"norm": norm, "clip": False}
    away = deepfool(lambda x: x @ matrix + b, x, y, **free)
    toward = deepfool(lambda x: x @ matrix + b, x, Targeted(1 - y), **free)
    np.testing.assert_array_equal(toward.x_adv, away.x_adv)
    x, matrix, b = affine(seed)
    t = ((x @ matrix + b).argmax(axis=1) + 1) % 5
    result = deepfool(lambda x: x @ matrix + b, x, Targeted(t), **free)
    np.testing.assert_array_equal((result.x_adv @ matrix + b).argmax(axis=1), t)


@given(seed=seeds, norm=norms, clip=st.booleans(), candidates=st.sampled_from([None, 1, 2, 9]), targeted=st.booleans())
def test_bounds_and_honesty(seed, norm, clip, candidates, targeted) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    goal = Targeted(other_targets(net, x, np.random.default_rng(seed))) if targeted else Untargeted(y)
    victim, before = Victim(net), x.copy()
    result = deepfool(victim, x, goal, norm=norm, clip=clip, candidates=candidates, steps=5)
    assert result.x_adv.dtype == np.float32
    assert not clip or (result.x_adv.min() >= 0 and result.x_adv.max() <= 1)
    np.testing.assert_array_equal(result.success, goal.achieved(net(result.x_adv).argmax(axis=1)))
    assert (result.iterations <= 5).all()
    done = goal.achieved(result.clean_pred)
    np.testing.assert_array_equal(result.x_adv[done], x[done])
    assert (result.iterations[done] == 0).all()
    assert (result.iterations[~done] > 0).all()
    walks = 1 if targeted else min(candidates or 4, 4)
    assert result.backwards % walks == 0
    assert (result.forwards, result.backwards) == (victim.forwards, victim.backwards)
    np.testing.assert_array_equal(x, before)


@given(seed=seeds, norm=norms)
def test_it_succeeds_with_little(seed, norm) -> None:
    """Without bounds every image is fooled; and a half of the way is not enough for most: it's the least, nearly."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, 20, np.float64)
    y = net(x).argmax(axis=1)
    result = deepfool(net, x, y, norm=norm, clip=False)
    assert result.success.all()
    halfway = net(x + 0.5 * (result.x_adv - x)).argmax(axis=1)
    assert (halfway == y).mean() > 0.8


def test_a_tie_is_not_the_end() -> None:
    """Where two logits are equal |f| = 0, and a step of that length would never end."""
    matrix = np.array([[1.0, -1.0], [1.0, -1.0]])
    x = np.array([[0.5, 0.5]])
    result = deepfool(lambda x: (x - 0.5) @ matrix, x, np.array([0]))
    assert not result.success.any()  # all logits alike: no spread to tell what little is
    matrix = np.array([[1.0, -1.0, -9.0], [1.0, -1.0, -9.0]])
    result = deepfool(lambda x: (x - 0.5) @ matrix - np.array([0.0, 0.0, 5.0]), x, np.array([0]))
    assert result.success.all()
    assert 0 < result.l2[0] < 1e-2


def test_without_a_slope_it_stops_where_it_is() -> None:
    x = np.full((2, 3), 0.5)
    result = deepfool(lambda x: 0 * x, x, np.array([0, 1]))
    np.testing.assert_array_equal(result.x_adv, x)
    np.testing.assert_array_equal(result.iterations, 0)
    np.testing.assert_array_equal(result.success, [False, True])


@given(seed=seeds, size=st.integers(1, 9), norm=norms)
def test_no_example_weighs_on_another(seed, size, norm) -> None:
    (x, y), net = images(seed, dtype=np.float64), network(dtype="float64")
    whole, order = deepfool(net, x, y, norm=norm), np.random.default_rng(seed).permutation(7)
    for other, x_adv in (
        (deepfool(Victim(net, batch_size=size), x, y, norm=norm), whole.x_adv),
        (deepfool(net, x[order], y[order], norm=norm), whole.x_adv[order]),
        (deepfool(net, x[2:3], y[2:3], norm=norm), whole.x_adv[2:3]),
    ):
        np.testing.assert_allclose(other.x_adv, x_adv, atol=1e-9)
    np.testing.assert_array_equal(deepfool(net, x, y, norm=norm).x_adv, whole.x_adv)


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for goal in (y[:0], Targeted(y[:0])):
        result = deepfool(network(), x[:0], goal)
        assert (len(result), result.x_adv.shape, result.iterations.shape) == (0, (0, 1, 4, 4), (0,))


class Tired:
    """A network that is interrupted at one of its runs."""

    def __init__(self, net, run: int) -> None:
        self.net, self.left = net, run

    def __call__(self, x):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.net(x)


def test_an_interruption_keeps_what_there_is() -> None:
    """A walk that is ended in its third step is the walk of two."""
    (x, _), net = images(1, dtype=np.float64), network(dtype="float64")
    y = net(x).argmax(axis=1)
    result = deepfool(Tired(net, 4), x, y)
    assert result.params["interrupted"]
    assert result.iterations.max() == 2
    np.testing.assert_array_equal(result.x_adv, deepfool(net, x, y, steps=2).x_adv)
    assert not deepfool(net, x, y).params["interrupted"]


REFUSED = {
    "norm": ({"norm": "l1"}, r"a norm of \['l2', 'linf'\].*l1"),
    "steps": ({"steps": 0}, "number of steps, at least 1.*0"),
    "steps by halves": ({"steps": 2.5}, "steps.*2.5"),
    "overshoot": ({"overshoot": -0.1}, "overshoot.*-0.1"),
    "overshoot of NaN": ({"overshoot": np.nan}, "overshoot.*nan"),
    "candidates": ({"candidates": 0}, "candidates, at least 1.*0"),
    "candidates: all of them": ({"candidates": "all"}, "candidates.*all"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, message), (x, y), victim = REFUSED[name], images(0), Victim(network())
    with pytest.raises(RangeError, match=message) as caught:
        deepfool(victim, x, y, **options)
    assert isinstance(caught.value, MinidlError)
    assert (victim.forwards, victim.backwards) == (0, 0)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("DeepFool: the farthest boundary", line(attacks.minimal.deepfool, "_to_the_nearest", "distance.argmin(axis=0)", "xp.where(size > 0, distance, -xp.inf).argmax(axis=0)"), test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: the spread of the logits as they are now", line(attacks.minimal.deepfool, "deepfool", "abs(f), active.least)", "abs(f), LEAST_GAP * abs(f).max(axis=0))"), test_two_classes_and_pixels_at_the_bounds),
    Mutant("DeepFool: the least gap, whatever its slope", line(attacks.minimal.deepfool, "_to_the_nearest", "distance.argmin(axis=0)", "gap.argmin(axis=0)"), test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: L∞ gradients measured in L∞", line(attacks.minimal.deepfool, "_to_the_nearest", "NORMS[DUAL[norm]]", "NORMS[norm]"), test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: no overshoot", line(attacks.minimal.deepfool, "deepfool", "further = 1 + ", "further = 1 + 0 * "), test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: away from the target", line(attacks.minimal.deepfool, "_differences", "return goal.direction * ", "return "), test_a_target_is_reached_over_the_boundary_to_it_alone),
    Mutant("DeepFool: the first classes, not the likeliest", line(attacks.minimal.deepfool, "_differences", "others.argsort", "labelled.argsort"), test_it_succeeds_with_little),
    Mutant("DeepFool: overshoots every step anew", line(attacks.minimal.deepfool, "deepfool", " / further", ""), test_it_is_the_papers_algorithm),
    Mutant("DeepFool: a tie ends it", line(attacks.minimal.deepfool, "deepfool", "xp.maximum(abs(f), active.least)", "abs(f)"), test_a_tie_is_not_the_end),
    Mutant("DeepFool: never clipped", line(attacks.minimal.deepfool, "deepfool", "if clip else", "if False else"), test_bounds_and_honesty),
    Mutant("DeepFool: successful examples are attacked again", line(attacks.minimal.deepfool, "deepfool", "(f.max(axis=0) <= active.least)", "(f.max(axis=0) <= 99)"), test_it_succeeds_with_little),
]
# fmt: on
