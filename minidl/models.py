"""The networks of the papers, each a function that makes a `Sequential`.

All take the shape of one input and the number of classes first, and return logits; but for `autoencoder`, which has no
classes and returns images.  Where a network differs from its paper, or the paper does not say, the docstring says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from numbers import Integral
from typing import Any

from .ensemble import Ensemble, ensemble
from .errors import DTypeError, RangeError, ShapeError
from .layers import (
    ACTIVATIONS,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Glorot,
    He,
    Initialiser,
    Layer,
    LogRBF,
    Maxout,
    MaxPool2d,
    Normal,
    ReLU,
    Reshape,
    Sigmoid,
    Uniform,
)  # fmt: skip
from .sequential import Sequential, _whole

__all__ = [
    "ACTIVATIONS", "VGG", "Ensemble", "Sequential", "autoencoder", "carlini", "ensemble", "lenet", "madry", "maxout",
    "mlp", "rbf_network", "softmax_regression", "vgg",
]  # fmt: skip

#: Convolutions in each of the five stages, by the number of layers with weights: configurations A, B, D and E.
VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def softmax_regression(input_shape: int | Sequence[int] = (1, 28, 28), classes: int = 10, *, seed: int = 0,
                       dtype: str = "float32") -> Sequential:  # fmt: skip
    """One dense layer from pixels to logits: the linear model of Goodfellow et al. 2014, §4.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`, with weights drawn from N(0, 0.01²).

    >>> from minidl import models
    >>> models.softmax_regression().params["dense1.W"].shape
    (784, 10)
    """
    return Sequential(Flatten(), Dense(classes, init_weights=Normal(0.01)), input_shape=input_shape, seed=seed,
                      dtype=dtype)  # fmt: skip


def mlp(
    input_shape: int | Sequence[int] = (1, 28, 28),
    classes: int = 10,
    hidden: Sequence[int] = (625, 625),
    *,
    activation: str = "relu",
    bias: bool = False,
    dropout: tuple[float, float] = (0.2, 0.5),
    init_weights: Initialiser | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """A multilayer perceptron; by default that of Lacok 2016: 784-625-625-10, ReLU, no biases, weights N(0, 0.01²).

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    hidden: the number of units of each hidden layer.
    activation: "relu", "tanh" or "sigmoid", after each hidden layer.
    bias: whether dense layers have biases.
    dropout: two rates, on the input and on each hidden layer, at least 0 and below 1.
    init_weights: an initialiser for every dense layer; None is `Normal(0.01)`.  Networks with more hidden layers train
    better with `He()` (ReLU) or `Glorot()` (tanh).
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.
    Raises: `DTypeError` for a hidden or dropout of another form, `RangeError` for an unknown activation.

    >>> from minidl import models
    >>> net = models.mlp(hidden=(100,))
    >>> {name: w.shape for name, w in net.params.items()}
    {'dense1.W': (784, 100), 'dense2.W': (100, 10)}
    """
    act, weights = _activation("models.mlp", activation), init_weights or Normal(0.01)
    if not isinstance(hidden, Sequence):
        raise DTypeError("models.mlp", "hidden=(units, …)", f"hidden={hidden!r}", f"hidden=({hidden!r},)")
    on_input, on_hidden = _two_rates("models.mlp", dropout)
    layers: list[Layer] = [Flatten(), Dropout(on_input)]
    for units in hidden:
        layers += [Dense(units, bias, weights), act(), Dropout(on_hidden)]
    return Sequential(*layers, Dense(classes, bias, weights), input_shape=input_shape, seed=seed, dtype=dtype)


def maxout(
    input_shape: int | Sequence[int] = (1, 28, 28),
    classes: int = 10,
    units: Sequence[int] = (240, 240),
    *,
    pieces: int = 5,
    dropout: tuple[float, float] = (0.2, 0.5),
    init_weights: Initialiser | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """The maxout network of Goodfellow et al. 2013, §5.1, and 2014, §6: 784 - 240×5 pieces - 240×5 pieces - 10 logits.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    units: of each maxout layer.
    pieces: linear functions for each unit.
    dropout: two rates, on the input, where the kept pixels are not scaled, and on each maxout layer.
    init_weights: an initialiser for every layer; None is `Uniform(0.005)`.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.  Its parameters are maxout1.W (784, 1200), maxout1.b, maxout2.W (240, 1200), maxout2.b,
    dense1.W (240, 10) and dense1.b.  The authors train it with `optim.MaxNorm`, limit 1.9365.
    Raises: `DTypeError` for units or dropout of another form.

    >>> from minidl import models
    >>> models.maxout().params["maxout2.W"].shape
    (240, 1200)
    """
    weights = init_weights or Uniform(0.005)
    if not isinstance(units, Sequence):
        raise DTypeError("models.maxout", "units=(of each layer, …)", f"units={units!r}", f"units=({units!r},)")
    on_input, on_hidden = _two_rates("models.maxout", dropout)
    layers: list[Layer] = [Flatten(), Dropout(on_input, rescale=False)]
    for count in units:
        layers += [Maxout(count, pieces, init_weights=weights), Dropout(on_hidden)]
    return Sequential(*layers, Dense(classes, init_weights=weights), input_shape=input_shape, seed=seed, dtype=dtype)


def rbf_network(input_shape: int | Sequence[int] = (1, 28, 28), classes: int = 10, *, seed: int = 0,
                dtype: str = "float32") -> Sequential:  # fmt: skip
    """The shallow RBF network of Goodfellow et al. 2014, §7: p(y = k | x) = exp(-q_k), one Gaussian for each class.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.  Its logits are log p_k = -q_k, at most 0.  Its confidence is ``ops.exp`` of them, and not
    their softmax, which is never below 1/classes for the prediction.  Train it with
    ``loss=losses.binary_cross_entropy``, which takes each p_k by itself.

    >>> from minidl import models
    >>> models.rbf_network().params["logrbf1.mu"].shape
    (10, 784)
    """
    return Sequential(Flatten(), LogRBF(classes), input_shape=input_shape, seed=seed, dtype=dtype)


def lenet(
    input_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    *,
    activation: str = "relu",
    channels: tuple[int, int] = (20, 50),
    hidden: int = 500,
    init_weights: Initialiser | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """The LeNet of Papernot et al. 2016, §IV: 20@5×5, 2×2 pooling, 50@5×5, 2×2 pooling, 500 units, 10 logits.

    It is the later form of LeCun et al. 1998, with max-pooling.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    activation: "relu", "tanh" or "sigmoid", after each convolution and the hidden layer.
    channels: of the two convolutions.
    hidden: units of the hidden layer.
    init_weights: an initialiser for every layer; None is `He()` for ReLU and `Glorot()` for the others.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.  Its parameters are conv1.W (20, 1, 5, 5), conv1.b, conv2.W (50, 20, 5, 5), conv2.b,
    dense1.W (800, 500) with rows in C, H, W order, dense1.b, dense2.W (500, 10) and dense2.b.
    Raises: `DTypeError` for channels of another form, `RangeError` for an unknown activation.

    >>> from minidl import models
    >>> sum(w.size for w in models.lenet().params.values())
    431080
    """
    act = _activation("models.lenet", activation)
    first, second = _two_channels("models.lenet", channels, "(20, 50)")
    weights = init_weights or (He() if activation == "relu" else Glorot())
    return Sequential(
        Conv2d(first, 5, init_weights=weights), act(), MaxPool2d(2),
        Conv2d(second, 5, init_weights=weights), act(), MaxPool2d(2),
        Flatten(), Dense(hidden, init_weights=weights), act(), Dense(classes, init_weights=weights),
        input_shape=input_shape, seed=seed, dtype=dtype,
    )  # fmt: skip


def carlini(
    input_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    *,
    channels: tuple[int, int] = (32, 64),
    hidden: int = 200,
    dropout: float = 0.5,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """The network of Carlini and Wagner 2017, Table 1: twice (two 3×3 convolutions, 2×2 pooling), 200, 200, 10 logits.

    No padding, ReLU after every layer but the last, dropout between the two hidden layers.  The defaults are for MNIST;
    for CIFAR-10 it is ``carlini((3, 32, 32), channels=(64, 128), hidden=256)``.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    channels: of the two pairs of convolutions.
    hidden: units of both hidden layers.
    dropout: the rate, at least 0 and below 1.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.  Its parameters are conv1.W (32, 1, 3, 3), conv2.W (32, 32, 3, 3), conv3.W (64, 32, 3, 3),
    conv4.W (64, 64, 3, 3), dense1.W (1024, 200) with rows in C, H, W order, dense2.W (200, 200), dense3.W (200, 10),
    and a bias .b of each.  Weights are drawn by `He()`; the paper does not say how.
    Raises: `DTypeError` for channels of another form.

    >>> from minidl import models
    >>> sum(w.size for w in models.carlini().params.values())
    312202
    """
    first, second = _two_channels("models.carlini", channels, "(32, 64)")
    return Sequential(
        Conv2d(first, 3), ReLU(), Conv2d(first, 3), ReLU(), MaxPool2d(2),
        Conv2d(second, 3), ReLU(), Conv2d(second, 3), ReLU(), MaxPool2d(2),
        Flatten(), Dense(hidden), ReLU(), Dropout(dropout), Dense(hidden), ReLU(), Dense(classes),
        input_shape=input_shape, seed=seed, dtype=dtype,
    )  # fmt: skip


def madry(
    input_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    *,
    channels: tuple[int, int] = (32, 64),
    hidden: int = 1024,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """The MNIST network of Madry et al. 2018: 32@5×5, 2×2 pooling, 64@5×5, 2×2 pooling, 1024 units, 10 logits.

    ReLU; the convolutions are padded by 2, so that only pooling makes images smaller.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    channels: of the two convolutions.
    hidden: units of the hidden layer.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.  Its parameters are conv1.W (32, 1, 5, 5), conv2.W (64, 32, 5, 5), dense1.W (3136, 1024)
    with rows in C, H, W order, dense2.W (1024, 10), and a bias .b of each.  Weights are drawn by `He()` and biases
    start at 0; the authors' code draws N(0, .1²) and starts biases at .1.
    Raises: `DTypeError` for channels of another form.

    >>> from minidl import models
    >>> sum(w.size for w in models.madry().params.values())
    3274634
    """
    first, second = _two_channels("models.madry", channels, "(32, 64)")
    return Sequential(
        Conv2d(first, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(second, 5, padding=2), ReLU(), MaxPool2d(2),
        Flatten(), Dense(hidden), ReLU(), Dense(classes), input_shape=input_shape, seed=seed, dtype=dtype,
    )  # fmt: skip


def vgg(
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    *,
    depth: int = 11,
    width: int = 64,
    hidden: int = 4096,
    dropout: float = 0.5,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """A network of Simonyan and Zisserman 2015, Table 1: five stages of 3×3 convolutions, two hidden layers, logits.

    Each stage ends with 2×2 pooling, except where the image is already 1 pixel high or wide, so that images of any size
    can be used.  ReLU after every layer but the last; dropout after both hidden layers.  ``vgg((3, 224, 224), 1000)``
    is the paper's VGG11, with 132,863,336 parameters.

    input_shape: of one input, such as (1, 28, 28).
    classes: the number of logits.
    depth: 11, 13, 16 or 19 layers with weights, the paper's configurations A, B, D and E.
    width: channels w of the first stage, at least 1; the others have 2w, 4w, 8w and 8w.
    hidden: units of both hidden layers.
    dropout: the rate, at least 0 and below 1.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`.  Its parameters are conv1.W (w, channels, 3, 3), conv1.b, … and dense1.W, … dense3.b.
    Weights are drawn by `He()`, which was published later; the authors started deep networks from a shallow one.
    Raises: `RangeError` for another depth or width, `ShapeError` for an input_shape of another rank.

    >>> from minidl import models
    >>> models.vgg(width=4, hidden=16).params["conv1.W"].shape
    (4, 3, 3, 3)
    """
    if depth not in list(VGG):
        raise RangeError("models.vgg", f"a depth of {sorted(VGG)}", repr(depth))
    if not isinstance(width, Integral) or width < 1:
        raise RangeError("models.vgg", "a whole width, at least 1", repr(width), "width=64 for the paper's")
    if not isinstance(input_shape, Sequence) or len(input_shape) != 3:
        raise ShapeError(
            "models.vgg", "an input_shape (channels, height, width)", repr(input_shape), "input_shape=(3, 32, 32)"
        )
    layers: list[Layer] = []
    shorter_side = min(input_shape[1:])
    for stage, convolutions in enumerate(VGG[depth]):
        for _ in range(convolutions):
            layers += [Conv2d(width * min(2**stage, 8), 3, padding=1), ReLU()]
        if shorter_side > 1:
            layers.append(MaxPool2d(2))
            shorter_side //= 2
    layers.append(Flatten())
    for _ in range(2):
        layers += [Dense(hidden), ReLU(), Dropout(dropout)]
    return Sequential(*layers, Dense(classes), input_shape=input_shape, seed=seed, dtype=dtype)


def autoencoder(
    input_shape: int | Sequence[int] = (1, 28, 28),
    hidden: Sequence[int] = (256, 16),
    *,
    activation: str = "relu",
    init_weights: Initialiser | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> Sequential:
    """Images to a *code* of few numbers, and back to images: 784-256-16-256-784, with outputs between 0 and 1.

    The encoder is a dense layer for each of `hidden`, the last of which is the code, without an activation; the decoder
    has the same layers in reverse order, and ends with a sigmoid.  Train it by `objectives.Reconstruction`.  The
    encoder alone is ``net.up_to("dense2")``, of as many dense layers as `hidden` has; it shares the parameters.

    input_shape: of one image, with pixels in [0, 1].
    hidden: the units of the encoder's layers; the last is the length of the code.
    activation: "relu", "tanh" or "sigmoid", after each layer but the code and the last.
    init_weights: an initialiser for every layer; None is `He()` for ReLU and `Glorot()` for the others.
    seed: of the initial parameters.
    dtype: "float32" for work, "float64" for checking derivatives.

    Returns: a `Sequential`, whose outputs have the shape of its inputs.
    Raises: `DTypeError` for a hidden of another form or without units, `RangeError` for an unknown activation.

    >>> import numpy as np
    >>> from minidl import models
    >>> net, x = models.autoencoder(), np.zeros((5, 1, 28, 28), dtype=np.float32)
    >>> net(x).shape, net.up_to("dense2")(x).shape
    ((5, 1, 28, 28), (5, 16))
    """
    act = _activation("models.autoencoder", activation)
    weights = init_weights or (He() if activation == "relu" else Glorot())
    if not isinstance(hidden, Sequence) or not hidden:
        fix = f"hidden=({hidden!r},)" if isinstance(hidden, Integral) else "hidden=(256, 16)"
        raise DTypeError("models.autoencoder", "hidden=(units, …), the code last", f"hidden={hidden!r}", fix)
    shape = _whole(input_shape)
    layers: list[Layer] = [Flatten()]
    for units in hidden[:-1]:
        layers += [Dense(units, init_weights=weights), act()]
    layers.append(Dense(hidden[-1], init_weights=weights))  # the code
    for units in reversed(hidden[:-1]):
        layers += [Dense(units, init_weights=weights), act()]
    layers += [Dense(prod(shape), init_weights=weights), Sigmoid(), Reshape(shape)]
    return Sequential(*layers, input_shape=input_shape, seed=seed, dtype=dtype)


def _two_rates(operation: str, dropout: Any) -> Sequence[float]:
    if not isinstance(dropout, Sequence) or len(dropout) != 2:
        expected = "dropout=(on the input, on hidden layers)"
        raise DTypeError(operation, expected, f"dropout={dropout!r}", "dropout=(0.2, 0.5)")
    return dropout


def _two_channels(operation: str, channels: Any, example: str) -> Sequence[int]:
    if not isinstance(channels, Sequence) or len(channels) != 2:
        raise DTypeError(operation, "channels of the two stages", repr(channels), f"channels={example}")
    return channels


def _activation(operation: str, name: str) -> Callable[[], Layer]:
    if name not in ACTIVATIONS:
        raise RangeError(operation, f"an activation of {sorted(ACTIVATIONS)}", repr(name))
    return ACTIVATIONS[name]
