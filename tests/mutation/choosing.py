"""Choose the tests that can detect a mutant, and their order.

A mutant inside a function can be detected by the tests that run its statement.  For some code, coverage cannot tell
which tests depend on it: code that runs at import (tables, defaults, decorators, bodies of classes), code that Numba
compiles, and cached results.  For a mutant of such code, the tests that run the lines where its name is used are chosen,
in any file.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from .covering import Map, left_out
from .trees import decorators, is_compiled

Function = ast.FunctionDef | ast.AsyncFunctionDef
CACHED = {"cache", "lru_cache", "cached_property"}

#: Seconds of tests, measured without a mutant; a mutant that none of them detects counts as a survivor.
TIME_LIMIT = 90.0

#: These tests read definitions without running their lines: defaults, constants, signatures.
READERS = (
    "tests/unit/test_defaults.py::",
    "tests/unit/test_paths.py::test_what_is_compiled_is_as_it_was_approved",
    "tests/unit/test_texts.py::test_functions_are_called_as_was_approved",
)

#: The test that runs a demo in a new process, for functions that no other test runs but a demo names.
DEMO = "tests/unit/test_project.py::test_demos_run_on_other_arrays[demos/{}]"


@dataclass(frozen=True)
class Place:
    """The place of a piece of code in a file.

    function: the innermost function with the code in its body, or None if the code runs at import.
    head: whether the code is part of a function's head, which runs at import: a decorator or a default.
    lines: of its statement; of a compound statement, those of the head; of a lambda, all; of the head of a function,
    those of the body.
    names: a mutant can be detected where these names are used, even by tests that do not run its lines.
    called: the name of the function, or the names that are defined at import.
    """

    function: Function | ast.Lambda | None
    head: bool
    lines: range
    names: frozenset[str]
    called: frozenset[str]


class Chooser:
    """Chooses tests by the coverage map and by the names in all files."""

    def __init__(self, root: Path, coverage: Map) -> None:
        self.map = coverage
        paths = [path for package in ("minidl", "attacks") for path in sorted((root / package).rglob("*.py"))]
        self.trees = {path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
        self.uses: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self.places: dict[tuple[str, int], Place] = {}
        for path, tree in self.trees.items():
            for node in ast.walk(tree):
                for part in {"annotation", "returns"} & set(node._fields):
                    setattr(node, part, None)  # annotations never run
            for node in ast.walk(tree):
                for name in _words(node):
                    self.uses[name] |= {(path, line) for line in range(node.lineno, node.end_lineno + 1)}
        self.demos = {path.name: _words_of(path) for path in sorted((root / "demos").glob("*.py"))}
        self.demos.pop("common.py", None)
        self.texts = {}
        for file in {test.partition("::")[0] for test in coverage.seconds}:
            self.texts[file] = _words_of(root / file)

    def choose(self, path: str, start: tuple[int, int], end: tuple[int, int]) -> tuple[list[str], int]:
        """The tests, the most likely to detect it first, and how many of them run the mutated lines."""
        place = locate(self.trees[path], start, end)
        direct = self._run_by(path, place.lines).union(*(self._using(name) for name in place.names))
        ranks = [direct]
        if place.function is None and not place.head:
            ranks.append(self._run_by(path, set(self.map.tests[path])))
        elif not isinstance(place.function, ast.Lambda):  # import runs the line of a lambda, but not its body
            ranks.append(self._imported_by(path, place.lines))
        if not any(ranks):
            stem = Path(path).stem
            ranks = [self._of_files({f for f, text in self.texts.items() if stem in text and text & place.called})]
        if place.function is None:
            ranks.insert(0, {test for test in self.map.seconds if test.startswith(READERS)})
        chosen: list[str] = []
        for tests in ranks:
            chosen += self._in_order(place.called, tests - set(chosen))
        seconds = accumulate(self.map.seconds[test] for test in chosen)
        chosen = [test for test, so_far in zip(chosen, seconds) if so_far <= TIME_LIMIT]
        if not chosen:
            chosen = [DEMO.format(name) for name, text in self.demos.items() if text & place.called]
        return chosen, len(direct)

    def _run_by(self, path: str, lines: range | set[int]) -> set[str]:
        tests = set().union(*(self.map.tests[path].get(line, ()) for line in lines))
        return {test for test in tests if test in self.map.seconds}

    def _imported_by(self, path: str, lines: range) -> set[str]:
        """All tests of the test files that run these lines of functions while they are imported."""
        return self._of_files(set().union(*(self.map.imports[path].get(line, ()) for line in lines)))

    def _using(self, name: str, visited: set[str] | None = None) -> set[str]:
        """The tests that run a line with this name; if coverage cannot tell, those that use the name of its function."""
        visited = visited or set()
        if name in visited or not name:
            return set()
        visited.add(name)
        tests: set[str] = set()
        for path, line in self.uses[name]:
            if (path, line) not in self.places:
                self.places[path, line] = locate(self.trees[path], (line, 0), (line, 0))
            place = self.places[path, line]
            if place.function is None or (isinstance(place.function, Function) and is_compiled(place.function)):
                further = place.called
            else:
                further = frozenset()
                tests |= self._run_by(path, range(line, line + 1))
            for word in further:
                tests |= self._using(word, visited)
        return tests

    def _of_files(self, files: set[str]) -> set[str]:
        return {test for test in self.map.seconds if test.partition("::")[0] in files and not left_out(test)}

    def _in_order(self, called: frozenset[str], tests: set[str]) -> list[str]:
        """Sort tests: those with the function's name in their parameters first, then fast tests that run few lines.

        The cases of a parametrized test are moved back one after the other, so that other tests come between them.
        """
        words = {name.strip("_") for name in called}
        cost = {test: (self.map.seconds[test] + 0.02) * (self.map.breadth[test] + 20) for test in tests}
        cases: dict[str, int] = defaultdict(int)
        order = []
        for test in sorted(tests, key=lambda test: (cost[test], test)):
            function, _, parameters = test.partition("[")
            cases[function] += 1
            order.append((not any(word in parameters for word in words), cost[test] * cases[function], test))
        return [test for *_, test in sorted(order)]


def locate(tree: ast.Module, start: tuple[int, int], end: tuple[int, int]) -> Place:
    """The place of the code between two positions (line, column).  Column 0 stands for the whole line."""
    function, statement, called = None, None, frozenset()
    node: ast.AST | None = tree
    while node is not None:
        if isinstance(node, ast.stmt):
            statement = node
            called = called | _bound(node) if function is None else called
        if isinstance(node, ast.Lambda):
            function = node
        elif isinstance(node, Function) and _holds(node.body, start, end):
            function, called = node, frozenset({node.name})
        node = next((child for child in ast.iter_child_nodes(node) if _holds([child], start, end)), None)
    if statement is None:
        return Place(None, False, range(start[0], end[0] + 1), called, called)
    head = isinstance(statement, Function) and function is None
    first, last = min(statement.lineno, start[0]), statement.end_lineno
    if isinstance(function, ast.Lambda):
        first, last = function.lineno, function.end_lineno
    elif head:
        first = statement.body[0].lineno
    elif getattr(statement, "body", None):
        last = max(statement.lineno, statement.body[0].lineno - 1, end[0])
    names = called
    if head:
        called = frozenset({statement.name})
        names = called if statement.decorator_list else frozenset()
    elif isinstance(function, Function):
        names = called if is_compiled(function) or decorators(function) & CACHED else frozenset()
    elif isinstance(function, ast.Lambda):
        names = frozenset()
    return Place(function, head, range(first, last + 1), names, called)


def _holds(nodes: list[ast.AST], start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether the code is part of these nodes.  Of nodes without a position, such as arguments, the children count."""
    first, last = nodes[0], nodes[-1]
    if not hasattr(first, "lineno"):
        return any(_holds([child], start, end) for child in ast.iter_child_nodes(first))
    begins = min([first.lineno] + [node.lineno for node in getattr(first, "decorator_list", [])])
    if start[1] == end[1] == 0:
        return begins <= start[0] and end[0] <= last.end_lineno
    column = 0 if begins < first.lineno else first.col_offset
    return (begins, column) <= start and end <= (last.end_lineno, last.end_col_offset)


def _bound(statement: ast.stmt) -> frozenset[str]:
    """The names that a statement defines."""
    if isinstance(statement, Function | ast.ClassDef):
        return frozenset({statement.name})
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    nodes = [node for target in targets if target is not None for node in ast.walk(target)]
    return frozenset(node.id for node in nodes if isinstance(node, ast.Name))


def _words_of(path: Path) -> set[str]:
    return set(re.findall(r"\w+", path.read_text(encoding="utf-8")))


def _words(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    return [node.arg] if isinstance(node, ast.keyword) and node.arg else []
