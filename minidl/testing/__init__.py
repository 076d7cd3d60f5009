"""The door for coursework: the laws every derivative must obey, and a way to put rules of one's own into the engine.

    from minidl import testing
    testing.check_all(my_layer, np.random.default_rng(0).normal(size=(5, 3)))  # every law, of a function of yours
    testing.compare(my_softmax, ops.softmax, x)                                # against one that is known to be right

    with testing.override(ops.matmul, pull=(mine_a, mine_b)) as used:          # your rule, in the real engine
        fit(net, train, epochs=1)
    assert used.calls

What needs Hypothesis, which draws the cases, is loaded when it is first asked for: the zoo (`CASES`, `CASE_LAWS`,
`over_the_zoo`, `Case`, `case`), what it is drawn with (`shapes`, `arrays`, …), and `load_profile`.
Nothing here needs pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .comparing import compare
from .laws import (
    CAUSES,
    LAWS,
    check_adjoint,
    check_all,
    check_differences,
    check_float32,
    check_linear,
    check_modes,
    check_nested,
    check_nested_stacks,
    check_plain,
    check_rows,
)
from .mutants import SIGNS, Mutant, caught, line, obey, rule, slope
from .overriding import Used, override
from .patching import Patch

if TYPE_CHECKING:
    from .drawing import arrays, axes_of, broadcastable, layouts, load_profile, shapes
    from .zoo import CASE_CAUSES, CASE_LAWS, CASES, Case, case, check_value, over_the_zoo

_DRAWN = {"drawing": ["arrays", "axes_of", "broadcastable", "layouts", "load_profile", "shapes"],
          "zoo": ["CASES", "CASE_LAWS", "CASE_CAUSES", "Case", "case", "check_value", "over_the_zoo"]}  # fmt: skip

__all__ = [
    "CAUSES", "LAWS", "check_adjoint", "check_all", "check_differences", "check_float32", "check_linear", "check_modes",
    "check_nested", "check_nested_stacks", "check_plain", "check_rows", "compare", "override", "Used",
    "Mutant", "SIGNS", "caught", "line", "obey", "rule", "slope", "Patch",
    "arrays", "axes_of", "broadcastable", "layouts", "load_profile", "shapes",
    "CASES", "CASE_LAWS", "CASE_CAUSES", "Case", "case", "check_value", "over_the_zoo",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What needs Hypothesis, imported now.  Raises `MissingPackageError`, an `ImportError`, where it is not there."""
    for module, names in _DRAWN.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
