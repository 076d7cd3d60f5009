"""Figures fit for a report: rows and grids of images, curves, matrices, surfaces.  Each function returns a Figure.

``figure.savefig("name.png")`` writes it, and a notebook shows it where a cell ends with it, or by ``display(figure)``.
No global plotting state is touched, so scripts need no display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours that stay apart for colour-blind readers and in grey print (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: Lines that stay apart where colours do not, and where they lie on one another: later ones have gaps.
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 3)), (0, (9, 2, 1, 1, 1, 2)))


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure.

    width, height: in inches.
    title: above it.

    >>> from attacks.report import plots
    >>> float(plots.new_figure(4, 3).get_figwidth())
    4.0
    """
    from .figure import ReportFigure

    figure = ReportFigure(figsize=(width, height), layout="constrained", dpi=150)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def as_picture(image: Array) -> np.ndarray:
    """One image as rows of pixels: (H, W) for grey images, (H, W, 3) for colour.

    image: (C, H, W) with C 1 or 3, (H, W), or a flat square.

    Raises: `ShapeError` for any other shape.

    >>> import numpy as np
    >>> from attacks.report import plots
    >>> plots.as_picture(np.zeros((3, 8, 6))).shape
    (8, 6, 3)
    """
    pixels = to_numpy(image)
    if pixels.ndim == 1 and int(pixels.size**0.5) ** 2 == pixels.size:
        pixels = pixels.reshape(int(pixels.size**0.5), -1)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        pixels = pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[2] == 3):
        raise ShapeError("as_picture", "an image (C, H, W), (H, W) or a flat square", f"{pixels.shape}")
    return pixels


def image_rows(
    rows: dict[str, Sequence[Array]],
    captions: dict[str, Sequence[str]] | None = None,
    *,
    title: str = "",
    scales: dict[str, tuple[float, float]] | None = None,
    wrong: dict[str, Sequence[bool]] | None = None,
    heads: Sequence[str] = (),
    rings: Mapping[str, Sequence[Array]] | None = None,
) -> Figure:
    """Rows of images, each named on its left; the columns are the same examples, or what `heads` says.

    rows: by name, the images of each row.
    captions: by row, a line under each image.
    title: above the figure.
    scales: by row, the values drawn black and white; (0, 1) by default.  A scale symmetric about 0, as for
    perturbations, is drawn in blue and red.  A row with a scale has its colour key at the right.
    wrong: by row, which images to frame.
    heads: above the columns.
    rings: by row, for each image the pixels (H, W) to draw a ring around.

    >>> import numpy as np
    >>> from attacks.report import plots
    >>> type(plots.image_rows({"digits": np.zeros((3, 28, 28))}, {"digits": ["0", "1", "2"]})).__name__
    'ReportFigure'
    """
    captions, scales, wrong, rings = captions or {}, scales or {}, wrong or {}, rings or {}
    columns = max(len(images) for images in rows.values())
    width = 1.05 * columns + 1.0 + 0.7 * bool(scales)
    figure = new_figure(width, 1.3 * len(rows) + 0.3 * bool(title) + 0.2 * bool(heads), title)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, head in zip(grid[0], heads):
        axes.set_title(head, fontsize=9)
    for axes_of_row, (name, images) in zip(grid, rows.items()):
        low, high = scales.get(name, (0.0, 1.0))
        for axes in axes_of_row:
            _frame(axes, False)
        axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for column, (axes, image) in enumerate(zip(axes_of_row, images)):
            colours = "RdBu_r" if low == -high else "gray"
            drawn = axes.imshow(as_picture(image), cmap=colours, vmin=low, vmax=high, interpolation="nearest")
            if name in rings:
                _ring(axes, to_numpy(rings[name][column]))
            framed = name in wrong and bool(wrong[name][column])
            _frame(axes, framed)
            if name in captions:
                axes.set_xlabel(captions[name][column], fontsize=8, color=COLOURS[1] if framed else "black", labelpad=2)
        if name in scales:
            ticks = [low, (low + high) / 2, high]
            key = figure.colorbar(drawn, ax=list(axes_of_row), fraction=0.02, pad=0.01, ticks=ticks)
            key.ax.set_yticklabels([f"{value:.2g}" for value in ticks], fontsize=7)
    return figure


