"""The array library is the arrays' own: everything also runs on a stand-in that refuses all that is NumPy."""

from __future__ import annotations

import ast
import contextvars
import threading
from pathlib import Path

import numpy as np
import pytest

import minidl
from attacks import Targeted, agreement, bim, fgsm, jsma, least_likely, pgd, rubbish, sign_noise
from attacks.adversaries import FGSMAdversary, PGDAdversary
from attacks.bounded.apgd import apgd
from attacks.minimal.deepfool import deepfool
from attacks.minimal.lbfgs import lbfgs
from attacks.report import evaluate as evaluate_attacks
from minidl import backend, batch_jacobian, conv, grad, hvp, layers, linearize, losses, models, ops, optim, schedules
from minidl.data import Dataset
from minidl.errors import BackendError
from minidl.layers import Glorot
from minidl.train import evaluate, fit, gradient
from tests.support import strict
from tests.support.other_arrays import add_the_stand_in


@pytest.fixture
def on_strict(monkeypatch):
    add_the_stand_in(monkeypatch)
    with backend.use("strict"):
        yield


def network() -> models.Sequential:
    return models.mlp((1, 4, 4), 5, (12, 6), bias=True, init_weights=Glorot(), seed=1)


def digits(n: int = 40) -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.random((n, 1, 4, 4)).astype(np.float32), rng.integers(0, 5, n)
    return Dataset(backend.asarray(x), backend.asarray(y), tuple("abcde"))


def test_the_stand_in_is_strict(on_strict) -> None:
    x = backend.asarray([1.0, 2.0])
    with pytest.raises(TypeError, match="implicit"):
        np.asarray(x)
    with pytest.raises(TypeError, match="unsupported"):
        x + np.ones(2)
    with pytest.raises(TypeError):
        np.ones(2) + x
    assert isinstance(x.sum(), strict.ndarray)
    before = strict.synchronisations
    float(x.sum())
    assert strict.synchronisations == before + 1


@pytest.mark.parametrize("loss", [None, losses.CrossEntropy(0.1, range(1, 6))])
@pytest.mark.parametrize(
    "optimizer",
    [optim.SGD(schedules.Cosine(0.1, 2), 0.9, True), optim.RMSProp(), optim.Adam(), optim.MaxNorm(optim.SGD(0.1), 0.5)],
)
def test_training_on_another_library(on_strict, optimizer, loss, tmp_path) -> None:
    """Same seed, same numbers, whichever library: draws are made alike, arithmetic is NumPy's underneath."""
    penalty = losses.Penalty(1e-3, 1e-3)
    options = {"epochs": 2, "batch_size": 16, "optimizer": optimizer, "penalty": penalty, "loss": loss, "patience": 2}
    theirs, data = network(), digits()
    history = fit(theirs, data, validation=data, checkpoint=tmp_path / "run.npz", **options)
    resumed = network()
    fit(resumed, data, validation=data, checkpoint=tmp_path / "run.npz", **options)
    minidl.save(theirs, tmp_path / "net.npz")
    assert isinstance(minidl.load(tmp_path / "net.npz").params["dense1.W"], strict.ndarray)
    with backend.use("numpy"):
        ours = network()
        assert fit(ours, digits(), validation=digits(), **options).loss == history.loss
        for name, w in ours.params.items():
            assert isinstance(w, np.ndarray)
            assert isinstance(theirs.params[name], strict.ndarray)
            np.testing.assert_array_equal(w, theirs.params[name].get())
            np.testing.assert_array_equal(w, resumed.params[name].get())


@pytest.mark.parametrize("adversary", [FGSMAdversary(0.1), PGDAdversary(0.2, alpha=0.25, norm="l2", warm_up=0.5)])
def test_adversarial_training_on_another_library(on_strict, adversary) -> None:
    options = {"epochs": 2, "batch_size": 16, "adversary": adversary}
    theirs = network()
    history = fit(theirs, digits(), **options)
    with backend.use("numpy"):
        ours = network()
        assert fit(ours, digits(), **options).accuracy == history.accuracy
        for name, w in ours.params.items():
            np.testing.assert_array_equal(w, theirs.params[name].get())


