"""Task 23: projected gradient descent, with restarts.

FGSM takes one large step, as if the loss J were linear in the image.  Projected gradient descent takes many small ones,
and computes a new gradient for each.  S is the set of perturbations δ with |δ_i| ≤ ε, and Π_{x+S} takes each point to
the nearest one in x + S: here that clips each pixel to x_i - ε … x_i + ε.

    xᵗ⁺¹ = Π_{x+S}(xᵗ + α·sign(∇ₓL(θ, xᵗ, y)))        (Madry et al. 2018, §2.1)

L is the cross-entropy.  x⁰ is a random point of x + S, uniform in every pixel.  Different starts end at different
points, so that an image for which one start fails may be misclassified after another: a restart.  Take α = 2.5·ε/steps,
so that the steps can go from any point of the ball to any other.  Pixels stay within [0, 1] as well: project to the
ball first, then clip to the bounds, at the start and after each step.

Write `attack`.  For each example by itself, return the last point of the first run after which the network does not
predict y; if there is none, that of the last run.  All random numbers come from `np.random.default_rng(seed)`.
"""

import numpy as np

from minidl import grad, losses
from minidl.coursework import solve


@solve("pgd.attack")
def attack(net, x, y, epsilon, steps, restarts, seed):
    """A network, images x (n, 1, 14, 14) of float32 in [0, 1], labels y (n,), … -> x_adv, like x."""
    raise NotImplementedError("From each of `restarts` random starts take the steps; keep an example's first success.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from attacks import pgd
from minidl import ops
from minidl.core import unbox
from minidl.coursework.contests import at_least, attacked, match, repeats, success, within
from minidl.coursework.pictures import curves
from minidl.coursework.task import Part, Task


def stays(solution, seed):
    net, x, y = match("mlp", 20, seed)
    for epsilon, steps in ((0.06, 1), (0.06, 7), (0.4, 3)):
        x_adv = attacked(solution["pgd.attack"], net, x, y, epsilon, steps, 2, seed)
        within(x_adv, x, epsilon)


class Flat:
    """A network without a gradient: PGD ends where it starts.  Class 1 is predicted for about half of all starts."""

    def __init__(self, seed):
        self.w = np.random.default_rng(seed).normal(size=196).astype(np.float32)

    def __call__(self, x):
        side = np.sign((np.asarray(ops.stop_gradient(x)).reshape(-1, 196) - 0.5) @ self.w)
        return 0 * ops.reshape(x, (-1, 196))[:, :10] + side[:, None] * np.eye(10, dtype=np.float32)[1]


def draws(solution, seed):
    x, y = np.full((10, 1, 14, 14), 0.5, dtype=np.float32), np.zeros(10, dtype=np.int64)
    repeats(lambda seed: attacked(solution["pgd.attack"], Flat(1), x, y, 0.06, 2, 2, seed), seed)


def starts(solution, seed):
    x = np.full((60, 1, 14, 14), 0.5, dtype=np.float32)
    start = attacked(solution["pgd.attack"], Flat(seed), x, np.zeros(60, dtype=np.int64), 0.1, 3, 1, seed) - x
    within(start + x, x, 0.1)
    if np.abs(start).max() == 0:
        raise AssertionError(
            "a network without a gradient: all points stay at x, although they should start elsewhere.  Likely cause: "
            "x⁰ = x, as in the basic iterative method"
        )
    if np.ptp(start, axis=0).max() == 0:
        raise AssertionError(
            "all examples start at the same δ.  Likely cause: a draw of the shape of one image.  Draw with x.shape"
        )
    inside, mean = float((np.abs(start) < 0.05).mean()), float(start.mean())
    if not 0.45 < inside < 0.55 or abs(mean) > 0.005:
        raise AssertionError(
            f"of uniform starts, half of the pixels are within ε/2 of x, and their mean is 0.  Of yours, with ε = .1, "
            f"{inside:.0%} are, and the mean is {mean:+.3f}.  Likely causes: rng.random, which draws from 0 to 1; "
            "rng.normal, or corners of the ball; or a step that is taken where the gradient is 0"
        )


def restarts_help(solution, seed):
    x, y, net = np.full((100, 1, 14, 14), 0.5, dtype=np.float32), np.zeros(100, dtype=np.int64), Flat(seed)
    for restarts, least in ((1, 0.2), (3, 0.72), (7, 0.92)):
        x_adv = attacked(solution["pgd.attack"], net, x, y, 0.1, 2, restarts, seed)
        reached, expected = success(net, x_adv, y), 1 - 0.5**restarts
        if reached < least:
            raise AssertionError(
                f"a network for which every random start succeeds with probability ½: with restarts = {restarts} about "
                f"{expected:.0%} of the examples should be misclassified, and {reached:.0%} are.  Likely causes: a "
                "later run replaces an earlier success; all runs have the same start, since the generator is made in "
                "the loop; the loop ends for all examples when one has succeeded; or only one run is returned"
            )


def new_gradients(solution, seed):
    net, x, y = match("mlp", 5, seed)
    points = set()

    def noting(x):
        points.add(np.asarray(unbox(x)).tobytes())
        return net(x)

    attacked(solution["pgd.attack"], noting, x, y, 0.01, 3, 1, seed)
    if len(points) < 3:
        raise AssertionError(
            f"in 3 steps the network was run at {len(points)} different points; each step needs the gradient where it "
            "starts, so 3.  Likely cause: a gradient that is computed once, before the loop or at x instead of xᵗ"
        )


def succeeds(solution, seed):
    for kind, epsilon, steps, restarts in (("mlp", 0.06, 10, 2), ("smooth", 0.06, 10, 2), ("smooth", 0.05, 3, 4)):
        net, x, y = match(kind, 150, seed)
        x_adv = attacked(solution["pgd.attack"], net, x, y, epsilon, steps, restarts, seed)
        within(x_adv, x, epsilon)
        ours = pgd(net, x, y, epsilon=epsilon, steps=steps, restarts=restarts, seed=seed)
        at_least(
            f'network "{kind}", ε = {epsilon:g}, {steps} steps, {restarts} restarts',
            success(net, x_adv, y),
            float(ours.success.mean()),
            0.03,
            "a gradient that is computed once, at the start; steps that are too small to cross the ball; a minus sign",
        )


def demo(solution, path):
    net, x, y = match("smooth", 200, 7)
    radii = np.linspace(0, 0.12, 13)
    accuracy = lambda steps, restarts: [
        1 - success(net, solution["pgd.attack"](net, x, y, float(epsilon), steps, restarts, 0), y) for epsilon in radii
    ]
    lines = {
        f"{s} step{'s' * (s > 1)}, {r} restart{'s' * (r > 1)}": (radii, accuracy(s, r))
        for s, r in ((1, 1), (3, 1), (10, 5))
    }
    curves(
        path,
        "The accuracy that is left under attack: more steps and restarts find what one step does not",
        "ε",
        lines,
        "accuracy under attack",
    )


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=40,
    teaches="many small steps with a projection, and what a random start is for",
    reading="Madry et al. 2018, §2.1 and §3; attacks/plain/pgd.py after you have tried",
    needs=("22",),
    parts=(
        Part("within ε of x and in [0, 1], like x", 1, stays),
        Part("the same seed, the same bits", 0.5, draws),
        Part("starts are uniform in the ball, and differ", 1, starts),
        Part("restarts help: an example keeps its first success", 1.5, restarts_help),
        Part("each step takes a new gradient", 0.5, new_gradients),
        Part("succeeds as often as ours, on two networks", 1.5, succeeds),
    ),
    hints=(
        "Two loops: restarts outside, steps inside.  Make the generator once, before both.",
        "The projection is np.clip(x_t, x - ε, x + ε), around x and not around the last point; then np.clip to 0 … "
        "1.  rng.uniform(-ε, ε, x.shape) is float64: change it by astype(x.dtype).",
        "After each run: left = net(x_adv).argmax(axis=1) == y are those without a success so far; write the new "
        "points for them only: x_adv[left] = x_t[left].",
    ),
    demo=demo,
    forbidden=("attacks",),
)
