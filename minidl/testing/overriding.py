"""`override`: your rule in place of the engine's, within a ``with`` block.

A primitive keeps its rules in three attributes: forward, push, pull (`core.Primitive`).  While an override holds, they
look up at every call whether this thread has an override of that rule; if not, the engine's own rule runs.  So other
threads never see it, and whichever block ends first, what is left is right.
"""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from .. import fused, plan
from ..core import Array, Primitive
from ..errors import DTypeError, RangeError, ShapeError
from .primitives import primitive_of

Rule = Callable[..., Array]
Key = tuple[str, int]  # "forward", "push" or "pull", and the position of an argument
Rules = Rule | tuple[Rule | None, ...] | list[Rule | None] | Mapping[int, Rule]


class Used:
    """The calls of an override: ``with override(…) as used``.

    primitive: the operation.
    rules: the rules that replace its own.

    ``used.calls`` is the number of calls, ``used.counts`` that of each rule, such as {"pull[0]": 12}, and
    ``used.holds`` whether its block is open.

    >>> import numpy as np
    >>> from minidl import grad, ops, testing
    >>> with testing.override(ops.tanh, pull=lambda g, y, x: g * (1 - y * y)) as used:
    ...     _ = grad(lambda x: ops.sum(ops.tanh(x)), np.zeros(3))
    >>> used.calls, used.counts["pull[0]"]
    (1, 1)
    """

    def __init__(self, primitive: Primitive, rules: Mapping[Key, Rule]) -> None:
        self.primitive, self.counts, self.holds = primitive, Counter[str](), False
        self.rules = {key: _watched(self, key, rule) for key, rule in rules.items()}

    @property
    def calls(self) -> int:
        return self.counts.total()

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {n}" for name, n in self.counts.items())
        return f"<override of {self.primitive.name}; calls: {counts or 'none'}>"


def override(operation: Callable[..., Array], *, push: Rules | None = None, pull: Rules | None = None,
             forward: Rule | None = None) -> AbstractContextManager[Used]:  # fmt: skip
    """Replace rules of an operation in the real engine, for a ``with`` block and for this thread.

    operation: with rules of its own, such as ops.tanh, ops.add, ops.matmul, conv.conv2d or losses.cross_entropy.
    push: J_i·t = push[i](t, y, x₀, x₁, …, **options), for t (..., *x_i.shape) -> (..., *y.shape).
    pull: J_iᵀ·g = pull[i](g, y, x₀, x₁, …, **options), for g (..., *y.shape) -> (..., *x_i.shape).
    forward: y = forward(x₀, x₁, …, **options), on plain arrays; of a linear operation it is the push-forward as well.

    `push` and `pull` are a function, if the operation has one argument with a rule; or a tuple with one for each
    argument, None to keep a rule; or a dict {position: rule}.  The arrays may be boxes, the dots are extra leading
    axes, and options are those of the operation.  Python's operators use a rule where an array is being differentiated;
    of plain arrays, a @ b is NumPy's.

    Within the block, networks run their layers one by one (`plan.one_by_one`): joined layers have other rules.  A walk
    within the block uses your rules, also for a record that was made before it.  Of several overrides of one rule, the
    innermost counts; while a rule runs, the rule that it replaces can be called.  Other threads and tasks use the
    engine's rules.  A generator that is suspended within the block leaves it open, as with `backend.use`.

    Returns: a context manager with a `Used`.
    Raises: `DTypeError` or `RangeError` for a function that is composed of others, a position without a rule, an
    operation that only joined layers use, or a rule that does not take these arguments; and, when the rule is called,
    `DTypeError` or `ShapeError` if it returns no array, or one of another shape.

    >>> import numpy as np
    >>> from minidl import grad, ops, testing
    >>> def mine(g, y, a, b):  # y = a @ b, and g the cotangent of y: that of a is g @ bᵀ
    ...     return g @ b.swapaxes(-1, -2)
    >>> a, b = np.ones((2, 3)), np.ones((3, 4))
    >>> with testing.override(ops.matmul, pull={0: mine}) as used:
    ...     gradient = grad(lambda a: ops.sum(ops.matmul(a, b)), a)
    >>> gradient[0], used.calls
    (array([4., 4., 4.]), 1)
    """
    primitive = primitive_of(operation, "override")
    if primitive in vars(fused).values():
        got = f"{primitive.name}, which only joined layers use: none are joined while an override holds"
        raise DTypeError(
            "override", "an operation of layers", got, "take the operations that it joins, such as ops.relu"
        )
    rules: dict[Key, Rule] = {} if forward is None else {("forward", 0): _function("forward", forward, 0)}
    for direction, given in (("push", push), ("pull", pull)):
        if given is not None:
            by_position = _by_position(direction, given, getattr(primitive, direction))
            rules |= {(direction, position): rule for position, rule in by_position.items()}
    if not rules:
        raise RangeError("override", f"a rule to put in the place of one of {primitive.name}", "none", "pull={0: rule}")
    return _holding(Used(primitive, rules))


# --- while it holds --------------------------------------------------------------------------------------

_active: ContextVar[tuple[Used, ...]] = ContextVar("minidl_overrides", default=())
_running: ContextVar[tuple[tuple[Used, Key], ...]] = ContextVar("minidl_overrides_running", default=())
_lock = threading.Lock()
#: The primitives that are overridden somewhere: what their attributes were, and the overrides, of all threads.
_held: dict[Primitive, tuple[dict[str, Any], set[Used]]] = {}


