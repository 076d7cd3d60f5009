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
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from . import losses, ops
from .backend import namespace
from .core import Array, linearize
from .data.dataset import Dataset
from .derivatives import value_and_grad
from .errors import RangeError, ShapeError
from .evaluation import Evaluation, evaluate
from .files import check_writable
from .history import History, resume, write_checkpoint
from .losses import Loss
from .models import Sequential
from .optim import SGD, Adam, Optimizer, RMSProp
from .progress import bar
from .recipe import Recipe

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
    loss: Loss | None = None,
    penalty: Callable[[Arrays], Array] | None = None,
    adversary: Adversary | None = None,
    validation: Dataset | None = None,
    patience: int | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train ``net.params`` in place on the mean loss of each batch, plus the penalty if there is one.

    optimizer: `RMSProp()` if None; its learning rate may be a schedule.  shuffle: a new order each epoch, drawn from
    the seed; otherwise file order.  drop_last: leave out a last, smaller batch.  loss: a function, of minidl's
    operations, of logits (n, K) and labels (n,) that gives one number per example, (n,), such as
    ``losses.CrossEntropy(label_smoothing=0.1)``; the cross-entropy if None.  penalty: a scalar function of the
    parameters, such as `losses.Penalty(l1, l2)`.
    adversary: makes images x' of each batch x, such as `attacks.PGDAdversary()`.  Instead of the loss J(x) the
    network is then trained on α·J(x) + (1-α)·J(x'), with the adversary's α, and x' held constant.
    validation: a data set to measure loss and error on after each epoch.  patience: stop after so many epochs without
    a smaller validation error, and leave the network as it was after the epoch with the least, however training ends.
    checkpoint: a file written after each epoch.  If it exists, the run continues from it, and ends with the same
    bits as one that was never interrupted.  A checkpoint of another run is refused: of another network, other
    initial parameters, data or settings, or of more epochs.  Only the learning rate may be another one, from then on:
    ``history.lr`` says so.  Layers, loss, schedules, penalty and adversary are known by what they hold, functions by
    their names; with a checkpoint, one that has none, such as a lambda, is refused.

    Ctrl-C puts the parameters back to the end of the last completed epoch, or, with patience, of the best one, warns,
    and returns with ``history.interrupted`` set.  Raises `RangeError` if a loss is not finite; after any error, too,
    the parameters are those.  `ShapeError`, `DTypeError`, `RangeError` or `DataError` for arguments that do not fit
    come before any work; so does `DTypeError` for a network whose outputs depend on no parameter.
    Parameters that the outputs do not depend on are named by a warning.
    Images in a wider dtype than the network's, such as float64 for float32, are refused; pixels far from the usual
    range, such as bytes, are told by a warning, unless a layer of your own comes first, which may scale them.
    """
    optimizer = optimizer if optimizer is not None else RMSProp()
    recipe = Recipe(dataset, optimizer, batch_size, shuffle, drop_last, loss, penalty, adversary, validation, patience,
                    seed)  # fmt: skip
    recipe.check(net, epochs)
    settings = recipe.settings(net) if checkpoint is not None else {}
    if checkpoint is not None:
        check_writable("fit", checkpoint)
    state, kept, history = optimizer.init(net.params), _copy(net.params), History(patience=patience)
    try:
        if checkpoint is not None and Path(checkpoint).exists():
            settings["start"], history, kept = resume(checkpoint, settings, epochs, net.params, state)
        steps = len(dataset.batches(batch_size, drop_last=drop_last))
        with bar(range(epochs * steps), "fit", progress, unit="batch", initial=len(history) * steps) as shown:
            while len(history) < epochs and not history.stopped_early:
                shown.set_description(f"epoch {len(history) + 1}/{epochs}", refresh=False)
                longer = _epoch(net, recipe, state, history, shown)
                now_kept = _copy(net.params) if longer.kept_epoch == len(longer) else kept
                if checkpoint is not None:
                    write_checkpoint(checkpoint, settings, longer, (kept, now_kept), net.params, state)
                history, kept = longer, now_kept  # together: whenever Ctrl-C comes, they belong to each other
        _put_back(net.params, kept)
    except BaseException as stop:
        _put_back(net.params, kept)
        if not isinstance(stop, KeyboardInterrupt):
            raise
        history.interrupted = True
        message = f"fit was interrupted: the network is as it was after epoch {history.kept_epoch} of {epochs}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return history


def _epoch(net: Sequential, recipe: Recipe, state: Arrays, history: History, shown: Any) -> History:
    """Train for one more epoch; the history with it.  shown: the bar that says how it goes."""
    epoch, clock = len(history), time.perf_counter()
    loss, accuracy = _learn(net, recipe, state, epoch, shown)
    if not math.isfinite(loss):
        fix = "take a smaller learning rate, or look for NaN in the images"
        raise RangeError("fit", f"a finite loss in epoch {epoch + 1}", f"{loss}", fix)
    found = {"loss": loss, "accuracy": accuracy, "lr": float(recipe.optimizer.at(epoch).lr)}  # type: ignore[arg-type]
    if recipe.validation is not None:
        found |= _validate(net, recipe.validation, recipe.loss)
    return history.and_then(**found, seconds=time.perf_counter() - clock)


def _learn(net: Sequential, recipe: Recipe, state: Arrays, epoch: int, shown: Any) -> tuple[float, float]:
    """One pass over the batches; the mean loss and accuracy along the way."""
    batches = recipe.batches(epoch)
    start = Moment(int(recipe.seed), epoch, 0, len(batches))
    total_loss: Any = 0.0
    correct: Any = 0
    seen, optimizer, penalty = 0, recipe.optimizer, recipe.penalty
    # Into the update, which knows its gradient; but a class of the user's may mean something else.
    folded = penalty if type(penalty) is losses.Penalty and type(optimizer) in (SGD, RMSProp, Adam) else None
    penalty = None if folded is not None else penalty
    for step, (x, y) in enumerate(batches):
        moment, n = replace(start, step=step), len(y)
        x, y, weights = _lesson(recipe.adversary, net, x, y, moment)
        loss, logits, grads = gradient(net, x, y, moment.rng, penalty, weights, check=False, loss=recipe.loss)
        if folded is not None:
            loss = loss + folded.value(net.params)
        optimizer.at(moment.epochs).update(net.params, grads, state, *([] if folded is None else [folded]))
        right = logits.argmax(axis=-1) == y
        total_loss, seen = total_loss + loss.astype("float64") * n, seen + n
        correct = correct + (right.sum() if weights is None else n * (weights * right).sum())
        if step % 50 == 49 or step == start.steps - 1:  # rarely: reading a number waits for the device
            known = {"loss": f"{float(total_loss) / seen:.4f}", "accuracy": f"{float(correct) / seen:.4f}"}
            shown.set_postfix(known, refresh=False)
        shown.update()
    return float(total_loss) / seen, float(correct) / seen


def _validate(net: Sequential, validation: Dataset, loss: Loss | None) -> dict[str, float]:
    """The mean loss and the error on a validation set, in evaluation mode; nan if it is empty."""
    total: Any = math.nan if not len(validation) else 0.0
    wrong: Any = total
    for x, y in validation.batches(1000):
        logits = losses.check_logits("fit", net(x), len(x))
        total = total + _of_each(loss, logits, y, check=False).astype("float64").sum()
        wrong = wrong + (logits.argmax(axis=-1) != y).sum()
    count = max(len(validation), 1)
    return {"validation_loss": float(total) / count, "validation_error": float(wrong) / count}


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
    weights: Array | None = None, check: bool = True, loss: Loss | None = None,
) -> tuple[Array, Array, Arrays]:  # fmt: skip
    """Backpropagation: the loss of one batch, its logits, and ∂loss/∂params.

    The loss is a function of the logits, and the logits a function of the parameters.  So the gradient at the
    logits, which is p - onehot for the mean of cross-entropies, is the cotangent to pull back through the network.
    weights (N,): the loss is Σ wᵢJ(xᵢ, yᵢ), instead of the mean.  check: as of `losses.cross_entropy`.  loss: as of
    `fit`.
    """

    def objective(logits: Array) -> Array:
        each = _of_each(loss, logits, y, check)
        return ops.mean(each) if weights is None else ops.sum(weights * each)

    lin = linearize(lambda params: net.apply(params, x, rng), net.params)
    value, cotangent = value_and_grad(objective, lin.value)
    grads = lin.vjp(cotangent)
    if penalty is not None:
        extra, slopes = value_and_grad(penalty, net.params)
        value, grads = value + extra, {name: g + slopes[name] for name, g in grads.items()}
    return value, lin.value, grads


def _of_each(loss: Loss | None, logits: Array, y: Array, check: bool) -> Array:
    """The loss of each example, (N,): the cross-entropy if None."""
    if loss is None:
        return losses.cross_entropy(logits, y, "none", check=check)
    return losses.of_each("fit", loss, logits, y)


def _copy(arrays: Arrays) -> Arrays:
    return {name: a.copy() for name, a in arrays.items()}


def _put_back(arrays: Arrays, kept: Arrays) -> None:
    """Fill the arrays with what was kept: all of them, also if Ctrl-C comes in between, which is then heard."""
    try:
        for name, a in arrays.items():
            a[...] = kept[name]
    except KeyboardInterrupt:
        _put_back(arrays, kept)
        raise
