"""Task 30: three false defences.

A defence that makes attacks fail need not make a network robust.  Often it only hides the gradient, and the adversarial
examples are still there.  Here are three such defences, each in front of or behind a network that is not robust at all.
For each, its authors say that accuracy under FGSM and PGD of ε = .08 stays high.  Show that it does not.

Rounding.  Each pixel is rounded to a multiple of 1/8 before the network sees it.  "The gradient of rounding is 0
everywhere, so that there is nothing for an attacker to follow."

Sharpening.  The logits are multiplied by 1000, as if the network had been trained at a temperature of 1000 and used
at 1.  Predictions stay the same.  "The network is so sure that its loss is exactly 0, and so is the loss's gradient."

Dropping.  Each call sets a fifth of the pixels, drawn anew, to 0, and divides the others by .8.  "The gradient points
elsewhere at each call, and an image that fools one call does not fool the next."

Write an attack for each, with everything that you know of the defence.  Each returns images within ε of x and in
[0, 1].  The accuracy that is left is measured with the defence in place: for dropping, over 10 calls.

Athalye, Carlini and Wagner (2018, "Obfuscated gradients give a false sense of security", §4) name two ways.  Where a
function f has no useful gradient but f(x) ≈ x, take it for the identity in the backward pass.  Where a defence is
random, follow the expectation of the gradient over its draws.  And Carlini and Wagner (2017) attack the margin of the
logits, not the loss.
"""

import numpy as np

from minidl import grad, losses, ops
from minidl.coursework import solve


class Rounding:
    """The first defence.  You may use victim.net, the network behind it, and victim.rounded(x)."""

    def __init__(self, net):
        self.net = net

    def rounded(self, x):
        return np.round(np.asarray(ops.stop_gradient(x)) * 8) / np.float32(8)

    def __call__(self, x):
        return self.net(self.rounded(x) + 0 * x)


def sharpening(net):
    """The second defence: victim(x) is all that you may use."""
    return lambda x: 1000 * net(x)


def dropping(net, rng):
    """The third defence: victim(x) is all that you may use, and each call draws other pixels."""
    return lambda x: net(x * ((rng.random(x.shape, dtype=np.float32) < 0.8) / np.float32(0.8)))


@solve("defences.break_rounding")
def break_rounding(victim, x, y, epsilon, seed):
    """A `Rounding`, images x (n, 1, 14, 14) of float32, labels y (n,), ε, a seed -> x_adv, like x."""
    raise NotImplementedError("Take PGD's steps with the gradient of victim.net at the rounded image.")


@solve("defences.break_sharpening")
def break_sharpening(victim, x, y, epsilon, seed):
    """A function from images to sharpened logits, images x, labels y, ε, a seed -> x_adv, like x."""
    raise NotImplementedError("Take PGD's steps on something whose gradient does not vanish: the margin of the logits.")