@contextmanager
def _holding(used: Used) -> Iterator[Used]:
    try:
        try:
            with plan.one_by_one():
                _take(used)
                yield used
        finally:
            _give_back(used)
    finally:
        _give_back(used)  # once more, for a Ctrl-C in the first


def _take(used: Used) -> None:
    primitive = used.primitive
    with _lock:
        if primitive in _held:
            _held[primitive][1].add(used)
        else:
            own = {name: getattr(primitive, name) for name in ("forward", "push", "pull")}
            _held[primitive] = own, {used}  # before anything is changed, so that it can be put back
            primitive.forward = lambda *x, **options: _rule(primitive, ("forward", 0), own["forward"])(*x, **options)
            primitive.push = _LookedUp(primitive, "push", own["push"])
            primitive.pull = _LookedUp(primitive, "pull", own["pull"])
    used.holds = True
    _active.set((*_active.get(), used))


def _give_back(used: Used) -> None:
    used.holds = False
    _active.set(tuple(other for other in _active.get() if other is not used))
    with _lock:
        own, holders = _held.get(used.primitive, ({}, set()))
        holders.discard(used)
        if not holders:
            for name, value in own.items():
                setattr(used.primitive, name, value)
            _held.pop(used.primitive, None)


class _LookedUp:
    """The rules of a primitive in one direction, each looked up when it is asked for."""

    def __init__(self, primitive: Primitive, direction: str, own: Any) -> None:
        self.primitive, self.direction, self.own = primitive, direction, own

    def __getitem__(self, position: int) -> Rule:
        return _rule(self.primitive, (self.direction, position), self.own[position])

    def __len__(self) -> int:
        return len(self.own)


def _rule(primitive: Primitive, key: Key, own: Rule) -> Rule:
    """The innermost override of that rule that this thread has, and that is not running just now; else the own one."""
    for used in reversed(_active.get()):
        # A task that was started within a block has a copy of what was active there, and keeps it beyond the end.
        if used.primitive is primitive and used.holds and key in used.rules and (used, key) not in _running.get():
            return used.rules[key]
    return own


def _watched(used: Used, key: Key, rule: Rule) -> Rule:
    """The rule, which counts that it was called, and looks at what it returns."""
    direction, position = key
    name = direction if direction == "forward" else f"{direction}[{position}]"

    def watched(*arguments: Array, **options: Any) -> Array:
        used.counts[name] += 1
        before = _running.set((*_running.get(), (used, key)))
        try:
            product = rule(*arguments, **options)
        finally:
            _running.reset(before)
        operation = f"{name} of {used.primitive.name}"
        if not hasattr(product, "shape"):
            fix = "end the rule with return" if product is None else ""
            raise DTypeError(operation, "a rule that returns an array", type(product).__name__, fix)
        if direction != "forward":
            _check_shape(operation, product.shape, direction, arguments[0], arguments[1], arguments[2 + position])
        return product

    return watched


def _check_shape(operation: str, returned: tuple[int, ...], direction: str, moved: Array, y: Array, x: Array) -> None:
    """Of J·t (..., *y.shape), where t is (..., *x.shape), or of Jᵀ·g, the other way round."""
    start, end = (x, y) if direction == "push" else (y, x)
    expected = moved.shape[: moved.ndim - start.ndim] + end.shape
    if returned != expected:
        what = "J·t" if direction == "push" else "Jᵀ·g"
        fix = "sum over the axes that are too many" if len(returned) > len(expected) else ""
        raise ShapeError(operation, f"{what} of shape {expected}", f"{returned}", fix)


# --- what is given ---------------------------------------------------------------------------------------


def _by_position(direction: str, given: Any, own: Any) -> dict[int, Rule]:
    """The rules by the position of their argument.  own: those of the primitive, of which it may have any number."""
    number = len(own) if hasattr(own, "__len__") else None
    there = [i for i in range(number or 0) if own[i] is not None]
    fix = f"{direction}={{{there[0] if there else 0}: rule}}"
    if callable(given):
        if len(there) != 1:
            count = "any number of" if number is None else len(there)
            raise DTypeError("override", f"{direction} for {count} arguments, by position", "one function", fix)
        given = {there[0]: given}
    if isinstance(given, list | tuple):
        if number is not None and len(given) != number:
            expected = f"{direction} with a rule, or None, for each of {number} arguments"
            raise RangeError("override", expected, f"{len(given)}", fix)
        given = {position: rule for position, rule in enumerate(given) if rule is not None}
    if not isinstance(given, Mapping):
        raise DTypeError("override", f"{direction} as a function, a tuple or a dict", type(given).__name__, fix)
    for position in given:
        if not isinstance(position, int) or position < 0 or (number is not None and position not in there):
            raise RangeError("override", f"{direction} at a position that has a rule: {there}", repr(position), fix)
    return {
        position: _function(f"{direction}[{position}]", rule, 2 + (number or 1)) for position, rule in given.items()
    }


def _function(name: str, rule: Any, least: int) -> Rule:
    """The rule.  Raises `DTypeError` if it is no function, or one that does not take as many arguments as there are."""
    if not callable(rule):
        raise DTypeError("override", f"{name} as a function", type(rule).__name__)
    try:
        parameters = inspect.signature(rule).parameters.values()
    except ValueError:  # of some functions in C nothing is known
        return rule
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(placed) < least and not any(p.kind == p.VAR_POSITIONAL for p in parameters):
        taken = ", ".join(p.name for p in placed)
        moved = "t" if name.startswith("push") else "g"
        wanted = ", ".join([moved, "y", *(f"x{i}" for i in range(least - 2))])
        raise DTypeError("override", f"{name} as a function of ({wanted})", f"({taken})", f"define rule({wanted})")
    return rule
