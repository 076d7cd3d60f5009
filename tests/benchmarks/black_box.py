"""Attacks by labels alone, compared with foolbox, and the attack on decision trees, compared with ART.

    python -m tests.benchmarks.black_box                    a quarter of an hour; trains a LeNet and trees first
    python -m tests.benchmarks.black_box --quick --peers    a test that it runs; ignore the numbers

1. HopSkipJump, on the same LeNet and digits, in one process.  foolbox takes a number of steps instead of a number of
   queries: the least with which it makes at least as many.  Its queries are counted by the network.  PyTorch computes
   the predictions for both; a failure counts as infinitely far.
2. The exact attack on decision trees of scikit-learn, beside ART's, on the same trees and digits.  scikit-learn computes
   the predictions for both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from attacks import hopskipjump, tree_attack
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits
from minidl.models import Sequential

from . import report, work
from .attack_contest import Subject
from .options import RESULTS, at_least_one, command_line, find_peers, use_backend, with_peers
from .peers import Peers
from .report import OURS
from .timing import OtherProcesses, once_each

QUERIES = (1000, 5000, 10_000)
TREES = 5
MARGIN = 50  # of foolbox: about as many queries a step takes beside its probes, and at first


def median(distances: np.ndarray, success: np.ndarray) -> float:
    """The median distance, where a failure counts as infinitely far."""
    return float(np.median(np.where(success, distances, np.inf)))


# --- HopSkipJump -----------------------------------------------------------------------------------------


class Foolbox:
    """foolbox's HopSkipJump on a PyTorch network, with a count of the queries."""

    def __init__(self, foolbox: Any, net: Any, x: np.ndarray, y: np.ndarray) -> None:
        self.queries, self.foolbox, self.torch = 0, foolbox, sys.modules["torch"]
        torch, device = self.torch, next(net.parameters()).device

        class Counted(torch.nn.Module):  # type: ignore[misc, name-defined]
            def forward(_, images: Any) -> Any:
                self.queries += len(images)
                return net(images)

        self.victim = foolbox.PyTorchModel(Counted().eval(), bounds=(0, 1), device=device)
        self.images, self.labels = (torch.from_numpy(a).to(device) for a in (x, y.astype(np.int64)))

    def attack(self, steps: int, count: int | None = None) -> np.ndarray:
        """Adversarial images after so many steps, of the first `count` images or of all; it counts their queries."""
        self.torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  # foolbox draws from it
        self.queries = 0
        attack = self.foolbox.attacks.HopSkipJumpAttack(steps=steps)
        return attack(self.victim, self.images[:count], self.labels[:count], epsilons=None)[1].cpu().numpy()

    def steps_for(self, queries: int) -> int:
        """The least number of steps with which it makes at least as many queries for each image, tried on three.

        A step t takes 100·√t probes and some twenty queries; the first guess is from below.
        """
        count, steps = min(3, len(self.images)), 1
        while sum(int(100 * t**0.5) for t in range(1, steps + 1)) + MARGIN * steps < queries:
            steps += 1
        self.attack(steps, count)
        while self.queries < queries * count:
            steps += 1
            self.attack(steps, count)
        return steps


def label_attacks(net: Sequential, digits: Dataset, peers: Peers, budgets: tuple[int, ...]) -> list[str]:
    """A table: who, queries, success, median L2, seconds; and a verdict for each budget."""
    x, y = to_numpy(digits.x), to_numpy(digits.y)
    torch_net = peers.torch.mirror(net.layers.values(), work.numpy_params(net)) if peers.torch else None
    subject = Subject("LeNet", net, torch_net, x, y)
    theirs = Foolbox(peers.foolbox, torch_net, x, y) if torch_net is not None and peers.foolbox else None
    rows, verdicts = [["budget", "who", "queries", "success", "median L2", "seconds", "µs a query"]], []
    for budget in budgets:
        competitors: dict[str, Callable[[], Any]] = {
            OURS: lambda budget=budget: hopskipjump(net, asarray(x), asarray(y), queries=budget)
        }
        if theirs is not None:
            steps = theirs.steps_for(budget)
            competitors["foolbox"] = lambda steps=steps: theirs.attack(steps)
        hopskipjump(net, asarray(x[:5]), asarray(y[:5]), queries=100)  # to compile and to warm up
        seconds, results = once_each(competitors)
        measured = {}
        for who, result in results.items():
            images = to_numpy(result.x_adv) if who == OURS else result
            queries = float(result.iterations.mean()) if who == OURS else theirs.queries / len(x)
            success = subject.predictions(images) != y
            reached = median(np.linalg.norm((images - x).reshape(len(x), -1), axis=1), success)
            measured[who] = reached, seconds[who]
            rows.append([f"{budget}", who, f"{queries:.0f}", f"{success.mean():.4f}", f"{reached:.4f}",
                         f"{seconds[who]:.1f}", f"{1e6 * seconds[who] / (queries * len(x)):.1f}"])  # fmt: skip
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
        if "foolbox" in measured:
            (ours, our_time), (their, their_time) = measured[OURS], measured["foolbox"]
            verdicts.append(f"{budget} queries: distance {ours / their:.3f} of theirs, target 1: {met(ours <= their)}; "
                            f"time {our_time / their_time:.3f}, target .5: {met(our_time <= 0.5 * their_time)}.")  # fmt: skip
    title = f"HopSkipJump, L2, LeNet, the first {len(x)} test digits that it classifies correctly"
    return [title, "", *report.columns(rows, left=("who",)), "", *verdicts, ""]


