"""Carlini and Wagner 2017, "Towards evaluating the robustness of neural networks": Table IV and Figures 3 to 5.

    python demos/carlini_wagner.py                  bundled digits, two of them: two or three minutes on two cores
    python demos/carlini_wagner.py --full           whole MNIST, 100 test digits: about an hour on two cores
    python demos/carlini_wagner.py --weights FILE   a trained network, saved by minidl.save

The table shows how small a perturbation is enough to turn a digit into another.  The paper's network for MNIST is
trained.  Each of the first correctly classified test digits is then turned into each of the nine other classes, by the
paper's three attacks (L2, L0, L∞) and by the attacks that the paper compares them with.

The distances are those of the successful attacks.  *Best case*: the easiest target of each digit.  *Average case*: all
targets.  *Worst case*: the hardest target of each digit, over the digits for which all nine targets are reached.  If
not all attacks succeed, the success rate is printed beside the distance.

FGSM and BIM run with ε = .01, .02, …, 1; the smallest ε that reaches the target counts.  JSMA may change every pixel.

Differences from the paper.  The paper's network was trained for 50 epochs of SGD with learning rate .01; ours for
fewer, the last of them with .002.  A distance depends on the network as well as on the attack, and an attack gives only
an upper bound of it.  So a smaller distance than the paper's may mean a weaker network; a larger one may mean a
stronger network or a weaker attack.

--full can be interrupted and called again.  Its results are saved in demos/out/checkpoints in parts of 25 digits; with
--digits 25 only the first part is computed.  With --only some of the attacks run, and only parts are saved.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    correctly_classified,
    finished,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

import minidl
from attacks import AttackResult, Targeted, Victim, bim, fgsm, jsma, plots
from attacks.minimal.carlini_wagner import cw_l0, cw_l2, cw_linf
from attacks.minimal.jsma import every_other_class
from minidl import models
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.npz import read_archive, write_archive
from minidl.optim import SGD
from minidl.progress import bar

EPSILONS = [k / 100 for k in range(1, 101)]  # for FGSM and BIM
CHUNK = 25  # digits in each part
ARRAYS = ("x_adv", "success", "length", "source", "target", "iterations")


@dataclass(frozen=True)
class Row:
    """An attack: the function, the norm it is measured in, and the paper's distances: best, average, worst case."""

    run: Callable[..., AttackResult]
    norm: str
    paper: tuple[str, str, str]


def smallest_epsilon(
    attack: Callable[..., Any], victim: Victim, x: Any, goal: Targeted, **options: Any
) -> AttackResult:
    """For each example the result at the smallest of `EPSILONS` that succeeds, or at the last if none succeeds."""
    results: list[AttackResult] = attack(victim, x, goal, epsilon=EPSILONS, **options)
    success = np.stack([to_numpy(result.success) for result in results])
    first = np.where(success.any(axis=0), success.argmax(axis=0), len(results) - 1)
    last, images = results[-1], np.stack([to_numpy(result.x_adv) for result in results])
    x_adv = asarray(images[first, np.arange(len(first))])
    return AttackResult(last.x, x_adv, asarray(success.any(axis=0)), last.goal, last.clean_pred, last.adv_pred,
                        last.iterations, last.forwards, last.backwards, last.seed, last.params,
                        last.seconds)  # fmt: skip


ROWS = {
    "C&W L2": Row(cw_l2, "l2", ("1.36", "1.76", "2.60")),
    "C&W L0": Row(cw_l0, "l0", ("8.5", "16", "33")),
    "JSMA": Row(partial(jsma, max_distortion=1.0), "l0", ("20", "56", "180 (98 %)")),
    "C&W L∞": Row(cw_linf, "linf", (".13", ".16", ".23")),
    "FGSM": Row(partial(smallest_epsilon, fgsm), "linf", (".22", ".26 (42 %)", "- (0 %)")),
    "BIM": Row(partial(smallest_epsilon, partial(bim, steps=20, early_stop=True)), "linf", (".14", ".19", ".26")),
}


def network(data: Dataset, seed: int, epochs: tuple[int, int], checkpoints: Path) -> Sequential:
    """Train Carlini's network in two phases; each is saved in a checkpoint, and a second call loads it."""
    net = models.carlini(seed=seed)
    for phase, (lr, count) in enumerate(zip((0.01, 0.002), epochs)):
        name = f"carlini, {len(data)} digits, seed {seed}, phase {phase}, {count} epochs.npz"
        train(net, data, epochs=count, optimizer=SGD(lr, 0.9, True), seed=seed + 1000 * phase,
              checkpoint=checkpoints / name)  # fmt: skip
    return net


def attack_all(name: str, net: Sequential, x: Any, checkpoints: Path, **options: Any) -> dict[str, np.ndarray]:
    """Attack every digit with every other class as the target; each part is saved on disk, with its seconds."""
    digest = f"{sum(float(abs(w).sum()) for w in net.params.values()):.3f}"  # identifies the network
    parts = []
    for i in bar(range(0, len(x), CHUNK), f"{name}, all", len(x) > CHUNK, unit="part"):
        last = min(i + CHUNK, len(x))
        path = checkpoints / "carlini_wagner" / f"{name.replace('&', '')}, net {digest}, digits {i} to {last}.npz"
        if not path.exists():
            start, victim = time.perf_counter(), Victim(net, batch_size=128)
            which, targets = every_other_class(victim.predict(x[i:last]), 10)
            result = ROWS[name].run(victim, x[i:last][which], Targeted(targets), progress=True, **options)
            finished(result, "call again to continue")
            values = (result.x_adv, result.success, getattr(result, ROWS[name].norm), result.clean_pred, targets,
                      result.iterations)  # fmt: skip
            write_archive(path, "part", {"seconds": time.perf_counter() - start}, dict(zip(ARRAYS, values)))
        header, arrays = read_archive(path, "part")
        parts.append(arrays | {"seconds": np.array([header["seconds"]])})
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def cases(attacks: dict[str, np.ndarray]) -> tuple[str, str, str]:
    """Mean distances in the best, average and worst case, with the success rate if it is below 100 %."""
    success, distance = (attacks[key].reshape(-1, 9) for key in ("success", "length"))  # nine attacks on each digit
    some, each = success.any(axis=1), success.all(axis=1)
    best = np.where(success, distance, np.inf).min(axis=1)[some]
    return tuple(map(_cell, (best, distance[success], distance[each].max(axis=1, initial=0)), (some, success, each)))  # type: ignore[return-value]


