"""Which digits are easier to attack, and do noisy or textured backgrounds or a lower contrast make it easier?

    python demos/backgrounds.py           bundled digits, about a minute on two cores
    python demos/backgrounds.py --full    whole MNIST, three seeds, about ten minutes

The same digits are shown in five conditions: as they are; with noise on the background; with a checkerboard there of
the same L2 length; with half the contrast; and with half the contrast, shifted to grey.  One network has learned plain
digits only, another all conditions mixed, so that "easier" need not mean "unlike the training digits".  The measure is
the least perturbation, in L2 and L∞, that `deepfool` finds; `cw_l2` and `cw_linf` check it on some digits.  Only digits
that a network classifies correctly in all conditions count, so all differences are between pairs.

The last table explains the order.  For a linear model the least L2 is margin/‖∇margin‖, with the margin Z_y - Z_k to
the most likely wrong class k: a condition may lower the margin, or raise the gradient.

Result (--full): every condition makes digits easier to attack.  The network of plain digits is also less accurate in
three of them (98 % against 88, 89 and 78 %), so the other one, with 98.3 to 98.6 % everywhere, decides.  There noise
leaves 67 % of the least L2, the checkerboard 72 %, in each of three networks in this order; half the contrast 50 %,
grey 47 %.  Mainly the margin is smaller, by a fifth to a half; the gradient is larger by a tenth, but not at half the
contrast.  margin/‖∇margin‖ gives the same order.  Nines are the easiest class of both networks, then fours (plain) or
eights (all conditions).  Zeros and sixes are hard, but their intervals overlap with those of other classes.  Eights are
an exception: for the network of plain digits, noise and checkerboard do not make them easier.
DeepFool's L2 is 7 to 22 % longer than that of C&W, on ten digits a condition: far less than these differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import (
    at_least_one,
    command_line,
    ending_with_a_sentence,
    finished,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import Untargeted, Victim, cw_l2, cw_linf, deepfool
from attacks.common.objectives import margin
from attacks.report.intervals import NORMAL_QUANTILE
from attacks.report.plots import COLOURS, image_rows, new_figure
from minidl import models
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam

PAPER, ENERGY = 0.1, 5.0  # a pixel below PAPER is background; the L2 length of what is added to it
CONDITIONS = ("original", "noise", "checkerboard", "contrast ½", "shifted")
NETWORKS = ("plain digits", "all conditions")
MEASURES = ("L2", "L∞", "margin", "gradient", "first order")
Measured = dict[str, np.ndarray]  # by measure: (networks of one kind, conditions, digits), nan for those left out


def in_all_conditions(x: np.ndarray, seed: int) -> np.ndarray:
    """Digits x (N, 1, H, W) in each condition: (conditions, N, 1, H, W)."""
    noise = np.random.default_rng(seed).random(x.shape, dtype=x.dtype)
    row, column = np.indices(x.shape[-2:]) // 2
    squares = np.broadcast_to(((row + column) % 2).astype(x.dtype), x.shape)
    return np.stack([x, x + on_background(noise, x), x + on_background(squares, x), x / 2, x / 2 + x.dtype.type(0.25)])


def on_background(pattern: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The pattern on the background of each digit alone, scaled to the length ENERGY."""
    pattern = pattern * (x < PAPER)
    return pattern * (ENERGY / lengths(pattern))[:, None, None, None].astype(x.dtype)


def lengths(x: np.ndarray) -> np.ndarray:
    """‖x‖₂ of each example."""
    return np.sqrt((x.astype("float64") ** 2).sum(axis=(1, 2, 3)))


def mixed(conditions: np.ndarray, seed: int) -> np.ndarray:
    """Each digit in a condition drawn at random."""
    digits = np.arange(conditions.shape[1])
    return conditions[np.random.default_rng(seed).integers(len(conditions), size=len(digits)), digits]


def networks(data: Dataset, epochs: int, seed: int) -> dict[str, Sequential]:
    """Two small LeNets, for plain digits and for all conditions; the second, a harder task, has three times as long."""
    several = mixed(in_all_conditions(to_numpy(data.x), seed + 1000), seed)
    nets = {}
    for name, x, times in zip(NETWORKS, (data.x, asarray(several)), (1, 3)):
        nets[name] = models.lenet(channels=(8, 16), hidden=100, seed=seed)
        optimizer = Adam(0.001)
        train(nets[name], Dataset(x, data.y), epochs=times * epochs, optimizer=optimizer, seed=seed)
    return nets


