"""Madry et al. (2018), Table 1 and Figures 1 and 6: adversarial training by projected gradient descent (PGD).

    python demos/madry.py                  bundled digits and a small network: two minutes on two cores
    python demos/madry.py --long           the same for 50 epochs, with more digits for the slow attacks
    python demos/madry.py --data mnist     whole MNIST and the small network: about three minutes of training
    python demos/madry.py --full           whole MNIST and the paper's network: nearly an hour

Two networks of the same shape are trained: one as usual, the other by min_θ E[max_{‖δ‖∞≤.3} J(θ, x + δ, y)].  PGD
approximates the maximum for every batch, and the network is trained on the resulting images only.  Then both networks
are attacked by FGSM, PGD, APGD, Square and Carlini and Wagner's attack.  Within ε = .3 the second
network keeps most of its accuracy under all of them; the first loses all of it under the iterated attacks.

Differences from the paper.  The paper takes 100,000 steps of Adam(1e-4) with batches of 50, and 40 steps of PGD of
size .01 for each batch.  Here both kinds of steps are fewer and larger.  And ε increases to .3 over the first epochs:
without that, training often ends in a network that predicts all classes with equal probability.  The recipe of --long
was chosen on held-out training digits; the other recipes were not tuned.

--full can be interrupted and called again: after each epoch the network is saved in demos/out/checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill
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

import minidl
from attacks import Untargeted, Victim, apgd, cw_l2, fgsm, pgd, plots
from attacks.adversaries import PGDAdversary
from attacks.common.norms import NORMS
from attacks.report import evaluate
from minidl import losses
from minidl.backend import asarray, kernels, namespace, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.layers import Conv2d, Dense, Flatten, ReLU
from minidl.models import Sequential, madry
from minidl.optim import Adam
from minidl.train import evaluate as measure

EPSILON = 0.3
SAVED = "networks trained with --full are saved"
FEWER = {"digits": 100, "long": 1000, "mnist": 1000, "full": 1000}  # digits for the slow attacks


def small(seed: int) -> Sequential:
    """The MNIST network of Wong, Rice and Kolter (2020): strides instead of pooling, and 100 hidden units."""
    return Sequential(Conv2d(16, 4, stride=2, padding=1), ReLU(), Conv2d(32, 4, stride=2, padding=1), ReLU(), Flatten(),
                      Dense(100), ReLU(), Dense(10), input_shape=(1, 28, 28), seed=seed)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained.

    network: returns an untrained network for a seed.
    phases: (learning rate, epochs) of each phase of training.
    steps: of PGD for each batch; 0 for training on clean images.
    warm_up: the epochs of the first phase over which ε increases to its full size.
    """

    network: Callable[[int], Sequential]
    phases: tuple[tuple[float, int], ...]
    steps: int = 0
    warm_up: float = 0.0

    def adversary(self, phase: int) -> PGDAdversary | None:
        """The adversary of a phase, if there is one; ε warms up in the first phase."""
        return PGDAdversary(EPSILON, steps=self.steps, warm_up=0 if phase else self.warm_up) if self.steps else None

    def description(self) -> str:
        """The recipe in words."""
        phases = ", then ".join(f"{epochs} epochs of Adam({lr:g})" for lr, epochs in self.phases)
        attack = f", PGD of {self.steps} steps, ε warmed up over {self.warm_up:g} epochs" if self.steps else ""
        return phases + attack


RECIPES = {
    "digits": {
        "natural": Recipe(small, ((3e-3, 8), (5e-4, 2))),
        "trained": Recipe(small, ((3e-3, 12), (5e-4, 3)), 5, 6.0),
    },
    "long": {
        "natural": Recipe(small, ((3e-3, 10),)),
        "trained": Recipe(small, ((3e-3, 30), (1e-3, 10), (2e-4, 10)), 5, 15.0),
    },
    "mnist": {
        "natural": Recipe(small, ((3e-3, 5),)),
        "trained": Recipe(small, ((3e-3, 6), (1e-3, 3), (2e-4, 3)), 5, 3.0),
    },
    "full": {"natural": Recipe(madry, ((1e-3, 5),)), "trained": Recipe(madry, ((1e-3, 6), (1e-4, 2)), 5, 1.5)},
}


