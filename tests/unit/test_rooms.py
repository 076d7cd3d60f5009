"""The layout: every folder opens with a reading order of its modules, and imports run downwards only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

FOLDERS = sorted(
    path.parent.relative_to(ROOT) for name in ("minidl", "attacks") for path in (ROOT / name).rglob("__init__.py")
)

#: What the modules of each room may import, beside each other.
MAY_IMPORT = {
    "minidl": {"minidl.kernels", "minidl.data"},
    "minidl.kernels": set(),
    "minidl.data": {"minidl"},
    "minidl.testing": {"minidl", "minidl.kernels"},
    "minidl.coursework": {"minidl", "minidl.data", "minidl.testing", "attacks"},
    "minidl.coursework.tasks": {"minidl", "minidl.data", "minidl.testing", "minidl.coursework", "attacks"},
    "attacks.plain": {"minidl"},
    "attacks.common": {"minidl"},
    "attacks.bounded": {"minidl", "attacks.common"},
    "attacks.minimal": {"minidl", "attacks.common"},
    "attacks.black_box": {"minidl", "minidl.data", "minidl.kernels", "attacks.common", "attacks.bounded"},
    "attacks.evolution": {"minidl", "minidl.kernels", "attacks.common"},
    "attacks.defences": {"minidl", "minidl.data", "attacks.common"},
    "attacks.report": {"minidl", "minidl.kernels", "attacks.common", "attacks.minimal", "attacks.evolution"},
    "attacks": {"minidl", "attacks.common", "attacks.bounded"},
}
EVERYWHERE = "minidl.errors"  # which imports nothing


def modules(folder: Path) -> list[str]:
    """What a reader sees in a folder: its modules, and its folders that are packages."""
    files = [path.stem for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"]
    return sorted(files + [path.parent.name for path in (ROOT / folder).glob("*/__init__.py")])


def reading_order(opening: str) -> list[str]:
    """The names in "Reading order: one, two, three.", or in the left column of a table below "Reading order:"."""
    sentence = re.search(r"Reading order: ([^.]*)\.", opening)
    if sentence:
        return re.split(r",\s+", sentence[1])
    table = opening.partition("Reading order:\n")[2]
    columns = [re.split(r" {2,}", row.strip())[0] for row in table.splitlines() if row.startswith("    ")]
    return [name for names in columns for name in names.split(", ")]


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_every_module_stands_in_the_reading_order_of_its_folder_once(folder) -> None:
    opening = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
    assert len(opening.partition("Reading order")[0].split()) > 5, "what lives here stands before the reading order"
    assert sorted(reading_order(opening)) == modules(folder)


def imported(path: Path) -> Iterator[str]:
    """The modules of this project that a file imports, wherever in it, by their full names."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in ("minidl", "attacks"))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = [*base, *(node.module or "").split(".")] if node.module else [*base]
            if source[0] in ("minidl", "attacks"):
                for alias in node.names:
                    whole = ".".join([*source, alias.name])
                    yield whole if is_module(whole) else ".".join(source)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def room(name: str) -> str:
    """The room that a module stands in: a key of `MAY_IMPORT`."""
    parts = name.split(".")
    while ".".join(parts) not in MAY_IMPORT:
        parts.pop()
    return ".".join(parts)


def arrows() -> set[tuple[str, str, str]]:
    """(file, its room, the room of what it imports), where the two differ."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"]
    return {
        (str(path.relative_to(ROOT)), here, room(name))
        for path in files
        for here in [room(".".join(path.relative_to(ROOT).with_suffix("").parts))]
        for name in imported(path)
        if room(name) != here and name != EVERYWHERE
    }


def test_imports_run_downwards() -> None:
    assert len(arrows()) > 50
    upwards = [arrow for arrow in arrows() if arrow[2] not in MAY_IMPORT[arrow[1]]]
    assert upwards == []
