"""Papernot, McDaniel and Goodfellow 2016, "Transferability in machine learning": within and between five techniques.

    python demos/papernot_transfer.py           bundled digits, about half a minute
    python demos/papernot_transfer.py --full    whole MNIST, five sets of 10,000 digits, three seeds

A deep network (DNN), logistic regression (LR), a linear support vector machine (SVM), a decision tree (DT) and k
nearest neighbours (kNN) are each trained on five disjoint sets of digits, A to E.  Each is attacked in its own way, and
the adversarial digits of one are shown to the others.  Only digits count that both classify correctly as they are.
As a source, kNN is its stand-in `SoftNeighbours`, which classifies and is attacked in its place.

    Table 1, Figure 1    within a technique: from each set to each set
    Table 2, Figure 2    between techniques, all trained on set A, beside the paper's table; the last column is the
                         ensemble, the class that most of the five predict
    Table 3, Figure 3    the same with perturbations of one L2 length.  In the paper FGSM moves a digit by up to 8.4,
                         the step against the SVM by its ε, and the tree's attack by as little as it needs
    Table 4              the control: HopSkipJump on each target.  It needs no source, so that it measures the target

Differences from the paper.  The step against the SVM is 5 long; .3, which the paper says, moves a digit much less than
FGSM at .3.  The attack on the tree is the exact smallest perturbation.  Networks and numbers of neighbours are not the
paper's.  --full can be interrupted and called again: finished parts are saved in demos/out/checkpoints.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    ending_with_a_sentence,
    mean_and_deviation,
    out_folder,
    provenance,
    table,
    write_figure,
    write_text,
)

from attacks import AttackResult, Oracle, TransferMatrix, fgsm, hopskipjump, svm_step, transfer_matrix, tree_attack
from attacks.black_box.techniques import TECHNIQUES, Technique, train, vote
from attacks.report import plots
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.npz import read_archive, write_archive
from minidl.progress import bar

SETS = "ABCDE"
EPSILON = 0.3  # of FGSM, in L∞
LENGTH = 5.0  # of the step against the SVM, and of all steps in table 3, in L2
#: The paper's matrix between techniques, in %: rows are sources, columns are targets, as in `TARGETS`.
PAPER = np.array([
    [38.27, 23.02, 64.32, 79.31, 8.36, 20.72],
    [6.31, 91.64, 91.43, 87.42, 11.29, 44.14],
    [2.51, 36.56, 100.0, 80.03, 5.19, 15.67],
    [0.82, 12.22, 8.85, 89.29, 3.31, 5.11],
    [11.75, 42.89, 82.16, 82.95, 41.65, 31.92],
])  # fmt: skip
TARGETS = [*TECHNIQUES, "ensemble"]
PERCENT, LENGTHS = "{:.1f}", "{:.2f}"  # how they are written


Models = Callable[[], tuple[dict[str, Any], dict[str, Any]]]  # sources and targets, by name


class Experiment:
    """The models of one seed, and the parts of the experiment, each saved on disk once it is done."""

    def __init__(self, arguments: Any, train_set: Dataset, test: Dataset, seed: int) -> None:
        self.arguments, self.seed = arguments, seed
        size = min(arguments.learn_from, len(train_set) // len(SETS))
        order = np.random.default_rng(seed).permutation(len(train_set))
        self.sets = {name: train_set.take(asarray(np.sort(order[i * size : (i + 1) * size])))
                     for i, name in enumerate(SETS)}  # fmt: skip
        self.test = test.take(arguments.images or len(test))
        name = f"{size} digits, {len(self.test)} tested, {arguments.epochs} epochs, seed {seed}"
        self.folder = HERE / "out" / "checkpoints" / "transfer" / name if arguments.full else None
        self.model = cache(self._model)

    def _model(self, technique: str, name: str) -> Technique:
        return train(technique, self.sets[name], seed=self.seed, epochs=self.arguments.epochs)

    def kept(self, name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of one part: computed, or read if an earlier run has saved them."""
        path = self.folder / f"{name}.npz" if self.folder else None
        if path is None or not path.exists():
            arrays = compute()
            if path is None:
                return arrays
            write_archive(path, "ledger", {}, arrays)
        return read_archive(path, "ledger")[1]

    def matrix(self, part: str, names: list[str], targets: list[str], models: Models, attack: Any) -> TransferMatrix:
        """One transfer matrix.  models: trains or finds the sources and the targets, unless the part is saved."""

        def compute() -> dict[str, np.ndarray]:
            m = transfer_matrix(*models(), attack, self.test.x, self.test.y, progress=True)
            return {"counts": m.counts, "successes": m.successes, "l2": m.l2}

        return TransferMatrix(names, targets, **self.kept(part, compute))

    def within(self, technique: str) -> TransferMatrix:
        """From the model of each set to that of each set."""

        def models() -> tuple[dict[str, Any], dict[str, Any]]:
            sources = {name: self.model(technique, name) for name in SETS}
            return sources, {name: model.oracle() for name, model in sources.items()}

        return self.matrix(f"within {technique}", list(SETS), list(SETS), models, papers_attack)

    def between(self, part: str, attack: Any) -> TransferMatrix:
        """From each technique to each technique and their ensemble, all trained on set A."""

        def models() -> tuple[dict[str, Any], dict[str, Any]]:
            return {each: self.model(each, "A") for each in TECHNIQUES}, {each: self.target(each) for each in TARGETS}

        return self.matrix(part, list(TECHNIQUES), TARGETS, models, attack)

    def target(self, name: str) -> Oracle:
        """A technique, or the ensemble, trained on set A."""
        if name == "ensemble":
            return Oracle(vote([self.model(each, "A") for each in TECHNIQUES]))
        return self.model(name, "A").oracle()

    def errors(self) -> np.ndarray:
        """The test errors of the targets."""

        def compute() -> dict[str, np.ndarray]:
            wrong = [to_numpy(self.target(each).predict(self.test.x) != self.test.y).mean() for each in TARGETS]
            return {"errors": np.array(wrong)}

        return self.kept("errors", compute)["errors"]

    def control(self) -> np.ndarray:
        """The median L2 distance of HopSkipJump for each target, and at the end the tree's exact one."""

        def compute() -> dict[str, np.ndarray]:
            oracles = {each: self.target(each) for each in TARGETS}
            few = self.test.take(4 * self.arguments.controls)
            correct = np.all([to_numpy(oracle.predict(few.x) == few.y) for oracle in oracles.values()], axis=0)
            few = few.take(asarray(np.flatnonzero(correct)[: self.arguments.controls]))
            results = [hopskipjump(oracle, few.x, few.y, queries=self.arguments.queries, seed=self.seed, progress=True)
                       for oracle in bar(oracles.values(), "HopSkipJump on each target", True)]  # fmt: skip
            results.append(tree_attack(self.model("DT", "A").model, few.x, few.y))
            if any(result.params["interrupted"] for result in results):
                raise KeyboardInterrupt
            return {"l2": np.array([median(result) for result in results]), "digits": np.array(len(few))}

        return self.kept(f"control, {self.arguments.controls} digits, {self.arguments.queries} queries", compute)["l2"]


