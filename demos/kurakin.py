"""Do adversarial images survive the real world?  Kurakin, Goodfellow and Bengio 2016, with a simulated camera.

    python demos/kurakin.py                                          bundled digits and LeNet, two minutes
    python demos/kurakin.py --full                                   whole MNIST, 1,000 test digits
    python demos/kurakin.py --data cifar10 --weights FILE --full     CIFAR-10 and a VGG that demos/madan.py trained

Three methods: *fast* (one step of ε), *basic iterative* (steps of α = 1 away from the label) and *least likely* (the
same, towards the class the network thinks least likely).  Each image they make is then made brighter, given more
contrast, blurred, made noisy, stored as JPEG, or photographed: a simulated photo of perspective, blur, gamma and noise;
we printed nothing.  The destruction rate is the share of the successful attacks that this undoes.

Units: the paper counts pixels from 0 to 255, and so do the tables.  Our pixels lie in [0, 1]: its ε is our ε/255, its
α = 1 our 1/255, and its number of steps, min(ε + 4, 1.25 ε), is `kurakin_steps(ε)`.  Since images, steps and ε are
whole numbers of 1/255, so are the adversarial images: they could be stored as they are.

ε: the paper's 16 hardly disturbs a network that reads digits, so digits are attacked with 64, a quarter of the range,
and photos with 16.  Top-5 says little here: five of ten classes hold the right one half of the time by chance.
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


def basic(victim: Victim, x: Any, goal: Any, *, epsilon: float, progress: bool = False) -> AttackResult:
    """The basic iterative method with the paper's steps: α = 1/255, min(ε + 4, 1.25 ε) of them."""
    return bim(victim, x, goal, epsilon=epsilon, step=1 / 255, steps=steps(epsilon), progress=progress)


def unlikely(victim: Victim, x: Any, goal: Any, *, epsilon: float, progress: bool = False) -> AttackResult:
    """The least-likely class method with the same steps."""
    return least_likely(victim, x, goal, epsilon=epsilon, step=1 / 255, steps=steps(epsilon), progress=progress)


def steps(epsilon: float) -> int:
    """The paper's number of steps for ε in [0, 1], but one at least, for ε = 0."""
    return max(1, kurakin_steps(255 * epsilon))


METHODS: dict[str, Callable[..., Any]] = {"fast": fgsm, "basic iterative": basic, "least likely": unlikely}
LOADERS = {"digits": load_digits, "mnist": load_mnist, "cifar10": load_cifar10}
EPSILON = {"digits": 64, "mnist": 64, "cifar10": 16}  # of 255, for all but the table of accuracies
LADDER = {"digits": (0, 8, 16, 32, 48, 64, 96), "mnist": (0, 8, 16, 32, 48, 64, 96), "cifar10": (0, 1, 2, 4, 8, 16, 32)}
K = (1, 5)


@dataclass(frozen=True)
class Series:
    """A transformation in growing amounts; they are printed as they stand here, in `unit`, and applied times `scale`.

    shown: the one in the picture, under `head`.
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
#: top-1 destruction of a real photo of a print, ε = 16
PAPER = dict(zip(METHODS, (0.125, 0.404, 0.722)))


def network(arguments: Any, train_set: Dataset, kept: Path) -> models.Sequential:
    """The network in the file, or LeNet, trained in two phases."""
    if arguments.weights:
        return minidl.load(arguments.weights)
    net = models.lenet(train_set.x.shape[1:], activation="relu", seed=arguments.seed)
    for phase, (lr, count) in enumerate(zip((0.001, 0.0002), arguments.epochs or (4, 1))):
        name = f"kurakin, LeNet, {len(train_set)} digits, seed {arguments.seed}, phase {phase}, {count} epochs.npz"
        train(net, train_set, epochs=count, optimizer=RMSProp(lr=lr), seed=arguments.seed + 1000 * phase,
              checkpoint=kept / name)  # fmt: skip
    return net


def accuracies(victim: Victim, data: Dataset, ladder: Sequence[int]) -> tuple[str, Any]:
    """Top-1 and top-5 accuracy against ε for the three methods, as the paper's Figure 2: a table and a figure."""
    lengths = [epsilon / 255 for epsilon in ladder]
    found = {name: evaluate.robustness_curve(victim, data.x, data.y, attack, lengths, k=K, progress=True)
             for name, attack in METHODS.items()}  # fmt: skip
    rows = [[epsilon, *(float(curve.accuracy[row, i]) for row in range(len(K)) for curve in found.values())]
            for i, epsilon in enumerate(ladder)]  # fmt: skip
    heads = ["ε of 255", *(f"top-{k}: {name}" if name == "fast" else name for k in K for name in METHODS)]
    title = "Three methods: is the label still the first answer, or among the first five?"
    figure = evaluation_plots.robustness_curves(found, title=title, x_label="ε of 255", scale=255)
    return table(f"Accuracy on {len(data)} test images", heads, rows), figure


