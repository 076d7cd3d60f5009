"""The engine: run a function once and keep its derivative as a chain of linear maps.  *Read this file first.*

At a point, the derivative of every operation is a linear map, its Jacobian J.  It can be used two ways:
*pushed forward* onto a tangent (J·t: move the input a little along t, how does the output move?) and
*pulled back* from a cotangent (Jᵀ·g: if g says how much each output matters, how much does each input
matter?).  `linearize(f, x)` runs f on a `Box` around x.  Whenever a `Primitive` meets a Box it computes its
value as usual and writes one `Node` into the record.  Walking the record first to last pushes tangents
through the chain rule; walking it last to first pulls cotangents back, which is backpropagation.

    lin = linearize(f, x)      # runs f once
    lin.value                  # f(x)
    lin.jvp(t)                 # J·t     t: (..., *x.shape)  ->  (..., *y.shape)
    lin.vjp(g)                 # Jᵀ·g    g: (..., *y.shape)  ->  (..., *x.shape)
    lin.jacobian()             # J       y.shape + x.shape, by either walk over a basis

The dots are *extra leading axes*: a stack of tangents is pushed in one walk.  Every rule counts axes from
the end, so none needs to know how many were stacked in front.

A record is open while f runs, and closed when f has returned.  A box that was kept beyond that **counts as its
value**: it is no longer moved by its own input, but if the value is a box of an outer record, that one's derivative
goes on through it.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .backend import namespace
from .errors import DTypeError, ShapeError

Array = Any  # a NumPy or CuPy array, or a Box around one
Arrays = Any  # an Array, or a flat dict of them, such as a network's parameters

_levels = itertools.count(1)


class Box:
    """An array on its way through a recorded function: its value, and where in the record it was made.

    Boxes take part in arithmetic, indexing and comparisons as arrays do (`ops` gives them their operators).
    Comparisons return plain boolean arrays: nothing differentiates through them.
    Once its record is closed a box counts as its value, for NumPy's functions too; until then those are refused
    (`numpy_calls`), because they would lose the derivative.
    """

    __slots__ = ("value", "record", "index")

    def __init__(self, value: Array, record: Record, index: int) -> None:
        self.value, self.record, self.index = value, record, index

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return f"Box({self.value!r})"


def unbox(x: Array) -> Array:
    """The plain array inside any number of boxes; other values as they are."""
    while isinstance(x, Box):
        x = x.value
    return x


def settle(x: Array) -> Array:
    """The value of a box whose record is closed, which may be a box of an outer record; other values as they are."""
    while isinstance(x, Box) and not x.record.open:
        x = x.value
    return x


@dataclass(frozen=True, slots=True)
class Node:
    """One application of a primitive: all that its derivative rules may need.

    `parents` pairs the position of an argument with the index of the node that made it; arguments that do
    not depend on the input of the recorded function have no entry.
    """

    primitive: Primitive
    arguments: tuple[Array, ...]
    options: dict[str, Any]
    output: Array
    parents: tuple[tuple[int, int], ...]

    def push(self, position: int, tangent: Array) -> Array:
        return self.primitive.push[position](tangent, self.output, *self.arguments, **self.options)

    def pull(self, position: int, cotangent: Array) -> Array:
        return self.primitive.pull[position](cotangent, self.output, *self.arguments, **self.options)


@dataclass(slots=True)
class Record:
    """What happened, in order.  The inputs come first, with no node (None) behind them.

    `level` tells nested records apart: a record begun later is an inner one.  That is all it takes to keep
    the derivatives of `grad` of `grad` from being confused with each other.  Nothing is recorded once the record is
    no longer `open`.
    """

    nodes: list[Node | None] = field(default_factory=list)
    level: int = field(default_factory=lambda: next(_levels))
    open: bool = True

    def box(self, value: Array, node: Node | None = None) -> Box:
        self.nodes.append(node)
        return Box(value, self, len(self.nodes) - 1)


class Primitive:
    """A function of arrays, and the two ways to apply its derivative.

    For y = forward(x₀, x₁, …, **options) and J_i = ∂y/∂x_i there is one pair of rules per argument:

        push[i](t, y, x₀, x₁, …, **options) = J_i·t       t: (..., *x_i.shape)  ->  (..., *y.shape)
        pull[i](g, y, x₀, x₁, …, **options) = J_iᵀ·g      g: (..., *y.shape)    ->  (..., *x_i.shape)

    `push` and `pull` are sequences of rules, None for an argument that is never differentiated.  Rules are
    written in primitives themselves, so derivatives can be differentiated again.  Most primitives come from
    one of the two families below, `elementwise` and `linear`.
    """

    def __init__(self, name: str, forward: Callable, push: Any, pull: Any) -> None:
        self.name, self.forward, self.push, self.pull = name, forward, push, pull

    def __call__(self, *arguments: Array, **options: Any) -> Array:
        records = [a.record for a in arguments if isinstance(a, Box)]
        if not records:
            return self.forward(*arguments, **options)
        if not all(record.open for record in records):
            return self(*map(settle, arguments), **options)
        for a in arguments:
            if not hasattr(a, "dtype") and not isinstance(a, (int, float)):
                raise DTypeError(self.name, "arrays or numbers", type(a).__name__, "wrap it in numpy.asarray")
        inner = max(records, key=lambda record: record.level)
        ours = [isinstance(a, Box) and a.record is inner for a in arguments]
        values = tuple(a.value if mine else a for a, mine in zip(arguments, ours))
        output = self(*values, **options)  # boxes of outer records, if any, are recorded there
        parents = tuple((i, arguments[i].index) for i, mine in enumerate(ours) if mine)
        return inner.box(output, Node(self, values, options, output, parents))

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def elementwise(name: str, forward: Callable, *derivatives: Callable | int) -> Primitive:
    """The family whose Jacobian is diagonal: give ∂y/∂x_i as a function of (y, x₀, x₁, …), or as a constant.

    Both rules are then the same product.  Arguments and output have one shape (`ops.broadcasting` sees to it).
    """

    def rule(derivative: Callable | int) -> Callable:
        if not callable(derivative):
            return lambda t, *_: t if derivative == 1 else t * derivative
        return lambda t, y, *arguments: t * derivative(y, *arguments)

    rules = [rule(derivative) for derivative in derivatives]
    return Primitive(name, forward, push=rules, pull=rules)


def linear(name: str, forward: Callable, transpose: Callable) -> Primitive:
    """The family that is its own push-forward: give ``transpose(g, x, **options)``, which applies Jᵀ.

    ``forward(x, **options)`` must act on the last axes of x and leave any axes in front of them alone.
    """

    def push(t: Array, y: Array, x: Array, **options: Any) -> Array:
        return primitive(t, **options)

    def pull(g: Array, y: Array, x: Array, **options: Any) -> Array:
        return transpose(g, x, **options)

    primitive = Primitive(name, forward, push=[push], pull=[pull])
    return primitive


def linearize(f: Callable, x: Arrays) -> Linearization:
    """Run f once at x and return its value together with its derivative there, as a linear map.

    x: a floating-point array of any shape, or a flat dict of them (then tangents and `vjp` are such dicts).
    f: a function of x built of minidl operations that returns one floating-point array.
    Raises `DTypeError` if x holds anything but floating-point arrays, or f returns anything but one.
    """
    x = {name: settle(piece) for name, piece in x.items()} if isinstance(x, dict) else settle(x)
    for piece in x.values() if isinstance(x, dict) else [x]:
        if _kind(piece) != "f":
            raise DTypeError("linearize", "floating-point arrays", _described(piece), "np.asarray(x, np.float64)")
    record = Record()
    boxes = {name: record.box(value) for name, value in x.items()} if isinstance(x, dict) else record.box(x)
    try:
        output = settle(f(boxes))
    except ValueError as error:  # of `array[i] = box`, where NumPy puts words of its own before ours
        if type(error) is ValueError and isinstance(error.__cause__, DTypeError):
            raise error.__cause__.with_traceback(error.__traceback__) from None
        raise
    finally:
        record.open = False
    plain = unbox(output)
    if _kind(plain) != "f":
        fix = _OTHER_OUTPUTS.get(_kind(plain) or type(plain).__name__, "")
        raise DTypeError("linearize", "a function that returns one floating-point array", _described(plain), fix)
    return Linearization(x, record, output)


#: What to write instead of an output of another kind: an object array, a comparison, whole numbers, no array.
_OTHER_OUTPUTS = {
    "O": "join boxes by ops.stack(parts)",
    "b": "write ops.where(condition, 1.0, 0.0), whose derivative is 0",
    "i": "write y.astype(np.float64), whose derivative is 0",
    "tuple": "join them by ops.stack(parts) or ops.concatenate(parts)",
    "list": "join them by ops.stack(parts) or ops.concatenate(parts)",
    "NoneType": "end the function with return",
}


def _kind(x: Array) -> str:
    """The kind of an array's dtype, as NumPy names kinds: "f" for floating-point; nothing for what is no array."""
    return str(getattr(getattr(x, "dtype", None), "kind", ""))