def met(reached: bool) -> str:
    """Whether a target was met, in words."""
    return "met" if reached else "NOT met"


# --- trees -----------------------------------------------------------------------------------------------


def tree_attacks(train: Dataset, test: Dataset, peers: Peers, trees: int) -> list[str]:
    """A table: who, success, median L2, seconds, over several trees."""
    try:
        from sklearn.tree import DecisionTreeClassifier
    except ImportError as error:
        return [f"Decision trees: missing: {error}", ""]
    x, y = to_numpy(test.x).reshape(len(test), -1), to_numpy(test.y)
    lengths: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for number in range(trees):
        rng = np.random.default_rng(number)
        which = rng.permutation(len(train))[: len(train) // 2]
        rows = to_numpy(train.x).reshape(len(train), -1)[which]
        tree = DecisionTreeClassifier(random_state=number).fit(rows, to_numpy(train.y)[which])
        correct = tree.predict(x) == y
        images, labels = x[correct], y[correct]
        makers: dict[str, Callable[[], np.ndarray]] = {
            OURS: lambda t=tree, i=images, k=labels: tree_attack(t, i, k).x_adv
        }
        if peers.art:
            makers["ART"] = lambda t=tree, i=images: _art(t, i)
        for who, make in makers.items():
            start = time.perf_counter()
            moved = make()
            seconds[who] = seconds.get(who, 0.0) + time.perf_counter() - start
            success = tree.predict(moved) != labels
            lengths.setdefault(who, []).append(np.where(success, np.linalg.norm(moved - images, axis=1), np.inf))
    table = [["who", "images", "success", "median L2", "mean L2 of successes", "seconds"]]
    reached = {who: np.concatenate(parts) for who, parts in lengths.items()}
    for who, distances in reached.items():
        done = np.isfinite(distances)
        table.append([who, f"{len(distances)}", f"{done.mean():.4f}", f"{np.median(distances):.5f}",
                      f"{distances[done].mean():.5f}", f"{seconds[who]:.2f}"])  # fmt: skip
    lines = [f"The nearest leaf of another class: {trees} decision trees, test digits that they classify correctly", ""]
    lines += [*report.columns(table, left=("who",)), ""]
    if "ART" in reached:
        closer, farther = (int((reached[a] < reached[b] - 1e-6).sum()) for a, b in ((OURS, "ART"), ("ART", OURS)))
        lines += [f"Ours is closer for {closer} images, ART's for {farther}.", ""]
    return lines


def _art(tree: Any, images: np.ndarray) -> np.ndarray:
    """ART's attack of a decision tree, with its smallest usual offset."""
    from art.attacks.evasion import DecisionTreeAttack
    from art.estimators.classification import SklearnClassifier

    return DecisionTreeAttack(SklearnClassifier(tree), offset=1e-6, verbose=False).generate(images)


# --- the command line ------------------------------------------------------------------------------------


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = with_peers(command_line("tests.benchmarks.black_box", __doc__), ("torch", "foolbox", "art"))
    parser.add_argument("--digits", type=at_least_one, default=100, metavar="N", help="for HopSkipJump (default: 100)")
    return parser


def measure(arguments: argparse.Namespace) -> str:
    """Run everything; returns the text of the report."""
    peers, others = find_peers(arguments.peers), OtherProcesses()
    facts = report.provenance("tests.benchmarks.black_box", peers.status)
    train, test = load_digits()
    budgets, trees, epochs = QUERIES, TREES, 4
    if arguments.quick:
        train, test, budgets, trees, epochs, arguments.digits = train.take(2000), test.take(50), (60,), 1, 2, 3
    net = work.trained_lenet(train, epochs)
    correct = np.flatnonzero(work.predictions(net, to_numpy(test.x)) == to_numpy(test.y))
    digits = test.take(asarray(correct[: arguments.digits]))
    parts = label_attacks(net, digits, peers, budgets) + tree_attacks(train, test, peers, trees)
    return "\n".join([report.head(facts | others.fact()), "", *parts])


def main() -> None:
    """Measure, print, write."""
    arguments = options().parse_args()
    with use_backend(arguments.backend):
        text = measure(arguments)
    print(text)
    if arguments.out or not arguments.quick:
        report.write_text((arguments.out or RESULTS) / "black_box.txt", text)


if __name__ == "__main__":
    main()
