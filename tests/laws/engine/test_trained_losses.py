"""Losses to train on: cross-entropy softened and weighed, and any function that gives a number for each example."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks import FGSMAdversary, PGDAdversary
from minidl import losses, ops, recipe, train
from minidl.core import unbox
from minidl.derivatives import grad
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.losses import CrossEntropy, cross_entropy
from minidl.models import softmax_regression
from minidl.optim import SGD
from minidl.testing import Mutant, line
from minidl.train import TrainingStep, fit, gradient
from tests.laws.engine.test_train import Brighter, data, network, parameters

seeds, shares = st.integers(0, 2**32 - 1), st.floats(0, 0.99)


def some(seed: int, n: int = 6, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, classes)), rng.integers(0, classes, n)


def brier(logits: Any, labels: Any) -> Any:
    """A loss with a name of its own: Σ (p - onehot)², for each example."""
    difference = losses.softmax(logits) - np.eye(logits.shape[-1], dtype=logits.dtype)[labels]
    return ops.sum(difference * difference, axis=-1)


# --- CrossEntropy -----------------------------------------------------------------------------------------


@given(seeds, shares)
def test_a_smoothed_label_is_a_distribution(seed, s) -> None:
    """Σ q·(-log p), with q of 1 - s for the label and s/K for every class."""
    z, y = some(seed)
    q = (1 - s) * np.eye(4)[y] + s / 4
    expected = -(q * losses.log_softmax(z)).sum(axis=1)
    np.testing.assert_allclose(CrossEntropy(s)(z, y), expected, rtol=1e-10)
    slopes = grad(lambda z: ops.sum(CrossEntropy(s)(z, y)), z)
    np.testing.assert_allclose(slopes, losses.softmax(z) - q, rtol=1e-9, atol=1e-12)


@given(seeds, shares, st.lists(st.integers(0, 3), min_size=3, max_size=3).map(lambda w: [*w, 1]))
def test_a_class_that_weighs_twice_is_a_class_that_comes_twice(seed, s, weights) -> None:
    z, y = some(seed)
    repeated = np.repeat(np.arange(len(y)), np.array(weights)[y])
    expected = CrossEntropy(s)(z[repeated], y[repeated]).sum() if len(repeated) else 0
    np.testing.assert_allclose(CrossEntropy(s, weights)(z, y).sum(), expected, rtol=1e-10)


def test_without_either_it_is_cross_entropy_to_the_bit() -> None:
    for dtype in (np.float32, np.float64):
        z, y = some(0)
        for loss in (CrossEntropy(), CrossEntropy(0.0, (1, 1, 1, 1)), CrossEntropy(0.3, [1, 2, 3, 4])):
            each = loss(z.astype(dtype), y)
            assert each.dtype == dtype
            if not loss.label_smoothing:
                np.testing.assert_array_equal(each, cross_entropy(z.astype(dtype), y, "none"))


def test_two_are_equal_if_their_numbers_are() -> None:
    assert CrossEntropy(0.1, np.array([1.0, 2.0])) == CrossEntropy(0.1, (1, 2)) != CrossEntropy(0.1, (2, 1))
    assert hash(CrossEntropy(0.1, [1, 2])) == hash(CrossEntropy(0.1, (1, 2)))


@pytest.mark.parametrize(("options", "error"), [
    ({"label_smoothing": 1}, RangeError), ({"label_smoothing": -0.1}, RangeError),
    ({"label_smoothing": float("nan")}, RangeError), ({"class_weights": (1, -1)}, RangeError),
    ({"class_weights": (0, 0)}, RangeError), ({"class_weights": (1, float("inf"))}, RangeError),
    ({"class_weights": ()}, RangeError), ({"class_weights": 2.0}, DTypeError),
])  # fmt: skip
def test_anything_but_a_cross_entropy_raises_an_error(options, error) -> None:
    with pytest.raises(error, match="CrossEntropy: expected"):
        CrossEntropy(**options)


def test_labels_and_weights_must_fit_the_logits() -> None:
    z, y = some(0)
    with pytest.raises(ShapeError, match="weight for each class, got 3 weights for 4 classes"):
        CrossEntropy(class_weights=(1, 2, 3))(z, y)
    with pytest.raises(RangeError, match="labels in 0 ... 3"):
        CrossEntropy(0.1)(z, y + 4)


# --- in training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversary", [None, FGSMAdversary(0.2, alpha=0.5), Brighter()])
def test_cross_entropy_as_a_loss_is_the_default_to_the_bit(adversary) -> None:
    results = []
    for loss in (None, CrossEntropy(), partial(cross_entropy, reduction="none")):
        net, options = network(), {"penalty": losses.Penalty(1e-3, 1e-3), "validation": data(20, 1)}
        history = fit(net, data(), epochs=2, batch_size=16, loss=loss, adversary=adversary, **options)
        results.append((parameters(net), history.loss, history.accuracy, history.validation_loss))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("loss", [brier, CrossEntropy(0.2, (1, 2, 0.5))])
@pytest.mark.parametrize("adversary", [None, FGSMAdversary(0.2, alpha=0.25), PGDAdversary(0.2)])
def test_one_step_follows_any_loss(loss, adversary) -> None:
    """w - η ∂(α·mean L(x) + (1-α)·mean L(x') + penalty)/∂w: an adversary weighs examples, whatever the loss."""
    examples, penalty, net = data(20, dtype="float64"), losses.Penalty(0.01, 0.02), network(dropout=0, dtype="float64")
    before = {name: w.copy() for name, w in net.params.items()}
    x, y, alpha = examples.x, examples.y, 1.0 if adversary is None else adversary.alpha
    x_adv = x if adversary is None else adversary(net, x, y, TrainingStep(7, 0, 0, 1))

    def objective(params: Any) -> Any:
        clean, attacked = (ops.mean(loss(net.apply(params, images), y)) for images in (x, x_adv))
        return alpha * clean + (1 - alpha) * attacked + penalty(params)

    slopes, value = grad(objective, before), objective(before)
    history = fit(net, examples, epochs=1, batch_size=20, shuffle=False, optimizer=SGD(0.5), penalty=penalty,
                  adversary=adversary, loss=loss, seed=7)  # fmt: skip
    for name, w in before.items():
        np.testing.assert_allclose(net.params[name], w - 0.5 * slopes[name], rtol=1e-9, atol=1e-12)
    assert history.loss == [pytest.approx(value)]


def test_the_losses_learn() -> None:
    for loss in (brier, CrossEntropy(0.1), CrossEntropy(0.0, (1, 2, 3))):
        history = fit(network(), data(200), epochs=10, batch_size=20, loss=loss, validation=data(100, 1))
        assert history.validation_error[-1] < 0.1
        assert history.validation_loss[-1] < history.validation_loss[0]


def test_resumed_runs_end_with_the_same_bits_and_know_their_loss(tmp_path) -> None:
    for n, loss in enumerate((brier, CrossEntropy(0.2, (1, 2, 3)))):
        path, straight, resumed = tmp_path / f"{n}", network(), network()
        fit(straight, data(), epochs=3, loss=loss)
        fit(network(), data(), epochs=1, loss=loss, checkpoint=path)
        fit(resumed, data(), epochs=3, loss=loss, checkpoint=path)
        assert parameters(resumed) == parameters(straight)
        for other in (None, CrossEntropy(0.2, (1, 2, 4)), CrossEntropy(0.1, (1, 2, 3))):
            with pytest.raises(DataError, match="other settings.*loss"):
                fit(network(), data(), epochs=3, loss=other, checkpoint=path)
    with pytest.raises(DTypeError, match="checkpoint can tell from others.*lambda"):
        fit(network(), data(), epochs=1, loss=lambda z, y: brier(z, y), checkpoint=tmp_path / "another")


# --- refusals ---------------------------------------------------------------------------------------------


def by_class(logits: Any, labels: Any) -> Any:
    """As many numbers as there are classes."""
    return ops.mean(losses.softmax(logits), axis=0)


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "no function": (0.1, DTypeError, "loss that is a function of logits and labels"),
    "the mean": (cross_entropy, ShapeError, r"one floating-point number per example, shape \(2,\), got shape \(\).*leave out the mean"),
    "a number": (lambda z, y: 0.5, DTypeError, "got float"),
    "nothing": (lambda z, y: None, DTypeError, "got NoneType"),
    "whole numbers": (lambda z, y: y, DTypeError, "of dtype int64"),
    "a row each": (lambda z, y: losses.log_softmax(z), ShapeError, r"shape \(2, 3\).*sum over the classes"),
    "one of each class": (by_class, ShapeError, r"shape \(3,\)"),
    "a constant": (lambda z, y: np.ones(len(y)), DTypeError, "depends on the logits.*cut off.*minidl.ops"),
    "the plain logits": (lambda z, y: unbox(z)[:, 0] * 1.0, DTypeError, "depends on the logits"),
    "weights for others": (CrossEntropy(class_weights=(1, 2)), ShapeError, "2 weights for 3 classes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_anything_but_a_loss_raises_an_error_before_any_work(name, tmp_path) -> None:
    loss, error, message = REFUSED[name]
    net = network()
    before = parameters(net)
    with pytest.raises(error, match=f"fit: .*{message}" if name != "weights for others" else message):
        fit(net, data(), epochs=1, loss=loss)
    assert parameters(net) == before


def test_two_classes_do_not_pass_for_two_examples() -> None:
    two = data().replace(y=data().y % 2, class_names=("a", "b"))
    with pytest.raises(ShapeError, match=r"shape \(3,\), got shape \(2,\)"):
        fit(softmax_regression(4, 2), two, epochs=1, loss=by_class)


def test_a_loss_with_a_later_wrong_shape_raises_an_error_and_is_undone() -> None:
    """Whole batches it judges one by one, the last, smaller one as a whole."""

    def fickle(z: Any, y: Any) -> Any:
        return cross_entropy(z, y, "mean" if len(y) == 4 else "none")

    net = network()
    before = parameters(net)
    with pytest.raises(ShapeError, match="number per example"):
        fit(net, data(20), epochs=1, batch_size=16, loss=fickle)
    assert parameters(net) == before


def test_gradients_take_a_loss_too() -> None:
    net, examples = network(dropout=0), data(8)
    value, logits, grads = gradient(net, examples.x, examples.y, loss=brier)
    assert value == pytest.approx(float(brier(logits, examples.y).mean()))
    assert set(grads) == set(net.params)


def trained_on(loss: object) -> object:
    """The law of one step on that loss, against FGSM."""
    return lambda: test_one_step_follows_any_loss(loss, FGSMAdversary(0.2, alpha=0.25))


def refused(name: str) -> object:
    """The law that this is no loss."""
    return lambda tmp_path: test_anything_but_a_loss_raises_an_error_before_any_work(name, tmp_path)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("loss: always the cross-entropy", line(train, "_of_each", "if loss is None:", "if True:"), trained_on(brier)),
    Mutant("loss: not known to checkpoints", line(recipe.Recipe, "settings", 'identity("fit", self.loss)', "None"), test_resumed_runs_end_with_the_same_bits_and_know_their_loss),
    Mutant("loss: its shape is not checked", line(losses, "of_each", "each.shape != labels.shape", "False"), refused("the mean")),
    Mutant("loss: its dtype is not checked", line(losses, "of_each", ' or each.dtype.kind != "f"', ""), refused("whole numbers")),
    Mutant("loss: cut off from the logits", line(recipe, "_check_loss", "if not linearize", "if None and linearize"), refused("a constant")),
    Mutant("loss: as many examples as classes", line(recipe, "_check_loss", "3 if net.output_shape == (2,) else 2", "net.output_shape[0]"), test_two_classes_do_not_pass_for_two_examples),
    Mutant("label smoothing: the label not lowered", line(losses.CrossEntropy, "__call__", "(1 - self.label_smoothing) * each", "each"), test_a_smoothed_label_is_a_distribution),
    Mutant("label smoothing: the sum for the mean", line(losses.CrossEntropy, "__call__", "-ops.mean(", "-ops.sum("), test_a_smoothed_label_is_a_distribution),
    Mutant("class weights: those of the places, not of the labels", line(losses.CrossEntropy, "__call__", "[labels]", "[labels * 0]"), test_a_class_that_weighs_twice_is_a_class_that_comes_twice),
    Mutant("class weights: arrays told by their place", line(losses.CrossEntropy, "__post_init__", '"class_weights", weights', '"class_weights", self.class_weights'), test_two_are_equal_if_their_numbers_are),
]
# fmt: on
