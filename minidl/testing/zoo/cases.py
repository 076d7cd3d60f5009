"""`Case`, a drawn function with a point; `CASES`, all of them by name; and `CASE_LAWS`, the laws of all cases."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import CellType, FunctionType
from typing import Any

import numpy as np

from ... import core
from .. import laws
from ..comparing import DIFFERENCES
from ..drawing import Draw, st
from ..messages import close


@dataclass
class Case:
    """A function and a point, and the same function in NumPy.

    f: of x, in minidl's operations.
    x: the point, float64.
    numpy: the same function in NumPy.
    text: says what was drawn.

    Its repr has the text, x and the constants of f: enough to write the case down as a test.

    >>> import numpy as np
    >>> from minidl import testing
    >>> cube = testing.Case(lambda x: x**3, np.array([1.0, 2.0]), lambda x: x**3, "cube")
    >>> cube
    Case(cube at x = array([1., 2.]))
    >>> testing.CASE_LAWS["differences"](cube, 0)
    """

    f: Callable[[Any], Any]
    x: np.ndarray
    numpy: Callable[[np.ndarray], Any]
    text: str = ""

    def __repr__(self) -> str:
        held = inspect.getclosurevars(self.f).nonlocals if inspect.isfunction(self.f) else {}
        constants = [f"{name} = {value!r}" for name, value in held.items() if not callable(value)]
        return f"Case({self.text} at x = {', '.join([repr(self.x), *constants])})"

    def single(self) -> Case:
        """The case in float32: x, and the arrays that f holds."""
        return replace(self, f=_single(self.f, {}), x=self.x.astype(np.float32))


def _single(held: Any, seen: dict[int, Any]) -> Any:
    """The same with every float64 array in it in float32: in containers, and in functions that were made in place."""
    if isinstance(held, np.ndarray | np.generic) and held.dtype == np.float64:
        return held.astype(np.float32)
    if isinstance(held, list | tuple):
        return type(held)(_single(item, seen) for item in held)
    if isinstance(held, dict):
        return {name: _single(item, seen) for name, item in held.items()}
    if not isinstance(held, FunctionType) or not held.__closure__:
        return held
    if id(held) not in seen:
        cells = [CellType() for _ in held.__closure__]
        made = FunctionType(held.__code__, held.__globals__, held.__name__, held.__defaults__, tuple(cells))
        made.__kwdefaults__ = held.__kwdefaults__
        seen[id(held)] = made
        for cell, theirs in zip(cells, held.__closure__):
            cell.cell_contents = _single(theirs.cell_contents, seen)
    return seen[id(held)]


#: Every case by name: a strategy of `Case`.
CASES: dict[str, st.SearchStrategy[Case]] = {}


def case(function: Callable[[Draw], Case]) -> st.SearchStrategy[Case]:
    """Decorator: add a drawn case to `CASES`, under the name of the function.

    function: takes Hypothesis's ``draw`` and returns a `Case`.

    Returns: its strategy.

    >>> from minidl import testing
    >>> @testing.case
    ... def cube(draw):
    ...     return testing.Case(lambda x: x**3, draw(testing.arrays((2, 3))), lambda x: x**3, "cube")
    >>> testing.over_the_zoo("differences", "cube", examples=5)()
    >>> del testing.CASES["cube"]
    """
    CASES[function.__name__] = st.composite(function)()
    return CASES[function.__name__]


def check_value(case: Case) -> None:
    """The value is that of NumPy, in shape, dtype and numbers, on plain arrays and on boxes.

    case: to check.

    Raises: `AssertionError` where it is not.

    >>> import numpy as np
    >>> from minidl import ops, testing
    >>> testing.check_value(testing.Case(ops.tanh, np.array([0.5, 1.0]), np.tanh, "tanh"))
    """
    expected = np.asarray(case.numpy(case.x))
    for actual in (case.f(case.x), core.linearize(case.f, case.x).value):
        close("value", actual, expected, 1e-12)
        if actual.dtype != expected.dtype:
            raise AssertionError(f"value: dtype {actual.dtype}, expected {expected.dtype}")


def _of_function(law: Callable[..., None], **options: Any) -> Callable[[Case, int], None]:
    return lambda case, seed: law(case.f, case.x, seed, **options)


#: The laws over a case: ``CASE_LAWS[name](case, seed)``, which raises `AssertionError` where one is broken.
CASE_LAWS: dict[str, Callable[[Case, int], None]] = {
    "value": lambda case, seed: check_value(case),
    "adjoint": _of_function(laws.check_adjoint),
    "stacked": _of_function(laws.check_adjoint, stacked=(2, 3)),
    "differences": _of_function(laws.check_differences),
    "linear": _of_function(laws.check_linear),
    "modes": lambda case, seed: laws.check_modes(case.f, case.x, chunk=1 + seed % 5),
    "nested": _of_function(laws.check_nested),
    "nested stacks": _of_function(laws.check_nested_stacks),
    "plain": _of_function(laws.check_plain),
    "float32": lambda case, seed: laws.check_float32(case.single().f, case.x),
}

#: The check behind each; its first line says what it demands.
CHECKS = laws.LAWS | {"value": check_value, "stacked": laws.check_adjoint, "float32": laws.check_float32}

#: What a broken one most likely comes from, the likeliest first.
CASE_CAUSES = laws.CAUSES | {
    "value": DIFFERENCES["value"],
    "stacked": "a rule counts axes from the front, where extra ones may stand; " + laws.CAUSES["adjoint"],
    "float32": "the function or a rule makes an array in float64, or holds one; a quotient of whole numbers",
}
