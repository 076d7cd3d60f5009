"""Small arrays of every shape and layout, constructed rather than filtered, away from the kinks of |x| and max.

This and the zoo need Hypothesis: ``pip install "minidl[test]"``.  The rest of `minidl.testing` does without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import MissingPackageError

try:
    import hypothesis
    from hypothesis import strategies as st
except ImportError as error:
    fix = 'run pip install "minidl[test]"'
    raise MissingPackageError("minidl.testing", "Hypothesis, which draws the cases", str(error), fix) from error

Draw = Callable[[st.SearchStrategy[Any]], Any]  # what a composite strategy is given


def load_profile(name: str = "minidl", **options: Any) -> None:
    """Let Hypothesis draw without deadlines: the first call of a compiled kernel takes seconds, which is not a failure.

    name: of the profile.
    options: of `hypothesis.settings`.

    For a notebook, or the top of a test file.

    >>> from minidl import testing
    >>> testing.load_profile("mine", max_examples=20)
    >>> import hypothesis
    >>> hypothesis.settings.default.max_examples
    20
    """
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile(name, **{"deadline": None, "suppress_health_check": slow} | options)
    hypothesis.settings.load_profile(name)


@st.composite
def shapes(draw: Draw, min_rank: int = 0, max_rank: int = 4, min_side: int = 1) -> tuple[int, ...]:
    """The shape of a small array: of min_rank to max_rank axes, each of min_side to 3 entries."""
    rank = draw(st.integers(min_rank, max_rank))  # drawn first, so that high ranks are as likely as low ones
    return tuple(draw(st.lists(st.integers(min_side, 3), min_size=rank, max_size=rank)))


@st.composite
def arrays(draw: Draw, shape: tuple[int, ...], low: int = -16, high: int = 15, distinct: bool = False) -> np.ndarray:
    """Odd multiples of 1/16 in about [-2, 2]: never 0, never within a finite difference of it.

    distinct: no two alike, so that maxima have no ties; the range grows with the number of elements.
    """
    size = int(np.prod(shape))
    if distinct:
        numbers = draw(st.permutations(range(-(size // 2), size - size // 2)))
    else:
        numbers = draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
    x = (np.array(numbers, dtype=np.float64).reshape(shape) * 2 + 1) / 16
    return draw(layouts(x))


@st.composite
def layouts(draw: Draw, x: np.ndarray) -> np.ndarray:
    """The same values, laid out in memory in another way."""
    how = draw(st.sampled_from(["plain", "fortran", "strided", "reversed", "read-only"]))
    if how == "fortran" and x.ndim:
        return np.asfortranarray(x)
    if how == "strided" and x.ndim:
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if how == "reversed" and x.ndim:
        return x[..., ::-1].copy()[..., ::-1]
    if how == "read-only":
        x = x.copy()
        x.setflags(write=False)
    return x


@st.composite
def broadcastable(draw: Draw, max_rank: int = 3) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast together, either of which may be the smaller."""
    full = draw(shapes(0, max_rank))

    def part() -> tuple[int, ...]:
        kept = full[draw(st.integers(0, len(full))) :]
        return tuple(draw(st.sampled_from([n, 1])) for n in kept)

    first, second = part(), part()
    return (full, first) if draw(st.booleans()) else (first, second)


@st.composite
def axes_of(draw: Draw, rank: int) -> Any:
    """None, one axis, or several, counted from either end."""
    if rank == 0:
        return None
    some = draw(st.lists(st.integers(0, rank - 1), unique=True, max_size=rank))
    signed = tuple(a - rank if draw(st.booleans()) else a for a in some)
    return draw(st.sampled_from([None, signed, signed[0] if signed else None]))