def answers(victim: Victim, x: Any, y: Any) -> list[Any]:
    """For each k, which labels are among the k likeliest."""
    logits = victim.logits(x)
    return [top_k(logits, y, k) for k in K]


@dataclass(frozen=True)
class Destruction:
    """rates: for each series (amounts, k, 1 + methods), first the accuracy on clean images, then destruction rates.

    counts (k, methods): the successful attacks that they are shares of.
    """

    rates: dict[str, np.ndarray]
    counts: np.ndarray


def destruction(victim: Victim, data: Dataset, results: dict[str, AttackResult], seed: int) -> Destruction:
    """Every image, clean and attacked, through every transformation in every amount."""
    clean, after = (answers(victim, data.x, data.y), [answers(victim, r.x_adv, data.y) for r in results.values()])
    rates = {name: np.empty((len(series.amounts), len(K), 1 + len(results))) for name, series in SERIES.items()}
    all_amounts = [(name, i, amount) for name, series in SERIES.items() for i, amount in enumerate(series.amounts)]
    for name, i, amount in bar(all_amounts, "transformations", True, unit="amount"):
        seen = answers(victim, SERIES[name](data.x, amount, seed), data.y)
        rates[name][i, :, 0] = [float(right.mean()) for right in seen]
        for j, result in enumerate(results.values()):
            seen = answers(victim, SERIES[name](result.x_adv, amount, seed), data.y)
            rates[name][i, :, 1 + j] = [destruction_rate(*each) for each in zip(clean, after[j], seen)]
    counts = [[int((clean[i] & ~each[i]).sum()) for each in after] for i in range(len(K))]
    return Destruction(rates, np.array(counts))


def destruction_tables(found: Destruction) -> str:
    """A table for each transformation, and one of their extremes beside the paper's."""
    parts = [table(f"{name}: accuracy on clean images, and destruction rates", [SERIES[name].unit, "clean", *METHODS],
                   [[f"top-{k}, {amount:g}", *map(float, row[i])] for i, k in enumerate(K)
                    for amount, row in zip(SERIES[name].amounts, rates)])
             for name, rates in found.rates.items()]  # fmt: skip
    photo = found.rates["photo"][SERIES["photo"].amounts.index(1), 0, 1:]
    rows = [
        ["simulated photo, strength 1", *map(float, photo)],
        ["  paper, ImageNet: photo of a print, ε 16", *PAPER.values()],
        ["brightness and contrast up to +30", *greatest(found, ("brightness", "contrast"), 30)],
        ["  paper, ImageNet", *["< .05"] * 3],
        ["the most by blur, noise or JPEG", *greatest(found, ("blur", "noise", "JPEG"))],
        ["  paper, ImageNet", "-", *["up to .8-.9"] * 2],
        *([f"successful attacks, top-{k}", *numbers] for k, numbers in zip(K, found.counts)),
    ]
    return "\n".join([*parts, table("Beside the paper: top-1 destruction rates", ["", *METHODS], rows)])


def greatest(found: Destruction, names: Sequence[str], up_to: float = np.inf) -> list[float]:
    """For each method the greatest top-1 rate in some of the series, for amounts up to a bound; nan if it has none."""
    rates = np.concatenate([found.rates[name][np.array(SERIES[name].amounts) <= up_to, 0, 1:] for name in names])
    return [float(np.nanmax(column)) if np.isfinite(column).any() else float("nan") for column in rates.T]


def destruction_figure(found: Destruction, epsilon: int) -> Any:
    """The curves that are shares of at least ten attacks; the paper's real photo at the edge of the simulated one."""
    panels = {}
    for name, rates in found.rates.items():
        drawn = np.where(found.counts >= 10, rates[:, :, 1:], np.nan)
        lines = {attack: drawn[:, :, j].T for j, attack in enumerate(METHODS)}
        panels[SERIES[name].unit] = SERIES[name].amounts, lines
    title = f"What is destroyed of attacks with ε = {epsilon} of 255 (triangles: the paper's photo of a print, top-1)"
    return evaluation_plots.destruction_curves(panels, K, title=title, levels={SERIES["photo"].unit: PAPER})


