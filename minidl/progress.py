"""The progress bar, in one place: shown where somebody watches, on a terminal and in a notebook, and not in a log file.

`fit` shows one unless it is told not to; attacks and evolution do if they are told to, by ``progress=True``.  Where
output goes to a file or a pipe there is none, unless MINIDL_PROGRESS=1 is set in the environment, which asks for bars
there too; then they are written every ten seconds.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

#: What it says on a terminal: short enough for loss and accuracy beside a bar in 80 columns, so no counts and rates.
SHORT = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
LONGEST = 36  # characters of a description


def bar(items: Iterable[Any], description: str, show: bool, **options: Any) -> Any:
    """The items as a tqdm bar, imported when first used; options are tqdm's.

    show: whether there is to be one, where somebody watches.  In a notebook it is a widget, or text without ipywidgets,
    and stays, as all that a cell shows does; on a terminal it makes room when it is done.
    """
    cell = in_notebook()
    stream = sys.stdout if cell else sys.stderr  # what goes to a cell's stderr looks like an error
    terminal = stream is not None and stream.isatty() and not cell
    asked = stream is not None and os.environ.get("MINIDL_PROGRESS") == "1"
    if len(description) > LONGEST:
        description = description[: LONGEST - 3] + "..."
    look = {"leave": cell, "file": stream, "bar_format": SHORT if terminal else None,
            "mininterval": 0.1 if cell or terminal else 10.0}  # fmt: skip
    return _tqdm()(items, desc=description, disable=not (show and (cell or terminal or asked)), **look, **options)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this: its output is no terminal, and yet somebody watches."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


@cache
def _tqdm() -> Any:
    """tqdm's class of widgets in a notebook that has them, and else that of text, without a warning about which."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm
