"""Early stopping: when training stops, which parameters it leaves, and that no Ctrl-C loses any of it."""

from __future__ import annotations

import functools
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl import backend, history, losses, recipe, train
from minidl import history as histories
from minidl.errors import DataError, RangeError
from minidl.evaluation import evaluate
from minidl.losses import CrossEntropy, cross_entropy
from minidl.npz import read_archive, write_archive
from minidl.optim import Adam
from minidl.schedules import Cosine
from minidl.testing import Mutant, line
from minidl.train import History, fit
from tests.laws.engine.test_train import data, network, parameters
from tests.laws.evolution.test_checkpoints import at_line

EPOCHS = 6
OPTIONS = {"batch_size": 25, "optimizer": Adam(Cosine(0.02, EPOCHS)), "validation": data(30, 1), "progress": False}


def after() -> list[bytes]:
    """What the network is after each epoch, 0 of them among these: training does not depend on what is measured."""
    return _after(backend.current().name)


@functools.cache
def _after(kernels: str) -> list[bytes]:
    histories = []
    for epochs in range(EPOCHS + 1):
        net = network()
        fit(net, data(), epochs=epochs, **OPTIONS)
        histories.append(parameters(net))
    return histories


def measured(monkeypatch: Any, errors: list[int]) -> None:
    """From now on the validation errors are these, epoch by epoch, whatever the network."""
    known = after()

    def validate(net: Any, validation: Any, loss: Any) -> dict[str, float]:
        return {"validation_loss": 1.0, "validation_error": float(errors[known.index(parameters(net)) - 1])}

    monkeypatch.setattr(train, "_validate", validate)


def by_hand(errors: list[int], patience: int) -> tuple[int, int]:
    """After how many epochs training stops, and which of them it leaves."""
    best, kept = errors[0], 1
    for epoch, error in enumerate(errors, start=1):
        if error < best:
            best, kept = error, epoch
        if epoch - kept == patience:
            return epoch, kept
    return len(errors), kept


@settings(deadline=None, max_examples=60)
@given(errors=st.lists(st.integers(0, 3), min_size=EPOCHS, max_size=EPOCHS), patience=st.integers(1, 4))
def test_it_stops_when_patience_is_over_and_leaves_the_best(errors, patience) -> None:
    with pytest.MonkeyPatch.context() as patch:
        measured(patch, errors)
        net = network()
        history = fit(net, data(), epochs=EPOCHS, patience=patience, **OPTIONS)
    stop, kept = by_hand(errors, patience)
    assert (len(history), history.best_epoch, history.kept_epoch) == (stop, kept, kept)
    assert history.stopped_early == (stop - kept == patience)
    assert parameters(net) == after()[kept]


def test_without_patience_the_last_epoch_stays(monkeypatch) -> None:
    measured(monkeypatch, [0, 1, 1, 1, 1, 1])
    net = network()
    history = fit(net, data(), epochs=EPOCHS, **OPTIONS)
    assert (history.best_epoch, history.kept_epoch, history.stopped_early) == (1, EPOCHS, False)
    assert parameters(net) == after()[EPOCHS]


ERRORS = [3, 1, 2, 2, 0, 2]


@pytest.mark.parametrize("patience", [2, 3])
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_resumed_runs_end_with_the_same_bits(patience, cut, tmp_path, monkeypatch) -> None:
    """Wherever they were cut, at the call that stops and at the one after it; by a new network or the same one."""
    measured(monkeypatch, ERRORS)
    stop, kept = by_hand(ERRORS, patience)
    for again in (network(), None):
        net, path = network(), tmp_path / f"run{again is None}"
        options = OPTIONS | {"patience": patience, "checkpoint": path}
        fit(net, data(), epochs=cut, **options)
        assert parameters(net) == after()[by_hand(ERRORS[:cut], patience)[1]]
        for _ in range(2):
            history = fit(again or net, data(), epochs=EPOCHS, **options)
            assert parameters(again or net) == after()[kept]
            assert (len(history), history.kept_epoch) == (stop, kept)
            assert history.stopped_early == (patience == 2)


