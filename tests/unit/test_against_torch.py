"""The same networks in PyTorch, where it is installed: logits, Jacobians, losses, optimisers, FGSM."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from attacks import fgsm
from minidl import batch_jacobian, conv, grad, losses, models, optim, train
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


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_lenet_from_its_file(activation, dtype, tolerance, tmp_path) -> None:
    """Read as other tools would, by name: logits, Jacobian and the gradients of all parameters."""
    net = models.lenet(activation=activation, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    for name in net.params:
        net.params[name] += (0.05 * rng.normal(size=net.params[name].shape)).astype(dtype)
    minidl.save(net, tmp_path / "lenet.npz")
    units = torch.nn.ReLU if activation == "relu" else torch.nn.Tanh
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(1, 20, 5), units(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(20, 50, 5), units(),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(800, 500), units(), torch.nn.Linear(500, 10),
    ).to(getattr(torch, dtype))  # fmt: skip
    with np.load(tmp_path / "lenet.npz", allow_pickle=False) as file, torch.no_grad():
        for name, i in (("conv1", 0), ("conv2", 3), ("dense1", 7), ("dense2", 9)):
            twin[i].weight.copy_(torch.tensor(file[f"{name}.W"].T if "dense" in name else file[f"{name}.W"]))
            twin[i].bias.copy_(torch.tensor(file[f"{name}.b"]))
    x, y = rng.random((4, 1, 28, 28)).astype(dtype), rng.integers(0, 10, 4)

    def close(ours, theirs) -> None:
        theirs = theirs.detach().numpy()
        assert abs(ours - theirs).max() <= tolerance * abs(theirs).max()

    close(net(x), twin(torch.tensor(x)))
    theirs = torch.func.vmap(torch.func.jacrev(lambda z: twin(z[None])[0]))(torch.tensor(x))
    close(batch_jacobian(net, x, "reverse"), theirs)
    close(batch_jacobian(net, x[:1], "forward", chunk=98), theirs[:1])
    torch.nn.functional.cross_entropy(twin(torch.tensor(x)), torch.tensor(y)).backward()
    _, _, grads = train.gradient(net, x, y)
    close(grads["conv1.W"], twin[0].weight.grad)
    close(grads["conv2.W"], twin[3].weight.grad)
    close(grads["conv2.b"], twin[3].bias.grad)
    close(grads["dense1.W"].T, twin[7].weight.grad)


def carlini_there() -> list:
    conv2d, relu, linear, pool = torch.nn.Conv2d, torch.nn.ReLU, torch.nn.Linear, torch.nn.MaxPool2d
    return [conv2d(1, 32, 3), relu(), conv2d(32, 32, 3), relu(), pool(2), conv2d(32, 64, 3), relu(), conv2d(64, 64, 3),
            relu(), pool(2), torch.nn.Flatten(), linear(1024, 200), relu(), torch.nn.Dropout(0.5), linear(200, 200),
            relu(), linear(200, 10)]  # fmt: skip


def madry_there() -> list:
    conv2d, relu, linear, pool = torch.nn.Conv2d, torch.nn.ReLU, torch.nn.Linear, torch.nn.MaxPool2d
    return [conv2d(1, 32, 5, padding="same"), relu(), pool(2), conv2d(32, 64, 5, padding="same"), relu(), pool(2),
            torch.nn.Flatten(), linear(3136, 1024), relu(), linear(1024, 10)]  # fmt: skip


def vgg11_there() -> list:
    """Configuration A with an eighth of the channels, as torchvision writes it: a list of them, "M" for pooling."""
    channels, parts = 3, []
    for wanted in (8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"):
        if wanted == "M":
            parts.append(torch.nn.MaxPool2d(2))
        else:
            parts += [torch.nn.Conv2d(channels, wanted, 3, padding=1), torch.nn.ReLU()]
            channels = wanted
    return [*parts, torch.nn.Flatten(), torch.nn.Linear(64, 20), torch.nn.ReLU(), torch.nn.Linear(20, 20),
            torch.nn.ReLU(), torch.nn.Linear(20, 10)]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "theirs"),
    [
        (models.carlini, carlini_there),
        (models.madry, madry_there),
        (lambda **options: models.vgg((3, 32, 32), width=8, hidden=20, **options), vgg11_there),
    ],
    ids=["carlini", "madry", "vgg11"],
)
def test_the_papers_networks(make, theirs) -> None:
    """Logits, and the gradient of the loss in the pixels."""
    net, twin = make(dtype="float64", seed=1), torch.nn.Sequential(*theirs()).double().eval()
    owners = [layer for layer in twin if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    names = [name for name in net.layers if net.params_of(name)]
    with torch.no_grad():
        for name, layer in zip(names, owners, strict=True):
            own = net.params_of(name)
            layer.weight.copy_(torch.tensor(own["W"].T if name.startswith("dense") else own["W"]))
            layer.bias.copy_(torch.tensor(own["b"]))
    rng = np.random.default_rng(0)
    x, y = rng.random((3, *net.input_shape)), rng.integers(0, 10, 3)
    z = torch.tensor(x, requires_grad=True)
    logits = twin(z)
    torch.nn.functional.cross_entropy(logits, torch.tensor(y)).backward()
    np.testing.assert_allclose(net(x), logits.detach().numpy(), rtol=1e-10, atol=1e-12)
    slope = grad(lambda x: losses.cross_entropy(net(x), y), x)
    np.testing.assert_allclose(slope, z.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_convolution_and_pooling(stride, padding) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 7, 9)), rng.normal(size=(4, 3, 3, 2))
    theirs = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(w), stride=stride, padding=padding)
    np.testing.assert_allclose(conv.conv2d(x, w, stride, padding), theirs.numpy(), atol=1e-12)
    for ours, name in ((conv.max_pool2d, "max_pool2d"), (conv.avg_pool2d, "avg_pool2d")):
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x), 3, stride)
        np.testing.assert_allclose(ours(x, 3, stride), theirs.numpy(), atol=1e-12)
