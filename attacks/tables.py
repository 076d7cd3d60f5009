"""Tables for the terminal and for text files, words to the left and numbers to the right; and what prints as such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl.tables import cell, html_table

Table = tuple[str, Sequence[str], Sequence[Sequence[Any]]]  # title, heads, rows


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The title, a line of heads, a rule, and the rows; floats to four decimals."""
    cells = [list(heads)] + [[cell(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths)))
             for row in cells]  # fmt: skip
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:], ""])


class Tabled:
    """What prints as one table or several: as text by ``str()``, as HTML where a notebook's cell ends with it."""

    def _tables(self) -> list[Table]:
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(table(*each) for each in self._tables())

    def _repr_html_(self) -> str:
        return "".join(html_table(heads, rows, title) for title, heads, rows in self._tables())
