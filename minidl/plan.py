"""The plan of a network: which neighbouring layers are computed as one.

A readable network has one layer for each idea; a fast one reads and writes memory as rarely as possible.  The plan
joins layers by two rules:

    Dense, activation, Dropout      the activation, the bias and the mask in one pass (`fused.activate`)
    Conv2d, activation, MaxPool2d   convolution, bias and maximum in one (`fused.conv2d_max`), then the activation

In the second, the maximum is taken before the activation.  That is the same, because activations are increasing, and
the activation then runs on fewer pixels (for windows of 2×2, a quarter).  All other layers are steps of their own.

Layers are joined where kernels are compiled, on the backends "numba" and "cupy".  On "numpy" a network runs its layers
one by one, so that a print in a layer's `apply` prints.  ``print(net.plan())`` shows the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from . import fused, ops
from .backend import current
from .core import Array
from .kernels import reference
from .layers import ACTIVATIONS, Conv2d, Dense, Dropout, Layer, MaxPool2d, Params

#: The kernels' names of the activations, all of which may be joined.
NAMES: dict[type[Layer], str] = {kind: name for name, kind in ACTIVATIONS.items()}

ParamsOf = Callable[[str], Params]


@dataclass(frozen=True)
class Step:
    """The names of layers, how they are computed, and the function: ``apply(params_of, x, rng)``."""

    layers: tuple[str, ...]
    how: str
    apply: Callable[[ParamsOf, Array, Any], Array]


class Plan(tuple[Step, ...]):
    """The steps of a network, first to last.  Prints as a table."""

    def __str__(self) -> str:
        rows = [(" + ".join(step.layers), step.how) for step in self]
        width = max(len(names) for names, _ in rows)
        return "\n".join(f"{names:<{width}}  {how}" for names, how in rows)


_apart: ContextVar[int] = ContextVar("minidl_apart", default=0)  # in how many blocks of `one_by_one` this thread is


def joining() -> bool:
    """Whether layers are joined now: if kernels are compiled, and not in a block of `one_by_one`."""
    return not _apart.get() and current().kernels is not reference


@contextmanager
def one_by_one() -> Iterator[None]:
    """In a block ``with plan.one_by_one():`` every network runs its layers one by one, as on the backend "numpy"."""
    _apart.set(_apart.get() + 1)
    try:
        yield
    finally:
        _apart.set(_apart.get() - 1)


def plan(layers: dict[str, Layer], join: bool = True) -> Plan:
    """The plan of a dict of layers.  join: whether to join layers; False makes one step for each."""
    return Plan(_steps(list(layers.items()), join))


def _steps(layers: Sequence[tuple[str, Layer]], join: bool) -> Iterator[Step]:
    while layers:
        # Exactly these classes: a subclass may compute something else.
        kinds = [type(layer) for _, layer in layers]
        if not join:
            step = _alone(layers)
        elif kinds[0] is Conv2d and _is_simple_pooling(layers[1:2]):
            step = _convolution(layers[:2], None)
        elif kinds[0] is Conv2d and _is_simple_pooling(layers[2:3]) and kinds[1] in NAMES:
            step = _convolution([layers[0], layers[2]], layers[1])
        elif kinds[0] is Dense and _is_inverted_dropout(layers[2:3]) and kinds[1] in NAMES:
            step = _dense(layers[0], layers[1], layers[2])
        elif kinds[0] is Dense and kinds[1:2] and kinds[1] in NAMES:
            step = _dense(layers[0], layers[1], None)
        elif _is_inverted_dropout(layers[:1]):
            step = _dropout(layers[0])
        else:
            step = _alone(layers)
        yield step
        layers = layers[len(step.layers) :]


Named = tuple[str, Any]


def _is_simple_pooling(layers: Sequence[Named]) -> bool:
    """Whether the first layer is a MaxPool2d that `fused.conv2d_max` can compute: one stride, no padding."""
    return any(type(layer) is MaxPool2d and isinstance(layer.stride, int) and not layer.padding for _, layer in layers)


def _is_inverted_dropout(layers: Sequence[Named]) -> bool:
    """Whether the first layer is a Dropout whose mask the kernels apply: one that scales what it keeps."""
    return any(type(layer) is Dropout and layer.rescale for _, layer in layers)


def _alone(layers: Sequence[Named]) -> Step:
    name, layer = layers[0]
    return Step((name,), "as it is", lambda params_of, x, rng: layer.apply(params_of(name), x, rng))


def _dropout(dropout: Named) -> Step:
    name, layer = dropout

    def apply(params_of: ParamsOf, x: Array, rng: Any) -> Array:
        key = layer.key(rng)
        return x if key is None else fused.activate(x, None, "identity", key, layer.rate)

    return Step((name,), "mask drawn and applied in one pass", apply)


def _dense(dense: Named, activation: Named, dropout: Named | None) -> Step:
    (name, layer), kind = dense, NAMES[type(activation[1])]

    def apply(params_of: ParamsOf, x: Array, rng: Any) -> Array:
        params = params_of(name)
        key = dropout[1].key(rng) if dropout else None
        rate = dropout[1].rate if dropout else 0.0
        return fused.activate(ops.matmul(x, params["W"]), params.get("b"), kind, key, rate)

    names = (name, activation[0]) + ((dropout[0],) if dropout else ())
    parts = [part for part, has in (("bias", layer.bias), (kind, True), ("mask", dropout)) if has]
    return Step(names, f"product, then {', '.join(parts)} in one pass", apply)


def _convolution(ends: Sequence[Named], activation: Named | None) -> Step:
    (name, layer), (pool_name, pool) = ends
    kind = NAMES[type(activation[1])] if activation else "identity"

    def apply(params_of: ParamsOf, x: Array, rng: Any) -> Array:
        params = params_of(name)
        y = fused.conv2d_max(x, params["W"], params.get("b"), layer.stride, layer.padding, pool.size, pool.stride)
        return fused.activate(y, None, kind) if activation else y

    names = (name, *((activation[0],) if activation else ()), pool_name)
    bias = "convolution, bias and maximum" if layer.bias else "convolution and maximum"
    return Step(names, f"{bias} in one" + (f", then {kind} of what is left" if activation else ""), apply)
