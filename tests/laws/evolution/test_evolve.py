"""Laws of evolution: who survives, what is asked and how often, what a seed decides, and what comes back."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attacks import Victim
from attacks.evolution import (
    CPPN,
    DirectEncoding,
    Draws,
    Elitism,
    FoolingResult,
    MapElites,
    evolve,
    fool_cppn,
    fool_direct,
    genome,
    result,
)
from attacks.evolution.archive import ARCHIVES
from attacks.evolution.result import as_percent
from minidl import models, npz
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.layers import Glorot
from minidl.testing import Mutant, line
from tests.laws.attacks.test_square import Asked

seeds = st.integers(0, 2**32 - 1)
loop = sys.modules[evolve.__module__]  # `attacks.evolution.evolve` is the function
fooling = sys.modules[fool_direct.__module__]

SHAPE, CLASSES = (1, 6, 5), 4
FILTERS = np.random.default_rng(0).normal(size=(CLASSES, *SHAPE))
ENCODINGS = {
    "direct": DirectEncoding(SHAPE, rate=0.3, dtype="float64"),
    "crossed": DirectEncoding(SHAPE, rate=0.3, crossover=0.7, dtype="float64"),
    "cppn": CPPN(SHAPE, neurons=3, dtype="float64"),
}
SMALL = {"generations": 6, "population": 8, "seed": 3}


def judge(x: np.ndarray) -> np.ndarray:
    """Logits by NumPy alone, one image after the other: they cannot depend on the other images of the batch."""
    return np.array([[(image * one).sum() for one in FILTERS] for image in x])


def probabilities(x: np.ndarray) -> np.ndarray:
    """What `judge` says, as probabilities."""
    e = np.exp(judge(x))
    return e / e.sum(axis=1, keepdims=True)


def same(one: MapElites, other: MapElites) -> None:
    """Two archives agree to the bit."""
    ours, theirs = one.arrays(), other.arrays()
    assert type(one) is type(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


# --- who survives ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("name", ENCODINGS)
def test_survivors_are_those_of_plain_loops(name, kind) -> None:
    """Every child of MAP-Elites tries in every niche, one of Elitism in its parent's; only the fitter are let in."""
    niches_of_parents = []

    class Watched(ARCHIVES[kind]):
        def updated(self, children, images, fitness, niches, generation):
            niches_of_parents.append(niches)
            return super().updated(children, images, fitness, niches, generation)

    asked = Asked(judge)
    result = evolve(asked, ENCODINGS[name], archive=Watched, generations=12, population=8, seed=1)
    best, history = [(-1.0, None, -1)] * CLASSES, []
    for generation, images in enumerate(asked.seen):
        for n, p in enumerate(probabilities(images)):
            for k in range(CLASSES):
                allowed = kind == "MapElites" or generation == 0 or niches_of_parents[generation - 1][n] == k
                if allowed and p[k] > best[k][0]:
                    best[k] = p[k], images[n], generation
        history.append([p for p, _, _ in best])
    assert len(history) == 12
    np.testing.assert_array_equal(result.images, [image for _, image, _ in best])
    np.testing.assert_array_equal(result.archive.born, [born for _, _, born in best])
    np.testing.assert_allclose(result.history, history, rtol=1e-12)
    np.testing.assert_array_equal(result.confidence, result.history[-1])
    np.testing.assert_array_equal(result.images, result.archive.images)
    np.testing.assert_array_equal(ENCODINGS[name].render(result.archive.genomes), result.images)
    assert result.archive.born.max() > 0


def archive_of(fitness: list[float], kind: type[MapElites] = MapElites) -> MapElites:
    """An archive of genomes that are their own fitness."""
    founders = np.diag(np.array(fitness))
    return kind.first(loop.Genome({"gene": founders}), founders[:, None, None], founders)


