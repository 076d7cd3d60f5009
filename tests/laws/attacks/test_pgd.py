"""Laws of BIM, PGD and least-likely: one loop, its budget, its first step, what it reaches on linear networks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attacks.bounded.pgd
import attacks.common.norms
import attacks.common.result
import attacks.common.run
import attacks.common.victim
from attacks import Targeted, Untargeted, Victim, bim, deepfool, fgsm, kurakin_steps, least_likely, pgd
from attacks.common.norms import NORMS
from attacks.common.objectives import OBJECTIVES
from minidl.errors import DTypeError, MinidlError, RangeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network, other_targets, seeds

norms, objectives = st.sampled_from(sorted(NORMS)), st.sampled_from(sorted(OBJECTIVES))


@given(data=st.data(), seed=seeds)
def test_bounds_budget_and_honesty(data, seed) -> None:
    net, (x, y) = network(seed % 100), images(seed)
    aimed = Targeted(other_targets(net, x, np.random.default_rng(seed)))
    attack, goal = data.draw(st.sampled_from([(bim, y), (bim, aimed), (pgd, y), (pgd, aimed), (least_likely, y)]))
    clip, norm, epsilon = data.draw(st.booleans()), data.draw(norms), data.draw(st.floats(0, 1))
    options = {"steps": data.draw(st.integers(1, 4)), "step": data.draw(st.none() | st.floats(0, 1))}
    if attack is not least_likely:
        options |= {"objective": data.draw(objectives), "early_stop": data.draw(st.booleans())}
    if attack is pgd:
        options |= {"restarts": data.draw(st.integers(1, 3)), "random_start": data.draw(st.booleans())}
    result = attack(net, x, goal, epsilon=epsilon, norm=norm, clip=clip, seed=seed, **options)
    assert (result.x_adv.shape, result.x_adv.dtype) == (x.shape, x.dtype)
    if clip:
        assert result.x_adv.min() >= 0
        assert result.x_adv.max() <= 1
    length = NORMS[norm].length(result.x_adv.astype(np.float64) - x)
    pixel = abs(result.x_adv).max(initial=1) if norm == "linf" else epsilon  # whose last place ε is known to
    assert (length <= epsilon + np.spacing(np.float32(pixel))).all()
    answers = net(result.x_adv).argmax(axis=-1)
    np.testing.assert_array_equal(result.adv_pred, answers)
    np.testing.assert_array_equal(result.success, result.goal.achieved(answers))
    assert (result.iterations <= options["steps"] * options.get("restarts", 1)).all()
    assert not result.params["interrupted"]


@given(seed=seeds, norm=st.sampled_from(["l2", "l1"]), epsilon=st.sampled_from([1.0, 20.0]))
def test_bytes_stay_in_the_ball_too(seed, norm, epsilon) -> None:
    """Pixels of up to 255 are rounded more coarsely than those of up to 1."""
    net, (x, y) = network(), images(seed)
    bytewise = Victim(lambda x: net(x / 255), bounds=(0, 255))
    x = (200 * x + 20).round()
    result = bim(bytewise, x, y, epsilon=epsilon, norm=norm, steps=5, step=epsilon)
    length = NORMS[norm].length(result.x_adv.astype(np.float64) - x)
    assert (length <= epsilon).all()
    assert (length > 0.99 * epsilon).all()


def test_half_precision_moves() -> None:
    net, (x, y) = network(), images(0)
    x = x.astype(np.float16)
    for norm in ("l2", "l1"):
        moved = bim(net, x, y, epsilon=0.01, norm=norm, steps=4).x_adv
        assert (moved != x).any(axis=(1, 2, 3)).all()


@given(seed=seeds, norm=norms, epsilon=st.floats(0.01, 1), clip=st.booleans(), targeted=st.booleans())
def test_fgsm_is_the_first_step(seed, norm, epsilon, clip, targeted) -> None:
    net, (x, y) = network(seed % 100), images(seed)
    goal = Targeted(other_targets(net, x, np.random.default_rng(seed))) if targeted else Untargeted(y)
    one = bim(net, x, goal, epsilon=epsilon, norm=norm, steps=1, clip=clip)
    np.testing.assert_allclose(one.x_adv, fgsm(net, x, goal, epsilon=epsilon, norm=norm, clip=clip).x_adv, atol=1e-6)
    if norm == "linf":
        np.testing.assert_array_equal(one.x_adv, fgsm(net, x, goal, epsilon=epsilon, clip=clip).x_adv)


def two_classes(seed: int, pixels: int = 6):
    """A linear network of two classes, of slope w between them; images; all of the first class by label."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=pixels), rng.random((4, pixels))
    columns = np.stack([0 * w, w], axis=1)
    return w, (lambda x: x @ columns), x, np.zeros(4, int)


