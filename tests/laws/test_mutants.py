"""Every planted mutant is caught by its law, which passes without it.  A survivor fails here, by name."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from minidl import backend
from minidl.testing import Mutant

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def planted(folder: Path = TESTS) -> list[Mutant]:
    """The mutants of every test file that has a list of them, `MUTANTS`, in the order of the files' names."""
    found: list[Mutant] = []
    for path in sorted(folder.glob("*/test_*.py")):
        if "\nMUTANTS = [" in path.read_text(encoding="utf-8"):
            found += importlib.import_module(".".join(["tests", path.parent.name, path.stem])).MUTANTS
    return found


MUTANTS = planted()

#: How a wrong rule shows: as a broken law, as shapes, values or files that no longer fit, or as several of these.
SIGNS = (AssertionError, ValueError, RuntimeWarning, ExceptionGroup, pytest.fail.Exception)


def obey(mutant: Mutant, tmp_path) -> None:
    """Run the law, with the fixtures it asks for; that it fails is all one asks, and so the example is not shrunk."""
    wanted = inspect.signature(mutant.law).parameters
    with pytest.MonkeyPatch.context() as patch:
        drawn = getattr(mutant.law, "_hypothesis_internal_use_settings", None)
        if drawn is not None:
            unshrunk = settings(drawn, phases=[Phase.explicit, Phase.generate])
            patch.setattr(mutant.law, "_hypothesis_internal_use_settings", unshrunk)
        fixtures = {"tmp_path": tmp_path, "monkeypatch": patch}
        with backend.use(mutant.backend):
            mutant.law(**{name: fixtures[name] for name in wanted if name in fixtures})


_obeyed: set[Any] = set()


def obey_once(mutant: Mutant, tmp_path) -> None:
    """The law as it is, without the mutant; once is enough for all mutants that share it."""
    law, code = mutant.law, mutant.law.__code__
    which = (law.__module__, code.co_code, code.co_consts, code.co_names) if law.__name__ == "<lambda>" else law
    if (which, mutant.backend) not in _obeyed:
        obey(mutant, tmp_path)
        _obeyed.add((which, mutant.backend))


def test_there_are_at_least_forty() -> None:
    assert len(MUTANTS) >= 40
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_caught(mutant, tmp_path) -> None:
    (tmp_path / "sound").mkdir()
    obey_once(mutant, tmp_path / "sound")
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        (tmp_path / "wrong").mkdir()
        with pytest.raises(SIGNS):
            obey(mutant, tmp_path / "wrong")


def test_a_mutant_that_changes_nothing_survives(tmp_path) -> None:
    """The test above can fail: the identity, planted as a mutant, is not caught."""
    harmless = Mutant("harmless", lambda patch: None, MUTANTS[0].law)
    with pytest.raises(pytest.fail.Exception):
        test_caught(harmless, tmp_path)