@pytest.mark.filterwarnings("ignore:fit was interrupted:RuntimeWarning")
@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("behind", [0, 1])
def test_interrupted_at_any_line(patience, behind, tmp_path, monkeypatch) -> None:
    """The network is then as the history says, and the same call with it goes on to the same end."""
    measured(monkeypatch, [1, 2])
    end = 1 if patience else 2
    lines = (fit, train._epoch, train.put_back, histories.resume, histories.write_checkpoint)
    number, there, kept = 0, True, 0
    while there:
        number, net, path = number + 1, network(), tmp_path / f"run{number}"
        options = OPTIONS | {"patience": patience, "checkpoint": path}
        fit(net, data(), epochs=behind, **options)
        begun = parameters(net)
        history, there = at_line(lines, number, partial(fit, net, data(), epochs=2, **options))
        if history is None:  # before there was anything, or when all was done
            assert parameters(net) in (begun, after()[end])
        else:
            assert history.interrupted is there
            assert parameters(net) == (after()[history.kept_epoch] if len(history) else begun)
            kept += there
        assert fit(net, data(), epochs=2, **options).kept_epoch == end
        assert parameters(net) == after()[end]
    assert kept > 20


@pytest.mark.filterwarnings("ignore:fit was interrupted:RuntimeWarning")
def test_interrupted_it_leaves_the_best_so_far(tmp_path, monkeypatch) -> None:
    """Without a checkpoint, too, and also after an error."""
    measured(monkeypatch, ERRORS)
    for stop in (KeyboardInterrupt, ZeroDivisionError):
        theirs, net = train._learn, network()

        def tired(net: Any, recipe: Any, state: Any, epoch: int, shown: Any, stop: Any = stop, theirs: Any = theirs):
            if epoch == 4:
                raise stop
            return theirs(net, recipe, state, epoch, shown)

        with monkeypatch.context() as patch:
            patch.setattr(train, "_learn", tired)
            if stop is ZeroDivisionError:
                with pytest.raises(ZeroDivisionError):
                    fit(net, data(), epochs=EPOCHS, patience=3, **OPTIONS)
            else:
                history = fit(net, data(), epochs=EPOCHS, patience=3, **OPTIONS)
                assert (history.interrupted, len(history), history.kept_epoch) == (True, 4, 2)
        assert parameters(net) == after()[2]


# --- what is measured, and said ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [None, CrossEntropy(0.2, (1, 2, 3))])
def test_validation_is_of_the_network_without_dropout(loss) -> None:
    """The mean of the loss that is trained on, without the penalty, and the error, in batches of any size."""
    validation = data(2500, 1)
    net = network()
    history = fit(net, data(), epochs=1, loss=loss, validation=validation, penalty=lambda params: 1.0 + 0 * sum(
        (w * w).sum() for w in params.values()))  # fmt: skip
    each = (loss or partial(cross_entropy, reduction="none"))(net(validation.x), validation.y)
    assert history.validation_loss == [pytest.approx(float(each.mean()), rel=1e-5)]
    assert history.validation_error == [evaluate(net, validation).error]
    assert np.isnan(fit(net, data(), epochs=1, validation=data().take(0)).validation_loss).all()


def test_a_history_says_it() -> None:
    history = History([3.0, 2, 1], [0.5] * 3, [0.3, 0.1, 0.1], [1.0] * 3, False, [2.0] * 3, [0.1, 0.1, 0.05], 1)
    lines = str(history).splitlines()
    assert " ".join(lines[0].split()) == "epoch loss accuracy validation loss validation error seconds lr"
    assert lines[3].split() == ["3", "1.0000", "0.5000", "2.0000", "0.1000", "1.0", "0.05"]
    assert lines[4] == "stopped early after 3 epochs, the network is as it was after epoch 2"
    assert max(map(len, lines)) <= 80
    history.patience = 2
    assert str(history).splitlines()[4] == "after 3 epochs, the network is as it was after epoch 2"
    assert (History(patience=1).best_epoch, History(patience=1).stopped_early) == (0, False)


