"""Task 04, solved, and what students get wrong."""

from minidl import ops
from minidl.coursework import solve


@solve("matmul.pull[0]")
def pull_a(g, y, a, b):
    return g @ ops.swapaxes(b, -1, -2)


@solve("matmul.pull[1]")
def pull_b(g, y, a, b):
    return ops.swapaxes(a, -1, -2) @ g


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("a missing transpose", "return g @ ops.swapaxes(b, -1, -2)", "return g @ b", "not the other's transpose"),
    (
        "factors exchanged",
        "return ops.swapaxes(a, -1, -2) @ g",
        "return g @ ops.swapaxes(a, -1, -2)",
        "not the other's transpose",
    ),
    (
        "a mean over the rows",
        "return ops.swapaxes(a, -1, -2) @ g",
        "return ops.swapaxes(a, -1, -2) @ g / a.shape[-2]",
        "not the other's transpose",
    ),
    ("all axes transposed", "ops.swapaxes(a, -1, -2)", "a.T", "adjoint"),
    (
        "a constant",
        "return g @ ops.swapaxes(b, -1, -2)",
        "return ops.stop_gradient(g @ ops.swapaxes(b, -1, -2))",
        "nested",
    ),
    (
        "the installed rule",
        "return g @ ops.swapaxes(b, -1, -2)",
        "return ops._matmul.pull.own[0](g, y, a, b)",
        "a call of the installed",
    ),
]
