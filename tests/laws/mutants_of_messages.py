"""Wrong lines in what boxes say to NumPy, each beside the test that must catch it."""

from __future__ import annotations

from minidl import core, numpy_calls
from tests.laws.mutants import Mutant, line
from tests.unit import test_numpy_calls

MUTANTS = [
    Mutant("array first: sides exchanged", line(numpy_calls, "_ufunc", "OPERATORS[name](*arguments)", "OPERATORS[name](*arguments[::-1])"), test_numpy_calls.test_operators_ask_the_box_when_an_array_stands_first),
    Mutant("array first: comparisons exchanged", line(numpy_calls, "_ufunc", "map(unbox, arguments)", "map(unbox, arguments[::-1])"), test_numpy_calls.test_operators_ask_the_box_when_an_array_stands_first),
    Mutant("array first: the derivative lost", line(numpy_calls, "_ufunc", "OPERATORS[name](*arguments)", "function(*map(unbox, arguments))"), test_numpy_calls.test_operators_ask_the_box_when_an_array_stands_first),
    Mutant("array[i] = box: the student's line lost", line(core, "linearize", ".with_traceback(error.__traceback__)", ""), test_numpy_calls.test_the_line_that_was_wrong_stands_in_the_traceback),
    Mutant("array[i] = box: other errors swallowed", line(core, "linearize", "type(error) is ValueError and ", ""), test_numpy_calls.test_errors_of_ones_own_come_as_they_are),
]  # fmt: skip
