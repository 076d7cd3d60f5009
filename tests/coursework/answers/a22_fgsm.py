"""Task 22, solved, and what students get wrong."""

import numpy as np

from minidl import grad, losses, ops  # noqa: F401
from minidl.coursework import solve


@solve("fgsm.attack")
def attack(net, x, y, epsilon):
    g = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)
    return np.clip(x + epsilon * np.sign(g), 0, 1)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("down the loss", "x + epsilon", "x - epsilon", "a minus sign"),
    ("not clipped", "np.clip(x + epsilon * np.sign(g), 0, 1)", "x + epsilon * np.sign(g)", "outside [0, 1]"),
    ("the gradient itself", "np.sign(g)", "g / np.abs(g).max()", "instead of its sign"),
    ("scaled over the batch", "np.sign(g)", "g / np.abs(g).max()", "a maximum of the whole batch"),
    ("the gradient of a logit", 'losses.cross_entropy(net(x), y, "sum")', "ops.sum(net(x)[np.arange(len(y)), y])",
     "of a logit"),
    ("the predicted class", "    g = grad", "    y = net(x).argmax(axis=1)\n    g = grad", "the predicted class instead"),
    ("x changed in place", "return np.clip(x + epsilon * np.sign(g), 0, 1)",
     "x += epsilon * np.sign(g)\n    return np.clip(x, 0, 1)", "changed in place"),
    ("float64", "np.clip(x +", "np.clip(x.astype(float) +", "float64"),
    ("ours is called", "    g = grad", "    from attacks import fgsm\n\n    return fgsm(net, x, y, epsilon=epsilon).x_adv\n    g = grad",
     "a call of the installed"),
]  # fmt: skip
