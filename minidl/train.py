"""Training: `fit` goes through a data set, batch by batch, and an optimiser changes the parameters along the gradient.

With an `Adversary` the network is trained on adversarial examples, made against the network as it is at that step.
With an `Objective` training minimises something else than a loss of logits, such as the error of an autoencoder.

All random numbers are functions of (seed, epoch, step).  So a run that was interrupted and resumed makes the same draws
as one that was not, and ends with the same bits.
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
from .errors import DTypeError, RangeError, ShapeError
from .evaluation import Evaluation, evaluate
from .files import check_writable
from .history import History, resume, write_checkpoint
from .losses import Loss
from .models import Sequential
from .optim import SGD, Adam, Optimizer, RMSProp
from .progress import bar
from .recipe import Recipe

__all__ = ["Adversary", "Evaluation", "History", "Objective", "TrainingStep", "evaluate", "fit", "gradient"]

Arrays = dict[str, Array]


@dataclass(frozen=True)
class TrainingStep:
    """A step of training: which batch of which epoch, and its random numbers.

    seed: of the run.
    epoch: counted from 0.
    step: the batch in this epoch, counted from 0.
    steps: batches in an epoch.

    >>> from minidl.train import TrainingStep
    >>> TrainingStep(seed=0, epoch=1, step=50, steps=100).epochs
    1.5
    """

    seed: int
    epoch: int
    step: int
    steps: int

    @property
    def epochs(self) -> float:
        """How many epochs so far, with the finished part of this one."""
        return self.epoch + self.step / self.steps

    @property
    def rng(self) -> np.random.Generator:
        """The random numbers of this batch for dropout."""
        return np.random.default_rng((self.seed, self.epoch, self.step))

    @property
    def key(self) -> int:
        """The key of this batch's random numbers for an adversary: 64 bits, independent of those for dropout."""
        return int(np.random.SeedSequence((self.seed, self.epoch, self.step, 1)).generate_state(1, np.uint64)[0])


class Adversary(Protocol):
    """A function that makes adversarial examples of each batch, before the network is trained on it.

    It is called with (net, x, y, moment): the network as it is, to be evaluated as ``net(x)``; images x (n, ...) and
    labels y (n,); and the `TrainingStep`, with a key for random numbers.  It returns images x' like x, which are
    constants in the training gradient.  `alpha` (α), from 0 to 1, is the weight of the clean images.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, models
    >>> class Brighter:
    ...     alpha = 0.5
    ...     def __call__(self, net, x, y, moment):
    ...         return np.minimum(x + 0.1, 1).astype(x.dtype)
    >>> data = Dataset(np.zeros((4, 1, 28, 28), np.float32), np.array([0, 1, 2, 3]))
    >>> len(fit(models.softmax_regression(), data, epochs=1, adversary=Brighter(), progress=False))
    1
    """

    @property
    def alpha(self) -> float: ...

    def __call__(self, net: Sequential, x: Array, y: Array, moment: TrainingStep) -> Array: ...


