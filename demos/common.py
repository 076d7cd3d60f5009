"""What all demos share: the command line, tables, and the folder for figures and texts."""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from attacks import AttackResult, Untargeted, Victim
from attacks.evolution import FoolingResult
from attacks.report.tables import table as table
from minidl import __version__, backend
from minidl.backend import to_numpy
from minidl.core import Array
from minidl.data import Dataset
from minidl.errors import BackendError
from minidl.files import atomically
from minidl.models import Sequential
from minidl.train import History, fit

Attacked = TypeVar("Attacked", AttackResult, FoolingResult)

HERE = Path(__file__).resolve().parent


def command_line(description: str, full: str = "") -> argparse.ArgumentParser:
    """A parser with the options of every demo: --seed, --backend, --out and, where there is a full-size run, --full."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # on Windows a file or a pipe may have no ε: it is then printed as ?
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: 0)")
    parser.add_argument("--backend", type=backend_in_use, metavar="NAME", help="numpy, numba or cupy (default: numba)")
    default = "demos/out" + (", demos/results with --full" if full else "")
    parser.add_argument("--out", type=Path, help=f"folder for figures and tables (default: {default})")
    if full:
        parser.add_argument("--full", action="store_true", help=full)
    return parser


def backend_in_use(name: str) -> str:
    """Put a backend into use and return its name: a type for argparse."""
    try:
        backend.use(name)
    except BackendError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name


def at_least_one(text: str) -> int:
    """A whole number of at least 1: a type for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return int(text)


def train(net: Sequential, dataset: Dataset, **options: Any) -> History:
    """Call `minidl.train.fit`; Ctrl-C ends the script, instead of returning a network that is half trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the message below replaces it
        history = fit(net, dataset, **options)
    if history.interrupted:
        hint = "call again to continue" if options.get("checkpoint") else "nothing was saved"
        raise SystemExit(f"interrupted after {len(history)} epochs; {hint}")
    return history


def out_folder(arguments: argparse.Namespace) -> Path:
    """The folder of --out, or the default one."""
    return arguments.out or HERE / ("results" if getattr(arguments, "full", False) else "out")


def mean_and_deviation(values: Sequence[float], form: str = "{:.4f}") -> str:
    """The mean of several runs ± their standard deviation (n - 1); the number alone for a single run."""
    mean = form.format(np.mean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(np.std(values, ddof=1))}"


def correctly_classified(data: Dataset, *nets: Callable[[Array], Array]) -> Dataset:
    """The examples of a data set that every network classifies correctly, in order."""
    correct = [to_numpy(net(data.x).argmax(axis=-1) == data.y) for net in nets]
    return data.take(np.flatnonzero(np.all(correct, axis=0)))


def most_likely_wrong(net: Callable[[Array], Array], data: Dataset) -> np.ndarray:
    """The class with the largest logit but the label: (N,)."""
    logits, labels = to_numpy(net(data.x)).copy(), to_numpy(data.y)
    logits[np.arange(len(labels)), labels] = -np.inf
    return logits.argmax(axis=1)


def share_without_gradient(net: Callable[[Array], Array], data: Dataset) -> float:
    """The share of examples for which the gradient of the cross-entropy is exactly 0 in every pixel."""
    gradient = to_numpy(Victim(net).gradient(data.x, Untargeted(data.y)))
    return float((gradient.reshape(len(gradient), -1) == 0).all(axis=1).mean())


def median_l2(result: AttackResult, form: str = "{:.2f}") -> str:
    """The median L2 distance of the successful examples; "-" if there are none."""
    lengths = to_numpy(result.l2)[to_numpy(result.success)]
    return form.format(np.median(lengths)) if len(lengths) else "-"


def finished(result: Attacked, saved: str = "nothing was saved") -> Attacked:
    """The result of an attack; if Ctrl-C interrupted it, end the script with a sentence.  saved: what that leaves."""
    if result.params.get("interrupted"):
        raise SystemExit(f"interrupted; {saved}")
    return result


@contextlib.contextmanager
def ending_with_a_sentence(saved: bool) -> Iterator[None]:
    """Around the work of a demo: Ctrl-C ends the script with a sentence.  saved: whether another call continues."""
    try:
        yield
    except KeyboardInterrupt:
        hint = "call again to continue" if saved else "nothing was saved"
        raise SystemExit(f"interrupted; {hint}") from None


def provenance(seed: int, count: int = 1) -> str:
    """The lines that identify a run: date, command, seeds, versions."""
    command = shlex.join(["python", "demos/" + Path(sys.argv[0]).name, *sys.argv[1:]])
    seeds = f"seed {seed}" if count == 1 else f"seeds {seed} to {seed + count - 1}"
    return (f"{date.today().isoformat()}   {command}   ({seeds})\n"
            f"minidl {__version__}, {backend.describe()}, Python {platform.python_version()}\n")  # fmt: skip


def write_text(path: Path, text: str) -> None:
    """Write a text to a file; an interrupted write leaves no partial file."""
    with atomically(path) as file:
        file.write(text.encode())


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG and print its path; an interrupted write leaves no partial file."""
    with atomically(path) as file:
        figure.savefig(file, format="png")
    print(f"wrote {path}")
