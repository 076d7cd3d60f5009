"""A small part of each stress, every day; the whole of it is in `tests.stress`, on demand."""

from __future__ import annotations

import sys

import pytest

from tests.stress.fuzz import fuzz
from tests.stress.interrupts import in_a_process
from tests.stress.kills import kill


def test_damaged_and_hostile_files() -> None:
    """300 of them, to every loader: `DataError` or an equal object, within memory that a small file may take."""
    tallies = fuzz(300, seed=1)
    assert sum(sum(tally.outcomes.values()) for tally in tallies.values()) >= 300
    assert max(tally.peak for tally in tallies.values()) < 20e6
    assert all(tally.outcomes["DataError"] for tally in tallies.values())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no process can send itself SIGINT there")
@pytest.mark.parametrize("loop", ["training with a checkpoint", "deepfool"])
def test_ctrl_c_at_random(loop) -> None:
    """Thirty times each, in a process of its own: no hang, and all is sound."""
    raised, returned = in_a_process(loop, 30, seed=0, limit=120).split()
    assert int(raised) + int(returned) == 30


@pytest.mark.slow
def test_processes_that_are_killed_go_on() -> None:
    assert kill("training", 3, seed=0)[0] >= 1
