"""Tables for the terminal and for text files: words to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The title, a line of heads, a rule, and the rows; floats to four decimals."""
    cells = [list(heads)] + [[f"{c:.4f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths)))
             for row in cells]  # fmt: skip
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:], ""])
