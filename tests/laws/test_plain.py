"""Laws that bind each attack to its plain twin in `attacks.plain`: the same images, or as good ones.

`attacks.plain` is to the attacks what `kernels.reference` is to the kernels.  Where a law says "the same images", all
of a batch are compared with what the plain loop makes of each alone, in float64, to 1e-9 unless it says otherwise.
Where both draw random numbers, the plain loop is handed those of the fast one (`Replayed`).
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import attacks
from attacks import Targeted, descent, plain
from attacks.evolution.structure import INPUTS
from attacks.norms import box_muller, normal
from attacks.plain.notation import margin
from attacks.result import stream
from minidl import ops
from minidl.kernels.reference import random_signs, random_uniform
from minidl.testing import Mutant, line
from tests.laws import test_auto_pgd, test_deepfool, test_jsma
from tests.laws.every_attack import covered
from tests.laws.replayed import Replayed
from tests.laws.test_attacks import images, network, other_targets

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, phases=[Phase.generate])  # thousands of steps each: a failure is not minimised


def drawn(seed: int, n: int = 3):
    """A network, the same as a function of one image, n images, and the labels that they are read as."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, n, np.float64)
    return net, plain.one(net), x, net(x).argmax(axis=-1)


def steady(seed: int, shape: tuple[int, ...] = (1, 4, 4), classes: int = 4):
    """Such a network whose outputs are rounded alike in any batch, so that two equal images never differ in fitness."""
    w = np.random.default_rng(seed).normal(size=(classes, *shape))

    def net(x):
        z = ops.sum(ops.reshape(x, (len(x), 1, *shape)) * w, axis=(-3, -2, -1))
        return z + ops.tanh(3 * z)

    return net, plain.one(net)


# --- every attack has one, and it is short ---------------------------------------------------------------------


def names_of_attacks() -> set[str]:
    """All that a law knows to be there, but adversaries, and the random control of fgsm."""
    return {name for name in covered() if not name.endswith("Adversary")} - {"sign_noise"}


def test_every_attack_has_a_plain_twin_and_a_law() -> None:
    assert names_of_attacks() == LAWS.keys() == set(plain.__all__) - {"one"}
    for name in LAWS:
        assert f"`plain.{name}`" in getattr(attacks, name).__doc__, f"{name} does not say where to read it first"
        assert getattr(plain, name) is not getattr(attacks, name)


def lines_of(function) -> int:
    """Lines of code, the signature's included; docstrings, blank lines and those with nothing but a comment are not."""
    source = inspect.getsource(function)
    tree = ast.parse(source).body[0]
    without = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            without |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(1 for n, line in lines if n not in without and line.strip() and not line.strip().startswith("#"))


PAGES = [import_module(f"attacks.plain.{found.name}") for found in pkgutil.iter_modules(plain.__path__)]
FUNCTIONS = {
    f"{page.__name__.rpartition('.')[2]}.{name}": function
    for page in PAGES
    for name, function in vars(page).items()
    if inspect.isfunction(function) and function.__module__ == page.__name__
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twenty_five_lines_are_enough(name) -> None:
    assert lines_of(FUNCTIONS[name]) <= 25


def test_plain_loops_lean_on_nothing_of_the_fast_ones() -> None:
    """They import the engine, NumPy, and each other."""
    for page in PAGES:
        for node in ast.walk(ast.parse(inspect.getsource(page))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{page.__name__} imports from {'.' * node.level}{node.module or ''}"
                assert (node.module or "").partition(".")[0] != "attacks"


# --- one step, and many ----------------------------------------------------------------------------------------


@given(seed=seeds, epsilon=st.floats(0.01, 0.5))
def test_fgsm(seed, epsilon) -> None:
    """The same images."""
    net, f, x, y = drawn(seed)
    result = attacks.fgsm(net, x, y, epsilon=epsilon)
    for i in range(len(x)):
        np.testing.assert_allclose(result.x_adv[i], plain.fgsm(f, x[i], y[i], epsilon), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 0.5), alpha=st.floats(0.01, 0.2))
def test_bim(seed, epsilon, alpha) -> None:
    """The same images."""
    net, f, x, y = drawn(seed)
    result = attacks.bim(net, x, y, epsilon=epsilon, step=alpha, steps=4)
    for i in range(len(x)):
        np.testing.assert_allclose(result.x_adv[i], plain.bim(f, x[i], y[i], epsilon, alpha, 4), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 0.5), alpha=st.floats(0.01, 0.2))
