"""Laws of JSMA: the paper's algorithm line by line, its mirror image, budgets, and the measures of its tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.minimal.jsma
import attacks.report.by_class
from attacks import Targeted, Untargeted, Victim, by_class, fgsm, forward_derivative, jsma, plain, saliency_map
from attacks.minimal.jsma import every_other_class
from minidl import batch_jacobian, losses, models, ops
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.layers import Conv2d, Dense, Flatten, Glorot, MaxPool2d, ReLU
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import network, other_targets

seeds = st.integers(0, 2**32 - 1)
thetas = st.sampled_from([1.0, 0.5, 0.25, -0.25, -0.5, -1.0])


def sixteenths(seed: int, n: int = 4) -> np.ndarray:
    """Images of multiples of 1/16, so that 1 - x and x ± θ are exact; black and white pixels among them."""
    return np.clip(np.random.default_rng(seed).integers(-8, 24, (n, 1, 4, 4)), 0, 16) / 16


@given(seed=seeds, theta=thetas, features=st.sampled_from([1, 2]))
def test_it_is_the_papers_algorithm(seed, theta, features) -> None:
    """Algorithms 1 to 3 in plain loops over the explicit Jacobian: the same images to the bit, after as many steps."""
    net, x = network(seed % 50, "float64"), sixteenths(seed)
    t = other_targets(net, x, np.random.default_rng(seed))
    result = jsma(net, x, Targeted(t), theta=theta, features=features, max_distortion=0.5)
    for i in range(len(x)):
        f, parts = plain.one(net), (0.5, result.iterations[i] * features / 16)  # and with no step more than were taken
        for part in parts:
            expected = plain.jsma(f, x[i], t[i], theta, part, features)
            np.testing.assert_array_equal(result.x_adv[i], expected)
        if result.iterations[i]:
            assert (plain.jsma(f, x[i], t[i], theta, parts[1] - features / 16, features) != expected).any()


def convolutional(seed: int) -> models.Sequential:
    layers = (Conv2d(3, 3, init_weights=Glorot()), ReLU(), MaxPool2d(2), Flatten(), Dense(4, init_weights=Glorot()))
    return models.Sequential(*layers, input_shape=(1, 4, 4), seed=seed, dtype="float64")


@given(seed=seeds, theta=thetas, features=st.sampled_from([1, 2]), steps=st.integers(1, 4))
def test_the_mirror_image(seed, theta, features, steps) -> None:
    """A network of 1 - x, attacked at 1 - x with -θ: the same features in the same order, as shown step by step."""
    net, x = convolutional(seed % 50), sixteenths(seed)
    t = (net(x).argmax(axis=1) + 1) % 4
    options = {"features": features, "max_distortion": steps * features / 16}
    straight = jsma(net, x, Targeted(t), theta=theta, **options)
    mirrored = jsma(lambda x: net(1 - x), 1 - x, Targeted(t), theta=-theta, **options)
    np.testing.assert_array_equal(mirrored.x_adv, 1 - straight.x_adv)
    np.testing.assert_array_equal(mirrored.iterations, straight.iterations)


@given(seed=seeds, theta=thetas, features=st.sampled_from([1, 2]), bound=st.floats(0, 1))
def test_bounds_budget_and_honesty(seed, theta, features, bound) -> None:
    net, x = network(seed % 50), sixteenths(seed).astype(np.float32)
    t = other_targets(net, x, np.random.default_rng(seed))
    victim = Victim(net)
    result = jsma(victim, x, Targeted(t), theta=theta, features=features, max_distortion=bound)
    assert result.x_adv.dtype == np.float32
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
    assert (result.l0 <= 16 * bound + 1e-6).all()
    assert (result.l0 <= features * result.iterations).all()
    assert ((result.x_adv - x) * theta >= 0).all()
    np.testing.assert_array_equal(result.success, net(result.x_adv).argmax(axis=1) == t)
    np.testing.assert_allclose(result.distortion, (result.x_adv != x).reshape(4, -1).mean(axis=1))
    assert (result.forwards, result.backwards) == (victim.forwards, victim.backwards)
    victim = Victim(net)
    every = jsma(victim, x, Untargeted(t), all_targets=True, max_distortion=bound)
    assert (every.forwards, every.backwards) == (victim.forwards, victim.backwards)
    assert (x == sixteenths(seed)).all()


@given(seed=seeds)
def test_a_smaller_budget_is_the_beginning_of_a_larger_one(seed) -> None:
    """What the hardness matrix takes from one run is what runs of their own would give."""
    net, x = network(seed % 50, "float64"), sixteenths(seed, 20)
    which, t = every_other_class(net(x).argmax(axis=1), 5)
    whole = jsma(net, x[which], Targeted(t), max_distortion=0.75)
    budgets = [0.125, 0.25, 0.5, 0.75]
    hardness, rates, costs = np.zeros((5, 5)), [np.zeros((5, 5))], [np.zeros((5, 5))]
    for bound in budgets:
        alone = jsma(net, x[which], Targeted(t), max_distortion=bound)
        steps = int(16 * bound / 2)
        np.testing.assert_array_equal(alone.success, whole.success & (whole.iterations <= steps))
        rates.append(by_class.success_matrix(alone, 5))
        costs.append(by_class.distortion_matrix(alone, 5, successful=False))
    hardness = sum((rates[k + 1] - rates[k]) * (costs[k + 1] + costs[k]) / 2 for k in range(len(budgets)))
    np.testing.assert_allclose(by_class.hardness_matrix(whole, budgets, 5), hardness, atol=1e-12)
    np.testing.assert_allclose(by_class.hardness_matrix(whole, [0, *budgets], 5), hardness, atol=1e-12)


@given(seed=seeds)
def test_every_class_and_the_cheapest(seed) -> None:
    net, x = network(seed % 50, "float64"), sixteenths(seed)
    y = np.random.default_rng(seed).integers(0, 5, 4)
    each = jsma(net, x, Untargeted(y), all_targets=True, max_distortion=0.5)
    now = net(x).argmax(axis=1)
    assert len(each) == 16
    assert [sorted({*each.goal.labels[4 * i : 4 * i + 4], now[i]}) for i in range(4)] == [[0, 1, 2, 3, 4]] * 4
    one = jsma(net, x, y, max_distortion=0.5)
    for i in range(4):
        mine = slice(4 * i, 4 * i + 4)
        if now[i] != y[i]:
            assert one.iterations[i] == 0
            assert (one.x_adv[i] == x[i]).all()
            assert one.success[i]
        elif each.success[mine].any():
            assert one.success[i]
            assert one.l0[i] == each.l0[mine][each.success[mine]].min()


def test_permuting_examples_permutes_results() -> None:
    net, x = network(3, "float64"), sixteenths(0, 9)
    t, order = other_targets(net, x, np.random.default_rng(0)), np.random.default_rng(1).permutation(9)
    straight, permuted = (jsma(net, x[o], Targeted(t[o]), max_distortion=0.6) for o in (np.arange(9), order))
    np.testing.assert_array_equal(straight.x_adv[order], permuted.x_adv)
    cut = jsma(Victim(net, batch_size=2), x, Targeted(t), max_distortion=0.6)
    np.testing.assert_array_equal(cut.x_adv, straight.x_adv)


@given(seed=seeds, theta=st.sampled_from([1.0, -1.0]))
def test_saliency_is_eq_8(seed, theta) -> None:
    net, x = network(seed % 50, "float64"), sixteenths(seed)
    t = np.random.default_rng(seed).integers(0, 5, 4)
    jacobian = batch_jacobian(net, x)
    for i, s in enumerate(saliency_map(net, x, t, theta=theta)):
        target, others = jacobian[i, t[i]], jacobian[i].sum(axis=0) - jacobian[i, t[i]]
        zero = (target < 0) | (others > 0) if theta > 0 else (target > 0) | (others < 0)
        np.testing.assert_allclose(s, np.where(zero, 0, abs(target * others)), atol=1e-12)


def test_with_probabilities_the_second_condition_says_nothing() -> None:
    """Why the paper takes logits: Σ_{j≠t} ∂F_j = -∂F_t, so S is (∂F_t)² wherever that is positive."""
    net, x, t = network(1, "float64"), sixteenths(1), np.array([0, 1, 2, 3])
    s = saliency_map(net, x, t, outputs="probabilities")
    f = batch_jacobian(lambda x: losses.softmax(net(x)), x)
    own = np.stack([f[i, t[i]] for i in range(4)])
    np.testing.assert_allclose(s, np.where(own > 0, own**2, 0), atol=1e-12)


def test_the_forward_derivative_layer_by_layer() -> None:
    """Eqs. 5 and 6: each layer's derivative in the input; the last one is the Jacobian."""
    net, x = convolutional(0), sixteenths(0)
    steps = forward_derivative(net, x, steps=True)
    assert list(steps) == list(net.layers)
    for (name, h), output in zip(net.steps(net.params, x), steps.values()):
        assert output.shape == (*h.shape, 1, 4, 4)
        upto = models.Sequential(
            *list(net.layers.values())[: list(net.layers).index(name) + 1], input_shape=(1, 4, 4), dtype="float64"
        )
        upto.params = {key: net.params[key] for key in upto.params}
        np.testing.assert_allclose(output, batch_jacobian(upto, x, "reverse"), atol=1e-12)
    np.testing.assert_allclose(list(steps.values())[-1], forward_derivative(net, x, chunk=5), atol=1e-12)


