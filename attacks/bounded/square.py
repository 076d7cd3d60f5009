"""The Square attack (Andriushchenko et al. 2020): random squares at ±ε, each kept if it helps.  It needs no gradient.

A network that cuts its inputs off at thresholds is flat between them: its gradients are 0 or lead nowhere, and attacks
that follow them make it look robust.  Random search does not depend on gradients, and costs many more queries instead.

Read `plain/square.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from typing import Any

from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.errors import ShapeError
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_counts, check_number
from ..common.norms import as_radii, per_example
from ..common.objectives import margin
from ..common.result import AttackResult
from ..common.run import Run, begin

#: After which queries, of 10 000, the share of the pixels in a square is halved (their §5).
HALVED = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)
INITIAL_SHARE = 0.8


def square(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float = 0.3,
    queries: int = 5000,
    initial_share: float = INITIAL_SHARE,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """Random squares at ±ε, each kept if it brings the image closer to the goal, within ε in L∞.  It needs no gradient.

    Read `plain.square` first.

    victim: a network, any function to logits (here it need not be made of minidl operations), or a `Victim`.
    x: images (N, C, H, W), floating point, within the victim's bounds; they stay there.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    epsilon: the radius of the ball, at least 0.
    queries: the most images that the network is asked about for each of x, at least 1.
    initial_share: p, the share of the pixels in the first squares, above 0 and at most 1.
    seed: a whole number.  All draws are a function of (seed, index of the example in x, query) alone.
    progress: whether to show a bar over the queries.

    The first query is x with every column of every channel at +ε or -ε.  Each other query sets a square of h×h pixels,
    anywhere, to +ε or -ε in every channel.  It is kept if it increases the margin.  h is √(p·H·W), rounded.  p is
    halved after the queries in `HALVED` if there are 10,000 in all, and in proportion if not.

    Returns: an `AttackResult`; `iterations` (N,) counts the queries of each example.  After Ctrl-C it holds what was
    reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and before any work `ShapeError` for x of another rank, `RangeError` for a parameter
    out of range.
    Source: Andriushchenko, Croce, Flammarion and Hein 2020, Algorithms 1 and 2.  Towards a target they increase
    cross-entropy; here it is the margin there, too.

    >>> import numpy as np
    >>> from attacks import square
    >>> from minidl import models
    >>> x = np.full((2, 1, 28, 28), 0.5, dtype=np.float32)
    >>> result = square(models.lenet(seed=0), x, np.array([3, 5]), epsilon=0.2, queries=20)
    >>> result.x_adv.shape, bool((result.linf < 0.201).all())
    ((2, 1, 28, 28), True)
    """
    check_counts("square", queries=queries)
    share = check_number("square", "an initial_share above 0, at most 1", initial_share, most=1, but=0)
    (radius,) = as_radii("square", [epsilon])
    if getattr(x, "ndim", 4) != 4:
        raise ShapeError("square", "images (N, C, H, W)", f"{x.shape}", "x.reshape(-1, 1, 28, 28) for flat digits")
    run = begin("square", victim, x, goal, seed)
    x_adv, used = run.started()
    with run.interruptible(), bar(range(queries), "Square", progress, unit="query") as queries_bar:
        search(run, run.not_yet_successful(), x_adv, used, radius, queries, share, queries_bar)
    return run.end(x_adv, used, norm="linf", epsilon=radius, queries=queries, initial_share=share)


def search(
    run: Run, active: ActiveSet, x_adv: Array, used: Array, radius: float, queries: int, share: float, queries_bar: Any
) -> None:
    """The search for the active examples.  Their best images replace those in x_adv; `used` (N,) counts queries."""
    xp = namespace(run.x)
    low, high = (xp.clip(run.x + d, *run.victim.bounds) for d in (-radius, radius))
    active.low, active.high = (active.gather(run.as_returned(end, run.x)) for end in (low, high))
    active.best = xp.full(len(active), -xp.inf, dtype=run.x.dtype)
    for query in range(1, queries + 1):
        if not len(active):
            break
        where, up = _drawn(run, active, query, side(query / queries, share, *run.x.shape[2:]))
        tried = xp.where(where, xp.where(up, active.high, active.low), active.gather(x_adv))
        logits, goal = run.victim.logits(tried), run.goal.take(active.rows)
        achieved, reached = goal.achieved(logits.argmax(axis=-1)), margin(goal, logits)
        better = achieved | (reached > active.best)
        active.scatter(x_adv, tried, better)
        active.best[better] = reached[better]
        active.count(used)
        active.drop(achieved)
        queries_bar.update()
        queries_bar.set_postfix(active=len(active), refresh=False)


def _drawn(run: Run, active: ActiveSet, query: int, h: int) -> tuple[Array, Array]:
    """Which pixels of the active examples a query sets (n, 1, H, W), and whether to +ε (n, C, 1, 1 or W), both bool."""
    xp = namespace(run.x)
    _, channels, height, width = run.x.shape

    def uniform(*numbers: int) -> Array:  # for all examples, so that draws do not depend on which are active
        like = xp.zeros((len(run.x), *numbers), dtype=run.x.dtype)
        return active.gather(kernels(run.x).random_uniform(run.key(0, query), like))

    if query == 1:
        return xp.full((len(active), 1, 1, 1), True), uniform(channels, 1, width) < 0.5
    drawn = uniform(2 + channels)
    rows, columns = xp.arange(height)[:, None], xp.arange(width)
    r = per_example((drawn[:, 0] * (height - h + 1)).astype("int64"), run.x)
    s = per_example((drawn[:, 1] * (width - h + 1)).astype("int64"), run.x)
    return (rows >= r) & (rows < r + h) & (columns >= s) & (columns < s + h), drawn[:, 2:, None, None] < 0.5


def side(part: float, share: float, height: int, width: int) -> int:
    """h, the side of a square in pixels, after that part (0 to 1) of the queries."""
    p = share / 2 ** sum(10_000 * part > query for query in HALVED)
    return max(1, min(round((p * height * width) ** 0.5), height, width))
