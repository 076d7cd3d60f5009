"""Papernot et al. 2016, "The limitations of deep learning in adversarial settings", Figures 7 to 17: JSMA on LeNet.

    python demos/papernot_lenet.py           bundled digits, about a minute
    python demos/papernot_lenet.py --full    whole MNIST: 10,000 test digits × 9 targets × 2 directions × 2 networks

LeNet (20@5×5, pool, 50@5×5, pool, 500, 10) learns the digits.  JSMA then turns each digit into each of the nine other
classes.  It changes at most 14.5 % of the pixels, two at a time, to white (θ = +1) or to black (θ = -1).

The paper differentiates the logits.  With probabilities, JSMA's second condition would have no effect: they sum to 1,
so β = -α.  The third row of each network has probabilities all the same, and there the success rate is the highest.

Differences from the paper.  The paper's network has tanh units; the table has a second network with ReLU.  The paper
trains for up to 200 epochs with a high learning rate; here the learning rate is .0025, and .0005 in the last epochs.
The recipe was chosen on held-out training digits.  The success rate depends on the network as well as on the attack, as
the rows of the two networks show.

--full can be interrupted and called again: finished parts are saved in demos/out/checkpoints.  The paper's three sets
are --sets train,validation,test: the training digits without the last sixth, that last sixth, and the test digits.  The
network is trained on the first of them only.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    finished,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

import minidl
from attacks import AttackResult, Targeted, Victim, by_class, jsma, plots, saliency_map
from attacks.minimal.jsma import every_other_class
from minidl import models
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.derivatives import batch_jacobian
from minidl.npz import read_archive, write_archive
from minidl.optim import RMSProp
from minidl.progress import bar

DISTORTION = 0.145  # the paper's Υ
BUDGETS = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.145]  # values of Υ for the hardness matrix
#: The paper's Figure 11: success rate, distortion of all attacks, distortion of the successful ones.
PAPER = {"train": (0.9705, 0.0445, 0.0403), "validation": (0.9719, 0.0441, 0.0401), "test": (0.9705, 0.0445, 0.0403)}
PAPER_DECREASING = 0.647
DIGITS = [str(k) for k in range(10)]


@dataclass
class Records:
    """The results of many attacks that the matrices are computed from, without the images."""

    success: np.ndarray
    iterations: np.ndarray
    distortion: np.ndarray
    clean_pred: np.ndarray
    goal: Targeted
    params: dict[str, Any]
    features: int
    seconds: float


def lenet(
    train_set: Dataset, activation: str, seed: int, epochs: tuple[int, int], checkpoints: Path
) -> models.Sequential:
    """Train LeNet in two phases; each is saved in a checkpoint, and a second call loads it."""
    net = models.lenet(train_set.x.shape[1:], activation=activation, seed=seed)
    for phase, (lr, count) in enumerate(zip((0.0025, 0.0005), epochs)):
        name = f"lenet, {activation}, {len(train_set)} digits, seed {seed}, phase {phase}, {count} epochs.npz"
        train(net, train_set, epochs=count, optimizer=RMSProp(lr=lr), seed=seed + 1000 * phase,
              checkpoint=checkpoints / name)  # fmt: skip
    return net


def against_all(victim: Victim, x: Any, **options: Any) -> AttackResult:
    """Attack every image with each class except the predicted one as the target, with the paper's budget."""
    return jsma(victim, x, victim.predict(x), all_targets=True, max_distortion=DISTORTION, progress=True, **options)


def attack_all(
    net: models.Sequential,
    data: Dataset,
    theta: float,
    name: str,
    checkpoints: Path,
    outputs: str = "logits",
    chunk: int = 250,
) -> Records:
    """Attack every digit of a set with every other class as the target, in chunks, each saved on disk."""
    parts, total, seconds = [], len(data), 0.0
    digest = f"{sum(float(abs(w).sum()) for w in net.params.values()):.3f}"  # identifies the network
    folder = checkpoints / "jsma" / f"{name}, theta {theta:+g}, {total} digits, net {digest}"
    folder = folder if outputs == "logits" else folder.with_name(f"{folder.name}, {outputs}")
    for i in bar(range(0, total, chunk), f"JSMA, {name}, all", total > chunk, unit="chunk"):
        path = folder / f"{i} to {min(i + chunk, total)}.npz"
        if not path.exists():
            start, x = time.perf_counter(), data.x[i : i + chunk]
            result = against_all(Victim(net, batch_size=128), x, theta=theta, outputs=outputs)
            finished(result, "call again to continue")
            arrays = {"success": result.success, "iterations": result.iterations, "distortion": result.distortion,
                      "clean_pred": result.clean_pred, "targets": result.goal.labels}  # fmt: skip
            header = {"params": result.params, "seconds": time.perf_counter() - start}
            write_archive(path, "ledger", header, arrays)
        header, arrays = read_archive(path, "ledger")
        seconds += header["seconds"]
        parts.append(arrays)
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    goal = Targeted(joined.pop("targets"))
    features = int(np.prod(data.x.shape[1:]))
    return Records(**joined, goal=goal, params=header["params"], features=features, seconds=seconds)


