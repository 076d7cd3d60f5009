"""Every task: its hand-out, its stub, its answer, and what students get wrong.

Over 20 seeds, in processes of their own, and with all messages: ``python -m tests.coursework``.
"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import backend
from minidl.coursework import child, find, laws, solving
from minidl.coursework.task import CUT, Score, Task, numbers
from tests.coursework.answering import answer, wrong_answers

NUMBERS = numbers()
LAWS = [number for number in NUMBERS if find(number).kind == "law"]


def checked(task: Task, text: str, folder: Path, seed: int) -> list[tuple[float, str]]:
    """The share and the sentence of each part, in this process."""
    path = folder / task.file
    path.write_text(text, encoding="utf-8")
    with backend.use(task.backend), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in a process of its own, where they are printed
        try:
            solution = solving.read(path, task.names, task.forbidden)
        except Exception as error:
            return [(0.0, child.message(error, path))] * len(task.parts)
        outcomes = [child.outcome_of(part, solution, seed + i, path) for i, part in enumerate(task.parts)]
    return [(outcome["share"], outcome["sentence"]) for outcome in outcomes]


def test_there_are_enough_of_each_kind() -> None:
    kinds = [find(number).kind for number in NUMBERS]
    assert len(NUMBERS) >= 24
    assert [f"{n:02}" for n in range(1, len(NUMBERS) + 1)] == NUMBERS
    assert min(kinds.count(kind) for kind in ("rule", "law", "attack")) >= 6
    assert kinds.count("defence") >= 3
    rules = [find(number) for number in NUMBERS if find(number).kind == "rule"]
    assert sum(not task.practice for task in rules) >= len(rules) / 2, "most rules exist nowhere in the sources"
    assert max(task.points for task in rules if task.practice) < min(task.points for task in rules if not task.practice)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_handout_is_complete(number) -> None:
    task = find(number)
    text = task.handout()
    opening = ast.get_docstring(ast.parse(text))
    assert opening.startswith(f"Task {number}: ")
    assert f"About {task.minutes} minutes, {task.points:g} points." in opening
    assert f"check {number}" in opening
    assert all(each in NUMBERS for each in task.needs)
    assert 20 <= task.minutes <= 90
    assert len(task.hints) >= 3
    assert max(map(len, text.splitlines())) <= 120
    assert CUT not in text
    assert "Part(" not in text
    assert "attacks import" not in text, "the yardstick is not handed out"


@pytest.mark.parametrize("number", NUMBERS)
def test_each_stub_says_what_to_do(number, tmp_path) -> None:
    task = find(number)
    path = tmp_path / task.file
    path.write_text(task.handout(), encoding="utf-8")
    solution = solving.read(path, task.names)
    for name in task.names:
        stub = solution[name].__wrapped__
        with pytest.raises(NotImplementedError, match=r"\w{3}") as raised:
            stub(*[None] * stub.__code__.co_argcount)
        assert len(str(raised.value)) > 15
        assert stub.__doc__


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_the_answer_has_all_points(number, tmp_path) -> None:
    outcomes = checked(find(number), answer(find(number)), tmp_path, seed=2**31 - 1)
    assert [share for share, _ in outcomes] == [1.0] * len(outcomes), outcomes


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_what_students_get_wrong_loses_points_and_is_named(number, tmp_path) -> None:
    task = find(number)
    mistakes = wrong_answers(task)
    assert len(mistakes) >= 4
    for wrong in mistakes:
        outcomes = checked(task, wrong.text, tmp_path, seed=1)
        assert min(share for share, _ in outcomes) < 1, wrong.name
        assert wrong.says in "\n".join(sentence for _, sentence in outcomes), (wrong.name, outcomes)


def programs_of(task: Task) -> tuple[tuple[laws.Program, ...], tuple[laws.Program, ...]]:
    module = __import__(task.module, fromlist=["CHAFFS"])
    return getattr(module, "WHEATS", None) or module.CORRECT, module.CHAFFS


def reference_law(task: Task, folder: Path):
    path = folder / task.file
    path.write_text(answer(task), encoding="utf-8")
    return solving.read(path, task.names)[task.names[0]]


@pytest.mark.slow
@pytest.mark.parametrize("number", LAWS)
def test_the_reference_law_accepts_every_correct_program(number, tmp_path) -> None:
    """On 200 seeds."""
    law, (wheats, _) = reference_law(find(number), tmp_path), programs_of(find(number))
    for program in wheats:
        condemned = [(seed, error) for seed in range(200) if (error := laws.judged(law, program, seed)) is not None]
        assert condemned == [], program.name


@pytest.mark.slow
@pytest.mark.parametrize("number", LAWS)
def test_no_wrong_program_is_right_after_all(number, tmp_path) -> None:
    """The reference law catches each in six tries, from any seed: no chaff is equivalent to a correct program."""
    law, (wheats, chaffs) = reference_law(find(number), tmp_path), programs_of(find(number))
    assert 5 <= sum(program.shown for program in chaffs) <= 8
    assert any(not program.shown for program in chaffs)
    assert len({program.name for program in (*wheats, *chaffs)}) == len(wheats) + len(chaffs)
    for program in chaffs:
        for start in range(0, 60, 6):
            assert any(laws.judged(law, program, start + k) is not None for k in range(6)), program.name


@pytest.mark.parametrize("number", LAWS)
def test_laws_without_thought_have_no_points(number, tmp_path) -> None:
    """One that never fails, one that always does, and one that fails by chance."""
    task = find(number)
    name = task.names[0]
    head = f"import numpy as np\nfrom minidl.coursework import solve\n@solve({name!r})\ndef law(*arguments):\n    "
    for body, says in (
        ("pass", "0 of "),
        ("assert False, 'wrong'", "a false alarm"),
        ("assert np.random.default_rng().random() < 0.5", "a false alarm"),
        ("return True", "no return"),
    ):
        [(share, sentence)] = checked(task, head + body, tmp_path, seed=0)
        assert (share, says in sentence) == (0.0, True), sentence


@pytest.mark.parametrize("look", ["__name__", "__code__", "__class__.__name__", "__wrapped__", "__doc__", "__module__"])
def test_a_program_does_not_show_what_it_is(look) -> None:
    peeks: list[str] = []
    program = laws.sealed(np.tanh, peeks)
    assert "tanh" not in repr(program)
    value: object = program
    for each in look.split("."):
        value = getattr(value, each, "hidden")
    assert value == "hidden" or "tanh" not in str(value)
    assert peeks or look.startswith("__class__")


def test_scores_are_shares() -> None:
    assert Score(0.25, "a quarter").value is None


def test_solutions_are_not_in_the_package() -> None:
    """No text of an answer's function stands in what is installed, except where a rule is an override for practice."""
    installed = "\n".join(p.read_text(encoding="utf-8") for p in Path(minidl.__file__).parent.rglob("*.py"))
    for number in NUMBERS:
        if not find(number).practice:
            for node in ast.parse(answer(find(number))).body:
                if isinstance(node, ast.FunctionDef) and len(node.body) > 1:
                    body = ast.unparse(ast.Module(node.body, []))
                    assert body not in installed, (number, node.name)
    assert not list(Path(minidl.__file__).parent.rglob("*answers*"))
