"""The class of all figures here: matplotlib's, but drawn in a notebook when a cell ends with one.

matplotlib itself does that only for figures of pyplot, and pyplot keeps each in a global list.
A file of its own, imported with the first figure: matplotlib takes a while.
"""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

PIXELS = 96  # of the screen, for an inch of paper


class ReportFigure(Figure):
    """A matplotlib Figure that shows itself in a notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """The picture, and how wide it is to be shown: it has more pixels than that, for sharp screens and paper."""
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue(), {"width": round(PIXELS * float(self.get_figwidth()))}