def row(name: str, records: Records, paper: tuple[Any, Any, Any]) -> list[Any]:
    """One line of Figure 11's table."""
    measured = records.success, records.distortion, records.distortion[records.success]
    cells = [cell for values, printed in zip(measured, paper) for cell in (float(np.mean(values)), printed)]
    return [name, len(records.success), *cells, f"{1e3 * records.seconds / len(records.success):.1f}"]


def stopped_early(name: str, records: Records, paper: tuple[float, float, float]) -> str:
    """For a run with a higher success rate than the paper's: the smaller Υ, and the pixels, for the same rate."""
    if np.mean(records.success) <= paper[0]:
        return ""
    steps = int(np.sort(records.iterations[records.success])[int(paper[0] * len(records.success))])
    done = records.success & (records.iterations <= steps)
    return (f"{name}: stopped at Υ = {200 * steps / records.features:.1f} %, where its success is {done.mean():.4f}, "
            f"the successful take {records.distortion[done].mean():.4f} (paper {paper[2]})\n")  # fmt: skip


HEADS = ["network, set, θ", "attacks", "success", "paper,\nMNIST", "pixels\nof all", "paper,\nMNIST",
         "of the\nsuccessful", "paper,\nMNIST", "ms\neach"]  # fmt: skip


def one_of_each(net: models.Sequential, data: Dataset) -> np.ndarray:
    """The first correctly classified digit of each class, or the first digit of the class if there is none."""
    correct, labels = to_numpy(net(data.x[:1000]).argmax(axis=1) == data.y[:1000]), to_numpy(data.y[:1000])
    return np.array([int(np.argmax((labels == k) * (1 + correct))) for k in range(10)])


def figure_7(net: models.Sequential, x: Any) -> Any:
    """Figure 7: the forward derivative and the saliency maps of one digit, for each target."""
    label, targets = int(net(x[None]).argmax()), [t for t in range(10) if t != int(net(x[None]).argmax())]
    several = np.repeat(to_numpy(x)[None], 9, axis=0)
    jacobian = to_numpy(batch_jacobian(net, x[None], "forward", chunk=98))[0]
    alpha, total = jacobian[targets], jacobian.sum(axis=0)
    maps = to_numpy(saliency_map(net, asarray(several), asarray(np.array(targets))))
    largest = float(abs(alpha).max())
    rows = {
        "digit": list(several),
        "∂Z_t/∂x": list(alpha),
        "Σ ∂Z_j/∂x, j ≠ t": list(total - alpha),
        "S(x, t)": list(maps),
    }
    scales = {
        "∂Z_t/∂x": (-largest, largest),
        "Σ ∂Z_j/∂x, j ≠ t": (-2 * largest, 2 * largest),
        "S(x, t)": (0.0, float(maps.max())),
    }
    captions = {"S(x, t)": [f"t = {t}" for t in targets]}
    return plots.image_rows(
        rows, captions, scales=scales, title=f"A {label}: which pixels to make lighter, for each target t"
    )


def source_target_grid(net: models.Sequential, x: Any, theta: float, title: str) -> Any:
    """Figure 10: each digit (row) turned into each class (column); clean digits on the diagonal, failures framed."""
    result = against_all(Victim(net), x, theta=theta)
    images: list[list[Any]] = [[to_numpy(x)[r]] * 10 for r in range(len(x))]
    failed = [[False] * 10 for _ in range(len(x))]
    for k, t in enumerate(to_numpy(result.goal.labels)):
        r = k // 9  # nine attacks on each digit
        images[r][t], failed[r][t] = to_numpy(result.x_adv)[k], not bool(result.success[k])
    rows = [str(k) for k in to_numpy(net(x).argmax(axis=1))]
    return plots.image_grid(images, title=title, rows=rows, columns=DIGITS, framed=failed,
                            row_label="source", column_label="target (framed: not reached)")  # fmt: skip


