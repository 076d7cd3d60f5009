"""Su, Vargas and Sakurai (2017), success rates: attacks that change one, three or five pixels of an image.

    python demos/few_pixel.py                                   bundled digits, two small networks: two minutes
    python demos/few_pixel.py --images 100                      100 digits, each with and without a target
    python demos/few_pixel.py --data cifar10 --weights FILE     photos, and networks such as demos/madan.py saves

Differential evolution searches for the pixels and their new values.  It uses the logits only, and no gradient.  It
attacks images that the networks classify correctly; the targets are drawn at random.  The two networks are those of
demos/madry.py: one trained as usual, one trained adversarially against perturbations of at most .3 in L∞.  Changing
few pixels by any amount is a different threat from changing all pixels by a little.  So training against the second
need not help against the first.

Differences from the paper.  The paper attacks photos of 32×32 pixels.  A digit is mostly black and has one channel,
which makes it harder to attack.  The paper has 400 candidates for each image; the default here is 100, and
--population 400 takes four times as long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import (
    at_least_one,
    command_line,
    correctly_classified,
    finished,
    out_folder,
    provenance,
    table,
    write_figure,
    write_text,
)
from madry import EPSILON, RECIPES, Recipe, network

import minidl
from attacks import AttackResult, Targeted, Untargeted, few_pixel, pgd, plots
from attacks.minimal.few_pixel import LEAST_POPULATION
from minidl.backend import asarray, to_numpy
from minidl.data import Dataset, load_cifar10, load_digits
from minidl.models import Sequential
from minidl.train import evaluate

PIXELS = (1, 3, 5)
#: Results by goal, number of pixels, and name of the network.
Results = dict[tuple[str, int, str], AttackResult]


def networks(arguments: Any, data: Dataset) -> dict[str, Sequential]:
    """The networks in the files of --weights, by name; without --weights, the two of demos/madry.py."""
    if arguments.weights:
        return {path.stem: minidl.load(path) for path in arguments.weights}
    nets = {}
    for name, recipe in RECIPES["digits"].items():
        phases = tuple((lr, arguments.epochs or epochs) for lr, epochs in recipe.phases)
        shortened = Recipe(recipe.network, phases, recipe.steps, recipe.warm_up)
        nets[name], _ = network(name, shortened, data, arguments.seed, None)
    return nets


def description(nets: dict[str, Sequential], test: Dataset, seed: int) -> str:
    """A table of the networks: the clean error of each, and the success rate of PGD against it."""
    rows = []
    for name, net in nets.items():
        first = test.take(500)
        result = pgd(net, first.x, first.y, epsilon=EPSILON, seed=seed, progress=True)
        rows.append([name, evaluate(net, test).error, float(result.success.mean())])
    return table("The networks", ["network", "clean error", f"PGD-40, L∞ {EPSILON:g}"], rows)


def attacked(arguments: Any, nets: dict[str, Sequential], data: Dataset) -> Results:
    """Attack every network with each number of pixels: all images untargeted, the first ones targeted, too."""
    classes, results = len(data.class_names), {}
    shift = np.random.default_rng(arguments.seed).integers(1, classes, len(data))
    targets = (data.y + asarray(shift))[: arguments.targeted] % classes
    for name_of_goal, goal in {"untargeted": Untargeted(data.y), "targeted": Targeted(targets)}.items():
        for pixels in PIXELS:
            for name, net in nets.items():
                x, size = data.x[: len(goal.labels)], arguments.population
                result = few_pixel(net, x, goal, pixels=pixels, population=size, generations=arguments.generations,
                                   seed=arguments.seed, progress=True)  # fmt: skip
                finished(result)
                print(f"{name_of_goal}, {pixels} pixels, {name}: {result.seconds:.0f} s", flush=True)
                results[name_of_goal, pixels, name] = result
    return results


def rates(results: Results, names: list[str]) -> str:
    """The table of success rates, with queries and milliseconds per image."""
    rows: list[list[Any]] = []
    for goal in ("untargeted", "targeted"):
        for pixels in PIXELS:
            row: list[Any] = [goal, pixels, len(results[goal, pixels, names[0]])]
            for name in names:
                result = results[goal, pixels, name]
                queries = result.forwards / len(result) - 2  # without the predictions before and after the attack
                row += [float(result.success.mean()), f"{queries:.0f}", f"{1e3 * result.seconds / len(result):.0f}"]
            rows.append(row)
    heads = ["goal", "pixels", "images", *(head for name in names for head in (name, "queries", "ms"))]
    return table("Success rates; queries and milliseconds per image", heads, rows)


def panel(results: Results, names: list[str], class_names: Any, columns: int = 10) -> Any:
    """A figure of the images on which the most untargeted attacks succeed: clean, and after each attack."""
    first = results["untargeted", PIXELS[0], names[0]]
    untargeted = [to_numpy(result.success) for (goal, *_), result in results.items() if goal == "untargeted"]
    which = np.sort(np.argsort(-np.sum(untargeted, axis=0), kind="stable")[:columns])
    rows: dict[str, Any] = {"as they are": list(to_numpy(first.x)[which])}
    captions = {"as they are": [str(class_names[label]) for label in to_numpy(first.goal.labels)[which]]}
    wrong, rings = {}, {}
    for name in names:
        for pixels in PIXELS:
            result, key = results["untargeted", pixels, name], f"{name},\n{pixels} pixel{'s' * (pixels > 1)}"
            rows[key] = list(to_numpy(result.x_adv)[which])
            captions[key] = [str(class_names[prediction]) for prediction in to_numpy(result.adv_pred)[which]]
            wrong[key] = list(to_numpy(result.success)[which])
            rings[key] = list((to_numpy(result.x_adv) != to_numpy(result.x)).any(axis=1)[which])
    title = "The images that fell most often, and what the networks say of them; changes ringed, mistakes framed"
    return plots.image_rows(rows, captions, wrong=wrong, rings=rings, title=title)


def main() -> None:
    """Train or load, attack, print, draw."""
    parser = command_line(__doc__ or "")
    parser.add_argument("--data", choices=["digits", "cifar10"], default="digits", help="cifar10 needs --weights")
    parser.add_argument("--weights", type=Path, nargs="+", metavar="FILE", help="networks saved by minidl.save")
    parser.add_argument(
        "--images", type=at_least_one, help="images to attack (default: 30, 10 of them with targets, too)"
    )
    parser.add_argument(
        "--population", type=at_least_one, default=100, help="candidates per image (default: 100; paper: 400)"
    )
    parser.add_argument(
        "--generations", type=at_least_one, default=100, help="at most so many (default: 100, as in the paper)"
    )
    parser.add_argument("--note", default="", help="a remark on the data for the output")
    parser.add_argument(
        "--epochs", type=at_least_one, help="epochs in each phase of training (default: those of the recipes)"
    )
    parser.add_argument("--learn-from", type=at_least_one, default=60_000, help="at most so many training images")
    arguments = parser.parse_args()
    if arguments.data == "cifar10" and not arguments.weights:
        parser.error("--data cifar10 needs --weights, such as the network that demos/madan.py --full saves")
    if arguments.population < LEAST_POPULATION:
        parser.error(f"argument --population: at least {LEAST_POPULATION}, not {arguments.population}")
    train_set, test = load_digits() if arguments.data == "digits" else load_cifar10()
    arguments.targeted = arguments.images or 10
    nets = networks(arguments, train_set.take(arguments.learn_from))
    count = arguments.images or 30
    data = correctly_classified(test.take(10 * count + 10), *nets.values()).take(count)
    results = attacked(arguments, nets, data)
    setting = (f"{len(data)} images that are read correctly{arguments.note and ', ' + arguments.note}; population "
               f"{arguments.population}, at most {arguments.generations} generations\n")  # fmt: skip
    text = "\n".join([provenance(arguments.seed), description(nets, test, arguments.seed), setting,
                      rates(results, list(nets))])  # fmt: skip
    print(text)
    folder = out_folder(arguments)
    stem = "few_pixel" if arguments.data == "digits" else f"few_pixel_{arguments.data}"
    write_text(folder / f"{stem}.txt", text)
    write_figure(panel(results, list(nets), data.class_names), folder / f"{stem}.png")


if __name__ == "__main__":
    main()