class Objective(Protocol):
    """A function that computes what a step of training minimises, where that is not the mean loss of the logits.

    It is called with (net, params, x, y, moment): the network, to be run as ``net.apply(params, x)``, so that there is
    a derivative in its parameters; images x (n, ...) and labels y (n,); and the `TrainingStep`, with `moment.rng` for
    dropout and `moment.key` for other random numbers.  It returns a scalar, built of minidl operations.  Those of the
    literature are in `minidl.objectives`.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, losses, models
    >>> def copies(net, params, x, y, moment):
    ...     return losses.squared_error(net.apply(params, x), x)
    >>> data = Dataset(np.zeros((4, 1, 28, 28), np.float32), np.array([0, 1, 2, 3]))
    >>> len(fit(models.autoencoder(), data, epochs=1, objective=copies, progress=False))
    1
    """

    def __call__(self, net: Sequential, params: Arrays, x: Array, y: Array, moment: TrainingStep) -> Array: ...


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
    objective: Objective | None = None,
    validation: Dataset | None = None,
    patience: int | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train ``net.params`` in place, on the mean loss of each batch, plus the penalty if there is one.

    net: a `Sequential` that returns logits; with an objective, whatever that needs.
    dataset: a `Dataset`.  Images in a wider dtype than the network's are an error.  Images far from the usual range,
    such as bytes, cause a warning, unless a layer of your own comes first, which may scale them.
    epochs: how many passes over the data set, at least 0.
    optimizer: None is `RMSProp()`.  Its learning rate may be a schedule.
    batch_size: at least 1.
    shuffle: whether each epoch has a new order, drawn from the seed; else file order.
    drop_last: whether to leave out a last, smaller batch.
    loss: a function of logits (n, K) and labels (n,), built of minidl operations, that returns one number per example
    (n,), such as ``losses.CrossEntropy(label_smoothing=0.1)``.  None is cross-entropy.
    penalty: a scalar function of the parameters, such as `losses.Penalty(l1, l2)`.
    adversary: makes images x' of each batch x, such as `attacks.PGDAdversary()`.  The network is then trained on
    α·J(x) + (1-α)·J(x') instead of J(x), with the adversary's α, and x' held constant.
    objective: what a step minimises instead of the mean loss, such as `objectives.Reconstruction()`: see `Objective`.
    It excludes loss and adversary.  The history's accuracy is then nan; labels are not checked; and a validation set,
    which needs logits, is measured by cross-entropy.
    validation: a data set on which loss and error are measured after each epoch.
    patience: stop after so many epochs without a smaller validation error, at least 1.  The network is left as it was
    after the epoch with the smallest, however training ends.
    seed: a whole number, at least 0, of which all random numbers are functions.
    checkpoint: a file, written after each epoch.  If it exists, the run continues from it, and ends with the same bits
    as one that was never interrupted.  A checkpoint of another run (network, initial parameters, data, settings, or
    more epochs) is an error.  Only the learning rate may differ; ``history.lr`` says from when.  Layers, loss,
    schedules, penalty, adversary and objective are recognised by their content, functions by their names, so that a
    lambda is an error.
    progress: whether to show a bar.

    Returns: a `History`.  After Ctrl-C or an error, the parameters are those after the last completed epoch, or with
    patience the best one.  Ctrl-C returns with a warning, and with ``history.interrupted`` set.
    Raises: `RangeError` if a loss is not finite.  Before any work:  `ShapeError`, `DTypeError`, `RangeError` or
    `DataError` for arguments that do not fit, and `DTypeError` for a network whose outputs depend on no parameter.  A
    warning names parameters that the outputs do not depend on.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, models
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> history = fit(models.softmax_regression(), data, epochs=3, progress=False)
    >>> len(history.loss), history.loss[-1] < history.loss[0]
    (3, True)
    """
    optimizer = optimizer if optimizer is not None else RMSProp()
    recipe = Recipe(dataset, optimizer, batch_size, shuffle, drop_last, loss, penalty, adversary, objective, validation,
                    patience, seed)  # fmt: skip
    recipe.check(net, epochs)
    if objective is not None:
        _check_objective(recipe, net)
    settings = recipe.settings(net) if checkpoint is not None else {}
    if checkpoint is not None:
        check_writable("fit", checkpoint)
    state, kept, history = optimizer.init(net.params), copied(net.params), History(patience=patience)
    try:
        if checkpoint is not None and Path(checkpoint).exists():
            settings["start"], history, kept = resume(checkpoint, settings, epochs, net.params, state)
        steps = len(dataset.batches(batch_size, drop_last=drop_last))
        with bar(range(epochs * steps), "fit", progress, unit="batch", initial=len(history) * steps) as batches_bar:
            while len(history) < epochs and not history.stopped_early:
                batches_bar.set_description(f"epoch {len(history) + 1}/{epochs}", refresh=False)
                longer = _epoch(net, recipe, state, history, batches_bar)
                now_kept = copied(net.params) if longer.kept_epoch == len(longer) else kept
                if checkpoint is not None:
                    write_checkpoint(checkpoint, settings, longer, (kept, now_kept), net.params, state)
                history, kept = longer, now_kept  # in one assignment, so that Ctrl-C cannot separate them
        put_back(net.params, kept)
    except BaseException as stop:
        put_back(net.params, kept)
        if not isinstance(stop, KeyboardInterrupt):
            raise
        history.interrupted = True
        message = f"fit was interrupted: the network is as it was after epoch {history.kept_epoch} of {epochs}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return history


def _check_objective(recipe: Recipe, net: Sequential) -> None:
    """Raise an error for an objective that is not a scalar, or that does not depend on the parameters."""
    some, moment = recipe.dataset.take([0, 0]), TrainingStep(int(recipe.seed), 0, 0, 1)
    lin = linearize(lambda params: recipe.objective(net, params, some.x, some.y, moment), net.params)
    if lin.value.shape != ():
        got, fix = f"shape {lin.value.shape}", "take the mean over the examples, by ops.mean"
        raise ShapeError("fit", "an objective that returns a scalar", got, fix)
    if not lin.depends:
        fix = "use net.apply(params, x) instead of net(x) in the objective, and minidl.ops instead of NumPy"
        raise DTypeError("fit", "an objective that depends on the parameters", "one that is cut off from them", fix)


def _epoch(net: Sequential, recipe: Recipe, state: Arrays, history: History, batches_bar: Any) -> History:
    """Train for one more epoch, and return the history with it."""
    epoch, clock = len(history), time.perf_counter()
    loss, accuracy = _learn(net, recipe, state, epoch, batches_bar)
    if not math.isfinite(loss):
        fix = "take a smaller learning rate, or look for NaN in the images"
        raise RangeError("fit", f"a finite loss in epoch {epoch + 1}", f"{loss}", fix)
    measured = {"loss": loss, "accuracy": accuracy, "lr": float(recipe.optimizer.at(epoch).lr)}  # type: ignore[arg-type]
    if recipe.validation is not None:
        measured |= _validate(net, recipe.validation, recipe.loss)
    return history.and_then(**measured, seconds=time.perf_counter() - clock)


def _learn(net: Sequential, recipe: Recipe, state: Arrays, epoch: int, batches_bar: Any) -> tuple[float, float]:
    """One pass over the batches.  Returns the mean loss and accuracy before each update."""
    batches = recipe.batches(epoch)
    start = TrainingStep(int(recipe.seed), epoch, 0, len(batches))
    total_loss: Any = 0.0
    correct: Any = 0
    examples, optimizer, penalty = 0, recipe.optimizer, recipe.penalty
    # The update adds the penalty's gradient; but not for a subclass, which may compute something else.
    folded = penalty if type(penalty) is losses.Penalty and type(optimizer) in (SGD, RMSProp, Adam) else None
    penalty = None if folded is not None else penalty
    for step, (x, y) in enumerate(batches):
        moment, n = replace(start, step=step), len(y)
        loss, right, grads = _step(net, recipe, x, y, moment, penalty)
        if folded is not None:
            loss = loss + folded.value(net.params)
        optimizer.at(moment.epochs).update(net.params, grads, state, *([] if folded is None else [folded]))
        total_loss, correct, examples = total_loss + loss.astype("float64") * n, correct + right, examples + n
        if step % 50 == 49 or step == start.steps - 1:  # rarely: reading a number waits for the device
            known = {"loss": f"{float(total_loss) / examples:.4f}", "accuracy": f"{float(correct) / examples:.4f}"}
            batches_bar.set_postfix(known, refresh=False)
        batches_bar.update()
    return float(total_loss) / examples, float(correct) / examples


def _step(
    net: Sequential, recipe: Recipe, x: Array, y: Array, moment: TrainingStep, penalty: Any
) -> tuple[Array, Any, Arrays]:
    """What is minimised, how many predictions are correct (nan with an objective), and the gradient."""
    if recipe.objective is not None:
        value, grads = value_and_grad(lambda params: recipe.objective(net, params, x, y, moment), net.params)
        value, grads = _with_penalty(penalty, net.params, value, grads)
        return value, math.nan, grads
    n, (x, y, weights) = len(y), _batch_to_learn(recipe.adversary, net, x, y, moment)
    loss, logits, grads = gradient(net, x, y, moment.rng, penalty, weights, check=False, loss=recipe.loss)
    right = logits.argmax(axis=-1) == y
    return loss, right.sum() if weights is None else n * (weights * right).sum(), grads


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


def _batch_to_learn(
    adversary: Adversary | None, net: Sequential, x: Array, y: Array, moment: TrainingStep
) -> tuple[Array, Array, Array | None]:
    """The images and labels to train on: the batch, the adversary's images, or both; and weights that sum to 1.

    The weights are None if all examples have the same.
    """
    if adversary is None or adversary.alpha == 1:
        return x, y, None
    x_adv = adversary(net, x.copy(), y, moment)  # a copy, which it may change
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

    The loss is a function of the logits, and the logits are a function of the parameters.  So the gradient at the
    logits, which is (p - onehot)/n for cross-entropy, is the cotangent that is pulled back through the network.

    net: a `Sequential`.
    x: images (n, ...).
    y: labels (n,).
    rng: a random generator for dropout; None for no dropout.
    penalty: a scalar function of the parameters, added to the loss.
    weights: (n,); the loss is then Σ wᵢJ(xᵢ, yᵢ) instead of the mean.
    check: whether to check the labels.
    loss: as for `fit`.

    Returns: the loss, a scalar; the logits (n, K); and a dict of gradients, like ``net.params``.

    >>> import numpy as np
    >>> from minidl import models
    >>> from minidl.train import gradient
    >>> net = models.softmax_regression()
    >>> loss, logits, grads = gradient(net, np.zeros((2, 784), np.float32), np.array([3, 5]))
    >>> round(float(loss), 4), logits.shape, grads["dense1.W"].shape
    (2.3026, (2, 10), (784, 10))
    """

    def objective(logits: Array) -> Array:
        each = _of_each(loss, logits, y, check)
        return ops.mean(each) if weights is None else ops.sum(weights * each)

    lin = linearize(lambda params: net.apply(params, x, rng), net.params)
    value, cotangent = value_and_grad(objective, lin.value)
    value, grads = _with_penalty(penalty, net.params, value, lin.vjp(cotangent))
    return value, lin.value, grads


def _with_penalty(
    penalty: Callable[[Arrays], Array] | None, params: Arrays, value: Array, grads: Arrays
) -> tuple[Array, Arrays]:
    """A value and its gradient, plus those of the penalty if there is one."""
    if penalty is None:
        return value, grads
    extra, of_penalty = value_and_grad(penalty, params)
    return value + extra, {name: g + of_penalty[name] for name, g in grads.items()}


def _of_each(loss: Loss | None, logits: Array, y: Array, check: bool) -> Array:
    """The loss of each example, (N,): the cross-entropy if None."""
    if loss is None:
        return losses.cross_entropy(logits, y, "none", check=check)
    return losses.of_each("fit", loss, logits, y)


def copied(arrays: Arrays) -> Arrays:
    """Copies of all arrays, under the same names."""
    return {name: a.copy() for name, a in arrays.items()}


def put_back(arrays: Arrays, kept: Arrays) -> None:
    """Fill all arrays with the kept ones.  Ctrl-C in between is raised only afterwards."""
    try:
        for name, a in arrays.items():
            a[...] = kept[name]
    except KeyboardInterrupt:
        put_back(arrays, kept)
        raise