def figure_16(net: models.Sequential, data: Dataset, count: int) -> Any:
    """Figure 16: adversarial digits of each class (rows) with more and more changed pixels (columns)."""
    result = against_all(Victim(net), data.x[:count])
    distortion, source = to_numpy(result.distortion), to_numpy(result.clean_pred)
    edges = [0.0, 0.02, 0.04, 0.06, 0.08, 0.10, 0.12, DISTORTION]
    images: list[list[Any]] = []
    for k in range(10):
        matches = [np.flatnonzero((source == k) & (distortion > low) & (distortion <= high) & to_numpy(result.success))
                   for low, high in pairwise(edges)]  # fmt: skip
        images.append([to_numpy(result.x_adv)[match[0]] if len(match) else None for match in matches])
    columns = [f"{100 * low:.3g}-{100 * high:.3g} %" for low, high in pairwise(edges)]
    return plots.image_grid(images, title="What would you call these? Made with more and more pixels", rows=DIGITS,
                            columns=columns, row_label="what it was",
                            column_label=f"pixels changed (empty: none of {count} digits took so many)")  # fmt: skip


def figure_17(net: models.Sequential, x: Any) -> Any:
    """Figure 17: the same attacks with a larger and larger change of each pixel, θ."""
    thetas, targets = [0.1, 0.25, 0.5, 0.75, 1.0], (net(x).argmax(axis=1) + 3) % 10
    columns, failed = [], []
    for theta in thetas:
        result = jsma(Victim(net), x, Targeted(targets), theta=theta, max_distortion=DISTORTION, progress=True)
        columns.append(to_numpy(result.x_adv))
        failed.append(~to_numpy(result.success))
    images = [[to_numpy(x)[r], *(column[r] for column in columns)] for r in range(len(x))]
    return plots.image_grid(images, title="Small steps or large ones, towards (digit + 3) mod 10", rows=DIGITS,
                            columns=["digit", *(f"θ {theta:g}" for theta in thetas)], row_label="source",
                            framed=[[False, *(bool(f[r]) for f in failed)] for r in range(len(x))],
                            column_label="(framed: target not reached)")  # fmt: skip


def figure_9(net: models.Sequential, shape: tuple[int, ...]) -> Any:
    """Figure 9: a black image turned into each class."""
    empty = asarray(np.zeros((1, *shape), np.float32))
    result = against_all(Victim(net), empty)
    targets = to_numpy(result.goal.labels).tolist()
    images: dict[int, Any] = dict(zip(targets, to_numpy(result.x_adv)))
    prediction = int(net(empty).argmax())
    drawn = [images.get(k, np.zeros(shape)) for k in range(10)]
    success = dict(zip(targets, to_numpy(result.success).tolist()))
    captions = [
        f"{k}" + (", as it is" if k == prediction else "" if success[k] else ", not reached") for k in range(10)
    ]
    return plots.image_rows(
        {"from nothing": drawn}, {"from nothing": captions}, title="An empty input, turned into each digit"
    )


def adversarial_distances(net: models.Sequential, data: Dataset, count: int) -> tuple[np.ndarray, float, list[str]]:
    """Figure 15: the mean adversarial distance of each pair of classes, the robustness R, and names for the rows."""
    x = data.x[:count]
    source = net(x).argmax(axis=1)
    which, targets = every_other_class(source, 10)
    distances = by_class.adversarial_distance(Victim(net, batch_size=128), x[which], targets)
    means = by_class.mean_by_pair(source[which], targets, asarray(distances))
    return means, by_class.robustness(distances), row_names(source)


def row_names(predictions: Any) -> list[str]:
    """Names for the rows of a matrix: each class, and how many of the digits are assigned to it."""
    return [f"{k} ({n})" for k, n in enumerate(np.bincount(to_numpy(predictions), minlength=10))]


def draw(net: models.Sequential, test: Dataset, records: Records, folder: Path, count: int) -> str:
    """Draw all figures of one network; two sentences about them."""
    x = test.x[asarray(one_of_each(net, test))]
    hardness = by_class.hardness_matrix(records, BUDGETS)
    distance, r, rows_of_distances = adversarial_distances(net, test, count)
    rows = row_names(records.clean_pred[::9])  # nine attacks on each digit
    matrices = {
        "fig12_success": (100 * by_class.success_matrix(records), "Success per pair of classes, θ = +1", "%", "{:.0f}",
                          rows, (0.0, 100.0)),
        "fig13_distortion": (100 * by_class.distortion_matrix(records), "Pixels changed where it succeeds, θ = +1",
                             "% of the pixels", "{:.1f}", rows, None),
        "fig14_hardness": (100 * hardness, "Hardness H(s, t) = ∫ε dτ", "% of the pixels", "{:.1f}", rows, None),
        "fig15_distance": (distance, f"Adversarial distance A(s, t); robustness R = {r:.2f}", "A", "{:.2f}",
                           rows_of_distances, None),
    }  # fmt: skip
    figures = {
        "fig07_saliency": figure_7(net, x[3]),
        "fig09_from_nothing": figure_9(net, test.x.shape[1:]),
        "fig10_increasing": source_target_grid(net, x, 1.0, "Pixels made white, θ = +1"),
        "fig10_decreasing": source_target_grid(net, x, -1.0, "Pixels made black, θ = -1"),
        "fig16_distortions": figure_16(net, test, min(200, count)),
        "fig17_intensities": figure_17(net, x),
    } | {
        name: plots.matrix(
            values,
            title=title,
            label=label,
            form=form,
            rows=names,
            limits=limits,
            row_label="source class (digits, each to all targets)",
        )
        for name, (values, title, label, form, names, limits) in matrices.items()
    }
    for name, figure in figures.items():
        write_figure(figure, folder / f"papernot_{name}.png")
    hardest, easiest = (np.unravel_index(f(hardness), hardness.shape) for f in (np.nanargmax, np.nanargmin))
    both = np.isfinite(hardness) & np.isfinite(distance)
    correlation = np.corrcoef(hardness[both], distance[both])[0, 1]
    return (f"Easiest pair to attack: {easiest[0]} to {easiest[1]} (H {hardness[easiest]:.4f}); "
            f"hardest: {hardest[0]} to {hardest[1]} (H {hardness[hardest]:.4f}).\n"
            f"Hardness and adversarial distance correlate at {correlation:.2f}. "
            f"Robustness R = {r:.4f}, from {count} digits.\n")  # fmt: skip


