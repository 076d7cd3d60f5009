"""The one idea of the engine, drawn with numbers: a small network is a chain of linear maps, walked in two directions.

    python demos/two_walks.py

The network has three inputs, a dense layer of three units, a ReLU, and a dense layer of two logits.  `linearize` runs
each layer and returns its Jacobian.  The Jacobian-vector product J·t pushes a tangent t forward, from the inputs to the
logits.  The vector-Jacobian product Jᵀ·g pulls a cotangent g back, from the logits to the inputs.

What to see: both directions multiply by the same three matrices, which are transposed on the way back.  The second unit
is negative, so the ReLU outputs 0 and its row of the Jacobian is 0: nothing passes there, in either direction.  And the
two walks agree: ⟨J·t, g⟩ = ⟨t, Jᵀ·g⟩.  The laws of `minidl.testing` check this equation for every operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import command_line, out_folder, provenance, table, write_figure, write_text
from matplotlib.patches import FancyBboxPatch

from attacks import plots
from minidl import linearize, ops
from minidl.backend import asarray, to_numpy

W1 = np.array([[1, -2, 1], [2, 1, -1], [1, -1, 3]], dtype=np.float64)  # (inputs, units)
W2 = np.array([[1, -1], [3, 2], [-1, 2]], dtype=np.float64)  # (units, logits)
INPUTS = np.array([1, 0, 2], dtype=np.float64)
TANGENT = np.array([0, 1, 0], dtype=np.float64)  # move the second input
COTANGENT = np.array([-1, 1], dtype=np.float64)  # of the second logit minus the first

GREY, BLUE, RED = "#555555", plots.COLOURS[0], plots.COLOURS[1]
SIZE, CELL = (10.0, 6.35), 0.44  # of the figure, and of a number's square, in inches
COLUMNS = (0.6, 3.5, 6.4, 9.3)  # where the four arrays are, from left to right
FORWARD, VALUES, BACK = 5.05, 3.2, 1.25  # and the three rows, from the bottom


@dataclass(frozen=True)
class Walks:
    """What the figure shows: four arrays of values, three Jacobians, and what each walk carries at each array."""

    values: list[np.ndarray]
    jacobians: list[np.ndarray]
    tangents: list[np.ndarray]
    cotangents: list[np.ndarray]


def network() -> list[tuple[str, Callable[[Any], Any]]]:
    """The three layers, each with its name."""
    first, second = asarray(W1), asarray(W2)
    return [("dense", lambda x: x @ first), ("ReLU", ops.relu), ("dense", lambda x: x @ second)]


def f(x: Any) -> Any:
    """The whole network."""
    for _, layer in network():
        x = layer(x)
    return x


def walk() -> Walks:
    """Both walks through the chain, layer by layer."""
    chain, x = [], asarray(INPUTS)
    for _, layer in network():
        chain.append(linearize(layer, x))
        x = chain[-1].value
    tangents, cotangents = [asarray(TANGENT)], [asarray(COTANGENT)]
    for lin in chain:
        tangents.append(lin.jvp(tangents[-1]))
    for lin in reversed(chain):
        cotangents.insert(0, lin.vjp(cotangents[0]))
    values = [asarray(INPUTS), *(lin.value for lin in chain)]
    jacobians = [lin.jacobian() for lin in chain]
    return Walks(
        *([to_numpy(a) + 0.0 for a in arrays] for arrays in (values, jacobians, tangents, cotangents))
    )  # + 0 turns -0 into 0


def report(walks: Walks) -> str:
    """The numbers of the figure as a table, and how far the walks are from the definition of a derivative."""
    names = ["x, the inputs", "h = x·W₁", "a = ReLU(h)", "z = a·W₂, the logits"]
    arrays = zip(names, walks.values, walks.tangents, walks.cotangents)
    rows = [[name, *(" ".join(f"{v:g}" for v in array) for array in columns)] for name, *columns in arrays]
    lin = linearize(f, asarray(INPUTS))
    pushed, pulled = to_numpy(lin.jvp(asarray(TANGENT))), to_numpy(lin.vjp(asarray(COTANGENT)))
    step = 2.0**-10
    after, before = (to_numpy(f(asarray(INPUTS + sign * step * TANGENT))) for sign in (1, -1))
    error = abs((after - before) / (2 * step) - pushed).max()
    return (
        table("The two walks", ["array", "value", "tangent, forward", "cotangent, back"], rows)
        + f"⟨J·t, g⟩ = {pushed @ COTANGENT:g} and ⟨t, Jᵀ·g⟩ = {TANGENT @ pulled:g}\n"
        + f"Greatest error of J·t against central differences: {error:g}\n"
    )


def draw(walks: Walks) -> Any:
    """The figure: the values in the middle, the forward walk above them, the walk back below."""
    figure = plots.new_figure(*SIZE)
    axes = figure.subplots()
    axes.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]), aspect="equal")
    axes.axis("off")
    for heights, arrays, colour in (
        (FORWARD, walks.tangents, BLUE),
        (VALUES, walks.values, GREY),
        (BACK, walks.cotangents, RED),
    ):
        for x, array in zip(COLUMNS, arrays):
            column(axes, x, heights, array, colour)
    for i, (jacobian, (layer, _)) in enumerate(zip(walks.jacobians, network())):
        left, right, name = COLUMNS[i] + 0.42, COLUMNS[i + 1] - 0.42, "J" + "₁₂₃"[i]
        arrow(axes, left, right, FORWARD, f"{name}·", BLUE)
        arrow(axes, right, left, BACK, f"{name}ᵀ·", RED)
        matrix(axes, (left + right) / 2, VALUES, jacobian)
        axes.text((left + right) / 2, VALUES + 0.86, f"{name}: {layer}", size=12, ha="center", va="center")
    for x, name in zip(COLUMNS, ["x: inputs", "h = x·W₁", "a = ReLU(h)", "z: logits"]):
        axes.text(x, VALUES + 0.86, name, size=12, ha="center", va="center", color=GREY)
    left = COLUMNS[0] - CELL / 2
    pushed, pulled = float(walks.tangents[-1] @ COTANGENT), float(TANGENT @ walks.cotangents[0])
    agreement = f"⟨J·t, g⟩ = {digits(pushed)} = ⟨t, Jᵀ·g⟩, the derivative of logit 2 minus logit 1 in the second input."
    assert pushed == pulled
    for y, colour, bold, text in (
        (FORWARD + 1, BLUE, "Forward, jvp:", "t moves the second input. The logits move by J·t, on the right."),
        (BACK + 1, RED, "Back, vjp:", "g is logit 2 minus logit 1. Its gradient in the inputs is Jᵀ·g, on the left."),
        (0.22, GREY, "Both agree:", agreement),
    ):  # fmt: skip
        axes.text(left, y, bold, size=13, color=colour, va="center", weight="bold")
        axes.text(left + 1.42, y, text, size=13, color=colour, va="center")
    return figure


def column(axes: Any, x: float, y: float, array: np.ndarray, colour: str) -> None:
    """An array as a column of numbered squares around (x, y)."""
    for i, value in enumerate(array):
        bottom = y + CELL * (len(array) / 2 - i - 1)
        box = {"boxstyle": "square,pad=0", "facecolor": colour + "18", "edgecolor": colour, "linewidth": 1.2}
        axes.add_patch(FancyBboxPatch((x - CELL / 2, bottom), CELL, CELL, **box))
        axes.text(x, bottom + CELL / 2, digits(value), size=13, ha="center", va="center", color=colour)


def arrow(axes: Any, start: float, end: float, y: float, label: str, colour: str) -> None:
    """A horizontal arrow, labelled by what it multiplies with."""
    axes.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2})
    axes.text((start + end) / 2, y + 0.1, label, color=colour, size=15, ha="center", va="bottom")


def matrix(axes: Any, x: float, y: float, jacobian: np.ndarray) -> None:
    """A Jacobian between brackets, around (x, y); zeros are paler."""
    rows, columns = jacobian.shape
    for i, j in np.ndindex(rows, columns):
        place = (x + CELL * (j - (columns - 1) / 2), y - CELL * (i - (rows - 1) / 2))
        colour = "black" if jacobian[i, j] else "#B0B0B0"
        axes.text(*place, digits(jacobian[i, j]), size=13, ha="center", va="center", color=colour)
    bottom, top = y - CELL * rows / 2, y + CELL * rows / 2
    for side in (-1, 1):
        edge = x + side * CELL * columns / 2
        tip = edge - side * 0.08
        axes.plot([tip, edge, edge, tip], [top, top, bottom, bottom], color="black", linewidth=1.2)


def digits(value: float) -> str:
    """A number with a minus sign as wide as a plus."""
    return f"{value:g}".replace("-", "−")


def main() -> None:
    """The table and the figure."""
    arguments = command_line(__doc__ or "").parse_args()
    folder, walks = out_folder(arguments), walk()
    text = report(walks)
    print(text)
    write_figure(draw(walks), folder / "two_walks.png")
    write_text(folder / "two_walks.txt", "\n".join([provenance(arguments.seed), text]))


if __name__ == "__main__":
    main()
