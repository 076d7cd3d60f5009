"""Laws of Auto-PGD: Algorithm 1 line by line, budgets, and that more attempts never do worse."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import attacks.bounded.apgd
import attacks.common.norms
from attacks import Targeted, Untargeted, Victim, pgd
from attacks.bounded.apgd import UntargetedVia, drawn, targeted_dlr
from attacks.bounded.square import square
from attacks.common.active_set import ActiveSet
from attacks.common.norms import NORMS
from attacks.common.objectives import OBJECTIVES, margin
from attacks.common.run import begin
from minidl.errors import MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.plain_twins import page
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.attacks.test_every_attack import images, network, other_targets
from tests.laws.attacks.test_square import steps_network

seeds = st.integers(0, 2**32 - 1)
norms = st.sampled_from(["linf", "l2"])
names = st.sampled_from(["cross_entropy", "margin", "dlr"])
apgd = partial(attacks.bounded.apgd.apgd, queries=0)  # what the random search adds has laws of its own, below


@given(seed=seeds, norm=norms, name=names, targeted=st.booleans(), steps=st.sampled_from([1, 20, 50]))
@example(seed=0, norm="linf", name="cross_entropy", targeted=True, steps=20)  # where condition 2 decides
def test_it_is_the_papers_algorithm(seed, norm, name, targeted, steps) -> None:
    """Algorithm 1 in plain loops, on every objective and in both norms: the same images, to 1e-7."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, 3, dtype=np.float64)
    goal, epsilon = Untargeted(net(x).argmax(axis=1)), 0.05 if norm == "linf" else 0.2
    if targeted:
        goal = Targeted(other_targets(net, x, np.random.default_rng(seed)))
    result = apgd(net, x, goal, epsilon=epsilon, norm=norm, objective=name, steps=steps, seed=seed)
    start = x + drawn(NORMS[norm], begin("law", net, x, goal, seed).key(0), x, epsilon)
    for i in range(len(x)):
        one = goal.take(slice(i, i + 1))

        def project(point, origin=x[i]):
            d = point - origin
            d = np.clip(d, -epsilon, epsilon) if norm == "linf" else d * min(1, epsilon / np.sqrt((d**2).sum()))
            return np.clip(origin + d, 0, 1)

        expected = page("apgd").ascend(
            lambda x, one=one: OBJECTIVES[name](one, net(x[None]))[0], project, project(start[i]), 2 * epsilon, steps,
            lambda x, one=one: one.achieved(net(x[None]).argmax(axis=1))[0],
            np.sign if norm == "linf" else lambda g: g / np.sqrt((g**2).sum()))  # fmt: skip
        np.testing.assert_allclose(result.x_adv[i], expected, atol=1e-7)  # each step magnifies the roundings before


@given(rises=st.integers(0, 12), steps=st.integers(0, 12), halved=st.booleans(), gained=st.booleans())
def test_both_conditions_halve_the_step(rises, steps, halved, gained) -> None:
    one, x = np.ones(1), np.zeros((1, 2))
    walk = ActiveSet(np.arange(1), x=x, gradient=x, f=3 * one, x_max=x + 1, gradient_max=x + 2, f_max=5 * one, eta=0.8 * one,
                     rises=rises * np.arange(1, 2), halved=np.array([halved]), f_max_then=(4 if gained else 5) * one)  # fmt: skip
    back = rises < 0.75 * steps or (not halved and not gained)
    attacks.bounded.apgd.halve_where_stuck(walk, steps)
    expected = (1, 2, 5, 0.4) if back else (0, 0, 3, 0.8)
    assert (walk.x[0, 0], walk.gradient[0, 0], walk.f[0], walk.eta[0]) == expected
    assert (walk.halved[0], walk.rises[0], walk.f_max_then[0]) == (back, 0, 5)


@pytest.mark.parametrize(("steps", "expected"), [
    (100, [0, 22, 41, 57, 70, 80, 87, 93, 99]), (20, [0, 5, 9, 12, 14, 16, 18, 19, 20]), (1, [0, 1])])  # fmt: skip
def test_checkpoints_are_the_papers(steps, expected) -> None:
    assert attacks.bounded.apgd.checkpoints(steps) == expected


@given(seed=seeds, norm=norms, epsilon=st.floats(0, 0.5), targeted=st.booleans(), options=st.sampled_from(
    [{"queries": 5}, {"objective": "margin"}, {"objective": ("dlr", "cross_entropy"), "restarts": 2}, {"targets": 2}]))  # fmt: skip
