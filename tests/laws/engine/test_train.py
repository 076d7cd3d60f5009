"""Adversarial training: what is learnt from, that it is within the ball, and that nothing else is changed by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import attacks.bounded.pgd
from attacks import fgsm, pgd
from attacks.adversaries import BoundedAdversary, FGSMAdversary, PGDAdversary
from attacks.common.norms import NORMS
from minidl import identity, losses, models, recipe, train
from minidl.data import Dataset
from minidl.derivatives import grad
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.layers import Glorot
from minidl.optim import SGD, Adam
from minidl.testing import Mutant, line
from minidl.train import TrainingStep, fit

HERE = TrainingStep(seed=0, epoch=0, step=0, steps=4)


def data(n: int = 50, seed: int = 0, dtype: str = "float32") -> Dataset:
    """Three classes of points within [0, 1] that a small network can learn."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = np.clip(0.2 * rng.random((n, 4)) + 0.8 * np.eye(3, 4)[y], 0, 1).astype(dtype)
    return Dataset(x, y, ("a", "b", "c"))


def network(seed: int = 0, dropout: float = 0.3, dtype: str = "float32") -> models.Sequential:
    weights = Glorot()
    return models.mlp(4, 3, (16,), bias=True, dropout=(0, dropout), init_weights=weights, seed=seed, dtype=dtype)


def parameters(net: models.Sequential) -> bytes:
    return b"".join(w.tobytes() for w in net.params.values())


@dataclass(frozen=True)
class Brighter:
    """An adversary of one's own: it makes images a little lighter."""

    alpha: float = 0.0
    by: float = 0.1

    def __call__(self, net: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
        return x + x.dtype.type(self.by)


def untouched(net: Any, x: Any, y: Any, moment: TrainingStep) -> Any:
    """A function with a name of its own."""
    return x


def trained(adversary: Any, dataset: Dataset | None = None, **options: Any) -> models.Sequential:
    net = network()
    fit(net, dataset or data(), batch_size=16, adversary=adversary, **{"epochs": 2, **options})
    return net


# --- what is learnt from ----------------------------------------------------------------------------------


def test_alpha_one_is_plain_training_to_the_bit() -> None:
    class NeverAsked(Brighter):
        def __call__(self, *_: Any) -> Any:
            raise AssertionError

    assert parameters(trained(NeverAsked(alpha=1.0))) == parameters(trained(None))


def test_alpha_zero_learns_from_the_adversarial_images_alone() -> None:
    brighter = data().replace(x=data().x + np.float32(0.1))
    assert parameters(trained(Brighter())) == parameters(trained(None, brighter)) != parameters(trained(None))


@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0, 0.0])
@pytest.mark.parametrize("adversary", [FGSMAdversary, PGDAdversary])
def test_one_step_follows_the_objective_as_written(alpha, adversary) -> None:
    """w - η ∂(α·J(x) + (1-α)·J(x') + penalty)/∂w with x' held constant; its loss, and accuracy, by the same weights."""
    examples, penalty, opponent = data(20, dtype="float64"), losses.Penalty(0.01, 0.02), adversary(0.2, alpha)
    net = network(dropout=0, dtype="float64")
    before = {name: w.copy() for name, w in net.params.items()}
    x, y = examples.x, examples.y
    x_adv = opponent(net, x, y, TrainingStep(7, 0, 0, 1))

    def objective(params: Any) -> Any:
        clean, attacked = (losses.cross_entropy(net.apply(params, images), y) for images in (x, x_adv))
        return alpha * clean + (1 - alpha) * attacked + penalty(params)

    slopes, value = grad(objective, before), objective(before)
    right = [(net.apply(before, images).argmax(axis=1) == y).mean() for images in (x, x_adv)]
    history = fit(net, examples, epochs=1, batch_size=20, shuffle=False, optimizer=SGD(0.5), penalty=penalty,
                  adversary=opponent, seed=7)  # fmt: skip
    for name, w in before.items():
        np.testing.assert_allclose(net.params[name], w - 0.5 * slopes[name], rtol=1e-9, atol=1e-12)
    assert history.loss == [pytest.approx(value)]
    assert history.accuracy == [pytest.approx(alpha * right[0] + (1 - alpha) * right[1])]


def test_every_batch_is_attacked_as_the_network_is_then() -> None:
    seen = []

    @dataclass(frozen=True)
    class Watching(FGSMAdversary):
        def __call__(self, net, x, y, moment):
            seen.append((parameters(net), moment, len(x)))
            return super().__call__(net, x, y, moment)

    trained(Watching(), seed=3)
    assert [moment for _, moment, _ in seen] == [
        TrainingStep(3, epoch, step, 4) for epoch in (0, 1) for step in range(4)
    ]
    assert [n for *_, n in seen] == [16, 16, 16, 2] * 2
    assert len({params for params, *_ in seen}) == 8
    keys = {moment.key for _, moment, _ in seen}
    assert len(keys) == 8
    assert seen[5][1].epochs == 1.25


