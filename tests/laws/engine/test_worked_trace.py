"""The worked trace in the docstring of `core` is what happens, number by number; and rules are changed one by one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minidl import core, grad, hvp, linearize, ops, testing
from minidl.core import Node, elementwise
from minidl.testing import Mutant, line

FIVE, ONE = np.array(5.0), np.array(1.0)


def f(x):
    return x * x * x


def rows(table: int) -> list[list[str]]:
    """The rows of one of the tables in the docstring, cell by cell."""
    lines = re.findall(r"^    (\d  \S.*)$", core.__doc__, re.MULTILINE)
    first = [i for i, row in enumerate(lines) if row.startswith("0")] + [len(lines)]
    return [re.split(r"  +", row) for row in lines[first[table] : first[table + 1]]]


def last_number(cell: str) -> float:
    return float(re.findall(r"\d+", cell)[-1])


@pytest.fixture
def pulled(monkeypatch) -> dict[int, list[float]]:
    """What was pulled back to each node, by its index, in the last walk."""
    numbers: dict[int, list[float]] = {}
    pull = Node.pull

    def spied(node, position, g):
        g = pull(node, position, g)
        numbers.setdefault(dict(node.parents)[position], []).append(float(core.unbox(g)))
        return g

    monkeypatch.setattr(Node, "pull", spied)
    return numbers


def test_every_sum_in_the_trace_is_right() -> None:
    sums = re.findall(r"(\d+(?: \+ \d+|·\d+)+) = (\d+)", core.__doc__)
    assert len(sums) == 8
    for left, right in sums:
        assert eval(left.replace("·", "*")) == int(right), left
    assert "f'(5) = 3·5² = 75" in core.__doc__
    assert "f''(5) = 6·5 = 30" in core.__doc__


def test_both_walks_of_the_first_table(pulled) -> None:
    lin, table = linearize(f, FIVE), rows(0)
    assert [(node.primitive.name, float(node.output)) for node in lin._nodes] == [
        ("input", 5), ("multiply", 25), ("multiply", 125)]  # fmt: skip
    assert [float(value) for _, _, value, *_ in table] == [float(node.output) for node in lin._nodes]
    tangents = [ONE]
    assert core.jacobian_vector_product(lin._nodes, 2, tangents) == lin.jvp(ONE) == 75
    assert [last_number(forward) for *_, forward, _ in table] == tangents == [1, 10, 75]
    assert core.vector_jacobian_product(lin._nodes, 2, ONE, inputs=1) == [75]
    assert pulled == {1: [5], 0: [25, 25, 25]}
    assert [back for *_, back in table] == ["g₀ = 25 + 5·5 + 5·5 = 75", "g₁ = 1·5 = 5, and 1·25 = 25 for g₀", "g₂ = 1"]


def test_the_second_table_is_the_gradient_of_the_gradient(pulled) -> None:
    outer, table = linearize(lambda x: grad(f, x), FIVE), rows(1)
    assert [float(value) for _, _, value, *_ in table] == [float(node.output) for node in outer._nodes]
    letters = re.findall(r"\w+(?='? = )", " ".join(name for _, name, *_ in table))
    assert letters == ["u", "y", "a", "b", "c", "d", "e", "f"]
    pulled.clear()
    assert outer.vjp(ONE) == grad(lambda x: grad(f, x), FIVE) == hvp(f, FIVE, ONE) == 30
    pulled.clear()
    outer.vjp(ONE)
    assert pulled == {7: [1], 6: [1], 5: [1], 4: [1], 3: [5, 5], 1: [1], 0: [5, 5, 10, 5, 5]}
    for index, _, _, back, *_ in table[:-1]:
        assert sum(pulled.get(int(index), [])) == (0 if back.startswith("none") else last_number(back))


def test_every_input_has_its_cotangent() -> None:
    """And an output that is one of them has its tangent."""
    x = {"a": ONE, "b": FIVE, "c": ONE}
    first = linearize(lambda x: x["a"], x)
    assert first.jvp({"a": FIVE, "b": ONE, "c": ONE}) == 5
    assert first.vjp(FIVE) == {"a": 5, "b": 0, "c": 0}
    assert linearize(lambda x: x["a"] * x["c"], x).vjp(FIVE) == {"a": 5, "b": 0, "c": 5}


def test_push_and_pull_are_changed_one_by_one(monkeypatch) -> None:
    """A wrong pull beside a right push is what the adjoint law is there to find."""
    x = np.array([0.5, -1.0])
    for primitive in (ops.tanh, elementwise("twice", lambda x: 2 * x, 2)):
        assert isinstance(primitive.push, tuple)
        assert isinstance(primitive.pull, tuple)
        assert primitive.push is not primitive.pull
    testing.check_adjoint(ops.tanh, x)
    monkeypatch.setattr(ops.tanh, "pull", (lambda g, y, x: 2 * g,))
    with pytest.raises(AssertionError, match="adjoint"):
        testing.check_adjoint(ops.tanh, x)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("rules: one list for both walks", line(core.Primitive, "__init__", "tuple(each) if isinstance(each, list) else each", "each"), test_push_and_pull_are_changed_one_by_one),
    Mutant("walk back: through the inputs, too", line(core, "vector_jacobian_product", "range(output, inputs - 1, -1)", "range(output, -1, -1)"), test_every_input_has_its_cotangent),
    Mutant("forward walk: the last input only", line(core, "jacobian_vector_product", "return tangents[output]", "return tangents[-1]"), test_every_input_has_its_cotangent),
]
# fmt: on
