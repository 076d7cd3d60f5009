"""Goodfellow, Shlens and Szegedy (2014): which networks FGSM and images of nothing fool, and whether they err alike.

    python demos/goodfellow_networks.py            bundled digits, under two minutes on two cores
    python demos/goodfellow_networks.py --full     whole MNIST, about 20 minutes
    python demos/goodfellow_networks.py --cifar10  photos, and a convolutional maxout network: about ten minutes

Five kinds of networks: softmax regression; logistic regression that tells 3 from 7; maxout with a softmax, or with a
sigmoid for each class; and a shallow RBF network, whose probabilities exp(-q) need not sum to 1.  Then an ensemble of
twelve maxout networks, attacked as a whole or by the gradient of one member.

Result: as in the paper, FGSM at ε .25 fools all networks but the RBF network nearly always, and images of nothing are
accepted by all but the RBF network: 96 % by maxout with a softmax, most often as fives, and 68 % with sigmoids.  An
ensemble is fooled by the gradient of one member almost as often as by its own.  For images made against maxout, softmax
regression predicts the same class in two cases of three, the RBF network in one of six.  The RBF network's errors are
more than in the paper; demos/goodfellow_rbf.py attacks it in earnest.

Differences from the paper.  Maxout networks are trained for 20 epochs by the recipe of demos/goodfellow_maxout.py, and
those of the ensemble for 6 by Adam.  The RBF network has a diagonal β.  On CIFAR-10 the network has a quarter of the
paper's channels, pixels are from 0 to 1, and are not whitened: N(0, I) is then far from all photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from common import (
    at_least_one,
    command_line,
    ending_with_a_sentence,
    mean_and_deviation,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)
from goodfellow_maxout import BATCH, optimizer

from attacks import agreement, fgsm, plots, rubbish
from attacks.report.intervals import share
from attacks.report.rubbish import PROBABILITIES, Rubbish
from minidl import losses, models, ops
from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_cifar10, load_digits, load_mnist
from minidl.layers import Dense, Dropout, Flatten, Glorot, He, Maxout, MaxoutConv2d, MaxPool2d
from minidl.models import Sequential
from minidl.optim import SGD, Adam
from minidl.schedules import Cosine
from minidl.train import evaluate

EPSILON = 0.25


@dataclass(frozen=True)
class Trained:
    """A trained network, and how its logits become probabilities: by "softmax", "sigmoid" or "exp"."""

    net: Sequential
    probabilities: str = "softmax"

    def confidences(self, x: Array) -> np.ndarray:
        """The largest probability of each image: (N,), float64."""
        return to_numpy(PROBABILITIES[self.probabilities](self.net(x))).max(axis=1).astype(np.float64)


def each_class_by_itself(logits: Array, labels: Array) -> Array:
    """Cross-entropy for a sigmoid on each logit: (N,).  log p = -log(1 + e^-z)."""
    return losses.binary_cross_entropy(-ops.softplus(-logits), labels)


def networks(data: Dataset, epochs: int, seed: int) -> dict[str, Trained]:
    """One network of each kind, trained on all classes."""
    shape, sgd = data.x.shape[1:], optimizer(-(-len(data) // BATCH))
    made = {
        "softmax regression": (models.softmax_regression(shape, seed=seed), SGD(0.1), None),
        "maxout, softmax": (models.maxout(shape, seed=seed), sgd, None),
        "maxout, sigmoids": (models.maxout(shape, seed=seed), sgd, each_class_by_itself),
        "RBF": (models.rbf_network(shape, seed=seed), Adam(0.03), losses.binary_cross_entropy),
    }
    for net, rule, loss in made.values():
        train(net, data, epochs=epochs, optimizer=rule, loss=loss, batch_size=BATCH, seed=seed)
    tops = {"maxout, sigmoids": "sigmoid", "RBF": "exp"}
    return {name: Trained(net, tops.get(name, "softmax")) for name, (net, *_) in made.items()}


def threes_and_sevens(data: Dataset) -> Dataset:
    """The threes, as class 0, and the sevens, as class 1."""
    labels = to_numpy(data.y)
    some = data.take(np.flatnonzero((labels == 3) | (labels == 7)))
    return Dataset(some.x, asarray((to_numpy(some.y) == 7).astype(np.int64)), ("3", "7"))


def under_fgsm(nets: dict[str, Trained], test: Dataset) -> list[list[Any]]:
    """A row for each network: errors and confidences before and after FGSM, unclipped as in the paper."""
    rows = []
    for name, each in nets.items():
        x_adv = fgsm(each.net, test.x, test.y, epsilon=EPSILON, clip=False).x_adv
        clean, attacked = evaluate(each.net, test), evaluate(each.net, test.replace(x=x_adv))
        confidences = each.confidences(x_adv)
        on_errors = confidences[attacked.wrong].mean() if attacked.wrong.any() else float("nan")
        clipped = fgsm(each.net, test.x, test.y, epsilon=EPSILON)
        rows.append([name, clean.error, float(each.confidences(test.x).mean()), attacked.error,
                     float(confidences.mean()), float(on_errors),
                     FIGURES[name], float(clipped.success.mean())])  # fmt: skip
    return rows


#: The paper's error under FGSM and confidence on errors, in per cent; for RBF the confidence on clean images, too.
FIGURES = {
    "softmax regression": "99.9, 79.3",
    "3 or 7, logistic": "99",
    "maxout, softmax": "89.4, 97.6",
    "maxout, sigmoids": "-",
    "RBF": "55.4, 1.2",
}

HEADS = ["network", "clean\nerror", "confi-\ndence", "FGSM .25:\nerror", "confi-\ndence", "on\nerrors",
         "paper: error,\non errors, %", "FGSM .25,\nclipped"]  # fmt: skip


def of_nothing(nets: dict[str, Trained], n: int, seed: int) -> tuple[str, dict[str, Rubbish]]:
    """How many images from N(0, I) and from U(0, 1) each network accepts, and the images."""
    paper = {
        "softmax regression": "59.8, 70.8",
        "maxout, softmax": "98.35, 92.8",
        "maxout, sigmoids": "68, 87.9",
        "RBF": "0",
    }
    rows, kept = [], {}
    for name, each in nets.items():
        options = {"probabilities": each.probabilities, "seed": seed}
        normal, uniform = (rubbish(each.net, n, kind, **options) for kind in ("normal", "uniform"))
        kept[name] = normal
        most = int(normal.classes.argmax())
        mostly = f"{most}: {100 * normal.classes[most] / normal.accepted.sum():.0f} %" if normal.accepted.any() else "-"
        rows.append([name, share(normal.accepted.sum(), n), _or_none(normal), paper[name], mostly,
                     share(uniform.accepted.sum(), n)])  # fmt: skip
    heads = ["network", "N(0, I): accepted,\n% (95 % interval)", "confi-\ndence", "paper, %",
             "most\noften", "U(0, 1): accepted,\n% (95 % interval)"]  # fmt: skip
    return table(f"{n:,} images of nothing; accepted if some class has p > .5", heads, rows), kept


def _or_none(images: Rubbish) -> Any:
    return images.confidence if images.accepted.any() else "-"


def ensembles(data: Dataset, test: Dataset, count: int, epochs: int, units: int, seed: int) -> str:
    """Maxout networks as one, attacked as one or by the gradient of each alone."""
    members = []
    for i in range(count):
        members.append(models.maxout(data.x.shape[1:], units=(units, units), init_weights=He(), seed=seed + i))
        train(members[-1], data, epochs=epochs, optimizer=Adam(), batch_size=BATCH, seed=seed + i)
    whole = models.ensemble(*members)
    options = {"epsilon": EPSILON, "clip": False}
    on_all = evaluate(whole, test.replace(x=fgsm(whole, test.x, test.y, **options).x_adv)).error
    on_one = [evaluate(whole, test.replace(x=fgsm(net, test.x, test.y, **options).x_adv)).error for net in members]
    alone = [evaluate(net, test.replace(x=fgsm(net, test.x, test.y, **options).x_adv)).error for net in members]
    rows = [["clean", evaluate(whole, test).error, "-"], ["attack all", on_all, "91.1 %"],
            ["attack one", mean_and_deviation(on_one), "87.9 %"],
            ["each member, attacked alone", mean_and_deviation(alone), "-"]]  # fmt: skip
    title = (
        f"An ensemble of {count} maxout networks of {units} units, {epochs} epochs of Adam, seeds from {seed}; FGSM .25"
    )
    return table(title, ["", "error", "paper, twelve networks"], rows)


def agreements(nets: dict[str, Trained], test: Dataset) -> str:
    """Whether other networks predict the same wrong class for the images that fool one."""
    others = {name: nets[name].net for name in ("softmax regression", "RBF")}
    texts = []
    for source, paper in (("maxout, softmax", "softmax 54.6 and 84.6 %, RBF 16.0 and 54.3 %"),
                          ("softmax regression", "RBF, of both wrong, 53.6 %")):  # fmt: skip
        result = fgsm(nets[source].net, test.x, test.y, epsilon=EPSILON, clip=False)
        table_of_it = str(agreement(result, test.y, {k: v for k, v in others.items() if k != source}))
        texts.append(f"Made on {source} (paper: {paper})\n{table_of_it}")
    return "\n".join(texts)


def rubbish_figure(kept: dict[str, Rubbish], columns: int = 10) -> Any:
    """Images from N(0, I), the same for all networks, with the prediction of each; accepted ones framed."""
    rows = {name: list(to_numpy(each.images[:columns]).clip(0, 1)) for name, each in kept.items()}
    captions = {name: [f"{k}: {100 * p:.0f} %" for k, p in zip(each.predictions[:columns], each.confidences)]
                for name, each in kept.items()}  # fmt: skip
    framed = {name: list(each.accepted[:columns]) for name, each in kept.items()}
    title = "Images of nothing, drawn from N(0, I): prediction and confidence, framed where accepted (p > .5)"
    return plots.image_rows(rows, captions, wrong=framed, title=title)


def digits(arguments: Any) -> str:
    """All parts but the photos."""
    full = arguments.full
    train_set, test = (data.take(arguments.digits) for data in (load_mnist() if full else load_digits()))
    epochs, seed = arguments.epochs or (20 if full else 15), arguments.seed
    nets = networks(train_set, epochs, seed)
    rows = under_fgsm(nets, test)
    logistic = models.softmax_regression(train_set.x.shape[1:], 2, seed=seed)
    train(logistic, threes_and_sevens(train_set), epochs=epochs, optimizer=SGD(0.1), batch_size=BATCH, seed=seed)
    rows += under_fgsm({"3 or 7, logistic": Trained(logistic)}, threes_and_sevens(test))
    nothing, kept = of_nothing(nets, arguments.rubbish, seed)
    count, units = (12, 240) if full else (12, 60)
    together = ensembles(train_set, test, count, max(epochs // 3, 1), units, seed)
    write_figure(rubbish_figure(kept), out_folder(arguments) / "goodfellow_networks_rubbish.png")
    setting = f"{len(train_set):,} + {len(test):,} digits, {epochs} epochs\n"
    return "\n".join([setting, table("FGSM .25, made against the network itself, unclipped", HEADS, rows), nothing,
                      together, agreements(nets, test)])  # fmt: skip


# --- photos ----------------------------------------------------------------------------------------------


def conv_maxout(shape: tuple[int, ...], seed: int) -> Sequential:
    """Three maxout convolutions with pooling, and a dense maxout layer: a quarter of the paper's channels."""
    weights = Glorot()  # He() is for halves of the units: with the largest of two pieces, all of them are active
    return Sequential(
        MaxoutConv2d(24, 8, padding=4, init_weights=weights), MaxPool2d(4, stride=2), Dropout(0.25),
        MaxoutConv2d(48, 8, padding=3, init_weights=weights), MaxPool2d(4, stride=2), Dropout(0.25),
        MaxoutConv2d(48, 5, padding=3, init_weights=weights), MaxPool2d(2), Flatten(), Dropout(0.25),
        Maxout(125, pieces=5, init_weights=weights), Dropout(0.5), Dense(10, init_weights=weights),
        input_shape=shape, seed=seed,
    )  # fmt: skip


