"""How attacks and defences are judged: what an attack has to keep, how often it succeeds, and ours on the same digits.

Nothing is compared with stored numbers.  Each check takes other digits, so that no answer can be stored either, and
runs our own attack on them as the yardstick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import RangeError
from ..models import Sequential
from .networks import classified, network
from .task import Score

Attack = Callable[..., Any]  # of a network, images, labels, …

#: Rounding of float32 that is allowed beyond ε and the bounds.
ROUNDING = 2e-6


def match(kind: str, n: int, seed: int) -> tuple[Sequential, np.ndarray, np.ndarray]:
    """A fixed network and n digits that it classifies correctly, others for other seeds: the network, x and y.

    kind: of the network, as `networks.network` has them.
    n: how many digits, at most 700.
    seed: of the check.

    >>> from minidl.coursework.contests import match
    >>> net, x, y = match("linear", 5, seed=1)
    >>> x.shape, bool((net(x).argmax(axis=1) == y).all())
    ((5, 1, 14, 14), True)
    """
    net = network(kind)
    return (net, *classified(net, n, first=seed * 211 % 1000))


def attacked(attack: Attack, net: Any, x: np.ndarray, *rest: Any) -> np.ndarray:
    """What an attack returns for the images x: checked to be finite images like x.

    attack: the student's, a function of the network, x and the rest.
    net: the network, which must stay as it is.
    x: images (n, 1, 14, 14).
    rest: further arguments: labels, ε, …

    Raises: `AssertionError` for anything else than a finite array of x's shape and dtype, and for a network that was
    changed.

    >>> import numpy as np
    >>> from minidl.coursework.contests import attacked, match
    >>> net, x, y = match("linear", 5, seed=1)
    >>> attacked(lambda net, x, y: x + np.float32(0.1), net, x, y).shape
    (5, 1, 14, 14)
    """
    kept = {name: w.copy() for name, w in getattr(net, "params", {}).items()}
    x_adv = attack(net, x.copy(), *rest)
    changed = [name for name, w in kept.items() if not np.array_equal(w, net.params[name])]
    for name in changed:
        net.params[name][...] = kept[name]
    if changed:
        raise AssertionError(
            f"the parameters {', '.join(changed)} of the network were changed.  An attack changes the "
            "image; the network stays as it is"
        )
    return like(x_adv, x)


def like(x_adv: Any, x: np.ndarray) -> np.ndarray:
    """The array x_adv, if it is finite and has x's shape and dtype.

    x_adv: what an attack returned.
    x: the images.

    Raises: `AssertionError` if it is not, with the likely cause.

    >>> import numpy as np
    >>> from minidl.coursework.contests import like
    >>> like(np.ones(3), np.zeros(3))
    array([1., 1., 1.])
    """
    if not isinstance(x_adv, np.ndarray):
        raise AssertionError(
            f"an array of images is expected, and {_kind(x_adv)} was returned.  Likely cause: no return at the end, "
            "or a return of several things"
        )
    if x_adv.shape != x.shape:
        raise AssertionError(
            f"the images have shape {x_adv.shape}; those that were given have {x.shape}.  Likely cause: a mean over "
            "the batch, or a reshape that is not undone"
        )
    if x_adv.dtype != x.dtype:
        raise AssertionError(
            f"the images are {x_adv.dtype}; those that were given are {x.dtype}.  Likely cause: random "
            "numbers of float64.  Fix: x_adv.astype(x.dtype)"
        )
    if not np.isfinite(x_adv).all():
        bad = int((~np.isfinite(x_adv)).sum())
        raise AssertionError(f"{bad} pixels are NaN or infinite.  Likely cause: a division by a norm that is 0")
    return x_adv


def within(x_adv: np.ndarray, x: np.ndarray, epsilon: float | None = None) -> None:
    """Raise `AssertionError` for a pixel outside [0, 1], or one that moved by more than ε.

    x_adv, x: images after and before.
    epsilon: the radius of the ball in L∞; None for attacks that have none.

    >>> import numpy as np
    >>> from minidl.coursework.contests import within
    >>> within(np.array([0.1, 0.4]), np.array([0.0, 0.5]), epsilon=0.1)
    """
    worst = np.unravel_index(np.abs(x_adv - 0.5).argmax(), x.shape)
    if not -ROUNDING <= x_adv[worst] <= 1 + ROUNDING:
        raise AssertionError(
            f"pixel {place(worst)} has the value {x_adv[worst]:.4g}, outside [0, 1].  Likely cause: no "
            "clip to the bounds, or one that is not the last thing done: np.clip(x_adv, 0, 1)"
        )
    if epsilon is None:
        return
    moved = np.abs(x_adv.astype(np.float64) - x)
    worst = np.unravel_index(moved.argmax(), x.shape)
    if moved[worst] > epsilon + ROUNDING:
        raise AssertionError(
            f"pixel {place(worst)} moved by {moved[worst]:.4g}; ε is {epsilon:g}.  Likely cause: a step "
            "that is not projected back to x - ε … x + ε, or one around the last point instead of x"
        )


def success(net: Any, x_adv: np.ndarray, y: np.ndarray) -> float:
    """The share of images that the network classifies as something else than y.

    net: a network.
    x_adv: images.
    y: labels.

    >>> from minidl.coursework.contests import match, success
    >>> success(*match("linear", 5, seed=1))
    0.0
    """
    return float((net(x_adv).argmax(axis=1) != y).mean())


def at_least(what: str, reached: float, ours: float, slack: float, causes: str) -> None:
    """Raise `AssertionError` if an attack succeeds less often than ours, by more than the slack.

    what: was attacked, for the message.
    reached, ours: shares of successes, on the same images.
    slack: how much less is enough.
    causes: of a low share, for the message.

    >>> from minidl.coursework.contests import at_least
    >>> at_least("mlp", 0.9, 0.92, 0.03, "")
    """
    if reached < ours - slack - 1e-9:
        raise AssertionError(
            f"{what}: {reached:.0%} of the digits are misclassified after your attack, {ours:.0%} after "
            f"ours; asked for: {max(ours - slack, 0):.0%}.  Likely causes: {causes}"
        )


def alone(attack: Attack, net: Any, x: np.ndarray, y: np.ndarray, *rest: Any, differ: float = 0.02) -> None:
    """Raise `AssertionError` if an example's result depends on the others in its batch.

    attack: the student's, a function of the network, x, y and the rest.
    net: the network.
    x, y: a batch.
    rest: further arguments.
    differ: the share of pixels that may differ, since sums are rounded differently in other batches.

    >>> import numpy as np
    >>> from minidl.coursework.contests import alone, match
    >>> alone(lambda net, x, y: 1 - x, *match("linear", 5, seed=1))
    """
    together = attacked(attack, net, x, y, *rest)
    for i in (0, len(x) - 1):
        apart = attacked(attack, net, x[i : i + 1], y[i : i + 1], *rest)[0]
        wrong = np.abs(apart - together[i]) > 1e-4
        if wrong.mean() > differ:
            raise AssertionError(
                f"example {i} gets another image alone than in a batch of {len(x)}: {wrong.mean():.0%} of its pixels "
                f"differ, by up to {np.abs(apart - together[i]).max():.3g}.  Likely causes: something is divided by a "
                "norm or a maximum of the whole batch; or all examples stop, or go on, together"
            )


def repeats(attack: Callable[[int], np.ndarray], seed: int) -> None:
    """Raise `AssertionError` unless the same seed leads to the same bits, and another seed to others.

    attack: a function of a seed, to images.
    seed: a whole number.

    >>> import numpy as np
    >>> from minidl.coursework.contests import repeats
    >>> repeats(lambda seed: np.random.default_rng(seed).random(3), seed=1)
    """
    one, again, other = attack(seed), attack(seed), attack(seed + 1)
    if not np.array_equal(one, again):
        raise AssertionError(
            f"seed {seed}, twice: {np.mean(one != again):.0%} of the pixels differ.  Likely cause: a "
            "random generator that is not made of the seed: np.random.default_rng(seed)"
        )
    if np.array_equal(one, other):
        raise AssertionError(
            f"seeds {seed} and {seed + 1} lead to the same bits.  Likely cause: the seed is not used, "
            "or nothing is drawn"
        )


def steps_of(levels: dict[float, float], value: float, sentence: str, best: str = "high") -> Score:
    """Partial points: the share of the best level that a value reaches.

    levels: the share of the points, by the value that is asked for.
    value: reached.
    sentence: what was reached; the next level is added to it.
    best: "high" or "low": which values are better.

    >>> from minidl.coursework.contests import steps_of
    >>> steps_of({0.5: 0.5, 0.8: 1.0}, 0.6, "accuracy .60")
    Score(share=0.5, sentence='accuracy .60; for more points: 0.8', value=0.6)
    """
    if best not in ("high", "low"):
        raise RangeError("steps_of", "'high' or 'low'", repr(best))
    reaches = (lambda level: value >= level) if best == "high" else (lambda level: value <= level)
    share = max((share for level, share in levels.items() if reaches(level)), default=0.0)
    above = [level for level, more in levels.items() if more > share and not reaches(level)]
    if above:
        following = min(above) if best == "high" else max(above)
        sentence += f"; for more points: {following:.3g}" + (" or less" if best == "low" else "")
    return Score(share, sentence, value)


def place(index: tuple[Any, ...]) -> str:
    """Where a pixel of a batch is, for a message.

    >>> from minidl.coursework.contests import place
    >>> place((3, 0, 5, 7))
    '(row 5, column 7) of example 3'
    """
    if len(index) < 3:
        return str(tuple(int(i) for i in index))
    return f"(row {int(index[-2])}, column {int(index[-1])}) of example {int(index[0])}"


def _kind(thing: Any) -> str:
    return "nothing (None)" if thing is None else f"a {type(thing).__name__}"
