"""`Sequential`: layers in a row, with parameters of their own.

A network owns a flat dict of parameters, ``net.params``, named after its layers ("dense1.W", "dense1.b").
``net(x)`` uses them; ``net.apply(params, x, rng)`` is the same function with everything it depends on
spelled out, which is what gets differentiated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from .backend import asarray
from .core import Array
from .errors import DTypeError, RangeError, ShapeError
from .inputs import reshaped
from .layers import Flatten, Layer, Shape, Softmax
from .plan import Plan, joining, plan
from .tables import html_table


class Sequential:
    """Layers applied one after the other.

    layers: one or more.
    input_shape: of one example, such as (1, 28, 28).  A network that starts with Flatten accepts flat rows as well.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.
    fused: whether neighbouring layers are computed as one, where `plan` joins them; it does so on compiled kernels.
    The outputs are the same up to rounding.  The attribute can be set at any time.

    `params` is a flat dict of arrays: "dense1.W", "dense1.b", …; `layers` a dict of the layers by name; `output_shape`
    the shape of one output.  `up_to` makes a network of the first layers.
    Raises: `ShapeError` for lengths below 1, or for two layers that do not fit; `DTypeError` for anything but layers.

    >>> import numpy as np
    >>> from minidl import Sequential
    >>> from minidl.layers import Dense, Flatten, ReLU
    >>> net = Sequential(Flatten(), Dense(50), ReLU(), Dense(10), input_shape=(1, 28, 28))
    >>> net(np.zeros((3, 1, 28, 28), dtype=np.float32)).shape, sorted(net.params)
    ((3, 10), ['dense1.W', 'dense1.b', 'dense2.W', 'dense2.b'])
    """

    fused = True  # for networks that were pickled by older versions
    _kept: tuple[list[Any], dict[str, Layer], Plan] | None = None  # the last plan, and what it was made for

    def __init__(self, *layers: Layer, input_shape: int | Sequence[int], seed: int = 0, dtype: str = "float32",
                 fused: bool = True) -> None:  # fmt: skip
        self._describe(layers, input_shape, dtype)
        self.fused = fused
        drawn = self._drawn(np.random.default_rng(seed))
        self.params: dict[str, Array] = {name: _to_write_to(asarray(draw, dtype=self.dtype)) for name, draw in drawn}

    @classmethod
    def undrawn(cls, *layers: Layer, input_shape: int | Sequence[int], dtype: str = "float32") -> Sequential:
        """The network without parameters, which are to be set afterwards.  It needs hardly any memory."""
        net = cls.__new__(cls)
        net._describe(layers, input_shape, dtype)
        net.params = {}
        return net

    def _describe(self, layers: Sequence[Layer], input_shape: int | Sequence[int], dtype: str) -> None:
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            got = f"{[type(layer).__name__ for layer in layers]}"
            raise DTypeError("Sequential", "one or more layers", got, "pass them one by one: Sequential(a, b, ...)")
        self.input_shape = _whole(input_shape)
        self.dtype = str(np.dtype(dtype))
        if np.dtype(dtype).kind != "f":
            raise DTypeError("Sequential", "a floating-point dtype", self.dtype, 'dtype="float32"')
        self.layers: dict[str, Layer] = _named(layers)
        self.shapes: dict[str, Shape] = {}  # of each layer's output

    def _drawn(self, rng: Any) -> Iterator[tuple[str, Any]]:
        """The name and the initial value of each parameter.  Raises `ShapeError` for layers that do not fit."""
        shape = self.input_shape
        for name, layer in self.layers.items():
            for key, draw in layer.init(shape, rng).items():
                yield f"{name}.{key}", draw
            shape = self.shapes[name] = layer.output_shape(shape)

    def parameter_shapes(self) -> dict[str, Shape]:
        """The name and shape of each parameter that the layers need, whatever ``net.params`` holds."""
        return {name: tuple(draw.shape) for name, draw in self._drawn(_ShapesAlone())}

    def check_params(self, operation: str, writable: bool = False) -> None:
        """Raise `DTypeError` or `ShapeError` unless ``net.params`` are what the layers need, in ``net.dtype``.

        writable: whether they must be writable, to be changed in place.
        The error names the parameters that differ.
        """
        wanted, fix = self.parameter_shapes(), "change them in place: net.params[name][...] = value"
        if not isinstance(self.params, dict):
            raise DTypeError(operation, "net.params to be a dict of arrays", type(self.params).__name__, fix)
        if other := wanted.keys() ^ self.params.keys():
            got = ", ".join(f"{name} {'missing' if name in wanted else 'besides'}" for name in sorted(map(str, other)))
            raise ShapeError(operation, "net.params with the names that the layers give them", got, fix)
        for name, w in self.params.items():
            if str(getattr(w, "dtype", type(w).__name__)) != self.dtype:
                got = f"{name} of {getattr(w, 'dtype', type(w).__name__)}"
                raise DTypeError(operation, f"parameters of dtype {self.dtype}, as the network's", got, fix)
            if w.shape != wanted[name]:
                raise ShapeError(operation, f"{name} of shape {wanted[name]}", f"{w.shape}", fix)
            if writable and not getattr(getattr(w, "flags", None), "writeable", True):
                copied = f"write net.params[{name!r}] = net.params[{name!r}].copy()"
                raise DTypeError(operation, "parameters that can be changed in place", f"{name}, read-only", copied)

    def __call__(self, x: Array) -> Array:
        """The outputs (N, *output_shape) for x (N, *input_shape), in evaluation mode: no dropout."""
        return self.apply(self.params, x)

    def apply(self, params: dict[str, Array], x: Array, rng: Any = None) -> Array:
        """The outputs for these parameters.  Dropout is active exactly when an rng is given.

        Raises `ShapeError` if x is not a batch of inputs.
        """
        self.check_input(x)
        for step in self.plan():
            x = step.apply(lambda name: self.params_of(name, params), x, rng)
        return x

    def plan(self) -> Plan:
        """The steps in which `apply` computes now; ``print(net.plan())`` shows them.

        On compiled kernels neighbouring layers are joined, if ``net.fused``; else there is a step for each layer.  The
        plan is kept until the kernels, `fused` or a layer changes.
        """
        join = self.fused and joining()
        made_for = [join, *((name, id(layer)) for name, layer in self.layers.items())]
        last = self._kept
        if last is None or last[0] != made_for:  # layers are kept as well, so that no other object gets their ids
            last = self._kept = made_for, dict(self.layers), plan(self.layers, join)
        return last[2]

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: everything but the plan, which holds functions and is quickly made again."""
        return {name: value for name, value in vars(self).items() if name != "_kept"}

    def steps(self, params: dict[str, Array], x: Array, rng: Any = None) -> Iterator[tuple[str, Array]]:
        """The name and output of every layer in turn; none are joined."""
        self.check_input(x)
        for name, layer in self.layers.items():
            x = layer.apply(self.params_of(name, params), x, rng)
            yield name, x

    def up_to(self, name: str) -> Sequential:
        """The first layers as a network of their own, which ends with the layer of this name, and *shares parameters*.

        So training one trains the other.  ``net.up_to("dense2")(x)`` are the features x has there: the code of an
        autoencoder, or the last hidden layer of a classifier.
        Raises `RangeError` for a name that no layer has.
        """
        if name not in self.layers:
            raise RangeError("up_to", f"a layer of {list(self.layers)}", repr(name))
        first = list(self.layers.values())[: list(self.layers).index(name) + 1]
        net = Sequential.undrawn(*first, input_shape=self.input_shape, dtype=self.dtype)
        net.shapes = {name: self.shapes[name] for name in net.layers}
        net.params = {key: self.params[key] for name in net.layers for key in self.params if key.startswith(name + ".")}
        net.fused = self.fused
        return net

    def check_input(self, x: Array) -> None:
        """Raise `ShapeError` for anything but a batch of inputs; it says what to type, if that is clear."""
        flat = isinstance(next(iter(self.layers.values())), Flatten) and x.shape[1:] == (prod(self.input_shape),)
        if x.ndim < 1 or (x.shape[1:] != self.input_shape and not flat):
            expected = f"a batch (N, {', '.join(map(str, self.input_shape))})"
            raise ShapeError("network", expected, f"{x.shape}", reshaped(x.shape, self.input_shape))

    def params_of(self, name: str, params: dict[str, Array] | None = None) -> dict[str, Array]:
        """The parameters of one layer under its own names ("W", "b"), from `params`, or from ``net.params`` if None."""
        params = self.params if params is None else params
        return {key[len(name) + 1 :]: value for key, value in params.items() if key.startswith(name + ".")}

    @property
    def output_shape(self) -> Shape:
        return list(self.shapes.values())[-1]

    @property
    def gives_probabilities(self) -> bool:
        """Whether the network ends with a Softmax, so that its outputs are not logits."""
        return isinstance(list(self.layers.values())[-1], Softmax)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers.values()))
        return f"Sequential({layers}, input_shape={self.input_shape}, dtype={self.dtype!r})"

    def _repr_html_(self) -> str:
        heads, *rows = self._rows()
        return html_table(heads, rows)

    def summary(self) -> str:
        """A table of the layers: name, kind, output shape, and number of parameters."""
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
                         for a, b, c, d in rows)  # fmt: skip

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """The table of the layers, its heads first."""
        counts = {name: sum(value.size for value in self.params_of(name).values()) for name in self.layers}
        kinds = [(n, type(la).__name__, str(self.shapes.get(n, "")), f"{counts[n]:,}") for n, la in self.layers.items()]
        return [("layer", "kind", "output", "parameters"), ("input", "", str(self.input_shape), ""), *kinds,
                ("total", "", "", f"{sum(counts.values()):,}")]  # fmt: skip


