"""Run times of minidl and its peers (PyTorch, JAX, …): the same work, in turns, in one process.

    python -m tests.benchmarks                       everything: some minutes; run nothing else on the machine
    python -m tests.benchmarks --only mlp lenet      some contests
    python -m tests.benchmarks --quick --peers       a test that it runs, in seconds; ignore the numbers

In the table, "ours / this" is a ratio of run times: the median, over all rounds, of ours ÷ theirs in the same round.
The "middle half" goes from the first to the third quartile of these ratios.  A target is in the line of the peer that
it refers to: the fastest one, or a particular one.  "others" is the fraction of all cores that other processes used in
the meantime.  The table of a complete run is written to the folder --out; with --only or --quick, only if --out is given.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from . import report
from .contests import CONTESTS, QUICK, Bench, Sizes
from .options import RESULTS, at_least_one, command_line, find_peers, use_backend, with_peers
from .timing import OtherProcesses


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = with_peers(command_line("tests.benchmarks", __doc__))
    parser.add_argument("--only", nargs="+", choices=CONTESTS, default=list(CONTESTS), metavar="NAME",
                        help=f"some of: {', '.join(CONTESTS)}")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too")
    parser.add_argument("--train-epochs", type=at_least_one, metavar="N",
                        help=f"epochs of training of the attacked network (default: {Sizes.epochs})")  # fmt: skip
    parser.add_argument("--epoch-digits", type=at_least_one, metavar="N",
                        help=f"digits in the epoch whose memory is measured (default: {Sizes.epoch})")  # fmt: skip
    parser.add_argument(
        "--full-mnist", action="store_true", help="measure that epoch on whole MNIST, from `load_mnist`"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the numbers of every round to this file")
    return parser


def sizes(arguments: argparse.Namespace) -> Sizes:
    """The sizes that the command line asks for."""
    chosen = QUICK if arguments.quick else Sizes()
    given = {"rounds": arguments.repeats, "epochs": arguments.train_epochs, "epoch": arguments.epoch_digits}
    return replace(chosen, **{name: value for name, value in given.items() if value is not None})


def main() -> None:
    """Run the contests and print a line about each; then print and write the table."""
    arguments = options().parse_args()
    with use_backend(arguments.backend):
        peers = find_peers(arguments.peers)
        bench = Bench(sizes(arguments), peers, arguments.compile, arguments.full_mnist)
        facts, others = report.provenance("tests.benchmarks", peers.status), OtherProcesses()
        results = []
        for name in arguments.only:
            others_now = OtherProcesses()
            for result in CONTESTS[name](bench):
                print(report.short(result), file=sys.stderr, flush=True)
                results.append(replace(result, others=others_now.share()))
    facts |= others.fact()
    text = f"{report.head(facts)}\n\n{report.table(results)}\n"
    print(text)
    complete = set(arguments.only) == set(CONTESTS) and not arguments.quick
    if arguments.out or complete:
        report.write_text((arguments.out or RESULTS) / "benchmarks.txt", text)
    if arguments.json:
        report.write_json(arguments.json, facts, results)


if __name__ == "__main__":
    main()
