"""Attacks within ε in L∞, compared with foolbox and torchattacks: speed, strength, and agreement with PyTorch.

    python -m tests.benchmarks.attack_contest                                    some minutes; trains a LeNet first
    python -m tests.benchmarks.attack_contest --plain a.npz --robust b.npz       with networks saved by `minidl.save`
    python -m tests.benchmarks.attack_contest --quick --peers                    a test that it runs; ignore the numbers

All libraries attack the same digits with the same weights, in one process.

1. Speed: PGD of 40 steps at ε = .3 on the plain network, in turns.  "minidl" stops for an image as soon as it is
   misclassified; foolbox does not, and "minidl, every step" does not either.
2. Strength: the robust accuracy under each attack, which is the fraction of the digits that are still classified
   correctly.  PyTorch computes the predictions for all libraries.  An image further than ε from its digit counts as not
   attacked.
3. Agreement: PyTorch's predictions of all our adversarial images, compared with ours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from attacks import AttackResult, pgd
from attacks.bounded.apgd import apgd
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential

from . import report, work
from .options import RESULTS, at_least_one, command_line, find_peers, use_backend, with_peers
from .peers import Peers
from .report import OURS, Result, Target
from .timing import OtherProcesses, in_turns

PGD_EPSILON = 0.3
Attack = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Subject:
    """An attacked network, as ours and as PyTorch's, and the first test digits.  ours: our results, for `agreement`."""

    name: str
    net: Sequential
    torch_net: Any
    x: np.ndarray
    y: np.ndarray
    ours: list[AttackResult] = field(default_factory=list)

    def take(self, count: int) -> Subject:
        """The same with the first `count` digits only."""
        return replace(self, x=self.x[:count], y=self.y[:count])

    def add(self, result: AttackResult) -> np.ndarray:
        """Add a result to `ours`; returns its images."""
        self.ours.append(result)
        return to_numpy(result.x_adv)

    def torch_predictions(self, x: np.ndarray) -> np.ndarray:
        """PyTorch's predictions."""
        torch = sys.modules["torch"]
        with torch.no_grad():
            parts = torch.from_numpy(x).to(next(self.torch_net.parameters()).device).split(500)
            return np.concatenate([self.torch_net(part).argmax(1).cpu().numpy() for part in parts])

    def predictions(self, x: np.ndarray) -> np.ndarray:
        """PyTorch's predictions if it is installed, so that they are the same for all libraries; else ours."""
        return work.predictions(self.net, x) if self.torch_net is None else self.torch_predictions(x)

    def correct(self, x_adv: np.ndarray, epsilon: float) -> np.ndarray:
        """Which digits are still classified correctly: (N,) bool."""
        within = abs(x_adv - self.x).reshape(len(self.x), -1).max(axis=1) <= epsilon + 1e-6
        return (self.predictions(x_adv) == self.y) | ~within & (self.predictions(self.x) == self.y)


# --- speed -----------------------------------------------------------------------------------------------


def speed(subject: Subject, peers: Peers, rounds: int) -> Iterator[Result]:
    """PGD of 40 steps at ε = .3, in turns."""
    net, x, y = subject.net, asarray(subject.x), asarray(subject.y)
    competitors: dict[str, Attack] = {
        OURS: lambda: to_numpy(pgd(net, x, y, epsilon=PGD_EPSILON, steps=40).x_adv),
        f"{OURS}, every step": lambda: to_numpy(pgd(net, x, y, epsilon=PGD_EPSILON, steps=40, early_stop=False).x_adv),
    }
    if peers.torch and peers.foolbox:
        from .bounded_peers import foolbox_pgd

        competitors["foolbox"] = foolbox_pgd(40)(subject.torch_net, subject.x, subject.y, PGD_EPSILON)
    if peers.torch and peers.torchattacks:
        from .bounded_peers import torchattacks_attack

        maker = torchattacks_attack("PGD", steps=40, alpha=0.01)
        competitors["torchattacks"] = maker(subject.torch_net, subject.x, subject.y, PGD_EPSILON)
    seconds, results = in_turns(competitors, rounds, 0.0)
    subject.ours.append(pgd(net, x, y, epsilon=PGD_EPSILON, steps=40))
    remarks = {who: f"success {1 - subject.correct(x, PGD_EPSILON).mean():.4f}" for who, x in results.items()}
    times = {who: [1e3 * s / len(x) for s in rounds_of_one] for who, rounds_of_one in seconds.items()}
    target = {"foolbox": Target(1 / 3)} if "foolbox" in times else None
    title = f"PGD-40, ε {PGD_EPSILON}, {subject.name}, per digit"
    yield report.compare("pgd", title, "ms", times, target, remarks)