def test_maxout_and_rbf_networks_on_another_library(on_strict) -> None:
    """Training, images of nothing and agreement: the same numbers."""

    def results() -> list[np.ndarray]:
        data = digits()
        shape, arrays = data.x.shape[1:], []
        maxout = models.maxout(shape, 5, (4,), pieces=3, init_weights=layers.Uniform(0.3))
        convolution = layers.MaxoutConv2d(2, 3, pieces=3)
        conv = models.Sequential(convolution, layers.Flatten(), layers.Dense(5), input_shape=shape)
        for net, loss in ((maxout, None), (conv, None), (models.rbf_network(shape, 5), losses.binary_cross_entropy)):
            fit(net, data, epochs=2, batch_size=16, optimizer=optim.SGD(0.1), loss=loss)
            arrays += net.params.values()
        nothing = [rubbish(maxout, 6, "uniform"), rubbish(conv, 6, towards=2, probabilities="sigmoid")]
        table = agreement(fgsm(maxout, data.x, data.y), data.y, {"conv": conv})
        arrays += [each.images for each in nothing] + [each.probabilities for each in nothing] + [table.same]
        return [backend.to_numpy(a) for a in arrays]

    theirs = results()
    with backend.use("numpy"):
        for array, numpys in zip(theirs, results(), strict=True):
            np.testing.assert_array_equal(array, numpys)


def test_a_step_does_not_wait_for_the_device(on_strict) -> None:
    """No number is read back inside a training step, as `fit` takes it."""
    net, data = network(), digits()
    optimizer, penalty = optim.RMSProp(), losses.Penalty(1e-4, 1e-4)
    state = optimizer.init(net.params)
    counted = []
    for _ in range(3):
        before = strict.synchronisations
        loss, _, grads = gradient(net, data.x, data.y, np.random.default_rng(0), check=False)
        loss = loss + penalty.value(net.params)
        optimizer.update(net.params, grads, state, penalty)
        counted.append(strict.synchronisations - before)
    assert counted == [0, 0, 0]


def test_attacks_and_reports_on_another_library(on_strict, tmp_path) -> None:
    net, data = network(), digits()
    answers = evaluate(net, data)
    assert isinstance(answers.confidences, np.ndarray)
    targets = backend.asarray((net(data.x).argmax(axis=-1).get() + 1) % 5)
    with backend.use("numpy"):
        ours, same = network(), digits()
        np.testing.assert_array_equal(evaluate(ours, same).predictions, answers.predictions)
        expected = [fgsm(ours, same.x, same.y, norm=norm) for norm in ("linf", "l2", "l1")]
        expected += [sign_noise(ours, same.x, same.y, seed=3), fgsm(ours, same.x, Targeted(targets.get()))]
    results = [fgsm(net, data.x, data.y, norm=norm) for norm in ("linf", "l2", "l1")]
    results += [sign_noise(net, data.x, data.y, seed=3), fgsm(net, data.x, Targeted(targets))]
    for theirs, numpys in zip(results, expected):
        assert isinstance(theirs.x_adv, strict.ndarray)
        np.testing.assert_array_equal(theirs.x_adv.get(), numpys.x_adv)
        np.testing.assert_array_equal(theirs.success.get(), numpys.success)
        assert theirs.summary() == numpys.summary()
    results[0].save(tmp_path / "result.npz")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_projected_gradient_on_another_library(on_strict, norm) -> None:
    def attacked(net, data):
        options = {"epsilon": [0.05, 0.2], "norm": norm, "steps": 3}
        return [*pgd(net, data.x, data.y, restarts=2, objective="margin", **options),
                *pgd(net, data.x, data.y, objective="dlr", **options),
                *bim(net, data.x, data.y, **options), *least_likely(net, data.x, data.y, **options)]  # fmt: skip

    with backend.use("numpy"):
        expected = attacked(network(), digits())
    for theirs, numpys in zip(attacked(network(), digits()), expected):
        assert isinstance(theirs.x_adv, strict.ndarray)
        np.testing.assert_array_equal(theirs.x_adv.get(), numpys.x_adv)
        np.testing.assert_array_equal(theirs.iterations.get(), numpys.iterations)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deepfool_auto_pgd_and_lbfgs_on_another_library(on_strict, norm) -> None:
    def attacked(net, data):
        away = deepfool(net, data.x, data.y, norm=norm, candidates=2)
        goal = Targeted((away.clean_pred + 1) % 5)
        return [away, deepfool(net, data.x, goal, norm=norm, steps=3), lbfgs(net, data.x, goal, search_steps=3, steps=3),
                *apgd(net, data.x, data.y, epsilon=[0.05, 0.1], norm=norm, steps=5, queries=20),
                apgd(net, data.x, goal, norm=norm, steps=5, queries=20)]  # fmt: skip

    with backend.use("numpy"):
        expected = attacked(network(), digits())
    for theirs, numpys in zip(attacked(network(), digits()), expected):
        assert isinstance(theirs.x_adv, strict.ndarray)
        np.testing.assert_array_equal(theirs.x_adv.get(), numpys.x_adv)
        np.testing.assert_array_equal(theirs.iterations.get(), numpys.iterations)


