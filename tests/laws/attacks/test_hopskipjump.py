"""Laws of HopSkipJump: labels only, budgets, the optimum on planes, and that no query makes it worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attacks.black_box.hopskipjump
from attacks import BudgetError, Oracle, Targeted, Untargeted, Victim
from attacks.black_box.hopskipjump import Boundary, gradient, hopskipjump
from attacks.common.norms import NORMS
from attacks.common.run import begin
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.attacks.test_every_attack import images, network

seeds = st.integers(0, 2**32 - 1)
LENGTH = {"l2": 2, "linf": np.inf}
few = settings(max_examples=10)


def plane(seed: int, d: int = 6):
    """A linear classifier of two classes in d dimensions, and images that it puts into class 0, near the middle."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=d)
    w /= abs(w).sum()
    x = rng.uniform(0.45, 0.55, (3, d))
    b = -(x @ w).max() - 0.1  # so that all are below it: w·x + b < 0
    return w, b, x


@few
@given(seed=seeds, norm=st.sampled_from(["l2", "linf"]))
def test_on_a_plane_it_finds_the_smallest_perturbation(seed, norm) -> None:
    """→ |w·x + b|/‖w‖ in the dual norm, within 3 % after 6,000 queries."""
    w, b, x = plane(seed)
    asked: list[int] = []
    oracle = Oracle(lambda x: (asked.append(len(x)), (x @ w + b > 0).astype(int))[1], classes=2)
    result = hopskipjump(oracle, x, np.zeros(3, int), norm=norm, queries=6000, seed=seed)
    dual = np.linalg.norm(w, 2 if norm == "l2" else 1)
    best = -(x @ w + b) / dual
    reached = np.linalg.norm(result.x_adv - x, LENGTH[norm], axis=1)
    assert result.success.all()
    assert (reached >= best * (1 - 1e-9)).all()
    assert (reached <= 1.03 * best).all()
    assert sum(asked) == oracle.queries == result.forwards == result.iterations.sum() + 2 * 3


@given(seed=seeds, norm=st.sampled_from(["l2", "linf"]), queries=st.integers(1, 300))
def test_bounds_budgets_and_honesty(seed, norm, queries) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    outside: list[float] = []
    victim, before = Victim(lambda x: outside.append(max(0.0 - x.min(), x.max() - 1.0)) or net(x)), x.copy()
    result = hopskipjump(victim, x, y, norm=norm, queries=queries, probes=20, seed=seed)
    assert max(outside) <= 0  # no image that was asked about leaves the bounds
    assert (result.x_adv.dtype, result.x_adv.shape) == (np.float32, x.shape)
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
    assert (result.iterations <= queries).all()
    np.testing.assert_array_equal(result.success, net(result.x_adv).argmax(axis=1) != y)
    done = result.clean_pred != y
    np.testing.assert_array_equal(result.x_adv[done], x[done])
    assert (result.iterations[done] == 0).all()
    assert victim.queries == result.forwards == result.iterations.sum() + 2 * len(x)
    assert result.backwards == 0
    np.testing.assert_array_equal(x, before)


def test_it_uses_labels_only() -> None:
    """The logits of a network and an oracle's labels lead to the same bits."""
    (x, y), net = images(2), network()
    of_network = hopskipjump(net, x, y, queries=300, seed=1)
    of_oracle = hopskipjump(Oracle(lambda x: net(x).argmax(axis=1), classes=5), x, y, queries=300, seed=1)
    np.testing.assert_array_equal(of_network.x_adv, of_oracle.x_adv)


