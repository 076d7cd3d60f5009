"""Papernot et al. (2016), "Distillation as a defense to adversarial perturbations": as claimed, and attacked.

    python demos/distillation.py           bundled digits, under three minutes on two cores
    python demos/distillation.py --full    whole MNIST, about fifteen minutes

A LeNet is trained at temperature T, and a second one on its soft labels at T, which is then used at T = 1.  The paper
reports that JSMA's success falls from 95.9 to .45 % at T = 100.  Here such networks are attacked as they were then, by
FGSM, BIM and JSMA through the softmax; and by someone who knows of the defence: FGSM on logits/T, PGD on the margin of
the logits, JSMA on logits, C&W, and BIM images of an undistilled network of the same kind.

Result: as claimed, and no defence.  The higher T, the more gradients are exactly 0 in single precision, and FGSM, BIM
and JSMA through the softmax fail with them; the distilled network is as easy to attack as the plain one by PGD on the
margin, by JSMA on logits and by C&W.  Only C&W's perturbations are a little longer.

Differences from the paper.  Its network has two convolutions more, and 50 epochs of SGD.  JSMA's targets are drawn at
random, one for each digit, and it may change 14.5 % of the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import (
    at_least_one,
    command_line,
    correctly_classified,
    ending_with_a_sentence,
    finished,
    median_l2,
    out_folder,
    provenance,
    share_without_gradient,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import Targeted, bim, cw_l2, fgsm, jsma, pgd, plots
from attacks.defences.distillation import AtTemperature, Distillation
from attacks.report.intervals import wilson
from minidl import losses, models
from minidl.backend import asarray, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.train import evaluate

EPSILON, TEMPERATURES = 0.25, (1, 10, 30, 100)

CLAIMED = ["FGSM", "BIM", "JSMA"]
KNOWING = ["FGSM, Z/T", "PGD, margin", "JSMA, Z", "C&W", "BIM, transferred"]


def distilled(data: Dataset, temperature: float, epochs: int, seed: int) -> Sequential:
    """A student of a teacher at that temperature."""
    teacher, student = (models.lenet(data.x.shape[1:], seed=seed + i) for i in (0, 1))
    options: dict[str, Any] = {"epochs": epochs, "optimizer": Adam(), "seed": seed}
    train(teacher, data, loss=AtTemperature(temperature), **options)
    train(student, data, objective=Distillation(teacher, temperature), **options)
    return student


def probabilities(net: Sequential) -> Callable[[Array], Array]:
    """p - 1/10 of each class, at T = 1: its derivatives are those of p.  Attacks refuse rows that sum to 1."""
    return lambda x: losses.softmax(net(x)) - 0.1


def measured(net: Sequential, temperature: float, plain: Sequential, test: Dataset, few: int, seed: int,
             steps: int) -> dict[str, Any]:  # fmt: skip
    """The network's error, logits and gradients, and the success rate of each attack on digits that it has right."""
    digits = correctly_classified(test, net)
    some = digits.take(few)
    shift = np.random.default_rng(seed).integers(1, 10, len(some))
    targets = Targeted(asarray((to_numpy(some.y) + shift) % 10))
    results = {
        "FGSM": fgsm(net, digits.x, digits.y, epsilon=EPSILON),
        "BIM": finished(bim(net, digits.x, digits.y, epsilon=EPSILON, steps=20)),
        "JSMA": finished(jsma(probabilities(net), some.x, targets, progress=True)),
        "FGSM, Z/T": fgsm(lambda x: net(x) / temperature, digits.x, digits.y, epsilon=EPSILON),
        "PGD, margin": finished(pgd(net, digits.x, digits.y, epsilon=EPSILON, steps=20, objective="margin", seed=seed)),
        "JSMA, Z": finished(jsma(net, some.x, targets, progress=True)),
        "C&W": finished(cw_l2(net, some.x, some.y, steps=steps, binary_search_steps=6, seed=seed, progress=True)),
    }
    carried = finished(bim(plain, digits.x, digits.y, epsilon=EPSILON, steps=20)).x_adv
    return {
        "error": evaluate(net, test).error,
        "logit": float(abs(to_numpy(net(test.x))).max(axis=1).mean()),
        "no gradient": share_without_gradient(net, digits),
        "length": median_l2(results["C&W"]),
        **{name: float(result.success.mean()) for name, result in results.items()},
        "BIM, transferred": float((net(carried).argmax(axis=1) != digits.y).mean()),
    }  # fmt: skip


