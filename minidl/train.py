"""Training: `fit` walks through a data set, batch by batch, and lets an optimiser follow the gradient.

Everything random is keyed by (seed, epoch, step), never carried along.  So a run that was interrupted and
resumed makes the same draws as one that was not, and ends with the same bits.
"""

from __future__ import annotations

import functools
import math
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from . import losses
from .backend import current, namespace, to_numpy
from .core import Array, linearize
from .data.dataset import Dataset
from .derivatives import value_and_grad
from .errors import DataError, DTypeError, RangeError, ShapeError
from .evaluation import Evaluation, evaluate
from .io import read_archive, shapes_and_dtypes, write_archive
from .models import Sequential
from .optim import SGD, Adam, Optimizer, RMSProp
from .progress import bar

__all__ = ["Evaluation", "History", "evaluate", "fit", "gradient"]

Arrays = dict[str, Array]


@dataclass
class History:
    """What `fit` saw, one entry per completed epoch.

    loss and accuracy are means over the training batches as they came (dropout on, weights still moving);
    loss includes the penalty.  validation_error is the error on the validation set after the epoch, and is
    empty without one.  interrupted: whether Ctrl-C ended the run before its last epoch.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __len__(self) -> int:
        return len(self.loss)

    def and_then(self, loss: float, accuracy: float, validation_error: list[float], seconds: float) -> History:
        """This history and one more epoch."""
        return History([*self.loss, loss], [*self.accuracy, accuracy], self.validation_error + validation_error,
                       [*self.seconds, seconds])  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{'epoch':>5}  {'loss':>8}  {'accuracy':>8}  {'validation error':>16}  {'seconds':>7}"]
        for i in range(len(self)):
            error = f"{self.validation_error[i]:.4f}" if self.validation_error else "-"
            lines.append(
                f"{i + 1:>5}  {self.loss[i]:>8.4f}  {self.accuracy[i]:>8.4f}  {error:>16}  {self.seconds[i]:>7.1f}"
            )
        return "\n".join(lines)


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
    validation: Dataset | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train ``net.params`` in place on the mean cross-entropy of each batch, plus the penalty if there is one.

    optimizer: `RMSProp()` if None.  shuffle: a new order each epoch, drawn from the seed; otherwise file order.
    drop_last: leave out a last, smaller batch.  penalty: a scalar function of the parameters, such as
    `losses.Penalty(l1, l2)`.  validation: a data set to measure the error on after each epoch.
    checkpoint: a file written after each epoch.  If it exists, the run continues from it, and ends with the same
    bits as one that was never interrupted.  A checkpoint of another run is refused: of another network, other
    initial parameters, data or settings, or of more epochs.  A penalty is known by its name or repr; with a
    checkpoint, one that has neither, such as a lambda, is refused.

    Ctrl-C puts the parameters back to the end of the last completed epoch, warns, and returns with
    ``history.interrupted`` set.  Raises `RangeError` if a loss is not finite; after any error, too, the parameters
    are those of the last completed epoch.  `ShapeError`, `DTypeError`, `RangeError` or `DataError` for arguments
    that do not fit come before any work.
    """
    optimizer = optimizer if optimizer is not None else RMSProp()
    _check(net, dataset, optimizer, epochs, batch_size, drop_last, penalty, validation, seed, checkpoint)
    state, history, settings = optimizer.init(net.params), History(), {}
    if checkpoint is not None:
        settings = {
            "network": repr(net), "fused": net.fused, "backend": current().name,
            "start": _digest(*net.params.values()), "data": _digest(dataset.x, dataset.y),
            "optimizer": repr(optimizer), "batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last,
            "penalty": _name(penalty), "seed": seed,
            "validation": _digest(validation.x, validation.y) if validation is not None else None,
        }  # fmt: skip
        if Path(checkpoint).exists():
            settings["start"], history = _resume(checkpoint, settings, epochs, net.params, state)
    for epoch in range(len(history), epochs):
        before, start = _copy(net.params), time.perf_counter()
        try:
            batches = dataset.batches(batch_size, np.random.default_rng((seed, epoch)) if shuffle else None, drop_last)
            shown = bar(batches, f"epoch {epoch + 1}/{epochs}", progress, unit="batch")
            loss, accuracy = _epoch(net, optimizer, state, penalty, (seed, epoch), shown)
            if not math.isfinite(loss):
                fix = "a smaller learning rate, or look for NaN in the images"
                raise RangeError("fit", f"a finite loss in epoch {epoch + 1}", f"{loss}", fix)
            error = [evaluate(net, validation).error] if validation is not None else []
            longer = history.and_then(loss, accuracy, error, time.perf_counter() - start)
            if checkpoint is not None:
                header = {"settings": settings, "history": asdict(longer), "before": _digest(*before.values())}
                write_archive(checkpoint, "checkpoint", header, _checkpointed(net.params, state))
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
    net: Sequential, optimizer: Optimizer, state: Arrays, penalty: Any, key: tuple[int, int], batches: Any
) -> tuple[float, float]:
    """One pass over the batches; the mean loss and accuracy along the way."""
    total_loss: Any = 0.0
    correct: Any = 0
    seen = 0
    # Into the update, which knows its gradient; but a class of the user's may mean something else.
    folded = penalty if type(penalty) is losses.Penalty and type(optimizer) in (SGD, RMSProp, Adam) else None
    for step, (x, y) in enumerate(batches):
        rng = np.random.default_rng((*key, step))
        loss, logits, grads = gradient(net, x, y, rng, None if folded else penalty, check=False)  # `fit` has checked
        if folded is not None:
            loss = loss + folded.value(net.params)
        optimizer.update(net.params, grads, state, *([] if folded is None else [folded]))
        total_loss, seen = total_loss + loss.astype("float64") * len(y), seen + len(y)
        correct = correct + (logits.argmax(axis=-1) == y).sum()
        if step % 50 == 49:  # rarely: reading a number waits for the device
            batches.set_postfix(loss=f"{float(total_loss) / seen:.4f}", accuracy=f"{float(correct) / seen:.4f}")
    return float(total_loss) / seen, float(correct) / seen


