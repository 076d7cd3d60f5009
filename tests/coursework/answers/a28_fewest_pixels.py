"""Task 28, solved, and what students get wrong."""

import numpy as np

from minidl import grad, losses  # noqa: F401
from minidl.coursework import solve


def margins(net, pixels, label):
    logits = net(pixels.reshape(-1, 1, 14, 14))
    others = np.delete(logits, label, axis=1)
    return others.max(axis=1) - logits[:, label]


@solve("pixels.attack")
def attack(net, x, y):
    x_adv, each = x.copy(), np.arange(196)
    for i in range(len(x)):
        pixels = x[i].reshape(-1)
        for _ in range(40):
            tried = np.tile(pixels, (392, 1))
            tried[each, each], tried[196 + each, each] = 0, 1
            reached = margins(net, tried, y[i])
            pixels = tried[reached.argmax()]
            if reached.max() > 0:
                break
        x_adv[i] = pixels.reshape(1, 14, 14)
    return x_adv


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("ends after two pixels", "range(40)", "range(2)", "ends too early"),
    ("beyond black", "= 0, 1", "= 0, 2", "outside [0, 1]"),
    (
        "FGSM",
        "    return x_adv\n",
        "    g = grad(lambda x: losses.cross_entropy(net(x), y, 'sum'), x)\n    return np.clip(x + 0.3 * np.sign(g), "
        "0, 1)\n",
        "moves every pixel",
    ),
    (
        "small changes everywhere",
        "    return x_adv\n",
        "    return np.clip(0.9999 * x_adv + 0.00001, 0, 1)\n",
        "below .001",
    ),
    ("the smallest margin", "tried[reached.argmax()]", "tried[reached.argmin()]", "still classified as their label"),
    ("x in place", "x_adv, each = x.copy()", "x_adv, each = x", "changed in place"),
]
