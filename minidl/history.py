"""What a run of `fit` leaves behind: its `History`, and checkpoints, from which it goes on to the same bits.

A checkpoint holds parameters, the optimiser's state and the history, and beside them the settings of its run, by which
any other run is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .backend import namespace
from .core import Array
from .errors import DataError
from .identity import digest
from .npz import read_archive, shapes_and_dtypes, write_archive
from .tables import html_table

Arrays = dict[str, Array]

#: The fields of a history that have an entry for each epoch.
_SERIES = ("loss", "accuracy", "validation_error", "seconds", "validation_loss", "lr")


@dataclass
class History:
    """The measurements of `fit`, one entry for each completed epoch.  ``str()`` is a table, which a notebook shows.

    loss: the mean over the training batches, before each update, with dropout and penalty.  With an adversary it is α
    times that of the clean images plus 1 - α times that of the adversarial ones.
    accuracy: likewise; nan with an objective, which may have nothing to do with classes.
    validation_error: on the validation set after the epoch; empty without one.
    seconds: the run time of the epoch.
    interrupted: whether Ctrl-C ended the run early.
    validation_loss: on the validation set after the epoch, without the penalty; empty without one.
    lr: the learning rate at the beginning of the epoch.
    patience: that of `fit`.

    >>> from minidl.train import History
    >>> print(History(loss=[0.5], accuracy=[0.9], seconds=[1.0]))
    epoch      loss  accuracy  validation error  seconds
        1    0.5000    0.9000                 -      1.0
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    validation_loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    patience: int | None = None

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def best_epoch(self) -> int:
        """The first epoch, counted from 1, with the least validation error; 0 if there is none.

        If `fit` was given patience, it leaves the network as it was after this epoch.
        """
        return self.validation_error.index(min(self.validation_error)) + 1 if self.validation_error else 0

    @property
    def stopped_early(self) -> bool:
        """Whether the validation error has not decreased for `patience` epochs."""
        return self.patience is not None and len(self) - self.best_epoch >= self.patience

    @property
    def kept_epoch(self) -> int:
        """The epoch, counted from 1, after which the network was as `fit` leaves it; 0 for the beginning."""
        return len(self) if self.patience is None else self.best_epoch

    def and_then(self, **epoch: float) -> History:
        """This history and one more epoch: a number for each series that has one."""
        longer: dict[str, Any] = {name: [*getattr(self, name), number] for name, number in epoch.items()}
        return replace(self, **longer)

    def __repr__(self) -> str:
        series = {"loss": self.loss, "accuracy": self.accuracy, "validation error": self.validation_error}
        last = [f"{name} {values[-1]:.4f}" for name, values in series.items() if values]
        return f"History({', '.join([f'{len(self)} epochs', *last, *['interrupted'] * self.interrupted])})"

    def _repr_html_(self) -> str:
        columns = self._columns()
        return html_table([column[0].strip() for column in columns], list(zip(*(column[1:] for column in columns))))

    def __str__(self) -> str:
        columns = ([cell.rjust(len(column[0])) for cell in column] for column in self._columns())
        lines = ["  ".join(row) for row in zip(*columns)]
        if self.patience is not None:
            when = f"stopped early after {len(self)}" if self.stopped_early else f"after {len(self)}"
            lines.append(f"{when} epochs, the network is as it was after epoch {self.kept_epoch}")
        return "\n".join(lines)

    def _columns(self) -> list[list[str]]:
        """The columns of the table: a head as wide as its column, and a cell for each epoch."""
        columns: list[tuple[str, Sequence[float], str]] = [("epoch", range(1, len(self) + 1), "d")]
        columns += [("    loss", self.loss, ".4f"), ("accuracy", self.accuracy, ".4f")]
        columns += [("validation loss", self.validation_loss, ".4f")] if self.validation_loss else []
        columns += [("validation error", self.validation_error, ".4f"), ("seconds", self.seconds, ".1f")]
        columns += [("      lr", self.lr, ".2g")] if len(set(self.lr)) > 1 else []
        return [[name, *([f"{entry:{form}}" for entry in entries] or ["-"] * len(self))]
                for name, entries, form in columns]  # fmt: skip


def write_checkpoint(
    path: str | Path, settings: dict[str, Any], history: History, kept: tuple[Arrays, Arrays], params: Arrays,
    state: Arrays,
) -> None:  # fmt: skip
    """A checkpoint at the end of an epoch.

    kept: the parameters that `fit` would have left the network with before this epoch, of which a digest is kept, and
    after it, which are written if they may be others than the last, as with patience.
    """
    header = {"settings": settings, "history": asdict(history), "before": digest(*kept[0].values())}
    best = kept[1] if history.patience is not None else {}
    write_archive(path, "checkpoint", header, _checkpointed(params, state, best))