# --- strength --------------------------------------------------------------------------------------------


def strength(subject: Subject, peers: Peers, epsilon: float) -> list[list[str]]:
    """Rows: network, ε, who, attack, robust accuracy, seconds."""
    rows: list[list[str]] = []
    correct_under_all: dict[str, np.ndarray] = {}  # by library

    def row(who: str, attack: str, x_adv: np.ndarray, seconds: float) -> None:
        correct = subject.correct(x_adv, epsilon)
        correct_under_all[who] = correct_under_all.get(who, correct) & correct
        rows.append([subject.name, f"{epsilon:g}", who, attack, f"{correct.mean():.4f}", f"{seconds:.1f}"])
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)

    row("", "none", subject.x, 0.0)
    for name, maker in _peers_attacks(peers):
        who, attack = name
        start = time.perf_counter()
        x_adv = maker(subject.torch_net, subject.x, subject.y, epsilon)()
        row(who, attack, x_adv, time.perf_counter() - start)
    start = time.perf_counter()
    result = apgd(subject.net, asarray(subject.x), asarray(subject.y), epsilon=epsilon)
    row(OURS, "apgd", subject.add(result), time.perf_counter() - start)
    theirs = [correct for who, correct in correct_under_all.items() if who not in ("", OURS)]
    if theirs:
        together = np.logical_and.reduce(theirs).mean()
        rows.append([subject.name, f"{epsilon:g}", "theirs", "all together", f"{together:.4f}", ""])
    return rows


def _peers_attacks(peers: Peers) -> Iterator[tuple[tuple[str, str], Any]]:
    if peers.torch and (peers.foolbox or peers.torchattacks):
        from .bounded_peers import STRONGEST

        for library, attacks in STRONGEST.items():
            if getattr(peers, library):
                yield from (((library, name), maker) for name, maker in attacks.items())


def verdict(rows: list[list[str]]) -> str:
    """A sentence: whether the robust accuracy under ours is at most that under the best single attack of theirs."""
    ours = next(float(row[4]) for row in rows if row[2] == OURS)
    best = min(
        ((float(row[4]), f"{row[2]} {row[3]}") for row in rows if row[2] not in ("", OURS, "theirs")), default=None
    )
    if best is None:
        return f"{rows[0][0]}: {ours:.4f} under ours; no peer to compare with."
    met = "met" if ours <= best[0] else "NOT met"
    return f"{rows[0][0]}: {ours:.4f} under ours, {best[0]:.4f} under the best of theirs ({best[1]}): {met}."


# --- agreement -------------------------------------------------------------------------------------------


def agreement(subject: Subject) -> str:
    """A sentence: for how many of our adversarial images PyTorch's prediction is the same as ours."""
    pairs = [(to_numpy(r.adv_pred), subject.torch_predictions(to_numpy(r.x_adv))) for r in subject.ours]
    same = np.concatenate([ours == theirs for ours, theirs in pairs])
    met = "met" if same.mean() >= 0.999 else "NOT met"
    return f"{subject.name}: PyTorch's prediction is ours for {same.sum()} of {same.size} of our images, {same.mean():.4%}; target 99.9 %: {met}."


