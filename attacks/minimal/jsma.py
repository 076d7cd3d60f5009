"""JSMA, the Jacobian-based saliency map attack of Papernot et al. 2016: change a few pixels, by a lot.

The forward derivative ∇Z(x) says how each logit changes with each pixel.  With

    α_i = ∂Z_t/∂x_i    and    β_i = Σ_{j≠t} ∂Z_j/∂x_i

the saliency map (eq. 8) is S[i] = -α_i·β_i where α_i > 0 and β_i < 0, and 0 elsewhere: it is large for pixels that
increase the target's logit and decrease the sum of the others.  `jsma` moves the best pixel, or the best pair, by θ,
and repeats.  Of the whole Jacobian it needs two rows, ∂Z_t/∂x and ∂ΣZ/∂x, and so two pull-backs for each step.

Towards darker pixels (θ < 0), -α and -β take the places of α and β.  The code works with a = α and b = -β, which are
both positive for a salient pixel.

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
    """∇F(x), the derivative of every output in every input, computed forwards.

    net: a network, a function of minidl operations, or a `Victim`.
    x: inputs (N, *input), floating point.
    steps: for a `Sequential`: whether to return a dict with ∂H_k/∂x (N, *H_k, *input) of each layer k instead, as the
    recursion of eqs. 5 and 6 computes them: a layer's derivative is its own Jacobian times that of the layer below.
    chunk: how many inputs are moved at once (see `derivatives`); with steps, all of them are.

    Returns: (N, K, *input), or the dict.
    Raises: `DTypeError` for steps of something that is not a `Sequential`.
    Source: Papernot et al. 2016, eq. 3.

    >>> import numpy as np
    >>> from attacks import forward_derivative
    >>> from minidl import models
    >>> forward_derivative(models.softmax_regression(), np.zeros((2, 784), dtype=np.float32)).shape
    (2, 10, 784)
    """
    net = net.net if isinstance(net, Victim) else net
    if not steps:
        return batch_jacobian(net, x, mode="forward", chunk=chunk)
    if not hasattr(net, "layers"):
        raise DTypeError("forward_derivative", "a Sequential, with steps=True", type(net).__name__)
    derivatives, below, h = {}, None, x
    for name, layer in net.layers.items():
        lin = linearize(lambda h, name=name, layer=layer: layer.apply(net.params_of(name), h), h)
        if below is None:
            basis = namespace(x).eye(prod(x.shape[1:]), dtype=x.dtype).reshape(-1, 1, *x.shape[1:])
            below = namespace(x).broadcast_to(basis, (len(basis), *x.shape))
        below, h = lin.jvp(below), lin.value  # (inputs, N, *H_k): one tangent for each input
        derivatives[name] = namespace(x).moveaxis(below, 0, -1).reshape(h.shape + x.shape[1:])
    return derivatives


def saliency_map(victim: Any, x: Array, target: Array, *, theta: float = 1.0, outputs: str = "logits") -> Array:
    """S[i] = -α_i·β_i where α_i > 0 and β_i < 0, else 0: how much each feature alone serves the target.

    α_i = ∂Z_t/∂x_i and β_i = Σ_{j≠t} ∂Z_j/∂x_i; for θ < 0 both change their signs (eq. 9).

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    target: classes (N,), integer.
    theta: θ, the direction in which features move: in [-1, 1], not 0.
    outputs: "logits" or "probabilities", as for `jsma`.

    Returns: S(x, t), like x.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range.
    Source: Papernot et al. 2016, eq. 8.

    >>> import numpy as np
    >>> from attacks import saliency_map
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> saliency_map(models.mlp(seed=0), x, np.array([3, 5])).shape
    (2, 784)
    """
    a, b = _checked_rows("saliency_map", victim, x, target, theta, outputs)
    return kernels(x).saliency(a, b, namespace(x).ones(a.shape, dtype=bool)).reshape(x.shape)


def is_salient(victim: Any, x: Array, target: Array, *, theta: float = 1.0, outputs: str = "logits") -> Array:
    """Whether S(x, t) > 0: from the signs of α and β, so that no product of small numbers is rounded to 0.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    target: classes (N,), integer.
    theta: θ, the direction in which features move: in [-1, 1], not 0.
    outputs: "logits" or "probabilities", as for `jsma`.

    Returns: bool, like x.
    """
    a, b = _checked_rows("is_salient", victim, x, target, theta, outputs)
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
    """Move the most salient features by θ until the network predicts the target.

    Read `plain.jsma` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: `Targeted(t)`; or labels, `Untargeted(y)`.  Then every other class is tried, and the success with the fewest
    changed features is kept, the first of equal ones, or the attempt on the last class if none succeeds.
    theta: θ, the change of a feature in one step, in [-1, 1] and not 0, in units of the bounds' width.
    max_distortion: Υ, the fraction of the M features that may change, in [0, 1]: ⌊M·Υ/features⌋ steps.
    features: 2 moves pairs with α > 0, β < 0 and the largest -αβ (Algorithms 2 and 3); 1 the feature with the largest S
    (Algorithm 1).
    outputs: "logits", as in the paper.  "probabilities" shows why: then β = -α, and the second condition follows from
    the first.
    all_targets: with labels, whether to return all N·(K - 1) targeted attacks, on every class but the predicted one.
    seed: not used: nothing here is random.
    progress: whether to show a bar over the steps.

    A feature leaves the search domain Γ when it cannot move any further.  An example ends with success, if no valid
    feature or pair is left, or after the last step.

    Returns: an `AttackResult`; `iterations` (N,) counts steps, `distortion` (N,) is the fraction of changed features.
    After Ctrl-C it holds what was
    reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Papernot et al. 2016, Algorithms 1 to 3.  Unlike there, features that cannot move at all are not in Γ.

    >>> import numpy as np
    >>> from attacks import Targeted, jsma
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> result = jsma(models.mlp(seed=0), x, Targeted(np.array([3, 5])), max_distortion=0.01)
    >>> bool((result.l0 <= 7).all())
    True
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
    """Every class but the predicted one, for each example: (which example, which target), (N·(K - 1),) each."""
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


