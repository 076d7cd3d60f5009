"""Evolution told nothing does as the paper does, passes on all that it is told, and refuses nonsense before any work.

Last: evolution on another array library.
"""

from __future__ import annotations

import inspect
import sys
import time
from functools import partial

import numpy as np
import pytest

from attacks import Victim, few_pixel
from attacks.evolution import (
    CPPN,
    DirectEncoding,
    Elitism,
    FoolingResult,
    Genome,
    MapElites,
    evolve,
    fool_cppn,
    fool_direct,
    fool_gradient,
)
from minidl import backend, layers, models, ops
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.layers import Glorot
from minidl.testing import Mutant, line
from tests.support import strict
from tests.support.emulated_cuda import needs_compiler
from tests.unit.test_cuda import on_strict  # noqa: F401

SHAPE, CLASSES = (1, 6, 5), 4


def network(dtype: str = "float32") -> models.Sequential:
    return models.mlp(SHAPE, CLASSES, (8,), bias=True, init_weights=Glorot(), dtype=dtype)


NET, FLAT = network(), models.Sequential(layers.Dense(3), input_shape=30)
DIRECT = DirectEncoding(SHAPE)


# --- what is asked for ----------------------------------------------------------------------------------------

#: Of Nguyen, Yosinski and Clune 2015, and of Su, Vargas and Sakurai 2017 (crossover is not of the paper, but its code).
PAPER = {
    CPPN: {"add_connection": 0.5, "delete_connection": 0.3, "change_connection": 0.5, "add_neuron": 0.5,
           "delete_neuron": 0.2, "rate": 0.1, "strength": 15, "limit": 10},
    DirectEncoding: {"rate": 0.1, "halved_every": 1000, "strength": 15, "crossover": 0, "crossover_strength": 10},
    evolve: {"generations": 200, "population": 200, "archive": MapElites},
    fool_direct: {"generations": 200, "population": 200, "archive": MapElites},
    fool_cppn: {"generations": 200, "population": 200, "archive": MapElites},
    fool_gradient: {"decay": 0.01, "steps": 300, "rise": 0.03},
    few_pixel: {"weight": 0.5, "population": 400, "generations": 100},
}  # fmt: skip


@pytest.mark.parametrize("told_nothing", PAPER, ids=lambda told_nothing: told_nothing.__name__)
def test_defaults_are_the_papers(told_nothing) -> None:
    known = inspect.signature(told_nothing).parameters
    assert {name: known[name].default for name in PAPER[told_nothing]} == PAPER[told_nothing]


@pytest.mark.parametrize(("fool", "kind"), [(fool_direct, DirectEncoding), (fool_cppn, CPPN)])
def test_all_that_is_asked_for_is_passed_on(fool, kind, monkeypatch) -> None:
    asked = {"generations": 3, "population": 5, "archive": Elitism, "seed": 9, "progress": True, "checkpoint": "run"}
    defaults = {name: known.default for name, known in inspect.signature(evolve).parameters.items()}
    assert [name for name in defaults if name not in asked] == ["victim", "encoding"]
    assert all(defaults[name] != value for name, value in asked.items())
    victim, result, passed_on = Victim(NET), evolve(NET, DIRECT, generations=1, population=4), []

    def recorded(*arguments, **options):
        passed_on.append((*arguments, options))
        return result

    monkeypatch.setattr(sys.modules[fool.__module__], "evolve", recorded)
    assert fool(victim, rate=0.25, **asked).params["attack"] == fool.__name__
    assert passed_on == [(victim, kind(SHAPE, rate=0.25), asked)]


@pytest.mark.parametrize("fool", [fool_direct, fool_cppn, fool_gradient])
def test_seconds_are_those_of_the_clock(fool) -> None:
    class Slow(Victim):
        def logits(self, x):
            time.sleep(0.02)
            return super().logits(x)

    begun = time.perf_counter()
    result = fool(Slow(NET), **({"steps": 1} if fool is fool_gradient else {"generations": 1, "population": 4}))
    assert 0.01 < result.seconds < time.perf_counter() - begun


