"""The compiled kernels as a process sees them: threads, forks, caches, a missing Numba, and what import costs."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minidl import backend, grad, losses, models
from minidl.errors import BackendError, RangeError
from minidl.kernels import cpu, reference, threads

ROOT = Path(__file__).parents[2]


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints; fails with what it says if it fails."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env={**os.environ, **environment}, cwd=ROOT,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- bits ------------------------------------------------------------------------------------------------


HOW = {"stride": 1, "padding": 0, "size": (2, 2), "step": 2}
BACK = HOW | {"between": (8, 8), "image": (12, 12)}


def convolved(n: int) -> dict[str, np.ndarray]:
    """Results with matrix products in them, whose last bits are the BLAS library's."""
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(n, 3, 12, 12)).astype(np.float32), rng.normal(size=(8, 3, 5, 5)).astype(np.float32)
    y = cpu.conv2d(x, w, 1, 0)
    return {"conv2d": y, "conv2d_max": cpu.conv2d_max(x, w, 0, **HOW)[0], "input": cpu.conv2d_input(y, w, 1, 0, (12, 12)),
            "weights": cpu.conv2d_weights(x, y, 1, 0, (5, 5))}  # fmt: skip


def kernels_at_work(n: int) -> dict[str, np.ndarray]:
    """Results of every other kernel that shares its work among threads, on arrays large enough for it to do so."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(n, 3, 12, 12)).astype(np.float32), rng.normal(size=(8, 3, 5, 5)).astype(np.float32)
    z, bias = rng.normal(size=(n, 4000)).astype(np.float32), rng.normal(size=4000).astype(np.float32)
    g, places = rng.normal(size=(n, 8, 4, 4)).astype(np.float32), rng.integers(0, 4, (n, 8, 4, 4)).astype(np.uint8)
    g, (a, b) = g * (g > 0), rng.normal(size=(2, n, 784)).astype(np.float32)
    dropped = cpu.activate(z, bias, "relu", 5, 0.5)
    neurons, pixels = rng.integers(0, 4, (n, 12)), rng.normal(size=(3, 784)).astype(np.float32)
    return {
        "activate": dropped, "slope": cpu.activate_vjp(z, dropped, "relu", 5, 0.5),
        "mask": cpu.dropout_mask(3, z, 0.2), "step": cpu.sign_step(z, -z, 0.1, (0, 1), z, 0.05),
        "input": cpu.conv2d_max_input(g, places, w, **BACK),
        "input of small filters": cpu.conv2d_max_input(g, places, w[:, :1], **BACK),
        "entropy": cpu.cross_entropy(z, np.arange(n)), "p": cpu.cross_entropy_gradient(z, np.arange(n)),
        "pairs": cpu.best_pairs(a, b, a < 1), "features": cpu.best_features(a, b, a < 1),
        "mutated": cpu.polynomial_mutation(3, z, 0.1, 15, (-9, 9)),
        "drawn": cpu.cppn(np.triu(z[:, :144].reshape(n, 12, 12), 1), neurons, pixels, 1),
        "pooled": cpu.max_windows(x, (2, 2), 2), "unpicked": cpu.put_into_windows(g, places, (2, 2), 2, (8, 8)),
    }  # fmt: skip


def over_the_batch() -> dict[str, np.ndarray]:
    """Results that sum over the batch."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(50, 3, 12, 12)).astype(np.float32), rng.normal(size=(8, 3, 5, 5)).astype(np.float32)
    how = {"stride": 1, "padding": 0, "size": (2, 2), "step": 2}
    y, places = cpu.conv2d_max(x, w, 0, **how)
    pooled, chosen = cpu.conv2d_max(x[:, :1], w[:, :1], 0, **how)
    back = how | {"between": (8, 8), "filters": (5, 5)}
    weights, g, state = rng.normal(size=(3, 1_000_000)).astype(np.float32)
    cpu.rmsprop(weights, g, abs(state), 0.01, 0.9, 1e-6, True, 1e-3, 1e-3)
    return {"weights": cpu.conv2d_max_weights(x, y * (y > 0), places, **back), "updated": weights,
            "weights of small filters": cpu.conv2d_max_weights(x[:, :1], pooled, chosen, **back)}  # fmt: skip


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_usual_arrays_are_served_by_compiled_loops(monkeypatch) -> None:
    """Not by the readable twin, which would give the same, slowly."""
    given = {name: value.dtype for name, value in kernels_at_work(2).items()}

    def refused(*arguments, **options):
        raise AssertionError("the readable twin was called")

    for name, kernel in vars(cpu).items():
        if hasattr(kernel, "__wrapped__") and hasattr(reference, name):
            monkeypatch.setattr(getattr(reference, name), "__code__", refused.__code__)
    for name, value in (kernels_at_work(2) | over_the_batch() | convolved(2)).items():
        assert value.dtype == given.get(name, np.float32), name