def errors(net: Sequential, conditions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which digits the network classifies wrongly in each condition: (conditions, N)."""
    return np.stack([to_numpy(Victim(net).predict(asarray(x))) != y for x in conditions])


def measured(net: Sequential, conditions: np.ndarray, y: np.ndarray) -> Measured:
    """All MEASURES of each condition and digit; nan for a digit that is wrong, or not fooled, in any condition."""
    counted = ~errors(net, conditions, y).any(axis=0)
    of = {name: np.full((len(conditions), len(y)), np.nan) for name in MEASURES}
    for i, x in enumerate(conditions):
        images, labels = asarray(x[counted]), asarray(y[counted])
        l2, linf = (finished(deepfool(net, images, labels, norm=norm)) for norm in ("l2", "linf"))
        of["L2"][i, counted] = np.where(to_numpy(l2.success), to_numpy(l2.l2), np.nan)
        of["L∞"][i, counted] = np.where(to_numpy(linf.success), to_numpy(linf.linf), np.nan)
        of["margin"][i, counted], of["gradient"][i, counted] = margins(net, images, labels)
    of["first order"] = of["margin"] / of["gradient"]
    incomplete = np.isnan(np.stack(list(of.values()))).any(axis=(0, 1))
    return {name: np.where(incomplete, np.nan, values) for name, values in of.items()}


def margins(net: Sequential, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Z_y - max_{k≠y} Z_k of each image, and the L2 length of its gradient."""
    goal = Untargeted(y)
    logits, gradient = Victim(net).logits_and_gradient(x, goal, margin)
    return -to_numpy(margin(goal, logits)), lengths(to_numpy(gradient))


def interval(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, half a 95 % interval, and count of digits: each is first averaged over the networks (rows) it counts in."""
    present = ~np.isnan(values)
    counted = present.any(axis=0)
    each = np.where(present, values, 0).sum(axis=0)[counted] / present.sum(axis=0)[counted]
    n = len(each)
    return (
        float(each.mean()) if n else float("nan"),
        NORMAL_QUANTILE * float(each.std(ddof=1)) / n**0.5 if n > 1 else float("nan"),
        n,
    )


def pm(values: np.ndarray, form: str = ".2f") -> str:
    """The mean and its 95 % interval."""
    mean, half, _ = interval(values)
    return f"{mean:{form}} ± {half:{form}}"


def by_network(values: np.ndarray) -> str:
    """The mean of each network: how far one differs from another trained with another seed."""
    return " ".join(f"{interval(row[None])[0]:.2f}" for row in values)


def by_condition(name: str, of: Measured) -> str:
    """Least distances, their differences to the original digits, and their first-order explanation."""
    count = interval(of["L2"][:, 0])[2]
    rows, explained = [], []
    for i, condition in enumerate(CONDITIONS):
        l2, linf = of["L2"][:, i], of["L∞"][:, i]
        row = [condition, pm(l2), by_network(l2), pm(linf, ".3f")]
        rows.append([*row, *(["-"] * 2 if i == 0 else [pm(l2 - of["L2"][:, 0]), pm(linf - of["L∞"][:, 0], ".3f")])])
        ratio = interval(l2)[0] / interval(of["L2"][:, 0])[0]
        explained.append([condition, *(pm(of[m][:, i]) for m in MEASURES[2:]), pm(l2), f"{ratio:.2f}"])
    heads = ["condition", "least L2", "L2, each\nnetwork", "least L∞", "L2 less\noriginal", "L∞ less\noriginal"]
    first = table(f"Learned {name}: least distances of {count} digits out of {of['L2'].shape[2]}", heads, rows)
    heads = ["condition", "margin", "‖∇margin‖", "margin/‖∇margin‖", "least L2", "L2/original"]
    return first + "\n" + table(f"Learned {name}: why", heads, explained)


def by_class(name: str, of: Measured, y: np.ndarray, measure: str) -> str:
    """The least distance of each class in each condition, the most easily attacked class first."""
    means = {k: interval(of[measure][:, 0, y == k])[0] for k in range(10)}
    form = ".2f" if measure == "L2" else ".3f"
    rows = [[str(k), *(pm(of[measure][:, i, y == k], form) for i in range(len(CONDITIONS)))]
            for k in sorted(means, key=lambda k: (np.isnan(means[k]), means[k]))]  # fmt: skip
    return table(
        f"Learned {name}: least {measure} of each class, ordered by the originals", ["class", *CONDITIONS], rows
    )


def check(nets: dict[str, Sequential], conditions: np.ndarray, y: np.ndarray, count: int, steps: int) -> str:
    """How much longer DeepFool's perturbations are than those of Carlini and Wagner, on a few digits."""
    rows = []
    for name, net in nets.items():
        some = np.flatnonzero(~errors(net, conditions, y).any(axis=0))[:count]
        labels = asarray(y[some])
        for condition, x in zip(CONDITIONS, conditions):
            images, row = asarray(x[some]), [f"{name}: {condition}"]
            for attack, norm in ((cw_l2, "l2"), (cw_linf, "linf")):
                best = finished(attack(net, images, labels, steps=steps))
                fast = finished(deepfool(net, images, labels, norm=norm))
                both = to_numpy(best.success & fast.success)
                ratio = to_numpy(getattr(fast, norm))[both] / to_numpy(getattr(best, norm))[both]
                row += [f"{both.sum()}/{len(some)}", pm(ratio[None])]
            rows.append(row)
    heads = ["network: condition", "both\nsucceed", "L2\nratio", "both\nsucceed", "L∞\nratio"]
    return table("DeepFool's distance / C&W's, of the first network of each kind", heads, rows)


def clean(conditions: np.ndarray, wrong: dict[str, list[np.ndarray]]) -> str:
    """What is added to the background, and the errors without any attack."""
    rows = []
    for i, condition in enumerate(CONDITIONS):
        added = lengths((conditions[i] - conditions[0]) * (conditions[0] < PAPER))
        rates = [f"{100 * (1 - np.mean([w[i].mean() for w in wrong[name]])):.2f}" for name in NETWORKS]
        rows.append([condition, f"{added.min():.4f} to {added.max():.4f}", f"{conditions[i].min():.2f} to "
                     f"{conditions[i].max():.2f}", *rates])  # fmt: skip
    heads = [
        "condition",
        "L2 of the change\nof the background",
        "pixels",
        "accuracy, %,\nplain digits",
        "all\nconditions",
    ]
    return table("Conditions, and the accuracy without attack on all test digits", heads, rows)


def class_figure(of: dict[str, Measured], y: np.ndarray) -> Any:
    """The least L2 of each class in each condition, with intervals, for both kinds of networks."""
    figure = new_figure(10, 4.4, "Least L2 by class (95 % intervals): compare colours within a class, and classes")
    for axes, name in zip(figure.subplots(1, 2, sharey=True), NETWORKS):
        for i, condition in enumerate(CONDITIONS):
            ends = [interval(of[name]["L2"][:, i, y == k])[:2] for k in range(10)]
            mean, half = np.array(ends).T
            axes.errorbar(np.arange(10) + 0.15 * (i - 2), mean, half, fmt="osD^v"[i], color=COLOURS[i], markersize=4,
                          label=condition)  # fmt: skip
        axes.set(title=f"learned {name}", xlabel="class", xticks=range(10))
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].set_ylabel("least L2, DeepFool")
    figure.axes[0].set_ylim(0, None)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, three seeds: about ten minutes on two cores")
    parser.add_argument("--epochs", type=at_least_one, help="of the plain network (default: 5; 2 with --full)")
    parser.add_argument("--digits", type=at_least_one, help="learn from so many digits (default: all)")
    parser.add_argument(
        "--images", type=at_least_one, help="attack so many test digits (default: 300; 1000 with --full)"
    )
    parser.add_argument("--check", type=at_least_one, default=10, help="compare so many with C&W's (default: 10)")
    parser.add_argument("--steps", type=at_least_one, default=200, help="of each of C&W's searches (default: 200)")
    arguments = parser.parse_args()
    data, test = load_mnist() if arguments.full else load_digits()
    data = data.take(range(min(arguments.digits or len(data), len(data))))
    conditions, y = in_all_conditions(to_numpy(test.x), arguments.seed), to_numpy(test.y)
    some = slice(0, arguments.images or (1000 if arguments.full else 300))
    seeds = range(arguments.seed, arguments.seed + (3 if arguments.full else 1))
    wrong: dict[str, list[np.ndarray]] = {name: [] for name in NETWORKS}
    results: dict[str, list[Measured]] = {name: [] for name in NETWORKS}
    checks = ""
    with ending_with_a_sentence(saved=False):
        for seed in seeds:
            nets = networks(data, arguments.epochs or (2 if arguments.full else 5), seed)
            for name, net in nets.items():
                wrong[name].append(errors(net, conditions, y))
                results[name].append(measured(net, conditions[:, some], y[some]))
            checks = checks or check(nets, conditions[:, some], y[some], arguments.check, arguments.steps)
    of = {name: {m: np.stack([each[m] for each in results[name]]) for m in MEASURES} for name in NETWORKS}
    parts = [provenance(arguments.seed, len(seeds)), f"{len(data):,} training digits; intervals are ± 1.96 standard "
             "errors over digits\n", clean(conditions, wrong)]  # fmt: skip
    parts += [by_condition(name, of[name]) for name in NETWORKS]
    parts += [by_class(name, of[name], y[some], measure) for name in NETWORKS for measure in MEASURES[:2]]
    text = "\n".join([*parts, checks])
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "backgrounds.txt", text)
    rows = {name: list(conditions[i, :10]) for i, name in enumerate(CONDITIONS)}
    title = "The same digits in each condition: noise and checkerboard have the same L2 length"
    write_figure(image_rows(rows, title=title), folder / "backgrounds_digits.png")
    write_figure(class_figure(of, y[some]), folder / "backgrounds_classes.png")


if __name__ == "__main__":
    main()
