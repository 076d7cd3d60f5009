"""Lacok's study (2016): how a small network is fooled, and what L1/L2 regularisation really buys.

    python demos/lacok.py             bundled digits, under a minute
    python demos/lacok.py --full      whole MNIST, 50 epochs, three seeds: his recipe to the letter
    python demos/lacok.py --grid      also his grid of penalties, chosen on held-out training digits

The recipe: 784-625-625-10 without biases, ReLU, inverted dropout .2/.5/.5, weights N(0, .01²), batches of 128
in file order, RMSProp (lr .001, ρ .9, ε 1e-6 inside the root), pixels in [0, 1], the last weights kept.
FGSM and noise are not clipped.  Confidence is the mean largest probability over all test examples.

What to see (with --full; on 8,000 digits all errors are higher): Table 1 comes out.  Table 2 does not, if the
attack is aimed at the regularised network it is tested on; it does if the adversarial images were crafted on
the *unregularised* network and only shown to the regularised one.  So most of the robustness his Table 2
credits to L1/L2 is imperfect transfer.
"""

from __future__ import annotations

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
)  # fmt: skip

from attacks import fgsm, plots, sign_noise
from minidl import models
from minidl.backend import to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.losses import Penalty
from minidl.optim import RMSProp
from minidl.train import Evaluation, evaluate

#: (error, confidence) as printed in the paper
PAPER_1 = {"original": (0.0137, 0.9931), "FGSM .10": (0.5977, 0.7344), "FGSM .25": (0.9709, 0.6283),
           "noise .25": (0.0241, 0.9896)}  # fmt: skip
PAPER_2 = {"original": (0.0306, 0.9644), "FGSM .10": (0.1986, 0.8507), "FGSM .25": (0.8142, 0.6735),
           "noise .25": (0.0424, 0.9565)}  # fmt: skip
PENALTY = Penalty(l1=1e-4, l2=1e-4)
GRID = (1e-3, 1e-4, 1e-5)


def trained(train_set: Dataset, epochs: int, seed: int, penalty: Penalty | None = None) -> models.Sequential:
    """His network by his recipe.  Large runs keep a checkpoint, so that calling the demo again takes them up."""
    net = models.mlp(seed=seed)
    kind = "unregularised" if penalty is None else f"L1 {penalty.l1:g}, L2 {penalty.l2:g}"
    name = f"lacok, {len(train_set)} digits, {epochs} epochs, seed {seed}, {kind}.npz"
    checkpoint = HERE / "out" / "checkpoints" / name if len(train_set) > 10_000 else None
    history = train(net, train_set, epochs=epochs, optimizer=RMSProp(), batch_size=128, shuffle=False, drop_last=True,
                    penalty=penalty, seed=seed, checkpoint=checkpoint)  # fmt: skip
    print(f"seed {seed}, {kind}: {len(history)} epochs in {sum(history.seconds):.0f} s, loss {history.loss[-1]:.4f}",
          flush=True)  # fmt: skip
    return net


def four_sets(crafted_on: models.Sequential, test: Dataset, seed: int, clip: bool = False) -> dict[str, Dataset]:
    """The four test sets of his tables, adversarial for the given network."""
    small, large = fgsm(crafted_on, test.x, test.y, epsilon=[0.10, 0.25], clip=clip)
    noise = sign_noise(crafted_on, test.x, test.y, epsilon=0.25, clip=clip, seed=seed)
    images = {"original": test.x, "FGSM .10": small.x_adv, "FGSM .25": large.x_adv, "noise .25": noise.x_adv}
    return {name: test.replace(x=x) for name, x in images.items()}


def judge(net: models.Sequential, sets: dict[str, Dataset]) -> dict[str, Evaluation]:
    """What the network makes of each of the sets."""
    return {name: evaluate(net, data) for name, data in sets.items()}


def compare(title: str, runs: list[dict[str, Evaluation]], paper: dict[str, tuple[float, float]]) -> str:
    """One of his tables: measured over the seeds, beside what he printed."""
    rows = []
    for name, (error, confidence) in paper.items():
        answers = [run[name] for run in runs]
        rows.append([name, mean_and_deviation([a.error for a in answers]), error,
                     mean_and_deviation([a.confidence for a in answers]), confidence,
                     mean_and_deviation([a.confidence_on_errors for a in answers])])  # fmt: skip
    heads = ["test set", "error", "paper,\nMNIST", "confidence", "paper,\nMNIST", "confidence\non errors"]
    return table(title, heads, rows)


