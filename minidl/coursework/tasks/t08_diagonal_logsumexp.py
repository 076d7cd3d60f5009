"""Task 08: log-sum-exp along a diagonal.

For a square matrix x, or a stack of them:

    y = log Σ_i exp(x_ii)

Computed as it stands, exp(x_ii) is infinite from x_ii = 710 on.  With m = max_i x_ii,

    y = m + log Σ_i exp(x_ii - m)

is the same number, and no exponential exceeds 1.  The derivative is a softmax on the diagonal, and 0 beside it:

    ∂y/∂x_ij = p_i if i = j, else 0,    with p_i = exp(x_ii - y)

Write the operation and both rules.  x has shape (..., n, n) and y has shape (...).  Tangents and cotangents may have
extra leading axes in front of those.  The rules are written in operations; x[..., i, i] with i = np.arange(n) is one.
"""

import numpy as np

from minidl import ops
from minidl.coursework import solve


@solve("diagonal_logsumexp.forward")
def forward(x):
    """x (..., n, n) -> y (...), for entries of any size."""
    raise NotImplementedError("Take the diagonals, subtract their largest entry, then log-sum-exp, and add it again.")


@solve("diagonal_logsumexp.push")
def push(t, y, x):
    """t (..., *x.shape) -> J·t = Σ_i p_i·t_ii, (..., *y.shape)."""
    raise NotImplementedError("Compute p from the diagonals of x and from y; then Σ_i p_i·t_ii.")


@solve("diagonal_logsumexp.pull")
def pull(g, y, x):
    """g (..., *y.shape) -> Jᵀ·g: g·p on the diagonals, 0 beside them, (..., *x.shape)."""
    raise NotImplementedError("Multiply g by p, and place it on a diagonal: times np.eye(n) puts zeros beside it.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import Primitive, linearize
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, close, rule_parts
from minidl.coursework.task import Part, Task
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes, st


def primitive(solution):
    rules = (solution[f"diagonal_logsumexp.{name}"] for name in ("forward", "push", "pull"))
    forward, push, pull = rules
    return Primitive("diagonal logsumexp", forward, push=[push], pull=[pull])


def by_definition(x):
    return np.log(np.exp(np.diagonal(x, axis1=-2, axis2=-1)).sum(axis=-1))


def cases(solution):
    @st.composite
    def drawn(draw):
        n, stack = draw(st.integers(1, 3)), draw(shapes(0, 2))
        return Case(primitive(solution), draw(arrays((*stack, n, n))), by_definition, f"matrices {n} by {n}")

    return drawn()


def is_stable(solution, seed):
    f, x = primitive(solution), np.random.default_rng(seed).normal(size=(2, 4, 4))
    for shift in (1000.0, -1000.0):
        lin = linearize(f, x + shift)
        close(f"the value, with every entry larger by {shift:g}", lin.value, by_definition(x) + shift)
        close(f"Jᵀ·g, with every entry larger by {shift:g}", lin.vjp(np.ones(2)), linearize(f, x).vjp(np.ones(2)))


def demo(solution, path):
    x = np.random.default_rng(0).normal(size=(9, 9)) * 2
    pulled = linearize(primitive(solution), x).vjp(np.ones(()))
    images(path, "The gradient is a softmax on the diagonal, and zero beside it", {"": [x, pulled]},
           [["x", "gradient"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=45,
    teaches="a reduction with both rules, stable for numbers of any size",
    reading="minidl/reductions.py, `logsumexp`; minidl/ops.py, `sum`",
    needs=("03", "05"),
    forbidden=DIFFERENTIATION,
    parts=(
        *rule_parts(cases, {"value": 1, "differences": 1, "adjoint": 1, "stacked": 1, "nested": 1}),
        Part("numbers of 1000 and -1000", 1, is_stable),
    ),
    hints=(
        "i = np.arange(x.shape[-1]); diagonals = x[..., i, i], (..., n).  It works on tangents as well.",
        "y has one axis less than the diagonals: p = ops.exp(diagonals - y[..., None]).",
        "The pull-back: (g[..., None] * p)[..., None] * np.eye(n, dtype=x.dtype).",
    ),
    demo=demo,
)
