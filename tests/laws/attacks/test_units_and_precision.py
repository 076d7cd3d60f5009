"""The unit of a pixel does not matter, nor does the precision in which images come: of every attack there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks
import attacks.adversaries
import attacks.bounded.apgd
import attacks.common.norms
import attacks.common.precision
import attacks.common.result
import attacks.common.run
import attacks.common.units
import attacks.common.victim
import attacks.minimal.descent
import attacks.minimal.lbfgs
import attacks.report.evaluate
from attacks import AttackResult, Targeted, Victim, apgd, fgsm, robustness_curve, transforms
from attacks.common.norms import NORMS
from attacks.common.precision import in_dtype_of
from attacks.common.run import begin
from attacks.common.units import Units
from attacks.minimal.carlini_wagner import _fewest
from attacks.minimal.descent import Descent
from minidl import losses, ops
from minidl.errors import DTypeError, RangeError
from minidl.testing import Mutant, line
from tests.laws.attacks.every_attack import ADVERSARIES, ATTACKS, FOOLING, MOMENT, covered
from tests.laws.attacks.test_every_attack import images, network, other_targets

#: s and o: pixels are s·x + o.  Bytes; the commonest range there is; bytes moved; 16 bits with a sign; and tiny ones.
UNITS = [(255, 0), (2, -1), (255, 40), (65535, -32768), (1 / 255, 0.3)]
NET, (X, _) = network(dtype="float64"), images(2, dtype=np.float64)
Y, T = NET(X).argmax(axis=-1), other_targets(NET, X, np.random.default_rng(2))


def test_no_attack_is_left_out() -> None:
    named = {name for name in attacks.__all__ if callable(getattr(attacks, name))}
    takes_a_victim = {
        name for name in named
        if not inspect.isclass(it := getattr(attacks, name)) and next(iter(inspect.signature(it).parameters)) == "victim"
    }  # fmt: skip
    measures = {"saliency_map", "robustness_curve", "rubbish"}
    adversaries = {name for name in named if name.endswith("Adversary")}
    assert (takes_a_victim - measures) | adversaries == covered()


def in_units(scale: float, offset: float, net=NET) -> Victim:
    """The network behind a change of units that it undoes."""
    return Victim(lambda x: net((x - offset) / scale), bounds=(offset, offset + scale))


def moved(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    return np.clip(offset + scale * x, offset, offset + scale)


@pytest.fixture(scope="module")
def as_they_are() -> dict[str, AttackResult]:
    return {name: attack(Victim(NET), X, Y, T, 1.0) for name, attack in ATTACKS.items()}


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("name", ATTACKS)
def test_the_unit_of_a_pixel_does_not_matter(name, unit, as_they_are) -> None:
    scale, offset = unit
    expected = as_they_are[name]
    result = ATTACKS[name](in_units(*unit), moved(X, *unit), Y, T, scale)
    np.testing.assert_allclose((result.x_adv - offset) / scale, expected.x_adv, atol=1e-6)
    np.testing.assert_array_equal(result.success, expected.success)
    np.testing.assert_array_equal(result.iterations, expected.iterations)
    np.testing.assert_allclose(result.l2 / scale, expected.l2, atol=1e-6)
    changed = [(abs(r.perturbation) > 1e-9 * w).sum() for r, w in ((result, scale), (expected, 1))]
    assert changed[0] == changed[1]


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("name", FOOLING)
def test_the_unit_of_a_fooling_image_does_not_matter(name, unit) -> None:
    scale, offset = unit
    expected, result = FOOLING[name](in_units(1, 0)), FOOLING[name](in_units(*unit))
    rounding = abs(offset) / scale + 1  # evolution works in single precision, of the pixels as they are
    np.testing.assert_allclose((result.images - offset) / scale, expected.images, atol=3e-6 * rounding)
    np.testing.assert_allclose(result.confidence, expected.confidence, rtol=1e-4 * rounding)


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("name", ADVERSARIES)
def test_the_unit_of_an_adversary_does_not_matter(name, unit) -> None:
    scale, offset = unit
    expected = ADVERSARIES[name]((0, 1), 1)(NET, X, Y, MOMENT)
    behind = lambda x: NET((x - offset) / scale)
    images = ADVERSARIES[name]((offset, offset + scale), scale)(behind, moved(X, *unit), Y, MOMENT)
    np.testing.assert_allclose((images - offset) / scale, expected, atol=1e-9)


@pytest.mark.slow
def test_the_least_distances_are_those_that_the_paper_has_on_0_to_1() -> None:
    """As it was met: on (0, 32) and (0, 255) cw_l0 reached every third target only, and changed every pixel."""
    for name in ("cw_l0", "cw_l2", "cw_linf"):
        assert ATTACKS[name](in_units(255, 0), X * 255, Y, T, 255).success.all()
    few = ATTACKS["cw_l0"](in_units(255, 40), moved(X, 255, 40), Y, T, 255).l0
    np.testing.assert_array_equal(few, ATTACKS["cw_l0"](Victim(NET), X, Y, T, 1).l0)
    assert few.mean() < 8


def test_the_shorter_of_many_perturbations_is_recognised() -> None:
    """Though in single precision 700.60 + 1e-5 is 700.60."""
    x, one = np.zeros((1, 700), np.float32), np.ones(1)
    run = begin("law", lambda x: x[:, :2] * 1.0, x, np.zeros(1, int), 0)
    descent = Descent(run, _fewest, 0.0, 5, 0.1, 1.0, True)
    shorter = np.full((1, 700), 0.047, np.float32)
    longer = shorter.copy()
    longer[0, 0] += np.float32(1e-4)
    descent.reached_goal[...] = False
    for passed, best in ((longer, longer), (shorter, shorter), (longer, shorter)):
        descent.active.rows, descent.active.x = np.arange(1), x
        descent.active.x_adv, descent.active.distance = passed, one
        descent._keep(one > 0, 0 * one)
        np.testing.assert_array_equal(descent.best, best)
    assert 700 < descent.cost[0] < 701


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_pixels_that_are_not_moved_are_exactly_what_they_were(data, seed) -> None:
    """And moved ones are within the bounds, wherever the change of units is rounded to."""
    scale, offset = data.draw(st.sampled_from([(255, 40), (1 / 3, 0.1), (65535, -32768), (0.7, -0.7)]))
    rng = np.random.default_rng(seed)
    x = moved(rng.random((4, 1, 4, 4)), scale, offset).astype(np.float32)
    x = np.clip(x, offset, offset + scale)
    victim = Victim(lambda x: ops.reshape(x, (len(x), 16))[:, :2] * 1.0, bounds=(offset, offset + scale))
    units, rows = Units(begin("law", victim, x, np.zeros(4, int), 0)), np.array([2, 0])
    u = units.start[rows]
    np.testing.assert_array_equal(units.images(u, rows), x[rows])
    changed = rng.random(u.shape) < 0.5
    new = np.where(changed, rng.choice([0, 0.5, 1], u.shape), u).astype(np.float32)
    images = units.images(new, rows)
    assert offset <= images.min() <= images.max() <= offset + scale
    np.testing.assert_array_equal(images[(new == u).reshape(images.shape)], x[rows][(new == u).reshape(images.shape)])
    np.testing.assert_allclose(images.reshape(u.shape), offset + scale * new, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_the_ball_without_bounds_in_bytes(norm) -> None:
    """Without clipping, pixels up to 255 are rounded 255 times as coarsely: the ball must leave room for that."""
    x = (X * 255).astype(np.float32)
    victim, epsilon = in_units(255, 0, network(dtype="float32")), 0.02
    result = attacks.pgd(victim, x, Y, epsilon=epsilon, steps=5, norm=norm, clip=False, early_stop=False)
    exact = result.x_adv.astype(np.float64) - x
    length = abs(exact).sum(axis=(1, 2, 3)) if norm == "l1" else np.sqrt((exact**2).sum(axis=(1, 2, 3)))
    assert (length <= epsilon).all()
    assert length.max() > 0.4 * epsilon


@pytest.mark.parametrize("bounds", [None, (0, 255)])
@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_many_pixels_round_and_none_leaves_the_ball(norm, bounds) -> None:
    """A step along no slope: what is moved is brought back to the ball, 256 pixels of up to 255 in single precision."""
    rng, epsilon = np.random.default_rng(0), 0.5
    origin = (rng.random((100, 1, 16, 16)) * 255).astype(np.float32)
    x = np.clip(origin + rng.normal(size=origin.shape) * 0.01, 0, 255).astype(np.float32)
    moved = NORMS[norm].move(x, np.zeros_like(x), 0.1, bounds, origin, epsilon)
    assert (NORMS[norm].length(moved.astype(np.float64) - origin) <= epsilon).all()


@pytest.mark.parametrize(
    "bounds", [(0, 1, 2), (0,), (0, np.inf), (-np.inf, np.inf), (-np.inf, 0), (0, np.nan), (-1e308, 1e308)]
)
def test_infinite_bounds_raise_an_error_at_once(bounds) -> None:
    with pytest.raises(RangeError, match="two finite numbers with low < high"):
        Victim(NET, bounds=bounds)
    with pytest.raises(RangeError, match="two finite numbers with low < high"):
        transforms.noise(X, 0.1, bounds=bounds)


@pytest.mark.parametrize("name", ["cw_l2", "cw_l0", "cw_linf"])
def test_logits_of_any_size(name) -> None:
    """Logits near the end of float32 are finite, and so the network is not to blame."""
    net, x = network(), X.astype(np.float32)
    greatest = abs(net(x)).max()
    loud = Victim(lambda x: net(x) * (np.float32(3e38) / greatest))
    quiet = Victim(lambda x: net(x) * (100 / greatest))
    y, t = net(x).argmax(axis=-1), other_targets(net, x, np.random.default_rng(2))
    result, expected = (ATTACKS[name](victim, x, y, t, 1) for victim in (loud, quiet))
    assert expected.success.all()
    assert result.success.all()


def test_gradients_that_are_not_finite_are_not_taken_for_diverged_training() -> None:
    steep = Victim(lambda x: ops.sqrt(NET(x * 0)) if False else NET(x) + 0 * ops.sqrt(x[:, 0, 0, :1]))
    x = X.copy()
    x[1, 0, 0, 0] = 0
    with pytest.raises(RangeError, match="finite gradients.*of finite logits"), np.errstate(all="ignore"):
        fgsm(steep, x, Y)


# --- precision -------------------------------------------------------------------------------------------

CONFIDENT = network(dtype="float32")
for _name in list(CONFIDENT.params):
    CONFIDENT.params[_name] *= np.float32(
        4
    )  # logits up to some 60, so that gradients are below what half precision has
HALF = images(2, dtype=np.float16)[0]
WHOLE = HALF.astype(np.float32)
Y32, T32 = CONFIDENT(WHOLE).argmax(axis=-1), other_targets(CONFIDENT, WHOLE, np.random.default_rng(2))


@pytest.mark.filterwarnings("ignore:.*images in float64 make the network:RuntimeWarning")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ATTACKS)
def test_images_come_back_as_they_came(name, kind) -> None:
    """In their dtype, within the bounds, with success judged by what comes back."""
    x = HALF.astype(kind)
    result = ATTACKS[name](Victim(CONFIDENT), x, Y32, T32, 1.0)
    assert result.x_adv.dtype == kind
    assert result.x is x
    if "unbounded" not in name:
        assert result.x_adv.min() >= 0
        assert result.x_adv.max() <= 1
    np.testing.assert_array_equal(result.adv_pred, CONFIDENT(result.x_adv.astype(np.float32)).argmax(axis=-1))
    np.testing.assert_array_equal(result.success, result.goal.achieved(result.adv_pred))


@pytest.mark.parametrize("name", ATTACKS)
def test_half_precision_weakens_no_attack(name) -> None:
    """It fools as many as the same attack on the same images in single precision, by perturbations as large."""
    half, whole = (ATTACKS[name](Victim(CONFIDENT), x, Y32, T32, 1.0) for x in (HALF, WHOLE))
    assert half.success.sum() >= whole.success.sum()
    assert half.l2.mean() <= 1.05 * whole.l2.mean() + 1e-3
    assert half.l2.dtype == whole.l2.dtype


@pytest.mark.parametrize("name", FOOLING)
def test_fooling_images_are_made_in_single_precision_at_least(name) -> None:
    net = network(dtype="float16")
    result = FOOLING[name](Victim(net))
    assert result.images.dtype == np.float32
    assert FOOLING[name](Victim(NET)).images.dtype == np.float64


def test_ascent_from_an_image_in_half_precision() -> None:
    start = HALF[0]
    result = attacks.fool_gradient(Victim(CONFIDENT), start=start, steps=30)
    whole = attacks.fool_gradient(Victim(CONFIDENT), start=start.astype(np.float32), steps=30)
    assert result.images.dtype == np.float16
    np.testing.assert_allclose(result.images, whole.images, atol=2e-3)
    p = losses.softmax(CONFIDENT(result.images.astype(np.float32)).astype(np.float64))
    np.testing.assert_allclose(result.confidence, p.diagonal(), rtol=1e-5)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversaries_give_back_what_they_were_given(name) -> None:
    half, whole = (ADVERSARIES[name]((0, 1), 1)(CONFIDENT, x, Y32, MOMENT) for x in (HALF, WHOLE))
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, in_dtype_of(whole, HALF))
    assert abs(whole - WHOLE).max() > 0.05


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "blur", "perspective", "noise", "photo"])
def test_transforms_work_in_single_precision(name) -> None:
    transform = getattr(transforms, name)
    half, whole = transform(HALF, 0.3, seed=1), transform(WHOLE, 0.3, seed=1)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, in_dtype_of(whole, HALF))
    assert transforms.jpeg(HALF, 90).dtype == np.float16


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="longdouble is float64 here")
def test_what_cannot_be_served_raises_an_error_by_name() -> None:
    x = X.astype(np.longdouble)
    for attack in ATTACKS.values():
        with pytest.raises(DTypeError, match=r"at most 64 bits a number, got (float128|longdouble|float96)"):
            attack(Victim(NET), x, Y, T, 1.0)
    with pytest.raises(DTypeError, match="at most 64 bits"):
        transforms.blur(x, 0.5)
    with pytest.raises(DTypeError, match="at most 64 bits"):
        robustness_curve(NET, x, Y, fgsm, [0.1])


@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([1e-3, 1.0, 300.0]))
def test_rounding_is_towards_the_image(seed, size) -> None:
    """Each pixel is the nearest one of half precision that is no farther from where it was."""
    rng = np.random.default_rng(seed)
    x = (size * rng.random((3, 4))).astype(np.float16)
    exact = (x + size * rng.normal(size=x.shape) * 10.0 ** rng.integers(-5, 1, x.shape)).astype(np.float32)
    exact[0] = x[0]
    rounded = in_dtype_of(exact, x)
    start, there = x.astype(np.float64), rounded.astype(np.float64)
    assert rounded.dtype == np.float16
    np.testing.assert_array_equal(rounded[0], x[0])
    assert (abs(there - start) <= abs(exact - start)).all()
    beyond = np.nextafter(rounded, np.where(exact > start, np.inf, -np.inf).astype(np.float16)).astype(np.float64)
    assert (abs(beyond - start) > abs(exact - start)).all()  # the next one would be too far


def test_large_differences_in_half_precision_have_a_length() -> None:
    """√(3·224·224) in L2, and 3·224·224 in L1, where half precision ends at 65,504."""
    x = np.zeros((1, 3, 224, 224), np.float16)
    result = fgsm(lambda x: ops.reshape(x, (len(x), -1))[:, :2] * 1.0, x, np.array([0]), epsilon=0.0)
    bright = AttackResult(**{**vars(result), "x_adv": x + np.float16(1)})
    size = 3 * 224 * 224
    assert bright.l2 == pytest.approx(size**0.5)
    assert bright.l1 == pytest.approx(size)
    assert bright.rms == pytest.approx(1)
    assert bright.l0 == size
    assert "l2 388, linf 1" in bright.summary()


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_the_defaults_serve_networks_of_few_classes(classes) -> None:
    net, (x, _) = network(dtype="float32"), images(0)
    w = np.random.default_rng(0).normal(size=(5, classes)).astype(np.float32)
    few = lambda x: net(x) @ w
    y = few(x).argmax(axis=-1)
    for goal in (y, Targeted((y + 1) % classes)):
        result = apgd(few, x, goal, epsilon=0.3, steps=3, queries=3)
        assert result.success.shape == (7,)
    curve = robustness_curve(few, x, y, fgsm, [0.0, 0.1])
    assert curve.k == ((1, 5) if classes >= 5 else (1,))
    assert curve.top(1)[0] == 1


def in_bytes(name: str) -> Callable[[], None]:
    """The law of units over one attack, with pixels from 40 to 295."""

    def law() -> None:
        as_they_are = {name: ATTACKS[name](Victim(NET), X, Y, T, 1.0)}
        test_the_unit_of_a_pixel_does_not_matter(name, (255, 40), as_they_are)

    return law


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("units: c in pixels", line(attacks.minimal.descent.Descent, "_in_units", " * self.units.width", ""), in_bytes("cw_l2")),
    Mutant("units: c·‖r‖² in pixels", line(attacks.minimal.lbfgs, "_minimiser", "units.width * ", ""), in_bytes("lbfgs")),
    Mutant("units: what was not moved is computed anew", line(attacks.common.units.Units, "images", "xp.where(unmoved, origin, pixels)", "pixels"), test_pixels_that_are_not_moved_are_exactly_what_they_were),
    Mutant("units: ties rounded away", line(attacks.minimal.descent.Descent, "__init__", "xp.full(len(flat), xp.inf)", "xp.full(len(flat), xp.inf, dtype=flat.dtype)"), test_the_shorter_of_many_perturbations_is_recognised),
    Mutant("bounds without end", line(attacks.common.victim, "are_bounds", "0 < float(bounds[1]) - float(bounds[0]) < inf", "bounds[0] < bounds[1]"), lambda: test_infinite_bounds_raise_an_error_at_once((0, float("inf")))),
    Mutant("C&W: c multiplies inside the network", line(attacks.minimal.descent.Descent, "move", "weight, power = xp.frexp(active.c)", "weight, power = active.c, xp.zeros(len(active), dtype='int64')"), lambda: test_logits_of_any_size("cw_l0")),
    Mutant("C&W: margins in single precision", line(attacks.minimal.descent.Descent, "_linearized", 'wide = lin.value.astype("float64")', "wide = lin.value"), lambda: test_logits_of_any_size("cw_linf")),
    Mutant("C&W: gradients whose squares overflow", line(attacks.minimal.descent.Descent, "_in_units", "xp.clip(whole, -most, most)", "whole"), lambda: test_logits_of_any_size("cw_l0")),
    Mutant("gradients that are not finite go on", line(attacks.common.victim.LinearizedPart, "vjp", "if not namespace(pulled).isfinite(pulled).all():", "if False:"), test_gradients_that_are_not_finite_are_not_taken_for_diverged_training),
    Mutant("half precision: worked on as it is", line(attacks.common.run.Run, "__init__", "in_single(given)", "given"), lambda: test_half_precision_weakens_no_attack("lbfgs")),
    Mutant("half precision: gradients in it", line(attacks.common.precision, "in_single", 'x.astype("float32") if x.dtype.itemsize < 4 else x', "x"), lambda: test_half_precision_weakens_no_attack("fgsm")),
    Mutant("half precision: returned in single", line(attacks.common.run.Run, "end", "in_dtype_of(x_adv, self.given)", "x_adv"), lambda: test_images_come_back_as_they_came("fgsm", "float16")),
    Mutant("half precision: rounded to the nearest", line(attacks.common.precision, "in_dtype_of", "np.where(too_far, np.nextafter(rounded, start), rounded)", "rounded"), test_rounding_is_towards_the_image),
    Mutant("half precision: always a step back", line(attacks.common.precision, "in_dtype_of", "np.where(too_far, np.nextafter(rounded, start), rounded)", "np.nextafter(rounded, start)"), test_rounding_is_towards_the_image),
    Mutant("half precision: judged before it is rounded", line(attacks.common.run.Run, "as_returned", "if self.given.dtype == self.x.dtype:", "if True:"), lambda: test_half_precision_weakens_no_attack("cw_l2")),
    Mutant("half precision: lengths in it", line(attacks.common.result.AttackResult, "perturbation", "in_single(self.x_adv) - in_single(self.x)", "self.x_adv - self.x"), test_large_differences_in_half_precision_have_a_length),
    Mutant("half precision: fooling images in it", line(import_module("attacks.evolution.canvas"), "canvas", "np.promote_types(getattr(victim.net, \"dtype\", \"float32\"), np.float32)", "getattr(victim.net, \"dtype\", \"float32\")"), lambda: test_fooling_images_are_made_in_single_precision_at_least("fool_cppn")),
    Mutant("half precision: adversaries in it", line(attacks.adversaries.BoundedAdversary, "__call__", "in_single(x)", "x"), lambda: test_adversaries_give_back_what_they_were_given("PGDAdversary, l2")),
    Mutant("ball: pixels taken for numbers below 1", line(attacks.common.norms, "_stay", "linf_length(origin) + epsilon", "1 + epsilon"), lambda: test_the_ball_without_bounds_in_bytes("l1")),
    Mutant("APGD: ratios of two classes", line(attacks.bounded.apgd, "usual_objectives", "classes >= needed", "True"), lambda: test_the_defaults_serve_networks_of_few_classes(2)),
    Mutant("curve: five of three classes", line(attacks.report.evaluate, "robustness_curve", "classes >= 5", "True"), lambda: test_the_defaults_serve_networks_of_few_classes(3)),
]
# fmt: on
