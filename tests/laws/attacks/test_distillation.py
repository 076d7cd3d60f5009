"""Laws of defensive distillation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks import Untargeted, Victim
from attacks.defences import distillation
from attacks.defences.distillation import AtTemperature, Distillation, distill
from minidl import Dataset, backend, fit, losses, models
from minidl.derivatives import grad
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.layers import Glorot
from minidl.optim import Adam
from minidl.testing import Mutant, line
from minidl.train import TrainingStep
from tests.support.other_arrays import add_the_stand_in, check_the_same_on

seeds = st.integers(0, 2**32 - 1)
temperatures = st.sampled_from([0.5, 1.0, 7.0, 100.0])
HERE = TrainingStep(seed=5, epoch=1, step=2, steps=4)


def data(count: int) -> Dataset:
    """Images of five classes, each about a mean of its own."""
    rng = np.random.default_rng(0)
    means, y = rng.random((5, 1, 4, 4)), np.arange(count) % 5
    x = np.clip(means[y] + 0.1 * rng.normal(size=(count, 1, 4, 4)), 0, 1)
    return Dataset(x.astype(np.float32), y)


def logits_alone(classes: int = 4) -> models.Sequential:
    """A network whose only parameters are the weights of one layer, on inputs that are unit vectors."""
    return models.softmax_regression(3, classes, dtype="float64")


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@given(seed=seeds, temperature=temperatures)
def test_the_gradient_is_the_difference_of_the_probabilities(seed, temperature) -> None:
    """(q - p)/(N·T) at the logits, with both at temperature T; the teacher is a constant."""
    rng, net = np.random.default_rng(seed), logits_alone()
    x, theirs = np.eye(3), rng.normal(size=(3, 4)) * 5
    net.params["dense1.W"][...] = rng.normal(size=(3, 4)) * 5
    objective = Distillation(lambda x: theirs, temperature)
    p, q = softmax(theirs / temperature), softmax(net.params["dense1.W"] / temperature)
    value = objective(net, net.params, x, None, HERE)
    np.testing.assert_allclose(value, -(p * np.log(q)).sum(axis=1).mean(), rtol=1e-9)
    gradient = grad(lambda params: objective(net, params, x, None, HERE), net.params)
    np.testing.assert_allclose(gradient["dense1.W"], (q - p) / temperature / 3, atol=1e-12)


@given(seed=seeds, temperature=temperatures)
def test_a_student_that_is_its_teacher_stays_as_it_is(seed, temperature) -> None:
    net = models.mlp(3, 4, (5,), bias=True, dropout=(0.0, 0.0), init_weights=Glorot(), seed=seed % 99, dtype="float64")
    x = np.random.default_rng(seed).normal(size=(6, 3))
    gradient = grad(lambda params: Distillation(net, temperature)(net, params, x, None, HERE), net.params)
    for g in gradient.values():
        np.testing.assert_allclose(g, 0, atol=1e-12)


@given(seed=seeds, temperature=temperatures)
def test_a_certain_teacher_gives_hard_labels(seed, temperature) -> None:
    rng, net = np.random.default_rng(seed), logits_alone()
    net.params["dense1.W"][...] = rng.normal(size=(3, 4))
    y = rng.integers(0, 4, 3)
    value = Distillation(lambda x: 1e6 * np.eye(4)[y], temperature)(net, net.params, np.eye(3), y, HERE)
    np.testing.assert_allclose(value, AtTemperature(temperature)(net(np.eye(3)), y).mean(), rtol=1e-9)
    np.testing.assert_allclose(AtTemperature(temperature)(net(np.eye(3)), y),
                               losses.cross_entropy(net(np.eye(3)) / temperature, y, "none"))  # fmt: skip


def test_a_distilled_network_has_large_logits_and_no_gradient() -> None:
    """The cautionary tale in small: trained at T = 100, and used at T = 1."""
    examples = data(60)
    nets = [
        models.mlp((1, 4, 4), 5, (20,), bias=True, dropout=(0.0, 0.0), init_weights=Glorot(), seed=s) for s in range(3)
    ]
    options = {"epochs": 300, "optimizer": Adam(0.01), "batch_size": 60, "progress": False}
    fit(nets[0], examples, **options)
    distill(nets[1], nets[2], examples, temperature=100.0, **options)
    plain, distilled = (abs(net(examples.x)).max(axis=1).mean() for net in (nets[0], nets[2]))
    assert distilled > 5 * plain
    right = nets[2](examples.x).argmax(axis=1) == examples.y
    assert right.mean() > 0.8
    some = examples.take(np.flatnonzero(right))
    at_1, at_100 = (Victim(f).gradient(some.x, Untargeted(some.y)) for f in (nets[2], lambda x: nets[2](x) / 100))
    vanished = [(g.reshape(len(g), -1) == 0).all(axis=1).mean() for g in (at_1, at_100)]
    assert vanished[0] > 0.2
    assert vanished[1] == 0


def test_labels_are_not_looked_at() -> None:
    examples, teacher = data(30), models.mlp((1, 4, 4), 5, (6,), seed=3)
    results = []
    for labels in (examples.y, (examples.y + 1) % 5):
        student = models.mlp((1, 4, 4), 5, (6,), seed=4)
        fit(student, examples.replace(y=labels), epochs=2, objective=Distillation(teacher, 10.0), progress=False)
        results.append(student.params["dense1.W"])
    np.testing.assert_array_equal(*results)


def test_checkpoints_know_their_teacher(tmp_path) -> None:
    examples, path = data(30), tmp_path / "run"

    def trained(epochs, teacher_seed=3, temperature=10.0, **options):
        student = models.mlp((1, 4, 4), 5, (6,), seed=4)
        objective = Distillation(models.mlp((1, 4, 4), 5, (teacher_seed,)), temperature)
        fit(student, examples, epochs=epochs, objective=objective, progress=False, **options)
        return student.params["dense1.W"]

    straight = trained(3)
    trained(2, checkpoint=path)
    for other in ({"teacher_seed": 4}, {"temperature": 11.0}):
        with pytest.raises(DataError, match="objective"):
            trained(3, checkpoint=path, **other)
    np.testing.assert_array_equal(trained(3, checkpoint=path), straight)


def test_what_is_refused() -> None:
    for make in (AtTemperature, lambda t: Distillation(len, t)):
        for temperature in (0, -1, float("inf"), "hot"):
            with pytest.raises(RangeError, match="temperature above 0"):
                make(temperature)
    with pytest.raises(DTypeError, match="network or a function"):
        Distillation(3)
    examples, net = data(30), models.mlp((1, 4, 4), 5, (6,))
    with pytest.raises(ShapeError, match="same classes"):
        fit(net, examples, epochs=1, objective=Distillation(models.mlp((1, 4, 4), 6, (6,))), progress=False)
    with pytest.raises(DTypeError, match="two networks"):
        distill(net, net, examples, epochs=1)
    with pytest.raises(DTypeError, match="call fit twice"):
        distill(net, models.mlp((1, 4, 4), 5, (6,)), examples, epochs=1, checkpoint="run.npz")


def test_distillation_on_another_library(monkeypatch) -> None:
    add_the_stand_in(monkeypatch)

    def results():
        examples = data(30)
        examples = examples.replace(x=backend.asarray(examples.x), y=backend.asarray(examples.y))
        teacher, student = (models.mlp((1, 4, 4), 5, (6,), seed=s) for s in (3, 4))
        distill(teacher, student, examples, temperature=20.0, epochs=2, progress=False)
        return [backend.to_numpy(w) for w in (*teacher.params.values(), *student.params.values())]

    check_the_same_on("strict", results)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("distillation: the teacher at T = 1", line(Distillation, "__call__", "theirs / self.temperature", "theirs"), test_the_gradient_is_the_difference_of_the_probabilities),
    Mutant("distillation: the student at T = 1", line(Distillation, "__call__", "ours / self.temperature", "ours"), test_the_gradient_is_the_difference_of_the_probabilities),
    Mutant("distillation: the sum over the batch", line(Distillation, "__call__", "-ops.mean(ops.sum", "-ops.sum(ops.sum"), test_the_gradient_is_the_difference_of_the_probabilities),
    Mutant("distillation: uphill", line(Distillation, "__call__", "return -ops", "return ops"), test_the_gradient_is_the_difference_of_the_probabilities),
    Mutant("distillation: the teacher learns, too", line(Distillation, "__call__", "unbox(self.teacher(x))", "net.apply(params, x, moment.rng)"), test_the_gradient_is_the_difference_of_the_probabilities),
    Mutant("temperature: multiplied", line(AtTemperature, "__call__", "logits / self.temperature", "logits * self.temperature"), test_a_certain_teacher_gives_hard_labels),
    Mutant("distill: the teacher at T = 1", line(distillation, "distill", "loss=AtTemperature(temperature), ", ""), test_a_distilled_network_has_large_logits_and_no_gradient),
    Mutant("distill: a cold student", line(distillation, "distill", "Distillation(teacher, temperature)", "Distillation(teacher, 1.0)"), test_a_distilled_network_has_large_logits_and_no_gradient),
]
# fmt: on