def median(result: AttackResult) -> float:
    """The median L2 distance, where a failure counts as infinitely far."""
    return float(np.median(np.where(to_numpy(result.success), to_numpy(result.l2), np.inf)))


def papers_attack(source: Technique, x: Any, y: Any) -> AttackResult:
    """FGSM with ε = .3, a step of length 5 against the SVM, the exact attack on the tree."""
    return source.attack(x, y, epsilon=EPSILON, length=LENGTH)


def of_equal_length(source: Technique, x: Any, y: Any) -> AttackResult:
    """One step of L2 length 5, before clipping: along the gradient, or for the tree along its exact perturbation."""
    if source.name == "SVM":
        return svm_step(source.network, x, y, epsilon=LENGTH)
    if source.name != "DT":
        return fgsm(source.network, x, y, epsilon=LENGTH, norm="l2")
    result = tree_attack(source.model, x, y)
    perturbation, length = to_numpy(result.perturbation), to_numpy(result.l2).reshape(-1, *(1,) * (x.ndim - 1))
    moved = (to_numpy(x) + LENGTH * perturbation / np.where(length > 0, length, 1)).clip(0, 1)
    moved = asarray(moved.astype(x.dtype))
    oracle = source.oracle()
    predicted = oracle.predict(moved)
    return replace(result, x_adv=moved, adv_pred=predicted, success=result.goal.achieved(predicted))


# --- tables and figures ----------------------------------------------------------------------------------


