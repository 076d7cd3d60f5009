"""The laws: what must hold of every differentiable function, as checks that raise `AssertionError`.

Each takes a function f of one array, a point x (float64), and a seed for the directions it draws.  They are
what the project's own tests run, and what coursework can run on a primitive or a layer of its own:

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

Function = Callable[[Any], Any]


def _close(law: str, found: Any, expected: Any, tolerance: float) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{law}: shape {found.shape}, expected {expected.shape}")
    scale = 1 + (np.abs(expected).max() if expected.size else 0.0)
    worst = np.abs(found - expected).max() / scale if expected.size else 0.0
    if not worst <= tolerance:
        at = np.unravel_index(np.abs(found - expected).argmax(), found.shape)
        entry = f"worst at {list(map(int, at))} of shape {found.shape}: {found[at]:.10g}, expected {expected[at]:.10g}"
        raise AssertionError(f"{law}: off by {worst:.3g} relative to {scale:.3g}; allowed {tolerance:g}; {entry}")


def check_adjoint(f: Function, x: np.ndarray, seed: int = 0, stacked: tuple[int, ...] = ()) -> None:
    """⟨J·t, g⟩ = ⟨t, Jᵀ·g⟩ for random t and random g: the two walks are transposes of each other.

    `stacked` are extra leading axes for t; g gets none, so every pair is compared.
    """
    rng, lin = np.random.default_rng(seed), linearize(f, x)
    t = rng.normal(size=stacked + x.shape)
    g = rng.normal(size=lin.value.shape)
    pushed = lin.jvp(t)
    if pushed.shape != stacked + lin.value.shape:
        raise AssertionError(f"adjoint: J·t has shape {pushed.shape}, expected {stacked + lin.value.shape}")
    left = (pushed * g).reshape(*stacked, -1).sum(axis=-1)
    right = (t * lin.vjp(g)).reshape(*stacked, -1).sum(axis=-1)
    _close("adjoint", left, right, 1e-10)


def check_differences(f: Function, x: np.ndarray, seed: int = 0, step: float = 1e-6) -> None:
    """J·t = (f(x + h·t) - f(x - h·t))/2h, away from kinks, for a random direction t of length 1."""
    t = np.random.default_rng(seed).normal(size=x.shape)
    t /= max(float(np.sqrt((t * t).sum())), 1e-12)
    difference = (np.asarray(f(x + step * t)) - np.asarray(f(x - step * t))) / (2 * step)
    _close("differences", linearize(f, x).jvp(t), difference, 1e-6)


def check_linear(f: Function, x: np.ndarray, seed: int = 0) -> None:
    """J·(a·s + b·t) = a·J·s + b·J·t, and the same of Jᵀ."""
    rng, lin = np.random.default_rng(seed), linearize(f, x)
    (s, t), (g, h) = rng.normal(size=(2, *x.shape)), rng.normal(size=(2, *lin.value.shape))
    _close("linear jvp", lin.jvp(2 * s - 3 * t), 2 * lin.jvp(s) - 3 * lin.jvp(t), 1e-10)
    _close("linear vjp", lin.vjp(2 * g - 3 * h), 2 * lin.vjp(g) - 3 * lin.vjp(h), 1e-10)


def check_modes(f: Function, x: np.ndarray, chunk: int | None = None) -> None:
    """The Jacobian by forward walks is the Jacobian by reverse walks, however they are cut into chunks."""
    forward, reverse = jacobian(f, x, "forward", chunk), jacobian(f, x, "reverse")
    _close("modes", forward, reverse, 1e-10)
    if forward.shape != np.shape(f(x)) + x.shape:
        raise AssertionError(f"modes: Jacobian of shape {forward.shape}")


def check_nested(f: Function, x: np.ndarray, seed: int = 0, step: float = 1e-6) -> None:
    """The derivative of Jᵀ·g in x agrees with its differences: rules can themselves be differentiated."""
    rng = np.random.default_rng(seed)
    g = rng.normal(size=np.shape(f(x)))
    check_differences(lambda x: linearize(f, x).vjp(g), x, seed, step)
    check_adjoint(lambda x: linearize(f, x).vjp(g), x, seed)


def check_nested_stacks(f: Function, x: np.ndarray, seed: int = 0, step: float = 1e-6) -> None:
    """So do the derivatives of whole stacks: two tangents, or two cotangents, walked at once inside a function.

    f is bent a little in front and behind, u ↦ u·(1 + u - u₀), so that the stacks depend on x even where f is linear.
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
    """Recording changes nothing: same value, same dtype; x, tangent and cotangent are left as they were."""
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
    """float32 in, float32 out, forward and back: no rule promotes."""
    lin = linearize(f, x.astype(np.float32))
    kinds = [lin.value.dtype, lin.jvp(np.ones(x.shape, np.float32)).dtype, lin.vjp(np.ones_like(lin.value)).dtype]
    if any(kind != np.float32 for kind in kinds):
        raise AssertionError(f"float32: value, tangent and cotangent have dtypes {kinds}")


def check_rows(f: Function, x: np.ndarray) -> None:
    """A batch is nothing but its rows: each row's value and Jacobian are what it would have alone."""
    if len(x) == 0:
        return
    alone = [f(x[i : i + 1]) for i in range(len(x))]
    _close("rows", f(x), np.concatenate(alone), 1e-12)
    jacobians = [batch_jacobian(f, x[i : i + 1], "reverse") for i in range(len(x))]
    for mode in ("forward", "reverse"):
        _close(f"rows, {mode}", batch_jacobian(f, x, mode), np.concatenate(jacobians), 1e-10)


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
    """Every law that holds of any function; `check_rows` is for batches, `check_float32` for f without constants.

    What the first broken law raises carries a note: which law, of which function and point, and the likely causes.
    Raises `DTypeError` unless x is an array of dtype float64: in float32 rounding hides what the laws look for.
    """
    if getattr(x, "dtype", None) != np.float64:
        got, fix = str(getattr(x, "dtype", type(x).__name__)), "x.astype(np.float64)"
        raise DTypeError("check_all", "x of dtype float64", got, fix if hasattr(x, "dtype") else "np.asarray(x, float)")
    for name, law in LAWS.items():
        try:
            law(f, x)
        except Exception as error:
            called = getattr(f, "__name__", None) or repr(f)
            said = (law.__doc__ or "").partition("\n")[0]
            note = f"Law {name!r} of {called}, at x {x.shape} {x.dtype}: {said}\nLikely causes, in order: "
            getattr(error, "add_note", print)(f"{note}{CAUSES[name]}.")  # Python 3.10 has no notes
            raise
