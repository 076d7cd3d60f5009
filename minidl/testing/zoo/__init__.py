"""The zoo: one drawn case per operation, and the laws that are run over all of them.

`CASES[name]` is a strategy of `Case`: a function of one array, a point, and what NumPy says the value should be; `case`
adds another.  `CASE_LAWS[law](case, seed)` is a law over one of them, and `over_the_zoo(law, name)` draws them:

    for law in testing.CASE_LAWS:
        testing.over_the_zoo(law, "matmul")()
"""

from . import elementwise, images, networks, shapes  # noqa: F401  they fill CASES
from .cases import CASE_CAUSES, CASE_LAWS, CASES, Case, case, check_value
from .running import over_the_zoo

__all__ = ["CASES", "CASE_LAWS", "CASE_CAUSES", "Case", "case", "check_value", "over_the_zoo"]
