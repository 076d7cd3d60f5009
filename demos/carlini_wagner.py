"""The closest adversarial digits: Carlini and Wagner 2017, "Towards evaluating the robustness of neural networks".

    python demos/carlini_wagner.py                  bundled digits, two of them: two or three minutes on two cores
    python demos/carlini_wagner.py --full           whole MNIST, 100 test digits, about an hour on two cores, resumable
    python demos/carlini_wagner.py --weights FILE   a network that was trained before

Their network for MNIST learns the digits; then each of the first test digits that it reads correctly is turned into
each of the nine others, by their three attacks and by the ones they compare with (their Table IV).  Distances are those
of the successful attacks:  *best case*, the easiest target of each digit;  *average case*, all targets;  *worst case*,
the hardest target of each digit, for those that reach all nine.  Where not all succeed, the share stands beside.

FGSM and BIM are given more and more ε, .01 at a time, until they reach the target.  JSMA may change every pixel.

How far a digit is from another is a property of the network as much as of the attack, which can only say that it is no
farther: a smaller number than theirs may be a weaker network, a greater one a stronger network or a weaker attack.
Theirs was trained for 50 epochs of SGD at .01; ours for fewer, the last of them at .002.

--full can be interrupted and called again; finished parts lie in demos/out/checkpoints, each of 25 digits: --digits 25
is the first of them.  --only picks attacks, and then nothing but parts is written.
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
from common import HERE, at_least_one, command_line, out_folder, provenance, table, train, write_figure, write_text

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

LADDER = [k / 100 for k in range(1, 101)]  # of ε
CHUNK = 25  # digits to a part
FOUND = ("x_adv", "success", "length", "source", "target", "iterations")


@dataclass(frozen=True)
class Row:
    """An attack: how to run it, the norm it is measured in, and what the paper found: best, average, worst case."""

    run: Callable[..., AttackResult]
    norm: str
    paper: tuple[str, str, str]


def least_epsilon(attack: Callable[..., Any], victim: Victim, x: Any, goal: Targeted, **options: Any) -> AttackResult:
    """The result at the least ε of the ladder, example by example; at the last where none will do."""
    ladder: list[AttackResult] = attack(victim, x, goal, epsilon=LADDER, **options)
    success = np.stack([to_numpy(result.success) for result in ladder])
    first = np.where(success.any(axis=0), success.argmax(axis=0), len(ladder) - 1)
    last, images = ladder[-1], np.stack([to_numpy(result.x_adv) for result in ladder])
    x_adv = asarray(images[first, np.arange(len(first))])
    return AttackResult(last.x, x_adv, asarray(success.any(axis=0)), last.goal, last.clean_pred, last.adv_pred,
                        last.iterations, last.forwards, last.backwards, last.seed, last.params,
                        last.seconds)  # fmt: skip


ROWS = {
    "C&W L2": Row(cw_l2, "l2", ("1.36", "1.76", "2.60")),
    "C&W L0": Row(cw_l0, "l0", ("8.5", "16", "33")),
    "JSMA": Row(partial(jsma, max_distortion=1.0), "l0", ("20", "56", "180 (98 %)")),
    "C&W L∞": Row(cw_linf, "linf", (".13", ".16", ".23")),
    "FGSM": Row(partial(least_epsilon, fgsm), "linf", (".22", ".26 (42 %)", "- (0 %)")),
    "BIM": Row(partial(least_epsilon, partial(bim, steps=20, early_stop=True)), "linf", (".14", ".19", ".26")),
}


def network(data: Dataset, seed: int, epochs: tuple[int, int], kept: Path) -> Sequential:
    """Carlini's network, trained in two phases; each keeps a checkpoint, so that a second call has nothing to do."""
    net = models.carlini(seed=seed)
    for phase, (lr, count) in enumerate(zip((0.01, 0.002), epochs)):
        name = f"carlini, {len(data)} digits, seed {seed}, phase {phase}, {count} epochs.npz"
        train(net, data, epochs=count, optimizer=SGD(lr, 0.9, True), seed=seed + 1000 * phase,
              checkpoint=kept / name)  # fmt: skip
    return net


def attack_all(name: str, net: Sequential, x: Any, kept: Path, **options: Any) -> dict[str, np.ndarray]:
    """Every digit against every other class, a part at a time, each kept on disk; and how long it took."""
    digest = f"{sum(float(abs(w).sum()) for w in net.params.values()):.3f}"  # of the very network
    parts = []
    for i in bar(range(0, len(x), CHUNK), f"{name}, all", len(x) > CHUNK, unit="part"):
        last = min(i + CHUNK, len(x))
        path = kept / "carlini_wagner" / f"{name.replace('&', '')}, net {digest}, digits {i} to {last}.npz"
        if not path.exists():
            start, victim = time.perf_counter(), Victim(net, batch_size=128)
            which, targets = every_other_class(victim.predict(x[i:last]), 10)
            result = ROWS[name].run(victim, x[i:last][which], Targeted(targets), progress=True, **options)
            if result.params.get("interrupted"):
                raise SystemExit("interrupted; call again to go on")
            found = (result.x_adv, result.success, getattr(result, ROWS[name].norm), result.clean_pred, targets,
                     result.iterations)  # fmt: skip
            write_archive(path, "part", {"seconds": time.perf_counter() - start}, dict(zip(FOUND, found)))
        header, arrays = read_archive(path, "part")
        parts.append(arrays | {"seconds": np.array([header["seconds"]])})
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def cases(found: dict[str, np.ndarray]) -> tuple[str, str, str]:
    """Mean distances in the best, average and worst case, with the share that succeeds where that is not all."""
    success, length = (found[key].reshape(-1, 9) for key in ("success", "length"))  # nine attacks on each digit
    some, each = success.any(axis=1), success.all(axis=1)
    best = np.where(success, length, np.inf).min(axis=1)[some]
    return tuple(map(_cell, (best, length[success], length[each].max(axis=1, initial=0)), (some, success, each)))  # type: ignore[return-value]


