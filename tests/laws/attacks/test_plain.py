"""Every attack has a plain twin in `attacks.plain`, short, of its own, and bound to it by a law."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from importlib import import_module

import pytest

import attacks
from attacks import plain
from tests.laws.attacks import (
    test_deepfool,
    test_jsma,
    test_plain_by_chance,
    test_plain_with_gradients,
    test_substitute,
    test_tree_attack,
)
from tests.laws.attacks.every_attack import covered

#: The law that binds each attack to its twin.
LAWS = {
    "fgsm": test_plain_with_gradients.test_fgsm,
    "bim": test_plain_with_gradients.test_bim,
    "least_likely": test_plain_with_gradients.test_least_likely,
    "pgd": test_plain_by_chance.test_pgd,
    "jsma": test_jsma.test_it_is_the_papers_algorithm,
    "deepfool": test_deepfool.test_it_is_the_papers_algorithm,
    "lbfgs": test_plain_with_gradients.test_lbfgs,
    "cw_l2": test_plain_with_gradients.test_cw_l2,
    "cw_l0": test_plain_with_gradients.test_cw_l0,
    "cw_linf": test_plain_with_gradients.test_cw_linf,
    "square": test_plain_by_chance.test_square,
    "apgd": test_plain_by_chance.test_apgd,
    "few_pixel": test_plain_by_chance.test_few_pixel,
    "hopskipjump": test_plain_by_chance.test_hopskipjump,
    "substitute": test_substitute.test_it_is_the_plain_one,
    "svm_step": test_plain_with_gradients.test_svm_step,
    "tree_attack": test_tree_attack.test_it_is_the_plain_one,
    "fool_direct": test_plain_by_chance.test_fool_direct,
    "fool_cppn": test_plain_by_chance.test_fool_cppn,
    "fool_gradient": test_plain_by_chance.test_fool_gradient,
}


def names_of_attacks() -> set[str]:
    """All that a law knows to be there, but adversaries, and the random control of fgsm."""
    of_networks = {name for name in covered() if not name.endswith("Adversary")} - {"sign_noise"}
    return of_networks | {"substitute", "tree_attack"}


def test_every_attack_has_a_plain_twin_and_a_law() -> None:
    assert names_of_attacks() == LAWS.keys() == set(plain.__all__) - {"one"}
    for name in LAWS:
        assert f"`plain.{name}`" in getattr(attacks, name).__doc__, f"{name} does not say where to read it first"
        assert getattr(plain, name) is not getattr(attacks, name)


def lines_of(function) -> int:
    """Lines of code, the signature's included; docstrings, blank lines and those with nothing but a comment are not."""
    source = inspect.getsource(function)
    tree = ast.parse(source).body[0]
    without = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            without |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(1 for n, line in lines if n not in without and line.strip() and not line.strip().startswith("#"))


PAGES = [import_module(f"attacks.plain.{module.name}") for module in pkgutil.iter_modules(plain.__path__)]
FUNCTIONS = {
    f"{page.__name__.rpartition('.')[2]}.{name}": function
    for page in PAGES
    for name, function in vars(page).items()
    if inspect.isfunction(function) and function.__module__ == page.__name__
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twenty_five_lines_are_enough(name) -> None:
    assert lines_of(FUNCTIONS[name]) <= 25


def test_plain_loops_lean_on_nothing_of_the_fast_ones() -> None:
    """They import the engine, NumPy, and each other."""
    for page in PAGES:
        for node in ast.walk(ast.parse(inspect.getsource(page))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{page.__name__} imports from {'.' * node.level}{node.module or ''}"
                assert (node.module or "").partition(".")[0] != "attacks"
