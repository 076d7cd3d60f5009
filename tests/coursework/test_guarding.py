"""What a solution may not do is noticed, and what it may is left alone; all in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from attacks import fgsm
from minidl import linearize, ops, testing
from minidl.coursework import guarding, laws, solving
from minidl.coursework.guarding import Forbidden, InPlaceError, OwnWorkError
from minidl.coursework.laws import Program
from minidl.coursework.solving import Solution
from minidl.errors import DataError
from minidl.testing import Mutant, Patch, line

X = np.array([0.5, -1.0])


def solution(function, *forbidden) -> Solution:
    return Solution({"f": function}, forbidden)


def read(text: str, folder: Path, *names: str) -> Solution:
    path = folder / "01_file.py"
    path.write_text("from minidl.coursework import solve\n" + text, encoding="utf-8")
    return solving.read(path, names or ("f",))


def test_calls_are_counted_and_results_are_the_functions() -> None:
    mine = solution(lambda x: 2 * x)
    assert [float(mine["f"](n)) for n in (1.0, 2.0)] == [2, 4]
    assert mine.calls == {"f": 2}
    assert (len(mine), list(mine)) == (1, ["f"])


@pytest.mark.parametrize(
    ("thing", "call"),
    [(linearize, lambda x: linearize(ops.tanh, x)), ("minidl.testing", lambda x: testing.check_adjoint(ops.tanh, x)),
     (ops._matmul, lambda x: ops._matmul.pull[0](x[None], None, x[None], x[:, None] * x)), ("attacks", lambda x: fgsm)],
    ids=["a function", "a package", "the rules of a primitive", "a name alone"],
)  # fmt: skip
def test_forbidden_calls_are_refused_by_whatever_path(thing, call) -> None:
    def hidden(x):
        try:
            return call(x)
        except Exception:  # not even so
            return x

    call(X)
    solution(hidden)["f"](X)
    if thing == "attacks":
        solution(hidden, thing)["f"](X)  # a name is not a call
        return
    with pytest.raises(OwnWorkError, match="a call of the installed"):
        solution(hidden, thing)["f"](X)


def test_a_copy_of_a_forbidden_function_is_refused_too() -> None:
    import inspect

    from minidl import core

    scope = dict(vars(core))
    exec(inspect.getsource(core.linearize), scope)
    with pytest.raises(OwnWorkError, match="linearize"):
        solution(lambda x: scope["linearize"](ops.tanh, x), core.linearize)["f"](X)


def test_a_package_forbids_what_it_defines_and_not_what_it_imports() -> None:
    assert linearize.__code__ not in Forbidden(["minidl.testing"])
    assert testing.check_all.__code__ in Forbidden(["minidl.testing"])


def test_the_judges_frames_may_not_be_looked_at() -> None:
    with pytest.raises(OwnWorkError, match="_getframe"):
        solution(lambda x: sys._getframe(1))["f"](X)


def test_the_profiler_stays_as_it_was() -> None:
    before = sys.getprofile()
    solution(lambda x: x)["f"](X)
    assert sys.getprofile() is before
    with pytest.raises(OwnWorkError, match="setprofile"):
        solution(lambda x: sys.setprofile(None))["f"](X)
    assert sys.getprofile() is before


def test_arguments_that_are_changed_are_named() -> None:
    def halves(x, y):
        y /= 2
        return y

    x = np.array([np.nan, 1.0])
    solution(lambda x: x + 1)["f"](x)  # NaN is equal to itself here
    with pytest.raises(InPlaceError, match="f: its argument number 1 was changed in place"):
        solution(halves)["f"](x, X.copy())


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [(testing.laws, "close", lambda *a: None), (np, "asarray", lambda x: x), (testing.laws, "abs", lambda x: 0),
     (ops._matmul, "forward", lambda a, b: a), (Solution, "__len__", lambda self: 7)],
    ids=["a function", "NumPy's", "a new name before a builtin", "a rule of a primitive", "a method"],
)  # fmt: skip
def test_whatever_is_changed_in_the_engine_is_named(owner, name, value) -> None:
    before = guarding.state()
    assert guarding.changes(before) == []
    with Patch() as patch:
        patch.setattr(owner, name, value, raising=False)
        assert guarding.changes(before) != []
    assert guarding.changes(before) == []


def test_the_code_of_a_function_counts_as_well() -> None:
    before = guarding.state()
    with Patch() as patch:
        patch.setattr(testing.messages.close, "__code__", (lambda a, b, c, d: None).__code__)
        assert "minidl.testing.messages.close" in guarding.changes(before)


def test_entries_of_tables_count_as_well() -> None:
    before, kept = guarding.state(), testing.LAWS["adjoint"]
    testing.LAWS["adjoint"] = print
    changed = guarding.changes(before)
    testing.LAWS["adjoint"] = kept
    assert "minidl.testing.LAWS" in changed


def test_the_digest_is_of_the_sources() -> None:
    assert guarding.digest() == guarding.digest()
    assert len(guarding.digest()) == 64


# --- a student's file ------------------------------------------------------------------------------------


def test_functions_are_known_by_the_names_that_they_solve(tmp_path) -> None:
    text = '@solve("f")\ndef anything(x):\n    return 3 * x\n'
    assert read(text, tmp_path)["f"](2) == 6


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [("", DataError, "a function for 'f'"), ("import nothing_like_this", DataError, "ModuleNotFoundError in line 2"),
     ("def f(:", DataError, "SyntaxError in line 2"), ("1 / 0", DataError, "ZeroDivisionError in line 2"),
     ("from minidl.testing import check_all as f\nf.solves = 'f'", OwnWorkError, "one from laws.py"),
     ("class F:\n    solves = 'f'\nf = F()", OwnWorkError, "one from F"),
     ("import numpy\nnumpy.tanh\nf = solve('f')(lambda x: x)", None, "")],
)  # fmt: skip
def test_what_cannot_be_a_solution(text, error, says, tmp_path) -> None:
    if error is None:
        assert read(text, tmp_path)["f"](1) == 1  # a lambda of one's own will do
        return
    with pytest.raises(error) as raised:
        read(text, tmp_path)
    assert says in str(raised.value)
    testing.check_all.__dict__.pop("solves", None)


def test_a_package_may_not_solve_the_task_while_the_file_is_run(tmp_path) -> None:
    text = "import numpy as np\nfrom attacks.common.norms import l2_length\nlength = l2_length(np.ones((1, 2)))\n"
    path = tmp_path / "22_file.py"
    path.write_text(text + "def f(x):\n    return length\nf.solves = 'f'\n", encoding="utf-8")
    assert solving.read(path, ["f"])["f"](0) == 2**0.5
    with pytest.raises(OwnWorkError, match="l2_length"):
        solving.read(path, ["f"], ["attacks"])


# --- laws ------------------------------------------------------------------------------------------------

DOUBLE = Program("double", lambda rng: (lambda x: 2 * x, rng.normal(size=2)))
TRIPLE = Program("triple", lambda rng: (lambda x: 3 * x, rng.normal(size=2)))


def judge(law, wheats=(DOUBLE,), chaffs=(TRIPLE,), seed=0):
    part = laws.law_part("law", 4, wheats, chaffs)
    return part.check(Solution({"law": law}), seed)


def is_double(f, x, rng) -> None:
    assert np.allclose(f(x), 2 * x)


def test_a_law_has_the_share_of_the_wrong_programs_that_it_catches() -> None:
    right = Program("double, by adding", lambda rng: (lambda x: x + x, rng.normal(size=2)))
    score = judge(is_double, chaffs=(TRIPLE, right))
    assert score.share == 0.5
    assert score.sentence == "1 of 2 wrong programs are caught.  Let pass:\n    double, by adding"
    hidden = Program("hidden", right.make, shown=False)
    assert judge(is_double, chaffs=(TRIPLE, hidden)).sentence.endswith("\n    and 1 that is not shown")


def test_one_false_alarm_and_nothing_counts() -> None:
    with pytest.raises(AssertionError, match="a false alarm: the law condemns a correct program, triple"):
        judge(is_double, wheats=(DOUBLE, TRIPLE))

    def sometimes(f, x, rng):
        assert rng.random() < 0.7

    with pytest.raises(AssertionError, match="a false alarm"):
        judge(sometimes)


def test_a_crash_condemns_as_an_assertion_does() -> None:
    def crash(f, x, rng):
        return None if np.allclose(f(x), 2 * x) else 1 / 0

    assert judge(crash).share == 1


def test_a_program_that_changes_its_argument_is_not_caught_by_the_judge() -> None:
    def in_place(rng):
        def f(x):
            x *= 2
            return x

        return f, rng.normal(size=2)

    chaff = Program("in place", in_place)
    assert judge(lambda f, x, rng: f(x) is None or None, chaffs=(chaff,)).share == 0
    assert judge(is_double, chaffs=(chaff,)).share == 1


def test_what_a_program_calls_is_its_own_affair() -> None:
    program = Program("double", lambda rng: (lambda x: linearize(lambda x: 2 * x, x).value, rng.normal(size=2)))
    assert laws.judged(Solution({"law": is_double}, [linearize])["law"], program, 0) is None


MUTANTS = [
    Mutant("coursework: forbidden code is run", line(Forbidden, "__contains__", "id(code) in self.codes", "False"),
           lambda: test_forbidden_calls_are_refused_by_whatever_path(ops._matmul, lambda x: ops._matmul.pull[0](
               x[None], None, x[None], x[:, None] * x))),
    Mutant("coursework: copies are let through", line(Forbidden, "__contains__", "return code.co_name in self.names and", "return False and"),
           test_a_copy_of_a_forbidden_function_is_refused_too),
    Mutant("coursework: one's own file is forbidden", line(guarding, "_of_package", "if f.__code__.co_filename.startswith(_folder(name))", "if True"),
           test_a_package_forbids_what_it_defines_and_not_what_it_imports),
    Mutant("coursework: what is changed in place is not noticed", line(guarding, "watched", "not np.array_equal", "False and not np.array_equal"),
           test_arguments_that_are_changed_are_named),
    Mutant("coursework: the profiler is not put back", line(guarding, "watching", "sys.setprofile(before)", "pass"), test_the_profiler_stays_as_it_was),
    Mutant("coursework: frames may be looked at", line(guarding, "watching", "called in LOOKS_AROUND", "False"), test_the_judges_frames_may_not_be_looked_at),
    Mutant("coursework: code may be exchanged", line(guarding, "_fingerprint", "id(value), id(value.__code__)", "id(value), 0"), test_the_code_of_a_function_counts_as_well),
    Mutant("coursework: tables may be changed", line(guarding, "_fingerprint", "isinstance(value, dict) and ours", "False"), test_entries_of_tables_count_as_well),
    Mutant("coursework: functions from elsewhere are taken",
           line(solving, "_written_here", "function.__code__.co_filename != str(path)", "False"),
           lambda tmp_path: test_what_cannot_be_a_solution(
               "from minidl.testing import check_all as f\nf.solves = 'f'", OwnWorkError, "one from laws.py", tmp_path)),
    Mutant("coursework: false alarms are forgiven",
           line(laws, "law_part", "(error := judged(law, program, seed + k, name)) is not None", "(error := None) is not None"),
           test_one_false_alarm_and_nothing_counts),
    Mutant("coursework: correct programs count as caught", line(laws, "law_part", "sum(caught.values()) / len(caught)", "1.0"), test_a_law_has_the_share_of_the_wrong_programs_that_it_catches),
    Mutant("coursework: the judge catches for the law", line(laws, "judged", "except InPlaceError:", "except ZeroDivisionError:"), test_a_program_that_changes_its_argument_is_not_caught_by_the_judge),
    Mutant("coursework: programs are watched as well", line(laws, "sealed", "sys.setprofile(None)", "pass"), test_what_a_program_calls_is_its_own_affair),
]  # fmt: skip