def network(name: str, recipe: Recipe, data: Dataset, seed: int, checkpoints: Path | None) -> tuple[Sequential, float]:
    """Train a network by its recipe; the network, and the seconds of training.  checkpoints: a folder, if any."""
    net, seconds = recipe.network(seed=seed), 0.0
    for phase, (lr, epochs) in enumerate(recipe.phases):
        file = f"madry, {name}, {len(data)} digits, seed {seed}, phase {phase}, {epochs} epochs.npz"
        history = train(net, data, epochs=epochs, optimizer=Adam(lr), adversary=recipe.adversary(phase),
                        seed=seed + 1000 * phase, checkpoint=checkpoints and checkpoints / file)  # fmt: skip
        seconds += sum(history.seconds)
        print(f"{name}, phase {phase}: {seconds:.0f} s, accuracy while training {history.accuracy[-1]:.4f}", flush=True)
    return net, seconds


def table_of_attacks(nets: dict[str, Sequential], test: Dataset, count: int, seed: int) -> str:
    """The paper's Table 1 and later attacks: the accuracy of both networks; slow attacks on `count` digits only."""
    first = test.take(count)
    rows: list[list[Any]] = []
    common = {"epsilon": EPSILON, "seed": seed, "progress": True}
    for name, attack, options, data, paper in (
        ("FGSM", fgsm, {}, test, (".064", ".956")),
        ("PGD, 40 steps of .01", pgd, {"step": 0.01}, test, ("-", ".932")),
        ("PGD, 40 steps of 2.5·ε/40", pgd, {}, test, ("-", "-")),
        ("PGD, 100 steps of .01", pgd, {"steps": 100, "step": 0.01}, first, ("-", ".918")),
        ("PGD, 40 steps of .01, 20 restarts", pgd, {"step": 0.01, "restarts": 20}, first, ("-", ".904")),
        ("PGD, 40 steps of .01, on the margin", pgd, {"step": 0.01, "objective": "margin"}, first, ("-", ".940")),
        ("APGD, 100 steps on cross-entropy", apgd, {"objective": "cross_entropy", "queries": 0}, first, ("-", "-")),
        ("APGD, and on ratios of the logits", apgd, {"queries": 0}, first, ("-", "-")),
        ("APGD, and Square of 5,000 queries", apgd, {}, first, ("-", "-")),
    ):
        results = [finished(attack(net, data.x, data.y, **common, **options), SAVED) for net in nets.values()]
        rows.append([name, len(data), *(1 - float(result.success.mean()) for result in results), *paper])
        print(f"{name}: " + ", ".join(f"{result.seconds:.0f} s" for result in results), flush=True)
    clean = [measure(net, test).accuracy for net in nets.values()]
    rows.insert(0, ["the digits as they are", len(test), *clean, ".992", ".988"])
    return table("Accuracy at ε .3", ["attack", "digits", *nets, "paper, MNIST:\nnatural", "\ntrained"], rows)


def table_of_distances(nets: dict[str, Sequential], data: Dataset, seed: int) -> str:
    """A table of the mean perturbations that Carlini and Wagner's L2 attack needs, on correctly classified digits."""
    rows = []
    for name, net in nets.items():
        result = finished(cw_l2(net, data.x, data.y, seed=seed, progress=True), SAVED)
        reached = to_numpy(result.success & (result.clean_pred == data.y))
        distances = [to_numpy(getattr(result, norm))[reached] for norm in ("l2", "linf")]
        rows.append([name, f"{reached.sum()} of {len(data)}", *(float(values.mean()) for values in distances)])
    return table("C&W L2: the mean distance to an error", ["network", "reached", "L2", "L∞ of the same"], rows)


# --- figures ----------------------------------------------------------------------------------------------


