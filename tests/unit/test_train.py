"""Training: the order of batches, what is reported, interruption, checkpoints that resume to the same bits."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pytest

import minidl
from minidl import history, losses, models, recipe, train
from minidl.core import unbox
from minidl.data import Dataset, dataset
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.layers import Dense, Flatten, Glorot, Layer
from minidl.npz import read_archive, write_archive
from minidl.optim import SGD, Adam, RMSProp
from minidl.testing import Mutant, line
from minidl.train import fit


def small(n: int = 50, seed: int = 0) -> Dataset:
    """Three classes of points that a small network can learn."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 4)).astype(np.float32) + np.eye(3, 4, dtype=np.float32)[y] * 3
    return Dataset(x, y, ("a", "b", "c"))


def network(seed: int = 0) -> models.Sequential:
    return models.mlp(4, 3, (16,), bias=True, dropout=(0.1, 0.3), init_weights=Glorot(), seed=seed)


def parameters(net: models.Sequential) -> bytes:
    return b"".join(w.tobytes() for w in net.params.values())


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), SGD(0.1, 0.9, True), RMSProp(0.01), Adam(0.01)])
def test_it_learns(optimizer) -> None:
    net, data = network(), small(200)
    history = fit(net, data, epochs=15, optimizer=optimizer, batch_size=32, validation=small(100, 1))
    assert len(history) == len(history.accuracy) == len(history.validation_error) == len(history.seconds) == 15
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert train.evaluate(net, small(100, 1)).error == history.validation_error[-1] < 0.1
    assert str(history).count("\n") == 15


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    nets = [network() for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1)):
        fit(net, small(), epochs=2, batch_size=16, seed=seed)
    assert parameters(nets[0]) == parameters(nets[1]) != parameters(nets[2])


def test_training_is_in_place() -> None:
    net = network()
    kept = dict(net.params)
    fit(net, small(), epochs=1)
    assert all(net.params[name] is kept[name] for name in kept)


def seen_batches(monkeypatch, **options) -> list[np.ndarray]:
    """The labels-free record of what `fit` fed to the network: the first column of each batch."""
    seen = []
    inner = train.gradient

    def spy(net, x, *rest, **checks):
        seen.append(x[:, 0].copy())
        return inner(net, x, *rest, **checks)

    monkeypatch.setattr(train, "gradient", spy)
    fit(network(), small(), progress=False, **options)
    return seen


def test_file_order_and_dropping_the_last_batch(monkeypatch) -> None:
    seen = seen_batches(monkeypatch, epochs=2, batch_size=16, shuffle=False, drop_last=True)
    assert [len(batch) for batch in seen] == [16] * 6  # the last two examples are never used
    np.testing.assert_array_equal(np.concatenate(seen[:3]), small().x[:48, 0])
    np.testing.assert_array_equal(np.concatenate(seen[3:]), small().x[:48, 0])


def test_shuffling_shows_every_example_once_in_a_new_order_each_epoch(monkeypatch) -> None:
    seen = seen_batches(monkeypatch, epochs=2, batch_size=16)
    assert [len(batch) for batch in seen] == [16, 16, 16, 2] * 2
    first, second = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    np.testing.assert_array_equal(np.sort(first), np.sort(small().x[:, 0]))
    np.testing.assert_array_equal(np.sort(second), np.sort(small().x[:, 0]))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, small().x[:, 0])