def test_bounds_budget_and_honesty(seed, norm, epsilon, targeted, options) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    goal = Targeted(other_targets(net, x, np.random.default_rng(seed))) if targeted else Untargeted(y)
    victim, before = Victim(net), x.copy()
    result = apgd(victim, x, goal, epsilon=epsilon, norm=norm, steps=6, seed=seed, **options)
    assert result.x_adv.dtype == np.float32
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
    assert (getattr(result, norm) <= epsilon + np.spacing(np.float32(1 + epsilon))).all()
    np.testing.assert_array_equal(result.success, goal.achieved(net(result.x_adv).argmax(axis=1)))
    done = goal.achieved(result.clean_pred)
    np.testing.assert_array_equal(result.x_adv[done], x[done])
    assert (result.iterations[done] == 0).all()
    assert (result.forwards, result.backwards) == (victim.forwards, victim.backwards)
    np.testing.assert_array_equal(x, before)


@given(seed=seeds, norm=norms, name=names)
def test_a_failure_is_never_worse_than_its_start(seed, norm, name) -> None:
    net, (x, _) = network(seed % 50, "float64"), images(seed, dtype=np.float64)
    goal, epsilon = Untargeted(net(x).argmax(axis=1)), 0.02
    result = apgd(net, x, goal, epsilon=epsilon, norm=norm, objective=name, steps=5, seed=seed)
    start = x + drawn(NORMS[norm], begin("law", net, x, goal, seed).key(0), x, epsilon)
    f = lambda x: OBJECTIVES[name](goal, net(x))
    assert (f(result.x_adv) >= f(np.clip(start, 0, 1)) - 1e-12)[~result.success].all()


@given(seed=seeds, norm=norms, radii=st.lists(st.floats(0.01, 0.3), min_size=2, max_size=3, unique=True))
def test_more_attempts_and_larger_radii_never_do_worse(seed, norm, radii) -> None:
    net, (x, _) = network(seed % 50, "float64"), images(seed, 12, np.float64)
    goal, options = Untargeted(net(x).argmax(axis=1)), {"norm": norm, "steps": 4, "seed": seed}
    one, three = (apgd(net, x, goal, epsilon=0.05, restarts=n, objective="margin", **options) for n in (1, 3))
    assert (three.success >= one.success).all()
    assert (margin(goal, net(three.x_adv)) >= margin(goal, net(one.x_adv)) - 1e-9)[~three.success].all()
    np.testing.assert_array_equal(three.x_adv[one.success], one.x_adv[one.success])
    several = apgd(net, x, goal, epsilon=0.05, objective=("margin", "dlr"), **options)
    assert (several.success >= one.success).all()
    by_radius = dict(zip(radii, apgd(net, x, goal, epsilon=radii, **options)))
    for less, more in zip(sorted(radii), sorted(radii)[1:]):
        assert (by_radius[more].success >= by_radius[less].success).all()
    assert [by_radius[r].params["epsilon"] for r in radii] == radii
    first = apgd(net, x, goal, epsilon=min(radii), **options)
    np.testing.assert_array_equal(first.x_adv, by_radius[min(radii)].x_adv)


def test_random_search_gets_what_slopes_do_not() -> None:
    """On a network of steps.  Each radius starts with the examples that are not yet successful; successes stay."""
    x = np.random.default_rng(1).random((20, 1, 4, 4))
    y = steps_network(x).argmax(axis=1)
    options = {"steps": 3, "objective": ("cross_entropy", "margin")}
    slopes, both = (apgd(steps_network, x, y, epsilon=0.1, queries=queries, **options) for queries in (0, 100))
    assert not slopes.success.all()
    assert both.success.sum() > slopes.success.sum()
    for name in ("x_adv", "iterations"):
        np.testing.assert_array_equal(getattr(both, name)[slopes.success], getattr(slopes, name)[slopes.success])
    goal = Untargeted(y)
    stripes = apgd(steps_network, x, y, epsilon=0.1, queries=1, **options)
    for more in (both, stripes):
        assert (margin(goal, steps_network(more.x_adv)) >= margin(goal, steps_network(slopes.x_adv))).all()
    np.testing.assert_array_equal(both.iterations[~both.success], 2 * 3 + 100)
    alone = square(steps_network, x, y, epsilon=0.1, queries=100)
    np.testing.assert_array_equal(both.success, slopes.success | alone.success)
    for left_out in (apgd(steps_network, x, y, epsilon=0.1, norm="l2", queries=100, **options),
                     apgd(steps_network, x.reshape(20, 16), y, epsilon=0.1, queries=100, **options)):  # fmt: skip
        assert left_out.params["queries"] == 0
        assert left_out.iterations.max() <= 2 * 3


