"""Checkpoints of evolution: the archive, its history, and the settings of the run, to recognise it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.errors import DataError, RangeError, ShapeError
from minidl.files import check_writable
from minidl.history import check_same_run
from minidl.identity import digest, identity
from minidl.npz import read_archive, write_archive

from ..common.victim import Victim
from .archive import MapElites
from .genome import Draws, Encoding


def names(victim: Victim, encoding: Encoding, archive: type[MapElites]) -> dict[str, Any]:
    """What a checkpoint recognises a run by: victim, bounds, encoding, archive, and a digest of the parameters.

    Raises `DTypeError` for something that cannot be told from others of its kind.
    """
    known = {"victim": victim.net, "encoding": encoding, "archive": archive, "bounds": victim.bounds}
    params = getattr(victim.net, "params", {})
    return {name: identity("evolve", given) for name, given in known.items()} | {"parameters": digest(*params.values())}


def check_same_victim(elites: MapElites, fitness: Array) -> None:
    """Raise `DataError` if the victim's fitness (K, K) of the archive is not that in its file: it is another victim's.

    In another batch, logits differ by rounding errors.
    """
    now, then = to_numpy(fitness).diagonal(), to_numpy(elites.fitness)
    if not np.allclose(now, then, rtol=1e-2, atol=1e-3):
        fix = "delete the file, or give this run another"
        raise DataError("evolve", f"a victim that gives the archive's images {np.exp(then)}", f"{np.exp(now)}", fix)


def write(path: str | Path, settings: dict[str, Any], elites: MapElites, history: list[np.ndarray]) -> None:
    """A checkpoint after the last generation of the history."""
    write_archive(path, "evolution", {"settings": settings}, {**elites.arrays(), "history": np.stack(history)})


def resumed(
    path: str | Path, settings: dict[str, Any], encoding: Encoding, archive: type[MapElites], generations: int
) -> tuple[MapElites | None, list[np.ndarray]]:
    """The archive and history in a checkpoint of this run; None and [] if there is no file.

    Raises `DataError` for a file of another kind or run, or of more generations, and if no file can be written.
    """
    check_writable("evolve", path)
    if not Path(path).exists():
        return None, []
    header, arrays = read_archive(path, "evolution")
    check_same_run("evolve", path, header.get("settings"), settings)
    try:
        history = list(arrays.pop("history"))
        elites = archive.from_arrays({name: asarray(a) for name, a in arrays.items()})
        _check_sound(elites, history, encoding)
    except (KeyError, TypeError, IndexError, ValueError) as error:  # which minidl's own are, too
        raise DataError("evolve", f"{path} to hold the archive of a run", repr(error)) from error
    if not 1 <= len(history) <= generations:
        fix = "ask for at least as many, or give this run another file"
        raise DataError("evolve", f"{path} to be at most {generations} generations old", f"{len(history)}", fix)
    return elites, history


def _check_sound(elites: MapElites, history: list[np.ndarray], encoding: Encoding) -> None:
    """Raise `ShapeError` or `RangeError` for arrays that no run with this encoding and history has written."""
    usual = encoding.start(1, Draws(0, 0)).arrays
    for name, array in elites.genomes.arrays.items():
        if name not in usual or (array.shape[1:], array.dtype) != (usual[name].shape[1:], usual[name].dtype):
            raise ShapeError("evolve", "genomes of this encoding", f"{name} {array.dtype} {array.shape}")
    fitness, born, last = to_numpy(elites.fitness), to_numpy(elites.born), np.asarray(history[-1])
    if not (fitness.shape == born.shape == last.shape == (len(elites),) and np.allclose(np.exp(fitness), last)):
        raise RangeError("evolve", "a history that ends where the archive is", f"{last} and {np.exp(fitness)}")
    if born.dtype.kind != "i" or not ((born >= 0) & (born < len(history))).all():
        raise RangeError("evolve", f"births in generations 0 ... {len(history) - 1}", f"{born}")
    if not np.allclose(to_numpy(encoding.render(elites.genomes)), to_numpy(elites.images)):
        raise RangeError("evolve", "the images of its genomes", "others")
