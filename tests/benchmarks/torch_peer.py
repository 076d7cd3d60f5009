"""The same work in PyTorch, without minidl; the weights are NumPy arrays with minidl's names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Call = Callable[[], Any]
Make = Callable[[], nn.Sequential]
Batches = Sequence[tuple[np.ndarray, np.ndarray]]
Weights = dict[str, np.ndarray]


def mlp() -> nn.Sequential:
    """784-625-625-10 without biases, dropout 0.2 on the input and 0.5 on each hidden layer."""
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(784, 625, bias=False), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(625, 625, bias=False), nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 10, bias=False),
    )  # fmt: skip


def lenet() -> nn.Sequential:
    """20@5×5, pooling, 50@5×5, pooling, 500 units, 10 logits."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip


def mirrored(layers: Iterable[Any], weights: Weights) -> nn.Sequential:
    """A PyTorch network with the same layers as minidl's, and with these weights."""
    shapes = (w.shape for w in weights.values() if w.ndim > 1)
    makers: dict[str, Callable[[Any], nn.Module]] = {
        "Flatten": lambda layer: nn.Flatten(),
        "Dense": lambda layer: nn.Linear(next(shapes)[0], layer.units, layer.bias),
        "Conv2d": lambda layer: nn.Conv2d(
            next(shapes)[1], layer.channels, layer.size, layer.stride, layer.padding, bias=layer.bias
        ),
        "MaxPool2d": lambda layer: nn.MaxPool2d(layer.size, layer.stride),
        "ReLU": lambda layer: nn.ReLU(),
        "Tanh": lambda layer: nn.Tanh(),
        "Sigmoid": lambda layer: nn.Sigmoid(),
        "Dropout": lambda layer: nn.Dropout(layer.rate),
    }
    return with_weights(nn.Sequential(*(makers[type(layer).__name__](layer) for layer in layers)), weights)


def with_weights(net: nn.Sequential, weights: Weights) -> nn.Sequential:
    """Copy weights into a network, in the order of its layers; those of dense layers are (in, out)."""
    with torch.no_grad():
        for parameter, w in zip(net.parameters(), weights.values()):
            parameter.copy_(torch.from_numpy(w.T if w.ndim == 2 else w))
    return net


def stepper(net: nn.Module, compiled: bool = False) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """A function that takes one training step of RMSProp on a batch."""
    optimizer = torch.optim.RMSprop(net.train().parameters(), lr=1e-3, alpha=0.9, eps=1e-6)

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(net(x), y)

    loss = torch.compile(loss) if compiled else loss

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()

    return step


class Torch:
    """PyTorch's side of the contests, on the CPU with so many threads, or on the GPU if gpu is true and there is one."""

    mlp, lenet = staticmethod(mlp), staticmethod(lenet)

    def __init__(self, threads: int, gpu: bool) -> None:
        torch.set_num_threads(threads)
        self.device = "cuda" if gpu and torch.cuda.is_available() else "cpu"

    def __str__(self) -> str:
        return f"{torch.__version__}, {self.device}, {torch.get_num_threads()} threads"

    @staticmethod
    def to_numpy(x: torch.Tensor) -> np.ndarray:
        return x.detach().cpu().numpy()

    def tensor(self, x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(x).to(self.device)

    def network(self, make: Make, weights: Weights, channels_last: bool = False) -> nn.Sequential:
        net = with_weights(make(), weights).to(self.device)
        return net.to(memory_format=torch.channels_last) if channels_last else net

    def victim(self, weights: Weights, channels_last: bool = False) -> nn.Sequential:
        """A LeNet for attacks: no gradients of its parameters."""
        return self.network(lenet, weights, channels_last).eval().requires_grad_(False)

    def mirror(self, layers: Iterable[Any], weights: Weights) -> nn.Sequential:
        """A network of these layers for attacks: no gradients of its parameters."""
        return mirrored(layers, weights).to(self.device).eval().requires_grad_(False)

    def training_step(
        self, make: Make, weights: Weights, batches: Batches, channels_last: bool = False, compiled: bool = False
    ) -> Call:
        step = stepper(self.network(make, weights, channels_last), compiled)
        turns = itertools.cycle([(self.images(x, channels_last), self.tensor(y)) for x, y in batches])
        return self.awaited(lambda: step(*next(turns)))

    def input_gradient(self, weights: Weights, x: np.ndarray, y: np.ndarray, channels_last: bool = False) -> Call:
        net, labels = self.victim(weights, channels_last), self.tensor(y)
        pixels = self.images(x, channels_last).requires_grad_()
        return self.awaited(lambda: torch.autograd.grad(F.cross_entropy(net(pixels), labels), pixels)[0])

    def jacobian_by_rows(self, weights: Weights, x: np.ndarray) -> Call:
        """The Jacobian by one forward run and ten gradients."""
        net, pixels = self.victim(weights), self.tensor(x).requires_grad_()

        def call() -> torch.Tensor:
            sums = net(pixels).sum(0)
            return torch.stack([torch.autograd.grad(z, pixels, retain_graph=True)[0] for z in sums], 1)

        return self.awaited(call)

    def jacobian_by_vmap(self, weights: Weights, x: np.ndarray) -> Call:
        net, pixels = self.victim(weights), self.tensor(x)
        of_one = torch.func.jacrev(lambda image: net(image[None])[0])
        return self.awaited(lambda: torch.func.vmap(of_one)(pixels))

    def fgsm(self, weights: Weights, x: np.ndarray, y: np.ndarray, epsilon: float, batch: int, predict: bool) -> Call:
        """Gradient, sign, clip; with predict, also the predictions before and after, which our result contains."""
        net, pixels, labels = self.victim(weights), self.tensor(x), self.tensor(y)

        def attack(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            x = x.detach().requires_grad_()
            gradient = torch.autograd.grad(F.cross_entropy(net(x), y, reduction="sum"), x)[0]
            return (x + epsilon * gradient.sign()).clamp(0, 1).detach()

        def predictions(x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return torch.cat([net(part).argmax(1) for part in x.split(batch)])

        def call() -> np.ndarray:
            x_adv = torch.cat([attack(*part) for part in zip(pixels.split(batch), labels.split(batch))])
            for x in (pixels, x_adv) if predict else ():
                predictions(x)
            return self.to_numpy(x_adv)

        return self.awaited(call)

    def images(self, x: np.ndarray, channels_last: bool) -> torch.Tensor:
        return self.tensor(x).to(memory_format=torch.channels_last) if channels_last else self.tensor(x)

    def awaited(self, call: Call) -> Call:
        """The call, which on a GPU also waits until the device is done."""

        def awaited() -> Any:
            result = call()
            if self.device == "cuda":
                torch.cuda.synchronize()
            return result

        return awaited