def test_it_makes_robust() -> None:
    test, robust, plain = data(200, 1), network(), network()
    for net, adversary in ((plain, None), (robust, PGDAdversary(0.3, steps=3))):
        fit(net, data(400), epochs=15, batch_size=20, adversary=adversary, optimizer=Adam(0.01))
    stands = [1 - pgd(net, test.x, test.y, epsilon=0.3).success.mean() for net in (plain, robust)]
    assert stands[1] > 0.8
    assert stands[0] < stands[1] - 0.05


# --- the images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-3.0, 2.0)])
@pytest.mark.parametrize("clip", [True, False])
def test_images_are_in_the_ball_and_within_bounds(norm, bounds, clip) -> None:
    low, high = bounds
    x, y = (data().x * np.float32(high - low) + np.float32(low)).clip(low, high), data().y
    for adversary in (
        FGSMAdversary(0.3, norm=norm, bounds=bounds, clip=clip),
        PGDAdversary(0.3, norm=norm, bounds=bounds, clip=clip),
        PGDAdversary(0.3, norm=norm, bounds=bounds, clip=clip, steps=1, step=0.375),
    ):
        x_adv = adversary(network(), x, y, HERE)
        assert x_adv.dtype == x.dtype
        assert (NORMS[norm].length((x_adv - x).astype(np.float64)) <= 0.3 * (1 + 1e-5)).all()
        assert ((x_adv >= low) & (x_adv <= high)).all() or not clip
        assert (x_adv != x).any()


def test_they_are_those_of_the_attacks() -> None:
    x, y = data().x, data().y
    for norm in NORMS:
        expected = fgsm(network(), x, y, epsilon=0.2, norm=norm).x_adv
        np.testing.assert_array_equal(FGSMAdversary(0.2, norm=norm)(network(), x, y, HERE), expected)
        walk = {"norm": norm, "steps": 5, "step": 0.07, "random_start": False}
        expected = pgd(network(), x, y, epsilon=0.2, early_stop=False, **walk).x_adv
        np.testing.assert_array_equal(PGDAdversary(0.2, **walk)(network(), x, y, HERE), expected)


def test_they_are_made_without_dropout() -> None:
    x, y = data().x, data().y
    for adversary in (FGSMAdversary(), PGDAdversary()):
        x_adv = [adversary(network(dropout=rate), x, y, HERE) for rate in (0.0, 0.9)]
        np.testing.assert_array_equal(*x_adv)


def test_starts_differ_between_steps_and_are_the_same_for_the_same_step() -> None:
    x, y = data().x, data().y
    moments = [
        HERE,
        TrainingStep(0, 0, 0, 4),
        TrainingStep(0, 0, 1, 4),
        TrainingStep(0, 1, 0, 4),
        TrainingStep(1, 0, 0, 4),
    ]
    first, again, *others = (PGDAdversary(0.3, steps=1, step=0.0)(network(), x, y, moment) for moment in moments)
    np.testing.assert_array_equal(first, again)
    for i, other in enumerate(others):
        assert all((other != earlier).mean() > 0.2 for earlier in [first, *others[:i]])


def test_epsilon_warms_up_evenly_and_stays() -> None:
    adversary = PGDAdversary(0.4, steps=2, warm_up=2.0)
    assert [
        adversary.radius(TrainingStep(0, epoch, step, 4)) for epoch, step in ((0, 0), (0, 2), (1, 1), (2, 0), (9, 3))
    ] == (pytest.approx([0, 0.1, 0.25, 0.4, 0.4]))
    for epoch, radius in ((0, 0.0), (1, 0.2), (5, 0.4)):
        x_adv = adversary(network(), data().x, data().y, TrainingStep(0, epoch, 0, 4))
        assert abs(x_adv - data().x).max() == pytest.approx(radius, abs=1e-6)
    assert FGSMAdversary(0.4).radius(HERE) == 0.4


# --- runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversary", [FGSMAdversary(0.2), PGDAdversary(0.3, steps=2, warm_up=2.5)])
def test_resumed_runs_end_with_the_same_bits(adversary, tmp_path) -> None:
    path = tmp_path / "run.npz"
    straight = trained(adversary, epochs=4)
    trained(adversary, epochs=1, checkpoint=path)
    assert parameters(trained(adversary, epochs=4, checkpoint=path)) == parameters(straight)


