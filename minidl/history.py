"""What a run of `fit` leaves behind: its `History`, and checkpoints, from which it goes on to the same bits.

A checkpoint holds parameters, the optimiser's state and the history, and beside them the settings of its run, by which
any other run is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
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


@dataclass
class History:
    """What `fit` saw, one entry per completed epoch.

    loss and accuracy are means over the training batches as they came (dropout on, weights still moving);
    loss includes the penalty.  With an adversary both are of the images that were learnt from: α times that of the
    clean ones and 1 - α times that of the adversarial ones.  validation_error is the error on the validation set, as
    it is, after the epoch, and is empty without one.  interrupted: whether Ctrl-C ended the run before its last epoch.
    ``str()`` gives a table of the epochs, and a notebook shows one.
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

    def __repr__(self) -> str:
        series = {"loss": self.loss, "accuracy": self.accuracy, "validation error": self.validation_error}
        last = [f"{name} {values[-1]:.4f}" for name, values in series.items() if values]
        return f"History({', '.join([f'{len(self)} epochs', *last, *['interrupted'] * self.interrupted])})"

    def _repr_html_(self) -> str:
        error: list[Any] = [*self.validation_error] or ["-"] * len(self)
        seconds = [f"{s:.1f}" for s in self.seconds]
        rows = list(zip(range(1, len(self) + 1), self.loss, self.accuracy, error, seconds))
        return html_table(["epoch", "loss", "accuracy", "validation error", "seconds"], rows)

    def __str__(self) -> str:
        lines = [f"{'epoch':>5}  {'loss':>8}  {'accuracy':>8}  {'validation error':>16}  {'seconds':>7}"]
        for i in range(len(self)):
            error = f"{self.validation_error[i]:.4f}" if self.validation_error else "-"
            lines.append(
                f"{i + 1:>5}  {self.loss[i]:>8.4f}  {self.accuracy[i]:>8.4f}  {error:>16}  {self.seconds[i]:>7.1f}"
            )
        return "\n".join(lines)


def write_checkpoint(
    path: str | Path, settings: dict[str, Any], history: History, before: Arrays, params: Arrays, state: Arrays
) -> None:
    """A checkpoint at the end of an epoch.  before: the parameters at its beginning, of which a digest is kept."""
    header = {"settings": settings, "history": asdict(history), "before": digest(*before.values())}
    write_archive(path, "checkpoint", header, _checkpointed(params, state))


def resume(
    path: str | Path, settings: dict[str, Any], epochs: int, params: Arrays, state: Arrays
) -> tuple[str, History]:
    """Fill params and state from a checkpoint of this run that is not past its last epoch; refuse any other.

    The run's first parameters come back as a digest.  The network may have them, or be where the checkpoint is, or
    an epoch earlier, as after a Ctrl-C while the file was being written.
    """
    header, arrays = read_archive(path, "checkpoint")
    theirs = header.get("settings")
    if not isinstance(theirs, dict):
        raise DataError("fit", f"{path} to hold the settings of a run", type(theirs).__name__)
    there = digest(*(arrays[f"params/{name}"] for name in params if f"params/{name}" in arrays))
    if settings["start"] in (there, header.get("before")):
        settings = {**settings, "start": theirs.get("start")}
    check_same_run("fit", path, theirs, settings)
    places = _checkpointed(params, state)
    if shapes_and_dtypes(arrays) != shapes_and_dtypes(places):
        raise DataError("fit", f"{path} to hold the arrays of this run", "others")
    if not all(np.isfinite(arrays[f"params/{name}"]).all() for name in params):
        raise DataError("fit", f"{path} to hold finite parameters", "infinite or NaN ones", "delete the file")
    history = _history(path, header.get("history"))
    if len(history) > epochs:
        fix = "ask for at least as many, or give this run another file"
        raise DataError("fit", f"{path} to be at most {epochs} epochs old", f"{len(history)} epochs", fix)
    for name, place in places.items():
        place[...] = namespace(place).asarray(arrays[name])
    return str(theirs.get("start")), history


def _history(path: str | Path, told: Any) -> History:
    """The history in a checkpoint's header; `DataError` for anything else."""
    names = [f.name for f in fields(History) if f.name != "interrupted"]
    series: dict[str, Any] = {name: told.get(name) if isinstance(told, dict) else None for name in names}
    numbers = all(isinstance(s, list) and all(isinstance(v, int | float) for v in s) for s in series.values())
    if not numbers or len({len(s) for s in series.values() if s}) > 1:
        raise DataError("fit", f"{path} to hold the history of a run", f"{told!r}"[:200])
    return History(**series)


def check_same_run(operation: str, path: str | Path, theirs: Any, ours: dict[str, Any]) -> None:
    """Refuse the checkpoint of a run with other settings than ours, with `DataError`."""
    known = theirs if isinstance(theirs, dict) else {}
    differing = sorted(name for name in ours if known.get(name) != ours[name])
    if differing:
        fix = "delete the file, or give this run another"
        raise DataError(operation, f"{path} to be a checkpoint of this run", f"other settings: {differing}", fix)


def _checkpointed(params: Arrays, state: Arrays) -> Arrays:
    """The arrays a checkpoint holds, under the names it holds them."""
    return {f"params/{name}": w for name, w in params.items()} | {f"state/{name}": s for name, s in state.items()}
