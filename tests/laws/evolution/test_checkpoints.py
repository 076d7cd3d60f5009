"""Laws of evolution under Ctrl-C: what there is is kept, and what goes on from a checkpoint ends with the same bits."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import minidl
from attacks import Victim
from attacks.evolution import Elitism, MapElites, checkpoints, evolve
from minidl import backend, files, identity, models, npz
from minidl.errors import DataError, DTypeError
from minidl.layers import Glorot
from minidl.testing import Mutant, line
from tests.laws.attacks import test_deepfool
from tests.laws.evolution.test_evolve import CLASSES, ENCODINGS, SHAPE, SMALL, judge, same

loop = sys.modules[evolve.__module__]
GENERATIONS = SMALL["generations"]
names = pytest.mark.parametrize("name", ENCODINGS)


class Tired(test_deepfool.Tired):
    """It is interrupted at one of its runs, and takes itself for `judge`, as a checkpoint does."""

    def __repr__(self) -> str:
        return f"{judge.__module__}.judge"


def tires(patch, owner, name: str, call: int) -> None:
    """Plant a KeyboardInterrupt in one of the calls of a function: none before it, and none after."""
    theirs, calls = getattr(owner, name), []

    def tired(*arguments, **options):
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return theirs(*arguments, **options)

    patch.setattr(owner, name, tired)


def the_same(one, other) -> None:
    """Two runs, be it in several parts, ended alike."""
    same(one.archive, other.archive)
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.history, other.history)
    assert (one.forwards, one.params, one.seed) == (other.forwards, other.params, other.seed)


# --- Ctrl-C ---------------------------------------------------------------------------------------------------


@names
@pytest.mark.parametrize("done", range(1, GENERATIONS))
def test_interrupted_while_images_are_judged(name, done, tmp_path) -> None:
    path, encoding = tmp_path / "run", ENCODINGS[name]
    stopped = evolve(Tired(judge, done + 1), encoding, checkpoint=path, **SMALL)
    assert stopped.params["interrupted"] is True
    assert path.exists()
    the_same(replace(stopped, params={}), replace(evolve(judge, encoding, **SMALL | {"generations": done}), params={}))
    rest = Victim(judge)
    the_same(evolve(rest, encoding, checkpoint=path, **SMALL), evolve(judge, encoding, **SMALL))
    assert rest.queries == CLASSES + (GENERATIONS - done) * SMALL["population"]
    assert list(tmp_path.iterdir()) == [path]


@names
@pytest.mark.parametrize("done", [1, 3, GENERATIONS - 1])
def test_interrupted_while_children_are_bred(name, done, tmp_path) -> None:
    path, encoding = tmp_path / "run", ENCODINGS[name]
    with pytest.MonkeyPatch.context() as patch:
        tires(patch, type(encoding), "vary", done)
        stopped = evolve(judge, encoding, checkpoint=path, **SMALL)
    assert stopped.params["interrupted"] is True
    assert len(stopped.history) == done
    the_same(evolve(judge, encoding, checkpoint=path, **SMALL), evolve(judge, encoding, **SMALL))


@pytest.mark.parametrize("written", range(1, GENERATIONS + 2))
def test_interrupted_while_a_checkpoint_is_written(written, tmp_path) -> None:
    """After each generation, and at the end."""
    path, encoding = tmp_path / "run", ENCODINGS["direct"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "EVERY", -1)
        tires(patch, files.os, "replace", written)
        stopped = evolve(judge, encoding, checkpoint=path, **SMALL)
    assert stopped.params["interrupted"] is True
    assert len(stopped.history) == min(written, GENERATIONS)
    the_same(evolve(judge, encoding, checkpoint=path, **SMALL), evolve(judge, encoding, **SMALL))
    assert list(tmp_path.iterdir()) == [path]


def at_line(functions, number: int, call):
    """What a call gives in which Ctrl-C comes at line number so and so, counted as they run, of some functions.

    Returns that (None if it is the interruption), and whether there was such a line.
    """
    before, left, codes = sys.gettrace(), [number], [function.__code__ for function in functions]

    def each_line(frame, event, argument):
        left[0] -= event == "line"
        if left[0] == 0 and event == "line":
            raise KeyboardInterrupt
        return each_line

    sys.settrace(lambda frame, event, argument: each_line if frame.f_code in codes else None)
    try:
        return call(), left[0] <= 0
    except KeyboardInterrupt:
        return None, True
    finally:
        sys.settrace(before)


def test_interrupted_at_any_line(tmp_path) -> None:
    """Nothing is lost but before there is anything, and when all is done and in the file."""
    encoding, run = ENCODINGS["direct"], SMALL | {"generations": 3}
    expected = [evolve(judge, encoding, **run | {"generations": n}) for n in (1, 2, 3)]
    number, there, kept, lines = 0, True, 0, (evolve, loop.Evolution.__init__, loop.Evolution.step, loop.Evolution.keep)
    while there:
        number, path, victim = number + 1, tmp_path / f"run{number}", Victim(judge)
        result, there = at_line(lines, number, partial(evolve, victim, encoding, checkpoint=path, **run))
        if result is None:
            assert victim.queries <= 8 or (victim.queries == 24 and path.exists())
        else:
            same(result.archive, expected[len(result.history) - 1].archive)
            np.testing.assert_array_equal(result.history, expected[len(result.history) - 1].history)
            assert result.params["interrupted"] is there
            kept += there
            the_same(evolve(judge, encoding, checkpoint=path, **run), expected[-1])
    assert kept > 30


def test_interrupted_before_there_is_anything(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evolve(Tired(judge, 1), ENCODINGS["direct"], checkpoint=tmp_path / "run", **SMALL)
    assert not list(tmp_path.iterdir())


# --- checkpoints ----------------------------------------------------------------------------------------------


@names
@pytest.mark.parametrize("kind", [MapElites, Elitism])
def test_a_finished_run_goes_on(name, kind, tmp_path) -> None:
    options, encoding = SMALL | {"archive": kind, "checkpoint": tmp_path / "run"}, ENCODINGS[name]
    whole = evolve(judge, encoding, **options | {"checkpoint": None})
    evolve(judge, encoding, **options | {"generations": 2})
    the_same(evolve(judge, encoding, **options), whole)
    idle = Victim(judge)
    the_same(evolve(idle, encoding, **options), whole)  # there is nothing left to be done
    assert idle.queries == CLASSES  # but to look who it is


def test_checkpoints_are_written_now_and_then(tmp_path, monkeypatch) -> None:
    written = []
    theirs = loop.checkpoints.write
    monkeypatch.setattr(loop.checkpoints, "write", lambda *a: (written.append(len(a[-1])), theirs(*a)))
    now = iter(range(0, 10_000, 8))  # each look at the clock is 8 seconds after the last
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: float(next(now))))
    evolve(judge, ENCODINGS["direct"], checkpoint=tmp_path / "run", **SMALL)
    assert written == [3, 6, 6]  # more than 20 seconds after the last, and at the end


def test_nothing_is_pickled(tmp_path) -> None:
    evolve(judge, ENCODINGS["cppn"], checkpoint=tmp_path / "run", **SMALL)
    with np.load(tmp_path / "run", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiU" for name in file.files)
        assert {"history", "images", "fitness", "born", "genome/weights", "genome/functions"} < set(file.files)


def network(seed: int = 0) -> models.Sequential:
    return models.mlp(SHAPE, 4, (6,), bias=True, init_weights=Glorot(), seed=seed, dtype="float64")


def another_judge(x):
    return judge(x)[:, ::-1]


OTHERS = {
    "seed": {"seed": 4},
    "population": {"population": 9},
    "encoding": {"encoding": replace(ENCODINGS["direct"], rate=0.2)},
    "archive": {"archive": Elitism},
    "parameters": {"victim": network(1)},
    "bounds": {"victim": Victim(network(), bounds=(0, 2))},
    "victim": {"victim": judge},
}


@pytest.mark.parametrize("what", OTHERS)
def test_checkpoints_of_other_runs_raise_an_error(what, tmp_path) -> None:
    path = tmp_path / "run"
    options = SMALL | {"victim": network(), "encoding": ENCODINGS["direct"], "checkpoint": path}
    evolve(**options)
    before = path.read_bytes()
    options["victim"] = Victim(network())
    options |= OTHERS[what]
    with pytest.raises(DataError, match=rf"evolve.*a checkpoint of this run.*other settings.*{what}.*delete the file"):
        evolve(**options)
    assert path.read_bytes() == before
    assert getattr(options["victim"], "queries", 0) == 0


def test_functions_are_distinguished_by_their_names(tmp_path) -> None:
    evolve(judge, ENCODINGS["direct"], checkpoint=tmp_path / "run", **SMALL)
    with pytest.raises(DataError, match="other settings.*victim"):
        evolve(another_judge, ENCODINGS["direct"], checkpoint=tmp_path / "run", **SMALL)


MIND = {"sign": 1.0}


def judge_of_two_minds(x):
    """A function of one name, but not always the same."""
    return MIND["sign"] * judge(x)


def test_a_victim_with_other_logits_is_another(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run"
    run = partial(evolve, judge_of_two_minds, ENCODINGS["direct"], checkpoint=path, **SMALL)
    before, kept = run(), path.read_bytes()
    the_same(run(), before)
    monkeypatch.setitem(MIND, "sign", -1.0)
    with pytest.raises(DataError, match="a victim that gives the archive's images"):
        run()
    assert path.read_bytes() == kept


def test_other_backends_round_otherwise(tmp_path) -> None:
    with backend.use("numpy"):
        evolve(judge, ENCODINGS["direct"], checkpoint=tmp_path / "run", **SMALL)
    with backend.use("numba"), pytest.raises(DataError, match="other settings.*backend"):
        evolve(judge, ENCODINGS["direct"], checkpoint=tmp_path / "run", **SMALL)


class Failing:
    """A service that fails at its third call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        if self.calls == 3:
            raise ConnectionError("gone")
        return judge(x)

    def __repr__(self) -> str:
        return "Failing()"


