"""What a notebook shows, asked of a kernel where nbclient is installed, and what students get to see of the lessons.

The lessons themselves are run by ``python demos/notebooks/make.py --run``.
"""

from __future__ import annotations

import ast
from typing import Any

import pytest

from demos.notebooks import make

START = """
from attacks import fgsm, pgd
from attacks.report.plots import curves
from minidl import backend, models
from minidl.data import load_digits
from minidl.train import evaluate, fit
backend.use("numpy")
digits, net = load_digits()[1].take(300), models.softmax_regression()
x, y = digits.x[:20], digits.y[:20]
"""
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None\n"
CELLS = {
    "fit": "history = fit(net, digits, epochs=2)",
    "attack": "result = pgd(net, x, y, epsilon=0.1, steps=20, progress=True)",
    "silence": "fit(net, digits, epochs=1, progress=False); pgd(net, x, y, epsilon=0.1, steps=20);",
    "history": "history",
    "result": "result",
    "figure": "curves([0, 1], {'a': [0, 1]}, title='a', x_label='x', y_label='y')",
}


def shown(first: str) -> dict[str, list[Any]]:
    """What a kernel sends for each cell."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    v4 = nbformat.v4
    cells = {name: v4.new_code_cell(source) for name, source in {"start": first + START, **CELLS}.items()}
    notebook = v4.new_notebook(cells=list(cells.values()))
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return {name: cell.outputs for name, cell in zip(cells, notebook.cells)}


@pytest.mark.filterwarnings("default")  # Jupyter's own
@pytest.mark.parametrize("widgets", [True, False])
def test_bars_tables_and_figures_show_in_cells(widgets) -> None:
    if widgets:
        pytest.importorskip("ipywidgets")
    outputs = shown("" if widgets else WITHOUT_WIDGETS)
    assert outputs["start"] == []
    assert outputs["silence"] == []
    for name, last in (("fit", "epoch 2/2"), ("attack", "pgd")):
        if widgets:
            assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs[name])
        else:
            assert {output["name"] for output in outputs[name]} == {"stdout"}, "no warning, and nothing in red"
            text = "".join(output["text"] for output in outputs[name])
            assert f"{last}: 100%|██████████|" in text
    assert "<table>" in outputs["history"][0]["data"]["text/html"]
    assert outputs["result"][0]["data"]["text/plain"].startswith("AttackResult(pgd, untargeted: ")
    assert "image/png" in outputs["figure"][0]["data"]
    assert outputs["figure"][0]["metadata"]["image/png"]["width"] == 576


@pytest.mark.parametrize("script", make.scripts(), ids=lambda script: script.stem)
def test_students_get_exercises_without_their_solutions(script) -> None:
    text = script.read_text(encoding="utf-8")
    solutions = len(make.SOLUTION.findall(text))
    assert solutions >= 2
    assert text.count("### BEGIN SOLUTION") == text.count("### END SOLUTION") == solutions
    blank, solved = make.blank(text), make.solved(text)
    assert blank.count("raise NotImplementedError") == solutions
    for version in (blank, solved):
        assert "SOLUTION" not in version
        ast.parse(version)
    assert solved.count("\n") + 2 * solutions == text.count("\n")


def test_there_are_five_lessons() -> None:
    assert len(make.scripts()) == 5