def _cell(lengths: np.ndarray, succeeded: np.ndarray) -> str:
    mean = f"{lengths.mean():.3g}" if lengths.size else "-"
    return mean if succeeded.all() else f"{mean} ({100 * succeeded.mean():.3g} %)"


PAPER = "paper,\nMNIST"
HEADS = ["attack", "norm", "best case", PAPER, "average", PAPER, "worst case", PAPER, "steps", "ms each"]


def row(name: str, found: dict[str, np.ndarray]) -> list[Any]:
    """One line of the table."""
    both = [cell for pair in zip(cases(found), ROWS[name].paper) for cell in pair]
    milliseconds = 1e3 * found["seconds"].sum() / len(found["success"])
    norm = {"l0": "L0", "l2": "L2", "linf": "L∞"}[ROWS[name].norm]
    return [name, norm, *both, f"{found['iterations'].mean():.0f}", f"{milliseconds:.0f}"]


def grid(name: str, found: dict[str, np.ndarray], x: np.ndarray) -> Any:
    """Their Figures 3 to 5: the first digit of each class (row), turned into each class (column)."""
    source = found["source"].reshape(-1, 9)[:, 0]
    classes, first = np.unique(source, return_index=True)
    images: list[list[Any]] = [[x[i]] * 10 for i in first]
    failed = [[False] * 10 for _ in first]
    for r, i in enumerate(first):
        for k in range(9 * i, 9 * i + 9):
            t = int(found["target"][k])
            images[r][t], failed[r][t] = found["x_adv"][k], not bool(found["success"][k])
    title, names = f"{name}: the nearest that is taken for the target", list(map(str, range(10)))
    return plots.image_grid(images, title=title, rows=list(map(str, classes)), columns=names, framed=failed,
                            row_label="source",
                            column_label="target (the source's own: as it is; framed: not reached)")  # fmt: skip


def main() -> None:
    """Train or load, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, 100 digits; about an hour on two cores, resumable")
    parser.add_argument("--weights", type=Path, help="a network in a file, instead of training one")
    parser.add_argument("--digits", type=at_least_one, help="to attack (default: 2, or 100 with --full)")
    parser.add_argument("--epochs", type=at_least_one, nargs=2, help="of both phases (default: 5 2, 14 4 with --full)")
    parser.add_argument("--learn-from", type=at_least_one, help="so many training digits (default: all)")
    parser.add_argument("--steps", type=at_least_one, help="of Adam, at most, for each c (default: 1000)")
    parser.add_argument("--only", nargs="+", choices=sorted(ROWS), help="attacks to run now, to collect later")
    arguments = parser.parse_args()
    if arguments.full and arguments.steps:
        parser.error("--full keeps its parts, which know of 1000 steps only")
    train_set, test = load_mnist() if arguments.full else load_digits()
    train_set = train_set.take(arguments.learn_from or len(train_set))
    with tempfile.TemporaryDirectory() as passing:  # a short run leaves nothing behind that a later one would find
        kept = HERE / "out" / "checkpoints" if arguments.full else Path(passing)
        epochs = tuple(arguments.epochs or ((14, 4) if arguments.full else (5, 2)))
        net = minidl.load(arguments.weights) if arguments.weights else network(train_set, arguments.seed, epochs, kept)
        run(arguments, net, test, kept)


def run(arguments: Any, net: Sequential, test: Dataset, kept: Path) -> None:
    """All attacks on the first digits that the network reads correctly."""
    error = minidl.train.evaluate(net, test).error
    print(f"network: error {error:.4f} on {len(test)} test digits", flush=True)
    few = test.take(2000)
    right = np.flatnonzero(to_numpy(net(few.x).argmax(axis=1) == few.y))
    x = few.x[asarray(right[: arguments.digits or (100 if arguments.full else 2)])]
    found = {}
    for name in arguments.only or ROWS:
        options = {"steps": arguments.steps} if arguments.steps and name.startswith("C&W") else {}
        found[name] = attack_all(name, net, x, kept, **options)
    data = "whole MNIST" if arguments.full else "the bundled digits"
    title = f"Mean distances, {len(x)} test digits × 9 targets, {data}; the network's error is {error:.4f}"
    text = table(title, HEADS, [row(name, each) for name, each in found.items()])
    print(f"\n{text}")
    if arguments.only:
        return
    folder = out_folder(arguments)
    for name in ("C&W L2", "C&W L0", "C&W L∞"):
        write_figure(grid(name, found[name], to_numpy(x)), folder / f"carlini_wagner_{ROWS[name].norm}.png")
    write_text(folder / "carlini_wagner.txt", provenance(arguments.seed) + "\n" + text)


if __name__ == "__main__":
    main()
