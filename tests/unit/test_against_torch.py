"""The same networks in PyTorch, where it is installed: logits, Jacobians, losses, optimisers, FGSM."""

from __future__ import annotations

import numpy as np
import pytest

from attacks import fgsm
from minidl import batch_jacobian, grad, losses, models, optim, train
from minidl.layers import Glorot

torch = pytest.importorskip("torch", exc_type=ImportError)


def pair(seed: int = 0):
    """A minidl network with biases and its PyTorch twin, float64."""
    net = models.mlp((1, 6, 6), 7, (20, 15), bias=True, init_weights=Glorot(), seed=seed, dtype="float64")
    rng = np.random.default_rng(seed)
    for name in net.params:
        net.params[name] += 0.1 * rng.normal(size=net.params[name].shape)
    parts = [torch.nn.Flatten()]
    for i, (fan_in, units) in enumerate(((36, 20), (20, 15), (15, 7)), start=1):
        dense = torch.nn.Linear(fan_in, units, dtype=torch.float64)
        with torch.no_grad():
            dense.weight.copy_(torch.tensor(net.params[f"dense{i}.W"].T))
            dense.bias.copy_(torch.tensor(net.params[f"dense{i}.b"]))
        parts += [dense] + ([torch.nn.ReLU()] if i < 3 else [])
    return net, torch.nn.Sequential(*parts)


def images(n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.random((n, 1, 6, 6)), rng.integers(0, 7, n)


def test_logits_and_loss() -> None:
    (net, twin), (x, y) = pair(), images()
    np.testing.assert_allclose(net(x), twin(torch.tensor(x)).detach().numpy(), rtol=1e-12)
    theirs = torch.nn.functional.cross_entropy(twin(torch.tensor(x)), torch.tensor(y))
    np.testing.assert_allclose(losses.cross_entropy(net(x), y), theirs.item(), rtol=1e-12)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian(mode) -> None:
    (net, twin), (x, _) = pair(), images()
    theirs = torch.func.vmap(torch.func.jacrev(lambda z: twin(z[None])[0]))(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(batch_jacobian(net, x, mode), theirs, atol=1e-12)


def test_gradients_of_the_parameters_and_of_the_input() -> None:
    (net, twin), (x, y) = pair(), images()
    z = torch.tensor(x, requires_grad=True)
    torch.nn.functional.cross_entropy(twin(z), torch.tensor(y)).backward()
    _, _, grads = train.gradient(net, x, y)
    for i, layer in enumerate(layer for layer in twin if isinstance(layer, torch.nn.Linear)):
        np.testing.assert_allclose(grads[f"dense{i + 1}.W"], layer.weight.grad.numpy().T, atol=1e-13)
        np.testing.assert_allclose(grads[f"dense{i + 1}.b"], layer.bias.grad.numpy(), atol=1e-13)
    np.testing.assert_allclose(grad(lambda x: losses.cross_entropy(net(x), y), x), z.grad.numpy(), atol=1e-13)
    expected = np.clip(x + 0.25 * np.sign(z.grad.numpy()), 0, 1)
    np.testing.assert_allclose(fgsm(net, x, y, epsilon=0.25).x_adv, expected)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (optim.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (optim.SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        (optim.SGD(0.1, 0.9, True), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
        (optim.RMSProp(0.01, epsilon_inside=False), lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-6)),
        (optim.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    ],
)
def test_optimisers(ours, theirs) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 2))
    twin = torch.tensor(w, requires_grad=True)
    params, optimizer = {"w": w.copy()}, theirs([twin])
    state = ours.init(params)
    for _ in range(5):
        g = rng.normal(size=(3, 2))
        ours.update(params, {"w": g}, state)
        twin.grad = torch.tensor(g)
        optimizer.step()
        np.testing.assert_allclose(params["w"], twin.detach().numpy(), rtol=1e-10)