def gradient(
    net: Sequential, x: Array, y: Array, rng: Any = None, penalty: Callable[[Arrays], Array] | None = None,
    check: bool = True,
) -> tuple[Array, Array, Arrays]:  # fmt: skip
    """Backpropagation: the loss of one batch, its logits, and ∂loss/∂params.

    The loss is a function of the logits, and the logits a function of the parameters.  So the gradient at the
    logits, p - onehot, is the cotangent to pull back through the network.  check: as of `losses.cross_entropy`.
    """
    lin = linearize(lambda params: net.apply(params, x, rng), net.params)
    loss, cotangent = value_and_grad(lambda logits: losses.cross_entropy(logits, y, check=check), lin.value)
    grads = lin.vjp(cotangent)
    if penalty is not None:
        extra, slopes = value_and_grad(penalty, net.params)
        loss, grads = loss + extra, {name: g + slopes[name] for name, g in grads.items()}
    return loss, lin.value, grads


def _check(
    net: Any, dataset: Any, optimizer: Any, epochs: Any, batch_size: Any, drop_last: bool, penalty: Any,
    validation: Any, seed: Any, checkpoint: Any,
) -> None:  # fmt: skip
    if not isinstance(net, Sequential) or not isinstance(dataset, Dataset) or not isinstance(optimizer, Optimizer):
        got = f"{type(net).__name__}, {type(dataset).__name__} and {type(optimizer).__name__}"
        raise DTypeError("fit", "a network, a Dataset and an optimizer", got)
    if net.gives_probabilities:
        raise DTypeError("fit", "a network that gives logits", "one that ends with Softmax", "leave the Softmax out")
    if not isinstance(epochs, Integral) or int(epochs) < 0:
        raise RangeError("fit", "a whole number of epochs, at least 0", repr(epochs))
    if not isinstance(batch_size, Integral) or int(batch_size) < 1:
        raise RangeError("fit", "a whole batch_size, at least 1", repr(batch_size))
    if len(dataset) < (int(batch_size) if drop_last else 1):
        raise ShapeError("fit", "enough examples for one batch", f"{len(dataset)}, batch_size={batch_size}")
    if len(net.output_shape) != 1 or not 0 <= dataset.y.min() <= dataset.y.max() < net.output_shape[0]:
        got = f"labels from {dataset.y.min()} to {dataset.y.max()}, outputs of shape {net.output_shape}"
        raise RangeError("fit", "a logit for every label", got, "give the network as many classes")
    if penalty is not None and not callable(penalty):
        raise DTypeError(
            "fit", "a penalty that is a function of the parameters", repr(penalty), "losses.Penalty(l1, l2)"
        )
    if checkpoint is not None and penalty is not None and (" at 0x" in _name(penalty) or "<lambda>" in _name(penalty)):
        fix = "a function with a name of its own, or losses.Penalty"
        raise DTypeError("fit", "a penalty that a checkpoint can name", _name(penalty), fix)
    if not isinstance(seed, Integral) or int(seed) < 0:
        raise RangeError("fit", "a seed that is a whole number, at least 0", repr(seed))
    for data in [dataset] if validation is None else [dataset, validation]:
        if not isinstance(data, Dataset):
            raise DTypeError("fit", "a Dataset for validation", type(data).__name__)
        net(data.x[:0])  # refuses images of another shape


