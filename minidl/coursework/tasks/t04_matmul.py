"""Task 04: the pull-backs of the matrix product, in the real engine.

For Y = A·B, with A (n, k), B (k, m) and a cotangent G (n, m):

    the cotangent of A is G·Bᵀ, (n, k)        the cotangent of B is Aᵀ·G, (k, m)

The shapes allow no other product, and that is a good way to remember it.  Why is it true?  Write
Y_ij = Σ_l A_il·B_lj, and ask which entries of Y depend on A_il.

Write both rules.  While they are checked, they replace the engine's own: every dense layer uses them, and a LeNet
trains with them.  Matrices may come in stacks, (..., n, k): transpose the last two axes only, by
ops.swapaxes(b, -1, -2).  Where a stack was repeated by broadcasting, the engine sums by itself.

This is practice: the engine has these rules, so it gives few points.  Calling them is noticed.
"""

from minidl import ops
from minidl.coursework import solve


@solve("matmul.pull[0]")
def pull_a(g, y, a, b):
    """g (..., n, m), b (..., k, m) after a transposition -> the cotangent of a, (..., n, k)."""
    raise NotImplementedError("Return g times the transpose of b; @ is the matrix product.")


@solve("matmul.pull[1]")
def pull_b(g, y, a, b):
    """g (..., n, m), a (..., n, k) -> the cotangent of b, (..., k, m)."""
    raise NotImplementedError("Return the transpose of a times g.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

import numpy as np

from minidl import linearize, testing
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, rule_parts, trains_lenet
from minidl.coursework.task import Task
from minidl.testing.primitives import primitive_of
from minidl.testing.zoo import CASES


def around(solution):
    return testing.override(ops.matmul, pull=(solution["matmul.pull[0]"], solution["matmul.pull[1]"]))


def demo(solution, path):
    a, b = np.eye(8)[::-1].copy(), np.random.default_rng(0).normal(size=(8, 8))
    with around(solution):
        lin = linearize(lambda b: ops.matmul(a, b), b)
        pulled = lin.vjp(lin.value)
    images(path, "A exchanges rows; pulled back by Aᵀ, they return", {"": [b, lin.value, pulled]},
           [["B", "Y = A·B", "Aᵀ·Y"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=25,
    teaches="the pull-backs of a product of matrices, which training consists of",
    reading="minidl/ops.py, `_matmul`, after you have written yours; minidl/testing/overriding.py",
    needs=("01",),
    forbidden=(
        *DIFFERENTIATION,
        *primitive_of(ops.matmul, "coursework").pull,
    ),
    practice=True,
    parts=(
        *rule_parts(lambda solution: CASES["matmul"], {"adjoint": 0.75}, around),
        *rule_parts(lambda solution: CASES["gram"], {"nested": 0.5}, around),
        trains_lenet(around, 0.75),
    ),
    hints=(
        "Y_ij depends on A_il by the factor B_lj: the cotangent of A_il is Σ_j G_ij·B_lj.",
        "Read Σ_j G_ij·B_lj as a product of matrices: its second factor has the indices (j, l).",
        "g @ ops.swapaxes(b, -1, -2), and ops.swapaxes(a, -1, -2) @ g.",
    ),
    demo=demo,
)
