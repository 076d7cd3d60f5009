"""For coursework: the laws that every derivative must obey, and a way to put your own rules into the engine.

    from minidl import testing
    testing.check_all(my_layer, np.random.default_rng(0).normal(size=(5, 3)))  # every law, of a function of yours
    testing.compare(my_softmax, ops.softmax, x)                                # against one that is known to be right

    with testing.override(ops.matmul, pull=(mine_a, mine_b)) as used:          # your rule, in the real engine
        fit(net, train, epochs=1)
    assert used.calls

The zoo (`CASES`, `CASE_LAWS`, `over_the_zoo`, `Case`, `case`), its strategies (`shapes`, `arrays`, …) and
`load_profile` need Hypothesis, and are imported when they are first used.  Nothing here needs pytest.

Reading order:
    messages              what a broken law says
    laws                  the laws of derivatives, for a function and a point
    primitives            which operations have rules of their own
    comparing             a function against one that is known to be right
    overriding            your rule in the engine
    patching, mutants     wrong rules, planted to see a law fail
    drawing, zoo          drawn cases for all laws
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
    """Import the names that need Hypothesis.  Raises `MissingPackageError`, an `ImportError`, without it."""
    for module, names in _DRAWN.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
