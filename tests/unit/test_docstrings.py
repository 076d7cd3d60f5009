"""Public docstrings: a line for every parameter, and an example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

import attacks
import minidl
from tests.support.project import MODULES

#: Where readers import from.
DOORS = [
    "minidl", "minidl.backend", "minidl.conv", "minidl.data", "minidl.derivatives", "minidl.draws", "minidl.evaluation",
    "minidl.layers", "minidl.losses", "minidl.models", "minidl.objectives", "minidl.ops", "minidl.optim", "minidl.products", "minidl.reductions",
    "minidl.schedules", "minidl.shaping", "minidl.testing", "minidl.train",
    "attacks", "attacks.black_box.linear", "attacks.black_box.neighbours", "attacks.black_box.substitute",
    "attacks.black_box.techniques", "attacks.common.goal", "attacks.common.objectives", "attacks.common.run", "attacks.defences.density",
    "attacks.defences.distillation", "attacks.defences.guarded", "attacks.defences.roc", "attacks.defences.stacked",
    "attacks.defences.uncertainty", "attacks.evolution", "attacks.plain", "attacks.report.agreement",
    "attacks.report.intervals", "attacks.report.rubbish",
    "attacks.report.by_class", "attacks.report.evaluate", "attacks.report.evaluation_plots", "attacks.report.fooling_plots",
    "attacks.report.outcomes", "attacks.report.plots", "attacks.report.transfer", "attacks.transforms",
]  # fmt: skip


def public() -> dict[str, Any]:
    """The functions and classes that a door offers: those of its `__all__`, or those that are written there."""
    things = {}
    for name in DOORS:
        door = importlib.import_module(name)
        for each in getattr(door, "__all__", [each for each in vars(door) if not each.startswith("_")]):
            thing = getattr(door, each)
            if "<locals>" in getattr(thing, "__qualname__", ""):
                continue  # add, multiply, …: one function in `broadcasting`, which has the docstring
            written_here = "__all__" in vars(door) or getattr(thing, "__module__", None) == name
            if written_here and (inspect.isfunction(thing) or inspect.isclass(thing)) and not is_error(thing):
                things[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return things


def is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


PUBLIC = public()


def parameters(thing: Any) -> list[str]:
    """Those of a function, or of a class's constructor, which its docstring has to name."""
    if inspect.isclass(thing) and (thing.__init__ is object.__init__ or getattr(thing, "_is_protocol", False)):
        return []
    return [name for name in inspect.signature(thing).parameters if name != "self" and not name.startswith("_")]


def has_line(docstring: str, name: str) -> bool:
    """Whether a line begins with the parameter, alone or beside others: "epsilon: …", "p, q (N,): …"."""
    return (
        re.search(rf"^(\*{{0,2}}\w+, )*\*{{0,2}}{name}(, \*{{0,2}}\w+)*( \([^:]*\))?:", docstring, re.MULTILINE)
        is not None
    )


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_has_a_line(name) -> None:
    docstring = inspect.getdoc(PUBLIC[name])
    assert [each for each in parameters(PUBLIC[name]) if not has_line(docstring, each)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_there_is_an_example(name) -> None:
    assert ">>> " in inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("module", [minidl, attacks, *MODULES], ids=lambda module: module.__name__)
def test_the_examples_run(module: ModuleType, monkeypatch, tmp_path) -> None:
    """From an empty folder, each with its own imports."""
    monkeypatch.chdir(tmp_path)
    settings.register_profile("before", settings.default)  # an example loads another one
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__, globs={}):
        runner.run(example, out=report.append)
    settings.load_profile("before")
    assert not report, "".join(report)
    assert list(tmp_path.iterdir()) == []
