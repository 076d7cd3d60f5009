"""The laws of every differentiable function, as checks that raise `AssertionError`.

Each takes a function f of one array, a point x (float64), and a seed for its random directions.  The project's own
tests run them, and coursework can run them on its own operations and layers:

    from minidl import testing
    testing.check_all(my_layer, np.random.default_rng(0).normal(size=(5, 3)))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import linearize
from ..derivatives import batch_jacobian, jacobian
from ..errors import DTypeError
from .messages import called, close, explain

Function = Callable[[Any], Any]


def check_adjoint(f: Function, x: np.ndarray, seed: int = 0, stacked: tuple[int, ...] = ()) -> None:
    """⟨J·t, g⟩ = ⟨t, Jᵀ·g⟩ for random t and g: push-forward and pull-back are transposes of each other.

    f: of one array; it returns one.
    x: the point, float64.
    seed: of the random directions.
    stacked: extra leading axes of t; g has none, so that each t is compared.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_adjoint(ops.tanh, x)
    """
    rng, lin = np.random.default_rng(seed), linearize(f, x)
    t = rng.normal(size=stacked + x.shape)
    g = rng.normal(size=lin.value.shape)
    pushed = lin.jvp(t)
    if pushed.shape != stacked + lin.value.shape:
        raise AssertionError(f"adjoint: J·t has shape {pushed.shape}, expected {stacked + lin.value.shape}")
    pulled = lin.vjp(g)
    if pulled.shape != x.shape:
        raise AssertionError(f"adjoint: Jᵀ·g has shape {pulled.shape}, expected {x.shape}")
    left = (pushed * g).reshape(*stacked, -1).sum(axis=-1)
    right = (t * pulled).reshape(*stacked, -1).sum(axis=-1)
    close("adjoint", left, right, 1e-10)


def check_differences(f: Function, x: np.ndarray, seed: int = 0, step: float = 1e-6) -> None:
    """J·t = (f(x + h·t) - f(x - h·t))/2h for a random direction t of length 1, away from kinks.

    f: of one array; it returns one.
    x: the point, float64.
    seed: of the random directions.
    step: h of the differences.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_differences(ops.tanh, x)
    """
    t = np.random.default_rng(seed).normal(size=x.shape)
    t /= max(float(np.sqrt((t * t).sum())), 1e-12)
    difference = (np.asarray(f(x + step * t)) - np.asarray(f(x - step * t))) / (2 * step)
    close("differences", linearize(f, x).jvp(t), difference, 1e-6)


def check_linear(f: Function, x: np.ndarray, seed: int = 0) -> None:
    """J·(a·s + b·t) = a·J·s + b·J·t, and the same for Jᵀ.

    f: of one array; it returns one.
    x: the point, float64.
    seed: of the random directions.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_linear(ops.tanh, x)
    """
    rng, lin = np.random.default_rng(seed), linearize(f, x)
    (s, t), (g, h) = rng.normal(size=(2, *x.shape)), rng.normal(size=(2, *lin.value.shape))
    close("linear jvp", lin.jvp(2 * s - 3 * t), 2 * lin.jvp(s) - 3 * lin.jvp(t), 1e-10)
    close("linear vjp", lin.vjp(2 * g - 3 * h), 2 * lin.vjp(g) - 3 * lin.vjp(h), 1e-10)


def check_modes(f: Function, x: np.ndarray, chunk: int | None = None) -> None:
    """The Jacobian by push-forwards is the Jacobian by pull-backs, for any number of basis vectors at once.

    f: of one array; it returns one.
    x: the point, float64.
    chunk: how many basis vectors to push forward at once; None: as many as fit.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_modes(ops.tanh, x)
    """
    forward, reverse = jacobian(f, x, "forward", chunk), jacobian(f, x, "reverse")
    close("modes", forward, reverse, 1e-10)
    if forward.shape != np.shape(f(x)) + x.shape:
        raise AssertionError(f"modes: Jacobian of shape {forward.shape}")


def check_nested(f: Function, x: np.ndarray, seed: int = 0, step: float = 1e-6) -> None:
    """The derivative of Jᵀ·g in x equals its differences: rules can be differentiated themselves.

    f: of one array; it returns one.
    x: the point, float64.
    seed: of the random directions.
    step: h of the differences.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_nested(ops.tanh, x)
    """
    rng = np.random.default_rng(seed)
    g = rng.normal(size=np.shape(f(x)))
    check_differences(lambda x: linearize(f, x).vjp(g), x, seed, step)
    check_adjoint(lambda x: linearize(f, x).vjp(g), x, seed)


def check_nested_stacks(f: Function, x: np.ndarray, seed: int = 0, step: float = 1e-6) -> None:
    """The derivatives of stacks equal their differences: two tangents, or two cotangents, at once.

    f is multiplied by something near 1 before and after, u ↦ u·(1 + u - u₀), so that the stacks depend on x even where
    f is linear.

    f: of one array; it returns one.
    x: the point, float64.
    seed: of the random directions.
    step: h of the differences.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_nested_stacks(ops.tanh, x)
    """
    rng, at, value = np.random.default_rng(seed), x, np.asarray(f(x))
    t, g = rng.normal(size=(2, *x.shape)), rng.normal(size=(2, *value.shape))

    def bent(x: Any) -> Any:
        y = f(x * (1 + (x - at)))
        return y * (1 + (y - value))

    for inner in (lambda x: linearize(bent, x).jvp(t), lambda x: linearize(bent, x).vjp(g)):
        check_differences(inner, x, seed, step)
        check_adjoint(inner, x, seed, stacked=(2,))


def check_plain(f: Function, x: np.ndarray, seed: int = 0) -> None:
    """Recording changes no value and no dtype; x, tangent and cotangent are left unchanged.

    f: of one array; it returns one.
    x: the point, float64.
    seed: of the random directions.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_plain(ops.tanh, x)
    """
    rng, before, plain = np.random.default_rng(seed), x.copy(), np.asarray(f(x))
    lin = linearize(f, x)
    if plain.shape != lin.value.shape or plain.dtype != lin.value.dtype or not np.array_equal(plain, lin.value):
        raise AssertionError("plain: the recorded value differs from the plain one")
    t, g = rng.normal(size=x.shape), rng.normal(size=plain.shape)
    kept = t.copy(), g.copy()
    pushed, pulled = lin.jvp(t), lin.vjp(g)
    lin.jvp(t), lin.vjp(g)
    if not (np.array_equal(x, before) and np.array_equal(t, kept[0]) and np.array_equal(g, kept[1])):
        raise AssertionError("plain: an input was changed")
    if pushed.dtype != plain.dtype or pulled.dtype != x.dtype:
        raise AssertionError(f"plain: dtypes {pushed.dtype}, {pulled.dtype} for {plain.dtype}, {x.dtype}")


def check_float32(f: Function, x: np.ndarray) -> None:
    """float32 in, float32 out, in both directions: no rule changes the dtype.

    f: of one array; it returns one.
    x: the point, float64.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_float32(ops.tanh, x)
    """
    lin = linearize(f, x.astype(np.float32))
    kinds = [lin.value.dtype, lin.jvp(np.ones(x.shape, np.float32)).dtype, lin.vjp(np.ones_like(lin.value)).dtype]
    if any(kind != np.float32 for kind in kinds):
        raise AssertionError(f"float32: value, tangent and cotangent have dtypes {kinds}")


def check_rows(f: Function, x: np.ndarray) -> None:
    """The rows of a batch are independent: value and Jacobian of each row are those of the row alone.

    f: of one array; it returns one.
    x: the point, float64.

    Raises: `AssertionError` where the law is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> x = np.array([[0.5, -1.0], [2.0, 0.25]])
    >>> testing.check_rows(ops.tanh, x)
    """
    if len(x) == 0:
        return
    alone = [f(x[i : i + 1]) for i in range(len(x))]
    close("rows", f(x), np.concatenate(alone), 1e-12)
    jacobians = [batch_jacobian(f, x[i : i + 1], "reverse") for i in range(len(x))]
    for mode in ("forward", "reverse"):
        close(f"rows, {mode}", batch_jacobian(f, x, mode), np.concatenate(jacobians), 1e-10)


LAWS: dict[str, Callable[..., None]] = {
    "adjoint": check_adjoint,
    "differences": check_differences,
    "linear": check_linear,
    "modes": check_modes,
    "nested": check_nested,
    "nested stacks": check_nested_stacks,
    "plain": check_plain,
}


#: What a broken law most likely comes from, the likeliest first.
CAUSES = {
    "adjoint": "one of the two rules is not the other's transpose (a missing .T, a sum left out, axes counted from the "
    "front where extra ones may stand); one rule is missing, or gives a constant",
    "differences": "the rule has a wrong sign or factor; x lies within 1e-6 of a kink; a part of f is computed outside "
    "minidl.ops, and has no derivative",
    "linear": "a rule depends on its tangent or cotangent otherwise than linearly; a rule changes what it was given",
    "modes": "one of the two rules counts axes from the front, where the basis is stacked; one rule is wrong",
    "nested": "a rule is computed outside minidl.ops, so that it has no derivative itself; x lies near a kink of f'",
    "nested stacks": "a rule counts axes from the front, where extra ones may stand; a rule is computed outside "
    "minidl.ops",
    "plain": "f depends on more than x, such as random numbers; f or a rule writes to an array it was given; a rule "
    "leaves the dtype",
}


def check_all(f: Function, x: np.ndarray) -> None:
    """Every law of `LAWS`.  For a batch there is also `check_rows`, for f without constants `check_float32`.

    f: of one array; it returns one.
    x: the point, an array of dtype float64.

    The error of the first broken law has a note: the law, the function, the point, and the likely causes.
    Raises: `DTypeError` for x of another dtype: in float32, rounding errors would hide what the laws test.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> testing.check_all(ops.tanh, np.array([[0.5, -1.0]]))
    >>> try:
    ...     testing.check_all(lambda x: x * ops.stop_gradient(x), np.array([0.5]))
    ... except AssertionError as error:
    ...     print(error.__notes__[0].splitlines()[0])
    Law 'differences' of <lambda>, at x (1,) float64:  J·t = (f(x + h·t) - f(x - h·t))/2h for a random direction t of
    length 1, away from kinks.
    """
    if getattr(x, "dtype", None) != np.float64:
        got, fix = str(getattr(x, "dtype", type(x).__name__)), "x.astype(np.float64)"
        raise DTypeError("check_all", "x of dtype float64", got, fix if hasattr(x, "dtype") else "np.asarray(x, float)")
    for name, law in LAWS.items():
        try:
            law(f, x)
        except Exception as error:
            point = f"{called(f)}, at x {x.shape} {x.dtype}"
            explain(error, name, point, (law.__doc__ or "").partition("\n")[0], CAUSES)
            raise
