"""Networks in files: `save` and `load`.  The format is that of `npz`."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .backend import asarray
from .errors import DataError, DTypeError
from .layers import Described, Layer
from .npz import opened, write_archive
from .sequential import Sequential


def save(net: Sequential, path: str | Path) -> None:
    """Write a network to a file, atomically: its layers and its parameters.

    net: a `Sequential`.
    path: the file, as given; no suffix is added.  It is an .npz archive with an array for each parameter, under its
    name.

    `load` returns the same network.  So nothing is written, and an error is raised, if it could not:
    Raises: `DTypeError` or `ShapeError` if ``net.params`` are not what the layers need, or if a layer is not described
    by its fields; `DataError` if the file cannot be written.

    >>> import pathlib, tempfile
    >>> from minidl import load, models, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(models.lenet(), pathlib.Path(folder, "lenet.npz"))
    ...     load(pathlib.Path(folder, "lenet.npz")).output_shape
    (10,)
    """
    if not isinstance(net, Sequential):
        fix = "exchange them: minidl.save(net, path)" if isinstance(path, Sequential) else "minidl.save(net, path)"
        raise DTypeError("save", "a network first", type(net).__name__, fix)
    net.check_params("save")
    layers = [_description(layer) for layer in net.layers.values()]
    header = {"layers": layers, "input_shape": net.input_shape, "dtype": net.dtype}
    write_archive(path, "network", header, net.params)


def _description(layer: Layer) -> dict[str, Any]:
    """The layer as plain data, from which the same one can be made."""
    description = layer.describe()
    try:
        again = Described.rebuild(json.loads(json.dumps(description)))
    except (TypeError, ValueError) as error:
        fix = "give it fields of numbers, strings, initialisers, layers and tuples of layers only"
        raise DTypeError("save", "layers that can be made again from their fields", f"{layer}: {error}", fix) from error
    if repr(again) != repr(layer):
        fix = "keep what it computes with in its fields"
        raise DTypeError(
            "save", "layers that are described by their fields", f"{layer}, which is loaded as {again}", fix
        )
    return description


def load(path: str | Path) -> Sequential:
    """The network in a file written by `save`, with its parameters in the array library in use.

    path: the file.  Layers of your own must be defined before: import their module.

    Returns: a `Sequential`.  Shapes are checked before anything is built, so that a wrong file costs no memory.
    Raises: `DataError` if the file is missing, damaged, of another kind, or inconsistent.

    >>> from minidl import load
    >>> load("no such file.npz")
    Traceback (most recent call last):
    minidl.errors.DataError: load: expected ...
    """
    with opened(path, "network") as archive:
        header = archive.header
        layers = [Described.rebuild(description, archive.is_older) for description in header["layers"]]
        net = Sequential.undrawn(*layers, input_shape=header["input_shape"], dtype=header["dtype"])
        wanted = {name: (shape, net.dtype) for name, shape in net.parameter_shapes().items()}
        stored = archive.shapes_and_dtypes()
        if wanted != stored:
            differing = sorted(n for n in wanted.keys() | stored.keys() if wanted.get(n) != stored.get(n))
            raise DataError("load", f"{path} to hold the parameters of its layers", f"others for {differing}")
        numbers = sum(prod(shape) for shape, _ in wanted.values())
        arrays = archive.arrays(most=numbers * np.dtype(net.dtype).itemsize + HEADERS * len(wanted))
        net.params.update({name: asarray(arrays[name]) for name in wanted})
    return net


HEADERS = 4096  # bytes, more than that of any array