# --- what is refused ------------------------------------------------------------------------------------------

EITHER = {
    "no population": ({"population": 0}, RangeError, "evolve.*whole number of population, at least 1.*0"),
    "half a population": ({"population": 1.5}, RangeError, "population.*1.5"),
    "no generations": ({"generations": 0}, RangeError, "evolve.*whole number of generations, at least 1.*0"),
    "half a generation": ({"generations": 1.5}, RangeError, "generations.*1.5"),
    "generations of True": ({"generations": True}, RangeError, "generations.*True"),
    "seed": ({"seed": -1}, RangeError, "evolve.*seed.*at least 0.*-1"),
    "half a seed": ({"seed": 0.5}, RangeError, "seed.*0.5"),
    "rate": ({"rate": 1.1}, RangeError, "rate to be a probability, from 0 to 1, got 1.1"),
    "no rate": ({"rate": None}, RangeError, "rate.*None"),
    "rate of NaN": ({"rate": float("nan")}, RangeError, "rate.*nan"),
    "rate of True": ({"rate": True}, RangeError, "rate.*True"),
    "strength": ({"strength": 0}, RangeError, "strength to be a number above 0, got 0"),
    "endless strength": ({"strength": float("inf")}, RangeError, "strength.*inf"),
    "bounds": ({"bounds": (1, 0)}, RangeError, r"two finite numbers with low < high.*\(1, 0\)"),
    "one bound": ({"bounds": 1}, RangeError, "low < high"),
    "endless bounds": ({"bounds": (0, float("inf"))}, RangeError, "finite.*inf"),
    "bounds of others": ({"bounds": (5, 6)}, RangeError, r"evolve.*pixels in \[0, 1\]"),
    "pixels of bytes": ({"dtype": "uint8"}, DTypeError, "floating-point.*uint8"),
    "a number for a shape": ({"shape": 28}, ShapeError, r"\(C, H, W\).*28.*shape=\(1, 28, 28\)"),
    "a flat shape": ({"shape": (6, 5)}, ShapeError, r"\(C, H, W\).*\(6, 5\)"),
    "no channel": ({"shape": (0, 6, 5)}, ShapeError, r"\(0, 6, 5\)"),
    "half a row": ({"shape": (1, 6, 2.5)}, ShapeError, r"\(1, 6, 2.5\)"),
    "another shape": ({"shape": (1, 5, 6)}, ShapeError, r"evolve.*\(N, 1, 6, 5\).*\(\d+, 1, 5, 6\)"),
    "archive by name": ({"archive": "MapElites"}, DTypeError, "a class of archives.*'MapElites'"),
    "another class": ({"archive": dict}, DTypeError, "a class of archives.*dict"),
}  # fmt: skip


@pytest.mark.parametrize("fool", [fool_direct, fool_cppn])
@pytest.mark.parametrize("name", EITHER)
def test_errors_before_any_work(name, fool) -> None:
    (options, error, message), victim = EITHER[name], Victim(NET)
    with pytest.raises(error, match=message) as caught:
        fool(victim, **options)
    assert isinstance(caught.value, MinidlError)
    assert victim.forwards == 0


