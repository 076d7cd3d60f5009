"""Goodfellow, Shlens and Szegedy (2014), §7: are RBF networks robust, or are their gradients masked?

    python demos/goodfellow_rbf.py           bundled digits, about a minute on two cores
    python demos/goodfellow_rbf.py --full    whole MNIST, about ten minutes

The paper attacks a shallow RBF network by FGSM alone: 55.4 % errors at ε .25, with a confidence of 1.2 % on them.  It
calls the network robust.  Is it, or does FGSM fail?  Here the same network is attacked through p = exp(-q), whose
gradient vanishes far from all centres; through its logits -q; by a step along the gradient itself, as long as that
along its sign; by `apgd`, in many steps; and by `square` and `hopskipjump`, which need no gradient.  Three other
networks are attacked with perturbations of the same length.

A confidence of 1.2 % is a defence if images with p < .5 are rejected.  So the last table asks for more of the attacker:
the shortest perturbation that makes a network *accept* a wrong class, by `cw_l2` on logits with one more class,
"rejected", whose logit is log .5.

Result: the network is not robust.  FGSM succeeds on about three quarters of the digits, `apgd` and `square` on all of
them, and in L2 the perturbations are about as long as those of the linear network.  FGSM fails although no gradient is
0: the precisions β of the pixels differ ten-thousandfold, and the sign moves all of them alike.  A step as long along
the gradient itself succeeds on nearly all.  Rejecting images with p < .5 rejects three correct digits of ten, and makes
the attacker's perturbation twice as long: nearly as long as for the ReLU network, which rejects almost nothing.
"""

from __future__ import annotations

import math
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
    most_likely_wrong,
    out_folder,
    provenance,
    share_without_gradient,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import AttackResult, Targeted, apgd, cw_l2, evaluation_plots, fgsm, hopskipjump, square
from attacks.report.intervals import share
from minidl import losses, models, ops
from minidl.backend import asarray, namespace, to_numpy
from minidl.core import Array
from minidl.data import Dataset, load_digits, load_mnist
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.train import evaluate

EPSILON, LENGTH = 0.25, 2.0


def networks(data: Dataset, epochs: int, seed: int) -> dict[str, Sequential]:
    """Two RBF networks, a linear one, and one with hidden layers."""
    shape = data.x.shape[1:]
    made = {
        "RBF": (models.rbf_network(shape, seed=seed), Adam(0.03), losses.binary_cross_entropy),
        "RBF, softmax": (models.rbf_network(shape, seed=seed), Adam(0.03), None),
        "softmax regression": (models.softmax_regression(shape, seed=seed), Adam(0.001), None),
        "ReLU network": (models.mlp(shape, bias=True, seed=seed), Adam(0.001), None),
    }
    for net, optimizer, loss in made.values():
        train(net, data, epochs=epochs, optimizer=optimizer, loss=loss, seed=seed)
    return {name: net for name, (net, *_) in made.items()}


def log_probabilities(name: str, net: Sequential) -> Callable[[Array], Array]:
    """log p of each class: -q for the RBF network, log-softmax of the logits for the others."""
    return net if name == "RBF" else lambda x: ops.log_softmax(net(x))