@pytest.mark.parametrize("patience", [0, -1, 1.5, "2", True])
def test_anything_but_a_patience_raises_an_error(patience) -> None:
    with pytest.raises(RangeError, match="patience of whole epochs, at least 1"):
        fit(network(), data(), epochs=1, patience=patience, validation=data())


def test_patience_needs_something_to_look_at() -> None:
    for validation, message in ((None, "no validation set"), (data().take(0), "an empty one")):
        with pytest.raises(RangeError, match=f"validation set to be patient with.*{message}.*split"):
            fit(network(), data(), epochs=1, patience=1, validation=validation)


def test_a_checkpoint_knows_its_patience_and_its_best(tmp_path) -> None:
    path, options = tmp_path / "run", OPTIONS | {"checkpoint": tmp_path / "run"}
    fit(network(), data(), epochs=2, patience=2, **options)
    for patience in (None, 1):
        with pytest.raises(DataError, match="other settings.*patience"):
            fit(network(), data(), epochs=2, patience=patience, **options)
    header, arrays = read_archive(path, "checkpoint")
    header = {name: value for name, value in header.items() if name not in ("kind", "version")}
    for changed in ({"best/dense1.W": arrays["best/dense1.W"] * np.float32(np.nan)}, {"best/dense1.W": np.zeros(3)}):
        write_archive(path, "checkpoint", header, arrays | changed)
        net = network()
        with pytest.raises(DataError, match=r"to hold (finite parameters|the arrays of this run)"):
            fit(net, data(), epochs=2, patience=2, **options)
        assert parameters(net) == after()[0]


def test_numpys_patience_is_a_number_too(tmp_path) -> None:
    for _ in range(2):
        fit(network(), data(), epochs=1, patience=np.int64(2), checkpoint=tmp_path / "run", **OPTIONS)


def stopped(cut: int = 3, patience: int = 2) -> object:
    """The law of resuming with patience, cut there."""
    return lambda tmp_path, monkeypatch: test_resumed_runs_end_with_the_same_bits(patience, cut, tmp_path, monkeypatch)


def at_any_line(tmp_path: object, monkeypatch: object) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit was interrupted")
        test_interrupted_at_any_line(None, 0, tmp_path, monkeypatch)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    # --- losses
    Mutant("loss: validation by another", line(train, "_epoch", "recipe.validation, recipe.loss", "recipe.validation, None"), lambda: test_validation_is_of_the_network_without_dropout(losses.CrossEntropy(0.2, (1, 2, 3)))),
    # --- patience
    Mutant("patience: an epoch too long", line(history.History, "stopped_early", ">= self.patience", "> self.patience"), test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the last of equals is best", line(history.History, "best_epoch", "self.validation_error.index(min(self.validation_error)) + 1", "len(self) - self.validation_error[::-1].index(min(self.validation_error))"), test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the last epoch left", line(train, "fit", "if longer.kept_epoch == len(longer) else kept", ""), test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the best not put back", line(train, "fit", "history, kept = longer, now_kept", "history, kept = longer, now_kept if len(longer) < epochs else copied(net.params)"), test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the best not in the file", line(history, "write_checkpoint", "kept[1] if history.patience is not None else {}", "params if history.patience is not None else {}"), stopped()),
    Mutant("patience: goes on from the best", line(history, "resume", "asarray(arrays[name])", 'asarray(arrays[name.replace("params/", "best/") if best else name])'), stopped()),
    Mutant("patience: not known to checkpoints", line(recipe.Recipe, "settings", 'identity("fit", self.patience)', "self.validation and self.patience and 2"), test_a_checkpoint_knows_its_patience_and_its_best),
    Mutant("Ctrl-C: the history a line before the parameters", line(train, "fit", "history, kept = longer, now_kept", "history = longer\n                kept = now_kept"), at_any_line),
]
# fmt: on
