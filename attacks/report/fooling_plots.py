"""What evolution made, drawn for a report: the images, how sure the network grew of them, and the CPPNs as graphs.

Each function returns a Figure, as those of `attacks.report.plots` do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import DTypeError, ShapeError
from minidl.kernels.reference import FUNCTIONS

from ..evolution.genome import Genome
from ..evolution.result import FoolingResult, as_percent
from ..evolution.structure import INPUTS
from .plots import COLOURS, DASHES, as_picture, image_rows, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What the paper says of MNIST (§3.1 and §3.2): by which generation, and how sure; None where it gives no number.
PAPER: dict[str, tuple[int, float | None]] = {
    "the paper: high by generation 50": (50, None),
    "the paper: 99.99 % by generation 200": (200, 0.9999),
}

#: Where a confidence is marked on an axis, and the last one below 1 that float64 has.
LEVELS = (1e-8, 1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, *(1 - 10.0**-k for k in (6, 8, 10, 12)))
LAST = 1 - 2.0**-53

SIGNS = ("o", "s", "^", "D", "v", "P", "X")

INPUT_NAMES = ("x", "y", "r", "1")
FUNCTION_COLOURS = dict(zip(FUNCTIONS, (COLOURS[5], COLOURS[4], COLOURS[2], COLOURS[3])))
INPUT_COLOUR = "#dddddd"


def _check_some(figure: str, given: Mapping[str, Any]) -> None:
    """Refuse what would be an empty figure."""
    if not given or not all(map(len, given.values())):
        got = ", ".join(f"{len(some)} of {name}" for name, some in given.items()) or "nothing"
        raise ShapeError(figure, "at least one of each", got)


def gallery(
    results: Mapping[str, FoolingResult],
    class_names: Sequence[str] = (),
    *,
    title: str = "",
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """The paper's Figures 4 and 5: the image of each class (column) in each result (row), the confidence under it.

    Framed is what is taken for its class with less than 50 %.  class_names: above the columns, their numbers if
    none are given.  bounds: the values drawn black and white.  Raises `ShapeError` if there is nothing to draw.
    """
    _check_some("gallery", results)
    low, high = bounds
    confidences = {name: to_numpy(result.confidence) for name, result in results.items()}
    return image_rows(
        {name: list((to_numpy(result.images) - low) / (high - low)) for name, result in results.items()},
        {name: [as_percent(p) for p in confidence] for name, confidence in confidences.items()},
        wrong={name: list(confidence < 0.5) for name, confidence in confidences.items()},
        heads=class_names or [str(k) for k in range(max(map(len, results.values())))], title=title,
    )  # fmt: skip


def median_confidence(
    results: Mapping[str, Sequence[FoolingResult]],
    *,
    title: str = "The median over the classes of the confidence",
    marks: Mapping[str, tuple[int, float | None]] = PAPER,
) -> Figure:
    """Confidence against generation, on the scale of log p/(1 - p), on which 99.9 and 99.99 % are as far apart as
    they are hard to reach.

    results: several runs for each name, such as those of several seeds; thin lines are runs, a thick one with signs
    on it is their median, up to the end of the shortest.  marks: generation and confidence by name; a line where there
    is no confidence.  Raises `ShapeError` if there is nothing to draw.
    """
    _check_some("median_confidence", results)
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure = new_figure(6.4, 4.2, title)
    axes = figure.subplots()
    styles = zip(cycle(COLOURS), cycle(DASHES), cycle(SIGNS))
    for k, ((colour, dashes, sign), (name, runs)) in enumerate(zip(styles, results.items())):
        medians = [np.minimum(run.median, LAST) for run in runs]
        for median in medians if len(runs) > 1 else []:
            axes.plot(range(1, len(median) + 1), median, color=colour, linewidth=0.6, alpha=0.5)
        shared = min(map(len, medians))
        middle = np.median([median[:shared] for median in medians], axis=0)
        apart = max(1, shared // 8)  # where the signs of equal lines stand in turns
        signs = (k * apart // len(results), apart)
        axes.plot(range(1, shared + 1), middle, linestyle=dashes, color=colour, linewidth=1.8, marker=sign,
                  markersize=5, markevery=signs, markeredgecolor="white", markeredgewidth=0.5, label=name)  # fmt: skip
    for name, (generation, confidence) in marks.items():
        if confidence is None:
            axes.axvline(generation, color="black", linewidth=0.8, linestyle=":", label=name)
        else:
            axes.plot(generation, confidence, "k*", markersize=10, markeredgecolor="white", label=name, zorder=5)
    axes.set_yscale("logit")
    axes.yaxis.set_major_locator(FixedLocator(LEVELS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda p, _: f"{100 * p:.12g} %"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="generation", ylabel="median confidence p, as log p/(1 - p)", xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right", handlelength=3.5)
    return figure


def judged(
    results: Mapping[str, FoolingResult],
    judges: Mapping[str, Mapping[str, np.ndarray]],
    class_names: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """The images of each result, and below each how sure other networks are that it is of its class.

    judges: by the judge's name and the result's, the confidences (K,) in the class that the image was evolved for.
    Raises `ShapeError` if there is nothing to draw.
    """
    _check_some("judged", results)
    _check_some("judged", judges)
    classes, tall = max(map(len, results.values())), 0.22 * len(judges)  # inches of a strip of numbers
    figure = new_figure(0.85 * classes + 1.6, len(results) * (0.95 + tall) + 0.5, title)
    grid = figure.add_gridspec(2 * len(results), classes, height_ratios=[0.85, tall] * len(results))
    for r, (name, result) in enumerate(results.items()):
        for k, image in enumerate(to_numpy(result.images)):
            axes = figure.add_subplot(grid[2 * r, k])
            axes.imshow(as_picture(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[], frame_on=False)
            if r == 0:
                axes.set_title(class_names[k] if class_names else str(k), fontsize=9)
            if k == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        strip, values = figure.add_subplot(grid[2 * r + 1, :]), np.stack([of[name] for of in judges.values()])
        strip.imshow(values, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
        for (judge, k), p in np.ndenumerate(values):
            colour = "white" if p > 0.9 else "black"
            strip.text(k, judge, as_percent(p, 0), ha="center", va="center", fontsize=7, color=colour)
        strip.set(xticks=[], yticks=range(len(judges)), frame_on=False)
        strip.set_yticklabels(list(judges), fontsize=7)
        strip.tick_params(length=0)
    return figure


# --- CPPNs as graphs --------------------------------------------------------------------------------------


def reaching(weights: np.ndarray, outputs: int) -> np.ndarray:
    """From which neurons of a CPPN (V, V) a path leads to one of its last `outputs`: (V,) bool."""
    reaches = np.arange(len(weights)) >= len(weights) - outputs
    for i in range(len(weights) - 1, -1, -1):  # a neuron speaks only to those behind it
        reaches[i] |= bool((reaches & (weights[i] != 0)).any())
    return reaches


def layers(weights: np.ndarray, outputs: int) -> list[list[int]]:
    """The neurons of a CPPN (V, V) that a drawing of it shows, in layers: each hears only layers before its own.

    First the inputs, all of them; then the hidden neurons from which a path leads to an output, by the longest path
    to them; last the outputs.
    """
    shown, last = reaching(weights, outputs), len(weights) - outputs
    depth = np.zeros(len(weights), dtype=int)
    for j in range(INPUTS, last):
        heard = shown[:j] & (weights[:j, j] != 0)
        depth[j] = 1 + depth[:j][heard].max(initial=0)
    hidden = [j for j in range(INPUTS, last) if shown[j]]
    between = [[j for j in hidden if depth[j] == d] for d in sorted({int(depth[j]) for j in hidden})]
    return [list(range(INPUTS)), *between, list(range(last, len(weights)))]


def cppn_graph(
    genomes: Genome,
    names: Sequence[str],
    images: Array,
    *,
    title: str = "",
    columns: int = 2,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """CPPNs, from x, y, the radius and 1 at the left to the outputs at the right, each beside the image it paints.

    genomes: N of them.  images (N, C, H, W).  A connection is as wide as its weight is great.  Left out is whatever
    does not reach an output; an input that none hears is faint.
    Raises `ShapeError` if there are not as many names and images as genomes, `DTypeError` for other genomes.
    """
    if "weights" not in genomes.arrays:
        raise DTypeError("cppn_graph", "genomes of CPPNs", f"genomes of {', '.join(genomes.arrays)}")
    if not len(genomes) == len(names) == len(images) > 0:
        got = f"{len(genomes)} genomes, {len(names)} names, {len(images)} images"
        raise ShapeError("cppn_graph", "a name and an image for each of at least one genome", got)
    weights, functions = to_numpy(genomes["weights"]), to_numpy(genomes["functions"])
    pictures = (to_numpy(images) - bounds[0]) / (bounds[1] - bounds[0])
    columns = min(columns, len(names))
    down = -(-len(names) // columns)
    figure = new_figure(4.6 * columns, 1.9 * down + 0.7, title)
    places = figure.subplots(down, 2 * columns, squeeze=False, gridspec_kw={"width_ratios": [3, 1] * columns}).ravel()
    for axes in places:
        axes.set_axis_off()
    for n, name in enumerate(names):
        _draw_graph(places[2 * n], weights[n], functions[n], len(pictures[n]))
        places[2 * n].set_title(name, fontsize=8)
        places[2 * n + 1].imshow(as_picture(pictures[n]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=7, fontsize=8, frameon=False)
    return figure


def _draw_graph(axes: Any, weights: np.ndarray, functions: np.ndarray, outputs: int) -> None:
    at = _places(weights, layers(weights, outputs))
    heaviest = abs(weights).max(initial=0) or 1.0
    for i, j in np.argwhere(weights):
        if i in at and j in at:
            (x, y), (to_x, to_y) = at[i], at[j]
            along = np.linspace(0, 1, 25)
            bend = along * along * (3 - 2 * along)  # leaves and arrives level
            colour, width = COLOURS[0] if weights[i, j] > 0 else COLOURS[1], 0.4 + 2.2 * abs(weights[i, j]) / heaviest
            axes.plot(x + (to_x - x) * along, y + (to_y - y) * bend, color=colour, linewidth=width, alpha=0.75)
    for j, (x, y) in at.items():
        colour, alpha = INPUT_COLOUR, 1.0
        if j >= INPUTS:
            colour = FUNCTION_COLOURS[FUNCTIONS[functions[j]]]
        else:
            alpha = 1.0 if weights[j, list(at)].any() else 0.3
            axes.text(x, y, INPUT_NAMES[j], ha="center", va="center", fontsize=7, alpha=alpha, zorder=4)
        axes.scatter([x], [y], s=80, color=colour, edgecolors="black", linewidths=0.7, alpha=alpha, zorder=3)
    axes.margins(0.08)


def _places(weights: np.ndarray, shown: list[list[int]]) -> dict[int, tuple[float, float]]:
    """Where each neuron is drawn, from 0 to 1 to the right and upwards.

    A layer is in the order of what its neurons hear, and every other one a little higher, so that connections that skip
    a layer do not run through its neurons.
    """
    at: dict[int, tuple[float, float]] = {}
    for k, layer in enumerate(shown):
        heard = {j: [at[i][1] for i in at if weights[i, j]] for j in layer}
        order = sorted(layer, key=lambda j: (-np.mean(heard[j]) if heard[j] else 0.0, j)) if k else layer
        for place, j in enumerate(order):
            higher = 0.0 if k in (0, len(shown) - 1) else (0.25 if k % 2 else -0.25)
            at[j] = k / (len(shown) - 1), 1 - (place + 0.5 - higher) / len(order)
    return at


def _legend() -> list[Any]:
    """An entry for each colour."""
    from matplotlib.lines import Line2D

    def dot(name: str, colour: str) -> Any:
        return Line2D([], [], marker="o", linestyle="", color=colour, markeredgecolor="black", label=name)

    dots = [dot("input", INPUT_COLOUR), *(dot(name, colour) for name, colour in FUNCTION_COLOURS.items())]
    signs = {"weight above 0": COLOURS[0], "below 0": COLOURS[1]}
    return [*dots, *(Line2D([], [], color=colour, linewidth=2, label=name) for name, colour in signs.items())]