# --- the command line ------------------------------------------------------------------------------------


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = with_peers(command_line("tests.benchmarks.attack_contest", __doc__), ("torch", "torchattacks", "foolbox"))
    parser.add_argument(
        "--plain", type=Path, metavar="FILE", help="the plain network (default: a LeNet is trained on the digits)"
    )
    parser.add_argument("--only", choices=("speed", "strength"), help="one of the two (default: both)")
    parser.add_argument("--robust", type=Path, metavar="FILE", help="an adversarially trained network")
    parser.add_argument("--epsilon", type=float, nargs=2, default=(0.1, 0.3), metavar="E",
                        help="ε for the plain and for the robust network (default: .1 .3)")  # fmt: skip
    parser.add_argument(
        "--digits", type=at_least_one, default=200, metavar="N", help="number of digits for strength (default: 200)"
    )
    parser.add_argument(
        "--fast-digits", type=at_least_one, default=1000, metavar="N", help="number of digits for speed (default: 1000)"
    )
    parser.add_argument("--full-mnist", action="store_true", help="the digits of whole MNIST, from `load_mnist`")
    return parser


def subjects(arguments: argparse.Namespace, peers: Peers, data: tuple[Dataset, Dataset], count: int) -> list[Subject]:
    """The networks to attack."""
    train, test = data
    digits = test.take(min(count, len(test.x)))
    nets = {
        "plain": minidl.load(arguments.plain)
        if arguments.plain
        else work.trained_lenet(train, 1 if arguments.quick else 4)
    }
    if arguments.robust:
        nets["robust"] = minidl.load(arguments.robust)
    mirror = peers.torch.mirror if peers.torch else lambda layers, weights: None
    mirrors = {name: mirror(net.layers.values(), work.numpy_params(net)) for name, net in nets.items()}
    return [Subject(name, net, mirrors[name], to_numpy(digits.x), to_numpy(digits.y)) for name, net in nets.items()]


def measure(arguments: argparse.Namespace) -> str:
    """Run everything; returns the text of the report."""
    peers, others = find_peers(arguments.peers), OtherProcesses()
    facts = report.provenance("tests.benchmarks.attack_contest", peers.status)
    data = load_mnist() if arguments.full_mnist else load_digits()
    if arguments.quick:
        data, arguments.digits, arguments.fast_digits = (data[0].take(256), data[1]), 8, 16
    networks = subjects(arguments, peers, data, max(arguments.fast_digits, arguments.digits))
    parts: list[str] = []
    if arguments.only != "strength":
        results = list(
            speed(networks[0].take(arguments.fast_digits), peers, arguments.repeats or (1 if arguments.quick else 5))
        )
        print(report.short(results[0]), file=sys.stderr, flush=True)
        parts += [report.table(results), ""]
    if arguments.only != "speed":
        tables = [strength(s.take(arguments.digits), peers, e) for s, e in zip(networks, arguments.epsilon)]
        heads = ["network", "ε", "who", "attack", "robust accuracy", "seconds"]
        rows = report.columns([heads, *chain(*tables)], left=("network", "who", "attack"))
        parts += [
            f"Robust accuracy on the first {arguments.digits} test digits",
            "",
            *rows,
            "",
            *map(verdict, tables),
            "",
        ]
    parts += [agreement(subject) for subject in networks if subject.torch_net is not None and subject.ours]
    return "\n".join([report.head(facts | others.fact()), "", *parts, ""])


def main() -> None:
    """Measure, print, write."""
    arguments = options().parse_args()
    with use_backend(arguments.backend):
        text = measure(arguments)
    print(text)
    if arguments.out or not arguments.quick:
        name = "attack_contest.txt" if arguments.only is None else f"attack_{arguments.only}.txt"
        report.write_text((arguments.out or RESULTS) / name, text)


if __name__ == "__main__":
    main()