def test_kernels_do_not_depend_on_the_number_of_threads(monkeypatch) -> None:
    results = []
    for n in (1, 2, 3, 7):
        monkeypatch.setenv("MINIDL_THREADS", str(n))
        results.append(kernels_at_work(60) | over_the_batch() | convolved(60))
    for other in results[1:]:
        assert_same_bits(results[0], other)


def test_kernels_do_not_depend_on_the_other_examples() -> None:
    """But for the matrix product inside of a convolution, whose bits are the BLAS library's."""
    whole, part = kernels_at_work(60), kernels_at_work(60)
    assert_same_bits(whole, part)
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(9, 10)).astype(np.float32), np.arange(9)
    a, b = rng.normal(size=(2, 9, 30)).astype(np.float32)
    g, places = rng.normal(size=(9, 4, 4, 4)).astype(np.float32), rng.integers(0, 4, (9, 4, 4, 4)).astype(np.uint8)
    w = rng.normal(size=(4, 3, 5, 5)).astype(np.float32)
    back = {"stride": 1, "padding": 0, "size": (2, 2), "step": 2, "between": (8, 8), "image": (12, 12)}
    for rows in (slice(0, 1), slice(4, 7)):
        for kernel in (
            lambda i: cpu.cross_entropy_gradient(z[i], labels[i]),
            lambda i: cpu.best_pairs(a[i], b[i], a[i] < 1),
            lambda i: cpu.conv2d_max_input(g[i], places[i], w, **back),
            lambda i: cpu.conv2d_max_input(g[i], places[i], w[:, :1], **back),
        ):
            np.testing.assert_array_equal(kernel(slice(None))[rows], kernel(rows))


def test_two_python_threads_at_once() -> None:
    """Many threads in kernels that share their work: no crash, and each array has its own numbers."""
    expected, products = kernels_at_work(20), convolved(60)
    with ThreadPoolExecutor(4) as pool:
        for results, others in pool.map(lambda _: (kernels_at_work(20), convolved(60)), range(40)):
            assert_same_bits(expected, results)
            assert_same_bits(products, others)


# --- processes -------------------------------------------------------------------------------------------