def test_one_step_by_hand() -> None:
    """One batch, plain SGD: w - η ∂(mean cross-entropy + penalty)/∂w, with the loss and accuracy of that batch."""
    data, penalty = small(20), losses.Penalty(0.01, 0.02)
    net = models.softmax_regression(4, 3, dtype="float64")
    before = {name: w.copy() for name, w in net.params.items()}
    history = fit(net, data, epochs=1, optimizer=SGD(0.5), batch_size=20, penalty=penalty, shuffle=False)
    z = data.x @ before["dense1.W"] + before["dense1.b"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    slope = (p - np.eye(3)[data.y]) / 20
    w = before["dense1.W"]
    np.testing.assert_allclose(net.params["dense1.b"], before["dense1.b"] - 0.5 * slope.sum(axis=0), rtol=1e-10)
    expected = w - 0.5 * (data.x.T @ slope + 0.01 * np.sign(w) + 0.04 * w)
    np.testing.assert_allclose(net.params["dense1.W"], expected, rtol=1e-10)
    loss = -np.log(p[np.arange(20), data.y]).mean() + 0.01 * abs(w).sum() + 0.02 * (w**2).sum()
    assert history.loss == [pytest.approx(loss)]
    assert history.accuracy == [pytest.approx((p.argmax(axis=1) == data.y).mean())]


@pytest.mark.parametrize("optimizer", [SGD(0.05, 0.9), RMSProp(0.01), Adam(0.01)])
def test_resumed_runs_end_with_the_same_bits(tmp_path, optimizer) -> None:
    options = {
        "optimizer": optimizer,
        "batch_size": 16,
        "validation": small(30, 1),
        "penalty": losses.Penalty(1e-4, 1e-4),
    }
    straight, stopped = network(), network()
    expected = fit(straight, small(), epochs=5, **options)
    fit(stopped, small(), epochs=2, checkpoint=tmp_path / "run.npz", **options)
    resumed = network(seed=0)
    history = fit(resumed, small(), epochs=5, checkpoint=tmp_path / "run.npz", **options)
    assert parameters(resumed) == parameters(straight)
    assert (history.loss, history.validation_error) == (expected.loss, expected.validation_error)
    again = network()
    assert fit(again, small(), epochs=5, checkpoint=tmp_path / "run.npz", **options).loss == expected.loss
    assert parameters(again) == parameters(straight)  # nothing left to do


class Interrupting(Dataset):
    """A data set whose owner presses Ctrl-C at the given batch, counted over the whole run."""

    def batches(self, *args, **kwargs):
        inner = super().batches(*args, **kwargs)
        owner = self

        class Pressed:
            def __len__(self):
                return len(inner)

            def __iter__(self):
                for batch in inner:
                    countdown[0] -= 1
                    if countdown[0] == 0:
                        raise KeyboardInterrupt
                    yield batch

        countdown = owner.__dict__.setdefault("countdown", [10])
        return Pressed()


def test_ctrl_c_keeps_the_last_completed_epoch_and_resumes(tmp_path) -> None:
    plain, data = small(), Interrupting(*(getattr(small(), name) for name in ("x", "y", "class_names")))
    two, five, net = network(), network(), network()
    fit(two, plain, epochs=2, batch_size=16)
    fit(five, plain, epochs=5, batch_size=16)
    with pytest.warns(RuntimeWarning, match="after epoch 2 of 5"):
        history = fit(net, data, epochs=5, batch_size=16, checkpoint=tmp_path / "run.npz")  # stops in the third epoch
    assert history.interrupted
    assert len(history) == 2
    assert parameters(net) == parameters(two)
    again = network()
    assert not fit(again, plain, epochs=5, batch_size=16, checkpoint=tmp_path / "run.npz").interrupted
    assert parameters(again) == parameters(five)


def test_ctrl_c_then_the_same_call_again(tmp_path) -> None:
    """At a prompt one calls fit again with the very network that was interrupted."""
    plain, data = small(), Interrupting(*(getattr(small(), name) for name in ("x", "y", "class_names")))
    five, net = network(), network()
    fit(five, plain, epochs=5, batch_size=16)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="interrupted"):
            fit(net, data, epochs=5, batch_size=16, checkpoint=tmp_path / "run.npz")
        data.countdown[0] = 6
    assert len(fit(net, plain, epochs=5, batch_size=16, checkpoint=tmp_path / "run.npz")) == 5
    assert parameters(net) == parameters(five)


@pytest.mark.parametrize("written", [False, True])
def test_ctrl_c_while_the_checkpoint_is_written(written, tmp_path, monkeypatch) -> None:
    """Whether or not the file got its name in time, the network is an epoch back, and the same call goes on."""
    three, net, path = network(), network(), tmp_path / "run.npz"
    before = parameters(net)
    fit(three, small(), epochs=3)

    def pressed(*arguments):
        if written:
            write_archive(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(minidl.history, "write_archive", pressed)
        with pytest.warns(RuntimeWarning, match="after epoch 0 of 3"):
            history = fit(net, small(), epochs=3, checkpoint=path)
    assert (history.interrupted, len(history), path.exists()) == (True, 0, written)
    assert parameters(net) == before
    assert len(fit(net, small(), epochs=3, checkpoint=path)) == 3
    assert parameters(net) == parameters(three)


def test_penalties_that_a_checkpoint_cannot_tell_apart_raise_an_error(tmp_path) -> None:
    for penalty in (lambda params: losses.l2(params["dense1.W"]), functools.partial(losses.Penalty(1.0, 1.0))):
        fit(network(), small(), epochs=1, penalty=penalty)
    with pytest.raises(DTypeError, match="checkpoint can tell from others.*lambda.*top level of a module"):
        fit(network(), small(), epochs=1, penalty=lambda params: 0.0, checkpoint=tmp_path / "run.npz")


def test_an_error_in_a_penalty_leaves_the_last_completed_epoch() -> None:
    one, net, calls = network(), network(), [0]

    def penalty(params):
        calls[0] += 1
        if calls[0] == 6:  # in the second of the epochs, which have four batches each
            raise ZeroDivisionError
        return decay(params)

    decay = losses.Penalty(0.0, 1e-4)
    fit(one, small(), epochs=1, batch_size=16, penalty=decay)
    with pytest.raises(ZeroDivisionError):
        fit(net, small(), epochs=3, batch_size=16, penalty=penalty)
    assert parameters(net) == parameters(one)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"validation": Dataset(np.zeros((2, 5), np.float32), np.zeros(2, int), ("a",))}, ShapeError, "batch"),
        ({"validation": (np.zeros((2, 4)), np.zeros(2))}, DTypeError, "Dataset for validation"),
        ({"penalty": 0.1}, DTypeError, "penalty that is a function"),
        ({"seed": -1}, RangeError, "seed"),
        ({"seed": None}, RangeError, "seed"),
    ],
)
def test_what_does_not_fit_raises_an_error_before_any_work(options, error, message) -> None:
    net = network()
    before = parameters(net)
    with pytest.raises(error, match=message):
        fit(net, small(), epochs=2, **options)
    assert parameters(net) == before


