"""A lecture's argument that adversarial examples come from linearity: its numbers and its figures.

    python demos/lecture_linear.py           bundled digits, under a minute
    python demos/lecture_linear.py --full    parts 3 and 4 on whole MNIST

1. A logistic regression of ten inputs: its output changes from 0.12 to 0.80 when each input moves by 0.1.
2. A linear classifier of two classes, o and x: its confidence grows with the distance from the boundary, even where
   there are no data.
3. The logits of a ReLU network along the FGSM direction are nearly straight lines.  So one gradient is enough to
   predict them.
4. Softmax regression on digits at ε = .25.  Goodfellow et al. (2014) report 99.9 % error at 79.3 % confidence.

The demo repeats a lecture, not a paper; only part 4 has a number from a paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import at_least_one, command_line, out_folder, provenance, table, train, write_figure, write_text

from attacks import Victim, fgsm, plots
from attacks.common.norms import linf_steepest
from minidl import models, ops
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.optim import SGD
from minidl.train import evaluate

WEIGHTS = np.array([-5, 3, -2, 2, -2, -5, -4, 3, 4, -4], dtype=np.float64)
POINT = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, -1], dtype=np.float64)


def two_logits(weights: np.ndarray) -> Any:
    """A logistic regression as a network of two logits, 0 and w·x, whose softmax is 1 - σ(w·x) and σ(w·x)."""
    columns = asarray(np.stack([0 * weights, weights], axis=1))
    return lambda x: x @ columns


def toy() -> str:
    """Part 1: the numbers of the lecture's slides, computed by FGSM."""
    victim = Victim(two_logits(WEIGHTS), bounds=(-1, 1))
    result = fgsm(victim, asarray(POINT[None]), asarray([0]), epsilon=0.1, clip=False)
    rows = []
    for name, x, printed in (("x", result.x, 0.1192), ("x + 0.1 sign(w)", result.x_adv, 0.8022)):
        score = float(to_numpy(x)[0] @ WEIGHTS)
        rows.append([name, score, float(ops.sigmoid(np.array(score))), printed])
    shift = f"The shift is ε·‖w‖₁ = 0.1 · {abs(WEIGHTS).sum():g} = {0.1 * abs(WEIGHTS).sum():.1f}.\n"
    return table("Ten inputs, each moved by 0.1", ["input", "w·x", "σ(w·x)", "lecture"], rows) + shift


