"""Laws of every attack, and of the norms: bounds, budgets, honesty about success, and the linear closed form."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.bounded.fgsm
import attacks.common.norms
import attacks.common.result
import attacks.common.run
import attacks.common.victim
from attacks import AttackResult, Targeted, Untargeted, Victim, fgsm, sign_noise
from attacks.common.norms import NORMS, l0_length
from minidl import losses, models, ops
from minidl.core import unbox
from minidl.kernels import reference
from minidl.layers import Glorot
from minidl.testing import Mutant, arrays, line, shapes
from tests.laws.attacks.every_attack import ATTACKS

seeds = st.integers(0, 2**32 - 1)


def network(seed: int = 0, dtype: str = "float32") -> models.Sequential:
    return models.mlp((1, 4, 4), 5, (12,), bias=True, init_weights=Glorot(), seed=seed, dtype=dtype)


def images(seed: int, n: int = 7, dtype=np.float32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((n, 1, 4, 4)).astype(dtype), rng.integers(0, 5, n)


def other_targets(net, x, rng) -> np.ndarray:
    return (net(x).argmax(axis=-1) + rng.integers(1, 5, len(x))) % 5


def attack_anyhow(data, seed) -> AttackResult:
    """A drawn attack with drawn parameters."""
    net, (x, y) = network(seed % 100), images(seed)
    epsilon, clip = data.draw(st.floats(0, 1)), data.draw(st.booleans())
    goal = Targeted(other_targets(net, x, np.random.default_rng(seed))) if data.draw(st.booleans()) else Untargeted(y)
    if data.draw(st.booleans()):
        return sign_noise(net, x, goal, epsilon=epsilon, clip=clip, seed=seed)
    return fgsm(net, x, goal, epsilon=epsilon, clip=clip, norm=data.draw(st.sampled_from(sorted(NORMS))))


@given(data=st.data(), seed=seeds)
def test_bounds_budget_and_honesty(data, seed) -> None:
    result = attack_anyhow(data, seed)
    net, epsilon = network(seed % 100), result.params["epsilon"]
    assert result.x_adv.shape == result.x.shape
    assert result.x_adv.dtype == result.x.dtype
    if result.params["clip"]:
        assert result.x_adv.min() >= 0
        assert result.x_adv.max() <= 1
    length = getattr(result, result.params.get("norm", "linf"))
    pixels = 1 if result.params.get("norm", "linf") == "linf" else 16  # roundings that add up in a length
    assert (length <= epsilon + pixels * np.spacing(np.float32(1 + epsilon))).all()
    predicted = net(result.x_adv).argmax(axis=-1)
    np.testing.assert_array_equal(result.adv_pred, predicted)
    np.testing.assert_array_equal(result.clean_pred, net(result.x).argmax(axis=-1))
    wanted = predicted != result.goal.labels if isinstance(result.goal, Untargeted) else predicted == result.goal.labels
    np.testing.assert_array_equal(result.success, wanted)


@given(data=st.data(), seed=seeds)
def test_same_seed_same_bits(data, seed) -> None:
    x, y = images(seed)
    for attack in (fgsm, sign_noise):
        first, second = (attack(network(), x, y, epsilon=0.1, seed=seed) for _ in range(2))
        np.testing.assert_array_equal(first.x_adv, second.x_adv)
    assert not np.array_equal(sign_noise(network(), x, y, seed=1).x_adv, sign_noise(network(), x, y, seed=2).x_adv)


@given(seed=seeds)
def test_permuting_examples_permutes_results(seed) -> None:
    (x, y), order = images(seed, dtype=np.float64), np.random.default_rng(seed).permutation(7)
    net = network(dtype="float64")
    straight, permuted = fgsm(net, x, y), fgsm(net, x[order], y[order])
    np.testing.assert_array_equal(straight.x_adv[order], permuted.x_adv)


@given(seed=seeds, size=st.integers(1, 9))
def test_batching_changes_nothing(seed, size) -> None:
    (x, y), net = images(seed, dtype=np.float64), network(dtype="float64")
    for attack in (fgsm, sign_noise):
        whole, cut = attack(Victim(net), x, y, seed=3), attack(Victim(net, batch_size=size), x, y, seed=3)
        np.testing.assert_array_equal(whole.x_adv, cut.x_adv)
        assert (whole.forwards, whole.backwards) == (cut.forwards, cut.backwards)


@given(seed=seeds, epsilon=st.floats(0.01, 0.5))
def test_closed_form_on_a_logistic_regression(seed, epsilon) -> None:
    """FGSM moves w·x by exactly ε‖w‖₁ against the label; in L2 by ε‖w‖₂; in L1 by ε·max|w|."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=6), rng.random((4, 6))
    columns = np.stack([0 * w, w], axis=1)
    for label, sign in ((0, 1), (1, -1)):
        y = np.full(4, label)
        for norm, dual in (("linf", abs(w).sum()), ("l2", np.sqrt(w @ w)), ("l1", abs(w).max())):
            result = fgsm(lambda x: x @ columns, x, y, epsilon=epsilon, norm=norm, clip=False)
            np.testing.assert_allclose((result.x_adv - x) @ w, sign * epsilon * dual, rtol=1e-9)
    np.testing.assert_allclose(
        fgsm(lambda x: x @ columns, x, np.zeros(4, int), clip=False).x_adv, x + 0.25 * np.sign(w)
    )


