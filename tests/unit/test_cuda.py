"""The CUDA kernels against their reference twins: emulated on this processor, and on the GPU where there is one.

Also that NVRTC compiles them, and that CuPy has all that is asked of an array library, which needs no GPU.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import attacks
import minidl
from attacks import Victim, fgsm, jsma
from minidl import backend, layers, models, optim
from minidl.backend import Backend
from minidl.data import Dataset
from minidl.kernels import cuda, reference
from minidl.kernels.cuda import launch
from minidl.losses import Penalty
from minidl.train import fit, gradient
from tests.laws.attacks import test_every_attack as small
from tests.laws.attacks.every_attack import ATTACKS, FOOLING
from tests.laws.kernels.twins import LAWS, Side
from tests.support import emulated_cuda, strict
from tests.support.emulated_cuda import needs_compiler

EMULATED = Side(cuda, strict.ndarray, keeps_roundings=True)


@needs_compiler
@pytest.mark.parametrize("law", LAWS)
@settings(max_examples=60)
@given(data=st.data())
def test_kernels_are_the_references(law, data) -> None:
    LAWS[law](EMULATED, data)


@pytest.mark.gpu
@pytest.mark.parametrize("law", LAWS)
@settings(max_examples=60)
@given(data=st.data())
def test_kernels_are_the_references_on_a_gpu(law, data) -> None:
    cupy = cupy_with_a_gpu()
    LAWS[law](Side(cuda, cupy.asarray), data)


def cupy_with_a_gpu():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        count, problem = cupy.cuda.runtime.getDeviceCount(), "CuPy finds none"
    except RuntimeError as error:
        count, problem = 0, str(error)
    return cupy if count else pytest.skip(f"no GPU: {problem}")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_on_a_gpu(name, kind) -> None:
    """It ends where it ends here, but for roundings; a single pixel may be the other of two that are as good."""
    cupy_with_a_gpu()
    net, (x, y) = small.network(), small.images(2, dtype=np.float32)
    x, t = x.astype(kind), small.other_targets(net, x, np.random.default_rng(2))
    here = ATTACKS[name](Victim(net), x, y, t, 1.0)
    with backend.use("cupy"):
        there = small.network()
        for parameter, value in net.params.items():
            there.params[parameter] = backend.asarray(value)
        result = ATTACKS[name](Victim(there), *map(backend.asarray, (x, y, t)), 1.0)
    x_adv = backend.to_numpy(result.x_adv)
    assert x_adv.dtype == x.dtype
    np.testing.assert_array_equal(backend.to_numpy(result.success), here.success)
    apart = abs(x_adv.astype(float) - here.x_adv) > 2e-3
    assert apart.mean() <= 0.02, apart.sum()


@pytest.mark.gpu
@pytest.mark.parametrize("name", FOOLING)
def test_fooling_images_on_a_gpu(name) -> None:
    cupy_with_a_gpu()
    here = FOOLING[name](Victim(small.network()))
    with backend.use("cupy"):
        result = FOOLING[name](Victim(small.network()))
    np.testing.assert_allclose(backend.to_numpy(result.confidence), here.confidence, atol=0.02)


# --- wrong kernels -------------------------------------------------------------------------------------------

#: What to plant in `kernels.cu`: a law, a piece of text, and what to write in its place.
WRONG = {
    "a wrong shift in the hash": ("dropout_mask", "z >> 27", "z >> 26"),
    "draws that count from 0": ("dropout_mask", "(i + 1) * 0x9E37", "i * 0x9E37"),
    "a mask that is not of the position in y": ("activate_vjp", "mask(j, key", "mask(i, key"),
    "the bias of another unit": ("activate", "bias[i % units]", "bias[(i + 1) % units]"),
    "a threshold of its own": ("activate", "random_bits(key, i) >= threshold", "random_bits(key, i) > threshold << 1"),
    "the slope of the dropped activation": ("activate_vjp", "slope(y[j] * kept", "slope(y[j]"),
    "no momentum": ("sgd", "velocity[i] = momentum * velocity[i] - step", "velocity[i] = velocity[i] - step"),
    "a penalty that knows no sign": ("adam", "g + l1 * sign(w)", "g + l1"),
    "epsilon on the wrong side": ("rmsprop", "inside ?", "!inside ?"),
    "one row too few": ("gather", "rows[i / width]", "rows[(i + 1) / width]"),
    "no clipping to the ball": ("sign_step", "if (origin)", "if (false)"),
    "a threshold for all rows": ("tanh_adam", "fabs(d) > tau[row] ?", "fabs(d) > tau[0] ?"),
    "half the pull of the distance": ("tanh_adam", ": 2 * d;", ": d;"),
    "a tanh without slope": ("tanh_adam", "(half * (1 - u * u))", "half"),
    "pixels that stay drift": ("tanh_adam", "still ? x[i] :", ""),
    "averages of pixels that stay": ("tanh_adam", "still ? 0 :", ""),
    "a walk without end": ("tanh_adam", "clipped(w[i] - rate[row] * m / (sqrt(s / correction[row]) + epsilon), -limit, limit)",
                           "w[i] - rate[row] * m / (sqrt(s / correction[row]) + epsilon)"),
    "one class too many": ("cross_entropy", "for (int k = 0; k < classes; ++k)\n            total",
                           "for (int k = 0; k <= classes; ++k)\n            total"),
    "the label's entry, lost to rounding": ("cross_entropy", "p[labels[row]] = -others", "p[labels[row]] -= 1"),
    "a window that starts too late": ("conv2d", "% across * stride - padding", "% across * stride + 1 - padding"),
    "columns that do not add up": ("conv2d", "sum += columns", "sum = columns"),
    "windows with no end": ("conv2d", "&& start / stride < windows ?", "?"),
    "the last of equal maxima": ("max_windows", "pixel > best ||", "pixel >= best ||"),
    "windows that do not add up": ("max_windows", "sum += y", "sum = y"),
    "a bias by image": ("conv2d_max", "bias[channel]", "bias[image % channels]"),
    "ties by the number alone": ("best_pairs", "return b(p) > b(q)", "return p < q"),
    "a bound of the wrong feature": ("best_pairs", "b(p) + b(top.second)", "b(p) + b(top.first)"),
    "any of equal pairs": ("best_pairs", "|| earlier", ""),
    "an impatient bound": ("best_pairs", ">= found", "> found"),
    "the domain ignored": ("best_pairs", "if (domain[p * count + row]) x.list", "x.list"),
    "the draw of another entry": ("polynomial_mutation", "random_uniform(key, 2 * i + 1)", "random_uniform(key, 2 * i)"),
    "out of bounds": ("polynomial_mutation", "clipped(x[i] + delta * (high - low), low, high)", "x[i] + delta * (high - low)"),
    "the functions of the first network": ("cppn", "functions[network * neurons + j]", "functions[j]"),
    "backwards through a connection": ("cppn", "if (w[i * neurons + j] != 0) z += w[i * neurons + j]", "z += w[j * neurons + i]"),
    "one thread too many": ("activate", "i < (count)", "i <= (count)"),
}  # fmt: skip


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_kernels_are_caught(name, monkeypatch) -> None:
    law, old, new = WRONG[name]
    assert old in launch.SOURCE
    monkeypatch.setattr(launch, "SOURCE", launch.SOURCE.replace(old, new))

    # That it fails is all one asks: no shrinking, and one failure will do.
    @settings(max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False)
    @given(data=st.data())
    def wrong(data) -> None:
        LAWS[law](EMULATED, data)

    with pytest.raises((AssertionError, RuntimeError, RuntimeWarning)):
        wrong()


# --- which arrays go where ------------------------------------------------------------------------------------


def examples(dtype) -> dict[str, tuple]:
    """Arguments for every kernel of `cuda`."""
    rng = np.random.default_rng(0)
    x, w, z = (strict.ndarray(rng.random(shape).astype(dtype)) for shape in ((2, 1, 4, 4), (3, 1, 2, 2), (2, 3)))
    y = strict.ndarray(rng.random((2, 3, 3, 3)).astype(dtype))
    g = strict.ndarray(rng.random((2, 3, 1, 1)).astype(dtype))
    places, labels = strict.ndarray(np.zeros((2, 3, 1, 1), np.uint8)), strict.ndarray(np.array([0, 2]))
    domain, pooling = strict.ones((2, 3), dtype=bool), ((2, 2), 2)
    return {
        "activate": (z, z[0], "tanh", 3, 0.5), "activate_vjp": (z, z, "tanh", 3, 0.5), "dropout_mask": (3, z, 0.5),
        "sgd": (z.copy(), z, z.copy(), 0.1, 0.9, True), "rmsprop": (z.copy(), z, z.copy(), 0.1, 0.9, 0.1, True),
        "adam": (z.copy(), z, z.copy(), z.copy(), 1, 0.1, 0.9, 0.9, 0.1), "gather": (x, labels % 2),
        "sign_step": (z, z, 0.1, (0, 1)),
        "tanh_adam": (*(z.copy() for _ in range(4)), z, z, labels + 1, 0.1, (0, 1), 0.6, 1.5),
        "cross_entropy": (z, labels), "cross_entropy_gradient": (z, labels),
        "conv2d": (x, w, 1, 0), "conv2d_input": (y, w, 1, 0, (4, 4)), "conv2d_weights": (x, y, 1, 0, (2, 2)),
        "max_windows": (y, *pooling), "argmax_windows": (y, g, *pooling), "put_into_windows": (g, places, *pooling, (3, 3)),
        "conv2d_max": (x, w, z[0], 1, 0, *pooling), "best_features": (z, z, domain), "best_pairs": (z, z, domain),
        "conv2d_max_input": (g, places, w, 1, 0, *pooling, (3, 3), (4, 4)),
        "conv2d_max_weights": (x, g, places, 1, 0, *pooling, (3, 3), (2, 2)),
        "polynomial_mutation": (3, z, 0.5, 15, (0, 1)), "cppn": (x[:, 0], strict.zeros((2, 4), dtype="int8"), z, 1),
    }  # fmt: skip


@needs_compiler
def test_every_kernel_is_launched_and_none_waits_for_the_device(monkeypatch) -> None:
    monkeypatch.setattr(emulated_cuda, "launches", emulated_cuda.Counter())
    for name, arguments in examples(np.float32).items():
        launched, waited = emulated_cuda.launches.total(), strict.synchronisations
        getattr(cuda, name)(*arguments)
        assert emulated_cuda.launches.total() > launched, name
        assert strict.synchronisations == waited, name
    assert set(emulated_cuda.launches) == set(KERNELS)


def test_other_dtypes_and_mixed_ones_are_left_to_the_reference(monkeypatch) -> None:
    monkeypatch.setattr(launch, "_kernel", lambda *_: pytest.fail("a kernel was run"))
    for name, arguments in examples(np.float16).items():
        getattr(cuda, name)(*arguments)
    (wide, *_), (narrow, *_) = examples(np.float64)["activate"], examples(np.float32)["activate"]
    assert cuda.activate_vjp(wide, narrow, "tanh", None, 0.0).dtype == np.float64
    assert cuda.sign_step(narrow, wide, 0.1, None, origin=wide).dtype == np.float64


@needs_compiler
def test_the_emulation_is_strict() -> None:
    kernel = strict.RawModule(code=launch.SOURCE, options=(*launch.OPTIONS, "-Dreal=float")).get_function(
        "dropout_mask"
    )
    y = strict.zeros(4, dtype="float32")
    given = [np.int64(4), y, np.uint64(0), np.uint64(0), np.float32(1)]
    kernel((1,), (128,), tuple(given))
    assert y.get().tolist() == [1, 1, 1, 1]
    frozen = np.zeros(4, np.float32)
    frozen.setflags(write=False)
    of_the_host, strided = np.zeros(4, np.float32), strict.zeros(8, dtype="float32")[::2]
    for place, wrong in [(0, 4), (0, np.int32(4)), (4, 1.0), (4, np.float64(1)), (1, of_the_host), (1, strided),
                         (1, strict.zeros(4)), (1, strict.ndarray(frozen)), (0, None)]:  # fmt: skip
        with pytest.raises(TypeError):
            kernel((1,), (128,), (*given[:place], wrong, *given[place + 1 :]))
    with pytest.raises(TypeError):
        kernel((1,), (128,), tuple(given[:-1]))
    for grid, block in [((0,), (128,)), ((1,), (2048,)), (1, 128)]:
        with pytest.raises(ValueError, match="grid or block"):
            kernel(grid, block, tuple(given))
    with pytest.raises(RuntimeError, match="past its edge"):
        kernel((1,), (128,), (np.int64(5), *given[1:]))


def test_all_names_and_signatures_are_the_references() -> None:
    def parameters(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    for name, theirs in vars(reference).items():
        if not name.startswith("_"):
            assert hasattr(cuda, name), name
            if inspect.isfunction(theirs):
                assert parameters(getattr(cuda, name)) == parameters(theirs), name


# --- whole networks -------------------------------------------------------------------------------------------


@pytest.fixture
def on_strict(monkeypatch):
    monkeypatch.setitem(backend.BACKENDS, "strict", lambda: Backend("strict", strict, lambda: cuda))
    with backend.use("strict"):
        yield


def lenet(dtype: str = "float32") -> models.Sequential:
    return models.Sequential(
        layers.Conv2d(4, 3), layers.ReLU(), layers.MaxPool2d(2), layers.Conv2d(6, 3, padding=1), layers.Tanh(),
        layers.MaxPool2d(2), layers.Flatten(), layers.Dropout(0.1), layers.Dense(16), layers.Sigmoid(),
        layers.Dropout(0.3), layers.Dense(5), input_shape=(1, 12, 12), seed=1, dtype=dtype,
    )  # fmt: skip


def images(n: int = 50, dtype: str = "float32") -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.random((n, 1, 12, 12)).astype(dtype), rng.integers(0, 5, n)
    return Dataset(backend.asarray(x), backend.asarray(y), tuple("abcde"))


@needs_compiler
@pytest.mark.parametrize("optimizer", [optim.SGD(0.1, 0.9, True), optim.RMSProp(), optim.Adam()], ids=repr)
def test_two_epochs_end_where_numpy_does(on_strict, optimizer) -> None:
    ours = lenet()
    history = fit(ours, images(), epochs=2, batch_size=16, optimizer=optimizer, progress=False)
    with backend.use("numpy"):
        theirs = lenet()
        expected = fit(theirs, images(), epochs=2, batch_size=16, optimizer=optimizer, progress=False)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-5)
    for name, w in theirs.params.items():
        np.testing.assert_allclose(ours.params[name].get(), w, rtol=0, atol=1e-5)


@needs_compiler
def test_a_step_does_not_wait_for_the_device(on_strict) -> None:
    net, data, optimizer = lenet(), images(), optim.Adam()
    state, before = optimizer.init(net.params), strict.synchronisations
    for _ in range(3):
        grads = gradient(net, data.x, data.y, np.random.default_rng(0), check=False)[-1]
        optimizer.update(net.params, grads, state, Penalty(1e-4, 1e-4))
    assert strict.synchronisations == before


@needs_compiler
def test_attacks_find_the_same_images(on_strict) -> None:
    """In float64, where no two slopes are alike but for rounding."""

    def attacked():
        net, data = lenet("float64"), images(8, "float64")
        pairs, single = (jsma(net, data.x, data.y, features=n, all_targets=True) for n in (2, 1))
        return [pairs, single, fgsm(net, data.x, data.y, epsilon=0.1)]

    result = attacked()
    with backend.use("numpy"):
        expected = attacked()
    for ours, theirs in zip(result, expected):
        np.testing.assert_allclose(ours.x_adv.get(), theirs.x_adv, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(ours.success.get(), theirs.success)


# --- CuPy and NVRTC, without a GPU ----------------------------------------------------------------------------

KERNELS = re.findall(r'extern "C" __global__ void (\w+)\(', launch.SOURCE)
# NVIDIA's exp, log, pow, sin and tanh are made of fma
TRANSCENDENTAL = ("activate", "tanh_adam", "cross_entropy", "cross_entropy_gradient", "polynomial_mutation", "cppn")
ADDED_BY_CUPY = ("-ftz=true", "--device-as-default-execution-space")


@functools.cache
def nvrtc():
    """CuPy's access to NVRTC, NVIDIA's compiler."""
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from cupy_backends.cuda.libs import nvrtc

    try:
        nvrtc.getVersion()
    except RuntimeError as error:
        pytest.skip(f"no NVRTC: {error}")
    return nvrtc


@pytest.mark.parametrize("architecture", ["compute_75", "compute_90"])
@pytest.mark.parametrize("real", ["float", "double"])
def test_nvrtc_compiles_the_kernels(real, architecture) -> None:
    program = nvrtc().createProgram(launch.SOURCE, "kernels.cu", (), ())
    options = (*launch.OPTIONS, f"-Dreal={real}", *ADDED_BY_CUPY, f"-arch={architecture}")
    try:
        nvrtc().compileProgram(program, options)
    except nvrtc().NVRTCError:
        pytest.fail(nvrtc().getProgramLog(program))
    assert not nvrtc().getProgramLog(program)  # no warnings either
    entries = {part.partition("(")[0]: part for part in nvrtc().getPTX(program).decode().split(".entry ")[1:]}
    assert set(entries) == set(KERNELS)
    for name, code in entries.items():
        assert not re.search(r"atom\.|\.shared", code)
        assert name in TRANSCENDENTAL or "fma." not in code  # sums are not contracted


def test_the_sources_are_ascii() -> None:
    """CuPy writes them to a file in the encoding of the place."""
    assert launch.SOURCE.isascii()


def asked_of_a_namespace(source: str) -> set[str]:
    """What a program takes from an array library: ``xp.name``, ``library(x).name``."""
    tree = ast.parse(source)

    def is_namespace(node) -> bool:
        called = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("library", "namespace")
        return called or (isinstance(node, ast.Attribute) and node.attr == "namespace")

    bound, asked = {"xp"}, set()
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            both = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            for name, value in zip(target.elts, node.value.elts) if both else [(target, node.value)]:
                bound |= {name.id} if isinstance(name, ast.Name) and is_namespace(value) else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (getattr(node.value, "id", "") in bound or is_namespace(node.value)):
            asked.add(node.attr)
    return asked


def test_the_names_asked_of_a_namespace_are_found() -> None:
    source = """
xp, n = library(a), 3
other = namespace(b)
xp.one(other.two, library(c).three, current().namespace.four, n.not_this)
"""
    assert asked_of_a_namespace(source) == {"one", "two", "three", "four"}


def test_cupy_has_every_name_that_is_asked_for() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    missing = {}
    for package in (minidl, attacks):
        for path in Path(package.__file__).parent.rglob("*.py"):
            asked = asked_of_a_namespace(path.read_text(encoding="utf-8"))
            missing |= {f"{path.name}: {name}": name for name in asked if not hasattr(cupy, name)}
    assert missing == {}


def test_the_stand_in_has_nothing_that_cupy_lacks() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    assert [name for name in vars(strict) if hasattr(np, name) and not hasattr(cupy, name)] == []
    assert [name for name in strict._ATTRIBUTES | set(strict._METHODS) if not hasattr(cupy.ndarray, name)] == []
    for name, options in strict._METHODS.items():
        signature = getattr(cupy.ndarray, name).__doc__.splitlines()[0]  # compiled ones have no other
        assert [option for option in options if not re.search(rf"\b{option}\b", signature)] == [], signature
