"""Task 23, solved, and what students get wrong."""

import numpy as np

from minidl import grad, losses
from minidl.coursework import solve


@solve("pgd.attack")
def attack(net, x, y, epsilon, steps, restarts, seed):
    rng, x_adv = np.random.default_rng(seed), x.copy()
    for _ in range(restarts):
        x_t = np.clip(x + rng.uniform(-epsilon, epsilon, x.shape).astype(x.dtype), 0, 1)
        for _ in range(steps):
            g = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x_t)
            x_t = x_t + 2.5 * epsilon / steps * np.sign(g)
            x_t = np.clip(x_t, x - epsilon, x + epsilon)
            x_t = np.clip(x_t, 0, 1)
        left = net(x_adv).argmax(axis=1) == y
        x_adv[left] = x_t[left]
    return x_adv


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("no projection", "            x_t = np.clip(x_t, x - epsilon, x + epsilon)\n", "", "not projected back"),
    (
        "projected around the last point",
        "np.clip(x_t, x - epsilon, x + epsilon)",
        "np.clip(x_t, x_t - epsilon, x_t + epsilon)",
        "around the last point",
    ),
    (
        "the same start in each run",
        "for _ in range(restarts):",
        "for _ in range(restarts):\n        rng = np.random.default_rng(seed)",
        "the generator is made in",
    ),
    ("the last run is kept", "x_adv[left] = x_t[left]", "x_adv = x_t", "replaces an earlier success"),
    (
        "one gradient for all steps",
        'grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x_t)',
        'grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)',
        "computed once",
    ),
    (
        "no random start",
        "x + rng.uniform(-epsilon, epsilon, x.shape).astype(x.dtype)",
        "x + 0 * rng.uniform(-epsilon, epsilon, x.shape).astype(x.dtype)",
        "x⁰ = x",
    ),
    ("starts on one side", "rng.uniform(-epsilon, epsilon, x.shape)", "epsilon * rng.random(x.shape)", "from 0 to 1"),
    (
        "one draw for all",
        "rng.uniform(-epsilon, epsilon, x.shape)",
        "rng.uniform(-epsilon, epsilon, x[:1].shape)",
        "the shape of one image",
    ),
    ("not seeded", "np.random.default_rng(seed)", "np.random.default_rng()", "not made of the seed"),
]