def photos(arguments: Any) -> str:
    """The convolutional maxout network on CIFAR-10: FGSM, images of nothing, and one step towards each class."""
    train_set, test = (data.take(arguments.digits) for data in load_cifar10())
    net, epochs, seed = conv_maxout(train_set.x.shape[1:], arguments.seed), arguments.epochs or 10, arguments.seed
    history = train(net, train_set, epochs=epochs, optimizer=Adam(Cosine(1e-3, epochs)), seed=seed)
    clean, rows = evaluate(net, test), []
    for epsilon in (0.05, 0.1):
        attacked = evaluate(net, test.replace(x=fgsm(net, test.x, test.y, epsilon=epsilon, clip=False).x_adv))
        rows.append([f"FGSM {epsilon}", attacked.error, attacked.confidence_on_errors, "87.15, 96.6"])
    rows.insert(0, ["clean", clean.error, clean.confidence_on_errors, "-"])
    first = table("Convolutional maxout on CIFAR-10, pixels from 0 to 1 (deviation .25), unclipped",
                  ["", "error", "confidence\non errors", "paper, %: ε .1, pixels\nof deviation about .5"],
                  rows)  # fmt: skip
    nothing = rubbish(net, arguments.rubbish, seed=seed)
    steps = [rubbish(net, arguments.rubbish, towards=k, epsilon=0.1, seed=seed) for k in range(10)]
    rows = [["N(0, I)", share(nothing.accepted.sum(), arguments.rubbish), _or_none(nothing)]]
    rows += [[f"N(0, I), a step of .1 towards {name}", share(step.accepted.sum(), arguments.rubbish), _or_none(step)]
             for name, step in zip(train_set.class_names, steps)]  # fmt: skip
    rows.append(["mean over the classes", f"{100 * np.mean([step.fraction for step in steps]):.1f}", "-"])
    second = table("Images of nothing (paper: 93.4 % accepted, confidence 84.4 %; after a step 75.3 %)",
                   ["", "accepted, %", "confidence"], rows)  # fmt: skip
    write_figure(step_figure(steps, train_set.class_names), out_folder(arguments) / "goodfellow_networks_cifar10.png")
    setting = f"{len(train_set):,} + {len(test):,} photos, {epochs} epochs, {sum(history.seconds):.0f} s\n"
    return "\n".join([setting, first, second])


