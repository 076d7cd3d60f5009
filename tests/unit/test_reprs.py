"""What an interactive session shows: one line on a terminal, and tables and figures in a notebook."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

import minidl
from attacks import Targeted, Untargeted, evaluate_attack, fgsm, fool_direct, outcomes, robustness_curve
from attacks.evolution.archive import MapElites
from attacks.report.by_class import vulnerability
from attacks.report.evaluate import RobustnessCurve
from attacks.report.plots import curves
from minidl import models
from minidl.data import Dataset
from minidl.identity import identity
from minidl.train import History, evaluate

NET = models.softmax_regression((1, 28, 28), 10)
X = np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32)
Y = NET(X).argmax(axis=-1)
DATA = Dataset(X, Y, tuple("0123456789"))
RESULT, NOTHING = fgsm(NET, X, Y, epsilon=0.3), fgsm(NET, X[:0], Y[:0], epsilon=0.3)
FOOLED = fool_direct(NET, generations=2, population=10)
MEASURED, UNMEASURED = evaluate(NET, DATA), evaluate(NET, DATA.take(0))
LONG = History([0.5] * 300, [0.75] * 300, [0.25] * 300, [1.0] * 300, True)

SHOWN: dict[str, Any] = {
    "result": RESULT, "empty result": NOTHING, "goal": RESULT.goal, "target": Targeted(Y), "fooling": FOOLED,
    "archive": FOOLED.archive, "genomes": FOOLED.archive.genomes, "evaluation": MEASURED, "nothing measured": UNMEASURED,
    "calibration": MEASURED.calibration(), "coverage": MEASURED.coverage(), "no coverage": UNMEASURED.coverage(),
    "history": LONG, "no history": History(), "data": DATA, "net": NET,
    "curve": robustness_curve(NET, X, Y, fgsm, np.linspace(0, 0.5, 30)),
    "no curve": RobustnessCurve("pgd", np.zeros(0), (1,), np.zeros((1, 0)), True),
    "table": evaluate_attack({f"attack {i}": RESULT for i in range(12)}, NET), "empty table": evaluate_attack([], NET),
    "report": evaluate_attack({"fast": RESULT}, NET).rows[0], "vulnerability": vulnerability(RESULT),
    "outcomes": outcomes(RESULT, Y), "no outcomes": outcomes(NOTHING, Y[:0]),
}  # fmt: skip
TABLES = [name for name in SHOWN if hasattr(SHOWN[name], "_repr_html_")]


@pytest.mark.parametrize("name", SHOWN)
def test_a_repr_is_one_line_with_the_name_of_the_class(name) -> None:
    text = repr(SHOWN[name])
    assert len(text.splitlines()) == 1
    assert len(text) <= 200
    assert text.startswith(type(SHOWN[name]).__name__ + "(")
    assert text.isascii(), "a console of Windows has no Greek"


def test_reprs_say_what_one_wants_to_know_first() -> None:
    assert repr(RESULT) == f"AttackResult(fgsm, untargeted: {RESULT.success.sum()} of 20 examples successful)"
    assert f"error {MEASURED.error:.4f}" in repr(MEASURED)
    assert repr(LONG) == "History(300 epochs, loss 0.5000, accuracy 0.7500, validation error 0.2500, interrupted)"
    assert repr(History()) == "History(0 epochs)"
    assert repr(FOOLED.archive.genomes) == "Genome(10 of pixels)"
    assert repr(Untargeted(Y)) == "Untargeted(20 labels)"
    assert isinstance(FOOLED.archive, MapElites)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_sound_html_of_as_many_cells_as_heads(name) -> None:
    page = ElementTree.fromstring(f"<p>{SHOWN[name]._repr_html_()}</p>")
    assert page.findall("table")
    for table in page.findall("table"):
        heads, *rows = table.findall("tr")
        assert len(heads.findall("th")) > 1
        assert all(len(row.findall("td")) == len(heads.findall("th")) for row in rows)


def test_tables_of_html_say_what_is_printed() -> None:
    for name in ("curve", "table", "vulnerability", "outcomes", "history"):
        shown, printed = ElementTree.fromstring(f"<p>{SHOWN[name]._repr_html_()}</p>"), str(SHOWN[name])
        words = [cell.text for cell in shown.iter() if cell.tag in ("td", "th", "caption")]
        assert len(words) > 8
        assert all(word in printed for word in words)
    rows = [[cell.text or "" for cell in row] for row in ElementTree.fromstring(NET._repr_html_()).findall("tr")]
    assert [" ".join(filter(None, row)).split() for row in rows] == [
        line.split() for line in NET.summary().splitlines()
    ]
    assert "&lt;b&gt;" in minidl.tables.html_table(["<b>"], [])


def test_checkpoints_know_things_by_content_whatever_their_repr_says() -> None:
    """A repr that says less must not make two things one."""
    pairs = {
        "data": [DATA, DATA.replace(x=1 - X)], "goal": [Targeted(Y), Targeted((Y + 1) % 10)],
        "history": [History([0.5], [0.75]), History([0.50001], [0.75])], "evaluation": [MEASURED, evaluate(NET, DATA.replace(y=Y[::-1].copy()))],
        "result": [RESULT, fgsm(NET, X, Y, epsilon=0.31)],
        "genomes": [FOOLED.archive.genomes, FOOLED.archive.genomes.take(np.arange(10)[::-1])],
    }  # fmt: skip
    for one, other in pairs.values():
        assert identity("test", one) == identity("test", one)
        assert identity("test", one) != identity("test", other)


def test_a_figure_shows_itself_in_a_notebook_without_pyplot() -> None:
    figure = curves([0, 1], {"a": [0, 1]}, title="a", x_label="x", y_label="y")
    picture, metadata = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    width = int.from_bytes(picture[16:20], "big")
    assert width == round(figure.get_figwidth() * figure.dpi)
    assert metadata == {"width": round(96 * figure.get_figwidth())}