def test_an_error_of_the_victim_loses_only_its_generation(tmp_path) -> None:
    victim, whole = Failing(), evolve(judge, ENCODINGS["cppn"], **SMALL)
    run = partial(evolve, victim, ENCODINGS["cppn"], checkpoint=tmp_path / "run", **SMALL)
    with pytest.raises(ConnectionError, match="gone"):
        run()
    _, arrays = npz.read_archive(tmp_path / "run", "evolution")
    assert len(arrays["history"]) == 2
    the_same(run(), whole)


def test_checkpoints_that_are_older_than_the_run_raise_an_error(tmp_path) -> None:
    path = tmp_path / "run"
    evolve(judge, ENCODINGS["direct"], checkpoint=path, **SMALL)
    before = path.read_bytes()
    with pytest.raises(DataError, match="at most 5 generations old, got 6.*ask for at least as many"):
        evolve(judge, ENCODINGS["direct"], checkpoint=path, **SMALL | {"generations": 5})
    assert path.read_bytes() == before


def test_damaged_and_foreign_files_raise_an_error(tmp_path) -> None:
    path, run = tmp_path / "run", SMALL | {"encoding": ENCODINGS["cppn"], "checkpoint": tmp_path / "run"}
    result = evolve(judge, **run)
    whole = path.read_bytes()
    result.save(path)
    another = path.read_bytes()
    minidl.save(network(), path)
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for damaged in (b"", b"notes", whole[:-9], whole[:999], flipped, another, path.read_bytes()):
        path.write_bytes(damaged)
        victim = Victim(judge)
        with pytest.raises(DataError, match=str(path)):
            evolve(victim, **run)
        assert path.read_bytes() == damaged
        assert victim.queries == 0
    header, arrays = {"settings": {}}, {"history": np.zeros((2, 4))}
    npz.write_archive(path, "evolution", header, arrays)
    with pytest.raises(DataError, match="other settings"):
        evolve(judge, **run)
    path.write_bytes(whole)
    header, arrays = npz.read_archive(path, "evolution")
    for missing in ("history", "images", "fitness", "born"):
        npz.write_archive(path, "evolution", header, {name: a for name, a in arrays.items() if name != missing})
        with pytest.raises(DataError, match="to hold the archive of a run"):
            evolve(judge, **run)
    npz.write_archive(path, "evolution", header, arrays | {"fitness": arrays["fitness"][1:]})
    with pytest.raises(DataError, match="to hold the archive of a run"):
        evolve(judge, **run)


