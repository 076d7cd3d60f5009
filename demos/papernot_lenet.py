"""JSMA on LeNet: Papernot et al. 2016, "The limitations of deep learning in adversarial settings", Figures 7 to 17.

    python demos/papernot_lenet.py           bundled digits, about a minute
    python demos/papernot_lenet.py --full    whole MNIST: 10,000 test digits × 9 targets × 2 directions × 2 networks

LeNet (20@5×5, pool, 50@5×5, pool, 500, 10) learns the digits; then every digit is turned into each of the nine
others by changing at most 14.5 % of its pixels, pair by pair, to white (θ = +1) or to black (θ = -1).

The paper takes the derivative of the logits, since with probabilities its second condition says nothing: they sum
to 1, so β = -α.  The third row of each network shows that it is then that the attack does best.

The paper's network has tanh units; ours with ReLU stands beside it.  Theirs was trained for up to 200 epochs at a
high learning rate; ours at .0025 for some epochs, then a few at .0005.  The recipe was chosen on held-out training
digits.  How easily a network gives in is a property of the network as much as of the attack: see the two rows.

--full can be interrupted, and goes on where it was; finished parts lie in demos/out/checkpoints.  The sets of the
paper are --sets train,validation,test: the first and the last 10,000 of the training digits, and the test digits.
The last sixth of the training digits is never trained on.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, at_least_one, command_line, out_folder, provenance, table, train, write_figure, write_text

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
LADDER = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.145]  # of Υ, for the hardness matrix
#: success, distortion of all, distortion of the successful; the paper's Figure 11
PAPER = {"train": (0.9705, 0.0445, 0.0403), "validation": (0.9719, 0.0441, 0.0401), "test": (0.9705, 0.0445, 0.0403)}
PAPER_DECREASING = 0.647
DIGITS = [str(k) for k in range(10)]


@dataclass
class Ledger:
    """What the matrices need to know of many attacks, without their images."""

    success: np.ndarray
    iterations: np.ndarray
    distortion: np.ndarray
    clean_pred: np.ndarray
    goal: Targeted
    params: dict[str, Any]
    features: int
    seconds: float


def lenet(train_set: Dataset, activation: str, seed: int, epochs: tuple[int, int], kept: Path) -> models.Sequential:
    """LeNet, trained in two phases; each keeps a checkpoint, so that a second call has nothing left to do."""
    net = models.lenet(train_set.x.shape[1:], activation=activation, seed=seed)
    for phase, (lr, count) in enumerate(zip((0.0025, 0.0005), epochs)):
        name = f"lenet, {activation}, {len(train_set)} digits, seed {seed}, phase {phase}, {count} epochs.npz"
        train(net, train_set, epochs=count, optimizer=RMSProp(lr=lr), seed=seed + 1000 * phase,
              checkpoint=kept / name)  # fmt: skip
    return net


def against_all(victim: Victim, x: Any, **options: Any) -> AttackResult:
    """Every image against each class but the one it is taken for, with the paper's budget."""
    budget = {"max_distortion": DISTORTION, "progress": True}
    return jsma(victim, x, victim.predict(x), all_targets=True, **budget, **options)


def attack_all(
    net: models.Sequential,
    data: Dataset,
    theta: float,
    name: str,
    kept: Path,
    outputs: str = "logits",
    chunk: int = 250,
) -> Ledger:
    """Every digit of a set against every class but its own, a chunk of digits at a time, each kept on disk."""
    parts, total, seconds = [], len(data), 0.0
    digest = f"{sum(float(abs(w).sum()) for w in net.params.values()):.3f}"  # of the very network
    folder = kept / "jsma" / f"{name}, theta {theta:+g}, {total} digits, net {digest}"
    folder = folder if outputs == "logits" else folder.with_name(f"{folder.name}, {outputs}")
    for i in bar(range(0, total, chunk), f"JSMA, {name}, all", total > chunk, unit="chunk"):
        path = folder / f"{i} to {min(i + chunk, total)}.npz"
        if not path.exists():
            start, x = time.perf_counter(), data.x[i : i + chunk]
            result = against_all(Victim(net, batch_size=128), x, theta=theta, outputs=outputs)
            if result.params["interrupted"]:
                raise SystemExit("interrupted; call again to go on")
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
    return Ledger(**joined, goal=goal, params=header["params"], features=features, seconds=seconds)