def convolutional() -> models.Sequential:
    made = (
        layers.Conv2d(3, 3, stride=2, padding=1),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Dense(5),
    )
    return models.Sequential(*made, input_shape=(1, 8, 8), dtype="float64")


def test_convolutions_and_jsma_on_another_library(on_strict) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (6, 1, 8, 8)) / 16, rng.integers(0, 5, 6)
    with backend.use("numpy"):
        ours = convolutional()
        fit(ours, Dataset(x, y, tuple("abcde")), epochs=2, batch_size=3)
    theirs = convolutional()
    fit(theirs, Dataset(backend.asarray(x), backend.asarray(y), tuple("abcde")), epochs=2, batch_size=3)
    for name, w in ours.params.items():
        np.testing.assert_allclose(theirs.params[name].get(), w, rtol=1e-12)
    for features in (1, 2):
        with backend.use("numpy"):
            expected = jsma(ours, x, y, features=features, all_targets=True)
        result = jsma(theirs, backend.asarray(x), backend.asarray(y), features=features, all_targets=True)
        np.testing.assert_array_equal(result.x_adv.get(), expected.x_adv)
        np.testing.assert_array_equal(result.iterations.get(), expected.iterations)
    np.testing.assert_allclose(evaluate_attacks.success_matrix(result, 5), evaluate_attacks.success_matrix(expected, 5))


def test_derivatives_on_another_library(on_strict) -> None:
    rng = np.random.default_rng(0)
    a, w = rng.normal(size=(3, 4)), rng.normal(size=(4, 4))

    def f(x, w):
        h = ops.tanh(x @ w) + ops.softplus(x) * ops.sigmoid(x) - ops.maximum(x, 0.1) / 2
        h = ops.concatenate([h, ops.stack([x[0], x[-1]])]) ** 2 + ops.where(x[:1] > 0, x[:1], 2.0)
        return (
            losses.log_softmax(h)[:, [0, 2]].sum(axis=1) + ops.max(abs(h), axis=1) + ops.exp(-ops.relu(h)).mean(axis=1)
        )

    strictly, wired = backend.asarray(a), backend.asarray(w)
    for derivative in (
        lambda x, w: grad(lambda x: ops.sum(f(x, w)), x),
        lambda x, w: linearize(lambda x: f(x, w), x).jacobian("forward"),
        lambda x, w: batch_jacobian(lambda x: losses.softmax(x @ w), x, "reverse", chunk=2),
        lambda x, w: hvp(lambda x: ops.sum(f(x, w)), x, x),
    ):
        np.testing.assert_allclose(derivative(strictly, wired).get(), derivative(a, w), rtol=1e-12, atol=1e-12)


def composed(x):
    """Every operation that is composed of others, once."""
    rows = ops.sin(x) * ops.cos(x) + x % 0.7 + ops.clip(x, -1.0, 1.0)
    rows = ops.swapaxes(ops.flip(ops.pad(rows, ((1, 0), (0, 2)), 0.5), 0), 0, 1)
    rows = ops.repeat(ops.repeat(rows, 2, axis=1), [1, 0, 2, 1, 1, 1], axis=0)
    numbers = [ops.min(rows), ops.prod(rows[:2]), ops.var(rows), ops.std(rows, ddof=1), ops.logsumexp(rows)]
    products = ops.dot(ops.einsum("ij,kj->ik", rows, rows), ops.einsum("ii->i", rows[:6, :6]))
    images = ops.expand_dims(ops.astype(rows, "float64"), (0, 1))
    pooled = ops.squeeze(conv.max_pool2d(images, 3, (1, 2), 1) + conv.avg_pool2d(images, 3, (1, 2), (1, 1)))
    likely = ops.softmax(rows, axis=0) * ops.log_softmax(rows, axis=0)
    return sum(map(ops.sum, [ops.stack(numbers), products, ops.ravel(pooled * ops.stop_gradient(pooled)), likely]))