function, lists = (lambda x: x.reshape(len(x), -1)), [[[0.5] * 5] * 6]
OTHERS = {
    "a function without a shape": (partial(fool_direct, function), ShapeError, r"fool_direct.*shape=\(1, 28, 28\)"),
    "no shape for ascent": (partial(fool_gradient, function), ShapeError, "fool_gradient.*to know the shape"),
    "a flat network": (partial(fool_cppn, FLAT), ShapeError, r"fool_cppn.*\(30,\).*ops.reshape\(x, \(-1, 30\)\)"),
    "a flat network all the same": (partial(fool_direct, FLAT, shape=SHAPE), ShapeError, r"one of inputs \(30,\)"),
    "a flat network for ascent": (partial(fool_gradient, FLAT), ShapeError, "fool_gradient.*images"),
    "no victim": (partial(fool_direct, "net"), DTypeError, "network or a function.*str"),
    "a class for an encoding": (partial(evolve, NET, CPPN), DTypeError, r"an encoding, such as CPPN\("),
    "a name for an encoding": (partial(evolve, NET, "cppn"), DTypeError, "an encoding.*'cppn'"),
    "an archive for a class": (partial(evolve, NET, DIRECT, archive=Elitism(Genome({"a": lists}), lists, lists, lists)),
                               DTypeError, "a class of archives"),
    "probability": (partial(CPPN, SHAPE, add_neuron=-0.1), RangeError, "CPPN.*add_neuron.*-0.1"),
    "limit": (partial(CPPN, SHAPE, limit=-1), RangeError, "CPPN.*limit.*above 0.*-1"),
    "neurons": (partial(CPPN, SHAPE, neurons=0), RangeError, "CPPN.*neurons, at least 1.*0"),
    "crossover": (partial(DirectEncoding, SHAPE, crossover=2), RangeError, "DirectEncoding.*crossover.*2"),
    "crossover of no strength": (partial(DirectEncoding, SHAPE, crossover_strength=0), RangeError, "crossover_strength"),
    "never halved": (partial(DirectEncoding, SHAPE, halved_every=0), RangeError, "halved_every, at least 1.*0"),
    "no genes": (partial(Genome, {}), ShapeError, "one row for each genome"),
    "genes of others": (partial(Genome, {"a": [1], "b": [1, 2]}), ShapeError, "'a': 1, 'b': 2"),
    "start as a list": (partial(fool_gradient, NET, start=lists), DTypeError, "floating-point images.*list"),
    "start of bytes": (partial(fool_gradient, NET, start=np.zeros(SHAPE, "uint8")), DTypeError, "floating-point.*uint8"),
    "start of another shape": (partial(fool_gradient, NET, start=np.zeros((1, 5, 6))), ShapeError, r"\(N, 1, 6, 5\)"),
    "one class": (partial(fool_direct, lambda x: x[:, 0, 0, :1], shape=SHAPE), ShapeError, "at least 2 classes"),
    "probabilities": (partial(fool_direct, lambda x: np.full((len(x), 4), 0.25), shape=SHAPE), RangeError, "softmax"),
    "a network that has diverged": (partial(fool_cppn, lambda x: np.full((len(x), 4), np.nan), shape=SHAPE), RangeError,
                                    "finite logits"),
    "a nameless victim": (partial(fool_direct, lambda x: function(x), shape=SHAPE, checkpoint="run"), DTypeError,
                          "evolve.*can tell from others.*lambda.*top level"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_errors_with_these_words(name) -> None:
    call, error, message = OTHERS[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, MinidlError)


def test_flat_networks_are_fooled_as_the_error_says() -> None:
    result = fool_direct(lambda x: FLAT(ops.reshape(x, (-1, 30))), shape=SHAPE, generations=2, population=4)
    assert result.images.shape == (3, *SHAPE)


# --- another array library ------------------------------------------------------------------------------------


def on_numpy(attack) -> FoolingResult:
    with backend.use("numpy"):
        return attack(network("float64"))


#: In float64, where no two children are equally fit but for rounding.
FOOLED = {
    "direct": partial(fool_direct, generations=4, population=12, crossover=0.5),
    "elitism": partial(fool_direct, generations=4, population=12, archive=Elitism),
    "cppn": partial(fool_cppn, generations=4, population=12, neurons=3),
    "gradient": partial(fool_gradient, steps=4),
}


@needs_compiler
@pytest.mark.usefixtures("on_strict")
@pytest.mark.parametrize("name", FOOLED)
def test_another_library_finds_the_same_images(name, tmp_path) -> None:
    theirs, ours = FOOLED[name](network("float64")), on_numpy(FOOLED[name])
    assert isinstance(theirs.images, strict.ndarray)
    assert isinstance(theirs.confidence, strict.ndarray)
    assert isinstance(theirs.history, np.ndarray)
    np.testing.assert_allclose(theirs.images.get(), ours.images, atol=1e-9)
    np.testing.assert_allclose(theirs.history, ours.history, atol=1e-9)
    assert theirs.summary().split("\n")[:2] == ours.summary().split("\n")[:2]
    theirs.save(tmp_path / "fooling.npz")
    loaded = FoolingResult.load(tmp_path / "fooling.npz")
    assert isinstance(loaded.images, strict.ndarray)
    np.testing.assert_array_equal(loaded.images.get(), theirs.images.get())


@needs_compiler
@pytest.mark.usefixtures("on_strict")
@pytest.mark.parametrize("kind", [fool_direct, fool_cppn])
def test_checkpoints_on_another_library(kind, tmp_path) -> None:
    options, victim = {"population": 8, "checkpoint": tmp_path / "run", "archive": MapElites}, Victim(network())
    kind(network(), generations=2, **options)
    resumed = kind(victim, generations=4, **options)
    whole = kind(network(), generations=4, population=8)
    assert (victim.queries, resumed.forwards) == (16 + CLASSES, 32)  # of the first half, only the survivors again
    assert isinstance(resumed.archive.fitness, strict.ndarray)
    np.testing.assert_array_equal(resumed.images.get(), whole.images.get())
    np.testing.assert_array_equal(resumed.history, whole.history)


@needs_compiler
@pytest.mark.usefixtures("on_strict")
def test_a_generation_waits_for_the_device_as_seldom_as_it_can() -> None:
    """For the history, and for what is checked of images and logits: as often for many as for a few."""
    counted = []
    for population in (4, 40):
        for generations in (2, 5):
            before = strict.synchronisations
            fool_cppn(network(), generations=generations, population=population)
            counted.append(strict.synchronisations - before)
    assert counted[:2] == counted[2:]
    assert (counted[1] - counted[0]) / 3 <= 5


loop, direct, painting = (sys.modules[each.__module__] for each in (evolve, fool_direct, fool_cppn))


def passed_on(monkeypatch: object) -> None:
    test_all_that_is_asked_for_is_passed_on(fool_direct, DirectEncoding, monkeypatch)


def passed_on_to_networks(monkeypatch: object) -> None:
    test_all_that_is_asked_for_is_passed_on(fool_cppn, CPPN, monkeypatch)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("evolve: half the paper's population", lambda patch: patch.setattr(evolve, "__kwdefaults__", {**evolve.__kwdefaults__, "population": 100}), lambda: test_defaults_are_the_papers(evolve)),
    Mutant("CPPN: every default ½", lambda patch: patch.setattr(CPPN.__init__, "__defaults__", tuple(0.5 for _ in CPPN.__init__.__defaults__)), lambda: test_defaults_are_the_papers(CPPN)),
    Mutant("fool_direct: no checkpoint", line(direct, "fool_direct", "checkpoint=checkpoint", "checkpoint=None"), passed_on),
    Mutant("fool_direct: always MAP-Elites", line(direct, "fool_direct", "archive=archive, ", ""), passed_on),
    Mutant("fool_direct: one size of population", line(direct, "fool_direct", "population=population,", ""), passed_on),
    Mutant("fool_cppn: no checkpoint", line(painting, "fool_cppn", "checkpoint=checkpoint", "checkpoint=None"), passed_on_to_networks),
    Mutant("fool_cppn: one seed", line(painting, "fool_cppn", "seed=seed", "seed=0"), passed_on_to_networks),
    Mutant("fool_cppn: the victim is not checked", line(painting, "fool_cppn", " | encoding", ""), passed_on_to_networks),
    Mutant("evolve: a second, always", line(loop.Evolution, "result", "time.perf_counter() - self._begun", "1.0"), lambda: test_seconds_are_those_of_the_clock(fool_direct)),
]
# fmt: on
