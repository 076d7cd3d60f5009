"""Figures fit for a report: rows of images with captions, curves against ε.  Each function returns a Figure.

``figure.savefig("name.png")`` writes it.  No global plotting state is touched, so scripts need no display.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours that stay apart for colour-blind readers and in grey print (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure of that size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def as_picture(image: Array) -> np.ndarray:
    """One example as rows of pixels: (H, W) for grey images, (H, W, 3) for colour.

    Takes (C, H, W) with C 1 or 3, (H, W), or a flat square.  Raises `ShapeError` for anything else.
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
) -> Figure:
    """Rows of images, each named on its left: the same examples in every column.

    captions: a line under each image of a row.  scales: the values drawn black and white, (0, 1) where none is
    given; a scale symmetric about 0, as of perturbations, is drawn in blue and red.  wrong: images to frame.
    """
    captions, scales, wrong = captions or {}, scales or {}, wrong or {}
    columns = max(len(images) for images in rows.values())
    figure = new_figure(1.05 * columns + 1.0, 1.3 * len(rows) + 0.3 * bool(title), title)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_of_row, (name, images) in zip(grid, rows.items()):
        low, high = scales.get(name, (0.0, 1.0))
        for axes in axes_of_row:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_frame_on(False)
        axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for column, (axes, image) in enumerate(zip(axes_of_row, images)):
            colours = "RdBu_r" if low == -high else "gray"
            axes.imshow(as_picture(image), cmap=colours, vmin=low, vmax=high, interpolation="nearest")
            framed = name in wrong and bool(wrong[name][column])
            axes.set_frame_on(framed)
            for spine in axes.spines.values():
                spine.set(color=COLOURS[1], linewidth=2.5)
            if name in captions:
                axes.set_xlabel(captions[name][column], fontsize=8, color=COLOURS[1] if framed else "black", labelpad=2)
    return figure


def curves(
    x: Sequence[float],
    lines: dict[str, Sequence[float]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    y_limits: tuple[float, float] | None = (0, 1),
    marks: dict[str, tuple[float, float]] | None = None,
) -> Figure:
    """Lines over a shared axis with a legend; marks are single points, such as a paper's figures."""
    figure = new_figure(6.0, 3.8, title)
    axes = figure.subplots()
    styles = [(colour, dashes) for dashes in ("-", "--", ":") for colour in COLOURS]
    for (colour, dashes), (name, values) in zip(styles, lines.items()):
        axes.plot(x, values, dashes, label=name, color=colour, linewidth=1.6)
    for colour, (name, point) in zip(COLOURS * 3, (marks or {}).items()):
        axes.plot(*point, "o", color=colour, markeredgecolor="white", markersize=7, label=name)
    axes.set(xlabel=x_label, ylabel=y_label)
    if y_limits is not None:
        axes.set_ylim(*y_limits)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def percent(value: Any) -> str:
    """0.123 as 12.3 %."""
    return f"{100 * float(value):.1f} %"
