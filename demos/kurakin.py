"""Kurakin, Goodfellow and Bengio 2016, Figure 2 and destruction rates: adversarial images after a simulated camera.

    python demos/kurakin.py                                          bundled digits and LeNet, two minutes
    python demos/kurakin.py --full                                   whole MNIST, 1,000 test digits
    python demos/kurakin.py --data cifar10 --weights FILE --full     CIFAR-10 and a VGG that demos/madan.py trained

Three methods make adversarial images.  *Fast*: one step of ε.  *Basic iterative*: steps of α = 1 away from the label.
*Least likely*: the same steps towards the class with the lowest predicted probability.  Each image is then
transformed: brighter, more contrast, blur, noise, JPEG, or a photo.  The destruction rate is the fraction of the
successful attacks that are no longer successful after the transformation.

Units: the paper has pixels from 0 to 255, and so have the tables.  Our pixels lie in [0, 1]: the paper's ε is our
ε/255, its α = 1 is our 1/255, and its number of steps, min(ε + 4, 1.25 ε), is `kurakin_steps(ε)`.  Images, steps and ε
are multiples of 1/255.  So are the adversarial images, and they can be stored with 8 bits per pixel without loss.

Differences from the paper.  The photo is simulated by perspective, blur, gamma and noise; nothing was printed.  Digits
are attacked with ε = 64, a quarter of the range, because the paper's ε = 16 hardly changes the predictions of a network
for digits; photos are attacked with 16.  Top-5 accuracy means little here: with ten classes, five random classes
contain the label half of the time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, at_least_one, command_line, out_folder, provenance, table, train, write_figure, write_text

import minidl
from attacks import AttackResult, Victim, bim, evaluation_plots, fgsm, kurakin_steps, least_likely, plots, transforms
from attacks.report import evaluate
from attacks.report.evaluate import top_k
from attacks.transforms import destruction_rate
from minidl import models
from minidl.backend import to_numpy
from minidl.data import Dataset, load_cifar10, load_digits, load_mnist
from minidl.losses import softmax
from minidl.optim import RMSProp
from minidl.progress import bar


def basic_iterative(victim: Victim, x: Any, goal: Any, *, epsilon: float, progress: bool = False) -> AttackResult:
    """The basic iterative method with the paper's steps: α = 1/255, min(ε + 4, 1.25 ε) of them."""
    return bim(victim, x, goal, epsilon=epsilon, step=1 / 255, steps=steps(epsilon), progress=progress)


def least_likely_class(victim: Victim, x: Any, goal: Any, *, epsilon: float, progress: bool = False) -> AttackResult:
    """The least-likely class method with the same steps."""
    return least_likely(victim, x, goal, epsilon=epsilon, step=1 / 255, steps=steps(epsilon), progress=progress)


def steps(epsilon: float) -> int:
    """The paper's number of steps for ε in [0, 1], and at least 1, which matters for ε = 0."""
    return max(1, kurakin_steps(255 * epsilon))


METHODS: dict[str, Callable[..., Any]] = {
    "fast": fgsm,
    "basic iterative": basic_iterative,
    "least likely": least_likely_class,
}
LOADERS = {"digits": load_digits, "mnist": load_mnist, "cifar10": load_cifar10}
EPSILON = {"digits": 64, "mnist": 64, "cifar10": 16}  # of 255, for all except the table of accuracies
EPSILONS = {
    "digits": (0, 8, 16, 32, 48, 64, 96),
    "mnist": (0, 8, 16, 32, 48, 64, 96),
    "cifar10": (0, 1, 2, 4, 8, 16, 32),
}
K = (1, 5)


@dataclass(frozen=True)
class Series:
    """A transformation with increasing amounts.

    amounts: as printed, in `unit`; the transformation gets them multiplied by `scale`.
    shown: the amount in the picture, where its column has the title `head`.
    """

    transform: transforms.Transform
    amounts: tuple[float, ...]
    unit: str
    shown: float
    head: str
    scale: float = 1.0

    def __call__(self, x: Any, amount: float, seed: int) -> Any:
        return self.transform(x, amount * self.scale, seed=seed)