@given(seed=seeds, epsilon=st.floats(0.01, 0.5), steps=st.integers(1, 9), norm=norms)
def test_bim_reaches_the_optimum_of_a_linear_network(seed, epsilon, steps, norm) -> None:
    """max ⟨w, d⟩ over ‖d‖ ≤ ε is ε times the dual norm of w."""
    w, net, x, y = two_classes(seed)
    dual = {"linf": abs(w).sum(), "l2": np.sqrt(w @ w), "l1": abs(w).max()}[norm]
    result = bim(net, x, y, epsilon=epsilon, norm=norm, steps=steps, clip=False)
    np.testing.assert_allclose((result.x_adv - x) @ w, epsilon * dual, rtol=1e-9)


@settings(max_examples=25)
@given(seed=seeds, epsilon=st.floats(0.01, 0.5), clip=st.booleans())
def test_pgd_reaches_it_from_anywhere(seed, epsilon, clip) -> None:
    w, net, x, y = two_classes(seed)
    result = pgd(net, x, y, epsilon=epsilon, steps=10, early_stop=False, seed=seed, clip=clip)
    best = x + epsilon * np.sign(w)
    np.testing.assert_allclose(result.x_adv, np.clip(best, 0, 1) if clip else best, atol=1e-12)
    far = pgd(
        net, x, y, epsilon=epsilon, norm="l2", steps=200, step=epsilon / 4, early_stop=False, seed=seed, clip=False
    )
    np.testing.assert_allclose((far.x_adv - x) @ w, epsilon * np.sqrt(w @ w), rtol=1e-6)


@given(seed=seeds, epsilon=st.floats(0.01, 3))
def test_a_step_in_l1_is_the_best_within_the_bounds(seed, epsilon) -> None:
    """No random point of the ball and the bounds lies higher, and as much is spent as can be."""
    w, net, x, y = two_classes(seed)
    x = np.where(np.random.default_rng(seed).random(x.shape) < 0.3, np.round(x), x)  # some pixels can't move on
    moved = bim(net, x, y, epsilon=epsilon, norm="l1", steps=1).x_adv
    room = np.where(w > 0, 1 - x, x).sum(axis=1)
    np.testing.assert_allclose(abs(moved - x).sum(axis=1), np.minimum(epsilon, room), atol=1e-12)
    for other in np.random.default_rng(seed).random((50, *x.shape)):
        toward = other - x
        toward *= np.minimum(1, epsilon / abs(toward).sum(axis=1, keepdims=True))
        assert (toward @ w <= (moved - x) @ w + 1e-12).all()


@settings(max_examples=25)
@given(seed=seeds, norm=norms)
def test_examples_do_not_depend_on_each_other(seed, norm) -> None:
    net, (x, y), (others, _) = (
        network(dtype="float64"),
        images(seed, dtype=np.float64),
        images(seed + 1, dtype=np.float64),
    )
    others[3] = x[3]
    for attack, options in ((bim, {"early_stop": True}), (pgd, {"restarts": 2}), (least_likely, {})):
        with_some, with_others = (
            attack(net, v, y, epsilon=0.1, norm=norm, steps=3, seed=seed, **options) for v in (x, others)
        )
        np.testing.assert_allclose(with_some.x_adv[3], with_others.x_adv[3], atol=1e-12)
        assert with_some.iterations[3] == with_others.iterations[3]
        small = attack(Victim(net, batch_size=2), x, y, epsilon=0.1, norm=norm, steps=3, seed=seed, **options)
        np.testing.assert_allclose(with_some.x_adv, small.x_adv, atol=1e-12)


