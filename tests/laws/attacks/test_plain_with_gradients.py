"""Laws that bind attacks that follow slopes to their plain twins: the same images, or as good ones.

`attacks.plain` is to the attacks what `kernels.reference` is to the kernels.  Where a law says "the same images", all
of a batch are compared with what the plain loop makes of each alone, in float64, to 1e-9 unless it says otherwise.
JSMA, DeepFool and Algorithm 1 of Auto-PGD have their laws in the files of these attacks.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import attacks
from attacks import Targeted, plain
from attacks.minimal import descent
from attacks.plain.notation import margin
from minidl import ops
from minidl.testing import Mutant, line
from tests.laws.attacks import test_deepfool, test_jsma
from tests.laws.attacks.plain_twins import drawn, page
from tests.laws.attacks.test_every_attack import other_targets

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, phases=[Phase.generate])  # thousands of steps each: a failure is not minimised


@given(seed=seeds, epsilon=st.floats(0.01, 0.5))
def test_fgsm(seed, epsilon) -> None:
    """The same images."""
    net, f, x, y = drawn(seed)
    result = attacks.fgsm(net, x, y, epsilon=epsilon)
    for i in range(len(x)):
        np.testing.assert_allclose(result.x_adv[i], plain.fgsm(f, x[i], y[i], epsilon), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 0.5), alpha=st.floats(0.01, 0.2))
def test_bim(seed, epsilon, alpha) -> None:
    """The same images, also with momentum."""
    net, f, x, y = drawn(seed)
    for mu in (0.0, 0.5, 1.0):
        result = attacks.bim(net, x, y, epsilon=epsilon, step=alpha, steps=4, momentum=mu)
        for i in range(len(x)):
            np.testing.assert_allclose(result.x_adv[i], plain.bim(f, x[i], y[i], epsilon, alpha, 4, mu), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 2))
def test_svm_step(seed, epsilon) -> None:
    """The same images."""
    net, f, x, y = drawn(seed)
    result = attacks.svm_step(net, x, y, epsilon=epsilon)
    for i in range(len(x)):
        np.testing.assert_allclose(result.x_adv[i], plain.svm_step(f, x[i], epsilon), atol=1e-9)


@given(seed=seeds, epsilon=st.floats(0.01, 0.5), alpha=st.floats(0.01, 0.2))
def test_least_likely(seed, epsilon, alpha) -> None:
    """The same images."""
    net, f, x, y = drawn(seed)
    result = attacks.least_likely(net, x, y, epsilon=epsilon, step=alpha, steps=4)
    for i in range(len(x)):
        np.testing.assert_allclose(result.x_adv[i], plain.least_likely(f, x[i], epsilon, alpha, 4), atol=1e-9)


# --- the least change that will do -----------------------------------------------------------------------------


@given(seed=seeds, steps=st.sampled_from([2, 8]), searches=st.integers(1, 5))
def test_lbfgs(seed, steps, searches) -> None:
    """The same images, to 1e-6, where it succeeds: L-BFGS magnifies roundings.  Who fails is the same, too."""
    net, f, x, _ = drawn(seed)
    t = other_targets(net, x, np.random.default_rng(seed))
    result = attacks.lbfgs(net, x, Targeted(t), search_steps=searches, steps=steps)
    for i in range(len(x)):
        image = plain.lbfgs(f, x[i], t[i], searches=searches, steps=steps)
        assert (f(image).argmax() == t[i]) == result.success[i]
        if result.success[i]:
            np.testing.assert_allclose(result.x_adv[i], image, atol=1e-6)


def curved(seed: int, place: int = 3):
    """A network of nine pixels, of some curvature, an image of them away from the bounds, and its third likeliest class.

    Or that at another place in the order.
    """
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(4, 9))

    def net(x):
        z = ops.sum(ops.reshape(x, (len(x), 1, 9)) * w, axis=-1)
        return z + 0.5 * ops.tanh(z)

    x = rng.uniform(0.2, 0.8, (1, 9))
    return net, plain.one(net), x, net(x).argsort(axis=-1)[:, -place]


FINE, COARSE = {"steps": 100, "lr": 0.05}, {"steps": 60, "lr": 0.1}


@settings(max_examples=8)
@given(seed=seeds, c=st.sampled_from([0.3, 1.0, 10.0]), kappa=st.sampled_from([0.0, 0.5]))
def test_cw_l2_for_one_c(seed, c, kappa) -> None:
    """The same image, once the two ways to keep w finite, by stretching the tanh and by pulling pixels in, are undone."""
    net, f, x, t = curved(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "HALF", 0.5)
        patch.setattr(descent, "LIMIT", np.inf)
        patch.setattr(page("carlini_wagner"), "ALMOST", 1.0)
        result = attacks.cw_l2(net, x, Targeted(t), confidence=kappa, initial_c=c, binary_search_steps=1,
                               abort_early=False, **FINE)  # fmt: skip
        image = plain.cw_l2(f, x[0], t[0], kappa, c, searches=1, **FINE)
    reached = margin(f(image), t[0]) <= -kappa
    assert reached == (margin(f(result.x_adv[0]), t[0]) <= -kappa)
    if reached:
        np.testing.assert_allclose(result.x_adv[0], image, atol=1e-6)


@few
@given(seed=seeds)
def test_cw_l2(seed) -> None:
    """The same success, and lengths within a twentieth of each other.

    Not the same images: the fast attack begins each c where the last one ended, and so comes nearer in as many steps.
    """
    net, f, x, t = curved(seed)
    result = attacks.cw_l2(net, x, Targeted(t), binary_search_steps=5, initial_c=0.1, **FINE)
    image = plain.cw_l2(f, x[0], t[0], searches=5, c=0.1, **FINE)
    assert (f(image).argmax() == t[0]) == result.success[0]
    if result.success[0]:
        np.testing.assert_allclose(result.l2[0], np.sqrt(((image - x[0]) ** 2).sum()), rtol=0.05, atol=0.01)


def test_cw_l2_searches_for_c(monkeypatch) -> None:
    """Tenfold until one succeeds, and then the middle: here, from .05 on all do, and each is closer than the last."""
    tried, x = [], np.full(3, 0.5)

    def pretended(Z, x, t, D, c, **rest):
        tried.append(c)
        return x + 1 / len(tried) if c >= 0.05 else None

    monkeypatch.setattr(page("carlini_wagner"), "descend", pretended)
    image = plain.cw_l2(lambda x: x, x, 0, searches=6)
    np.testing.assert_allclose(tried, [0.001, 0.01, 0.1, 0.055, 0.0325, 0.04375])
    np.testing.assert_allclose(image, 0.5 + 1 / 4)


@few
@given(seed=seeds)
def test_cw_l0(seed) -> None:
    """The same success, and as many pixels changed, but for one: the fast attack fixes them in another order, a third at
    a time, and by the slope of the cross-entropy."""
    net, f, x, t = curved(seed, place=2)
    result = attacks.cw_l0(net, x, Targeted(t), initial_c=0.5, largest_c=50.0, **COARSE)
    image = plain.cw_l0(f, x[0], t[0], c=0.5, largest_c=50.0, **COARSE)
    assert (f(image).argmax() == t[0]) == result.success[0]
    if result.success[0]:
        assert abs((image != x[0]).sum() - result.l0[0]) <= 1


@few
@given(seed=seeds, fewest=st.integers(1, 4))
def test_cw_l0_where_pixels_do_not_depend_on_each_other(seed, fewest) -> None:
    """The same pixels: of a linear network, from the middle of the bounds, the steepest."""
    w = np.random.default_rng(seed).normal(size=8)
    steepest = np.sort(abs(w))[::-1][:fewest]
    lack = 0.5 * (steepest.sum() - 0.3 * steepest[-1])
    net = lambda x: (x - 0.5) @ np.stack([0 * w, w], axis=1) + np.array([lack, 0.0])
    x, t = np.full((1, 8), 0.5), np.array([1])
    image = plain.cw_l0(plain.one(net), x[0], 1, c=1.0, largest_c=8.0, **COARSE)
    result = attacks.cw_l0(net, x, Targeted(t), initial_c=1.0, largest_c=10.0, **COARSE)
    np.testing.assert_array_equal(image != 0.5, result.x_adv[0] != 0.5)
    assert (image != 0.5).sum() == fewest


@few
@given(seed=seeds)
def test_cw_linf(seed) -> None:
    """The same success, and lengths within an eighth of each other: τ falls by tenths, in each from elsewhere.

    Or, where they are short, within what is less than a pixel moves in a step."""
    net, f, x, t = curved(seed)
    result = attacks.cw_linf(net, x, Targeted(t), initial_c=0.5, largest_c=50.0, **COARSE)
    image = plain.cw_linf(f, x[0], t[0], c=0.5, largest_c=50.0, **COARSE)
    assert (f(image).argmax() == t[0]) == result.success[0]
    if result.success[0]:
        np.testing.assert_allclose(result.linf[0], abs(image - x[0]).max(), rtol=1 / 8, atol=0.01)


#: Wrong on purpose, each beside the law that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("plain bim: momentum of raw gradients", line(page("pgd"), "bim", "g / (abs(g).sum() or 1)", "g"), test_bim),
    Mutant("plain bim: no momentum", line(page("pgd"), "bim", "mu * m + ", ""), test_bim),
    Mutant("BIM: momentum of raw gradients", line(attacks.bounded.pgd.Schedule, "with_momentum", "return direction if", "return gradient if"), test_bim),
    Mutant("BIM: momentum forgets", line(attacks.bounded.pgd.Schedule, "with_momentum", "self.momentum * previous + direction", "direction"), test_bim),
    Mutant("plain svm_step: towards the class", line(page("svm_step"), "svm_step", "x - epsilon", "x + epsilon"), test_svm_step),
    Mutant("plain fgsm: without the sign", line(page("fgsm"), "fgsm", "np.sign(g)", "g"), test_fgsm),
    Mutant("plain fgsm: downhill", line(page("fgsm"), "fgsm", "x + epsilon", "x - epsilon"), test_fgsm),
    Mutant("plain bim: each step from the start", line(page("pgd"), "bim", "clip(X + ", "clip(x + "), test_bim),
    Mutant("plain bim: beyond the ball", line(page("pgd"), "clip", "np.minimum(1, x + epsilon)", "1"), test_bim),
    Mutant("plain bim: beyond the bounds", line(page("pgd"), "clip", "np.maximum(0, x - epsilon)", "x - epsilon"), test_bim),
    Mutant("plain least_likely: away from it", line(page("pgd"), "least_likely", "X - alpha", "X + alpha"), test_least_likely),
    Mutant("plain least_likely: the likeliest", line(page("pgd"), "least_likely", "argmin", "argmax"), test_least_likely),
    Mutant("plain least_likely: the least likely at each step", line(page("pgd"), "least_likely", "J(f(X), y_ll)", "J(f(X), int(f(X.value).argmin()))"), test_least_likely),
    Mutant("plain jsma: may increase the others", line(page("jsma"), "most_salient", "alpha > 0 and beta < 0 and ", ""), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("plain jsma: the last pair that is better than none", line(page("jsma"), "most_salient", "-alpha * beta > largest", "-alpha * beta > 0"), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("plain jsma: what is saturated stays in Γ", line(page("jsma"), "jsma", "Gamma.remove(p)", "pass"), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("plain jsma: not mirrored", line(page("jsma"), "jsma", "dF if theta > 0 else -dF", "dF"), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("plain jsma: one step more", line(page("jsma"), "jsma", "upsilon / features)", "upsilon / features) + 1"), test_jsma.test_it_is_the_papers_algorithm),
    Mutant("plain deepfool: the farthest boundary", line(page("deepfool"), "deepfool", "length < nearest", "length != nearest"), test_deepfool.test_it_is_the_papers_algorithm),
    Mutant("plain deepfool: only the last step", line(page("deepfool"), "deepfool", "total = total + r", "total = r"), test_deepfool.test_it_is_the_papers_algorithm),
    Mutant("plain deepfool: ‖w‖₂ in both norms", line(page("deepfool"), "deepfool", "else abs(w_k).sum()", "else np.sqrt((w_k**2).sum())"), test_deepfool.test_it_is_the_papers_algorithm),
    Mutant("plain lbfgs: looks for the least c", line(page("lbfgs"), "lbfgs", "c * 10 if succeeds else c / 10", "c / 10 if succeeds else c * 10"), test_lbfgs),
    Mutant("plain lbfgs: the arithmetic mean", line(page("lbfgs"), "lbfgs", "(succeeds * fails) ** 0.5", "(succeeds + fails) / 2"), test_lbfgs),
    Mutant("plain lbfgs: the farthest success", line(page("lbfgs"), "lbfgs", "length < shortest", "length != shortest and not length < shortest < np.inf"), test_lbfgs),
    Mutant("plain lbfgs: bound entries take part", line(page("lbfgs"), "minimise", "free = ~(", "free = (x == x) | ("), test_lbfgs),
    Mutant("plain lbfgs: every step is accepted", line(page("lbfgs"), "minimise", "if new_value <= value + 1e-4 * (g * (X - x)).sum():", "if True:"), test_lbfgs),
    Mutant("plain lbfgs: nothing remembered", line(page("lbfgs"), "minimise", "[-10:]", "[:0]"), test_lbfgs),
    Mutant("plain lbfgs: no second loop", line(page("lbfgs"), "newton", "(weight - rho * (y * g).sum())", "0"), test_lbfgs),
    Mutant("plain cw_l2: κ forgotten", line(page("carlini_wagner"), "f", "-kappa", "0 * kappa"), test_cw_l2_for_one_c),
    Mutant("plain cw_l2: averages not corrected", line(page("carlini_wagner"), "descend", "(m / (1 - 0.9**k))", "m"), test_cw_l2_for_one_c),
    Mutant("plain cw_l2: the last success", line(page("carlini_wagner"), "descend", "(best is None or D(X - x) < D(best - x))", "True"), test_cw_l2_for_one_c),
    Mutant("plain cw_l2: c without weight", line(page("carlini_wagner"), "descend", "c * f(", "f("), test_cw_l2_for_one_c),
    Mutant("plain cw_l2: the greatest c", line(page("carlini_wagner"), "cw_l2", "(too_little + enough) / 2", "2 * enough"), test_cw_l2_searches_for_c),
    Mutant("plain cw_l2: the first success", line(page("carlini_wagner"), "cw_l2", "squares(X - x) < squares(best - x)", "False"), test_cw_l2_searches_for_c),
    Mutant("plain cw_l0: fixes the most useful pixel", line(page("carlini_wagner"), "cw_l0", "-g * delta, np.inf) ", "g * delta, np.inf) "), test_cw_l0_where_pixels_do_not_depend_on_each_other),
    Mutant("plain cw_l0: fixes nothing", line(page("carlini_wagner"), "cw_l0", "free = (delta != 0) & (useful > useful.min())", "c = 2 * c"), test_cw_l0),
    Mutant("plain cw_linf: τ is not lowered", line(page("carlini_wagner"), "cw_linf", "best, tau = X, 0.9 * tau", "best, c = X, 2 * c"), test_cw_linf),
    Mutant("plain cw_linf: τ falls to a tenth", line(page("carlini_wagner"), "cw_linf", "0.9 * tau", "0.1 * tau"), test_cw_linf),
]
# fmt: on
