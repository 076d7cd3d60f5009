"""JSMA, the Jacobian-based saliency map attack of Papernot et al. 2016, "The limitations of deep learning in
adversarial settings": change a few pixels, by much.

The forward derivative ∇Z(x) says how each logit answers to each pixel.  A saliency map (eq. 8) is large for the
pixels that raise the target's logit Z_t while they lower the others together.  `jsma` moves the best pixel, or
the best pair, by θ, and asks again.  Of the whole Jacobian it needs two rows, ∂Z_t/∂x and ∂ΣZ/∂x, hence two
pull-backs for each step.

Towards darker pixels (θ < 0) all slopes are mirrored: what is said here of a = ∂Z_t/∂x and b = -Σ_{j≠t} ∂Z_j/∂x
holds of -a and -b.

Read `plain/jsma.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from minidl import losses
from minidl.backend import kernels, namespace
from minidl.core import Array, linearize
from minidl.derivatives import batch_jacobian
from minidl.errors import DTypeError, RangeError
from minidl.losses import check_labels
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_number
from ..common.goal import Targeted, as_goal
from ..common.result import AttackResult
from ..common.run import Run, begin
from ..common.victim import Victim, as_victim


def forward_derivative(net: Any, x: Array, steps: bool = False, chunk: int | None = None) -> Any:
    """∇F(x), the derivative of every output in every input, computed forwards: x (N, *input) -> (N, K, *input).

    Papernot et al., eq. 3.  steps: for a `Sequential`, return a dict with ∂H_k/∂x (N, *H_k, *input) for each
    layer k instead, as the recursion of eqs. 5 and 6 produces them: a layer's derivative is its own Jacobian
    times the derivative of the layer below.  chunk: how many inputs are moved at once (see `derivatives`); with
    steps, all of them are, since every layer's result is kept.
    """
    net = net.net if isinstance(net, Victim) else net
    if not steps:
        return batch_jacobian(net, x, mode="forward", chunk=chunk)
    if not hasattr(net, "layers"):
        raise DTypeError("forward_derivative", "a Sequential, with steps=True", type(net).__name__)
    found, below, h = {}, None, x
    for name, layer in net.layers.items():
        lin = linearize(lambda h, name=name, layer=layer: layer.apply(net.params_of(name), h), h)
        if below is None:
            basis = namespace(x).eye(prod(x.shape[1:]), dtype=x.dtype).reshape(-1, 1, *x.shape[1:])
            below = namespace(x).broadcast_to(basis, (len(basis), *x.shape))
        below, h = lin.jvp(below), lin.value  # (inputs, N, *H_k): one tangent for each input
        found[name] = namespace(x).moveaxis(below, 0, -1).reshape(h.shape + x.shape[1:])
    return found


def saliency_map(victim: Any, x: Array, target: Array, *, theta: float = 1.0, outputs: str = "logits") -> Array:
    """S(x, t), like x: how well each feature alone, moved in the direction of θ, serves the target.  Papernot et
    al., eq. 8, and for θ < 0 its mirror image (eq. 9).

        S[i] = 0 if ∂Z_t/∂x_i < 0 or Σ_{j≠t} ∂Z_j/∂x_i > 0, else ∂Z_t/∂x_i · |Σ_{j≠t} ∂Z_j/∂x_i|

    x (N, ...), target (N,) integer.  outputs: "logits" or "probabilities", as for `jsma`.
    """
    a, b = _checked_slopes("saliency_map", victim, x, target, theta, outputs)
    return kernels(x).saliency(a, b, namespace(x).ones(a.shape, dtype=bool)).reshape(x.shape)


def is_salient(victim: Any, x: Array, target: Array, *, theta: float = 1.0, outputs: str = "logits") -> Array:
    """S(x, t) > 0, like x, bool: told from the slopes' signs, so that no product of small ones is lost.

    Arguments as for `saliency_map`.
    """
    a, b = _checked_slopes("is_salient", victim, x, target, theta, outputs)
    return ((a > 0) & (b > 0)).reshape(x.shape)


def jsma(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    theta: float = 1.0,
    max_distortion: float = 0.145,
    features: int = 2,
    outputs: str = "logits",
    all_targets: bool = False,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """Move the most salient features by θ until the network answers the target.

    Read `plain.jsma` first.

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.  goal: `Targeted(t)`; or
    labels, `Untargeted(y)`: then every other class is tried, and the success with the fewest changed features is
    kept (of equals the first class), or the last class's attempt if none succeeds.  all_targets: return them
    all: N·(K - 1) targeted attacks, for each example on every class but the one it is taken for.

    theta (θ): the change of a feature in one step, in -1 … 1 and not 0, in units of the bounds' width.
    max_distortion (Υ): the fraction of the M features that may change, at least 0: ⌊M·Υ/features⌋ steps.
    features: 2, pairs with α > 0, β < 0 and the greatest -αβ (Algorithms 2 and 3); or 1, the greatest S (Algorithm 1).
    outputs: "logits", as the paper says; "probabilities" is there to see why: β is then -α, and the second
    condition says nothing.

    A feature leaves the search domain Γ when it can move no further; the ones that cannot at the start are not in
    it (the paper lets them be chosen, to no effect).  An example ends with success, when no valid feature or
    pair is left, or after the last step.  result.iterations counts its steps, result.distortion its changed
    features.  Ctrl-C ends the attack early and returns what there is, with ``params["interrupted"]`` set.
    The seed is accepted, as by every attack, but nothing here is random.

    Raises as `run.begin` does, and `RangeError` for a θ, Υ, `features` or `outputs` out of range.
    """
    params: dict[str, Any] = {
        "theta": theta,
        "max_distortion": max_distortion,
        "features": features,
        "outputs": outputs,
    }
    _check("jsma", **params)
    run = begin("jsma", victim, x, goal, seed)
    if isinstance(run.goal, Targeted):
        if all_targets:
            raise RangeError("jsma", "labels with all_targets=True", "Targeted", "say which targets, or all of them")
        x_adv, iterations = _move(run, **params, progress=progress)
        return run.end(x_adv, iterations, **params)
    which, targets = every_other_class(run.clean_pred, run.classes)
    each = jsma(run.victim, x[which], Targeted(targets), **params, seed=seed, progress=progress)
    return replace(each, forwards=each.forwards + len(x), seconds=run.seconds) if all_targets else _cheapest(run, each)


def every_other_class(predictions: Array, classes: int) -> tuple[Array, Array]:
    """All classes but the one predicted, for each example in turn: (which example, which target), (N·(K - 1),) each."""
    xp = namespace(predictions)
    which, targets = xp.nonzero(predictions[:, None] != xp.arange(classes))
    return which, targets


def steps_allowed(size: int, max_distortion: float, features: int) -> int:
    """⌊M·Υ/features⌋, for M = size."""
    return int(size * max_distortion / features + 1e-9)  # .29 · 100 is 28.999999999999996


def _check(attack: str, theta: Any, max_distortion: Any, features: Any, outputs: Any) -> None:
    check_number(attack, "theta in [-1, 1], not 0", theta, least=-1, most=1, but=0)
    check_number(attack, "max_distortion in [0, 1], a fraction of the features", max_distortion, most=1)
    if features not in (1, 2):
        raise RangeError(attack, "features=1 (Algorithm 1) or 2 (Algorithms 2 and 3)", repr(features))
    if outputs not in ("logits", "probabilities"):
        raise RangeError(attack, 'outputs "logits" or "probabilities"', repr(outputs))


def _checked_slopes(
    operation: str, victim: Any, x: Array, target: Any, theta: float, outputs: str
) -> tuple[Array, Array]:
    victim = as_victim(victim)
    victim.check_images(operation, x)
    _check(operation, theta, 0, 1, outputs)
    target = as_goal(target).labels
    check_labels(operation, target, victim.logits(x))
    return _slopes(victim, x, target, theta, outputs)[1:]


def _slopes(victim: Victim, x: Array, target: Array, theta: float, outputs: str) -> tuple[Array, Array, Array]:
    """The predictions (N,), and a and b (N, M) of the head of this file: by one run and two pull-backs."""
    xp, answers, rows = namespace(x), [], []
    for part in victim.parts(x):
        lin = victim.linearize(x[part])
        wanted = (xp.arange(lin.value.shape[1]) == target[part][:, None]).astype(lin.value.dtype)
        if outputs == "logits":
            pulled = lin.vjp(xp.stack([wanted, xp.ones_like(wanted)]))  # ∂Z_t and ∂ΣZ
        else:
            p = losses.softmax(lin.value)
            pulled = lin.vjp((p * (wanted - (p * wanted).sum(axis=-1, keepdims=True)))[None])  # ∂F_t; Σ_j ∂F_j = 0
        answers.append(lin.value.argmax(axis=-1))
        rows.append(pulled.reshape(len(pulled), len(wanted), prod(x.shape[1:])))
    pulled = xp.concatenate(rows, axis=1)
    a = pulled[0]
    b = a if len(pulled) == 1 else a - pulled[1]
    return (xp.concatenate(answers), a, b) if theta > 0 else (xp.concatenate(answers), -a, -b)


def _scaled(slopes: Array) -> Array:
    """Each row times the power of two that brings it to the size of 1: exact, and its products can't underflow."""
    if not slopes.size:
        return slopes
    xp = namespace(slopes)
    return xp.ldexp(slopes, -xp.frexp(abs(slopes).max(axis=1, keepdims=True))[1])


