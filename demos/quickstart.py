"""Train two networks on real handwritten digits, attack them in three ways, and draw the results.

    python demos/quickstart.py      under a minute; nothing is downloaded

1. FGSM (Goodfellow et al. 2014).  A multilayer perceptron learns the bundled digits.  Each pixel of every test digit is
   then moved by ε along the sign of the loss gradient.  As a control, each pixel is moved by ±ε at random.  Most digits
   are misclassified after the first; few are after the second.
2. JSMA (Papernot et al. 2016).  A convolutional network, LeNet, learns the same digits.  One digit is turned into each
   of the nine others by changing the few pixels that the network's Jacobian picks out.
3. Evolution (Nguyen et al. 2015).  Images of noise and of patterns evolve until LeNet classifies them as a 0, a 1, …
   This uses the network's confidences only, and no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import at_least_one, command_line, out_folder, provenance, table, train, write_figure, write_text

from attacks import AttackResult, fgsm, jsma, plots, sign_noise
from attacks.evolution import fool_cppn, fool_direct
from attacks.report.fooling_plots import as_percent, gallery
from minidl import models
from minidl.backend import to_numpy
from minidl.data import Dataset, load_digits
from minidl.models import Sequential
from minidl.optim import RMSProp
from minidl.train import evaluate

EPSILONS = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.15, 0.20, 0.25, 0.30]


def report(net: Any, test: Dataset, images: dict[str, Any]) -> str:
    """Error and confidence of the network on each set of images."""
    rows = []
    for name, x in images.items():
        evaluation = evaluate(net, test.replace(x=x))
        rows.append([name, evaluation.error, evaluation.confidence, evaluation.confidence_on_errors])
    heads = ["test digits", "error", "mean confidence", "confidence on errors"]
    return table(f"{len(test)} test digits the network has not seen", heads, rows)


def before_and_after(net: Any, attack: AttackResult, control: AttackResult, labels: np.ndarray) -> Any:
    """A figure of one digit of each class: clean, the perturbation, attacked, with noise; with the predictions."""
    correct = to_numpy(attack.clean_pred) == labels
    chosen = np.array([np.flatnonzero((labels == digit) & correct)[0] for digit in range(10)])
    rows, captions, wrong = {}, {}, {}
    sets = {"digit": attack.x, "FGSM, ε .25": attack.x_adv, "noise, ε .25": control.x_adv}
    for name, x in sets.items():
        evaluation = evaluate(net, Dataset(x, attack.goal.labels, tuple("0123456789")).take(chosen))
        rows[name] = list(to_numpy(x)[chosen])
        captions[name] = [f"{p} ({100 * c:.0f} %)" for p, c in zip(evaluation.predictions, evaluation.confidences)]
        wrong[name] = list(evaluation.wrong)
    change = "change\n(red: lighter,\nblue: darker)"
    rows = {"digit": rows.pop("digit"), change: list(to_numpy(attack.x_adv - attack.x)[chosen]), **rows}
    title = "Predictions and their confidences; mistakes framed"
    return plots.image_rows(rows, captions, wrong=wrong, scales={change: (-0.25, 0.25)}, title=title)


def train_lenet(arguments: Any, train_set: Dataset, test: Dataset) -> tuple[str, Sequential]:
    """Train LeNet for a few epochs; a line about it, and the network."""
    net = models.lenet(activation="tanh", seed=arguments.seed)
    history = train(net, train_set, epochs=min(arguments.epochs, 4), optimizer=RMSProp(lr=0.003), seed=arguments.seed)
    error = evaluate(net, test).error
    return f"LeNet: trained for {len(history)} epochs in {sum(history.seconds):.1f} s, error {error:.4f}\n", net


def jsma_on_one_digit(net: Sequential, test: Dataset) -> tuple[str, Any]:
    """Turn the first correctly classified test digit into each other class; a line about it, and a figure."""
    evaluation = evaluate(net, test)
    first = int(np.flatnonzero(~evaluation.wrong)[0])
    result = jsma(net, test.x[first : first + 1], test.y[first : first + 1], all_targets=True)
    text = (f"JSMA turned one digit into {int(result.success.sum())} of the 9 others, "
            f"changing {100 * float(result.distortion.mean()):.1f} % of its pixels on average\n")  # fmt: skip
    label, targets = int(evaluation.labels[first]), to_numpy(result.goal.labels)
    captions = [f"a {label}", *(f"“{t}”, {int(n)} pixels" for t, n in zip(targets, to_numpy(result.l0)))]
    row, success = "LeNet says", to_numpy(result.success)
    images = {row: [to_numpy(test.x)[first], *to_numpy(result.x_adv)]}
    title = f"One {label}, and what a few white pixels make of it; mistakes framed"
    figure = plots.image_rows(images, {row: captions}, wrong={row: [False, *success]}, title=title)
    return text, figure


def evolve_images(net: Sequential, generations: int, seed: int) -> tuple[str, Any]:
    """Evolve noise and a pattern for each class; a line with the confidences reached, and a figure."""
    results = {"noise": fool_direct(net, generations=generations, seed=seed, progress=True),
               "patterns": fool_cppn(net, generations=generations, seed=seed, progress=True)}  # fmt: skip
    parts = [f"{name} {as_percent(result.median[-1])} ({result.seconds:.1f} s)" for name, result in results.items()]
    text = f"Evolved from nothing, {generations} generations, median confidence: " + ", ".join(parts) + "\n"
    return text, gallery(results, title="Evolved against LeNet: each class and its confidence")


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "")
    parser.add_argument("--epochs", type=at_least_one, default=20, help="epochs of training (default: 20)")
    parser.add_argument("--generations", type=at_least_one, default=60, help="generations of evolution (default: 60)")
    arguments = parser.parse_args()
    train_set, test = load_digits()
    net = models.mlp(seed=arguments.seed)
    print(f"{train_set}\n\n{net.summary()}\n")
    history = train(net, train_set, epochs=arguments.epochs, seed=arguments.seed)
    print(f"trained for {len(history)} epochs in {sum(history.seconds):.1f} s, last loss {history.loss[-1]:.4f}\n")

    attacked = fgsm(net, test.x, test.y, epsilon=EPSILONS)  # all radii share one gradient
    noisy = sign_noise(net, test.x, test.y, epsilon=EPSILONS, seed=arguments.seed)
    index = {epsilon: i for i, epsilon in enumerate(EPSILONS)}
    text = report(net, test, {
        "clean": test.x,
        "FGSM, ε .10": attacked[index[0.10]].x_adv,
        "FGSM, ε .25": attacked[index[0.25]].x_adv,
        "noise, ε .25": noisy[index[0.25]].x_adv,
    })  # fmt: skip
    print(text)
    accuracy = {name: [1 - float(result.success.mean()) for result in results]
                for name, results in {"FGSM": attacked, "random signs": noisy}.items()}  # fmt: skip
    trained, convolutional = train_lenet(arguments, train_set, test)
    few_pixels, others = jsma_on_one_digit(convolutional, test)
    evolved, fooled = evolve_images(convolutional, arguments.generations, arguments.seed)
    print(trained + few_pixels + evolved)
    folder = out_folder(arguments)
    write_text(folder / "quickstart.txt", "\n".join([provenance(arguments.seed), text, trained + few_pixels + evolved]))
    write_figure(others, folder / "quickstart_others.png")
    write_figure(fooled, folder / "quickstart_fooled.png")
    labels = to_numpy(test.y)
    digits = before_and_after(net, attacked[index[0.25]], noisy[index[0.25]], labels)
    write_figure(digits, folder / "quickstart_digits.png")
    title = "Each pixel moves by ε: along the gradient's signs, or at random"
    x_label, y_label = "ε: how far each pixel may move (pixels lie in [0, 1])", "accuracy on the test digits"
    curves = plots.curves(EPSILONS, accuracy, title=title, x_label=x_label, y_label=y_label)
    write_figure(curves, folder / "quickstart_accuracy.png")


if __name__ == "__main__":
    main()
