"""What training minimises where that is not a loss of logits: the objectives of the literature, for `train.fit`.

An objective is called as ``objective(net, params, x, y, moment)`` and returns a scalar: see `train.Objective`.
`Reconstruction` trains autoencoders.  `Contractive` and `JacobianPenalty` add a penalty on derivatives to the loss of a
classifier, to make it less sensitive to small perturbations: ‖J‖_F² says how far the outputs move, on average over all
directions, for a small step of the input.

The penalty is itself a function of derivatives, and training needs its gradient: a derivative of a derivative.  The
engine nests records, so that `jacobian_penalty` is written as it is read.  For dense layers `contractive` does without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from . import losses, ops
from .backend import namespace
from .core import Array, linearize, unbox
from .derivatives import batch_jacobian
from .draws import normal
from .errors import RangeError, ShapeError
from .kernels.slopes import SLOPES
from .layers import ACTIVATIONS, Dense, Dropout, Flatten, Layer, Reshape
from .sequential import Sequential

__all__ = ["Contractive", "JacobianPenalty", "Reconstruction", "contractive", "jacobian_penalty"]

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Reconstruction:
    """The mean squared error per pixel of an autoencoder f:  ‖f(x + σz) - x‖²/n, with z from N(0, I).

    noise: σ, at least 0.  With noise it is a *denoising* autoencoder: it has to find x without having seen it.  Noisy
    pixels are not clipped.  The noise of a step is a function of the seed, the epoch and the step.

    Raises: `RangeError` for a negative or infinite σ; when called, `ShapeError` for a network whose outputs do not have
    the shape of x.
    Source: Vincent et al. 2008; Gu and Rigazio 2014, §3.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, models, objectives
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> objective = objectives.Reconstruction(noise=0.1)
    >>> history = fit(models.autoencoder(), data, epochs=3, objective=objective, progress=False)
    >>> history.loss[-1] < history.loss[0]
    True
    """

    noise: float = 0.0

    def __post_init__(self) -> None:
        _check_factor("Reconstruction", "noise", self.noise)

    def __call__(self, net: Sequential, params: Arrays, x: Array, y: Array, moment: Any) -> Array:
        noisy = x + self.noise * normal(moment.key, x) if self.noise else x
        return losses.squared_error(net.apply(params, noisy, moment.rng), x)


@dataclass(frozen=True)
class Contractive:
    """The mean cross-entropy plus `contractive`: a penalty on the Jacobian of every layer.

    lambdas: λ, at least 0: one number for all layers with weights, or one for each.

    Raises: `RangeError` for a negative or infinite λ; when called, as `contractive` does.
    Source: Gu and Rigazio 2014, the deep contractive network, §4; they write ‖·‖₂ without the square, which is that of
    Rifai et al. 2011.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, models, objectives
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> net = models.mlp(hidden=(100,), dropout=(0, 0))
    >>> len(fit(net, data, epochs=1, objective=objectives.Contractive(0.1), progress=False))
    1
    """

    lambdas: float | Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "lambdas", _factors("Contractive", self.lambdas))

    def __call__(self, net: Sequential, params: Arrays, x: Array, y: Array, moment: Any) -> Array:
        loss = losses.cross_entropy(net.apply(params, x, moment.rng), y, check=False)
        return loss + contractive(net, params, x, self.lambdas)


@dataclass(frozen=True)
class JacobianPenalty:
    """The mean cross-entropy plus `jacobian_penalty` of the logits, without dropout.

    weight: λ, at least 0.
    projections: the number of random directions; None is exact.  The directions of a step are a function of the seed,
    the epoch and the step.

    Raises: `RangeError` for other numbers; when called, as `jacobian_penalty` does.
    Source: Hoffman, Roberts and Yaida 2019, who take one projection.

    >>> import numpy as np
    >>> from minidl import Dataset, fit, models, objectives
    >>> data = Dataset(np.eye(10, 784, dtype=np.float32).reshape(10, 1, 28, 28), np.arange(10))
    >>> net = models.mlp(hidden=(100,), dropout=(0, 0))
    >>> len(fit(net, data, epochs=1, objective=objectives.JacobianPenalty(0.1), progress=False))
    1
    """

    weight: float
    projections: int | None = 1

    def __post_init__(self) -> None:
        _check_penalty("JacobianPenalty", self.weight, self.projections)

    def __call__(self, net: Sequential, params: Arrays, x: Array, y: Array, moment: Any) -> Array:
        loss = losses.cross_entropy(net.apply(params, x, moment.rng), y, check=False)
        return loss + jacobian_penalty(lambda x: net.apply(params, x), x, self.weight, self.projections, moment.key)


def contractive(net: Sequential, params: Arrays, x: Array, lambdas: float | Sequence[float]) -> Array:
    """Σ_j λ_j‖∂h_j/∂h_{j-1}‖_F², the mean over the examples.

    h_j is the output of the j-th layer with weights and of the layers without weights that follow it, such as its
    activation; h_0 is x.  Dropout is not active.

    For a dense layer and its activation φ, of z = W·h + b, it is Σ_u φ'(z_u)²‖w_u‖², with w_u the weights into unit u.
    So a ReLU counts the units that are active, and nothing has to be differentiated.  The Jacobian of any other layer
    is computed whole, at the price of a walk for each of its outputs.

    net: a `Sequential`.
    params: its parameters, or others like them, in which the result can be differentiated.
    x: inputs (N, ...), floating point.
    lambdas: λ, at least 0: one number for all layers with weights, or one for each.

    Returns: a scalar.
    Raises: `RangeError` for a negative or infinite λ, `ShapeError` for another number of them than layers with weights,
    or for no examples.
    Source: Gu and Rigazio 2014, §4; Rifai et al. 2011.

    >>> import numpy as np
    >>> from minidl import models, objectives
    >>> net = models.softmax_regression(4, 2, dtype="float64")
    >>> net.params["dense1.W"][...] = 0.5
    >>> float(objectives.contractive(net, net.params, np.zeros((3, 4)), 1.0))
    2.0
    """
    parts, factors = _parts(net), _factors("contractive", lambdas)
    if isinstance(factors, float):
        factors = (factors,) * len(parts)
    if len(factors) != len(parts):
        got = f"{len(factors)} for {len(parts)} layers with weights"
        raise ShapeError("contractive", "a λ for each layer with weights, or one for all", got)
    net.check_input(x)
    if not len(x):
        raise ShapeError("contractive", "at least one example", f"{x.shape}")
    total: Any = 0.0
    for factor, part in zip(factors, parts):
        before, x = x, _run(net, params, part, x)
        if factor:
            total = total + factor * _squared_jacobian(net, params, part, before, x)
    return total if any(factors) else 0 * ops.mean(x)


def jacobian_penalty(
    f: Callable[[Array], Array], x: Array, weight: float, projections: int | None = None, key: int = 0
) -> Array:
    """½λ‖J‖_F², the mean over the examples, with J the Jacobian of f at each: exact, or from random projections.

    For a direction v of length 1 that is drawn evenly from all K output directions, K·‖vᵀJ‖² is ‖J‖_F² on average.  A
    projection costs one walk back instead of K.  The C directions of an example are drawn at right angles, so that none
    repeats what another has measured, and C = K is exact.  Hoffman et al. draw them independently.

    f: a function from (N, ...) to (N, K), built of minidl operations, that computes each row from that row alone.
    x: inputs (N, ...), floating point.
    weight: λ, at least 0.
    projections: C, from 1 to K; None is exact.
    key: a whole number, of which the directions are a function.

    Returns: a scalar.  It can be differentiated in x, and in whatever f depends on.
    Raises: `RangeError` for other numbers, `ShapeError` for outputs of another shape or no examples.
    Source: Hoffman, Roberts and Yaida 2019, "Robust learning with Jacobian regularization", eq. 4 to 6.

    >>> import numpy as np
    >>> from minidl import objectives
    >>> w = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> float(objectives.jacobian_penalty(lambda x: x @ w, np.zeros((3, 2)), weight=2.0))
    5.0
    """
    _check_penalty("jacobian_penalty", weight, projections)
    lin = linearize(f, x)
    y = lin.value
    if y.ndim != 2 or len(y) != len(x) or not y.size:
        raise ShapeError("jacobian_penalty", "f(x) of shape (N, K), with examples", f"x {x.shape} -> y {y.shape}")
    outputs = y.shape[1]
    if projections is None:
        xp = namespace(unbox(y))
        v = xp.broadcast_to(xp.eye(outputs, dtype=y.dtype)[:, None], (outputs, *y.shape))
    elif projections > outputs:
        raise RangeError("jacobian_penalty", f"at most {outputs} projections, as f has outputs", f"{projections}")
    else:
        v = orthonormal(key, int(projections), unbox(y))
    projected = lin.vjp(v)  # (C, N, ...): Jᵀv
    return (0.5 * weight * outputs / len(v) / len(x)) * ops.sum(projected * projected)


def orthonormal(key: int, count: int, like: Array) -> Array:
    """For each of N rows of K numbers, `count` directions of length 1 at right angles: (count, N, K).

    Each is normal numbers, less its components along those before (Gram and Schmidt), scaled to length 1.
    """
    xp = namespace(like)
    draws = normal(key, xp.zeros((count, *like.shape), dtype=like.dtype))
    directions: list[Array] = []
    for v in draws:
        for _ in range(2):  # the second time takes away what rounding has left
            for u in directions:
                v = v - (u * v).sum(axis=-1, keepdims=True) * u
        directions.append(v / xp.sqrt((v * v).sum(axis=-1, keepdims=True)))
    return xp.stack(directions)


Part = list[tuple[str, Layer]]


def _parts(net: Sequential) -> list[Part]:
    """The layers in groups: each layer with weights and those without that follow; the first ones join the first."""
    parts: list[Part] = [[]]
    for name, layer in net.layers.items():
        weighted = any(net.params_of(before) for before, _ in parts[-1])
        if net.params_of(name) and weighted:
            parts.append([])
        parts[-1].append((name, layer))
    return parts


def _run(net: Sequential, params: Arrays, part: Part, h: Array) -> Array:
    for name, layer in part:
        h = layer.apply(net.params_of(name, params), h)
    return h


def _squared_jacobian(net: Sequential, params: Arrays, part: Part, before: Array, after: Array) -> Array:
    """‖∂h_j/∂h_{j-1}‖_F² of one group of layers, the mean over the examples."""
    working = [(name, layer) for name, layer in part if type(layer) not in (Flatten, Reshape, Dropout)]
    kinds = [type(layer) for _, layer in working]
    if kinds[:1] == [Dense] and len(kinds) <= 2 and _SLOPES.keys() >= set(kinds[1:]):
        w = params[f"{working[0][0]}.W"]
        return _of_dense(w, after, _SLOPES[kinds[1]]) if kinds[1:] else ops.sum(w * w)
    jacobians = batch_jacobian(lambda h: _run(net, params, part, h), before)
    return ops.sum(jacobians * jacobians) / before.shape[0]


_SLOPES = {kind: SLOPES[name] for name, kind in ACTIVATIONS.items()}


def _of_dense(w: Array, after: Array, slope: Callable[[Array], Array]) -> Array:
    """Σ_u φ'(z_u)²‖w_u‖², the mean over the examples: of a dense layer W (inputs, units) and its activation."""
    slopes = slope(ops.reshape(after, (after.shape[0], w.shape[1])))  # a ReLU's are booleans
    slopes = slopes if slopes.dtype.kind == "f" else slopes.astype(w.dtype)
    return ops.sum(ops.mean(slopes * slopes, axis=0) * ops.sum(w * w, axis=0))


def _check_factor(operation: str, name: str, value: Any) -> float:
    if not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise RangeError(operation, f"a finite {name} of at least 0", repr(value))
    return float(value)


def _factors(operation: str, lambdas: Any) -> Any:
    """λ as a float, or as a tuple of them."""
    if hasattr(lambdas, "__len__") and not isinstance(lambdas, str):
        return tuple(_check_factor(operation, "λ", each) for each in lambdas)
    return _check_factor(operation, "λ", lambdas)


def _check_penalty(operation: str, weight: Any, projections: Any) -> None:
    _check_factor(operation, "weight", weight)
    if projections is not None and not (isinstance(projections, Integral) and int(projections) >= 1):
        raise RangeError(operation, "a whole number of projections, at least 1, or None", repr(projections))
