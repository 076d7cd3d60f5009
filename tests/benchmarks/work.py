"""minidl's side of the contests.  Each function returns a call that does the work once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from attacks import AttackResult, Targeted, fgsm, jsma
from attacks.minimal.carlini_wagner import cw_l2
from minidl import backend, batch_jacobian, grad, losses, models, optim, train
from minidl.backend import asarray, kernels, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset
from minidl.kernels import reference
from minidl.models import Sequential

Call = Callable[[], Any]
Batches = Sequence[tuple[np.ndarray, np.ndarray]]


def wait() -> None:
    """Wait until the device is done: a GPU is still computing when Python continues."""
    if backend.current().name == "cupy":
        backend.current().namespace.cuda.Device().synchronize()


def trained_lenet(dataset: Dataset, epochs: int) -> Sequential:
    """The attacked network: a ReLU LeNet, trained with a fixed seed."""
    net = models.lenet(seed=0)
    train.fit(net, dataset, epochs=epochs, seed=0, progress=False)
    return net


def numpy_params(net: Sequential) -> dict[str, np.ndarray]:
    """Copies of the network's parameters, for the peers."""
    return {name: to_numpy(w).copy() for name, w in net.params.items()}


def training_step(net: Sequential, batches: Batches) -> Call:
    """The step that `train.fit` takes for each batch; the calls cycle through the batches."""
    optimizer = optim.RMSProp()
    state = optimizer.init(net.params)
    turns = itertools.cycle([(asarray(x), asarray(y)) for x, y in batches])
    steps = itertools.count()

    def call() -> None:
        x, y = next(turns)
        grads = train.gradient(net, x, y, np.random.default_rng((0, 0, next(steps))))[-1]
        optimizer.update(net.params, grads, state)
        wait()

    return call


def matrix_products(net: Sequential, rows: int) -> Call:
    """The matrix products of a training step of a dense network: forward, and backward without the input's gradient.

    They are written into existing arrays, so that only the products are timed.
    """
    rng, weights = np.random.default_rng(0), [w for name, w in net.params.items() if name.endswith(".W")]
    sizes = [weights[0].shape[0], *(w.shape[1] for w in weights)]
    inputs = [asarray(rng.random((rows, size), np.float32)) for size in sizes[:-1]]
    gradients = [asarray(rng.random((rows, size), np.float32)) for size in sizes[1:]]
    factors = []
    for i, w in enumerate(weights):
        factors += [(inputs[i], w), (inputs[i].T, gradients[i])] + ([(gradients[i], w.T)] if i else [])
    matmul = namespace(weights[0]).matmul
    products = [matmul(a, b) for a, b in factors]

    def call() -> None:
        for (a, b), out in zip(factors, products):
            matmul(a, b, out=out)
        wait()

    return call


def input_gradient(net: Sequential, x: np.ndarray, y: np.ndarray) -> Call:
    """The gradient of the loss in the pixels, ∂loss/∂x."""
    x, y = asarray(x), asarray(y)
    return _awaited(lambda: grad(lambda x: losses.cross_entropy(net(x), y), x))


def jacobian(f: Callable[[Array], Array], x: np.ndarray, mode: str = "auto") -> Call:
    """The Jacobian of every row: of all logits in all pixels."""
    x = asarray(x)
    return _awaited(lambda: batch_jacobian(f, x, mode))


def fgsm_attack(net: Sequential, x: np.ndarray, y: np.ndarray, epsilon: float) -> Call:
    """FGSM, including its checks, the predictions before and after, and the result."""
    x, y = asarray(x), asarray(y)
    return _awaited(lambda: to_numpy(fgsm(net, x, y, epsilon=epsilon).x_adv))


def jsma_attack(net: Sequential, x: np.ndarray, targets: np.ndarray) -> Call:
    """JSMA with θ = 1 and 14.5 % of the pixels."""
    x, goal = asarray(x), Targeted(asarray(targets))

    def call() -> np.ndarray:
        result: AttackResult = jsma(net, x, goal, theta=1.0, max_distortion=0.145)
        return to_numpy(result.x_adv)

    return _awaited(call)


def carlini_wagner_attack(net: Sequential, x: np.ndarray, targets: np.ndarray, steps: int) -> Call:
    """C&W's L2 attack, nine values of c from .001 on."""
    x, goal = asarray(x), Targeted(asarray(targets))
    return _awaited(lambda: to_numpy(cw_l2(net, x, goal, steps=steps).x_adv))


def pair_search(gradients: tuple[np.ndarray, ...], plain: bool = False) -> Call:
    """JSMA's search for the best pairs with the kernels in use, or with the plain ones."""
    a, b, domain = map(asarray, gradients)
    search = reference.best_pairs if plain else kernels(a).best_pairs
    return _awaited(lambda: search(a, b, domain))


def random_gradients(images: int, features: int) -> tuple[np.ndarray, ...]:
    """Random arguments a, b and domain of `best_pairs`."""
    a, b = np.random.default_rng(features).normal(size=(2, images, features)).astype(np.float32)
    return a, b, np.ones(a.shape, bool)


def predictions(net: Sequential, x: np.ndarray) -> np.ndarray:
    """The predicted classes of some images."""
    return to_numpy(net(asarray(x)).argmax(axis=-1))


def success(net: Sequential, x: np.ndarray, x_adv: np.ndarray, targets: np.ndarray) -> str:
    """A remark on any library's attack: its success rate by our predictions, and the mean number of changed pixels."""
    n = len(x_adv)
    changed = (x_adv != x[:n]).reshape(n, -1).sum(axis=1)
    rate = (predictions(net, x_adv) == targets[:n]).mean()
    return f"{n} digits, success {rate:.3f}, {changed.mean():.1f} pixels"


def distance(net: Sequential, x: np.ndarray, x_adv: np.ndarray, targets: np.ndarray) -> str:
    """A remark on any library's attack: its success rate by our predictions, and the mean L2 of the successes."""
    success = predictions(net, x_adv) == targets
    norms = np.sqrt(((x_adv - x)[success].astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    return f"{len(x)} digits, success {success.mean():.3f}, mean L2 {norms.mean() if len(norms) else np.nan:.4f}"


def _awaited(call: Call) -> Call:
    def awaited() -> Any:
        result = call()
        wait()
        return result

    return awaited
