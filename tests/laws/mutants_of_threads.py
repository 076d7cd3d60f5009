"""Wrong lines about threads, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl.kernels import threads
from tests.laws.mutants import Mutant, line
from tests.unit import test_threads as laws


def at_any_line(monkeypatch: object) -> None:
    laws.test_ctrl_c_at_any_line_of_sharing("3", monkeypatch)


def fresh(plant: Callable[[Any], None]) -> Callable[[Any], None]:
    """The mutant, with workers that begin under it: those that are there go on as they have begun."""
    return lambda patch: (plant(patch), patch.setattr(threads, "_workers", {}))


# fmt: off
MUTANTS = [
    Mutant("threads: a Ctrl-C at the wrong line leaves workers at work", line(threads, "share", "_settle(tasks)  # once more, for a Ctrl-C that came at its first line", "pass"), at_any_line),
    Mutant("threads: nobody waits for the workers", line(threads._Task, "settle", "not self.over", "False"), at_any_line),
    Mutant("threads: parts are begun after all is over", line(threads._Task, "settle", "while not self.is_claimed_by(_CALLER) and not self.over:", "while self.claims and self.claims[0] is _WORKER and not self.over:"), laws.test_what_is_taken_back_is_never_begun),
    Mutant("threads: a part is done by everybody", line(threads._Task, "run", "if not self.is_claimed_by(who):", "if False:"), laws.test_what_is_taken_back_is_never_begun),
    Mutant("threads: a busy worker holds its caller up", line(threads, "share", "task.run(_CALLER)", "pass"), laws.test_what_no_worker_has_begun_its_caller_does),
    Mutant("threads: errors of workers go unsaid", line(threads, "share", "raise task.failure", "pass"), laws.test_an_error_in_any_part_is_raised_when_all_are_over),
    Mutant("threads: workers keep what they have done", fresh(line(threads._Worker, "run", "del task", "pass")), laws.test_arrays_are_let_go_of),
    Mutant("BLAS: a Ctrl-C at the wrong line leaves it on one thread", line(threads, "on_one_blas_thread", "_release()  # once more, for a Ctrl-C that came at its first line", "pass"), laws.test_ctrl_c_at_any_line_leaves_blas_as_it_was),
    Mutant("BLAS: one thread has the say", line(threads, "_limit", "give_way(force=True)", "pass"), laws.test_threadpoolctl_obeys_every_thread),
    Mutant("BLAS: set back by the first of several", line(threads, "_release", "if _holders == {me}:", "if True:"), laws.test_blas_is_set_back_by_the_last_of_several_threads),
    Mutant("BLAS: set back to what a holder had left", line(threads, "_hold", "if not _holders:", "if True:"), laws.test_blas_is_set_back_by_the_last_of_several_threads),
    Mutant("BLAS: the workers' own numbers", line(threads._Worker, "run", "_limit(self.libraries, 1)", "pass"), laws.test_libraries_with_a_number_for_each_thread),
]
# fmt: on
