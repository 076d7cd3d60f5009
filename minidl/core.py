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
    """One application of a primitive, with everything that its derivative rules may need.

    primitive: which one.
    arguments: the arrays that it was applied to.
    options: its other arguments, by name.
    output: the array that it returned.
    parents: pairs of the position of an argument and the index of the node that computed it.  Arguments that do not
    depend on the input of the recorded function have no pair.  An input is a node without parents.

    >>> import numpy as np
    >>> from minidl import linearize
    >>> lin = linearize(lambda x: x * x, np.array(5.0))
    >>> lin._nodes[1].primitive, lin._nodes[1].parents
    (<primitive multiply>, ((0, 0), (1, 0)))
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
    """The nodes of a function's run, in order: first the inputs, then the applications of primitives.

    `level` distinguishes nested records: a record that was begun later is an inner one.  So the two derivatives of
    `grad` of `grad` are never confused.  Nothing is recorded after the record is closed (`open` is False).
    """

    nodes: list[Node] = field(default_factory=list)
    level: int = field(default_factory=lambda: next(_levels))
    open: bool = True

    def box(self, value: Array, node: Node | None = None) -> Box:
        """A box around the value that the node computed, or around an input if no node is given."""
        self.nodes.append(node or Node(_INPUT, (), {}, value, ()))
        return Box(value, self, len(self.nodes) - 1)


class Box:
    """An array in a function that is being recorded: its value, and the place in the record where it was computed.

    value: the array, which may be a box of an outer record.
    record: the record.
    index: of the node in the record that computed it.

    Boxes support arithmetic, indexing and comparisons as arrays do (`ops` defines their operators).  Comparisons return
    plain boolean arrays, without a derivative.  After its record is closed, a box counts as its value, also for NumPy's
    functions.  Before that, NumPy's functions raise an error, because they would lose the derivative (`numpy_calls`).

    >>> import numpy as np
    >>> from minidl import linearize
    >>> linearize(lambda x: print(x) or x * 2, np.array([1.0])).value
    Box(array([1.]))
    array([2.])
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
    """The plain array inside any number of boxes; any other value unchanged."""
    while isinstance(x, Box):
        x = x.value
    return x


def settle(x: Array) -> Array:
    """The value of a box whose record is closed, which may be a box of an outer record; any other value unchanged."""
    while isinstance(x, Box) and not x.record.open:
        x = x.value
    return x


class Primitive:
    """A function of arrays, and the two ways to apply its derivative.

    For y = forward(x₀, x₁, …, **options) and J_i = ∂y/∂x_i there is one pair of rules per argument:

        push[i](t, y, x₀, x₁, …, **options) = J_i·t       t: (..., *x_i.shape)  ->  (..., *y.shape)
        pull[i](g, y, x₀, x₁, …, **options) = J_iᵀ·g      g: (..., *y.shape)    ->  (..., *x_i.shape)

    name: of the function, for errors and in a record.
    forward: the function of arrays, with options by name.
    push, pull: a rule for each argument, None for one that is never differentiated.

    Rules are written in primitives themselves, so that derivatives can be differentiated again.  Most primitives are
    made by one of the two functions below, `elementwise` and `linear`.

    >>> import numpy as np
    >>> from minidl import Primitive, grad
    >>> rules = [lambda t, y, x: t * 3 * x * x]  # J is diagonal: J·t and Jᵀ·g are the same product
    >>> cube = Primitive("cube", lambda x: x**3, push=rules, pull=rules)
    >>> float(grad(cube, np.array(2.0)))
    12.0
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
    """A primitive whose Jacobian is diagonal: both rules are then the same product.

    name: of the function.
    forward: a function of arrays, element by element.
    derivatives: for each argument, ∂y/∂x_i as a function of (y, x₀, x₁, …), or as a constant.

    Arguments and output have one shape (`ops.broadcasting` makes it so).

    >>> import numpy as np
    >>> from minidl import grad, ops
    >>> from minidl.core import elementwise
    >>> square = elementwise("square", lambda x: x * x, lambda y, x: 2 * x)
    >>> grad(lambda x: ops.sum(square(x)), np.array([1.0, 3.0]))
    array([2., 6.])
    """

    def rule(derivative: Callable | int) -> Callable:
        if not callable(derivative):
            return lambda t, *_: t if derivative == 1 else t * derivative
        return lambda t, y, *arguments: t * derivative(y, *arguments)

    rules = [rule(derivative) for derivative in derivatives]  # one list, from which two tuples are made
    return Primitive(name, forward, push=rules, pull=rules)


def linear(name: str, forward: Callable, transpose: Callable) -> Primitive:
    """A primitive that is linear: pushing a tangent forward is applying it to the tangent.

    name: of the function.
    forward: a function (x, **options) that acts on the last axes of x, and on each index of the axes before alike.
    transpose: a function (g, x, **options) that applies Jᵀ to g.

    >>> import numpy as np
    >>> from minidl import linearize
    >>> from minidl.core import linear
    >>> flip = linear("flip", lambda x: x[..., ::-1], lambda g, x: g[..., ::-1])
    >>> linearize(flip, np.array([1.0, 2.0])).vjp(np.array([5.0, 7.0]))
    array([7., 5.])
    """

    def push(t: Array, y: Array, x: Array, **options: Any) -> Array:
        return primitive(t, **options)

    def pull(g: Array, y: Array, x: Array, **options: Any) -> Array:
        return transpose(g, x, **options)

    primitive = Primitive(name, forward, push=(push,), pull=(pull,))
    return primitive


def linearize(f: Callable, x: Arrays) -> Linearization:
    """Run f once at x, and return its value and its derivative there, as a linear map.

    f: a function of x, built of minidl operations, that returns one floating-point array.
    x: a floating-point array of any shape, or a flat dict of them; then tangents and `vjp` are such dicts.

    Returns: a `Linearization`, with `value`, `jvp`, `vjp` and `jacobian`.
    Raises: `DTypeError` if x or f(x) is anything else.

    >>> import numpy as np
    >>> from minidl import linearize
    >>> lin = linearize(lambda x: x * x, np.array([1.0, 3.0]))
    >>> lin.value, lin.jvp(np.array([1.0, 0.0])), lin.jacobian()
    (array([1., 9.]), array([2., 0.]), array([[2., 0.],
           [0., 6.]]))
    """
    x = {name: settle(piece) for name, piece in x.items()} if isinstance(x, dict) else settle(x)
    for piece in x.values() if isinstance(x, dict) else [x]:
        if _kind(piece) != "f":
            raise DTypeError("linearize", "floating-point arrays", _described(piece), "np.asarray(x, np.float64)")
    record = Record()
    boxes = {name: record.box(value) for name, value in x.items()} if isinstance(x, dict) else record.box(x)
    try:
        output = settle(f(boxes))
    except ValueError as error:  # of `array[i] = box`, where NumPy wraps our error in its own
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
    """The kind of an array's dtype, as NumPy names kinds: "f" for floating-point; "" for anything but an array."""
    return str(getattr(getattr(x, "dtype", None), "kind", ""))


