"""`Recipe`: the parameters of `fit`, checked before any work, and written to checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from . import losses
from .backend import current
from .core import Array, linearize
from .data.dataset import Batches, Dataset
from .errors import DTypeError, RangeError, ShapeError
from .identity import digest, identity
from .inputs import check_training_images
from .optim import Optimizer
from .plan import joining
from .sequential import Sequential

__all__ = ["Recipe"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """The parameters of `train.fit` that distinguish two runs of a network, under the same names."""

    dataset: Dataset
    optimizer: Optimizer
    batch_size: int
    shuffle: bool
    drop_last: bool
    loss: losses.Loss | None
    penalty: Callable[[dict[str, Array]], Array] | None
    adversary: Any
    objective: Any
    validation: Dataset | None
    patience: int | None
    seed: int

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch; if they are shuffled, each epoch has another order."""
        rng = np.random.default_rng((self.seed, epoch)) if self.shuffle else None
        return self.dataset.batches(self.batch_size, rng, self.drop_last)

    def settings(self, net: Sequential) -> dict[str, Any]:
        """What a checkpoint recognises a run by, as plain data.

        Raises `DTypeError` for something that cannot be told from others of its kind, such as a lambda.
        """
        validation, alpha = self.validation, float(getattr(self.adversary, "alpha", 1))
        return {
            "network": identity("fit", net), "fused": net.fused and joining(), "backend": current().name,
            "start": digest(*net.params.values()), "data": digest(self.dataset.x, self.dataset.y),
            "optimizer": identity("fit", self.optimizer), "batch_size": int(self.batch_size),
            "shuffle": bool(self.shuffle), "drop_last": bool(self.drop_last), "loss": identity("fit", self.loss),
            "penalty": identity("fit", self.penalty), "adversary": [identity("fit", self.adversary), alpha],
            "validation": digest(validation.x, validation.y) if validation is not None else None,
            "patience": identity("fit", self.patience), "seed": int(self.seed),
            "objective": identity("fit", self.objective),
        }  # fmt: skip

    def check(self, net: Any, epochs: Any) -> None:
        """Raise an error for parameters that do not fit this network, before any work."""
        self._check_kinds(net)
        net.check_params("fit", writable=True)
        self._check_numbers(epochs)
        for data in [self.dataset] if self.validation is None else [self.dataset, self.validation]:
            if not isinstance(data, Dataset):
                raise DTypeError("fit", "a Dataset for validation", type(data).__name__)
            if self.objective is None or data is self.validation:
                _check_labels(net, data)
            net.check_input(data.x)
            check_training_images("fit", data.x, net, stacklevel=3)
        self._check_patience()
        for epoch in range(int(epochs)):
            self.optimizer.at(epoch)  # raises for rates out of range
        _check_connected(net, self.dataset.x[:1])
        if self.loss is not None:
            _check_loss(self.loss, net, self.dataset)

    def _check_kinds(self, net: Any) -> None:
        given = (net, self.dataset, self.optimizer)
        if not all(map(isinstance, given, (Sequential, Dataset, Optimizer))):
            got = "{}, {} and {}".format(*(type(each).__name__ for each in given))
            raise DTypeError("fit", "a network, a Dataset and an optimizer", got)
        if net.gives_probabilities:
            got, fix = "one that ends with Softmax", "leave the Softmax out"
            raise DTypeError("fit", "a network that gives logits", got, fix)
        for each, what, fix in (
            (self.loss, "a loss that is a function of logits and labels", "losses.CrossEntropy(label_smoothing=0.1)"),
            (self.penalty, "a penalty that is a function of the parameters", "losses.Penalty(l1, l2)"),
            (self.adversary, "an adversary that is a function of (net, x, y, moment)", "attacks.PGDAdversary()"),
            (self.objective, "an objective that is a function of (net, params, x, y, moment)",
             "objectives.Reconstruction()"),
        ):  # fmt: skip
            if each is not None and not callable(each):
                raise DTypeError("fit", what, repr(each), fix)
        if self.objective is not None and (self.loss is not None or self.adversary is not None):
            got = f"an objective and {'a loss' if self.loss is not None else 'an adversary'}"
            fix = "leave the other out, and compute in the objective all that is to be minimised"
            raise RangeError("fit", "an objective, or a loss and an adversary", got, fix)

    def _check_numbers(self, epochs: Any) -> None:
        if not isinstance(epochs, Integral) or int(epochs) < 0:
            raise RangeError("fit", "a whole number of epochs, at least 0", repr(epochs))
        if not isinstance(self.batch_size, Integral) or int(self.batch_size) < 1:
            raise RangeError("fit", "a whole batch_size, at least 1", repr(self.batch_size))
        if len(self.dataset) < (int(self.batch_size) if self.drop_last else 1):
            got = f"{len(self.dataset)}, batch_size={self.batch_size}"
            raise ShapeError("fit", "enough examples for one batch", got)
        alpha = getattr(self.adversary, "alpha", None)
        if self.adversary is not None and not (isinstance(alpha, Real) and 0 <= float(alpha) <= 1):
            raise RangeError("fit", "an adversary with an alpha from 0 to 1, the share of clean images", repr(alpha))
        if not isinstance(self.seed, Integral) or int(self.seed) < 0:
            raise RangeError("fit", "a seed that is a whole number, at least 0", repr(self.seed))

    def _check_patience(self) -> None:
        patience = self.patience
        if patience is None:
            return
        if not isinstance(patience, Integral) or isinstance(patience, bool) or int(patience) < 1:
            raise RangeError("fit", "a patience of whole epochs, at least 1", repr(patience))
        if self.validation is None or not len(self.validation):
            got = "no validation set" if self.validation is None else "an empty one"
            raise RangeError(
                "fit", "a validation set to be patient with", got, "split one off: rest, validation = train.split(0.9)"
            )


def _check_labels(net: Sequential, data: Dataset) -> None:
    if len(net.output_shape) != 1 or (len(data) and not 0 <= data.y.min() <= data.y.max() < net.output_shape[0]):
        got = f"labels from {data.y.min()} to {data.y.max()}, outputs of shape {net.output_shape}"
        raise RangeError("fit", "a logit for every label", got, "give the network as many classes")


def _check_connected(net: Sequential, x: Array) -> None:
    """Raise `DTypeError` if the outputs for x depend on no parameter; warn of parameters that they do not depend on."""
    reached = linearize(lambda params: net.apply(params, x), net.params).reached()
    cut_off = [name for name in net.params if name not in reached]
    if not reached:
        got = f"outputs cut off from {', '.join(cut_off)}" if cut_off else "a network without parameters"
        fix = "use x instead of x.value in layers, and minidl.ops instead of NumPy"
        raise DTypeError("fit", "a network whose outputs depend on its parameters", got, fix)
    if cut_off:
        message = f"fit: the outputs do not depend on {', '.join(cut_off)}: these are not trained"
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _check_loss(loss: losses.Loss, net: Sequential, dataset: Dataset) -> None:
    """Raise an error for a loss that is not one number per example, or that does not depend on the logits."""
    count = 3 if net.output_shape == (2,) else 2  # not the number of classes, so that axes cannot be confused
    some = dataset.take([0] * count)
    logits = net(some.x)
    losses.of_each("fit", loss, logits, some.y)
    if not linearize(lambda logits: loss(logits, some.y), logits).depends:
        fix = "use logits instead of logits.value in the loss, and minidl.ops instead of NumPy"
        raise DTypeError("fit", "a loss that depends on the logits", "one that is cut off from them", fix)