def resume(
    path: str | Path, settings: dict[str, Any], epochs: int, params: Arrays, state: Arrays
) -> tuple[str, History, Arrays]:
    """Fill params and state from a checkpoint of this run that is not past its last epoch; refuse any other.

    Returns the digest of the run's first parameters, its history, and the parameters that `fit` is to leave.
    The network may have the first parameters, or be where the checkpoint is, or as `fit` left it an epoch earlier:
    after a Ctrl-C while the file was being written, or because that epoch is still the best.  Another learning
    rate is not another run.
    """
    header, arrays = read_archive(path, "checkpoint")
    theirs = header.get("settings")
    if not isinstance(theirs, dict):
        raise DataError("fit", f"{path} to hold the settings of a run", type(theirs).__name__)
    there = digest(*(arrays[f"params/{name}"] for name in params if f"params/{name}" in arrays))
    if settings["start"] in (there, header.get("before")):
        settings = {**settings, "start": theirs.get("start")}
    check_same_run("fit", path, _but_for_the_rate(theirs), _but_for_the_rate(settings))
    patience, places = settings["patience"], _checkpointed(params, state)
    best = {} if patience is None else params
    if shapes_and_dtypes(arrays) != shapes_and_dtypes(_checkpointed(params, state, best)):
        raise DataError("fit", f"{path} to hold the arrays of this run", "others")
    if not all(np.isfinite(array).all() for name, array in arrays.items() if not name.startswith("state/")):
        raise DataError("fit", f"{path} to hold finite parameters", "infinite or NaN ones", "delete the file")
    history = _history(path, header.get("history"), theirs, patience)
    if len(history) > epochs:
        fix = "ask for at least as many, or give this run another file"
        raise DataError("fit", f"{path} to be at most {epochs} epochs old", f"{len(history)} epochs", fix)
    for name, place in places.items():
        place[...] = namespace(place).asarray(arrays[name])
    kind = "params" if patience is None else "best"
    kept = {name: namespace(w).asarray(arrays[f"{kind}/{name}"]) for name, w in params.items()}
    return str(theirs.get("start")), history, kept


def _history(path: str | Path, saved: Any, settings: dict[str, Any], patience: int | None) -> History:
    """The history in a checkpoint's header; `DataError` for anything else."""
    saved = _completed(saved, settings) if isinstance(saved, dict) else {}
    series: dict[str, Any] = {name: saved.get(name) for name in _SERIES}
    numbers = all(isinstance(s, list) and all(isinstance(v, int | float) for v in s) for s in series.values())
    if not numbers or len({len(s) for s in series.values() if s}) > 1:
        raise DataError("fit", f"{path} to hold the history of a run", f"{saved!r}"[:200])
    return History(**series, patience=patience)


def _completed(saved: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """A history with what older files leave out: the rate, which was one number, and the loss on a validation set."""
    optimizer, error = settings.get("optimizer"), saved.get("validation_error")
    rate = optimizer.get("lr", math.nan) if isinstance(optimizer, dict) else math.nan
    epochs, measured = (len(each) if isinstance(each, list) else 0 for each in (saved.get("loss"), error))
    return {"lr": [rate] * epochs, "validation_loss": [math.nan] * measured, **saved}


def _but_for_the_rate(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without the learning rate, which may be another one from some epoch on."""
    optimizer = settings.get("optimizer")
    if not isinstance(optimizer, dict):
        return settings
    return {**settings, "optimizer": {name: value for name, value in optimizer.items() if name != "lr"}}


def check_same_run(operation: str, path: str | Path, theirs: Any, ours: dict[str, Any]) -> None:
    """Refuse the checkpoint of a run with other settings than ours, with `DataError`."""
    known = theirs if isinstance(theirs, dict) else {}
    differing = sorted(name for name in ours if known.get(name) != ours[name])
    if differing:
        fix = "delete the file, or give this run another"
        raise DataError(operation, f"{path} to be a checkpoint of this run", f"other settings: {differing}", fix)


def _checkpointed(params: Arrays, state: Arrays, best: Arrays | None = None) -> Arrays:
    """The arrays a checkpoint holds, under the names it holds them."""
    kinds = {"params": params, "state": state, "best": best or {}}
    return {f"{kind}/{name}": array for kind, arrays in kinds.items() for name, array in arrays.items()}
