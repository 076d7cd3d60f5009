"""Results in the forms that course platforms read: Gradescope, PrairieLearn, JUnit, and plain JSON.

Each function takes the results of one student and returns the text of a file.
Sources: Gradescope's autograder specifications (results.json), PrairieLearn's external grading (results.json), and the
XML that JUnit's Ant task writes, which continuous integration reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from .running import PartResult, Result
from .task import find

Results = Sequence[Result]


def gradescope(results: Results) -> str:
    """The results.json of a Gradescope autograder: one test for each part, and the leaderboard's values."""
    tests = [
        {"name": f"{r.task} {r.title}: {part.name}", "number": f"{int(r.task)}.{i}", "score": part.points,
         "max_score": part.most, "status": "passed" if part.points >= part.most else "failed",
         "output": part.sentence, "output_format": "text", "visibility": "visible"}
        for r in results for i, part in enumerate(r.parts, 1)
    ]  # fmt: skip
    board = [
        {"name": f"{r.task} {find(r.task).board}", "value": r.value,
         "order": "asc" if find(r.task).best == "low" else "desc"}
        for r in results if r.value is not None
    ]  # fmt: skip
    whole: dict[str, Any] = {"tests": tests, "execution_time": round(sum(r.seconds for r in results), 2),
                             "stdout_visibility": "hidden"}  # fmt: skip
    return _json(whole | ({"leaderboard": board} if board else {}))


def prairielearn(results: Results) -> str:
    """The results.json of a PrairieLearn external grader: a score from 0 to 1, and one test for each part."""
    tests = [
        {"name": f"{r.task} {r.title}: {part.name}", "description": find(r.task).teaches, "points": part.points,
         "max_points": part.most, "message": part.sentence.partition("\n")[0], "output": part.sentence}
        for r in results for part in r.parts
    ]  # fmt: skip
    most = sum(r.most for r in results)
    score = sum(r.points for r in results) / most if most else 0.0
    return _json({"gradable": True, "score": round(min(score, 1.0), 6), "message": _total(results), "tests": tests})


def junit(results: Results) -> str:
    """JUnit's XML: a test suite for each task, a test case for each part; a part without all its points has failed."""
    root = ElementTree.Element("testsuites", name="minidl.coursework")
    for r in results:
        failed = sum(part.points < part.most for part in r.parts)
        counts = {"tests": len(r.parts), "failures": failed, "errors": 0, "skipped": 0, "time": f"{r.seconds:.3f}"}
        texts = {key: str(value) for key, value in counts.items()}
        suite = ElementTree.SubElement(root, "testsuite", texts, name=f"{r.task} {r.title}")
        for part in r.parts:
            _case(suite, f"minidl.coursework.{find(r.task).file[:-3]}", part)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def plain(results: Results) -> str:
    """All that is known, as JSON."""
    whole = {"points": round(sum(r.points for r in results), 4), "most": sum(r.most for r in results)}
    return _json(whole | {"tasks": [r.as_dict() for r in results]})


FORMATS: dict[str, Callable[[Results], str]] = {
    "gradescope": gradescope, "prairielearn": prairielearn, "junit": junit, "json": plain,
}  # fmt: skip


def _case(suite: ElementTree.Element, name: str, part: PartResult) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=part.name, time=f"{part.seconds:.3f}")
    if part.points < part.most:
        text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", part.sentence)  # XML 1.0, §2.2
        failure = ElementTree.SubElement(case, "failure", message=text.partition("\n")[0], type="AssertionError")
        failure.text = f"{part.points:g} of {part.most:g} points\n{text}"


def _total(results: Results) -> str:
    return f"{sum(r.points for r in results):g} of {sum(r.most for r in results):g} points"


def _json(whole: dict[str, Any]) -> str:
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
