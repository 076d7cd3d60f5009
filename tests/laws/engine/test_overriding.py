"""Laws of `testing.override`: the real engine takes the rules it is given, within the block and nowhere else."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import conv, fused, grad, layers, linearize, losses, models, ops, plan, testing
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.testing import CASES, Mutant, line, overriding, primitives
from tests.unit.test_threads import pressing

X = np.array([[0.5, -1.25, 2.0], [1.0, 0.25, -0.75]])
A, B = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)


def double(g, y, *arguments, **options):
    """A wrong rule of any elementwise operation."""
    return 2 * g


def slope(f, x=X):
    """The gradient of Σf in x."""
    return grad(lambda x: ops.sum(f(x)), x)


def rules_of(operation) -> tuple:
    primitive = primitives.behind(operation)
    return primitive.forward, primitive.push, primitive.pull


def lenet() -> models.Sequential:
    return models.lenet((1, 16, 16), 3, channels=(2, 3), hidden=4, dtype="float64", seed=1)


def gradients(net) -> dict:
    """Of the loss in the parameters of a LeNet, on four images."""
    x, y = np.random.default_rng(0).normal(size=(4, 1, 16, 16)), np.array([0, 1, 2, 1])
    loss = linearize(lambda params: losses.cross_entropy(net.apply(params, x), y), net.params)
    return loss.vjp(np.ones(()))


#: What LeNet and its loss are made of, with the position of an argument that has a slope there.
OF_LENET = {"conv2d": (conv.conv2d, 1), "max_pool2d": (conv.max_pool2d, 0), "relu": (ops.relu, 0), "add": (ops.add, 1),
            "reshape": (ops.reshape, 0), "matmul": (ops.matmul, 1), "cross_entropy": (losses.cross_entropy, 0)}  # fmt: skip


@pytest.mark.parametrize("name", OF_LENET)
def test_a_real_lenet_runs_through_every_rule(name) -> None:
    """On the compiled kernels, where its layers would be joined: own rules change no bit, others change the gradients."""
    operation, position = OF_LENET[name]
    own = primitives.behind(operation).pull[position]
    with plan.one_by_one():
        expected = gradients(lenet())
    with testing.override(operation, pull={position: own}) as used:
        overridden = gradients(lenet())
    assert used.calls == used.counts[f"pull[{position}]"] > 0
    assert all(np.array_equal(overridden[key], expected[key]) for key in expected)
    with testing.override(operation, pull={position: lambda g, y, *x, **o: own(g, y, *x, **o) * 2}):
        overridden = gradients(lenet())
    assert any(not np.array_equal(overridden[key], expected[key]) for key in expected)


@given(data=st.data())
@pytest.mark.parametrize("name", ["matmul", "gram"])
def test_rules_written_by_a_student_pass_all_laws(name, data) -> None:
    swap = lambda x: ops.swapaxes(x, -1, -2)
    pull = lambda g, y, a, b: g @ swap(b), lambda g, y, a, b: swap(a) @ g
    push = {0: lambda t, y, a, b: t @ b, 1: lambda t, y, a, b: a @ t}
    case, seed = data.draw(CASES[name]), data.draw(st.integers(0, 99))
    with testing.override(ops.matmul, push=push, pull=pull):
        for law in testing.CASE_LAWS.values():
            law(case, seed)


def test_a_wrong_rule_breaks_the_laws_and_only_within_the_block() -> None:
    for direction in ("push", "pull"):
        with testing.override(ops.tanh, **{direction: double}), pytest.raises(AssertionError, match="adjoint"):
            testing.check_all(ops.tanh, X)
        testing.check_all(ops.tanh, X)
    with testing.override(ops.tanh, forward=np.sinh), pytest.raises(AssertionError, match="differences"):
        testing.check_all(ops.tanh, X)
    assert np.array_equal(ops.tanh(X), np.tanh(X))


def test_one_argument_or_several() -> None:
    three, five = np.full_like(X, 3), np.full_like(X, 5)
    both = lambda x: ops.multiply(x, three) + ops.multiply(five, x)
    for pull, expected in (
        ({0: double}, 2 + 5), ({1: double}, 3 + 2), ((double, None), 2 + 5), ([None, double], 3 + 2), ((double, double), 4)
    ):  # fmt: skip
        with testing.override(ops.multiply, pull=pull):
            np.testing.assert_array_equal(slope(both), expected)
    with testing.override(ops.where, pull={2: double}):
        np.testing.assert_array_equal(slope(lambda x: ops.where(x > 0, 0.0, x)), 2)
    with testing.override(
        ops.concatenate, pull={1: lambda g, y, a, b, axis: b * 7}
    ):  # it takes any number of arguments
        np.testing.assert_array_equal(slope(lambda x: ops.concatenate([x, x])), 1 + 7 * X)


def test_several_operations_at_once() -> None:
    five = lambda g, y, x: 5 * g
    with testing.override(ops.tanh, pull=double), testing.override(ops.exp, pull=five):
        np.testing.assert_array_equal(slope(ops.tanh), 2)
        np.testing.assert_array_equal(slope(ops.exp), 5)
        np.testing.assert_array_equal(slope(ops.sin), np.cos(X))


def test_what_has_ended_stays_so_also_where_it_was_handed_on() -> None:
    """To a task that was started within the block, which sees the override as long as that is open."""
    with testing.override(ops.tanh, pull=double) as ended:
        task = copy_context()
        np.testing.assert_array_equal(task.run(slope, ops.tanh), 2)
    with testing.override(ops.tanh, push=double):  # which has its rules looked up again
        for run in (slope, partial(task.run, slope)):
            np.testing.assert_allclose(run(ops.tanh), 1 - np.tanh(X) ** 2)
    assert ended.calls == 1
    assert not ended.holds
    assert overriding._active.get() == ()


def test_of_several_the_innermost_counts_and_can_call_the_one_it_replaced() -> None:
    pull = primitives.behind(ops.tanh)
    plus = lambda g, y, x: pull.pull[0](g, y, x) + 1  # looked up while it runs: what it replaced
    with testing.override(ops.tanh, pull=double) as outer, testing.override(ops.tanh, push=double) as other:
        np.testing.assert_array_equal(slope(ops.tanh), 2)
        with testing.override(ops.tanh, pull=plus) as inner:
            np.testing.assert_array_equal(slope(ops.tanh), 2 + 1)
        np.testing.assert_array_equal(slope(ops.tanh), 2)
    assert (outer.calls, other.calls, inner.calls) == (3, 0, 1)
    with testing.override(ops.tanh, forward=lambda x: 3 * ops.tanh(x)):
        np.testing.assert_array_equal(ops.tanh(X), 3 * np.tanh(X))
    with testing.override(ops.tanh, forward=lambda x: 3 * ops.tanh(x), pull=double):
        assert slope(lambda x: ops.tanh(x) * ops.stop_gradient(ops.tanh(x)))[0, 0] == 2 * 3 * np.tanh(X)[0, 0]


def test_what_was_there_is_put_back_whatever_happens_in_the_block() -> None:
    before, joined = rules_of(ops.matmul), plan.joining()
    with testing.override(ops.matmul, forward=np.dot, push={0: double}, pull={1: double}):
        assert all(a is not b for a, b in zip(before, rules_of(ops.matmul)))
        assert not plan.joining()
    for error in (ValueError, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(error), testing.override(ops.matmul, pull={0: double}):
            raise error
    assert all(a is b for a, b in zip(before, rules_of(ops.matmul), strict=True))
    assert plan.joining() == joined


def test_blocks_may_end_in_any_order() -> None:
    def waiting(rule):
        with testing.override(ops.tanh, pull=rule):
            yield

    before, joined = rules_of(ops.tanh), plan.joining()
    first, second = waiting(double), waiting(lambda g, y, x: 5 * g)
    next(first), next(second)
    np.testing.assert_array_equal(slope(ops.tanh), 5)
    first.close()  # the outer one
    np.testing.assert_array_equal(slope(ops.tanh), 5)
    assert not plan.joining()
    second.close()
    np.testing.assert_allclose(slope(ops.tanh), 1 - np.tanh(X) ** 2)
    assert all(a is b for a, b in zip(before, rules_of(ops.tanh), strict=True))
    assert plan.joining() == joined


def test_ctrl_c_at_any_line_leaves_the_engine_as_it_was() -> None:
    before, number, there = rules_of(ops.tanh), 0, True
    functions = (overriding._holding.__wrapped__, overriding._take, overriding._give_back)
    inside = np.full_like(X, 2)

    def work() -> None:
        with testing.override(ops.tanh, pull=double):
            assert np.array_equal(slope(ops.tanh), inside)

    while there:
        number += 1
        _, there = pressing(functions, [number], work)
        assert all(a is b for a, b in zip(before, rules_of(ops.tanh), strict=True)), number
        assert not overriding._held
        assert not overriding._active.get()
    assert number > 12
    np.testing.assert_allclose(slope(ops.tanh), 1 - np.tanh(X) ** 2)


def test_other_threads_have_the_engines_rules_or_overrides_of_their_own() -> None:
    gradients_by_thread, meet = {}, threading.Barrier(3, timeout=30)

    def work(name, rule) -> None:
        meet.wait()
        with ExitStack() as stack:
            if rule is not None:
                stack.enter_context(testing.override(ops.tanh, pull=rule))
            meet.wait()  # all blocks are open
            gradients_by_thread[name] = slope(ops.tanh)
            meet.wait()
        gradients_by_thread[name, "after"] = slope(ops.tanh)

    before = rules_of(ops.tanh)
    threads = [
        threading.Thread(target=work, args=pair)
        for pair in {"a": double, "b": lambda g, y, x: 5 * g, "c": None}.items()
    ]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    right = 1 - np.tanh(X) ** 2
    for name, expected in {"a": 2, "b": 5, "c": right, ("a", "after"): right, ("b", "after"): right}.items():
        np.testing.assert_allclose(gradients_by_thread[name], np.broadcast_to(expected, X.shape))
    assert all(a is b for a, b in zip(before, rules_of(ops.tanh), strict=True))


def test_walks_take_the_rules_of_the_moment() -> None:
    """A record made within the block is walked by the engine's rules after it, and the other way round."""
    outside = linearize(ops.tanh, X)
    with testing.override(ops.tanh, pull=double) as used:
        within = linearize(ops.tanh, X)
        np.testing.assert_array_equal(outside.vjp(np.ones_like(X)), 2)
    assert not np.array_equal(within.vjp(np.ones_like(X)), np.full_like(X, 2))
    assert used.counts == {"pull[0]": 1}
    assert repr(used) == "<override of tanh; calls: pull[0]: 1>"


