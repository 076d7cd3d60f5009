"""What every loop arrives at, and what its progress bar says: numbers held to approved ones.  See `tests.support.approval`.

The laws hold for every result.  Here are a few results as they are: who changes what a method
computes, or what a seed draws, sees it.  All in float64, to four digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from attacks import (
    FGSMAdversary,
    PGDAdversary,
    Targeted,
    Victim,
    apgd,
    bim,
    cw_l0,
    cw_l2,
    cw_linf,
    deepfool,
    few_pixel,
    fgsm,
    fool_cppn,
    fool_direct,
    fool_gradient,
    forward_derivative,
    jsma,
    lbfgs,
    pgd,
    robustness_curve,
    saliency_map,
    sign_noise,
    square,
    transforms,
)
from attacks.common.norms import NORMS
from attacks.evolution import Elitism
from minidl import models
from minidl.data import Dataset
from minidl.evaluation import evaluate
from minidl.layers import Conv2d, Dense, Dropout, Flatten, Glorot, He, Normal, ReLU
from minidl.losses import Penalty
from minidl.models import Sequential
from minidl.optim import SGD, Adam, RMSProp
from minidl.train import fit
from tests.laws.attacks.every_attack import ADVERSARIES, ATTACKS, FOOLING, MOMENT
from tests.laws.attacks.test_every_attack import images, network, other_targets
from tests.support.approval import FOLDER, approve
from tests.unit.test_figures import FIGURES
from tests.unit.test_paths import STEPS
from tests.unit.test_texts import PRINTED

NET, (X, _) = network(dtype="float64"), images(2, dtype=np.float64)
Y, T = NET(X).argmax(axis=-1), other_targets(NET, X, np.random.default_rng(2))

COLOUR = models.mlp((3, 8, 8), 4, (10,), bias=True, init_weights=Glorot(), seed=4, dtype="float64")
X3 = np.random.default_rng(5).random((5, 3, 8, 8))
Y3 = COLOUR(X3).argmax(axis=-1)
T3 = (Y3 + 1) % 4


class Bar:
    """In tqdm's place: it keeps its arguments and draws nothing."""

    seen: list[Bar] = []

    def __init__(self, items: Any, desc: str, **options: Any) -> None:
        self.items, self.desc, self.options = items, desc, options
        self.n, self.postfixes, self.updates = options.get("initial", 0), [], 0
        Bar.seen.append(self)

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            yield item
            self.update()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    close = __exit__

    def update(self, n: int = 1) -> None:
        self.n, self.updates = self.n + int(n), self.updates + 1

    def set_description(self, words: str, refresh: bool) -> None:
        self.desc = words

    def refresh(self) -> None:
        pass

    def set_postfix(self, known: Any = None, **words: Any) -> None:
        words = (known or {}) | words
        self.postfixes.append(" ".join(f"{name}={word}" for name, word in words.items()))

    def set_postfix_str(self, words: str, **_: Any) -> None:
        self.postfixes.append(words)

    def __str__(self) -> str:
        options = {name: self.options[name] for name in ("leave", "unit", "initial") if name in self.options}
        ends = f"; {len(self.postfixes)} times, at last: {self.postfixes[-1]}" if self.postfixes else ""
        return f"bar: {self.desc}, {self.n} of {len(self.items)} in {self.updates} updates, {options}{ends}"


@pytest.fixture(autouse=True)
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    """Every bar that is made, in tqdm's place."""
    monkeypatch.setattr("minidl.progress._tqdm", lambda: Bar)
    monkeypatch.setattr(Bar, "seen", [])
    return Bar.seen


def row(values: Any) -> str:
    """Some numbers, to four digits; of many, sums that know their order."""
    flat = np.asarray(values, dtype=float).ravel()
    if flat.size > 40:
        turned = flat * np.cos(np.arange(flat.size))
        return f"{flat.shape} sum {flat.sum():.4g}, in order {turned.sum():.4g}, of squares {(flat**2).sum():.4g}"
    return " ".join(f"{0 if abs(value) < 1e-12 else value:.4g}" for value in flat)