def step_figure(steps: list[Rubbish], names: Any, columns: int = 10) -> Any:
    """The paper's Figure 5: images of nothing after a step towards each class, framed where accepted as that class."""
    rows = {str(name): list(to_numpy(step.images[:columns]).clip(0, 1)) for name, step in zip(names, steps)}
    framed = {str(name): list(step.accepted[:columns]) for name, step in zip(names, steps)}
    title = "Images of nothing after one step towards the class on the left; framed where accepted as it (p > .5)"
    return plots.image_rows(rows, wrong=framed, title=title)


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST: about 20 minutes on two cores")
    parser.add_argument("--cifar10", action="store_true", help="photos instead of digits")
    parser.add_argument("--epochs", type=at_least_one, help="epochs of training (default: 15 to 20)")
    parser.add_argument("--digits", type=at_least_one, default=60_000, help="use at most so many images")
    parser.add_argument("--rubbish", type=at_least_one, default=10_000, help="images of nothing (default: 10,000)")
    arguments = parser.parse_args()
    with ending_with_a_sentence(saved=False):
        text = provenance(arguments.seed) + (photos if arguments.cifar10 else digits)(arguments)
    print(text)
    stem = "goodfellow_networks_cifar10" if arguments.cifar10 else "goodfellow_networks"
    write_text(out_folder(arguments) / f"{stem}.txt", text)


if __name__ == "__main__":
    main()
