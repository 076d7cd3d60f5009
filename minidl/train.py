"""Training: `fit` walks through a data set, batch by batch, and lets an optimiser follow the gradient.

With an `Adversary` the network learns from images made to mislead it, as it is just then.

Everything random is keyed by (seed, epoch, step), never carried along.  So a run that was interrupted and
resumed makes the same draws as one that was not, and ends with the same bits.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from . import losses, ops
from .backend import current, namespace
from .core import Array, linearize
from .data.dataset import Batches, Dataset
from .derivatives import value_and_grad
from .errors import DTypeError, RangeError, ShapeError
from .evaluation import Evaluation, evaluate
from .files import check_writable
from .history import History, resume, write_checkpoint
from .identity import digest, identity
from .models import Sequential
from .optim import SGD, Adam, Optimizer, RMSProp
from .progress import bar

__all__ = ["Adversary", "Evaluation", "History", "Moment", "evaluate", "fit", "gradient"]

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Moment:
    """Where training stands: batch `step` of `steps` in epoch `epoch`, counted from 0, of a run with that seed."""

    seed: int
    epoch: int
    step: int
    steps: int

    @property
    def epochs(self) -> float:
        """How many epochs are behind, the passed part of this one included."""
        return self.epoch + self.step / self.steps

    @property
    def rng(self) -> np.random.Generator:
        """The random numbers of this batch for dropout."""
        return np.random.default_rng((self.seed, self.epoch, self.step))

    @property
    def key(self) -> int:
        """The key of this batch's random numbers for an adversary: 64 bits of their own."""
        return int(np.random.SeedSequence((self.seed, self.epoch, self.step, 1)).generate_state(1, np.uint64)[0])


class Adversary(Protocol):
    """Who makes training hard: a function that is called for each batch before the network learns from it.

    net: the network as it is, to be looked at in evaluation mode, ``net(x)``.  x (n, ...), y (n,): the batch, not to be
    changed.  moment: where training stands, with a key for random numbers, so that they come again.
    It returns images x', shaped and typed like x, which are constants to the gradient that training follows.
    alpha (α), from 0 to 1: how much the clean images count.
    """

    @property
    def alpha(self) -> float: ...

    def __call__(self, net: Sequential, x: Array, y: Array, moment: Moment) -> Array: ...