def test_checkpoints_know_the_adversary(tmp_path) -> None:
    path = tmp_path / "run.npz"
    trained(PGDAdversary(0.3), epochs=1, checkpoint=path)
    for other in (None, PGDAdversary(0.2), FGSMAdversary(0.3), PGDAdversary(0.3, alpha=0.5), Brighter()):
        with pytest.raises(DataError, match="other settings.*adversary"):
            trained(other, checkpoint=path)

    untouched.alpha = 0.5
    trained(untouched, epochs=1, checkpoint=tmp_path / "function.npz")
    untouched.alpha = 0.25
    with pytest.raises(DataError, match="other settings.*adversary"):
        trained(untouched, checkpoint=tmp_path / "function.npz")

    def inner(net, x, y, moment):  # of which there may be several, with other numbers in them
        return x

    for nameless in (lambda net, x, y, moment: x, inner):
        nameless.alpha = 0.5
        with pytest.raises(DTypeError, match="checkpoint can tell from others.*top level of a module"):
            trained(nameless, checkpoint=tmp_path / "nameless.npz")


def test_an_adversary_may_write_into_what_it_is_given() -> None:
    def careless(net, x, y, moment):
        x += 0.1
        return x

    careless.alpha = 0.5
    kept = data()
    before = kept.x.copy()
    net = trained(careless, kept, shuffle=False)
    np.testing.assert_array_equal(kept.x, before)
    assert parameters(net) == parameters(trained(Brighter(0.5), data(), shuffle=False))


@pytest.mark.parametrize(
    ("adversary", "error", "message"),
    [
        ("pgd", DTypeError, "adversary that is a function"),
        (lambda net, x, y, moment: x, RangeError, "adversary with an alpha"),
        (Brighter(alpha=1.5), RangeError, "alpha from 0 to 1.*1.5"),
        (Brighter(alpha=float("nan")), RangeError, "alpha"),
        (Brighter(alpha=None), RangeError, "alpha"),
    ],
)
def test_anything_but_an_adversary_raises_an_error_before_any_work(adversary, error, message) -> None:
    net = network()
    before = parameters(net)
    with pytest.raises(error, match=message):
        fit(net, data(), epochs=1, adversary=adversary)
    assert parameters(net) == before


@pytest.mark.parametrize("wrong", [lambda x: x[:-1], lambda x: x.astype(np.float64), lambda x: None, lambda x: x[0]])
def test_other_images_than_asked_for_raise_an_error(wrong) -> None:
    class Wrong:
        alpha = 0.5

        def __call__(self, net, x, y, moment):
            return wrong(x) if moment.epoch else x

    one, net = trained(Wrong(), epochs=1), network()
    with pytest.raises(ShapeError, match="images like x"):
        fit(net, data(), epochs=2, batch_size=16, adversary=Wrong())
    assert parameters(net) == parameters(one)  # the last completed epoch


def test_images_out_of_bounds_raise_an_error() -> None:
    for adversary in (FGSMAdversary(), PGDAdversary()):
        with pytest.raises(RangeError, match=rf"{type(adversary).__name__}.*bounds"):
            trained(adversary, data().replace(x=2 * data().x))


@pytest.mark.parametrize("options", [
    {"epsilon": -0.1}, {"epsilon": float("nan")}, {"epsilon": float("inf")}, {"epsilon": [0.1]}, {"epsilon": True},
    {"alpha": 1.1}, {"alpha": -0.1}, {"alpha": None}, {"warm_up": -1}, {"norm": "l3"}, {"bounds": (1, 0)},
])  # fmt: skip
def test_parameters_out_of_range_raise_an_error(options) -> None:
    for adversary in (FGSMAdversary, PGDAdversary, BoundedAdversary):
        with pytest.raises(RangeError):
            adversary(**options)


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 1.5}, {"step": -0.1}, {"step": "long"}])
def test_steps_out_of_range_raise_an_error(options) -> None:
    with pytest.raises(RangeError, match="PGDAdversary"):
        PGDAdversary(**options)


def written(adversary: type[BoundedAdversary], alpha: float = 0.25) -> object:
    """The law of the objective as written, for that adversary."""
    return lambda: test_one_step_follows_the_objective_as_written(alpha, adversary)


def bounded(clip: bool = True, norm: str = "linf", low: float = 0.0, high: float = 1.0) -> object:
    """The law of the ball and the bounds."""
    return lambda: test_images_are_in_the_ball_and_within_bounds(norm, (low, high), clip)


