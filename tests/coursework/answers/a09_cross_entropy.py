"""Task 09, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


def gradient(z, labels):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) - np.eye(z.shape[-1], dtype=z.dtype)[labels]


@solve("cross_entropy.forward")
def forward(z, labels):
    m = z.max(axis=-1, keepdims=True)
    of_label = np.take_along_axis(z, labels[..., None], -1)[..., 0]
    return np.log(np.exp(z - m).sum(axis=-1)) + m[..., 0] - of_label


@solve("cross_entropy.push")
def push(t, y, z, labels):
    return (gradient(z, labels) * t).sum(axis=-1)


@solve("cross_entropy.pull")
def pull(g, y, z, labels):
    return gradient(z, labels) * g[..., None]


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("not stable", "m = z.max(axis=-1, keepdims=True)", "m = 0 * z[..., :1]", "logits"),
    ("the label is forgotten in the gradient", " - np.eye(z.shape[-1], dtype=z.dtype)[labels]", "", "differences"),
    (
        "the sign of the gradient",
        "return e / e.sum(axis=-1, keepdims=True) - np.eye(z.shape[-1], dtype=z.dtype)[labels]",
        "return np.eye(z.shape[-1], dtype=z.dtype)[labels] - e / e.sum(axis=-1, keepdims=True)",
        "wrong sign or factor",
    ),
    (
        "the pull-back forgets g",
        "return gradient(z, labels) * g[..., None]",
        "return gradient(z, labels) * np.ones_like(g[..., None])",
        "not the other's transpose",
    ),
    (
        "a mean over the classes",
        "return (gradient(z, labels) * t).sum(axis=-1)",
        "return (gradient(z, labels) * t).mean(axis=-1)",
        "differences",
    ),
    ("the largest logit is not added again", " + m[..., 0] - of_label", " - of_label", "another formula"),
]
