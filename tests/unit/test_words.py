"""The glossary of CONTRIBUTING.md holds, in documents, docstrings, comments, messages and names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

PYTHON = sorted(
    path
    for folder in ("minidl", "attacks", "demos", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "test_words.py"  # which has them all
)
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "demos/*.md", "tests/**/*.md", "minidl/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "CONTRIBUTING.md")  # history, and the glossary itself
)

#: Where a slope is one: the derivative of a function of one number, or `testing.slope`, which plants a wrong one.
OF_ONE_NUMBER = ("minidl/", "tests/", "README.md")

#: Names that say nothing of what they hold.
NAMES = {
    "found", "told", "said", "HAIR", "rounding_hair", "ladder", "_climb", "serves_target", "_own", "_typed", "_stacked",
    "_lesson", "Moment", "Standing", "Toward", "speak", "hear", "founded", "challenged", "admitted", "pick", "unpick",
    "winners",
}  # fmt: skip


def glossary() -> dict[str, re.Pattern]:
    """The words of the last column of the table, each with what finds it, also in the plural."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [row.split("|")[3] for row in text.splitlines() if row.startswith("| ")]
    words = [word for row in rows for word in re.findall("`([^`]+)`", row)]
    return {word: re.compile(rf"(?<![\w`.]){word.replace(' ', chr(92) + 's+')}s?(?![\w`(])", re.I) for word in words}


WORDS = glossary()


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a file that people read, each with its line: comments and strings of Python, or the document."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)


def offences(path: Path) -> list[str]:
    where = path.relative_to(ROOT).as_posix()
    words = {word: pattern for word, pattern in WORDS.items() if word != "slope" or not where.startswith(OF_ONE_NUMBER)}
    return [
        f"{where}:{line}: {word!r} in: {sentence.strip()}"
        for line, sentence in sentences(path)
        for word, pattern in words.items()
        if pattern.search(sentence)
    ]


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """The names that a file gives: of variables, parameters, functions, classes and attributes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_the_glossary_is_read() -> None:
    assert {"slope", "misread", "everybody", "given back"} <= set(WORDS)
    assert WORDS["misread"].search("the digits it misreads")
    assert WORDS["given back"].search("it is given\nback")
    assert not WORDS["hair"].search("a chair, `hair` and hair()")


@pytest.mark.parametrize("path", [*DOCUMENTS, *PYTHON], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words(path) -> None:
    assert offences(path) == []


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names(path) -> None:
    assert [(line, name) for line, name in identifiers(path) if name in NAMES] == []
