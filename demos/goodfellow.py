"""Goodfellow, Shlens and Szegedy (2014), §6 and Figure 3: adversarial training by the fast gradient sign method.

    python demos/goodfellow.py           bundled digits, under two minutes on two cores
    python demos/goodfellow.py --full    whole MNIST, some ten minutes

The same network is trained in four ways.  The first is as usual.  The second minimises
α·J(x) + (1-α)·J(x + ε·sign(∇ₓJ)) with α = .5 and ε = .25, with new adversarial images for every batch.  The other two
are controls with noise instead: every pixel is moved by ±ε at random, or by an amount from U(-ε, ε).  `Noise` shows
how to write an adversary.

Result: adversarial training lowers the error under FGSM as in the paper.  But more images are
misclassified if they were made against the plain network, or by PGD in many small steps.  So part of the robustness
comes from a gradient that no longer points to the worst images.  demos/madry.py shows the remedy.

Differences from the paper.  The paper trains maxout networks for about 250 epochs.  Here the network is
784-625-625-10 with ReLU, a little dropout, Adam, and 20 epochs (12 with --full).  The recipe was chosen on held-out
training digits.  The paper's gain on clean images (error .94 % to .84 %) is too small to be visible in one short run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    finished,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import fgsm, pgd, plots
from attacks.adversaries import FGSMAdversary
from minidl import models
from minidl.backend import kernels, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.train import Adversary, TrainingStep, evaluate

EPSILON = 0.25


@dataclass(frozen=True)
class Noise:
    """An adversary that adds noise: every pixel is moved by ±ε, or by an amount from U(-ε, ε), within [0, 1]."""

    signs: bool
    alpha: float = 0.5

    def __call__(self, net: Sequential, x: Array, y: Array, moment: TrainingStep) -> Array:
        draw = kernels(x)
        d = draw.random_signs(moment.key, x) if self.signs else 2 * draw.random_uniform(moment.key, x) - 1
        return namespace(x).clip(x + EPSILON * d, 0, 1)


#: The adversary of each network, and the paper's error on FGSM images made against the network itself.
NETWORKS: dict[str, tuple[Adversary | None, str]] = {
    "plain": (None, ".894"),
    "FGSM": (FGSMAdversary(EPSILON, alpha=0.5), ".179"),
    "±ε noise": (Noise(signs=True), ".862"),
    "U(-ε, ε) noise": (Noise(signs=False), ".904"),
}


def trained(name: str, data: Dataset, epochs: int, seed: int) -> Sequential:
    """Train the network with the adversary of that name.  Large runs keep a checkpoint."""
    net, (adversary, _) = models.mlp(dropout=(0.0, 0.2), seed=seed), NETWORKS[name]
    file = f"goodfellow, {name}, {len(data)} digits, {epochs} epochs, seed {seed}.npz"
    checkpoint = HERE / "out" / "checkpoints" / file if len(data) > 10_000 else None
    history = train(net, data, epochs=epochs, optimizer=Adam(1e-3), adversary=adversary, seed=seed,
                    checkpoint=checkpoint)  # fmt: skip
    print(f"{name}: {sum(history.seconds):.0f} s", flush=True)
    return net


def resistance(nets: dict[str, Sequential], test: Dataset, seed: int) -> str:
    """The errors of each network on clean images, and on images made against itself."""
    rows = []
    for name, net in nets.items():
        clean, result = evaluate(net, test), fgsm(net, test.x, test.y, epsilon=EPSILON)
        attacked = evaluate(net, test.replace(x=result.x_adv))
        strong = finished(
            pgd(net, test.x, test.y, epsilon=EPSILON, seed=seed, progress=True),
            "networks trained with --full are saved",
        )
        rows.append([name, clean.error, attacked.error, NETWORKS[name][1], attacked.confidence_on_errors,
                     float(strong.success.mean())])  # fmt: skip
    heads = ["trained on", "clean error", "own FGSM .25", "paper,\nMNIST", "confidence on\nthose errors",
             "own PGD-40 .25"]  # fmt: skip
    return table("Error on images made against the network itself", heads, rows)


def transfer(nets: dict[str, Sequential], test: Dataset) -> str:
    """The error of one network (row) on FGSM images made against another (column)."""
    images = {name: fgsm(net, test.x, test.y, epsilon=EPSILON).x_adv for name, net in nets.items()}
    rows = [[name, *(evaluate(net, test.replace(x=x)).error for x in images.values())] for name, net in nets.items()]
    paper = "paper, MNIST: made on plain, shown to FGSM .196; the other way .409"
    title = f"Error on images made against another\n({paper})"
    return table(title, ["shown to", *(f"made on {name}" for name in images)], rows)


def weights(nets: dict[str, Sequential], units: int = 10) -> Any:
    """The paper's Figure 3: the weights of some units of the first layer."""
    rows = {}
    for name, net in nets.items():
        w = to_numpy(net.params["dense1.W"])
        strongest = np.argsort(-np.linalg.norm(w, axis=0), kind="stable")[:units]
        rows[name] = [unit / abs(unit).max() for unit in w.T[strongest]]
    title = "The ten units of the first layer with the largest weights, each as a part of its largest"
    return plots.image_rows(rows, scales=dict.fromkeys(rows, (-1.0, 1.0)), title=title)


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST: some ten minutes on two cores")
    parser.add_argument("--epochs", type=at_least_one, help="epochs of training (default: 20, or 12 with --full)")
    parser.add_argument(
        "--digits", type=at_least_one, default=60_000, help="use at most so many training and test digits"
    )
    arguments = parser.parse_args()
    epochs = arguments.epochs or (12 if arguments.full else 20)
    train_set, test = (data.take(arguments.digits) for data in (load_mnist() if arguments.full else load_digits()))
    nets = {name: trained(name, train_set, epochs, arguments.seed) for name in NETWORKS}
    text = "\n".join([provenance(arguments.seed), f"{len(train_set):,} + {len(test):,} digits, {epochs} epochs\n",
                      resistance(nets, test, arguments.seed), transfer(nets, test)])  # fmt: skip
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "goodfellow.txt", text)
    write_figure(weights({name: nets[name] for name in ("plain", "FGSM")}), folder / "goodfellow_weights.png")


if __name__ == "__main__":
    main()