def test_lenets_jacobian_forward_and_reverse() -> None:
    net, x = models.lenet(dtype="float64"), np.random.default_rng(0).random((2, 1, 28, 28))
    forward, reverse = batch_jacobian(net, x, "forward", chunk=98), batch_jacobian(net, x, "reverse")
    assert forward.shape == (2, 10, 1, 28, 28)
    assert abs(forward - reverse).max() <= 1e-10 * abs(reverse).max()


def test_measures_by_hand() -> None:
    """Two classes, four attacks, numbers one can check in the head."""
    columns = np.array([[1.0, -1.0], [1.0, -1.0], [0.5, -0.5], [-2.0, 2.0]])
    x = np.array([[0.5, 0.25, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.25, 0.5, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    net = lambda x: x @ columns
    now = net(x).argmax(axis=1)
    assert now.tolist() == [1, 1, 0, 0]
    result = jsma(net, x, Targeted(1 - now), max_distortion=1.0)
    assert result.success.tolist() == [True, True, True, False]  # the last has no feature left that would help
    assert result.iterations.tolist() == [1, 1, 1, 1]
    np.testing.assert_array_equal(by_class.success_matrix(result, 2), [[np.nan, 0.5], [1.0, np.nan]])
    assert by_class.distortion_matrix(result, 2)[1, 0] == 0.5
    distances = by_class.adversarial_distance(net, x, np.zeros(4, int))
    np.testing.assert_allclose(distances, 0.25)  # three of the four features serve class 0
    assert by_class.robustness(distances) == 0.25
    assert np.isnan(by_class.robustness(np.zeros(0)))


REFUSALS = {
    "theta of 0": ({"theta": 0}, RangeError, "theta.*0"),
    "theta above 1": ({"theta": 1.5}, RangeError, "theta.*1.5"),
    "theta NaN": ({"theta": np.nan}, RangeError, "theta.*nan"),
    "distortion in percent": ({"max_distortion": 14.5}, RangeError, "fraction.*14.5"),
    "three features": ({"features": 3}, RangeError, "features=1.*3"),
    "outputs": ({"outputs": "scores"}, RangeError, "logits.*scores"),
    "all targets of one": ({"all_targets": True}, RangeError, "all_targets"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_before_any_work(name) -> None:
    options, error, message = REFUSALS[name]
    victim, x = Victim(network()), sixteenths(0).astype(np.float32)
    goal = Targeted((victim.net(x).argmax(axis=1) + 1) % 5)
    with pytest.raises(error, match=message):
        jsma(victim, x, goal, **options)
    assert victim.backwards == 0


def test_refusals_of_the_measures() -> None:
    net, x = network(), sixteenths(0).astype(np.float32)
    untargeted = jsma(net, x, np.zeros(4, int))
    with pytest.raises(DTypeError, match="targeted"):
        by_class.success_matrix(untargeted, 5)
    targeted = jsma(net, x, np.zeros(4, int), all_targets=True, max_distortion=0.25)
    for distortions in ([0.2, 0.1], [0.1, 0.5], [-0.1, 0.1], []):
        with pytest.raises(RangeError, match="growing"):
            by_class.hardness_matrix(targeted, distortions, 5)
    t = (net(x).argmax(axis=1) + 1) % 5
    with pytest.raises(RangeError, match="θ = ±1.*theta=0.5"):
        by_class.hardness_matrix(jsma(net, x, Targeted(t), theta=0.5), [0.1], 5)
    with pytest.raises(RangeError, match="complete run of jsma.*fgsm"):
        by_class.hardness_matrix(fgsm(net, x, Targeted(t)), [0.1], 5)
    with pytest.raises(RangeError, match=r"classes in 0 \.\.\. 2.*class"):
        by_class.success_matrix(targeted, 3)
    with pytest.raises(DTypeError, match="Sequential.*function"):
        forward_derivative(lambda x: net(x), x, steps=True)
    with pytest.raises(RangeError, match="finite gradients"), np.errstate(all="ignore"):
        jsma(lambda x: net(x) + ops.sqrt(x - x).sum(axis=(1, 2, 3))[:, None], x, Targeted(t))
    with pytest.raises(ShapeError):
        saliency_map(net, x, np.zeros(3, int))


@pytest.mark.parametrize("features", [1, 2])
def test_the_scale_of_the_logits_does_not_matter(features) -> None:
    """Powers of two scale exactly, so not a bit may change; the slopes' products would leave float32 far earlier."""
    net, x = network(), sixteenths(0).astype(np.float32)
    t = (net(x).argmax(axis=1) + 1) % 5
    expected = jsma(net, x, Targeted(t), features=features, max_distortion=0.6)
    distances = by_class.adversarial_distance(net, x, t)
    for power in (-90, 90):
        scaled = lambda x, power=power: net(x) * 2.0**power
        result = jsma(scaled, x, Targeted(t), features=features, max_distortion=0.6)
        np.testing.assert_array_equal(result.x_adv, expected.x_adv)
        np.testing.assert_array_equal(by_class.adversarial_distance(scaled, x, t), distances)


def test_half_precision_images_have_full_slopes() -> None:
    net, x = network(), sixteenths(0).astype(np.float16)
    t = (net(x).argmax(axis=1) + 1) % 5
    half, single = (jsma(net, x.astype(kind), Targeted(t), max_distortion=0.6) for kind in ("float16", "float32"))
    assert half.x_adv.dtype == np.float16
    np.testing.assert_array_equal(half.x_adv, single.x_adv)


def test_a_step_too_small_for_the_dtype_takes_no_budget() -> None:
    x = np.full((2, 1, 4, 4), 0.75, np.float32)
    t = (network()(x).argmax(axis=1) + 1) % 5
    result = jsma(network(), x, Targeted(t), theta=1e-9, max_distortion=1.0)
    assert result.l0.max() == 0
    assert result.iterations.max() <= 8  # each of the pairs once; then all have left the domain


def test_no_examples_and_images_that_cannot_change() -> None:
    net, x = network(), sixteenths(0).astype(np.float32)
    empty = jsma(net, x[:0], Targeted(np.zeros(0, int)))
    assert empty.x_adv.shape == (0, 1, 4, 4)
    assert empty.distortion.shape == (0,)
    white = np.ones_like(x)
    t = (net(white).argmax(axis=1) + 1) % 5
    stuck = jsma(net, white, Targeted(t))  # no feature can be increased
    assert stuck.iterations.tolist() == [0, 0, 0, 0]
    assert (stuck.x_adv == white).all()


def test_ctrl_c_keeps_what_was_done(monkeypatch) -> None:
    net, x = network(dtype="float64"), sixteenths(0)
    t = (net(x).argmax(axis=1) + 1) % 5
    victim, calls, linearize = Victim(net), [0], Victim.linearize

    def pressed(self, *arguments):
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return linearize(self, *arguments)

    monkeypatch.setattr(Victim, "linearize", pressed)
    result = jsma(victim, x, Targeted(t), max_distortion=1.0)
    assert result.params["interrupted"]
    assert result.iterations.max() == 1
    monkeypatch.undo()
    np.testing.assert_array_equal(result.x_adv, jsma(net, x, Targeted(t), max_distortion=2 / 16).x_adv)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("JSMA: the others' slopes with the wrong sign", line(attacks.minimal.jsma, "_rows", "a - pulled[1]", "pulled[1] - a"), test_saliency_is_eq_8),
    Mutant("JSMA: not mirrored", line(attacks.minimal.jsma, "_rows", "-a, -b", "a, b"), test_the_mirror_image),
    Mutant("JSMA: a touched feature leaves the domain", line(attacks.minimal.jsma, "_move", "domain[where] = (flat[where] != before) & movable(flat[where])", "domain[where] = False"), test_it_is_the_papers_algorithm),
    Mutant("JSMA: a saturated feature stays in the domain", line(attacks.minimal.jsma, "_move", "domain[where] = (flat[where] != before) & movable(flat[where])", "pass"), test_it_is_the_papers_algorithm),
    Mutant("JSMA: one step too many", line(attacks.minimal.jsma, "steps_allowed", "/ features + 1e-9", "/ features + 1"), test_bounds_budget_and_honesty),
    Mutant("JSMA: probabilities in place of logits", line(attacks.minimal.jsma, "_rows", 'if outputs == "logits":', "if True:"), test_with_probabilities_the_second_condition_says_nothing),
    Mutant("hardness: rectangles", line(attacks.report.by_class, "hardness_matrix", "(e1 + e0) / 2", "e1"), test_a_smaller_budget_is_the_beginning_of_a_larger_one),
    Mutant("matrices: source and target swapped", line(attacks.report.by_class, "mean_by_pair", "source * classes + target", "target * classes + source"), test_measures_by_hand),
]
# fmt: on
