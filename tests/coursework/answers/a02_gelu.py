"""Task 02, solved, and what students get wrong."""

import numpy as np

from minidl import ops
from minidl.coursework import solve

c, a = float((2 / np.pi) ** 0.5), 0.044715


@solve("gelu.forward")
def forward(x):
    return x / 2 * (1 + np.tanh(c * (x + a * x**3)))


@solve("gelu.slope")
def slope(y, x):
    tanh = ops.tanh(c * (x + a * x**3))
    return (1 + tanh) / 2 + x / 2 * (1 - tanh**2) * c * (1 + 3 * a * x**2)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("the second term is left out", " + x / 2 * (1 - tanh**2) * c * (1 + 3 * a * x**2)", "", "differences"),
    ("du/dx without its factor 3", "1 + 3 * a", "1 + a", "wrong sign or factor"),
    ("1 - tanh instead of 1 - tanh²", "(1 - tanh**2)", "(1 - tanh)", "differences"),
    (
        "tanh as a constant",
        "tanh = ops.tanh(c * (x + a * x**3))",
        "tanh = ops.stop_gradient(ops.tanh(c * (x + a * x**3)))",
        "nested",
    ),
    (
        "x instead of x³ in the value",
        "return x / 2 * (1 + np.tanh(c * (x + a * x**3)))",
        "return x / 2 * (1 + np.tanh(c * (x + a * x)))",
        "another formula",
    ),
]
