"""minidl beside its peers: the same work, in turns, in one process.

    python -m tests.benchmarks                       everything; some minutes, on a machine that does nothing else
    python -m tests.benchmarks --only mlp lenet      some of it
    python -m tests.benchmarks --quick --peers       whether it runs, in seconds; the numbers mean nothing

"ours / this" is the median over the rounds of the ratio of the two times of one round, and half of all rounds gave a
ratio in the "middle half".  A target stands in the line of the peer that it is about: the best of those found, or
one that it is for.  "others" is the part of all cores that other processes took meanwhile.  The table of a whole run
is written to the folder --out; with --only or --quick, only if one is given.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from . import report
from .contests import CONTESTS, QUICK, Bench, Sizes
from .options import RESULTS, at_least_one, command_line, find_peers, use_backend, with_peers
from .timing import Others


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = with_peers(command_line("tests.benchmarks", __doc__))
    parser.add_argument("--only", nargs="+", choices=CONTESTS, default=list(CONTESTS), metavar="NAME",
                        help=f"some of: {', '.join(CONTESTS)}")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--train-epochs", type=at_least_one, metavar="N",
                        help=f"of the network under attack (default: {Sizes.epochs})")  # fmt: skip
    parser.add_argument("--epoch-digits", type=at_least_one, metavar="N",
                        help=f"in the epoch whose memory is measured (default: {Sizes.epoch})")  # fmt: skip
    parser.add_argument("--full-mnist", action="store_true", help="that epoch on whole MNIST: as `load_mnist` finds it")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers of every round there")
    return parser


def sizes(arguments: argparse.Namespace) -> Sizes:
    """The sizes asked for."""
    chosen = QUICK if arguments.quick else Sizes()
    wanted = {"rounds": arguments.repeats, "epochs": arguments.train_epochs, "epoch": arguments.epoch_digits}
    return replace(chosen, **{name: value for name, value in wanted.items() if value is not None})


def main() -> None:
    """Run the contests, say how each ended, then print and write everything."""
    arguments = options().parse_args()
    with use_backend(arguments.backend):
        peers = find_peers(arguments.peers)
        bench = Bench(sizes(arguments), peers, arguments.compile, arguments.full_mnist)
        facts, others = report.provenance("tests.benchmarks", peers.found), Others()
        results = []
        for name in arguments.only:
            meanwhile = Others()
            for result in CONTESTS[name](bench):
                print(report.short(result), file=sys.stderr, flush=True)
                results.append(replace(result, others=meanwhile.share()))
    facts |= others.fact()
    text = f"{report.head(facts)}\n\n{report.table(results)}\n"
    print(text)
    whole = set(arguments.only) == set(CONTESTS) and not arguments.quick
    if arguments.out or whole:
        report.write_text((arguments.out or RESULTS) / "benchmarks.txt", text)
    if arguments.json:
        report.write_json(arguments.json, facts, results)


if __name__ == "__main__":
    main()