def transfer(own: list[dict[str, Evaluation]], other: list[dict[str, Evaluation]]) -> str:
    """The sentence that Table 2 comes to, with its numbers."""
    plain, moved = (float(np.mean([run["FGSM .10"].error for run in runs])) for runs in (own, other))
    return (f"At ε .10 the regularised network errs on {plain:.4f} of the images made against itself,\n"
            f"and on {moved:.4f} of those made against its unregularised twin.\n"
            f"His Table 2 prints .1986: it measures transfer, more than robustness.\n")  # fmt: skip


def figure_1(net: models.Sequential, sets: dict[str, Dataset]) -> Any:
    """His Figure 1: four rows of the same digits, with what the network says of each."""
    labels = to_numpy(sets["original"].y)
    chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    answers = {name: evaluate(net, data.take(np.array(chosen))) for name, data in sets.items()}
    captions = {name: [f"{p} ({c:.2f})" for p, c in zip(a.predictions, a.confidences)] for name, a in answers.items()}
    rows = {name: list(to_numpy(data.x)[chosen]) for name, data in sets.items()}
    return plots.image_rows(rows, captions, wrong={name: list(a.wrong) for name, a in answers.items()},
                            title="The same digits four times: prediction (confidence), mistakes framed")  # fmt: skip


def coverage_figure(answers: dict[str, Evaluation]) -> Any:
    """His remark that one could refuse to answer when not confident: the error among what is still answered."""
    shares = np.linspace(0.02, 1, 99)
    lines = {}
    for name, answer in answers.items():
        curve = answer.coverage()
        lines[name] = [
            float(curve.error[min(np.searchsorted(curve.coverage, s), len(curve.error) - 1)]) for s in shares
        ]
    return plots.curves(list(shares), lines, title="Answering only when confident", y_limits=(-0.02, 1.02),
                        x_label="coverage: share of the test set answered, most confident first",
                        y_label="error among the answered")  # fmt: skip


def grid(train_set: Dataset, epochs: int, seed: int) -> str:
    """His grid of (λ₁, λ₂), judged on a sixth of the training digits that the networks did not see."""
    held_out, rest = train_set.split(1 / 6, seed)
    rows = []
    for l1 in GRID:
        for l2 in GRID:
            net = trained(rest, epochs, seed, Penalty(l1, l2))
            answers = judge(net, four_sets(net, held_out, seed))
            rows.append([f"λ₁ {l1:g}, λ₂ {l2:g}", *(answers[name].error for name in PAPER_1)])
    title = "Grid of penalties: error on held-out digits, attacks on the network itself (his best: 1e-4, 1e-4)"
    return table(title, ["penalty", *PAPER_1], rows)


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, 50 epochs, three seeds: some twenty minutes on two cores")
    parser.add_argument("--grid", action="store_true", help="also the nine penalties of his grid")
    parser.add_argument("--epochs", type=at_least_one, help="default: 30, or 50 with --full")
    parser.add_argument("--seeds", type=at_least_one, help="how many, from --seed on (default: 1, or 3 with --full)")
    arguments = parser.parse_args()
    epochs, count = arguments.epochs or (50 if arguments.full else 30), arguments.seeds or (3 if arguments.full else 1)
    train_set, test = load_mnist() if arguments.full else load_digits()
    data = "whole MNIST" if arguments.full else "the bundled 8,000 + 2,000 digits"
    seeds = f"mean ± standard deviation over {count} seeds" if count > 1 else "one seed"
    clean, own, moved, clipped = [], [], [], []
    for seed in range(arguments.seed, arguments.seed + count):
        net, penalised = trained(train_set, epochs, seed), trained(train_set, epochs, seed, PENALTY)
        sets = four_sets(net, test, seed)
        clean.append(judge(net, sets))
        moved.append(judge(penalised, sets))
        own.append(judge(penalised, four_sets(penalised, test, seed)))
        clipped.append(judge(net, four_sets(net, test, seed, clip=True)))
        if seed == arguments.seed:
            folder = out_folder(arguments)
            write_figure(figure_1(net, sets), folder / "lacok_figure1.png")
            write_figure(coverage_figure(clean[0]), folder / "lacok_coverage.png")
    text = provenance(arguments.seed, count) + "\n" + "\n".join([
        f"{data}, {epochs} epochs, {seeds}\n",
        compare("Table 1: no regularisation", clean, PAPER_1),
        compare("Table 2, read straight: L1+L2, examples crafted on the L1+L2 network itself", own, PAPER_2),
        compare("Table 2, as it comes out: L1+L2, examples crafted on the unregularised network", moved, PAPER_2),
        transfer(own, moved),
        compare("Ablation: Table 1 with the images clipped to [0, 1]", clipped, PAPER_1),
        *([grid(train_set, epochs, arguments.seed)] if arguments.grid else []),
    ])  # fmt: skip
    print(text)
    write_text(out_folder(arguments) / "lacok.txt", text)


if __name__ == "__main__":
    main()
