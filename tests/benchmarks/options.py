"""The command-line options that all benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path

from minidl import backend
from minidl.errors import BackendError

from .peers import NAMES, Peers

RESULTS = Path(__file__).parent / "results"


def command_line(program: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with --backend, --repeats, --quick and --out."""
    parser = argparse.ArgumentParser(
        f"python -m {program}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--backend", choices=sorted(backend.BACKENDS), help="backend of minidl (default: MINIDL_BACKEND's)"
    )
    parser.add_argument("--repeats", type=at_least_one, metavar="N", help="rounds; the median of them counts")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few rounds, to test that it runs")
    parser.add_argument("--out", type=Path, help="folder for the results (default: tests/benchmarks/results)")
    return parser


def with_peers(parser: argparse.ArgumentParser, names: tuple[str, ...] = NAMES) -> argparse.ArgumentParser:
    """Add --peers to a parser, and return it."""
    explanation = f"some or none of: {', '.join(names)} (default: all that are installed)"
    parser.add_argument("--peers", nargs="*", choices=names, default=list(names), metavar="NAME", help=explanation)
    return parser


def at_least_one(text: str) -> int:
    """A whole number of at least 1: a type for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return int(text)


def use_backend(name: str | None) -> backend.use:
    """The backend of that name, for a ``with``; raises `SystemExit` with a message if it cannot run here."""
    try:
        return backend.use(name or backend.current().name)
    except BackendError as error:
        raise SystemExit(str(error)) from None


def find_peers(names: list[str]) -> Peers:
    """The peers with these names, on a GPU if minidl is on one."""
    return Peers(names, gpu=backend.current().name == "cupy")
