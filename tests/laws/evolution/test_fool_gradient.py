"""Laws of fool_gradient: the step as the paper has it, what its history says, and where it stays."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks import Victim
from attacks.evolution import FoolingResult, fool_gradient
from minidl import models, ops
from minidl.errors import DTypeError, RangeError
from minidl.layers import Glorot
from minidl.testing import Mutant, line
from tests.laws.attacks.test_deepfool import Tired
from tests.laws.evolution.test_checkpoints import at_line

seeds = st.integers(0, 2**32 - 1)
ASCENT = import_module("attacks.evolution.fool_gradient")  # the file: attacks.evolution.fool_gradient is the function
SHAPE, CLASSES = (1, 6, 5), 4
MIDDLE = np.full((CLASSES, *SHAPE), 0.5)


class Asked:
    """A network that remembers what it was asked; recorded arrays are unboxed for that."""

    def __init__(self, net) -> None:
        self.net, self.seen = net, []

    def __call__(self, x):
        self.seen.append(np.array(getattr(x, "value", x)))
        return self.net(x)


def filters(seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(30, CLASSES))


def linear(w: np.ndarray):
    """A network whose logits are x·w."""
    return lambda x: ops.reshape(x, (-1, 30)) @ w


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Of class k for row k."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.diag(e / e.sum(axis=1, keepdims=True))


def network(dtype: str = "float32", seed: int = 0) -> models.Sequential:
    return models.mlp(SHAPE, CLASSES, (12,), bias=True, init_weights=Glorot(), seed=seed, dtype=dtype)


def climb(victim, **options) -> FoolingResult:
    return fool_gradient(victim, shape=SHAPE, **options)


@given(seed=seeds, decay=st.sampled_from([0.0, 0.01, 0.5]), rise=st.sampled_from([0.02, 0.3]))
def test_a_step_is_the_papers(seed, decay, rise) -> None:
    """x ← m + (1 - λ)(x + q ∇p/‖∇p‖² - m), q = min(rise, .1(1 - p)), by the softmax's Jacobian; then the bounds."""
    w, start = filters(seed, 0.3), np.random.default_rng(seed + 1).uniform(0.2, 0.8, SHAPE)
    victim = Asked(linear(w))
    result = fool_gradient(victim, start=start, decay=decay, rise=rise, steps=1, seed=seed)
    x = victim.seen[1].reshape(CLASSES, 30)  # what the step begins with
    e = np.exp(x @ w)
    rows = e / e.sum(axis=1, keepdims=True)
    p = np.diag(rows)
    slope = p[:, None] * (w.T - rows @ w.T)  # ∇p_k = p_k (w_k - Σ p_j w_j)
    q = np.minimum(rise, 0.1 * (1 - p))
    moved = x + q[:, None] * slope / (slope**2).sum(axis=1, keepdims=True)
    expected = np.clip(start.ravel() + (1 - decay) * (moved - start.ravel()), 0, 1)
    np.testing.assert_allclose(result.images.reshape(CLASSES, 30), expected, rtol=1e-9)
    np.testing.assert_allclose(result.confidence, probabilities(expected @ w), rtol=1e-9)


@given(seed=seeds)
def test_a_small_step_wins_what_it_asks_for(seed) -> None:
    """p rises by q, were it linear; nearly so here."""
    result = fool_gradient(linear(filters(seed, 0.3)), start=MIDDLE[0], decay=0, rise=1e-4, steps=5, seed=seed)
    np.testing.assert_allclose(np.diff(result.history, axis=0), 1e-4, rtol=0.01)


def test_late_steps_ask_for_a_tenth_of_what_is_missing() -> None:
    """Of 1 - p, which is nearly e^-z there, e^-.1 remains, for the step is .1 in z."""
    victim = Victim(linear(filters(0, 0.1)), bounds=(-90, 90))
    p = fool_gradient(victim, start=MIDDLE[0], decay=0, rise=1.0, steps=60).history
    np.testing.assert_allclose((1 - p[-5:]) / (1 - p[-6:-1]), np.exp(-0.1), rtol=3e-3)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 3.0)])
def test_it_starts_around_the_centre(bounds) -> None:
    low, high = bounds
    victim = Asked(linear(filters(0)))
    climb(Victim(victim, bounds), steps=1)
    noise = (victim.seen[1] - (low + high) / 2) / (high - low) * 255
    assert noise.shape == (CLASSES, *SHAPE)
    assert abs(noise.mean()) < 0.4
    assert abs(noise.std() - 1) < 0.2
    assert len(np.unique(noise)) == noise.size  # each class has draws of its own
    np.testing.assert_array_equal(victim.seen[0], np.full((1, *SHAPE), (low + high) / 2, np.float32))


