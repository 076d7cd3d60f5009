"""The table of a run, the survivors, and what is known of them: `equivalent.txt`."""

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
    """The mutants that `equivalent.txt` names, with the reason why no test has to notice them.

    An entry is a paragraph: a file, and the function or class that the lines are in, or "-"; the lines taken away; those
    put there; the reason.  It speaks of text only, not of line numbers, and holds for all mutants that do the same there.
    """
    found = {}
    for paragraph in EQUIVALENT.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            continue
        path, _, name = lines[0].partition(" ")
        old, new = (tuple(line[1:].strip() for line in lines[1:] if line[0] == sign) for sign in "-+")
        reason = " ".join(line.strip() for line in lines[1:] if line[0] not in "-+")
        if not (name and old and reason):
            raise ValueError(f"{EQUIVALENT.name}: file and name, lines with - and +, a reason; not {paragraph!r}")
        found[path, "" if name == "-" else name.strip(), old, new] = reason
    return found


def report(run: Run, about: dict[str, Any]) -> str:
    """Everything about a run, as text.

    about: what was drawn from what, and when which command was given.
    """
    known = reasons()
    survived = sorted(((m, v) for m, v in run if v.what == "survived"), key=lambda pair: (pair[0].path, pair[0].line))
    rest = [(m, v) for m, v in survived if m.key not in known]
    stuck = sorted(f"{m}\n{place(m)}; in {v.test}" for m, v in run if v.what == "timed out")
    wrong = sorted(f"{m}\n{place(m)}" for m, v in run if v.what == "error")
    parts = [
        "Mutants of minidl and attacks, and which of them no test notices",
        "\n".join(provenance(run, about)),
        "\n".join(drawn(run, about)),
        "\n".join(table(run, known)),
        f"Survivors: {len(rest)}",
        *(f"{m}\n{place(m)}; {v.tests} tests run, {v.direct} of them the line itself" for m, v in rest),
        f"Survivors that are equivalent or accepted, as {EQUIVALENT.name} says: {len(survived) - len(rest)}",
        *(f"{m}\n{known[m.key]}" for m, _ in survived if m.key in known),
        f"Timed out: {len(stuck)}",
        *stuck,
        *([f"No telling, for an error of the harness: {len(wrong)}"] if wrong else []),
        *wrong,
    ]
    return "\n\n".join(parts) + "\n"


def provenance(run: Run, about: dict[str, Any]) -> list[str]:
    """When, which tree, which command, which versions, and how long it took."""
    seconds = sum(v.seconds for _, v in run)
    versions = [f"Python {platform.python_version()}", *(f"{name} {metadata.version(name)}" for name in PACKAGES)]
    return [
        *("{date}, commit {commit}: {command}".format(**each) for each in about["runs"]),
        ", ".join(versions),
        f"{seconds / max(1, len(run)):.1f} s for each mutant, {seconds / 60:.0f} min of all workers together",
    ]


def drawn(run: Run, about: dict[str, Any]) -> list[str]:
    """How many mutants there are, what is left out, and how many were drawn."""
    return [
        f"cosmic-ray makes {about['made']} mutants.  Left out:",
        *(f"{count:8d}  {why}" for why, count in sorted(about["left_out"].items(), key=lambda pair: -pair[1])),
        f"Of the other {about['rest']}, {len(run)} are drawn by seed {about['seed']}, all with the same chance.",
    ]


def table(run: Run, known: dict[Key, str]) -> list[str]:
    """How many were noticed, by folder.  One that timed out counts as killed, one that ends in an error not at all."""
    rows = [HEADS]
    for folder in [*sorted({str(Path(m.path).parent) for m, _ in run}), "all"]:
        here = [(m, v) for m, v in run if folder in ("all", str(Path(m.path).parent))]
        count = Counter("equivalent" if v.what == "survived" and m.key in known else v.what for m, v in here)
        killed, told = count["killed"] + count["timed out"], len(here) - count["error"]
        numbers = [len(here), count["killed"], count["timed out"], count["survived"], count["equivalent"]]
        rows.append((folder, *map(str, numbers), share(killed, told), share(killed, told - count["equivalent"])))
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADS))]
    lines = [f"{row[0]:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:])) for row in rows]
    error = sqrt(killed * (told - killed) / max(1, told) ** 3)
    return [*lines, f"The kill rate of a sample of this size has a standard error of {error:.1%}."]


def share(part: int, whole: int) -> str:
    """A part as a percentage."""
    return f"{part / whole:.1%}" if whole else "-"


def place(mutant: Mutant) -> str:
    """Where a mutant is and which operator made it."""
    return f"line {mutant.line}, {mutant.operator}"


def commit() -> str:
    """The commit, and whether files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "minidl", "attacks", "tests")
    return git("rev-parse", "--short", "HEAD") + (", with changes" if changed else "")