@settings(max_examples=25)
@given(seed=seeds)
def test_permuting_examples_permutes_results(seed) -> None:
    (x, y), order = images(seed, dtype=np.float64), np.random.default_rng(seed).permutation(7)
    net = network(dtype="float64")
    for attack in (bim, least_likely):
        straight, permuted = attack(net, x, y, steps=3), attack(net, x[order], y[order], steps=3)
        np.testing.assert_allclose(straight.x_adv[order], permuted.x_adv, atol=1e-12)


def near_the_boundary(seed: int, dtype=np.float64):
    """Images with the labels that the network gives them, so that none has fallen before the attack."""
    net, (x, _) = network(dtype="float64"), images(seed, n=20, dtype=dtype)
    return net, x, net(x).argmax(axis=-1)


@settings(max_examples=25)
@given(seed=seeds, norm=norms)
def test_restarts_attack_only_what_is_not_yet_successful(seed, norm) -> None:
    net, x, y = near_the_boundary(seed)
    epsilon = {"linf": 0.05, "l2": 0.2, "l1": 0.5}[norm]
    runs = [
        pgd(net, x, y, epsilon=epsilon, norm=norm, steps=2, step=epsilon / 10, restarts=r, seed=seed) for r in (1, 2, 4)
    ]
    for fewer, more in pairwise(runs):
        assert (more.success >= fewer.success).all()
        np.testing.assert_array_equal(more.x_adv[fewer.success], fewer.x_adv[fewer.success])
        np.testing.assert_array_equal(more.iterations[fewer.success], fewer.iterations[fewer.success])
    standing = ~runs[0].success
    assert (runs[1].iterations[standing] >= runs[0].iterations[standing]).all()  # equal if a start is a success
    assert (runs[1].x_adv[standing] != runs[0].x_adv[standing]).any(axis=(1, 2, 3)).all()
    # predictions: before, after, and between restarts; a run for every step, and one for noticing a success
    first, second = ((r.forwards, int(r.iterations.sum())) for r in runs[:2])
    assert first[0] <= 2 * 20 + first[1] + 20
    assert second[0] <= first[0] + 20 + (second[1] - first[1]) + 20


@settings(max_examples=25)
@given(seed=seeds, norm=norms)
def test_successes_at_a_smaller_radius_stay_successes(seed, norm) -> None:
    net, x, y = near_the_boundary(seed)
    radii = [0.2, 0.02, 0.08]
    victim = Victim(net)
    results = pgd(victim, x, y, epsilon=radii, norm=norm, steps=3, seed=seed)
    assert [r.params["epsilon"] for r in results] == radii
    large, small, middle = results
    for less, more in ((small, middle), (middle, large)):
        assert (more.success >= less.success).all()
        np.testing.assert_array_equal(more.x_adv[less.success], less.x_adv[less.success])
    alone = pgd(net, x, y, epsilon=0.02, norm=norm, steps=3, seed=seed)
    np.testing.assert_array_equal(small.x_adv, alone.x_adv)
    still = ~middle.success  # attacked anew, from the ball of this radius
    fresh = pgd(net, x, y, epsilon=0.2, norm=norm, steps=3, seed=seed)
    np.testing.assert_allclose(large.x_adv[still], fresh.x_adv[still], atol=1e-12)
    np.testing.assert_array_equal(large.iterations[still], fresh.iterations[still])
    assert victim.forwards < 3 * 20 * 6


