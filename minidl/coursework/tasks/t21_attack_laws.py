"""Task 21: the laws of an attack.

Whatever happens inside, an attack with a budget ε in the L∞ norm, attack(x, y, epsilon, seed) -> x_adv, promises:

1. its images differ from x by at most ε in every pixel, and are in [0, 1], with the shape and dtype of x;
2. x and y are left as they were;
3. the same seed gives the same images;
4. an image's result does not depend on which other images are in the batch, nor on their order.  (Random numbers are
   drawn for each image by its place, so compare only the first image of a batch with the same image alone.)
5. it does attack: on the whole, x_adv differs from x.

Write a law that raises AssertionError if one of these is broken.  x has shape (n, 1, 14, 14), float32.  Bounds hold
up to rounding: allow 1e-6.  No false alarm on five real attacks, then as many wrong ones as you can.
"""

import numpy as np

from minidl.coursework import solve


@solve("law.attack")
def law(attack, x, y, epsilon, rng):
    """attack(x (n, 1, 14, 14), y (n,), epsilon, seed) -> x_adv.  Raises AssertionError if a promise is broken."""
    raise NotImplementedError("Attack a copy, look at the result; attack again; attack the first image alone.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from attacks import apgd, bim, fgsm, pgd, square
from minidl import grad, losses
from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.networks import classified, network
from minidl.coursework.pictures import bars
from minidl.coursework.task import Task


def program(name, make, **options):
    """make: of a network, a function attack(x, y, epsilon, seed)."""

    def drawn(rng):
        x, y = classified(network("mlp"), 4, first=int(rng.integers(0, 1900)))
        return make(network("mlp")), x, y, float(rng.choice([0.1, 0.2]))

    return Program(name, drawn, **options)


def one_step(net, x, y, epsilon, direction=np.sign):
    gradient = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)
    return x + np.float32(epsilon) * direction(gradient).astype(np.float32)


def in_bounds(x):
    return np.clip(x, 0, 1)


def noisy(net, x, y, epsilon, rng):
    start = in_bounds(x + rng.uniform(-epsilon / 2, epsilon / 2, x.shape).astype(np.float32))
    return in_bounds(one_step(net, start, y, epsilon / 2))


def in_place(net):
    def attack(x, y, epsilon, seed):
        x += np.float32(epsilon) * np.sign(one_step(net, x, y, 1.0) - x)
        return np.clip(x, 0, 1, out=x)

    return attack


def by_the_batch(net):
    def attack(x, y, epsilon, seed):
        gradient = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)
        return in_bounds(x + np.float32(epsilon) * (gradient / np.abs(gradient).max()))

    return attack


WHEATS = (
    program("FGSM", lambda net: lambda x, y, e, seed: fgsm(net, x, y, epsilon=e).x_adv),
    program("BIM", lambda net: lambda x, y, e, seed: bim(net, x, y, epsilon=e, steps=3).x_adv),
    program("PGD", lambda net: lambda x, y, e, seed: pgd(net, x, y, epsilon=e, steps=3, seed=seed).x_adv),
    program("Square", lambda net: lambda x, y, e, seed: square(net, x, y, epsilon=e, queries=20, seed=seed).x_adv),
    program("APGD", lambda net: lambda x, y, e, seed: apgd(
        net, x, y, epsilon=e, steps=4, queries=4, seed=seed).x_adv),
)  # fmt: skip
CHAFFS = (
    program("not clipped to [0, 1]", lambda net: lambda x, y, e, seed: one_step(net, x, y, e)),
    program("twice the budget", lambda net: lambda x, y, e, seed: in_bounds(one_step(net, x, y, 2 * e))),
    program("a budget in L2: the gradient itself, of length ε·√D", lambda net: lambda x, y, e, seed: in_bounds(one_step(
        net, x, y, e, lambda g: g / np.sqrt((g**2).mean(axis=(1, 2, 3), keepdims=True))))),
    program("x is changed in place", in_place),
    program("the seed is ignored: NumPy's global generator", lambda net: lambda x, y, e, seed: noisy(
        net, x, y, e, np.random.default_rng())),
    program("steps are scaled by the largest gradient of the batch", by_the_batch),
    program("the images as they were", lambda net: lambda x, y, e, seed: x.copy()),
    program("float64 images", lambda net: lambda x, y, e, seed: in_bounds(one_step(net, x, y, e)).astype(np.float64)),
    program("one pixel of the last image is out of the ball", lambda net: lambda x, y, e, seed: one_pixel(
        in_bounds(one_step(net, x, y, e))), shown=False),
    program("images come back in reverse order", lambda net: lambda x, y, e, seed: in_bounds(
        one_step(net, x, y, e))[::-1], shown=False),
    program("flat images", lambda net: lambda x, y, e, seed: in_bounds(one_step(net, x, y, e)).reshape(len(x), -1),
            shown=False),
)  # fmt: skip


def one_pixel(x):
    if len(x) > 1:
        x[-1, 0, 0, 0] = 1 - x[-1, 0, 0, 0].round()  # a corner, which is 0 in a digit
    return x


def demo(solution, path):
    caught = caught_by_name(solution["law.attack"], (*WHEATS, *CHAFFS), 10)
    bars(path, "How often your law fails, in 10 tries: never for the five real attacks, which come first",
         "share of tries", caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=45,
    teaches="what an attack promises, whatever it does inside",
    reading="attacks/common/result.py; CONTRIBUTING.md, on attacks",
    forbidden=("attacks", "minidl.testing"),
    parts=(law_part("law.attack", 6, WHEATS, CHAFFS, seeds=3),),
    hints=(
        "Keep copies: before = x.copy().  Compare x with it after the attack, and again after the second call.",
        "np.abs(x_adv - x).max() <= epsilon + 1e-6, for all images at once; shape and dtype before that.",
        "The first image alone: attack(x[:1], y[:1], epsilon, seed)[0] against x_adv[0], exactly or to 1e-6.",
    ),
    demo=demo,
)
