"""Task 06: roll, and why rules count axes from the end.

`roll` moves the entries of an array along an axis, and what leaves at one end comes back at the other:

    y_i = x_{(i - shift) mod n}

The last line of this file makes the operation.  Write its two rules.  Both get the options `shift` and `axis`, where
axis may be counted from the front (0, 1, …) or from the end (-1, -2, …), as a user of roll pleases.

A tangent may have *extra leading axes*: t has shape (..., *x.shape), a stack of tangents that are pushed at once.  So
the axis of x is another axis of t, if it is counted from the front.
"""

import numpy as np

from minidl import Primitive
from minidl.coursework import solve


@solve("roll.push")
def push(t, y, x, shift, axis):
    """t (..., *x.shape) -> J·t (..., *y.shape)."""
    raise NotImplementedError("Roll t along the axis of x; which axis of t is that?")


@solve("roll.pull")
def pull(g, y, x, shift, axis):
    """g (..., *y.shape) -> Jᵀ·g (..., *x.shape)."""
    raise NotImplementedError("J is a permutation: its transpose is its inverse.")


roll = Primitive(
    "roll", lambda x, shift, axis: np.roll(x, shift, axis), push=[push], pull=[pull]
)  # roll(x, shift=2, axis=0)


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import linearize
from minidl.coursework.networks import digits
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, rule_parts
from minidl.coursework.task import Task
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes, st


def primitive(solution):
    return Primitive("roll", lambda x, shift, axis: np.roll(x, shift, axis), push=[solution["roll.push"]],
                     pull=[solution["roll.pull"]])  # fmt: skip


def cases(solution):
    @st.composite
    def drawn(draw):
        f, shape, shift = primitive(solution), draw(shapes(1, 3)), draw(st.integers(-4, 4))
        axis = draw(st.integers(-len(shape), len(shape) - 1))
        return Case(lambda x: f(x, shift=shift, axis=axis), draw(arrays(shape)),
                    lambda x: np.roll(x, shift, axis), f"shift {shift}, axis {axis}")  # fmt: skip

    return drawn()


def demo(solution, path):
    f, x = primitive(solution), digits().test.x[0, 0]
    lin = linearize(lambda x: f(x, shift=4, axis=1), x)
    images(path, "Pushed forward, a digit moves with the picture; pulled back, it moves against it",
           {"": [x, lin.jvp(x), lin.vjp(x), lin.vjp(lin.jvp(x))]}, [["t", "J·t", "Jᵀ·t", "Jᵀ·J·t"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=25,
    teaches="stacked tangents, and a permutation's transpose",
    reading="minidl/core.py, on extra leading axes; `swapaxes` in minidl/shaping.py",
    forbidden=DIFFERENTIATION,
    parts=rule_parts(cases, {"differences": 1, "adjoint": 1, "stacked": 1, "modes": 0.5, "nested stacks": 1}),
    hints=(
        "If axis is counted from the front, axis - x.ndim is the same axis counted from the end, and that one is right "
        "for t and g as well.",
        "roll(t, shift=…, axis=…) is the primitive itself, so its result can be differentiated; np.roll cannot.",
        "Push: roll by shift.  Pull: roll by -shift.",
    ),
    demo=demo,
)
