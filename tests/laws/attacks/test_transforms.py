"""Laws of the transformations, and of the destruction rate: exact on cases made by hand, and against loops."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import attacks.transforms
from attacks import transforms
from attacks.transforms import destruction_rate
from minidl import backend, draws
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.kernels import reference
from minidl.testing import Mutant, line
from tests.support import strict
from tests.support.other_arrays import add_the_stand_in

seeds = st.integers(0, 2**32 - 1)
#: A usual amount of each.
USUAL = {"brightness": 0.2, "contrast": 0.5, "gamma": 0.5, "blur": 0.8, "perspective": 0.1, "noise": 0.1, "jpeg": 60,
         "photo": 1.0}  # fmt: skip
RANDOM = ("gamma", "perspective", "noise", "photo")


@st.composite
def batches(draw, dtype=np.float64, channels=(1, 3)) -> np.ndarray:
    shape = (draw(st.integers(0, 4)), draw(st.sampled_from(channels)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    return np.random.default_rng(draw(seeds)).random(shape).astype(dtype)


@pytest.mark.parametrize("name", USUAL)
@given(x=batches(np.float32) | batches(), seed=seeds)
def test_shape_dtype_bounds_and_the_input_itself(name, x, seed) -> None:
    before = x.copy()
    y = getattr(transforms, name)(x, USUAL[name], seed=seed)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert ((y >= 0) & (y <= 1)).all()
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, getattr(transforms, name)(x, USUAL[name], seed=seed))


@pytest.mark.parametrize("name", [name for name in USUAL if name != "jpeg"])
@given(x=batches(np.float32) | batches(), bounds=st.sampled_from([(0, 1), (-1, 2.5), (0, 255)]), seed=seeds)
def test_an_amount_of_nothing_changes_nothing(name, x, bounds, seed) -> None:
    x = np.clip(bounds[0] + x * (bounds[1] - bounds[0]), *bounds).astype(x.dtype)
    np.testing.assert_array_equal(getattr(transforms, name)(x, 0, bounds=bounds, seed=seed), x)


@pytest.mark.parametrize("name", USUAL)
@given(x=batches(), low=st.floats(-5, 5), width=st.floats(0.5, 300), seed=seeds)
def test_amounts_are_shares_of_the_range(name, x, low, width, seed) -> None:
    high, transform = low + width, getattr(transforms, name)
    x = np.rint(x * 255) / 255  # so that JPEG's rounding does not hang on the last bit
    scaled = transform(np.clip(low + x * (high - low), low, high), USUAL[name], bounds=(low, high), seed=seed)
    np.testing.assert_allclose((scaled - low) / (high - low), transform(x, USUAL[name], seed=seed), atol=1e-9)


@pytest.mark.parametrize("name", USUAL)
@given(x=batches(), seed=seeds, n=st.integers(0, 4))
def test_what_is_drawn_hangs_on_the_place_in_the_batch_alone(name, x, seed, n) -> None:
    transform = getattr(transforms, name)
    np.testing.assert_array_equal(transform(x, USUAL[name], seed=seed)[:n], transform(x[:n], USUAL[name], seed=seed))


@pytest.mark.parametrize("name", RANDOM)
def test_examples_and_seeds_are_drawn_apart(name) -> None:
    x = np.full((3, 1, 8, 8), 0.5) + np.linspace(-0.2, 0.2, 64).reshape(8, 8)
    drawn = [getattr(transforms, name)(x, USUAL[name], seed=seed) - x for seed in (0, 1)]
    apart = [drawn[0][0], drawn[0][1], drawn[0][2], drawn[1][0], drawn[1][1]]
    for i, one in enumerate(apart):
        for another in apart[:i]:
            assert abs(one - another).max() > 1e-3


# --- one by one ------------------------------------------------------------------------------------------


def test_light_by_hand() -> None:
    x = np.array([[[[0.0, 0.5], [0.75, 0.75]]], [[[1.0, 1.0], [0.0, 0.0]]]])  # means .5 and .5
    np.testing.assert_allclose(transforms.brightness(x, 0.375)[0, 0], [[0.375, 0.875], [1, 1]])
    np.testing.assert_allclose(transforms.brightness(x, -0.5)[0, 0], [[0, 0], [0.25, 0.25]])
    np.testing.assert_allclose(transforms.contrast(x, 0.5)[0, 0], [[0, 0.5], [0.875, 0.875]])
    np.testing.assert_allclose(transforms.contrast(x, -1), 0.5)
    colour = np.concatenate([x[:1], x[:1] / 2, x[:1] / 4], axis=1)  # each channel about its own mean
    np.testing.assert_allclose(transforms.contrast(colour, -1)[0, :, 0, 0], [0.5, 0.25, 0.125])


def test_gamma_draws_a_power_for_each_example() -> None:
    x = np.broadcast_to(np.array([0.0, 0.1, 0.5, 1.0]).reshape(1, 1, 2, 2), (400, 1, 2, 2))
    y = transforms.gamma(x, 0.8, seed=3)
    np.testing.assert_array_equal(y[:, 0, [0, 1], [0, 1]], np.tile([0.0, 1.0], (400, 1)))
    powers = np.log(y[:, 0, [0, 1], [1, 0]]) / np.log([0.1, 0.5])
    np.testing.assert_allclose(powers[:, 0], powers[:, 1], rtol=1e-9)
    u = np.log2(powers[:, 0]) / 0.8
    assert -1 <= u.min() < -0.95
    assert 0.95 < u.max() <= 1
    assert abs(u.mean()) < 0.1


def blurred_by_definition(image: np.ndarray, sigma: float) -> np.ndarray:
    """One channel: the weighted mean of what lies around each pixel, the image going on beyond its edges in mirrors."""
    reach, (height, width) = math.ceil(4 * sigma), image.shape
    endless = np.pad(image, reach, mode="symmetric")
    out = np.zeros_like(image)
    offsets = range(-reach, reach + 1)
    total = sum(math.exp(-0.5 * (o / sigma) ** 2) for o in offsets) ** 2
    for i in range(height):
        for j in range(width):
            for a in offsets:
                for b in offsets:
                    weight = math.exp(-0.5 * (a * a + b * b) / sigma**2)
                    out[i, j] += weight / total * endless[i + a + reach, j + b + reach]
    return out


@pytest.mark.parametrize(
    ("shape", "sigma"), [((7, 5), 0.6), ((4, 9), 1.3), ((1, 6), 2.0), ((2, 2), 1.0), ((1, 1), 3.0)]
)
def test_blur_is_the_definition(shape, sigma) -> None:
    x = np.random.default_rng(0).random((2, 3, *shape))
    expected = np.array([[blurred_by_definition(channel, sigma) for channel in image] for image in x])
    np.testing.assert_allclose(transforms.blur(x, sigma), expected, rtol=1e-12)


@given(x=batches(), sigma=st.floats(0.01, 5))
def test_blur_keeps_the_mean_and_what_is_flat(x, sigma) -> None:
    y = transforms.blur(x, sigma)
    np.testing.assert_allclose(y.sum(axis=(-2, -1)), x.sum(axis=(-2, -1)), rtol=1e-12)
    np.testing.assert_allclose(transforms.blur(x * 0 + 0.3, sigma), x * 0 + 0.3, rtol=1e-12)


def test_noise_is_normal() -> None:
    z = (transforms.noise(np.full((50, 1, 40, 40), 0.5), 0.1, seed=5) - 0.5) / 0.1
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01
    for bound, share in ((1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
        assert abs((abs(z) < bound).mean() - share) < 0.005
    other = (transforms.noise(np.full((50, 1, 40, 40), 0.5), 0.1, seed=6) - 0.5) / 0.1
    assert abs((z * other).mean()) < 0.01  # neighbouring seeds share no stream
    assert abs((z[:, :, 1:] * z[:, :, :-1]).mean()) < 0.01


@given(seed=seeds)
def test_a_homography_takes_the_corners_where_they_are_wanted(seed) -> None:
    wanted = np.array(transforms.CORNERS) + np.random.default_rng(seed).uniform(-0.4, 0.4, (3, 4, 2))
    mapped = np.array([[*corner, 1] for corner in transforms.CORNERS]) @ transforms._homography(wanted).transpose(
        0, 2, 1
    )
    np.testing.assert_allclose(mapped[..., :2] / mapped[..., 2:], wanted, atol=1e-12)
    middle, edge = transforms._homography(wanted) @ [0, 0, 1], transforms._homography(wanted) @ [1, 0, 1]
    assert (middle[:, 2] > 0).all()
    assert (edge[:, 2] > 0).all()


def test_reading_between_pixels_by_hand() -> None:
    x = np.array([[[[0.0, 1.0, 0.5], [0.25, 0.75, 1.0]]]])
    down, across = np.array([[0.0, 0.5, 1.0, 0.25, 1.0, 0.0]]), np.array([[0.0, 0.0, 0.5, 1.5, 2.0, 2.0]])
    expected = [0.0, 0.125, 0.5, 0.75 * 0.75 + 0.25 * 0.875, 1.0, 0.5]
    result = transforms._between(x, down.astype(np.float32), across.astype(np.float32))
    np.testing.assert_allclose(result.reshape(-1), expected)


@given(seed=seeds, amount=st.floats(0, 0.5), height=st.integers(2, 9), width=st.integers(2, 9))
def test_perspective_follows_its_corners(seed, amount, height, width) -> None:
    """On a ramp, interpolation is exact: what is read tells from where, and that is the map of the drawn corners."""
    ramps = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")) / 10.0
    seen = transforms.perspective(np.stack([ramps, ramps]), amount, seed=seed)
    drawn = reference.random_uniform(transforms._keys(seed, 1)[0], np.empty((2, 4, 2)))
    for image, u in zip(seen, drawn):
        matrix = transforms._homography((np.array(transforms.CORNERS) + amount * (2 * u - 1))[None])[0]
        for i in range(height):
            for j in range(width):
                a, b, c = matrix @ [(2 * j + 1) / width - 1, (2 * i + 1) / height - 1, 1]
                row, column = ((b / c + 1) * height - 1) / 2, ((a / c + 1) * width - 1) / 2
                expected = np.clip([row, column], 0, [height - 1, width - 1]) / 10
                np.testing.assert_allclose(image[:, i, j], expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(channels) -> None:
    x = np.random.default_rng(0).random((2, channels, 13, 10))
    for quality in (1, 40, 100):
        result = transforms.jpeg(x, quality)
        for image, ours in zip(x, result):
            pixels = np.rint(255 * image).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels[0] if channels == 1 else np.moveaxis(pixels, 0, -1)).save(
                file, "JPEG", quality=quality
            )
            theirs = np.asarray(Image.open(file))
            theirs = theirs[None] if channels == 1 else np.moveaxis(theirs, -1, 0)
            np.testing.assert_allclose(ours, theirs / 255, rtol=1e-12)


def test_jpeg_costs_more_the_worse_it_is_and_spares_a_flat_grey() -> None:
    x = np.random.default_rng(0).random((4, 1, 16, 16))
    off = [abs(transforms.jpeg(x, quality) - x).mean() for quality in (100, 75, 40, 10)]
    assert off[0] < 0.01
    assert off == sorted(off)
    flat = np.full((2, 3, 9, 9), 128 / 255)
    for quality in (5, 100):
        np.testing.assert_allclose(transforms.jpeg(flat, quality), flat, atol=1e-12)


@given(x=batches(), amount=st.floats(0, 3), seed=seeds)
def test_a_photo_is_its_parts_in_a_row(x, amount, seed) -> None:
    keys, expected = transforms._keys(seed, 4), x
    for (transform, share), key in zip(transforms.PHOTO, keys):
        expected = transform(expected, amount * share, seed=key)
    np.testing.assert_array_equal(transforms.photo(x, amount, seed=seed), expected)
    assert [transform.__name__ for transform, _ in transforms.PHOTO] == ["perspective", "blur", "gamma", "noise"]


# --- the destruction rate --------------------------------------------------------------------------------


def test_destruction_by_hand() -> None:
    """All eight kinds of image: only those right before and wrong after the attack count, there are two."""
    clean = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    adversarial = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)
    transformed = np.array([1, 0, 1, 0, 1, 0, 1, 0], bool)
    assert destruction_rate(clean, adversarial, transformed) == 0.5
    assert destruction_rate(clean, adversarial, ~clean) == 0.0
    assert destruction_rate(clean, adversarial, clean) == 1.0
    assert math.isnan(destruction_rate(clean, clean, transformed))
    assert math.isnan(destruction_rate(*[np.zeros(0, bool)] * 3))


@given(rows=st.lists(st.tuples(*[st.booleans()] * 3), max_size=12))
def test_destruction_is_the_definition(rows) -> None:
    above = sum(c and not a and t for c, a, t in rows)
    below = sum(c and not a for c, a, t in rows)
    result = destruction_rate(*np.array(rows, bool).reshape(-1, 3).T)
    np.testing.assert_equal(result, above / below if below else math.nan)


# --- refusals, other arrays ------------------------------------------------------------------------------

X = np.random.default_rng(0).random((2, 1, 6, 6))
YES = np.ones(3, bool)
REFUSALS = {
    "bytes": (lambda: transforms.blur((X * 255).astype(np.uint8), 1), DTypeError, "blur.*floating-point.*uint8"),
    "a list": (lambda: transforms.noise(X.tolist(), 1), DTypeError, "floating-point.*list"),
    "one image alone": (lambda: transforms.contrast(X[0], 1), ShapeError, r"\(N, C, H, W\).*x\[None\]"),
    "out of bounds": (lambda: transforms.brightness(X + 1, 0.1), RangeError, r"pixels in \[0, 1\].*bounds"),
    "NaN": (lambda: transforms.photo(X * np.nan, 1), RangeError, "none NaN"),
    "bounds the wrong way": (lambda: transforms.gamma(X, 1, bounds=(1, 0)), RangeError, "low < high"),
    "negative blur": (lambda: transforms.blur(X, -1), RangeError, "blur.*amount from 0.*-1"),
    "an amount of NaN": (lambda: transforms.noise(X, math.nan), RangeError, "amount.*nan"),
    "an amount without end": (lambda: transforms.blur(X, math.inf), RangeError, "amount.*inf"),
    "an amount in words": (lambda: transforms.contrast(X, "much"), RangeError, "amount.*much"),
    "less than no contrast": (lambda: transforms.contrast(X, -1.5), RangeError, "amount from -1.*-1.5"),
    "brightness of bytes": (lambda: transforms.brightness(X, 30), RangeError, "amount from -1 to 1.*30"),
    "corners that cross": (lambda: transforms.perspective(X, 0.6), RangeError, "from 0 to 0.5.*0.6"),
    "quality 0": (lambda: transforms.jpeg(X, 0), RangeError, "from 1 to 100.*0"),
    "quality 7.5": (lambda: transforms.jpeg(X, 7.5), RangeError, "whole number.*7.5"),
    "two channels": (lambda: transforms.jpeg(np.zeros((1, 2, 4, 4)), 50), ShapeError, r"\(N, 1, H, W\)"),
    "a negative seed": (lambda: transforms.noise(X, 0.1, seed=-1), RangeError, "seed.*-1"),
    "a seed of 0.5": (lambda: transforms.photo(X, 0.1, seed=0.5), RangeError, "seed.*0.5"),
    "answers as numbers": (lambda: destruction_rate(YES, YES, YES * 1), DTypeError, "bool.*int64"),
    "answers of two lengths": (lambda: destruction_rate(YES, YES, YES[:2]), ShapeError, r"\(3,\), \(3,\), \(2,\)"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name) -> None:
    call, error, message = REFUSALS[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", USUAL)
def test_on_another_library(name, monkeypatch) -> None:
    x = np.random.default_rng(1).random((3, 3, 7, 5)).astype(np.float32)
    with backend.use("numpy"):
        expected = getattr(transforms, name)(x, USUAL[name], seed=2)
    add_the_stand_in(monkeypatch)
    with backend.use("strict"):
        result = getattr(transforms, name)(backend.asarray(x), USUAL[name], seed=2)
    assert isinstance(result, strict.ndarray)
    np.testing.assert_array_equal(result.get(), expected)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("destruction: over all the images", line(attacks.transforms, "destruction_rate", "fooled = clean & ~adversarial", "fooled = clean | ~clean"), test_destruction_is_the_definition),
    Mutant("destruction: mistakes before the attack count", line(attacks.transforms, "destruction_rate", "fooled = clean & ~adversarial", "fooled = ~adversarial"), test_destruction_by_hand),
    Mutant("destruction: what survives", line(attacks.transforms, "destruction_rate", "transformed[fooled]", "(~transformed)[fooled]"), test_destruction_is_the_definition),
    Mutant("brightness: never saturates", line(attacks.transforms, "brightness", "namespace(x).clip(x + amount * (high - low), low, high)", "x + amount * (high - low)"), test_light_by_hand),
    Mutant("brightness: the range forgotten", line(attacks.transforms, "brightness", "amount * (high - low)", "amount"), lambda: test_amounts_are_shares_of_the_range("brightness")),
    Mutant("contrast: about the mean of all channels", line(attacks.transforms, "contrast", "axis=(-2, -1)", "axis=(-3, -2, -1)"), test_light_by_hand),
    Mutant("gamma: one power for all", line(attacks.transforms, "gamma", "2 * drawn - 1", "2 * drawn[:1] - 1 + 0 * drawn"), test_gamma_draws_a_power_for_each_example),
    Mutant("gamma: only darker", line(attacks.transforms, "gamma", "(2 * drawn - 1)", "drawn"), test_gamma_draws_a_power_for_each_example),
    Mutant("blur: variance for deviation", line(attacks.transforms, "_gaussian", "(offsets / max(sigma, 1e-9)) ** 2", "offsets**2 / max(sigma, 1e-9)"), lambda: test_blur_is_the_definition((7, 5), 0.6)),
    Mutant("blur: darker at the edges", line(attacks.transforms, "_gaussian", "weights / weights.sum()", "weights / weights.sum() * (place < size)"), test_blur_keeps_the_mean_and_what_is_flat),
    Mutant("blur: wraps round", line(attacks.transforms, "_gaussian", "np.where(place < size, place, 2 * size - 1 - place)", "place % size"), lambda: test_blur_is_the_definition((7, 5), 0.6)),
    Mutant("blur: cut off too soon", line(attacks.transforms, "_gaussian", "4 * sigma", "2 * sigma"), lambda: test_blur_is_the_definition((7, 5), 0.6)),
    Mutant("perspective: turned round", line(attacks.transforms, "perspective", "np.array(CORNERS) + moves", "np.array(CORNERS) - moves"), test_perspective_follows_its_corners),
    Mutant("perspective: only affine", line(attacks.transforms, "perspective", "/ projected[..., 2:]", "/ 1"), test_perspective_follows_its_corners),
    Mutant("homography: rows and columns mixed up", line(attacks.transforms, "_homography", "corners[:, k, axis, None]", "corners[:, k, 1 - axis, None]"), test_a_homography_takes_the_corners_where_they_are_wanted),
    Mutant("interpolation: the nearest pixel", line(attacks.transforms, "_between", "(1 - v) * above + v * under", "above"), test_reading_between_pixels_by_hand),
    Mutant("interpolation: rows and columns mixed up", line(attacks.transforms, "_between", "row * width + column", "row * height + column"), test_reading_between_pixels_by_hand),
    Mutant("noise: uniform", line(draws, "box_muller", "xp.cos(2 * math.pi * v)", "2**0.5"), test_noise_is_normal),
    Mutant("noise: one stream twice", line(attacks.transforms, "noise", "uniform(second, x)", "uniform(first, x)"), test_noise_is_normal),
    Mutant("transformations: the seed forgotten", line(attacks.transforms, "_keys", "int(seed)", "0"), lambda: test_examples_and_seeds_are_drawn_apart("noise")),
    Mutant("JPEG: rounded down", line(attacks.transforms, "jpeg", "np.rint(", "np.floor("), lambda: test_jpeg_is_pillows(1)),
    Mutant("JPEG: rows and columns mixed up", line(attacks.transforms, "jpeg", "image.transpose(1, 2, 0)", "image.transpose(2, 1, 0).reshape(*image.shape[1:], 3)"), lambda: test_jpeg_is_pillows(3)),
    Mutant("JPEG: best quality always", line(attacks.transforms, "jpeg", "quality=int(amount)", "quality=100"), lambda: test_jpeg_is_pillows(1)),
    Mutant("photo: one seed for all parts", line(attacks.transforms, "photo", "seed=next(seeds)", "seed=seed"), test_a_photo_is_its_parts_in_a_row),
]
# fmt: on