def main() -> None:
    """Train or load, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, both activations: about twenty minutes; can be interrupted")
    parser.add_argument("--activations", default="", help="tanh, relu or tanh,relu (default: tanh; both with --full)")
    parser.add_argument(
        "--sets", default="test", help="sets of digits to attack: train,validation,test (default: test)"
    )
    parser.add_argument("--digits", type=at_least_one, help="digits of each set (default: 60, or 10000 with --full)")
    parser.add_argument(
        "--epochs", type=at_least_one, nargs=2, help="epochs of the two phases (default: 8 4, or 4 2 with --full)"
    )
    arguments = parser.parse_args()
    activations = (arguments.activations or ("tanh,relu" if arguments.full else "tanh")).split(",")
    everything, test = load_mnist() if arguments.full else load_digits()
    cut, count = len(everything) * 5 // 6, arguments.digits or (10_000 if arguments.full else 60)
    sets = {"train": everything.take(cut), "validation": everything.take(slice(cut, None)), "test": test}
    if unknown := set(arguments.sets.split(",")) - set(sets):
        parser.error(f"--sets takes {', '.join(sets)}; not {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as temporary:  # a short run leaves no checkpoints for a later one
        checkpoints = HERE / "out" / "checkpoints" if arguments.full else Path(temporary)
        text = run(arguments, activations, sets, count, checkpoints)
    write_text(out_folder(arguments) / "papernot_lenet.txt", provenance(arguments.seed) + "\n" + text)


def run(arguments: Any, activations: list[str], sets: dict[str, Dataset], count: int, folder: Path) -> str:
    """Run all attacks: the table of Figure 11, and sentences about the figures."""
    rows, notes, test = [], "", sets["test"]
    epochs = tuple(arguments.epochs or ((4, 2) if arguments.full else (8, 4)))
    for activation in activations:
        net = lenet(sets["train"], activation, arguments.seed, epochs, folder)
        minidl.save(net, out_folder(arguments) / f"lenet_{activation}.npz")
        errors = {name: minidl.train.evaluate(net, data).error for name, data in sets.items()}
        print(f"LeNet, {activation}: error {', '.join(f'{e:.4f} ({name})' for name, e in errors.items())}", flush=True)
        notes += f"LeNet, {activation}: accuracy on the {len(test)} test digits {1 - errors['test']:.4f}\n"
        for name in arguments.sets.split(","):
            data = sets[name].take(count)
            records = attack_all(net, data, 1.0, f"{activation}, {name}", folder)
            rows.append(row(f"{activation}, {name}, +1", records, PAPER[name]))
            notes += stopped_early(f"{activation}, {name}", records, PAPER[name])
            if name == "test":
                darker = attack_all(net, data, -1.0, f"{activation}, {name}", folder)
                rows.append(row(f"{activation}, {name}, -1", darker, (PAPER_DECREASING, "-", "-")))
                probabilities = attack_all(net, data, 1.0, f"{activation}, {name}", folder, outputs="probabilities")
                rows.append(row(f"{activation}, {name}, +1, probabilities", probabilities, PAPER[name]))
                if activation == activations[0]:
                    notes += draw(net, test, records, out_folder(arguments), min(1000, count))
    data = "whole MNIST" if arguments.full else "the bundled digits"
    text = table(f"JSMA on LeNet, {data}, Υ = 14.5 %: fractions of the attacks, and of the pixels", HEADS, rows)
    print(f"\n{text}\n{notes}")
    return f"{text}\n{notes}"


if __name__ == "__main__":
    main()
