"""Task 31, solved, and what students get wrong."""

import numpy as np

from minidl import Sequential, fit, grad, layers, losses
from minidl.coursework import solve
from minidl.optim import Adam


class PGD:
    alpha = 0.0

    def __call__(self, net, x, y, moment):
        epsilon = 0.1 * min(1.0, moment.epochs / 2)
        start = np.random.default_rng(moment.key).uniform(-epsilon, epsilon, x.shape).astype(x.dtype)
        x_t = np.clip(x + start, 0, 1)
        for _ in range(3):
            g = grad(lambda x: losses.cross_entropy(net(x), y), x_t)
            x_t = np.clip(
                x_t + np.float32(0.8 * epsilon) * np.sign(g), x - np.float32(epsilon), x + np.float32(epsilon)
            )
            x_t = np.clip(x_t, 0, 1)
        return x_t


@solve("defence.defend")
def defend(train, seed):
    hidden = layers.Dense(256), layers.ReLU()
    net = Sequential(layers.Flatten(), *hidden, layers.Dense(10), input_shape=(1, 14, 14), seed=seed)
    fit(net, train, epochs=6, optimizer=Adam(3e-3), adversary=PGD(), seed=seed, progress=False)
    return net


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("no adversary", "adversary=PGD(), ", "", "no adversary"),
    (
        "down the loss",
        "np.float32(0.8 * epsilon) * np.sign(g)",
        "np.float32(-0.8 * epsilon) * np.sign(g)",
        "a minus sign",
    ),
    ("the history is returned", "    fit(net", "    return fit(net", "fit returns a history"),
    ("not seeded", "np.random.default_rng(moment.key)", "np.random.default_rng()", "not made of the seed"),
    ("the seed is not used", "seed=seed", "seed=1", "Pass the seed on"),
    (
        "the gradient is hidden",
        "adversary=PGD(), seed=seed, progress=False)\n",
        "seed=seed, progress=False)\n    for w in list(net.params.values())[-2:]:\n        w *= 10000\n",
        "hides its gradient",
    ),
    ("a far too large ε", "epsilon = 0.1 * min(1.0, moment.epochs / 2)", "epsilon = 0.45", "too large from"),
]
