"""The progress bar: on a terminal and in a notebook, and not in a log file.

`fit` shows one by default; attacks and evolution do with ``progress=True``.  If output goes to a file or a pipe, no
bar is shown, unless MINIDL_PROGRESS=1 is set in the environment; then it is written every ten seconds.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

#: The format on a terminal: without counts and rates, so that loss and accuracy fit beside a bar in 80 columns.
SHORT = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
LONGEST = 36  # characters of a description


def bar(items: Iterable[Any], description: str, show: bool, **options: Any) -> Any:
    """The items as a tqdm bar, imported when first used; options are tqdm's.

    show: whether to show it, on a terminal or in a notebook.  In a notebook it is a widget, or text without ipywidgets,
    and stays; on a terminal it disappears when it is done.
    """
    cell = in_notebook()
    stream = sys.stdout if cell else sys.stderr  # a cell's stderr looks like an error
    terminal = stream is not None and stream.isatty() and not cell
    asked = stream is not None and os.environ.get("MINIDL_PROGRESS") == "1"
    if len(description) > LONGEST:
        description = description[: LONGEST - 3] + "..."
    look = {"leave": cell, "file": stream, "bar_format": SHORT if terminal else None,
            "mininterval": 0.1 if cell or terminal else 10.0}  # fmt: skip
    return _tqdm()(items, desc=description, disable=not (show and (cell or terminal or asked)), **look, **options)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this: its output is not a terminal, but is shown to a reader."""
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
