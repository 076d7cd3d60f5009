"""`FoolingResult`: an image for each class, the network's confidence in it, and the history of the search."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.errors import DataError, DTypeError
from minidl.npz import read_archive, write_archive

from ..common.checks import check_counts, check_seed
from ..common.precision import check_dtype
from .archive import ARCHIVES, MapElites


def as_percent(confidence: Any, decimals: int = 2) -> str:
    """0.99996 as 99.99 %: rounded down, so that only 1 is 100 %.

    confidence: from 0 to 1.
    decimals: how many, at least 0.

    >>> from attacks.evolution.result import as_percent
    >>> as_percent(0.99996)
    '99.99 %'
    """
    rounded = floor(float(confidence) * 100 * 10**decimals) / 10**decimals
    return f"{rounded:.{decimals}f} %"


@dataclass(frozen=True, eq=False)
class FoolingResult:
    """One image for each of K classes, made from nothing, with the network's confidence in that class.

    images: (K, C, H, W).
    confidence: the probability of class k for image k (K,), float64.  In another batch it may round differently.
    history: the confidence after each of G generations or steps (G, K), a NumPy array.
    archive: the last one, with genomes; None for gradient ascent.
    forwards: images run through the network.
    backwards: cotangents pulled back through it.
    seed: as given.
    params: the attack's name and its parameters, "interrupted" among them.
    seconds: the run time.

    >>> from attacks import fool_direct
    >>> from minidl import models
    >>> result = fool_direct(models.lenet(), generations=2, population=5)
    >>> result.images.shape, result.history.shape, result.forwards
    ((10, 1, 28, 28), (2, 10), 10)
    """

    images: Array
    confidence: Array
    history: np.ndarray
    archive: MapElites | None
    forwards: int
    backwards: int
    seed: int
    params: dict[str, Any]
    seconds: float

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        confidence = to_numpy(self.confidence)
        sure = f", median confidence {as_percent(np.median(confidence))}" if len(self) else ""
        return f"FoolingResult({self.params.get('attack', 'attack')}: {len(self)} images{sure})"

    @property
    def median(self) -> np.ndarray:
        """The median over the classes of the confidence, after each generation: (G,)."""
        return np.median(self.history, axis=1)

    def summary(self) -> str:
        """A few lines for the terminal: the attack, the confidences, and the cost."""
        apart = ("attack", "encoding")
        given = ", ".join(f"{key}={value}" for key, value in self.params.items() if key not in apart)
        confidence = to_numpy(self.confidence)
        median, worst = as_percent(np.median(confidence), 4), as_percent(confidence.min(), 4)
        return "\n  ".join([
            f"{self.params['attack']}({given}) for {len(self)} classes; done: {len(self.history)}",
            *([self.params["encoding"]] if "encoding" in self.params else []),
            f"confidence: median {median}, least {worst} (class {confidence.argmin()})",
            f"{self.forwards} forward, {self.backwards} backward, {self.seconds:.1f} s",
        ])  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write everything to an .npz file, atomically; `FoolingResult.load` reads it back.

        Raises `DTypeError` for an archive of a class of your own, which `load` could not make again.
        """
        kind = None if self.archive is None else type(self.archive).__name__
        if kind is not None and ARCHIVES.get(kind) is not type(self.archive):
            raise DTypeError("save", f"an archive of {sorted(ARCHIVES)}", kind)
        elites = {} if self.archive is None else self.archive.arrays()
        arrays = {"images": self.images, "confidence": self.confidence, "history": self.history}
        header = {"archive": kind, "forwards": self.forwards, "backwards": self.backwards, "seed": self.seed,
                  "params": self.params, "seconds": self.seconds}  # fmt: skip
        write_archive(path, "fooling", header, arrays | {f"archive/{name}": a for name, a in elites.items()})

    @staticmethod
    def load(path: str | Path) -> FoolingResult:
        """The result in a file written by `save`.  Raises `DataError` for any other file."""
        header, arrays = read_archive(path, "fooling")
        known = ("forwards", "backwards", "seed", "params", "seconds")
        try:
            elites = {name.partition("/")[2]: asarray(a) for name, a in arrays.items() if name.startswith("archive/")}
            archive = ARCHIVES[header["archive"]].from_arrays(elites) if header["archive"] else None
            images, confidence = asarray(arrays["images"]), asarray(arrays["confidence"])
            result = FoolingResult(images, confidence, arrays["history"], archive, **{n: header[n] for n in known})
            _check_sound(result)
        except (KeyError, TypeError, IndexError, ValueError) as error:  # which minidl's own are, too
            raise DataError("load", f"{path} to hold fooling images", repr(error)) from error
        return result


def _check_sound(result: FoolingResult) -> None:
    """Raise `TypeError` or `ValueError` for fields that no search has written."""
    lengths = {len(result.images), len(result.confidence), result.history.shape[1], len(result.archive or result)}
    if len(lengths) != 1 or result.confidence.ndim != 1 or result.history.ndim != 2:
        raise ValueError("arrays of different lengths")
    check_dtype("load", result.images)
    for shares in (to_numpy(result.confidence), result.history):
        if shares.dtype.kind != "f" or not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError("confidences that are no probabilities")
    check_counts("load", least=0, forwards=result.forwards, backwards=result.backwards)
    check_seed("load", result.seed)
    if not isinstance(result.params, dict) or not isinstance(result.seconds, Real):
        raise TypeError("parameters that are no names and values, or seconds that are no number")
