"""Nguyen, Yosinski and Clune (2015), on digits: deep neural networks are easily fooled.

    python demos/nguyen.py           bundled digits: a minute and a half on two cores
    python demos/nguyen.py --full    whole MNIST, 5 seeds, some twenty minutes

Images made from nothing, and a LeNet that is all but certain of what they show.  Evolution makes them, pixel by pixel
(the direct encoding) or painted by small networks (CPPNs), asking for nothing but confidences: 200 generations of 200
images, with a niche for each class (MAP-Elites).  Noise shows nothing; of what networks paint a ring may pass for a 0
and a stroke for a 1, the rest hardly.  `Elitism`, where no class learns from another, is a control of ours: noise bred
for one class is of no use to another, patterns sometimes are.  Gradient ascent is told the slopes.  The paper climbs
from the mean image of ImageNet; we climb from the mean digit, and get something like digits.

Do such images fool other networks?  We ask three: another LeNet, a perceptron, and Carlini and Wagner's network.

Does it help to learn from them?  As in the paper, network i + 1 is trained anew on the digits and, as an eleventh
class, on CPPN images that fooled networks 1 to i, and then fooled anew.  Ours come from many short evolutions, which
find the fewer the better the networks get: the table says how many.  What we judge a network by is an evolution of its
own, of which nothing is learnt; with --full it goes on for 1000 generations.

--full can be interrupted and called again: its networks are kept in demos/out/checkpoints, and evolution, which is the
same each time, is done again.
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
    mean_and_deviation,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks.evolution import Elitism, FoolingResult, fool_cppn, fool_direct, fool_gradient
from attacks.report.fooling_plots import cppn_graph, gallery, judged, median_confidence, sureness
from minidl import models
from minidl.backend import kernels, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.progress import bar
from minidl.train import evaluate

SHORT = 20  # generations of the evolutions whose images are learnt from


@dataclass(frozen=True)
class Way:
    """A way to make fooling images; steps: of gradient ascent, for every generation of evolution."""

    fool: Callable[..., FoolingResult]
    options: dict[str, Any] = field(default_factory=dict)
    steps: float = 0.0
    paper: str = "-"

    def __call__(self, net: Sequential, mean: Array, generations: int, seed: int) -> FoolingResult:
        """Images that fool the network."""
        climb = {"start": mean, "steps": max(1, int(self.steps * generations))}
        length = climb if self.steps else {"generations": generations}
        return finished(self.fool(net, seed=seed, progress=True, **length, **self.options))


WAYS = {
    "direct": Way(fool_direct, paper="99.99 %"),
    "CPPN": Way(fool_cppn, paper="99.99 %"),
    "direct, Elitism": Way(fool_direct, {"archive": Elitism}),
    "CPPN, Elitism": Way(fool_cppn, {"archive": Elitism}),
    "gradient": Way(fool_gradient, {"decay": 0.0, "rise": 0.02}, 2.5),  # 500 steps for 200 generations
    "gradient, decay": Way(fool_gradient, {"decay": 0.01}, 1.5),  # 300 steps
}
EVOLVED, SHOWN = list(WAYS)[:4], ["direct", "CPPN", "gradient", "gradient, decay"]

#: Who else is asked, and for how many epochs each of them learns where LeNet learns for one.
JUDGES: dict[str, tuple[Callable[..., Sequential], int]] = {
    "another LeNet": (models.lenet, 1),
    "a perceptron": (models.mlp, 4),
    "C&W's network": (models.carlini, 1),
}


def finished(result: FoolingResult) -> FoolingResult:
    """The result, unless Ctrl-C cut it short: that ends the script."""
    if result.params["interrupted"]:
        raise SystemExit("interrupted; networks trained with --full are kept")
    return result


def trained(name: str, net: Sequential, data: Dataset, epochs: int, seed: int, kept: Path | None) -> Sequential:
    """The network, trained.  kept: a folder for checkpoints, if any."""
    file = f"nguyen, {name}, {len(data)} images, {epochs} epochs, seed {seed}.npz"
    history = train(net, data, epochs=epochs, optimizer=Adam(1e-3), seed=seed, checkpoint=kept / file if kept else None)
    print(f"{name}, seed {seed}: {sum(history.seconds):.0f} s of training", flush=True)
    return net


# --- how sure ---------------------------------------------------------------------------------------------


def table_of_confidence(found: dict[str, list[FoolingResult]], seeds: int) -> str:
    """The paper's claim, for each way; of several seeds the median, and the least."""
    rows = []
    for name, runs in found.items():
        early, end = ([run.median[min(k, len(run.history)) - 1] for run in runs] for k in (50, 10**9))
        least = min(run.history[-1].min() for run in runs)
        cost = [runs[0].forwards, runs[0].backwards, f"{np.mean([run.seconds for run in runs]):.1f}"]
        confidences = [sureness(p, 4) for p in (np.median(early), np.median(end), min(end), least)]
        rows.append([name, *confidences, WAYS[name].paper, *cost])
    heads = ["images", "median\nby 50", "at the\nend", "of the\nworst seed", "least\nof all", "paper,\nMNIST,\nby 200",
             "forward\nruns", "backward\nruns", "seconds"]  # fmt: skip
    return table(f"Confidence: the median over the ten classes, and that over {seeds} seed(s)", heads, rows)


