"""Lacok (2016), Tables 1 and 2 and Figure 1: FGSM against a small network, with and without L1/L2 regularisation.

    python demos/lacok.py             bundled digits, under a minute
    python demos/lacok.py --full      whole MNIST, 50 epochs, three seeds: the paper's exact recipe
    python demos/lacok.py --grid      also the paper's grid of penalties, on held-out training digits

Result with --full (on 8,000 digits all errors are larger).  Table 1 is reproduced.  Table 2 is not reproduced if the
adversarial images are made against the regularised network that they are tested on.  It is reproduced if they are made
against the *unregularised* network.  So most of the robustness that Table 2 ascribes to L1/L2 is imperfect transfer.

The recipe, as in the paper: 784-625-625-10 without biases, ReLU, inverted dropout .2/.5/.5, weights N(0, .01²), batches
of 128 in file order, RMSProp (learning rate .001, ρ .9, ε 1e-6 inside the root), pixels in [0, 1], the weights of the
last epoch.  FGSM and noise are not clipped.  Confidence is the mean largest probability over all test examples.

Difference from the paper: without --full, the bundled digits, 30 epochs and one seed.
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

#: The error and confidence printed in the paper.
PAPER_1 = {"original": (0.0137, 0.9931), "FGSM .10": (0.5977, 0.7344), "FGSM .25": (0.9709, 0.6283),
           "noise .25": (0.0241, 0.9896)}  # fmt: skip
PAPER_2 = {"original": (0.0306, 0.9644), "FGSM .10": (0.1986, 0.8507), "FGSM .25": (0.8142, 0.6735),
           "noise .25": (0.0424, 0.9565)}  # fmt: skip
PENALTY = Penalty(l1=1e-4, l2=1e-4)
GRID = (1e-3, 1e-4, 1e-5)


def trained(train_set: Dataset, epochs: int, seed: int, penalty: Penalty | None = None) -> models.Sequential:
    """Train the paper's network by its recipe.  Large runs keep a checkpoint, from which a second call continues."""
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
    """The four test sets of the tables; the adversarial images are made against the given network."""
    small, large = fgsm(crafted_on, test.x, test.y, epsilon=[0.10, 0.25], clip=clip)
    noise = sign_noise(crafted_on, test.x, test.y, epsilon=0.25, clip=clip, seed=seed)
    images = {"original": test.x, "FGSM .10": small.x_adv, "FGSM .25": large.x_adv, "noise .25": noise.x_adv}
    return {name: test.replace(x=x) for name, x in images.items()}


def evaluate_all(net: models.Sequential, sets: dict[str, Dataset]) -> dict[str, Evaluation]:
    """Evaluate the network on each of the sets."""
    return {name: evaluate(net, data) for name, data in sets.items()}


def compare(title: str, runs: list[dict[str, Evaluation]], paper: dict[str, tuple[float, float]]) -> str:
    """One of the paper's tables: our numbers over the seeds, beside the paper's."""
    rows = []
    for name, (error, confidence) in paper.items():
        evaluations = [run[name] for run in runs]
        rows.append([name, mean_and_deviation([e.error for e in evaluations]), error,
                     mean_and_deviation([e.confidence for e in evaluations]), confidence,
                     mean_and_deviation([e.confidence_on_errors for e in evaluations])])  # fmt: skip
    heads = ["test set", "error", "paper,\nMNIST", "confidence", "paper,\nMNIST", "confidence\non errors"]
    return table(title, heads, rows)


def transfer(direct: list[dict[str, Evaluation]], transferred: list[dict[str, Evaluation]]) -> str:
    """A sentence that compares the error on images made against the network with the error on transferred ones."""
    error, error_of_transfer = (
        float(np.mean([run["FGSM .10"].error for run in runs])) for runs in (direct, transferred)
    )
    return (f"At ε .10 the regularised network errs on {error:.4f} of the images made against itself,\n"
            f"and on {error_of_transfer:.4f} of those made against its unregularised twin.\n"
            f"His Table 2 prints .1986: it measures transfer, more than robustness.\n")  # fmt: skip


