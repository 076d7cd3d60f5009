"""Schedules: what they are, that training asks them at every batch, and that a run may go on at another rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import history, optim, recipe, schedules, train
from minidl.errors import DataError, DTypeError, RangeError
from minidl.npz import read_archive, write_archive
from minidl.optim import SGD, Adam, RMSProp
from minidl.schedules import Cosine, StepDecay, WarmUp
from minidl.testing import Mutant, line
from minidl.train import TrainingStep, fit, gradient
from tests.laws.engine.test_train import data, network, parameters

rates, lengths, times = st.floats(0, 10), st.floats(0.1, 50), st.floats(0, 100)


def halving(epochs: float) -> float:
    """A schedule with a name of its own."""
    return 0.1 / 2 ** math.floor(epochs / 2)


def falling(epochs: float) -> float:
    """Another rate for every batch: not to be told from others by the beginnings of epochs."""
    return 0.1 / (1 + epochs)


# --- what they are ----------------------------------------------------------------------------------------


@given(start=rates, end=rates, epochs=lengths, t=times)
def test_a_cosine_begins_ends_and_is_halfway_in_the_middle(start, end, epochs, t) -> None:
    schedule = Cosine(start, epochs, end)
    assert schedule(0) == pytest.approx(start)
    assert schedule(epochs / 2) == pytest.approx((start + end) / 2)
    assert schedule(epochs) == schedule(epochs + t) == pytest.approx(end)
    if t <= epochs:
        assert schedule(t) == pytest.approx(end + 0.5 * (start - end) * (1 + math.cos(math.pi * t / epochs)))


@given(start=rates, every=st.integers(1, 9), factor=st.floats(0, 1), n=st.integers(0, 9), part=st.floats(0, 0.99))
def test_steps_are_taken_after_whole_periods(start, every, factor, n, part) -> None:
    expected = start
    for _ in range(n):
        expected *= factor
    assert StepDecay(start, every, factor)((n + part) * every) == pytest.approx(expected)


@given(rate=rates, epochs=lengths, t=times)
def test_warming_up_grows_evenly_and_then_is_what_it_grew_to(rate, epochs, t) -> None:
    share = min(t / epochs, 1)
    assert WarmUp(rate, epochs)(t) == pytest.approx(share * rate)
    assert WarmUp(Cosine(rate, 60), epochs)(t) == pytest.approx(share * Cosine(rate, 60)(t))
    assert WarmUp(rate, epochs)(0) == 0


REFUSED = [
    (StepDecay, (-0.1, 1)), (StepDecay, (0.1, 0)), (StepDecay, (0.1, 1, -1)), (StepDecay, (math.nan, 1)),
    (Cosine, (0.1, 0)), (Cosine, (0.1, math.inf)), (Cosine, ("0.1", 5)), (Cosine, (0.1, 5, -1)), (Cosine, (True, 5)),
    (WarmUp, (0.1, 0)), (WarmUp, (-0.1, 2)), (WarmUp, (None, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "arguments"), REFUSED)
def test_anything_but_a_schedule_raises_an_error(schedule, arguments) -> None:
    with pytest.raises(RangeError, match=f"{schedule.__name__}: expected"):
        schedule(*arguments)


# --- in optimisers ----------------------------------------------------------------------------------------


def test_an_optimizer_at_a_moment_has_numbers_alone() -> None:
    both = SGD(Cosine(0.4, 4), momentum=WarmUp(0.9, 2), nesterov=True)
    now = both.at(1)
    assert (now.lr, now.momentum, now.nesterov) == (Cosine(0.4, 4)(1), 0.45, True)
    assert now == SGD(now.lr, 0.45, nesterov=True)
    for plain in (SGD(0.3), RMSProp(), Adam()):
        assert plain.at(7) is plain
    assert Adam(WarmUp(0.1, 1)).at(0).lr == 0  # a rate of 0 stands still, for a moment


def test_wrong_schedules_raise_an_error_before_any_work() -> None:
    for optimizer, message in (
        (SGD(lambda epochs: 0.1 - epochs), r"gives lr of at least 0.*-0.9 after 1 epochs"),
        (RMSProp(lambda epochs: math.nan), r"RMSProp.*nan after 0 epochs"),
        (Adam(lambda epochs: "0.1"), r"'0.1' after 0"),
        (SGD(0.1, momentum=lambda epochs: epochs / 2), r"gives momentum in \[0, 1\).*1.0 after 2"),
    ):
        net = network()
        before = parameters(net)
        with pytest.raises(RangeError, match=message):
            fit(net, data(), epochs=3, optimizer=optimizer)
        assert parameters(net) == before


def test_updates_by_hand_need_numbers() -> None:
    w, schedule = {"w": np.ones(2)}, SGD(halving)
    with pytest.raises(DTypeError, match=r"update: .*numbers.*schedules in SGD.*optimizer.at\(epochs\)"):
        schedule.update(w, w, schedule.init(w))
    schedule.at(0).update(w, {"w": np.ones(2)}, schedule.init(w))
    np.testing.assert_allclose(w["w"], 0.9)
    with pytest.raises(TypeError):
        Adam(beta1=halving)  # which Adam's correction of its start counts on


# --- in training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SGD, RMSProp, Adam])
def test_a_rate_that_does_not_change_is_a_number_to_the_bit(kind) -> None:
    numbers, schedules = network(), network()
    histories = [fit(net, data(), epochs=2, batch_size=16, optimizer=kind(lr))
                 for net, lr in ((numbers, 0.01), (schedules, lambda epochs: 0.01))]  # fmt: skip
    assert parameters(numbers) == parameters(schedules)
    assert histories[0].lr == histories[1].lr == [0.01, 0.01]


@pytest.mark.parametrize("momentum", [0.0, WarmUp(0.9, 1.5)])
def test_every_batch_is_learnt_at_the_rate_of_its_moment(momentum) -> None:
    """Training, written once more: the order of the batches, their dropout, and an optimiser for each of them."""
    net, by_hand, examples = network(), network(), data(40)
    history = fit(net, examples, epochs=3, batch_size=16, shuffle=False, optimizer=SGD(falling, momentum), seed=2)
    state = SGD().init(by_hand.params)
    for epoch in range(3):
        for step in range(3):
            x, y, t = examples.x[16 * step :][:16], examples.y[16 * step :][:16], epoch + step / 3
            grads = gradient(by_hand, x, y, TrainingStep(2, epoch, step, 3).rng)[-1]
            SGD(falling(t), momentum(t) if momentum else 0.0).update(by_hand.params, grads, state)
    assert parameters(net) == parameters(by_hand)
    assert history.lr == [falling(epoch) for epoch in range(3)]


def trained(optimizer: Any, epochs: int, **options: Any) -> tuple[bytes, Any]:
    net = network()
    history = fit(net, data(), epochs=epochs, batch_size=16, optimizer=optimizer, **options)
    return parameters(net), history


SCHEDULED = SGD(WarmUp(Cosine(0.1, 4), 1), WarmUp(0.9, 3))


@pytest.mark.parametrize("optimizer", [SCHEDULED, Adam(falling)])
def test_resumed_runs_end_with_the_same_bits(optimizer, tmp_path) -> None:
    straight, expected = trained(optimizer, 4)
    trained(optimizer, 1, checkpoint=tmp_path / "run")
    resumed, history = trained(optimizer, 4, checkpoint=tmp_path / "run")
    assert resumed == straight
    assert history.lr == expected.lr


def test_a_run_resumed_at_another_rate_has_a_schedule_and_reports_it(tmp_path) -> None:
    """As a run whose rate was halved after two epochs, to the bit; and the history has both rates."""
    straight, expected = trained(SGD(halving, 0.5), 4)
    trained(SGD(0.1, 0.5), 2, checkpoint=tmp_path / "run")
    resumed, history = trained(SGD(0.05, 0.5), 4, checkpoint=tmp_path / "run")
    assert resumed == straight == trained(SGD(StepDecay(0.1, 2, 0.5), 0.5), 4)[0]
    assert history.lr == expected.lr == [0.1, 0.1, 0.05, 0.05]
    assert [row.split()[-1] for row in str(history).splitlines()] == ["lr", "0.1", "0.1", "0.05", "0.05"]
    assert "lr" not in str(trained(SGD(0.1), 2)[1])


def test_nothing_else_of_the_optimizer_may_change(tmp_path) -> None:
    trained(SCHEDULED, 1, checkpoint=tmp_path / "run")
    for other in (SGD(0.1), SGD(0.1, WarmUp(0.9, 2)), SGD(SCHEDULED.lr, WarmUp(0.9, 3), nesterov=True), RMSProp(0.1)):
        with pytest.raises(DataError, match="other settings.*optimizer"):
            trained(other, 2, checkpoint=tmp_path / "run")
    with pytest.raises(DTypeError, match="checkpoint can tell from others.*lambda"):
        trained(SGD(lambda epochs: 0.1), 1, checkpoint=tmp_path / "another")


def test_checkpoints_from_before_there_were_schedules_load(tmp_path) -> None:
    path, options = tmp_path / "run", {"validation": data(20, 1)}
    straight, expected = trained(SGD(0.1, 0.5), 3, **options)
    trained(SGD(0.1, 0.5), 2, checkpoint=path, **options)
    header, arrays = read_archive(path, "checkpoint")
    header = {name: value for name, value in header.items() if name not in ("kind", "version")}
    for name in ("loss", "patience"):
        del header["settings"][name]
    for name in ("validation_loss", "lr", "patience"):
        del header["history"][name]
    write_archive(path, "checkpoint", header, arrays)
    resumed, history = trained(SGD(0.1, 0.5), 3, checkpoint=path, **options)
    assert resumed == straight
    assert history.lr == expected.lr
    assert history.validation_error == expected.validation_error
    assert np.isnan(history.validation_loss[:2]).all()  # not measured yet
    assert history.validation_loss[2] == expected.validation_loss[2]
    assert len(str(history).splitlines()) == 4


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("cosine: never ends", line(schedules.Cosine, "__call__", "min(epochs / self.epochs, 1.0)", "epochs / self.epochs"), test_a_cosine_begins_ends_and_is_halfway_in_the_middle),
    Mutant("cosine: ends at 0", line(schedules.Cosine, "__call__", "return self.end + ", "return "), test_a_cosine_begins_ends_and_is_halfway_in_the_middle),
    Mutant("steps: rounded up", line(schedules.StepDecay, "__call__", "epochs // self.every", "-(-epochs // self.every)"), test_steps_are_taken_after_whole_periods),
    Mutant("warm-up: grows for ever", line(schedules.WarmUp, "__call__", "min(epochs / self.epochs, 1.0)", "epochs / self.epochs"), test_warming_up_grows_evenly_and_then_is_what_it_grew_to),
    Mutant("warm-up: its schedule has not begun", line(schedules.WarmUp, "__call__", "value_at(self.then, epochs)", "value_at(self.then, 0)"), test_warming_up_grows_evenly_and_then_is_what_it_grew_to),
    Mutant("schedules: asked once an epoch", line(train, "_learn", "optimizer.at(moment.epochs)", "optimizer.at(moment.epoch)"), lambda: test_every_batch_is_learnt_at_the_rate_of_its_moment(0.0)),
    Mutant("schedules: the rate alone", line(optim.Optimizer, "at", "in self.scheduled if", "in ('lr',) if"), test_an_optimizer_at_a_moment_has_numbers_alone),
    Mutant("schedules: values are not checked", line(optim.Optimizer, "at", "not is_number(value) or", "False and"), test_wrong_schedules_raise_an_error_before_any_work),
    Mutant("schedules: checked after the work", line(recipe.Recipe, "check", "range(int(epochs))", "range(1)"), test_wrong_schedules_raise_an_error_before_any_work),
    Mutant("schedules: another rate is another run", line(history, "_but_for_the_rate", 'if name != "lr"', ""), test_a_run_resumed_at_another_rate_has_a_schedule_and_reports_it),
    Mutant("schedules: another optimiser is the same run", line(history, "_but_for_the_rate", '"optimizer": {name: value for name, value in optimizer.items() if name != "lr"}', '"optimizer": None'), test_nothing_else_of_the_optimizer_may_change),
    Mutant("history: files that say less are refused", line(history, "_completed", '"lr": [rate] * epochs, ', ""), test_checkpoints_from_before_there_were_schedules_load),
]
# fmt: on
