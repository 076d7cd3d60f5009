"""What is printed, and how functions are called: tables, summaries and signatures, held to approved texts.  See `tests.support.approval`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from attacks import fgsm, jsma
from attacks.report.by_class import Vulnerability
from attacks.report.evaluate import AttackTable, RobustnessCurve, evaluate_attack
from attacks.report.outcomes import Outcomes
from attacks.report.tables import table
from minidl import models
from minidl.train import History
from tests.laws.attacks.test_every_attack import images, network
from tests.support.approval import approve
from tests.support.project import MODULES
from tests.unit.test_figures import CURVE, fooled


def without_times(text: str) -> str:
    """Seconds are other ones each time."""
    return re.sub(r"\d+\.\d+ s\b", "… s", text)


def attacked() -> str:
    x, y = images(0)
    net = network(dtype="float64")
    results = {"fast": fgsm(net, x.astype(float), y, epsilon=0.1), "salient": jsma(net, x.astype(float), y)}
    table = evaluate_attack(results, net)
    return re.sub(r" +\d+\.\d\d\n", " …\n", "\n".join([str(table), *(r.summary() for r in results.values())]) + "\n")


PRINTED: dict[str, Callable[[], str]] = {
    "a table": lambda: table("Title", ["name", "n", "share"], [["a", 3, 0.25], ["longer", 12345, float("nan")], ["c", -1, "-"]]),
    "a table with a head of two lines": lambda: table("Title", ["name", "paper,\nMNIST", "n"], [["a", 0.5, 1]]),
    "an empty table": lambda: table("Title", ["name", "n"], []),
    "attacks": attacked,
    "no attacks": lambda: str(AttackTable(())),
    "a curve": lambda: str(CURVE),
    "an interrupted curve": lambda: str(RobustnessCurve("pgd", np.zeros(0), (1,), np.zeros((1, 0)), True)),
    "outcomes": lambda: str(Outcomes(np.array([0] * 12 + [1, 2, 3, 4, 4]))),
    "no outcomes": lambda: str(Outcomes(np.zeros(0, int))),
    "vulnerability": lambda: str(
        Vulnerability("l2", np.array([4, 2, 0]), np.array([0.5, 1.0, np.nan]), np.array([1.25, 2.0, np.nan]), np.array([1, 2, -1]))),
    "fooling images": lambda: without_times(fooled().summary()),
    "a history": lambda: str(History([0.5, 0.25], [0.75, 1.0], [0.125, 0.0625], [1.0, 12.25])),
    "a history without validation": lambda: str(History([0.5], [0.75], [], [123.456])),
    "summaries of networks": lambda: "\n\n".join(net.summary() for net in (models.mlp(), models.lenet(), models.carlini())),
    "plans of networks": lambda: "\n\n".join(str(net.plan()) for net in (models.mlp(), models.lenet(), models.carlini(), models.madry())),
    "networks": lambda: "\n".join(repr(net) for net in (models.mlp(), models.lenet((1, 16, 16), 3), models.softmax_regression(4, 2))),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_is_as_it_was_approved(name) -> None:
    approve(f"printed/{name}", PRINTED[name]())


def signatures() -> Iterator[str]:
    """What can be called without an underscore: parameters, their kinds, and defaults; of dataclasses, what they promise."""
    for module in MODULES:
        where = module.__name__
        own = {n: v for n, v in vars(module).items() if getattr(v, "__module__", "") == where and n[0] != "_"}
        for name, thing in own.items():
            if isinstance(thing, type):
                promised = getattr(thing, "__dataclass_params__", None)
                flags = f" frozen={promised.frozen} eq={promised.eq} order={promised.order}" if promised else ""
                yield f"{where}.{name}: class{flags}"
                methods = {n: v for n, v in vars(thing).items() if n == "__init__" or n[0] != "_"}
                ours = {n: v for n, v in methods.items() if getattr(v, "__module__", "") != "matplotlib.artist"}
                yield from (f"    {n}{called(v)}" for n, v in ours.items() if inspect.isfunction(v))
            elif inspect.isfunction(thing):
                yield f"{where}.{name}{called(thing)}"


def called(function: Callable[..., object]) -> str:
    """How a function is called, without annotations, which Pythons write differently."""
    signature = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    written = str(signature.replace(parameters=bare, return_annotation=signature.empty))
    return re.sub(r"<(function|class|built-in function) ([\w.<>']+)[^>]*>+", r"<\2>", written)


def test_functions_are_called_as_was_approved() -> None:
    """A parameter that can no longer be named, a changed default, a dataclass that can suddenly be written to."""
    approve("signatures", "\n".join(signatures()))
