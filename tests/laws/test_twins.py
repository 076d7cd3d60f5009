"""The compiled kernels against their reference twins, and wrong ones, which must be told from them."""

from __future__ import annotations

import inspect
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from minidl.kernels import (
    compiled,
    cpu,
    cpu_conv,
    cpu_conv_loops,
    cpu_descent,
    cpu_draws,
    cpu_evolution,
    cpu_pairs,
    reference,
    threads,
)
from tests.laws.twins import LAWS, Side


@pytest.mark.parametrize("law", LAWS)
@settings(max_examples=100)
@given(data=st.data())
def test_kernels_are_the_references(law, data) -> None:
    LAWS[law](Side(cpu), data)


@pytest.mark.parametrize("law", LAWS)
@settings(max_examples=40)
@given(data=st.data(), parts=st.integers(2, 5))
def test_kernels_in_parts_are_the_references(law, data, parts) -> None:
    """However small the work is, several threads share it: what one of them gets wrong shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIDL_THREADS", str(parts))
        patch.setattr(threads, "WORTH_A_THREAD", 1e-9)
        patch.setattr(cpu, "WORTH_SHARING", 1)
        LAWS[law](Side(cpu), data)


def penalty(side, data) -> None:
    w, factors = np.array([[3.0, -2.0], [0.0, 1.0]]), data.draw(st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.1, 0.2)]))
    for dtype in (np.float32, np.float64):
        found = side.kernels.penalty(w.astype(dtype), *factors)
        np.testing.assert_allclose(found, factors[0] * 6 + factors[1] * 14, rtol=1e-6)
        assert found.dtype == dtype


@given(data=st.data())
def test_penalty(data) -> None:
    penalty(Side(cpu), data)


def test_all_names_and_signatures_are_the_references() -> None:
    def parameters(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    for name, theirs in vars(reference).items():
        if (
            not name.startswith("_")
            and inspect.isfunction(theirs)
            and theirs.__module__.startswith("minidl.kernels.ref")
        ):
            assert parameters(getattr(cpu, name)) == parameters(theirs), name


# --- wrong kernels ---------------------------------------------------------------------------------------
# As plain Python, so that they need not be compiled.

#: A file, a law, a piece of the file's text, and what to write in its place.
WRONG = {
    "a wrong shift in the hash": (cpu_draws, "dropout_mask", "z >> np.uint64(27)", "z >> np.uint64(26)"),
    "draws that count from 0": (cpu_draws, "dropout_mask", "np.uint64(i) + np.uint64(1)", "np.uint64(i)"),
    "parts of another size": (cpu_draws, "random_uniform", ", 2.0**-bits", ", 2.0 ** (1 - bits)"),
    "uniform draws that begin anew": (cpu_draws, "random_uniform", "offset + first + i", "first + i"),
    "a mask that does not know its row": (cpu, "unit", "draw(key, n * units + k)", "draw(key, k)"),
    "the bias of another unit": (cpu, "unit", "bias[k]", "bias[k - 1]"),
    "ReLU before the bias": (cpu, "unit", "value = zero if value < zero else value", "value = bias[k] if sums[k] < zero else value"),
    "the slope of the scaled activation": (cpu, "unit_slope", "phi, slope = kept * y[i]", "phi, slope = y[i]"),
    "the slope of another position": (cpu, "unit_slope", "products[i] = cotangents[i] * slope", "products[i] = cotangents[i - 1] * slope"),
    "memory taken for rows": (cpu, "unit_slope", "return found if key is not None else found.transpose(back)", "return found"),
    "no momentum": (cpu, "sgd", "velocity[i] = momentum * velocity[i]", "velocity[i] = 0 * velocity[i]"),
    "a penalty that knows no sign": (cpu, "adam", "-l1 if w < 0", "l1 if w < 0"),
    "epsilon on the wrong side": (cpu, "rmsprop", "if inside else", "if not inside else"),
    "half a penalty": (cpu, "sgd", "(l2 + l2) * w", "l2 * w"),
    "no clipping to the ball": (cpu, "sign_step", "if len(origin):", "if False:"),
    "no threshold": (cpu_descent, "tanh_adam", "pull = zero if abs(d) <= tau[n] else", "pull ="),
    "the distance pulls outwards": (cpu_descent, "tanh_adam", "pull = d + d", "pull = -d - d"),
    "a tanh without slope": (cpu_descent, "tanh_adam", "(half * (one - u * u))", "half"),
    "pixels that stay drift": (cpu_descent, "tanh_adam", "value = x[n, i]", "pass"),
    "averages of pixels that stay": (cpu_descent, "tanh_adam", "slope = zero\n", "pass\n"),
    "the rate of the first row": (cpu_descent, "tanh_adam", "rate[n] * mean", "rate[0] * mean"),
    "a walk without end": (cpu_descent, "tanh_adam", "min(max(moved, -limit), limit)", "moved"),
    "beyond the bounds": (cpu_descent, "tanh_adam", "min(max(centre + half * x_adv[n, i], low), high)", "centre + half * x_adv[n, i]"),
    "the draw of another entry": (cpu_evolution, "polynomial_mutation", "2 * (first + k) + 1", "2 * (first + k)"),
    "one tail": (cpu_evolution, "polynomial_mutation", "if r < 0.5 else", "if True else"),
    "the rest moves": (cpu_evolution, "polynomial_mutation", "shift, part) < rate", "shift, part) >= rate"),
    "a mutation out of bounds": (cpu_evolution, "polynomial_mutation", "min(max(x[k] + delta * (high - low), low), high)", "x[k] + delta * (high - low)"),
    "a mutation that knows no scale": (cpu_evolution, "polynomial_mutation", "delta * (high - low)", "delta"),
    "a sum left from the last network": (cpu_evolution, "cppn", "z[:] = 0", "pass"),
    "the needs of the last neuron alone": (cpu_evolution, "cppn", "found[i] |=", "found[i] ="),
    "a neuron that hears itself": (cpu_evolution, "cppn", "for i in range(j):\n                    if", "for i in range(j + 1):\n                    if"),
    "inputs that listen": (cpu_evolution, "cppn", "range(len(inputs), neurons)", "range(neurons)"),
    "the functions of the first network": (cpu_evolution, "cppn", "functions[n, j]", "functions[0, j]"),
    "a half sigmoid": (cpu_evolution, "cppn", "two / (one", "one / (one"),
    "a bell that is none": (cpu_evolution, "cppn", "-z[p] * z[p]", "-z[p]"),
    "a line without end": (cpu_evolution, "cppn", "min(max(z[p], -three), three) / three", "z[p] / three"),
    "one class too few": (cpu, "cross_entropy", "for k in range(z.shape[1]):\n            total", "for k in range(1, z.shape[1]):\n            total"),
    "the label's entry, lost to rounding": (cpu, "cross_entropy", "found[n, labels[n]] = -others", "found[n, labels[n]] -= 1"),
    "another's columns": (cpu, "matmul", "np.matmul(rows, b[:, first:last]", "np.matmul(rows, b[:, : last - first]"),
    "a stack in one": (cpu, "matmul", "found if a.ndim == 2 else found.reshape(*a.shape[:-1], b.shape[1])", "found"),
    "absolute values squared": (cpu, "penalty", "total += abs(w[i])", "total += w[i] * w[i]"),
    "windows one line too low": (cpu_conv_loops, "conv2d", "line = x[n, i * stride + u]", "line = x[n, i * stride + u - 1]"),
    "windows that do not add up": (cpu_conv_loops, "conv2d", "part[k] += row[k]", "part[k] = row[k]"),
    "padding on one side only": (cpu_conv, "conv2d", "padding : height - padding, padding : width - padding", "padding:, padding:"),
    "the last of equal maxima": (cpu_conv_loops, "max_windows", "(value > best[o])", "(value >= best[o])"),
    "the first pixel left out": (cpu_conv_loops, "max_windows", "place[o] = 0", "place[o] = 1"),
    "unpooled pixels that do not add up": (cpu_conv_loops, "max_windows", "] += g[m, i, j, o]", "] = g[m, i, j, o]"),
    "maxima before the bias": (cpu_conv_loops, "conv2d_max", "value = pixel[o] + bias[o]", "value = pixel[o]"),
    "the fourth row forgotten": (cpu_conv_loops, "conv2d_max", "+ s * d[i]", ""),
    "the rest of the rows forgotten": (cpu_conv_loops, "conv2d_max", "while k < count:", "while False:"),
    "a shift of another weight": (cpu_conv_loops, "conv2d_max", "part = x[m, c, shifts[t] :", "part = x[m, c, shifts[t - 1] :"),
    "planes left from the last image": (cpu_conv_loops, "conv2d_max", "    planes[:] = 0\n", ""),
    "lists left from the last image": (cpu_conv_loops, "conv2d_max", "            count[:] = 0\n            for i", "            for i"),
    "the places of another image": (cpu_conv_loops, "conv2d_max", "places[m % len(places)]", "places[0]"),
    "images between parts lost": (cpu_conv_loops, "conv2d_max", "len(g) * (part + 1) // parts", "len(g) * (part + 1) // parts - (part == 3)"),
    "ties by the number alone": (cpu_pairs, "best_pairs", "return b[p] > b[q]", "return p < q"),
    "the last of equal pairs": (cpu_pairs, "best_pairs", "or _ranks_before(ups, downs, p, one)", "or _ranks_before(ups, downs, one, p)"),
    "an impatient bound": (cpu_pairs, "best_pairs", "bound[p] >= reached", "bound[p] > reached"),
    "a feature paired with itself": (cpu_pairs, "best_pairs", "products[p] = -1", "pass"),
    "the domain ignored": (cpu_pairs, "best_pairs", "a[n, i] if domain[n, i] else none, b[n, i] if domain[n, i] else none",
                           "a[n, i], b[n, i]"),
}  # fmt: skip


def plain(module: Any, old: str, new: str) -> types.ModuleType:
    """The module with another text, its loops not compiled."""
    source = inspect.getsource(module)
    assert old in source, f"{old!r} is no longer in {module.__name__}"
    wrong = types.ModuleType(module.__name__)
    wrong.__package__ = module.__package__
    exec(compile(source.replace(old, new), module.__file__, "exec"), vars(wrong))
    return wrong


def check(module: Any, law: str, old: str, new: str) -> None:
    """The law, of kernels of which one file has another text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "compiled", lambda relaxed=True: lambda loop: loop)
        patch.setattr(cpu_conv, "loops", plain(cpu_conv_loops, *((old, new) if module is cpu_conv_loops else ("", ""))))
        names = vars(cpu) if module is cpu_conv_loops else vars(cpu) | vars(plain(module, old, new))
        side = Side(types.SimpleNamespace(**names))

        @settings(max_examples=300, phases=[Phase.generate])  # that it fails is all one asks: no shrinking
        @given(data=st.data())
        def obey(data) -> None:
            (LAWS | {"penalty": penalty})[law](side, data)

        with np.errstate(over="ignore"):
            obey()


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_kernels_are_caught(name) -> None:
    with pytest.raises((AssertionError, IndexError, OverflowError, ValueError, RuntimeWarning)):
        check(*WRONG[name])