@given(seed=seeds)
def test_all_decay_returns_the_centre(seed) -> None:
    start = np.random.default_rng(seed).random(SHAPE)
    result = fool_gradient(network("float64"), start=start, decay=1, steps=3, seed=seed)
    np.testing.assert_array_equal(result.images, np.broadcast_to(start, result.images.shape))


def test_decay_keeps_images_near_the_centre() -> None:
    apart = [abs(climb(network("float64"), decay=decay, steps=60).images - 0.5).mean() for decay in (0, 0.01, 0.3)]
    assert apart[0] > apart[1] > 2 * apart[2] > 0


@given(seed=seeds, low=st.floats(-2, 0), width=st.floats(0.1, 5), dtype=st.sampled_from(["float32", "float64"]))
def test_bounds_counts_and_honesty(seed, low, width, dtype) -> None:
    net = network(dtype, seed % 50)
    victim = Victim(net, bounds=(low, low + width))
    result = fool_gradient(victim, steps=6, rise=0.5, seed=seed)
    assert (result.images.shape, result.images.dtype) == ((CLASSES, *SHAPE), dtype)
    assert result.images.min() >= result.images.dtype.type(low)
    assert result.images.max() <= result.images.dtype.type(low + width)
    assert (result.forwards, result.backwards) == (victim.forwards, victim.backwards) == (1 + 7 * CLASSES, 6 * CLASSES)
    np.testing.assert_allclose(result.confidence, probabilities(net(result.images)), atol=1e-5)
    assert result.archive is None
    assert "(decay=0.01, steps=6, rise=0.5, interrupted=False) for 4 classes" in result.summary()


@given(seed=seeds)
def test_history_lines_up_with_images(seed) -> None:
    """Row s is of the images after s + 1 steps; the last is the confidence."""
    net = network("float64", seed % 50)
    whole = fool_gradient(net, steps=5, seed=seed)
    assert whole.history.shape == (5, CLASSES)
    for steps in (1, 3, 5):
        part = fool_gradient(net, steps=steps, seed=seed)
        np.testing.assert_array_equal(part.history, whole.history[:steps])
        np.testing.assert_array_equal(part.confidence, part.history[-1])
        np.testing.assert_allclose(part.confidence, probabilities(net(part.images)), rtol=1e-12)


