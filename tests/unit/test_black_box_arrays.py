"""The attacks by labels alone run on other array libraries, with the same results."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from attacks import Oracle, SoftNeighbours, Targeted, bim, fgsm, hopskipjump, substitute, svm_step, transfer_matrix
from minidl import backend, models
from minidl.layers import Glorot
from tests.support.other_arrays import add_the_stand_in, check_the_same_on
from tests.unit.test_cuda import cupy_with_a_gpu


def results() -> list[np.ndarray]:
    """What each attack makes of seven images, as NumPy arrays."""
    rng = np.random.default_rng(0)
    x, points = (backend.asarray(rng.random((count, 1, 4, 4))) for count in (7, 12))
    net = models.mlp((1, 4, 4), 5, (12,), bias=True, init_weights=Glorot(), dtype="float64")
    y = net(x).argmax(axis=1)
    oracle = Oracle(lambda x: net(x).argmax(axis=1), classes=5, batch_size=30)
    start = backend.asarray(np.repeat(backend.to_numpy(x)[:1], 7, axis=0))
    made = [
        hopskipjump(oracle, x, y, queries=200, probes=20),
        hopskipjump(net, x, y, queries=200, probes=20, norm="linf"),
        hopskipjump(net, x, Targeted(net(start).argmax(axis=1)), queries=100, start=start),
        svm_step(net, x, y, epsilon=0.5),
        bim(models.ensemble(net, net), x, y, epsilon=0.1, momentum=1.0, steps=3),
        fgsm(SoftNeighbours(points, backend.asarray(np.arange(12) % 5)), x, y, epsilon=0.1),
    ]
    learned = substitute(oracle, x, models.mlp((1, 4, 4), 5, (6,), seed=1, dtype="float64"), rounds=4, doublings=1,
                         reservoir=5, epochs=2)  # fmt: skip
    matrix = transfer_matrix({"net": net}, {"net": net, "oracle": oracle}, partial(fgsm, epsilon=0.2), x, y)
    arrays = [result.x_adv for result in made] + [result.iterations for result in made]
    arrays += [learned.points, learned.labels, *learned.network.params.values(), matrix.successes, matrix.l2]
    return [backend.to_numpy(a) for a in arrays]


def test_other_arrays_lead_to_the_same_results(monkeypatch) -> None:
    add_the_stand_in(monkeypatch)
    check_the_same_on("strict", results, rtol=1e-6, atol=1e-9)


@pytest.mark.gpu
def test_a_gpu_leads_to_the_same_results() -> None:
    cupy_with_a_gpu()
    check_the_same_on("cupy", results, rtol=1e-6, atol=1e-7)