def side_by_side(networks: dict[str, dict[str, Any]], counts: tuple[int, int]) -> str:
    """A row for each network: what it is, then the attacks as claimed, then those of someone who knows."""
    rows = []
    for name, m in networks.items():
        shares = [f"{100 * m[each]:.1f}" for each in ["no gradient", *CLAIMED, *KNOWING[:4]]]
        error, logit, carried = f"{100 * m['error']:.2f}", f"{m['logit']:.0f}", f"{100 * m[KNOWING[4]]:.1f}"
        rows.append([name, error, logit, *shares, m["length"], carried])
    heads = ["network", "clean\nerror", "largest\n|logit|", "∇ = 0", "claimed:\nFGSM", "\nBIM", "\nJSMA",
             "knowing:\nFGSM", "\nPGD", "\nJSMA", "\nC&W", "its\nL2", "BIM of\nplain"]  # fmt: skip
    many, few = (100 * (np.diff(wilson(n / 2, n))[0] / 2) for n in counts)
    title = (
        f"Success of attacks on digits classified correctly, %; ε {EPSILON}\n"
        f"(95 % intervals: at most ± {many:.1f} of {counts[0]} digits, JSMA and C&W ± {few:.1f} of {counts[1]})"
    )
    return table(title, heads, rows)


def figure(networks: dict[str, dict[str, Any]]) -> Any:
    """Success and vanished gradients against T: solid as claimed, and by someone who knows."""
    temperatures = list(TEMPERATURES)
    of_each = [networks[f"T = {t}"] for t in temperatures]
    names = {"no gradient": "no gradient", "BIM": "BIM", "JSMA on p": "JSMA", "PGD on the margin": "PGD, margin",
             "JSMA on logits": "JSMA, Z", "C&W": "C&W"}  # fmt: skip
    lines = {name: [m[key] for m in of_each] for name, key in names.items()}
    drawn = plots.curves(temperatures, lines, title="Distillation hides the gradient of p, not that of the logits",
                         x_label="temperature T", y_label="share of the digits", y_limits=(-0.02, 1.02))  # fmt: skip
    drawn.axes[0].set_xscale("log")
    drawn.axes[0].set_xticks(temperatures, [str(t) for t in temperatures])
    drawn.axes[0].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST: about fifteen minutes on two cores")
    parser.add_argument("--epochs", type=at_least_one, help="epochs of every training (default: 8; 5 with --full)")
    parser.add_argument("--digits", type=at_least_one, default=60_000, help="train on at most so many digits")
    parser.add_argument(
        "--images", type=at_least_one, help="attack so many test digits (default: 500; 1000 with --full)"
    )
    parser.add_argument("--few", type=at_least_one, help="of them, JSMA and C&W so many (default: 50; 200 with --full)")
    parser.add_argument("--steps", type=at_least_one, default=200, help="of each of C&W's searches (default: 200)")
    arguments = parser.parse_args()
    full, seed = arguments.full, arguments.seed
    train_set, test = load_mnist() if full else load_digits()
    train_set, test = train_set.take(arguments.digits), test.take(arguments.images or (1000 if full else 500))
    epochs, few = arguments.epochs or (5 if full else 8), arguments.few or (200 if full else 50)
    with ending_with_a_sentence(saved=False):
        plain = models.lenet(train_set.x.shape[1:], seed=seed)
        other = models.lenet(train_set.x.shape[1:], seed=seed + 2)
        for net in (plain, other):
            train(net, train_set, epochs=epochs, optimizer=Adam(), seed=seed)
        networks = {"plain": measured(plain, 1, other, test, few, seed, arguments.steps)}
        for t in TEMPERATURES:
            student = distilled(train_set, t, epochs, seed)
            networks[f"T = {t}"] = measured(student, t, other, test, few, seed, arguments.steps)
            print(f"T = {t}: done", flush=True)
    setting = f"{len(train_set):,} training digits, {epochs} epochs; {len(test):,} test digits\n"
    text = "\n".join([provenance(seed), setting, side_by_side(networks, (len(test), min(few, len(test))))])
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "distillation.txt", text)
    write_figure(figure(networks), folder / "distillation.png")


if __name__ == "__main__":
    main()