@given(seed=seeds)
def test_same_seed_same_bits(seed) -> None:
    net = network("float64")
    one, again, other = (fool_gradient(net, steps=3, seed=n).images for n in (seed, seed, seed + 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any(axis=(1, 2, 3)).all()


def test_no_step_is_longer_than_the_box_is_wide() -> None:
    """Where p is next to nothing, all that is asked for is far away."""
    w, offset = filters(0), np.array([0, 0, 0, 500.0])  # p_3 = 1
    victim = Asked(lambda x: linear(w)(x) + offset)
    result = fool_gradient(Victim(victim, bounds=(-1, 3)), start=MIDDLE[0], steps=1, decay=0)
    x, directions = victim.seen[1].reshape(CLASSES, 30), (w - w[:, 3:]).T  # ∇ log p_k = w_k - w_3
    directions[:3] /= np.sqrt((directions[:3] ** 2).sum(axis=1, keepdims=True))
    expected = np.clip(x + 4 * 30**0.5 * directions, -1, 3)
    np.testing.assert_allclose(result.images.reshape(CLASSES, 30), expected, rtol=1e-9)
    assert 0.2 < ((expected[:3] > -1) & (expected[:3] < 3)).mean() < 0.8


@pytest.mark.parametrize("scale", [1e-30, 1e3, 1e20])
def test_whatever_the_slope_images_are_finite(scale) -> None:
    net = linear(filters(0, scale).astype("float32"))
    result = fool_gradient(Victim(net, bounds=(-100, 100)), shape=SHAPE, steps=4)
    assert np.isfinite(result.images).all()


def test_where_there_is_no_slope_images_stay() -> None:
    flat = linear(np.zeros((30, CLASSES), np.float32))
    victim = Asked(flat)
    result = climb(victim, steps=3, decay=0)
    np.testing.assert_array_equal(result.images, victim.seen[1])
    np.testing.assert_array_equal(result.history, np.full((3, CLASSES), 0.25))


def test_it_climbs_from_where_p_is_next_to_nothing() -> None:
    """At the start, the network is sure that it is class 0; by the end, of each that it is itself."""
    offset = np.array([100.0, 0, 0, 0])
    net = lambda x: (ops.reshape(x, (-1, 30)) - 0.5) @ filters(0, 100.0) + offset
    victim = Asked(net)
    result = climb(victim, steps=60, decay=0)
    assert probabilities(net(victim.seen[1]))[1:].max() < 1e-30
    assert (result.confidence > 0.99).all()


@pytest.mark.parametrize("done", range(5))
def test_an_interruption_keeps_what_there_is(done) -> None:
    net = network("float64")
    stopped = fool_gradient(Tired(net, done + 2), start=MIDDLE[0], steps=5, seed=1)
    assert stopped.params["interrupted"] is True
    assert stopped.history.shape == (done, CLASSES)
    np.testing.assert_allclose(stopped.confidence, probabilities(net(stopped.images)), rtol=1e-12)
    if done:
        whole = climb(net, steps=done, seed=1)
        np.testing.assert_array_equal(stopped.images, whole.images)
        np.testing.assert_array_equal(stopped.history, whole.history)


def test_interrupted_at_any_line() -> None:
    """Nothing is lost but before there is anything, and when all is done."""
    net, steps = network("float64"), 3
    expected = [climb(net, steps=n + 1).history for n in range(steps)]
    number, there, kept = 0, True, 0
    while there:
        number, victim = number + 1, Victim(net)
        result, there = at_line([fool_gradient], number, partial(climb, victim, steps=steps))
        if result is None:
            assert victim.backwards == 0 or victim.forwards == 1 + (steps + 1) * CLASSES
        elif len(result.history):
            np.testing.assert_array_equal(result.history, expected[len(result.history) - 1])
            assert result.params["interrupted"] is there
            kept += there
    assert kept > 5


def test_results_come_back_from_files_to_the_bit(tmp_path) -> None:
    for victim in (network(), Tired(network("float64"), 2)):  # the second is interrupted at once: it has no history
        result = climb(victim, steps=4, seed=2)
        result.save(tmp_path / "fooling.npz")
        loaded = FoolingResult.load(tmp_path / "fooling.npz")
        for field in ("images", "confidence", "history", "median"):
            np.testing.assert_array_equal(getattr(loaded, field), getattr(result, field))
        for field in ("archive", "forwards", "backwards", "seed", "params", "seconds"):
            assert getattr(loaded, field) == getattr(result, field)


def test_black_boxes_raise_an_error() -> None:
    with pytest.raises(DTypeError, match=r"minidl\.ops"):
        climb(lambda x: np.tile([1.0, 3.0], (len(x), 1)), steps=2)
    refuses = Victim(network())
    refuses.linearize = None
    with pytest.raises(TypeError):
        climb(refuses)


REFUSED = {
    "decay": ({"decay": 1.5}, "decay from 0 to 1.*1.5"), "no decay": ({"decay": None}, "decay.*None"),
    "NaN": ({"decay": float("nan")}, "decay.*nan"), "yes": ({"rise": True}, "rise.*True"),
    "rise": ({"rise": -0.1}, "rise from 0 to 1.*-0.1"), "steps": ({"steps": 0}, "steps, at least 1.*0"),
    "half a step": ({"steps": 1.5}, "steps.*1.5"), "seed": ({"seed": -1}, "seed.*-1"),
    "start": ({"start": np.full(SHAPE, 2.0)}, r"pixels in \[0, 1\].*2.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_errors_before_any_work(name) -> None:
    (options, message), victim = REFUSED[name], Victim(network("float64"))
    with pytest.raises(RangeError, match=message):
        fool_gradient(victim, **options)
    assert victim.forwards == 0


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("ascent: of log p", line(ASCENT, "_step", "p * norm", "norm"), test_a_step_is_the_papers),
    Mutant("ascent: no decay", line(ASCENT, "_step", "(1 - decay)", "1"), test_a_step_is_the_papers),
    Mutant("ascent: it never slows down", line(ASCENT, "_step", "LATE * (1 - p)", "rise"), test_late_steps_ask_for_a_tenth_of_what_is_missing),
    Mutant("ascent: out of bounds", line(ASCENT, "_step", "xp.clip(centre + (1 - decay) * (moved - centre), low, high)", "centre + (1 - decay) * (moved - centre)"), test_bounds_counts_and_honesty),
    Mutant("ascent: steps are not limited", line(ASCENT, "_step", ", widest)", ", xp.inf)"), test_no_step_is_longer_than_the_box_is_wide),
    Mutant("ascent: directions of no length", line(ASCENT, "_step", "l2_steepest(gradient)", "(gradient / per_example(norm, x))"), test_where_there_is_no_slope_images_stay),
    Mutant("ascent: history a step late", line(ASCENT, "fool_gradient", "history[1:done]", "history[: done - 1]"), test_history_lines_up_with_images),
    Mutant("ascent: images of a step that was not kept", line(ASCENT, "fool_gradient", "x, interrupted = state[0], True", "interrupted = True"), test_interrupted_at_any_line),
    Mutant("ascent: it starts far from the centre", line(ASCENT, "_noisy", "/ 255", "/ 25"), lambda: test_it_starts_around_the_centre((-1.0, 3.0))),
]
# fmt: on
