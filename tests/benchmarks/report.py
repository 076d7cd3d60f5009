"""The report of the benchmarks: run times, ratios, targets and the machine, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import minidl
from minidl import backend
from minidl.files import atomically

from .timing import cores

OURS = "minidl"
PACKAGES = ("numpy", "numba", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax", "adversarial-robustness-toolbox",
            "torchattacks", "foolbox")  # fmt: skip
SETTINGS = ("MINIDL_BACKEND", "MINIDL_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Target:
    """An upper bound: of the ratio ours ÷ theirs, of the difference ours - theirs, or of ours."""

    most: float
    kind: str = "ratio"  # or "difference", or "value"

    def __str__(self) -> str:
        most = f"{self.most:g}" if len(f"{self.most:g}") < 5 and self.most > 0.1 else f"1/{1 / self.most:.0f}"
        return {"ratio": f"≤ {most} ×", "difference": f"≤ +{most}", "value": f"≤ {most}"}[self.kind]

    def met(self, ours: list[float], theirs: list[float]) -> bool:
        compared = {"ratio": ratios(ours, theirs), "value": ours,
                    "difference": [a - b for a, b in zip(ours, theirs)]}  # fmt: skip
        return statistics.median(compared[self.kind]) <= self.most


@dataclass(frozen=True)
class Line:
    """One competitor: its median, the ratio ours ÷ this (median and middle half over the rounds), the target."""

    who: str
    median: float
    rounds: list[float]
    ratio: float | None = None
    middle_half: tuple[float, float] | None = None
    target: str | None = None
    met: bool | None = None
    remark: str = ""


@dataclass(frozen=True)
class Result:
    """The result of one work.

    name, work: its short name, and a description.
    unit: of its numbers.
    lines: one for each competitor, ours first.
    others: the fraction of all cores that other processes used in the meantime, or None if it is unknown.
    """

    name: str
    work: str
    unit: str
    lines: list[Line]
    others: float | None = None


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Ours ÷ theirs, round by round."""
    return [a / b for a, b in zip(ours, theirs)]


def compare(
    name: str, work: str, unit: str, rounds: dict[str, list[float]],
    target: Target | dict[str, Target] | None = None, remarks: dict[str, str] | None = None,
) -> Result:  # fmt: skip
    """The result of one work.

    rounds: the numbers of all rounds, by competitor, `OURS` first.
    target: one for the best of the peers (or for ours, if it is a "value"), or one for each of some peers.
    remarks: texts, by competitor.
    """
    medians = {who: statistics.median(numbers) for who, numbers in rounds.items()}
    if isinstance(target, Target):
        peers = [who for who in rounds if who != OURS]
        best = OURS if target.kind == "value" else min(peers, key=lambda who: medians[who], default=None)
        target = {best: target} if best else {}
    target, remarks = target or {}, remarks or {}

    def line(who: str) -> Line:
        bound, values = target.get(who), ratios(rounds[OURS], rounds[who])
        compared = {} if who == OURS else {"ratio": statistics.median(values), "middle_half": _middle_half(values)}
        aimed = {"target": str(bound), "met": bound.met(rounds[OURS], rounds[who])} if bound else {}
        return Line(who, medians[who], rounds[who], **compared, **aimed, remark=remarks.get(who, ""))

    return Result(name, work, unit, [line(who) for who in rounds])


def _middle_half(numbers: list[float]) -> tuple[float, float]:
    if len(numbers) < 2:
        return numbers[0], numbers[0]
    quartiles = statistics.quantiles(numbers, n=4, method="inclusive")
    return quartiles[0], quartiles[2]


# --- provenance ------------------------------------------------------------------------------------------


def provenance(command: str, peers: dict[str, str]) -> dict[str, str]:
    """The facts that identify a run: date, command, machine, versions, and the status of each peer."""
    packages = {"Python": platform.python_version(), "minidl": minidl.__version__}
    for package in PACKAGES:
        try:
            packages[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    settings = " ".join(f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ)
    return {
        "date": datetime.now().isoformat(" ", "minutes"),
        "command": " ".join(["python -m", command, *sys.argv[1:]]),
        "machine": f"{processor()}, {cores()} cores{load}",
        "system": platform.platform(),
        "backend": backend.describe(),
        "versions": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "peers": ", ".join(f"{name} ({status})" for name, status in peers.items()) or "none asked for",
    } | ({"environment": settings} if settings else {})


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def head(facts: dict[str, str]) -> str:
    """The provenance as lines of text."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {fact}" for name, fact in facts.items())


# --- the table -------------------------------------------------------------------------------------------

HEADS = ("work", "who", "median", "ours / this", "middle half", "target", "met", "others")


def table(results: list[Result]) -> str:
    """A table of all results for the terminal; a remark has its own line, below the competitor's."""
    lines = [(result, line) for result in results for line in result.lines]
    texts = columns([HEADS, *(_row(result, line) for result, line in lines)], left=("work", "who", "met"))
    indent = " " * (2 + max(len(text) for text in ["work", *(result.work for result in results)]))
    for text, (_, line) in zip(texts[2:], lines):
        texts[texts.index(text)] += f"\n{indent}  {line.remark}" if line.remark else ""
    return "\n".join(texts)


def _row(result: Result, line: Line) -> tuple[str, ...]:
    work = result.work if line is result.lines[0] else ""
    ratio = "" if line.ratio is None else number(line.ratio)
    spread = "" if line.middle_half is None else " … ".join(map(number, line.middle_half))
    met = "" if line.met is None else "yes" if line.met else "NO"
    others = f"{result.others:.0%}" if work and result.others is not None else ""
    return work, line.who, f"{number(line.median)} {result.unit}", ratio, spread, line.target or "", met, others


def short(result: Result) -> str:
    """A result as one line, which is printed while the other contests run."""
    return f"{result.work}, {result.unit}: " + "; ".join(f"{line.who} {number(line.median)}" for line in result.lines)


def columns(rows: Sequence[Sequence[str]], left: Collection[str] = ()) -> list[str]:
    """Rows of text as aligned lines; the first row has the heads.  left: the heads of left-aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    forms = [f"{'<' if name in left else '>'}{width}" for name, width in zip(rows[0], widths)]
    lines = ["  ".join(map(format, row, forms)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def number(value: float) -> str:
    """A number with three significant digits, or more if it has more before the point."""
    if abs(value) < 0.9995:
        return f"{value:.3g}"
    return f"{value:.{max(0, 3 - len(str(int(abs(value)))))}f}"


# --- files -----------------------------------------------------------------------------------------------


def write_text(path: Path, text: str) -> None:
    """Write a text to a file; an interrupted write leaves no partial file."""
    with atomically(path) as file:
        file.write(text.encode())


def write_json(path: Path, facts: dict[str, str], results: list[Result]) -> None:
    """Write all results, with the numbers of every round, to a file."""
    content: dict[str, Any] = {"provenance": facts, "results": [asdict(result) for result in results]}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_figure(path: Path, figure: Any) -> None:
    """Write a figure to a file as PNG."""
    with atomically(path) as file:
        figure.savefig(file, format="png")