def ended(result: Any) -> str:
    """An attack's result, and what it took."""
    if isinstance(result, list | tuple):
        return "\n".join(map(ended, result))
    params = {name: value for name, value in result.params.items() if np.ndim(value) == 0}
    lines = [
        f"{params}", f"success {row(result.success)}, from {row(result.clean_pred)} to {row(result.adv_pred)}",
        *(f"{name} {row(getattr(result, name))}" for name in ("l0", "l1", "l2", "linf")),
        f"x_adv {row(result.x_adv)}; in {row(result.iterations)} steps, {result.forwards} forwards, {result.backwards} backwards",
    ]  # fmt: skip
    return "\n".join(lines)


MORE: dict[str, Callable[[], Any]] = {
    "fgsm, several": lambda: fgsm(NET, X, Y, epsilon=[0.05, 0.0, 0.2]),
    "sign_noise, several, unbounded": lambda: sign_noise(NET, X, Y, epsilon=[0.05, 0.2], clip=False, seed=5),
    "bim, several, stopping": lambda: bim(NET, X, Y, epsilon=[0.2, 0.02], steps=6, early_stop=True),
    "pgd, several with restarts": lambda: pgd(NET, X, Y, epsilon=[0.01, 0.05], steps=4, restarts=3, seed=1, progress=True),
    "pgd, unbounded, at random": lambda: pgd(NET, X, Y, epsilon=0.1, steps=3, clip=False, seed=1),
    "pgd, l1, at random": lambda: pgd(NET, X, Y, epsilon=0.5, norm="l1", steps=3, seed=1),
    "pgd, margin": lambda: pgd(NET, X, Y, epsilon=0.1, steps=4, objective="margin", random_start=False),
    "pgd, dlr, to targets": lambda: pgd(NET, X, Targeted(T), epsilon=0.1, steps=4, objective="dlr"),
    "jsma, probabilities": lambda: jsma(NET, X, Targeted(T), max_distortion=0.6, outputs="probabilities"),
    "jsma, all targets": lambda: jsma(NET, X, Y, max_distortion=0.3, all_targets=True, progress=True),
    "jsma, colour": lambda: jsma(COLOUR, X3, Targeted(T3), max_distortion=0.2, theta=0.5),
    "lbfgs, from far": lambda: lbfgs(NET, X, Targeted(T), initial_c=30.0, search_steps=3, steps=10, progress=True),
    "deepfool, few candidates": lambda: deepfool(COLOUR, X3, Y3, candidates=2, overshoot=0.1, steps=7, progress=True),
    "deepfool, linf": lambda: deepfool(COLOUR, X3, Y3, norm="linf", steps=7),
    "cw_l2, confident": lambda: cw_l2(NET, X, Targeted(T), confidence=2.0, binary_search_steps=4, steps=40, lr=0.05, progress=True),
    "cw_l2, untargeted, not early": lambda: cw_l2(NET, X, Y, initial_c=1.0, binary_search_steps=3, steps=30, lr=0.05, abort_early=False),
    "cw_l0, colour": lambda: cw_l0(COLOUR, X3, Targeted(T3), initial_c=0.1, largest_c=10.0, steps=30, lr=0.05, progress=True),
    "cw_linf, to targets": lambda: cw_linf(NET, X, Targeted(T), confidence=0.5, steps=30, lr=0.05, progress=True),
    "square, colour": lambda: square(COLOUR, X3, Y3, epsilon=0.03, queries=60, initial_share=0.3, seed=2, progress=True),
    "apgd, colour": lambda: apgd(COLOUR, X3, Y3, epsilon=0.02, steps=12, restarts=2, queries=20, targets=2, seed=1, progress=True),
    "apgd, several": lambda: apgd(NET, X, Y, epsilon=[0.02, 0.1], steps=6, objective="cross_entropy", queries=0),
    "apgd, l2, margin": lambda: apgd(NET, X, Y, epsilon=0.2, norm="l2", steps=9, objective="margin"),
    "few_pixel, colour": lambda: few_pixel(COLOUR, X3, Targeted(T3), pixels=3, population=10, generations=6, weight=0.7, seed=3,
                                           progress=True),
    "in small batches": lambda: few_pixel(Victim(COLOUR, batch_size=2), X3, Y3, population=7, generations=3, progress=True),
}  # fmt: skip