def panel(victim: Victim, data: Dataset, results: dict[str, AttackResult], seed: int) -> Any:
    """One image, as it is and as each method leaves it, through every transformation.

    It is the first that all methods fool, and that would survive the transformations if it were not attacked.
    """
    sturdy = [victim.predict(series(data.x, series.shown, seed)) == data.y for series in SERIES.values()]
    fooled = [result.success & (result.clean_pred == data.y) for result in results.values()]
    chosen = int(np.argmax(np.logical_and.reduce([to_numpy(each) for each in (*sturdy, *fooled)])))
    rows, captions, wrong = {}, {}, {}
    between = "\n" if max(map(len, data.class_names)) > 3 else " "
    for name, x in {"clean": data.x, **{name: result.x_adv for name, result in results.items()}}.items():
        one = x[chosen : chosen + 1]
        seen = [one, *(series(one, series.shown, seed) for series in SERIES.values())]
        p = [to_numpy(softmax(victim.logits(image)))[0] for image in seen]
        rows[name] = [to_numpy(image)[0] for image in seen]
        said = [data.class_names[int(each.argmax())] for each in p]
        captions[name] = [f"{word}{between}({100 * each.max():.0f} %)"
                          for word, each in zip(said, p)]  # fmt: skip
        wrong[name] = [int(each.argmax()) != int(data.y[chosen]) for each in p]
    heads = ["as it is", *(f"{name}\n{series.head}" for name, series in SERIES.items())]
    return plots.image_rows(rows, captions, wrong=wrong, heads=heads, title="What the network says; mistakes framed")


def run(arguments: Any, data: str, kept: Path) -> str:
    """Everything, in the order of the docstring; what is to be written."""
    train_set, test = LOADERS[data]()
    net, epsilon = network(arguments, train_set, kept), EPSILON[data]
    error = minidl.train.evaluate(net, test).error
    some = test.take(arguments.images or (1000 if arguments.full else 400))
    text = (f"{data}: error {error:.4f} on all {len(test)} test images; the first {len(some)} are attacked.\n"
            f"{len(net.layers)} layers, {sum(w.size for w in net.params.values()):,} parameters"
            f"{f', {arguments.note}' if arguments.note else ''}\n")  # fmt: skip
    print(text, flush=True)
    victim = Victim(net, batch_size=250)
    accuracy, accuracy_figure = accuracies(victim, some, LADDER[data])
    print(accuracy, flush=True)
    results = {name: attack(victim, some.x, some.y, epsilon=epsilon / 255, progress=True)
               for name, attack in METHODS.items()}  # fmt: skip
    attacks = f"At ε = {epsilon} of 255, {steps(epsilon / 255)} steps:\n{evaluate.evaluate_attack(results, victim)}"
    print(attacks, flush=True)
    found = destruction(victim, some, results, arguments.seed)
    destroyed = destruction_tables(found)
    print(destroyed, flush=True)
    figures = {"accuracy": accuracy_figure, "destruction": destruction_figure(found, epsilon),
               "panel": panel(victim, some, results, arguments.seed)}  # fmt: skip
    for name, figure in figures.items():
        write_figure(figure, out_folder(arguments) / f"{stem(data)}_{name}.png")
    return "\n".join([text, accuracy, attacks, destroyed])


def stem(data: str) -> str:
    """How the files begin: runs on several data sets may lie side by side."""
    return "kurakin" if data == "digits" else f"kurakin_{data}"


def main() -> None:
    """Train or load, attack, transform, print, draw."""
    parser = command_line(__doc__ or "", full="1,000 images, of whole MNIST unless --data says otherwise")
    parser.add_argument("--data", choices=list(LOADERS), help="default: digits, or mnist with --full")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a network saved by minidl.save; none is trained")
    parser.add_argument("--note", default="", help="what else to say of the network, such as where it comes from")
    parser.add_argument("--images", type=at_least_one, help="test images to attack (default: 400, or 1000 with --full)")
    parser.add_argument("--epochs", type=at_least_one, nargs=2, help="of LeNet's two phases (default: 4 1)")
    arguments = parser.parse_args()
    data = arguments.data or ("mnist" if arguments.full else "digits")
    if data == "cifar10" and not arguments.weights:
        parser.error("--data cifar10 needs --weights FILE: python demos/madan.py --full trains a network and saves it")
    with tempfile.TemporaryDirectory() as passing:
        text = run(arguments, data, HERE / "out" / "checkpoints" if arguments.full else Path(passing))
    write_text(out_folder(arguments) / f"{stem(data)}.txt", provenance(arguments.seed) + "\n" + text)


if __name__ == "__main__":
    main()