def test_random_search_climbs_the_ladder_too() -> None:
    x = np.random.default_rng(1).random((20, 1, 4, 4))
    y = steps_network(x).argmax(axis=1)
    less, more = apgd(steps_network, x, y, epsilon=[0.05, 0.1], steps=1, objective="margin", queries=30)
    assert 0 < less.success.sum() < more.success.sum()
    np.testing.assert_array_equal(more.x_adv[less.success], less.x_adv[less.success])
    assert (less.linf <= 0.05 + 1e-9).all()


@given(seed=seeds)
def test_targeted_ratio_is_eq_7(seed) -> None:
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(6, 5)), rng.integers(0, 5, 6)
    t = (y + rng.integers(1, 5, 6)) % 5
    for i, falling in enumerate(-np.sort(-z, axis=1)):
        expected = -(z[i, y[i]] - z[i, t[i]]) / (falling[0] - (falling[2] + falling[3]) / 2)
        np.testing.assert_allclose(targeted_dlr(UntargetedVia(y, t), z)[i], expected, rtol=1e-9)
    taken = UntargetedVia(y, t).take(slice(2, 4))
    np.testing.assert_array_equal(taken.targets, t[2:4])
    np.testing.assert_array_equal(taken.achieved(y[2:4]), False)


def test_targets_are_the_likeliest_others_in_turn() -> None:
    """Each attempt raises another logit: where only the last can win, the image falls to the last of them alone."""
    matrix = np.zeros((16, 5))
    matrix[:, 3] = 1.0  # all pixels speak for class 3, and for no other; few corners of the ball speak loud enough
    net = lambda x: (x - 0.5) @ matrix + np.array([5.0, 4.0, 3.0, 0.0, -9.0])
    x, y = np.full((1, 16), 0.5), np.zeros(1, int)
    options = {"epsilon": 0.4, "objective": "targeted_dlr", "steps": 5}
    assert not apgd(net, x, y, targets=2, **options).success.any()
    result = apgd(net, x, y, targets=3, **options)
    assert result.success.all()
    assert result.adv_pred[0] == 3


def test_it_finds_what_plain_steps_find_and_more() -> None:
    """On a network of ReLUs, against PGD with as many steps from as many starts."""
    net, (x, _) = network(3), images(5, 200)
    y = net(x).argmax(axis=1)
    for norm, epsilon in (("linf", 0.1), ("l2", 0.35)):
        plain = pgd(net, x, y, epsilon=epsilon, norm=norm, steps=50, restarts=3)
        ours = apgd(net, x, y, epsilon=epsilon, norm=norm, steps=50)
        assert 0.2 < plain.success.mean() < 0.9
        assert ours.success.mean() >= plain.success.mean()


@given(seed=seeds, size=st.integers(1, 9), norm=norms)
def test_no_example_weighs_on_another(seed, size, norm) -> None:
    (x, y), net = images(seed, dtype=np.float64), network(dtype="float64")
    options = {"epsilon": 0.1, "norm": norm, "steps": 5, "objective": "margin", "seed": 3}
    whole = apgd(net, x, y, **options)
    cut, few = apgd(Victim(net, batch_size=size), x, y, **options), apgd(net, x[:3], y[:3], **options)
    np.testing.assert_allclose(cut.x_adv, whole.x_adv, atol=1e-9)
    np.testing.assert_allclose(few.x_adv, whole.x_adv[:3], atol=1e-9)
    np.testing.assert_array_equal(apgd(net, x, y, **options).x_adv, whole.x_adv)


def test_starts_are_drawn_anew_for_every_seed() -> None:
    (x, _), net = images(1, dtype=np.float64), network(dtype="float64")
    options = {"epsilon": 0.02, "norm": "l2", "steps": 1, "objective": "margin"}
    first, other, again = (apgd(net, x, net(x).argmax(axis=1), seed=seed, **options).x_adv for seed in (0, 1, 0))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2, 3)).all()


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for goal in (y[:0], Targeted(y[:0])):
        result = apgd(network(), x[:0], goal)
        assert (len(result), result.x_adv.shape, result.iterations.shape) == (0, (0, 1, 4, 4), (0,))
        assert len(apgd(network(), x[:0], goal, epsilon=[0.1, 0.2])) == 2


