"""What the demos share: their command line, their tables, and where their figures go."""

from __future__ import annotations

import argparse
import io
import platform
import shlex
import sys
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from attacks.report.tables import table as table
from minidl import __version__, backend
from minidl.data import Dataset
from minidl.errors import BackendError
from minidl.files import atomically
from minidl.models import Sequential
from minidl.train import History, fit

HERE = Path(__file__).resolve().parent


def command_line(description: str, full: str = "") -> argparse.ArgumentParser:
    """A parser with the options of every demo: --seed, --backend, --out and, where there is a full-size run, --full."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # on Windows a file or a pipe may have no ε: then it says ?
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--backend", type=in_use, metavar="NAME", help="numpy, numba or cupy (default: numba)")
    default = "demos/out" + (", demos/results with --full" if full else "")
    parser.add_argument("--out", type=Path, help=f"folder for figures and tables (default: {default})")
    if full:
        parser.add_argument("--full", action="store_true", help=full)
    return parser


def in_use(name: str) -> str:
    """The name of a backend, which is in use from here on, for argparse."""
    try:
        backend.use(name)
    except BackendError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name


def at_least_one(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return int(text)


def train(net: Sequential, dataset: Dataset, **options: Any) -> History:
    """`minidl.train.fit` for scripts: Ctrl-C ends the script, which would else report on half a network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # said below, in the script's own words
        history = fit(net, dataset, **options)
    if history.interrupted:
        kept = "call again to go on" if options.get("checkpoint") else "nothing was kept"
        raise SystemExit(f"interrupted after {len(history)} epochs; {kept}")
    return history


def out_folder(arguments: argparse.Namespace) -> Path:
    """The folder asked for, or the default one."""
    return arguments.out or HERE / ("results" if getattr(arguments, "full", False) else "out")


def mean_and_deviation(values: list[float]) -> str:
    """The mean of several runs ± their standard deviation (n - 1); the number alone for a single run."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def provenance(seed: int, count: int = 1) -> str:
    """Which run this was: date, command, seeds, versions."""
    command = shlex.join(["python", "demos/" + Path(sys.argv[0]).name, *sys.argv[1:]])
    seeds = f"seed {seed}" if count == 1 else f"seeds {seed} to {seed + count - 1}"
    return (f"{date.today().isoformat()}   {command}   ({seeds})\n"
            f"minidl {__version__}, {backend.describe()}, Python {platform.python_version()}\n")  # fmt: skip


def write_text(path: Path, text: str) -> None:
    """Text to a file, whole or not at all."""
    with atomically(path) as file:
        file.write(text.encode())


def write_figure(figure: Any, path: Path) -> None:
    """A figure as PNG, whole or not at all; says where."""
    with atomically(path) as file:
        figure.savefig(file, format="png")
    print(f"wrote {path}")