def _described(x: Any) -> str:
    return f"{type(x).__name__} of dtype {x.dtype}" if hasattr(x, "dtype") else type(x).__name__


class Linearization:
    """A function at a point: its `value` there, and its Jacobian J as a linear map, to apply forward or backward.

    It refers to the arrays of the run, x among them, without copies.  If one of them is changed in place afterwards,
    the walks return wrong derivatives.
    """

    def __init__(self, x: Arrays, record: Record, output: Array) -> None:
        depends = isinstance(output, Box) and output.record is record
        self.value: Array = output.value if depends else output
        self.depends: bool = depends  # whether the value depends on x; if not, J is zero
        self._x, self._nodes, self._index = x, record.nodes, output.index if depends else None
        self._inputs: list[Array] = list(x.values()) if isinstance(x, dict) else [x]

    def reached(self) -> set[Any]:
        """The names of the pieces of x that the value depends on, through any operation."""
        needed, last = {self._index}, -1 if self._index is None else self._index
        for index in range(last, len(self._inputs) - 1, -1):
            if index in needed:
                needed.update(parent for _, parent in self._nodes[index].parents)
        names = self._x if isinstance(self._x, dict) else [None]
        return {name for index, name in enumerate(names) if index in needed}

    @property
    def widest(self) -> int:
        """The size in bytes of the largest recorded array.  A walk's largest is that, times the stacked directions."""
        return max((node.output.size * node.output.dtype.itemsize for node in self._nodes), default=0)

    def jvp(self, tangent: Arrays) -> Array:
        """J·t, the forward walk.  t like x, with any extra leading axes: (..., *x.shape) -> (..., *y.shape).

        Raises `ShapeError` unless the last axes of t have the shape of x.
        """
        given: list[Array] = self._split(tangent)
        if self._index is None:
            stacked = stacked_axes("jvp", given[0], self._inputs[0]) if given else ()
            return _zeros(stacked + self.value.shape, self.value)
        return _as_new_array(jacobian_vector_product(self._nodes, self._index, [*given]), self.value.dtype, given)

    def vjp(self, cotangent: Array) -> Arrays:
        """Jᵀ·g, the backward walk.  g: (..., *y.shape) -> (..., *x.shape), a dict of them if x is a dict.

        Raises `ShapeError` unless the last axes of g have the shape of y.
        """
        stacked, cotangent = stacked_axes("vjp", cotangent, self.value), _in_dtype_of(cotangent, self.value)
        pulled: list[Array] = [None] * len(self._inputs)
        if self._index is not None:
            pulled = vector_jacobian_product(self._nodes, self._index, cotangent, len(pulled))
        given = [cotangent]
        for i, (g, x) in enumerate(zip(pulled, self._inputs)):
            pulled[i] = _zeros(stacked + x.shape, x) if g is None else _as_new_array(g, x.dtype, given)
            given.append(pulled[i])
        return dict(zip(self._x, pulled)) if isinstance(self._x, dict) else pulled[0]

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
        return [_in_dtype_of(piece, x) for piece, x in zip(pieces, self._inputs)]


def _in_dtype_of(direction: Array, base: Array) -> Array:
    """A tangent or cotangent in the dtype of its array, so that the walk computes in that dtype."""
    direction = settle(direction)
    return direction if isinstance(direction, Box) else direction.astype(base.dtype, copy=False)


def _as_new_array(direction: Array, dtype: Any, given: list[Array]) -> Array:
    """A tangent or cotangent in that dtype, as an array that shares no memory and may be written to.

    Rules may return one of the arrays that they were given, a read-only view of it, or one array for two inputs.
    """
    if isinstance(direction, Box):
        return direction
    direction = direction.astype(dtype, copy=False)
    shared = direction.base is not None or any(direction is other for other in given)
    return direction.copy() if shared else direction


def _zeros(shape: tuple[int, ...], like: Array) -> Array:
    return namespace(unbox(like)).zeros(shape, dtype=like.dtype)