def row(name: str, ledger: Ledger, paper: tuple[Any, Any, Any]) -> list[Any]:
    """One line of Figure 11's table."""
    found = ledger.success, ledger.distortion, ledger.distortion[ledger.success]
    cells = [cell for values, printed in zip(found, paper) for cell in (float(np.mean(values)), printed)]
    return [name, len(ledger.success), *cells, f"{1e3 * ledger.seconds / len(ledger.success):.1f}"]


def stopped_early(name: str, ledger: Ledger, paper: tuple[float, float, float]) -> str:
    """What a run that succeeds more often than the paper's took to succeed as often: a smaller Υ, and fewer pixels."""
    if np.mean(ledger.success) <= paper[0]:
        return ""
    steps = int(np.sort(ledger.iterations[ledger.success])[int(paper[0] * len(ledger.success))])
    done = ledger.success & (ledger.iterations <= steps)
    return (f"{name}: stopped at Υ = {200 * steps / ledger.features:.1f} %, where its success is {done.mean():.4f}, "
            f"the successful take {ledger.distortion[done].mean():.4f} (paper {paper[2]})\n")  # fmt: skip


HEADS = ["network, set, θ", "attacks", "success", "paper,\nMNIST", "pixels\nof all", "paper,\nMNIST",
         "of the\nsuccessful", "paper,\nMNIST", "ms\neach"]  # fmt: skip


def one_of_each(net: models.Sequential, data: Dataset) -> np.ndarray:
    """The first digit of each class that the network reads correctly, or the first one if it reads none."""
    right, labels = to_numpy(net(data.x[:1000]).argmax(axis=1) == data.y[:1000]), to_numpy(data.y[:1000])
    return np.array([int(np.argmax((labels == k) * (1 + right))) for k in range(10)])


def figure_7(net: models.Sequential, x: Any) -> Any:
    """One digit's forward derivative and saliency maps, for the targets that make the plainest pictures."""
    label, targets = int(net(x[None]).argmax()), [t for t in range(10) if t != int(net(x[None]).argmax())]
    several = np.repeat(to_numpy(x)[None], 9, axis=0)
    jacobian = to_numpy(batch_jacobian(net, x[None], "forward", chunk=98))[0]
    up, total = jacobian[targets], jacobian.sum(axis=0)
    maps = to_numpy(saliency_map(net, asarray(several), asarray(np.array(targets))))
    widest = float(abs(up).max())
    rows = {"digit": list(several), "∂Z_t/∂x": list(up), "Σ ∂Z_j/∂x, j ≠ t": list(total - up), "S(x, t)": list(maps)}
    scales = {
        "∂Z_t/∂x": (-widest, widest),
        "Σ ∂Z_j/∂x, j ≠ t": (-2 * widest, 2 * widest),
        "S(x, t)": (0.0, float(maps.max())),
    }
    captions = {"S(x, t)": [f"t = {t}" for t in targets]}
    return plots.image_rows(
        rows, captions, scales=scales, title=f"A {label}: which pixels to make lighter, for each target t"
    )


def source_target_grid(net: models.Sequential, x: Any, theta: float, title: str) -> Any:
    """Figure 10: each digit (row) turned into each class (column), itself on the diagonal; failures framed."""
    result = against_all(Victim(net), x, theta=theta)
    images: list[list[Any]] = [[to_numpy(x)[r]] * 10 for r in range(len(x))]
    failed = [[False] * 10 for _ in range(len(x))]
    for k, t in enumerate(to_numpy(result.goal.labels)):
        r = k // 9  # nine attacks on each digit
        images[r][t], failed[r][t] = to_numpy(result.x_adv)[k], not bool(result.success[k])
    rows = [str(k) for k in to_numpy(net(x).argmax(axis=1))]
    return plots.image_grid(images, title=title, rows=rows, columns=DIGITS, framed=failed,
                            row_label="source", column_label="target (framed: not reached)")  # fmt: skip


