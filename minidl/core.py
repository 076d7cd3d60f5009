"""The engine: run a function once and keep its derivative as a chain of linear maps.  *Read this file first.*

At a point, the derivative of every operation is a linear map, its Jacobian J.  It can be used two ways.  The
*Jacobian-vector product* J·t pushes a *tangent* t forward: move the input a little along t, how does the output move?
The *vector-Jacobian product* Jᵀ·g pulls a *cotangent* g back: if g says how much each output matters, how much does
each input matter?

`linearize(f, x)` runs f on a `Box` around x.  Whenever a `Primitive` meets a Box it computes its value as usual and
writes one `Node` into the record.  For f(x) = x·x·x at x = 5 the record holds the input and two products:

    node         value    forward, from a tangent of 1        backward, from a cotangent of 1
    0  x             5    t₀ = 1                              g₀ = 25 + 5·5 + 5·5 = 75
    1  u = x·x      25    t₁ = 1·5 + 5·1 = 10                 g₁ = 1·5 = 5, and 1·25 = 25 for g₀
    2  y = u·x     125    t₂ = 10·5 + 25·1 = 75               g₂ = 1

A product a·b pushes t to t·b or a·t, and pulls g back to g·b or g·a; that is all this takes.  Down the page, tangents
go through the chain rule: each argument of a node pushes it, and the pushes add up.  Up the page, cotangents do, which
is backpropagation: each node pulls its own back to its arguments, and there they add up.  Both find f'(5) = 3·5² = 75.

The walks are made of multiplications and additions, and those are primitives, too.  So a derivative of a derivative,
``grad(lambda x: grad(f, x), x)``, needs nothing new: its record holds the run of f, and then the inner walk back.

    node         value    outer walk back, from 1             which inner step recorded it
    0  x             5    5 + 5 + 10 + 5 + 5 = 30
    1  u = x·x      25    1
    2  y = u·x     125    none: f'(x) does not depend on it
    3  a = 1·x       5    5 + 5 = 10                          inner node 2 pulls 1 back: to u,
    4  b = 1·u      25    1                                   and to x
    5  c = a·x      25    1                                   inner node 1 pulls a back: to x,
    6  d = b + c    50    1
    7  e = a·x      25    1                                   and to x once more
    8  f' = d + e   75    1

It finds f''(5) = 6·5 = 30.  In code:

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
from .directions import stacked_axes
from .errors import DTypeError, ShapeError

Array = Any  # a NumPy or CuPy array, or a Box around one
Arrays = Any  # an Array, or a flat dict of them, such as a network's parameters


def jacobian_vector_product(nodes: list[Node], output: int, tangents: list[Array]) -> Array:
    """J·t, the forward walk: the tangent of the node `output`, from those of the inputs, which are the first nodes."""
    for node in nodes[len(tangents) : output + 1]:  # 1. First to last: all arguments of a node have their tangents.
        pushed = [node.push(position, tangents[parent]) for position, parent in node.parents]  # 2. Each pushes it,
        tangents.append(functools.reduce(operator.add, pushed))  # 3. and the pushes add up.
    return tangents[output]


def vector_jacobian_product(nodes: list[Node], output: int, cotangent: Array, inputs: int) -> list[Array | None]:
    """Jᵀ·g, the walk back from the node `output`: a cotangent for each input, None where it has no influence."""
    cotangents = {output: cotangent}
    for index in range(output, inputs - 1, -1):  # 1. Last to first: a node's cotangent is complete at its turn.
        if index in cotangents:
            g = cotangents.pop(index)
            for position, parent in nodes[index].parents:
                pulled = nodes[index].pull(position, g)  # 2. It pulls its cotangent back to each argument.
                cotangents[parent] = cotangents[parent] + pulled if parent in cotangents else pulled  # 3. They add up.
    return [cotangents.get(index) for index in range(inputs)]


@dataclass(frozen=True, slots=True)
class Node:
    """One application of a primitive: all that its derivative rules may need.

    `parents` pairs the position of an argument with the index of the node that made it; arguments that do
    not depend on the input of the recorded function have no entry.  An input is a node without parents.
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


_levels = itertools.count(1)


