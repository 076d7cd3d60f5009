"""Layers: what each computes, its parameters, and the shape of its output.

A layer is a frozen description and holds no arrays.  `init` makes its parameters, and `apply` computes with the
parameters that it is given.  So the same network can be differentiated in its input, in its parameters, or in both.
Shapes are of one example, without the batch axis.  New layers are subclasses of `Layer`: frozen dataclasses of numbers,
strings, initialisers, layers and tuples of layers.  They can then be printed, saved and loaded without more code.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, fields, is_dataclass
from math import prod, sqrt
from numbers import Integral
from typing import Any, ClassVar

from . import conv, losses, ops
from .backend import kernels, namespace
from .core import Array, unbox
from .errors import DataError, DTypeError, RangeError, ShapeError

Shape = tuple[int, ...]
Params = dict[str, Array]


class Described:
    """An object that a file can describe: a frozen dataclass, by its kind and its fields.

    The kind of a class in this module is its name, "Dense"; of any other it begins with the module, "mine.Dense".  So
    two classes called `Dense` are never confused.

    >>> from minidl.layers import Dense, Described
    >>> Described.rebuild(Dense(10).describe()) == Dense(10)
    True
    """

    known: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls) -> None:
        Described.known[kind_of(cls)] = cls

    def describe(self) -> dict[str, Any]:
        """Kind and fields, as plain data.  Raises `DTypeError` for an object of a class that is not a dataclass."""
        if not is_dataclass(self):
            fix = f"decorate class {type(self).__name__} with @dataclass(frozen=True)"
            raise DTypeError("save", "layers that are frozen dataclasses", type(self).__name__, fix)
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"kind": kind_of(type(self))} | {name: _described(value) for name, value in values.items()}

    @staticmethod
    def rebuild(description: dict[str, Any], older: bool = False) -> Any:
        """The object of a description; older: by a version that wrote the bare names of classes.

        Raises `DataError` for a class that is not defined in this process, or for a bare name that two classes have;
        `KeyError`, `TypeError` or a `MinidlError` for data that are not a description.
        """
        arguments = {name: _rebuilt(value, older) for name, value in description.items() if name != "kind"}
        return Described._named(description["kind"], older)(**arguments)

    @staticmethod
    def _named(kind: str, older: bool) -> type:
        if older:
            alike = [name for name, known in Described.known.items() if known.__name__ == kind]
            if len(alike) > 1:
                fix = "load it where only one of them is defined, and save it again"
                raise DataError("load", f"one class called {kind}, as older files name them", f"{alike}", fix)
            kind = alike[0] if alike else kind
        if kind not in Described.known:
            fix = "import the module that defines it"
            raise DataError("load", f"layers that are defined here, {kind!r} among them", "no such class", fix)
        return Described.known[kind]


def _described(value: Any) -> Any:
    """A field as plain data: a description, or a list of them, for what can be described; else the value itself."""
    if isinstance(value, tuple) and any(isinstance(each, Described) for each in value):
        return [_described(each) for each in value]
    return value.describe() if isinstance(value, Described) else value


def _rebuilt(value: Any, older: bool) -> Any:
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return tuple(_rebuilt(each, older) for each in value)
    return Described.rebuild(value, older) if isinstance(value, dict) else value


def kind_of(cls: type) -> str:
    """The name of a class in files.

    cls: a subclass of `Described`.

    >>> from minidl.layers import Dense, kind_of
    >>> kind_of(Dense)
    'Dense'
    """
    return cls.__qualname__ if cls.__module__ == __name__ else f"{cls.__module__}.{cls.__qualname__}"


# --- initialisers: (shape, fan-in, fan-out) -> array -----------------------------------------------------


class Initialiser(Described):
    """How initial weights are drawn: a function of their shape, of fan-in and fan-out, and of a random generator.

    Fan-in and fan-out are the numbers of connections into and out of a unit.  A subclass defines ``__call__``.

    >>> from minidl.layers import Glorot, Initialiser
    >>> isinstance(Glorot(), Initialiser)
    True
    """

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Normal(Initialiser):
    """Weights from N(0, std²).

    std: the standard deviation; Lacok's networks have 0.01.

    >>> import numpy as np
    >>> from minidl.layers import Normal
    >>> Normal(0.01)((784, 10), 784, 10, np.random.default_rng(0)).std().round(3)
    np.float64(0.01)
    """

    std: float = 0.01

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Any) -> Any:
        return rng.normal(0.0, self.std, shape)


@dataclass(frozen=True)
class Glorot(Initialiser):
    """Weights uniform on ±√(6/(fan_in + fan_out)), which keeps the activations of tanh layers in range.

    Source: Glorot and Bengio 2010, eq. 16.

    >>> import numpy as np
    >>> from minidl.layers import Glorot
    >>> bool(abs(Glorot()((50, 10), 50, 10, np.random.default_rng(0))).max() <= 0.1**0.5)
    True
    """

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Any) -> Any:
        limit = sqrt(6 / (fan_in + fan_out))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class He(Initialiser):
    """Weights from N(0, 2/fan_in), which keeps the scale of activations through ReLU layers.

    Source: He et al. 2015, eq. 10.

    >>> import numpy as np
    >>> from minidl.layers import He
    >>> He()((784, 625), 784, 625, np.random.default_rng(0)).std().round(2)
    np.float64(0.05)
    """

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Any) -> Any:
        return rng.normal(0.0, sqrt(2 / fan_in), shape)


# --- layers ----------------------------------------------------------------------------------------------


class Layer(Described):
    """The base of all layers: by default without parameters, and with outputs of the inputs' shape.

    >>> from dataclasses import dataclass
    >>> from minidl.layers import Layer
    >>> @dataclass(frozen=True)
    ... class Scale(Layer):
    ...     factor: float
    ...     def apply(self, params, x, rng=None):
    ...         return x * self.factor
    >>> Scale(2.0).apply({}, 3.0)
    6.0
    """

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one output, for one input of that shape; `ShapeError` if it does not fit."""
        return shape

    def init(self, shape: Shape, rng: Any) -> Params:
        """Initial parameters, NumPy arrays of float64, for inputs of that shape."""
        return {}

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        """The outputs (N, *output_shape) for inputs x (N, *shape).  Only with an `rng` may they be random."""
        raise NotImplementedError


