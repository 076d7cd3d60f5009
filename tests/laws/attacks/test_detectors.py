"""Laws of detectors: densities, uncertainty, ROC curves, and the network and its detector as one."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks import Targeted, Victim, cw_l2, pgd
from attacks.defences import density, uncertainty
from attacks.defences import roc as curves
from attacks.defences.density import KernelDensity, cross_validated, kernel_density
from attacks.defences.guarded import Guarded, guarded
from attacks.defences.roc import roc, threshold_at
from attacks.defences.uncertainty import combine, dropout_variance
from minidl import Dataset, backend, linearize, models
from minidl.errors import DTypeError, MissingPackageError, RangeError, ShapeError
from minidl.layers import Glorot
from minidl.testing import Mutant, check_all, line
from tests.support.other_arrays import add_the_stand_in, check_the_same_on

seeds = st.integers(0, 2**32 - 1)
try:
    import sklearn
except ImportError:
    sklearn = None
needs_scikit_learn = pytest.mark.skipif(sklearn is None, reason="without scikit-learn")


def net(seed: int = 0, classes: int = 3, dropout: float = 0.0) -> models.Sequential:
    return models.mlp((1, 3, 3), classes, (5, 4), activation="tanh", bias=True, dropout=(0.0, dropout),
                      init_weights=Glorot(), seed=seed, dtype="float64")  # fmt: skip


def detector(seed: int = 0, bandwidth: float = 0.5, threshold: float = -4.0) -> KernelDensity:
    rng, network = np.random.default_rng(seed), net(seed % 100)
    centres = tuple(rng.normal(size=(n, 4)) * 0.5 for n in (3, 1, 6))
    return KernelDensity(network, network.up_to("tanh2"), centres, bandwidth, threshold)


def images(seed: int, count: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 3, 3))


# --- density ---------------------------------------------------------------------------------------------


@given(seed=seeds, bandwidth=st.floats(0.05, 5))
def test_densities_by_their_definition(seed, bandwidth) -> None:
    it, x = detector(seed, bandwidth), images(seed)
    points, result = it.features(x), it.log_densities(x)
    for n, point in enumerate(points):
        for k, centres in enumerate(it.centres):
            kernels = [np.exp(-((point - c) ** 2).sum() / (2 * bandwidth**2)) for c in centres]
            p = np.mean(kernels) / (2 * np.pi * bandwidth**2) ** 2
            if p > 1e-300:
                assert result[n, k] == pytest.approx(np.log(p), rel=1e-8, abs=1e-8)
    predicted = it.network(x).argmax(axis=1)
    np.testing.assert_array_equal(it.score(x), result[np.arange(len(x)), predicted])
    np.testing.assert_array_equal(it.flags(x), it.score(x) < it.threshold)


@needs_scikit_learn
@given(seed=seeds, bandwidth=st.floats(0.05, 5))
def test_densities_are_those_of_scikit_learn(seed, bandwidth) -> None:
    from sklearn.neighbors import KernelDensity as Theirs

    it, x = detector(seed, bandwidth), images(seed)
    for k, centres in enumerate(it.centres):
        theirs = Theirs(bandwidth=bandwidth, rtol=1e-12, atol=0).fit(centres).score_samples(it.features(x))
        np.testing.assert_allclose(it.log_densities(x)[:, k], theirs, rtol=1e-8, atol=1e-8)


@given(seed=seeds)
def test_the_density_can_be_differentiated(seed) -> None:
    it = detector(seed)
    check_all(it.log_densities, images(seed, 2))


@given(seed=seeds, rate=st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_the_threshold_flags_at_most_the_stated_share(seed, rate) -> None:
    rng, network = np.random.default_rng(seed), net(3)
    x = rng.random((400, 1, 3, 3)) * 4 - 2
    data = Dataset(x, network(x).argmax(axis=1))
    if np.bincount(data.y[:300], minlength=3).min() < 5:
        return
    rest, held_out = data.take(range(300)), data.take(range(300, 400))
    options = {"false_positive_rate": rate, "bandwidth": 0.3, "most": 20, "seed": seed}
    it = kernel_density(network, network.up_to("tanh2"), rest, held_out, **options)
    assert it.flags(held_out.x).mean() <= rate + 1e-12
    assert it.flags(held_out.x).mean() >= rate - 0.01 - 1e-12
    assert max(map(len, it.centres)) <= 20
    for k, centres in enumerate(it.centres):
        own = it.features(rest.x[data.y[:300] == k])
        assert all((own == c).all(axis=1).any() for c in centres), "points of the predicted class"
    again = kernel_density(network, network.up_to("tanh2"), rest, held_out, **options)
    np.testing.assert_array_equal(again.centres[0], it.centres[0])
    assert again.threshold == it.threshold


@needs_scikit_learn
def test_the_bandwidth_is_the_most_likely_candidate() -> None:
    rng = np.random.default_rng(0)
    two = [rng.normal(size=(60, 2)), 3 + rng.normal(size=(40, 2))]
    width = cross_validated(two)
    deviation = np.concatenate(two).std()
    likelihoods = []
    for c in density.CANDIDATES:
        total = 0.0
        for points in two:
            for part in np.array_split(np.arange(len(points)), 5):
                rest = np.delete(points, part, axis=0)
                squared = ((points[part, None] - rest) ** 2).sum(axis=-1)
                kernels = np.exp(-squared / (2 * (c * deviation) ** 2)) / (2 * np.pi * (c * deviation) ** 2)
                total += np.log(np.maximum(kernels.mean(axis=1), 1e-300)).sum()
        likelihoods.append(total)
    assert width == pytest.approx(deviation * density.CANDIDATES[int(np.argmax(likelihoods))])
    assert 0.1 < width < 1.5


# --- guarded ---------------------------------------------------------------------------------------------


@given(seed=seeds)
def test_flagged_is_predicted_exactly_where_the_detector_flags(seed) -> None:
    it = detector(seed)
    it = KernelDensity(it.network, it.features, it.centres, it.bandwidth, float(np.median(it.score(images(seed, 30)))))
    whole, x = guarded(it), images(seed, 30)
    predictions, flagged = whole(x).argmax(axis=1), it.flags(x)
    assert 0 < flagged.sum() < 30
    np.testing.assert_array_equal(predictions == 3, flagged)
    np.testing.assert_array_equal(predictions[~flagged], it.network(x).argmax(axis=1)[~flagged])
    np.testing.assert_array_equal(whole(x)[:, :3], it.network(x))


@given(seed=seeds)
def test_the_whole_can_be_differentiated(seed) -> None:
    it, x = detector(seed), images(seed, 2)
    z = np.sort(it.network(x), axis=1)
    if (z[:, -1] - z[:, -2]).min() < 1e-3:
        return  # a corner: the prediction is about to change
    check_all(guarded(it), x)


def test_attacks_go_through_both() -> None:
    it = detector(1)
    x = images(1, 40)
    it = KernelDensity(it.network, it.features, it.centres, 0.5, float(np.quantile(it.score(x), 0.1)))
    whole, wrong = Victim(guarded(it)), (it.network(x).argmax(axis=1) + 1) % 3
    for result in (cw_l2(whole, x, Targeted(wrong), steps=200, binary_search_steps=5),
                   pgd(whole, x, Targeted(wrong), epsilon=0.9, steps=40, objective="margin")):  # fmt: skip
        good = result.x_adv[result.success]
        assert len(good) > 5
        np.testing.assert_array_equal(it.network(good).argmax(axis=1), wrong[result.success])
        assert not it.flags(good).any()


# --- ROC -------------------------------------------------------------------------------------------------

scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


@given(clean=scores, adversarial=scores)
def test_the_area_is_the_chance_that_an_adversarial_score_is_higher(clean, adversarial) -> None:
    higher = [(a > c) + 0.5 * (a == c) for a in adversarial for c in clean]
    curve = roc(clean, adversarial)
    assert curve.area == pytest.approx(np.mean(higher))
    for t, false, true in zip(curve.thresholds, curve.false_positive_rates, curve.true_positive_rates):
        assert false == np.mean([c >= t for c in clean])
        assert true == np.mean([a >= t for a in adversarial])
    assert curve.false_positive_rates[0] == curve.true_positive_rates[0] == 0
    assert curve.false_positive_rates[-1] == curve.true_positive_rates[-1] == 1


@given(clean=scores, rate=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_no_lower_threshold_has_so_few_false_positives(clean, rate) -> None:
    threshold = threshold_at(clean, rate)
    assert np.mean([c > threshold for c in clean]) <= rate
    lower = np.nextafter(threshold, -np.inf)
    if any(c == threshold for c in clean):
        assert np.mean([c > lower for c in clean]) > rate


# --- uncertainty, and scores together -----------------------------------------------------------------------


def test_the_variance_is_that_of_the_runs() -> None:
    it, x = net(dropout=0.5), images(0, 7)
    result = dropout_variance(it, x, runs=6, seed=4)
    runs = []
    for run in range(6):
        z = it.apply(it.params, x, np.random.default_rng((4, 0, run)))
        runs.append(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    p = np.stack(runs)
    np.testing.assert_allclose(result, (p**2).sum(axis=2).mean(axis=0) - (p.mean(axis=0) ** 2).sum(axis=1), atol=1e-12)
    np.testing.assert_array_equal(dropout_variance(it, x, runs=6, seed=4), result)
    assert (dropout_variance(it, x, runs=6, seed=5) != result).any()
    assert dropout_variance(it, x[:0]).shape == (0,)


def test_an_image_does_not_depend_on_the_others(monkeypatch) -> None:
    monkeypatch.setattr(uncertainty, "PART", 4)
    it, x = net(dropout=0.5), images(0, 10)
    result = dropout_variance(it, x, runs=3)
    np.testing.assert_allclose(dropout_variance(it, x[:6], runs=3), result[:6], rtol=1e-9)
    other = np.concatenate([images(1, 3), x[3:]])
    np.testing.assert_allclose(dropout_variance(it, other, runs=3)[3:], result[3:], rtol=1e-9)


@needs_scikit_learn
@given(seed=seeds)
def test_a_combination_ignores_units_and_separates(seed) -> None:
    rng = np.random.default_rng(seed)
    clean = {"a": rng.normal(size=30), "b": rng.normal(size=30)}
    bad = {"a": 2 + rng.normal(size=20), "b": rng.normal(size=20)}
    it = combine(clean, bad)
    assert roc(it.score(clean), it.score(bad)).area > 0.6
    z = {name: np.concatenate([clean[name], bad[name]]) for name in clean}
    z = {name: (each - each.mean()) / each.std() for name, each in z.items()}
    linear = sum(it.weights[name] * each for name, each in z.items())
    np.testing.assert_allclose(np.ptp(np.concatenate([it.score(clean), it.score(bad)]) - linear), 0, atol=1e-9)
    scaled = [{"a": 1000 * each["a"] + 7, "b": each["b"] / 50} for each in (clean, bad)]
    np.testing.assert_allclose(combine(*scaled).score(scaled[0]), it.score(clean), rtol=1e-6, atol=1e-8)


# --- refusals and other arrays -----------------------------------------------------------------------------


def test_what_is_refused(monkeypatch) -> None:
    it, x = net(), images(0, 60)
    data = Dataset(x, it(x).argmax(axis=1))
    few = Dataset(x[:2], data.y[:2])
    with pytest.raises(DTypeError, match="two data sets"):
        kernel_density(it, it.up_to("tanh2"), x, data)
    with pytest.raises(RangeError, match="at least 5 images"):
        kernel_density(it, it.up_to("tanh2"), few, data, bandwidth=1.0)
    for options, match in (({"false_positive_rate": 2}, "false_positive_rate"), ({"bandwidth": 0}, "bandwidth above 0"),
                           ({"most": 4}, "most, at least 5"), ({"seed": -1}, "seed")):  # fmt: skip
        with pytest.raises(RangeError, match=match):
            kernel_density(it, it.up_to("tanh2"), data, data, **options)
    with pytest.raises(ShapeError, match="Flatten"):
        kernel_density(it, lambda x: x, data, data, bandwidth=1.0)
    with pytest.raises(DTypeError, match="KernelDensity"):
        Guarded(it)
    with pytest.raises(DTypeError, match="network with dropout"):
        dropout_variance(net(dropout=0.0), x)
    with pytest.raises(RangeError, match="runs, at least 2"):
        dropout_variance(net(dropout=0.5), x, runs=1)
    with pytest.raises(ShapeError, match="one at least"):
        roc([], [1.0])
    with pytest.raises(RangeError, match="finite"):
        roc([0.0], [float("nan")])
    with pytest.raises(RangeError, match="rate"):
        threshold_at([0.0], 1.5)
    for name in ("sklearn", "sklearn.linear_model", "sklearn.model_selection", "sklearn.neighbors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match="black-box"):
        cross_validated([np.zeros((5, 1))])
    with pytest.raises(MissingPackageError, match="black-box"):
        combine({"a": [0.0]}, {"a": [1.0]})


@needs_scikit_learn
def test_a_combination_refuses_other_scores() -> None:
    it = combine({"a": [0.0, 1.0]}, {"a": [2.0, 3.0]})
    for wrong in ({"b": [0.0]}, {}, {"a": [[0.0]]}):
        with pytest.raises(ShapeError, match=r"scores \(N,\)"):
            it.score(wrong)


def test_detectors_on_another_library(monkeypatch) -> None:
    add_the_stand_in(monkeypatch)

    def results() -> list[np.ndarray]:
        it, x = net(3, dropout=0.5), backend.asarray(np.random.default_rng(0).random((400, 1, 3, 3)) * 4 - 2)
        data = Dataset(x, it(x).argmax(axis=1))
        result = kernel_density(it, it.up_to("tanh2"), data, data, bandwidth=0.4, most=9)
        lin = linearize(guarded(result), x[:5])
        return [*map(backend.to_numpy, result.centres), backend.to_numpy(lin.value), dropout_variance(it, x, runs=3),
                backend.to_numpy(lin.vjp(namespace_ones(lin.value))), np.array(result.threshold)]  # fmt: skip

    check_the_same_on("strict", results, rtol=1e-9, atol=1e-12)


def namespace_ones(like):
    return backend.namespace(like).ones(like.shape, dtype=like.dtype)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("density: σ² without its 2", line(KernelDensity, "_of_class", "(-2 * self.bandwidth**2)", "(-1 * self.bandwidth**2)"), test_densities_by_their_definition),
    Mutant("density: not divided by the number of points", line(KernelDensity, "_of_class", "math.log(len(centres)) + ", ""), test_densities_by_their_definition),
    Mutant("density: not normalised", line(KernelDensity, "_of_class", "centres.shape[1] / 2 * math.log(2 * math.pi * self.bandwidth**2)", "0"), test_densities_by_their_definition),
    Mutant("density: a·b once", line(KernelDensity, "_of_class", "lengths - 2 * ops", "lengths - 1 * ops"), test_densities_by_their_definition),
    Mutant("density: of the first class", line(KernelDensity, "scored", "argmax(axis=1)", "argmax(axis=1) * 0"), test_densities_by_their_definition),
    Mutant("density: common images are flagged", line(KernelDensity, "flags", "< self.threshold", "> self.threshold"), test_densities_by_their_definition),
    Mutant("density: cut off from the image", line(KernelDensity, "log_densities", "points = self.features(x)", "points = unbox(self.features(x))"), test_the_density_can_be_differentiated),
    Mutant("density: the threshold of the suspicious end", line(density, "kernel_density", "-threshold_at(suspicion, false_positive_rate)", "threshold_at(-suspicion, false_positive_rate)"), test_the_threshold_flags_at_most_the_stated_share),
    Mutant("density: any points", line(density, "kernel_density", "np.flatnonzero(classes == k)", "np.arange(len(classes))"), test_the_threshold_flags_at_most_the_stated_share),
    Mutant("density: all points", line(density, "kernel_density", "[:most]", ""), test_the_threshold_flags_at_most_the_stated_share),
    Mutant("density: the least likely bandwidth", line(density, "cross_validated", "np.argmax", "np.argmin"), test_the_bandwidth_is_the_most_likely_candidate if sklearn else test_no_lower_threshold_has_so_few_false_positives),
    Mutant("guarded: flags what is common", line(Guarded, "__call__", "self.detector.threshold - self.detector.scored(logits, x)", "self.detector.scored(logits, x) - self.detector.threshold"), test_flagged_is_predicted_exactly_where_the_detector_flags),
    Mutant("guarded: beside the smallest logit", line(Guarded, "__call__", "ops.max(logits", "ops.min(logits"), test_flagged_is_predicted_exactly_where_the_detector_flags),
    Mutant("guarded: the detector is a constant", line(Guarded, "__call__", "self.detector.scored(logits, x)", "ops.stop_gradient(self.detector.scored(logits, x))"), test_the_whole_can_be_differentiated),
    Mutant("ROC: above the threshold only", line(curves, "roc", "np.searchsorted(np.sort(each), thresholds)", "np.searchsorted(np.sort(each), thresholds, 'right')"), test_the_area_is_the_chance_that_an_adversarial_score_is_higher),
    Mutant("ROC: rates swapped", line(curves, "roc", "np.trapezoid(rates[1], rates[0])", "np.trapezoid(rates[0], rates[1])"), test_the_area_is_the_chance_that_an_adversarial_score_is_higher),
    Mutant("ROC: ties count whole", line(curves, "roc", "np.trapezoid(rates[1], rates[0])", "np.sum(np.diff(rates[0]) * rates[1][1:])"), test_the_area_is_the_chance_that_an_adversarial_score_is_higher),
    Mutant("threshold: one too many", line(curves, "threshold_at", "len(scores) - 1 - allowed", "max(len(scores) - 2 - allowed, 0)"), test_no_lower_threshold_has_so_few_false_positives),
    Mutant("threshold: never any", line(curves, "threshold_at", "rate * len(scores)", "0 * len(scores)"), test_no_lower_threshold_has_so_few_false_positives),
    Mutant("uncertainty: the deviation", line(uncertainty, "dropout_variance", "p.var(axis=0)", "p.std(axis=0)"), test_the_variance_is_that_of_the_runs),
    Mutant("uncertainty: one mask for all runs", line(uncertainty, "dropout_variance", "(seed, part, run)", "(seed, part, 0)"), test_the_variance_is_that_of_the_runs),
    Mutant("uncertainty: of the logits", line(uncertainty, "_probabilities", "softmax(net", "(net"), test_the_variance_is_that_of_the_runs),
]
# fmt: on
