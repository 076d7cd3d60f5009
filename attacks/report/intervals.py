"""How far a measured share can be from the true one: 95 % intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

NORMAL_QUANTILE = 1.959964  # within ± so many deviations lie 95 % of a normal distribution


def wilson(successes: Any, counts: Any) -> np.ndarray:
    """The 95 % interval of each share successes/counts, as if the examples were independent draws.

    successes: whole numbers from 0 to the counts, any shape.
    counts: of examples, in the same shape.

    Returns: the ends (..., 2), from 0 to 1; nan where nothing is counted.
    Source: Wilson 1927.  Unlike ± two deviations, it is right near 0 and 1, too.

    >>> from attacks.report.intervals import wilson
    >>> wilson(90, 100).round(2)
    array([0.83, 0.94])
    """
    successes, counts = np.asarray(successes), np.asarray(counts)
    n, z = np.maximum(counts, 1), NORMAL_QUANTILE
    rates = np.where(counts, successes / n, np.nan)
    middle, spread = rates + z**2 / (2 * n), np.sqrt(rates * (1 - rates) / n + z**2 / (4 * n**2))
    ends = np.stack([middle - z * spread, middle + z * spread], axis=-1) / (1 + z**2 / n)[..., None]
    return np.clip(ends, 0, 1)


def share(successes: Any, count: Any) -> str:
    """A share in per cent with its interval, as text.

    successes: how many.
    count: of how many.

    >>> from attacks.report.intervals import share
    >>> share(90, 100), share(0, 0)
    ('90.0 (83-94)', '-')
    """
    if not count:
        return "-"
    low, high = 100 * wilson(successes, count)
    return f"{100 * successes / count:.1f} ({low:.0f}-{high:.0f})"