@pytest.mark.parametrize(("kind", "expected"), [(MapElites, [0.9, 0.5, 0.5]), (Elitism, [0.5, 0.5, 0.5])])
def test_one_child_may_take_every_niche_and_equals_take_none(kind, expected) -> None:
    elites = archive_of([0.5, 0.5, 0.5], kind)
    children = np.array([[0.9, 0.5, 0.4], [0.8, 0.5, 0.5]])
    genomes = loop.Genome({"gene": children})
    after = elites.updated(genomes, children[:, None, None], children, np.array([1, 2]), 7)
    np.testing.assert_array_equal(after.fitness, expected)
    np.testing.assert_array_equal(after.born, [7 if p == 0.9 else 0 for p in expected])
    np.testing.assert_array_equal(after.genomes["gene"][0], children[0] if 0.9 in expected else [0.5, 0, 0])
    np.testing.assert_array_equal(after.images[1:], elites.images[1:])
    np.testing.assert_array_equal(elites.fitness, [0.5, 0.5, 0.5])  # as it was


def test_classes_that_are_all_but_impossible_are_climbed() -> None:
    """Their probabilities are 0 in any precision, but some are less so than others."""
    short, long = (evolve(lambda x: 1e4 * judge(x), ENCODINGS["direct"], **SMALL | {"generations": n}) for n in (1, 9))
    assert np.isfinite(short.archive.fitness).all()
    assert (short.archive.fitness < -1000).any()
    rose = long.archive.fitness > short.archive.fitness
    assert rose[short.archive.fitness < -1000].all()


def test_single_precision_is_not_the_end() -> None:
    """What a float32 network says is compared in double: near 1 its own digits are too coarse."""
    images = np.stack([FILTERS[0], 1.001 * FILTERS[0]])
    confident = Victim(lambda x: (1.2 * judge(x)).astype(np.float32), bounds=(-9, 9))
    breeder = loop.Breeder(confident, ENCODINGS["direct"], MapElites, 2, 0)
    less, more = breeder.fitness(images)[:, 0]
    assert -1e-8 < less < more < 0


def test_parents_come_from_every_niche_alike() -> None:
    niches = archive_of([0.1, 0.9, 0.5]).parents(3000, loop.Draws(0, 1))
    assert (abs(np.bincount(niches, minlength=3) - 1000) < 120).all()


@pytest.mark.parametrize(("wrong", "error", "match"), [
    (lambda genomes: genomes.take(np.arange(3)), ShapeError, "returns 8.*got 3 genomes with 3 images"),
    (lambda genomes: dict(genomes.arrays), DTypeError, "a Genome, got dict"),
])  # fmt: skip
@pytest.mark.parametrize("when", ["start", "vary"])
def test_encodings_that_return_something_else_raise_an_error(when, wrong, error, match) -> None:
    class Wrong(DirectEncoding):
        pass

    theirs = getattr(DirectEncoding, when)
    setattr(Wrong, when, lambda self, *arguments: wrong(theirs(self, *arguments)))
    with pytest.raises(error, match=match):
        evolve(judge, Wrong(SHAPE), **SMALL)


def test_partners_are_drawn_on_their_own() -> None:
    paired = []

    class Watched(DirectEncoding):
        def vary(self, parents, partners, generation, draws):
            paired.append((parents["pixels"] == partners["pixels"]).all(axis=(1, 2, 3)).mean())
            return super().vary(parents, partners, generation, draws)

    evolve(judge, Watched(SHAPE), generations=2, population=200, archive=Elitism)
    assert 0.1 < paired[0] < 0.4  # one of four


# --- what is asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fool", [fool_direct, fool_cppn])
@given(generations=st.integers(1, 5), population=st.integers(1, 9), size=st.integers(1, 10))
@settings(max_examples=8)
def test_it_asks_population_times_generations_and_for_no_slopes(fool, generations, population, size) -> None:
    victim = Victim(judge, batch_size=size)
    victim.linearize = None
    for runs in (1, 2):
        result = fool(victim, generations=generations, population=population, shape=SHAPE)
        assert (result.forwards, result.backwards) == (generations * population, 0)
        assert victim.queries == victim.forwards == runs * generations * population
    assert (victim.backwards, len(result.history), len(result)) == (0, generations, CLASSES)


