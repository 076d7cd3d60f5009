"""What compiled loops, which check nothing, must never see, and what else went wrong once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minidl import backend, conv, linearize, losses, models, optim
from minidl.data import Dataset
from minidl.derivatives import batch_jacobian, jacobian
from minidl.errors import ShapeError
from minidl.kernels import cpu, reference, threads
from minidl.kernels.cpu import conv as cpu_conv
from minidl.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from minidl.train import fit, gradient


def small(dtype: str = "float32") -> models.Sequential:
    made = Conv2d(2, 3), ReLU(), MaxPool2d(2), Flatten(), Dense(4), ReLU(), Dense(3)
    return models.Sequential(*made, input_shape=(1, 8, 8), dtype=dtype)


def digits(n: int = 12) -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(rng.random((n, 1, 8, 8)).astype(np.float32), rng.integers(0, 3, n), tuple("abc"))


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize(("parameter", "length"), [("dense1.b", 200_000), ("dense1.b", 3), ("conv1.b", 3)])
def test_biases_of_another_length_raise_an_error(name, parameter, length) -> None:
    net = small()
    with backend.use(name), pytest.raises(ValueError, match=r"broadcast|reshape"):
        net.apply({**net.params, parameter: np.ones(length, np.float32)}, digits().x)


def test_labels_out_of_range_are_no_index() -> None:
    net, data = small(), digits(4)
    for wrong in (10**7, 3, -4):
        with pytest.raises(IndexError):
            gradient(net, data.x, np.array([0, 1, 2, wrong]), check=False)


def test_updates_and_steps_broadcast_as_the_reference_does() -> None:
    w = {"a.W": np.zeros(6)}
    optimizer = optim.SGD(lr=1.0)
    optimizer.update(w, {"a.W": np.ones(1)}, optimizer.init(w))
    np.testing.assert_array_equal(w["a.W"], -np.ones(6))
    x, g = np.zeros((5, 3)), np.array([[1.0, -1.0, 0.0]])
    np.testing.assert_array_equal(cpu.sign_step(x, g, 0.1, None), reference.sign_step(x, g, 0.1, None))
    assert cpu.sign_step(x.astype("f"), g.astype("f"), 0.1, None, origin=x).dtype == np.float64


def test_whole_numbers_are_left_to_the_reference() -> None:
    assert small()(np.ones((100, 1, 8, 8), np.uint8)).shape == (100, 3)
    a, b = np.ones((100, 784), np.float32), np.ones((784, 625), np.int64)
    assert cpu.matmul(a, b).dtype == (a @ b).dtype
    np.testing.assert_array_equal(
        cpu.activate(np.ones((1, 2), int), np.array([0.5, 1.5]), "relu", None, 0.0), [[1.5, 2.5]]
    )


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_nan_is_not_hidden(name) -> None:
    x = np.zeros((1, 1, 2, 2), np.float32)
    x[0, 0, 1, 1] = np.nan
    with backend.use(name):
        assert np.isnan(conv.max_pool2d(x, 2)).all()
        net = models.Sequential(Conv2d(1, 1), ReLU(), MaxPool2d(2), Flatten(), input_shape=(1, 2, 2))
        assert np.isnan(net(x)).all()
        assert np.isnan(backend.kernels(x).sign_step(x, x, 0.1, None)).any()


def test_empty_stacks_and_batches_go_through() -> None:
    net, x = small(), digits(5).x
    lin = linearize(lambda params: net.apply(params, x), net.params)
    assert lin.vjp(np.zeros((0, 5, 3), np.float32))["conv1.W"].shape == (0, 2, 1, 3, 3)
    assert lin.jvp({k: np.zeros((0, *w.shape), w.dtype) for k, w in net.params.items()}).shape == (0, 5, 3)
    assert jacobian(lambda params: net.apply(params, x[:0]), net.params)["dense2.b"].shape == (0, 3, 3)
    assert batch_jacobian(lambda x: x[:, :3], np.zeros((0, 50_000)), mode="forward").shape == (0, 3, 50_000)
    assert cpu.best_features(np.zeros((0, 4)), np.zeros((0, 4)), np.ones((0, 4), bool)).shape == (0, 1)


def test_nested_derivatives_stay_in_the_networks_dtype() -> None:
    net, data = small(), digits(4)
    v = np.ones_like(data.x)
    nested = linearize(lambda p: linearize(lambda x: net.apply(p, x), data.x).jvp(v), net.params)
    assert nested.value.dtype == np.float32
    assert all(g.dtype == np.float32 for g in nested.vjp(nested.value).values())


def test_a_users_penalty_means_what_it_says() -> None:
    class OnEverything(losses.Penalty):
        def __call__(self, params):
            return self.l2 * sum((losses.l2(w) for w in params.values()), start=0.0)

    histories = []
    for penalty in (OnEverything(0, 0.1), lambda params: OnEverything(0, 0.1)(params)):
        histories.append(fit(small(), digits(), epochs=2, penalty=penalty, progress=False).loss)
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-6)
    plain, folded = (
        fit(small(), digits(), epochs=2, penalty=p, progress=False).loss
        for p in (lambda params: losses.Penalty(1e-3, 1e-2)(params), losses.Penalty(1e-3, 1e-2))
    )
    np.testing.assert_allclose(folded, plain, rtol=1e-5)


def test_filters_for_other_channels_raise_an_error_by_name() -> None:
    net = small()
    with pytest.raises(ShapeError, match="same C"):
        net.apply({**net.params, "conv1.W": np.ones((2, 2, 3, 3), np.float32)}, digits().x)


def test_no_thread_writes_after_an_interruption(monkeypatch) -> None:
    """Ctrl-C in the caller's own part: the others' parts are waited for before it is passed on."""
    monkeypatch.setenv("MINIDL_THREADS", "3")
    finished, at_work = [], threading.Barrier(3)

    def kernel(first: int, last: int) -> None:
        at_work.wait(5)
        if first == 0:
            raise KeyboardInterrupt
        threading.Event().wait(0.2)
        finished.append(first)

    with pytest.raises(KeyboardInterrupt):
        threads.share(kernel, 30, 1e9)
    assert sorted(finished) == [10, 20]


@pytest.mark.parametrize("step", [1, 2, 50, 700, 5000])
def test_what_makes_up_for_adams_averages(step) -> None:
    """Of as many steps as there may be: β₂ᵗ is ½ after 693 of them."""
    for dtype in ("float32", "float64"):
        rate, correction = reference.steps.adam_rates(np.array([[step]]), 0.01, dtype)
        assert rate.dtype == correction.dtype == dtype
        np.testing.assert_allclose(rate, 0.01 / (1 - 0.9**step), rtol=1e-6)
        np.testing.assert_allclose(correction, 1 - 0.999**step, rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "image_bytes", "work"), [(1, 10, 1), (7, 10, 1e9), (100, 3000, 1e9), (100, 2**20, 1), (5, 2**26, 1)]
)
def test_blocks_hold_every_image_once_and_no_more_memory_than_they_may(images, image_bytes, work) -> None:
    seen: list[tuple[int, int]] = []
    cpu_conv._in_blocks(lambda first, last: seen.append((first, last)), images, image_bytes, work)
    seen.sort()
    assert [image for first, last in seen for image in range(first, last)] == list(range(images))
    assert max(last - first for first, last in seen) <= max(1, cpu_conv.BLOCK // image_bytes)
    assert len(seen) >= min(cpu_conv.PARTS, images, int(work / 2_000_000))
