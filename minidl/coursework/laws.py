"""How a student's law is judged: it accepts every correct program (wheat) and catches wrong ones (chaff).

The programs are sealed: a law sees what they do, not what they are called.  One false alarm, and nothing that the law
catches counts, because a law that always fails catches everything.
Source: Wrenn and Krishnamurthi 2019, Executable Examples for Programming Problem Comprehension.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend
from .guarding import InPlaceError, OwnWorkError
from .solving import Solution
from .task import Part, Score

Law = Callable[..., Any]  # raises where a program is wrong


@dataclass(frozen=True)
class Program:
    """A correct or wrong program that laws are tried on.

    name: what it is, or which misconception it shows.
    make: of a random generator: the arguments of the law, without the generator that comes last.  Functions among them
    are sealed.
    shown: whether students are told which one their law let pass.
    backend: whose kernels run.

    >>> import numpy as np
    >>> from minidl.coursework.laws import Program
    >>> Program("twice too large", lambda rng: (lambda x: 4 * x, rng.normal(size=3))).shown
    True
    """

    name: str
    make: Callable[[np.random.Generator], tuple[Any, ...]]
    shown: bool = True
    backend: str = "numpy"


def sealed(function: Callable[..., Any], peeks: list[str]) -> Callable[..., Any]:
    """The function, without its name and text: asking for them is refused, and noted in `peeks`.

    >>> from minidl.coursework.laws import sealed
    >>> sealed(abs, [])(-3)
    3
    """

    class Sealed:
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            watching = sys.getprofile()
            sys.setprofile(None)  # what a program calls is its own affair: only the law is watched
            try:
                return function(*arguments, **options)
            finally:
                sys.setprofile(watching)

        def __getattribute__(self, name: str) -> Any:
            if name == "__class__":
                return type(self)
            peeks.append(name)
            raise AttributeError(name)

        def __repr__(self) -> str:
            return "<a program>"

    Sealed.__qualname__ = Sealed.__name__ = "Program"
    return Sealed()


def judged(law: Law, program: Program, seed: int, name: str = "law") -> Exception | None:
    """What the law raises for a program, None if it accepts it.

    law: of the student.
    program: correct or wrong.
    seed: of the program's arguments and of the law's generator.
    name: of the stub, for messages.

    Raises: `OwnWorkError` for a law that looks at names, and the stub's `NotImplementedError`.
    """
    peeks: list[str] = []
    error: Exception | None = None
    try:
        with backend.use(program.backend):
            made = program.make(np.random.default_rng([seed, 0]))
            arguments = [sealed(each, peeks) if callable(each) else each for each in made]
            returned = law(*arguments, np.random.default_rng([seed, 1]))
        if isinstance(returned, bool | np.bool_):
            raise OwnWorkError(name, "a law that raises AssertionError or returns None", f"return {returned}",
                               "assert …, and no return")  # fmt: skip
    except (OwnWorkError, NotImplementedError):
        raise
    except InPlaceError:
        pass  # it was the program that changed an array, and the law has not noticed
    except Exception as caught:
        error = caught
    if peeks:
        raise OwnWorkError(name, "a law that judges what a program does", f"one that asks for its {peeks[0]}",
                           "call it, and look at what it returns")  # fmt: skip
    return error


def law_part(name: str, points: float, wheats: Sequence[Program], chaffs: Sequence[Program],
             seeds: int = 6) -> Part:  # fmt: skip
    """The part of a law's check: all points for a law that accepts every wheat and catches every chaff.

    name: of the stub.
    points: for all chaffs.
    wheats: correct programs.
    chaffs: wrong ones.
    seeds: how often each is tried; a chaff is caught if one try catches it.
    """

    def check(solution: Solution, seed: int) -> Score:
        law = solution[name]
        for program in wheats:
            for k in range(seeds):
                if (error := judged(law, program, seed + k, name)) is not None:
                    raise AssertionError(_false_alarm(program, seed + k, error)) from error
        more = PRIVATE.get(name, ())
        caught = {p: any(judged(law, p, seed + k, name) is not None for k in range(seeds)) for p in (*chaffs, *more)}
        return Score(sum(caught.values()) / len(caught), _sentence(caught))

    return Part(f"accepts {len(wheats)} correct programs, catches wrong ones", points, check)


#: An instructor's own wrong programs, by the name of the stub; see `grade --chaffs`.
PRIVATE: dict[str, Sequence[Program]] = {}


def _false_alarm(program: Program, seed: int, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}" if str(error) else f"{type(error).__name__}, without a message"
    return (
        f"a false alarm: the law condemns a correct program, {program.name} (seed {seed}): {reason}\n"
        "What it catches does not count until it accepts all of them.  Likely causes: a tolerance without room for "
        "rounding; a law that is true for some functions or shapes only"
    )


def _sentence(caught: dict[Program, bool]) -> str:
    missed = [program for program, is_caught in caught.items() if not is_caught]
    text = f"{sum(caught.values())} of {len(caught)} wrong programs are caught"
    shown = [f"\n    {program.name}" for program in missed if program.shown]
    hidden = len(missed) - len(shown)
    text += ".  Let pass:" + "".join(shown) if shown else ""
    return text + (f"\n    and {hidden} that {'is' if hidden == 1 else 'are'} not shown" if hidden else "")


def caught_by_name(law: Law, programs: Sequence[Program], tries: int) -> dict[str, float]:
    """The share of tries in which a law fails, by the name of the program, of those that are shown: for a picture.

    law: of the student.
    programs: correct and wrong.
    tries: seeds 0 to tries - 1.
    """
    return {p.name: sum(judged(law, p, seed) is not None for seed in range(tries)) / tries for p in programs if p.shown}
