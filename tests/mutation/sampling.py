"""The mutants: cosmic-ray makes them; a few are left out; a sample of the rest is drawn by a seed.

Every mutant has the same chance.  The sample is drawn by a hash of the seed and of what a mutant changes, not of its
line number.  So a line added to a file does not change the rest of the sample.
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

#: What a mutant changes: file, function or class, removed lines, added lines.
Key = tuple[str, str, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Mutant:
    """A mutant of cosmic-ray's.

    old, new: the lines that it removes, and the lines that it adds.
    """

    item: WorkItem
    old: tuple[str, ...]
    new: tuple[str, ...]

    @classmethod
    def of(cls, item: WorkItem, diff: Iterable[str]) -> Mutant:
        """The mutant with this unified diff, without the diff's head."""
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
        """The mutant in the format of `equivalent.txt`, without a reason."""
        lines = [f"- {line}" for line in self.old] + [f"+ {line}" for line in self.new]
        return "\n".join([f"{self.path} {self.made.definition_name or '-'}", *lines])


@dataclass
class Population:
    """All mutants of the files, from which a sample is drawn.

    made: how many mutants cosmic-ray makes.
    left_out: how many of them are left out, by reason.
    items: the others.
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
        equal: dict[tuple[Any, ...], int] = defaultdict(int)
        ranks = {}
        for item in sorted(self.items, key=lambda item: _order(item.mutations[0])):
            made = item.mutations[0]
            line = self.text(made.module_path).split("\n")[made.start_pos[0] - 1]
            column = made.start_pos[1] - (len(line) - len(line.lstrip()))
            what = (made.module_path.as_posix(), made.definition_name, made.operator_name, line.strip(), column)
            ranks[item.job_id] = hashlib.sha256(repr((seed, *what, equal[what])).encode()).digest()
            equal[what] += 1
        return sorted(self.items, key=lambda item: ranks[item.job_id])

    def sample(self, seed: int, count: int) -> list[Mutant]:
        """The first `count` mutants in the seed's order; those that change nothing or do not compile are left out."""
        mutants: list[Mutant] = []
        for item in self.ranked(seed):
            if len(mutants) == count:
                break
            mutant = self.mutant(item)
            if mutant is None:
                self.left_out["drawn, but the same program as before, or rejected by Python's compiler"] += 1
            else:
                mutants.append(mutant)
        return mutants

    def mutant(self, item: WorkItem) -> Mutant | None:
        """The mutant of an item; None if the program is the same as before, or does not compile without a warning."""
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
        """The mutant of the current files that changes the same as one of earlier files; None if there is none."""
        made = mutant.made
        for item in self.items:
            other = item.mutations[0]
            if (other.operator_name, other.definition_name) == (made.operator_name, made.definition_name):
                candidate = self.mutant(item) if other.module_path == made.module_path else None
                if candidate is not None and candidate.key == mutant.key:
                    return candidate
        return None


def population(root: Path, work: Path, config: ConfigDict, only: Iterable[str] = ()) -> Population:
    """All mutants of the files that the configuration names, or of those under `only`.

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
    result = Population(root, len(items))
    operators = re.compile("|".join(config.sub("filters", "operators-filter").get("exclude-operators", ["$^"])))
    unused = {path: list(_never_run(ast.parse(result.text(path)))) for path in paths}
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    for item in items:
        made = item.mutations[0]
        text = result.text(made.module_path)
        start, end = in_bytes(text, made.start_pos), in_bytes(text, made.end_pos)
        if operators.match(made.operator_name):
            result.left_out["arithmetic made bitwise: every test raises TypeError on reals"] += 1
        elif any(first <= start and end <= last for first, last in unused[made.module_path]):
            result.left_out["in annotations, or for type checkers only: never run"] += 1
        elif made.module_path.parent.name == "cuda" and not compiler:
            result.left_out["CUDA, if there is no C++ compiler to emulate it"] += 1
        else:
            result.items.append(item)
    return result


def in_bytes(text: str, position: tuple[int, int]) -> tuple[int, int]:
    """The position with its column in bytes, as Python's parser counts it."""
    line = text.split("\n")[position[0] - 1]
    return position[0], len(line[: position[1]].encode())


def _never_run(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The start and end of all annotations, which stay text, and of all tests of TYPE_CHECKING."""
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            parts.append(node.test)
        for part in parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _order(made: MutationSpec) -> tuple[Any, ...]:
    return made.module_path.as_posix(), made.start_pos, made.operator_name, made.occurrence
