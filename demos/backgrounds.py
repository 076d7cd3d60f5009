"""Which digits are easy to attack, and does the background matter?  The open question of the literature review.

    python demos/backgrounds.py           bundled digits, about two minutes on two cores
    python demos/backgrounds.py --full    whole MNIST, three networks of each kind, about ten minutes

Each test digit is shown in five ways: as it is; with noise, or with stripes of the same energy, where the digit is not;
with half the contrast; and with its grey levels moved from [0, 1] to [.3, .8].  The least perturbation is found by
`deepfool`, in L2 and in L∞, and on some digits by `cw_l2`, as a check.

A network that has seen plain digits only is attacked, and one that was trained on all five.  Otherwise "easier" might
only mean "unlike the training set".  All numbers are of digits that the network classifies correctly in all five ways,
so that differences are between pairs of the same digit.

Result: every one of these backgrounds makes digits easier to attack, also for a network that was trained on them and
makes no more errors there.  At equal energy, noise helps the attacker a little more than stripes; lower contrast helps
most.  The gradient of the margin is about as long everywhere, and the margin smaller: the network is less certain, not
more sensitive.  Nines and eights are the easiest classes, zeros and sixes the hardest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import (
    at_least_one,
    command_line,
    ending_with_a_sentence,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import Untargeted, Victim, cw_l2, deepfool, plots
from attacks.common.objectives import margin
from minidl import models
from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam

EMPTY, LARGEST = 0.1, 0.4  # pixels below the first are background; noise there is below the second
WAYS = ("plain", "noise", "stripes", "half contrast", "grey")


def shown(x: Array, way: str, seed: int) -> Array:
    """The images (N, 1, H, W) in one of the five ways, within [0, 1]."""
    pixels = to_numpy(x)
    empty = pixels < EMPTY
    noise = np.random.default_rng(seed).uniform(0, LARGEST, pixels.shape) * empty
    if way == "noise":
        pixels = np.where(empty, noise, pixels)
    elif way == "stripes":
        stripes = (np.arange(pixels.shape[-1]) // 2 % 2) * empty
        energy = [(each**2).sum(axis=(1, 2, 3), keepdims=True) for each in (noise, stripes)]
        pixels = np.where(empty, stripes * np.sqrt(energy[0] / energy[1]), pixels)
    elif way == "half contrast":
        pixels = 0.5 * pixels
    elif way == "grey":
        pixels = 0.3 + 0.5 * pixels
    return asarray(pixels.astype(to_numpy(x).dtype))


def all_ways(data: Dataset, seed: int) -> Dataset:
    """Every image in all five ways, with its label."""
    x = np.concatenate([to_numpy(shown(data.x, way, seed)) for way in WAYS])
    return Dataset(asarray(x), asarray(np.tile(to_numpy(data.y), len(WAYS))), data.class_names)


def networks(data: Dataset, epochs: int, seed: int) -> dict[str, Sequential]:
    """A LeNet trained on plain digits, and one trained on all five ways, for as many steps."""
    made = {}
    for name, some, passes in (("plain digits", data, epochs), ("all five", all_ways(data, seed), -(-epochs // 5))):
        made[name] = models.lenet(data.x.shape[1:], seed=seed)
        train(made[name], some, epochs=max(passes, 1), optimizer=Adam(), seed=seed)
    return made


def measured(net: Sequential, test: Dataset, count: int, seed: int) -> dict[str, Any]:
    """The errors of a network in each way; and of digits that are correct in all of them, the least perturbations.

    L2, L∞, the margin, the gradient's norm and their ratio, which is the distance if the network were linear: (5, N).
    """
    images = {way: shown(test.x, way, seed + 1) for way in WAYS}
    correct = np.array([to_numpy(net(x).argmax(axis=1) == test.y) for x in images.values()])
    kept = np.flatnonzero(correct.all(axis=0))[:count]
    y, lengths = test.y[asarray(kept)], {name: [] for name in ("L2", "L∞", "margin", "gradient", "linear")}
    for x in images.values():
        some = x[asarray(kept)]
        lengths["L2"].append(to_numpy(deepfool(net, some, y).l2))
        lengths["L∞"].append(to_numpy(deepfool(net, some, y, norm="linf").linf))
        logits, gradient = Victim(net).logits_and_gradient(some, Untargeted(y), margin)
        lengths["margin"].append(-to_numpy(margin(Untargeted(y), logits)))
        lengths["gradient"].append(np.linalg.norm(to_numpy(gradient).reshape(len(kept), -1), axis=1))
        lengths["linear"].append(lengths["margin"][-1] / lengths["gradient"][-1])
    some = images["plain"][asarray(kept[:50])]
    shortest = cw_l2(net, some, y[:50], steps=150, binary_search_steps=5)
    ratio = float(np.median(to_numpy(shortest.l2) / lengths["L2"][0][:50]))
    return {"errors": 1 - correct.mean(axis=1), "labels": to_numpy(y), "C&W": ratio,
            **{name: np.array(each) for name, each in lengths.items()}}  # fmt: skip


def interval(values: np.ndarray, form: str = "{:.2f}") -> str:
    """The mean ± the half width of its 95 % interval."""
    if len(values) < 2:
        return form.format(values.mean()) if len(values) else "-"
    return f"{form.format(values.mean())} ± {form.format(1.96 * values.std(ddof=1) / len(values) ** 0.5)}"


def by_way(runs: list[dict[str, Any]], name: str) -> str:
    """A row for each way of showing digits, over all networks of a kind."""
    together = {key: np.concatenate([run[key] for run in runs], axis=1) for key in
                ("L2", "L∞", "margin", "gradient", "linear")}  # fmt: skip
    rows = []
    for i, way in enumerate(WAYS):
        error = np.mean([run["errors"][i] for run in runs])
        difference = "-" if i == 0 else interval(together["L2"][i] - together["L2"][0])
        rows.append([way, f"{100 * error:.2f}", interval(together["L2"][i]), difference,
                     interval(together["L∞"][i], "{:.3f}"), *(f"{together[key][i].mean():.2f}" for key in
                                                              ("margin", "gradient", "linear"))])  # fmt: skip
    heads = [
        "shown",
        "error,\n%",
        "least L2",
        "against\nplain",
        "least L∞",
        "margin",
        "norm of its\ngradient",
        "margin\n÷ norm",
    ]
    title = f"Trained on {name}: {len(runs)} networks, {together['L2'].shape[1]} digits in all; means, 95 % intervals"
    return table(title, heads, rows)


def by_class(runs: list[dict[str, Any]], name: str) -> str:
    """The least L2 of each class in each way."""
    labels, lengths = (
        np.concatenate([run["labels"] for run in runs]),
        np.concatenate([run["L2"] for run in runs], axis=1),
    )
    rows = [[k, int((labels == k).sum()), *(interval(of_way[labels == k]) for of_way in lengths)] for k in range(10)]
    return table(f"Least L2 by class, trained on {name}", ["class", "digits", *WAYS], rows)


def energies(test: Dataset, seed: int) -> str:
    """The energy of the two backgrounds, which are to be equal."""
    before = to_numpy(test.x) * (to_numpy(test.x) >= EMPTY)
    sums = {
        way: ((to_numpy(shown(test.x, way, seed + 1)) - before) ** 2).sum(axis=(1, 2, 3))
        for way in ("noise", "stripes")
    }
    apart = float(abs(sums["noise"] / sums["stripes"] - 1).max())
    return f"Energy of the background: {sums['noise'].mean():.2f} (noise), {sums['stripes'].mean():.2f} (stripes); " \
           f"they differ by at most {apart:.0e} of it\n"  # fmt: skip


def figure(all_runs: dict[str, list[dict[str, Any]]]) -> Any:
    """The least L2 of each class, a panel for each kind of network and a colour for each way of showing digits."""
    drawn = plots.new_figure(9.0, 3.8, "Least L2 perturbation by class: means and 95 % intervals")
    for axes, (name, runs) in zip(drawn.subplots(1, len(all_runs), sharey=True), all_runs.items()):
        labels = np.concatenate([run["labels"] for run in runs])
        lengths = np.concatenate([run["L2"] for run in runs], axis=1)
        for i, way in enumerate(WAYS):
            of_class = [lengths[i][labels == k] for k in range(10)]
            means = [each.mean() if len(each) else np.nan for each in of_class]
            half = [1.96 * each.std(ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0.0 for each in of_class]
            axes.errorbar(np.arange(10) + 0.15 * (i - 2), means, half, fmt="o", markersize=3.5, color=plots.COLOURS[i],
                          label=way, capsize=2, linewidth=1)  # fmt: skip
        axes.set(title=f"trained on {name}", xlabel="class", xticks=range(10))
    drawn.axes[0].set_ylabel("L2")
    drawn.axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def examples(test: Dataset, seed: int) -> Any:
    """The first digit of each class in all five ways."""
    labels = to_numpy(test.y)
    first = [int(np.flatnonzero(labels == k)[0]) for k in range(10) if (labels == k).any()]
    rows = {way: list(to_numpy(shown(test.x, way, seed + 1))[first]) for way in WAYS}
    return plots.image_rows(rows, title="A digit of each class, in five ways; noise and stripes have the same energy")


def main() -> None:
    """Train, attack, compare, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, three networks of each kind: about ten minutes")
    parser.add_argument("--epochs", type=at_least_one, help="epochs on plain digits (default: 15; 5 with --full)")
    parser.add_argument("--digits", type=at_least_one, default=60_000, help="train on at most so many digits")
    parser.add_argument("--images", type=at_least_one, help="attack so many (default: 300; 1000 with --full)")
    parser.add_argument("--networks", type=at_least_one, help="of each kind (default: 1; 3 with --full)")
    arguments = parser.parse_args()
    full, seed = arguments.full, arguments.seed
    train_set, test = load_mnist() if full else load_digits()
    epochs, count = arguments.epochs or (5 if full else 15), arguments.images or (1000 if full else 300)
    all_runs: dict[str, list[dict[str, Any]]] = {"plain digits": [], "all five": []}
    kinds = arguments.networks or (3 if full else 1)
    with ending_with_a_sentence(saved=False):
        for i in range(kinds):
            for name, net in networks(train_set.take(arguments.digits), epochs, seed + i).items():
                all_runs[name].append(measured(net, test.take(2 * count), count, seed))
                print(f"{name}, seed {seed + i}: done", flush=True)
    parts = [f"{by_way(runs, name)}\n{by_class(runs, name)}" for name, runs in all_runs.items()]
    check = np.mean([run["C&W"] for runs in all_runs.values() for run in runs])
    setting = (f"C&W's L2 is {check:.3f} of DeepFool's, the median of 50 plain digits, averaged over the networks\n"
               + energies(test.take(200), seed))  # fmt: skip
    text = "\n".join([provenance(seed, kinds), setting, *parts])
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "backgrounds.txt", text)
    write_figure(figure(all_runs), folder / "backgrounds.png")
    write_figure(examples(test, seed), folder / "backgrounds_examples.png")


if __name__ == "__main__":
    main()