def _move(
    run: Run, theta: float, max_distortion: float, features: int, outputs: str, progress: bool
) -> tuple[Array, Array]:
    """Algorithms 1 to 3 on all examples side by side: the images, and the steps each took."""
    x, target, victim = run.x, run.goal.labels, run.victim
    xp, (low, high) = namespace(x), victim.bounds
    start = x.reshape(len(x), prod(x.shape[1:]))
    flat = start.copy()
    movable = (lambda pixels: pixels < high) if theta > 0 else (lambda pixels: pixels > low)
    domain = movable(flat)
    iterations, active = xp.zeros(len(x), dtype=int), ActiveSet(xp.arange(len(x)))
    choose = kernels(x).best_pairs if features == 2 else kernels(x).best_features
    shown = bar(range(steps_allowed(flat.shape[1], max_distortion, features)), "JSMA", progress, unit="step")
    with run.interruptible():
        for _ in shown:
            if not len(active):
                break
            shown.set_postfix(active=len(active), refresh=False)
            images, aim = active.gather(flat).reshape(-1, *x.shape[1:]), target[active.rows]
            answers, active.a, active.b = _slopes(victim, images, aim, theta, outputs)
            active.drop(answers == aim)
            active.chosen = choose(_scaled(active.a), _scaled(active.b), active.gather(domain))
            active.drop(active.chosen[:, 0] < 0)  # where nothing valid was left
            where = active.rows[:, None], active.chosen
            moved = xp.clip(flat[where] + theta * (high - low), low, high)
            before, flat[where] = flat[where], run.as_returned(moved, start[where])
            domain[where] = (flat[where] != before) & movable(flat[where])
            active.count(iterations)
    return flat.reshape(x.shape), iterations


def _cheapest(run: Run, each: AttackResult) -> AttackResult:
    """Of the attempts on one example the success with the fewest changed features; nothing where none was needed."""
    xp, n = namespace(run.x), len(run.x)
    cost = xp.where(each.success, each.l0, xp.inf).reshape(n, run.classes - 1)
    best = xp.arange(n) * (run.classes - 1) + xp.where(xp.isinf(cost).all(axis=1), run.classes - 2, cost.argmin(axis=1))
    needed = ~run.goal.achieved(run.clean_pred)
    shape = (n,) + (1,) * (run.x.ndim - 1)
    x_adv = xp.where(needed.reshape(shape), each.x_adv[best], run.x)
    params = {name: value for name, value in each.params.items() if name != "attack"}
    return run.end(x_adv, xp.where(needed, each.iterations[best], 0), **params)
