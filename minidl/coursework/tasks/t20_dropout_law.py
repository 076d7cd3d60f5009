"""Task 20: a law by chance, for dropout.

Dropout at a rate r sets each unit to 0 with probability r, independently, and divides the others by 1 - r.

Write a law for dropout(x, rate, rng) -> y, in the shape of x (n, units).  Which statements follow from the sentence
above?  Some hold exactly: a unit that is not 0 is x/(1 - r).  Others hold by chance: the share of zeros, among m units,
is r with a standard deviation of √(r(1 - r)/m).  And the masks of two rows, of two units, and of two calls are
independent, so that both are 0 with probability r².

Raise AssertionError if a statement is broken; allow five standard deviations where chance is at work.  No false alarm,
then as many wrong programs as you can.
"""

import numpy as np

from minidl.coursework import solve


@solve("law.dropout")
def law(dropout, rng):
    """dropout(x (n, units), rate, rng) -> (n, units).  Raises AssertionError if it is not dropout."""
    raise NotImplementedError("Drop an array of ones, at a rate other than .5; check values, shares, and pairs.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import layers
from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.pictures import bars
from minidl.coursework.task import Task


def program(name, dropout, **options):
    return Program(name, lambda rng: (dropout,), **options)


def plain(x, rate, rng):
    return x * (rng.random(x.shape) >= rate) / (1 - rate)


def by_blocks(x, rate, rng):
    keep = np.repeat(rng.random((x.shape[0], x.shape[1] // 2 + 1)) >= rate, 2, axis=1)[:, : x.shape[1]]
    return x * keep / (1 - rate)


def of_the_engine(x, rate, rng):
    return np.asarray(layers.Dropout(rate).apply({}, x, rng=rng))


WHEATS = (
    program("numbers of at least the rate are kept", plain),
    program("numbers below 1 - rate are kept", lambda x, rate, rng: np.where(
        rng.random(x.shape) < 1 - rate, x / (1 - rate), 0)),
    program("drawn column by column", lambda x, rate, rng: (
        x * (rate <= rng.random(x.shape[::-1]).T) * (1 / (1 - rate)))),
    program("binomial numbers", lambda x, rate, rng: x * rng.binomial(1, 1 - rate, x.shape) / (1 - rate)),
    program("the engine's own", of_the_engine),
)  # fmt: skip
CHAFFS = (
    program("rate and 1 - rate exchanged", lambda x, rate, rng: plain(x, 1 - rate, rng)),
    program("not divided by 1 - rate", lambda x, rate, rng: plain(x, rate, rng) * (1 - rate)),
    program("divided by the rate", lambda x, rate, rng: plain(x, rate, rng) * (1 - rate) / rate),
    program("one mask for all rows", lambda x, rate, rng: x * plain(np.ones((1, x.shape[1])), rate, rng)),
    program("one number for each row", lambda x, rate, rng: x * plain(np.ones((len(x), 1)), rate, rng)),
    program("the same mask at every call", lambda x, rate, rng: plain(x, rate, np.random.default_rng(0))),
    program("neighbours are dropped together", by_blocks),
    program("noise instead of zeros", lambda x, rate, rng: (
        x * (1 + rng.normal(size=x.shape) * (rate / (1 - rate)) ** 0.5))),
    program("always half of the units", lambda x, rate, rng: plain(x, 0.5, rng), shown=False),
    program("a rate that is 5 % too large", lambda x, rate, rng: x * (
        rng.random(x.shape) >= 1.05 * rate) / (1 - rate), shown=False),
    program("the last unit is never dropped", lambda x, rate, rng: np.concatenate(
        [plain(x[:, :-1], rate, rng), x[:, -1:] / (1 - rate)], axis=1), shown=False),
)  # fmt: skip


def demo(solution, path):
    caught = caught_by_name(solution["law.dropout"], (*WHEATS, *CHAFFS), 20)
    bars(path, "How often your law fails, in 20 tries: never for the correct programs, which come first",
         "share of tries", caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=45,
    teaches="what independence means, and how to see that it is missing",
    reading="Srivastava et al. 2014, §4",
    needs=("19",),
    forbidden=("minidl.layers", "minidl.kernels", "minidl.testing"),
    parts=(law_part("law.dropout", 6, WHEATS, CHAFFS, seeds=4),),
    hints=(
        "x = 1 + rng.random((500, 200)) at rate .3: then y is 0 or x/.7, and 100,000 units tell .30 from .315.",
        "zero = y == 0.  Pairs: zero[:, 1:] & zero[:, :-1] are neighbours, zero[1:] & zero[:-1] are rows; a second "
        "call has a mask of its own.  Each has a share of r² = .09.",
        "A unit that is never dropped has a share of 0 in its column: look at the shares of every column, within "
        "5·√(.21/500) and a bit.",
    ),
    demo=demo,
)
