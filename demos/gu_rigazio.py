"""Gu and Rigazio 2014, "Towards deep neural network architectures robust to adversarial examples", on digits.

    python demos/gu_rigazio.py             bundled digits, about two minutes on two cores
    python demos/gu_rigazio.py --full      whole MNIST, three seeds, some twenty minutes
    python demos/gu_rigazio.py --choose    how the strength of each defence was chosen

A network of 784-100-100-10 is defended in four ways, and each is attacked twice: *as claimed*, by digits made against
the plain network, and *knowing it*, by digits made against the network and its defence as a whole.

    restoring autoencoder    a denoising autoencoder whose noise is adversarial, as we understand the paper's: it is
                             trained to turn adversarial digits of the plain network into those they were made of,
                             and put in front of it
    denoising autoencoder    the same, but the noise is normal
    contractive network      trained with the paper's penalty Σ_j λ‖∂h_j/∂h_{j-1}‖_F²
    Jacobian penalty         trained with ½λ‖J‖_F² of the logits (Hoffman, Roberts and Yaida 2019)

Result (--full).  The paper's three claims hold.  An autoencoder undoes nearly all adversarial digits that were made
against the network alone.  Attacked as a whole, the network behind the restoring autoencoder needs even smaller
perturbations than the network alone.  The contractive network needs larger ones, at the price of some accuracy.

But undoing proves little: the contractive networks "undo" as many, without having seen one.  A digit that has just
crossed the boundary of one network is classified correctly by most others.  And the second claim is one of how the
autoencoder was trained.  The denoising autoencoder undoes no more, but attacked together with it, the network needs
perturbations two and a half times as large: the largest here.  ‖J‖_F, the root of the mean of ‖J‖_F² of the logits at
the digits, shows the difference: the restoring autoencoder hardly lowers it, all other defences do.

Differences from the paper.  Attacks are untargeted, so that each digit goes to the nearest class; distortions are
smaller than the paper's, and only their ratios can be compared.  The restoring autoencoder has learnt from the digits
of DeepFool, which is faster than L-BFGS and finds perturbations of nearly the same length.  Networks are trained by
Adam for 10 epochs (20 on the bundled digits).  Each strength is the largest that adds at most half a per cent to the
error on held-out training digits.  --full can be interrupted and called again: networks that are trained are saved in
demos/out/checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    correctly_classified,
    ending_with_a_sentence,
    finished,
    mean_and_deviation,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import AttackResult, cw_l2, deepfool, lbfgs, pgd, plots, stacked
from attacks.report.evaluation_plots import success_by_distance
from attacks.report.intervals import wilson
from minidl import losses, models
from minidl.backend import asarray, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.layers import He
from minidl.models import Sequential
from minidl.objectives import Contractive, JacobianPenalty, Reconstruction, jacobian_penalty
from minidl.optim import Adam
from minidl.train import TrainingStep, evaluate

EPSILON = 0.1  # of PGD, in L∞
PLAIN, RESTORING = "plain network", "restoring autoencoder"
#: The objective of each defence that has a strength, and the strengths that `--choose` compares.
DEFENCES: dict[str, tuple[Any, tuple[float, ...]]] = {
    "denoising autoencoder": (Reconstruction, (0.1, 0.2, 0.3, 0.5)),
    "contractive network": (Contractive, (0.001, 0.002, 0.003, 0.005, 0.01)),
    "Jacobian penalty": (JacobianPenalty, (0.001, 0.003, 0.005, 0.01, 0.03, 0.05, 0.1)),
}
#: Chosen by `--choose`, for the bundled digits and for whole MNIST.
CHOSEN = {
    "denoising autoencoder": (0.5, 0.5),
    "contractive network": (0.005, 0.001),
    "Jacobian penalty": (0.05, 0.005),
}
PRICE = 0.005  # what a defence may add to the error on held-out digits: the paper's 2.3 % - 1.77 %, rounded


@dataclass(frozen=True)
class Restoring:
    """An objective: the mean squared error per pixel between f(x') and the image that x' was made of.

    images: the images x.  The labels of the data set that is trained on are places in it.
    """

    images: Array

    def __call__(self, net: Sequential, params: dict[str, Array], x: Array, y: Array, moment: TrainingStep) -> Array:
        return losses.squared_error(net.apply(params, x), self.images[y])


class Networks:
    """The networks of one seed, trained on a data set."""

    def __init__(self, data: Dataset, epochs: int, seed: int, checkpoints: bool) -> None:
        self.data, self.seed, self.options = data, seed, {"epochs": epochs, "optimizer": Adam(1e-3), "seed": seed}
        self.checkpoints = HERE / "out" / "checkpoints" if checkpoints else None
        self.plain = self.trained("plain", models.mlp, None, data)

    def trained(self, name: str, model: Any, objective: Any, data: Dataset) -> Sequential:
        """A network N100-100-10, or an autoencoder 784-256-128-256-784.  Large runs keep a checkpoint."""
        if model is models.mlp:
            net = models.mlp(hidden=(100, 100), bias=True, dropout=(0, 0), init_weights=He(), seed=self.seed)
        else:
            net = models.autoencoder(hidden=(256, 128), seed=self.seed)
        file = f"gu_rigazio, {name}, {len(data)} digits, {self.options['epochs']} epochs, seed {self.seed}.npz"
        checkpoint = self.checkpoints / file if self.checkpoints else None
        train(net, data, objective=objective, checkpoint=checkpoint, **self.options)
        return net

    def defended(self, name: str, strength: float) -> Any:
        """The network with that defence."""
        objective = DEFENCES[name][0](strength)
        if objective != Reconstruction(strength):
            return self.trained(f"{name} {strength:g}", models.mlp, objective, self.data)
        return stacked(self.trained(f"{name} {strength:g}", models.autoencoder, objective, self.data), self.plain)

    def restored(self) -> Any:
        """Behind an autoencoder that has learnt from the nearest adversarial digit of each training digit."""
        result = deepfool(self.plain, self.data.x, self.data.y, progress=True)
        pairs = Dataset(result.x_adv, namespace(self.data.y).arange(len(self.data)))
        return stacked(self.trained("restoring", models.autoencoder, Restoring(self.data.x), pairs), self.plain)


# --- the choice of strengths ------------------------------------------------------------------------------


def choose(arguments: Any, data: Dataset) -> str:
    """For each strength the error, and the nearest adversarial digits, on held-out training digits.

    Chosen is the largest whose error is at most that of the plain network plus `PRICE`.
    """
    rest, held_out = data.split(0.9)
    networks = Networks(rest, arguments.epochs, arguments.seed, checkpoints=False)
    some, bound = held_out.take(200), evaluate(networks.plain, held_out).error + PRICE
    rows: list[list[Any]] = [[PLAIN, "-", *measured(networks.plain, held_out, some), ""]]
    for name, (_, strengths) in DEFENCES.items():
        those = {strength: networks.defended(name, strength) for strength in strengths}
        fine = [strength for strength, net in those.items() if evaluate(net, held_out).error <= bound]
        for strength, net in those.items():
            mark = "chosen" if fine and strength == max(fine) else ""
            rows.append([name, f"{strength:g}", *measured(net, held_out, some), mark])
    heads = ["network", "σ or λ", "error, %", "L2 distance of\nadversarial digits", ""]
    return table(f"Trained on {len(rest)} digits, measured on the other {len(held_out)}", heads, rows)


def measured(net: Any, held_out: Dataset, some: Dataset) -> list[str]:
    """The error in %, and the median L2 distance of DeepFool's digits."""
    return [
        f"{100 * evaluate(net, held_out).error:.2f}",
        f"{np.median(to_numpy(deepfool(net, some.x, some.y).l2)):.3f}",
    ]


# --- the experiment ---------------------------------------------------------------------------------------


@dataclass
class Measures:
    """What one seed measures of each network, by its name."""

    nets: dict[str, Any]
    x: Array
    y: Array
    errors: dict[str, float]
    sensitivity: dict[str, float]  # √ mean ‖J‖_F² of the logits
    nearest: dict[str, AttackResult]  # of L-BFGS, knowing it
    closest: dict[str, AttackResult]  # of C&W, knowing it
    bounded: dict[str, AttackResult]  # of PGD, knowing it

    def undone(self, made: AttackResult, name: str) -> tuple[int, int]:
        """How many successful adversarial digits of the plain network this one classifies correctly; of how many."""
        right = to_numpy(self.nets[name](made.x_adv).argmax(axis=-1) == self.y)[to_numpy(made.success)]
        return int(right.sum()), len(right)

    def withstood(self, name: str) -> tuple[int, int]:
        """How many digits it classifies correctly after PGD, knowing it; of how many."""
        return int((~self.bounded[name].success).sum()), len(self.x)


def experiment(arguments: Any, data: Dataset, test: Dataset, seed: int) -> Measures:
    """Train all networks, and attack each on the first digits that the plain one classifies correctly."""
    networks = Networks(data, arguments.epochs, seed, checkpoints=arguments.full)
    nets = {PLAIN: networks.plain, RESTORING: networks.restored()}
    nets |= {name: networks.defended(name, both[arguments.full]) for name, both in CHOSEN.items()}
    few = correctly_classified(test.take(2 * arguments.digits), networks.plain).take(arguments.digits)
    x, y = few.x, few.y

    def attacked(attack: Any, **options: Any) -> dict[str, AttackResult]:
        saved = "call again to continue" if arguments.full else "nothing was saved"
        return {name: finished(attack(net, x, y, seed=seed, progress=True, **options), saved)
                for name, net in nets.items()}  # fmt: skip

    return Measures(nets, x, y,
                    errors={name: evaluate(net, test).error for name, net in nets.items()},
                    sensitivity={name: float(jacobian_penalty(net, x, 2.0)) ** 0.5 for name, net in nets.items()},
                    nearest=attacked(lbfgs), closest=attacked(cw_l2, steps=arguments.steps),
                    bounded=attacked(pgd, epsilon=EPSILON))  # fmt: skip


def mean_distance(result: AttackResult, measure: str) -> float:
    """The mean distance of the successful adversarial digits, of digits that are classified correctly as they are."""
    counted = to_numpy(result.success & (result.clean_pred == result.goal.labels))
    return float(to_numpy(getattr(result, measure))[counted].mean()) if counted.any() else float("nan")


def both_sides(seeds: list[Measures]) -> str:
    """The table: as claimed, and attacked knowing it."""
    rows, widest = [], 0.0
    for name in seeds[0].nets:
        counts = [
            [m.undone(m.nearest[PLAIN], name), m.undone(m.bounded[PLAIN], name), m.withstood(name)] for m in seeds
        ]
        right, of = np.moveaxis(np.array(counts), -1, 0)  # (seeds, three)
        widest = max(widest, np.ptp(wilson(right, of), axis=-1).max() / 2)
        distances = [[mean_distance(m.nearest[name], "rms") for m in seeds],
                     [mean_distance(m.closest[name], "l2") for m in seeds]]  # fmt: skip
        rows.append([name, *(mean_and_deviation(each, "{:.1f}") for each in (100 * right / of).T),
                     *(mean_and_deviation(each, "{:.3f}") for each in distances)])  # fmt: skip
    title = (f"As claimed: digits made against the {PLAIN}.  Knowing it: made against each network as a whole.\n"
             f"(95 % intervals of a rate of one seed: at most ± {100 * widest:.1f})")  # fmt: skip
    heads = ["", "as claimed,\nundone, %:\nL-BFGS", f"\n\nPGD {EPSILON:g}", f"knowing it,\nright, %:\nPGD {EPSILON:g}",
             "\ndistortion:\nL-BFGS", "\nL2:\nC&W"]  # fmt: skip
    return table(title, heads, rows)


#: The paper's error in % and distortion.
PAPER = {PLAIN: ("1.77", ".084"), RESTORING: ("", "lower"), "contractive network": ("2.3", ".107")}


def beside_the_paper(seeds: list[Measures]) -> str:
    """The paper's errors and distortions, ours, and how sensitive the logits are."""
    rows = []
    for name in seeds[0].nets:
        distortions = [mean_distance(m.nearest[name], "rms") for m in seeds]
        times = [d / mean_distance(m.nearest[PLAIN], "rms") for d, m in zip(distortions, seeds)]
        papers = PAPER.get(name, ("", ""))
        rows.append([name, papers[0], mean_and_deviation([100 * m.errors[name] for m in seeds], "{:.2f}"), papers[1],
                     mean_and_deviation(distortions, "{:.3f}"), mean_and_deviation(times, "{:.2f}"),
                     mean_and_deviation([m.sensitivity[name] for m in seeds], "{:.1f}")])  # fmt: skip
    heads = ["", "error, %:\npaper", "\nours", "distortion:\npaper", "\nours", "times that\nof plain", "\n‖J‖_F"]
    return table("Beside the paper (its contractive network's distortion is 1.27 times that of the plain one)", heads,
                 rows)  # fmt: skip


def figure_of_digits(m: Measures) -> Any:
    """The digits made against the plain network, what the autoencoders make of them, and those made knowing it."""
    few = asarray(np.unique(to_numpy(m.y), return_index=True)[1])  # the first digit of each class
    made = m.nearest[PLAIN].x_adv[few]
    images: dict[str, Any] = {"digit": m.x[few], f"made against the\n{PLAIN}": made}
    classes: dict[str, Any] = {"digit": m.y[few], f"made against the\n{PLAIN}": m.nets[PLAIN](made).argmax(axis=-1)}
    for name, net in m.nets.items():
        if hasattr(net, "parts"):
            images[f"the same behind the\n{name}"] = net.parts[0](made)
            classes[f"the same behind the\n{name}"] = net(made).argmax(axis=-1)
    for name in list(m.nets)[1:]:
        images[f"made knowing it:\n{name}"] = m.nearest[name].x_adv[few]
        classes[f"made knowing it:\n{name}"] = m.nearest[name].adv_pred[few]
    labels = to_numpy(m.y[few])
    captions = {name: [str(int(k)) for k in to_numpy(each)] for name, each in classes.items()}
    wrong = {name: list(to_numpy(each) != labels) for name, each in classes.items()}
    title = (
        "An autoencoder undoes the digits of row 2 (rows 3 and 4), and has others of its own\n(below each digit its "
    )
    return plots.image_rows({name: [*each] for name, each in images.items()}, captions,
                            title=title + "predicted class; framed: misclassified)", wrong=wrong)  # fmt: skip


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, three seeds")
    parser.add_argument("--choose", action="store_true", help="compare strengths on held-out digits, and stop")
    parser.add_argument("--seeds", type=at_least_one, help="how many (default: 1; 3 with --full)")
    parser.add_argument("--digits", type=at_least_one, help="test digits to attack (default: 60; 200 with --full)")
    parser.add_argument("--epochs", type=at_least_one, help="of training (default: 20; 10 with --full)")
    parser.add_argument("--steps", type=at_least_one, default=1000, help="of C&W for each c, at most (default: 1000)")
    parser.add_argument("--learn-from", type=at_least_one, help="train on so many digits (default: all)")
    arguments = parser.parse_args()
    for name, value in zip(("seeds", "digits", "epochs"), (3, 200, 10) if arguments.full else (1, 60, 20)):
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    data, test = load_mnist() if arguments.full else load_digits()
    data = data.take(arguments.learn_from or len(data))
    if arguments.choose:
        print(choose(arguments, data))
        return
    run(arguments, data, test)


def run(arguments: Any, data: Dataset, test: Dataset) -> None:
    """Run the experiment for each seed, print and draw."""
    first, count = arguments.seed, arguments.seeds
    with ending_with_a_sentence(saved=arguments.full):
        seeds = [experiment(arguments, data, test, seed) for seed in range(first, first + count)]
    opening = (f"{'Whole MNIST' if arguments.full else 'The bundled digits'}: trained on {len(data)}, errors on "
               f"{len(test)} test digits; {len(seeds[0].x)} of them attacked,\n"
               f"which the plain network classifies correctly as they are.\n")  # fmt: skip
    text = "\n".join([provenance(first, count), opening, both_sides(seeds), beside_the_paper(seeds)])
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "gu_rigazio.txt", text)
    write_figure(figure_of_digits(seeds[0]), folder / "gu_rigazio_digits.png")
    title = "C&W, knowing it: the further right, the larger the perturbation that is needed"
    write_figure(success_by_distance(seeds[0].closest, title=title), folder / "gu_rigazio_distance.png")


if __name__ == "__main__":
    main()
