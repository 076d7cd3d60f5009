"""Parameters of attacks out of range, and those that are just in it."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.common import checks
from attacks.common.checks import check_number
from minidl.errors import RangeError
from minidl.testing import Mutant, line


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.25), np.int64(1)])
def test_numbers_come_back_as_floats(value) -> None:
    number = check_number("pgd", "a step", value, most=1)
    assert number == value
    assert type(number) is float


@pytest.mark.parametrize("value", [None, "1", True, np.ones(1), 1j, float("nan"), float("inf"), -1e-9, 2])
def test_others_raise_an_error_that_names_the_attack(value) -> None:
    with pytest.raises(RangeError) as refused:
        check_number("pgd", "a step from 0 to 1", value, most=1)
    assert (refused.value.expected, refused.value.got) == ("a step from 0 to 1", repr(value))


def test_infinity_is_no_number() -> None:
    with pytest.raises(RangeError, match="inf"):
        check_number("cw_l2", "lr above 0", float("inf"), but=0)


def test_one_number_may_be_left_out() -> None:
    assert check_number("jsma", "theta", -1, least=-1, most=1, but=0) == -1
    with pytest.raises(RangeError, match="theta"):
        check_number("jsma", "theta", 0.0, least=-1, most=1, but=0)


# fmt: off
MUTANTS = [
    Mutant("checks: booleans are numbers", line(checks, "check_number", "not isinstance(value, bool)", "True"), lambda: test_others_raise_an_error_that_names_the_attack(True)),
    Mutant("checks: without end", line(checks, "check_number", "math.isfinite(value)", "True"), test_infinity_is_no_number),
    Mutant("checks: below the least", line(checks, "check_number", "least <= float(value)", "float(value)"), lambda: test_others_raise_an_error_that_names_the_attack(-1e-9)),
    Mutant("checks: the least itself", line(checks, "check_number", "least <= float(value)", "least < float(value)"), lambda: test_numbers_come_back_as_floats(0)),
    Mutant("checks: nothing is left out", line(checks, "check_number", "value == but", "False"), test_one_number_may_be_left_out),
]
# fmt: on
