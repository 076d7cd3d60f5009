"""The mutant kit and its patches, what is drawn, and what is left of `minidl.testing` where Hypothesis or pytest is missing."""

from __future__ import annotations

import subprocess
import sys

import hypothesis
import numpy as np
import pytest

from minidl import ops, testing
from minidl.testing import Mutant, Patch, caught, line, mutants, patching
from minidl.testing.zoo import cases, running

X = np.array([[0.5, -1.25, 2.0]])


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_but_the_zoo_needs_hypothesis_and_nothing_needs_pytest() -> None:
    output = python("""
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None  # importing them fails
import numpy as np
from minidl import ops, testing
testing.check_all(ops.tanh, np.ones((2, 3)))
testing.compare(np.tanh, ops.tanh, np.ones(3))
wrong = testing.slope(ops.tanh, lambda y, x: 1 + y * y)
assert testing.caught(testing.Mutant("tanh", wrong, lambda: testing.check_all(ops.tanh, np.ones((2, 3)))))
with testing.override(ops.tanh, pull=lambda g, y, x: g):
    pass
for name in ("CASES", "over_the_zoo", "arrays", "load_profile"):
    try:
        getattr(testing, name)
    except ImportError as error:
        print(type(error).__name__, error)
""")
    lines = output.splitlines()
    assert len(lines) == 4
    for one in lines:
        assert one.startswith("MissingPackageError minidl.testing: expected Hypothesis, which draws the cases, got ")
        assert one.endswith('Fix: run pip install "minidl[test]"')


def test_hypothesis_waits_until_something_is_drawn() -> None:
    code = "import sys; from minidl import testing; before = 'hypothesis' in sys.modules; testing.CASES; print(before, 'hypothesis' in sys.modules, 'pytest' in sys.modules)"
    assert python(code) == "False True False"


def test_names_promised_are_there() -> None:
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert not hasattr(testing, "no_such_thing")


def test_the_profile_has_no_deadline() -> None:
    before = hypothesis.settings.get_current_profile_name()
    try:
        testing.load_profile("of a test", max_examples=7)
        assert hypothesis.settings().deadline is None
        assert hypothesis.settings().max_examples == 7
    finally:
        hypothesis.settings.load_profile(before)


def test_patches_are_put_back_last_first_whatever_happens() -> None:

    class Base:
        kept = 1

    class Heir(Base):
        pass

    one = Heir()
    with pytest.raises(ZeroDivisionError), Patch() as patch:
        patch.setattr(Heir, "kept", 2)
        patch.setattr(Heir, "kept", 3)
        patch.setattr(one, "other", 4, raising=False)
        with pytest.raises(AttributeError):
            patch.setattr(one, "missing", 5)
        assert (one.kept, one.other) == (3, 4)
        1 / 0  # noqa: B018
    assert "kept" not in vars(Heir)
    assert one.kept == 1
    assert not hasattr(one, "other")


def law() -> None:
    testing.check_all(ops.tanh, X)


def test_mutants_are_caught_or_survive_and_leave_nothing_behind() -> None:
    forward, push, pull = ops.tanh.forward, ops.tanh.push, ops.tanh.pull
    assert isinstance(caught(Mutant("slope", testing.slope(ops.tanh, lambda y, x: 1 + y * y), law)), AssertionError)
    assert isinstance(caught(Mutant("rule", testing.rule(ops.tanh, "pull", lambda g, y, x: g), law)), AssertionError)
    assert isinstance(caught(Mutant("forward", testing.rule(ops.tanh, "forward", np.sinh), law)), AssertionError)
    swapped = testing.rule(
        ops.matmul, "pull", lambda g, y, a, b: g @ b, lambda g, y, a, b: a @ g
    )  # whose arguments are checked first
    assert caught(Mutant("swapped", swapped, lambda: testing.check_all(lambda x: ops.matmul(x, x.T), X)))
    assert caught(Mutant("the identity", lambda patch: None, law)) is None
    with pytest.raises(TypeError):  # no sign of a broken law
        caught(Mutant("an error", lambda patch: patch.setattr(ops.tanh, "pull", None), law))
    assert (ops.tanh.forward, ops.tanh.push, ops.tanh.pull) == (forward, push, pull)
    law()


def test_a_line_that_is_no_longer_there_is_reported() -> None:
    with pytest.raises(AssertionError, match="'no such text' is no longer in setattr"):
        line(Patch, "setattr", "no such text", "")(Patch())


@pytest.mark.parametrize("name", ["matmul", "tanh"])
def test_laws_over_the_zoo_are_functions_of_nothing(name) -> None:
    testing.over_the_zoo("adjoint", name, examples=3)()
    with (
        testing.override(getattr(ops, name), pull={0: lambda g, y, x, *others: 0 * x}),
        pytest.raises(AssertionError, match="adjoint") as caught,
    ):
        testing.over_the_zoo("adjoint", name)()
    note = caught.value.__notes__[0]
    assert note.startswith("Law 'adjoint' of Case(")
    assert "transposes of each other.\nLikely causes, in order: one of the two rules is not" in note


def test_a_case_of_ones_own_joins_the_zoo() -> None:
    try:

        @testing.case
        def cube(draw):
            return testing.Case(lambda x: x**3, draw(testing.arrays((2, 3))), lambda x: x**3, "cube")

        assert testing.CASES["cube"] is cube
        for name in testing.CASE_LAWS:
            testing.over_the_zoo(name, "cube", examples=2)()
    finally:
        del testing.CASES["cube"]


def test_cases_in_single_precision_hold_nothing_in_double() -> None:
    """Arrays, in containers and in functions made in place; other constants stay as they are."""
    b, rows, more = np.ones(2), np.array([0, 1]), {"w": [np.ones(2), np.float64(3)]}
    inner = lambda x: x * b + more["w"][0] * more["w"][1]
    case = testing.Case(lambda x: inner(x)[rows], np.zeros(2), np.exp)
    assert case.f(case.x).dtype == np.float64
    single = case.single()
    assert single.x.dtype == single.f(single.x).dtype == np.float32
    assert case.f(case.x.astype("float32")).dtype == np.float64  # and the case itself is as it was


#: Wrong on purpose, each beside the test of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("patch: the last thing alone", line(patching.Patch, "__exit__", "while self._before:", "if self._before:"), test_patches_are_put_back_last_first_whatever_happens),
    Mutant("over the zoo: what breaks a law is explained, and goes on", line(running, "over_the_zoo", "            raise\n", "            pass\n"), lambda: test_laws_over_the_zoo_are_functions_of_nothing("tanh")),
    Mutant("float32: constants stay in double precision", line(cases, "_single", "held.dtype == np.float64", "False"), test_cases_in_single_precision_hold_nothing_in_double),
    Mutant("float32: functions keep theirs", line(cases, "_single", "not held.__closure__", "True"), test_cases_in_single_precision_hold_nothing_in_double),
    Mutant("caught: survivors are caught", line(mutants, "caught", "return None", "return AssertionError()"), test_mutants_are_caught_or_survive_and_leave_nothing_behind),
    Mutant("mutants: nothing is planted", line(mutants, "caught", "mutant.plant(patch)", "pass"), test_mutants_are_caught_or_survive_and_leave_nothing_behind),
    Mutant("patch: what a class inherits becomes its own", line(patching.Patch, "setattr", "inspect.isclass(owner)", "False"), test_patches_are_put_back_last_first_whatever_happens),
    Mutant("patch: what was not there stays", line(patching.Patch, "__exit__", "delattr(owner, name)", "pass"), test_patches_are_put_back_last_first_whatever_happens),
]
# fmt: on