@given(seed=seeds)
def test_a_small_step_raises_the_loss_and_a_targeted_one_lowers_it(seed) -> None:
    (x, y), net = images(seed, dtype=np.float64), network(dtype="float64")
    each = lambda x, labels: losses.cross_entropy(net(x), labels, "none")
    up = fgsm(net, x, y, epsilon=1e-5, clip=False)
    assert (each(up.x_adv, y) > each(x, y)).all()
    t = other_targets(net, x, np.random.default_rng(seed))
    down = fgsm(net, x, Targeted(t), epsilon=1e-5, clip=False)
    assert (each(down.x_adv, t) < each(x, t)).all()


def test_a_ladder_reuses_one_gradient() -> None:
    (x, y), victim = images(0), Victim(network())
    results = fgsm(victim, x, y, epsilon=[0.0, 0.1, 0.3])
    assert (victim.forwards, victim.backwards, victim.queries) == (7 * 4, 7, 7 * 3)  # one before, three after
    for result, epsilon in zip(results, (0.0, 0.1, 0.3)):
        alone = fgsm(network(), x, y, epsilon=epsilon)
        np.testing.assert_array_equal(result.x_adv, alone.x_adv)
        assert (result.forwards, result.backwards) == (alone.forwards, alone.backwards) == (14, 7)
        assert result.params["epsilon"] == epsilon
    np.testing.assert_array_equal(results[0].x_adv, x)
    assert fgsm(victim, x, y, epsilon=[]) == []


def test_no_more_than_two_parts_of_a_batch_are_on_record_at_a_time() -> None:
    """The last and the next one: memory is bounded by the victim's batch_size, however many images there are."""
    (x, y), made, most = images(0, n=40), [], [0]
    w = np.random.default_rng(0).normal(size=(16, 5))

    def watched(x):
        h = ops.exp(ops.reshape(x, (-1, 16)))
        made.append(weakref.ref(unbox(h)))
        most[0] = max(most[0], sum(ref() is not None for ref in made))
        return h @ w

    fgsm(Victim(watched, batch_size=4), x, y)
    assert len(made) == 10 + 10
    assert most[0] <= 2


def test_the_step_is_the_papers() -> None:
    """x + ε·sign(∇ₓJ) by the definition, and clipping only when asked for."""
    (x, y), net = images(1, dtype=np.float64), network(dtype="float64")
    step = 1e-6
    slope = np.empty_like(x)
    for i in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[i] = step
        slope[i] = losses.cross_entropy(net(x + moved), y, "sum") - losses.cross_entropy(net(x - moved), y, "sum")
    expected = x + 0.25 * np.sign(slope)
    np.testing.assert_allclose(fgsm(net, x, y, clip=False).x_adv, expected, rtol=1e-12)
    np.testing.assert_allclose(fgsm(net, x, y).x_adv, np.clip(expected, 0, 1), rtol=1e-12)


def test_the_victim_is_evaluated_and_differentiated_in_its_input_only() -> None:
    net = models.mlp((1, 4, 4), 5, (12,), dropout=(0.5, 0.5), init_weights=Glorot())
    before = {name: w.copy() for name, w in net.params.items()}
    (x, y), victim = images(0), Victim(net)
    np.testing.assert_array_equal(victim.gradient(x, Untargeted(y)), victim.gradient(x, Untargeted(y)))
    np.testing.assert_array_equal(victim.logits(x), net(x))
    assert all(np.array_equal(net.params[name], before[name]) for name in before)


def test_success_is_recomputed_and_counts_mistakes_made_without_help() -> None:
    net, (x, _) = network(), images(0)
    predicted = net(x).argmax(axis=-1)
    assert fgsm(net, x, (predicted + 1) % 5, epsilon=0).success.all()
    assert not fgsm(net, x, predicted, epsilon=0).success.any()


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for attack in (fgsm, sign_noise):
        result = attack(network(), x[:0], y[:0])
        assert len(result) == 0
        assert result.x_adv.shape == (0, 1, 4, 4)
        assert result.success.shape == result.l2.shape == result.linf.shape == result.iterations.shape == (0,)
        assert "0 examples" in result.summary()
        assert len(attack(network(), x[:0], Targeted(y[:0]), epsilon=[0.1, 0.2])) == 2


