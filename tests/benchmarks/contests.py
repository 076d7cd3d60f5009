"""The contests, by name: the work that is timed.  Each takes a `Bench` and yields one `Result` or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minidl import backend, models
from minidl.backend import to_numpy
from minidl.data import load_digits, load_mnist

from . import fresh, work
from .peers import Peers
from .report import OURS, Result, Target, compare
from .timing import in_turns, once_each

Competitors = dict[str, Callable[[], Any]]
EPSILON = 0.25


@dataclass(frozen=True)
class Sizes:
    """The sizes of all contests."""

    batch: int = 128
    steps: int = 62  # number of batches; training cycles through them
    epochs: int = 4  # of training of the attacked network
    fgsm: int = 2000
    jsma: int = 128
    torchattacks: int = 8
    carlini_wagner: int = 128
    adam: int = 1000  # steps for each c
    epoch: int = 10_000
    rounds: int = 30
    long_rounds: int = 3  # rounds of a contest whose calls take seconds
    turn: float = 0.4  # seconds of each turn


QUICK = Sizes(
    batch=8,
    steps=2,
    epochs=1,
    fgsm=16,
    jsma=2,
    torchattacks=1,
    carlini_wagner=2,
    adam=30,
    epoch=256,
    rounds=2,
    long_rounds=1,
    turn=0.0,
)


@dataclass(frozen=True)
class Bench:
    """The inputs that the contests share: sizes, peers, digits, a trained network."""

    sizes: Sizes
    peers: Peers
    compiled: bool = False  # measure torch.compile, too
    full_mnist: bool = False

    @cached_property
    def digits(self) -> tuple[Any, Any]:
        return load_digits()

    @cached_property
    def batches(self) -> work.Batches:
        train = self.digits[0].take(self.sizes.batch * self.sizes.steps)
        return [(to_numpy(x), to_numpy(y)) for x, y in train.batches(self.sizes.batch)]

    @cached_property
    def lenet(self) -> models.Sequential:
        return work.trained_lenet(self.digits[0].take(self.sizes.batch * self.sizes.steps), self.sizes.epochs)

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the trained network."""
        return work.numpy_params(self.lenet)

    def images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` test digits, and their labels."""
        first = self.digits[1].take(count)
        return to_numpy(first.x), to_numpy(first.y)

    def targeted(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` correctly classified test digits, and the next class as the target of each."""
        x, y = self.images(2 * count + 100)
        correct = np.flatnonzero(work.predictions(self.lenet, x) == y)[:count]
        return x[correct], (y[correct] + 1) % 10

    def milliseconds(
        self, competitors: Competitors, long: bool = False, each: dict[str, int] | None = None
    ) -> tuple[dict[str, list[float]], dict[str, Any]]:
        """`in_turns` in milliseconds per call, or per item for competitors for which `each` has the items of a call."""
        rounds = min(self.sizes.rounds, self.sizes.long_rounds) if long else self.sizes.rounds
        seconds, results = in_turns(competitors, rounds, self.sizes.turn)
        items = dict.fromkeys(competitors, 1) | (each or {})
        return {who: [1e3 * s / items[who] for s in rounds_of_one] for who, rounds_of_one in seconds.items()}, results

    def agreement(self, results: dict[str, Any]) -> dict[str, str]:
        """A remark on each peer: the difference of its result from ours, which shows that the work is the same."""
        ours = to_numpy(results[OURS])
        differences = {who: abs(self.peers.torch.to_numpy(x) - ours).max() for who, x in results.items() if who != OURS}
        return {who: f"differs by at most {d / abs(ours).max():.0e} of the largest" for who, d in differences.items()}


# --- training --------------------------------------------------------------------------------------------


def mlp(bench: Bench) -> Iterator[Result]:
    """Lacok's network: one training step, compared with the peers."""
    net, torch, jax = models.mlp(seed=0), bench.peers.torch, bench.peers.jax
    weights, batches = work.numpy_params(net), bench.batches
    competitors: Competitors = {OURS: work.training_step(net, batches)}
    if torch:
        competitors["torch"] = torch.training_step(torch.mlp, weights, batches)
        if bench.compiled:
            competitors["torch, compiled"] = torch.training_step(torch.mlp, weights, batches, compiled=True)
    if jax:
        competitors["jax, jit"] = jax.training_step(jax.mlp, weights, batches)
        competitors["jax, jit, donated"] = jax.training_step(jax.mlp, weights, batches, donated=True)
    times, _ = bench.milliseconds(competitors)
    yield compare("mlp", f"MLP, training step of {bench.sizes.batch}", "ms", times, Target(0.75))


