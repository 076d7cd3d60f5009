"""A law over drawn cases, as a function of nothing: for planted mutants, notebooks and scripts."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import Phase, given, settings

from ..drawing import st
from ..messages import explain
from .cases import CASE_CAUSES, CASE_LAWS, CASES, CHECKS, Case


def over_the_zoo(law: str, case: str, examples: int = 100) -> Callable[[], None]:
    """A function that draws cases and raises `AssertionError` at the first that breaks the law, with the likely causes.

    law: one of `CASE_LAWS`.
    case: one of `CASES`.
    examples: how many to draw.

    >>> from minidl import testing
    >>> testing.over_the_zoo("adjoint", "matmul", examples=5)()
    """

    # No shrinking: a failure is enough.
    @settings(max_examples=examples, phases=[Phase.generate], deadline=None)
    @given(drawn=CASES[case], seed=st.integers(0, 2**32 - 1))
    def run(drawn: Case, seed: int) -> None:
        try:
            CASE_LAWS[law](drawn, seed)
        except Exception as error:
            explain(error, law, repr(drawn), (CHECKS[law].__doc__ or "").partition("\n")[0], CASE_CAUSES)
            raise

    run.__name__ = f"{law}[{case}]"
    return run