def test_noise_is_plus_or_minus_epsilon_everywhere() -> None:
    x, y = images(0, dtype=np.float64)
    result = sign_noise(network(dtype="float64"), x, y, epsilon=0.25, clip=False)
    np.testing.assert_allclose(abs(result.x_adv - x), 0.25)
    assert result.backwards == 0


def test_results_are_saved_and_loaded_whole(tmp_path) -> None:
    net, (x, _) = network(), images(3)
    goal = Targeted(other_targets(net, x, np.random.default_rng(0)))
    result = fgsm(net, x, goal, epsilon=0.1, norm="l2", seed=5)
    result.save(tmp_path / "result.npz")
    again = AttackResult.load(tmp_path / "result.npz")
    for name in ("x", "x_adv", "success", "clean_pred", "adv_pred", "iterations", "l0", "l1", "l2", "linf"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    assert isinstance(again.goal, Targeted)
    np.testing.assert_array_equal(again.goal.labels, goal.labels)
    assert (again.seed, again.params, again.forwards) == (5, result.params, result.forwards)
    assert again.summary() == result.summary()


# --- norms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NORMS)
@given(data=st.data(), epsilon=st.floats(0.01, 3))
def test_projection(name, data, epsilon) -> None:
    """Inside after projecting; already inside, untouched; idempotent; and no point inside is nearer."""
    norm, d = NORMS[name], data.draw(arrays((2, *data.draw(shapes(1, 2)))))
    projected = norm.project(d, epsilon)
    assert projected.shape == d.shape
    length = norm.length(projected)
    assert (length <= epsilon * (1 + 1e-12)).all()
    inside = norm.length(d) <= epsilon
    np.testing.assert_array_equal(projected[inside], d[inside])
    np.testing.assert_allclose(norm.project(projected, epsilon), projected, atol=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(5):  # the residual makes no acute angle with any direction that stays inside
        q = rng.normal(size=d.shape)
        q = q / norm.length(q).reshape(-1, *(1,) * (d.ndim - 1)) * epsilon
        angle = ((d - projected) * (q - projected)).reshape(2, -1).sum(axis=1)
        assert (angle <= 1e-9).all()


@pytest.mark.parametrize("name", NORMS)
@given(data=st.data())
def test_steepest_attains_the_dual_norm(name, data) -> None:
    norm, g = NORMS[name], data.draw(arrays((2, *data.draw(shapes(1, 2)))))
    direction, dual = norm.steepest(g), {"linf": "l1", "l2": "l2", "l1": "linf"}[name]
    np.testing.assert_allclose(norm.length(direction), 1, rtol=1e-12)
    np.testing.assert_allclose((g * direction).reshape(2, -1).sum(axis=1), NORMS[dual].length(g), rtol=1e-12)


def test_lengths_by_numpy() -> None:
    d = np.random.default_rng(0).normal(size=(3, 2, 4))
    flat = d.reshape(3, 8)
    for name, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
        np.testing.assert_allclose(NORMS[name].length(d), np.linalg.norm(flat, order, axis=1))
    np.testing.assert_array_equal(l0_length(np.where(d > 0, d, 0)), (flat > 0).sum(axis=1))


def test_tiny_and_zero_gradients() -> None:
    tiny = np.array([[3e-30, -4e-30], [0, 0]], np.float32)  # their squares vanish in float32
    np.testing.assert_allclose(NORMS["l2"].steepest(tiny), [[0.6, -0.8], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(NORMS["linf"].steepest(tiny), [[1, -1], [0, 0]])
    np.testing.assert_array_equal(NORMS["l1"].steepest(tiny), [[0, -1], [0, 0]])
    assert ops.sum(NORMS["l2"].project(tiny, 1.0)[1]) == 0


# --- examples that are there from the start ----------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ATTACKS if not name.startswith(("least_likely", "hopskipjump"))])
def test_examples_at_their_target_are_returned_unchanged(name) -> None:
    """They are successes after no step, and the other examples are attacked as without them.

    `least_likely` chooses the targets itself; `hopskipjump` has a law of its own: it needs images to start from.
    """
    net, (x, _) = network(), images(2)
    now = net(x).argmax(axis=-1)
    away = other_targets(net, x, np.random.default_rng(2))
    targets = np.where(np.arange(len(x)) % 3 == 1, now, away)
    there = targets == now

    def attacked(t: np.ndarray) -> AttackResult:
        return ATTACKS[name](Victim(net), x, Targeted(t), t, 1.0)

    result, others = attacked(targets), attacked(away)
    np.testing.assert_array_equal(result.x_adv[there], x[there])
    assert result.success[there].all()
    assert not result.iterations[there].any()
    assert f"{there.sum()} of them at their target from the start" in result.summary()
    np.testing.assert_allclose(result.x_adv[~there], others.x_adv[~there], atol=1e-5)  # batches of other sizes
    np.testing.assert_array_equal(result.iterations[~there], others.iterations[~there])


def test_misclassified_images_are_counted() -> None:
    net, (x, _) = network(), images(2)
    now = net(x).argmax(axis=-1)
    misread = np.arange(len(x)) % 3 == 1
    summary = fgsm(net, x, np.where(misread, (now + 1) % 5, now)).summary()
    assert f"{misread.sum()} of them misclassified from the start" in summary
    assert "from the start" not in fgsm(net, x, now).summary()


def targets_are_reached_downhill() -> None:
    x = np.random.default_rng(0).random((5, 1, 4, 4))
    net = network(dtype="float64")
    t = other_targets(net, x, np.random.default_rng(1))
    moved = attacks.bounded.fgsm.fgsm(Victim(net), x, Targeted(t), epsilon=1e-4, clip=False).x_adv
    assert (losses.cross_entropy(net(moved), t, "none") < losses.cross_entropy(net(x), t, "none")).all()


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("FGSM: downhill", line(attacks.bounded.fgsm, "fgsm", "run.gradient", "-run.gradient"), test_the_step_is_the_papers),
    Mutant("FGSM: targets as if untargeted", lambda patch: patch.setattr(Targeted, "direction", 1), targets_are_reached_downhill),
    Mutant("FGSM: the gradient, not its sign", line(reference, "sign_step", "xp.sign(g)", "g"), test_the_step_is_the_papers),
    Mutant("FGSM: never clipped", line(reference, "sign_step", "bounds is None", "True"), test_bounds_budget_and_honesty),
    Mutant("FGSM: always clipped", line(attacks.bounded.fgsm, "at_each_radius", "run.victim.bounds if clip else None", "run.victim.bounds"), test_the_step_is_the_papers),
    Mutant("result: success judged before the attack", line(attacks.common.run.Run, "end", "self.goal.achieved(adv_pred)", "self.goal.achieved(self.clean_pred)"), test_bounds_budget_and_honesty),
    Mutant("victim: pull-backs not counted", line(attacks.common.victim.LinearizedPart, "vjp", "self._victim.backwards += prod(g.shape[:-1])", ""), test_a_ladder_reuses_one_gradient),
    Mutant("FGSM: another run for the gradient", line(attacks.bounded.fgsm, "fgsm", "run.gradient", "run.victim.gradient(run.x, run.goal)"), test_a_ladder_reuses_one_gradient),
    Mutant("victim: all parts are kept", line(attacks.common.victim.Victim, "logits_and_gradient", "logits.append(lin.value)", "logits.append(lin.value)\n        vars(self).setdefault('kept', []).append(lin)"), test_no_more_than_two_parts_of_a_batch_are_on_record_at_a_time),
    Mutant("targets: examples at their target move", line(attacks.common.run.Run, "end", "xp.where(norms.per_example(unchanged, x_adv), self.given, x_adv)", "x_adv"), lambda: test_examples_at_their_target_are_returned_unchanged("fgsm, l2, to a target")),
    Mutant("targets: examples at their target count steps", line(attacks.common.run.Run, "end", "xp.where(unchanged, 0, iterations)", "iterations"), lambda: test_examples_at_their_target_are_returned_unchanged("fgsm, l2, to a target")),
    Mutant("noise: the seed forgotten", line(attacks.bounded.fgsm, "sign_noise", "random_signs(seed, run.x)", "random_signs(0, run.x)"), test_same_seed_same_bits),
    Mutant("L2: squares vanish", line(ops, "norm", "scale = xp.where((largest > 0) & xp.isfinite(largest), largest, 1)", "scale = xp.ones_like(largest)"), test_tiny_and_zero_gradients),
    Mutant("L1 projection: grows what is inside", line(attacks.common.norms, "l1_project", "return xp.where(l1_length(d)[:, None] > epsilon, lowered, rows).reshape(d.shape)", "return (xp.sign(rows) * xp.maximum(abs(rows) - theta, 0)).reshape(d.shape)"), lambda: test_projection("l1")),
]
# fmt: on
