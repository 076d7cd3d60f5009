"""How every attack begins and ends."""

from .result import Run, begin, stream

__all__ = ["Run", "begin", "stream"]