def test_without_early_stop_every_radius_is_a_run_of_its_own() -> None:
    net, (x, y) = network(), images(3)
    for attack in (bim, least_likely):
        for result, epsilon in zip(attack(net, x, y, epsilon=[0.2, 0.1], steps=3), (0.2, 0.1)):
            alone = attack(net, x, y, epsilon=epsilon, steps=3)
            np.testing.assert_array_equal(result.x_adv, alone.x_adv)
            assert (result.iterations == 3).all()
    assert bim(net, x, y, epsilon=[]) == []
    again = {"steps": 3, "restarts": 2, "early_stop": False}
    for result, epsilon in zip(pgd(net, x, y, epsilon=[0.2, 0.1], **again), (0.2, 0.1)):
        np.testing.assert_array_equal(result.x_adv, pgd(net, x, y, epsilon=epsilon, **again).x_adv)
    twice = pgd(net, x, y, epsilon=[0.1, 0.1], steps=2)
    np.testing.assert_array_equal(twice[0].x_adv, twice[1].x_adv)


@given(seed=seeds)
def test_same_seed_same_bits(seed) -> None:
    (x, y), net = images(seed), network()
    first, second, third = (
        pgd(net, x, y, epsilon=0.01, steps=2, step=0.001, early_stop=False, seed=s) for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first.x_adv, second.x_adv)
    assert (first.x_adv != third.x_adv).any(axis=(1, 2, 3)).all()


@given(seed=seeds)
def test_early_stop_leaves_alone_what_needs_nothing(seed) -> None:
    net, (x, y) = network(), images(seed)
    needless = net(x).argmax(axis=-1) != y
    result = pgd(net, x, y, steps=3)
    np.testing.assert_array_equal(result.x_adv[needless], x[needless])
    assert (result.iterations[needless] == 0).all()


@settings(max_examples=25)
@given(seed=seeds)
def test_early_stop_is_at_the_first_success(seed) -> None:
    net, x, y = near_the_boundary(seed)
    each = [bim(net, x, y, epsilon=0.2, steps=n, step=0.02) for n in range(1, 6)]
    stopped = bim(net, x, y, epsilon=0.2, steps=5, step=0.02, early_stop=True)
    ever = np.stack([result.success for result in each])
    first = np.where(ever.any(axis=0), ever.argmax(axis=0), 4)
    np.testing.assert_array_equal(stopped.success, ever.any(axis=0))
    np.testing.assert_array_equal(stopped.iterations, first + 1)
    expected = np.stack([result.x_adv for result in each])[first, np.arange(20)]
    np.testing.assert_allclose(stopped.x_adv, expected, atol=1e-12)


@given(seed=seeds)
def test_least_likely_goes_to_the_least_likely(seed) -> None:
    net, (x, _) = network(seed % 100, "float64"), images(seed, dtype=np.float64)
    logits = net(x)
    y, least = logits.argmax(axis=-1), logits.argmin(axis=-1)
    mine, theirs = least_likely(net, x, y, epsilon=0.2, steps=4), bim(net, x, Targeted(least), epsilon=0.2, steps=4)
    np.testing.assert_array_equal(mine.x_adv, theirs.x_adv)
    np.testing.assert_array_equal(mine.success, mine.adv_pred != y)


def test_the_papers_number_of_steps() -> None:
    assert [kurakin_steps(e) for e in (0, 1, 2, 4, 8, 16, 20, 32, 64)] == [0, 2, 3, 5, 10, 20, 24, 36, 68]


@settings(max_examples=20)
@given(seed=seeds, norm=norms)
def test_random_starts_are_uniform_in_the_ball(seed, norm) -> None:
    """The share of a ball of radius r·ε is r^M; draws do not depend on how many examples there are."""
    x, epsilon = np.zeros((4000, 3)), 0.7
    d = NORMS[norm].random(seed, x, epsilon)
    length = NORMS[norm].length(d) / epsilon
    assert length.max() <= 1
    share = np.sort(length**3)
    assert abs(share - np.arange(1, 4001) / 4000).max() < 1.95 / np.sqrt(4000)  # Kolmogorov and Smirnov, p = .001
    assert abs(d.mean(axis=0)).max() < 5 * d.std() / np.sqrt(4000)
    np.testing.assert_array_equal(NORMS[norm].random(seed, x[:5], epsilon), d[:5])
    for dtype in (np.float32, np.float16):
        assert NORMS[norm].random(seed, x[:5].astype(dtype), epsilon).dtype == dtype


