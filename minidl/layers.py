"""Layers: what each computes, its parameters, and the shape of its output.

A layer is a frozen description and holds no arrays.  `init` makes its parameters, and `apply` computes with the
parameters that it is given.  So the same network can be differentiated in its input, in its parameters, or in both.
Shapes are of one example, without the batch axis.  New layers are subclasses of `Layer`: frozen dataclasses of numbers,
strings, initialisers, layers and tuples of layers.  They can then be printed, saved and loaded without more code.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from math import log, prod, sqrt
from numbers import Integral
from typing import Any

from . import conv, losses, ops
from .backend import kernels, namespace
from .core import Array, unbox
from .described import Described as Described
from .described import kind_of as kind_of
from .errors import DTypeError, RangeError, ShapeError

Shape = tuple[int, ...]
Params = dict[str, Array]


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


@dataclass(frozen=True)
class Uniform(Initialiser):
    """Weights uniform on ±limit.

    limit: the largest; Goodfellow's maxout networks have 0.005.

    >>> import numpy as np
    >>> from minidl.layers import Uniform
    >>> bool(abs(Uniform(0.005)((784, 10), 784, 10, np.random.default_rng(0))).max() <= 0.005)
    True
    """

    limit: float = 0.05

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Any) -> Any:
        return rng.uniform(-self.limit, self.limit, shape)


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
        _check_whole(self, "units")

    def output_shape(self, shape: Shape) -> Shape:
        _needs_rows(self, shape)
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
        _check_whole(self, "channels")
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
class Maxout(Layer):
    """The largest of several linear functions for each unit: h_u = max_j (x·W_uj + b_uj).

    units: the number of outputs, at least 1.
    pieces: linear functions for each unit, at least 1.
    bias: whether there is a b.  It starts at 0.
    init_weights: an `Initialiser`.

    W is (inputs, units·pieces), the columns of a unit side by side, and b (units·pieces).  A maximum of linear
    functions is a convex function: the unit learns its own activation, and there is none after it.  It is the
    max-pooling of a `Dense` layer, over the pieces of each unit; of equal pieces only the first has a derivative.
    Raises: `RangeError` for numbers below 1.
    Source: Goodfellow et al. 2013, §3.

    >>> import numpy as np
    >>> from minidl.layers import Maxout
    >>> absolute = {"W": np.array([[1.0, -1.0]]), "b": np.zeros(2)}  # one unit: max(x, -x)
    >>> Maxout(1, pieces=2).apply(absolute, np.array([[-3.0], [2.0]]))
    array([[3.],
           [2.]])
    """

    units: int
    pieces: int = 5
    bias: bool = True
    init_weights: Initialiser = field(default_factory=He)

    def __post_init__(self) -> None:
        _check_whole(self, "units", "pieces")

    @property
    def linear(self) -> Dense:
        """The layer that computes all pieces of all units."""
        return Dense(self.units * self.pieces, self.bias, self.init_weights)

    def output_shape(self, shape: Shape) -> Shape:
        _needs_rows(self, shape)
        return (self.units,)

    def init(self, shape: Shape, rng: Any) -> Params:
        return self.linear.init(shape, rng)

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return _largest(self.linear.apply(params, x), self.units, self.pieces)


@dataclass(frozen=True)
class MaxoutConv2d(Layer):
    """The largest of several convolutions for each channel: h_c = max_j (x ⋆ W_cj + b_cj).

    channels: the number of output channels, at least 1.
    size: of a filter, one length or (height, width).
    pieces: convolutions for each channel, at least 1.
    stride: from one window to the next, at least 1.
    padding: zeros added on each side of the image, at least 0.
    bias: whether there is a b.  It starts at 0.
    init_weights: an `Initialiser`.

    W is (channels·pieces, C, h, w), the filters of a channel side by side, and b (channels·pieces).  It is the
    max-pooling of a `Conv2d` layer across channels; of equal pieces only the first has a derivative.
    Raises: `RangeError` for numbers out of range.
    Source: Goodfellow et al. 2013, §3.

    >>> from minidl.layers import MaxoutConv2d
    >>> MaxoutConv2d(96, 8, pieces=2, padding=4).output_shape((3, 32, 32))
    (96, 33, 33)
    """

    channels: int
    size: Any
    pieces: int = 2
    stride: int = 1
    padding: int = 0
    bias: bool = True
    init_weights: Initialiser = field(default_factory=He)

    def __post_init__(self) -> None:
        _check_whole(self, "channels", "pieces")
        object.__setattr__(self, "size", self.linear.size)

    @property
    def linear(self) -> Conv2d:
        """The layer that computes all pieces of all channels."""
        filters = self.channels * self.pieces
        return Conv2d(filters, self.size, self.stride, self.padding, self.bias, self.init_weights)

    def output_shape(self, shape: Shape) -> Shape:
        return (self.channels, *self.linear.output_shape(shape)[1:])

    def init(self, shape: Shape, rng: Any) -> Params:
        return self.linear.init(shape, rng)

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return _largest(self.linear.apply(params, x), self.channels, self.pieces)


def _check_whole(layer: Any, *names: str) -> None:
    """Make these fields ints; `RangeError` unless they are whole numbers of at least 1."""
    for name in names:
        given = getattr(layer, name)
        if not isinstance(given, Integral) or given < 1:
            raise RangeError(type(layer).__name__, f"a whole number of {name}, at least 1", repr(given))
        object.__setattr__(layer, name, int(given))  # NumPy's integers cannot be written to a file's header


def _largest(z: Array, units: int, pieces: int) -> Array:
    """The largest piece of each unit: (N, units·pieces, ...) -> (N, units, ...).  A column of pieces is a window."""
    columns = ops.reshape(z, (len(z), units, pieces, prod(z.shape[2:])))
    return ops.reshape(conv.max_pool2d(columns, (pieces, 1), stride=1), (len(z), units, *z.shape[2:]))


@dataclass(frozen=True)
class LogRBF(Layer):
    """The logarithm of `RBF`: -q_k, with q_k = Σ_i β_ki (x_i - μ_ki)².

    units: the number of outputs, at least 1; else `RangeError`.
    init_weights: an `Initialiser`, of the centres μ.

    Parameters are mu, μ (units, inputs), and log_beta, log β (units, inputs), so that β stays above 0.  β starts at
    1/inputs.  As logits, -q has the same largest unit as p = e^-q, and is finite where p is rounded to 0.  Gradients:

        ∂q_k/∂x_i = 2 β_ki (x_i - μ_ki) = -∂q_k/∂μ_ki        ∂q_k/∂log β_ki = β_ki (x_i - μ_ki)²

    Source: Goodfellow et al. 2014, §7.  There β is a matrix for each class, here it is diagonal.

    >>> import numpy as np
    >>> from minidl.layers import LogRBF
    >>> params = {"mu": np.array([[1.0, 0.0]]), "log_beta": np.zeros((1, 2))}
    >>> LogRBF(1).apply(params, np.array([[1.0, 0.0], [1.0, 3.0]]))
    array([[-0.],
           [-9.]])
    """

    units: int
    init_weights: Initialiser = field(default_factory=Normal)

    def __post_init__(self) -> None:
        _check_whole(self, "units")

    def output_shape(self, shape: Shape) -> Shape:
        _needs_rows(self, shape)
        return (self.units,)

    def init(self, shape: Shape, rng: Any) -> Params:
        centres = self.init_weights((self.units, *shape), shape[0], self.units, rng)
        return {"mu": centres, "log_beta": 0 * centres - log(shape[0])}

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        away = ops.reshape(x, (len(x), 1, x.shape[-1])) - params["mu"]
        return -ops.sum(ops.exp(params["log_beta"]) * away * away, axis=-1)


@dataclass(frozen=True)
class RBF(LogRBF):
    """Radial basis functions: p_k = exp(-q_k), with q_k = Σ_i β_ki (x_i - μ_ki)².

    units: the number of outputs, at least 1; else `RangeError`.
    init_weights: an `Initialiser`, of the centres μ.

    The p_k are between 0 and 1, and not normalised: far from all centres all of them are near 0, so that the network
    can be confident of no class.  There ∂p_k/∂x = -p_k ∂q_k/∂x vanishes, too; in single precision it is 0 for q_k
    above 104.  Train and attack `LogRBF`, which has the same parameters, instead.
    Source: Goodfellow et al. 2014, §7; the exponent lacks its minus sign there.

    >>> import numpy as np
    >>> from minidl.layers import RBF
    >>> params = {"mu": np.array([[1.0, 0.0]]), "log_beta": np.zeros((1, 2))}
    >>> RBF(1).apply(params, np.array([[1.0, 0.0], [1.0, 3.0]])).round(4)
    array([[1.e+00],
           [1.e-04]])
    """

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        return ops.exp(super().apply(params, x, rng))


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


def _needs_rows(layer: Layer, shape: Shape) -> None:
    if len(shape) != 1:
        raise ShapeError(type(layer).__name__, "flat inputs (n,)", f"{shape}", "put a Flatten() in front")


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
    """Dropout (Srivastava et al. 2014): each entry is 0 with probability `rate`, else scaled by 1/(1-rate).

    rate: the probability, at least 0 and below 1; else `RangeError`.
    rescale: whether entries that are kept are scaled, so that their mean does not change ("inverted dropout").  False
    keeps them as they are, on the input of Goodfellow's maxout networks: evaluated, the layer after it has larger
    inputs than in training.

    It is active exactly when `apply` is given an rng, a `numpy.random.Generator`.  One 63-bit key is drawn from it for
    each call, and the mask is a function of that key.

    >>> import numpy as np
    >>> from minidl.layers import Dropout
    >>> layer, x = Dropout(0.5), np.ones((1, 1000))
    >>> bool((layer.apply({}, x) == x).all()), np.unique(layer.apply({}, x, np.random.default_rng(0)))
    (True, array([0., 2.]))
    """

    rate: float
    rescale: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise RangeError("Dropout", "a rate in [0, 1)", repr(self.rate))

    def apply(self, params: Params, x: Array, rng: Any = None) -> Array:
        key, plain = self.key(rng), unbox(x)
        if key is None:
            return x
        mask = kernels(plain).dropout_mask(key, plain, self.rate)
        return x * (mask if self.rescale else (mask > 0).astype(mask.dtype))

    def key(self, rng: Any) -> int | None:
        """The key of the next mask, drawn from the rng; None without an rng, or for a rate of 0."""
        if rng is None or self.rate == 0:
            return None
        if not hasattr(rng, "integers"):
            fix = "np.random.default_rng(seed)"
            raise DTypeError("Dropout", "rng: a numpy.random.Generator", type(rng).__name__, fix)
        return int(rng.integers(2**63))