def _described(x: Any) -> str:
    return f"{type(x).__name__} of dtype {x.dtype}" if hasattr(x, "dtype") else type(x).__name__


class Linearization:
    """A function at a point: its `value` there, and its Jacobian J as a map that can be applied both ways.

    It refers to the arrays it was made of, x among them, and does not copy them: change one in place, and the
    walks give the derivative of nothing in particular.
    """

    def __init__(self, x: Arrays, record: Record, output: Array) -> None:
        depends = isinstance(output, Box) and output.record is record
        self.value: Array = output.value if depends else output
        self.depends: bool = depends  # on x at all; if not, J is zero
        self._x, self._nodes, self._index = x, record.nodes, output.index if depends else None
        self._inputs: list[Array] = list(x.values()) if isinstance(x, dict) else [x]

    def reached(self) -> set[Any]:
        """The names of the pieces of x that the value depends on: through any operation, whatever its derivative."""
        needed, last = {self._index}, -1 if self._index is None else self._index
        for index in range(last, len(self._inputs) - 1, -1):
            node = self._nodes[index]
            if node is not None and index in needed:
                needed.update(parent for _, parent in node.parents)
        names = self._x if isinstance(self._x, dict) else [None]
        return {name for index, name in enumerate(names) if index in needed}

    @property
    def widest(self) -> int:
        """The size in bytes of the largest array on record: a walk's is as large, for each direction stacked."""
        arrays = [*self._inputs, *(node.output for node in self._nodes if node is not None)]
        return max((a.size * a.dtype.itemsize for a in arrays), default=0)

    def jvp(self, tangent: Arrays) -> Array:
        """J·t, the forward walk.  t like x, with any extra leading axes: (..., *x.shape) -> (..., *y.shape).

        Raises `ShapeError` unless the last axes of t have the shape of x.
        """
        tangents: list[Array] = self._split(tangent)
        if self._index is None:
            stacked = _stacked("jvp", tangents[0], self._inputs[0]) if tangents else ()
            return _zeros(stacked + self.value.shape, self.value)
        for node in self._nodes[len(tangents) : self._index + 1]:
            assert node is not None
            moved = [node.push(position, tangents[parent]) for position, parent in node.parents]
            tangents.append(functools.reduce(operator.add, moved))
        return _own(tangents[self._index], self.value.dtype, self._split(tangent))

    def vjp(self, cotangent: Array) -> Arrays:
        """Jᵀ·g, the backward walk.  g: (..., *y.shape) -> (..., *x.shape), a dict of them if x is a dict.

        Raises `ShapeError` unless the last axes of g have the shape of y.
        """
        stacked, cotangent = _stacked("vjp", cotangent, self.value), _typed(cotangent, self.value)
        cotangents: dict[int | None, Array] = {self._index: cotangent}
        last = -1 if self._index is None else self._index
        for index in range(last, len(self._inputs) - 1, -1):
            node, g = self._nodes[index], cotangents.pop(index, None)
            if node is None or g is None:  # the output does not depend on this node
                continue
            for position, parent in node.parents:
                pulled = node.pull(position, g)
                cotangents[parent] = cotangents[parent] + pulled if parent in cotangents else pulled
        found = [cotangents.get(i) for i in range(len(self._inputs))]
        given = [cotangent]
        for i, (g, x) in enumerate(zip(found, self._inputs)):
            found[i] = _zeros(stacked + x.shape, x) if g is None else _own(g, x.dtype, given)
            given.append(found[i])
        return dict(zip(self._x, found)) if isinstance(self._x, dict) else found[0]

    def jacobian(self, mode: str = "auto", chunk: int | None = None) -> Arrays:
        """J as an array of shape y.shape + x.shape; see `minidl.derivatives.jacobian` for mode and chunk."""
        from .derivatives import explicit_jacobian  # which is written in ops, and they in this file

        return explicit_jacobian(self, self._x, mode, chunk)

    def _split(self, tangent: Arrays) -> list[Array]:
        if isinstance(self._x, dict):
            if not isinstance(tangent, dict) or tangent.keys() != self._x.keys():
                got = f"names {sorted(tangent)}" if isinstance(tangent, dict) else type(tangent).__name__
                raise ShapeError("jvp", f"a dict with a tangent for each of {sorted(self._x)}", got)
            pieces = [tangent[name] for name in self._x]
        else:
            pieces = [tangent]
        for piece, x in zip(pieces, self._inputs):
            _stacked("jvp", piece, x)
        return [_typed(piece, x) for piece, x in zip(pieces, self._inputs)]


