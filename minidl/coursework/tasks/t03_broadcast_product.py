"""Task 03: a product of arrays that differ in shape.

NumPy repeats the smaller array: for a of shape (3, 2) and b of shape (2,), y = a·b has y_ij = a_ij · b_j.  Each b_j is
used three times, so its cotangent is a sum of three:

    (Jᵀ·g)_j = Σ_i g_ij · a_ij

In general: the cotangent of an argument is summed over every axis along which that argument was repeated.  Those are
axes that it lacks, at the front, and axes where it has length 1.

Write the pull-backs of both arguments.  The cotangent g may have *extra leading axes*, a stack of cotangents that are
pulled back at once: g has shape (..., *y.shape), and you return (..., *a.shape).  So count axes from the end.
Here the engine does not broadcast for you: `minidl.ops.broadcast_to` shows how it does elsewhere.
"""

from minidl import ops
from minidl.coursework import solve


@solve("product.pull[0]")
def pull_a(g, y, a, b):
    """g (..., *y.shape), with y = a·b -> the cotangent of a, (..., *a.shape)."""
    raise NotImplementedError("Multiply g by b, then sum over the axes along which a was repeated.")


@solve("product.pull[1]")
def pull_b(g, y, a, b):
    """g (..., *y.shape), with y = a·b -> the cotangent of b, (..., *b.shape)."""
    raise NotImplementedError("The same with a and b exchanged: a helper function can serve both.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

import operator

import numpy as np

from minidl import Primitive, linearize
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, rule_parts
from minidl.coursework.task import Task
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes, st


def push(t, y, mine, other):
    """The tangent, with axes of length 1 between its stack and its shape, times the other."""
    stack = t.shape[: t.ndim - mine.ndim]
    return ops.reshape(t, stack + (1,) * (y.ndim - mine.ndim) + mine.shape) * other


def primitive(solution):
    return Primitive(
        "product", operator.mul, push=[lambda t, y, a, b: push(t, y, a, b), lambda t, y, a, b: push(t, y, b, a)],
        pull=[solution["product.pull[0]"], solution["product.pull[1]"]],
    )  # fmt: skip


def cases(solution):
    @st.composite
    def drawn(draw):
        f, full = primitive(solution), draw(shapes(0, 3))
        smaller = tuple(draw(st.sampled_from([1, n])) for n in full[draw(st.integers(0, len(full))) :])
        small, large = draw(arrays(smaller)), draw(arrays(full))
        if draw(st.booleans()):
            return Case(lambda a: f(a, large), small, lambda a: a * large, f"{smaller} times {full}, first")
        if draw(st.booleans()):
            return Case(lambda b: f(large, b), small, lambda b: large * b, f"{full} times {smaller}, second")
        return Case(lambda a: f(a, small), large, lambda a: a * small, f"{full} times {smaller}, first")

    return drawn()


def demo(solution, path):
    a, b = np.ones((6, 8)), np.linspace(-1, 1, 8)
    g = np.random.default_rng(0).normal(size=(6, 8))
    pulled = linearize(lambda b: primitive(solution)(a, b), b).vjp(g)
    images(path, "The cotangent of a row that was repeated six times is the sum of six rows", {
        "g": [g], "its sum": [np.tile(pulled, (6, 1))]})  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=40,
    teaches="what was repeated going forward is summed going back",
    reading="minidl/ops.py, `broadcasting` and `broadcast_to`",
    forbidden=DIFFERENTIATION,
    parts=rule_parts(cases, {"adjoint": 2, "modes": 1, "nested": 1, "float32": 0.5}),
    hints=(
        "Write a function summed(g, y, a) that sums g over the axes along which a was repeated; then use it twice.",
        "Axis i of a, counted from the end (-1, -2, …), was repeated if a.shape[i] == 1 and y.shape[i] > 1: "
        "ops.sum(g, axis=i, keepdims=True).",
        "The axes that a lacks are -y.ndim, …, -a.ndim - 1: ops.sum(g, axis=tuple(range(-y.ndim, -a.ndim))).  Sum "
        "those last, and without keepdims.",
    ),
    demo=demo,
)
