"""Laws that bind attacks that draw random numbers to their plain twins, which are handed the same: the same images.

All of a batch are compared with what the plain loop makes of each alone, in float64, to 1e-9 unless a law says
otherwise.  See `test_plain_slopes`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import attacks
from attacks import plain
from attacks.common.run import stream
from attacks.evolution.structure import INPUTS
from minidl import ops
from minidl.draws import box_muller, normal
from minidl.kernels.reference import random_signs, random_uniform
from minidl.testing import Mutant, line
from tests.laws.attacks import test_apgd as laws_of_apgd
from tests.laws.attacks.plain_twins import Replayed, drawn, page, steady

seeds = st.integers(0, 2**32 - 1)


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

    Algorithm 1 itself, in both norms and on every objective, has a law in `test_apgd`.
    """
    net, f, x, y = drawn(seed, 2)
    result = attacks.apgd(net, x, y, epsilon=epsilon, steps=10, targets=2, queries=8, seed=seed)
    for i in range(len(x)):
        corners = ([np.where(random_signs(stream(seed, attempt), x)[i] > 0, 0.0, 1.0)] for attempt in range(4))
        rng = Replayed([*corners, *squares(lambda query: stream(seed, 0, query), x, 8, i)])
        image = plain.apgd(f, x[i], y[i], epsilon, steps=10, targets=2, queries=8, rng=rng)
        np.testing.assert_allclose(result.x_adv[i], image, atol=1e-7)


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
        image = plain.few_pixel(f, x[i], y[i], pixels, population, generations=4, rng=rng)
        np.testing.assert_allclose(result.x_adv[i], image, atol=1e-6)


class Given:
    """The noise and the directions of `hopskipjump` for the i-th image, in the order in which they are asked for."""

    def __init__(self, seed: int, x: np.ndarray, i: int) -> None:
        self.seed, self.x, self.i, self.trial, self.round = seed, x, i, 0, 1

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        assert (low, high, shape) == (0, 1, self.x.shape[1:])
        self.trial += 1
        return random_uniform(stream(self.seed, 0, self.trial - 1), self.x)[self.i]

    def normal(self, size: tuple[int, ...]) -> np.ndarray:
        self.round += 1
        return normal(stream(self.seed, 1, self.round - 1, self.i), np.zeros(size))


@given(seed=seeds, rounds=st.integers(1, 4))
def test_hopskipjump(seed, rounds) -> None:
    """The same images, of the same noise and directions: the closest one of as many rounds."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(6, 4)), rng.random((2, 1, 2, 3))
    net = lambda x: (ops.reshape(x, (-1, 6)) - 0.5) @ w  # which puts noise into all classes
    f, y = plain.one(net), net(x).argmax(axis=-1)
    for i in range(len(x)):
        asked = [0]

        def counted(image, f=f, asked=asked):
            asked[0] += 1
            return f(image)

        images = [plain.hopskipjump(f, x[i], y[i], T, 10, Given(seed, x, i)) for T in range(rounds)]
        images.append(plain.hopskipjump(counted, x[i], y[i], rounds, 10, Given(seed, x, i)))
        search = 4  # halvings of an interval until it is at most 6^-1.5: what it keeps for the last search
        result = attacks.hopskipjump(net, x, y, queries=asked[0] + search, probes=10, seed=seed)
        distances = [float(np.linalg.norm(image - x[i])) for image in images]
        np.testing.assert_allclose(result.x_adv[i], images[int(np.argmin(distances))], atol=1e-7)


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

    images = plain.fool_direct(f, shape, 6, population, rate, halved_every=3, rng=Replayed(replayed()))
    np.testing.assert_allclose(result.images, images, atol=1e-9)


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
    images = plain.fool_cppn(f, shape, 8, population, neurons, rng=rng)
    np.testing.assert_allclose(result.images, images, atol=1e-9)


@given(seed=seeds, decay=st.sampled_from([0.0, 0.01, 0.5]), rise=st.sampled_from([0.02, 0.05]))
def test_fool_gradient(seed, decay, rise) -> None:
    """The same images, of the same noise, on a network that is nowhere so flat that the fast attack's steps, which are
    no longer than the bounds are wide, would be shorter than the paper's."""
    rng = np.random.default_rng(seed)
    w, m = 0.3 * rng.normal(size=(12, 5)), rng.random((1, 3, 4))
    net = lambda x: ops.reshape(x, (-1, 12)) @ w
    result = attacks.fool_gradient(net, start=m, decay=decay, rise=rise, steps=5, seed=seed)
    noise = normal(stream(seed), np.zeros((5, 1, 3, 4)))
    for k in range(5):
        image = plain.fool_gradient(plain.one(net), m, k, decay, 5, rise, Replayed([[noise[k]]]))
        np.testing.assert_allclose(result.images[k], image, atol=1e-9)


