"""Task 07: reading rows, some of them twice.

An embedding reads rows of a table: for a table x (n, d) and row numbers, y_k = x_{rows[k]}.  The same row may be read
several times.  It then matters several times, so its cotangent is the sum of what comes back from each place:

    (Jᵀ·g)_i = Σ_{k: rows[k] = i} g_k

Write `forward`, which reads, and `put`, its transpose, which adds.  Both work on plain arrays.  The end of this file
makes a pair of linear primitives of them, each the transpose of the other, so that derivatives of derivatives come for
free.  Both get arrays with any number of axes in front: tables (..., n, d).
"""

import numpy as np

from minidl.core import linear
from minidl.coursework import solve


@solve("take_rows.forward")
def forward(x, rows):
    """x (..., n, d), rows (k,), integers in 0 … n-1 -> y (..., k, d)."""
    raise NotImplementedError("Index the last axis but one of x by rows.")


@solve("take_rows.put")
def put(g, rows, n):
    """g (..., k, d), rows (k,) -> (..., n, d): 0 in rows that were never read, sums in rows read twice."""
    raise NotImplementedError(
        "Begin with np.zeros; then add each row of g to its place, twice where it was read twice."
    )


take_rows = linear(
    "take rows", lambda x, rows: forward(x, rows), lambda g, x, rows: put_rows(g, rows=rows, n=x.shape[-2])
)
put_rows = linear("put rows", lambda g, rows, n: put(g, rows, n), lambda t, g, rows, n: take_rows(t, rows=rows))


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import linearize
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, rule_parts
from minidl.coursework.task import Task
from minidl.testing import Case
from minidl.testing.drawing import arrays, shapes, st


def primitive(solution):
    take = linear("take rows", lambda x, rows: solution["take_rows.forward"](x, rows),
                  lambda g, x, rows: back(g, rows=rows, n=x.shape[-2]))  # fmt: skip
    back = linear("put rows", lambda g, rows, n: solution["take_rows.put"](g, rows, n),
                  lambda t, g, rows, n: take(t, rows=rows))  # fmt: skip
    return take


def cases(solution):
    @st.composite
    def drawn(draw):
        f, shape = primitive(solution), draw(shapes(2, 3))
        rows = np.array(draw(st.lists(st.integers(0, shape[-2] - 1), min_size=1, max_size=4)))
        return Case(lambda x: f(x, rows=rows), draw(arrays(shape)), lambda x: np.take(x, rows, axis=-2), f"rows {rows}")

    return drawn()


def demo(solution, path):
    rows = np.array([0, 1, 1, 1, 3])
    lin = linearize(lambda x: primitive(solution)(x, rows=rows), np.zeros((5, 6)))
    images(path, "Rows 0, 1, 1, 1, 3 were read: row 1 gets three cotangents, rows 2 and 4 none",
           {"": [np.ones((5, 6)) / 3, lin.vjp(np.ones((5, 6))) / 3]}, [["g", "Jᵀ·g"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=25,
    teaches="what is read twice gets two cotangents",
    reading="minidl/ops.py, `index` and `_place`; numpy.add.at",
    forbidden=DIFFERENTIATION,
    parts=rule_parts(cases, {"value": 1, "adjoint": 2, "stacked": 1, "nested stacks": 1, "float32": 0.5}),
    hints=(
        "out[..., rows, :] += g looks right, and adds only one of several rows with the same number.  Why?",
        "np.add.at(out, index, values) adds all of them.  The index here is (..., rows, slice(None)).",
        "np.zeros is float64 unless it is told another dtype: dtype=g.dtype.",
    ),
    demo=demo,
)