def products(bench: Bench) -> Iterator[Result]:
    """The same step, compared with the time of its matrix products alone."""
    net = models.mlp(seed=0)
    times, _ = bench.milliseconds({
        OURS: work.training_step(net, bench.batches),
        "its matrix products": work.matrix_products(models.mlp(seed=0), bench.sizes.batch),
    })  # fmt: skip
    yield compare("products", "MLP, training step over its floor", "ms", times, Target(1.5))


def lenet(bench: Bench) -> Iterator[Result]:
    """LeNet: one training step, compared with the peers."""
    net, torch, jax = models.lenet(seed=0), bench.peers.torch, bench.peers.jax
    weights, batches = work.numpy_params(net), bench.batches
    competitors: Competitors = {OURS: work.training_step(net, batches)}
    if torch:
        competitors["torch"] = torch.training_step(torch.lenet, weights, batches)
        competitors["torch, channels last"] = torch.training_step(torch.lenet, weights, batches, channels_last=True)
        if bench.compiled:
            competitors["torch, compiled"] = torch.training_step(torch.lenet, weights, batches, compiled=True)
    if jax:
        competitors["jax, jit"] = jax.training_step(jax.lenet, weights, batches)
    times, _ = bench.milliseconds(competitors)
    yield compare("lenet", f"LeNet, training step of {bench.sizes.batch}", "ms", times, Target(0.75))


# --- derivatives in the input ----------------------------------------------------------------------------


def gradient(bench: Bench) -> Iterator[Result]:
    """LeNet: the gradient of the loss in the pixels of a batch."""
    (x, y), torch = bench.images(bench.sizes.batch), bench.peers.torch
    competitors: Competitors = {OURS: work.input_gradient(bench.lenet, x, y)}
    if torch:
        competitors["torch"] = torch.input_gradient(bench.weights, x, y)
        competitors["torch, channels last"] = torch.input_gradient(bench.weights, x, y, channels_last=True)
    times, results = bench.milliseconds(competitors)
    yield compare("gradient", f"LeNet, gradient in {len(x)} inputs", "ms", times, Target(0.5), bench.agreement(results))


def jacobian(bench: Bench) -> Iterator[Result]:
    """LeNet: the Jacobian of all ten logits in all pixels."""
    (x, _), torch = bench.images(bench.sizes.batch), bench.peers.torch
    competitors: Competitors = {OURS: work.jacobian(bench.lenet, x)}
    if torch:
        competitors["torch, ten gradients"] = torch.jacobian_by_rows(bench.weights, x)
        competitors["torch, vmap(jacrev)"] = torch.jacobian_by_vmap(bench.weights, x)
    times, results = bench.milliseconds(competitors)
    yield compare(
        "jacobian", f"LeNet, Jacobians of {len(x)} digits", "ms", times, Target(0.25), bench.agreement(results)
    )


# --- attacks ---------------------------------------------------------------------------------------------


def fgsm(bench: Bench) -> Iterator[Result]:
    """FGSM on a test set."""
    (x, y), torch = bench.images(bench.sizes.fgsm), bench.peers.torch
    competitors: Competitors = {OURS: work.fgsm_attack(bench.lenet, x, y, EPSILON)}
    if torch:
        for name, predict in (("torch, images alone", False), ("torch, with predictions", True)):
            competitors[name] = torch.fgsm(bench.weights, x, y, EPSILON, bench.sizes.batch, predict)
    times, results = bench.milliseconds(competitors)
    remarks = {who: f"error {(work.predictions(bench.lenet, adv) != y).mean():.4f}" for who, adv in results.items()}
    yield compare("fgsm", f"LeNet, FGSM on {len(x)} digits", "ms", times, remarks=remarks)


def jsma(bench: Bench) -> Iterator[Result]:
    """JSMA towards the next class, θ = 1, 14.5 % of the pixels, on the first correctly classified test digits."""
    sizes, peers = bench.sizes, bench.peers
    x, targets = bench.targeted(sizes.jsma)
    fewer = sizes.torchattacks
    competitors: Competitors = {OURS: work.jsma_attack(bench.lenet, x, targets)}
    if peers.torch and peers.art:
        competitors["ART"] = peers.art(peers.torch.victim(bench.weights), x, targets)
    if peers.torch and peers.torchattacks:
        competitors["torchattacks"] = peers.torchattacks(peers.torch.victim(bench.weights), x[:fewer], targets[:fewer])
    each = {who: len(x) for who in competitors} | {"torchattacks": fewer}
    times, results = bench.milliseconds(competitors, long=True, each=each)
    remarks = {who: work.success(bench.lenet, x, adv, targets) for who, adv in results.items()}
    goals = {"ART": Target(1 / 12), "torchattacks": Target(1 / 150)}
    yield compare("jsma", "LeNet, JSMA, per digit", "ms", times, goals, remarks)