# --- who else is fooled -----------------------------------------------------------------------------------


def verdicts(judge: Sequential, result: FoolingResult) -> tuple[np.ndarray, np.ndarray]:
    """How sure a network is that image k is a k, and whether it takes it for that: (K,) both."""
    logits = judge(result.images)
    p, classes = to_numpy(kernels(logits).softmax(logits.astype("float64"))), np.arange(len(result))
    return p[classes, classes], p.argmax(axis=1) == classes


def table_of_transfer(found: dict[str, list[FoolingResult]], judges: dict[str, Sequential], test: Dataset) -> str:
    """The share of the images that other networks take for what they were made to be, and how sure those are."""
    rows = []
    for judge, net in judges.items():
        error = evaluate(net, test).error
        for name in SHOWN:
            p, taken = (np.concatenate(both) for both in zip(*(verdicts(net, run) for run in found[name])))
            rows.append([judge, error, name, len(taken), float(taken.mean()), sureness(np.median(p))])
    heads = ["judge", "its error", "images", "so many", "taken for\ntheir class", "median confidence\nin it"]
    return table("Transfer: images made against one LeNet, shown to networks trained on the same digits", heads, rows)


# --- learning from it -------------------------------------------------------------------------------------


def of_digits(result: FoolingResult, digits: int = 10) -> FoolingResult:
    """The result without the niche of the eleventh class."""
    return replace(result, images=result.images[:digits], confidence=result.confidence[:digits],
                   history=result.history[:, :digits], archive=None)  # fmt: skip


def harvest(net: Sequential, evolutions: int, generations: int, seed: int) -> Array:
    """CPPN images that the network takes for a digit, of many short evolutions: (M, 1, 28, 28)."""
    images = []
    for i in bar(range(evolutions), "images to learn from", True, unit="evolution"):
        result = of_digits(finished(fool_cppn(net, generations=generations, seed=seed + i)))
        images.append(result.images[result.confidence >= 0.5])
    return namespace(images[0]).concatenate(images)


def with_eleventh(data: Dataset, fooling: Array) -> Dataset:
    """The digits, and the fooling images as class 10."""
    xp = namespace(data.x)
    y = xp.concatenate([data.y, xp.full(len(fooling), 10, dtype="int64")])
    return Dataset(xp.concatenate([data.x, fooling]), y, (*data.class_names[:10], "fooling"))


def recognised(net: Sequential, images: Array) -> float | str:
    """The share of the images that the network calls fooling; nothing to say for none, or by a network of ten."""
    return float((net(images).argmax(axis=1) == 10).mean()) if len(images) else "-"


def retraining(net: Sequential, both: tuple[Dataset, Dataset], arguments: Any,
               kept: Path | None) -> tuple[str, dict[str, FoolingResult]]:  # fmt: skip
    """A table of networks, and what fools each.  The first is given; the others learn from what fooled those before."""
    (train_set, test), seed, generations = both, arguments.seed, arguments.longer * arguments.generations
    marks = sorted({50, arguments.generations, generations})
    learnt = others = train_set.x[:0]
    found: dict[str, FoolingResult] = {}
    rows: list[list[Any]] = []
    for i in range(1, arguments.rounds + 2):
        name = f"network {i}"
        if i > 1:
            first_seed, short = (seed + 1) * 1_000_000 + i * 10_000, min(SHORT, arguments.generations)
            new = harvest(net, arguments.evolutions, short, first_seed)
            learnt = namespace(learnt).concatenate([learnt, new])
            fresh, data = models.lenet(classes=11, seed=seed), with_eleventh(train_set, learnt)
            net = trained(name, fresh, data, arguments.epochs, seed, kept)
        result = of_digits(finished(fool_cppn(net, generations=generations, seed=seed, progress=True)))
        error = evaluate(net, with_eleventh(test, learnt[:0])).error
        sure = [*(result.median[min(k, generations) - 1] for k in marks), result.history[-1].min()]
        rows.append([name, len(learnt), error, recognised(net, learnt), recognised(net, others),
                     *(sureness(p, 4) for p in sure)])  # fmt: skip
        found[name], others = result, namespace(others).concatenate([others, result.images])
    heads = ["fooled\nanew", "learnt\nfrom", "error\non digits", "known\nagain", "others\nknown",
             *(f"median\nby {k}" for k in marks), "least\nthen"]  # fmt: skip
    title = (
        "Learning from fooling images, an eleventh class (paper, MNIST: the median stays 99.99 %).\nCalled fooling: "
        "those learnt from (known again), and others that fooled networks before (others known)"
    )
    return table(title, heads, rows), found