@pytest.mark.parametrize("attack", [bim, pgd, least_likely])
def test_empty_and_single_batches(attack) -> None:
    net, (x, y) = network(), images(0)
    for norm in NORMS:
        nothing = attack(net, x[:0], y[:0], norm=norm)
        assert (len(nothing), nothing.x_adv.shape, nothing.iterations.shape) == (0, (0, 1, 4, 4), (0,))
        one = attack(net, x[:1], y[:1], norm=norm, steps=2, epsilon=[0.1, 0.2])
        assert [len(r) for r in one] == [1, 1]


class Impatient(Victim):
    """Somebody presses Ctrl-C at the third pull-back."""

    def linearize(self, x):
        if self.backwards >= 2 * len(x):
            raise KeyboardInterrupt
        return super().linearize(x)


@pytest.mark.parametrize("attack", [bim, least_likely])
def test_ctrl_c_keeps_what_is_done(attack) -> None:
    net, (x, y) = network(), images(0)
    whole = attack(net, x, y, epsilon=0.2, steps=8, step=0.02)
    results = attack(Impatient(net), x, y, epsilon=[0.2, 0.3], steps=8, step=0.02)
    for result in results:
        assert result.params["interrupted"]
        assert (result.iterations == 2).all()
        assert result.linf.max() <= 0.04 + 1e-6
        assert (result.linf > 0.03).all()
    assert not whole.params["interrupted"]


class Hesitant(Victim):
    """Somebody presses Ctrl-C while the result is judged."""

    pressed = False

    def predict(self, x):
        if self.backwards and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return super().predict(x)


def test_ctrl_c_during_the_last_prediction_loses_nothing() -> None:
    net, (x, _) = network(), images(0)
    y = net(x).argmax(axis=-1)
    for attack in (bim, deepfool):
        try:
            result, whole = attack(Hesitant(net), x, y, steps=3), attack(net, x, y, steps=3)
        except KeyboardInterrupt:
            pytest.fail(f"{attack.__name__} lost what it had found")
        np.testing.assert_array_equal(result.x_adv, whole.x_adv)
        np.testing.assert_array_equal(result.success, whole.success)
        assert result.params["interrupted"]


def test_what_is_run_before_ctrl_c_is_counted() -> None:
    net, (x, y) = network(), images(0)
    calls = []

    def impatient(x):
        if len(calls) == 5:
            raise KeyboardInterrupt
        calls.append(len(x))
        return net(x)

    victim = Victim(impatient, batch_size=3)
    victim.logits(x)
    with pytest.raises(KeyboardInterrupt):
        victim.logits_and_gradient(x, Untargeted(y))
    assert victim.forwards == sum(calls) == 7 + 6
    assert victim.backwards == 6


