"""Task 01: softsign, an elementwise operation.

Softsign is a cheap relative of tanh:

    y = x / (1 + |x|)

An elementwise operation has a diagonal Jacobian: y_i depends on x_i alone.  So pushing a tangent forward and pulling a
cotangent back are the same product, with the derivative dy/dx, element by element.

Write two functions.  `forward` returns y for an array x of any shape and of either dtype.  `slope` returns dy/dx from
y and x.  Write `slope` in operations (+, -, *, /, and those of minidl.ops, such as ops.absolute), not in NumPy:
then it has a derivative itself, and grad(grad(f)) works.
"""

import numpy as np

from minidl import ops
from minidl.coursework import solve


@solve("softsign.forward")
def forward(x):
    """x, any shape -> y, the same shape."""
    raise NotImplementedError("Return y = x / (1 + |x|); np.abs takes arrays of any shape.")


@solve("softsign.slope")
def slope(y, x):
    """y and x, one shape -> dy/dx, the same shape."""
    raise NotImplementedError("Return dy/dx.  For x > 0, y = x/(1 + x): derive that by hand first.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import grad
from minidl.core import elementwise
from minidl.coursework.pictures import curves
from minidl.coursework.rules import DIFFERENTIATION, rule_parts
from minidl.coursework.task import Task
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes


def primitive(solution):
    return elementwise("softsign", solution["softsign.forward"], solution["softsign.slope"])


def cases(solution):
    return shapes().flatmap(arrays).map(lambda x: Case(primitive(solution), x, lambda x: x / (1 + abs(x)), "softsign"))


def demo(solution, path):
    f, x = primitive(solution), np.linspace(-6, 6, 241)
    first = grad(lambda x: ops.sum(f(x)), x)
    second = grad(lambda x: ops.sum(grad(lambda x: ops.sum(f(x)), x)), x)
    curves(path, "Softsign comes to rest slowly: its derivative falls as 1/x², that of tanh as e⁻²ˣ", "x",
           {"softsign": (x, f(x)), "its derivative": (x, first), "its second derivative": (x, second),
            "tanh": (x, np.tanh(x))})  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=20,
    teaches="an elementwise operation has one rule for both walks",
    reading="minidl/core.py, `elementwise`; the lines of `tanh` and `sigmoid` in minidl/ops.py",
    forbidden=DIFFERENTIATION,
    parts=rule_parts(cases, {"value": 1, "differences": 1, "nested": 1, "float32": 0.5, "plain": 0.5}),
    hints=(
        "For x > 0 the quotient rule gives 1/(1 + x)².  What is it for x < 0, and can one formula say both?",
        "dy/dx = 1/(1 + |x|)².  It needs x only; y is there for those whose derivative is simpler in y.",
        "If only the last parts fail: a derivative written with np.abs has no derivative itself; take ops.absolute.",
    ),
    demo=demo,
)