@dataclass(frozen=True)
class Scale(Layer):
    """x times a parameter of its own, if it is connected."""

    connected: bool

    def init(self, shape, rng):
        return {"s": np.ones(shape)}

    def apply(self, params, x, rng=None):
        return x * params["s"] if self.connected else x


@dataclass(frozen=True)
class Cut(Layer):
    """The identity, by way of the plain value: whatever is in front of it is cut off."""

    def apply(self, params, x, rng=None):
        return unbox(x) * 1.0


def made_of(*layers: Layer) -> models.Sequential:
    return models.Sequential(*layers, input_shape=4)


def test_a_network_cut_off_from_its_parameters_raises_an_error(tmp_path) -> None:
    for net, named in (
        (made_of(Dense(3), Cut()), "outputs cut off from dense1.W, dense1.b"),
        (made_of(Flatten()), "a network without parameters"),
    ):
        before, data = parameters(net), small().replace(y=small().y % 3)
        with pytest.raises(DTypeError, match=f"depend on its parameters, got {named}.*minidl.ops"):
            fit(net, data, epochs=3, checkpoint=tmp_path / "run.npz")
        assert parameters(net) == before
        assert not (tmp_path / "run.npz").exists()


def test_parameters_that_nothing_depends_on_are_named_once() -> None:
    net = made_of(Dense(5), Cut(), Scale(True), Scale(False), Dense(3))
    before = {name: w.copy() for name, w in net.params.items()}
    with pytest.warns(RuntimeWarning, match=r"do not depend on dense1.W, dense1.b, scale2.s: these") as warned:
        fit(net, small(), epochs=2)
    assert [w.filename for w in warned] == [__file__]
    for name in before:
        same = np.array_equal(net.params[name], before[name])
        assert same == (name in ("dense1.W", "dense1.b", "scale2.s")), name


def test_settings_may_be_numpys_numbers(tmp_path) -> None:
    history = fit(
        network(), small(), epochs=np.int64(1), batch_size=np.int64(9), seed=np.int64(0), checkpoint=tmp_path / "a"
    )
    assert len(history) == 1


def test_divergence_is_reported_and_undone() -> None:
    net = network()
    before = parameters(net)
    with pytest.raises(RangeError, match=r"finite loss in epoch 1.*smaller learning rate"), np.errstate(all="ignore"):
        fit(net, small(), epochs=3, batch_size=16, optimizer=SGD(1e30))
    assert parameters(net) == before


def test_a_checkpoint_that_is_past_the_epochs_asked_for_raises_an_error(tmp_path) -> None:
    path, net = tmp_path / "run.npz", network()
    fit(network(), small(), epochs=3, checkpoint=path)
    before = {name: w.copy() for name, w in net.params.items()}
    with pytest.raises(DataError, match="at most 2 epochs"):
        fit(net, small(), epochs=2, checkpoint=path)
    assert all((net.params[name] == w).all() for name, w in before.items())


def test_a_checkpoint_without_a_history_raises_an_error(tmp_path) -> None:
    path = tmp_path / "run.npz"
    fit(network(), small(), epochs=1, checkpoint=path)
    header, arrays = read_archive(path, "checkpoint")
    for wrong in ({"losses": [1.0]}, {"loss": 1}, None):
        write_archive(path, "checkpoint", header | {"history": wrong}, arrays)
        with pytest.raises(DataError, match="history"):
            fit(network(), small(), epochs=2, checkpoint=path)


