"""Task 01, solved, and what students get wrong."""

from minidl import ops
from minidl.coursework import solve


@solve("softsign.forward")
def forward(x):
    return x / (1 + abs(x))


@solve("softsign.slope")
def slope(y, x):
    return 1 / (1 + ops.absolute(x)) ** 2


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("no square", ")) ** 2", "))", "wrong sign or factor"),
    ("right for x > 0 only", "ops.absolute(x)", "x", "differences"),
    ("the derivative of tanh", "1 / (1 + ops.absolute(x)) ** 2", "1 - y * y", "differences"),
    ("in NumPy, without a derivative", "ops.absolute(x)", "abs(ops.stop_gradient(x))", "nested"),
    ("written to x in place", "return x / (1 + abs(x))", "x /= 1 + abs(x)\n    return x", "changed in place"),
    ("an array of float64", "return x / (1 + abs(x))", "return x / (1 + abs(x.astype(float)))", "float32"),
    ("the stub is renamed", "softsign.slope", "softsign.derivative", "a function for 'softsign.slope'"),
]
