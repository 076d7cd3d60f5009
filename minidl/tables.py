"""Tables in notebooks: objects that print as a table on a terminal have one in HTML, by ``_repr_html_``."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any


def cell(value: Any) -> str:
    """The text of a value in a table: floats to four decimals."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def html_table(heads: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> str:
    """A table of HTML: the title above, a line of heads, the rows; words to the left, numbers to the right."""
    sides = ["left", *["right"] * (len(heads) - 1)]
    lines = [
        "".join(f'<{tag} style="text-align: {side}">{_lines(cell(c))}</{tag}>' for side, c in zip(sides, row))
        for tag, row in [("th", heads), *(("td", row) for row in rows)]
    ]
    caption = f'<caption style="text-align: left">{escape(title)}</caption>' if title else ""
    return f"<table>{caption}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br/>")
