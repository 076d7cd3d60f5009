"""Nguyen, Yosinski and Clune (2015), on digits: images that show nothing, classified with high confidence.

    python demos/nguyen.py           bundled digits: a minute and a half on two cores
    python demos/nguyen.py --full    whole MNIST, 5 seeds: about twenty minutes

The demo repeats the paper's experiments on MNIST: fooling images for a LeNet, and retraining with them.  A fooling
image is one that a person would not recognise, but that a network assigns to a class with high confidence.

*Making them.*  Evolution uses only the network's confidences: 200 generations of 200 images, with a niche for each
class (MAP-Elites).  The direct encoding evolves the pixels; its images look like noise.  CPPNs are small networks that
compute the pixels; some of their images resemble a 0 or a 1.  Gradient ascent uses the gradient, too.

*Transfer.*  The images are shown to three other networks: another LeNet, a perceptron, and Carlini and Wagner's.

*Retraining.*  As in the paper, network i + 1 is trained from scratch on the digits and on fooling images of networks 1
to i, which form an eleventh class.  Then new images are evolved against it.

Differences from the paper.  `Elitism`, in which no class takes over images of another, is added as a control: images of
noise that evolved for one class do not help another class, patterns sometimes do.  The paper's gradient ascent starts
at the mean image of ImageNet; ours at the mean digit, and its images resemble digits.  The images for retraining come
from many short evolutions.  The better the networks resist, the fewer images these give; the table has their number.
Each network is evaluated by a separate evolution, with --full of 1000 generations, whose images are not trained on.

--full can be interrupted and called again: its networks are saved in demos/out/checkpoints.  The evolutions run again,
with the same results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    finished,
    mean_and_deviation,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks.evolution import Elitism, FoolingResult, fool_cppn, fool_direct, fool_gradient
from attacks.report.fooling_plots import as_percent, cppn_graph, gallery, judged, median_confidence
from minidl import models
from minidl.backend import kernels, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.progress import bar
from minidl.train import evaluate

SAVED = "networks trained with --full are saved"
SHORT = 20  # generations of the evolutions that make images for retraining


@dataclass(frozen=True)
class Method:
    """A method to make fooling images.

    fool: the function, called with these options.
    steps: of gradient ascent, for each generation that evolution would take; 0 for evolution.
    paper: the median confidence in the paper.
    """

    fool: Callable[..., FoolingResult]
    options: dict[str, Any] = field(default_factory=dict)
    steps: float = 0.0
    paper: str = "-"

    def __call__(self, net: Sequential, mean: Array, generations: int, seed: int) -> FoolingResult:
        """Fooling images for a network."""
        ascent = {"start": mean, "steps": max(1, int(self.steps * generations))}
        budget = ascent if self.steps else {"generations": generations}
        return finished(self.fool(net, seed=seed, progress=True, **budget, **self.options), SAVED)


METHODS = {
    "direct": Method(fool_direct, paper="99.99 %"),
    "CPPN": Method(fool_cppn, paper="99.99 %"),
    "direct, Elitism": Method(fool_direct, {"archive": Elitism}),
    "CPPN, Elitism": Method(fool_cppn, {"archive": Elitism}),
    "gradient": Method(fool_gradient, {"decay": 0.0, "rise": 0.02}, 2.5),  # 500 steps for 200 generations
    "gradient, decay": Method(fool_gradient, {"decay": 0.01}, 1.5),  # 300 steps
}
BY_EVOLUTION, TRANSFERRED = list(METHODS)[:4], ["direct", "CPPN", "gradient", "gradient, decay"]

#: The networks for the test of transfer, and how many epochs each is trained for every epoch of LeNet.
JUDGES: dict[str, tuple[Callable[..., Sequential], int]] = {
    "another LeNet": (models.lenet, 1),
    "a perceptron": (models.mlp, 4),
    "C&W's network": (models.carlini, 1),
}


def trained(name: str, net: Sequential, data: Dataset, epochs: int, seed: int, folder: Path | None) -> Sequential:
    """Train the network and return it.  folder: for checkpoints, if any."""
    file = f"nguyen, {name}, {len(data)} images, {epochs} epochs, seed {seed}.npz"
    history = train(net, data, epochs=epochs, optimizer=Adam(1e-3), seed=seed, checkpoint=folder and folder / file)
    print(f"{name}, seed {seed}: {sum(history.seconds):.0f} s of training", flush=True)
    return net


# --- confidence -------------------------------------------------------------------------------------------


def table_of_confidence(results: dict[str, list[FoolingResult]], seeds: int) -> str:
    """A table of the confidences that each method reaches: the median over the seeds, and the smallest."""
    rows = []
    for name, runs in results.items():
        early, end = ([run.median[min(k, len(run.history)) - 1] for run in runs] for k in (50, 10**9))
        least = min(run.history[-1].min() for run in runs)
        cost = [runs[0].forwards, runs[0].backwards, f"{np.mean([run.seconds for run in runs]):.1f}"]
        confidences = [as_percent(p, 4) for p in (np.median(early), np.median(end), min(end), least)]
        rows.append([name, *confidences, METHODS[name].paper, *cost])
    heads = ["images", "median\nby 50", "at the\nend", "of the\nworst seed", "least\nof all", "paper,\nMNIST,\nby 200",
             "forward\nruns", "backward\nruns", "seconds"]  # fmt: skip
    return table(f"Confidence: the median over the ten classes, and that over {seeds} seed(s)", heads, rows)


# --- transfer ---------------------------------------------------------------------------------------------


def intended_confidences(net: Sequential, result: FoolingResult) -> tuple[np.ndarray, np.ndarray]:
    """The probability that a network gives image k for class k, and whether that is its prediction: (K,) both."""
    logits = net(result.images)
    p, classes = to_numpy(kernels(logits).softmax(logits.astype("float64"))), np.arange(len(result))
    return p[classes, classes], p.argmax(axis=1) == classes


def table_of_transfer(results: dict[str, list[FoolingResult]], judges: dict[str, Sequential], test: Dataset) -> str:
    """A table of how many images other networks assign to the intended class, and with which confidence."""
    rows = []
    for judge, net in judges.items():
        error = evaluate(net, test).error
        for name in TRANSFERRED:
            p, success = (
                np.concatenate(both) for both in zip(*(intended_confidences(net, run) for run in results[name]))
            )
            rows.append([judge, error, name, len(success), float(success.mean()), as_percent(np.median(p))])
    heads = ["judge", "its error", "images", "so many", "taken for\ntheir class", "median confidence\nin it"]
    return table("Transfer: images made against one LeNet, shown to networks trained on the same digits", heads, rows)


# --- retraining -------------------------------------------------------------------------------------------


def of_digits(result: FoolingResult, digits: int = 10) -> FoolingResult:
    """The result without the niche of the eleventh class."""
    return replace(result, images=result.images[:digits], confidence=result.confidence[:digits],
                   history=result.history[:, :digits], archive=None)  # fmt: skip


def images_to_learn_from(net: Sequential, evolutions: int, generations: int, seed: int) -> Array:
    """CPPN images from many short evolutions that the network assigns to a digit: (M, 1, 28, 28)."""
    images = []
    for i in bar(range(evolutions), "images to learn from", True, unit="evolution"):
        result = of_digits(finished(fool_cppn(net, generations=generations, seed=seed + i), SAVED))
        images.append(result.images[result.confidence >= 0.5])
    return namespace(images[0]).concatenate(images)


def with_fooling_class(data: Dataset, fooling: Array) -> Dataset:
    """The digits, and the fooling images as class 10."""
    xp = namespace(data.x)
    y = xp.concatenate([data.y, xp.full(len(fooling), 10, dtype="int64")])
    return Dataset(xp.concatenate([data.x, fooling]), y, (*data.class_names[:10], "fooling"))


def recognised_rate(net: Sequential, images: Array) -> float | str:
    """The fraction of the images that the network assigns to the eleventh class; "-" if there are no images."""
    return float((net(images).argmax(axis=1) == 10).mean()) if len(images) else "-"


def retraining(net: Sequential, both: tuple[Dataset, Dataset], arguments: Any,
               folder: Path | None) -> tuple[str, dict[str, FoolingResult]]:  # fmt: skip
    """A table of networks, and the images that fool each.  All but the first are trained on earlier fooling images."""
    (train_set, test), seed, generations = both, arguments.seed, arguments.longer * arguments.generations
    marks = sorted({50, arguments.generations, generations})
    learnt = others = train_set.x[:0]
    results: dict[str, FoolingResult] = {}
    rows: list[list[Any]] = []
    for i in range(1, arguments.rounds + 2):
        name = f"network {i}"
        if i > 1:
            first_seed, short = (seed + 1) * 1_000_000 + i * 10_000, min(SHORT, arguments.generations)
            new = images_to_learn_from(net, arguments.evolutions, short, first_seed)
            learnt = namespace(learnt).concatenate([learnt, new])
            fresh, data = models.lenet(classes=11, seed=seed), with_fooling_class(train_set, learnt)
            net = trained(name, fresh, data, arguments.epochs, seed, folder)
        result = of_digits(finished(fool_cppn(net, generations=generations, seed=seed, progress=True), SAVED))
        error = evaluate(net, with_fooling_class(test, learnt[:0])).error
        confidence = [*(result.median[min(k, generations) - 1] for k in marks), result.history[-1].min()]
        rows.append([name, len(learnt), error, recognised_rate(net, learnt), recognised_rate(net, others),
                     *(as_percent(p, 4) for p in confidence)])  # fmt: skip
        results[name], others = result, namespace(others).concatenate([others, result.images])
    heads = ["fooled\nanew", "learnt\nfrom", "error\non digits", "known\nagain", "others\nknown",
             *(f"median\nby {k}" for k in marks), "least\nthen"]  # fmt: skip
    title = (
        "Learning from fooling images, an eleventh class (paper, MNIST: the median stays 99.99 %).\nCalled fooling: "
        "those learnt from (known again), and others that fooled networks before (others known)"
    )
    return table(title, heads, rows), results


# --- figures and the command line -------------------------------------------------------------------------


def figures(results: dict[str, list[FoolingResult]], judges: dict[str, Sequential], retrained: dict[str, FoolingResult],
            data: str) -> dict[str, Any]:  # fmt: skip
    """All figures by the end of their file names."""
    first = {name: results[name][0] for name in TRANSFERRED}
    others = {
        judge: {name: intended_confidences(net, run)[0] for name, run in first.items()} for judge, net in judges.items()
    }
    cppns = first["CPPN"]
    assert cppns.archive is not None
    names = [f"“{k}”, {as_percent(p)}" for k, p in enumerate(to_numpy(cppns.confidence))]
    painters = cppn_graph(cppns.archive.genomes, names, cppns.images, title="The networks that paint, and their images")
    learnt = "Each network has learnt that the images which fooled those before it are no digits"
    learning = "Networks that learn from fooling images: the median confidence of new ones"
    by_network = {name: [result] for name, result in retrained.items()}
    return {
        "gallery": gallery(first, title=f"Evolved against LeNet, trained on {data}: the confidence of each class"),
        "median": median_confidence({name: results[name] for name in BY_EVOLUTION}),
        "cppns": painters,
        "transfer": judged(first, others, title="Evolved against one LeNet: the confidence of others (darker: higher)"),
        "retrained": gallery(retrained, title=learnt),
        "resistance": median_confidence(by_network, title=learning, marks={}),
    }


def main() -> None:
    """Train, make fooling images, test transfer, retrain, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, 5 seeds: some twenty minutes on two cores")
    parser.add_argument(
        "--seeds", type=at_least_one, help="number of networks, each with its evolutions (default: 1, or 5 with --full)"
    )
    parser.add_argument("--epochs", type=at_least_one, default=4, help="epochs of training (default: 4)")
    parser.add_argument(
        "--digits", type=at_least_one, default=60_000, help="use at most so many training and test digits"
    )
    parser.add_argument("--generations", type=at_least_one, default=200, help="generations of evolution (default: 200)")
    parser.add_argument("--rounds", type=at_least_one, help="rounds of retraining (default: 2, or 5 with --full)")
    longer = "how many times as many generations against retrained networks (default: 1, or 5 with --full)"
    parser.add_argument("--longer", type=at_least_one, metavar="TIMES", help=longer)
    parser.add_argument(
        "--evolutions", type=at_least_one, help="short evolutions in each round (default: 10, or 200 with --full)"
    )
    arguments = parser.parse_args()
    full = arguments.full
    arguments.seeds = arguments.seeds or (5 if full else 1)
    arguments.rounds = arguments.rounds or (5 if full else 2)
    arguments.longer = arguments.longer or (5 if full else 1)
    arguments.evolutions = arguments.evolutions or (200 if full else 10)
    train_set, test = (data.take(arguments.digits) for data in (load_mnist() if full else load_digits()))
    checkpoints = HERE / "out" / "checkpoints" if full else None
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)

    nets = [trained("LeNet", models.lenet(seed=s), train_set, arguments.epochs, s, checkpoints) for s in seeds]
    mean = train_set.x.mean(axis=0)
    results = {name: [method(net, mean, arguments.generations, s) for net, s in zip(nets, seeds)]
               for name, method in METHODS.items()}  # fmt: skip
    errors = mean_and_deviation([evaluate(net, test).error for net in nets])
    text = f"LeNet: {len(train_set):,} digits, {arguments.epochs} epochs, error {errors}\n\n"
    text += table_of_confidence(results, len(seeds))
    print(text, flush=True)
    judges = {name: trained(name, make(seed=arguments.seed + 1000), train_set, times * arguments.epochs,
                            arguments.seed + 1000, checkpoints) for name, (make, times) in JUDGES.items()}  # fmt: skip
    transfer = table_of_transfer(results, judges, test)
    print(transfer, flush=True)
    learning, retrained = retraining(nets[0], (train_set, test), arguments, checkpoints)
    print(learning)

    folder = out_folder(arguments)
    text = "\n".join([provenance(arguments.seed, arguments.seeds), text, transfer, learning])
    write_text(folder / "nguyen.txt", text)
    for name, figure in figures(results, judges, retrained, "MNIST" if full else "the bundled digits").items():
        write_figure(figure, folder / f"nguyen_{name}.png")


if __name__ == "__main__":
    main()