def test_least_likely(seed, epsilon, alpha) -> None:
    """The same images."""
    net, f, x, y = drawn(seed)
    result = attacks.least_likely(net, x, y, epsilon=epsilon, step=alpha, steps=4)
    for i in range(len(x)):
        np.testing.assert_allclose(result.x_adv[i], plain.least_likely(f, x[i], epsilon, alpha, 4), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 0.3), restarts=st.integers(1, 3))
def test_pgd(seed, epsilon, restarts) -> None:
    """The same images, from the same random starts, where both go on to the last step as the paper does."""
    net, f, x, y = drawn(seed)
    result = attacks.pgd(net, x, y, epsilon=epsilon, step=epsilon / 4, steps=5, restarts=restarts, early_stop=False,
                         seed=seed)  # fmt: skip
    for i in range(len(x)):
        rng = Replayed([random_uniform(stream(seed, restart), x)[i]] for restart in range(restarts))
        expected = plain.pgd(f, x[i], y[i], epsilon, epsilon / 4, 5, restarts, rng)
        np.testing.assert_allclose(result.x_adv[i], expected, atol=1e-9)


# --- the least change that will do -----------------------------------------------------------------------------


@given(seed=seeds, steps=st.sampled_from([2, 8]), searches=st.integers(1, 5))
def test_lbfgs(seed, steps, searches) -> None:
    """The same images, to 1e-6, where it succeeds: L-BFGS magnifies roundings.  Who fails is the same, too."""
    net, f, x, _ = drawn(seed)
    t = other_targets(net, x, np.random.default_rng(seed))
    result = attacks.lbfgs(net, x, Targeted(t), search_steps=searches, steps=steps)
    for i in range(len(x)):
        found = plain.lbfgs(f, x[i], t[i], searches=searches, steps=steps)
        assert (f(found).argmax() == t[i]) == result.success[i]
        if result.success[i]:
            np.testing.assert_allclose(result.x_adv[i], found, atol=1e-6)