def test_rules_that_return_something_else_are_reported() -> None:
    cases = [
        (
            lambda g, y, x: None,
            DTypeError,
            r"pull\[0\] of tanh: expected a rule that returns an array, got NoneType. Fix: end the rule with return",
        ),
        (lambda g, y, x: ops.sum(g), ShapeError, r"pull\[0\] of tanh: expected Jᵀ·g of shape \(2, 3\), got \(\)$"),
        (lambda g, y, x: g[None], ShapeError, r"got \(1, 2, 3\). Fix: sum over the axes that are too many"),
    ]
    for rule, error, message in cases:
        with testing.override(ops.tanh, pull=rule), pytest.raises(error, match=message):
            linearize(ops.tanh, X).vjp(X)
    with (
        testing.override(ops.matmul, push={1: lambda t, y, a, b: t}),
        pytest.raises(ShapeError, match=r"J·t of shape \(5, 2, 4\), got \(5, 3, 4\)"),
    ):
        linearize(lambda b: ops.matmul(A, b), B).jvp(np.ones((5, *B.shape)))


#: What cannot have an effect, or is no rule: the call, the error, and a part of what it says.
REFUSED = {
    "nothing": (lambda: testing.override(ops.tanh), RangeError, "a rule to put in the place"),
    "nothing for any argument": (lambda: testing.override(ops.matmul, pull=(None, None)), RangeError, "a rule to put in the place"),
    "composed": (lambda: testing.override(ops.mean, pull=double), DTypeError, "take what it is composed of, ops.sum for one"),
    "without a derivative": (lambda: testing.override(ops.stop_gradient, pull=double), DTypeError, "stop_gradient, which has none"),
    "a NumPy function": (lambda: testing.override(np.tanh, pull=double), DTypeError, "take ops.tanh"),
    "a layer": (lambda: testing.override(layers.ReLU(), pull=double), DTypeError, "take ops.relu"),
    "a class of layers": (lambda: testing.override(layers.Dense, pull=double), DTypeError, "got Dense"),
    "a function of one's own": (lambda: testing.override(lambda x: x, pull=double), DTypeError, "got <lambda>"),
    "joined layers": (lambda: testing.override(fused.activate, pull={0: double}), DTypeError, "only joined layers use"),
    "an argument without a rule": (lambda: testing.override(ops.where, pull={0: double}), RangeError, r"has a rule: \[1, 2\]"),
    "an argument that is not there": (lambda: testing.override(ops.tanh, push={1: double}), RangeError, "got 1"),
    "no position": (lambda: testing.override(ops.tanh, push={"x": double}), RangeError, "got 'x'"),
    "one rule for two arguments": (lambda: testing.override(ops.matmul, pull=double), DTypeError, r"pull=\{0: rule\}"),
    "one rule for any number": (lambda: testing.override(ops.concatenate, pull=double), DTypeError, "any number of"),
    "too few rules": (lambda: testing.override(ops.matmul, pull=(double,)), RangeError, "for each of 2 arguments"),
    "no rules": (lambda: testing.override(ops.tanh, pull=3), DTypeError, "a function, a tuple or a dict"),
    "no function": (lambda: testing.override(ops.tanh, pull=(3,)), DTypeError, "got int"),
    "y is forgotten": (lambda: testing.override(ops.tanh, pull=lambda g, x: g), DTypeError, r"function of \(g, y, x0\), got \(g, x\)"),
    "y is forgotten, of two": (lambda: testing.override(ops.matmul, push={1: lambda t, a, b: t}), DTypeError, r"of \(t, y, x0, x1\)"),
    "forward is no function": (lambda: testing.override(ops.tanh, forward=3), DTypeError, "forward as a function"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_overrides_without_effect_raise_an_error_with_a_fix(name) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, MinidlError)


def test_every_operation_with_rules_is_found_by_its_public_name() -> None:
    """So that a function added to the engine can be overridden without being put into any list."""
    for module in (ops, conv, losses):
        for name, primitive in vars(module).items():
            public = getattr(module, name.removeprefix("_"), None)
            if isinstance(primitive, ops.Primitive) and callable(public):
                assert primitives.behind(public) is primitive, name


def tidy(law):
    """The law, after which the engine is as it was, whatever a mutant leaves; rules that go round in circles break it."""

    def run() -> None:
        rules = [primitives.behind(operation) for operation in (ops.tanh, ops.matmul)]
        before = [(p, name, getattr(p, name)) for p in rules for name in ("forward", "push", "pull")]
        try:
            law()
        except RecursionError as error:
            raise AssertionError("a rule that calls itself") from error
        finally:
            overriding._held.clear(), overriding._active.set(()), plan._apart.set(0)
            for primitive, name, value in before:
                setattr(primitive, name, value)

    return run


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("override: joined layers stay joined", line(overriding, "_holding", "with plan.one_by_one():", "if True:"), lambda: test_a_real_lenet_runs_through_every_rule("relu"), "numba"),
    Mutant("override: the outermost counts", line(overriding, "_rule", "reversed(_active.get())", "_active.get()"), test_of_several_the_innermost_counts_and_can_call_the_one_it_replaced),
    Mutant("override: a rule that calls itself", line(overriding, "_rule", " and (used, key) not in _running.get()", ""), tidy(test_of_several_the_innermost_counts_and_can_call_the_one_it_replaced)),
    Mutant("override: the rule of the first argument for all", line(overriding._LookedUp, "__getitem__", "(self.direction, position)", "(self.direction, 0)"), test_one_argument_or_several),
    Mutant("override: of every primitive", line(overriding, "_rule", "used.primitive is primitive and", ""), test_several_operations_at_once),
    Mutant("override: the first to leave takes all with it", line(overriding, "_give_back", "if not holders:", "if True:"), test_blocks_may_end_in_any_order),
    Mutant("override: never put back", line(overriding, "_give_back", "setattr(used.primitive, name, value)", "pass"), tidy(test_what_was_there_is_put_back_whatever_happens_in_the_block)),
    Mutant("override: on again with the next one", line(overriding, "_rule", "and used.holds", ""), tidy(test_what_has_ended_stays_so_also_where_it_was_handed_on)),
    Mutant("override: never forgotten", line(overriding, "_give_back", "if other is not used", ""), tidy(test_what_has_ended_stays_so_also_where_it_was_handed_on)),
    Mutant("override: Ctrl-C while it is put back", line(overriding, "_holding", "_give_back(used)  # once more, for a Ctrl-C in the first", "pass"), tidy(test_ctrl_c_at_any_line_leaves_the_engine_as_it_was)),
    Mutant("override: not counted", line(overriding, "_watched", "used.counts[name] += 1", "pass"), test_walks_take_the_rules_of_the_moment),
    Mutant("override: the shape of a tangent for that of a cotangent", line(overriding, "_check_shape", 'if direction == "push" else (y, x)', 'if direction == "pull" else (y, x)'), test_rules_that_return_something_else_are_reported),
    Mutant("override: shapes are not checked", line(overriding, "_check_shape", "if returned != expected:", "if False:"), test_rules_that_return_something_else_are_reported),
    Mutant("override: of joined layers", line(overriding, "override", "if primitive in vars(fused).values():", "if False:"), lambda: test_overrides_without_effect_raise_an_error_with_a_fix("joined layers")),
    Mutant("override: of an argument without a rule", line(overriding, "_by_position", "position not in there", "False"), lambda: test_overrides_without_effect_raise_an_error_with_a_fix("an argument without a rule")),
    Mutant("override: rules of too few arguments", line(overriding, "_function", "len(placed) < least", "False"), lambda: test_overrides_without_effect_raise_an_error_with_a_fix("y is forgotten, of two")),
    Mutant("override: rules for some of the arguments", line(overriding, "_by_position", "len(given) != number", "False"), lambda: test_overrides_without_effect_raise_an_error_with_a_fix("too few rules")),
]
# fmt: on