def o_and_x(seed: int) -> Any:
    """Part 2: a figure of a linear classifier's confidence on the plane, with the two classes it was trained on."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal((-1, -0.6), 0.5, (60, 2)), rng.normal((1, 0.6), 0.5, (60, 2))])
    y = np.repeat([0, 1], 60)
    net = models.softmax_regression(input_shape=2, classes=2, seed=seed, dtype="float64")
    train(
        net,
        Dataset(asarray(x), asarray(y), ("o", "x")),
        epochs=200,
        optimizer=SGD(lr=0.5),
        batch_size=120,
        progress=False,
    )
    sides, far = np.linspace(-6, 6, 241), np.array([5.0, 5.0])
    points = np.stack(np.meshgrid(sides, sides), axis=-1).reshape(-1, 2)
    evaluation = evaluate(net, Dataset(asarray(points), asarray(np.zeros(len(points), np.int64)), ("o", "x")))
    figure = plots.new_figure(5.6, 4.6, "A linear classifier is surest where it has seen nothing")
    axes = figure.subplots()
    shade = axes.pcolormesh(sides, sides, evaluation.confidences.reshape(241, 241), cmap="Greys", vmin=0.5, vmax=1.7)
    p_x = np.where(evaluation.predictions == 1, evaluation.confidences, 1 - evaluation.confidences)
    axes.contour(sides, sides, p_x.reshape(241, 241), levels=[0.5], colors="black", linewidths=1.2)
    axes.scatter(*x[y == 0].T, marker="o", s=26, facecolors="white", edgecolors=plots.COLOURS[0], label="class o")
    axes.scatter(*x[y == 1].T, marker="x", s=26, c=plots.COLOURS[1], label="class x")
    distance = float(np.sqrt(((x - far) ** 2).sum(axis=1)).min())
    score = to_numpy(net(asarray(far[None])))[0]
    axes.plot(*far, "k*", markersize=10)
    doubt = np.exp(-abs(score[1] - score[0]))
    axes.text(-5.7, -5.7, f"★ is {distance:.1f} away from any data;\nits confidence is 1 - {doubt:.0e}", fontsize=8)
    axes.set(xlabel="x₁", ylabel="x₂", aspect="equal")
    axes.legend(fontsize=8, loc="lower right")
    bar = figure.colorbar(shade, label="confidence: largest probability")
    bar.ax.set_ylim(0.5, 1)
    return figure


def straight_lines(net: models.Sequential, test: Dataset, largest: float = 0.3) -> tuple[Any, str]:
    """Part 3: the ten logits of one digit along x + ε·sign(∇ₓJ), and how straight they are over many digits."""
    victim, digits = Victim(net), test.take(200)
    direction = linf_steepest(victim.gradient(digits.x, fgsm(victim, digits.x, digits.y).goal))
    epsilons = np.linspace(-largest, largest, 61)
    logits = np.stack([to_numpy(net(digits.x + float(epsilon) * direction)) for epsilon in epsilons])  # (ε, N, K)
    residual, total = _unexplained(epsilons, logits)
    share = 1 - residual.sum() / total.sum()
    labels, first = to_numpy(digits.y), 0
    lines = {
        f"logit {k}" + (" (true class)" if k == labels[first] else ""): list(logits[:, first, k]) for k in range(10)
    }
    title = f"A ReLU network's logits along the FGSM direction (a {labels[first]})"
    figure = plots.curves(
        list(epsilons), lines, title=title, x_label="ε in x + ε·sign(∇ₓJ)", y_label="logit", y_limits=None
    )
    figure.axes[0].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    text = (f"Along x + ε·sign(∇ₓJ), ε from -{largest:g} to {largest:g}, a straight line per logit explains "
            f"{100 * share:.1f} %\nof the variance of the logits of {len(digits)} digits.\n")  # fmt: skip
    return figure, text


def _unexplained(epsilons: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variance of each logit about its least-squares line in ε, and about its mean."""
    flat = logits.reshape(len(epsilons), -1).astype(np.float64)
    coefficients = np.polyfit(epsilons, flat, 1)
    fitted = np.outer(epsilons, coefficients[0]) + coefficients[1]
    return ((flat - fitted) ** 2).mean(axis=0), flat.var(axis=0)


def regression(train_set: Dataset, test: Dataset, epochs: int, seed: int) -> str:
    """Part 4: a table of softmax regression's error and confidence under FGSM."""
    net = models.softmax_regression(seed=seed)
    train(net, train_set, epochs=epochs, optimizer=SGD(lr=0.1), seed=seed)
    rows = []
    for name, clip in (("unclipped", False), ("clipped to [0, 1]", True)):
        result = fgsm(net, test.x, test.y, epsilon=0.25, clip=clip)
        attacked = evaluate(net, test.replace(x=result.x_adv))
        rows.append([f"FGSM ε .25, {name}", attacked.error, attacked.confidence, attacked.confidence_on_errors])
    clean = evaluate(net, test)
    rows.insert(0, ["clean", clean.error, clean.confidence, clean.confidence_on_errors])
    rows.append(["Goodfellow et al., ε .25", 0.999, "-", 0.793])
    return table("Softmax regression", ["test set", "error", "confidence", "confidence on errors"], rows)


def main() -> None:
    """Run the four parts, print and draw."""
    parser = command_line(__doc__ or "", full="parts 3 and 4 on whole MNIST instead of the bundled digits")
    parser.add_argument(
        "--epochs", type=at_least_one, help="epochs of training (default: 12 for part 3, 30 for part 4)"
    )
    arguments = parser.parse_args()
    folder = out_folder(arguments)
    train_set, test = load_mnist() if arguments.full else load_digits()
    text = toy()
    print(text)
    write_figure(o_and_x(arguments.seed), folder / "lecture_o_and_x.png")
    net = models.mlp(seed=arguments.seed)
    train(net, train_set, epochs=arguments.epochs or 12, seed=arguments.seed)
    figure, straight = straight_lines(net, test)
    write_figure(figure, folder / "lecture_straight_lines.png")
    softmax = regression(train_set, test, arguments.epochs or 30, arguments.seed)
    print(f"\n{straight}\n{softmax}")
    write_text(folder / "lecture_linear.txt", "\n".join([provenance(arguments.seed), text, straight, softmax]))


if __name__ == "__main__":
    main()