@pytest.mark.parametrize("name", ENCODINGS)
@given(seed=seeds, size=st.integers(1, 9))
@settings(max_examples=4)
def test_a_seed_decides_and_batches_do_not(name, seed, size) -> None:
    options = {"generations": 4, "population": 8}
    whole = evolve(judge, ENCODINGS[name], seed=seed, **options)
    cut = evolve(Victim(judge, batch_size=size), ENCODINGS[name], seed=seed, **options)
    other = evolve(judge, ENCODINGS[name], seed=seed + 1, **options)
    same(whole.archive, cut.archive)
    np.testing.assert_array_equal(whole.history, cut.history)
    assert (whole.images != other.images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("fool", [fool_direct, fool_cppn])
def test_threads_change_nothing(fool, monkeypatch) -> None:
    """Of a population so large that they share it."""
    filters = np.random.default_rng(1).normal(size=(784, 3)).astype("float32")
    archives = []
    for threads in ("1", "3"):
        monkeypatch.setenv("MINIDL_THREADS", threads)
        victim = lambda x: x.reshape(len(x), 784) @ filters
        archives.append(fool(victim, shape=(1, 28, 28), generations=3, population=300).archive)
    same(*archives)


def test_generations_and_seeds_draw_anew() -> None:
    class Still(MapElites):
        """One parent, for ever."""

        def parents(self, count, draws):
            return np.zeros(count, int)

        def updated(self, *_):
            return self

    class Alike(DirectEncoding):
        """Every first genome is grey."""

        def start(self, count, draws):
            return loop.Genome({"pixels": np.full((count, *self.shape), 0.5)})

    one, other = Asked(judge), Asked(judge)
    for asked, seed in ((one, 1), (other, 2)):
        evolve(asked, Alike(SHAPE, rate=0.5), generations=3, population=8, archive=Still, seed=seed)
        assert len(np.unique(np.concatenate(asked.seen[1:]), axis=0)) == 16  # all children are different
    assert (one.seen[1] != other.seen[1]).any(axis=(1, 2, 3)).all()


# --- what comes back ------------------------------------------------------------------------------------------


@given(seed=seeds, classes=st.integers(2, 5), shape=st.tuples(*[st.integers(1, 4)] * 3), low=st.floats(-3, 1),
       width=st.floats(0.01, 4), cppn=st.booleans())  # fmt: skip
def test_any_network_shape_and_bounds(seed, classes, shape, low, width, cppn) -> None:
    filters = np.random.default_rng(seed).normal(size=(int(np.prod(shape)), classes)).astype("float32")
    logits = lambda x: x.reshape(len(x), -1) @ filters
    victim = Victim(logits, bounds=(low, low + width))
    result = (fool_cppn if cppn else fool_direct)(victim, shape=shape, generations=3, population=5, seed=seed)
    assert (result.images.shape, result.images.dtype) == ((classes, *shape), np.float32)
    assert result.images.min() >= np.float32(low)
    assert result.images.max() <= np.float32(low + width)
    again = np.exp(logits(result.images) - logits(result.images).max(axis=1, keepdims=True))
    np.testing.assert_allclose(result.confidence, np.diag(again / again.sum(axis=1, keepdims=True)), atol=1e-5)
    assert (result.confidence.shape, result.history.shape) == ((classes,), (3, classes))
    assert (np.diff(result.history, axis=0) >= 0).all()
    np.testing.assert_allclose(result.median, [np.median(row) for row in result.history])
    assert result.params["interrupted"] is False
    assert result.seconds > 0


@pytest.mark.parametrize(("fool", "kind"), [(fool_direct, "DirectEncoding"), (fool_cppn, "CPPN")])
def test_a_network_says_what_it_takes(fool, kind) -> None:
    net = models.mlp((3, 4, 4), 5, (6,), bias=True, init_weights=Glorot(), dtype="float64")
    result = fool(net, generations=2, population=6, seed=9, rate=0.5)
    assert (result.images.shape, result.images.dtype) == ((5, 3, 4, 4), np.float64)
    assert result.params["attack"] == fool.__name__
    assert result.params["encoding"].startswith(f"{kind}(shape=(3, 4, 4), bounds=(0.0, 1.0)")
    assert "rate=0.5" in result.params["encoding"]
    assert "dtype='float64'" in result.params["encoding"]
    summary = result.summary()
    worst = result.confidence.argmin()
    for text in (f"{fool.__name__}(generations=2, population=6,", "for 5 classes", "archive=MapElites",
                 f"median {as_percent(np.median(result.confidence), 4)}, least {as_percent(min(result.confidence), 4)} (class {worst})",
                "done: 2",
                 "12 forward, 0 backward"):  # fmt: skip
        assert text in summary


def test_progress_tells_the_median_and_the_worst(monkeypatch) -> None:
    updates, theirs = [], loop.bar

    def bar(items, *arguments, **options):
        shown = theirs(items, *arguments, **options)
        monkeypatch.setattr(shown, "set_postfix", lambda **numbers: updates.append(numbers))
        return shown

    monkeypatch.setattr(loop, "bar", bar)
    history = evolve(judge, ENCODINGS["direct"], **SMALL).history
    assert [(n["median"], n["worst"]) for n in updates] == [(f"{np.median(p):.4f}", f"{p.min():.4f}") for p in history]


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("name", ENCODINGS)
def test_results_come_back_from_files_to_the_bit(name, kind, tmp_path) -> None:
    result = evolve(judge, ENCODINGS[name], archive=ARCHIVES[kind], **SMALL)
    result.save(tmp_path / "fooling.npz")
    loaded = FoolingResult.load(tmp_path / "fooling.npz")
    same(loaded.archive, result.archive)
    for field in ("images", "confidence", "history"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(result, field))
    for field in ("forwards", "backwards", "seed", "params", "seconds"):
        assert getattr(loaded, field) == getattr(result, field)
    np.testing.assert_array_equal(ENCODINGS[name].render(loaded.archive.genomes), result.images)
    with np.load(tmp_path / "fooling.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiU" for name in file.files)


def test_other_files_are_no_results(tmp_path) -> None:
    path, net = tmp_path / "file", models.mlp(SHAPE, CLASSES, (6,), dtype="float64")
    result = evolve(net, ENCODINGS["cppn"], checkpoint=path, **SMALL)
    with pytest.raises(DataError, match="fooling"):
        FoolingResult.load(path)  # a checkpoint is none
    result.save(path)
    whole = path.read_bytes()
    header, arrays = npz.read_archive(path, "fooling")
    for short in ("images", "confidence", *(name for name in arrays if name.startswith("archive/"))):
        npz.write_archive(path, "fooling", header, arrays | {short: arrays[short][1:]})
        with pytest.raises(DataError, match="to hold fooling images"):
            FoolingResult.load(path)
    for damaged in (b"", b"PK\x03\x04", whole[:-100], whole[: len(whole) // 2] + b"?" + whole[len(whole) // 2 + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=str(path)):
            FoolingResult.load(path)
    with pytest.raises(DataError, match="no such file"):
        FoolingResult.load(tmp_path / "nowhere")


def test_an_archive_of_ones_own_has_no_file(tmp_path) -> None:
    result = evolve(judge, ENCODINGS["direct"], archive=type("MapElites", (MapElites,), {}), **SMALL)
    with pytest.raises(DTypeError, match="an archive of.*Elitism.*MapElites"):
        result.save(tmp_path / "fooling.npz")
    assert not list(tmp_path.iterdir())


def test_images_out_of_bounds_raise_an_error_in_every_generation() -> None:
    class Growing(DirectEncoding):
        def vary(self, parents, partners, generation, draws):
            return loop.Genome({"pixels": parents["pixels"] + (generation == 2)})

    victim = Victim(judge)
    with pytest.raises(RangeError, match=r"evolve.*pixels in \[0, 1\]"):
        evolve(victim, Growing(SHAPE), **SMALL)
    assert victim.queries == 16


def replayed(name: str, kind: str = "MapElites") -> None:
    test_survivors_are_those_of_plain_loops(name, kind)


def read(tmp_path: object) -> None:
    test_results_come_back_from_files_to_the_bit("cppn", "Elitism", tmp_path)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- who survives
    Mutant("archive: equals are let in", line(MapElites, "updated", "reached > self", "reached >= self"), lambda: test_one_child_may_take_every_niche_and_equals_take_none(MapElites, [0.9, 0.5, 0.5])),
    Mutant("archive: the least fit of the children", line(MapElites, "updated", "fitness.argmax(axis=0), fitness.max", "fitness.argmin(axis=0), fitness.max"), lambda: replayed("direct")),
    Mutant("archive: children compete only where they are best", line(MapElites, "competing_fitness", "return fitness", "return fitness * (fitness == fitness.max(axis=1)[:, None])"), lambda: replayed("cppn")),
    Mutant("archive: elitism in every niche", line(Elitism, "competing_fitness", "xp.where(own, fitness, -xp.inf)", "fitness"), lambda: replayed("cppn", "Elitism")),
    Mutant("archive: genomes are not replaced", line(MapElites, "updated", "self.genomes.replaced(improved, children.take(fittest))", "self.genomes"), lambda: replayed("direct")),
    Mutant("archive: all get the new generation", line(MapElites, "updated", "self.born, improved, generation", "self.born, slice(None), generation"), lambda: replayed("cppn")),
    Mutant("archive: no parent from the last niche", line(MapElites, "parents", "len(self)", "len(self) - 1"), test_parents_come_from_every_niche_alike),
    Mutant("archive: niches without images", line(MapElites, "from_arrays", "len(set(lengths)) != 1", "False"), test_other_files_are_no_results),
    # --- the loop
    Mutant("evolve: its parents' partners are themselves", line(loop.Breeder, "next", "niches, others = elites.parents(self.population, draws),", "niches = others ="), test_partners_are_drawn_on_their_own),
    Mutant("evolve: one key for all generations", line(loop.Breeder, "next", "Draws(self.seed, generation)", "Draws(self.seed, 1)"), test_generations_and_seeds_draw_anew),
    Mutant("evolve: one key for all seeds", line(loop.Breeder, "next", "Draws(self.seed, generation)", "Draws(0, generation)"), test_generations_and_seeds_draw_anew),
    Mutant("evolve: logits for probabilities", line(loop.Breeder, "fitness", "kernels(logits).log_softmax(logits)", "logits"), lambda: replayed("direct")),
    Mutant("evolve: probabilities, rounded to 0", line(loop.Breeder, "fitness", "kernels(logits).log_softmax(logits)", "namespace(logits).log(kernels(logits).softmax(logits))"), test_classes_that_are_all_but_impossible_are_climbed),
    Mutant("evolve: probabilities, rounded to 1", line(loop.Breeder, "fitness", '.astype("float64")', ""), test_single_precision_is_not_the_end),
    Mutant("evolve: images are not checked", line(loop.Breeder, "drawn", "self.victim.check_images", "(lambda *_: None)"), test_images_out_of_bounds_raise_an_error_in_every_generation),
    # --- checkpoints and files
    Mutant("evolve: the number of children is not checked", line(loop.Breeder, "drawn", "== self.population", ""), lambda: test_encodings_that_return_something_else_raise_an_error("vary", lambda genomes: genomes.take([0, 1, 2]), ShapeError, "returns 8")),
    Mutant("fooling: every archive is MAP-Elites", line(FoolingResult, "load", 'ARCHIVES[header["archive"]]', "MapElites"), read),
    Mutant("fooling: arrays of any length", line(result, "_check_sound", "len(lengths) != 1", "False"), test_other_files_are_no_results),
    Mutant("fooling: an archive known by its name alone", line(FoolingResult, "save", "ARCHIVES.get(kind) is not type(self.archive)", "kind not in ARCHIVES"), test_an_archive_of_ones_own_has_no_file),
    Mutant("fooling: the median over generations", line(FoolingResult, "median", "axis=1", "axis=0"), test_any_network_shape_and_bounds),
    Mutant("fooling: always from 0 to 1", line(fooling, "canvas", "{\"shape\": tuple(shape), \"bounds\": victim.bounds", "{\"shape\": tuple(shape), \"bounds\": (0, 1)"), test_any_network_shape_and_bounds),
    # --- draws and pixels
    Mutant("draws: the same for every question", line(Draws, "key", "self.asked += 1", "self.asked += 0"), test_partners_are_drawn_on_their_own),
    Mutant("genomes: others in the first rows", line(genome, "replaced", "copied[rows] = others", "copied[: len(rows)] = others"), lambda: replayed("direct")),
]
# fmt: on
