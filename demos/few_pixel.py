"""Su, Vargas and Sakurai (2017): one pixel, three, or five, found by differential evolution, against two networks.

    python demos/few_pixel.py                                   bundled digits and two small networks: two minutes
    python demos/few_pixel.py --images 100                      more of the digits, all with and without a target
    python demos/few_pixel.py --data cifar10 --weights FILE     photos, and networks from files, as demos/madan.py keeps

The two networks are those of demos/madry.py: one trained as usual, one on the worst images within ε .3 in L∞.  Few
pixels are quite another neighbourhood: any distance, in hardly any place.  What the second network has learnt against
small changes everywhere need not help it there.

The attack sees logits only.  It begins with images that the network reads correctly; targets are drawn by the seed.
The paper attacks photos of 32×32 pixels; a digit is mostly black, has one channel, and is harder to mistake.  It breeds
400 candidates of an image where this breeds 100; --population 400 takes four times as long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import at_least_one, command_line, out_folder, provenance, table, write_figure, write_text
from madry import EPSILON, RECIPES, Recipe, network

import minidl
from attacks import AttackResult, Targeted, Untargeted, few_pixel, pgd, plots
from attacks.minimal.few_pixel import LEAST_POPULATION
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_cifar10, load_digits
from minidl.models import Sequential
from minidl.train import evaluate

PIXELS = (1, 3, 5)
#: by goal, pixels and network
Results = dict[tuple[str, int, str], AttackResult]


def networks(arguments: Any, data: Dataset) -> dict[str, Sequential]:
    """Those in the files of --weights, by name; else the two by their recipes."""
    if arguments.weights:
        return {path.stem: minidl.load(path) for path in arguments.weights}
    nets = {}
    for name, recipe in RECIPES["digits"].items():
        phases = tuple((lr, arguments.epochs or epochs) for lr, epochs in recipe.phases)
        own = Recipe(recipe.network, phases, recipe.steps, recipe.warm_up)
        nets[name], _ = network(name, own, data, arguments.seed, None)
    return nets


def description(nets: dict[str, Sequential], test: Dataset, seed: int) -> str:
    """How good each network is, and how hard to mislead by small changes everywhere."""
    rows = []
    for name, net in nets.items():
        some = test.take(500)
        strong = pgd(net, some.x, some.y, epsilon=EPSILON, seed=seed, progress=True)
        rows.append([name, evaluate(net, test).error, float(strong.success.mean())])
    return table("The networks", ["network", "clean error", f"PGD-40, L∞ {EPSILON:g}"], rows)


def read_by_all(nets: dict[str, Sequential], test: Dataset, count: int) -> Dataset:
    """The first images that every network reads correctly."""
    some = test.take(10 * count + 10)
    right = np.all([to_numpy(net(some.x).argmax(axis=-1) == some.y) for net in nets.values()], axis=0)
    return some.take(asarray(np.flatnonzero(right)[:count]))


def attacked(arguments: Any, nets: dict[str, Sequential], data: Dataset) -> Results:
    """Every network, with each number of pixels, away from the label and, the first images, towards a target."""
    classes, found = len(data.class_names), {}
    shift = np.random.default_rng(arguments.seed).integers(1, classes, len(data))
    targets = (data.y + asarray(shift))[: arguments.targeted] % classes
    for goal, aim in {"untargeted": Untargeted(data.y), "targeted": Targeted(targets)}.items():
        for pixels in PIXELS:
            for name, net in nets.items():
                result = few_pixel(net, data.x[: len(aim.labels)], aim, pixels=pixels, population=arguments.population,
                                   generations=arguments.generations, seed=arguments.seed, progress=True)  # fmt: skip
                if result.params["interrupted"]:
                    raise SystemExit("interrupted; nothing was kept")
                print(f"{goal}, {pixels} pixels, {name}: {result.seconds:.0f} s", flush=True)
                found[goal, pixels, name] = result
    return found


def rates(found: Results, names: list[str]) -> str:
    """The table: how many images fall, after how many questions and how long."""
    rows: list[list[Any]] = []
    for goal in ("untargeted", "targeted"):
        for pixels in PIXELS:
            row: list[Any] = [goal, pixels, len(found[goal, pixels, names[0]])]
            for name in names:
                result = found[goal, pixels, name]
                asked = result.forwards / len(result) - 2  # without the predictions before and after
                row += [float(result.success.mean()), f"{asked:.0f}", f"{1e3 * result.seconds / len(result):.0f}"]
            rows.append(row)
    heads = ["goal", "pixels", "images", *(head for name in names for head in (name, "queries", "ms"))]
    return table("Success rates; queries and milliseconds per image", heads, rows)


def panel(found: Results, names: list[str], class_names: Any, columns: int = 10) -> Any:
    """The images that fell in most of the runs without a target, as they are and after those."""
    first = found["untargeted", PIXELS[0], names[0]]
    falls = np.sum([to_numpy(result.success) for (goal, *_), result in found.items() if goal == "untargeted"], axis=0)
    which = np.sort(np.argsort(-falls, kind="stable")[:columns])
    rows: dict[str, Any] = {"as they are": list(to_numpy(first.x)[which])}
    captions = {"as they are": [str(class_names[label]) for label in to_numpy(first.goal.labels)[which]]}
    wrong, rings = {}, {}
    for name in names:
        for pixels in PIXELS:
            result, key = found["untargeted", pixels, name], f"{name},\n{pixels} pixel{'s' * (pixels > 1)}"
            rows[key] = list(to_numpy(result.x_adv)[which])
            captions[key] = [str(class_names[answer]) for answer in to_numpy(result.adv_pred)[which]]
            wrong[key] = list(to_numpy(result.success)[which])
            rings[key] = list((to_numpy(result.x_adv) != to_numpy(result.x)).any(axis=1)[which])
    title = "The images that fell most often, and what the networks say of them; changes ringed, mistakes framed"
    return plots.image_rows(rows, captions, wrong=wrong, rings=rings, title=title)


def main() -> None:
    """Train or load, attack, print, draw."""
    parser = command_line(__doc__ or "")
    parser.add_argument("--data", choices=["digits", "cifar10"], default="digits", help="cifar10 needs --weights")
    parser.add_argument("--weights", type=Path, nargs="+", metavar="FILE", help="networks that minidl.save wrote")
    parser.add_argument("--images", type=at_least_one, help="to attack (default: 30, and 10 of them towards targets)")
    parser.add_argument("--population", type=at_least_one, default=100, help="candidates (default: 100; paper: 400)")
    parser.add_argument("--generations", type=at_least_one, default=100, help="at most (default: 100, as the paper)")
    parser.add_argument("--note", default="", help="what else to say of the data, such as where they come from")
    parser.add_argument("--epochs", type=at_least_one, help="in each phase of training (default: as the recipes say)")
    parser.add_argument("--learn-from", type=at_least_one, default=60_000, help="at most so many training images")
    arguments = parser.parse_args()
    if arguments.data == "cifar10" and not arguments.weights:
        parser.error("--data cifar10 needs --weights, such as of the network that demos/madan.py --full keeps")
    if arguments.population < LEAST_POPULATION:
        parser.error(f"argument --population: at least {LEAST_POPULATION}, not {arguments.population}")
    train_set, test = load_digits() if arguments.data == "digits" else load_cifar10()
    arguments.targeted = arguments.images or 10
    nets = networks(arguments, train_set.take(arguments.learn_from))
    data = read_by_all(nets, test, arguments.images or 30)
    found = attacked(arguments, nets, data)
    said = (f"{len(data)} images that are read correctly{arguments.note and ', ' + arguments.note}; population "
            f"{arguments.population}, at most {arguments.generations} generations\n")  # fmt: skip
    text = "\n".join([provenance(arguments.seed), description(nets, test, arguments.seed), said,
                      rates(found, list(nets))])  # fmt: skip
    print(text)
    folder = out_folder(arguments)
    stem = "few_pixel" if arguments.data == "digits" else f"few_pixel_{arguments.data}"
    write_text(folder / f"{stem}.txt", text)
    write_figure(panel(found, list(nets), data.class_names), folder / f"{stem}.png")


if __name__ == "__main__":
    main()
