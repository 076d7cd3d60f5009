"""Task 31: a network that withstands the strongest attack.

Train a network on the small digits, 14×14, so that as many as possible stay correctly classified whatever is done to
them within ε = .1 in every pixel:

    min_θ E[ max_{‖δ‖∞ ≤ ε} L(θ, x + δ, y) ]                  (Madry et al. 2018, eq. 2.1)

Your network is attacked by our strongest ensemble (Croce and Hein 2020): gradient ascent with step sizes of its own, on
the cross-entropy and on ratios of logits, towards each other class in turn, and in the end by a search without
gradients.  To hide the gradient, as in task 30, brings nothing: there has to be nothing to be found.

Write `defend`.  It is given the training digits, `train.x` (8000, 1, 14, 14) and `train.y`, and returns a trained
`Sequential`, of any architecture.  You have 20 seconds, with one thread; 3 are enough for all points.  The clean
accuracy must be at least 85 %: a network that never changes its mind is robust, and useless.

minidl.fit(net, train, epochs=…, optimizer=…, adversary=…, seed=seed, progress=False) trains.  An adversary is an object
with an attribute alpha, the weight of the clean images, and a method __call__(self, net, x, y, moment) that returns the
images to train on instead of x; `moment.key` is a whole number for its random generator, and `moment.epochs` says how
many epochs are over.
"""

import numpy as np

from minidl import Sequential, fit, grad, layers, losses
from minidl.coursework import solve
from minidl.optim import Adam


@solve("defence.defend")
def defend(train, seed):
    """The training digits, a `Dataset`, and a seed -> a trained `Sequential` of images (n, 1, 14, 14) to 10 logits."""
    raise NotImplementedError("Train a Sequential on adversarial images that are made anew in each step; return it.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

import time

from attacks import apgd, pgd
from minidl.coursework.contests import steps_of
from minidl.coursework.networks import digits, network
from minidl.coursework.pictures import curves
from minidl.coursework.task import Part, Score, Task
from minidl.data import load_digits

EPSILON, FLOOR, LIMIT = 0.1, 0.85, 20.0


def a_network(solution, train, seed):
    """What `defend` returns, checked to be a network that computes the same each time."""
    net = solution["defence.defend"](train, seed)
    if not isinstance(net, Sequential):
        raise AssertionError(
            f"a trained Sequential is expected, and {'nothing' if net is None else type(net).__name__} was returned.  "
            "Likely cause: fit returns a history and trains the network in place; end with: return net"
        )
    x = digits().test.x[:20]
    logits = net(x)
    if logits.shape != (20, 10):
        raise AssertionError(f"for 20 images the network returns shape {logits.shape}; 10 logits for each are expected")
    if not np.array_equal(logits, net(x)):
        raise AssertionError("the network returns other logits each time; to be judged it must not draw random numbers")
    return net


def repeatable(solution, seed):
    train = digits().train.take(np.arange(400))
    first, second = (a_network(solution, train, seed) for _ in range(2))
    other = a_network(solution, train, seed + 1)
    x = digits().test.x[:50]
    if not np.array_equal(first(x), second(x)):
        raise AssertionError(
            f"trained twice with seed {seed}, on 400 digits: the logits differ by up to "
            f"{np.abs(first(x) - second(x)).max():.3g}.  Likely causes: a generator that is not made of the seed or "
            "of moment.key; a network or an optimizer that is made once and trained again"
        )
    if np.array_equal(first(x), other(x)):
        raise AssertionError(
            f"trained with seeds {seed} and {seed + 1}: the networks are the same.  Pass the seed on, to the network "
            "and to fit"
        )


def withstands(solution, seed):
    start = time.perf_counter()
    net = a_network(solution, digits().train, seed)
    seconds = time.perf_counter() - start
    if seconds > LIMIT:
        raise AssertionError(
            f"training took {seconds:.0f} s; {LIMIT:g} are allowed.  Fewer epochs, or fewer steps of PGD"
        )
    test = digits().test
    clean = float((net(test.x).argmax(axis=1) == test.y).mean())
    first = seed * 211 % 1900
    x, y = test.x[first : first + 100], test.y[first : first + 100]
    result = apgd(net, x, y, epsilon=EPSILON, steps=40, queries=500, seed=seed % 1000)
    robust = round(1 - float(result.success.mean()), 4)
    plain = 1 - float(pgd(network("mlp"), x, y, epsilon=EPSILON, steps=10).success.mean())
    sentence = (
        f"clean accuracy {clean:.1%}, robust accuracy {robust:.0%} (trained without an adversary: about {plain:.0%}), "
        f"{seconds:.1f} s of training"
    )
    if clean < FLOOR:
        raise AssertionError(
            f"{sentence}.  The clean accuracy has to be at least {FLOOR:.0%}.  Likely causes: an ε that is too large "
            "from the start: let it grow over the first epochs; too few epochs; a learning rate that is too small"
            + ("; a minus sign, so that it learns from images that are made easier" if robust <= plain + 0.05 else "")
        )
    score = steps_of({0.2: 0.2, 0.3: 0.4, 0.4: 0.6, 0.48: 0.8, 0.55: 1.0}, robust, sentence)
    if score.share < 0.4:
        more = ".  " + weak(net, x, y, robust)
        score = Score(score.share, score.sentence + more, robust)
    return score


def weak(net, x, y, robust):
    """Why a network does not withstand much."""
    held = 1 - float(pgd(net, x, y, epsilon=EPSILON, steps=10).success.mean())
    if held > robust + 0.25:
        return (
            f"PGD, which follows the loss, leaves {held:.0%}: your network hides its gradient, by large logits or by "
            "steps without a derivative, and is not robust"
        )
    return "Likely causes: no adversary; images that are not made worse, by a minus sign; an ε far below .1"


def demo(solution, path):
    net, x, y = a_network(solution, digits().train, 1), digits().test.x[:200], digits().test.y[:200]
    radii = np.linspace(0, 0.2, 9)
    left = lambda net: [1 - r.success.mean() for r in pgd(net, x, y, epsilon=radii.tolist(), steps=10)]
    lines = {"trained by you": (radii, left(net)), "trained without an adversary": (radii, left(network("mlp")))}
    curves(path, "What adversarial training wins: accuracy under PGD", "ε", lines, "accuracy")


TASK = Task(
    module=__name__,
    kind="defence",
    minutes=90,
    teaches="adversarial training, judged by an attack that does not rely on one gradient",
    reading="Madry et al. 2018; Croce and Hein 2020, §1 and §5; attacks/adversaries.py after you have tried",
    needs=("23", "29"),
    parts=(
        Part("a network, the same for the same seed", 1, repeatable),
        Part("robust accuracy under our strongest attack, ε = .1", 7, withstands),
    ),
    hints=(
        "Begin with a plain network and fit, and look at the sentence of the check.  Then write an adversary: a "
        "class with alpha = 0.0, whose __call__ takes one step of FGSM with ε = .1.",
        "Three steps of PGD from a random start make a stronger network than one of FGSM.  Let ε grow from 0 over "
        "the first two epochs: min(1, moment.epochs / 2) · .1.",
        "Robust networks need more units: 256 instead of 64.  Adam(3e-3), and about 6 epochs.",
    ),
    demo=demo,
    forbidden=("attacks", "minidl.coursework.networks", load_digits),
    board="robust accuracy",
    seconds=60,
)
