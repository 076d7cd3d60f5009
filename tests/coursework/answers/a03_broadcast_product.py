"""Task 03, solved, and what students get wrong."""

from minidl import ops
from minidl.coursework import solve


def summed(g, y, a):
    for axis in range(-a.ndim, 0):
        if a.shape[axis] == 1 and y.shape[axis] > 1:
            g = ops.sum(g, axis=axis, keepdims=True)
    return ops.sum(g, axis=tuple(range(-y.ndim, -a.ndim))) if y.ndim > a.ndim else g


@solve("product.pull[0]")
def pull_a(g, y, a, b):
    return summed(g * b, y, a)


@solve("product.pull[1]")
def pull_b(g, y, a, b):
    return summed(g * a, y, b)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("nothing is summed", "return summed(g * b, y, a)", "return g * b", "Jᵀ·g has shape"),
    ("axes of length 1 are forgotten", "a.shape[axis] == 1 and", "False and", "Jᵀ·g has shape"),
    (
        "axes counted from the front",
        "tuple(range(-y.ndim, -a.ndim))",
        "tuple(range(y.ndim - a.ndim))",
        "counts axes from the front",
    ),
    ("g is multiplied by its own argument", "return summed(g * a, y, b)", "return summed(g * b, y, b)", "adjoint"),
    (
        "a mean instead of a sum",
        "g = ops.sum(g, axis=axis, keepdims=True)",
        "g = ops.mean(g, axis=axis, keepdims=True)",
        "adjoint",
    ),
]
