"""Task 02: GELU, whose derivative has a derivative that you can get wrong.

Transformers use this activation, here in the form that Hendrycks and Gimpel (2016) give with tanh:

    y = x/2 · (1 + tanh(u))     with u = c·(x + a·x³), c = √(2/π), a = 0.044715

Write `forward`, which returns y, and `slope`, which returns dy/dx.  Write `slope` in operations: products, powers, and
ops.tanh.  The product rule gives two terms; the second one has du/dx in it.
"""

import numpy as np

from minidl import ops
from minidl.coursework import solve

c, a = (2 / np.pi) ** 0.5, 0.044715


@solve("gelu.forward")
def forward(x):
    """x, any shape -> y, the same shape and dtype."""
    raise NotImplementedError("Return x/2 · (1 + tanh(u)), with u = c·(x + a·x³); here np.tanh will do.")


@solve("gelu.slope")
def slope(y, x):
    """y and x, one shape -> dy/dx, the same shape."""
    raise NotImplementedError("Return dy/dx, in operations: compute u and ops.tanh(u) first, then the two terms.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import grad
from minidl.core import elementwise
from minidl.coursework.pictures import curves
from minidl.coursework.rules import DIFFERENTIATION, rule_parts
from minidl.coursework.task import Task
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes


def primitive(solution):
    return elementwise("gelu", solution["gelu.forward"], solution["gelu.slope"])


def by_definition(x):
    u = float((2 / np.pi) ** 0.5) * (x + 0.044715 * x * x * x)
    return x * (1 + np.tanh(u)) / 2


def cases(solution):
    return shapes().flatmap(arrays).map(lambda x: Case(primitive(solution), x, by_definition, "gelu"))


def demo(solution, path):
    f, x = primitive(solution), np.linspace(-4, 4, 241)
    first = grad(lambda x: ops.sum(f(x)), x)
    second = grad(lambda x: ops.sum(grad(lambda x: ops.sum(f(x)), x)), x)
    curves(path, "GELU falls below 0 before it rises; its derivative exceeds 1", "x",
           {"GELU": (x, f(x)), "its derivative": (x, first), "its second derivative": (x, second),
            "ReLU": (x, np.maximum(x, 0))})  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=25,
    teaches="a derivative that is written in operations can be differentiated again",
    reading="minidl/core.py, on derivatives of derivatives; Hendrycks and Gimpel 2016, §2",
    needs=("01",),
    forbidden=DIFFERENTIATION,
    parts=rule_parts(cases, {"value": 1, "differences": 1.5, "nested": 1, "float32": 0.5}),
    hints=(
        "y is a product of x/2 and (1 + tanh u): dy/dx = (1 + tanh u)/2 + x/2 · d(tanh u)/dx.",
        "d(tanh u)/dx = (1 - tanh² u)·du/dx, and du/dx = c·(1 + 3a·x²).",
        "float32 becomes float64 if c is a NumPy number: c = float(…), or write x * x * x instead of x**np.int64(3).",
    ),
    demo=demo,
)