def test_checkpoints_of_other_runs_raise_an_error(tmp_path) -> None:
    path = tmp_path / "run.npz"
    fit(network(), small(), epochs=1, checkpoint=path)
    with pytest.raises(DataError, match="other settings.*start"):
        fit(network(seed=1), small(), epochs=2, checkpoint=path)
    with pytest.raises(DataError, match="other settings.*data"):
        fit(network(), small().replace(x=1 - small().x), epochs=2, checkpoint=path)
    for options, name in (
        ({"seed": 1}, "seed"), ({"batch_size": 7}, "batch_size"), ({"optimizer": Adam()}, "optimizer"),
        ({"penalty": losses.Penalty(1, 1)}, "penalty"), ({"shuffle": False}, "shuffle"),
    ):  # fmt: skip
        net = network()
        before = parameters(net)
        with pytest.raises(DataError, match=f"other settings.*{name}"):
            fit(net, small(), epochs=2, checkpoint=path, **options)
        assert parameters(net) == before
    with pytest.raises(DataError, match="network"):
        fit(models.mlp(4, 3, (8,)), small(), epochs=2, checkpoint=path)
    with pytest.raises(DataError, match=r"data"):
        fit(network(), small(49), epochs=2, checkpoint=path)
    minidl.save(network(), path)
    with pytest.raises(DataError, match="checkpoint"):
        fit(network(), small(), epochs=2, checkpoint=path)


def test_no_epochs_no_change() -> None:
    net = network()
    before = parameters(net)
    assert len(fit(net, small(), epochs=0)) == 0
    assert parameters(net) == before


def test_progress_goes_to_the_terminal_only(capsys) -> None:
    fit(network(), small(), epochs=1)
    assert capsys.readouterr() == ("", "")


# --- what is reported ------------------------------------------------------------------------------------


def standing_still(net: models.Sequential, data: Dataset, **options):
    """A history of training by steps too small to be seen: each epoch is then as the network was."""
    before = {name: w.copy() for name, w in net.params.items()}
    history = fit(net, data, optimizer=SGD(1e-30), progress=False, **options)
    for name, w in before.items():
        np.testing.assert_allclose(net.params[name], w, rtol=0, atol=1e-25)
    return history


@pytest.mark.parametrize("batch_size", [16, 49, 50, 1000])
def test_loss_and_accuracy_are_means_over_the_examples(batch_size) -> None:
    """Whatever the size of the last batch, of 50 examples with losses far apart."""
    net = models.mlp(4, 3, (16,), bias=True, dropout=(0.0, 0.0), init_weights=Glorot(), dtype="float64")
    for w in net.params.values():
        w *= 3
    data, penalty = small(50), losses.Penalty(1e-3, 1e-2)
    each = losses.cross_entropy(net(data.x), data.y, "none")
    assert each.std() > 1
    for options in ({}, {"penalty": penalty}, {"penalty": lambda params: penalty(params)}):
        history = standing_still(net, data, epochs=2, batch_size=batch_size, **options)
        expected = each.mean() + (float(penalty(net.params)) if options else 0)
        np.testing.assert_allclose(history.loss, [expected] * 2, rtol=1e-6)
        np.testing.assert_allclose(history.accuracy, [(net(data.x).argmax(axis=1) == data.y).mean()] * 2)
    history = standing_still(net, data, epochs=1, batch_size=16, drop_last=True, shuffle=False)
    np.testing.assert_allclose(history.loss, [each[:48].mean()], rtol=1e-6)


def test_every_batch_of_every_epoch_has_dropout_masks_of_its_own() -> None:
    """They are those of its `TrainingStep`; the same seed gives the same again, and another seed others."""
    net, data = network(), small(8)
    history = standing_still(net, data, epochs=3, batch_size=4, shuffle=False, seed=5)
    for epoch, loss in enumerate(history.loss):
        parts = []
        for step, part in enumerate((slice(0, 4), slice(4, 8))):
            rng = np.random.default_rng((5, epoch, step))
            parts.append(float(train.gradient(net, data.x[part], data.y[part], rng)[0]))
        assert loss == pytest.approx(np.mean(parts), rel=1e-5)
    assert len(set(history.loss)) == 3
    one_batch = standing_still(net, data.take([0, 1, 2, 3, 0, 1, 2, 3]), epochs=1, batch_size=4, shuffle=False, seed=5)
    assert one_batch.loss != history.loss[:1]
    assert standing_still(net, data, epochs=3, batch_size=4, shuffle=False, seed=6).loss != history.loss