def _ring(axes: Any, pixels: np.ndarray) -> None:
    """Rings around some pixels (H, W), white with a dark rim: to be seen on black, on white and in print."""
    down, across = np.nonzero(pixels)
    for colour, linewidth in (("black", 2.2), ("white", 0.9)):
        axes.scatter(across, down, s=40, facecolors="none", edgecolors=colour, linewidths=linewidth, clip_on=False)


def curves(
    x: Sequence[float],
    lines: dict[str, Sequence[float]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    y_limits: tuple[float, float] | None = (-0.02, 1.02),
    marks: dict[str, tuple[float, float]] | None = None,
) -> Figure:
    """Lines over a shared axis, with a legend.

    x: the values on the axis (N,).
    lines: by name, the values (N,) of each line.
    title: above the figure.
    x_label, y_label: of the axes.
    y_limits: of the y axis; None: as the lines need it.
    marks: by name, single points (x, y), such as a paper's numbers.

    >>> from attacks.report import plots
    >>> figure = plots.curves([0, 0.1], {"FGSM": [1, 0.4]}, title="Accuracy", x_label="ε", y_label="accuracy")
    >>> len(figure.axes)
    1
    """
    figure = new_figure(6.0, 3.8, title)
    axes = figure.subplots()
    for colour, dashes, (name, values) in zip(cycle(COLOURS), cycle(DASHES), lines.items()):
        axes.plot(x, values, linestyle=dashes, label=name, color=colour, linewidth=1.6)
    for colour, (name, point) in zip(COLOURS * 3, (marks or {}).items()):
        axes.plot(*point, "o", color=colour, markeredgecolor="white", markersize=7, label=name)
    axes.set(xlabel=x_label, ylabel=y_label)
    if y_limits is not None:
        axes.set_ylim(*y_limits)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, handlelength=3.5)
    return figure


