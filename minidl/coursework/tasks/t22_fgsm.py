"""Task 22: the fast gradient sign method.

How must an image change, by at most ε in every pixel, so that the loss J of a network grows most?  If J were linear in
x, with gradient g, a change of η would increase J by the sum of g_i·η_i.  With |η_i| ≤ ε that sum is largest, ε·Σ|g_i|,
for η_i = ε·sign(g_i).  It grows with the number of pixels, while no pixel moves by more than ε.  Networks are linear
enough for this one step to work:

    x' = x + ε·sign(∇ₓJ(θ, x, y))               (Goodfellow, Shlens and Szegedy 2014, §4)

J is the cross-entropy of the logits and the label y, θ are the parameters, which stay fixed.  Pixels are numbers from 0
to 1, so clip x' to [0, 1] at the end.

Write `attack`.  The network is a function of a batch of images to their logits (n, 10); minidl.grad(f, x) is the
gradient of a function f of x, built of minidl operations, with one number as its value.
"""

import numpy as np

from minidl import grad, losses
from minidl.coursework import solve


@solve("fgsm.attack")
def attack(net, x, y, epsilon):
    """A network, images x (n, 1, 14, 14) of float32 in [0, 1], labels y (n,), ε -> x', like x."""
    raise NotImplementedError("Return np.clip(x + ε·sign(g), 0, 1), where g is the gradient of the loss in x.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from attacks import fgsm
from minidl.coursework.contests import alone, at_least, attacked, match, place, success, within
from minidl.coursework.networks import digits, network
from minidl.coursework.pictures import images
from minidl.coursework.task import Part, Task


def stays(solution, seed):
    for kind, epsilon in (("mlp", 0.06), ("smooth", 0.3)):
        net, x, y = match(kind, 30, seed)
        within(attacked(solution["fgsm.attack"], net, x, y, epsilon), x, epsilon)


def follows(solution, seed):
    """Every pixel moves as the gradient's sign says, also where the network is wrong from the start."""
    net, first, epsilon = network("smooth"), seed % 1900, 0.05
    x, y = (part[first : first + 100] for part in (digits().test.x, digits().test.y))
    x = 0.2 + 0.6 * x  # away from the bounds, so that no clip hides a direction
    x_adv = attacked(solution["fgsm.attack"], net, x, y, epsilon)
    moved = x_adv - x
    expected = fgsm(net, x, y, epsilon=epsilon).x_adv - x
    wrong = np.abs(moved - expected) > 1e-5
    if wrong.mean() <= 0.01:
        return
    if np.abs(moved + expected).max() < 1e-5:
        raise AssertionError(
            "every pixel moves the wrong way: the loss becomes smaller.  Likely cause: a minus sign.  "
            "x' = x + ε·sign(g) goes up the loss, training goes down"
        )
    sizes = np.abs(moved)
    if (np.abs(sizes - epsilon) > 1e-5).mean() > 0.05:
        raise AssertionError(
            f"ε is {epsilon:g}, and pixels move by {sizes.min():.3g} to {sizes.max():.3g}; all should "
            "move by ε.  Likely cause: the gradient itself instead of its sign"
        )
    i = np.unravel_index(wrong.argmax(), wrong.shape)
    misclassified = net(x).argmax(axis=1) != y
    if wrong[~misclassified].mean() <= 0.01:
        cause = "J is taken at the predicted class instead of the label y, where the two differ"
    else:
        cause = "the gradient is not that of the cross-entropy with y, but of a logit, or of another label"
    raise AssertionError(
        f"{wrong.mean():.0%} of the pixels move another way than the gradient's sign says: pixel {place(i)} by "
        f"{moved[i]:+.3g} instead of {expected[i]:+.3g}.  Likely cause: {cause}"
    )


def by_itself(solution, seed):
    net, x, y = match("smooth", 12, seed)
    alone(solution["fgsm.attack"], net, x, y, 0.06)


def succeeds(solution, seed):
    for kind, epsilon in (("mlp", 0.06), ("smooth", 0.06)):
        net, x, y = match(kind, 200, seed)
        x_adv = attacked(solution["fgsm.attack"], net, x, y, epsilon)
        within(x_adv, x, epsilon)
        ours = float(fgsm(net, x, y, epsilon=epsilon).success.mean())
        at_least(
            f'network "{kind}", ε = {epsilon:g}',
            success(net, x_adv, y),
            ours,
            0.01,
            "a minus sign; the gradient instead of its sign; the gradient of something else than the loss",
        )


def demo(solution, path):
    net, x, y = match("mlp", 8, 3)
    x_adv = solution["fgsm.attack"](net, x, y, 0.1)
    g = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)
    sure = np.exp(net(x_adv) - np.log(np.exp(net(x_adv)).sum(axis=1, keepdims=True))).max(axis=1)
    after = [f"{k}: {p:.0%}" for k, p in zip(net(x_adv).argmax(axis=1), sure)]
    images(
        path,
        "One step of ε = .1 in every pixel: no pixel changes much, and the network names other digits",
        {"before": [*x], "gradient": [*g], "its sign": [*np.sign(g)], "after": [*x_adv]},
        [[str(k) for k in y], [], [], after],
    )


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=25,
    teaches="one step along the sign of the gradient is enough to change what a network predicts",
    reading="attacks/plain/fgsm.py after you have tried; Goodfellow, Shlens and Szegedy 2014, §3 and §4",
    parts=(
        Part("within ε of x and in [0, 1], like x", 0.5, stays),
        Part("every pixel moves as the sign of the gradient says", 1.5, follows),
        Part("an image's result does not depend on its batch", 0.5, by_itself),
        Part("succeeds as often as ours, on two networks", 1.5, succeeds),
    ),
    hints=(
        "What is held constant, what varies?  grad(lambda x: …, x): the loss as a function of x alone.",
        'losses.cross_entropy(net(x), y, "sum") adds the losses of all images, so that the gradient has a row for '
        "each that does not depend on the others.",
        'g = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x), and then the stub\'s sentence.  If x is '
        "float64 at the end: epsilon is a Python number, so look for an array of float64.",
    ),
    demo=demo,
    forbidden=("attacks",),
)