def test_seconds_are_seconds_of_the_clock(monkeypatch) -> None:
    """Of each epoch, evaluation included."""
    ticks = iter([100.0, 107.0, 200.0, 203.5])
    monkeypatch.setattr(train.time, "perf_counter", lambda: next(ticks))
    assert fit(network(), small(), epochs=2, validation=small(5)).seconds == [7.0, 3.5]


def test_the_bar_counts_batches_and_shows_loss_and_accuracy(monkeypatch) -> None:
    made, updates = [], []

    class Bar:
        n = 0

        def __init__(self, items, description, show, *, unit, initial):
            made.append((len(items), show, unit, initial))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            made[-1] += (self.n,)

        def set_description(self, words, refresh):
            self.words = words

        def set_postfix(self, numbers, refresh):
            updates.append((self.words, self.n, numbers))

        def update(self):
            self.n += 1

    monkeypatch.setattr(train, "bar", Bar)
    net = models.softmax_regression(4, 3, dtype="float64")
    data = small(505)
    fit(net, data, epochs=2, batch_size=10, optimizer=SGD(1e-30), shuffle=False, progress=False)
    assert made == [(2 * 51, False, "batch", 0, 2 * 51)]
    expected = []
    for epoch in (1, 2):
        for batch, n in ((50, 500), (51, 505)):  # at the 50th batch, and at the end
            loss = float(losses.cross_entropy(net(data.x[:n]), data.y[:n]))
            right = (net(data.x[:n]).argmax(axis=1) == data.y[:n]).mean()
            numbers = {"loss": f"{loss:.4f}", "accuracy": f"{right:.4f}"}
            expected.append((f"epoch {epoch}/2", 51 * (epoch - 1) + batch - 1, numbers))
    assert updates == expected
    fit(net, data, epochs=1, batch_size=10, drop_last=True)
    assert made[-1] == (50, True, "batch", 0, 50)


def test_the_bar_of_a_run_that_goes_on_begins_where_that_is(monkeypatch, tmp_path) -> None:
    made = []
    bar = train.bar
    monkeypatch.setattr(train, "bar", lambda *given, **options: made.append((given, options)) or bar(*given, **options))
    for epochs in (2, 5):
        fit(network(), small(30), epochs=epochs, batch_size=10, checkpoint=tmp_path / "run")
    assert [(len(given[0]), options["initial"]) for given, options in made] == [(6, 0), (15, 6)]


def test_validation_is_of_the_network_after_the_epoch() -> None:
    net, data = network(), small(40)
    history = fit(net, data, epochs=1, optimizer=SGD(0.5), validation=small(60, 1))
    assert history.validation_error == [train.evaluate(net, small(60, 1)).error]
    assert fit(network(), data, epochs=1).validation_error == []


def test_a_history_prints_every_epoch() -> None:
    history = train.History([0.5, 0.25], [0.75, 1.0], [0.125, 0.0625], [1.0, 2.5])
    lines = str(history).splitlines()
    assert lines[0].split() == ["epoch", "loss", "accuracy", "validation", "error", "seconds"]
    assert lines[1].split() == ["1", "0.5000", "0.7500", "0.1250", "1.0"]
    assert lines[2].split() == ["2", "0.2500", "1.0000", "0.0625", "2.5"]
    assert str(train.History([0.5], [1.0], [], [1.0])).splitlines()[1].split()[3] == "-"


def test_the_digits_are_learnt() -> None:
    """Real digits, a minute's worth of learning in two seconds: well below the 90 % error of guessing."""
    data, test = minidl.data.load_digits()
    net = models.mlp()
    fit(net, data, epochs=3)
    assert train.evaluate(net, test).error < 0.15


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("fit: a network that cannot learn", line(recipe, "_check_connected", "if not reached:", "if False:"), test_a_network_cut_off_from_its_parameters_raises_an_error),
    Mutant("fit: no warning of parameters without effect", line(recipe, "_check_connected", "if cut_off:", "if False:"), test_parameters_that_nothing_depends_on_are_named_once),
    Mutant("batches: a shuffled batch twice", line(dataset.Batches, "__iter__", "self.order[i : i + self.size]", "self.order[: self.size]"), test_shuffling_shows_every_example_once_in_a_new_order_each_epoch),
    Mutant("fit: the same order every epoch", line(recipe.Recipe, "batches", "(self.seed, epoch)", "self.seed"), test_shuffling_shows_every_example_once_in_a_new_order_each_epoch),
    Mutant("resume: the optimiser forgets", line(history, "_checkpointed", '"state": state, ', ""), lambda tmp_path: test_resumed_runs_end_with_the_same_bits(tmp_path, RMSProp(0.01))),
]
# fmt: on