@dataclass(frozen=True)
class Flatten(Layer):
    """Each example as one row: (N, C, H, W) -> (N, C·H·W), in C, H, W order.

    >>> from minidl.layers import Flatten
    >>> Flatten().output_shape((1, 28, 28))
    (784,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return x if x.ndim == 2 else ops.reshape(x, (x.shape[0], prod(x.shape[1:])))


@dataclass(frozen=True)
class Reshape(Layer):
    """Each example in another shape, in C order: (N, 784) -> (N, 1, 28, 28).

    shape: of one output: one length, or several; each a whole number, at least 1.  Raises `RangeError` for others, and
    `ShapeError` where inputs have another number of entries.

    >>> from minidl.layers import Reshape
    >>> Reshape((1, 28, 28)).output_shape((784,))
    (1, 28, 28)
    """

    shape: Any

    def __post_init__(self) -> None:
        lengths = tuple(self.shape) if isinstance(self.shape, list | tuple) else (self.shape,)
        if not all(isinstance(n, Integral) and int(n) >= 1 for n in lengths):
            raise RangeError("Reshape", "a shape of whole numbers, at least 1 each", repr(self.shape))
        object.__setattr__(self, "shape", tuple(map(int, lengths)))

    def output_shape(self, shape: Shape) -> Shape:
        if prod(shape) != prod(self.shape):
            got = f"{shape}, with {prod(shape)}"
            raise ShapeError("Reshape", f"inputs with {prod(self.shape)} entries, as {self.shape}", got)
        return tuple(self.shape)

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return ops.reshape(x, (x.shape[0], *self.shape))


@dataclass(frozen=True)
class Dense(Layer):
    """y = x·W + b, with W (inputs, units) and b (units).

    units: the number of outputs, at least 1; else `RangeError`.
    bias: whether there is a b.  It starts at 0.
    init_weights: an `Initialiser`.

    >>> from minidl.layers import Dense
    >>> Dense(10).output_shape((784,))
    (10,)
    """

    units: int
    bias: bool = True
    init_weights: Initialiser = field(default_factory=He)

    def __post_init__(self) -> None:
        if not isinstance(self.units, Integral) or self.units < 1:
            raise RangeError("Dense", "a whole number of units, at least 1", repr(self.units))
        object.__setattr__(self, "units", int(self.units))  # NumPy's integers cannot be written to a file's header

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ShapeError("Dense", "flat inputs (n,)", f"{shape}", "put a Flatten() in front")
        return (self.units,)

    def init(self, shape: Shape, rng: Any) -> Params:
        weights = self.init_weights((shape[0], self.units), shape[0], self.units, rng)
        return {"W": weights} | ({"b": _zeros(weights, self.units)} if self.bias else {})

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        y = ops.matmul(x, params["W"])
        return y + params["b"] if self.bias else y


@dataclass(frozen=True)
class Conv2d(Layer):
    """y = x ⋆ W + b, with W (channels, C, h, w) and b (channels).

    channels: the number of filters, at least 1.
    size: of a filter, one length or (height, width).
    stride: from one window to the next, at least 1.
    padding: zeros added on each side of the image, at least 0.
    bias: whether there is a b.  It starts at 0.
    init_weights: an `Initialiser`.
    dilation, groups: only 1; other numbers raise `RangeError`, which says how to do without.  Each would be one more
    case in every kernel of the convolution.

    >>> from minidl.layers import Conv2d
    >>> Conv2d(20, 5).output_shape((1, 28, 28))
    (20, 24, 24)
    """

    channels: int
    size: Any
    stride: int = 1
    padding: int = 0
    bias: bool = True
    init_weights: Initialiser = field(default_factory=He)
    dilation: InitVar[int] = field(default=1, kw_only=True)
    groups: InitVar[int] = field(default=1, kw_only=True)

    def __post_init__(self, dilation: int, groups: int) -> None:
        if dilation != 1:
            fix = "call conv.conv2d in a layer of your own, with filters that have zeros between their weights"
            raise RangeError("Conv2d", "dilation=1, as the kernels know no other", repr(dilation), fix)
        if groups != 1:
            fix = "join conv.conv2d of x[:, :n] and x[:, n:] by ops.concatenate(parts, axis=1) in a layer of your own"
            raise RangeError("Conv2d", "groups=1, as the kernels know no other", repr(groups), fix)
        if not isinstance(self.channels, Integral) or self.channels < 1:
            raise RangeError("Conv2d", "a whole number of channels, at least 1", repr(self.channels))
        object.__setattr__(self, "channels", int(self.channels))
        object.__setattr__(self, "size", conv.pair("Conv2d", self.size))
        conv.windows("Conv2d", self.size, self.size, self.stride, self.padding)  # which checks the two

    def output_shape(self, shape: Shape) -> Shape:
        _needs_image("Conv2d", shape)
        return (self.channels, *conv.windows("Conv2d", shape[1:], self.size, self.stride, self.padding))

    def init(self, shape: Shape, rng: Any) -> Params:
        _needs_image("Conv2d", shape)
        window = prod(self.size)
        weights = self.init_weights(
            (self.channels, shape[0], *self.size), shape[0] * window, self.channels * window, rng
        )
        return {"W": weights} | ({"b": _zeros(weights, self.channels)} if self.bias else {})

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        y = conv.conv2d(x, params["W"], self.stride, self.padding)
        return y + ops.reshape(params["b"], (self.channels, 1, 1)) if self.bias else y


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The largest pixel of each window (`conv.max_pool2d`).

    size: of a window, one length or (height, width).
    stride: from one window to the next, one length or one for each axis; None is the size, windows side by side.
    padding: added on each side, one length or one for each axis.

    >>> from minidl.layers import MaxPool2d
    >>> MaxPool2d(2).output_shape((20, 24, 24))
    (20, 12, 12)
    """

    size: Any = 2
    stride: Any = None
    padding: Any = 0

    def __post_init__(self) -> None:
        window = conv.window(type(self).__name__, self.size, self.stride, self.padding)
        for name, value in zip(("size", "stride", "padding"), window):
            object.__setattr__(self, name, value)

    def output_shape(self, shape: Shape) -> Shape:
        _needs_image(type(self).__name__, shape)
        return (shape[0], *conv.pooled(type(self).__name__, shape[1:], self.size, self.stride, self.padding))

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return conv.max_pool2d(x, self.size, self.stride, self.padding)


