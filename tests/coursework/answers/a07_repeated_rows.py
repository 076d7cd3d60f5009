"""Task 07, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("take_rows.forward")
def forward(x, rows):
    return x[..., rows, :]


@solve("take_rows.put")
def put(g, rows, n):
    out = np.zeros((*g.shape[:-2], n, g.shape[-1]), dtype=g.dtype)
    np.add.at(out, (..., rows, slice(None)), g)
    return out


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("repeats are added once", "np.add.at(out, (..., rows, slice(None)), g)", "out[..., rows, :] += g", "adjoint"),
    ("repeats overwrite each other", "np.add.at(out, (..., rows, slice(None)), g)", "out[..., rows, :] = g", "adjoint"),
    ("columns instead of rows", "return x[..., rows, :]", "return x[..., rows]", "value"),
    ("the first axis", "(..., rows, slice(None))", "rows", "adjoint"),
    ("tables without axes in front only", "return x[..., rows, :]", "return x[rows]", "value"),
]
