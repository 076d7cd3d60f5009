"""Task 13, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("nesterov.step")
def nesterov(w, g, v, lr, momentum):
    v = momentum * v - lr * g
    return w + momentum * v - lr * g, v


@solve("adam.step")
def adam(w, g, m, s, t, lr, beta1, beta2, epsilon):
    m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * g**2
    m_hat, s_hat = m / (1 - beta1**t), s / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(s_hat) + epsilon), m, s


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("plain momentum", "return w + momentum * v - lr * g, v", "return w + v, v", "Nesterov's own form"),
    (
        "the old velocity",
        "    v = momentum * v - lr * g\n    return w + momentum * v - lr * g, v",
        "    return w + momentum * v - lr * g, momentum * v - lr * g",
        "Nesterov's own form",
    ),
    ("no correction of the start", "m / (1 - beta1**t), s / (1 - beta2**t)", "m, s", "weighted means"),
    (
        "the correction is kept",
        "(np.sqrt(s_hat) + epsilon), m, s",
        "(np.sqrt(s_hat) + epsilon), m_hat, s_hat",
        "weighted means",
    ),
    ("no root", "np.sqrt(s_hat)", "s_hat", "η·sign(g)"),
    ("v in place", "    v = momentum * v - lr * g\n", "    v *= momentum\n    v -= lr * g\n", "changed in place"),
    (
        "steps counted from 0",
        "beta1**t), s / (1 - beta2**t)",
        "beta1**(t + 1)), s / (1 - beta2**(t + 1))",
        "weighted means",
    ),
]