def resumed(tmp_path: object) -> None:
    test_resumed_runs_end_with_the_same_bits(PGDAdversary(0.3, steps=2, warm_up=2.5), tmp_path)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("adversary: its images are not trained on", line(train, "_batch_to_learn", "adversary.alpha == 1", "adversary.alpha >= 0"), test_alpha_zero_learns_from_the_adversarial_images_alone),
    Mutant("adversary: clean images too at α = 0", line(train, "_batch_to_learn", "adversary.alpha == 0", "adversary.alpha < 0"), test_alpha_zero_learns_from_the_adversarial_images_alone),
    Mutant("adversary: asked at α = 1 as well", line(train, "_batch_to_learn", "adversary.alpha == 1", "adversary.alpha > 1"), test_alpha_one_is_plain_training_to_the_bit),
    Mutant("adversary: α and 1 - α swapped", line(train, "_batch_to_learn", "[x, x_adv]", "[x_adv, x]"), written(FGSMAdversary)),
    Mutant("adversary: both halves whole", line(train, "_batch_to_learn", "(1 - adversary.alpha) / len(y)", "1 / len(y)"), written(PGDAdversary)),
    Mutant("gradient: weights forgotten", line(train, "gradient", "ops.sum(weights * ", "ops.mean("), written(FGSMAdversary)),
    Mutant("fit: accuracy without weights", line(train, "_step", "(weights * right).sum()", "right.mean()"), written(FGSMAdversary)),
    Mutant("fit: the first moment for every batch", line(train, "_learn", "replace(start, step=step)", "replace(start, step=0)"), test_every_batch_is_attacked_as_the_network_is_then),
    Mutant("fit: images are not checked", line(train, "_batch_to_learn", "x_adv.dtype != x.dtype", "False"), lambda: test_other_images_than_asked_for_raise_an_error(lambda x: x.astype("float64"))),
    Mutant("moment: one key for all epochs", line(train.TrainingStep, "key", "self.epoch, ", ""), test_starts_differ_between_steps_and_are_the_same_for_the_same_step),
    Mutant("moment: one key for all seeds", line(train.TrainingStep, "key", "self.seed, ", ""), test_starts_differ_between_steps_and_are_the_same_for_the_same_step),
    Mutant("moment: whole epochs only", line(train.TrainingStep, "epochs", " + self.step / self.steps", ""), test_epsilon_warms_up_evenly_and_stays),
    Mutant("checkpoint: α not in the adversary's name", line(recipe.Recipe, "settings", 'float(getattr(self.adversary, "alpha", 1))', "1.0"), test_checkpoints_know_the_adversary),
    Mutant("checkpoint: lambdas have a name", line(identity, "_name", '("<lambda>", "<locals>", " at 0x")', '(" at 0x",)'), test_checkpoints_know_the_adversary),
    Mutant("adversary: downhill", line(FGSMAdversary, "images", "victim.gradient(x, goal)", "-victim.gradient(x, goal)"), test_they_are_those_of_the_attacks),
    Mutant("adversary: attacks with dropout", line(BoundedAdversary, "__call__", "Victim(net,", "Victim(lambda x: net.apply(net.params, x, moment.rng),"), test_they_are_made_without_dropout),
    Mutant("adversary: never clips", line(BoundedAdversary, "__call__", "self.bounds if self.clip else None", "None"), bounded()),
    Mutant("adversary: always clips to [0, 1]", line(BoundedAdversary, "__call__", "self.bounds if self.clip else None", "(0.0, 1.0)"), bounded(low=-3.0, high=2.0)),
    Mutant("adversary: images are not checked", line(BoundedAdversary, "__call__", "victim.check_images", "(lambda *_: None)"), test_images_out_of_bounds_raise_an_error),
    Mutant("adversary: no warm-up", line(BoundedAdversary, "radius", "if self.warm_up", "if False"), test_epsilon_warms_up_evenly_and_stays),
    Mutant("adversary: warms up for ever", line(BoundedAdversary, "radius", "min(1.0, ", "max(0.0, "), test_epsilon_warms_up_evenly_and_stays),
    Mutant("PGD adversary: leaves the ball", line(PGDAdversary, "images", "self.norm), radius, bounds)", "self.norm), 2 * radius, bounds)"), bounded()),
    Mutant("PGD adversary: one step of all", line(PGDAdversary, "images", "pass", "break"), test_they_are_those_of_the_attacks),
    Mutant("PGD adversary: starts at the image", line(attacks.bounded.pgd.Schedule, "start", "if self.random_start", "if False"), test_starts_differ_between_steps_and_are_the_same_for_the_same_step),
    Mutant("PGD adversary: one start for all steps of training", line(PGDAdversary, "images", "start(ball, key, x)", "start(ball, 0, x)"), test_starts_differ_between_steps_and_are_the_same_for_the_same_step),
    Mutant("PGD adversary: starts from earlier steps of training", line(train.TrainingStep, "key", "(self.seed, self.epoch, self.step, 1)", "__import__('time').perf_counter_ns()"), resumed),
]
# fmt: on