@pytest.mark.slow
@pytest.mark.parametrize("module", [cpu, cpu_conv, cpu_conv_loops, cpu_descent, cpu_draws, cpu_evolution, cpu_pairs])
def test_right_ones_are_not(module) -> None:
    """The test above can fail."""
    laws = {
        cpu: "unit",
        cpu_conv: "conv2d",
        cpu_conv_loops: "conv2d_max",
        cpu_descent: "tanh_adam",
        cpu_draws: "random_uniform",
        cpu_evolution: "cppn",
        cpu_pairs: "best_pairs",
    }
    check(module, laws[module], "", "")


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [
    ("range(1, parts)", "range(2, parts)"),  # a part lost
    ("bounds[i], bounds[i + 1], *arguments)", "0, rows, *arguments)"),  # a race: two threads add to the same rows
    ("rows * i // parts", "rows * i // parts - (i == 1)"),  # rows of one part in another: no harm, and so not caught
])  # fmt: skip
def test_wrong_threads_are_caught(old, new, monkeypatch) -> None:
    rows = np.zeros(1000)

    def kernel(first: int, last: int) -> None:
        rows[first:last] += 1

    monkeypatch.setenv("MINIDL_THREADS", "3")
    plain(threads, old, new).share(kernel, len(rows), 1e9)
    assert (rows == 1).all() == (old == "rows * i // parts")