def curved(seed: int):
    """A network of nine pixels, an image of them away from the bounds, and a target: (1, 9) and (1,)."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(4, 9))

    def net(x):
        z = ops.sum(ops.reshape(x, (len(x), 1, 9)) * w, axis=-1)
        return z + ops.tanh(3 * z)

    x = rng.uniform(0.2, 0.8, (1, 9))
    return net, plain.one(net), x, (net(x).argmax(axis=-1) + rng.integers(1, 4, 1)) % 4


QUICK = {"steps": 100, "lr": 0.05}


@given(seed=seeds, c=st.sampled_from([0.3, 1.0, 10.0]), kappa=st.sampled_from([0.0, 0.5]))
def test_cw_l2_for_one_c(seed, c, kappa) -> None:
    """The same image, once the two ways to keep w finite, by stretching the tanh and by pulling pixels in, are undone."""
    net, f, x, t = curved(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "HALF", 0.5)
        patch.setattr(descent, "LIMIT", np.inf)
        patch.setattr(plain.carlini_wagner, "ALMOST", 1.0)
        result = attacks.cw_l2(net, x, Targeted(t), confidence=kappa, initial_c=c, binary_search_steps=1,
                               abort_early=False, **QUICK)  # fmt: skip
        found = plain.cw_l2(f, x[0], t[0], kappa, c, searches=1, **QUICK)
    reached = margin(f(found), t[0]) <= -kappa
    assert reached == (margin(f(result.x_adv[0]), t[0]) <= -kappa)
    if reached:
        np.testing.assert_allclose(result.x_adv[0], found, atol=1e-6)


@few
@given(seed=seeds)
def test_cw_l2(seed) -> None:
    """The same success, and the fast attack ends no farther away, nor nearer than two thirds.

    Not the same images: it begins each c where the last one ended, and so comes nearer in as many steps.
    """
    net, f, x, t = curved(seed)
    result = attacks.cw_l2(net, x, Targeted(t), binary_search_steps=5, initial_c=0.1, **QUICK)
    found = plain.cw_l2(f, x[0], t[0], searches=5, c=0.1, **QUICK)
    assert (f(found).argmax() == t[0]) == result.success[0]
    if result.success[0]:
        length = np.sqrt(((found - x[0]) ** 2).sum())
        assert length / 1.5 <= result.l2[0] <= 1.02 * length + 1e-3


def test_cw_l2_searches_for_c(monkeypatch) -> None:
    """Tenfold until one succeeds, and then the middle: here, from .05 on all do, and each is closer than the last."""
    tried, x = [], np.full(3, 0.5)

    def pretended(Z, x, t, D, c, **rest):
        tried.append(c)
        return x + 1 / len(tried) if c >= 0.05 else None

    monkeypatch.setattr(plain.carlini_wagner, "descend", pretended)
    found = plain.cw_l2(lambda x: x, x, 0, searches=6)
    np.testing.assert_allclose(tried, [0.001, 0.01, 0.1, 0.055, 0.0325, 0.04375])
    np.testing.assert_allclose(found, 0.5 + 1 / 4)


@few
@given(seed=seeds)
def test_cw_l0(seed) -> None:
    """The same success, and with as many pixels changed or fewer; one more at most, since they are fixed in another
    order: the fast attack fixes a third of them at a time, and by the slope of the cross-entropy."""
    net, f, x, t = curved(seed)
    result = attacks.cw_l0(net, x, Targeted(t), initial_c=0.5, largest_c=50.0, **QUICK)
    found = plain.cw_l0(f, x[0], t[0], c=0.5, largest_c=50.0, **QUICK)
    assert (f(found).argmax() == t[0]) == result.success[0]
    if result.success[0]:
        assert (found != x[0]).sum() - 3 <= result.l0[0] <= (found != x[0]).sum() + 1


@few
@given(seed=seeds, fewest=st.integers(1, 4))
def test_cw_l0_where_pixels_do_not_depend_on_each_other(seed, fewest) -> None:
    """The same pixels: of a linear network, from the middle of the bounds, the steepest."""
    w = np.random.default_rng(seed).normal(size=8)
    steepest = np.sort(abs(w))[::-1][:fewest]
    lack = 0.5 * (steepest.sum() - 0.3 * steepest[-1])
    net = lambda x: (x - 0.5) @ np.stack([0 * w, w], axis=1) + np.array([lack, 0.0])
    x, t = np.full((1, 8), 0.5), np.array([1])
    found = plain.cw_l0(plain.one(net), x[0], 1, c=1.0, largest_c=8.0, **QUICK)
    result = attacks.cw_l0(net, x, Targeted(t), initial_c=1.0, largest_c=10.0, **QUICK)
    np.testing.assert_array_equal(found != 0.5, result.x_adv[0] != 0.5)
    assert (found != 0.5).sum() == fewest


@few
@given(seed=seeds)
def test_cw_linf(seed) -> None:
    """The same success, and lengths within a sixth of each other: τ falls by tenths, in each from elsewhere."""
    net, f, x, t = curved(seed)
    result = attacks.cw_linf(net, x, Targeted(t), initial_c=0.5, largest_c=50.0, **QUICK)
    found = plain.cw_linf(f, x[0], t[0], c=0.5, largest_c=50.0, **QUICK)
    assert (f(found).argmax() == t[0]) == result.success[0]
    if result.success[0]:
        np.testing.assert_allclose(result.linf[0], abs(found - x[0]).max(), rtol=1 / 6)


# --- by chance -------------------------------------------------------------------------------------------------


def squares(key, x: np.ndarray, queries: int, i: int) -> Iterator[list]:
    """What the Square attack draws for the i-th image: stripes, and for each query a corner, and signs."""
    n, c, _, width = x.shape
    yield [random_uniform(key(1), np.zeros((n, c, 1, width)))[i]]
    for query in range(2, queries + 1):
        corner, signs = np.split(random_uniform(key(query), np.zeros((n, 2 + c)))[i], [2])
        yield from (list(corner), [signs[:, None, None]])


@given(seed=seeds, epsilon=st.floats(0.02, 0.3), channels=st.integers(1, 2))
def test_square(seed, epsilon, channels) -> None:
    """The same images, of the same squares."""
    net, f = steady(seed, (channels, 4, 5))
    x = np.random.default_rng(seed).random((3, channels, 4, 5))
    y = net(x).argmax(axis=-1)
    result = attacks.square(net, x, y, epsilon=epsilon, queries=30, seed=seed)
    for i in range(len(x)):
        rng = Replayed(squares(lambda query: stream(seed, 0, query), x, 30, i))
        np.testing.assert_allclose(result.x_adv[i], plain.square(f, x[i], y[i], epsilon, 30, rng=rng), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 0.2))
def test_apgd(seed, epsilon) -> None:
    """The same images, to 1e-7, from the same corners and by the same squares.

    Algorithm 1 itself, in both norms and on every objective, has a law in `test_auto_pgd`.
    """
    net, f, x, y = drawn(seed, 2)
    result = attacks.apgd(net, x, y, epsilon=epsilon, steps=10, targets=2, queries=8, seed=seed)
    for i in range(len(x)):
        corners = ([np.where(random_signs(stream(seed, attempt), x)[i] > 0, 0.0, 1.0)] for attempt in range(4))
        rng = Replayed([*corners, *squares(lambda query: stream(seed, 0, query), x, 8, i)])
        found = plain.apgd(f, x[i], y[i], epsilon, steps=10, targets=2, queries=8, rng=rng)
        np.testing.assert_allclose(result.x_adv[i], found, atol=1e-7)


@given(seed=seeds, pixels=st.integers(1, 2))
def test_few_pixel(seed, pixels) -> None:
    """The same images, to the rounding of candidates that are in float32, of the same candidates and parents."""
    net, f = steady(seed, (2, 4, 5))
    x = np.random.default_rng(seed).random((2, 2, 4, 5))
    y, population = net(x).argmax(axis=-1), 6
    result = attacks.few_pixel(net, x, y, pixels=pixels, population=population, generations=4, seed=seed)

    def uniform(generation: int, number: int, *shape: int) -> np.ndarray:
        return random_uniform(stream(seed, generation, number), np.zeros((2, population, *shape), np.float32))

    for i in range(len(x)):
        born = uniform(0, 0, pixels, 2)[i], box_muller(uniform(0, 1, pixels, 2)[i], uniform(0, 2, pixels, 2)[i])
        parents = (row for generation in range(1, 5) for row in uniform(generation, 0, 3)[i])
        rng = Replayed([number] for number in (*born, *parents))
        found = plain.few_pixel(f, x[i], y[i], pixels, population, generations=4, rng=rng)
        np.testing.assert_allclose(result.x_adv[i], found, atol=1e-6)


# --- from nothing ----------------------------------------------------------------------------------------------


class Draws:
    """The uniform numbers of `attacks.evolution`'s draws: the n-th asked for in a generation."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, generation: int, n: int, *shape: int) -> np.ndarray:
        return random_uniform(stream(self.seed, generation, n), np.zeros(shape))


