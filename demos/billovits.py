"""Billovits, Eric and Agarwala (2016), and Feinman et al. (2017): can adversarial digits be detected?

    python demos/billovits.py           bundled digits, about two minutes on two cores
    python demos/billovits.py --full    whole MNIST, about ten minutes

A digit is flagged if its features are rare among those of the class that is predicted for it.  The features are the
code of an autoencoder, as Billovits et al. have it, or the last hidden layer, as Feinman et al.; their density is a sum
of Gaussian kernels, and the bandwidth is chosen by cross-validation.  A second score is the variance of the
probabilities under dropout, and a third a logistic regression on all of these, fitted to FGSM images.  Its authors
report its ROC area on the images it was fitted to.  Here attacks that it has not seen are beside that, and noise of the
same size.

Then the same detectors are attacked by someone who knows them: C&W and PGD through the network and the density as one
(`attacks.defences.guarded`), towards the most likely wrong class.

Result: at 5 % of clean digits flagged, the density of the code catches some 40 % of FGSM's and BIM's confident mistakes
and 60 % of C&W's images, and not 80.  The last hidden layer is worse: there FGSM's images are no rarer than clean ones,
so that the combination, which is fitted to FGSM, counts rare features there as a sign of a *clean* digit.  On JSMA's
images, which are rare there, it is worse than chance.  Noise of the same size, which changes no prediction, is flagged
as well.  And attacked through the detector, C&W and PGD pass nearly always, with perturbations that are hardly longer.

Differences from the papers.  The network is a perceptron of 256 and 128 units.  The "conatural" classes are ours: 4 and
9; 3, 5 and 8; 1 and 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import (
    at_least_one,
    command_line,
    correctly_classified,
    ending_with_a_sentence,
    finished,
    median_l2,
    most_likely_wrong,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import AttackResult, Targeted, Victim, bim, cw_l2, deepfool, fgsm, jsma, outcomes, pgd, plots, sign_noise
from attacks.defences.density import KernelDensity, kernel_density
from attacks.defences.guarded import guarded
from attacks.defences.roc import roc
from attacks.defences.uncertainty import Combination, combine, dropout_variance
from attacks.report.intervals import share
from minidl import models
from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.layers import He
from minidl.models import Sequential
from minidl.objectives import Reconstruction
from minidl.optim import Adam
from minidl.train import evaluate

EPSILON, RATE = 0.25, 0.05
GROUPS = np.array([0, 1, 2, 3, 4, 3, 5, 1, 3, 4])  # 1 and 7; 3, 5 and 8; 4 and 9
CODE, HIDDEN, DROPOUT = "code density", "hidden density", "dropout variance"


class Detectors:
    """The network, its two detectors, and all scores of an image; high is suspicious."""

    def __init__(self, data: Dataset, held_out: Dataset, epochs: int, seed: int) -> None:
        shape = data.x.shape[1:]
        self.net = models.mlp(shape, hidden=(256, 128), bias=True, init_weights=He(), seed=seed)
        train(self.net, data, epochs=epochs, optimizer=Adam(), seed=seed)
        coder = models.autoencoder(shape, seed=seed)
        train(coder, data, epochs=epochs, optimizer=Adam(), objective=Reconstruction(), seed=seed)
        options = {"false_positive_rate": RATE, "seed": seed}
        features = {CODE: coder.up_to("dense2"), HIDDEN: self.net.up_to("relu2")}
        self.densities = {name: kernel_density(self.net, f, data, held_out, **options) for name, f in features.items()}
        self.seed = seed

    def scores(self, x: Array) -> dict[str, np.ndarray]:
        """The scores of images by name: (N,) each."""
        both = {name: -to_numpy(each.score(x)).astype(np.float64) for name, each in self.densities.items()}
        return both | {DROPOUT: dropout_variance(self.net, x, seed=self.seed)}


def attacked(net: Sequential, data: Dataset, few: int, steps: int, seed: int) -> dict[str, AttackResult]:
    """The results of the attacks; the slow ones on the first images only."""
    some = data.take(range(min(few, len(data))))
    targets = Targeted(asarray(most_likely_wrong(net, some)))
    return {
        "FGSM": fgsm(net, data.x, data.y, epsilon=EPSILON),
        "BIM": finished(bim(net, data.x, data.y, epsilon=0.15, steps=20)),
        "PGD": finished(pgd(net, data.x, data.y, epsilon=0.15, steps=20, seed=seed)),
        "DeepFool": finished(deepfool(net, some.x, some.y)),
        "JSMA": finished(jsma(net, some.x, targets)),
        "C&W": finished(cw_l2(net, some.x, targets, steps=steps, binary_search_steps=5, seed=seed, progress=True)),
    }


def areas(detectors: Detectors, fitted: tuple[Combination, float], results: dict[str, AttackResult],
          clean: dict[str, np.ndarray], noise: Array) -> str:  # fmt: skip
    """The ROC area of each score on each attack, against clean test digits."""
    combination, on_its_own = fitted
    rows: list[list[Any]] = [["FGSM, as fitted to", "-", "-", "-", "-", on_its_own]]
    cases = {name: each.x_adv[each.success] for name, each in results.items()} | {"noise of ±.25": noise}
    for name, x in cases.items():
        if not len(x):
            continue
        theirs = detectors.scores(x)
        rows.append([name, len(x), *(roc(clean[score], theirs[score]).area for score in clean),
                     roc(combination.score(clean), combination.score(theirs)).area])  # fmt: skip
    heads = ["attack", "images", *(name.replace(" ", "\n") for name in clean), "combination"]
    title = "ROC areas: successful images against clean test digits (Feinman et al., MNIST: .926)"
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in combination.weights.items())
    return table(title, heads, rows) + f"Weights of the combination, of a deviation each: {weights}\n"


def caught(detectors: Detectors, results: dict[str, AttackResult], test: Dataset) -> str:
    """The share of confident mistakes that is flagged, and of clean digits."""
    rows = []
    clean = [
        "clean test digits",
        *(share(int(each.flags(test.x).sum()), len(test)) for each in detectors.densities.values()),
    ]
    for name, result in results.items():
        p = np.exp(to_numpy(detectors.net(result.x_adv)))
        p = (p / p.sum(axis=1, keepdims=True)).max(axis=1)
        x = result.x_adv[asarray(np.flatnonzero(to_numpy(result.success) & (p > 0.9)))]
        rows.append([name, *(share(int(each.flags(x).sum()), len(x)) for each in detectors.densities.values()), len(x)])
    title = f"Flagged, % (95 % interval); threshold at {100 * RATE:.0f} % of held-out digits.  Billovits et al.: 80 %"
    heads = ["mistakes with p > .9", *detectors.densities, "of"]
    return table(title, heads, [[*clean, len(test)], *rows])


def passing(detector: KernelDensity, net: Sequential, test: Dataset) -> str:
    """What becomes of FGSM images of all test digits, and of those that pass the detector."""
    rows = []
    for epsilon in (0.1, EPSILON):
        result = fgsm(net, test.x, test.y, epsilon=epsilon)
        names = np.array(outcomes(result, test.y, groups=GROUPS).names)
        flagged = to_numpy(detector.flags(result.x_adv))
        for which, kept in (("all", names), ("pass", names[~flagged])):
            counts = [
                int((kept == name).sum()) for name in ("true adversarial", "conatural", "benign adversarial", "none")
            ]
            rows.append([f"FGSM {epsilon}, {which}", *counts])
    heads = ["images", "true adversarial", "conatural", "benign adversarial", "none"]
    return table(f"Outcomes of {len(test)} test digits, all and those that pass the {CODE}", heads, rows)


def knowing(detectors: Detectors, plain: AttackResult, some: Dataset, steps: int, seed: int) -> str:
    """As claimed, and attacked knowing it: C&W and PGD through the network and the detector."""
    targets = Targeted(asarray(most_likely_wrong(detectors.net, some)))
    rows = []
    for name, detector in detectors.densities.items():
        alone = plain.x_adv[plain.success]
        whole = Victim(guarded(detector))
        options: dict[str, Any] = {"seed": seed, "progress": True}
        adaptive = finished(cw_l2(whole, some.x, targets, steps=steps, binary_search_steps=6, **options))
        strong = finished(pgd(whole, some.x, targets, epsilon=EPSILON, steps=100, objective="margin", **options))
        rows.append([name, share(int(detector.flags(alone).sum()), len(alone)), median_l2(plain),
                     share(int(adaptive.success.sum()), len(some)), median_l2(adaptive),
                     share(int(strong.success.sum()), len(some))])  # fmt: skip
    heads = ["detector", "as claimed:\nC&W flagged, %", "its\nL2", "knowing it:\nC&W passes, %", "its\nL2",
             f"PGD {EPSILON}\npasses, %"]  # fmt: skip
    return table(f"{len(some)} digits, towards the most likely wrong class", heads, rows)


def figure(detectors: Detectors, combination: Combination, results: dict[str, AttackResult],
           clean: dict[str, np.ndarray]) -> Any:  # fmt: skip
    """ROC curves on C&W images, which no score was fitted to; on BIM images if no C&W image is successful."""
    attack = "C&W" if bool(results["C&W"].success.any()) else "BIM"
    result, rates = results[attack], list(np.linspace(0, 1, 201))
    theirs = detectors.scores(result.x_adv[result.success])
    curves = {name: roc(clean[name], theirs[name]) for name in clean}
    curves["combination"] = roc(combination.score(clean), combination.score(theirs))
    lines = {f"{name}: {c.area:.3f}": list(np.interp(rates, c.false_positive_rates, c.true_positive_rates))
             for name, c in curves.items()}  # fmt: skip
    drawn = plots.curves(rates, lines, title=f"{attack} images against clean digits; ROC areas in the key",
                         x_label="clean digits flagged", y_label=f"{attack} images flagged")  # fmt: skip
    drawn.axes[0].axvline(RATE, color="grey", linewidth=0.8, linestyle=":")
    return drawn


def main() -> None:
    """Train, attack, detect, attack again, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST: about ten minutes on two cores")
    parser.add_argument("--epochs", type=at_least_one, help="epochs of both trainings (default: 15; 10 with --full)")
    parser.add_argument("--digits", type=at_least_one, default=60_000, help="train on at most so many digits")
    parser.add_argument("--images", type=at_least_one, default=1000, help="attack so many test digits (default: 1000)")
    parser.add_argument("--few", type=at_least_one, help="the slow attacks, so many (default: 100; 300 with --full)")
    parser.add_argument("--steps", type=at_least_one, default=200, help="of each of C&W's searches (default: 200)")
    arguments = parser.parse_args()
    full, seed = arguments.full, arguments.seed
    train_set, test = load_mnist() if full else load_digits()
    rest, held_out = train_set.take(arguments.digits).split(0.875)
    test, few = test.take(arguments.images), arguments.few or (300 if full else 100)
    with ending_with_a_sentence(saved=False):
        detectors = Detectors(rest, held_out, arguments.epochs or (10 if full else 15), seed)
        net = detectors.net
        right = correctly_classified(test, net)
        results, clean = attacked(net, right, few, arguments.steps, seed), detectors.scores(right.x)
        ours = fgsm(net, held_out.x, held_out.y, epsilon=EPSILON)
        good, bad = detectors.scores(held_out.x), detectors.scores(ours.x_adv[ours.success])
        combination = combine(good, bad)
        fitted = combination, roc(combination.score(good), combination.score(bad)).area
        noise = sign_noise(net, right.x, right.y, epsilon=EPSILON, seed=seed).x_adv
        some = right.take(range(min(few, len(right))))
        parts = [areas(detectors, fitted, results, clean, noise), caught(detectors, results, right),
                 passing(detectors.densities[CODE], net, test),
                 knowing(detectors, results["C&W"], some, arguments.steps, seed)]  # fmt: skip
        drawn = figure(detectors, combination, results, clean)
    setting = (f"{len(rest):,} training digits, {len(held_out):,} held out; the network's error is "
               f"{evaluate(net, test).error:.4f} on {len(test):,} test digits\n")  # fmt: skip
    setting += "".join(f"{name}: {each}\n" for name, each in detectors.densities.items())
    text = "\n".join([provenance(seed), setting, *parts])
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "billovits.txt", text)
    write_figure(drawn, folder / "billovits_roc.png")


if __name__ == "__main__":
    main()