def carlini_wagner(bench: Bench) -> Iterator[Result]:
    """Carlini and Wagner's L2 attack towards the next class, nine c of up to 1000 steps; one call each, after a short one."""
    sizes, peers = bench.sizes, bench.peers
    x, targets = bench.targeted(sizes.carlini_wagner)
    competitors: Competitors = {OURS: work.carlini_wagner_attack(bench.lenet, x, targets, sizes.adam)}
    work.carlini_wagner_attack(bench.lenet, x[:2], targets[:2], 3)()
    if peers.torch and peers.foolbox:
        from .attack_peers import foolbox_carlini_wagner

        victim = peers.torch.victim(bench.weights)
        competitors["foolbox"] = foolbox_carlini_wagner(victim, x, targets, sizes.adam)
        foolbox_carlini_wagner(victim, x[:2], targets[:2], 3)()
    times, results = once_each(competitors)
    remarks = {who: work.distance(bench.lenet, x, adv, targets) for who, adv in results.items()}
    each = {who: [1e3 * seconds / len(x)] for who, seconds in times.items()}
    goals = {"foolbox": Target(1 / 12)}
    yield compare("carlini_wagner", "LeNet, C&W L2, per digit", "ms", each, goals, remarks)


def pairs(bench: Bench) -> Iterator[Result]:
    """JSMA's search for the best pair alone, with the kernels in use and with the plain ones."""
    gradients = work.random_gradients(bench.sizes.batch, 784)
    competitors = {OURS: work.pair_search(gradients), "plain kernels": work.pair_search(gradients, plain=True)}
    times, results = bench.milliseconds(competitors, each=dict.fromkeys(competitors, bench.sizes.batch))
    same = all((to_numpy(results[OURS]) == to_numpy(results["plain kernels"])).all(axis=1))
    remarks = {"plain kernels": "the same pairs" if same else "OTHER PAIRS"}
    yield compare("pairs", "best pair of 784 features, per image", "ms", times, remarks=remarks)


# --- fresh processes -------------------------------------------------------------------------------------


def imports(bench: Bench) -> Iterator[Result]:
    """The run time of the import statement."""
    modules = [OURS, "numpy"] + (["torch"] if bench.peers.torch else [])
    times = fresh.import_times(modules, min(bench.sizes.rounds, 4 * bench.sizes.long_rounds))
    remarks = {OURS: "NumPy's included, Numba's not: the first kernel imports it"}
    yield compare("imports", "import", "ms", times, remarks=remarks)


def start(bench: Bench) -> Iterator[Result]:
    """The run time of a new process: a training step of LeNet and of the MLP, then FGSM and JSMA."""
    cold, warm, parts = fresh.first_uses(bench.sizes.long_rounds)
    name = backend.current().name
    yield compare("start", "first steps and attacks, cold", "s", {OURS: cold[name]}, Target(30, "value"),
                  {OURS: parts["cold"]})  # fmt: skip
    rounds = {OURS: warm[name]} | ({"numpy backend": warm["numpy"]} if name != "numpy" else {})
    remarks = {OURS: parts[name], "numpy backend": parts["numpy"]}
    yield compare("start", "first steps and attacks, warm", "s", rounds, Target(1, "difference"), remarks)


def memory(bench: Bench) -> Iterator[Result]:
    """The peak of the resident memory during an epoch of LeNet, including the libraries."""
    if bench.full_mnist:
        train = load_mnist()[0]
        x, y = to_numpy(train.x), to_numpy(train.y)
    else:
        x, y = (np.concatenate([to_numpy(getattr(part, name)) for part in bench.digits])[: bench.sizes.epoch]
                for name in ("x", "y"))  # fmt: skip
    megabytes = fresh.epoch_memory([OURS] + (["torch"] if bench.peers.torch else []), x, y)
    remarks = {who: f"{m['imports']:.0f} after the imports, {m['data']:.0f} the digits" for who, m in megabytes.items()}
    work_done = f"LeNet, peak memory of an epoch of {len(x)}"
    yield compare("memory", work_done, "MB", {who: [m["peak"]] for who, m in megabytes.items()}, Target(0.6), remarks)


#: Every contest by its name for --only.
CONTESTS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    contest.__name__: contest
    for contest in (mlp, products, lenet, gradient, jacobian, fgsm, jsma, carlini_wagner, pairs, imports, start, memory)
}
