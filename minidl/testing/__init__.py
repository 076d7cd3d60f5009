"""The laws every derivative must obey, and wrong rules that they must catch: for use on code of one's own.

from minidl import testing
testing.check_all(my_layer, np.random.default_rng(0).normal(size=(5, 3)))
"""

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
from .mutants import Mutant, line, rule, slope
from .patching import Patch

__all__ = [
    "CAUSES", "LAWS", "check_adjoint", "check_all", "check_differences", "check_float32", "check_linear", "check_modes",
    "check_nested", "check_nested_stacks", "check_plain", "check_rows", "Mutant", "line", "rule", "slope", "Patch",
]  # fmt: skip
