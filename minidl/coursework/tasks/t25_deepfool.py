"""Task 25: DeepFool, the nearest decision boundary.

How far is an image from being classified as something else?  For a network that is linear in x, the boundary between
the predicted class k̂ and class k is a hyperplane.  With w'_k = ∇f_k - ∇f_k̂ and f'_k = f_k - f_k̂, its distance from
x is |f'_k|/‖w'_k‖₂, and the shortest way there is along w'_k.  DeepFool takes the network for linear at x_i, goes to
the nearest hyperplane, and repeats from there, until the prediction has changed:

    l̂ = argmin_{k≠k̂} |f'_k|/‖w'_k‖₂
    r_i = |f'_l̂|/‖w'_l̂‖₂² · w'_l̂                    (Moosavi-Dezfooli, Fawzi and Frossard 2016, Algorithm 2)

f are the logits, k̂ is the class predicted for x itself, which here is y.  A point on the boundary is not yet beyond
it.  So go further by the overshoot η, as the authors' program does, in every step:

    x_{i+1} = x + (1 + η)·(r_0 + … + r_i)

Write `attack`.  Each example stops by itself: as soon as its prediction at x_i is not y, it stays there.  After `steps`
steps all stop.  The paper does not clip to [0, 1]; neither should you, so that distances are those of the formula.

minidl.batch_jacobian(net, x) is the array (n, 10, 1, 14, 14) of all gradients ∇f_k of all examples.
"""

import numpy as np

from minidl import batch_jacobian
from minidl.coursework import solve


