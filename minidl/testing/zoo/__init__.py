"""The zoo: one drawn case for each operation, and the laws that are checked for all of them.

`CASES[name]` is a strategy of `Case`: a function of one array, a point, and the value that NumPy computes.  `case` adds
another.  `CASE_LAWS[law](case, seed)` checks a law for one case, and `over_the_zoo(law, name)` draws cases:

    for law in testing.CASE_LAWS:
        testing.over_the_zoo(law, "matmul")()

Reading order:
    cases          `Case`, `CASES` and `CASE_LAWS`
    elementwise    cases of elementwise operations
    shapes         of operations that change shapes, reduce, index, join and multiply
    images         of convolution, pooling and fused operations
    networks       of losses and layers
    running        `over_the_zoo`
"""

from . import elementwise, images, networks, shapes  # noqa: F401  they fill CASES
from .cases import CASE_CAUSES, CASE_LAWS, CASES, Case, case, check_value
from .running import over_the_zoo

__all__ = ["CASES", "CASE_LAWS", "CASE_CAUSES", "Case", "case", "check_value", "over_the_zoo"]
