"""The Square attack (Andriushchenko et al. 2020): random squares at ±ε, each kept if it helps; it asks for no slopes.

A network that cuts its inputs off at thresholds is flat between them: its slopes lead nowhere, and attacks that follow
them take it for robust.  Random search does not notice.  It wants many more runs of the network instead.

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
from ..common.norms import ladder, per_example
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
    """The closest to the goal that random squares come, within ε in L∞: a black box, of which only logits are seen.

    Read `plain.square` first.

    victim: a network, any function to logits (for once it need not be made of minidl operations), or a `Victim`.
    x (N, C, H, W) within its bounds, where the images are kept.  goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    queries: how many images the network is asked about for one of x, at least 1; fewer if it succeeds.  epsilon: at
    least 0.  initial_share (p): the part of the pixels in the first squares, above 0 and at most 1.

    The first query is x with every column of every channel at +ε or -ε.  Each other query sets a square of h×h pixels,
    anywhere, to +ε or -ε in every channel; whatever raises the margin is kept.  h is √(p·H·W), rounded, and p is halved
    on the way, at their `HALVED` queries, if they are 10 000, and else in proportion.  All draws are functions of
    (seed, index of the example in x, query) alone.  result.iterations counts the queries of each example.  Ctrl-C
    ends the attack early and returns what there is, with ``params["interrupted"]`` set.

    Algorithms 1 and 2.  They raise cross-entropy towards a target; here it is the margin there, too.
    Raises as `run.begin` does, and before any work `ShapeError` for what is no batch of images, `RangeError` for
    parameters out of range.
    """
    check_counts("square", queries=queries)
    share = check_number("square", "an initial_share above 0, at most 1", initial_share, most=1, but=0)
    (radius,) = ladder("square", [epsilon])
    if getattr(x, "ndim", 4) != 4:
        raise ShapeError("square", "images (N, C, H, W)", f"{x.shape}", "x.reshape(-1, 1, 28, 28) for flat digits")
    run = begin("square", victim, x, goal, seed)
    x_adv, used = run.started()
    with run.interruptible(), bar(range(queries), "Square", progress, unit="query") as shown:
        search(run, run.standing(), x_adv, used, radius, queries, share, shown)
    return run.end(x_adv, used, norm="linf", epsilon=radius, queries=queries, initial_share=share)


def search(
    run: Run, active: ActiveSet, x_adv: Array, used: Array, radius: float, queries: int, share: float, shown: Any
) -> None:
    """The search for the active examples: their best goes into x_adv, whatever was there; `used` counts queries."""
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
        shown.update()
        shown.set_postfix(active=len(active), refresh=False)


def _drawn(run: Run, active: ActiveSet, query: int, h: int) -> tuple[Array, Array]:
    """Which pixels of the active examples a query sets (n, 1, H, W), and whether to +ε (n, C, 1, 1 or W), both bool."""
    xp = namespace(run.x)
    _, channels, height, width = run.x.shape

    def uniform(*numbers: int) -> Array:  # drawn for all, so that nobody's draws depend on who is still there
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
    """h, once that part of the queries has been asked: the side of a square."""
    p = share / 2 ** sum(10_000 * part > query for query in HALVED)
    return max(1, min(round((p * height * width) ** 0.5), height, width))