def _cell(distances: np.ndarray, success: np.ndarray) -> str:
    mean = f"{distances.mean():.3g}" if distances.size else "-"
    return mean if success.all() else f"{mean} ({100 * success.mean():.3g} %)"


PAPER = "paper,\nMNIST"
HEADS = ["attack", "norm", "best case", PAPER, "average", PAPER, "worst case", PAPER, "steps", "ms each"]


def row(name: str, attacks: dict[str, np.ndarray]) -> list[Any]:
    """One line of the table."""
    both = [cell for pair in zip(cases(attacks), ROWS[name].paper) for cell in pair]
    milliseconds = 1e3 * attacks["seconds"].sum() / len(attacks["success"])
    norm = {"l0": "L0", "l2": "L2", "linf": "L∞"}[ROWS[name].norm]
    return [name, norm, *both, f"{attacks['iterations'].mean():.0f}", f"{milliseconds:.0f}"]


def grid(name: str, attacks: dict[str, np.ndarray], x: np.ndarray) -> Any:
    """The paper's Figures 3 to 5: the first digit of each class (row), turned into each class (column)."""
    source = attacks["source"].reshape(-1, 9)[:, 0]
    classes, first = np.unique(source, return_index=True)
    images: list[list[Any]] = [[x[i]] * 10 for i in first]
    failed = [[False] * 10 for _ in first]
    for r, i in enumerate(first):
        for k in range(9 * i, 9 * i + 9):
            t = int(attacks["target"][k])
            images[r][t], failed[r][t] = attacks["x_adv"][k], not bool(attacks["success"][k])
    title, names = f"{name}: the nearest that is taken for the target", list(map(str, range(10)))
    return plots.image_grid(images, title=title, rows=list(map(str, classes)), columns=names, framed=failed,
                            row_label="source",
                            column_label="target (the source's own: as it is; framed: not reached)")  # fmt: skip


def main() -> None:
    """Train or load, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, 100 digits: about an hour on two cores; can be interrupted")
    parser.add_argument("--weights", type=Path, help="load a network from this file instead of training one")
    parser.add_argument("--digits", type=at_least_one, help="test digits to attack (default: 2, or 100 with --full)")
    parser.add_argument(
        "--epochs", type=at_least_one, nargs=2, help="epochs of the two phases (default: 5 2, or 14 4 with --full)"
    )
    parser.add_argument("--learn-from", type=at_least_one, help="train on so many digits (default: all)")
    parser.add_argument("--steps", type=at_least_one, help="steps of Adam for each c, at most (default: 1000)")
    parser.add_argument("--only", nargs="+", choices=sorted(ROWS), help="run these attacks, and save their parts only")
    arguments = parser.parse_args()
    if arguments.full and arguments.steps:
        parser.error("--full cannot be combined with --steps: its saved parts are for 1000 steps")
    train_set, test = load_mnist() if arguments.full else load_digits()
    train_set = train_set.take(arguments.learn_from or len(train_set))
    with tempfile.TemporaryDirectory() as temporary:  # a short run leaves no checkpoints for a later one
        checkpoints = HERE / "out" / "checkpoints" if arguments.full else Path(temporary)
        epochs = tuple(arguments.epochs or ((14, 4) if arguments.full else (5, 2)))
        if arguments.weights:
            net = minidl.load(arguments.weights)
        else:
            net = network(train_set, arguments.seed, epochs, checkpoints)
        run(arguments, net, test, checkpoints)


def run(arguments: Any, net: Sequential, test: Dataset, checkpoints: Path) -> None:
    """Run all attacks on the first correctly classified digits, print and draw."""
    error = minidl.train.evaluate(net, test).error
    print(f"network: error {error:.4f} on {len(test)} test digits", flush=True)
    x = correctly_classified(test.take(2000), net).x[: arguments.digits or (100 if arguments.full else 2)]
    attacks = {}
    for name in arguments.only or ROWS:
        options = {"steps": arguments.steps} if arguments.steps and name.startswith("C&W") else {}
        attacks[name] = attack_all(name, net, x, checkpoints, **options)
    data = "whole MNIST" if arguments.full else "the bundled digits"
    title = f"Mean distances, {len(x)} test digits × 9 targets, {data}; the network's error is {error:.4f}"
    text = table(title, HEADS, [row(name, arrays) for name, arrays in attacks.items()])
    print(f"\n{text}")
    if arguments.only:
        return
    folder = out_folder(arguments)
    for name in ("C&W L2", "C&W L0", "C&W L∞"):
        write_figure(grid(name, attacks[name], to_numpy(x)), folder / f"carlini_wagner_{ROWS[name].norm}.png")
    write_text(folder / "carlini_wagner.txt", provenance(arguments.seed) + "\n" + text)


if __name__ == "__main__":
    main()