def minus_one(log_p: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """p - 1 of each class, whose gradient is that of p.  Attacks refuse rows that sum to 1, as p of a softmax does."""
    return lambda x: ops.exp(log_p(x)) - 1


def with_rejection(log_p: Callable[[Array], Array], least: float = 0.5) -> Callable[[Array], Array]:
    """The network with one more class, "rejected": it is predicted where no class has p above `least`."""

    def logits(x: Array) -> Array:
        each = log_p(x)
        rejected = namespace(ops.stop_gradient(each)).full((len(x), 1), math.log(least), dtype=each.dtype)
        return ops.concatenate([each, rejected], axis=1)

    return logits


def attacked(nets: dict[str, Sequential], test: Dataset, queries: int, seed: int) -> str:
    """The errors of each network under each attack, in L∞ and in L2."""
    rows, zeros, x, y = [], [], test.x, test.y
    few, fewest = slice(0, 500), slice(0, 100)
    options: dict[str, Any] = {"seed": seed, "progress": True}
    for name, net in nets.items():
        log_p = log_probabilities(name, net)
        by_p, by_logits = (fgsm(f, x, y, epsilon=EPSILON) for f in (minus_one(log_p), net))
        length = float(by_logits.l2.mean())
        shortest = finished(hopskipjump(net, x[fewest], y[fewest], queries=4 * queries, **options))
        within = to_numpy(shortest.success) & (to_numpy(shortest.l2) <= LENGTH)
        rows.append([
            name, evaluate(net, test).error, _rate(by_p), _rate(by_logits), _confidence(log_p, by_logits),
            _rate(fgsm(net, x, y, epsilon=length, norm="l2")),
            _rate(apgd(net, x, y, epsilon=EPSILON, objective="margin", **options)),
            _rate(square(net, x[few], y[few], epsilon=EPSILON, queries=queries, **options)),
            _rate(apgd(net, x, y, epsilon=LENGTH, norm="l2", objective="margin", **options)),
            f"{100 * within.mean():.1f}",
        ])  # fmt: skip
        zeros.append(f"{name} {100 * share_without_gradient(minus_one(log_p), test):.1f}")
    heads = ["network", "clean\nerror", f"FGSM {EPSILON}\nby p", "by\nlogits", "confi-\ndence", "∇, same\nlength",
             f"APGD\nL∞ {EPSILON}", "square\n(500)", f"APGD\nL2 {LENGTH:g}", "HopSkipJump\n(100)"]  # fmt: skip
    title = "Errors, % (paper, RBF: FGSM 55.4, with a confidence of .012 on errors)"
    note = f"Images where the gradient through p is 0 in every pixel, %:\n{'; '.join(zeros)}\n"
    return table(title, heads, rows) + note


def _rate(result: AttackResult) -> str:
    return f"{100 * float(finished(result).success.mean()):.1f}"


def _confidence(log_p: Callable[[Array], Array], result: AttackResult) -> float:
    """The mean of the largest p over the images on which the attack succeeds."""
    p, wrong = np.exp(to_numpy(log_p(result.x_adv))).max(axis=1), to_numpy(result.success)
    return float(p[wrong].mean()) if wrong.any() else float("nan")


def accepted(nets: dict[str, Sequential], test: Dataset, steps: int, seed: int) -> tuple[str, dict[str, Any]]:
    """The shortest perturbations to the most likely wrong class, and to one that is accepted with p > .5."""
    rows, results = [], {}
    for name, net in nets.items():
        log_p = log_probabilities(name, net)
        rejecting, predictions = with_rejection(log_p), net(test.x).argmax(axis=1)
        some = correctly_classified(test, rejecting)
        goal = Targeted(asarray(most_likely_wrong(log_p, some)))
        row = [name, share(len(some), len(test)), share(int((predictions != test.y).sum()), len(test))]
        for f in (log_p, rejecting):
            result = finished(cw_l2(f, some.x, goal, steps=steps, binary_search_steps=5, progress=True, seed=seed))
            row += [share(int(result.success.sum()), len(some)), median_l2(result, "{:.4f}")]
        results[name] = result
        rows.append(row)
    heads = ["network", "accepted and\ncorrect, %", "errors, %", "most likely wrong\nclass, %", "median\nL2",
             "accepted as\nit, %", "median\nL2"]  # fmt: skip
    return table("C&W L2 (95 % intervals): any p, and p > .5", heads, rows), results


def main() -> None:
    """Train, attack, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST: about ten minutes on two cores")
    parser.add_argument("--epochs", type=at_least_one, default=20, help="epochs of training (default: 20)")
    parser.add_argument(
        "--digits", type=at_least_one, help="attack so many test digits (default: 500; 2000 with --full)"
    )
    parser.add_argument("--queries", type=at_least_one, default=500, help="of square, an image (default: 500)")
    parser.add_argument("--steps", type=at_least_one, default=200, help="of each of C&W's searches (default: 200)")
    arguments = parser.parse_args()
    train_set, test = load_mnist() if arguments.full else load_digits()
    some = test.take(range(min(arguments.digits or (2000 if arguments.full else 500), len(test))))
    with ending_with_a_sentence(saved=False):
        nets = networks(train_set, arguments.epochs, arguments.seed)
        first = attacked(nets, some, arguments.queries, arguments.seed)
        second, results = accepted(nets, some.take(range(min(200, len(some)))), arguments.steps, arguments.seed)
    setting = f"{len(train_set):,} training digits, {arguments.epochs} epochs; {len(some):,} test digits\n"
    text = "\n".join([provenance(arguments.seed), setting, first, second])
    print(text)
    folder = out_folder(arguments)
    write_text(folder / "goodfellow_rbf.txt", text)
    title = "How long a perturbation must be for a wrong class to be accepted with p > .5"
    write_figure(evaluation_plots.success_by_distance(results, title=title), folder / "goodfellow_rbf_distance.png")


if __name__ == "__main__":
    main()
