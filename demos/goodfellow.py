"""Goodfellow, Shlens and Szegedy (2014), §6: adversarial training by the fast gradient sign method.

    python demos/goodfellow.py           bundled digits, under two minutes on two cores
    python demos/goodfellow.py --full    whole MNIST, some ten minutes

One network, trained in four ways: as usual; on α·J(x) + (1-α)·J(x + ε·sign(∇ₓJ)), α = .5, ε = .25, with the adversarial
images made anew for every batch; and, as controls, with noise in their place: every pixel moved by ±ε at random, or
by an amount from U(-ε, ε).  The two kinds of noise are adversaries of one's own: see `Noise`.

The paper trains maxout networks for some 250 epochs; here it is 784-625-625-10 with ReLU, a little dropout, Adam, and
20 epochs (12 with --full).  Its gain on clean images (.94 to .84 % error) is too small to be told from chance by one
short run; its resistance comes out.  But see what it is: images made on the plain network, or by PGD in many small
steps, mislead the trained one more than those made by FGSM on itself.  It has learnt to hide its gradient as much as
to resist, and demos/madry.py goes on from there.  The recipe was chosen on held-out training digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from common import HERE, at_least_one, command_line, out_folder, provenance, table, train, write_figure, write_text

from attacks import fgsm, pgd, plots
from attacks.adversaries import FGSMAdversary
from minidl import models
from minidl.backend import kernels, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.train import Adversary, Moment, evaluate

EPSILON = 0.25


@dataclass(frozen=True)
class Noise:
    """Images no attacker has chosen: every pixel moved by ±ε, or by an amount from U(-ε, ε), within [0, 1]."""

    signs: bool
    alpha: float = 0.5

    def __call__(self, net: Sequential, x: Array, y: Array, moment: Moment) -> Array:
        draw = kernels(x)
        d = draw.random_signs(moment.key, x) if self.signs else 2 * draw.random_uniform(moment.key, x) - 1
        return namespace(x).clip(x + EPSILON * d, 0, 1)


#: Who each network learns from, and the paper's error on FGSM images made against the network itself.
NETWORKS: dict[str, tuple[Adversary | None, str]] = {
    "plain": (None, ".894"),
    "FGSM": (FGSMAdversary(EPSILON, alpha=0.5), ".179"),
    "±ε noise": (Noise(signs=True), ".862"),
    "U(-ε, ε) noise": (Noise(signs=False), ".904"),
}


def trained(name: str, data: Dataset, epochs: int, seed: int) -> Sequential:
    """The network, trained against that adversary.  Large runs keep a checkpoint."""
    net, (adversary, _) = models.mlp(dropout=(0.0, 0.2), seed=seed), NETWORKS[name]
    file = f"goodfellow, {name}, {len(data)} digits, {epochs} epochs, seed {seed}.npz"
    checkpoint = HERE / "out" / "checkpoints" / file if len(data) > 10_000 else None
    history = train(net, data, epochs=epochs, optimizer=Adam(1e-3), adversary=adversary, seed=seed,
                    checkpoint=checkpoint)  # fmt: skip
    print(f"{name}: {sum(history.seconds):.0f} s", flush=True)
    return net


def resistance(nets: dict[str, Sequential], test: Dataset, seed: int) -> str:
    """Each network on clean images, and on those made against itself."""
    rows = []
    for name, net in nets.items():
        clean, own = evaluate(net, test), fgsm(net, test.x, test.y, epsilon=EPSILON)
        fooled = evaluate(net, test.replace(x=own.x_adv))
        strong = pgd(net, test.x, test.y, epsilon=EPSILON, seed=seed, progress=True)
        rows.append([name, clean.error, fooled.error, NETWORKS[name][1], fooled.confidence_on_errors,
                     float(strong.success.mean())])  # fmt: skip
    heads = ["trained on", "clean error", "own FGSM .25", "paper,\nMNIST", "confidence on\nthose errors",
             "own PGD-40 .25"]  # fmt: skip
    return table("Error on images made against the network itself", heads, rows)


def transfer(nets: dict[str, Sequential], test: Dataset) -> str:
    """The error of one network (row) on FGSM images made against another (column)."""
    made = {name: fgsm(net, test.x, test.y, epsilon=EPSILON).x_adv for name, net in nets.items()}
    rows = [[name, *(evaluate(net, test.replace(x=x)).error for x in made.values())] for name, net in nets.items()]
    paper = "paper, MNIST: made on plain, shown to FGSM .196; the other way .409"
    title = f"Error on images made against another\n({paper})"
    return table(title, ["shown to", *(f"made on {name}" for name in made)], rows)


def weights(nets: dict[str, Sequential], units: int = 10) -> Any:
    """The paper's Figure 3: what units of the first layer look for."""
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
    parser.add_argument("--epochs", type=at_least_one, help="default: 20, or 12 with --full")
    parser.add_argument("--digits", type=at_least_one, default=60_000, help="at most so many of either set")
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
