"""Task 15: the adjoint law, which finds most wrong rules.

Push-forward and pull-back are one matrix, read both ways.  For every tangent t and every cotangent g,

    ⟨J·t, g⟩ = ⟨t, Jᵀ·g⟩

where ⟨a, b⟩ is the sum of all a_i·b_i.  Here you write no rule: you write the law that judges rules.  Your law gets a
function f, a point x (float64, any shape), and a random generator.  lin = linearize(f, x) has lin.value, lin.jvp(t) and
lin.vjp(g).  Raise AssertionError with a message, by assert for example, if the two sides differ.  Else return nothing.

It is judged by programs.  It has to accept every correct one: a single false alarm, and nothing that it catches counts.
So leave room for rounding, in proportion to the numbers.  Then it should catch as many wrong ones as it can.  Think
about which t and g would let a wrong rule pass.  Two rules that are wrong in the same way fulfil this law: task 16.
"""

import numpy as np

from minidl import linearize
from minidl.coursework import solve


@solve("law.adjoint")
def law(f, x, rng):
    """f: a function; x: float64, any shape; rng: a NumPy generator.  Raises AssertionError if the law is broken."""
    raise NotImplementedError("Draw t in the shape of x and g in that of lin.value; compare the two inner products.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.pictures import bars
from minidl.coursework.programs import CORRECT, apart, wrong
from minidl.coursework.task import Task


def no_transpose(rng):
    w = rng.normal(size=(3, 3))
    return wrong(lambda x: x @ w, lambda t, y, x: t @ w, lambda g, y, x: g @ w), rng.normal(size=(2, 3))


def only_ones(rng):
    w = rng.normal(size=(3, 3))
    return (wrong(lambda x: x @ w, lambda t, y, x: t @ w, lambda g, y, x: g.mean() * np.ones_like(g) @ w.T),
            rng.normal(size=(2, 3)))  # fmt: skip


def only_one_tangent(rng):
    w = rng.normal(size=(3, 3))
    return (wrong(lambda x: x @ w, lambda t, y, x: t.mean() * np.ones_like(t) @ w, lambda g, y, x: g @ w.T),
            rng.normal(size=(2, 3)))  # fmt: skip


def overwritten(rng):
    rows = np.array([0, 1, 1, 2])

    def pull(g, y, x):
        out = np.zeros_like(x)
        out[rows] = g
        return out

    return wrong(lambda x: x[rows], lambda t, y, x: t[rows], pull), rng.normal(size=(3, 2))


def last_entry(rng):
    scale = np.array([1.0, 1, 1, 0])
    return wrong(lambda x: 2 * x, lambda t, y, x: 2 * t, lambda g, y, x: 2 * g * scale), rng.normal(size=4)


def elementwise_pair(forward, push, pull, draw=lambda rng: rng.normal(size=(2, 3))):
    """Rules that multiply by these functions of x."""
    return lambda rng: (wrong(forward, lambda t, y, x: t * push(x), lambda g, y, x: g * pull(x)), draw(rng))


CHAFFS = (
    Program("the pull-back of x·W forgets to transpose W", no_transpose),
    Program("the pull-back of sin has the wrong sign", elementwise_pair(np.sin, np.cos, lambda x: -np.cos(x))),
    Program("the pull-back of x·x counts one of the two uses", elementwise_pair(
        lambda x: x * x, lambda x: 2 * x, lambda x: x)),
    Program("the pull-back of a sum divides by the number of entries", lambda rng: (wrong(
        lambda x: x.sum(axis=-1), lambda t, y, x: t.sum(axis=-1),
        lambda g, y, x: np.ones_like(x) * g[..., None] / x.shape[-1]), rng.normal(size=(2, 3)))),
    Program("the pull-back is right for a cotangent of ones, and for no other", only_ones),
    Program("the push-forward is right for a tangent of ones, and for no other", only_one_tangent),
    Program("the pull-back of roll rolls in the same direction", lambda rng: (wrong(
        lambda x: np.roll(x, 1, -1), lambda t, y, x: np.roll(t, 1, -1), lambda g, y, x: np.roll(g, 1, -1)),
        rng.normal(size=4))),
    Program("rows that were read twice keep one cotangent", overwritten),
    Program("the pull-back of a maximum goes to every entry", lambda rng: (wrong(
        lambda x: x.max(axis=-1), lambda t, y, x: np.take_along_axis(t, x.argmax(-1)[..., None], -1)[..., 0],
        lambda g, y, x: np.ones_like(x) * g[..., None]), apart(rng, 2, 3)), shown=False),
    Program("the last entry has no cotangent", last_entry, shown=False),
    Program("the pull-back is wrong for negative numbers only", elementwise_pair(
        np.abs, np.sign, lambda x: np.ones_like(x)), shown=False),
)  # fmt: skip


def demo(solution, path):
    caught = caught_by_name(solution["law.adjoint"], (*CORRECT, *CHAFFS), 20)
    bars(path, "How often your law fails, in 20 tries: never for the correct programs, which come first",
         "share of tries", caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=40,
    teaches="random directions on both sides find what ones would hide",
    reading="minidl/core.py; CONTRIBUTING.md, on laws",
    forbidden=("minidl.testing",),
    parts=(law_part("law.adjoint", 6, CORRECT, CHAFFS),),
    hints=(
        "t = rng.normal(size=x.shape), g = rng.normal(size=lin.value.shape).  Ones would hide that a rule adds up the "
        "wrong things.",
        "Both sides are sums of many products: compare them relative to 1 + |left| + |right|, and allow 1e-9 or so.",
        "One t and one g for each call are enough: your law is called several times.",
    ),
    demo=demo,
)