def train_a_little(seed: int) -> np.ndarray:
    """An input gradient of a small LeNet: convolution kernels, threads and BLAS."""
    net = models.lenet(seed=seed)
    x = np.random.default_rng(0).random((64, 1, 28, 28), dtype=np.float32)
    return grad(lambda x: losses.cross_entropy(net(x), np.arange(64) % 10), x)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers(method) -> None:
    """Processes that were forked or spawned after kernels ran here, with threads, go on to run kernels."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    expected = [train_a_little(seed) for seed in range(3)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        for params, same in zip(pool.map(train_a_little, range(3)), expected):
            np.testing.assert_allclose(params, same, rtol=1e-4, atol=1e-7)  # BLAS may use fewer threads there


USE = "import numpy as np; from minidl.kernels import cpu; print(cpu.activate(np.full((2, 2), 3.), 0, 'relu', 1, .5).max())"


def test_without_a_folder_to_keep_compiled_kernels_in(tmp_path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("a file, where a folder is needed")
    code = "import numba.core.caching as c; c.CacheImpl._locator_classes = []; " + USE
    assert python(code, NUMBA_CACHE_DIR=str(nowhere / "cache")) == "6.0"
    kept = tmp_path / "kept"
    assert python(USE, NUMBA_CACHE_DIR=str(kept)) == "6.0"
    assert list(kept.rglob("*.nbi"))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["*.nbi", "*.nbc", "*.nb?"])
def test_a_damaged_cache_is_compiled_anew(tmp_path, damage) -> None:
    """As it was met: after a process was killed in the midst of writing there, every later run ended with EOFError."""
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert python(USE, **kept) == "6.0"
    for rest in (0, 1, 60):
        files = sorted(tmp_path.rglob(damage))
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[:rest])
        assert python(USE, **kept) == "6.0"
        assert all(path.stat().st_size > 60 for path in files)  # sound again


def test_a_change_to_any_file_of_the_kernels_is_noticed(tmp_path) -> None:
    """A loop is kept with what it calls: Numba by itself would go on with the slope that was compiled in the first run."""
    copied = shutil.copytree(ROOT / "minidl", tmp_path / "minidl", ignore=shutil.ignore_patterns("__pycache__"))
    slopes, kept = copied / "kernels" / "slopes.py", {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np; from minidl.kernels import cpu; "
    code += "print(cpu.activate_vjp(np.ones(1), np.full(1, 0.5), 'tanh', None, 0)[0])"
    assert python(code, **kept) == "0.75"
    slopes.write_text(slopes.read_text(encoding="utf-8").replace("one - y * y", "one + y * y"), encoding="utf-8")
    assert python(code, **kept) == "1.25"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path) -> None:
    code = "from numba.core.caching import IndexDataCacheFile as F\ndef full(*_): raise OSError('no space')\n"
    assert python(code + "F.save = full; " + USE, NUMBA_CACHE_DIR=str(tmp_path)) == "6.0"
    assert python(USE, NUMBA_CACHE_DIR=str(tmp_path)) == "6.0"


def test_importing_does_not_import_numba() -> None:
    assert python("import sys, minidl, attacks; print('numba' in sys.modules)") == "False"
    assert python("import sys, minidl; minidl.models.mlp(); print('numba' in sys.modules)") == "False"


def test_where_numba_cannot_be_imported() -> None:
    code = """
import sys, numpy as np
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            raise ImportError("Numba needs another NumPy")
sys.meta_path.insert(0, Broken())
import minidl
net = minidl.models.lenet((1, 16, 16), channels=(2, 3), hidden=4)
print(net(np.zeros((2, 1, 16, 16), np.float32)).shape, minidl.backend.describe())
"""
    output = python(code)
    assert output.startswith("(2, 10) numba: numpy")
    assert "reference kernels; Numba cannot be imported" in output
    assert "needs another NumPy" in output


def test_the_environment_names_the_default() -> None:
    code = "from minidl import backend; print(backend.describe())"
    assert python(code, MINIDL_BACKEND="numpy").endswith("reference kernels")
    assert "cpu kernels, Numba" in python(code, MINIDL_BACKEND="numba", MINIDL_THREADS="3")
    assert python(code, MINIDL_THREADS="3").endswith("3 threads")
    code = "from minidl import MinidlError, backend\ntry: backend.asarray(1)\nexcept MinidlError as e: print(e)"
    assert "one of ['cupy', 'numba', 'numpy']" in python(code, MINIDL_BACKEND="torch")


def test_bad_numbers_of_threads_raise_an_error(monkeypatch) -> None:
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv("MINIDL_THREADS", wrong)
        with pytest.raises(RangeError, match="a number of threads, at least 1"):
            threads.count()


def test_an_error_in_any_part_is_an_error() -> None:
    def kernel(first: int, last: int) -> None:
        if first:
            raise ValueError("in another thread")

    with pytest.raises(ValueError, match="in another thread"):
        threads.share(kernel, 4, 1e9)


def test_explicit_choices_of_kernels() -> None:
    with backend.use("numpy") as chosen:
        assert chosen.kernels is reference
    with backend.use("numba") as chosen:
        assert chosen.kernels is cpu
    with pytest.raises(BackendError, match="numba"):
        backend.use("jax")
