"""Wrong rules, planted on purpose, each to be caught by a law: a law that never failed proves nothing.

Three ways to plant one: another derivative for an elementwise primitive (`slope`), another rule for any primitive
(`rule`), or another line in the text of a function (`line`).  `caught` plants it, runs the law, and takes it out again:

    wrong = testing.slope(ops.tanh, lambda y, x: 1 + y * y)
    assert testing.caught(testing.Mutant("tanh: 1 + y²", wrong, lambda: testing.check_all(ops.tanh, x)))
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import backend
from ..core import elementwise
from .patching import Patch
from .primitives import primitive_of

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
    primitive = primitive_of(operation, "slope")
    wrong = elementwise(primitive.name, primitive.forward, *derivatives)
    return lambda patch: (patch.setattr(primitive, "push", wrong.push), patch.setattr(primitive, "pull", wrong.pull))


def rule(operation: Any, direction: str, *rules: Any) -> Plant:
    """Other rules for a primitive, in one direction ("push" or "pull"), or another function: "forward"."""
    primitive = primitive_of(operation, "rule")
    return lambda patch: patch.setattr(primitive, direction, rules[0] if direction == "forward" else rules)


def line(owner: Any, name: str, old: str, new: str) -> Plant:
    """Another text in the function `name` of a module or class, wherever it is already referred to.

    old: what is replaced; `AssertionError` if it is not in the function's text, when it is planted.
    """

    def plant(patch: Any) -> None:
        attribute = inspect.getattr_static(owner, name)
        of_property = getattr(attribute, "func", None) or getattr(attribute, "fget", None)
        function = of_property or attribute
        function = inspect.unwrap(function)  # of class methods, and of what is decorated
        text = textwrap.dedent(inspect.getsource(function))
        assert old in text, f"{old!r} is no longer in {name}"
        scope: dict[str, Any] = {}
        text = text[text.index("def ") :].replace(old, new)
        flags = __future__.annotations.compiler_flag
        exec(compile(text, f"<mutant of {name}>", "exec", flags=flags), function.__globals__, scope)
        patch.setattr(function, "__code__", scope[name].__code__)

    return plant


#: How a wrong rule shows: as a broken law, as shapes, values or files that no longer fit, or as several of these.
SIGNS = (AssertionError, ValueError, RuntimeWarning, ExceptionGroup)


def obey(mutant: Mutant, **fixtures: Any) -> None:
    """Run the law of a mutant, on its backend, without planting anything: it raises where the law is broken.

    fixtures: what laws may ask for by the names of their parameters, such as a folder.
    """
    wanted = inspect.signature(mutant.law).parameters
    with Patch() as patch, backend.use(mutant.backend):
        if hasattr(mutant.law, _SETTINGS):  # that it fails is all one asks, and so the example is not shrunk
            from hypothesis import Phase, settings

            unshrunk = settings(getattr(mutant.law, _SETTINGS), phases=[Phase.explicit, Phase.generate])
            patch.setattr(mutant.law, _SETTINGS, unshrunk)
        mutant.law(**{name: fixtures[name] for name in wanted if name in fixtures})


_SETTINGS = "_hypothesis_internal_use_settings"  # of a law over drawn cases


def caught(mutant: Mutant, signs: tuple[type[BaseException], ...] = SIGNS, **fixtures: Any) -> BaseException | None:
    """Plant the mutant, run its law, and take it out again: how it was caught, or None if it survived.

    signs: the errors by which it may show; others are raised.  fixtures: as for `obey`.
    """
    with Patch() as patch:
        mutant.plant(patch)
        try:
            obey(mutant, **fixtures)
        except signs as error:
            return error
    return None