def _checked_rows(
    operation: str, victim: Any, x: Array, target: Any, theta: float, outputs: str
) -> tuple[Array, Array]:
    victim = as_victim(victim)
    victim.check_images(operation, x)
    _check(operation, theta, 0, 1, outputs)
    target = as_goal(target).labels
    check_labels(operation, target, victim.logits(x))
    return _rows(victim, x, target, theta, outputs)[1:]


def _rows(victim: Victim, x: Array, target: Array, theta: float, outputs: str) -> tuple[Array, Array, Array]:
    """The predictions (N,), and a = α and b = -β (N, M), from one run of the network and two pull-backs."""
    xp, predictions, rows = namespace(x), [], []
    for part in victim.parts(x):
        lin = victim.linearize(x[part])
        wanted = (xp.arange(lin.value.shape[1]) == target[part][:, None]).astype(lin.value.dtype)
        if outputs == "logits":
            pulled = lin.vjp(xp.stack([wanted, xp.ones_like(wanted)]))  # ∂Z_t and ∂ΣZ
        else:
            p = losses.softmax(lin.value)
            pulled = lin.vjp((p * (wanted - (p * wanted).sum(axis=-1, keepdims=True)))[None])  # ∂F_t; Σ_j ∂F_j = 0
        predictions.append(lin.value.argmax(axis=-1))
        rows.append(pulled.reshape(len(pulled), len(wanted), prod(x.shape[1:])))
    pulled = xp.concatenate(rows, axis=1)
    a = pulled[0]
    b = a if len(pulled) == 1 else a - pulled[1]
    return (xp.concatenate(predictions), a, b) if theta > 0 else (xp.concatenate(predictions), -a, -b)


def _scaled(gradients: Array) -> Array:
    """Each row times a power of two that brings it to the size of 1: exactly, so that no product underflows."""
    if not gradients.size:
        return gradients
    xp = namespace(gradients)
    return xp.ldexp(gradients, -xp.frexp(abs(gradients).max(axis=1, keepdims=True))[1])


def _move(
    run: Run, theta: float, max_distortion: float, features: int, outputs: str, progress: bool
) -> tuple[Array, Array]:
    """Algorithms 1 to 3, for all examples at once: the images, and the steps of each example."""
    x, target, victim = run.x, run.goal.labels, run.victim
    xp, (low, high) = namespace(x), victim.bounds
    start = x.reshape(len(x), prod(x.shape[1:]))
    flat = start.copy()
    movable = (lambda pixels: pixels < high) if theta > 0 else (lambda pixels: pixels > low)
    domain = movable(flat)
    iterations, active = xp.zeros(len(x), dtype=int), ActiveSet(xp.arange(len(x)))
    choose = kernels(x).best_pairs if features == 2 else kernels(x).best_features
    steps_bar = bar(range(steps_allowed(flat.shape[1], max_distortion, features)), "JSMA", progress, unit="step")
    with run.interruptible():
        for _ in steps_bar:
            if not len(active):
                break
            steps_bar.set_postfix(active=len(active), refresh=False)
            images, aim = active.gather(flat).reshape(-1, *x.shape[1:]), target[active.rows]
            predictions, active.a, active.b = _rows(victim, images, aim, theta, outputs)
            active.drop(predictions == aim)
            active.chosen = choose(_scaled(active.a), _scaled(active.b), active.gather(domain))
            active.drop(active.chosen[:, 0] < 0)  # no valid feature or pair is left
            where = active.rows[:, None], active.chosen
            moved = xp.clip(flat[where] + theta * (high - low), low, high)
            before, flat[where] = flat[where], run.as_returned(moved, start[where])
            domain[where] = (flat[where] != before) & movable(flat[where])
            active.count(iterations)
    return flat.reshape(x.shape), iterations


def _cheapest(run: Run, each: AttackResult) -> AttackResult:
    """For each example the success with the fewest changed features; unchanged if it was successful from the start."""
    xp, n = namespace(run.x), len(run.x)
    cost = xp.where(each.success, each.l0, xp.inf).reshape(n, run.classes - 1)
    best = xp.arange(n) * (run.classes - 1) + xp.where(xp.isinf(cost).all(axis=1), run.classes - 2, cost.argmin(axis=1))
    needed = ~run.goal.achieved(run.clean_pred)
    shape = (n,) + (1,) * (run.x.ndim - 1)
    x_adv = xp.where(needed.reshape(shape), each.x_adv[best], run.x)
    params = {name: value for name, value in each.params.items() if name != "attack"}
    return run.end(x_adv, xp.where(needed, each.iterations[best], 0), **params)
