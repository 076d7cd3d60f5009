"""Task 18: the law of nesting.

A pull-back is a function of x, too: h(x) = Jᵀ·g at x.  So it has a derivative, if its rule is written in operations.
Rules that are computed in NumPy, or that take a part for a constant, give right gradients and wrong second derivatives.
Penalties on gradients and Newton's method are then wrong, without an error.

Write the law.  For a fixed random cotangent g, the derivative of h has to agree with the differences of h:

    J_h·t ≈ (h(x + ε·t) - h(x - ε·t)) / 2ε

Every program here has right first derivatives.  Raise AssertionError if its second ones are wrong.  No false alarm,
then as many wrong programs as you can.
"""

import numpy as np

from minidl import linearize
from minidl.coursework import solve


@solve("law.nesting")
def law(f, x, rng):
    """f: a function; x: float64, any shape; rng: a NumPy generator.  Raises AssertionError if the law is broken."""
    raise NotImplementedError("Write h(x) = linearize(f, x).vjp(g) for a fixed g; then the law of differences for h.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import ops
from minidl.core import elementwise, unbox
from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.pictures import bars
from minidl.coursework.programs import CORRECT, wrong
from minidl.coursework.task import Task

stop = ops.stop_gradient


def with_slope(forward, slope):
    return lambda rng: (elementwise("program", forward, slope), rng.normal(size=(2, 3)))


def gram(rng):
    swap = lambda x: ops.swapaxes(x, -1, -2)
    return (wrong(lambda x: x @ swap(x), lambda t, y, x: t @ swap(x) + x @ swap(t),
                  lambda g, y, x: (g + swap(g)) @ stop(x)), rng.normal(size=(2, 3)))  # fmt: skip


def frozen_softmax(rng):
    def rule(t, y, x):
        p = stop(y)
        return p * (t - ops.sum(t * p, axis=-1, keepdims=True))

    return wrong(lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), rule, rule), rng.normal(size=(2, 3))


def one_entry(rng):
    keep = np.array([1.0, 1, 1, 0])
    return elementwise("program", lambda x: x**3, lambda y, x: 3 * x * (x * keep + stop(x * (1 - keep)))), rng.normal(
        size=4
    )


cosine = elementwise("cosine", np.cos, lambda y, x: ops.sin(x))  # its own derivative has the wrong sign
CHAFFS = (
    Program("the derivative of sin is computed in NumPy", with_slope(np.sin, lambda y, x: np.cos(unbox(x)))),
    Program("tanh: 1 - y², with y as a constant", with_slope(np.tanh, lambda y, x: 1 - stop(y) ** 2)),
    Program("x³: 3·x·x, with one x as a constant", with_slope(lambda x: x**3, lambda y, x: 3 * x * stop(x))),
    Program("the derivative of sin is a cos whose derivative is +sin", with_slope(np.sin, lambda y, x: cosine(x))),
    Program("exp: y, with y as a constant", with_slope(np.exp, lambda y, x: stop(y))),
    Program("x·xᵀ: the pull-back takes x for a constant", gram),
    Program("softmax: both rules take p for a constant", frozen_softmax),
    Program("1/x: -y², with one y as a constant", lambda rng: (
        elementwise("program", lambda x: 1 / x, lambda y, x: -y * stop(y)), 1 + rng.random(size=3))),
    Program("one entry of four is a constant", one_entry, shown=False),
    Program("a second derivative that is 1 % too large", with_slope(
        np.sin, lambda y, x: 1.01 * ops.cos(x) - 0.01 * stop(ops.cos(x))), shown=False),
)  # fmt: skip


def demo(solution, path):
    caught = caught_by_name(solution["law.nesting"], (*CORRECT, *CHAFFS), 20)
    bars(path, "How often your law fails, in 20 tries: never for the correct programs, which come first",
         "share of tries", caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=30,
    teaches="a gradient is a function, with a derivative that can be wrong by itself",
    reading="minidl/core.py, on nested records",
    needs=("16",),
    forbidden=("minidl.testing",),
    parts=(law_part("law.nesting", 5, CORRECT, CHAFFS),),
    hints=(
        "g is drawn once, outside of h: else h would be another function at each call.",
        "Inside h, linearize(f, x) records f within the record of h; lin = linearize(h, x) does the rest.",
        "The law of differences for h: t of length 1, ε = 1e-6, and 1e-5 relative to 1 + |J_h·t| + |h(x)|.",
    ),
    demo=demo,
)
