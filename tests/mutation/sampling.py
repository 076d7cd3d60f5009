"""The mutants: cosmic-ray makes them, a few that are none are left out, and of the rest a sample is drawn by a seed.

Every mutant has the same chance.  It is drawn by a hash of the seed and of what it does, not of where: a line more or
less in a file leaves the rest of the sample as it was.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import os
import re
import shutil
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosmic_ray.commands.init import init
from cosmic_ray.config import ConfigDict
from cosmic_ray.modules import filter_paths, find_modules
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkItem

#: A mutant by what it does: file, function or class, lines taken away, lines put in their place.
Key = tuple[str, str, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Mutant:
    """A mutant of cosmic-ray's, and what it does.

    old, new: the lines that it takes away and puts there.
    """

    item: WorkItem
    old: tuple[str, ...]
    new: tuple[str, ...]

    @classmethod
    def of(cls, item: WorkItem, diff: Iterable[str]) -> Mutant:
        """From a unified diff without its head."""
        lines = list(diff)
        return cls(item, *(tuple(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+"))

    @property
    def made(self) -> MutationSpec:
        return self.item.mutations[0]

    @property
    def path(self) -> str:
        return self.made.module_path.as_posix()

    @property
    def line(self) -> int:
        return self.made.start_pos[0]

    @property
    def operator(self) -> str:
        return self.made.operator_name.partition("/")[2]

    @property
    def key(self) -> Key:
        return self.path, self.made.definition_name or "", self.old, self.new

    def __str__(self) -> str:
        """As `equivalent.txt` has it, without a reason."""
        lines = [f"- {line}" for line in self.old] + [f"+ {line}" for line in self.new]
        return "\n".join([f"{self.path} {self.made.definition_name or '-'}", *lines])


@dataclass
class Population:
    """What cosmic-ray makes of the files, before anything is drawn.

    made: how many.  left_out: how many of them were not taken, for which reason.  items: the others.
    """

    root: Path
    made: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    items: list[WorkItem] = field(default_factory=list)
    texts: dict[Path, str] = field(default_factory=dict)

    def text(self, path: Path) -> str:
        if path not in self.texts:
            self.texts[path] = (self.root / path).read_text(encoding="utf-8")
        return self.texts[path]

    def ranked(self, seed: int) -> list[WorkItem]:
        """All mutants in the order in which the seed draws them."""
        alike: dict[tuple[Any, ...], int] = defaultdict(int)
        ranks = {}
        for item in sorted(self.items, key=lambda item: _order(item.mutations[0])):
            made = item.mutations[0]
            line = self.text(made.module_path).split("\n")[made.start_pos[0] - 1]
            column = made.start_pos[1] - (len(line) - len(line.lstrip()))
            what = (made.module_path.as_posix(), made.definition_name, made.operator_name, line.strip(), column)
            ranks[item.job_id] = hashlib.sha256(repr((seed, *what, alike[what])).encode()).digest()
            alike[what] += 1
        return sorted(self.items, key=lambda item: ranks[item.job_id])

    def sample(self, seed: int, count: int) -> list[Mutant]:
        """The first `count` in the seed's order that are mutants; those looked at that are none are counted."""
        found: list[Mutant] = []
        for item in self.ranked(seed):
            if len(found) == count:
                break
            mutant = self.mutant(item)
            if mutant is None:
                self.left_out["looked at for the sample, but no other program, or refused by Python's compiler"] += 1
            else:
                found.append(mutant)
        return found

    def mutant(self, item: WorkItem) -> Mutant | None:
        """What a mutant does; None if it is no other program than before, or none that compiles without a warning."""
        made = item.mutations[0]
        text = self.text(made.module_path)
        changed = mutate_code(text, get_operator(made.operator_name)(**made.operator_args), made.occurrence)
        if changed is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                compile(changed, str(made.module_path), "exec")
            except (SyntaxError, SyntaxWarning):
                return None
        if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text)):
            return None
        return Mutant.of(item, [*difflib.unified_diff(text.split("\n"), changed.split("\n"), lineterm="")][2:])

    def again(self, mutant: Mutant) -> Mutant | None:
        """The mutant of these files that does what another did, of the files as they were; None if there is none."""
        made = mutant.made
        for item in self.items:
            other = item.mutations[0]
            if (other.operator_name, other.definition_name) == (made.operator_name, made.definition_name):
                found = self.mutant(item) if other.module_path == made.module_path else None
                if found is not None and found.key == mutant.key:
                    return found
        return None


def population(root: Path, work: Path, config: ConfigDict, only: Iterable[str] = ()) -> Population:
    """All mutants of the files that the configuration names, or of those of them that lie under `only`.

    root: the tree, which must be the current folder, since cosmic-ray's paths are relative to it.
    """
    modules = find_modules([Path(path) for path in config["module-path"]])
    paths = sorted(filter_paths(modules, config.get("excluded-modules", [])))
    paths = [path for path in paths if not only or any(path.is_relative_to(part) for part in only)]
    session = work / "all.sqlite"
    with use_db(str(session), WorkDB.Mode.create) as database:
        init(paths, database, config.operators_config)
        items = database.work_items
    os.unlink(session)
    found = Population(root, len(items))
    operators = re.compile("|".join(config.sub("filters", "operators-filter").get("exclude-operators", ["$^"])))
    unseen = {path: list(_never_run(ast.parse(found.text(path)))) for path in paths}
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    for item in items:
        made = item.mutations[0]
        text = found.text(made.module_path)
        start, end = in_bytes(text, made.start_pos), in_bytes(text, made.end_pos)
        if operators.match(made.operator_name):
            found.left_out["arithmetic made bitwise: a TypeError on reals, in whatever test"] += 1
        elif any(first <= start and end <= last for first, last in unseen[made.module_path]):
            found.left_out["in annotations, or for type checkers alone: never run"] += 1
        elif made.module_path.parent.name == "cuda" and not compiler:
            found.left_out["CUDA, where there is no C++ compiler to emulate it"] += 1
        else:
            found.items.append(item)
    return found


def in_bytes(text: str, position: tuple[int, int]) -> tuple[int, int]:
    """A position as Python's own parser counts columns: in bytes."""
    line = text.split("\n")[position[0] - 1]
    return position[0], len(line[: position[1]].encode())


def _never_run(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """From where to where a file has annotations, which stay text, and questions whether a type checker reads it."""
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            parts.append(node.test)
        for part in parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _order(made: MutationSpec) -> tuple[Any, ...]:
    return made.module_path.as_posix(), made.start_pos, made.operator_name, made.occurrence
