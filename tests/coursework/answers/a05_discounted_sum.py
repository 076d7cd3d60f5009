"""Task 05, solved, and what students get wrong."""

from minidl import ops
from minidl.core import linear
from minidl.coursework import solve


@solve("discounted.forward")
def forward(x, gamma):
    y = x.copy()
    for i in range(1, x.shape[-1]):
        y[..., i] += gamma * y[..., i - 1]
    return y


@solve("discounted.transpose")
def transpose(g, x, gamma):
    return ops.flip(discounted(ops.flip(g, -1), gamma=gamma), -1)


discounted = linear("discounted sum", forward, transpose)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "the transpose is the operation itself",
        "ops.flip(discounted(ops.flip(g, -1), gamma=gamma), -1)",
        "discounted(g, gamma=gamma)",
        "not the other's transpose",
    ),
    (
        "flipped once",
        "ops.flip(discounted(ops.flip(g, -1), gamma=gamma), -1)",
        "discounted(ops.flip(g, -1), gamma=gamma)",
        "adjoint",
    ),
    ("the first axis is flipped", "ops.flip(g, -1)", "ops.flip(g, 0)", "adjoint"),
    ("written to x", "y = x.copy()", "y = x", "changed in place"),
    ("γ once instead of its powers", "gamma * y[..., i - 1]", "gamma * x[..., i - 1]", "another formula"),
    (
        "NumPy in the transpose",
        "ops.flip(discounted(ops.flip(g, -1), gamma=gamma), -1)",
        "forward(g[..., ::-1], gamma)[..., ::-1]",
        "got a Box",
    ),
]
