"""Wrong rules, planted on purpose, each to be caught by a law: a law that never failed proves nothing.

Three ways to plant one: another derivative for an elementwise primitive (`slope`), another rule for any primitive
(`rule`), or another line in the text of a function (`line`).
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core import Primitive, elementwise

Plant = Callable[[Any], Any]  # takes a `Patch`, or pytest's monkeypatch, and sets attributes through it


@dataclass(frozen=True)
class Mutant:
    """A wrong rule by name, how to plant it, and the law that must fail under it.

    plant: a function of a `Patch`, such as `slope`, `rule` and `line` give.
    law: a function that raises where the rule is wrong; of no arguments, or of fixtures.
    backend: whose kernels the law runs on, those of `reference` unless the mutant is in others.
    """

    name: str
    plant: Plant
    law: Callable[..., None]
    backend: str = "numpy"


def slope(operation: Any, *derivatives: Any) -> Plant:
    """Other derivatives for an elementwise operation, one for each argument: see `core.elementwise`."""
    primitive = getattr(operation, "__wrapped__", operation)
    wrong = elementwise(primitive.name, primitive.forward, *derivatives)
    return lambda patch: (patch.setattr(primitive, "push", wrong.push), patch.setattr(primitive, "pull", wrong.pull))


def rule(operation: Any, direction: str, *rules: Any) -> Plant:
    """Other rules for a primitive, in one direction ("push" or "pull"), or another function: "forward"."""
    primitive: Primitive = getattr(operation, "__wrapped__", operation)
    return lambda patch: patch.setattr(primitive, direction, rules[0] if direction == "forward" else list(rules))


def line(owner: Any, name: str, old: str, new: str) -> Plant:
    """Another text in the function `name` of a module or class, wherever it is already referred to.

    old: what is replaced; `AssertionError` if it is not in the function's text, when it is planted.
    """

    def plant(patch: Any) -> None:
        found = inspect.getattr_static(owner, name)
        function = getattr(found, "func", None) or getattr(found, "fget", None) or found  # of properties too
        function = inspect.unwrap(function)  # of class methods, and of what is decorated
        text = textwrap.dedent(inspect.getsource(function))
        assert old in text, f"{old!r} is no longer in {name}"
        text, scope = text[text.index("def ") :].replace(old, new), dict[str, Any]()
        flags = __future__.annotations.compiler_flag
        exec(compile(text, f"<mutant of {name}>", "exec", flags=flags), function.__globals__, scope)
        patch.setattr(function, "__code__", scope[name].__code__)

    return plant