def image_grid(
    images: Sequence[Sequence[Array | None]],
    *,
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    row_label: str = "",
    column_label: str = "",
    framed: Sequence[Sequence[bool]] | None = None,
) -> Figure:
    """A grid of images, with names on the left and above.

    images: images[row][column]; None for an empty place.
    title: above the figure.
    rows, columns: names of the rows and of the columns.
    row_label, column_label: of the two axes.
    framed: framed[row][column], which images to frame.

    >>> import numpy as np
    >>> from attacks.report import plots
    >>> len(plots.image_grid([[np.zeros((28, 28)), None]], columns=["0", "1"]).axes)
    2
    """
    down, across = len(images), max(len(row) for row in images)
    figure = new_figure(0.62 * across + 0.9, 0.62 * down + 0.9, title)
    grid = figure.subplots(down, across, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    for r, row in enumerate(grid):
        for c, axes in enumerate(row):
            image = images[r][c] if c < len(images[r]) else None
            mark = framed is not None and image is not None and bool(framed[r][c])
            _frame(axes, mark, linewidth=2)
            if image is not None:
                axes.imshow(as_picture(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if r == 0 and c < len(columns):
                axes.set_title(columns[c], fontsize=8, pad=3)
        if r < len(rows):
            row[0].set_ylabel(rows[r], rotation=0, ha="right", va="center", fontsize=8)
    figure.supxlabel(column_label, fontsize=9)
    figure.supylabel(row_label, fontsize=9)
    return figure


def _frame(axes: Any, framed: bool, linewidth: float = 2.5) -> None:
    """No ticks around an image; a coloured frame, or none."""
    axes.set(xticks=[], yticks=[], frame_on=framed)
    for spine in axes.spines.values():
        spine.set(color=COLOURS[1], linewidth=linewidth)


def matrix(
    values: np.ndarray, *, title: str, label: str, form: str = "{:.2f}", row_label: str = "source class",
    column_label: str = "target class", rows: Sequence[str] = (), columns: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """A matrix in shades, with its numbers written in; nan stays empty.

    values: (R, C).
    title: above the figure.
    label: of the shades.
    form: how a number is written.
    row_label, column_label: of the two axes.
    rows, columns: their names; their numbers if there are none.
    limits: the values of the darkest and the lightest shade; None: the least and the greatest.

    >>> import numpy as np
    >>> from attacks.report import plots
    >>> len(plots.matrix(np.eye(3), title="Success", label="success rate").axes)  # the matrix and the key
    2
    """
    height, width = values.shape
    figure = new_figure(0.5 * width + 1.6, 0.42 * height + 1.0, title)
    axes = figure.subplots()
    low, high = limits or ((np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 0.0))
    shades = axes.imshow(values, cmap="viridis", aspect="auto", vmin=low, vmax=high)
    middle = (low + high) / 2
    for (r, c), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < middle else "black"
            axes.text(c, r, form.format(value), ha="center", va="center", fontsize=7, color=colour)
    axes.set(xticks=range(width), yticks=range(height), xlabel=column_label, ylabel=row_label)
    if rows:
        axes.set_yticklabels(rows)
    if columns:
        axes.set_xticklabels(columns, fontsize=8)
    figure.colorbar(shades, label=label)
    return figure


def surface(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    *,
    title: str,
    labels: tuple[str, str, str],
    marks: dict[str, Any],
    seen_from: float = -130,
) -> Figure:
    """z = f(x, y) as a surface.

    x, y: the values on the axes (N,), (M,).
    z: (N, M).
    title: above the figure.
    labels: of the three axes.
    marks: by name, points (x, y, z).  They are drawn over the surface even where it hides them.
    seen_from: the direction in degrees, anticlockwise from that of increasing x.

    >>> import numpy as np
    >>> from attacks.report import plots
    >>> t = np.linspace(0, 1, 3)
    >>> len(plots.surface(t, t, np.outer(t, t), title="xy", labels=("x", "y", "z"), marks={}).axes)
    1
    """
    figure = new_figure(6.4, 4.8, title)
    axes = surface_axes(figure, 111, x, y, z, labels, seen_from)
    for colour, (name, point) in zip(cycle(COLOURS[1::5]), marks.items()):
        axes.plot(*([v] for v in point), "o", color=colour, markeredgecolor="white", markersize=8, label=name,
                  zorder=10)  # fmt: skip
    if marks:
        axes.legend(fontsize=8, loc="upper left")
    return figure


def surface_axes(
    figure: Figure, place: Any, x: np.ndarray, y: np.ndarray, z: np.ndarray, labels: tuple[str, str, str],
    seen_from: float = -130, limits: tuple[float, float] | None = None,
) -> Any:  # fmt: skip
    """A surface as one part of a figure.

    figure: that gets it.
    place: as in `Figure.add_subplot`.
    x, y, z, labels, seen_from: as in `surface`: the values (N,), (M,) and (N, M), the names of the axes, the direction.
    limits: of the heights and their colours, so that equal heights look alike in every part; None: the least and the
    greatest.

    Returns: its axes.

    >>> import numpy as np
    >>> from attacks.report import plots
    >>> t = np.linspace(0, 1, 3)
    >>> plots.surface_axes(plots.new_figure(4, 3), 111, t, t, np.outer(t, t), ("x", "y", "z")).name
    '3d'
    """
    axes: Any = figure.add_subplot(place, projection="3d", computed_zorder=False)
    low, high = limits or (None, None)
    # Every point is drawn, and each face to its very edge: seams between smoothed faces, and faces that skip a ridge's
    # crest, show as scales that are not there.
    axes.plot_surface(*np.meshgrid(x, y, indexing="ij"), z, cmap="viridis", vmin=low, vmax=high, linewidth=0,
                      antialiased=False, rcount=len(x), ccount=len(y))  # fmt: skip
    axes.set(xlabel=labels[0], ylabel=labels[1], zlabel=labels[2])
    if limits:
        axes.set_zlim(*limits)
    axes.view_init(elev=28, azim=seen_from)
    return axes


def percent(value: Any) -> str:
    """0.123 as "12.3 %".

    value: a fraction.

    >>> from attacks.report import plots
    >>> plots.percent(0.123)
    '12.3 %'
    """
    return f"{100 * float(value):.1f} %"