def fit(
    net: Sequential,
    dataset: Dataset,
    *,
    epochs: int,
    optimizer: Optimizer | None = None,
    batch_size: int = 128,
    shuffle: bool = True,
    drop_last: bool = False,
    penalty: Callable[[Arrays], Array] | None = None,
    adversary: Adversary | None = None,
    validation: Dataset | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train ``net.params`` in place on the mean cross-entropy of each batch, plus the penalty if there is one.

    optimizer: `RMSProp()` if None.  shuffle: a new order each epoch, drawn from the seed; otherwise file order.
    drop_last: leave out a last, smaller batch.  penalty: a scalar function of the parameters, such as
    `losses.Penalty(l1, l2)`.  validation: a data set to measure the error on after each epoch.
    adversary: makes images x' of each batch x, such as `attacks.PGDAdversary()`.  Instead of the cross-entropy J(x) the
    network is then trained on α·J(x) + (1-α)·J(x'), with the adversary's α, and x' held constant.
    checkpoint: a file written after each epoch.  If it exists, the run continues from it, and ends with the same
    bits as one that was never interrupted.  A checkpoint of another run is refused: of another network, other
    initial parameters, data or settings, or of more epochs.  Layers, penalty and adversary are known by what they
    hold, functions by their names; with a checkpoint, one that has none, such as a lambda, is refused.

    Ctrl-C puts the parameters back to the end of the last completed epoch, warns, and returns with
    ``history.interrupted`` set.  Raises `RangeError` if a loss is not finite; after any error, too, the parameters
    are those of the last completed epoch.  `ShapeError`, `DTypeError`, `RangeError` or `DataError` for arguments
    that do not fit come before any work; so does `DTypeError` for a network whose outputs depend on no parameter.
    Parameters that the outputs do not depend on are named by a warning.
    """
    optimizer = optimizer if optimizer is not None else RMSProp()
    _check(net, dataset, optimizer, epochs, batch_size, drop_last, penalty, adversary, validation, seed, checkpoint)
    state, history, settings = optimizer.init(net.params), History(), {}
    if checkpoint is not None:
        settings = {
            "network": identity("fit", net), "fused": net.fused, "backend": current().name,
            "start": digest(*net.params.values()), "data": digest(dataset.x, dataset.y),
            "optimizer": identity("fit", optimizer), "batch_size": int(batch_size), "shuffle": bool(shuffle),
            "drop_last": bool(drop_last), "penalty": identity("fit", penalty), "seed": int(seed),
            "adversary": [identity("fit", adversary), float(getattr(adversary, "alpha", 1))],
            "validation": digest(validation.x, validation.y) if validation is not None else None,
        }  # fmt: skip
        check_writable("fit", checkpoint)
        if Path(checkpoint).exists():
            settings["start"], history = resume(checkpoint, settings, epochs, net.params, state)
    steps = len(dataset.batches(batch_size, drop_last=drop_last))
    with bar(range(epochs * steps), "fit", progress, unit="batch", initial=len(history) * steps) as shown:
        for epoch in range(len(history), epochs):
            before, clock = _copy(net.params), time.perf_counter()
            try:
                shown.set_description(f"epoch {epoch + 1}/{epochs}", refresh=False)
                order = np.random.default_rng((seed, epoch)) if shuffle else None
                batches = dataset.batches(batch_size, order, drop_last)
                start = Moment(int(seed), epoch, 0, steps)
                loss, accuracy = _epoch(net, optimizer, state, penalty, adversary, start, batches, shown)
                if not math.isfinite(loss):
                    fix = "a smaller learning rate, or look for NaN in the images"
                    raise RangeError("fit", f"a finite loss in epoch {epoch + 1}", f"{loss}", fix)
                error = [evaluate(net, validation).error] if validation is not None else []
                longer = history.and_then(loss, accuracy, error, time.perf_counter() - clock)
                if checkpoint is not None:
                    write_checkpoint(checkpoint, settings, longer, before, net.params, state)
                history = longer
            except BaseException as stop:
                _put_back(net.params, before)
                if not isinstance(stop, KeyboardInterrupt):
                    raise
                history.interrupted = True
                message = f"fit was interrupted: the network is as it was after epoch {len(history)} of {epochs}"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
                break
    return history


def _epoch(
    net: Sequential, optimizer: Optimizer, state: Arrays, penalty: Any, adversary: Adversary | None, start: Moment,
    batches: Batches, shown: Any,
) -> tuple[float, float]:  # fmt: skip
    """One pass over the batches; the mean loss and accuracy along the way.  shown: the bar that says them."""
    total_loss: Any = 0.0
    correct: Any = 0
    seen = 0
    # Into the update, which knows its gradient; but a class of the user's may mean something else.
    folded = penalty if type(penalty) is losses.Penalty and type(optimizer) in (SGD, RMSProp, Adam) else None
    for step, (x, y) in enumerate(batches):
        moment, n = replace(start, step=step), len(y)
        x, y, weights = _lesson(adversary, net, x, y, moment)
        loss, logits, grads = gradient(net, x, y, moment.rng, None if folded else penalty, weights, check=False)
        if folded is not None:
            loss = loss + folded.value(net.params)
        optimizer.update(net.params, grads, state, *([] if folded is None else [folded]))
        right = logits.argmax(axis=-1) == y
        total_loss, seen = total_loss + loss.astype("float64") * n, seen + n
        correct = correct + (right.sum() if weights is None else n * (weights * right).sum())
        if step % 50 == 49 or step == start.steps - 1:  # rarely: reading a number waits for the device
            known = {"loss": f"{float(total_loss) / seen:.4f}", "accuracy": f"{float(correct) / seen:.4f}"}
            shown.set_postfix(known, refresh=False)
        shown.update()
    return float(total_loss) / seen, float(correct) / seen


def _lesson(
    adversary: Adversary | None, net: Sequential, x: Array, y: Array, moment: Moment
) -> tuple[Array, Array, Array | None]:
    """What is learnt from: the batch, the adversary's images instead, or both as one batch; and weights that sum to 1.

    The weights are None if all examples count the same.
    """
    if adversary is None or adversary.alpha == 1:
        return x, y, None
    x_adv = adversary(net, x.copy(), y, moment)  # which it may do with as it likes
    if getattr(x_adv, "shape", None) != x.shape or x_adv.dtype != x.dtype:
        got = f"{getattr(x_adv, 'shape', type(x_adv).__name__)} {getattr(x_adv, 'dtype', '')}"
        raise ShapeError("fit", f"an adversary that returns images like x, {x.shape} {x.dtype}", got)
    if adversary.alpha == 0:
        return x_adv, y, None
    xp, of_each = namespace(x), [adversary.alpha / len(y), (1 - adversary.alpha) / len(y)]
    weights = xp.concatenate([xp.full(len(y), share, dtype=x.dtype) for share in of_each])
    return xp.concatenate([x, x_adv]), xp.concatenate([y, y]), weights


def gradient(
    net: Sequential, x: Array, y: Array, rng: Any = None, penalty: Callable[[Arrays], Array] | None = None,
    weights: Array | None = None, check: bool = True,
) -> tuple[Array, Array, Arrays]:  # fmt: skip
    """Backpropagation: the loss of one batch, its logits, and ∂loss/∂params.

    The loss is a function of the logits, and the logits a function of the parameters.  So the gradient at the
    logits, p - onehot, is the cotangent to pull back through the network.  weights (N,): the loss is Σ wᵢJ(xᵢ, yᵢ),
    instead of the mean.  check: as of `losses.cross_entropy`.
    """

    def objective(logits: Array) -> Array:
        if weights is None:
            return losses.cross_entropy(logits, y, check=check)
        return ops.sum(weights * losses.cross_entropy(logits, y, "none", check=check))

    lin = linearize(lambda params: net.apply(params, x, rng), net.params)
    loss, cotangent = value_and_grad(objective, lin.value)
    grads = lin.vjp(cotangent)
    if penalty is not None:
        extra, slopes = value_and_grad(penalty, net.params)
        loss, grads = loss + extra, {name: g + slopes[name] for name, g in grads.items()}
    return loss, lin.value, grads


def _check(
    net: Any, dataset: Any, optimizer: Any, epochs: Any, batch_size: Any, drop_last: bool, penalty: Any,
    adversary: Any, validation: Any, seed: Any, checkpoint: Any,
) -> None:  # fmt: skip
    if not isinstance(net, Sequential) or not isinstance(dataset, Dataset) or not isinstance(optimizer, Optimizer):
        got = f"{type(net).__name__}, {type(dataset).__name__} and {type(optimizer).__name__}"
        raise DTypeError("fit", "a network, a Dataset and an optimizer", got)
    if net.gives_probabilities:
        raise DTypeError("fit", "a network that gives logits", "one that ends with Softmax", "leave the Softmax out")
    net.check_params("fit", writable=True)
    if not isinstance(epochs, Integral) or int(epochs) < 0:
        raise RangeError("fit", "a whole number of epochs, at least 0", repr(epochs))
    if not isinstance(batch_size, Integral) or int(batch_size) < 1:
        raise RangeError("fit", "a whole batch_size, at least 1", repr(batch_size))
    if len(dataset) < (int(batch_size) if drop_last else 1):
        raise ShapeError("fit", "enough examples for one batch", f"{len(dataset)}, batch_size={batch_size}")
    if len(net.output_shape) != 1 or not 0 <= dataset.y.min() <= dataset.y.max() < net.output_shape[0]:
        got = f"labels from {dataset.y.min()} to {dataset.y.max()}, outputs of shape {net.output_shape}"
        raise RangeError("fit", "a logit for every label", got, "give the network as many classes")
    for given, what, fix in (
        (penalty, "a penalty that is a function of the parameters", "losses.Penalty(l1, l2)"),
        (adversary, "an adversary that is a function of (net, x, y, moment)", "attacks.PGDAdversary()"),
    ):
        if given is not None and not callable(given):
            raise DTypeError("fit", what, repr(given), fix)
    alpha = getattr(adversary, "alpha", None)
    if adversary is not None and not (isinstance(alpha, Real) and 0 <= float(alpha) <= 1):
        raise RangeError("fit", "an adversary with an alpha from 0 to 1, the share of clean images", repr(alpha))
    if not isinstance(seed, Integral) or int(seed) < 0:
        raise RangeError("fit", "a seed that is a whole number, at least 0", repr(seed))
    for data in [dataset] if validation is None else [dataset, validation]:
        if not isinstance(data, Dataset):
            raise DTypeError("fit", "a Dataset for validation", type(data).__name__)
        net(data.x[:0])  # refuses images of another shape
    _check_connected(net, dataset.x[:1])


def _check_connected(net: Sequential, x: Array) -> None:
    """Refuse a network whose outputs for x depend on no parameter; name those they do not depend on in a warning."""
    reached = linearize(lambda params: net.apply(params, x), net.params).reached()
    cut_off = [name for name in net.params if name not in reached]
    if not reached:
        got = f"outputs cut off from {', '.join(cut_off)}" if cut_off else "a network without parameters"
        fix = "in layers, use x instead of x.value, and minidl.ops instead of NumPy"
        raise DTypeError("fit", "a network whose outputs depend on its parameters", got, fix)
    if cut_off:
        message = f"fit: the outputs do not depend on {', '.join(cut_off)}: nothing is learnt there"
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _copy(arrays: Arrays) -> Arrays:
    return {name: a.copy() for name, a in arrays.items()}


def _put_back(arrays: Arrays, kept: Arrays) -> None:
    for name, a in arrays.items():
        a[...] = kept[name]
