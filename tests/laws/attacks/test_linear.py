"""Laws of linear classifiers as networks, and of the step against them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.black_box.linear
from attacks import Targeted, Untargeted, Victim, linear_network, svm_step
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network, other_targets

seeds = st.integers(0, 2**32 - 1)


def trained(seed: int, classes: int = 4, features: int = 6) -> SimpleNamespace:
    """What scikit-learn's linear classifiers have once they are trained: one row of weights for two classes."""
    rng, rows = np.random.default_rng(seed), 1 if classes == 2 else classes
    w, b = rng.normal(size=(rows, features)), rng.normal(size=rows)
    return SimpleNamespace(coef_=w, intercept_=b, classes_=np.arange(classes))


@given(seed=seeds, classes=st.integers(2, 6))
def test_the_network_has_the_same_logits(seed, classes) -> None:
    classifier, x = trained(seed, classes), np.random.default_rng(seed).random((5, 1, 2, 3))
    net = linear_network(classifier, (1, 2, 3), dtype="float64")
    scores = x.reshape(5, 6) @ classifier.coef_.T + classifier.intercept_
    logits = net(x)
    if classes == 2:
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], scores[:, 0], atol=1e-10)
    else:
        np.testing.assert_allclose(logits, scores, atol=1e-10)
    assert net.output_shape == (classes,)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_agrees_with_scikit_learn(classes) -> None:
    """decision_function of trained LR and SVM to 1e-10, and the same predictions."""
    linear_model, svm = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.svm")
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 8)), rng.integers(0, classes, 60)
    for classifier in (linear_model.LogisticRegression(), svm.LinearSVC(random_state=0)):
        classifier.fit(x, y)
        logits, scores = linear_network(classifier, (8,), dtype="float64")(x), classifier.decision_function(x)
        np.testing.assert_array_equal(logits.argmax(axis=1), classifier.predict(x))
        mine = logits if classes > 2 else logits[:, 1] - logits[:, 0]
        np.testing.assert_allclose(mine, scores, atol=1e-10)


@given(seed=seeds, epsilon=st.floats(0.01, 0.3))
def test_the_step_is_the_papers(seed, epsilon) -> None:
    """x - ε·w_k/‖w_k‖₂ with k the predicted class: of length ε inside the bounds, and clipped to them."""
    classifier, rng = trained(seed), np.random.default_rng(seed)
    net, x = linear_network(classifier, (6,), dtype="float64"), rng.uniform(0.4, 0.6, (5, 6))
    k = net(x).argmax(axis=1)
    w = classifier.coef_[k]
    result = svm_step(net, x, k, epsilon=epsilon)
    np.testing.assert_allclose(result.x_adv, x - epsilon * w / np.linalg.norm(w, axis=1, keepdims=True), atol=1e-9)
    edge, free = np.round(x), svm_step(net, np.round(x), k, epsilon=epsilon, clip=False)
    k = net(edge).argmax(axis=1)
    w = classifier.coef_[k]
    moved = edge - epsilon * w / np.linalg.norm(w, axis=1, keepdims=True)
    np.testing.assert_allclose(free.x_adv, moved, atol=1e-9)
    clipped = svm_step(net, edge, k, epsilon=epsilon)
    np.testing.assert_allclose(clipped.x_adv, moved.clip(0, 1), atol=1e-9)
    assert not np.array_equal(clipped.x_adv, free.x_adv)


@given(seed=seeds)
def test_it_steps_from_the_prediction_whatever_the_goal(seed) -> None:
    net, (x, y) = network(seed % 50), images(seed)
    t = other_targets(net, x, np.random.default_rng(seed))
    results = [svm_step(net, x, goal, epsilon=0.2) for goal in (y, Untargeted(t), Targeted(t))]
    np.testing.assert_array_equal(results[0].x_adv, results[1].x_adv)
    moved = results[2].clean_pred != t
    np.testing.assert_array_equal(results[2].x_adv[moved], results[0].x_adv[moved])
    np.testing.assert_array_equal(results[0].success, net(results[0].x_adv).argmax(axis=1) != y)


