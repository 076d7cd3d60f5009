"""The kit around the tasks: the command line, a student's folder, grading, and the forms of the results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minidl.coursework import __main__ as command_line
from minidl.coursework import every_task, find, folder, formats, grading, printing, solving
from minidl.coursework.running import PartResult, Result
from minidl.errors import DataError, RangeError
from tests.coursework.answering import answer


def run(capsys, *words: str) -> tuple[int, str]:
    code = command_line.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A hand-out, and the folder one is in."""
    folder.new(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def result(number: str = "06", shares: tuple[float, ...] = (1.0, 0.5), **fields) -> Result:
    """A result with these shares of one point each."""
    parts = [PartResult(f"part {i}", share, 1.0, "" if share == 1 else "the pull-back\nis wrong <&> \x00 ∂", 0.25)
             for i, share in enumerate(shares)]  # fmt: skip
    return Result(number, find(number).title, 7, parts, **{"seconds": 0.5} | fields)


# --- a student's folder ----------------------------------------------------------------------------------


def test_new_writes_every_file_and_no_file_twice(tmp_path, capsys) -> None:
    code, text = run(capsys, "new", str(tmp_path / "work"))
    assert code == 0
    assert f"{len(every_task()) + 1} files written" in text
    assert (tmp_path / "work" / "README.md").read_text(encoding="utf-8").count("| rule") > 10
    mine = tmp_path / "work" / find("01").file
    mine.write_text("mine", encoding="utf-8")
    (tmp_path / "work" / find("02").file).unlink()
    _, text = run(capsys, "new", str(tmp_path / "work"))
    assert f"1 files written to {tmp_path / 'work'}, {len(every_task())} left as they were" in text
    assert mine.read_text(encoding="utf-8") == "mine"


def test_new_refuses_a_file(tmp_path, capsys) -> None:
    (tmp_path / "work").write_text("", encoding="utf-8")
    code, text = run(capsys, "new", str(tmp_path / "work"))
    assert (code, "to be a folder, got a file" in text) == (1, True)


def test_the_files_are_utf_8_with_plain_line_ends(work) -> None:
    for task in every_task():
        content = (work / task.file).read_bytes()
        assert content.decode("utf-8") == task.handout()
        assert b"\r" not in content


@pytest.mark.parametrize("content", ["", "{", "[]", '{"results": 1}', '{"results": {}, "hints": {"01": "x"}}'])
def test_a_damaged_record_is_named_and_left_alone(content, work, capsys) -> None:
    (work / folder.PROGRESS).write_text(content, encoding="utf-8")
    code, text = run(capsys, "hint", "01")
    assert (code, "a record in" in text, "remove or rename" in text) == (1, True, True)
    assert (work / folder.PROGRESS).read_text(encoding="utf-8") == content


def test_hints_are_counted(work, capsys) -> None:
    shown = [run(capsys, "hint", "6")[1] for _ in range(4)]
    assert [text.count("\n") - 1 for text in shown] == [1, 2, 3, 3]
    assert "2 more" in shown[0]
    assert "That is all" in shown[3]
    assert folder.Progress(work).hints == {"06": 3}


def test_the_list_says_what_is_done(work, capsys) -> None:
    folder.Progress(work).note(result("06"))
    _, text = run(capsys, "list")
    assert re.search(r"^06  roll +rule +25 min +1.5/4.5$", text, re.MULTILINE)
    assert f"1.5 of {sum(task.points for task in every_task()):g} points" in text


def test_nothing_is_wider_than_the_console(work, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = Result("06", "roll", 7, [PartResult("p" * 20, 0, 1, "a b " * 200)])
    for text in (run(capsys, "list")[1], printing.reported(find("06"), long, None)):
        assert max(map(len, text.splitlines())) <= 80


# --- check, from the command line ------------------------------------------------------------------------


@pytest.mark.slow
def test_check_says_what_to_do_next(work, capsys) -> None:
    code, text = run(capsys, "check", "06")
    assert (code, "write it in 06_roll.py" in text, text.count("not written yet")) == (1, True, 1)
    (work / "06_roll.py").write_text(answer(find("06")), encoding="utf-8")
    code, text = run(capsys, "check", "6", "--seed", "3")
    assert (code, "4.5 of 4.5 points" in text, "then task 07" in text) == (0, True, True)
    (work / "06_roll.py").write_text(answer(find("06")).replace("shift=-shift", "shift=shift"), encoding="utf-8")
    code, text = run(capsys, "check", "06", "--seed", "3")
    assert code == 1
    assert "not the other's\n" in text
    assert "transpose" in text
    assert f"Repeat: {printing.COMMAND} check 06 --seed 3" in text
    assert run(capsys, "check", "06", "--seed", "3")[1].splitlines()[:-4] == text.splitlines()[:-4], "the same again"
    assert folder.Progress(work).results["06"]["points"] == 1.0


@pytest.mark.parametrize(
    ("words", "says"),
    [(["check", "99"], "the number of a task, 01 to"), (["check", "x"], "got 'x'"), (["demo", "1x"], "got '1x'"),
     (["grade", "nowhere"], "a folder with files of tasks"), (["grade", ".", "--workers", "0"], "at least 1 worker"),
     (["grade", ".", "--chaffs", "none.py"], "a file none.py")],
)  # fmt: skip
def test_mistakes_on_the_command_line(words, says, work, capsys) -> None:
    code, text = run(capsys, *words)
    assert (code, says in text) == (1, True), text


def test_without_hypothesis_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['hypothesis'] = None; from minidl.coursework.__main__ import main; sys.exit(main(['list']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == ('coursework: expected Hypothesis, which draws the cases, got no such package. '
                                   'Fix: run pip install "minidl[coursework]"')  # fmt: skip


def test_a_seed_is_a_number(work, capsys) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["check", "06", "--seed", "many"])
    assert "a whole number from 0 to" in capsys.readouterr().err


def test_outside_of_a_hand_out(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = run(capsys, "check", "06")
    assert (code, "coursework new ." in text) == (1, True)


@pytest.mark.slow
def test_it_prints_in_any_encoding(work) -> None:
    """As on a console of Windows, whose pipes are of code page 1252."""
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "minidl.coursework", "check", "06"]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=work, check=False)
    assert b"Traceback" not in done.stderr
    assert "06 roll" in done.stdout.decode("utf-8")


@pytest.mark.slow
def test_watch_checks_again_when_the_file_is_saved(work) -> None:
    (work / "06_roll.py").write_text(answer(find("06")).replace("shift=-shift", "shift=shift"), encoding="utf-8")
    command = [sys.executable, "-u", "-m", "minidl.coursework", "check", "06", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", cwd=work) as process:
        for line in process.stdout:
            if line.startswith("Next: mend"):
                (work / "06_roll.py").write_text(answer(find("06")), encoding="utf-8")
            if line.startswith("4.5 of 4.5"):
                break
        else:
            raise AssertionError("it was not checked again")
        assert process.wait(20) == 0


@pytest.mark.slow
def test_demo_writes_a_picture_or_says_why_not(work, capsys) -> None:
    code, text = run(capsys, "demo", "06")
    assert (code, "not written yet" in text, (work / "06_roll.png").exists()) == (1, True, False)
    (work / "06_roll.py").write_text(answer(find("06")), encoding="utf-8")
    assert run(capsys, "demo", "06") == (0, "wrote 06_roll.png\n")
    assert (work / "06_roll.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("number", [task.number for task in every_task()])
def test_every_picture_is_drawn(number, tmp_path) -> None:
    task, path = find(number), tmp_path / find(number).file
    path.write_text(answer(task), encoding="utf-8")
    task.demo(solving.read(path, task.names), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000


# --- grading ---------------------------------------------------------------------------------------------


def hand_in(path: Path, *solved: str) -> Path:
    folder.new(path)
    for number in solved:
        (path / find(number).file).write_text(answer(find(number)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_second_run_goes_on_where_the_first_was_stopped(tmp_path, monkeypatch) -> None:
    work, kept = hand_in(tmp_path / "ada", "06", "07"), tmp_path / "ada.json"
    calls: list[str] = []
    real = grading.check

    def counted(task, *arguments, **options):
        calls.append(task.number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(task, *arguments, **options)

    monkeypatch.setattr(grading, "check", counted)
    options = {"secret": "autumn", "only": ["01", "06", "07"], "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        grading.grade(work, kept, **options)
    assert set(json.loads(kept.read_text(encoding="utf-8"))["tasks"]) == {"01", "06"}
    results = grading.grade(work, kept, **options)
    assert [calls.count(number) for number in ("01", "06")] == [1, 1]
    assert [r.points for r in results] == [0, 4.5, 5.5]
    done = len(calls)
    assert grading.grade(work, kept, **options) == results
    assert len(calls) == done, "nothing is checked again"
    (work / find("01").file).write_text(answer(find("01")), encoding="utf-8")
    assert grading.grade(work, kept, **options)[0].points == 4
    assert calls[done:] == ["01"], "only what was changed"
    grading.grade(work, kept, **options | {"secret": "spring"})
    assert calls[done + 1 :] == options["only"], "another secret, other seeds"


@pytest.mark.slow
def test_a_damaged_result_file_is_made_anew(tmp_path) -> None:
    work, kept = hand_in(tmp_path / "ada", "06"), tmp_path / "ada.json"
    kept.write_text('{"tasks": {"06": {"digest": 3', encoding="utf-8")
    assert grading.grade(work, kept, secret="s", only=["06"])[0].passed
    assert json.loads(kept.read_text(encoding="utf-8"))["points"] == 4.5


def test_what_was_not_handed_in_has_no_points(tmp_path) -> None:
    work = hand_in(tmp_path / "ada")
    (work / find("06").file).unlink()
    [missing] = grading.grade(work, tmp_path / "ada.json", only=["06"])
    assert missing.points == 0
    assert missing.parts[0].sentence == "06_roll.py was not handed in"


def test_seeds_belong_to_student_task_and_secret() -> None:
    seeds = {grading.seed_of(*key) for key in (("a", "b", "01"), ("a", "b", "02"), ("a", "c", "01"), ("b", "b", "01"))}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_folder_without_tasks_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="a folder with files of tasks"):
        grading.grade(tmp_path, tmp_path / "r.json")
    hand_in(tmp_path / "work")
    with pytest.raises(RangeError, match="the number of a task"):
        grading.grade(tmp_path / "work", tmp_path / "r.json", only=["99"])


@pytest.mark.slow
def test_a_class_on_an_executor_with_a_leaderboard(tmp_path, capsys) -> None:
    for name, solved in (("ada", ["06", "28"]), ("alan", ["28"]), ("grace", [])):
        hand_in(tmp_path / "class" / name, *solved)
    words = ["grade", str(tmp_path / "class"), "--secret", "s", "--only", "06", "28", "--format", "gradescope"]
    code, text = run(capsys, *words)
    assert code == 0, text
    rows = [line.split() for line in text.splitlines()[:3]]
    assert [(row[0], float(row[1]) > 0) for row in rows] == [("ada", True), ("alan", True), ("grace", False)]
    out = tmp_path / "class-results"
    assert sorted(p.name for p in out.glob("*.gradescope.json")) == [
        f"{n}.gradescope.json" for n in ("ada", "alan", "grace")
    ]
    board = (out / "leaderboard.txt").read_text(encoding="utf-8")
    assert re.search(r"1\. (ada|alan) .*\n +2\. (ada|alan) ", board)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.json") if "gradescope" not in path.name}
    assert run(capsys, *words)[1] == text
    assert len(before) == 3
    with pytest.raises(DataError, match="different names"), ThreadPoolExecutor(1) as pool:
        list(grading.grade_class([tmp_path / "class" / "ada", tmp_path / "class" / "alan" / ".." / "ada"], out, pool))


def test_a_class_needs_a_secret(tmp_path, capsys) -> None:
    hand_in(tmp_path / "class" / "ada")
    code, text = run(capsys, "grade", str(tmp_path / "class"))
    assert (code, "a secret for a class" in text) == (1, True)


@pytest.mark.slow
def test_wrong_programs_of_the_instructor(tmp_path) -> None:
    """One more chaff, which the reference law catches, and one that is right, which it does not."""
    work = hand_in(tmp_path / "ada", "15")
    private = tmp_path / "private.py"
    private.write_text("""
import numpy as np
from minidl.coursework.laws import Program
from minidl.coursework.programs import wrong
third = wrong(lambda x: x / 3, lambda t, y, x: t / 3, lambda g, y, x: g)
right = wrong(lambda x: x / 3, lambda t, y, x: t / 3, lambda g, y, x: g / 3)
CHAFFS = {"law.adjoint": [Program("a third", lambda rng: (third, rng.normal(size=3)), shown=False),
                          Program("nothing wrong", lambda rng: (right, rng.normal(size=3)))]}
""", encoding="utf-8")  # fmt: skip
    [graded] = grading.grade(work, tmp_path / "r.json", only=["15"], chaffs=[private], secret="s")
    assert "12 of 13 wrong programs are caught.  Let pass:\n    nothing wrong" in graded.parts[0].sentence
    private.write_text("x = 1", encoding="utf-8")
    [graded] = grading.grade(work, tmp_path / "r.json", only=["15"], chaffs=[private], secret="s")
    assert graded.points == 0
    assert "a dict CHAFFS in private.py" in graded.parts[0].sentence


# --- the forms of the results ----------------------------------------------------------------------------

SEVERAL = [result("06"), result("28", (1.0, 1.0), value=3.5), result("01", (0.0,))]


def test_gradescope() -> None:
    """By Gradescope's description of results.json: names, types, and what is required."""
    whole = json.loads(formats.gradescope(SEVERAL))
    assert set(whole) <= {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
                          "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard"}  # fmt: skip
    assert whole["stdout_visibility"] in ("hidden", "visible", "after_due_date", "after_published")
    keys = {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags",
            "visibility", "extra_data"}  # fmt: skip
    for test in whole["tests"]:
        assert set(test) <= keys
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] in ("passed", "failed")
        assert test["output_format"] in ("text", "html", "simple_format", "md", "ansi")
        assert re.fullmatch(r"\d+\.\d+", test["number"])
    assert sum(test["score"] for test in whole["tests"]) == 3.5
    assert whole["leaderboard"] == [{"name": f"28 {find('28').board}", "value": 3.5, "order": "asc"}]
    assert "leaderboard" not in json.loads(formats.gradescope(SEVERAL[:1]))


def test_prairielearn() -> None:
    """By PrairieLearn's description of an external grader's results.json."""
    whole = json.loads(formats.prairielearn(SEVERAL))
    assert whole["gradable"] is True
    assert whole["score"] == pytest.approx(3.5 / 5)
    assert set(whole) <= {"gradable", "score", "message", "output", "images", "tests", "format_errors"}
    for test in whole["tests"]:
        assert set(test) <= {"name", "description", "points", "max_points", "message", "output", "images"}
        assert test["points"] <= test["max_points"]
    assert json.loads(formats.prairielearn([]))["score"] == 0


def test_junit() -> None:
    """By the schema of JUnit's XML: suites of cases, whose counts agree, with characters that XML allows."""
    root = ElementTree.fromstring(formats.junit(SEVERAL).encode("utf-8"))
    assert root.tag == "testsuites"
    for suite, r in zip(root, SEVERAL):
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors", "skipped", "time"} == set(suite.attrib)
        assert int(suite.get("tests")) == len(suite) == len(r.parts)
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        for case in suite:
            assert {"classname", "name", "time"} == set(case.attrib)
            assert float(case.get("time")) >= 0
            assert all(each.tag == "failure" and each.get("message") and each.text for each in case)
    assert "is wrong <&> ? ∂" in root[0][1][0].text


def test_json_has_everything() -> None:
    whole = json.loads(formats.plain(SEVERAL))
    assert (whole["points"], whole["most"]) == (3.5, 5)
    assert [Result.from_dict(each) for each in whole["tasks"]] == SEVERAL


def test_leaderboards_have_the_best_first() -> None:
    results = {"ada": [result("28", value=4.0)], "alan": [result("28", value=3.0)], "grace": [result("28")]}
    assert grading.leaderboard(results)["28"] == [("alan", 3.0), ("ada", 4.0)]
    high = next(task.number for task in every_task() if task.board and task.best == "high")
    results = {"ada": [result(high, value=4.0)], "alan": [result(high, value=3.0)]}
    assert grading.leaderboard(results)[high] == [("ada", 4.0), ("alan", 3.0)]