def table_1(within: dict[str, list[TransferMatrix]]) -> str:
    """Within each technique: on the source itself, and from one set to another."""
    rows = []
    for technique, matrices in within.items():
        same = [100 * np.diagonal(m.rates).mean() for m in matrices]
        other = [100 * m.rates[~np.eye(len(SETS), dtype=bool)] for m in matrices]
        ends = f"{min(o.min() for o in other):.1f} to {max(o.max() for o in other):.1f}"
        percents = [mean_and_deviation(values, PERCENT) for values in (same, [o.mean() for o in other])]
        length = mean_and_deviation([m.l2.mean() for m in matrices], LENGTHS)
        rows.append([technique, length, *percents, ends])
    heads = ["technique", "mean L2", "on itself", "on the other sets' models", "least to most"]
    return table("1. Within a technique: misclassified, %", heads, rows)


def between_table(title: str, matrices: list[TransferMatrix], paper: np.ndarray | None) -> str:
    """One matrix between techniques, a line for each source, and a second one with the paper's numbers."""
    rates = 100 * np.stack([m.rates for m in matrices])
    rows: list[list[Any]] = []
    for i, source in enumerate(TECHNIQUES):
        length = mean_and_deviation([m.l2[i] for m in matrices], LENGTHS)
        rows.append([source, length, *(mean_and_deviation(rates[:, i, j], PERCENT) for j in range(len(TARGETS)))])
        if paper is not None:
            rows.append(["  paper", "", *(f"{value:.1f}" for value in paper[i])])
    return table(title, ["source", "mean L2", *TARGETS], rows)


def in_the_papers_order(rates: np.ndarray) -> str:
    """How many pairs of cells have the same order as in the paper: of all, within rows, and within columns."""
    cells = list(np.ndindex(*PAPER.shape))
    shares = []
    for same in (lambda a, b: True, lambda a, b: a[0] == b[0], lambda a, b: a[1] == b[1]):
        pairs = [(a, b) for a, b in itertools.combinations(cells, 2) if same(a, b)]
        agree = sum((PAPER[a] - PAPER[b]) * (rates[a] - rates[b]) > 0 for a, b in pairs)
        shares.append(f"{agree} of {len(pairs)}")
    return f"pairs of cells in the paper's order: {shares[0]}; in one row {shares[1]}; in one column {shares[2]}\n"


def ranking(values: np.ndarray, names: list[str]) -> str:
    """The names in the order of the values, the largest first."""
    return ", ".join(names[i] for i in np.argsort(-values, kind="stable"))


def table_4(controls: list[np.ndarray], equal: list[TransferMatrix], errors: list[np.ndarray], queries: int) -> str:
    """Each target: its error, how often it falls to the others' images, and how far HopSkipJump has to go."""
    others = np.where(np.arange(len(TECHNIQUES))[:, None] == np.arange(len(TARGETS)), np.nan, 1.0)
    falls = [100 * np.nanmean(others * m.rates, axis=0) for m in equal]
    rows = [[target, mean_and_deviation([100 * e[j] for e in errors], PERCENT),
             mean_and_deviation([f[j] for f in falls], PERCENT),
             mean_and_deviation([c[j] for c in controls], LENGTHS)] for j, target in enumerate(TARGETS)]  # fmt: skip
    rows.append(["DT, exact attack", "", "", mean_and_deviation([c[-1] for c in controls], LENGTHS)])
    title = f"4. The targets themselves.  HopSkipJump with {queries} queries for each digit needs no source"
    heads = ["target", "error, %", "misclassified, %, by\nother sources' images, table 3", "median L2\nof HopSkipJump"]
    mean_falls, mean_controls = np.mean(falls, axis=0), np.mean(controls, axis=0)[:-1]
    return (table(title, heads, rows)
            + f"\neasiest to fool with others' images: {ranking(mean_falls, TARGETS)}"
            + f"\nclosest to their boundaries:         {ranking(-mean_controls, TARGETS)}\n")  # fmt: skip


