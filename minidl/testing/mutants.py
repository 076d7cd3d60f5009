"""Mutants: wrong rules, planted on purpose, that a law has to catch.  A law that never failed proves nothing.

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
    """A wrong rule, and the law that has to fail with it.

    name: says what is wrong.
    plant: a function of a `Patch`; `slope`, `rule` and `line` return one.
    law: raises where the rule is wrong; without arguments, or with those of pytest's fixtures.
    backend: whose kernels the law uses; "numpy", of the reference kernels, unless the mutant is in others.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> law = lambda: testing.check_all(ops.tanh, np.array([0.5, -1.0]))
    >>> wrong = testing.Mutant("tanh: 1 + y²", testing.slope(ops.tanh, lambda y, x: 1 + y * y), law)
    >>> type(testing.caught(wrong)).__name__
    'AssertionError'
    """

    name: str
    plant: Plant
    law: Callable[..., None]
    backend: str = "numpy"


def slope(operation: Any, *derivatives: Any) -> Plant:
    """Plant other derivatives of an elementwise operation.

    operation: such as ops.tanh.
    derivatives: one for each argument, as for `core.elementwise`.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> law = lambda: testing.check_all(ops.tanh, np.array([0.5, -1.0]))
    >>> wrong = testing.slope(ops.tanh, lambda y, x: 1 + y * y)
    >>> testing.caught(testing.Mutant("tanh: 1 + y²", wrong, law)) is not None
    True
    """
    primitive = primitive_of(operation, "slope")
    wrong = elementwise(primitive.name, primitive.forward, *derivatives)
    return lambda patch: (patch.setattr(primitive, "push", wrong.push), patch.setattr(primitive, "pull", wrong.pull))


def rule(operation: Any, direction: str, *rules: Any) -> Plant:
    """Plant other rules of an operation.

    operation: with rules of its own, such as ops.matmul.
    direction: "push", "pull" or "forward".
    rules: one for each argument; for "forward" a single function.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> law = lambda: testing.check_all(ops.tanh, np.array([0.5, -1.0]))
    >>> wrong = testing.rule(ops.tanh, "pull", lambda g, y, x: g)
    >>> testing.caught(testing.Mutant("tanh: its pull-back forgets 1 - y²", wrong, law)) is not None
    True
    """
    primitive = primitive_of(operation, "rule")
    return lambda patch: patch.setattr(primitive, direction, rules[0] if direction == "forward" else rules)


def line(owner: Any, name: str, old: str, new: str) -> Plant:
    """Plant another text in a function, also where it has been imported already.

    owner: the module or class that has the function.
    name: of the function.
    old: the text to replace; `AssertionError` if the function does not have it when it is planted.
    new: the text in its place.

    >>> import numpy as np
    >>> from minidl import testing
    >>> from attacks.common import norms
    >>> law = lambda: np.testing.assert_allclose(norms.l2_length(np.array([[3.0, 4.0]])), 5)
    >>> wrong = testing.line(norms, "l2_length", "return ", "return 2 * ")
    >>> testing.caught(testing.Mutant("norms: twice the length", wrong, law)) is not None
    True
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
    """Run the law of a mutant without planting it, on its backend.

    mutant: whose law to run.
    fixtures: for the law, by the names of its parameters, such as a folder.

    Raises: what the law raises where it is broken.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> law = lambda: testing.check_all(ops.tanh, np.array([0.5, -1.0]))
    >>> testing.obey(testing.Mutant("tanh: 1 + y²", testing.slope(ops.tanh, lambda y, x: 1 + y * y), law))
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
    """Plant a mutant, run its law, and remove the mutant again.

    mutant: to plant.
    signs: the errors that count as caught; others are raised.
    fixtures: for the law, by the names of its parameters, such as a folder.

    Returns: the error that caught the mutant, or None if it survived.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> law = lambda: testing.check_all(ops.tanh, np.array([0.5, -1.0]))
    >>> right = testing.slope(ops.tanh, lambda y, x: 1 - y * y)
    >>> print(testing.caught(testing.Mutant("tanh: not wrong at all", right, law)))
    None
    """
    with Patch() as patch:
        mutant.plant(patch)
        try:
            obey(mutant, **fixtures)
        except signs as error:
            return error
    return None