def losses_along_runs(net: Sequential, image: Any, label: Any, runs: int, steps: int, seed: int) -> np.ndarray:
    """The loss along several runs of PGD from random starts around one image: (steps + 1, runs)."""
    victim, linf = Victim(net), NORMS["linf"]
    origin, y = (namespace(a).concatenate([a] * runs) for a in (image[None], label))
    x = namespace(origin).clip(origin + linf.random(seed, origin, EPSILON), 0, 1)
    loss = []
    for _ in range(steps + 1):
        logits, gradient = victim.logits_and_gradient(x, Untargeted(y))
        loss.append(to_numpy(losses.cross_entropy(logits, y, "none")))
        x = linf.move(x, gradient, 0.01, victim.bounds, origin, EPSILON)
    return np.stack(loss)


def hardest(net: Sequential, data: Dataset, count: int, seed: int) -> Dataset:
    """The `count` digits with the largest losses after PGD."""
    result = pgd(net, data.x, data.y, epsilon=EPSILON, step=0.01, early_stop=False, seed=seed, progress=True)
    loss = to_numpy(losses.cross_entropy(net(result.x_adv), data.y, "none"))
    return data.take(np.argsort(-loss, kind="stable")[:count])


def figure_1(nets: dict[str, Sequential], data: Dataset, seed: int, runs: int = 20, steps: int = 100) -> Any:
    """The paper's Figure 1: the loss along runs of PGD, for some digits (columns) and both networks (rows)."""
    figure = plots.new_figure(9.0, 4.6, "The loss along twenty walks of PGD from random starts around the same digit")
    for axes_of_row, (name, net) in zip(figure.subplots(len(nets), len(data), sharex=True, sharey=True), nets.items()):
        for axes, image, label in zip(axes_of_row, data.x, data.y[:, None]):
            curves = losses_along_runs(net, image, label, runs, steps, seed)
            axes.plot(curves, color=plots.COLOURS[0], linewidth=0.7, alpha=0.7)
            axes.set_title(f"{name}, a {int(label[0])}", fontsize=9)
            axes.grid(alpha=0.3)
        axes_of_row[0].set_ylabel("cross-entropy")
    figure.supxlabel("steps of .01", fontsize=9)
    return figure


def plane(net: Sequential, image: Any, label: Any, seed: int, points: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """The loss at x + a·sign(∇ₓJ) + b·r, for a and b from -ε to ε and signs r drawn at random: (points, points)."""
    x, y = image[None], label
    signs, r = namespace(x).sign(Victim(net).gradient(x, Untargeted(y))), kernels(x).random_signs(seed, x)
    side = np.linspace(-EPSILON, EPSILON, points)
    rows = [asarray(side[:, None, None, None], dtype=x.dtype) * r + x + float(a) * signs for a in side]
    grid = namespace(x).concatenate(rows)
    loss = losses.cross_entropy(net(grid), namespace(y).concatenate([y] * len(grid)), "none")
    return side, to_numpy(loss).reshape(points, points)


def surfaces(nets: dict[str, Sequential], image: Any, label: Any, seed: int) -> Any:
    """A figure of both networks' losses around one digit, in the plane of sign(∇ₓJ) and of random signs."""
    figure = plots.new_figure(9.5, 4.6, f"The cross-entropy around a {int(label[0])}")
    planes = {name: plane(net, image, label, seed) for name, net in nets.items()}
    labels = ("along sign(∇ₓJ)", "along random signs", "cross-entropy")
    highest = max(float(loss.max()) for _, loss in planes.values())
    for place, (name, (side, loss)) in zip(figure.add_gridspec(1, len(nets)), planes.items()):
        axes = plots.surface_axes(figure, place, side, side, loss, labels, -125, (0.0, highest))
        axes.set_box_aspect(None, zoom=0.85)  # leaves room for the label of the z axis
        axes.set_title(f"{name}: {loss.min():.2g} to {loss.max():.2g}", fontsize=9)
    return figure


def figure_6(nets: dict[str, Sequential], data: Dataset, seed: int) -> Any:
    """The paper's Figure 6: accuracy under PGD for several ε, also larger than in training."""
    epsilons, options = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.325, 0.35, 0.4], {"seed": seed, "progress": True}
    lines = {name: list(evaluate.robustness_curve(net, data.x, data.y, pgd, epsilons, k=1, **options).top(1))
             for name, net in nets.items()}  # fmt: skip
    title = f"Accuracy on {len(data)} digits under PGD, 40 steps"
    return plots.curves(epsilons, lines, title=title, x_label="ε", y_label="accuracy")


