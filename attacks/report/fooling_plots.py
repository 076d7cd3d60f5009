"""Figures of evolved images: the images, their confidences by generation, and the CPPNs as graphs.

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

#: What the paper says of MNIST (§3.1 and §3.2): generation and confidence; None where it gives no number.
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
    """Raise `ShapeError` if the figure would be empty."""
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
    """The paper's Figures 4 and 5: the image of each class (column) in each result (row), with its confidence.

    results: by name, of an evolution.
    class_names: above the columns; their numbers if there are none.
    title: above the figure.
    bounds: the values drawn black and white.

    Images with a confidence below 50 % are framed.
    Raises: `ShapeError` if there is no result.

    >>> from attacks.evolution import fool_direct
    >>> from attacks.report import fooling_plots
    >>> from minidl import models
    >>> net = models.lenet(seed=0)
    >>> result = fool_direct(net, generations=2, population=5)
    >>> len(fooling_plots.gallery({"noise": result}).axes)
    10
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
    """The median confidence over the classes against the generation.

    The scale is log p/(1 - p): 99.9 % is as far from 99.99 % as 90 % is, nearly, from 99 %.

    results: by name, several runs, such as those of several seeds.  Thin lines are runs, the thick one with markers is
    their median, up to the end of the shortest.
    title: above the figure.
    marks: by name, generation and confidence of a point; a vertical line where the confidence is None.

    Raises: `ShapeError` if there is no result.

    >>> from attacks.evolution import fool_direct
    >>> from attacks.report import fooling_plots
    >>> from minidl import models
    >>> net = models.lenet(seed=0)
    >>> result = fool_direct(net, generations=2, population=5)
    >>> len(fooling_plots.median_confidence({"noise": [result]}).axes)
    1
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
    """The images of each result, and below each its confidence by other networks, in the class it was evolved for.

    results: by name, of an evolution.
    judges: by the name of the network and of the result, the confidences (K,).
    class_names: above the columns; their numbers if there are none.
    title: above the figure.

    Raises: `ShapeError` if there is no result or no network.

    >>> from attacks.evolution import fool_direct
    >>> from attacks.report import fooling_plots
    >>> from minidl import models
    >>> net = models.lenet(seed=0)
    >>> result = fool_direct(net, generations=2, population=5)
    >>> figure = fooling_plots.judged({"noise": result}, {"itself": {"noise": result.confidence}})
    >>> len(figure.axes)  # ten images and a strip of numbers
    11
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
    """Whether a path leads from a neuron of a CPPN to an output: (V,) bool.

    weights: (V, V), 0 where there is no connection.
    outputs: how many of the last neurons are outputs.

    >>> import numpy as np
    >>> from attacks.report.fooling_plots import reaching
    >>> reaching(np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]]), 1)
    array([ True, False,  True])
    """
    reaches = np.arange(len(weights)) >= len(weights) - outputs
    for i in range(len(weights) - 1, -1, -1):  # a neuron is connected to later ones only
        reaches[i] |= bool((reaches & (weights[i] != 0)).any())
    return reaches


def layers(weights: np.ndarray, outputs: int) -> list[list[int]]:
    """The neurons of a CPPN that are drawn, in layers: the sources of each are in earlier layers.

    First all inputs; then the hidden neurons with a path to an output, by the longest path to them; last the outputs.

    weights: (V, V), 0 where there is no connection.
    outputs: how many of the last neurons are outputs.

    >>> import numpy as np
    >>> from attacks.report.fooling_plots import layers
    >>> layers(np.ones((6, 6)), 1)
    [[0, 1, 2, 3], [4], [5]]
    """
    shown, last = reaching(weights, outputs), len(weights) - outputs
    depth = np.zeros(len(weights), dtype=int)
    for j in range(INPUTS, last):
        sources = shown[:j] & (weights[:j, j] != 0)
        depth[j] = 1 + depth[:j][sources].max(initial=0)
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
    """CPPNs as graphs, from x, y, the radius and 1 on the left to the outputs on the right, each beside its image.

    genomes: N of CPPNs.
    names: N titles.
    images: (N, C, H, W).
    title: above the figure.
    columns: how many graphs side by side.
    bounds: the values drawn black and white.

    The width of a connection is its absolute weight.  Neurons without a path to an output are left out; an input
    without connections is faint.
    Raises: `ShapeError` if there are not as many names and images as genomes, `DTypeError` for other genomes.

    >>> from attacks.evolution import fool_cppn
    >>> from attacks.report import fooling_plots
    >>> from minidl import models
    >>> result = fool_cppn(models.lenet(seed=0), generations=2, population=5)
    >>> genomes = result.archive.genomes.take([0, 1])
    >>> len(fooling_plots.cppn_graph(genomes, ["0", "1"], result.images[:2]).axes)
    4
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

    A layer is in the order of its sources, and every other layer is a little higher, so that connections that skip
    a layer do not run through its neurons.
    """
    at: dict[int, tuple[float, float]] = {}
    for k, layer in enumerate(shown):
        sources = {j: [at[i][1] for i in at if weights[i, j]] for j in layer}
        order = sorted(layer, key=lambda j: (-np.mean(sources[j]) if sources[j] else 0.0, j)) if k else layer
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
