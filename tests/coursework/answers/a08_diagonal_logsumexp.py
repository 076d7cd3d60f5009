"""Task 08, solved, and what students get wrong."""

import numpy as np

from minidl import ops
from minidl.coursework import solve


def diagonals(x):
    i = np.arange(x.shape[-1])
    return x[..., i, i]


def probabilities(y, x):
    return ops.exp(diagonals(x) - y[..., None])


@solve("diagonal_logsumexp.forward")
def forward(x):
    d = diagonals(x)
    m = d.max(axis=-1, keepdims=True)
    return m[..., 0] + np.log(np.exp(d - m).sum(axis=-1))


@solve("diagonal_logsumexp.push")
def push(t, y, x):
    return ops.sum(probabilities(y, x) * diagonals(t), axis=-1)


@solve("diagonal_logsumexp.pull")
def pull(g, y, x):
    return (g[..., None] * probabilities(y, x))[..., None] * np.eye(x.shape[-1], dtype=x.dtype)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("not stable", "m = d.max(axis=-1, keepdims=True)", "m = 0 * d[..., :1]", "1000"),
    (
        "the whole matrix",
        "return m[..., 0] + np.log(np.exp(d - m).sum(axis=-1))",
        "return np.log(np.exp(x).sum(axis=(-2, -1)))",
        "another formula",
    ),
    (
        "the pull-back forgets the zeros",
        " * np.eye(x.shape[-1], dtype=x.dtype)",
        " * np.ones((x.shape[-1], x.shape[-1]), dtype=x.dtype)",
        "not the other's transpose",
    ),
    (
        "the pull-back forgets g",
        "(g[..., None] * probabilities(y, x))[..., None]",
        "(probabilities(y, x) + 0 * g[..., None])[..., None]",
        "adjoint",
    ),
    (
        "softmax with the sign turned",
        "ops.exp(diagonals(x) - y[..., None])",
        "ops.exp(y[..., None] - diagonals(x))",
        "differences",
    ),
    (
        "one matrix only",
        "(g[..., None] * probabilities(y, x))[..., None]",
        "(g * probabilities(y, x))[..., None]",
        "Jᵀ",
    ),
]