SERIES = {
    "brightness": Series(transforms.brightness, (5, 10, 20, 30, 60), "brighter by, of 255", 30, "+30", 1 / 255),
    "contrast": Series(transforms.contrast, (5, 10, 20, 30, 60), "more contrast, %", 30, "+30 %", 1 / 100),
    "blur": Series(transforms.blur, (0.3, 0.5, 0.7, 1, 1.5), "Gaussian blur, σ in pixels", 0.7, "σ .7 pixels"),
    "noise": Series(transforms.noise, (5, 10, 20, 30, 60), "Gaussian noise, σ of 255", 30, "σ 30", 1 / 255),
    "JPEG": Series(transforms.jpeg, (95, 80, 60, 40, 20), "JPEG quality", 40, "quality 40"),
    "photo": Series(transforms.photo, (0.25, 0.5, 1, 1.5, 2), "simulated photo, strength", 1, "simulated"),
}
#: The paper's top-1 destruction rates by a real photo of a print, ε = 16.
PAPER = dict(zip(METHODS, (0.125, 0.404, 0.722)))


def network(arguments: Any, train_set: Dataset, checkpoints: Path) -> models.Sequential:
    """The network of --weights; without --weights, LeNet, trained in two phases."""
    if arguments.weights:
        return minidl.load(arguments.weights)
    net = models.lenet(train_set.x.shape[1:], activation="relu", seed=arguments.seed)
    for phase, (lr, count) in enumerate(zip((0.001, 0.0002), arguments.epochs or (4, 1))):
        name = f"kurakin, LeNet, {len(train_set)} digits, seed {arguments.seed}, phase {phase}, {count} epochs.npz"
        train(net, train_set, epochs=count, optimizer=RMSProp(lr=lr), seed=arguments.seed + 1000 * phase,
              checkpoint=checkpoints / name)  # fmt: skip
    return net


def accuracies(victim: Victim, data: Dataset, epsilons: Sequence[int]) -> tuple[str, Any]:
    """The paper's Figure 2: top-1 and top-5 accuracy against ε for the three methods; a table and a figure."""
    radii = [epsilon / 255 for epsilon in epsilons]
    curves = {name: evaluate.robustness_curve(victim, data.x, data.y, attack, radii, k=K, progress=True)
              for name, attack in METHODS.items()}  # fmt: skip
    rows = [[epsilon, *(float(curve.accuracy[row, i]) for row in range(len(K)) for curve in curves.values())]
            for i, epsilon in enumerate(epsilons)]  # fmt: skip
    heads = ["ε of 255", *(f"top-{k}: {name}" if name == "fast" else name for k in K for name in METHODS)]
    title = "Three methods: is the label still the first answer, or among the first five?"
    figure = evaluation_plots.robustness_curves(curves, title=title, x_label="ε of 255", scale=255)
    return table(f"Accuracy on {len(data)} test images", heads, rows), figure


def top_k_correct(victim: Victim, x: Any, y: Any) -> list[Any]:
    """For each k, whether each label is among the k most likely classes: (N,) bool."""
    logits = victim.logits(x)
    return [top_k(logits, y, k) for k in K]


@dataclass(frozen=True)
class Destruction:
    """The results of all transformations.

    rates: for each series (amounts, k, 1 + methods): the accuracy on clean images, then the destruction rates.
    counts: (k, methods), the number of successful attacks, which the rates refer to.
    """

    rates: dict[str, np.ndarray]
    counts: np.ndarray