#: Wrong on purpose, each beside the law that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("plain hopskipjump: the sign, in L2, too", line(page("hopskipjump"), "hopskipjump", "v /= np.linalg.norm(v)", "v = np.sign(v)"), test_hopskipjump),
    Mutant("plain hopskipjump: no baseline", line(page("hopskipjump"), "hopskipjump", "weights -= weights.mean()", "pass"), test_hopskipjump),
    Mutant("plain hopskipjump: large probes", line(page("hopskipjump"), "hopskipjump", "distance / d", "distance"), test_hopskipjump),
    Mutant("plain hopskipjump: a short search", line(page("hopskipjump"), "boundary", "min(x.size**-1.5, 1 / 16)", "0.25"), test_hopskipjump),
    Mutant("plain pgd: begins at the image", line(page("pgd"), "pgd", "x + rng.uniform(-epsilon, epsilon, x.shape)", "x + 0 * rng.uniform(-epsilon, epsilon, x.shape)"), test_pgd),
    Mutant("plain pgd: goes on after a success", line(page("pgd"), "pgd", "break", "pass"), test_pgd),
    Mutant("plain square: by ε, not 2ε", line(page("square"), "square", "[2 * epsilon, -2 * epsilon]", "[epsilon, -epsilon]"), test_square),
    Mutant("plain square: keeps what does not help", line(page("square"), "square", "if new < least:", "if new > least:"), test_square),
    Mutant("plain square: one sign for all channels", line(page("square"), "square", "(c, 1, 1))  # one", "(c, 1, 1))[:1]  # one"), test_square),
    Mutant("plain square: p is never halved", line(page("square"), "side", "p / 2 **", "p / 1 **"), test_square),
    Mutant("plain apgd: η is never halved", line(page("apgd"), "ascend", "eta / 2", "eta"), test_apgd),
    Mutant("plain apgd: no momentum", line(page("apgd"), "ascend", "(x - before)), x", "(z - x)), x"), test_apgd),
    Mutant("plain apgd: the last point, not the best", line(page("apgd"), "ascend", "return x_max", "return x"), laws_of_apgd.test_it_is_the_papers_algorithm),
    Mutant("plain apgd: condition 2 forgotten", line(page("apgd"), "ascend", "few or stuck", "few"), laws_of_apgd.test_it_is_the_papers_algorithm),
    Mutant("plain apgd: checkpoints equally far apart", line(page("apgd"), "checkpoints", "max(p[-1] - p[-2] - 0.03, 0.06)", "0.22"), laws_of_apgd.test_it_is_the_papers_algorithm),
    Mutant("plain apgd: the unlikeliest target first", line(page("apgd"), "apgd", "argsort()[::-1]", "argsort()"), test_apgd),
    Mutant("plain apgd: the last attempt, not the closest", line(page("apgd"), "apgd", "max(tried, key=lambda X: margin(g(X), y))", "tried[-1]"), test_apgd),
    Mutant("plain apgd: DLR over the second logit", line(page("apgd"), "dlr", "z[pi[2]]", "z[pi[1]]"), test_apgd),
    Mutant("plain apgd: the targeted ratio over the fourth alone", line(page("apgd"), "targeted_dlr", "(z[pi[2]] + z[pi[3]]) / 2", "z[pi[3]]"), test_apgd),
    Mutant("plain few_pixel: a sum in place of the difference", line(page("few_pixel"), "few_pixel", "parents[r2] - parents[r3]", "parents[r2] + parents[r3]"), test_few_pixel),
    Mutant("plain few_pixel: children of children", line(page("few_pixel"), "few_pixel", "parents = candidates.copy()", "parents = candidates"), test_few_pixel),
    Mutant("plain few_pixel: worse children stay", line(page("few_pixel"), "few_pixel", "reached >= fitness[i]", "reached <= fitness[i]"), test_few_pixel),
    Mutant("plain few_pixel: rows for columns", line(page("few_pixel"), "painted", "for row, column, *colour", "for column, row, *colour"), test_few_pixel),
    Mutant("plain fool_direct: a child tries in one niche only", line(page("fool_direct"), "map_elites", "or confidence > best[k]", "or (k == z.argmax() and confidence > best[k])"), test_fool_direct),
    Mutant("plain fool_direct: the newest is the elite", line(page("fool_direct"), "map_elites", "confidence > best[k]", "True"), test_fool_direct),
    Mutant("plain fool_direct: children of children", line(page("fool_direct"), "map_elites", "children = [mutated(parent, generation) for parent in parents]", "children = [mutated(children[0], generation) for parent in parents]"), test_fool_direct),
    Mutant("plain fool_direct: the rate is not halved", line(page("fool_direct"), "fool_direct", "generation // halved_every", "0"), test_fool_direct),
    Mutant("plain fool_direct: moves twice as far", line(page("fool_direct"), "polynomial", "delta * (high - low)", "2 * delta * (high - low)"), test_fool_direct),
    Mutant("plain fool_cppn: colours have signs", line(page("fool_cppn"), "painted", "abs(np.stack(v[-C:]))", "np.stack(v[-C:])"), test_fool_cppn),
    Mutant("plain fool_cppn: radius without its root", line(page("fool_cppn"), "painted", "np.hypot(x, y)", "x * x + y * y"), test_fool_cppn),
    Mutant("plain fool_cppn: inputs have sources", line(page("fool_cppn"), "missing", "max(i + 1, INPUTS)", "i + 1"), test_fool_cppn),
    Mutant("plain fool_cppn: a deleted connection stays", line(page("fool_cppn"), "delete_connection", "= 0", "= 1"), test_fool_cppn),
    Mutant("plain fool_cppn: a moved connection stays where it was, too", line(page("fool_cppn"), "change_connection", "W[i, j], 0", "W[i, j], W[i, j]"), test_fool_cppn),
    Mutant("plain fool_cppn: the other end is kept", line(page("fool_cppn"), "change_connection", "place[end] == (i, j)[end]", "place[1 - end] == (i, j)[1 - end]"), test_fool_cppn),
    Mutant("plain fool_cppn: a new neuron beside its connection", line(page("fool_cppn"), "add_neuron", "W[i, j + 1], 0", "W[i, j + 1], W[i, j + 1]"), test_fool_cppn),
    Mutant("plain fool_cppn: one neuron too many", line(page("fool_cppn"), "add_neuron", ">= neurons", "> neurons"), test_fool_cppn),
    Mutant("plain fool_cppn: another function goes", line(page("fool_cppn"), "delete_neuron", "np.delete(phi, p)", "np.delete(phi, -1)"), test_fool_cppn),
    Mutant("plain fool_cppn: connections change less often", line(page("fool_cppn"), "mutate", "change_connection(W, C, rng) if rng.random() < 0.5", "change_connection(W, C, rng) if rng.random() < 0.4"), test_fool_cppn),
    Mutant("plain fool_cppn: functions never change", line(page("fool_cppn"), "mutate", "changes & ", "~changes & changes & "), test_fool_cppn),
    Mutant("plain fool_gradient: ∇p/‖∇p‖", line(page("fool_gradient"), "fool_gradient", "(g**2).sum()", "np.sqrt((g**2).sum())"), test_fool_gradient),
    Mutant("plain fool_gradient: decay towards black", line(page("fool_gradient"), "fool_gradient", "m + (1 - decay) * (x - m)", "(1 - decay) * x"), test_fool_gradient),
    Mutant("plain fool_gradient: long steps near 1", line(page("fool_gradient"), "fool_gradient", "0.1 * (1 - p)", "1 - p"), test_fool_gradient),
]
# fmt: on