def test_an_interruption_keeps_what_there_is() -> None:
    (x, _), net = images(1, dtype=np.float64), network(dtype="float64")
    y, options = net(x).argmax(axis=1), {"epsilon": 0.02, "objective": "margin", "seed": 0}
    result = apgd(Tired(net, 5), x, y, **options)  # the predictions before, the start, two steps
    assert result.params["interrupted"]
    assert result.iterations.max() == 2
    start = x + drawn(NORMS["linf"], begin("law", net, x, y, 0).key(0), x, 0.02)
    goal = Untargeted(y)
    assert (margin(goal, net(result.x_adv)) > margin(goal, net(np.clip(start, 0, 1)))).all()
    assert not apgd(net, x, y, steps=2, **options).params["interrupted"]
    searched = apgd(Tired(net, 3 + 5), x, y, steps=1, queries=9, **options)  # before; two for a step, its end; four
    assert searched.params["interrupted"]
    assert searched.iterations.max() == 1 + 3
    less, more = apgd(Tired(net, 5), x, y, **options | {"epsilon": [0.01, 0.02]})
    assert less.params["interrupted"]
    assert more.x_adv is not less.x_adv
    less.x_adv[:] = 0
    assert more.x_adv.any()


REFUSED = {
    "epsilon": ({"epsilon": -0.1}, RangeError, "epsilon of at least 0.*-0.1"),
    "norm": ({"norm": "l1"}, RangeError, r"a norm of \['linf', 'l2'\].*l1"),
    "steps": ({"steps": 0}, RangeError, "number of steps, at least 1.*0"),
    "restarts": ({"restarts": 1.5}, RangeError, "restarts, at least 1.*1.5"),
    "targets": ({"targets": True}, RangeError, "targets, at least 1.*True"),
    "queries": ({"queries": -1}, RangeError, "queries, at least 0.*-1"),
    "half a query": ({"queries": 0.5}, RangeError, "queries, at least 0.*0.5"),
    "objective": ({"objective": "loss"}, RangeError, "objectives of.*targeted_dlr.*loss"),
    "objectives": ({"objective": ("margin", "loss")}, RangeError, "objectives of.*loss"),
    "objective of no kind": ({"objective": 3}, RangeError, "one or more objectives.*3"),
    "no objective": ({"objective": ()}, RangeError, "one or more objectives"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, error, message), (x, y), victim = REFUSED[name], images(0), Victim(network())
    with pytest.raises(error, match=message) as caught:
        apgd(victim, x, y, **options)
    assert isinstance(caught.value, MinidlError)
    assert (victim.forwards, victim.backwards) == (0, 0)


def test_the_targeted_ratio_alone_is_not_for_targets() -> None:
    (x, _), net = images(0), network()
    with pytest.raises(RangeError, match="an objective for targets.*targeted_dlr.*dlr"):
        apgd(net, x, Targeted(other_targets(net, x, np.random.default_rng(0))), objective="targeted_dlr")


@pytest.mark.parametrize(("name", "classes", "targeted", "fits"), [
    ("dlr", 2, False, "margin"), ("dlr", 3, True, "margin"), ("targeted_dlr", 3, False, "dlr")])  # fmt: skip
def test_ratios_want_enough_classes(name, classes, targeted, fits) -> None:
    x, w = np.full((2, 3), 0.5), 2 * np.eye(3)[:, :classes]
    y, net = np.ones(2, int), lambda x: x @ w
    goal = Targeted(y) if targeted else y
    with pytest.raises(ShapeError, match=rf'at least {classes + 1} classes for {name}.*\("cross_entropy", "{fits}"\)'):
        apgd(net, x, goal, objective=name)
    assert apgd(net, x, goal, objective=("cross_entropy", fits)).success.all()


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("APGD: no momentum", line(attacks.bounded.apgd, "_step", "(walk.x - walk.before)", "(z - walk.x)"), test_it_is_the_papers_algorithm),
    Mutant("APGD: momentum before there is any", line(attacks.bounded.apgd, "ascend", "ALPHA if k else 1.0", "ALPHA"), test_it_is_the_papers_algorithm),
    Mutant("APGD: steps of ε to begin with", line(attacks.bounded.apgd, "ascend", "2 * ball.radius", "ball.radius"), test_it_is_the_papers_algorithm),
    Mutant("APGD: halved without going back", line(attacks.bounded.apgd, "halve_where_stuck", "xp.where(at_pixels, walk.x_max, walk.x)", "walk.x"), test_it_is_the_papers_algorithm),
    Mutant("APGD: back, but not halved", line(attacks.bounded.apgd, "halve_where_stuck", "walk.eta / 2", "walk.eta"), test_it_is_the_papers_algorithm),
    Mutant("APGD: the gradient at another point", line(attacks.bounded.apgd, "halve_where_stuck", "xp.where(at_pixels, walk.gradient_max, walk.gradient)", "walk.gradient"), test_it_is_the_papers_algorithm),
    Mutant("APGD: condition 1 forgotten", line(attacks.bounded.apgd, "halve_where_stuck", "(walk.rises < RHO * steps)", "walk.halved & ~walk.halved"), test_it_is_the_papers_algorithm),
    Mutant("APGD: condition 2 forgotten", line(attacks.bounded.apgd, "halve_where_stuck", " | (~walk.halved & (walk.f_max == walk.f_max_then))", ""), test_it_is_the_papers_algorithm),
    Mutant("APGD: condition 2 though just halved", line(attacks.bounded.apgd, "halve_where_stuck", "~walk.halved & ", ""), test_both_conditions_halve_the_step),
    Mutant("APGD: increases counted since the start", line(attacks.bounded.apgd, "halve_where_stuck", "xp.zeros_like(walk.rises)", "walk.rises"), test_it_is_the_papers_algorithm),
    Mutant("APGD: the newest step counts already", line(attacks.bounded.apgd, "halve_where_stuck", "walk.rises < RHO", "walk.rises + walk.uphill < RHO"), test_it_is_the_papers_algorithm),
    Mutant("APGD: checkpoints equally far apart", line(attacks.bounded.apgd, "checkpoints", "percent[-1] - percent[-2] - 3", "22"), lambda: test_checkpoints_are_the_papers(100, [0, 22, 41, 57, 70, 80, 87, 93, 99])),
    Mutant("APGD: the last point, not the best", line(attacks.bounded.apgd, "ascend", "walk.scatter(images, walk.x_max)", "walk.scatter(images, walk.x)"), test_it_is_the_papers_algorithm),
    Mutant("APGD: successes go on", line(attacks.bounded.apgd, "_evaluate", "walk.drop(done)", "pass"), test_it_is_the_papers_algorithm),
    Mutant("APGD: beyond the ball", line(attacks.common.norms.Ball, "back", "origin, self.radius)", "None, self.radius)"), test_bounds_budget_and_honesty),
    Mutant("APGD: beyond the bounds", line(attacks.bounded.apgd, "apgd", "radius, run.victim.bounds)", "radius, None)"), test_bounds_budget_and_honesty),
    Mutant("APGD: the last attempt, not the closest", line(attacks.bounded.apgd, "_attack", "better = achieved | (reached > active.closest)", "better = reached == reached"), test_more_attempts_and_larger_radii_never_do_worse),
    Mutant("APGD: only the first attempt", line(attacks.bounded.apgd, "_attack", "active.drop(achieved)", "active.drop(reached == reached)"), test_targets_are_the_likeliest_others_in_turn),
    Mutant("APGD: successful examples are attacked again", line(attacks.bounded.apgd, "_attack", "active.drop(achieved)", "pass"), test_more_attempts_and_larger_radii_never_do_worse),
    Mutant("APGD: one start for all seeds", line(attacks.bounded.apgd, "_attack", "run.key(number)", "number"), test_starts_are_drawn_anew_for_every_seed),
    Mutant("APGD: the unlikeliest target first", line(attacks.bounded.apgd, "_attempts", "[:, ::-1]", "[:, 1:]"), test_targets_are_the_likeliest_others_in_turn),
    Mutant("targeted ratio: the second logit for the third", line(attacks.bounded.apgd, "targeted_dlr", "(0, 2, 3)", "(0, 1, 3)"), test_targeted_ratio_is_eq_7),
    Mutant("targeted ratio: downhill", line(attacks.bounded.apgd, "targeted_dlr", "(z_t - z_y)", "(z_y - z_t)"), test_targeted_ratio_is_eq_7),
    Mutant("APGD: the search discards successes", line(attacks.bounded.apgd, "_attack", "attempt(search, ball.radius, queries, INITIAL_SHARE)", "search(run, ActiveSet(active.rows), x_adv, iterations, ball.radius, queries, INITIAL_SHARE, steps_bar)"), test_random_search_gets_what_slopes_do_not),
    Mutant("APGD: the search forgotten", line(attacks.bounded.apgd, "_attack", "if queries and len(active):", "if False:"), test_random_search_gets_what_slopes_do_not),
    Mutant("APGD: the search attacks successful examples, too", line(attacks.bounded.apgd, "_attack", "ActiveSet(active.rows)", "ActiveSet(namespace(x_adv).arange(len(x_adv)))"), test_random_search_gets_what_slopes_do_not),
    Mutant("APGD: one array for several results", line(attacks.bounded.apgd, "apgd", "run.end(x_adv.copy()", "run.end(x_adv"), test_an_interruption_keeps_what_there_is),
]
# fmt: on