@pytest.mark.parametrize("unnamed", ["victim", "encoding", "archive"])
def test_what_has_no_name_has_no_checkpoint(unnamed, tmp_path) -> None:
    class Local(MapElites):
        pass

    class Bare:
        shape, start, vary, render = SHAPE, None, None, None

    others = {"victim": lambda x: judge(x), "encoding": Bare(), "archive": Local}
    options = {"victim": judge, "encoding": ENCODINGS["direct"], "checkpoint": tmp_path / "run"}
    with pytest.raises(DTypeError, match=r"evolve.*can tell from others.*top level of a module"):
        evolve(**SMALL | options | {unnamed: others[unnamed]})
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_written_raises_an_error_before_any_work(tmp_path, monkeypatch) -> None:
    victim = Victim(judge)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "run"):  # a folder, and in a folder that is a file
        with pytest.raises(DataError, match="evolve.*write.*in a folder that you may write to"):
            evolve(victim, ENCODINGS["direct"], checkpoint=path, **SMALL)

    def forbidden(**folder):
        raise PermissionError("read-only")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", forbidden)
    with pytest.raises(DataError, match="to be able to write.*read-only"):
        evolve(victim, ENCODINGS["direct"], checkpoint=tmp_path / "there" / "run", **SMALL)
    assert victim.queries == 0


