"""How rules are judged: by the laws of derivatives, over drawn cases, in the real engine; never by a stored answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import hypothesis
import numpy as np

from .. import core, layers, linearize, losses
from ..errors import RangeError
from ..models import Sequential
from ..testing.drawing import st
from ..testing.messages import explain
from ..testing.zoo.cases import CASE_CAUSES, CASE_LAWS, CHECKS, Case
from .guarding import InPlaceError, OwnWorkError
from .networks import digits
from .solving import Solution
from .task import SMALLEST, Part

Cases = Callable[[Solution], st.SearchStrategy[Case]]
Around = Callable[[Solution], AbstractContextManager[Any]]  # puts the student's rules into the engine

#: What differentiates a function, which is what a rule is to replace: forbidden in rules.
DIFFERENTIATION = (core.linearize, core.jacobian_vector_product, core.vector_jacobian_product)

#: Of the laws of `CASE_LAWS`, for the student.
NAMES = {
    "value": "the value",
    "differences": "push-forward against differences",
    "adjoint": "pull-back is the transpose of push-forward",
    "stacked": "stacks of tangents",
    "linear": "linear in tangent and cotangent",
    "modes": "both Jacobians agree",
    "nested": "the derivative has a derivative",
    "nested stacks": "stacks have derivatives",
    "plain": "nothing is changed in place",
    "float32": "float32 stays float32",
}


def drawn(check: Callable[..., None], seed: int, examples: int = 40, /, **strategies: Any) -> None:
    """Run a check over drawn cases; what it raises is the error of the smallest case that fails.

    check: of the drawn arguments, by name.
    seed: of the draws.
    examples: how many to draw.
    strategies: Hypothesis's, by the name of the argument.

    >>> from minidl.coursework.rules import drawn, st
    >>> drawn(lambda n: None, 1, n=st.integers())
    """

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=examples, deadline=None, database=None, derandomize=False,
                         report_multiple_bugs=False, suppress_health_check=list(hypothesis.HealthCheck),
                         phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])  # fmt: skip
    @hypothesis.given(**strategies)
    def run(**arguments: Any) -> None:
        try:
            check(**arguments)
        except AssertionError as error:
            if not getattr(error, "__notes__", []) and not isinstance(error, InPlaceError):
                error.add_note(SMALLEST + ", ".join(f"{name} = {value!r}" for name, value in arguments.items()))
            raise

    run()


def rule_parts(cases: Cases, points: dict[str, float], around: Around | None = None) -> tuple[Part, ...]:
    """A part for each law that the cases have to obey.

    cases: of the solution: drawn functions that use it, with points and with the same function in NumPy.
    points: by the name of the law, those of `CASE_LAWS`.
    around: a context in which the engine uses the solution, for overrides.
    """
    return tuple(Part(NAMES[law], worth, partial(_obeys, law, cases, around)) for law, worth in points.items())


def _obeys(law: str, cases: Cases, around: Around | None, solution: Solution, seed: int) -> None:
    def check(case: Case, direction: int) -> None:
        try:
            CASE_LAWS[law](case, direction)
        except (InPlaceError, OwnWorkError):
            raise
        except (AssertionError, ValueError) as error:
            explain(error, law, repr(case), (CHECKS[law].__doc__ or "").partition("\n")[0], CASE_CAUSES)
            raise

    with around(solution) if around else nullcontext():
        drawn(check, seed, case=cases(solution), direction=st.integers(0, 2**31))


def trains_lenet(around: Around, points: float = 1, steps: int = 6) -> Part:
    """A part: a LeNet takes its steps with the student's rules, and arrives where it arrives with the engine's own.

    around: a context in which the engine uses the solution.
    points: of the part.
    steps: of gradient descent, on 16 digits each.
    """

    def check(solution: Solution, seed: int) -> None:
        expected = _trained(seed, steps)
        with around(solution):
            params = _trained(seed, steps)
        for name, w in params.items():
            difference = float(np.abs(w - expected[name]).max())
            if not difference <= 1e-8:
                raise AssertionError(
                    f"LeNet, after {steps} steps: {name} of shape {w.shape} is off by {difference:.3g}; allowed 1e-8. "
                    "Likely causes: a rule that is right for the shapes of the other parts only, such as for one image"
                )

    return Part("a LeNet trains with it", points, check)


def _trained(seed: int, steps: int) -> dict[str, np.ndarray]:
    net = Sequential(
        layers.Conv2d(3, 3), layers.MaxPool2d(2), layers.ReLU(), layers.Flatten(), layers.Dense(16), layers.ReLU(),
        layers.Dense(10), input_shape=(1, 14, 14), seed=seed % 2**31, dtype="float64",
    )  # fmt: skip
    images = digits()
    for step in range(steps):
        x, y = (a[step * 16 : step * 16 + 16] for a in (images.train.x.astype(np.float64), images.train.y))
        loss = linearize(lambda params, x=x, y=y: losses.cross_entropy(net.apply(params, x), y), net.params)
        gradients = loss.vjp(np.ones(()))
        for name, w in net.params.items():
            w -= 0.5 * gradients[name]
    return net.params


def close(what: str, actual: Any, expected: Any, tolerance: float = 1e-8) -> None:
    """Raise `AssertionError`, with both numbers and the place, unless two arrays agree.

    what: is compared, to begin the message with.
    actual, expected: arrays, or numbers.
    tolerance: for the greatest difference, as a part of 1 + the greatest of |expected|.

    >>> from minidl.coursework.rules import close
    >>> close("the velocity", 0.5, 0.5)
    """
    from ..testing.messages import close as compare

    if not hasattr(actual, "shape") and not isinstance(actual, int | float):
        raise RangeError(what, "an array", type(actual).__name__, "end the function with return")
    compare(what, actual, expected, tolerance)