def figure_1(within: dict[str, list[TransferMatrix]]) -> Any:
    """Five matrices of sets by sets, one for each technique: the mean of the seeds."""
    figure = plots.new_figure(
        11.5, 2.9, "Within a technique: misclassified by the model of one set, made for another, %"
    )
    for axes, (technique, matrices) in zip(figure.subplots(1, len(within)), within.items()):
        rates = 100 * np.mean([m.rates for m in matrices], axis=0)
        shades = axes.imshow(rates, cmap="viridis", vmin=0, vmax=100)
        for (r, c), rate in np.ndenumerate(rates):
            colour = "white" if rate < 50 else "black"
            axes.text(c, r, f"{rate:.0f}", ha="center", va="center", fontsize=7, color=colour)
        ticks = range(len(SETS))
        axes.set(title=technique, xlabel="target", xticks=ticks, yticks=ticks, xticklabels=SETS, yticklabels=SETS)
    figure.axes[0].set_ylabel("source")
    figure.colorbar(shades, ax=figure.axes, label="%")
    return figure


def mean_of(matrices: list[TransferMatrix]) -> TransferMatrix:
    """All seeds as one: their counts and successes added."""
    counts, successes = (sum(getattr(m, name) for m in matrices) for name in ("counts", "successes"))
    return replace(matrices[0], counts=counts, successes=successes, l2=np.mean([m.l2 for m in matrices], axis=0))


def run(arguments: Any, folder: Path) -> str:
    """All parts of all seeds; returns the text, and writes the figures."""
    train_set, test = load_mnist() if arguments.full else load_digits()
    experiments = [Experiment(arguments, train_set, test, arguments.seed + i) for i in range(arguments.seeds)]
    within: dict[str, list[TransferMatrix]] = {technique: [] for technique in TECHNIQUES}
    papers, equal, controls, errors = [], [], [], []
    for experiment in experiments:
        for technique, matrices in within.items():
            matrices.append(experiment.within(technique))
        papers.append(experiment.between("between, as in the paper", papers_attack))
        equal.append(experiment.between("between, of equal length", of_equal_length))
        controls.append(experiment.control())
        errors.append(experiment.errors())
        print(f"seed {experiment.seed} done", flush=True)
    intervals = papers[0].interval()
    widest = 50 * float(np.nanmax(intervals[..., 1] - intervals[..., 0]))
    text = "\n".join([
        provenance(arguments.seed, arguments.seeds),
        f"{'whole MNIST' if arguments.full else 'the bundled digits'}: five sets of {len(experiments[0].sets['A'])}, "
        f"{len(experiments[0].test)} test digits\n",
        table_1(within),
        between_table(f"2. Between techniques, as in the paper: misclassified, %\n"
                      f"(95 % intervals of one seed: at most ± {widest:.1f})", papers, PAPER),
        in_the_papers_order(mean_of(papers).rates),
        between_table(f"3. Between techniques, steps of L2 length {LENGTH:g} before clipping: misclassified, %", equal,
                      None),
        in_the_papers_order(mean_of(equal).rates),
        table_4(controls, equal, errors, arguments.queries),
    ])  # fmt: skip
    write_figure(figure_1(within), folder / "papernot_transfer_within.png")
    title = "Made for the row, shown to the column: misclassified, %\n"
    for name, matrices, what in (("between", papers, "as in the paper"),
                                 ("equal_length", equal, f"all steps {LENGTH:g} long in L2")):  # fmt: skip
        write_figure(mean_of(matrices).figure(title + what), folder / f"papernot_transfer_{name}.png")
    return text


def main() -> None:
    """Train, attack, count, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, three seeds, 2,000 queries of HopSkipJump")
    parser.add_argument("--seeds", type=at_least_one, help="how many (default: 1; 3 with --full)")
    parser.add_argument("--images", type=at_least_one, help="test digits (default: 500; all with --full)")
    parser.add_argument(
        "--learn-from", type=at_least_one, help="digits in each of the five sets (default: 1,600; 10,000 with --full)"
    )
    parser.add_argument("--epochs", type=at_least_one, default=10, help="of the networks (default: 10)")
    parser.add_argument("--controls", type=at_least_one, help="digits for HopSkipJump (default: 20; 100 with --full)")
    parser.add_argument("--queries", type=at_least_one, help="for each of them (default: 1,000; 2,000 with --full)")
    arguments = parser.parse_args()
    small, full = (1, 500, 1600, 20, 1000), (3, None, 10_000, 100, 2000)
    names = ("seeds", "images", "learn_from", "controls", "queries")
    for name, value in zip(names, full if arguments.full else small):
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    folder = out_folder(arguments)
    with ending_with_a_sentence(saved=arguments.full):
        text = run(arguments, folder)
    print(text)
    write_text(folder / "papernot_transfer.txt", text)


if __name__ == "__main__":
    main()
