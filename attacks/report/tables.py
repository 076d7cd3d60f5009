"""Tables for the terminal and for text files, words to the left and numbers to the right; and what prints as such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl.tables import cell, html_table

Table = tuple[str, Sequence[str], Sequence[Sequence[Any]]]  # title, heads, rows


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The title, the heads, a rule, and the rows; floats to four decimals.  A head may be of several lines."""
    parts = [head.split("\n") for head in heads]
    high = max(map(len, parts), default=1)
    above = [list(line) for line in zip(*([""] * (high - len(part)) + part for part in parts))]
    cells = above + [[cell(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths)))
             for row in cells]  # fmt: skip
    rule = "-" * max(map(len, lines), default=0)
    return "\n".join([title, *(line.rstrip() for line in lines[:high]), rule, *lines[high:], ""])


class Tabled:
    """What prints as one table or several: as text by ``str()``, as HTML where a notebook's cell ends with it."""

    def _tables(self) -> list[Table]:
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(table(*each) for each in self._tables())

    def _repr_html_(self) -> str:
        return "".join(html_table(heads, rows, title) for title, heads, rows in self._tables())
