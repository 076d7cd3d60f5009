"""What a camera does to an image, and how many successful attacks that undoes.

Kurakin, Goodfellow and Bengio 2016 photographed adversarial images on paper, and simulated the steps on the computer:
light, blur, noise, JPEG.  Here are these transformations and a few more, each ``transform(x, amount, *, bounds=(0, 1),
seed=0)``; and `photo`, several of them one after the other, a simulation: nothing was printed.

Images are clipped to the bounds afterwards, as a camera saturates.  An amount of 0 changes nothing (except for `jpeg`,
where it is the quality).  Random numbers are a function of (seed, index of the example in x) alone.  All raise
`ShapeError`, `DTypeError` or `RangeError` for images or amounts out of range, before any work.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.backend import kernels, namespace, to_numpy
from minidl.core import Array
from minidl.draws import box_muller
from minidl.errors import DTypeError, RangeError, ShapeError

from .common.checks import check_number, check_seed
from .common.precision import check_dtype, in_dtype_of, in_single
from .common.victim import are_bounds

Bounds = tuple[float, float]


def destruction_rate(clean: Any, adversarial: Any, transformed: Any) -> float:
    """d = Σ C(X)·¬C(X_adv)·C(T(X_adv)) / Σ C(X)·¬C(X_adv): the share of successful attacks that T undoes.

    clean: C(X), whether each image is classified correctly as it is (N,), bool.
    adversarial: C(X_adv), whether it is after the attack (N,), bool.
    transformed: C(T(X_adv)), whether it is after the attack and the transformation (N,), bool.
    "Correctly" may mean top-1 or top-5, as in `evaluate.top_k`.

    Returns: a number from 0 to 1; nan if no attack succeeded.
    Raises: `ShapeError` or `DTypeError` for anything but bool arrays of one shape (N,).
    Source: Kurakin, Goodfellow and Bengio 2016, eq. 1.

    >>> import numpy as np
    >>> from attacks.transforms import destruction_rate
    >>> destruction_rate(np.array([True, True]), np.array([False, False]), np.array([True, False]))
    0.5
    """
    clean, adversarial, transformed = arrays = [to_numpy(given) for given in (clean, adversarial, transformed)]
    if clean.ndim != 1 or len({given.shape for given in arrays}) != 1:
        raise ShapeError("destruction_rate", "three arrays (N,)", ", ".join(f"{given.shape}" for given in arrays))
    if any(given.dtype != bool for given in arrays):
        got = ", ".join(str(given.dtype) for given in arrays)
        raise DTypeError("destruction_rate", "bool arrays: right or wrong", got, "compare predictions with labels")
    fooled = clean & ~adversarial
    return float(transformed[fooled].mean()) if fooled.any() else float("nan")


def _keeping_dtype(transform: Callable[..., Array]) -> Callable[..., Array]:
    """The transform, computed in float32 at least, and returned in the dtype of x."""

    @functools.wraps(transform)
    def transformed(x: Array, amount: float, **options: Any) -> Array:
        check_dtype(transform.__name__, x)
        return in_dtype_of(transform(in_single(x), amount, **options), x)

    return transformed


# --- light -----------------------------------------------------------------------------------------------


@_keeping_dtype
def brightness(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """x + amount·(high - low): brighter, or darker for a negative amount.  10/255 is Kurakin's "+10".

    x: images (N, C, H, W), floating point, within the bounds.
    amount: as a share of the range of the pixels, in [-1, 1].
    bounds: the least and the greatest value of a pixel.
    seed: not used: nothing here is random.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.brightness(x, 0.1).shape
    (2, 1, 8, 8)
    """
    low, high = _checked("brightness", x, amount, bounds, seed, -1, 1)
    return namespace(x).clip(x + amount * (high - low), low, high)


@_keeping_dtype
def contrast(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """x + amount·(x - the mean of its channel): .5 is half as much contrast again, -.5 half as much, -1 none.

    x: images (N, C, H, W), floating point, within the bounds.
    amount: at least -1.
    bounds: the least and the greatest value of a pixel.
    seed: not used: nothing here is random.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.contrast(x, 0.5).shape
    (2, 1, 8, 8)
    """
    low, high = _checked("contrast", x, amount, bounds, seed, -1)
    mean = x.mean(axis=(-2, -1), keepdims=True) if x.size else x
    return namespace(x).clip(x + amount * (x - mean), low, high)


@_keeping_dtype
def gamma(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """Each example to a power of its own, 2^u with u from U(-amount, amount); black and white do not change.

    x: images (N, C, H, W), floating point, within the bounds.
    amount: at least 0.
    bounds: the least and the greatest value of a pixel.
    seed: a whole number, of which the draws are a function.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.gamma(x, 0.5).shape
    (2, 1, 8, 8)
    """
    low, high = _checked("gamma", x, amount, bounds, seed)
    drawn = kernels(x).random_uniform(_keys(seed, 1)[0], namespace(x).zeros(len(x), dtype=x.dtype))
    power = (2.0 ** (amount * (2 * drawn - 1))).reshape(-1, 1, 1, 1)
    scaled = (x - low) / (high - low)
    return namespace(x).clip(x + (high - low) * (scaled**power - scaled), low, high)


# --- the lens --------------------------------------------------------------------------------------------


@_keeping_dtype
def blur(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """Convolution with a Gaussian; at its edges the image is mirrored.

    x: images (N, C, H, W), floating point, within the bounds.
    amount: the standard deviation in pixels, at least 0.
    bounds: the least and the greatest value of a pixel.
    seed: not used: nothing here is random.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.blur(x, 1.0).shape
    (2, 1, 8, 8)
    """
    low, high = _checked("blur", x, amount, bounds, seed)
    down, across = (namespace(x).asarray(_gaussian(size, float(amount)), dtype=x.dtype) for size in x.shape[-2:])
    return namespace(x).clip(down @ x @ across.T, low, high)


@_keeping_dtype
def perspective(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """A projective map that moves each corner at random, with bilinear interpolation between pixels.

    x: images (N, C, H, W), floating point, within the bounds.
    amount: how far a corner may move, as a share of half a side, in [0, ½].  Beyond its edges the image continues with
    the pixels there.
    bounds: the least and the greatest value of a pixel.
    seed: a whole number, of which the draws are a function.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.perspective(x, 0.1).shape
    (2, 1, 8, 8)
    """
    _checked("perspective", x, amount, bounds, seed, 0, 0.5)
    n, (height, width) = len(x), x.shape[-2:]
    moves = amount * (2 * kernels(np.empty(0)).random_uniform(_keys(seed, 1)[0], np.empty((n, 4, 2))) - 1)
    map_back = _homography(np.array(CORNERS) + moves)
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    middles = (2 * pixels + 1) / (width, height) - 1  # in halves of a side, as the corners are
    projected = np.concatenate([middles, np.ones((len(pixels), 1))], axis=1) @ map_back.transpose(0, 2, 1)
    way = (projected[..., :2] - middles * projected[..., 2:]) / projected[..., 2:]  # exactly 0 if no corner moves
    place = np.clip(pixels + way * (width, height) / 2, 0, (width - 1, height - 1)).astype(np.float32)
    return _between(x, *(namespace(x).asarray(place[..., axis]) for axis in (1, 0)))


#: (across, down), in halves of a side from the middle.
CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


def _homography(corners: np.ndarray) -> np.ndarray:
    """The matrices (N, 3, 3) of the projective maps that take `CORNERS` to these (N, 4, 2).

    Of the nine entries the last is 1; each corner (a, b) ↦ (u, v) gives two of the eight equations
    h₁a + h₂b + h₃ - u(h₇a + h₈b) = u and h₄a + h₅b + h₆ - v(h₇a + h₈b) = v.
    """
    system, n = np.zeros((len(corners), 8, 8)), len(corners)
    for k, (a, b) in enumerate(CORNERS):
        for axis in (0, 1):
            system[:, 2 * k + axis, 3 * axis : 3 * axis + 3] = a, b, 1
            system[:, 2 * k + axis, 6:] = -corners[:, k, axis, None] * (a, b)
    solved = np.linalg.solve(system, corners.reshape(n, 8, 1))[..., 0]
    return np.concatenate([solved, np.ones((n, 1))], axis=1).reshape(n, 3, 3)


def _between(x: Array, down: Array, across: Array) -> Array:
    """x read between its pixels, at rows and columns (N, H·W) within it: bilinear interpolation."""
    xp, (n, channels, height, width) = namespace(x), x.shape
    row, column = down.astype("int64"), across.astype("int64")
    below, beside = xp.minimum(row + 1, height - 1), xp.minimum(column + 1, width - 1)
    v, u = ((place - whole).astype(x.dtype)[:, None] for place, whole in ((down, row), (across, column)))
    flat = x.reshape(n, channels, height * width)

    def at(row: Array, column: Array) -> Array:
        return xp.take_along_axis(flat, (row * width + column)[:, None], axis=-1)

    above = (1 - u) * at(row, column) + u * at(row, beside)
    under = (1 - u) * at(below, column) + u * at(below, beside)
    return ((1 - v) * above + v * under).reshape(x.shape)


def _gaussian(size: int, sigma: float) -> np.ndarray:
    """(size, size): row i has the weights of all pixels in the blurred pixel i; beyond 4σ there are none."""
    reach = math.ceil(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / max(sigma, 1e-9)) ** 2)
    place = (np.arange(size)[:, None] + offsets) % max(2 * size, 1)
    mirrored = np.where(place < size, place, 2 * size - 1 - place)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], mirrored), weights / weights.sum())
    return matrix


# --- the sensor and the file -----------------------------------------------------------------------------


@_keeping_dtype
def noise(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """x + amount·(high - low)·z with z from N(0, 1) for each pixel (by Box and Muller 1958).

    x: images (N, C, H, W), floating point, within the bounds.
    amount: the standard deviation, as a share of the range of the pixels, at least 0.
    bounds: the least and the greatest value of a pixel.
    seed: a whole number, of which the draws are a function.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.noise(x, 0.05).shape
    (2, 1, 8, 8)
    """
    low, high = _checked("noise", x, amount, bounds, seed)
    xp, (first, second), uniform = namespace(x), _keys(seed, 2), kernels(x).random_uniform
    z = box_muller(uniform(first, x), uniform(second, x))
    return xp.clip(x + amount * (high - low) * z, low, high)


@_keeping_dtype
def jpeg(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """x after compression as a JPEG file, in memory.

    x: images (N, C, H, W), floating point, within the bounds.
    amount: the quality, a whole number from 1 to 100, the best.  Values are rounded to bytes before, so that even 100
    changes a little.
    bounds: the least and the greatest value of a pixel.
    seed: not used: nothing here is random.

    One channel is encoded as grey, three as colour, with Pillow's default of half the resolution for colours.  Raises
    `ShapeError` for other numbers of channels.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.jpeg(x, 50).shape
    (2, 1, 8, 8)
    """
    from PIL import Image

    low, high = _checked("jpeg", x, amount, bounds, seed, 1, 100)
    if x.shape[1] not in (1, 3) or not all(x.shape[2:]):
        raise ShapeError("jpeg", "images (N, 1, H, W) or (N, 3, H, W)", f"{x.shape}")
    if amount != int(amount):
        raise RangeError("jpeg", "a quality that is a whole number", f"{amount}")
    pixels = np.rint((to_numpy(x).astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)
    decoded = np.empty_like(pixels)
    for i, image in enumerate(pixels):
        file, drawn = io.BytesIO(), image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(drawn).save(file, "JPEG", quality=int(amount))
        with Image.open(file) as opened:
            decoded[i] = np.asarray(opened).reshape(*image.shape[1:], len(image)).transpose(2, 0, 1)
    return namespace(x).asarray(low + decoded * ((high - low) / 255), dtype=x.dtype)


@_keeping_dtype
def photo(x: Array, amount: float, *, bounds: Bounds = (0, 1), seed: int = 0) -> Array:
    """A simulated photo: perspective, blur, gamma and noise, each drawn anew for every example.

    x: images (N, C, H, W), floating point, within the bounds.
    amount: from 0 to 10.  At 1, corners move by up to 5 % of half a side, the blur has σ = .5 pixels, gamma is between
    2^-½ and 2^½, and the noise has σ = 2 % of the range.  These numbers are guesses, not fitted to a camera.
    bounds: the least and the greatest value of a pixel.
    seed: a whole number, of which the draws are a function.

    Returns: images like x.

    >>> import numpy as np
    >>> from attacks import transforms
    >>> x = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    >>> transforms.photo(x, 1.0).shape
    (2, 1, 8, 8)
    """
    _checked("photo", x, amount, bounds, seed, 0, 10)
    seeds = iter(_keys(seed, 4))
    for transform, share in PHOTO:
        x = transform(x, amount * share, bounds=bounds, seed=next(seeds))
    return x


Transform = Callable[..., Array]

#: The parts of a photo, and the amount of each for an amount of 1.
PHOTO: tuple[tuple[Transform, float], ...] = ((perspective, 0.05), (blur, 0.5), (gamma, 0.5), (noise, 0.02))


def _keys(seed: int, count: int) -> list[int]:
    """Keys of independent streams of random numbers."""
    return [int(key) for key in np.random.SeedSequence(int(seed)).generate_state(count, np.uint64)]


def _checked(
    name: str, x: Any, amount: Any, bounds: Any, seed: Any, least: float = 0, most: float = 1e6
) -> tuple[float, float]:
    """The bounds, if all arguments are as documented; else an error."""
    if x.ndim != 4:
        raise ShapeError(
            name, "images (N, C, H, W)", f"{x.shape}", "x[None] for one image alone" if x.ndim == 3 else ""
        )
    if not are_bounds(bounds):
        raise RangeError(name, "bounds (low, high), two finite numbers with low < high", f"{bounds}")
    if x.size and not (x.min() >= bounds[0] and x.max() <= bounds[1]):  # also false for NaN
        got = f"values from {x.min()} to {x.max()}"
        raise RangeError(name, f"pixels in [{bounds[0]:g}, {bounds[1]:g}], none NaN", got, "say bounds=...")
    check_number(name, f"an amount from {least:g} to {most:g}", amount, least, most)
    check_seed(name, seed)
    return float(bounds[0]), float(bounds[1])
