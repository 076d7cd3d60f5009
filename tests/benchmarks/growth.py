"""How run time grows: a training step and an input gradient with the batch, a Jacobian with the classes.

    python -m tests.benchmarks.growth

Medians of runs in turns, as in ``python -m tests.benchmarks``.  Writes growth.txt and a figure for each of the two.
The Jacobian is that of a dense network 784-625-625-K, in forward and in reverse mode.  The mode "auto" chooses the one
of fewer walks.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from attacks import plots
from minidl import models

from . import report, work
from .contests import QUICK, Bench, Sizes
from .options import RESULTS, command_line, find_peers, use_backend, with_peers
from .timing import OtherProcesses, in_turns

BATCHES = [1, 4, 16, 64, 256, 1024]
CLASSES = [2, 10, 50, 200, 784, 2000]
DIGITS = 2000  # to make batches of

Lines = dict[str, list[float]]  # milliseconds, by what is timed


def by_batch(bench: Bench, sizes: Sequence[int], repeats: int) -> Lines:
    """A training step and an input gradient of LeNet, ours and PyTorch's: milliseconds per digit."""
    torch, lines, (x, y) = bench.peers.torch, {}, bench.images(DIGITS)
    for size in sizes:
        net = models.lenet()
        weights = work.numpy_params(net)
        batches = [(x[i : i + size], y[i : i + size]) for i in range(0, DIGITS - size + 1, size)][:8]
        calls = {
            "training step": work.training_step(net, batches),
            "input gradient": work.input_gradient(models.lenet(), *batches[0]),
        }
        if torch:
            calls["training step, torch"] = torch.training_step(torch.lenet, weights, batches)
            calls["input gradient, torch"] = torch.input_gradient(weights, *batches[0])
        _extend(lines, calls, repeats, bench.sizes.turn, size)
    return lines


def by_classes(bench: Bench, classes: Sequence[int], repeats: int) -> Lines:
    """The Jacobian of a dense network in both modes: milliseconds per digit."""
    x, lines = bench.images(4)[0], {}
    for count in classes:
        net = models.mlp(classes=count)
        calls = {f"{mode} walk": work.jacobian(net, x, mode) for mode in ("reverse", "forward")}
        _extend(lines, calls, repeats, bench.sizes.turn, len(x))
    return lines


def _extend(lines: Lines, calls: dict[str, Callable[[], Any]], repeats: int, turn: float, digits: int) -> None:
    for name, seconds in in_turns(calls, repeats, turn)[0].items():
        lines.setdefault(name, []).append(1e3 * statistics.median(seconds) / digits)


def table(title: str, x_label: str, x: Sequence[int], lines: Lines) -> str:
    """The lines as columns of a table."""
    rows = [[str(size), *(report.number(ms[i]) for ms in lines.values())] for i, size in enumerate(x)]
    return "\n".join([title, *report.columns([[x_label, *lines], *rows]), ""])


def figure(title: str, x_label: str, x: Sequence[int], lines: Lines) -> Any:
    """A figure of the lines, with logarithmic axes."""
    drawn = plots.curves(x, lines, title=title, x_label=x_label, y_label="ms per digit", y_limits=None)
    drawn.axes[0].set(xscale="log", yscale="log")
    return drawn


def measure(arguments: argparse.Namespace) -> None:
    """Measure both, print, write, draw."""
    bench, others = Bench(QUICK if arguments.quick else Sizes(), find_peers(arguments.peers)), OtherProcesses()
    facts, out = report.provenance("tests.benchmarks.growth", bench.peers.status), arguments.out or RESULTS
    repeats = arguments.repeats or (1 if arguments.quick else 9)
    batches, classes = ([1, 8], [2, 5]) if arguments.quick else (BATCHES, CLASSES)
    tables = []
    for name, growth, title, x_label, x in (
        ("batch", by_batch, "LeNet: time per digit", "batch", batches),
        ("classes", by_classes, "784-625-625-K: time of a Jacobian", "K", classes),
    ):
        lines = growth(bench, x, repeats)
        tables.append(table(f"{title}, ms", x_label, x, lines))
        report.write_figure(out / f"growth_{name}.png", figure(title, x_label, x, lines))
    text = "\n".join([report.head(facts | others.fact()), "", *tables])
    print(text)
    report.write_text(out / "growth.txt", text)


def main() -> None:
    """The command line."""
    arguments = with_peers(command_line("tests.benchmarks.growth", __doc__), ("torch",)).parse_args()
    with use_backend(arguments.backend):
        measure(arguments)


if __name__ == "__main__":
    main()