def _whole(given: Any) -> Shape:
    """The shape of one input, a tuple of whole numbers, at least 1 each; else `ShapeError`."""
    lengths = tuple(given) if isinstance(given, Sequence) else (given,)
    if not all(isinstance(n, Integral) and int(n) >= 1 for n in lengths):
        expected = "an input_shape of whole numbers, at least 1 each"
        raise ShapeError("Sequential", expected, repr(given), "input_shape=(1, 28, 28) for digits")
    return tuple(map(int, lengths))


def _to_write_to(w: Array) -> Array:
    return w if getattr(w.flags, "writeable", True) else w.copy()


class _ShapesAlone:
    """A substitute for a random generator where only shapes are needed: one number, broadcast to any shape."""

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = None) -> np.ndarray:
        return np.broadcast_to(np.float64(loc), () if size is None else size)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> np.ndarray:
        return self.normal(low, high, size)

    def __getattr__(self, name: str) -> Any:
        """Other draws, for layers and initialisers of your own, are really drawn."""
        return getattr(np.random.default_rng(0), name)


def _named(layers: Sequence[Layer]) -> dict[str, Layer]:
    """dense1, relu1, dense2, …: the kind in lower case, counted; Conv2d is conv."""
    counts: Counter[str] = Counter()
    named = {}
    for layer in layers:
        kind = type(layer).__name__.lower().removesuffix("2d")
        counts[kind] += 1
        named[f"{kind}{counts[kind]}"] = layer
    return named
