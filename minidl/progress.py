"""The progress bar, in one place: shown on a terminal, silent in a log file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def bar(items: Iterable[Any], description: str, show: bool, **options: Any) -> Any:
    """The items as a tqdm bar, imported when first used; options are tqdm's."""
    from tqdm import tqdm

    return tqdm(items, desc=description, disable=None if show else True, leave=False, **options)
