"""Every fix in the sources is something to type, or a sentence that says what to do; none is a riddle.

All calls that are given a fix are found in the text of the sources: those of the errors, and of functions that hand one
on.  So are the texts it may be; a fix that is put together in a way that is not understood here fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

import pytest

import attacks
import minidl
from minidl import errors
from tests.support.approval import FOLDER

#: The verbs that fixes begin with.
VERBS = re.split(r"\s+", """ask attack call check change compare compose convert decorate define delete draw end evaluate exchange fetch fool
give import join keep leave load make mend move name pass put remove run save say scale split sum take unpack use wrap write""")  # fmt: skip

SOURCES = [path for package in (minidl, attacks) for path in sorted(Path(package.__path__[0]).rglob("*.py"))]


def is_typed(fix: str) -> bool:
    """Whether this is an expression, or an argument, that one can type: more than a word, or words with "or" between."""
    try:
        call = ast.parse(f"f({fix})", mode="eval").body
    except SyntaxError:
        return False
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return len(given) == 1 and (bool(call.keywords) or not isinstance(given[0], ast.Name | ast.BoolOp | ast.Constant))


def is_sound(fix: str) -> bool:
    """Nothing; or something to type, perhaps with what it is for; or an imperative sentence."""
    code, _, purpose = fix.partition(" for ")
    first, *more = fix.split(" ")
    return fix == "" or is_typed(fix) or (bool(purpose) and is_typed(code)) or (first in VERBS and bool(more))


@pytest.mark.parametrize("fix", ["", "x[None]", "y.astype(np.int64)", "shape=(1, 28, 28)", "x[None] for one image", "leave those out", 'f"{x:.3f}"'])  # fmt: skip
def test_sound_ones_are_reported(fix) -> None:
    assert is_sound(fix)


@pytest.mark.parametrize(
    "fix", ["float32 or float64", "see stack", "jacobian", "has the training diverged?", "extra axes go in front", "one example alone is x[None]",
            "before Flatten(), not after", "use", "Use x[None]", "a smaller learning rate", "x[0] = y", "width=64 is the paper's", "a, b", "'text'"])  # fmt: skip
def test_riddles_are_reported(fix) -> None:
    assert not is_sound(fix)


class Source:
    """One file, and what its names may stand for."""

    def __init__(self, path: Path) -> None:
        self.path, self.tree = path, ast.parse(path.read_text(encoding="utf-8"))

    @cached_property
    def functions(self) -> list[ast.FunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)]

    def texts(self, node: ast.AST, scope: ast.AST) -> Iterator[str]:
        """All texts that an expression inside the function `scope` may be, with x for what is computed."""
        if isinstance(node, ast.Constant):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.IfExp):
            yield from [*self.texts(node.body, scope), *self.texts(node.orelse, scope)]
        elif isinstance(node, ast.Dict):
            yield from (text for value in node.values for text in self.texts(value, scope))
        elif isinstance(node, ast.List):
            yield from (text for value in node.elts for text in self.texts(value, scope))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):  # one text in two lines
            yield from (a + b for a in self.texts(node.left, scope) for b in self.texts(node.right, scope))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):  # a list that may be empty
            yield from self.texts(node.left, scope)
        elif isinstance(node, ast.Name):
            yield from self.named(node.id, scope)
        elif isinstance(node, ast.Call):
            yield from self.called(node, scope)
        else:
            raise AssertionError(f"{self.path}:{node.lineno}: a fix that is not understood: {ast.unparse(node)}")

    def called(self, node: ast.Call, scope: ast.AST) -> Iterator[str]:
        """Of a function: whatever it returns.  Of ``table.get(key, text)``: all of the table.  Of ``join``: each part."""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            yield from [*self.texts(node.func.value, self.tree), *self.texts(node.args[1], scope)]
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            yield from self.texts(node.args[0], scope)
        else:
            for source, function in FUNCTIONS[name_of(node.func)]:
                for child in ast.walk(function):
                    if isinstance(child, ast.Return):
                        yield from source.texts(child.value, function)

    def named(self, name: str, scope: ast.AST) -> Iterator[str]:
        """Whatever is given to a name: in the function, else in the file.  What callers give is found where they do."""
        if isinstance(scope, ast.FunctionDef) and name in parameters(scope):
            return
        pairs = [pair for node in ast.walk(scope) for pair in assigned(node)]
        values = [value for target, value in pairs if target == name]
        if not values:
            assert scope is not self.tree, f"{self.path}: nothing is known of {name}"
            yield from self.named(name, self.tree)
        for value in values:
            yield from self.texts(value, scope)


def parameters(function: ast.FunctionDef) -> list[str]:
    return [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that a statement gives values to."""
    if isinstance(node, ast.For):
        if isinstance(node.iter, ast.Tuple):
            yield from (pair for row in node.iter.elts for pair in matched(node.target, row))
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from matched(target, node.value)


def matched(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for each, its in zip(target.elts, value.elts, strict=True):
            yield from matched(each, its)


FILES = [Source(path) for path in SOURCES]
FUNCTIONS: dict[str, list[tuple[Source, ast.FunctionDef]]] = {}
for _source in FILES:
    for _function in _source.functions:
        FUNCTIONS.setdefault(_function.name, []).append((_source, _function))

#: Where the fix stands among the arguments: of the errors, and of functions that hand one on.
PLACES = {name: 3 for name, thing in vars(errors).items() if isinstance(thing, type)} | {
    name: parameters(function).index("fix")
    for name, functions in FUNCTIONS.items() for _, function in functions if "fix" in parameters(function)
}  # fmt: skip


def name_of(called: ast.AST) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


@cache
def fixes() -> list[tuple[str, str]]:
    """Every fix in the sources, with where it is given."""
    return sorted(set(literal_fixes()))


def literal_fixes() -> Iterator[tuple[str, str]]:
    for source in FILES:
        for scope in source.functions:  # an error outside of all functions would be one of its own
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and name_of(node.func) in PLACES:
                    place, given = PLACES[name_of(node.func)], [k.value for k in node.keywords if k.arg == "fix"]
                    if given or len(node.args) > place:
                        for text in source.texts(given[0] if given else node.args[place], scope):
                            yield f"{source.path.name}:{node.lineno}", text


def test_every_fix_in_the_sources_is_sound() -> None:
    assert len({where for where, _ in fixes()}) > 60  # and not none, for a change of how they are written
    assert [f"{where}: {fix}" for where, fix in fixes() if not is_sound(fix)] == []


def test_every_fix_that_is_shown_is_sound() -> None:
    """With everything computed: those of the approved refusals."""
    shown = re.findall(r"\. Fix: (.*)", (FOLDER / "refusals.txt").read_text(encoding="utf-8"))
    assert len(shown) > 60
    assert [fix for fix in shown if not is_sound(fix)] == []
