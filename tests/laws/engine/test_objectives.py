"""Laws of objectives: what training minimises where that is not a loss of logits, and the penalties on Jacobians."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import draws, losses, models, objectives, ops, recipe, sequential, train
from minidl.backend import use
from minidl.derivatives import batch_jacobian, grad, value_and_grad
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.layers import Conv2d, Dense, Dropout, Flatten, Glorot, MaxPool2d, ReLU, Reshape, Sigmoid, Tanh
from minidl.models import Sequential
from minidl.objectives import Contractive, JacobianPenalty, Reconstruction, contractive, jacobian_penalty
from minidl.optim import SGD
from minidl.testing import Mutant, line
from minidl.train import TrainingStep, fit
from tests.laws.engine.test_train import Brighter, data, network, parameters

seeds = st.integers(0, 2**32 - 1)
HERE = TrainingStep(seed=5, epoch=1, step=2, steps=4)


# --- in training ------------------------------------------------------------------------------------------


def cross_entropy(net: Any, params: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
    """What training minimises anyway."""
    return losses.cross_entropy(net.apply(params, x, moment.rng), y, check=False)


def roughness(net: Any, params: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
    """An objective with a name of its own, in which everything that it is given counts."""
    outputs = net.apply(params, x + (moment.key % 7) / 7, moment.rng)
    return ops.mean(outputs * outputs) + ops.mean(outputs[:, 0] * y)


def of_one_weight(params: Any) -> Any:
    """A penalty that is not `Penalty`."""
    return 0.1 * losses.l2(params["dense1.W"])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("penalty", [None, losses.Penalty(1e-3, 1e-2), of_one_weight])
def test_cross_entropy_as_an_objective_is_the_default_to_the_bit(backend, penalty) -> None:
    with use(backend):
        results = []
        for objective in (None, cross_entropy):
            net = network()
            history = fit(net, data(), epochs=2, batch_size=16, penalty=penalty, objective=objective, patience=1,
                          validation=data(20, 1))  # fmt: skip
            measured = history.loss, history.validation_loss, history.validation_error, history.lr
            results.append((parameters(net), measured))
        assert results[0] == results[1]
        assert np.isnan(history.accuracy).all()
        assert len(history.accuracy) == len(history)


@pytest.mark.parametrize("penalty", [None, losses.Penalty(0.01, 0.02), of_one_weight])
@pytest.mark.parametrize("objective", [roughness, JacobianPenalty(0.5, 2), Contractive((0.1, 0.2))])
def test_one_step_follows_any_objective(objective, penalty) -> None:
    """w - η ∂(objective + penalty)/∂w, with the random numbers of that step."""
    examples, net = data(20, dtype="float64"), network(dropout=0.3, dtype="float64")
    before, moment = {name: w.copy() for name, w in net.params.items()}, TrainingStep(7, 0, 0, 1)

    def minimised(params: Any) -> Any:
        value = objective(net, params, examples.x, examples.y, moment)
        return value if penalty is None else value + penalty(params)

    value, slopes = value_and_grad(minimised, before)
    history = fit(net, examples, epochs=1, batch_size=20, shuffle=False, optimizer=SGD(0.5), penalty=penalty,
                  objective=objective, seed=7)  # fmt: skip
    for name, w in before.items():
        np.testing.assert_allclose(net.params[name], w - 0.5 * slopes[name], rtol=1e-9, atol=1e-12)
    assert history.loss == [pytest.approx(float(value))]


def test_it_is_called_with_each_batch_of_each_step() -> None:
    calls: list[Any] = []

    def watching(net: Any, params: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
        calls.append((moment, x, y))
        return cross_entropy(net, params, x, y, moment)

    fit(network(), data(), epochs=2, batch_size=16, shuffle=False, objective=watching, seed=3)
    calls = calls[-8:]  # those before are of the check
    assert [moment for moment, *_ in calls] == [
        TrainingStep(3, epoch, step, 4) for epoch in (0, 1) for step in range(4)
    ]
    for epoch in (0, 1):
        each = calls[4 * epoch : 4 * epoch + 4]
        np.testing.assert_array_equal(np.concatenate([x for _, x, _ in each]), data().x)
        np.testing.assert_array_equal(np.concatenate([y for *_, y in each]), data().y)


def test_resumed_runs_end_with_the_same_bits_and_know_their_objective(tmp_path) -> None:
    classifiers = (
        JacobianPenalty(0.1, 2),
        Contractive((0.1, 0.2)),
        JacobianPenalty(0.1),
        Contractive((0.1, 0.3)),
        roughness,
        None,
    )
    for n, (make, alike) in enumerate(
        [(network, classifiers), (lambda: models.autoencoder(4, (3,)), (Reconstruction(0.1), Reconstruction(0.2)))]
    ):
        for objective in alike:
            path, straight, resumed = tmp_path / f"{n}, {alike.index(objective)}", make(), make()
            fit(straight, data(), epochs=3, objective=objective)
            fit(make(), data(), epochs=1, objective=objective, checkpoint=path)
            fit(resumed, data(), epochs=3, objective=objective, checkpoint=path)
            assert parameters(resumed) == parameters(straight)
            for other in alike:
                if other != objective:
                    with pytest.raises(DataError, match="other settings.*objective"):
                        fit(make(), data(), epochs=3, objective=other, checkpoint=path)
    with pytest.raises(DTypeError, match="checkpoint can tell from others.*lambda"):
        fit(network(), data(), epochs=1, objective=lambda *a: roughness(*a), checkpoint=tmp_path / "another")


@pytest.mark.slow
def test_an_autoencoder_needs_no_logits_and_learns() -> None:
    """Labels beyond its outputs, or none that fit: they are not looked at.  The noisy one learns to ignore noise."""
    examples = data(200)
    for noise in (0.0, 0.2):
        net = models.autoencoder(4, (8, 2), activation="tanh")
        history = fit(net, examples, epochs=60, batch_size=20, objective=Reconstruction(noise))
        assert history.loss[-1] < 0.3 * history.loss[0]
    image = models.autoencoder((1, 2, 2), (3,))
    assert (
        len(fit(image, examples.replace(x=examples.x.reshape(-1, 1, 2, 2)), epochs=1, objective=Reconstruction())) == 1
    )
    noisy = examples.x + 0.2 * np.random.default_rng(0).normal(size=examples.x.shape).astype(np.float32)
    assert ((net(noisy) - examples.x) ** 2).mean() < 0.5 * ((noisy - examples.x) ** 2).mean()


def values(net: Any, params: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
    return net.apply(params, x)


def of_the_network_itself(net: Any, params: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
    return ops.mean(net(x))


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no function": ({"objective": 0.1}, DTypeError, r"objective that is a function of \(net, params, x, y, moment\)"),
    "a loss, too": ({"loss": losses.CrossEntropy()}, RangeError, "an objective, or a loss and an adversary, got.*a loss"),
    "an adversary, too": ({"adversary": Brighter()}, RangeError, "an objective, or.*got an objective and an adversary"),
    "a number each": ({"objective": values}, ShapeError, r"returns a scalar, got shape \(2, 3\).*ops.mean"),
    "a constant": ({"objective": of_the_network_itself}, DTypeError, r"depends on the parameters.*net.apply\(params, x\)"),
    "other shapes": ({"objective": Reconstruction()}, ShapeError, "predictions and targets of one shape"),
    "too many λ": ({"objective": Contractive((1, 2, 3))}, ShapeError, "λ for each layer with weights.*3 for 2"),
    "too many projections": ({"objective": JacobianPenalty(1, 4)}, RangeError, "at most 3 projections.*got 4"),
    "a validation set without logits": (
        {"validation": data(9).replace(y=np.arange(9) % 4, class_names=tuple("abcd"))}, RangeError, "a logit for every label"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_anything_but_an_objective_raises_an_error_before_any_work(name) -> None:
    options, error, message = REFUSED[name]
    net = network()
    before = parameters(net)
    with pytest.raises(error, match=message):
        fit(net, data(), epochs=1, **{"objective": cross_entropy, **options})
    assert parameters(net) == before


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Reconstruction(-0.1), "Reconstruction: expected a finite noise of at least 0, got -0.1"),
    (lambda: Reconstruction(float("inf")), "noise"), (lambda: Reconstruction(float("nan")), "noise"),
    (lambda: Contractive(-1), "Contractive: expected a finite λ"), (lambda: Contractive((1, -1)), "λ.*-1"),
    (lambda: Contractive("1"), "λ.*'1'"), (lambda: JacobianPenalty(-1), "JacobianPenalty: expected a finite weight"),
    (lambda: JacobianPenalty(1, 0), "projections, at least 1, or None, got 0"), (lambda: JacobianPenalty(1, 1.5), "1.5"),
])  # fmt: skip
def test_numbers_out_of_range_raise_an_error(make, message) -> None:
    with pytest.raises(RangeError, match=message):
        make()


def test_two_are_equal_if_their_numbers_are() -> None:
    assert Contractive([0.1, 1]) == Contractive(np.array([0.1, 1.0])) != Contractive((1, 0.1))
    assert hash(Contractive([0.1, 1])) == hash(Contractive((0.1, 1.0)))


# --- reconstruction ---------------------------------------------------------------------------------------


class Echo:
    """A network whose output is its input, scaled by a parameter, and which remembers that input."""

    def apply(self, params: Any, x: Any, rng: Any = None) -> Any:
        self.x = x
        return params["a"] * x


@given(seed=seeds, noise=st.floats(0.01, 2))
def test_a_denoising_autoencoder_sees_noise_and_is_compared_with_the_image(seed, noise) -> None:
    x, net = np.random.default_rng(seed).random((40, 1, 10, 10)), Echo()
    y = np.zeros(40, int)
    value = Reconstruction(noise)(net, {"a": 0.5}, x, y, HERE)
    z = (net.x - x) / noise
    np.testing.assert_allclose(value, ((0.5 * (x + noise * z) - x) ** 2).mean(), rtol=1e-9)
    assert abs(z.mean()) < 5 / 4000**0.5
    assert abs((z * z).mean() - 1) < 5 * (2 / 4000) ** 0.5
    Reconstruction(2 * noise)(net, {"a": 0.5}, x, y, HERE)
    np.testing.assert_allclose((net.x - x) / (2 * noise), z, atol=1e-9)  # the same step, the same draws
    for other in (TrainingStep(6, 1, 2, 4), TrainingStep(5, 0, 2, 4), TrainingStep(5, 1, 3, 4)):
        Reconstruction(noise)(net, {"a": 0.5}, x, y, other)
        assert abs((z * (net.x - x) / noise).mean()) < 5 / 4000**0.5
    Reconstruction()(net, {"a": 0.5}, x, y, HERE)
    np.testing.assert_array_equal(net.x, x)


# --- contractive ------------------------------------------------------------------------------------------


def networks(seed: int) -> list[Sequential]:
    """Of dense layers, with a closed form, and of others."""
    weights = {"init_weights": Glorot()}
    nets = [
        Sequential(Flatten(), Dense(5, **weights), act(), Dense(4, **weights), act(), Dropout(0.5), Dense(3, **weights),
                   input_shape=(1, 4, 4), seed=seed, dtype="float64")
        for act in (ReLU, Tanh, Sigmoid)
    ]  # fmt: skip
    nets.append(Sequential(Conv2d(2, 2), ReLU(), MaxPool2d(2), Flatten(), Dense(5, **weights), Tanh(), Tanh(), Dense(3),
                           input_shape=(1, 4, 4), seed=seed, dtype="float64"))  # fmt: skip
    nets.append(Sequential(Flatten(), Dense(9), ReLU(), Reshape((1, 3, 3)), Conv2d(2, 2), input_shape=(1, 4, 4),
                           seed=seed, dtype="float64"))  # fmt: skip
    rng = np.random.default_rng(seed)
    for net in nets:
        for name, w in net.params.items():
            if name.endswith(".b"):
                w[...] = rng.normal(scale=0.3, size=w.shape)
    return nets


def by_definition(net: Sequential, params: Any, x: np.ndarray, lambdas: Any) -> Any:
    """Σ_j λ_j‖∂h_j/∂h_{j-1}‖_F², each Jacobian computed whole, and its numbers squared and added."""
    weighted = [i for i, name in enumerate(net.layers) if net.params_of(name)]
    ends = [0, *weighted[1:], len(net.layers)]
    h, total, layers = x, 0.0, list(net.layers.items())
    for factor, start, stop in zip(lambdas, ends, ends[1:]):

        def part(h: Any, some: Any = layers[start:stop]) -> Any:
            for name, layer in some:
                h = layer.apply(net.params_of(name, params), h)
            return h

        jacobians = batch_jacobian(part, h)
        total, h = total + factor * ops.sum(jacobians * jacobians) / len(x), part(h)
    return total


@given(seed=seeds, which=st.integers(0, 4))
def test_contractive_is_the_sum_of_squared_jacobians(seed, which) -> None:
    """In value, and in its gradient in the parameters and in x; a λ of 0 leaves its layer out."""
    net, rng = networks(seed % 1000)[which], np.random.default_rng(seed)
    x, count = rng.normal(size=(3, 1, 4, 4)), sum(name.endswith(".W") for name in net.params)
    for lambdas in (rng.random(count), np.eye(count)[0], np.eye(count)[-1]):
        expected, slopes = value_and_grad(lambda params, k=lambdas: by_definition(net, params, x, k), net.params)
        value, ours = value_and_grad(lambda params, k=lambdas: contractive(net, params, x, k), net.params)
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        for name, slope in slopes.items():
            np.testing.assert_allclose(ours[name], slope, rtol=1e-7, atol=1e-9)
        at_x = [grad(lambda x, f=f, k=lambdas: f(net, net.params, x, k), x) for f in (contractive, by_definition)]
        np.testing.assert_allclose(*at_x, rtol=1e-7, atol=1e-9)
    everywhere = contractive(net, net.params, x, 0.25)
    np.testing.assert_allclose(everywhere, contractive(net, net.params, x, [0.25] * count), rtol=1e-12)
    assert contractive(net, net.params, x, 0) == 0


def test_for_dense_layers_no_jacobian_is_computed(monkeypatch) -> None:
    monkeypatch.setattr(objectives, "batch_jacobian", None)
    x = np.random.default_rng(0).random((3, 1, 4, 4))
    for net in networks(0)[:3]:
        assert contractive(net, net.params, x, 1) > 0


def test_a_relu_counts_the_units_that_are_active() -> None:
    net = models.mlp(2, 2, (3,), bias=True, dropout=(0, 0), dtype="float64")
    net.params["dense1.W"][...] = [[1, 2, 3], [4, 5, 6]]
    net.params["dense1.b"][...] = [-1, 0, 0.5]
    x = np.zeros((4, 2))  # z = b: only the last unit is active, and not the one with z = 0
    assert contractive(net, net.params, x, (1, 0)) == 3**2 + 6**2


def test_a_network_without_weights_is_one_layer() -> None:
    net = Sequential(Flatten(), Tanh(), input_shape=(1, 2, 2), dtype="float64")
    assert contractive(net, {}, np.zeros((3, 1, 2, 2)), 0.5) == 0.5 * 4


def test_contractive_needs_examples_and_inputs_that_fit() -> None:
    net = networks(0)[0]
    with pytest.raises(ShapeError, match="contractive: expected at least one example"):
        contractive(net, net.params, np.zeros((0, 1, 4, 4)), 1)
    with pytest.raises(ShapeError, match=r"\(N, 1, 4, 4\)"):
        contractive(net, net.params, np.zeros((2, 1, 4, 3)), 1)


@given(seed=seeds)
def test_the_objectives_are_the_loss_plus_the_penalty(seed) -> None:
    net, rng = networks(seed % 1000)[0], np.random.default_rng(seed)
    x, y = rng.normal(size=(4, 1, 4, 4)), rng.integers(0, 3, 4)
    loss = losses.cross_entropy(net.apply(net.params, x, HERE.rng), y)
    value = Contractive((0.1, 0.2, 0.3))(net, net.params, x, y, HERE)
    np.testing.assert_allclose(value, loss + contractive(net, net.params, x, (0.1, 0.2, 0.3)), rtol=1e-12)
    for projections in (None, 1, 2):
        value = JacobianPenalty(0.7, projections)(net, net.params, x, y, HERE)
        penalty = jacobian_penalty(net, x, 0.7, projections, HERE.key)
        np.testing.assert_allclose(value, loss + penalty, rtol=1e-12)


@pytest.mark.slow
def test_they_make_networks_less_sensitive() -> None:
    """Trained with a penalty, the mean ‖J‖_F² on other examples is smaller, and the error hardly larger."""

    def sensitivity(objective: Any) -> tuple[float, float]:
        net = network(dropout=0)
        history = fit(net, data(300), epochs=15, batch_size=20, objective=objective, validation=data(100, 1))
        return float(jacobian_penalty(net, data(100, 1).x, 2.0)), history.validation_error[-1]

    plain, _ = sensitivity(cross_entropy)
    for objective in (Contractive(0.1), JacobianPenalty(0.2), JacobianPenalty(0.2, None)):
        contracted, error = sensitivity(objective)
        assert contracted < 0.5 * plain
        assert error < 0.05


# --- Jacobian penalty -------------------------------------------------------------------------------------


@given(seed=seeds, weight=st.floats(0, 3), which=st.integers(0, 3))
def test_the_exact_penalty_is_half_the_squared_jacobian(seed, weight, which) -> None:
    """In value, in its gradient in the parameters, and in x; and K projections at right angles are as good as exact."""
    net, x = networks(seed % 1000)[which], np.random.default_rng(seed).normal(size=(3, 1, 4, 4))

    def by_definition(params: Any, x: Any) -> Any:
        jacobians = batch_jacobian(lambda x: net.apply(params, x), x)
        return 0.5 * weight * ops.sum(jacobians * jacobians) / 3

    expected, slopes = value_and_grad(lambda params: by_definition(params, x), net.params)
    for projections in (None, 3):

        def penalty(params: Any, x: Any, c: Any = projections) -> Any:
            return jacobian_penalty(lambda x: net.apply(params, x), x, weight, c, key=seed)

        value, ours = value_and_grad(lambda params: penalty(params, x), net.params)
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)
        for name, slope in slopes.items():
            np.testing.assert_allclose(ours[name], slope, rtol=1e-7, atol=1e-9)
        at_x = grad(lambda x: penalty(net.params, x), x)
        np.testing.assert_allclose(at_x, grad(lambda x: by_definition(net.params, x), x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("projections", [1, 2, 4])
@given(seed=st.integers(0, 99))
def test_projections_are_unbiased(projections, seed) -> None:
    """The mean over 20,000 examples that are alike, each with directions of its own, is within 5 standard errors."""
    rng, count = np.random.default_rng(seed), 20_000
    w = rng.normal(size=(3, 5))
    x = np.zeros((count, 3))
    each = ((w @ np.moveaxis(objectives.orthonormal(seed, projections, np.zeros((count, 5))), 0, -1)) ** 2).sum((1, 2))
    each = 5 / projections * each
    estimate = jacobian_penalty(lambda x: x @ w, x, 2.0, projections, key=seed)
    np.testing.assert_allclose(estimate, each.mean(), rtol=1e-9)
    assert abs(estimate - (w * w).sum()) < 5 * each.std() / count**0.5


@given(seed=seeds, outputs=st.integers(1, 8), data=st.data())
def test_directions_are_orthonormal_and_others_for_another_key(seed, outputs, data) -> None:
    count = data.draw(st.integers(1, outputs))
    v = objectives.orthonormal(seed, count, np.zeros((50, outputs)))
    assert v.shape == (count, 50, outputs)
    products = np.einsum("cnk,dnk->ncd", v, v)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(count), products.shape), atol=1e-10)
    np.testing.assert_array_equal(v, objectives.orthonormal(seed, count, np.zeros((50, outputs))))
    if outputs > 1:
        assert not np.allclose(v, objectives.orthonormal(seed + 2, count, np.zeros((50, outputs))))
        assert len(np.unique(v[0, :, 0])) == 50
    single = objectives.orthonormal(seed, count, np.zeros((50, outputs), np.float32))
    assert single.dtype == np.float32


@pytest.mark.parametrize(
    "f", [lambda x: ops.sum(x), lambda x: ops.sum(x, axis=1), lambda x: x[:1], lambda x: x[:, :, None]]
)
def test_the_penalty_is_of_rows_of_outputs(f) -> None:
    with pytest.raises(ShapeError, match=r"jacobian_penalty: expected f\(x\) of shape \(N, K\)"):
        jacobian_penalty(f, np.zeros((3, 2)), 1)


def test_the_penalty_needs_examples_and_numbers_within_range() -> None:
    with pytest.raises(ShapeError, match="with examples"):
        jacobian_penalty(lambda x: 2 * x, np.zeros((0, 2)), 1)
    for options, message in (((-1,), "weight"), ((1, 3), "at most 2 projections"), ((1, 0), "at least 1")):
        with pytest.raises(RangeError, match=f"jacobian_penalty: expected.*{message}"):
            jacobian_penalty(lambda x: 2 * x, np.zeros((3, 2)), *options)


# --- autoencoders and parts of networks -------------------------------------------------------------------


@given(seed=st.integers(0, 99), hidden=st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_an_autoencoder_is_a_mirror_with_images_at_both_ends(seed, hidden) -> None:
    net, x = (
        models.autoencoder((2, 3, 3), hidden, seed=seed, dtype="float64"),
        np.random.default_rng(seed).random((4, 18)),
    )
    assert net.output_shape == net.input_shape == (2, 3, 3)
    lengths = [18, *hidden, *hidden[-2::-1], 18]
    assert [w.shape for name, w in net.params.items() if name.endswith(".W")] == list(pairwise(lengths))
    assert ((net(x) > 0) & (net(x) < 1)).all()
    code = net.up_to(f"dense{len(hidden)}")
    assert code.output_shape == (hidden[-1],)
    half = [Dense, ReLU] * (len(hidden) - 1) + [Dense]
    assert [type(layer) for layer in net.layers.values()] == [Flatten, *half, *half, Sigmoid, Reshape]
    np.testing.assert_array_equal(net(x.reshape(4, 2, 3, 3)), net(x))


@pytest.mark.parametrize("name", ["flatten1", "dense1", "relu1", "dropout1", "dense3"])
def test_up_to_is_the_first_layers_with_the_same_parameters(name) -> None:
    net, x = networks(0)[0], np.random.default_rng(0).random((3, 1, 4, 4))
    first = net.up_to(name)
    np.testing.assert_array_equal(first(x), dict(net.steps(net.params, x))[name])
    assert (first.input_shape, first.output_shape, first.dtype) == ((1, 4, 4), net.shapes[name], "float64")
    assert all(first.params[key] is net.params[key] for key in first.params)
    assert list(first.params) == [key for key in net.params if key.partition(".")[0] in first.layers]
    first.check_params("up_to")
    with pytest.raises(RangeError, match="a layer of .'flatten1'.*got 'dense9'"):
        net.up_to("dense9")


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
contraction = test_contractive_is_the_sum_of_squared_jacobians.hypothesis.inner_test
at_right_angles = test_directions_are_orthonormal_and_others_for_another_key
same = lambda: test_cross_entropy_as_an_objective_is_the_default_to_the_bit("numpy", of_one_weight)
each_network = lambda: [contraction(1, which) for which in range(5)]
exact = lambda: [test_the_exact_penalty_is_half_the_squared_jacobian.hypothesis.inner_test(1, 1.5, which) for which in range(4)]
MUTANTS = [
    Mutant("objective: without its penalty", line(train, "_step", "value, grads = _with_penalty(penalty, net.params, value, grads)", "pass"), same),
    Mutant("objective: an accuracy of 0", line(train, "_step", "math.nan", "0"), same),
    Mutant("objective: not known to checkpoints", line(recipe.Recipe, "settings", 'identity("fit", self.objective)', "None"), test_resumed_runs_end_with_the_same_bits_and_know_their_objective),
    Mutant("objective: a loss is ignored", line(recipe.Recipe, "_check_kinds", "self.loss is not None or", "None or"), lambda: test_anything_but_an_objective_raises_an_error_before_any_work("a loss, too")),
    Mutant("objective: an adversary is ignored", line(recipe.Recipe, "_check_kinds", "or self.adversary is not None)", "or None)"), lambda: test_anything_but_an_objective_raises_an_error_before_any_work("an adversary, too")),
    Mutant("objective: labels are checked", line(recipe.Recipe, "check", "self.objective is None or data is self.validation", "True"), test_an_autoencoder_needs_no_logits_and_learns),
    Mutant("objective: its shape is not checked", line(train, "_check_objective", "lin.value.shape != ()", "False"), lambda: test_anything_but_an_objective_raises_an_error_before_any_work("a number each")),
    Mutant("objective: may be a constant", line(train, "_check_objective", "not lin.depends", "False"), lambda: test_anything_but_an_objective_raises_an_error_before_any_work("a constant")),
    Mutant("reconstruction: compared with the noisy image", line(Reconstruction, "__call__", "moment.rng), x)", "moment.rng), noisy)"), test_a_denoising_autoencoder_sees_noise_and_is_compared_with_the_image),
    Mutant("reconstruction: the same noise in every step", line(Reconstruction, "__call__", "moment.key", "moment.seed"), test_a_denoising_autoencoder_sees_noise_and_is_compared_with_the_image),
    Mutant("reconstruction: noise of variance σ", line(Reconstruction, "__call__", "self.noise * normal", "self.noise**0.5 * normal"), test_a_denoising_autoencoder_sees_noise_and_is_compared_with_the_image),
    Mutant("normal: one stream for both", line(draws, "normal", "key + 1", "key"), test_a_denoising_autoencoder_sees_noise_and_is_compared_with_the_image),
    Mutant("contractive: the slope is not squared", line(objectives, "_of_dense", "slopes * slopes", "slopes"), each_network),
    Mutant("contractive: the weights of an input, not of a unit", line(objectives, "_of_dense", "ops.sum(w * w, axis=0)", "ops.sum(w * w) / w.shape[1]"), each_network),
    Mutant("contractive: every unit is active", line(objectives, "_of_dense", "slope(ops", "(lambda y: y == y)(ops"), each_network),
    Mutant("contractive: the sum over the examples", line(objectives, "_squared_jacobian", " / before.shape[0]", ""), each_network),
    Mutant("contractive: of x at every layer", line(objectives, "contractive", "before, x = x, _run(net, params, part, x)", "before, x = x, (_run(net, params, part, x), x)[0] * 1.01"), each_network),
    Mutant("contractive: the activation left out", line(objectives, "_squared_jacobian", "if kinds[1:] else", "if None else"), each_network),
    Mutant("contractive: a second activation left out", line(objectives, "_squared_jacobian", "len(kinds) <= 2 and", ""), each_network),
    Mutant("contractive: the last layer left out", line(objectives, "contractive", "zip(factors, parts)", "zip(factors, parts[:-1])"), each_network),
    Mutant("contractive: no layer begins a group", line(objectives, "_parts", "and weighted", "and not weighted"), each_network),
    Mutant("contractive: the objective is the penalty alone", line(Contractive, "__call__", "return loss +", "return 0 * loss +"), test_the_objectives_are_the_loss_plus_the_penalty),
    Mutant("contractive: arrays are told by their place", line(Contractive, "__post_init__", '_factors("Contractive", self.lambdas)', "self.lambdas"), test_two_are_equal_if_their_numbers_are),
    Mutant("Jacobian penalty: without the half", line(objectives, "jacobian_penalty", "0.5 * weight", "weight"), exact),
    Mutant("Jacobian penalty: not the mean", line(objectives, "jacobian_penalty", " / len(x))", ")"), exact),
    Mutant("Jacobian penalty: not scaled by K/C", line(objectives, "jacobian_penalty", "weight * outputs / len(v)", "weight"), lambda: test_projections_are_unbiased.hypothesis.inner_test(1, 3)),
    Mutant("Jacobian penalty: one direction for all examples", line(objectives, "orthonormal", "(count, *like.shape)", "(count, 1, like.shape[1])"), at_right_angles),
    Mutant("Jacobian penalty: directions not at right angles", line(objectives, "orthonormal", "for _ in range(2):", "for _ in range(0):"), at_right_angles),
    Mutant("Jacobian penalty: always the same direction", line(objectives, "orthonormal", "draws = normal(", "draws = 0.6 + 0 * normal("), at_right_angles),
    Mutant("Jacobian penalty: directions of one sign", line(objectives, "orthonormal", "draws = normal(", "draws = (lambda *given: normal(*given) ** 2)("), lambda: test_projections_are_unbiased.hypothesis.inner_test(1, 3)),
    Mutant("Jacobian penalty: the same directions in every step", line(JacobianPenalty, "__call__", "moment.key", "0"), test_the_objectives_are_the_loss_plus_the_penalty),
    Mutant("Jacobian penalty: always one projection", line(JacobianPenalty, "__call__", "self.projections", "1"), test_the_objectives_are_the_loss_plus_the_penalty),
    Mutant("Jacobian penalty: with dropout", line(JacobianPenalty, "__call__", "net.apply(params, x), x,", "net.apply(params, x, moment.rng), x,"), test_the_objectives_are_the_loss_plus_the_penalty),
    Mutant("up_to: parameters of its own", line(sequential.Sequential, "up_to", "{key: self.params[key] for", "{key: self.params[key].copy() for"), lambda: test_up_to_is_the_first_layers_with_the_same_parameters("dense3")),
    Mutant("up_to: without the layer itself", line(sequential.Sequential, "up_to", ".index(name) + 1", ".index(name) or 1"), lambda: test_up_to_is_the_first_layers_with_the_same_parameters("relu1")),
    Mutant("autoencoder: an activation after the code", line(models, "autoencoder", "layers.append(Dense(hidden[-1], init_weights=weights))", "layers += [Dense(hidden[-1], init_weights=weights), act()]"), test_an_autoencoder_is_a_mirror_with_images_at_both_ends),
]
# fmt: on