def destruction(victim: Victim, data: Dataset, results: dict[str, AttackResult], seed: int) -> Destruction:
    """Apply every transformation in every amount to all clean and adversarial images."""
    clean = top_k_correct(victim, data.x, data.y)
    attacked = [top_k_correct(victim, result.x_adv, data.y) for result in results.values()]
    rates = {name: np.empty((len(series.amounts), len(K), 1 + len(results))) for name, series in SERIES.items()}
    all_amounts = [(name, i, amount) for name, series in SERIES.items() for i, amount in enumerate(series.amounts)]
    for name, i, amount in bar(all_amounts, "transformations", True, unit="amount"):
        transformed = top_k_correct(victim, SERIES[name](data.x, amount, seed), data.y)
        rates[name][i, :, 0] = [float(correct.mean()) for correct in transformed]
        for j, result in enumerate(results.values()):
            transformed = top_k_correct(victim, SERIES[name](result.x_adv, amount, seed), data.y)
            rates[name][i, :, 1 + j] = [destruction_rate(*each) for each in zip(clean, attacked[j], transformed)]
    counts = [[int((clean[i] & ~each[i]).sum()) for each in attacked] for i in range(len(K))]
    return Destruction(rates, np.array(counts))


def destruction_tables(destroyed: Destruction) -> str:
    """A table for each transformation, and one that compares the largest rates with the paper's."""
    parts = [table(f"{name}: accuracy on clean images, and destruction rates", [SERIES[name].unit, "clean", *METHODS],
                   [[f"top-{k}, {amount:g}", *map(float, row[i])] for i, k in enumerate(K)
                    for amount, row in zip(SERIES[name].amounts, rates)])
             for name, rates in destroyed.rates.items()]  # fmt: skip
    photo = destroyed.rates["photo"][SERIES["photo"].amounts.index(1), 0, 1:]
    rows = [
        ["simulated photo, strength 1", *map(float, photo)],
        ["  paper, ImageNet: photo of a print, ε 16", *PAPER.values()],
        ["brightness and contrast up to +30", *largest_rates(destroyed, ("brightness", "contrast"), 30)],
        ["  paper, ImageNet", *["< .05"] * 3],
        ["the most by blur, noise or JPEG", *largest_rates(destroyed, ("blur", "noise", "JPEG"))],
        ["  paper, ImageNet", "-", *["up to .8-.9"] * 2],
        *([f"successful attacks, top-{k}", *numbers] for k, numbers in zip(K, destroyed.counts)),
    ]
    return "\n".join([*parts, table("Beside the paper: top-1 destruction rates", ["", *METHODS], rows)])


def largest_rates(destroyed: Destruction, names: Sequence[str], up_to: float = np.inf) -> list[float]:
    """For each method the largest top-1 rate in these series, for amounts up to a bound; nan if there is no rate."""
    rates = np.concatenate([destroyed.rates[name][np.array(SERIES[name].amounts) <= up_to, 0, 1:] for name in names])
    return [float(np.nanmax(column)) if np.isfinite(column).any() else float("nan") for column in rates.T]


def destruction_figure(destroyed: Destruction, epsilon: int) -> Any:
    """Curves of the rates that refer to at least ten attacks; triangles mark the paper's rates of a real photo."""
    panels = {}
    for name, rates in destroyed.rates.items():
        drawn = np.where(destroyed.counts >= 10, rates[:, :, 1:], np.nan)
        lines = {attack: drawn[:, :, j].T for j, attack in enumerate(METHODS)}
        panels[SERIES[name].unit] = SERIES[name].amounts, lines
    title = f"What is destroyed of attacks with ε = {epsilon} of 255 (triangles: the paper's photo of a print, top-1)"
    return evaluation_plots.destruction_curves(panels, K, title=title, levels={SERIES["photo"].unit: PAPER})


