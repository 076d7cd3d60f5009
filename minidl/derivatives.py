"""Derivatives by name: grad, jacobian, batch_jacobian, hvp.  Each is a line or two on top of `linearize`.

**Forward or reverse?**  A Jacobian of M outputs by N inputs costs N pushes (one for each column) or M pulls (one for
each row), and one walk costs about as much as running the function again.  So ``mode="auto"`` walks forward when N ≤ M
and in reverse when M < N.  For LeNet, with 10 logits and 784 pixels, reverse is cheaper.  Forward shows how a single
pixel changes the layers, as the forward derivative of JSMA does.

**chunk** bounds memory: at most `chunk` basis vectors are walked at once.  A walk holds about `chunk` times what a run
of the function holds.  None takes as many as keep each array of a walk within 4 MB, at least one: larger arrays cost
more time, in newly allocated memory, than fewer walks save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from numbers import Integral
from typing import Any

from . import ops
from .backend import namespace
from .core import Array, Arrays, Linearization, linearize, unbox
from .errors import DTypeError, RangeError, ShapeError

__all__ = ["batch_jacobian", "grad", "hvp", "jacobian", "value_and_grad"]


def value_and_grad(f: Callable[..., Array], x: Arrays) -> tuple[Array, Arrays]:
    """f(x), a scalar, and its gradient ∂f/∂x.

    f: a function of x, built of minidl operations, that returns a scalar, an array of shape ().
    x: a floating-point array, or a flat dict of them.

    Returns: f(x), and the gradient, like x.
    Raises: `ShapeError` if f(x) is not a scalar.

    >>> import numpy as np
    >>> from minidl import ops, value_and_grad
    >>> value_and_grad(lambda x: ops.sum(x * x), np.array([1.0, 3.0]))
    (np.float64(10.0), array([2., 6.]))
    """
    lin = linearize(f, x)
    if lin.value.shape != ():
        fix = "sum or average it, or ask for the jacobian"
        raise ShapeError("grad", "a function with a scalar value", f"shape {lin.value.shape}", fix)
    return lin.value, lin.vjp(namespace(unbox(lin.value)).ones((), dtype=lin.value.dtype))


def grad(f: Callable[..., Array], x: Arrays) -> Arrays:
    """The gradient ∂f/∂x of a scalar function.

    f: a function of x, built of minidl operations, that returns a scalar, an array of shape ().
    x: a floating-point array, or a flat dict of them.

    Returns: the gradient, like x.
    Raises: `ShapeError` if f(x) is not a scalar.

    >>> import numpy as np
    >>> from minidl import grad, ops
    >>> grad(lambda x: ops.sum(x * x), np.array([1.0, 3.0]))
    array([2., 6.])
    """
    return value_and_grad(f, x)[1]


def hvp(f: Callable[..., Array], x: Arrays, v: Arrays) -> Arrays:
    """H·v, the Hessian of a scalar function at x times a vector, without forming H.

    f: a function of x, built of minidl operations, that returns a scalar, an array of shape ().
    x: a floating-point array, or a flat dict of them.
    v: like x.

    Returns: H·v, like x.  It is the gradient of the directional derivative J·v: reverse over forward.

    >>> import numpy as np
    >>> from minidl import hvp, ops
    >>> hvp(lambda x: ops.sum(x * x * x), np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    array([ 6., 18.])
    """
    return grad(lambda x: linearize(f, x).jvp(v), x)


def jacobian(f: Callable[..., Array], x: Arrays, mode: str = "auto", chunk: int | None = None) -> Arrays:
    """The Jacobian ∂f/∂x at x.

    f: a function of x, built of minidl operations, that returns one floating-point array y.
    x: a floating-point array, or a flat dict of them.
    mode: "forward", "reverse" or "auto", which takes the cheaper one (see the top of this file).
    chunk: how many basis vectors are walked at once, at least 1; None for as many as fit 4 MB.

    Returns: an array of shape y.shape + x.shape; for a dict x, a dict of them.
    Raises: `RangeError` for another mode or a chunk below 1.

    >>> import numpy as np
    >>> from minidl import jacobian
    >>> jacobian(lambda x: x * x, np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    return linearize(f, x).jacobian(mode, chunk)


def batch_jacobian(f: Callable[..., Array], x: Array, mode: str = "auto", chunk: int | None = None) -> Array:
    """The Jacobian of every row on its own.

    f: a function from (N, *input) to (N, *output), built of minidl operations, that computes each row from that row
    alone, as networks do.
    x: floating-point (N, *input).
    mode: "forward", "reverse" or "auto", which takes the cheaper one (see the top of this file).
    chunk: how many basis vectors are walked at once, at least 1; None for as many as fit 4 MB.

    Returns: (N, *output, *input).  One basis vector serves all N rows at once: it costs as many walks as the Jacobian
    of a single row, and no array (N, …, N, …) is made.
    Raises: `ShapeError` unless f(x) has a row for each row of x; `RangeError` as `jacobian` does.

    >>> import numpy as np
    >>> from minidl import batch_jacobian, models
    >>> batch_jacobian(models.mlp(seed=0), np.zeros((3, 784), dtype=np.float32)).shape
    (3, 10, 784)
    """
    if isinstance(x, dict):
        raise DTypeError("batch_jacobian", "an array of rows", "a dict", "use jacobian, which takes dicts")
    lin = linearize(f, x)
    if lin.value.ndim == 0 or x.ndim == 0 or lin.value.shape[0] != x.shape[0]:
        got = f"x {x.shape} -> y {lin.value.shape}"
        raise ShapeError("batch_jacobian", "x (N, ...) and f(x) (N, ...) with the same N", got)
    rows, output, input_ = x.shape[0], lin.value.shape[1:], x.shape[1:]
    if _choose(mode, prod(input_), prod(output)) == "forward":
        columns = ops.concatenate([lin.jvp(_for_each_row(e, rows)) for e in _basis(lin, x, input_, chunk)])
        rows_first = ops.transpose(columns, [*range(1, columns.ndim), 0])  # (N, *output, columns)
    else:
        bases = _basis(lin, lin.value, output, chunk)
        pulled = ops.concatenate([lin.vjp(_for_each_row(e, rows)) for e in bases])  # (rows of J, N, *input)
        rows_first = ops.transpose(pulled, [1, 0, *range(2, pulled.ndim)])
    return ops.reshape(rows_first, (rows, *output, *input_))


def explicit_jacobian(lin: Linearization, x: Arrays, mode: str, chunk: int | None) -> Arrays:
    """The Jacobian of a linearization at x, for `jacobian` and ``lin.jacobian``."""
    pieces = x if isinstance(x, dict) else {None: x}
    y, columns = lin.value, sum(piece.size for piece in pieces.values())
    jacobians: dict[Any, Array] = {}
    if _choose(mode, columns, y.size) == "forward":
        for name, piece in pieces.items():
            blocks = [lin.jvp(_only(x, name, e)) for e in _basis(lin, piece, piece.shape, chunk)]
            flat = ops.concatenate(blocks)  # (columns, *y.shape)
            jacobians[name] = ops.reshape(ops.transpose(flat, [*range(1, flat.ndim), 0]), y.shape + piece.shape)
    else:
        walks = [lin.vjp(e) for e in _basis(lin, y, y.shape, chunk)]
        for name, piece in pieces.items():
            flat = ops.concatenate([walk[name] if isinstance(x, dict) else walk for walk in walks])
            jacobians[name] = ops.reshape(flat, y.shape + piece.shape)
    return jacobians if isinstance(x, dict) else jacobians[None]


def _choose(mode: str, columns: int, rows: int) -> str:
    if mode not in ("forward", "reverse", "auto"):
        raise RangeError("jacobian", "mode 'forward', 'reverse' or 'auto'", repr(mode))
    return mode if mode != "auto" else "forward" if columns <= rows else "reverse"


COMFORTABLE = 2**22  # bytes


def _basis(lin: Linearization, like: Array, shape: tuple[int, ...], chunk: int | None) -> Iterator[Array]:
    """The unit vectors of `shape`, `chunk` at a time: arrays (≤ chunk, *shape).  One empty array if there are none."""
    if chunk is not None and (not isinstance(chunk, Integral) or int(chunk) < 1):
        raise RangeError("jacobian", "a chunk of at least 1 basis vector, or None", f"{chunk}")
    size, xp = prod(shape), namespace(unbox(like))
    step = chunk or max(1, COMFORTABLE // max(lin.widest, size * like.dtype.itemsize, 1))
    for i in range(0, max(size, 1), step):
        yield xp.eye(min(step, size - i), size, k=i, dtype=like.dtype).reshape(-1 if size else 0, *shape)


def _for_each_row(e: Array, rows: int) -> Array:
    """The same basis vector for every row: (basis, *shape) -> (basis, rows, *shape)."""
    return ops.broadcast_to(ops.reshape(e, (e.shape[0], 1, *e.shape[1:])), (e.shape[0], rows, *e.shape[1:]))


def _only(x: Arrays, name: Any, tangent: Array) -> Arrays:
    """A tangent of x that is 0 for every piece but the one called `name`."""
    if not isinstance(x, dict):
        return tangent
    stacked = tangent.shape[:1]
    zeros = {key: namespace(unbox(piece)).zeros(stacked + piece.shape, dtype=piece.dtype) for key, piece in x.items()}
    return {**zeros, name: tangent}
