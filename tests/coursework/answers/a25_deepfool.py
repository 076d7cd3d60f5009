"""Task 25, solved, and what students get wrong."""

import numpy as np

from minidl import batch_jacobian
from minidl.coursework import solve


@solve("deepfool.attack")
def attack(net, x, y, steps, overshoot):
    rows, total, x_i = np.arange(len(x)), np.zeros((len(x), x[0].size), dtype=x.dtype), x
    for _ in range(steps):
        logits = net(x_i)
        active = logits.argmax(axis=1) == y
        if not active.any():
            break
        jacobian = batch_jacobian(net, x_i).reshape(len(x), 10, -1)
        w = jacobian - jacobian[rows, y][:, None]
        f = abs(logits - logits[rows, y][:, None])
        squares = (w**2).sum(axis=-1)
        squares[rows, y], f[rows, y] = 1, np.inf
        nearest = (f / np.sqrt(squares)).argmin(axis=1)
        r = (f / squares)[rows, nearest][:, None] * w[rows, nearest]
        total = total + np.where(active[:, None], r, 0)
        x_i = x + (1 + overshoot) * total.reshape(x.shape)
    return x_i


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "the smallest difference, not the smallest distance",
        "(f / np.sqrt(squares)).argmin(axis=1)",
        "f.argmin(axis=1)",
        "without the division",
    ),
    ("no square", "(f / squares)[rows", "(f / np.sqrt(squares))[rows", "instead of ‖w'‖²"),
    ("no overshoot", "(1 + overshoot) * total", "total", "no overshoot"),
    (
        "all go on until the last is done",
        "np.where(active[:, None], r, 0)",
        "r",
        "goes on after its prediction has changed",
    ),
    (
        "the wrong way",
        "w = jacobian - jacobian[rows, y][:, None]",
        "w = jacobian[rows, y][:, None] - jacobian",
        "the wrong sign",
    ),
    ("all stop with the first", "if not active.any()", "if not active.all()", "when the first is done"),
    ("the gradients at x", "batch_jacobian(net, x_i)", "batch_jacobian(net, x)", "its gradients are those at x"),
]