# --- the whole --------------------------------------------------------------------------------------------


def figures(found: dict[str, list[FoolingResult]], judges: dict[str, Sequential], anew: dict[str, FoolingResult],
            data: str) -> dict[str, Any]:  # fmt: skip
    """Each figure by the end of its name: of the first seed's images, of all seeds' confidence, of retraining."""
    first = {name: found[name][0] for name in SHOWN}
    said = {judge: {name: verdicts(net, run)[0] for name, run in first.items()} for judge, net in judges.items()}
    cppns = first["CPPN"]
    assert cppns.archive is not None
    names = [f"“{k}”, {sureness(p)}" for k, p in enumerate(to_numpy(cppns.confidence))]
    painters = cppn_graph(cppns.archive.genomes, names, cppns.images, title="The networks that paint, and their images")
    retrained = "Each network has learnt that the images which fooled those before it are no digits"
    learning = "Networks that learn from fooling images: the median confidence of new ones"
    grown = {name: [result] for name, result in anew.items()}
    return {
        "gallery": gallery(first, title=f"What LeNet, trained on {data}, takes for a digit, and how sure it is"),
        "median": median_confidence({name: found[name] for name in EVOLVED}),
        "cppns": painters,
        "transfer": judged(first, said, title="Made against one LeNet: how sure others are (the darker, the surer)"),
        "retrained": gallery(anew, title=retrained),
        "resistance": median_confidence(grown, title=learning, marks={}),
    }


def main() -> None:
    """Train, fool, judge, train again, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, 5 seeds: some twenty minutes on two cores")
    parser.add_argument("--seeds", type=at_least_one, help="networks, and evolutions (default: 1, or 5 with --full)")
    parser.add_argument("--epochs", type=at_least_one, default=4, help="of training (default: 4)")
    parser.add_argument("--digits", type=at_least_one, default=60_000, help="at most so many of either set")
    parser.add_argument("--generations", type=at_least_one, default=200, help="of evolution (default: 200)")
    parser.add_argument("--rounds", type=at_least_one, help="of retraining (default: 2, or 5 with --full)")
    longer = "as many generations, to judge what has learnt (default: 1, or 5 with --full)"
    parser.add_argument("--longer", type=at_least_one, metavar="TIMES", help=longer)
    parser.add_argument("--evolutions", type=at_least_one, help="short ones in a round (default: 10, 200 with --full)")
    arguments = parser.parse_args()
    full = arguments.full
    arguments.seeds = arguments.seeds or (5 if full else 1)
    arguments.rounds = arguments.rounds or (5 if full else 2)
    arguments.longer = arguments.longer or (5 if full else 1)
    arguments.evolutions = arguments.evolutions or (200 if full else 10)
    train_set, test = (data.take(arguments.digits) for data in (load_mnist() if full else load_digits()))
    kept = HERE / "out" / "checkpoints" if full else None
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)

    nets = [trained("LeNet", models.lenet(seed=s), train_set, arguments.epochs, s, kept) for s in seeds]
    mean = train_set.x.mean(axis=0)
    found = {name: [way(net, mean, arguments.generations, s) for net, s in zip(nets, seeds)]
             for name, way in WAYS.items()}  # fmt: skip
    errors = mean_and_deviation([evaluate(net, test).error for net in nets])
    text = f"LeNet: {len(train_set):,} digits, {arguments.epochs} epochs, error {errors}\n\n"
    text += table_of_confidence(found, len(seeds))
    print(text, flush=True)
    judges = {name: trained(name, make(seed=arguments.seed + 1000), train_set, times * arguments.epochs,
                            arguments.seed + 1000, kept) for name, (make, times) in JUDGES.items()}  # fmt: skip
    transfer = table_of_transfer(found, judges, test)
    print(transfer, flush=True)
    learning, anew = retraining(nets[0], (train_set, test), arguments, kept)
    print(learning)

    folder = out_folder(arguments)
    text = "\n".join([provenance(arguments.seed, arguments.seeds), text, transfer, learning])
    write_text(folder / "nguyen.txt", text)
    for name, figure in figures(found, judges, anew, "MNIST" if full else "the bundled digits").items():
        write_figure(figure, folder / f"nguyen_{name}.png")


if __name__ == "__main__":
    main()