@given(seed=seeds, rate=st.sampled_from([0.1, 0.6]))
def test_fool_direct(seed, rate) -> None:
    """The same images, of the same parents and mutations."""
    shape, population, u = (1, 3, 4), 5, Draws(seed)
    net, f = steady(seed, shape)
    result = attacks.fool_direct(net, shape=shape, generations=6, population=population, rate=rate, halved_every=3,
                                 dtype="float64", seed=seed)  # fmt: skip

    def replayed() -> Iterator[list]:
        yield from ([born] for born in u(0, 1, population, *shape))
        for generation in range(1, 6):
            yield [u(generation, 1, population)]
            for child in u(generation, 3, population, *shape, 2):
                yield from ([child[..., 0]], [child[..., 1]])

    found = plain.fool_direct(f, shape, 6, population, rate, halved_every=3, rng=Replayed(replayed()))
    np.testing.assert_allclose(result.images, found, atol=1e-9)


class OfNetworks(Replayed):
    """Draws for networks with room for `neurons` hidden ones: what is asked for is cut out, where the neurons are."""

    channels = 1

    def next(self, shape: tuple[int, ...] | None, fresh: bool = False) -> np.ndarray:
        u = super().next(None, fresh or shape is not None)
        for axis, length in enumerate(shape or ()):
            u = np.delete(u, np.s_[length - self.channels : u.shape[axis] - self.channels], axis)
        return u