@dataclass(frozen=True)
class AvgPool2d(MaxPool2d):
    """The mean of each window (`conv.avg_pool2d`).

    size: of a window, one length or (height, width).
    stride: from one window to the next, one length or one for each axis; None is the size, windows side by side.
    padding: added on each side, one length or one for each axis.

    >>> from minidl.layers import AvgPool2d
    >>> AvgPool2d(3, stride=2).output_shape((20, 25, 25))
    (20, 12, 12)
    """

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return conv.avg_pool2d(x, self.size, self.stride, self.padding)


def _zeros(weights: Array, count: int) -> Array:
    """Biases of 0: one number, broadcast to `count`, which needs no memory where only shapes are wanted."""
    return namespace(weights).broadcast_to(weights.dtype.type(0), (count,))


def _needs_image(layer: str, shape: Shape) -> None:
    if len(shape) != 3:
        raise ShapeError(layer, "images (channels, height, width)", f"{shape}", "put it before Flatten(), not after")


@dataclass(frozen=True)
class ReLU(Layer):
    """max(x, 0), with slope 0 at 0.

    >>> import numpy as np
    >>> from minidl.layers import ReLU
    >>> ReLU().apply({}, np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return ops.relu(x)


@dataclass(frozen=True)
class Tanh(Layer):
    """tanh(x).

    >>> import numpy as np
    >>> from minidl.layers import Tanh
    >>> Tanh().apply({}, np.array([0.0]))
    array([0.])
    """

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return ops.tanh(x)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """1/(1 + e^-x).

    >>> import numpy as np
    >>> from minidl.layers import Sigmoid
    >>> Sigmoid().apply({}, np.array([0.0]))
    array([0.5])
    """

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return ops.sigmoid(x)


#: The activations by name, as models, plans and kernels call them; all are increasing.
ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid}


@dataclass(frozen=True)
class Softmax(Layer):
    """e^{x_k}/Σ_j e^{x_j} over the classes.  Losses and attacks need logits: leave this layer out for them.

    >>> import numpy as np
    >>> from minidl.layers import Softmax
    >>> Softmax().apply({}, np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return losses.softmax(x)


@dataclass(frozen=True)
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): each entry is 0 with probability `rate`, else scaled by 1/(1-rate).

    rate: the probability, at least 0 and below 1; else `RangeError`.

    It is active exactly when `apply` is given an rng, a `numpy.random.Generator`.  One 63-bit key is drawn from it for
    each call, and the mask is a function of that key.

    >>> import numpy as np
    >>> from minidl.layers import Dropout
    >>> layer, x = Dropout(0.5), np.ones((1, 1000))
    >>> bool((layer.apply({}, x) == x).all()), np.unique(layer.apply({}, x, np.random.default_rng(0)))
    (True, array([0., 2.]))
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise RangeError("Dropout", "a rate in [0, 1)", repr(self.rate))

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        key, plain = self.key(rng), unbox(x)
        return x if key is None else x * kernels(plain).dropout_mask(key, plain, self.rate)

    def key(self, rng: Any) -> int | None:
        """The key of the next mask, drawn from the rng; None without an rng, or for a rate of 0."""
        if rng is None or self.rate == 0:
            return None
        if not hasattr(rng, "integers"):
            fix = "np.random.default_rng(seed)"
            raise DTypeError("Dropout", "rng: a numpy.random.Generator", type(rng).__name__, fix)
        return int(rng.integers(2**63))