def distortion_ladder(net: models.Sequential, data: Dataset, count: int) -> Any:
    """Figure 16's stimuli: adversarial digits of each class that took more and more pixels to make."""
    result = against_all(Victim(net), data.x[:count])
    distortion, source = to_numpy(result.distortion), to_numpy(result.clean_pred)
    edges = [0.0, 0.02, 0.04, 0.06, 0.08, 0.10, 0.12, DISTORTION]
    images: list[list[Any]] = []
    for k in range(10):
        there = [np.flatnonzero((source == k) & (distortion > low) & (distortion <= high) & to_numpy(result.success))
                 for low, high in pairwise(edges)]  # fmt: skip
        images.append([to_numpy(result.x_adv)[some[0]] if len(some) else None for some in there])
    columns = [f"{100 * low:.3g}-{100 * high:.3g} %" for low, high in pairwise(edges)]
    return plots.image_grid(images, title="What would you call these? Made with more and more pixels", rows=DIGITS,
                            columns=columns, row_label="what it was",
                            column_label=f"pixels changed (empty: none of {count} digits took so many)")  # fmt: skip


def intensity_ladder(net: models.Sequential, x: Any) -> Any:
    """Figure 17's stimuli: the same attacks with changes of more and more intensity, θ."""
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


def from_nothing(net: models.Sequential, shape: tuple[int, ...]) -> Any:
    """Figure 9: an empty input turned into each class."""
    empty = asarray(np.zeros((1, *shape), np.float32))
    result = against_all(Victim(net), empty)
    targets = to_numpy(result.goal.labels).tolist()
    images: dict[int, Any] = dict(zip(targets, to_numpy(result.x_adv)))
    now = int(net(empty).argmax())
    drawn = [images.get(k, np.zeros(shape)) for k in range(10)]
    done = dict(zip(targets, to_numpy(result.success).tolist()))
    captions = [f"{k}" + (", as it is" if k == now else "" if done[k] else ", not reached") for k in range(10)]
    return plots.image_rows(
        {"from nothing": drawn}, {"from nothing": captions}, title="An empty input, turned into each digit"
    )


def adversarial_distances(net: models.Sequential, data: Dataset, count: int) -> tuple[np.ndarray, float, list[str]]:
    """Figure 15: the mean adversarial distance of each pair of classes, the network's robustness R, and row names."""
    x = data.x[:count]
    source = net(x).argmax(axis=1)
    which, targets = every_other_class(source, 10)
    distances = by_class.adversarial_distance(Victim(net, batch_size=128), x[which], targets)
    means = by_class.mean_by_pair(source[which], targets, asarray(distances))
    return means, by_class.robustness(distances), counted(source)


def counted(source: Any) -> list[str]:
    """For each class, how many of some digits are taken for it: names for the rows of a matrix."""
    return [f"{k} ({n})" for k, n in enumerate(np.bincount(to_numpy(source), minlength=10))]


def draw(net: models.Sequential, test: Dataset, ledger: Ledger, folder: Path, several: int) -> str:
    """All figures of one network."""
    x = test.x[asarray(one_of_each(net, test))]
    hardness = by_class.hardness_matrix(ledger, LADDER)
    distance, r, measured = adversarial_distances(net, test, several)
    attacked = counted(ledger.clean_pred[::9])  # nine attacks on each digit
    matrices = {
        "fig12_success": (100 * by_class.success_matrix(ledger), "Success per pair of classes, θ = +1", "%", "{:.0f}",
                          attacked, (0.0, 100.0)),
        "fig13_distortion": (100 * by_class.distortion_matrix(ledger), "Pixels changed where it succeeds, θ = +1",
                             "% of the pixels", "{:.1f}", attacked, None),
        "fig14_hardness": (100 * hardness, "Hardness H(s, t) = ∫ε dτ", "% of the pixels", "{:.1f}", attacked, None),
        "fig15_distance": (distance, f"Adversarial distance A(s, t); robustness R = {r:.2f}", "A", "{:.2f}",
                           measured, None),
    }  # fmt: skip
    figures = {
        "fig07_saliency": figure_7(net, x[3]),
        "fig09_from_nothing": from_nothing(net, test.x.shape[1:]),
        "fig10_increasing": source_target_grid(net, x, 1.0, "Pixels made white, θ = +1"),
        "fig10_decreasing": source_target_grid(net, x, -1.0, "Pixels made black, θ = -1"),
        "fig16_distortions": distortion_ladder(net, test, min(200, several)),
        "fig17_intensities": intensity_ladder(net, x),
    } | {
        name: plots.matrix(
            values,
            title=title,
            label=label,
            form=form,
            rows=rows,
            limits=limits,
            row_label="source class (digits, each to all targets)",
        )
        for name, (values, title, label, form, rows, limits) in matrices.items()
    }
    for name, figure in figures.items():
        write_figure(figure, folder / f"papernot_{name}.png")
    hardest, easiest = (np.unravel_index(f(hardness), hardness.shape) for f in (np.nanargmax, np.nanargmin))
    both = np.isfinite(hardness) & np.isfinite(distance)
    together = np.corrcoef(hardness[both], distance[both])[0, 1]
    return (f"Easiest pair to attack: {easiest[0]} to {easiest[1]} (H {hardness[easiest]:.4f}); "
            f"hardest: {hardest[0]} to {hardest[1]} (H {hardness[hardest]:.4f}).\n"
            f"Hardness and adversarial distance correlate at {together:.2f}. "
            f"Robustness R = {r:.4f}, from {several} digits.\n")  # fmt: skip


