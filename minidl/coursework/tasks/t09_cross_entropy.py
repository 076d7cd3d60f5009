"""Task 09: a cross-entropy that never overflows.

For logits z (..., K) and labels y (...), one number for each example:

    J = -log p_y = log Σ_k exp(z_k) - z_y,      p = softmax(z)

Its gradient is the shortest formula of deep learning: ∂J/∂z = p - e_y, where e_y is 1 at the label and 0 elsewhere.

Write the loss and both rules.  Logits may be 10,000 or -10,000: subtract the largest one before you take exponentials
(task 08).  A loss may be large, but never infinite or NaN.  While they are checked, your functions are the engine's
own losses.cross_entropy.  The rules may use plain arrays, so that NumPy is allowed; tangents and cotangents may have
extra leading axes, t (..., *z.shape) and g (..., *y.shape).

This is practice: the engine has these rules, so it gives few points.  Calling them is noticed.
"""

import numpy as np

from minidl.coursework import solve


@solve("cross_entropy.forward")
def forward(z, labels):
    """z (..., K), labels (...), integers -> J (...), for logits of any size."""
    raise NotImplementedError("Return log Σ exp(z - m) + m - z_label; np.take_along_axis reads the logit of the label.")


@solve("cross_entropy.push")
def push(t, y, z, labels):
    """t (..., *z.shape) -> Σ_k (p - e_label)_k·t_k, (..., *y.shape)."""
    raise NotImplementedError("Multiply p - e_label by t, and sum over the classes.")


@solve("cross_entropy.pull")
def pull(g, y, z, labels):
    """g (..., *y.shape) -> g·(p - e_label), (..., *z.shape)."""
    raise NotImplementedError("Multiply each row of p - e_label by its entry of g.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import linearize, losses, testing
from minidl.coursework.pictures import curves
from minidl.coursework.rules import DIFFERENTIATION, close, rule_parts, trains_lenet
from minidl.coursework.task import Part, Task
from minidl.testing.primitives import behind
from minidl.testing.zoo import CASES


def around(solution):
    forward, push, pull = (solution[f"cross_entropy.{name}"] for name in ("forward", "push", "pull"))
    return testing.override(losses.cross_entropy, forward=forward, push=push, pull=pull)


def is_stable(solution, seed):
    rng = np.random.default_rng(seed)
    z, labels = rng.normal(size=(3, 5)) * 3, rng.integers(0, 5, 3)
    large = np.where(np.arange(5) == 2, 1e4, 0.0)  # one logit of 10,000: p is 1 there, and the loss is 0 or 10,000
    with around(solution), np.errstate(all="ignore"):
        for shift in (1e4, -1e4):
            lin = linearize(lambda z: losses.cross_entropy(z, labels, "none"), z + shift)
            plain = linearize(lambda z: losses.cross_entropy(z, labels, "none"), z)
            close(f"the loss, with all logits larger by {shift:g}, which change nothing", lin.value, plain.value)
            close(f"Jᵀ·g, with all logits larger by {shift:g}", lin.vjp(np.ones(3)), plain.vjp(np.ones(3)))
        lin = linearize(lambda z: losses.cross_entropy(z, np.array([2, 0]), "none"), np.stack([large, large]))
        close("the loss, with one logit of 10,000, at the label and elsewhere", lin.value, np.array([0.0, 1e4]))
        close("its gradient", lin.vjp(np.ones(2)), np.array([[0, 0, 0, 0, 0], [-1, 0, 1.0, 0, 0]]))


def demo(solution, path):
    margin = np.linspace(-12, 12, 121)
    z = np.stack([margin, np.zeros_like(margin)], axis=1)
    with around(solution):
        lin = linearize(lambda z: losses.cross_entropy(z, np.zeros(121, int), "none"), z)
    curves(path, "The loss is nearly straight for wrong answers, where its gradient is -1, and flat for right ones",
           "logit of the label minus the other", {"loss": (margin, lin.value),
                                                  "its gradient": (margin, lin.vjp(np.ones(121))[:, 0])})  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=30,
    teaches="p - e_y, and exponentials that do not overflow",
    reading="minidl/losses.py, after you have written yours; minidl/reductions.py, `logsumexp`",
    needs=("08",),
    forbidden=(*DIFFERENTIATION, behind(losses.cross_entropy), "minidl.reductions"),
    practice=True,
    parts=(
        *rule_parts(
            lambda solution: CASES["cross_entropy"], {"value": 0.5, "differences": 0.5, "adjoint": 0.5}, around
        ),
        Part("logits of 10,000", 0.5, is_stable),
        trains_lenet(around, 0.5),
    ),
    hints=(
        "m = z.max(axis=-1, keepdims=True); e = np.exp(z - m); p = e / e.sum(axis=-1, keepdims=True).",
        "-np.log(p at the label) is infinite if p is 0; log Σ exp(z - m) + m - z_label is not.",
        "e_label is np.eye(K)[labels].  In the pull-back, g needs one more axis: g[..., None].",
    ),
    demo=demo,
)