def panel(victim: Victim, data: Dataset, results: dict[str, AttackResult], seed: int) -> Any:
    """A figure of one image, clean and attacked by each method, after every transformation.

    It is the first image on which all methods succeed, and that is classified correctly after each transformation if it
    is not attacked.
    """
    clean = [victim.predict(series(data.x, series.shown, seed)) == data.y for series in SERIES.values()]
    attacked = [result.success & (result.clean_pred == data.y) for result in results.values()]
    chosen = int(np.argmax(np.logical_and.reduce([to_numpy(each) for each in (*clean, *attacked)])))
    rows, captions, wrong = {}, {}, {}
    between = "\n" if max(map(len, data.class_names)) > 3 else " "
    for name, x in {"clean": data.x, **{name: result.x_adv for name, result in results.items()}}.items():
        one = x[chosen : chosen + 1]
        transformed = [one, *(series(one, series.shown, seed) for series in SERIES.values())]
        p = [to_numpy(softmax(victim.logits(image)))[0] for image in transformed]
        rows[name] = [to_numpy(image)[0] for image in transformed]
        predictions = [data.class_names[int(each.argmax())] for each in p]
        captions[name] = [f"{prediction}{between}({100 * each.max():.0f} %)"
                          for prediction, each in zip(predictions, p)]  # fmt: skip
        wrong[name] = [int(each.argmax()) != int(data.y[chosen]) for each in p]
    heads = ["as it is", *(f"{name}\n{series.head}" for name, series in SERIES.items())]
    return plots.image_rows(rows, captions, wrong=wrong, heads=heads, title="Predictions; mistakes framed")


def run(arguments: Any, data: str, checkpoints: Path) -> str:
    """Train or load, attack, transform, draw; the text of all tables."""
    train_set, test = LOADERS[data]()
    net, epsilon = network(arguments, train_set, checkpoints), EPSILON[data]
    error = minidl.train.evaluate(net, test).error
    digits = test.take(arguments.images or (1000 if arguments.full else 400))
    text = (f"{data}: error {error:.4f} on all {len(test)} test images; the first {len(digits)} are attacked.\n"
            f"{len(net.layers)} layers, {sum(w.size for w in net.params.values()):,} parameters"
            f"{f', {arguments.note}' if arguments.note else ''}\n")  # fmt: skip
    print(text, flush=True)
    victim = Victim(net, batch_size=250)
    accuracy, accuracy_figure = accuracies(victim, digits, EPSILONS[data])
    print(accuracy, flush=True)
    results = {name: attack(victim, digits.x, digits.y, epsilon=epsilon / 255, progress=True)
               for name, attack in METHODS.items()}  # fmt: skip
    attacks = f"At ε = {epsilon} of 255, {steps(epsilon / 255)} steps:\n{evaluate.evaluate_attack(results, victim)}"
    print(attacks, flush=True)
    destroyed = destruction(victim, digits, results, arguments.seed)
    rates = destruction_tables(destroyed)
    print(rates, flush=True)
    figures = {"accuracy": accuracy_figure, "destruction": destruction_figure(destroyed, epsilon),
               "panel": panel(victim, digits, results, arguments.seed)}  # fmt: skip
    for name, figure in figures.items():
        write_figure(figure, out_folder(arguments) / f"{stem(data)}_{name}.png")
    return "\n".join([text, accuracy, attacks, rates])


def stem(data: str) -> str:
    """The beginning of the file names, which differs between data sets."""
    return "kurakin" if data == "digits" else f"kurakin_{data}"


def main() -> None:
    """Train or load, attack, transform, print, draw."""
    parser = command_line(__doc__ or "", full="1,000 images, of whole MNIST unless --data says otherwise")
    parser.add_argument("--data", choices=list(LOADERS), help="default: digits, or mnist with --full")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="load this network, saved by minidl.save, instead of training"
    )
    parser.add_argument("--note", default="", help="a remark on the network for the output")
    parser.add_argument("--images", type=at_least_one, help="test images to attack (default: 400, or 1000 with --full)")
    parser.add_argument("--epochs", type=at_least_one, nargs=2, help="epochs of LeNet's two phases (default: 4 1)")
    arguments = parser.parse_args()
    data = arguments.data or ("mnist" if arguments.full else "digits")
    if data == "cifar10" and not arguments.weights:
        parser.error("--data cifar10 needs --weights FILE: python demos/madan.py --full trains a network and saves it")
    with tempfile.TemporaryDirectory() as temporary:
        text = run(arguments, data, HERE / "out" / "checkpoints" if arguments.full else Path(temporary))
    write_text(out_folder(arguments) / f"{stem(data)}.txt", provenance(arguments.seed) + "\n" + text)


if __name__ == "__main__":
    main()