def test_several_lengths_share_one_gradient() -> None:
    (x, y), victim = images(0), Victim(network())
    results = svm_step(victim, x, y, epsilon=[0.0, 0.5, 0.1])
    assert (victim.backwards, victim.forwards) == (7, 7 * 4)
    for result, epsilon in zip(results, (0.0, 0.5, 0.1)):
        np.testing.assert_array_equal(result.x_adv, svm_step(network(), x, y, epsilon=epsilon).x_adv)
        assert result.params["epsilon"] == epsilon
    np.testing.assert_array_equal(results[0].x_adv, x)


CLASSIFIERS = {
    "not trained": (SimpleNamespace(), (6,), DTypeError, "a linear classifier that is trained.*fit"),
    "words": (
        SimpleNamespace(**{**vars(trained(0)), "classes_": np.array(list("abcd"))}),
        (6,),
        DTypeError,
        "labels 0 ... K-1",
    ),
    "from 1": (SimpleNamespace(**{**vars(trained(0)), "classes_": np.arange(1, 5)}), (6,), DTypeError, r"\[1 2 3 4\]"),
    "other pixels": (trained(0), (1, 2, 4), ShapeError, r"6 pixels.*\(1, 2, 4\)"),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_that_do_not_fit_raise_an_error(name) -> None:
    classifier, shape, error, message = CLASSIFIERS[name]
    with pytest.raises(error, match=message) as caught:
        linear_network(classifier, shape)
    assert isinstance(caught.value, MinidlError)


def test_one_against_one_raises_an_error() -> None:
    svm = pytest.importorskip("sklearn.svm")
    rng = np.random.default_rng(0)
    for classes in (2, 3, 4):
        classifier = svm.SVC(kernel="linear").fit(rng.random((40, 5)), np.arange(40) % classes)
        with pytest.raises(DTypeError, match="a row of weights for each.*SVC"):
            linear_network(classifier, (5,))


def test_without_intercept() -> None:
    svm = pytest.importorskip("sklearn.svm")
    rng = np.random.default_rng(0)
    for classes in (2, 3):
        x = rng.random((40, 5))
        classifier = svm.LinearSVC(fit_intercept=False).fit(x, np.arange(40) % classes)
        network = linear_network(classifier, (5,), dtype="float64")
        np.testing.assert_array_equal(network(x).argmax(axis=1), classifier.predict(x))


def test_a_negative_length_raises_before_any_work() -> None:
    (x, y), victim = images(0), Victim(network())
    with pytest.raises(RangeError, match="epsilon of at least 0.*-1"):
        svm_step(victim, x, y, epsilon=-1)
    assert victim.forwards == 0


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MODULE = attacks.black_box.linear
MUTANTS = [
    Mutant("linear: weights not transposed", line(MODULE, "linear_network", "asarray(w.T, dtype=dtype)", "asarray(w.reshape(w.shape[::-1]), dtype=dtype)"), test_the_network_has_the_same_logits),
    Mutant("linear: no intercept", line(MODULE, "linear_network", "asarray(b, dtype=dtype)", "asarray(0 * b, dtype=dtype)"), test_the_network_has_the_same_logits),
    Mutant("linear: two classes the wrong way round", line(MODULE, "linear_network", "np.concatenate([0 * w, w]), np.concatenate([0 * b, b])", "np.concatenate([w, 0 * w]), np.concatenate([b, 0 * b])"), test_the_network_has_the_same_logits),
    Mutant("svm_step: towards the prediction", line(MODULE, "_against_the_prediction", "return -ops", "return ops"), test_the_step_is_the_papers),
    Mutant("svm_step: away from the label", line(MODULE, "_against_the_prediction", "unbox(logits).argmax(axis=-1)", "goal.labels"), test_it_steps_from_the_prediction_whatever_the_goal),
    Mutant("svm_step: a step in L∞", line(MODULE, "svm_step", 'NORMS["l2"].move', 'NORMS["linf"].move'), test_the_step_is_the_papers),
    Mutant("svm_step: never clipped", line(MODULE, "svm_step", "epsilon, clip, norm", "epsilon, False, norm"), test_the_step_is_the_papers),
]
# fmt: on