@given(seed=seeds, neurons=st.integers(1, 3))
def test_fool_cppn(seed, neurons) -> None:
    """The same images, of the same parents and mutations."""
    shape, population, u = (2, 3, 4), 5, Draws(seed)
    net, f = steady(seed, shape)
    result = attacks.fool_cppn(net, shape=shape, generations=8, population=population, neurons=neurons,
                               dtype="float64", seed=seed)  # fmt: skip
    size = INPUTS + neurons + shape[0]

    def replayed() -> Iterator[list]:
        for W, phi in zip(u(0, 1, population, INPUTS, shape[0]), u(0, 2, population, shape[0])):
            yield from ([W], [phi])
        for generation in range(1, 8):
            yield [u(generation, 1, population)]
            moved = u(generation, 3, population, size, size, 2)
            functions, changes = (u(generation, k, population, size) for k in (8, 9))
            once = np.stack([u(generation, k, population) for k in range(21)], axis=1)
            for n in range(population):
                yield from ([moved[n, ..., 0]], [moved[n, ..., 1]], list(once[n, 4:8]), [changes[n]], [functions[n]])
                yield from (list(once[n, a:b]) for a, b in ((10, 13), (13, 15), (15, 19), (19, 21)))

    rng = OfNetworks(replayed())
    rng.channels = shape[0]
    found = plain.fool_cppn(f, shape, 8, population, neurons, rng=rng)
    np.testing.assert_allclose(result.images, found, atol=1e-9)


@given(seed=seeds, decay=st.sampled_from([0.0, 0.01, 0.5]), rise=st.sampled_from([0.02, 0.3]))
def test_fool_gradient(seed, decay, rise) -> None:
    """The same images, of the same noise."""
    net, (x, _) = network(seed % 50, "float64"), images(seed, 1, np.float64)
    result = attacks.fool_gradient(net, start=x[0], decay=decay, rise=rise, steps=5, seed=seed)
    noise = normal(stream(seed), np.zeros((5, 1, 4, 4)))
    for k in range(5):
        found = plain.fool_gradient(plain.one(net), x[0], k, decay, 5, rise, Replayed([[noise[k]]]))
        np.testing.assert_allclose(result.images[k], found, atol=1e-9)


LAWS = {
    "fgsm": test_fgsm,
    "bim": test_bim,
    "least_likely": test_least_likely,
    "pgd": test_pgd,
    "jsma": test_jsma.test_it_is_the_papers_algorithm,
    "deepfool": test_deepfool.test_it_is_the_papers_algorithm,
    "lbfgs": test_lbfgs,
    "cw_l2": test_cw_l2,
    "cw_l0": test_cw_l0,
    "cw_linf": test_cw_linf,
    "square": test_square,
    "apgd": test_apgd,
    "few_pixel": test_few_pixel,
    "fool_direct": test_fool_direct,
    "fool_cppn": test_fool_cppn,
    "fool_gradient": test_fool_gradient,
}