@solve("defences.break_dropping")
def break_dropping(victim, x, y, epsilon, seed):
    """A function from images to logits that differ from call to call, images x, labels y, ε, a seed -> x_adv, like "
    "x."""
    raise NotImplementedError("Take PGD's steps with the gradient averaged over several calls.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from attacks import fgsm, pgd
from minidl.core import unbox
from minidl.coursework.contests import attacked, match, steps_of, within
from minidl.coursework.pictures import curves
from minidl.coursework.task import Part, Score, Task

EPSILON, N = 0.08, 100


def accuracy(victim, x, y, calls=1):
    return float(np.mean([(victim(x).argmax(axis=1) == y).mean() for _ in range(calls)]))


class Straight:
    """Rounding, with the derivative of the identity: how we attack it."""

    def __init__(self, victim):
        self.victim = victim

    def __call__(self, x):
        return self.victim.net(x + (self.victim.rounded(x) - unbox(ops.stop_gradient(x))))


def averaged(victim, calls=10):
    def mean(x):
        total = victim(x)
        for _ in range(calls - 1):
            total = total + victim(x)
        return total * np.float32(1 / calls)

    return mean


def judged(name, victim, ours, solution, seed, cause, calls=1):
    """Points by the accuracy that is left, between that of attacks through the defence and that of ours.

    name: of the defence.
    victim: of the network: the defended one.
    ours: of the victim, x and y: images.
    cause: of the defended network, x, y and x_adv: why so much accuracy is left.
    calls: over which accuracy is measured.
    """
    net, x, y = match("mlp" if seed % 2 else "smooth", N, seed)
    defended = victim(net)
    solve_it = solution[f"defences.break_{name}"]
    x_adv = attacked(lambda net, x, y: solve_it(defended, x, y, EPSILON, seed), net, x, y)
    within(x_adv, x, EPSILON)
    left = accuracy(defended, x_adv, y, calls)
    one, many = (
        accuracy(defended, result.x_adv, y, calls)
        for result in (fgsm(defended, x, y, epsilon=EPSILON), pgd(defended, x, y, epsilon=EPSILON, steps=10, seed=seed))
    )
    bare = accuracy(net, pgd(net, x, y, epsilon=EPSILON, steps=10, seed=seed).x_adv, y)
    reached, through = accuracy(defended, ours(defended, x, y), y, calls), min(one, many)
    sentence = (
        f"accuracy left: {left:.0%}.  Attacked as if there were no defence, FGSM leaves {one:.0%} and PGD, which "
        f"keeps an image's first success, {many:.0%}; our attack on this defence leaves {reached:.0%}; without the "
        f"defence it would be {bare:.0%}"
    )
    levels = {(through + reached) / 2: 0.3, reached + 0.12: 0.6, reached + 0.06: 1.0}
    score = steps_of(levels, left, sentence, best="low")
    if score.share < 0.6:
        before, after = margins(net, x, y), margins(net, x_adv, y)
        wrong_way = "a minus sign: the network is more sure of y than before"
        sentence += ".  Likely cause: " + (
            wrong_way if np.median(after) > 1.2 * np.median(before) else cause(defended, x, y, x_adv)
        )
    else:
        sentence = score.sentence
    return Score(score.share, sentence)


def margins(net, x, y):
    """z_y - max_{k≠y} z_k of each image."""
    z = net(x).astype(np.float64)
    own = z[np.arange(len(y)), y].copy()
    z[np.arange(len(y)), y] = -np.inf
    return own - z.max(axis=1)


def rounding_hides(victim, x, y, x_adv):
    still = float((np.abs(x_adv - x).reshape(len(x), -1).max(axis=1) == 0).mean())
    if still > 0.5:
        return (
            f"{still:.0%} of the images do not move at all: the gradient through victim(x) is exactly 0.  Take that of "
            "victim.net at victim.rounded(x)"
        )
    if np.abs(victim.rounded(x_adv) - x_adv).max() < 1e-6:
        return (
            "the images are rounded themselves, which undoes small changes; only the network's gradient needs rounding"
        )
    return (
        "random steps, or a gradient with the wrong sign: where the gradient is 0, only the random start moves pixels"
    )


def sharpening_hides(victim, x, y, x_adv):
    g = grad(lambda x: losses.cross_entropy(victim(x), y, "sum"), x).reshape(len(x), -1)
    gone = float((np.abs(g).max(axis=1) == 0).mean())
    return (
        f"for {gone:.0%} of the images the gradient of the cross-entropy is exactly 0, since p_y is rounded to 1.  "
        "Follow z_y - max_{k≠y} z_k instead, or the loss of logits that are divided by 1000"
    )


def dropping_hides(victim, x, y, x_adv):
    grey = (x > 0.1) & (x < 0.9)  # no clip to the bounds stops these
    inside = float((np.abs(x_adv - x) < EPSILON - 1e-4)[grey].mean())
    if inside > 0.1:
        return (
            f"{inside:.0%} of the grey pixels have not moved by ε.  One call drops a fifth of the pixels, whose "
            "gradient is 0; and to keep the first success is luck: the next call drops others.  Average over calls, "
            "and take all steps"
        )
    return "the gradient of one call, or one that is computed once; average over 10 calls in each step"


def rounding(solution, seed):
    ours = lambda victim, x, y: pgd(Straight(victim), x, y, epsilon=EPSILON, steps=10, seed=seed).x_adv
    return judged("rounding", Rounding, ours, solution, seed, rounding_hides)


def sharpened(solution, seed):
    ours = lambda victim, x, y: pgd(victim, x, y, epsilon=EPSILON, steps=10, objective="margin", seed=seed).x_adv
    return judged("sharpening", sharpening, ours, solution, seed, sharpening_hides)


def dropped(solution, seed):
    def ours(victim, x, y):
        return pgd(averaged(victim), x, y, epsilon=EPSILON, steps=10, early_stop=False, seed=seed).x_adv

    rng = np.random.default_rng(seed)
    return judged("dropping", lambda net: dropping(net, rng), ours, solution, seed, dropping_hides, calls=10)


def demo(solution, path):
    net, x, y = match("mlp", N, 1)
    radii, lines = np.linspace(0, 0.12, 7), {}
    victims = {
        "rounding": Rounding(net),
        "sharpening": sharpening(net),
        "dropping": dropping(net, np.random.default_rng(0)),
    }
    claimed = {
        name: [accuracy(victim, r.x_adv, y, 5) for r in fgsm(victim, x, y, epsilon=radii.tolist())]
        for name, victim in victims.items()
    }
    lines["rounding and sharpening, FGSM"] = radii, np.minimum(claimed["rounding"], claimed["sharpening"])
    lines["dropping, FGSM"] = radii, claimed["dropping"]
    for name, victim in victims.items():
        attack = solution[f"defences.break_{name}"]
        left = [accuracy(victim, attack(victim, x, y, float(e), 0), y, 5) for e in radii]
        lines[f"{name}, your attack"] = radii, left
    curves(path, "What is claimed for three defences, and what your attacks leave of it", "ε", lines, "accuracy")


TASK = Task(
    module=__name__,
    kind="defence",
    minutes=75,
    teaches="a defence that hides the gradient does not remove the adversarial examples",
    reading="Athalye, Carlini and Wagner 2018, §3 and §4; Carlini and Wagner 2017, §V and §VIII",
    needs=("23",),
    parts=(
        Part("rounding", 3, rounding),
        Part("sharpening", 3, sharpened),
        Part("dropping", 3, dropped),
    ),
    hints=(
        "One PGD loop serves all three, if the gradient is a function that you give it: 10 steps of ε/4, a "
        "projection to the ball, a clip to [0, 1].  Print, for each defence, how many gradients are exactly 0.",
        "Rounding: g = gradient(victim.net, victim.rounded(x_t)).  Sharpening: grad of ops.sum(z_others - z_y), where "
        "z_others is ops.max over the classes with z_y replaced by a very small number (ops.where).",
        "Dropping: add the gradients of 10 calls in each step, take all steps, and return the last point.  An image "
        "that one call misclassifies is not a success yet.",
    ),
    demo=demo,
    forbidden=("attacks",),
)
