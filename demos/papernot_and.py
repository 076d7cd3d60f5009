"""Papernot et al. 2016, §III-A, Figures 4 and 5: a tiny network learns AND; its derivative shows where it is fragile.

    python demos/papernot_and.py      under a minute

The inputs (x₁, x₂) lie in [0, 1]² and have the label round(x₁) ∧ round(x₂).  The network has two hidden sigmoid units
and one sigmoid output F.  The learned surface F is flat, except where it rises steeply from 0 to 1.  Its forward
derivative ∂F/∂x₂ is large there and nearly 0 elsewhere.  So a small step there changes the prediction.
The paper's example is X = (1, .37) with F = .11 and X* = (1, .43) with F = .95, a step of .06 (its text says .05).

Difference from the paper: the surface gets steeper the longer the network is trained.  So the script trains with
several seeds, each until F increases from .11 to .95 within .06 at x₁ = 1.  It prints the result of each seed, and
draws the first network that is steep enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import at_least_one, command_line, out_folder, provenance, table, write_figure, write_text

from attacks import forward_derivative, plots
from minidl import ops, value_and_grad
from minidl.backend import asarray, to_numpy
from minidl.layers import Dense, Glorot, Sigmoid
from minidl.models import Sequential
from minidl.optim import Adam
from minidl.progress import bar

LOW, HIGH, STEP = 0.11, 0.95, 0.06  # the paper's pair: F(X), F(X*), and the distance from X to X*
CHECK_EVERY = 250  # steps of training between two measurements of the surface


def samples(seed: int, n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """n random points of the unit square (n, 2), and their labels (n, 1)."""
    x = np.random.default_rng(seed).random((n, 2))
    return x, np.all(x.round() == 1, axis=1, keepdims=True).astype(np.float64)


def crossings(net: Sequential) -> tuple[float, float] | None:
    """The x₂ at which F(1, x₂) is .11 and .95, or None if F does not cover that range yet."""
    x2 = np.linspace(0, 1, 20_001)
    f = to_numpy(net(asarray(np.stack([np.ones_like(x2), x2], axis=1))))[:, 0]
    if not f[0] < LOW < HIGH < f[-1]:
        return None
    return float(x2[np.argmax(f >= LOW)]), float(x2[np.argmax(f >= HIGH)])


def learn(seed: int, max_steps: int) -> tuple[Sequential, int, list[float]]:
    """Train until F is steep enough, or for max_steps; the network, the steps taken, the loss at each measurement."""
    net = Sequential(Dense(2, init_weights=Glorot()), Sigmoid(), Dense(1, init_weights=Glorot()), Sigmoid(),
                     input_shape=2, seed=seed, dtype="float64")  # fmt: skip
    x, y = map(asarray, samples(seed))
    optimizer, losses = Adam(lr=0.05), []
    state = optimizer.init(net.params)
    for step in bar(range(1, max_steps + 1), f"seed {seed}, at most", True, unit="step"):
        loss, grads = value_and_grad(lambda params: ops.mean((net.apply(params, x) - y) ** 2), net.params)
        optimizer.update(net.params, grads, state)
        if step % CHECK_EVERY == 0:
            losses.append(float(loss))
            pair = crossings(net)
            if pair is not None and pair[1] - pair[0] <= STEP:
                break
    return net, step, losses


def draw(net: Sequential, pair: tuple[float, float]) -> dict[str, Any]:
    """Figures 4 and 5: the surface F and the forward derivative ∂F/∂x₂, with the pair on them."""
    x1, x2 = np.linspace(0, 1, 101), np.linspace(0, 1, 801)  # finer along x₂, where F is steep
    points = np.stack(np.meshgrid(x1, x2, indexing="ij"), axis=-1).reshape(-1, 2)
    f = to_numpy(net(asarray(points))).reshape(101, 801)
    derivative = to_numpy(forward_derivative(net, asarray(points)))[:, 0, 1].reshape(101, 801)
    ends = np.array([[1.0, pair[0]], [1.0, pair[1]]])
    names = [f"X = (1, {pair[0]:.3f})", f"X* = (1, {pair[1]:.3f})"]
    heights = {"F": to_numpy(net(asarray(ends)))[:, 0],
               "∂F/∂x₂": to_numpy(forward_derivative(net, asarray(ends)))[:, 0, 1]}  # fmt: skip
    figures = {}
    for file, z, label, title in (
        ("papernot_and_surface", f, "F", "What two hidden units learned of AND"),
        ("papernot_and_derivative", derivative, "∂F/∂x₂", "Its forward derivative by x₂"),
    ):
        marks = {name: (*end, height) for name, end, height in zip(names, ends, heights[label])}
        labels = ("x₁", "x₂", label)
        figures[file] = plots.surface(x1, x2, z, title=title, labels=labels, marks=marks, seen_from=-40)
    return figures


def main() -> None:
    """Train with each seed, print, draw."""
    parser = command_line(__doc__ or "")
    parser.add_argument("--seeds", type=at_least_one, default=5, help="number of seeds, from --seed on (default: 5)")
    parser.add_argument(
        "--steps", type=at_least_one, default=20_000, help="steps of training, at most (default: 20000)"
    )
    arguments = parser.parse_args()
    rows, best = [], None
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        net, steps, losses = learn(seed, arguments.steps)
        pair = crossings(net)
        numbers = ["-"] * 3 if pair is None else [*pair, pair[1] - pair[0]]
        rows.append([f"seed {seed}", steps, losses[-1] if losses else "-", *numbers])
        if pair is not None and (best is None or pair[1] - pair[0] <= STEP < best[1][1] - best[1][0]):
            best = net, pair
    rows.append(["paper", "-", "-", ".37", ".43", ".06"])
    heads = ["network", "steps", "squared error", "x₂ where F = .11", "x₂ where F = .95", "apart"]
    text = table("AND at x₁ = 1: from .11 to .95", heads, rows)
    print(text)
    if best is None:
        raise SystemExit("in no network does F increase from .11 to .95; use more --steps")
    folder = out_folder(arguments)
    write_text(folder / "papernot_and.txt", provenance(arguments.seed, arguments.seeds) + "\n" + text)
    for name, figure in draw(*best).items():
        write_figure(figure, folder / f"{name}.png")


if __name__ == "__main__":
    main()