def mutant(name: str, page, function: str, old: str, new: str, law=None) -> Mutant:
    """A wrong line of a plain attack, or of what it calls, and the law of that attack, or another."""
    return Mutant(f"plain {name}", line(page, function, old, new), law or LAWS[name.partition(":")[0]])


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    mutant("fgsm: without the sign", plain.gradient_sign, "fgsm", "np.sign(g)", "g"),
    mutant("fgsm: downhill", plain.gradient_sign, "fgsm", "x + epsilon", "x - epsilon"),
    mutant("bim: each step from the start", plain.projected_gradient, "bim", "clip(X + ", "clip(x + "),
    mutant("bim: beyond the ball", plain.projected_gradient, "clip", "np.minimum(1, x + epsilon)", "1"),
    mutant("bim: beyond the bounds", plain.projected_gradient, "clip", "np.maximum(0, x - epsilon)", "x - epsilon"),
    mutant("least_likely: away from it", plain.projected_gradient, "least_likely", "X - alpha", "X + alpha"),
    mutant("least_likely: the likeliest", plain.projected_gradient, "least_likely", "argmin", "argmax"),
    mutant("least_likely: the least likely at each step", plain.projected_gradient, "least_likely", "J(f(X), y_ll)", "J(f(X), int(f(X.value).argmin()))"),
    mutant("pgd: begins at the image", plain.projected_gradient, "pgd", "x + rng.uniform(-epsilon, epsilon, x.shape)", "x + 0 * rng.uniform(-epsilon, epsilon, x.shape)"),
    mutant("pgd: tries again what fell", plain.projected_gradient, "pgd", "break", "pass"),
    mutant("jsma: may serve the others", plain.saliency, "most_salient", "alpha > 0 and beta < 0 and ", ""),
    mutant("jsma: the last pair that is better than none", plain.saliency, "most_salient", "-alpha * beta > largest", "-alpha * beta > 0"),
    mutant("jsma: what is saturated stays in Γ", plain.saliency, "jsma", "Gamma.remove(p)", "pass"),
    mutant("jsma: not mirrored", plain.saliency, "jsma", "dF if theta > 0 else -dF", "dF"),
    mutant("jsma: one step more", plain.saliency, "jsma", "upsilon / features)", "upsilon / features) + 1"),
    mutant("deepfool: the farthest boundary", plain.nearest_boundary, "deepfool", "length < nearest", "length != nearest"),
    mutant("deepfool: only the last step", plain.nearest_boundary, "deepfool", "total = total + r", "total = r"),
    mutant("deepfool: ‖w‖₂ in both norms", plain.nearest_boundary, "deepfool", "else abs(w_k).sum()", "else np.sqrt((w_k**2).sum())"),
    mutant("lbfgs: looks for the least c", plain.quasi_newton, "lbfgs", "c * 10 if succeeds else c / 10", "c / 10 if succeeds else c * 10"),
    mutant("lbfgs: the arithmetic mean", plain.quasi_newton, "lbfgs", "np.sqrt(succeeds * fails)", "(succeeds + fails) / 2"),
    mutant("lbfgs: the farthest success", plain.quasi_newton, "lbfgs", "length < shortest", "length != shortest and not length < shortest < np.inf"),
    mutant("lbfgs: bound entries take part", plain.quasi_newton, "minimise", "free = ~(", "free = (x == x) | ("),
    mutant("lbfgs: any step will do", plain.quasi_newton, "minimise", "if new_value <= value + 1e-4 * (g * (X - x)).sum():", "if True:"),
    mutant("lbfgs: nothing remembered", plain.quasi_newton, "minimise", "[-10:]", "[:0]"),
    mutant("lbfgs: no second loop", plain.quasi_newton, "newton", "(weight - rho * (y * g).sum())", "0"),
    mutant("cw_l2: κ forgotten", plain.carlini_wagner, "f", "-kappa", "0 * kappa", test_cw_l2_for_one_c),
    mutant("cw_l2: averages not corrected", plain.carlini_wagner, "descend", "(m / (1 - 0.9**k))", "m", test_cw_l2_for_one_c),
    mutant("cw_l2: the last success", plain.carlini_wagner, "descend", "(best is None or D(X - x) < D(best - x))", "True", test_cw_l2_for_one_c),
    mutant("cw_l2: c without weight", plain.carlini_wagner, "descend", "c * f(", "f(", test_cw_l2_for_one_c),
    mutant("cw_l2: the greatest c", plain.carlini_wagner, "cw_l2", "(too_little + enough) / 2", "2 * enough", test_cw_l2_searches_for_c),
    mutant("cw_l2: the first success", plain.carlini_wagner, "cw_l2", "squares(X - x) < squares(best - x)", "False", test_cw_l2_searches_for_c),
    mutant("cw_l0: fixes the most useful pixel", plain.carlini_wagner, "cw_l0", "-g * delta, np.inf) ", "g * delta, np.inf) ", test_cw_l0_where_pixels_do_not_depend_on_each_other),
    mutant("cw_l0: fixes nothing", plain.carlini_wagner, "cw_l0", "free = (delta != 0) & (useful > useful.min())", "c = 2 * c"),
    mutant("cw_linf: τ is not lowered", plain.carlini_wagner, "cw_linf", "best, tau = X, 0.9 * tau", "best, c = X, 2 * c"),
    mutant("cw_linf: τ falls by halves", plain.carlini_wagner, "cw_linf", "0.9 * tau", "0.5 * tau"),
    mutant("square: by ε, not 2ε", plain.random_search, "square", "[2 * epsilon, -2 * epsilon]", "[epsilon, -epsilon]"),
    mutant("square: keeps what does not help", plain.random_search, "square", "if new < least:", "if new > least:"),
    mutant("square: one sign for all channels", plain.random_search, "square", "(c, 1, 1))  # one", "(c, 1, 1))[:1]  # one"),
    mutant("square: p is never halved", plain.random_search, "side", "p / 2 **", "p / 1 **"),
    mutant("apgd: η is never halved", plain.auto_pgd, "ascend", "eta / 2", "eta"),
    mutant("apgd: no momentum", plain.auto_pgd, "ascend", "(x - before)), x", "(z - x)), x"),
    mutant("apgd: the last point, not the best", plain.auto_pgd, "ascend", "return x_max", "return x", test_auto_pgd.test_it_is_the_papers_algorithm),
    mutant("apgd: condition 2 forgotten", plain.auto_pgd, "ascend", "few or stuck", "few", test_auto_pgd.test_it_is_the_papers_algorithm),
    mutant("apgd: checkpoints equally far apart", plain.auto_pgd, "checkpoints", "max(p[-1] - p[-2] - 0.03, 0.06)", "0.22", test_auto_pgd.test_it_is_the_papers_algorithm),
    mutant("apgd: the unlikeliest target first", plain.auto_pgd, "apgd", "argsort()[::-1]", "argsort()"),
    mutant("apgd: the last attempt, not the closest", plain.auto_pgd, "apgd", "max(tried, key=lambda X: margin(g(X), y))", "tried[-1]"),
    mutant("apgd: DLR over the second logit", plain.auto_pgd, "dlr", "z[pi[2]]", "z[pi[1]]"),
    mutant("apgd: the targeted ratio over the fourth alone", plain.auto_pgd, "targeted_dlr", "(z[pi[2]] + z[pi[3]]) / 2", "z[pi[3]]"),
    mutant("few_pixel: a sum in place of the difference", plain.differential_evolution, "few_pixel", "parents[r2] - parents[r3]", "parents[r2] + parents[r3]"),
    mutant("few_pixel: children of children", plain.differential_evolution, "few_pixel", "parents = candidates.copy()", "parents = candidates"),
    mutant("few_pixel: worse children stay", plain.differential_evolution, "few_pixel", "reached >= fitness[i]", "reached <= fitness[i]"),
    mutant("few_pixel: rows for columns", plain.differential_evolution, "painted", "for row, column, *colour", "for column, row, *colour"),
    mutant("fool_direct: a child tries in one niche only", plain.evolution, "map_elites", "or confidence > best[k]", "or (k == z.argmax() and confidence > best[k])"),
    mutant("fool_direct: the newest is the elite", plain.evolution, "map_elites", "confidence > best[k]", "True"),
    mutant("fool_direct: children of children", plain.evolution, "map_elites", "children = [mutated(parent, generation) for parent in parents]", "children = [mutated(children[0], generation) for parent in parents]"),
    mutant("fool_direct: the rate is not halved", plain.evolution, "fool_direct", "generation // halved_every", "0"),
    mutant("fool_direct: moves twice as far", plain.evolution, "polynomial", "delta * (high - low)", "2 * delta * (high - low)"),
    mutant("fool_cppn: signs are seen", plain.cppn, "painted", "abs(np.stack(v[-C:]))", "np.stack(v[-C:])"),
    mutant("fool_cppn: radius without its root", plain.cppn, "painted", "np.hypot(x, y)", "x * x + y * y"),
    mutant("fool_cppn: inputs hear", plain.cppn, "missing", "max(i + 1, INPUTS)", "i + 1"),
    mutant("fool_cppn: a deleted connection stays", plain.cppn, "delete_connection", "= 0", "= 1"),
    mutant("fool_cppn: a moved connection stays where it was, too", plain.cppn, "change_connection", "W[i, j], 0", "W[i, j], W[i, j]"),
    mutant("fool_cppn: the other end is kept", plain.cppn, "change_connection", "place[end] == (i, j)[end]", "place[1 - end] == (i, j)[1 - end]"),
    mutant("fool_cppn: a new neuron beside its connection", plain.cppn, "add_neuron", "W[i, j + 1], 0", "W[i, j + 1], W[i, j + 1]"),
    mutant("fool_cppn: one neuron too many", plain.cppn, "add_neuron", ">= neurons", "> neurons"),
    mutant("fool_cppn: another function goes", plain.cppn, "delete_neuron", "np.delete(phi, p)", "np.delete(phi, -1)"),
    mutant("fool_cppn: connections change less often", plain.cppn, "mutate", "change_connection(W, C, rng) if rng.random() < 0.5", "change_connection(W, C, rng) if rng.random() < 0.4"),
    mutant("fool_cppn: functions never change", plain.cppn, "mutate", "changes & ", "~changes & changes & "),
    mutant("fool_gradient: ∇p/‖∇p‖", plain.gradient_ascent, "fool_gradient", "(g**2).sum()", "np.sqrt((g**2).sum())"),
    mutant("fool_gradient: decay towards black", plain.gradient_ascent, "fool_gradient", "m + (1 - decay) * (x - m)", "(1 - decay) * x"),
    mutant("fool_gradient: leaps at the end", plain.gradient_ascent, "fool_gradient", "0.1 * (1 - p)", "1 - p"),
]
# fmt: on