@few
@given(seed=seeds, norm=st.sampled_from(["l2", "linf"]))
def test_more_queries_are_never_farther(seed, norm) -> None:
    """Runs that are ended after 1, 2, … calls of the network: the distances of the successful ones only fall."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, 3, np.float64)
    y, distances = net(x).argmax(axis=1), []
    for calls in range(4, 40, 2):
        result = hopskipjump(Tired(net, calls), x, y, norm=norm, queries=400, probes=20, seed=seed)
        if not result.params["interrupted"]:
            break
        distances.append(
            np.where(result.success, np.linalg.norm((result.x_adv - x).reshape(3, -1), LENGTH[norm], 1), 99)
        )
    assert len(distances) > 3
    assert (np.diff(distances, axis=0) <= 1e-12).all()


@few
@given(seed=seeds, size=st.integers(1, 60))
def test_no_example_depends_on_another(seed, size) -> None:
    net, (x, _) = network(dtype="float64"), images(seed, dtype=np.float64)
    y, options = net(x).argmax(axis=1), {"queries": 150, "probes": 20, "seed": 3}
    whole = hopskipjump(net, x, y, **options)
    cut, some = hopskipjump(Victim(net, batch_size=size), x, y, **options), hopskipjump(net, x[:3], y[:3], **options)
    np.testing.assert_array_equal(cut.x_adv, whole.x_adv)
    np.testing.assert_array_equal(some.x_adv, whole.x_adv[:3])
    np.testing.assert_array_equal(hopskipjump(net, x, y, **options).x_adv, whole.x_adv)
    stubborn = y.copy()
    stubborn[0] = (net(x[:1]).argmax(axis=1)[0] + 1) % 5  # the first is successful already: the others ask as before
    np.testing.assert_array_equal(hopskipjump(net, x, stubborn, **options).x_adv[1:], whole.x_adv[1:])


def test_other_seeds_draw_other_numbers() -> None:
    (x, _), net = images(1), network()
    y = net(x).argmax(axis=1)
    first, other = (hopskipjump(net, x, y, queries=100, seed=seed).x_adv for seed in (0, 1))
    assert (first != other).any(axis=(1, 2, 3)).all()
    everywhere = Oracle(lambda x: (x.max(axis=1) > 0).astype(int), classes=2)
    x = np.zeros((2, 4))
    first, other = (hopskipjump(everywhere, x, np.zeros(2, int), queries=1, seed=seed).x_adv for seed in (0, 1))
    assert (first != other).any(axis=1).all()  # their starts are others, too
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("queries", range(1, 60))
def test_steps_that_never_succeed_end_within_the_queries(queries) -> None:
    """Only the start itself is successful: each probe, step and search fails."""
    x, start = np.full((2, 4), 0.5), np.full((2, 4), 0.75)
    oracle = Oracle(lambda x: (x == 0.75).all(axis=1).astype(int), classes=2)
    result = hopskipjump(oracle, x, np.zeros(2, int), start=start, queries=queries, probes=5)
    assert (result.iterations <= queries).all()
    assert oracle.queries == result.iterations.sum() + 2 * 2
    np.testing.assert_array_equal(result.x_adv, start)


def test_targets_need_a_start_and_are_reached_from_it() -> None:
    (x, _), net = images(4, 7), network()
    start = np.repeat(x[:1], 7, axis=0)
    t = net(start).argmax(axis=1)
    result = hopskipjump(net, x, Targeted(t), start=start, queries=500)
    assert result.success.all()
    moved = result.clean_pred != t
    assert moved.any()
    apart = np.linalg.norm((start - x).reshape(7, -1), axis=1)
    assert (result.l2[moved] < apart[moved]).all()
    np.testing.assert_array_equal(result.x_adv[~moved], x[~moved])
    with pytest.raises(RangeError, match="successful images to start from.*start="):
        hopskipjump(net, x, Targeted(t))


def test_where_no_start_succeeds_the_image_is_returned() -> None:
    x, asked = np.full((2, 4), 0.5), []
    oracle = Oracle(lambda x: (asked.append(len(x)), np.zeros(len(x), int))[1], classes=2)
    result = hopskipjump(oracle, x, np.zeros(2, int), queries=250)
    np.testing.assert_array_equal(result.x_adv, x)
    assert not result.success.any()
    assert (result.iterations == 100).all()
    assert hopskipjump(oracle, x, np.zeros(2, int), queries=7).iterations.tolist() == [7, 7]
    unsuccessful = hopskipjump(oracle, x, np.zeros(2, int), queries=7, start=x + 0.1)
    assert unsuccessful.iterations.tolist() == [1, 1]


def test_starts_are_noise_within_the_bounds() -> None:
    seen, x = [], np.full((200, 3), -0.5)
    oracle = Oracle(lambda x: seen.append(x) or np.zeros(len(x), int), classes=2, bounds=(-2, 1))
    hopskipjump(oracle, x, np.zeros(200, int), queries=1)
    noise = seen[1]
    assert -2 <= noise.min() < -1.98
    assert 0.98 < noise.max() <= 1
    assert abs(noise.mean() + 0.5) < 0.1
    assert abs(noise.std() - 3 / 12**0.5) < 0.1


@given(seed=seeds, norm=st.sampled_from(["l2", "linf"]))
def test_the_binary_search_ends_at_the_boundary(seed, norm) -> None:
    """Successful, and a step of the tolerance towards x is not."""
    w, b, x = plane(seed, d=10)
    run = begin("hopskipjump", Oracle(lambda x: (x @ w + b > 0).astype(int), classes=2), x, np.zeros(3, int), 0)
    boundary, active = Boundary(run, NORMS[norm], np.zeros(3, int), 10_000), run.not_yet_successful()
    active.origin = active.gather(run.x)
    far = np.where(w > 0, 1.0, 0.0) * np.ones((3, 1))
    near = boundary.nearest(active, far)
    length = lambda d: np.linalg.norm(d, LENGTH[norm], axis=1)
    width, reached = length(far - x), length(near - x)
    assert (near @ w + b > 0).all()
    assert boundary.tolerance == 10 ** (-1.5 if norm == "l2" else -2.0)
    if norm == "l2":
        closer = x + (far - x) * ((reached - boundary.tolerance * width) / width)[:, None]
    else:
        radius = (reached - boundary.tolerance * width)[:, None]
        closer = np.clip(far, x - radius, x + radius)
    assert (closer @ w + b <= 1e-12).all()
    assert (boundary.used == np.ceil(np.log2(1 / boundary.tolerance))).all()


@given(seed=seeds)
def test_the_estimated_gradient_is_the_papers(seed) -> None:
    """With its baseline, spelled out; for probes that all agree, ± their mean direction."""
    rng = np.random.default_rng(seed)
    x, u = rng.random((2, 3)), rng.normal(size=(20, 2, 3))
    successful = rng.random(20) < 0.5
    phi = np.where(successful, 1.0, -1.0)
    expected = sum((phi[b] - phi.mean()) * u[b] for b in range(20))
    np.testing.assert_allclose(gradient(x, x + 0.01 * u, successful) / 0.01, expected, atol=1e-9)
    all_agree = np.full(20, bool(seed % 2))
    sign = 1 if seed % 2 else -1
    np.testing.assert_allclose(gradient(x, x + 0.01 * u, all_agree) / 0.01, sign * u.sum(axis=0), atol=1e-9)


def test_rounds_take_more_and_more_probes_of_the_papers_size() -> None:
    """B₀·√t of them, .1 long at first, and then as long as the distance over d."""
    w, b, x = plane(3, d=50)
    seen: list[np.ndarray] = []
    oracle = Oracle(lambda x: (seen.append(x), (x @ w + b > 0).astype(int))[1], classes=2)
    hopskipjump(oracle, x[:1], np.zeros(1, int), queries=2000, probes=40)
    batches = [batch for batch in seen if len(batch) > 1]
    assert [len(batch) for batch in batches[:4]] == [40, 56, 69, 80]
    for t, batch in enumerate(batches[:3]):
        middle = batch.mean(axis=0)
        sizes = np.linalg.norm(batch - middle, axis=1)
        expected = 0.1 if t == 0 else np.linalg.norm(middle - x[0]) / 50
        assert abs(np.median(sizes) / expected - 1) < 0.1


def test_a_budget_that_is_too_small_raises_before_any_work() -> None:
    (x, y), asked = images(0), []
    oracle = Oracle(lambda x: asked.append(len(x)) or np.zeros(len(x), int), classes=5, budget=7 * 103 - 1)
    with pytest.raises(BudgetError, match="hopskipjump.*721 queries.*720 left"):
        hopskipjump(oracle, x, y, queries=100)
    assert not asked
    enough = Oracle(lambda x: np.zeros(len(x), int), classes=5, budget=7 * 103)
    assert len(hopskipjump(enough, x, y, queries=100)) == 7


@pytest.mark.parametrize("call", range(1, 40))
def test_ctrl_c_at_any_query_loses_nothing(call) -> None:
    """Within a budget that just suffices, pressed once; what was successful by then is returned."""
    x, calls = np.zeros((3, 4)), [0]

    def plane(images):
        calls[0] += 1
        if calls[0] == call + 1:  # the first call is before the attack has anything to return
            raise KeyboardInterrupt
        return (images.sum(axis=1) > 2.5).astype(int)

    oracle = Oracle(plane, classes=2, budget=3 * 63)
    result = hopskipjump(oracle, x, np.zeros(3, int), queries=60, probes=5, seed=2)
    assert result.params["interrupted"] == (calls[0] > call)
    assert (result.success == (result.l0 > 0)).all()
    assert oracle.queries <= 3 * 63
    if call > 20:
        assert result.success.all()


def test_starts_are_kept_when_ctrl_c_comes_while_others_are_looked_for() -> None:
    x, calls = np.zeros((20, 4)), [0]

    def few_succeed(images):
        calls[0] += 1
        if calls[0] == 5:
            raise KeyboardInterrupt
        return (images.sum(axis=1) > 2.3).astype(int)

    result = hopskipjump(Oracle(few_succeed, classes=2), x, np.zeros(20, int), queries=500)
    assert result.params["interrupted"]
    assert 3 < result.success.sum() < 20


def test_of_one_pixel_it_finds_the_boundary() -> None:
    oracle = Oracle(lambda x: (x.sum(axis=1) > 0.25).astype(int), classes=2)
    for norm in ("l2", "linf"):
        result = hopskipjump(oracle, np.zeros((3, 1)), np.zeros(3, int), queries=1000, norm=norm)
        assert (abs(result.x_adv - 0.25) < 0.02).all()


def test_an_empty_batch_gives_an_empty_result() -> None:
    x, y = images(0)
    for goal, start in ((y[:0], None), (Targeted(y[:0]), x[:0])):
        result = hopskipjump(network(), x[:0], goal, start=start)
        assert (len(result), result.x_adv.shape, result.iterations.shape) == (0, (0, 1, 4, 4), (0,))


REFUSED = {
    "norm": ({"norm": "l1"}, RangeError, "norm of.*l1"),
    "no queries": ({"queries": 0}, RangeError, "number of queries, at least 1.*0"),
    "half": ({"queries": 1.5}, RangeError, "number of queries, at least 1.*1.5"),
    "no probes": ({"probes": 0}, RangeError, "number of probes, at least 1.*0"),
    "seed": ({"seed": -1}, RangeError, "seed.*-1"),
    "start": (
        {"start": np.zeros((7, 16), np.float32)},
        ShapeError,
        r"a start for each image, \(7, 1, 4, 4\).*\(7, 16\)",
    ),
    "bytes to start": ({"start": np.zeros((7, 1, 4, 4), np.uint8)}, DTypeError, "floating-point"),
    "beyond": ({"start": np.full((7, 1, 4, 4), 2.0)}, RangeError, r"pixels in \[0, 1\]"),
    "a list": ({"start": [1, 2]}, DTypeError, "floating-point images.*list"),
    "fewer": ({"start": np.zeros((6, 1, 4, 4), np.float32)}, ShapeError, "a start for each image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, error, message), (x, y), victim = REFUSED[name], images(0), Victim(network())
    with pytest.raises(error, match=message) as caught:
        hopskipjump(victim, x, y, **options)
    assert isinstance(caught.value, MinidlError)
    assert victim.forwards == 0


def test_the_goal_may_be_an_untargeted_one() -> None:
    (x, y), net = images(5), network()
    first, other = (hopskipjump(net, x, goal, queries=60) for goal in (y, Untargeted(y)))
    np.testing.assert_array_equal(first.x_adv, other.x_adv)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MODULE = attacks.black_box.hopskipjump
MUTANTS = [
    Mutant("HopSkipJump: the last image, not the closest", line(MODULE, "hopskipjump", "active.distance < active.least", "active.distance == active.distance"), test_more_queries_are_never_farther),
    Mutant("HopSkipJump: away from the boundary", line(MODULE, "gradient", "1.0, -1.0", "-1.0, 1.0"), test_the_estimated_gradient_is_the_papers),
    Mutant("HopSkipJump: no baseline", line(MODULE, "gradient", "phi if abs(mean) == 1 else phi - mean", "phi"), test_the_estimated_gradient_is_the_papers),
    Mutant("HopSkipJump: nothing where all agree", line(MODULE, "gradient", "phi if abs(mean) == 1 else phi - mean", "phi - mean"), test_the_estimated_gradient_is_the_papers),
    Mutant("HopSkipJump: probes are not counted", line(Boundary, "_directions", "self.used[active.rows[i]] += len(each)", "pass"), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: the search is not counted", line(Boundary, "nearest", "self.used[active.rows[todo]] += 1", "pass"), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: steps are not counted", line(Boundary, "move", "self.used[active.rows[waiting]] += 1", "pass"), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: starts are not counted", line(Boundary, "start", "self.used[active.rows[todo]] += 1", "pass"), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: searches beyond its queries", line(Boundary, "nearest", " & (self.left(active.rows) > 0)", ""), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: halves beyond its queries", line(Boundary, "move", "waiting[self.left(active.rows[waiting]) > 0]", "waiting"), lambda: [test_steps_that_never_succeed_end_within_the_queries(queries) for queries in range(1, 60)]),
    Mutant("HopSkipJump: probes beyond its queries", line(Boundary, "_probes", "min(probes, max(int(self.left(row)) - self.search_length, 1))", "probes"), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: the unsuccessful side", line(Boundary, "nearest", "best[todo[done]] = middle[done], tried[done]", "best[todo[~done]] = middle[done], tried[~done]"), test_the_binary_search_ends_at_the_boundary),
    Mutant("HopSkipJump: a coarse search", line(Boundary, "__init__", "-1.5 if", "-1.0 if"), test_the_binary_search_ends_at_the_boundary),
    Mutant("HopSkipJump: L∞ searched on a line", line(Boundary, "_between", 'self.norm.name == "linf"', "False"), test_the_binary_search_ends_at_the_boundary),
    Mutant("HopSkipJump: beyond the bounds", line(Boundary, "move", "xp.clip(tried, self.low, self.high)", "tried"), test_bounds_budgets_and_honesty),
    Mutant("HopSkipJump: as many probes in each round", line(MODULE, "hopskipjump", "probes * t**0.5", "probes"), test_rounds_take_more_and_more_probes_of_the_papers_size),
    Mutant("HopSkipJump: probes as long as the distance", line(Boundary, "_probes", "float(active.distance[i]) / self.d", "float(active.distance[i])"), test_rounds_take_more_and_more_probes_of_the_papers_size),
    Mutant("HopSkipJump: the same draws for all", line(Boundary, "_probes", "self.run.key(1, t, row)", "self.run.key(1, t, i)"), test_no_example_depends_on_another),
    Mutant("HopSkipJump: the same draws with every seed", line(Boundary, "_noise", "self.run.key(0, trial)", "trial"), test_other_seeds_draw_other_numbers),
    Mutant("HopSkipJump: noise from 0 to 1", line(Boundary, "_noise", "self.low + (self.high - self.low) * ", ""), test_starts_are_noise_within_the_bounds),
    Mutant("HopSkipJump: the sign in L2, too", line(Boundary, "_directions", "self.norm.steepest", "NORMS['linf'].steepest"), test_on_a_plane_it_finds_the_smallest_perturbation),
    Mutant("HopSkipJump: starts are lost to Ctrl-C", line(Boundary, "start", "        active.scatter(x_adv, active.x)\n    active.drop", "    active.drop"), test_starts_are_kept_when_ctrl_c_comes_while_others_are_looked_for),
    Mutant("HopSkipJump: of one pixel it does not search", line(Boundary, "__init__", "min(self.d ** (-1.5 if norm.name == \"l2\" else -2.0), COARSEST)", "self.d ** (-1.5 if norm.name == \"l2\" else -2.0)"), test_of_one_pixel_it_finds_the_boundary),
    Mutant("HopSkipJump: the budget is not asked for", line(MODULE, "_check_start", 'victim.check_budget("hopskipjump", len(x) * (queries + 3))', "pass"), test_a_budget_that_is_too_small_raises_before_any_work),
]
# fmt: on
