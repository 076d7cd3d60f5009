"""The pictures of `demo`: curves, images and bars, each a call.  Matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomically

#: Distinguished by colour-blind people, and by their order in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def curves(path: Path, title: str, xlabel: str, lines: Mapping[str, tuple[Any, Any]], ylabel: str = "",
           logarithmic: bool = False) -> None:  # fmt: skip
    """Lines in one plot.

    path: of the PNG file.
    title: says what to look at.
    xlabel: of the horizontal axis.
    lines: x and y, by name.
    ylabel: of the vertical axis.
    logarithmic: whether the vertical axis is.
    """
    figure, axes = _figure(title, 1, 1, (7.2, 4.2))
    for colour, (name, (x, y)) in zip(COLOURS, lines.items()):
        axes[0].plot(x, y, label=name, color=colour, linewidth=1.8)
    axes[0].set(xlabel=xlabel, ylabel=ylabel, yscale="log" if logarithmic else "linear")
    axes[0].grid(alpha=0.25)
    axes[0].legend(frameon=False)
    _save(figure, path)


def images(path: Path, title: str, rows: Mapping[str, Sequence[Any]], captions: Sequence[Sequence[str]] = ()) -> None:
    """Rows of images, each with a name: pixels in [0, 1] in grey, others from blue (below 0) to red.

    path: of the PNG file.
    title: says what to look at.
    rows: images, (height, width) or (1, height, width), by the name of the row.
    captions: of the images, row by row; none by default.
    """
    columns = max(len(row) for row in rows.values())
    figure, axes = _figure(title, len(rows), columns, (max(5.0, 1.05 * columns + 1), 1.25 * len(rows) + 0.7))
    for i, (name, row) in enumerate(rows.items()):
        for j in range(columns):
            place = axes[i * columns + j]
            place.set(xticks=[], yticks=[])
            if j >= len(row):
                place.axis("off")
                continue
            image = np.asarray(row[j], dtype=float).squeeze()
            signed = image.min() < 0
            largest = max(float(np.abs(image).max()), 1e-12)
            if signed:
                place.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
            else:
                place.imshow(image, cmap="gray_r", vmin=0, vmax=max(1.0, largest))
            if i < len(captions) and j < len(captions[i]):
                place.set_xlabel(captions[i][j], fontsize=8, labelpad=2)
        axes[i * columns].set_ylabel(name, fontsize=9)
    _save(figure, path)


def bars(path: Path, title: str, xlabel: str, lengths: Mapping[str, float]) -> None:
    """One bar for each name, the first at the top.

    path: of the PNG file.
    title: says what to look at.
    xlabel: of the horizontal axis.
    lengths: by name.
    """
    figure, axes = _figure(title, 1, 1, (7.8, 1.0 + 0.27 * len(lengths)))
    names = list(lengths)
    drawn = axes[0].barh(names, [lengths[name] for name in names], color=COLOURS[0], height=0.6)
    axes[0].bar_label(drawn, fmt="%.3g", fontsize=8, padding=2)
    axes[0].invert_yaxis()
    axes[0].set(xlabel=xlabel)
    axes[0].tick_params(axis="y", labelsize=8)
    axes[0].spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _figure(title: str, rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # without pyplot: no window, and no state that is left behind

    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=10.5, wrap=True)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def _save(figure: Any, path: Path) -> None:
    with atomically(path) as file:
        figure.savefig(file, format="png", dpi=130)
