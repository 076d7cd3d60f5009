"""Laws of the active set: whatever has left, it says of its rows what the whole batch says of them, and of no others."""

from __future__ import annotations

import contextlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attacks.common.active_set import ActiveSet
from minidl.testing import Mutant, line


@st.composite
def batches(draw) -> tuple[np.ndarray, list[np.ndarray]]:
    """Images (N, 2, 3), and for each of a few rounds who is done by then: (N,) bool."""
    n, rounds = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    done = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool) for _ in range(rounds)]
    return np.random.default_rng(n).random((n, 2, 3)), done


def after(x: np.ndarray, done: list[np.ndarray]) -> ActiveSet:
    """An active set of all of x, after every example has left in its round."""
    active = ActiveSet(np.arange(len(x)), x=x, halves=x[:, 0] / 2, nothing=None)
    for gone in done:
        active.drop(gone[active.rows])
    return active


@given(batch=batches())
def test_finished_examples_leave_with_all_their_arrays(batch) -> None:
    x, done = batch
    active, left = after(x, done), ~np.any([np.zeros(len(x), bool), *done], axis=0)
    np.testing.assert_array_equal(active.rows, np.nonzero(left)[0])
    np.testing.assert_array_equal(active.x, x[left])
    np.testing.assert_array_equal(active.halves, x[left, 0] / 2)
    np.testing.assert_array_equal(active.gather(x), x[left])
    np.testing.assert_array_equal(ActiveSet.without(~left).rows, active.rows)
    assert len(active) == left.sum()
    assert active.nothing is None


@given(batch=batches(), data=st.data())
def test_writing_and_counting_touch_no_other_rows(batch, data) -> None:
    x, done = batch
    active, into, counted = after(x, done), np.zeros_like(x), np.zeros(len(x), int)
    where = np.array(data.draw(st.lists(st.booleans(), min_size=len(active), max_size=len(active))), bool)
    active.count(counted)
    active.scatter(into, active.x, where)
    for row in range(len(x)):
        place = np.nonzero(active.rows == row)[0]
        assert counted[row] == len(place)
        np.testing.assert_array_equal(into[row], x[row] if len(place) and where[place[0]] else 0 * x[row])
    active.scatter(into, active.x)
    np.testing.assert_array_equal(into[active.rows], x[active.rows])


def test_what_is_gathered_is_a_copy() -> None:
    x = np.zeros((3, 2))
    gathered = ActiveSet(np.arange(3)).gather(x)
    gathered[...] = 1
    assert not x.any()


def test_ctrl_c_finds_all_rows_or_those_that_are_left(monkeypatch) -> None:
    """Wherever it comes while they leave: no array is longer than another."""
    x, done = np.arange(6.0), np.arange(6) % 2 == 0
    for pressed in range(1, 4):
        active, calls, gather = ActiveSet(np.arange(6), x=x, y=2 * x), [0], ActiveSet.gather

        def impatient(self, batch, calls=calls, gather=gather, pressed=pressed):
            calls[0] += 1
            if calls[0] == pressed:
                raise KeyboardInterrupt
            return gather(self, batch)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(ActiveSet, "gather", impatient)
            active.drop(done)
        assert len(active.rows) == len(active.x) == len(active.y) == 6
        active.drop(done)
        np.testing.assert_array_equal(active.y, 2 * active.rows)


# fmt: off
MUTANTS = [
    Mutant("active: finished examples stay, and the others leave", line(ActiveSet, "without", "nonzero(~done)", "nonzero(done)"), test_finished_examples_leave_with_all_their_arrays),
    Mutant("active: only the rows shrink", line(ActiveSet, "drop", "vars(self).items()", "[('rows', self.rows)]"), test_finished_examples_leave_with_all_their_arrays),
    Mutant("active: places, not rows", line(ActiveSet, "gather", "kernels(batch).gather(batch, self.rows)", "batch[: len(self)]"), test_finished_examples_leave_with_all_their_arrays),
    Mutant("active: a view of the batch", line(ActiveSet, "gather", "kernels(batch).gather(batch, self.rows)", "batch if len(batch) == len(self) else batch[self.rows]"), test_what_is_gathered_is_a_copy),
    Mutant("active: written everywhere", line(ActiveSet, "scatter", "if where is None:", "if True:"), test_writing_and_counting_touch_no_other_rows),
    Mutant("active: written to the first rows", line(ActiveSet, "scatter", "batch[self.rows[where]] = values[where]", "batch[: int(where.sum())] = values[where]"), test_writing_and_counting_touch_no_other_rows),
    Mutant("active: finished examples are counted", line(ActiveSet, "count", "iterations[self.rows] += 1", "iterations += 1"), test_writing_and_counting_touch_no_other_rows),
    Mutant("active: one array after the other", line(ActiveSet, "drop", "vars(self).update({name: a if a is None else left.gather(a) for name, a in vars(self).items()})", "[vars(self).update({name: left.gather(a)}) for name, a in list(vars(self).items()) if a is not None]"), test_ctrl_c_finds_all_rows_or_those_that_are_left),
]
# fmt: on