def _typed(direction: Array, base: Array) -> Array:
    """A tangent or cotangent in the dtype of what it belongs to: the walk then computes in no other."""
    direction = settle(direction)
    return direction if isinstance(direction, Box) else direction.astype(base.dtype, copy=False)


def _own(found: Array, dtype: Any, given: list[Array]) -> Array:
    """A tangent or cotangent as an array of its own, to write to as one likes, and of the dtype it should have.

    Rules may hand on what they were given, a read-only view of it, or the same array for two inputs.
    """
    if isinstance(found, Box):
        return found
    found = found.astype(dtype, copy=False)
    return found.copy() if found.base is not None or any(found is other for other in given) else found


def _stacked(walk: str, direction: Array, base: Array) -> tuple[int, ...]:
    """The extra leading axes of a tangent or cotangent at `base`."""
    if not hasattr(direction, "dtype"):
        got, fix = type(direction).__name__, f"np.asarray({DIRECTIONS[walk]})"
        raise DTypeError(walk, f"an array whose last axes are {base.shape}", got, fix)
    shape, count = direction.shape, direction.ndim - base.ndim
    if count < 0 or shape[count:] != base.shape:
        last = ", ".join(["..."] + [str(n) for n in base.shape])
        raise ShapeError(walk, f"shape ({last})", f"{shape}", _reshaped(DIRECTIONS[walk], shape, base.shape))
    return shape[:count]


#: What the tangent of one walk and the cotangent of the other are called.
DIRECTIONS = {"jvp": "t", "vjp": "g"}


def _reshaped(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """How to make a direction of that shape one of (..., *wanted), where one can be meant."""
    batch = next((i for i, n in enumerate(wanted) if n != 1), len(wanted))  # axes of length 1 that were left out
    stacked = len(shape) - len(wanted[batch:])
    if stacked >= 0 and shape[stacked:] == wanted[batch:]:
        return f"{name}.reshape({(*shape[:stacked], *wanted)})"
    fits = len(shape) <= len(wanted) and all(n in (1, m) for n, m in zip(shape[::-1], wanted[::-1]))
    return f"np.broadcast_to({name}, {wanted})" if fits else "put extra axes in front" if stacked > 0 else ""


def _zeros(shape: tuple[int, ...], like: Array) -> Array:
    return namespace(unbox(like)).zeros(shape, dtype=like.dtype)
