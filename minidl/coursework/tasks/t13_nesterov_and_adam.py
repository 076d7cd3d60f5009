"""Task 13: two optimisers, Nesterov's momentum and Adam.

**Nesterov.**  The velocity v remembers earlier gradients, with momentum μ; the gradient is taken where the velocity
leads.  In the form of Sutskever et al. (2013), w is that point already, so that g is the gradient at w:

    v ← μ·v - η·g          w ← w + μ·v - η·g      (with the new v)

**Adam** (Kingma and Ba 2015, Algorithm 1).  m and s are running means of the gradient and of its square.  Both start at
0, and so are too small at first; m̂ and ŝ correct that.  t counts the steps from 1:

    m ← β₁·m + (1 - β₁)·g      s ← β₂·s + (1 - β₂)·g²
    m̂ = m / (1 - β₁ᵗ)          ŝ = s / (1 - β₂ᵗ)            w ← w - η·m̂ / (√ŝ + ε)

Write both as functions that return new arrays and change none of those that they are given.
"""

import numpy as np

from minidl.coursework import solve


@solve("nesterov.step")
def nesterov(w, g, v, lr, momentum):
    """w, g, v of one shape -> (w, v) after the step."""
    raise NotImplementedError("Compute the new v first; the step of w uses it.")


@solve("adam.step")
def adam(w, g, m, s, t, lr, beta1, beta2, epsilon):
    """w, g, m, s of one shape, t = 1, 2, … -> (w, m, s) after the step."""
    raise NotImplementedError("Return w, m and s; what is returned for m and s is not corrected, m̂ and ŝ are.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl.coursework.pictures import curves
from minidl.coursework.rules import close, drawn, st
from minidl.coursework.task import Part, Task


def walk(step, gradient, w, slots, steps, **options):
    """The points that an optimiser goes through."""
    points = [w]
    for t in range(1, steps + 1):
        w, *slots = step(w, gradient(w), *slots, **({"t": t} if len(slots) == 2 else {}), **options)
        points.append(w)
    return points


def looks_ahead(solution, seed):
    """Nesterov's own form takes the gradient at x + μ·v and moves x; the points looked ahead to are those of w."""

    def check(w, curvature, lr, momentum):
        w, curvature = np.array(w), np.array(curvature)
        slope = lambda at: curvature * at
        points = walk(solution["nesterov.step"], slope, w, [np.zeros(2)], 6, lr=lr, momentum=momentum)
        x, v = w, np.zeros(2)
        for step, point in enumerate(points):
            close(f"the point after {step} steps, against x + μ·v of Nesterov's own form", point, x + momentum * v)
            v = momentum * v - lr * slope(x + momentum * v)
            x = x + v

    pair = st.lists(st.integers(1, 4).map(float), min_size=2, max_size=2)
    drawn(check, seed, w=pair, curvature=pair, lr=st.sampled_from([0.125, 0.25]),
          momentum=st.sampled_from([0.0, 0.5, 0.75]))  # fmt: skip


def running_means(solution, seed):
    """After any gradients, m̂ and ŝ are weighted means of them: Σ βᵗ⁻ⁱ·gᵢ / Σ βᵗ⁻ⁱ."""

    def check(gradients, beta1, beta2):
        w, m, s = np.zeros(1), np.zeros(1), np.zeros(1)
        for t in range(1, len(gradients) + 1):
            before, g = w, np.array(gradients[:t], dtype=float)
            w, m, s = solution["adam.step"](w, g[-1:], m, s, t, 0.5, beta1, beta2, 1e-3)
            weights = [np.array([beta ** (t - i) for i in range(1, t + 1)]) for beta in (beta1, beta2)]
            mean, square = (float(u @ h / u.sum()) for u, h in zip(weights, (g, g * g)))
            expected = before - 0.5 * mean / (square**0.5 + 1e-3)
            close(f"w after step {t}, from the weighted means of g and g²", w, expected)

    drawn(check, seed, gradients=st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=5),
          beta1=st.sampled_from([0.0, 0.5, 0.75]), beta2=st.sampled_from([0.5, 0.875]))  # fmt: skip


def first_step(solution, seed):
    rng = np.random.default_rng(seed)
    w, g = rng.normal(size=(2, 3, 2))
    for scale in (1e-3, 1.0, 1e3):
        new, *_ = solution["adam.step"](w, scale * g, 0 * w, 0 * w, 1, 0.1, 0.9, 0.999, 1e-12)
        close(f"the first step, for gradients of size {scale:g}: η·sign(g)", w - new, 0.1 * np.sign(g), 1e-6)


def shapes_and_dtypes(solution, seed):
    w = np.random.default_rng(seed).normal(size=(2, 3)).astype(np.float32)
    steps = {"nesterov": solution["nesterov.step"](w, w, w, 0.1, 0.9),
             "adam": solution["adam.step"](w, w, w, w * w, 3, 0.1, 0.9, 0.999, 1e-8)}  # fmt: skip
    for name, arrays in steps.items():
        for array, what in zip(arrays, "wvs" if name == "nesterov" else "wms"):
            if array.shape != w.shape or array.dtype != w.dtype:
                raise AssertionError(
                    f"{name}: {what} of shape {array.shape} and dtype {array.dtype}, expected (2, 3) and float32.  "
                    "Likely cause: a NumPy number of float64 in the formula"
                )


def demo(solution, path):
    slope, w = lambda w: np.array([1.0, 25.0]) * w, np.array([1.0, 1.0])
    loss = lambda points: [float(0.5 * (np.array([1.0, 25.0]) * p * p).sum()) for p in points]
    nesterov, adam, steps = solution["nesterov.step"], solution["adam.step"], np.arange(61)
    runs = {"μ = 0": walk(nesterov, slope, w, [0 * w], 60, lr=0.03, momentum=0.0),
            "Nesterov, μ = .8": walk(nesterov, slope, w, [0 * w], 60, lr=0.03, momentum=0.8),
            "Adam": walk(adam, slope, w, [0 * w, 0 * w], 60, lr=0.1, beta1=0.9, beta2=0.999, epsilon=1e-8)}  # fmt: skip
    curves(path, "A valley, 25 times as steep one way as the other: momentum gets along it sooner", "step",
           {name: (steps, loss(points)) for name, points in runs.items()}, "loss", logarithmic=True)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=40,
    teaches="what an optimiser remembers, and why Adam corrects its start",
    reading="minidl/optim.py; Sutskever et al. 2013, §2; Kingma and Ba 2015, Algorithm 1",
    forbidden=("minidl.optim", "minidl.kernels"),
    parts=(
        Part("Nesterov looks ahead", 2, looks_ahead),
        Part("Adam's means are weighted means", 1.5, running_means),
        Part("Adam's first step is η·sign(g)", 1, first_step),
        Part("shapes and dtypes stay", 0.5, shapes_and_dtypes),
    ),
    hints=(
        "Nesterov: v = momentum * v - lr * g makes a new array.  Then w + momentum * v - lr * g.",
        "Adam returns m and s as they are, and corrects copies: m_hat = m / (1 - beta1**t).",
        "Outside the root: np.sqrt(s_hat) + epsilon.",
    ),
    demo=demo,
)