@solve("deepfool.attack")
def attack(net, x, y, steps, overshoot):
    """A network, images x (n, 1, 14, 14) of float32, labels y (n,), … -> x_adv, like x."""
    raise NotImplementedError("Until the prediction changes, add the shortest way to the nearest boundary, r_i, to Σr.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from attacks import deepfool, fgsm
from minidl.coursework.contests import alone, attacked, match, success
from minidl.coursework.pictures import images
from minidl.coursework.task import Part, Task


def lengths(delta):
    return np.sqrt((delta.reshape(len(delta), -1).astype(np.float64) ** 2).sum(axis=1))


def closed_form(solution, seed):
    net, x, y = match("linear", 60, seed)
    weights = next(w for w in net.params.values() if w.ndim == 2).astype(np.float64)
    logits, rows = net(x).astype(np.float64), np.arange(len(x))
    w = weights.T[None] - weights.T[y][:, None]  # (n, 10, 196)
    f = np.abs(logits - logits[rows, y][:, None])
    norms = np.sqrt((w**2).sum(axis=-1))
    norms[rows, y], f[rows, y] = 1, np.inf
    for eta in (0.02, 0.1):
        delta = attacked(solution["deepfool.attack"], net, x, y, 10, eta) - x
        actual, expected = lengths(delta), (1 + eta) * (f / norms).min(axis=1)
        i = int(np.abs(actual / expected - 1).argmax())
        if abs(actual[i] / expected[i] - 1) < 1e-3:
            continue
        unsquared = (1 + eta) * (f.min(axis=1) / norms[rows, f.argmin(axis=1)])[i]
        if abs(actual[i] / unsquared - 1) < 1e-3:
            cause = "l̂ is the class of the smallest |f'_k|, without the division by ‖w'_k‖₂"
        elif abs(actual[i] * (1 + eta) / expected[i] - 1) < 1e-3:
            cause = "no overshoot: Σr is not multiplied by 1 + η"
        elif np.median(actual / expected) > 1.5:
            cause = "an example goes on after its prediction has changed; or r divided by ‖w'‖ instead of ‖w'‖²"
        else:
            cause = "another norm than L2, taken over one example at a time; or r divided by ‖w'‖ instead of ‖w'‖²"
        raise AssertionError(
            f'network "linear", η = {eta:g}: example {i} moves by {actual[i]:.4f} in L2; its nearest boundary is '
            f"{expected[i] / (1 + eta):.4f} away, so with the overshoot {expected[i]:.4f} is expected.  Likely cause: "
            f"{cause}"
        )


def first_steps(solution, seed):
    net, x, y = match("smooth", 300, seed)
    for steps in (1, 2):
        delta = attacked(solution["deepfool.attack"], net, x, y, steps, 0.02) - x
        result = deepfool(net, x, y, steps=steps, overshoot=0.02, clip=False)
        ours = result.x_adv - x
        apart = lengths(delta - ours)
        wrong = apart > 0.003 * lengths(ours)
        again = result.iterations == 2
        if wrong.mean() < 0.02 and not (again.sum() > 2 and wrong[again].mean() > 0.3):
            continue
        i = int(wrong.argmax())
        if steps == 1:
            cause = "gradients of the loss, not the logits; w' with the wrong sign; no overshoot; more steps than asked"
        elif wrong[~again].mean() > 0.5:
            cause = "an example goes on after its prediction has changed"
        else:
            cause = (
                "the second step does not start at x_1 = x + (1 + η)·r_0, or its gradients are those at x; or all "
                "examples stop with the first"
            )
        raise AssertionError(
            f"after {steps} step{'s' * (steps > 1)} {wrong.sum()} of {len(x)} examples are elsewhere than ours: "
            f"example {i} has moved by {lengths(delta)[i]:.4f}, ours by {lengths(ours)[i]:.4f}, and the two points "
            f"are {apart[i]:.4f} apart.  Likely causes: {cause}"
        )


def by_itself(solution, seed):
    alone(solution["deepfool.attack"], *match("smooth", 8, seed), 50, 0.02)


def succeeds(solution, seed):
    for kind in ("linear", "mlp", "smooth"):
        net, x, y = match(kind, 100, seed)
        reached = success(net, attacked(solution["deepfool.attack"], net, x, y, 50, 0.02), y)
        if reached < 1:
            raise AssertionError(
                f'network "{kind}": {reached:.0%} of the digits are misclassified, and all should be, since nothing '
                "bounds the perturbation.  Likely causes: no overshoot, so that points stay on the boundary; w' with "
                "the wrong sign; gradients that are computed once, at x; all examples stop when the first is done"
            )


def near(solution, seed):
    for kind in ("mlp", "smooth"):
        net, x, y = match(kind, 100, seed)
        x_adv = attacked(solution["deepfool.attack"], net, x, y, 50, 0.02)
        actual = float(np.median(lengths(x_adv - x)))
        ours = float(np.median(lengths(deepfool(net, x, y, overshoot=0.02, clip=False).x_adv - x)))
        if success(net, x_adv, y) < 0.98 or actual > 1.05 * ours:
            raise AssertionError(
                f'network "{kind}": {success(net, x_adv, y):.0%} of the digits are misclassified, and the median '
                f"distance is {actual:.4f} in L2; ours is {ours:.4f}, and 5 % more are allowed.  Likely causes: an "
                "example goes on after its prediction has changed, until the last of the batch is done; the boundary "
                "to the second class instead of the nearest one"
            )


def demo(solution, path):
    net, x, y = match("mlp", 8, 12)
    x_adv = solution["deepfool.attack"](net, x, y, 50, 0.02)
    steps = [fgsm(net, x, y, epsilon=e).x_adv for e in np.linspace(0.01, 0.25, 25)]
    first = [next((s[i] for s in steps if net(s[i : i + 1]).argmax() != y[i]), steps[-1][i]) for i in range(len(x))]
    away = lambda after: [f"‖δ‖ = {length:.2f}" for length in lengths(np.array(after) - x)]
    after = [str(k) for k in net(x_adv).argmax(axis=1)]
    images(
        path,
        "The nearest boundary is close: DeepFool's δ beside the smallest FGSM step that succeeds",
        {
            "before": [*x],
            "DeepFool's δ": [*(x_adv - x)],
            "after": [*np.clip(x_adv, 0, 1)],
            "FGSM's δ": [image - before for image, before in zip(first, x)],
        },
        [[str(k) for k in y], away(x_adv), after, away(first)],
    )


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=50,
    teaches="the distance to a decision boundary, and steps to the nearest one",
    reading="Moosavi-Dezfooli, Fawzi and Frossard 2016, §2 and §3; attacks/plain/deepfool.py after you have tried",
    needs=("22",),
    parts=(
        Part("a linear network: exactly the nearest boundary", 1.5, closed_form),
        Part("the first two steps", 1, first_steps),
        Part("an image's result does not depend on its batch", 0.5, by_itself),
        Part("all digits are misclassified", 1.5, succeeds),
        Part("as near as ours", 1.5, near),
    ),
    hints=(
        "For two classes first: by how much must x move along w so that w·x + b becomes 0?  By |w·x + b|/‖w‖₂.",
        "With J = batch_jacobian(net, x_i) reshaped to (n, 10, 196) and rows = np.arange(n): w = J - J[rows, y][:, "
        "None], and f in the same way.  For k = y both are 0, so set its distance to np.inf before the argmin.",
        "Keep total (n, 196), the sum of all r.  In each step, add r only where net(x_i).argmax(axis=1) == y.  Then "
        "x_i = x + (1 + overshoot)·total, which leaves the others where they were.",
    ),
    demo=demo,
    forbidden=("attacks",),
)