def main() -> None:
    """Train or load, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, both activations; some twenty minutes, resumable")
    parser.add_argument("--activations", default="", help="tanh, relu or tanh,relu (default: tanh; both with --full)")
    parser.add_argument("--sets", default="test", help="of digits to attack: train,validation,test (default: test)")
    parser.add_argument("--digits", type=at_least_one, help="of each set (default: 60, or 10000 with --full)")
    parser.add_argument(
        "--epochs", type=at_least_one, nargs=2, help="of the two phases (default: 8 4, or 4 2 with --full)"
    )
    arguments = parser.parse_args()
    activations = (arguments.activations or ("tanh,relu" if arguments.full else "tanh")).split(",")
    everything, test = load_mnist() if arguments.full else load_digits()
    cut, count = len(everything) * 5 // 6, arguments.digits or (10_000 if arguments.full else 60)
    sets = {"train": everything.take(cut), "validation": everything.take(slice(cut, None)), "test": test}
    if unknown := set(arguments.sets.split(",")) - set(sets):
        parser.error(f"--sets takes {', '.join(sets)}; not {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as passing:  # a short run leaves nothing behind that a later one would find
        kept = HERE / "out" / "checkpoints" if arguments.full else Path(passing)
        text = run(arguments, activations, sets, count, kept)
    write_text(out_folder(arguments) / "papernot_lenet.txt", provenance(arguments.seed) + "\n" + text)


def run(arguments: Any, activations: list[str], sets: dict[str, Dataset], count: int, kept: Path) -> str:
    """All networks, sets and directions in turn: the table of Figure 11, and what the figures say."""
    rows, notes, test = [], "", sets["test"]
    epochs = tuple(arguments.epochs or ((4, 2) if arguments.full else (8, 4)))
    for activation in activations:
        net = lenet(sets["train"], activation, arguments.seed, epochs, kept)
        minidl.save(net, out_folder(arguments) / f"lenet_{activation}.npz")
        errors = {name: minidl.train.evaluate(net, data).error for name, data in sets.items()}
        print(f"LeNet, {activation}: error {', '.join(f'{e:.4f} ({name})' for name, e in errors.items())}", flush=True)
        notes += f"LeNet, {activation}: accuracy on the {len(test)} test digits {1 - errors['test']:.4f}\n"
        for name in arguments.sets.split(","):
            data = sets[name].take(count)
            ledger = attack_all(net, data, 1.0, f"{activation}, {name}", kept)
            rows.append(row(f"{activation}, {name}, +1", ledger, PAPER[name]))
            notes += stopped_early(f"{activation}, {name}", ledger, PAPER[name])
            if name == "test":
                fewer = attack_all(net, data, -1.0, f"{activation}, {name}", kept)
                rows.append(row(f"{activation}, {name}, -1", fewer, (PAPER_DECREASING, "-", "-")))
                easier = attack_all(net, data, 1.0, f"{activation}, {name}", kept, outputs="probabilities")
                rows.append(row(f"{activation}, {name}, +1, probabilities", easier, PAPER[name]))
                if activation == activations[0]:
                    notes += draw(net, test, ledger, out_folder(arguments), min(1000, count))
    data = "whole MNIST" if arguments.full else "the bundled digits"
    text = table(f"JSMA on LeNet, {data}, Υ = 14.5 %: fractions of the attacks, and of the pixels", HEADS, rows)
    print(f"\n{text}\n{notes}")
    return f"{text}\n{notes}"


if __name__ == "__main__":
    main()