def interrupted(tmp_path: object) -> None:
    test_interrupted_while_images_are_judged("crossed", 3, tmp_path)


def longer(tmp_path: object) -> None:
    test_a_finished_run_goes_on("direct", MapElites, tmp_path)


def refused(what: str) -> object:
    return lambda tmp_path: test_checkpoints_of_other_runs_raise_an_error(what, tmp_path)


def unnamed(tmp_path: object) -> None:
    test_what_has_no_name_has_no_checkpoint("victim", tmp_path)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- the loop
    Mutant("evolve: the history of a generation that was not kept", line(loop.Evolution, "keep", "self.history[:done]", "self.history"), test_interrupted_at_any_line),
    Mutant("evolve: the state of an earlier generation", line(loop.Evolution, "step", "self.state = elites, done + 1", "self.state = elites, max(done, 1)"), interrupted),
    Mutant("evolve: Ctrl-C writes no checkpoint", line(loop, "evolve", "interrupted = True\n        run.keep()", "interrupted = True"), interrupted),
    Mutant("evolve: the clock is never set back", line(loop.Evolution, "keep", "self._written = time.perf_counter()", "pass"), test_checkpoints_are_written_now_and_then),
    Mutant("evolve: resumed runs were never asked before", line(loop.Evolution, "__init__", " - self.done * breeder.population", ""), longer),
    # --- checkpoints and files
    Mutant("checkpoint: the seed is not compared", line(loop.Evolution, "__init__", '"seed": breeder.seed', '"seed": 0'), refused("seed")),
    Mutant("checkpoint: the victim is not compared", line(checkpoints, "check_same_victim", "not np.allclose(now, then, rtol=1e-2, atol=1e-3)", "False"), test_a_victim_with_other_logits_is_another),
    Mutant("checkpoint: the backend is not compared", line(loop.Evolution, "__init__", "current().name", "0"), test_other_backends_round_otherwise),
    Mutant("evolve: an error writes no checkpoint", line(loop, "evolve", "run.keep()\n        raise", "raise"), test_an_error_of_the_victim_loses_only_its_generation),
    Mutant("checkpoint: parameters are not compared", line(checkpoints, "names", "digest(*params.values())", "0"), refused("parameters")),
    Mutant("checkpoint: objects without a name", line(identity, "_name", "if any(", "if False and any("), unnamed),
    Mutant("checkpoint: of more generations than asked", line(checkpoints, "resumed", "<= len(history) <= generations", "<= len(history)"), test_checkpoints_that_are_older_than_the_run_raise_an_error),
]
# fmt: on
