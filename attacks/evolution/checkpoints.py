"""Checkpoints of evolution: the archive and its history, and the settings of their run, by which others are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.errors import DataError, DTypeError, MinidlError
from minidl.history import can_name, check_same_run, digest, name_of
from minidl.io import read_archive, write_archive

from ..victim import Victim
from .archive import MapElites
from .genome import Encoding


def names(victim: Victim, encoding: Encoding, archive: type[MapElites]) -> dict[str, Any]:
    """What a checkpoint knows a victim by: its name and bounds, and a checksum of its parameters if it has some.

    Raises `DTypeError` for what cannot be told from others of its kind.
    """
    for given in (victim.net, encoding, archive):
        if not can_name(given):
            expected = "a victim, an encoding and an archive that a checkpoint can tell from others"
            fix = "define it at the top level of a module, and give it a repr that says its parameters"
            raise DTypeError("evolve", expected, name_of(given), fix)
    params = getattr(victim.net, "params", {})
    return {"victim": name_of(victim.net), "bounds": list(victim.bounds), "parameters": digest(*params.values())}


def check_judge(elites: MapElites, fitness: Array) -> None:
    """Refuse an archive that the victim judges otherwise, fitness (K, K), than its file says: it is another's.

    Raises `DataError`.  In another batch, logits differ by roundings.
    """
    now, then = to_numpy(fitness).diagonal(), to_numpy(elites.fitness)
    if not np.allclose(now, then, rtol=1e-2, atol=1e-3):
        fix = "delete the file, or give this run another"
        raise DataError("evolve", f"a victim that gives the archive's images {np.exp(then)}", f"{np.exp(now)}", fix)


def write(path: str | Path, settings: dict[str, Any], elites: MapElites, history: list[np.ndarray]) -> None:
    """A checkpoint after the last generation of the history."""
    write_archive(path, "evolution", {"settings": settings}, {**elites.arrays(), "history": np.stack(history)})


def resumed(
    path: str | Path, settings: dict[str, Any], archive: type[MapElites], generations: int
) -> tuple[MapElites | None, list[np.ndarray]]:
    """The archive and history in a checkpoint of this run that is not past its end; nothing if there is no file.

    Raises `DataError` for a file of any other kind or run, and where no file can be written: now rather than later.
    """
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise DataError("evolve", f"a checkpoint in a folder that can be written to, {folder}", "one that cannot")
    if not Path(path).exists():
        return None, []
    header, arrays = read_archive(path, "evolution")
    check_same_run("evolve", path, header.get("settings", {}), settings)
    try:
        history = list(arrays.pop("history"))
        elites = archive.from_arrays({name: asarray(a) for name, a in arrays.items()})
    except (KeyError, TypeError, MinidlError) as error:
        raise DataError("evolve", f"{path} to hold the archive of a run", repr(error)) from error
    if not 1 <= len(history) <= generations:
        fix = "ask for at least as many, or give this run another file"
        raise DataError("evolve", f"{path} to be at most {generations} generations old", f"{len(history)}", fix)
    return elites, history
