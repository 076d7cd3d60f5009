"""Our side of the contests.  Each function takes what it needs and returns a call that does the work once."""

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
    """Until the device has done all it was asked to: a GPU is still at work when Python goes on."""
    if backend.current().name == "cupy":
        backend.current().namespace.cuda.Device().synchronize()


def trained_lenet(dataset: Dataset, epochs: int) -> Sequential:
    """The network that is attacked: a ReLU LeNet, the same every time."""
    net = models.lenet(seed=0)
    train.fit(net, dataset, epochs=epochs, seed=0, progress=False)
    return net


def numpy_params(net: Sequential) -> dict[str, np.ndarray]:
    """Copies of the network's parameters, for the peers."""
    return {name: to_numpy(w).copy() for name, w in net.params.items()}


def training_step(net: Sequential, batches: Batches) -> Call:
    """What `train.fit` does for each batch, on one batch after the other."""
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
    """The products alone of a training step of a dense network: forward, and backward without the input's gradient.

    They are written into arrays that are there already, so nothing but the products is timed.
    """
    rng, weights = np.random.default_rng(0), [w for name, w in net.params.items() if name.endswith(".W")]
    sizes = [weights[0].shape[0], *(w.shape[1] for w in weights)]
    inputs = [asarray(rng.random((rows, size), np.float32)) for size in sizes[:-1]]
    slopes = [asarray(rng.random((rows, size), np.float32)) for size in sizes[1:]]
    triples = []
    for i, w in enumerate(weights):
        triples += [(inputs[i], w), (inputs[i].T, slopes[i])] + ([(slopes[i], w.T)] if i else [])
    matmul = namespace(weights[0]).matmul
    into = [matmul(a, b) for a, b in triples]

    def call() -> None:
        for (a, b), out in zip(triples, into):
            matmul(a, b, out=out)
        wait()

    return call


def input_gradient(net: Sequential, x: np.ndarray, y: np.ndarray) -> Call:
    """∂loss/∂x."""
    x, y = asarray(x), asarray(y)
    return _awaited(lambda: grad(lambda x: losses.cross_entropy(net(x), y), x))


def jacobian(f: Callable[[Array], Array], x: np.ndarray, mode: str = "auto") -> Call:
    """The Jacobian of every row: of all logits in all pixels."""
    x = asarray(x)
    return _awaited(lambda: batch_jacobian(f, x, mode))


def fgsm_attack(net: Sequential, x: np.ndarray, y: np.ndarray, epsilon: float) -> Call:
    """FGSM with all that belongs to it: checks, predictions before and after, the result."""
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
    """C&W's L2 attack, nine c from .001."""
    x, goal = asarray(x), Targeted(asarray(targets))
    return _awaited(lambda: to_numpy(cw_l2(net, x, goal, steps=steps).x_adv))


def pair_search(slopes: tuple[np.ndarray, ...], plain: bool = False) -> Call:
    """JSMA's search for the best pairs with the kernels in use, or with the plain ones."""
    a, b, domain = map(asarray, slopes)
    search = reference.best_pairs if plain else kernels(a).best_pairs
    return _awaited(lambda: search(a, b, domain))


def random_slopes(images: int, features: int) -> tuple[np.ndarray, ...]:
    """a, b and the domain of some images, as `best_pairs` takes them."""
    a, b = np.random.default_rng(features).normal(size=(2, images, features)).astype(np.float32)
    return a, b, np.ones(a.shape, bool)


def predictions(net: Sequential, x: np.ndarray) -> np.ndarray:
    """The classes of some images."""
    return to_numpy(net(asarray(x)).argmax(axis=-1))


def success(net: Sequential, x: np.ndarray, x_adv: np.ndarray, targets: np.ndarray) -> str:
    """How an attack on the first of the images did, whoever ran it: predicted anew, its changed pixels counted."""
    n = len(x_adv)
    changed = (x_adv != x[:n]).reshape(n, -1).sum(axis=1)
    rate = (predictions(net, x_adv) == targets[:n]).mean()
    return f"{n} digits, success {rate:.3f}, {changed.mean():.1f} pixels"


def distance(net: Sequential, x: np.ndarray, x_adv: np.ndarray, targets: np.ndarray) -> str:
    """How near an attack came, whoever ran it: predicted anew, the mean distance of those that succeed."""
    reached = predictions(net, x_adv) == targets
    lengths = np.sqrt(((x_adv - x)[reached].astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    return f"{len(x)} digits, success {reached.mean():.3f}, mean L2 {lengths.mean() if len(lengths) else np.nan:.4f}"


def _awaited(call: Call) -> Call:
    def awaited() -> Any:
        result = call()
        wait()
        return result

    return awaited
