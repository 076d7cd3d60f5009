"""Laws of oracles: labels only, each query counted before it is made, and none beyond the budget."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.black_box.oracle
from attacks import BudgetError, Oracle, Untargeted, Victim, few_pixel, fgsm, hopskipjump, pgd, sign_noise, square
from minidl.errors import DTypeError, MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network

seeds = st.integers(0, 2**32 - 1)


class Asked:
    """A function from images to labels that counts the images that it gets, and remembers how many at a time."""

    def __init__(self, classes: int = 5) -> None:
        self.net, self.sizes, self.classes = network(), [], classes

    def __call__(self, x):
        self.sizes.append(len(x))
        return self.net(x).argmax(axis=1) % self.classes


@given(seed=seeds, size=st.integers(1, 9), count=st.integers(0, 7))
def test_it_returns_the_labels_and_counts_them(seed, size, count) -> None:
    asked, (x, _) = Asked(), images(seed)
    oracle = Oracle(asked, classes=5, batch_size=size)
    labels = oracle.predict(x[:count])
    np.testing.assert_array_equal(labels, network()(x[:count]).argmax(axis=1))
    assert labels.dtype == np.int64
    assert sum(asked.sizes) == oracle.queries == oracle.forwards == count
    assert all(0 < n <= size for n in asked.sizes)
    assert oracle.left == float("inf")


def test_logits_are_labels_only() -> None:
    x, _ = images(0)
    oracle = Oracle(Asked(), classes=6)
    logits = oracle.logits(x)
    assert (logits.shape, logits.dtype, oracle.queries) == ((7, 6), np.float32, 7)
    np.testing.assert_array_equal(np.sort(logits, axis=1), [[0, 0, 0, 0, 0, 1]] * 7)
    np.testing.assert_array_equal(logits.argmax(axis=1), network()(x).argmax(axis=1))


def test_it_has_no_gradient() -> None:
    x, _ = images(0)
    for attack in (fgsm, pgd):
        with pytest.raises(DTypeError, match="no gradient.*hopskipjump"):
            attack(Oracle(Asked(), classes=5), x, network()(x).argmax(axis=1))


@pytest.mark.parametrize("attack", [sign_noise, hopskipjump,
                                    lambda *a: square(*a, queries=10, epsilon=0.3),
                                    lambda *a: few_pixel(*a, population=5, generations=2)])  # fmt: skip
def test_attacks_without_gradients_take_it_and_every_query_is_counted(attack) -> None:
    (x, y), asked = images(1), Asked()
    oracle = Oracle(asked, classes=5)
    result = attack(oracle, x, y)
    assert result.forwards == oracle.queries == sum(asked.sizes) > 0
    np.testing.assert_array_equal(result.success, network()(result.x_adv).argmax(axis=1) != y)


@given(seed=seeds, budget=st.integers(0, 20), size=st.integers(1, 4))
def test_the_budget_is_never_exceeded(seed, budget, size) -> None:
    asked, (x, _), rng = Asked(), images(seed), np.random.default_rng(seed)
    oracle, spent = Oracle(asked, classes=5, budget=budget, batch_size=size), 0
    for count in rng.integers(0, 7, 8):
        refused = ""
        try:
            oracle.predict(x[:count])
        except BudgetError as error:
            refused = str(error)
        assert bool(refused) == (spent + count > budget)
        assert not refused or f"{count} queries, got {budget - spent} left of {budget}" in refused
        spent += 0 if refused else count
        assert sum(asked.sizes) == oracle.queries == spent  # of a refused batch, nothing was asked
        assert oracle.left == budget - spent


def test_an_interrupted_query_is_counted() -> None:
    def tired(x):
        raise KeyboardInterrupt

    oracle, (x, _) = Oracle(tired, classes=5, budget=10), images(0)
    with pytest.raises(KeyboardInterrupt):
        oracle.predict(x)
    assert oracle.queries == 7


def test_threads_share_one_budget(monkeypatch) -> None:
    """Eight threads ask for 40 batches of 5; the budget has room for 30."""
    asked, (x, _), refused = Asked(), images(0), []
    oracle = Oracle(asked, classes=5, budget=150)
    real = Oracle.check_budget

    def slow(self, operation, needed):  # so that another thread has time to come between
        real(self, operation, needed)
        threading.Event().wait(0.001)

    monkeypatch.setattr(Oracle, "check_budget", slow)

    def ask(_) -> None:
        try:
            oracle.predict(x[:5])
        except BudgetError:
            refused.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(40)))
    assert (oracle.queries, sum(asked.sizes), len(refused)) == (150, 150, 10)


class Backwards(Executor):
    """Does what it is given in the opposite order."""

    def __init__(self) -> None:
        self.calls = []

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        self.calls.append((future, function, args))
        return future

    def map(self, function, *iterables, timeout=None, chunksize=1):
        futures = [self.submit(function, *args) for args in zip(*iterables)]
        for future, function, args in reversed(self.calls):
            future.set_result(function(*args))
        return (future.result() for future in futures)


@pytest.mark.parametrize("executor", [lambda: ThreadPoolExecutor(3), Backwards])
def test_labels_do_not_depend_on_the_executor(executor) -> None:
    (x, _), asked = images(3), Asked()
    with executor() as pool:
        oracle = Oracle(asked, classes=5, batch_size=2, executor=pool)
        np.testing.assert_array_equal(oracle.predict(x), network()(x).argmax(axis=1))
        assert getattr(pool, "calls", [1] * 4)  # it was used
    assert sorted(asked.sizes) == [1, 2, 2, 2]


def light(x):
    return (x.mean(axis=(1, 2, 3)) > 0.5).astype(int)


@pytest.mark.slow
def test_other_processes_answer_too() -> None:
    x, _ = images(0)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        oracle = Oracle(light, classes=2, batch_size=2, executor=pool)
        np.testing.assert_array_equal(oracle.predict(x), light(x))
    assert oracle.queries == 7


def test_classifiers_of_rows_get_rows() -> None:
    class Classifier:
        def predict(self, rows):
            assert isinstance(rows, np.ndarray)
            assert rows.shape[1:] == (16,)
            return (rows[:, 3] > 0.5).astype(np.int32)

    x, _ = images(0)
    oracle = Oracle(Classifier(), classes=2)
    np.testing.assert_array_equal(oracle.predict(x), x[:, 0, 0, 3] > 0.5)
    np.testing.assert_array_equal(oracle.predict(x.astype(np.float16)), x.astype(np.float16)[:, 0, 0, 3] > 0.5)


def test_victims_and_truth_values() -> None:
    x, _ = images(0)
    np.testing.assert_array_equal(Oracle(Victim(network()), classes=5).predict(x), network()(x).argmax(axis=1))
    np.testing.assert_array_equal(Oracle(Oracle(Asked(), classes=5), classes=5).predict(x), network()(x).argmax(axis=1))
    oracle = Oracle(lambda x: x.mean(axis=(1, 2, 3)) > 0.5, classes=2, budget=10)
    np.testing.assert_array_equal(oracle.predict(x), light(x))
    assert repr(oracle) == "Oracle(2 classes, 7 queries, 3 left of 10)"
    with pytest.raises(DTypeError, match="floating-point images.*list"):
        oracle.predict(x.tolist())
    with pytest.raises(DTypeError, match="Oracle\\(classifier\\)"):
        Victim(SimpleNamespace(predict=light))


def test_half_precision_is_asked_in_single() -> None:
    seen, (x, _) = [], images(0, dtype=np.float16)
    oracle = Oracle(lambda x: seen.append(x.dtype) or [0] * len(x))
    assert oracle.predict(x).tolist() == [0] * 7
    assert seen == [np.float32]


ANSWERS = {
    "logits": (lambda x: np.zeros((len(x), 5)), ShapeError, "a label for each of 7 images.*argmax"),
    "too few": (lambda x: np.zeros(3, int), ShapeError, r"7 images.*\(3,\)"),
    "floats": (lambda x: np.zeros(len(x)), DTypeError, "integer labels.*float64.*astype"),
    "words": (lambda x: ["cat"] * len(x), DTypeError, "integer labels"),
    "a class too many": (lambda x: np.full(len(x), 5), RangeError, r"labels in 0 ... 4.*5 to 5.*classes="),
    "a negative one": (lambda x: np.full(len(x), -1), RangeError, "-1.*labels > 0"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_no_labels_raise_an_error(name) -> None:
    (answer, error, message), (x, _) = ANSWERS[name], images(0)
    with pytest.raises(error, match=message) as caught:
        Oracle(answer, classes=5).predict(x)
    assert isinstance(caught.value, MinidlError)


ARGUMENTS = {
    "nothing": ({"predict": None}, DTypeError, "a function from images to labels, or a classifier"),
    "one class": ({"classes": 1}, RangeError, "classes, at least 2.*1"),
    "half": ({"classes": 2.5}, RangeError, "classes"),
    "debt": ({"budget": -1}, RangeError, "budget, at least 0.*-1"),
    "bounds": ({"bounds": (1, 0)}, RangeError, "low < high"),
    "no batch": ({"batch_size": 0}, RangeError, "batch_size"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_do_not_fit_raise_an_error(name) -> None:
    options, error, message = ARGUMENTS[name]
    with pytest.raises(error, match=message):
        Oracle(**{"predict": Asked(), **options})


def test_the_goal_of_an_attack_is_checked_against_its_classes() -> None:
    (x, _), asked = images(0), Asked()
    with pytest.raises(RangeError, match="labels in 0 ... 4"):
        sign_noise(Oracle(asked, classes=5), x, Untargeted(np.full(7, 8)))
    assert not asked.sizes  # before any query


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
ORACLE = attacks.black_box.oracle.Oracle
MUTANTS = [
    Mutant("Oracle: counts batches, not images", line(ORACLE, "predict", "self.queries += len(x)", "self.queries += 1"), test_it_returns_the_labels_and_counts_them),
    Mutant("Oracle: forwards are not counted", line(ORACLE, "predict", "self.forwards += len(x)", "pass"), test_it_returns_the_labels_and_counts_them),
    Mutant("Oracle: one query too many", line(ORACLE, "check_budget", "needed > self.left", "needed > self.left + 1"), test_the_budget_is_never_exceeded),
    Mutant("Oracle: the last query is refused", line(ORACLE, "check_budget", "needed > self.left", "needed >= self.left"), test_the_budget_is_never_exceeded),
    Mutant("Oracle: no budget is checked", line(ORACLE, "predict", 'self.check_budget("Oracle", len(x))', "pass"), test_the_budget_is_never_exceeded),
    Mutant("Oracle: threads come between", line(ORACLE, "predict", "with self._lock:", "if True:"), test_threads_share_one_budget),
    Mutant("Oracle: logits in float64", line(ORACLE, "logits", ".astype(in_single(x).dtype)", ".astype('float64')"), test_logits_are_labels_only),
    Mutant("Oracle: labels up to K", line(ORACLE, "_checked", "labels.max() < self.classes", "labels.max() <= self.classes"), lambda: test_answers_that_are_no_labels_raise_an_error("a class too many")),
    Mutant("Oracle: floats are cut to labels", line(ORACLE, "_checked", 'not in "iub"', 'not in "iubf"'), lambda: test_answers_that_are_no_labels_raise_an_error("floats")),
    Mutant("Oracle: the executor is ignored", line(ORACLE, "predict", "self.executor is None", "self.executor is not None"), lambda: test_labels_do_not_depend_on_the_executor(Backwards)),
    Mutant("Oracle: half precision as it is", line(ORACLE, "predict", "x = in_single(x)", "pass"), test_half_precision_is_asked_in_single),
]
# fmt: on
