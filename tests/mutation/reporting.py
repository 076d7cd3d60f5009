"""The report of a run: the table, the survivors, and the explained survivors of `equivalent.txt`."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from math import sqrt
from pathlib import Path
from typing import Any

from .sampling import Key, Mutant
from .trees import ROOT
from .working import Verdict

HERE = Path(__file__).parent
EQUIVALENT = HERE / "equivalent.txt"
RESULTS = HERE / "results"
PACKAGES = ("cosmic_ray", "coverage", "pytest", "hypothesis", "numpy", "numba")
HEADS = ("", "mutants", "killed", "timed out", "survived", "equivalent", "kill rate", "without equivalent")
Run = Sequence[tuple[Mutant, Verdict]]


def reasons() -> dict[Key, str]:
    """The mutants in `equivalent.txt`, with the reason why no test needs to detect them.

    An entry is a paragraph: a file, and a function or class, or "-"; the removed lines; the added lines; the reason.  It
    has no line numbers, and applies to all mutants with the same lines in the same function.
    """
    entries = {}
    for paragraph in EQUIVALENT.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            continue
        path, _, name = lines[0].partition(" ")
        old, new = (tuple(line[1:].strip() for line in lines[1:] if line[0] == sign) for sign in "-+")
        reason = " ".join(line.strip() for line in lines[1:] if line[0] not in "-+")
        if not (name and old and reason):
            raise ValueError(
                f"{EQUIVALENT.name}: expected file and name, lines with - and +, a reason; got {paragraph!r}"
            )
        entries[path, "" if name == "-" else name.strip(), old, new] = reason
    return entries


def report(run: Run, about: dict[str, Any]) -> str:
    """The report of a run as text.

    about: the size of the population and of the sample, and the date and command of each call.
    """
    known = reasons()
    survived = sorted(
        ((m, v) for m, v in run if v.outcome == "survived"), key=lambda pair: (pair[0].path, pair[0].line)
    )
    rest = [(m, v) for m, v in survived if m.key not in known]
    stuck = sorted(f"{m}\n{place(m)}; in {v.test}" for m, v in run if v.outcome == "timed out")
    errors = sorted(f"{m}\n{place(m)}" for m, v in run if v.outcome == "error")
    parts = [
        "Mutants of minidl and attacks, and which of them no test detects",
        "\n".join(provenance(run, about)),
        "\n".join(drawn(run, about)),
        "\n".join(table(run, known)),
        f"Survivors: {len(rest)}",
        *(f"{m}\n{place(m)}; {v.tests} tests run, {v.direct} of them run the line" for m, v in rest),
        f"Survivors that are equivalent or accepted, as {EQUIVALENT.name} says: {len(survived) - len(rest)}",
        *(f"{m}\n{known[m.key]}" for m, _ in survived if m.key in known),
        f"Timed out: {len(stuck)}",
        *stuck,
        *([f"Unknown, because of an error of the harness: {len(errors)}"] if errors else []),
        *errors,
    ]
    return "\n\n".join(parts) + "\n"


def provenance(run: Run, about: dict[str, Any]) -> list[str]:
    """Dates, commits, commands, versions and run time."""
    seconds = sum(v.seconds for _, v in run)
    versions = [f"Python {platform.python_version()}", *(f"{name} {metadata.version(name)}" for name in PACKAGES)]
    return [
        *("{date}, commit {commit}: {command}".format(**each) for each in about["runs"]),
        ", ".join(versions),
        f"{seconds / max(1, len(run)):.1f} s for each mutant, {seconds / 60:.0f} min of all workers together",
    ]


def drawn(run: Run, about: dict[str, Any]) -> list[str]:
    """How many mutants there are, how many are left out, and how many are in the sample."""
    return [
        f"cosmic-ray makes {about['made']} mutants.  Left out:",
        *(f"{count:8d}  {why}" for why, count in sorted(about["left_out"].items(), key=lambda pair: -pair[1])),
        f"Of the other {about['rest']}, {len(run)} are drawn by seed {about['seed']}, all with the same chance.",
    ]


def table(run: Run, known: dict[Key, str]) -> list[str]:
    """How many mutants were killed, by folder.  Timed out counts as killed; errors do not count."""
    rows = [HEADS]
    for folder in [*sorted({str(Path(m.path).parent) for m, _ in run}), "all"]:
        here = [(m, v) for m, v in run if folder in ("all", str(Path(m.path).parent))]
        count = Counter("equivalent" if v.outcome == "survived" and m.key in known else v.outcome for m, v in here)
        killed, total = count["killed"] + count["timed out"], len(here) - count["error"]
        numbers = [len(here), count["killed"], count["timed out"], count["survived"], count["equivalent"]]
        rows.append((folder, *map(str, numbers), share(killed, total), share(killed, total - count["equivalent"])))
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADS))]
    lines = [f"{row[0]:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:])) for row in rows]
    error = sqrt(killed * (total - killed) / max(1, total) ** 3)
    return [*lines, f"The kill rate of a sample of this size has a standard error of {error:.1%}."]


def share(part: int, whole: int) -> str:
    """A part as a percentage."""
    return f"{part / whole:.1%}" if whole else "-"


def place(mutant: Mutant) -> str:
    """The line of a mutant, and the operator that made it."""
    return f"line {mutant.line}, {mutant.operator}"


def commit() -> str:
    """The commit, and whether files have been changed since."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "minidl", "attacks", "tests")
    return git("rev-parse", "--short", "HEAD") + (", with changes" if changed else "")
