"""Networks in files: `save` and `load`.  What they are made of is in `npz`."""

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
    """Write a network, architecture and parameters, to `path` (as given: no suffix is added), atomically.

    Every parameter is an array of the .npz archive under its own name, so that other tools can read them.
    Whatever is saved, `load` gives back.  So `DTypeError` or `ShapeError` are raised, and nothing is written, where
    ``net.params`` are not what the layers ask for, or where a layer is not told by its fields; `DataError` where no
    file can be written.
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
        fix = "give it fields of numbers, strings, initialisers, layers and tuples of layers alone"
        raise DTypeError("save", "layers that can be made again from their fields", f"{layer}: {error}", fix) from error
    if repr(again) != repr(layer):
        fix = "keep what it computes with in its fields"
        raise DTypeError("save", "layers that are told by their fields", f"{layer}, which comes back as {again}", fix)
    return description


def load(path: str | Path) -> Sequential:
    """The network in a file written by `save`, with its parameters in the array library in use.

    Nothing is built before it is known that the file holds the parameters of its layers, so that it costs no more
    memory than they do.
    Raises `DataError` if the file is missing, damaged, of another kind, or inconsistent with itself.  Layers
    of your own must be defined (their module imported) before.
    """
    with opened(path, "network") as archive:
        header = archive.header
        layers = [Described.rebuild(description, archive.is_older) for description in header["layers"]]
        net = Sequential.undrawn(*layers, input_shape=header["input_shape"], dtype=header["dtype"])
        wanted = {name: (shape, net.dtype) for name, shape in net.parameter_shapes().items()}
        found = archive.shapes_and_dtypes()
        if wanted != found:
            differing = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
            raise DataError("load", f"{path} to hold the parameters of its layers", f"others for {differing}")
        numbers = sum(prod(shape) for shape, _ in wanted.values())
        arrays = archive.arrays(most=numbers * np.dtype(net.dtype).itemsize + HEADERS * len(wanted))
        net.params.update({name: asarray(arrays[name]) for name in wanted})
    return net


HEADERS = 4096  # bytes, more than that of any array
