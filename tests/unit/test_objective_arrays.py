"""Objectives and stacked networks run on other array libraries, with the same results, and seldom wait for them."""

from __future__ import annotations

import numpy as np
import pytest

from attacks import fgsm, stacked
from minidl import backend, models, objectives
from minidl.data import Dataset
from minidl.layers import Glorot
from minidl.objectives import Contractive, JacobianPenalty, Reconstruction, contractive, jacobian_penalty
from minidl.train import fit
from tests.support import strict
from tests.support.other_arrays import add_the_stand_in, check_the_same_on
from tests.unit.test_cuda import cupy_with_a_gpu

OBJECTIVES = [Reconstruction(0.2), Contractive((0.1, 0.2)), JacobianPenalty(0.3, 2), JacobianPenalty(0.3, None)]


def classifier(**options: object) -> models.Sequential:
    return models.mlp((1, 4, 4), 5, (12,), bias=True, init_weights=Glorot(), dtype="float64", **options)


def results() -> list[np.ndarray]:
    """Trained parameters, penalties, and adversarial images, as NumPy arrays."""
    rng, arrays = np.random.default_rng(0), []
    x, y = backend.asarray(rng.random((20, 1, 4, 4))), backend.asarray(np.arange(20) % 5)
    for objective in OBJECTIVES:
        net = models.autoencoder((1, 4, 4), (6, 3), dtype="float64") if objective == OBJECTIVES[0] else classifier()
        history = fit(net, Dataset(x, y), epochs=2, batch_size=8, objective=objective, progress=False)
        arrays += [*net.params.values(), backend.asarray(np.array(history.loss))]
    net, filters = classifier(seed=1), models.autoencoder((1, 4, 4), (6, 3), dtype="float64")
    images, lenet = backend.asarray(rng.random((2, 1, 16, 16))), models.lenet((1, 16, 16), 3, channels=(2, 2), hidden=4,
                                                                              dtype="float64")  # fmt: skip
    arrays += [contractive(lenet, lenet.params, images, 0.5), contractive(net, net.params, x, 0.5)]
    arrays += [jacobian_penalty(net, x, 0.5, 3, key=7)]
    arrays += [objectives.orthonormal(1, 2, x[:, 0, 0]), filters.up_to("dense2")(x)]
    arrays += [fgsm(stacked(filters, net), x, y, epsilon=0.1).x_adv]
    return [backend.to_numpy(a) for a in arrays]


def test_other_arrays_lead_to_the_same_results(monkeypatch) -> None:
    add_the_stand_in(monkeypatch)
    check_the_same_on("strict", results, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES[1:], ids=str)
def test_a_step_does_not_wait_for_the_device(objective, monkeypatch) -> None:
    """As many numbers are read in an epoch of forty batches as in one of ten."""
    add_the_stand_in(monkeypatch)
    counts = []
    with backend.use("strict"):
        for n in (40, 160):
            data = Dataset(
                backend.asarray(np.random.default_rng(0).random((n, 1, 4, 4))), backend.asarray(np.arange(n) % 5)
            )
            net, before = classifier(), strict.synchronisations
            fit(net, data, epochs=1, batch_size=4, objective=objective, progress=False)
            counts.append(strict.synchronisations - before)
    assert counts[0] == counts[1]


@pytest.mark.gpu
def test_a_gpu_leads_to_the_same_results() -> None:
    cupy_with_a_gpu()
    check_the_same_on("cupy", results, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("backend_name", ["numpy", "numba"])
def test_single_precision_stays_single(backend_name) -> None:
    with backend.use(backend_name):
        net = models.mlp((1, 4, 4), 5, (12,))
        x, y = np.random.default_rng(0).random((6, 1, 4, 4)).astype(np.float32), np.arange(6) % 5
        assert contractive(net, net.params, x, 0.5).dtype == np.float32
        assert contractive(net, net.params, x, 0.0).dtype == np.float32
        for projections in (None, 2):
            assert jacobian_penalty(net, x, 0.5, projections).dtype == np.float32
        for objective in OBJECTIVES:
            model = models.autoencoder((1, 4, 4), (6, 3)) if objective == OBJECTIVES[0] else net
            fit(model, Dataset(x, y), epochs=1, objective=objective, progress=False)
            assert all(w.dtype == np.float32 for w in model.params.values())
