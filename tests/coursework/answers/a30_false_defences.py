"""Task 30, solved, and what students get wrong."""

import numpy as np

from minidl import grad, losses, ops
from minidl.coursework import solve


def follow(gradient, x, epsilon, seed, steps=10):
    start = np.random.default_rng(seed).uniform(-epsilon, epsilon, x.shape).astype(x.dtype)
    x_t = np.clip(x + start, 0, 1)
    for _ in range(steps):
        x_t = x_t + 2.5 * epsilon / steps * np.sign(gradient(x_t))
        x_t = np.clip(np.clip(x_t, x - epsilon, x + epsilon), 0, 1)
    return x_t


def of_the_loss(net, x, y):
    return grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)


@solve("defences.break_rounding")
def break_rounding(victim, x, y, epsilon, seed):
    return follow(lambda x_t: of_the_loss(victim.net, victim.rounded(x_t), y), x, epsilon, seed)


@solve("defences.break_sharpening")
def break_sharpening(victim, x, y, epsilon, seed):
    label = np.eye(10, dtype=bool)[y]

    def margin(x):
        z = victim(x)
        return ops.sum(ops.max(ops.where(label, -1e9, z), axis=1) - ops.sum(ops.where(label, z, 0), axis=1))

    return follow(lambda x_t: grad(margin, x_t), x, epsilon, seed)


@solve("defences.break_dropping")
def break_dropping(victim, x, y, epsilon, seed):
    return follow(lambda x_t: sum(of_the_loss(victim, x_t, y) for _ in range(10)), x, epsilon, seed)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "through the rounding",
        "of_the_loss(victim.net, victim.rounded(x_t), y)",
        "of_the_loss(victim, x_t, y)",
        "where the gradient is 0",
    ),
    (
        "through the rounding, from x",
        "return follow(lambda x_t: of_the_loss(victim.net, victim.rounded(x_t), y), x, epsilon, seed)",
        "return np.clip(x + epsilon * np.sign(of_the_loss(victim, x, y)), 0, 1)",
        "do not move at all",
    ),
    (
        "the sharpened loss",
        "lambda x_t: grad(margin, x_t)",
        "lambda x_t: of_the_loss(victim, x_t, y)",
        "p_y is rounded to 1",
    ),
    (
        "one step through dropping",
        "return follow(lambda x_t: sum(of_the_loss(victim, x_t, y) for _ in range(10)), x, epsilon, seed)",
        "return np.clip(x + epsilon * np.sign(of_the_loss(victim, x, y)), 0, 1)",
        "Average over calls",
    ),
    ("down the loss", "np.sign(gradient(x_t))", "(-1) * np.sign(gradient(x_t))", "a minus sign"),
    (
        "no projection",
        "np.clip(np.clip(x_t, x - epsilon, x + epsilon), 0, 1)",
        "np.clip(x_t, 0, 1)",
        "not projected back",
    ),
]