@dataclass(slots=True)
class Record:
    """What happened, in order: first the inputs, then the applications of primitives.

    `level` tells nested records apart: a record begun later is an inner one.  That is all it takes to keep
    the derivatives of `grad` of `grad` from being confused with each other.  Nothing is recorded once the record is
    no longer `open`.
    """

    nodes: list[Node] = field(default_factory=list)
    level: int = field(default_factory=lambda: next(_levels))
    open: bool = True

    def box(self, value: Array, node: Node | None = None) -> Box:
        """A box around the value that the node computed; or around an input, if there is none."""
        self.nodes.append(node or Node(_INPUT, (), {}, value, ()))
        return Box(value, self, len(self.nodes) - 1)


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


class Primitive:
    """A function of arrays, and the two ways to apply its derivative.

    For y = forward(x₀, x₁, …, **options) and J_i = ∂y/∂x_i there is one pair of rules per argument:

        push[i](t, y, x₀, x₁, …, **options) = J_i·t       t: (..., *x_i.shape)  ->  (..., *y.shape)
        pull[i](g, y, x₀, x₁, …, **options) = J_iᵀ·g      g: (..., *y.shape)    ->  (..., *x_i.shape)

    `push` and `pull` are tuples of rules, None for an argument that is never differentiated.  Rules are
    written in primitives themselves, so derivatives can be differentiated again.  Most primitives come from
    one of the two families below, `elementwise` and `linear`.
    """

    def __init__(self, name: str, forward: Callable, push: Any, pull: Any) -> None:
        self.name, self.forward = name, forward
        self.push, self.pull = (tuple(each) if isinstance(each, list) else each for each in (push, pull))

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


_INPUT = Primitive("input", lambda x: x, push=(), pull=())


def elementwise(name: str, forward: Callable, *derivatives: Callable | int) -> Primitive:
    """The family whose Jacobian is diagonal: give ∂y/∂x_i as a function of (y, x₀, x₁, …), or as a constant.

    Both rules are then the same product.  Arguments and output have one shape (`ops.broadcasting` sees to it).
    """

    def rule(derivative: Callable | int) -> Callable:
        if not callable(derivative):
            return lambda t, *_: t if derivative == 1 else t * derivative
        return lambda t, y, *arguments: t * derivative(y, *arguments)

    rules = [rule(derivative) for derivative in derivatives]  # one list, of which two tuples are made
    return Primitive(name, forward, push=rules, pull=rules)


def linear(name: str, forward: Callable, transpose: Callable) -> Primitive:
    """The family that is its own push-forward: give ``transpose(g, x, **options)``, which applies Jᵀ.

    ``forward(x, **options)`` must act on the last axes of x and leave any axes in front of them alone.
    """

    def push(t: Array, y: Array, x: Array, **options: Any) -> Array:
        return primitive(t, **options)

    def pull(g: Array, y: Array, x: Array, **options: Any) -> Array:
        return transpose(g, x, **options)

    primitive = Primitive(name, forward, push=(push,), pull=(pull,))
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
            if index in needed:
                needed.update(parent for _, parent in self._nodes[index].parents)
        names = self._x if isinstance(self._x, dict) else [None]
        return {name for index, name in enumerate(names) if index in needed}

    @property
    def widest(self) -> int:
        """The size in bytes of the largest array on record: a walk's is as large, for each direction stacked."""
        return max((node.output.size * node.output.dtype.itemsize for node in self._nodes), default=0)

    def jvp(self, tangent: Arrays) -> Array:
        """J·t, the forward walk.  t like x, with any extra leading axes: (..., *x.shape) -> (..., *y.shape).

        Raises `ShapeError` unless the last axes of t have the shape of x.
        """
        given: list[Array] = self._split(tangent)
        if self._index is None:
            stacked = stacked_axes("jvp", given[0], self._inputs[0]) if given else ()
            return _zeros(stacked + self.value.shape, self.value)
        return _own(jacobian_vector_product(self._nodes, self._index, [*given]), self.value.dtype, given)

    def vjp(self, cotangent: Array) -> Arrays:
        """Jᵀ·g, the backward walk.  g: (..., *y.shape) -> (..., *x.shape), a dict of them if x is a dict.

        Raises `ShapeError` unless the last axes of g have the shape of y.
        """
        stacked, cotangent = stacked_axes("vjp", cotangent, self.value), _typed(cotangent, self.value)
        found: list[Array] = [None] * len(self._inputs)
        if self._index is not None:
            found = vector_jacobian_product(self._nodes, self._index, cotangent, len(found))
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
            stacked_axes("jvp", piece, x)
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


def _zeros(shape: tuple[int, ...], like: Array) -> Array:
    return namespace(unbox(like)).zeros(shape, dtype=like.dtype)
