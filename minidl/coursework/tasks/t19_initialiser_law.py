"""Task 19: a law by chance, for initial weights.

He et al. (2015) draw the weights of a layer with rectified units from a normal distribution,

    W_ij ~ N(0, 2/inputs),    that is, with a standard deviation of √(2/inputs)

each independent of the others.  No single number tells whether a generator does that.  A law by chance computes
statistics of many numbers, and fails when one lies so far out that chance would hardly do it.

Write a law for init(inputs, units, rng) -> W (inputs, units).  With n independent numbers of standard deviation σ, the
mean has a standard deviation of σ/√n, the sample variance has one of about σ²·√(2/n), and the mean of W⁴/σ⁴, which
is 3 for a normal distribution and no other in this task, has one of about √(96/n).  At five standard deviations a
false alarm comes once in 1.7 million.  No false alarm, then as many wrong generators as you can.
"""

import numpy as np

from minidl.coursework import solve


@solve("law.initialiser")
def law(init, rng):
    """init(inputs, units, rng) -> W (inputs, units).  Raises AssertionError if it is not N(0, 2/inputs)."""
    raise NotImplementedError("Draw W, 100 by 200 say; check shape, mean, variance, fourth moment, and independence.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import layers
from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.pictures import bars
from minidl.coursework.task import Task


def program(name, init, **options):
    return Program(name, lambda rng: (init,), **options)


def normal(inputs, units, rng, scale=2.0):
    return rng.normal(size=(inputs, units)) * (scale / inputs) ** 0.5


def box_muller(inputs, units, rng):
    u, v = rng.random((2, inputs, units))
    return np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v) * (2 / inputs) ** 0.5


def of_the_engine(inputs, units, rng):
    return layers.He()((inputs, units), inputs, units, rng)


def from_its_own_seed(inputs, units, rng):
    return normal(inputs, units, np.random.default_rng(0))


WHEATS = (
    program("NumPy's normal numbers", normal),
    program("drawn as (units, inputs) and transposed", lambda inputs, units, rng: (
        rng.normal(size=(units, inputs)).T * (2 / inputs) ** 0.5)),
    program("by the formula of Box and Muller", box_muller),
    program("in float32", lambda inputs, units, rng: (
        rng.standard_normal((inputs, units), dtype=np.float32) * np.float32((2 / inputs) ** 0.5))),
    program("the engine's own", of_the_engine),
)  # fmt: skip
CHAFFS = (
    program("2/inputs as the standard deviation", lambda i, u, rng: rng.normal(size=(i, u)) * 2 / i),
    program("2/units instead of 2/inputs", lambda i, u, rng: rng.normal(size=(i, u)) * (2 / u) ** 0.5),
    program("1/inputs, as for tanh", lambda i, u, rng: normal(i, u, rng, 1.0)),
    program("Glorot's 2/(inputs + units)", lambda i, u, rng: rng.normal(size=(i, u)) * (2 / (i + u)) ** 0.5),
    program("uniform numbers of the same variance", lambda i, u, rng: rng.uniform(-1, 1, (i, u)) * (6 / i) ** 0.5),
    program("positive numbers only", lambda i, u, rng: np.abs(normal(i, u, rng))),
    program("every unit has the same weights", lambda i, u, rng: np.repeat(normal(i, 1, rng), u, axis=1)),
    program("every input has the same weights", lambda i, u, rng: np.repeat(normal(i, u, rng)[:1], i, axis=0)),
    program("the same numbers, whatever the generator", from_its_own_seed, shown=False),
    program("normal numbers cut off at two standard deviations", lambda i, u, rng: np.clip(
        normal(i, u, rng), -2 * (2 / i) ** 0.5, 2 * (2 / i) ** 0.5), shown=False),
    program("each unit is the negative of its neighbour", lambda i, u, rng: (
        lambda w: np.concatenate([w, -w], axis=1)[:, :u])(normal(i, (u + 1) // 2, rng)), shown=False),
)  # fmt: skip


def demo(solution, path):
    caught = caught_by_name(solution["law.initialiser"], (*WHEATS, *CHAFFS), 20)
    bars(path, "How often your law fails, in 20 tries: never for the correct generators, which come first",
         "share of tries", caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=50,
    teaches="how to test what is random, with a bound on false alarms",
    reading="He et al. 2015, §2.2; minidl/layers.py, `He`",
    forbidden=("minidl.layers", "minidl.testing"),
    parts=(law_part("law.initialiser", 6, WHEATS, CHAFFS, seeds=4),),
    hints=(
        "Take inputs and units that differ, 100 and 200, so that one cannot stand for the other.",
        "Independence: the correlation of two units is a mean of n products of standard deviation σ², so that "
        "(W[:, 0]·W[:, 1]).mean() has one of σ²/√n.  Better: Z = W/σ; all entries of ZᵀZ/inputs off the diagonal, of "
        "which the largest of 20,000 lies within 6/√inputs; the same for inputs.",
        "Another generator has to give other numbers: call init a second time and compare.",
    ),
    demo=demo,
)