@pytest.mark.parametrize("name", [*ATTACKS, *MORE])
def test_attacks_end_as_was_approved(name, bars) -> None:
    result = ATTACKS[name](Victim(NET), X, Y, T, 1.0) if name in ATTACKS else MORE[name]()
    approve(f"runs/{name}", "\n".join([ended(result), *map(str, bars)]))


def evolved(result: Any) -> str:
    lines = [f"{name} {row(getattr(result, name))}" for name in ("images", "confidence", "history")]
    return "\n".join([*lines, f"{result.params}, {result.forwards} forwards"])


PALE = {"shape": (3, 5, 4), "generations": 6, "population": 12}
MORE_FOOLING: dict[str, Callable[[Victim], Any]] = {
    "direct, each line alone": lambda v: fool_direct(v, archive=Elitism, crossover=0.7, halved_every=2, seed=2, progress=True, **PALE),
    "direct, hardly": lambda v: fool_direct(v, rate=0.9, strength=2.0, crossover_strength=3.0, seed=3, **PALE),
    "CPPNs that change much": lambda v: fool_cppn(v, add_connection=1.0, delete_connection=0.6, change_connection=1.0, add_neuron=0.9,
                                                  delete_neuron=0.5, neurons=9, seed=2, progress=True, **PALE),
    "CPPNs, each line alone": lambda v: fool_cppn(v, archive=Elitism, limit=2.0, rate=0.5, seed=4, **PALE),
    "gradient, from noise": lambda v: fool_gradient(v, shape=(3, 5, 4), steps=30, decay=0.1, rise=0.1, seed=2, progress=True),
    "gradient, from an image": lambda v: fool_gradient(v, start=np.full((3, 5, 4), 0.25), steps=12, decay=0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", [*FOOLING, *MORE_FOOLING])
def test_fooling_ends_as_was_approved(name, bars) -> None:
    if name in FOOLING:
        result = FOOLING[name](Victim(NET))
    else:
        net = models.mlp((3, 5, 4), 3, (8,), bias=True, init_weights=Glorot(), seed=6, dtype="float64")
        result = MORE_FOOLING[name](Victim(net, bounds=(-1, 1) if "CPPN" in name else (0, 1)))
    approve(f"runs/{name}", "\n".join([evolved(result), *map(str, bars)]))


# --- training --------------------------------------------------------------------------------------------

PIXELS = np.random.default_rng(7).random((53, 1, 6, 6))
DIGITS = Dataset(PIXELS, (PIXELS.mean(axis=(1, 2, 3)) * 40).astype(int) % 4, tuple("abcd"))
KEPT = DIGITS.take(9)


def trained(**options: Any) -> str:
    layers = [
        Conv2d(3, 3, padding=1, init_weights=He()),
        ReLU(),
        Dropout(0.25),
        Flatten(),
        Dense(9, init_weights=Normal(0.2)),
        Dense(4),
    ]
    net = Sequential(*layers, input_shape=(1, 6, 6), seed=options.get("seed", 0), dtype="float64")
    options = {"epochs": 3, "batch_size": 5, "seed": 3} | options
    history = fit(net, DIGITS, validation=KEPT, **options)
    lines = [f"{name} {row(getattr(history, name))}" for name in ("loss", "accuracy", "validation_error")]
    return "\n".join(lines + [f"{name} {row(w)}" for name, w in net.params.items()] + [f"logits {row(net(KEPT.x))}"])


TRAINING: dict[str, dict[str, Any]] = {
    "by SGD": {"optimizer": SGD(0.05)},
    "by SGD with momentum": {"optimizer": SGD(0.02, momentum=0.8)},
    "by SGD after Nesterov": {"optimizer": SGD(0.02, momentum=0.8, nesterov=True)},
    "by RMSProp": {"optimizer": RMSProp(0.002)},
    "by RMSProp, outside": {"optimizer": RMSProp(0.002, 0.8, 1e-3, epsilon_inside=False)},
    "by Adam": {"optimizer": Adam(0.003, 0.8, 0.98, 1e-5)},
    "with the defaults": {},
    "with penalties": {"optimizer": Adam(0.003), "penalty": Penalty(1e-3, 1e-2)},
    "with a penalty of one's own": {"penalty": lambda params: 0.01 * sum((w * w).sum() for w in params.values())},
    "in file order, whole batches": {"shuffle": False, "drop_last": True, "progress": True},
    "of many batches": {"batch_size": 1, "epochs": 5, "optimizer": SGD(0.01), "progress": True},
    "of another seed": {"seed": 4},
    "against FGSM": {"adversary": FGSMAdversary(epsilon=0.1, alpha=0.4), "optimizer": Adam(0.003)},
    "against PGD, warming up": {"adversary": PGDAdversary(epsilon=0.2, steps=3, warm_up=2.0), "optimizer": SGD(0.05)},
    "against PGD, l2": {"adversary": PGDAdversary(epsilon=0.5, norm="l2", steps=2, step=0.3, alpha=0.2, clip=False)},
}


@pytest.mark.parametrize("name", TRAINING)
def test_training_ends_as_was_approved(name, bars) -> None:
    approve(f"runs/training {name}", "\n".join([trained(**TRAINING[name]), *map(str, bars)]))


# --- draws, and measures ---------------------------------------------------------------------------------


def draws() -> Iterator[str]:
    """Whatever a seed draws outside of the loops above."""
    like = np.zeros((3, 4))
    for name, norm in NORMS.items():
        yield f"in the ball of {name}: {row(norm.random(11, like, 0.5))}"
    for adversary, made in ADVERSARIES.items():
        yield f"{adversary}: {row(made((0.0, 1.0), 1.0)(NET, X, Y, MOMENT))}"
    shade = np.random.default_rng(8).random((2, 3, 7, 6))
    for name in ("brightness", "contrast", "gamma", "blur", "perspective", "noise"):  # JPEG is a library's
        for amount in (0.3, 0.45):
            yield f"{name} of {amount}: {row(getattr(transforms, name)(shade, amount, seed=2))}"
    for net in (models.lenet((1, 16, 16), 3, seed=2), models.carlini((1, 18, 18), 3, seed=2), models.mlp(9, 3, (5,), seed=2),
                models.madry((1, 8, 8), 3, seed=2), models.softmax_regression(6, 3, seed=2)):  # fmt: skip
        yield "; ".join(f"{name} {w.shape} {w.std():.4g} {w.ravel()[0]:.4g}" for name, w in net.params.items())
    first, second = DIGITS.split(0.7, seed=3)
    yield f"split: {row(first.y)} | {row(second.y)}"
    yield "batches: " + " | ".join(row(y) for _, y in DIGITS.batches(6, np.random.default_rng(0)))


def measures() -> Iterator[str]:
    """What is measured of a network."""
    evaluation = evaluate(NET, Dataset(X, np.array([0, 1, 2, 3, 4, 0, 1]), tuple("abcde")))
    yield f"confidences {row(evaluation.confidences)}, error {evaluation.error:.4g}, on errors {evaluation.confidence_on_errors:.4g}"
    yield f"calibration {row(evaluation.calibration(4).confidence)}, error {evaluation.calibration(4).error:.4g}"
    yield f"coverage {row(evaluation.coverage().threshold)}, errors {row(evaluation.coverage().error)}"
    yield f"J {row(forward_derivative(NET, X))}"
    for step, derivative in forward_derivative(NET, X, steps=True).items():
        yield f"J of {step} {row(derivative)}"
    yield f"saliency {row(saliency_map(NET, X, T))}, darker {row(saliency_map(NET, X, T, theta=-1.0, outputs='probabilities'))}"
    yield f"{robustness_curve(NET, X, Y, fgsm, [0.0, 0.05, 0.3])}"


@pytest.mark.parametrize("lines", [draws, measures], ids=lambda lines: lines.__name__)
def test_draws_and_measures_are_as_approved(lines) -> None:
    approve(f"runs/{lines.__name__}", "\n".join(lines()))


def test_no_approved_text_is_left_over() -> None:
    """Of a case that is gone, or has another name by now."""
    asked = {"refusals", "signatures", *(f"figures/{name}" for name in FIGURES), *(f"printed/{name}" for name in PRINTED),
             *(f"runs/{name}" for name in [*ATTACKS, *MORE, *FOOLING, *MORE_FOOLING, "draws", "measures"]),
             *(f"runs/training {name}" for name in TRAINING),
             *(f"paths/{name}" for name in [*STEPS, "evolution", "compiled"])}  # fmt: skip
    assert {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.txt")} == asked
