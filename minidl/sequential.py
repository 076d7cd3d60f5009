"""`Sequential`: layers in a row, with parameters of their own.

A network owns a flat dict of parameters, ``net.params``, named after its layers ("dense1.W", "dense1.b").
``net(x)`` uses them; ``net.apply(params, x, rng)`` is the same function with everything it depends on
spelled out, which is what gets differentiated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from .backend import asarray
from .core import Array
from .errors import DTypeError, ShapeError
from .layers import Flatten, Layer, Shape, Softmax
from .plan import Plan, plan


class Sequential:
    """Layers applied one after the other.

    input_shape: of one example, such as (1, 28, 28).  A network that starts with Flatten takes flat rows as
    well.  seed: of the initial parameters.  dtype: "float32" for work, "float64" for checking derivatives.
    fused: whether neighbouring layers are computed as one where `plan` joins them; the outputs are the same but
    for rounding.  An attribute that can be set at any time.
    Raises `ShapeError` as soon as two layers do not fit.
    """

    fused = True  # for networks pickled before there was a choice

    def __init__(self, *layers: Layer, input_shape: int | Sequence[int], seed: int = 0, dtype: str = "float32",
                 fused: bool = True) -> None:  # fmt: skip
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            got = f"{[type(layer).__name__ for layer in layers]}"
            raise DTypeError("Sequential", "one or more layers", got, "pass them one by one: Sequential(a, b, ...)")
        self.input_shape: Shape = tuple(map(int, input_shape if isinstance(input_shape, Sequence) else (input_shape,)))
        self.dtype = str(np.dtype(dtype))
        if np.dtype(dtype).kind != "f":
            raise DTypeError("Sequential", "a floating-point dtype", self.dtype, "float32 or float64")
        self.layers: dict[str, Layer] = _named(layers)
        self.fused = fused
        self.shapes: dict[str, Shape] = {}  # what comes out of each layer
        self.params: dict[str, Array] = {}
        rng, shape = np.random.default_rng(seed), self.input_shape
        for name, layer in self.layers.items():
            for key, draw in layer.init(shape, rng).items():
                self.params[f"{name}.{key}"] = asarray(draw, dtype=self.dtype)
            shape = self.shapes[name] = layer.output_shape(shape)

    def __call__(self, x: Array) -> Array:
        """The outputs (N, *output_shape) for x (N, *input_shape), in evaluation mode: no dropout."""
        return self.apply(self.params, x)

    def apply(self, params: dict[str, Array], x: Array, rng: Any = None) -> Array:
        """The outputs for these parameters.  Dropout is active exactly when an rng is given.

        Raises `ShapeError` if x is not a batch of inputs.
        """
        self._check_input(x)
        for step in self.plan():
            x = step.apply(lambda name: self.params_of(name, params), x, rng)
        return x

    def plan(self) -> Plan:
        """The steps in which `apply` computes: layers joined where ``net.fused``, else one by one.  Print it."""
        return plan(self.layers, self.fused)

    def steps(self, params: dict[str, Array], x: Array, rng: Any = None) -> Iterator[tuple[str, Array]]:
        """The name and output of every layer in turn, none of them joined, for those who want to look inside."""
        self._check_input(x)
        for name, layer in self.layers.items():
            x = layer.apply(self.params_of(name, params), x, rng)
            yield name, x

    def _check_input(self, x: Array) -> None:
        flat = isinstance(next(iter(self.layers.values())), Flatten) and x.shape[1:] == (prod(self.input_shape),)
        if x.ndim < 1 or (x.shape[1:] != self.input_shape and not flat):
            expected = f"a batch (N, {', '.join(map(str, self.input_shape))})"
            raise ShapeError("network", expected, f"{x.shape}",
                             "one example alone is x[None]" if x.shape == self.input_shape else "")  # fmt: skip

    def params_of(self, name: str, params: dict[str, Array] | None = None) -> dict[str, Array]:
        """The parameters of one layer under its own names for them ("W", "b"): of ``net.params`` if None are given."""
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

    def summary(self) -> str:
        """A table of the layers: name, what it is, the shape that comes out, and its number of parameters."""
        counts = {
            name: sum(value.size for key, value in self.params.items() if key.startswith(name + "."))
            for name in self.layers
        }
        rows = [("layer", "kind", "output", "parameters"), ("input", "", str(self.input_shape), "")]
        rows += [(n, type(la).__name__, str(self.shapes[n]), f"{counts[n]:,}") for n, la in self.layers.items()]
        rows += [("total", "", "", f"{sum(counts.values()):,}")]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
                         for a, b, c, d in rows)  # fmt: skip


def _named(layers: Sequence[Layer]) -> dict[str, Layer]:
    """dense1, relu1, dense2, …: the kind in lower case, counted; Conv2d is conv."""
    seen: Counter[str] = Counter()
    named = {}
    for layer in layers:
        kind = type(layer).__name__.lower().removesuffix("2d")
        seen[kind] += 1
        named[f"{kind}{seen[kind]}"] = layer
    return named