def test_composed_operations_on_another_library(on_strict) -> None:
    a = np.random.default_rng(0).normal(size=(3, 4))
    strictly = backend.asarray(a)
    np.testing.assert_allclose(composed(strictly).get(), composed(a), rtol=1e-12)
    np.testing.assert_allclose(grad(composed, strictly).get(), grad(composed, a), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(ops.prod(backend.asarray([2, 3])).get(), 6)


def test_use_as_call_and_as_context(monkeypatch) -> None:
    add_the_stand_in(monkeypatch)
    assert backend.describe().startswith("numba: numpy")
    with backend.use("strict") as inside:
        assert inside.name == "strict"
        assert backend.describe() == f"strict: strict {strict.__version__}, reference kernels"
        with backend.use("numpy"):
            assert isinstance(backend.asarray([1.0]), np.ndarray)
        assert isinstance(backend.asarray([1.0]), strict.ndarray)
        assert isinstance(backend.to_numpy(backend.asarray([1.0])), np.ndarray)
    assert backend.current().name == "numba"


def in_another_thread() -> str:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(backend.current().name))
    thread.start(), thread.join()
    return seen[0]


@pytest.fixture
def calls(monkeypatch) -> list[backend.use]:
    """No call has been made, and after the test none was."""
    monkeypatch.setattr(backend, "_calls", [])
    return backend._calls


def test_a_call_is_the_choice_of_the_process(calls) -> None:
    """Also of the next cell of a notebook, which ipykernel runs in a context of its own, and of every thread."""
    contextvars.copy_context().run(backend.use, "numpy")
    assert backend.current().name == "numpy"
    assert contextvars.Context().run(backend.current).name == "numpy"
    assert in_another_thread() == "numpy"
    backend.use("numba")
    assert in_another_thread() == backend.current().name == "numba"


def test_a_block_is_the_choice_of_its_own_thread(calls) -> None:
    backend.use("numpy")
    with backend.use("numba"):
        assert in_another_thread() == "numpy"
        backend.use("numpy")
        assert backend.current().name == "numba"  # the block goes before the process
    assert backend.current().name == "numpy"
    with pytest.raises(ZeroDivisionError), backend.use("numba"):
        raise ZeroDivisionError
    assert backend.current().name == "numpy"


def test_a_call_may_become_a_block(calls) -> None:
    """As in ``chosen = use("numpy")`` and, later, ``with chosen:``, again and again."""
    chosen = backend.use("numpy")
    assert backend.current().name == "numpy"
    for _ in range(2):
        with chosen as inside, chosen:
            assert inside.name == backend.current().name == "numpy"
            assert in_another_thread() == "numba"
        assert backend.current().name == "numba"


def test_calls_are_not_hoarded(calls) -> None:
    for _ in range(3000):
        backend.use("numpy")
    assert len(calls) <= 1000
    assert backend.current().name == "numpy"


def test_cupy_without_a_gpu_says_what_to_install() -> None:
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount():
            pytest.skip("there is a GPU")
    except Exception:  # no CuPy, no driver, no device: what this test is about
        pass
    with pytest.raises(BackendError, match=r"minidl\[cuda12\]"):
        backend.use("cupy")
    assert backend.current().name == "numba"


PACKAGE = Path(minidl.__file__).parent
ENGINE = ["core", "ops", "shaping", "reductions", "products", "conv", "losses", "derivatives", "layers",
          *(f"kernels/reference/{path.stem}" for path in sorted((PACKAGE / "kernels/reference").glob("*.py")))]  # fmt: skip


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_does_not_know_numpy(name) -> None:
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    imported = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    imported += [str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert not any(module.split(".")[0] in ("numpy", "cupy") for module in imported)


@pytest.mark.gpu
def test_training_and_attacking_on_a_gpu() -> None:
    pytest.importorskip("cupy")
    try:
        chosen = backend.use("cupy")
    except BackendError as error:
        pytest.skip(str(error))
    with chosen:
        net, data = network(), digits()
        history = fit(net, data, epochs=3, batch_size=16)
        attacked = fgsm(net, data.x, data.y)
    ours = network()
    np.testing.assert_allclose(fit(ours, digits(), epochs=3, batch_size=16).loss, history.loss, rtol=1e-4)
    assert (backend.to_numpy(attacked.x_adv) <= 1).all()