def _name(penalty: Any) -> str:
    return getattr(penalty, "__qualname__", repr(penalty))


def _copy(arrays: Arrays) -> Arrays:
    return {name: a.copy() for name, a in arrays.items()}


def _put_back(arrays: Arrays, kept: Arrays) -> None:
    for name, a in arrays.items():
        a[...] = kept[name]


def _checkpointed(params: Arrays, state: Arrays) -> Arrays:
    """The arrays a checkpoint holds, under the names it holds them."""
    return {f"params/{name}": w for name, w in params.items()} | {f"state/{name}": s for name, s in state.items()}


def _digest(*arrays: Array) -> int:
    """A checksum, to tell one run's arrays from another's."""
    return functools.reduce(lambda crc, a: zlib.crc32(to_numpy(a).tobytes(), crc), arrays, 0)


def _resume(
    path: str | Path, settings: dict[str, Any], epochs: int, params: Arrays, state: Arrays
) -> tuple[int, History]:
    """Fill params and state from a checkpoint of this run that is not past its last epoch; refuse any other.

    The run's first parameters come back as a digest.  The network may have them, or be where the checkpoint is, or
    an epoch earlier, as after a Ctrl-C while the file was being written.
    """
    header, arrays = read_archive(path, "checkpoint")
    theirs = dict(header.get("settings", {}))
    there = _digest(*(arrays[f"params/{name}"] for name in params if f"params/{name}" in arrays))
    if settings["start"] in (there, header.get("before")):
        settings = {**settings, "start": theirs.get("start")}
    differing = sorted(name for name in settings if theirs.get(name) != settings[name])
    if differing:
        fix = "delete the file, or give this run another"
        raise DataError("fit", f"{path} to be a checkpoint of this run", f"other settings: {differing}", fix)
    places = _checkpointed(params, state)
    if shapes_and_dtypes(arrays) != shapes_and_dtypes(places):
        raise DataError("fit", f"{path} to hold the arrays of this run", "others")
    try:
        history = History(**{**header["history"], "interrupted": False})
        age = len(history)
    except (KeyError, TypeError) as error:
        raise DataError("fit", f"{path} to hold the history of a run", repr(error)) from error
    if age > epochs:
        fix = "ask for at least as many, or give this run another file"
        raise DataError("fit", f"{path} to be at most {epochs} epochs old", f"{age} epochs", fix)
    for name, place in places.items():
        place[...] = namespace(place).asarray(arrays[name])
    return theirs.get("start", 0), history
