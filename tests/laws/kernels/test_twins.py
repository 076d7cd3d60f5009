"""The compiled kernels against their reference twins, and wrong ones, which must be told from them."""

from __future__ import annotations

import inspect
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from minidl.kernels import cpu, reference, threads
from minidl.kernels.cpu import compiled, conv, conv_loops, dense, draws, evolution, losses, optim, pairs, steps
from tests.laws.kernels.twins import LAWS, Side


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
        patch.setattr(dense, "WORTH_SHARING", 1)
        LAWS[law](Side(cpu), data)


def penalty(side, data) -> None:
    w, factors = np.array([[3.0, -2.0], [0.0, 1.0]]), data.draw(st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.1, 0.2)]))
    for dtype in (np.float32, np.float64):
        actual = side.kernels.penalty(w.astype(dtype), *factors)
        np.testing.assert_allclose(actual, factors[0] * 6 + factors[1] * 14, rtol=1e-6)
        assert actual.dtype == dtype


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
    "a wrong shift in the hash": (draws, "dropout_mask", "z >> np.uint64(27)", "z >> np.uint64(26)"),
    "draws that count from 0": (draws, "dropout_mask", "np.uint64(i) + np.uint64(1)", "np.uint64(i)"),
    "parts of another size": (draws, "random_uniform", ", 2.0**-bits", ", 2.0 ** (1 - bits)"),
    "uniform draws that begin anew": (draws, "random_uniform", "offset + first + i", "first + i"),
    "a mask that does not know its row": (dense, "activate", "draw(key, n * units + k)", "draw(key, k)"),
    "the bias of another unit": (dense, "activate", "bias[k]", "bias[k - 1]"),
    "ReLU before the bias": (dense, "activate", "value = zero if value < zero else value", "value = bias[k] if sums[k] < zero else value"),
    "the slope of the scaled activation": (dense, "activate_vjp", "phi, slope = kept * y[i]", "phi, slope = y[i]"),
    "the slope of another position": (dense, "activate_vjp", "products[i] = cotangents[i] * slope", "products[i] = cotangents[i - 1] * slope"),
    "memory taken for rows": (dense, "activate_vjp", "return found if key is not None else found.transpose(back)", "return found"),
    "no momentum": (optim, "sgd", "velocity[i] = momentum * velocity[i]", "velocity[i] = 0 * velocity[i]"),
    "a penalty that knows no sign": (optim, "adam", "-l1 if w < 0", "l1 if w < 0"),
    "epsilon on the wrong side": (optim, "rmsprop", "if inside else", "if not inside else"),
    "half a penalty": (optim, "sgd", "(l2 + l2) * w", "l2 * w"),
    "no clipping to the ball": (steps, "sign_step", "if len(origin):", "if False:"),
    "no threshold": (steps, "tanh_adam", "pull = zero if abs(d) <= tau[n] else", "pull ="),
    "the distance pulls outwards": (steps, "tanh_adam", "pull = d + d", "pull = -d - d"),
    "a tanh without slope": (steps, "tanh_adam", "(half * (one - u * u))", "half"),
    "pixels that stay drift": (steps, "tanh_adam", "value = x[n, i]", "pass"),
    "averages of pixels that stay": (steps, "tanh_adam", "slope = zero\n", "pass\n"),
    "the rate of the first row": (steps, "tanh_adam", "rate[n] * mean", "rate[0] * mean"),
    "a walk without end": (steps, "tanh_adam", "min(max(moved, -limit), limit)", "moved"),
    "beyond the bounds": (steps, "tanh_adam", "min(max(centre + half * x_adv[n, i], low), high)", "centre + half * x_adv[n, i]"),
    "the draw of another entry": (evolution, "polynomial_mutation", "2 * (first + k) + 1", "2 * (first + k)"),
    "one tail": (evolution, "polynomial_mutation", "if r < 0.5 else", "if True else"),
    "the rest moves": (evolution, "polynomial_mutation", "shift, part) < rate", "shift, part) >= rate"),
    "a mutation out of bounds": (evolution, "polynomial_mutation", "min(max(x[k] + delta * (high - low), low), high)", "x[k] + delta * (high - low)"),
    "a mutation that knows no scale": (evolution, "polynomial_mutation", "delta * (high - low)", "delta"),
    "a sum left from the last network": (evolution, "cppn", "z[:] = 0", "pass"),
    "the needs of the last neuron alone": (evolution, "cppn", "found[i] |=", "found[i] ="),
    "a neuron that hears itself": (evolution, "cppn", "for i in range(j):\n                    if", "for i in range(j + 1):\n                    if"),
    "inputs that listen": (evolution, "cppn", "range(len(inputs), neurons)", "range(neurons)"),
    "the functions of the first network": (evolution, "cppn", "functions[n, j]", "functions[0, j]"),
    "a half sigmoid": (evolution, "cppn", "two / (one", "one / (one"),
    "a bell that is none": (evolution, "cppn", "-z[p] * z[p]", "-z[p]"),
    "a line without end": (evolution, "cppn", "min(max(z[p], -three), three) / three", "z[p] / three"),
    "one class too few": (losses, "cross_entropy", "for k in range(z.shape[1]):\n            total", "for k in range(1, z.shape[1]):\n            total"),
    "the label's entry, lost to rounding": (losses, "cross_entropy", "found[n, labels[n]] = -others", "found[n, labels[n]] -= 1"),
    "another's columns": (dense, "matmul", "np.matmul(rows, b[:, first:last]", "np.matmul(rows, b[:, : last - first]"),
    "a stack in one": (dense, "matmul", "found if a.ndim == 2 else found.reshape(*a.shape[:-1], b.shape[1])", "found"),
    "absolute values squared": (optim, "penalty", "total += abs(w[i])", "total += w[i] * w[i]"),
    "windows one line too low": (conv_loops, "conv2d", "line = x[n, i * stride + u]", "line = x[n, i * stride + u - 1]"),
    "windows that do not add up": (conv_loops, "conv2d", "part[k] += row[k]", "part[k] = row[k]"),
    "padding on one side only": (conv, "conv2d", "padding : height - padding, padding : width - padding", "padding:, padding:"),
    "the last of equal maxima": (conv_loops, "max_windows", "(value > best[o])", "(value >= best[o])"),
    "the first pixel left out": (conv_loops, "max_windows", "place[o] = 0", "place[o] = 1"),
    "unpooled pixels that do not add up": (conv_loops, "max_windows", "] += g[m, i, j, o]", "] = g[m, i, j, o]"),
    "maxima before the bias": (conv_loops, "conv2d_max", "value = pixel[o] + bias[o]", "value = pixel[o]"),
    "the fourth row forgotten": (conv_loops, "conv2d_max", "+ s * d[i]", ""),
    "the rest of the rows forgotten": (conv_loops, "conv2d_max", "while k < count:", "while False:"),
    "a shift of another weight": (conv_loops, "conv2d_max", "part = x[m, c, shifts[t] :", "part = x[m, c, shifts[t - 1] :"),
    "planes left from the last image": (conv_loops, "conv2d_max", "    planes[:] = 0\n", ""),
    "lists left from the last image": (conv_loops, "conv2d_max", "            count[:] = 0\n            for i", "            for i"),
    "the places of another image": (conv_loops, "conv2d_max", "places[m % len(places)]", "places[0]"),
    "images between parts lost": (conv_loops, "conv2d_max", "len(g) * (part + 1) // parts", "len(g) * (part + 1) // parts - (part == 3)"),
    "ties by the number alone": (pairs, "best_pairs", "return b[p] > b[q]", "return p < q"),
    "the last of equal pairs": (pairs, "best_pairs", "or _ranks_before(ups, downs, p, one)", "or _ranks_before(ups, downs, one, p)"),
    "an impatient bound": (pairs, "best_pairs", "bound[p] >= reached", "bound[p] > reached"),
    "a feature paired with itself": (pairs, "best_pairs", "products[p] = -1", "pass"),
    "the domain ignored": (pairs, "best_pairs", "a[n, i] if domain[n, i] else none, b[n, i] if domain[n, i] else none",
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
        patch.setattr(conv, "loops", plain(conv_loops, *((old, new) if module is conv_loops else ("", ""))))
        names = vars(cpu) if module is conv_loops else vars(cpu) | vars(plain(module, old, new))
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
@pytest.mark.parametrize("module", [dense, losses, optim, steps, conv, conv_loops, draws, evolution, pairs])
def test_right_ones_are_not(module) -> None:
    """The test above can fail."""
    laws = {
        dense: "activate",
        losses: "cross_entropy",
        optim: "adam",
        conv: "conv2d",
        conv_loops: "conv2d_max",
        steps: "tanh_adam",
        draws: "random_uniform",
        evolution: "cppn",
        pairs: "best_pairs",
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