def attacked_digits(nets: dict[str, Sequential], data: Dataset, seed: int) -> Any:
    """A figure of some digits after PGD on the margin against each network, with the predictions."""
    rows, captions, wrong = {"digits": list(to_numpy(data.x))}, {}, {}
    for name, net in nets.items():
        result = pgd(net, data.x, data.y, epsilon=EPSILON, step=0.01, objective="margin", seed=seed,
                     progress=True)  # fmt: skip
        key = f"PGD on the\n{name} one"
        rows[key], wrong[key] = list(to_numpy(result.x_adv)), list(to_numpy(result.success))
        captions[key] = [str(prediction) for prediction in to_numpy(result.adv_pred)]
    return plots.image_rows(rows, captions, wrong=wrong, title="ε .3, what the networks say of it, mistakes framed")


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST and the paper's network: an hour")
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits", help="data set for the small network")
    parser.add_argument("--long", action="store_true", help="bundled digits, 50 epochs, 1,000 digits for every attack")
    parser.add_argument(
        "--epochs", type=at_least_one, help="epochs in each phase of training (default: those of the recipe)"
    )
    parser.add_argument(
        "--digits", type=at_least_one, default=60_000, help="use at most so many training and test digits"
    )
    arguments = parser.parse_args()
    if arguments.long + arguments.full + (arguments.data == "mnist") > 1:
        parser.error("--long, --full and --data mnist are three different runs: give one of them")
    run = "full" if arguments.full else "long" if arguments.long else arguments.data
    both = load_digits() if run in ("digits", "long") else load_mnist()
    train_set, test = (data.take(arguments.digits) for data in both)
    checkpoints, folder = HERE / "out" / "checkpoints" if arguments.full else None, out_folder(arguments)
    stem = {"digits": "madry", "long": "madry"}.get(run, f"madry_{run}")  # runs on different data have different files
    nets, lines = {}, []
    for name, recipe in RECIPES[run].items():
        if arguments.epochs:
            recipe = replace(recipe, phases=tuple((lr, arguments.epochs) for lr, _ in recipe.phases))
        nets[name], seconds = network(name, recipe, train_set, arguments.seed, checkpoints)
        lines.append(fill(f"{name}: {recipe.description()}; {seconds:.0f} s", 100, subsequent_indent="    "))
        minidl.save(nets[name], folder / f"{stem}_{name}.npz")
    count, which = FEWER[run], "the paper's" if arguments.full else "a small"
    data = f"{len(train_set):,} + {len(test):,} digits, {which} network"
    text = "\n".join([provenance(arguments.seed), data, *lines, "",
                      table_of_attacks(nets, test, count, arguments.seed),
                      table_of_distances(nets, test.take(max(count // 10, 1)), arguments.seed)])  # fmt: skip
    print(text)
    write_text(folder / f"{stem}.txt", text)
    labels = to_numpy(test.y)
    each = test.take(np.array([np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)]))
    three = hardest(nets["trained"], test.take(100), 3, arguments.seed)
    write_figure(attacked_digits(nets, each, arguments.seed), folder / f"{stem}_digits.png")
    write_figure(figure_1(nets, three, arguments.seed), folder / f"{stem}_figure1.png")
    write_figure(surfaces(nets, each.x[0], each.y[:1], arguments.seed), folder / f"{stem}_surfaces.png")
    write_figure(figure_6(nets, test.take(count), arguments.seed), folder / f"{stem}_epsilon.png")


if __name__ == "__main__":
    main()