BAD = {
    "steps": {"steps": 0}, "half a step": {"steps": 1.5}, "step": {"step": -0.1}, "norm": {"norm": "l7"},
    "nan": {"step": float("nan")}, "epsilon": {"epsilon": [0.1, -0.1]}, "truth": {"steps": True}, "seed": {"seed": -1},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("attack", [bim, pgd, least_likely])
def test_refusals(attack, name) -> None:
    victim, (x, y) = Victim(network()), images(0)
    with pytest.raises(RangeError) as caught:
        attack(victim, x, y, **BAD[name])
    assert caught.value.expected
    assert victim.forwards == 0


def test_more_refusals() -> None:
    net, (x, y) = network(), images(0)
    for options in ({"objective": "loss"}, {"restarts": 0}, {"restarts": 1.0}):
        with pytest.raises(RangeError):
            pgd(net, x, y, **options)
    with pytest.raises(DTypeError, match="Targeted"):
        least_likely(net, x, Targeted(y))
    with pytest.raises(MinidlError):
        pgd(net, x + 1, y)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("BIM: never projected", line(attacks.common.norms, "linf_move", "origin, epsilon)", "None, epsilon)"), test_bounds_budget_and_honesty),
    Mutant("BIM: steps too short", line(attacks.bounded.pgd, "bim", "1.0, objective", "0.9, objective"), test_bim_reaches_the_optimum_of_a_linear_network),
    Mutant("BIM: from where it stands, not from the image", line(attacks.bounded.pgd, "projected_gradient_steps", "size, active.origin)", "size, active.x)"), test_bounds_budget_and_honesty),
    Mutant("least likely: the likeliest", line(attacks.bounded.pgd, "least_likely", "argmin", "argmax"), test_least_likely_goes_to_the_least_likely),
    Mutant("PGD: every restart from one point", line(attacks.bounded.pgd, "_within", "run.key(restart)", "run.key(0)"), test_restarts_attack_only_what_is_not_yet_successful),
    Mutant("PGD: successful examples are attacked again", line(attacks.bounded.pgd, "_within", "if restart:", "if False:"), test_restarts_attack_only_what_is_not_yet_successful),
    Mutant("PGD: successes are forgotten at the next radius", line(attacks.bounded.pgd, "_at_each_radius", "if schedule.early_stop:", "if False:"), test_successes_at_a_smaller_radius_stay_successes),
    Mutant("PGD: one start for all seeds", line(attacks.common.run.Run, "key", "self.seed", "0"), test_same_seed_same_bits),
    Mutant("PGD: successes of one radius are missing at the next", line(attacks.bounded.pgd, "_within", "remaining = ActiveSet(examples.rows, origin=examples.gather(run.x))", "remaining = examples; examples.origin = examples.gather(run.x)"), test_without_early_stop_every_radius_is_a_run_of_its_own),
    Mutant("PGD: successes go on", line(attacks.bounded.pgd, "projected_gradient_steps", "run is not None and schedule.early_stop", "False"), test_early_stop_is_at_the_first_success),
    Mutant("Ctrl-C is not reported", lambda patch: patch.setattr(attacks.common.run.Run, "interrupted", property(lambda run: False, lambda run, value: None), raising=False), lambda: test_ctrl_c_keeps_what_is_done(attacks.bim)),
    Mutant("Ctrl-C during the last prediction loses the result", line(attacks.common.run.Run, "end", "if self.interrupted is None:", "if True:"), test_ctrl_c_during_the_last_prediction_loses_nothing),
    Mutant("victim: runs counted when all are done", line(attacks.common.victim.LinearizedPart, "__init__", "victim.forwards += len(x)", ""), test_what_is_run_before_ctrl_c_is_counted),
    Mutant("ball: bytes rounded like numbers below 1", line(attacks.common.norms, "_stay", "roundings = size * ", "roundings = "), test_bytes_stay_in_the_ball_too),
    Mutant("steps: rounded down", line(attacks.bounded.pgd, "kurakin_steps", "math.ceil", "math.floor"), test_the_papers_number_of_steps),
    Mutant("L1 step: the bounds forgotten", line(attacks.common.norms, "l1_move", "bounds is None or not x.size", "True"), test_a_step_in_l1_is_the_best_within_the_bounds),
    Mutant("L1 step: from the least steep", line(attacks.common.norms, "l1_move", "[:, ::-1]", ""), test_a_step_in_l1_is_the_best_within_the_bounds),
    Mutant("random start: on the sphere", line(attacks.common.norms, "_exponential", "-xp.log", "0 * xp.log"), test_random_starts_are_uniform_in_the_ball),
    Mutant("random start: variance 1", line(attacks.common.norms, "l2_random", " * 0.5**0.5", ""), test_random_starts_are_uniform_in_the_ball),
]
# fmt: on
