"""Where bars are shown and where not, and how they look on a terminal of 80 columns, which here is a pseudo-terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from minidl import progress

START = """
import numpy as np
from attacks import apgd, fool_cppn, jsma
from minidl import backend, models
from minidl.data import load_digits
from minidl.progress import bar
from minidl.train import fit
backend.use("numpy")
digits, net = load_digits()[1].take(300), models.softmax_regression()
x, y = digits.x[:20], digits.y[:20]
"""
FIT = "fit(net, digits, epochs=50, batch_size=5)\n"
ATTACKS = """
apgd(net, x, y, epsilon=0.1, steps=20, queries=100, progress=True)
jsma(net, x, y, progress=True)
fool_cppn(net, generations=3, population=20, progress=True)
"""
LONG = f"""
with bar(range(3), {"a description that goes on and on " * 3!r}, True) as shown:
    for _ in range(3):
        shown.set_postfix(active=1000, refresh=False)
        shown.update()
        shown.refresh()
"""
SILENT = "fit(net, digits, epochs=1, progress=False)\njsma(net, x, y)\nfool_cppn(net, generations=2, population=20)\n"


def on_a_terminal(code: str, columns: int = 80) -> list[str]:
    """The lines, one after another, that a script leaves on the screen."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with subprocess.Popen([sys.executable, "-c", START + code], stdout=theirs, stderr=theirs, env=environment()) as run:
        os.close(theirs)
        output = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            output += part
    os.close(ours)
    assert run.returncode == 0, output.decode()
    return [line for line in re.split(r"[\r\n]+", output.decode()) if line.strip()]


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("MINIDL_PROGRESS", "COLUMNS")} | more


def in_a_file(code: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", START + code], capture_output=True, env=environment(PYTHONIOENCODING="utf-8", **more)
    )
    assert done.returncode == 0, done.stderr.decode()
    return (done.stdout + done.stderr).decode()


def drawn(line: str) -> int:
    """How many columns the bar itself has."""
    match = re.search(r"%\|(.*?)\|", line)
    return len(match.group(1)) if match else 0


def test_a_bar_remains_beside_loss_and_accuracy_in_80_columns() -> None:
    lines = on_a_terminal(FIT)
    whole = [line for line in lines if re.search(r"loss=\d\.\d{4}, accuracy=\d\.\d{4}\s*$", line)]
    assert whole, lines
    assert any(re.search(r"epoch \d\d/50: ", line) for line in whole)
    assert all("loss" in line for line in lines[lines.index(whole[0]) :]), "once known, they stay"
    assert all(len(line) <= 80 and drawn(line) >= 10 for line in lines)


@pytest.mark.parametrize("code", [ATTACKS, LONG], ids=["attacks", "long"])
def test_no_bar_vanishes_in_80_columns(code) -> None:
    lines = on_a_terminal(code)
    assert lines
    assert all(len(line) <= 80 and drawn(line) >= 10 for line in lines)
    for words in ("APGD", "JSMA", "evolution") if code is ATTACKS else ("active=1000",):
        assert any(words in line for line in lines)


def test_attacks_are_silent_by_default_and_fit_on_request() -> None:
    assert on_a_terminal(SILENT) == []


def test_a_file_gets_no_bars_unless_asked_in_the_environment() -> None:
    assert in_a_file(FIT + ATTACKS) == ""
    assert in_a_file(FIT + ATTACKS, MINIDL_PROGRESS="0") == ""
    output = in_a_file(FIT + ATTACKS, MINIDL_PROGRESS="1")
    assert all(words in output for words in ("fit: ", "APGD: ", "JSMA: ", "evolution: "))
    assert output.count("\r") < 20, "a log file is no film"
    assert in_a_file(SILENT, MINIDL_PROGRESS="1") == ""


@pytest.mark.parametrize("show", [True, False])
def test_without_any_output_there_is_no_bar(show, monkeypatch) -> None:
    """As where Windows runs a script without a console."""
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setenv("MINIDL_PROGRESS", "1")
    assert progress.bar(range(3), "nothing", show).disable
    assert list(progress.bar(range(3), "nothing", show)) == [0, 1, 2]


def test_in_a_notebook_without_widgets_bars_are_text_in_the_cell(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    assert list(progress.bar(range(3), "three", True)) == [0, 1, 2]
    output = capsys.readouterr()
    assert "three: 100%" in output.out
    assert output.err == ""
    list(progress.bar(range(3), "three", False))
    assert capsys.readouterr() == ("", "")
