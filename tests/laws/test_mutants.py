"""Every planted mutant is caught by its law, which passes without it.  A survivor fails here, by name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from minidl import testing
from minidl.testing import Mutant, caught, obey

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def planted(folder: Path = TESTS) -> list[Mutant]:
    """The mutants of every test file that has a list of them, `MUTANTS`, in the order of the files' names."""
    mutants: list[Mutant] = []
    for path in sorted(folder.rglob("test_*.py")):
        if "\nMUTANTS = [" in path.read_text(encoding="utf-8"):
            module = ".".join(["tests", *path.relative_to(TESTS).with_suffix("").parts])
            mutants += importlib.import_module(module).MUTANTS
    return mutants


MUTANTS = planted()

#: How a wrong rule shows; and in tests, as something that was not raised.
SIGNS = (*testing.SIGNS, pytest.fail.Exception)


_obeyed: set[Any] = set()


def obey_once(mutant: Mutant, tmp_path) -> None:
    """The law as it is, without the mutant; once is enough for all mutants that share it."""
    law, code = mutant.law, mutant.law.__code__
    which = (law.__module__, code.co_code, code.co_consts, code.co_names) if law.__name__ == "<lambda>" else law
    if (which, mutant.backend) not in _obeyed:
        with pytest.MonkeyPatch.context() as monkeypatch:
            obey(mutant, tmp_path=tmp_path, monkeypatch=monkeypatch)
        _obeyed.add((which, mutant.backend))


def test_there_are_at_least_forty() -> None:
    assert len(MUTANTS) >= 40
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_caught(mutant, tmp_path) -> None:
    (tmp_path / "sound").mkdir()
    obey_once(mutant, tmp_path / "sound")
    (tmp_path / "wrong").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert caught(mutant, SIGNS, tmp_path=tmp_path / "wrong", monkeypatch=monkeypatch) is not None


def test_a_mutant_that_changes_nothing_survives(tmp_path) -> None:
    """The test above can fail: the identity, planted as a mutant, is not caught."""
    harmless = Mutant("harmless", lambda patch: None, MUTANTS[0].law)
    with pytest.raises(AssertionError):
        test_caught(harmless, tmp_path)
