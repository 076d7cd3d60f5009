"""Task 16: the law of differences.

The derivative says how the value moves.  For a small step h along t,

    J·t ≈ (f(x + h·t) - f(x - h·t)) / 2h

The error of the right-hand side has two parts: one that falls as h² (the next term of Taylor's series), and rounding,
which grows as 1/h.  Together they are least near h = 1e-5 in float64, and then some 1e-9 relative to the values.

Write the law: raise AssertionError if the derivative of f at x differs from its differences.  f has lin.jvp and
lin.vjp, from lin = linearize(f, x).  f(x) is its value; x is float64, of any shape.  Points lie away from kinks, by
.05 at least in every entry.  Again: no false alarm, then as many wrong programs as you can.
"""

import numpy as np

from minidl import linearize
from minidl.coursework import solve


@solve("law.differences")
def law(f, x, rng):
    """f: a function; x: float64, any shape; rng: a NumPy generator.  Raises AssertionError if the law is broken."""
    raise NotImplementedError("Draw t, compute the difference quotient along it, and compare it with lin.jvp(t).")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import ops
from minidl.core import elementwise, unbox
from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.pictures import bars
from minidl.coursework.programs import CORRECT, apart, wrong
from minidl.coursework.task import Task


def with_slope(forward, slope, draw=lambda rng: rng.normal(size=(2, 3))):
    """A program whose two rules agree, and whose derivative is this function of (y, x)."""
    return lambda rng: (elementwise("program", forward, slope), draw(rng))


def one_entry(rng):
    scale = np.array([1.0, 1, 1, 1, 1.5])
    return elementwise("program", lambda x: 3 * x, lambda y, x: 3 * scale), rng.normal(size=5)


def half_a_product(rng):
    w = rng.normal(size=3)
    return lambda x: ops.sum(x * ops.stop_gradient(x) * w, axis=-1), rng.normal(size=(2, 3))


def transposed(rng):
    w = rng.normal(size=(3, 3))
    return wrong(lambda x: x @ w, lambda t, y, x: t @ w.T, lambda g, y, x: g @ w), rng.normal(size=(2, 3))


CHAFFS = (
    Program("the derivative of cos is sin", with_slope(np.cos, lambda y, x: ops.sin(x))),
    Program("the derivative of x² is x", with_slope(np.square, lambda y, x: x)),
    Program("the derivative of tanh is 1 + y²", with_slope(np.tanh, lambda y, x: 1 + y * y)),
    Program("the derivative of a sigmoid in x instead of y: x·(1 - x)", with_slope(
        lambda x: 1 / (1 + np.exp(-x)), lambda y, x: x * (1 - x))),
    Program("the derivative at 0, for every x", with_slope(np.exp, lambda y, x: 1 + 0 * y)),
    Program("one of the two factors of x·x counts as a constant", half_a_product),
    Program("both rules of x·W have the transpose of W", transposed),
    Program("the derivative of |x| is 1, also for negative x", with_slope(
        np.abs, lambda y, x: 1.0 + 0 * unbox(x), lambda rng: apart(rng, 2, 3))),
    Program("one entry of five has another derivative", one_entry, shown=False),
    Program("a factor of 1.001", with_slope(np.sin, lambda y, x: 1.001 * ops.cos(x)), shown=False),
    Program("no derivative at all: it is computed in NumPy", lambda rng: (
        lambda x: x + np.sin(unbox(x)), rng.normal(size=4)), shown=False),
)  # fmt: skip


def demo(solution, path):
    caught = caught_by_name(solution["law.differences"], (*CORRECT, *CHAFFS), 20)
    bars(path, "How often your law fails, in 20 tries: never for the correct programs, which come first",
         "share of tries", caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=35,
    teaches="what a derivative is, and how well it can be measured",
    reading="minidl/testing/laws.py, after you have written yours",
    needs=("15",),
    forbidden=("minidl.testing",),
    parts=(law_part("law.differences", 6, CORRECT, CHAFFS),),
    hints=(
        "t = rng.normal(size=x.shape), divided by its length, so that x moves by h and no kink is passed.",
        "Compare the largest difference with 1 + the largest |J·t| and the largest |f(x)|: values of a million have "
        "rounding errors a million times as large.",
        "With h = 1e-6 and 1e-5 relative, a factor of 1.001 is still noticed.",
    ),
    demo=demo,
)
