"""Task 05: the discounted running sum, a linear operation.

Along the last axis, for a discount γ:

    y_i = x_i + γ·y_{i-1}      so that y_i = Σ_{j ≤ i} γ^{i-j}·x_j

A linear operation is its own push-forward: J·t is the operation applied to t.  What remains is its transpose, Jᵀ·g.
Row i of J has γ^{i-j} in column j ≤ i.  Write J down for three entries, transpose it, and read off what Jᵀ does.

`discounted` below makes a primitive of your two functions.  Use it in `transpose`, which then has a derivative itself.
Reading from the other end is ops.flip(x, -1).  x may have any number of axes in front; only the last one is summed.
"""

import numpy as np

from minidl import ops
from minidl.core import linear
from minidl.coursework import solve


@solve("discounted.forward")
def forward(x, gamma):
    """x (..., n), any n ≥ 1 -> y (..., n): a plain array, so NumPy and loops are allowed."""
    raise NotImplementedError("Return a new array y: copy x, then add γ times the entry before, from left to right.")


@solve("discounted.transpose")
def transpose(g, x, gamma):
    """g (..., n) -> Jᵀ·g (..., n), in operations."""
    raise NotImplementedError("Apply Jᵀ: it sums, too, but which entries of g does entry j of x reach?")


discounted = linear("discounted sum", forward, transpose)  # discounted(x, gamma=0.9)


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------


from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, rule_parts
from minidl.coursework.task import Task
from minidl.derivatives import jacobian
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes, st


def by_definition(x, gamma):
    n = x.shape[-1]
    weights = np.array([[gamma ** (i - j) if j <= i else 0.0 for j in range(n)] for i in range(n)], dtype=x.dtype)
    return x @ weights.T


def primitive(solution):
    return linear("discounted sum", solution["discounted.forward"], solution["discounted.transpose"])


def cases(solution):
    @st.composite
    def drawn(draw):
        f, shape, gamma = primitive(solution), draw(shapes(1, 3)), draw(st.sampled_from([0.0, 0.5, 0.75, 1.0]))
        return Case(lambda x: f(x, gamma=gamma), draw(arrays(shape)), lambda x: by_definition(x, gamma), f"γ {gamma}")

    return drawn()


def demo(solution, path):
    f = primitive(solution)
    forward, reverse = (jacobian(lambda x: f(x, gamma=0.8), np.zeros(12), mode) for mode in ("forward", "reverse"))
    images(path, "The Jacobian of the discounted sum, by twelve pushes and by twelve pulls", {
        "": [forward, reverse]}, [["by push-forward", "by pull-back"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=25,
    teaches="a linear operation needs its transpose only",
    reading="minidl/core.py, `linear`; the lines of `transpose` and `flip`",
    forbidden=DIFFERENTIATION,
    parts=rule_parts(cases, {"value": 1, "adjoint": 2, "nested stacks": 1, "plain": 0.5, "float32": 0.5}),
    hints=(
        "Jᵀ has γ^{i-j} in row j and column i ≥ j: entry j gets Σ_{i ≥ j} γ^{i-j}·g_i.",
        "That is the same sum, read from the other end: flip, sum, flip.",
        "Inside `transpose` call discounted(…, gamma=gamma), not forward(…): forward is for plain arrays.",
    ),
    demo=demo,
)
