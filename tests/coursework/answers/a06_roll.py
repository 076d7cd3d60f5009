"""Task 06, solved, and what students get wrong."""

import numpy as np

from minidl import Primitive, ops  # noqa: F401  # what a wrong answer below may use
from minidl.coursework import solve


@solve("roll.push")
def push(t, y, x, shift, axis):
    return roll(t, shift=shift, axis=axis if axis < 0 else axis - x.ndim)


@solve("roll.pull")
def pull(g, y, x, shift, axis):
    return roll(g, shift=-shift, axis=axis if axis < 0 else axis - x.ndim)


roll = Primitive("roll", lambda x, shift, axis: np.roll(x, shift, axis), push=[push], pull=[pull])


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("pulled back in the same direction", "shift=-shift", "shift=shift", "not the other's transpose"),
    ("axes as they were given", "axis if axis < 0 else axis - x.ndim", "axis", "axes counted from the front"),
    ("the wrong end of the axes", "axis - x.ndim", "axis - x.ndim + 1", "adjoint"),
    (
        "the value of the tangent only",
        "return roll(t, shift=shift",
        "return roll(ops.stop_gradient(t), shift=shift",
        "nested stacks",
    ),
    (
        "the tangent is left where it is",
        "return roll(t, shift=shift, axis=axis if axis < 0 else axis - x.ndim)",
        "return t",
        "differences",
    ),
]