def figure_1(net: models.Sequential, sets: dict[str, Dataset]) -> Any:
    """The paper's Figure 1: the same digits in four rows, with the predictions."""
    labels = to_numpy(sets["original"].y)
    chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    results = {name: evaluate(net, data.take(np.array(chosen))) for name, data in sets.items()}
    captions = {name: [f"{p} ({c:.2f})" for p, c in zip(e.predictions, e.confidences)] for name, e in results.items()}
    rows = {name: list(to_numpy(data.x)[chosen]) for name, data in sets.items()}
    return plots.image_rows(rows, captions, wrong={name: list(e.wrong) for name, e in results.items()},
                            title="The same digits four times: prediction (confidence), mistakes framed")  # fmt: skip


def coverage_figure(evaluations: dict[str, Evaluation]) -> Any:
    """The error among the most confident predictions: the paper suggests rejecting the others."""
    shares = np.linspace(0.02, 1, 99)
    lines = {}
    for name, evaluation in evaluations.items():
        curve = evaluation.coverage()
        lines[name] = [
            float(curve.error[min(np.searchsorted(curve.coverage, s), len(curve.error) - 1)]) for s in shares
        ]
    return plots.curves(list(shares), lines, title="Answering only when confident", y_limits=(-0.02, 1.02),
                        x_label="coverage: share of the test set answered, most confident first",
                        y_label="error among the answered")  # fmt: skip


def grid(train_set: Dataset, epochs: int, seed: int) -> str:
    """The paper's grid of (λ₁, λ₂), evaluated on a sixth of the training digits, which is held out."""
    held_out, rest = train_set.split(1 / 6, seed)
    rows = []
    for l1 in GRID:
        for l2 in GRID:
            net = trained(rest, epochs, seed, Penalty(l1, l2))
            results = evaluate_all(net, four_sets(net, held_out, seed))
            rows.append([f"λ₁ {l1:g}, λ₂ {l2:g}", *(results[name].error for name in PAPER_1)])
    title = "Grid of penalties: error on held-out digits, attacks on the network itself (his best: 1e-4, 1e-4)"
    return table(title, ["penalty", *PAPER_1], rows)


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, 50 epochs, three seeds: some twenty minutes on two cores")
    parser.add_argument("--grid", action="store_true", help="also the nine penalties of the paper's grid")
    parser.add_argument("--epochs", type=at_least_one, help="epochs of training (default: 30, or 50 with --full)")
    parser.add_argument(
        "--seeds", type=at_least_one, help="number of seeds, from --seed on (default: 1, or 3 with --full)"
    )
    arguments = parser.parse_args()
    epochs, count = arguments.epochs or (50 if arguments.full else 30), arguments.seeds or (3 if arguments.full else 1)
    train_set, test = load_mnist() if arguments.full else load_digits()
    data = "whole MNIST" if arguments.full else "the bundled 8,000 + 2,000 digits"
    seeds = f"mean ± standard deviation over {count} seeds" if count > 1 else "one seed"
    plain, direct, transferred, clipped = [], [], [], []
    for seed in range(arguments.seed, arguments.seed + count):
        net, penalised = trained(train_set, epochs, seed), trained(train_set, epochs, seed, PENALTY)
        sets = four_sets(net, test, seed)
        plain.append(evaluate_all(net, sets))
        transferred.append(evaluate_all(penalised, sets))
        direct.append(evaluate_all(penalised, four_sets(penalised, test, seed)))
        clipped.append(evaluate_all(net, four_sets(net, test, seed, clip=True)))
        if seed == arguments.seed:
            folder = out_folder(arguments)
            write_figure(figure_1(net, sets), folder / "lacok_figure1.png")
            write_figure(coverage_figure(plain[0]), folder / "lacok_coverage.png")
    text = provenance(arguments.seed, count) + "\n" + "\n".join([
        f"{data}, {epochs} epochs, {seeds}\n",
        compare("Table 1: no regularisation", plain, PAPER_1),
        compare("Table 2, read straight: L1+L2, examples crafted on the L1+L2 network itself", direct, PAPER_2),
        compare("Table 2, as it comes out: L1+L2, examples crafted on the unregularised network", transferred, PAPER_2),
        transfer(direct, transferred),
        compare("Ablation: Table 1 with the images clipped to [0, 1]", clipped, PAPER_1),
        *([grid(train_set, epochs, arguments.seed)] if arguments.grid else []),
    ])  # fmt: skip
    print(text)
    write_text(out_folder(arguments) / "lacok.txt", text)


if __name__ == "__main__":
    main()
