"""Approved texts: what the program prints and draws is compared with committed files, so that changes are visible.

`approve(name, text)` compares a text with ``tests/approved/<name>.txt``.  After an intended change, write the files again
and read the differences before committing them:

    MINIDL_APPROVE=1 pytest tests/unit -k approved && git diff tests/approved
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "approved"


def approve(name: str, text: str) -> None:
    """Raise `AssertionError` with the differences unless this is the approved text of that name."""
    path, text = FOLDER / f"{name}.txt", text.rstrip() + "\n"
    if os.environ.get("MINIDL_APPROVE"):
        path.write_text(text, encoding="utf-8")
    approved = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != approved:
        lines = difflib.unified_diff(
            approved.splitlines(), text.splitlines(), f"approved {name}", "now", lineterm="", n=1
        )
        raise AssertionError("\n".join(lines))


# --- figures in words ------------------------------------------------------------------------------------


def number(value: Any) -> str:
    """A number with five significant digits, so that rounding errors make no difference."""
    return f"{float(value):.5g}" if np.ndim(value) == 0 and not isinstance(value, str) else str(value)


def numbers(values: Any) -> str:
    """Up to twelve numbers in full; of more their count, their sum, and a sum that depends on their order."""
    flat = np.asarray(values, dtype=float).ravel()
    if flat.size <= 12:
        return "[" + " ".join(map(number, flat)) + "]"
    finite = np.nan_to_num(flat, nan=-7.0)
    return f"{flat.size} numbers, sum {number(finite.sum())}, in order {number((finite * np.cos(np.arange(flat.size))).sum())}"


def described(figure: Any) -> str:
    """A figure as text: sizes, texts, data, colours and limits."""
    import io

    figure.savefig(io.BytesIO(), format="png", dpi=40)  # matplotlib makes some parts only when it draws
    lines = [f"figure {numbers(figure.get_size_inches())} inches, {number(figure.dpi)} dpi"]
    for name in ("_suptitle", "_supxlabel", "_supylabel"):
        text = getattr(figure, name)
        if text is not None and text.get_text():
            lines.append(f"  {name[1:]} {text.get_text()!r} size {number(text.get_fontsize())}")
    lines += [_legend(legend) for legend in figure.legends]
    for axes in figure.axes:
        lines += _axes(axes)
    return "\n".join(lines)


def _axes(axes: Any) -> list[str]:
    three, place = hasattr(axes, "get_zlim"), _place(axes)
    if not axes.axison and not three:
        return [f"axes off{place}", *_title(axes), *_artists(axes, three)]
    lines = [f"axes{' 3d' if three else ''}{'' if three or axes.get_frame_on() else ', no frame'}{place}"]
    for letter in "xyz"[: 3 if three else 2]:
        axis = getattr(axes, f"{letter}axis")
        limits, scale = getattr(axes, f"get_{letter}lim")(), axis.get_scale()
        label, ticks = axis.label, [tick.get_text() for tick in axis.get_ticklabels()]
        styles = {(number(t.get_fontsize()), number(t.get_rotation()), t.get_ha()) for t in axis.get_ticklabels()}
        lines.append(
            f"  {letter} {numbers(limits)} {scale}, {label.get_text()!r} {_style(label)}, ticks {ticks} {sorted(styles)}"
        )
        grid = [line for line in axis.get_gridlines() if line.get_visible()]
        if grid:
            lines.append(f"    grid, alpha {grid[0].get_alpha()}")
    lines += _title(axes)
    if three:
        lines.append(f"  seen from {number(axes.elev)}, {number(axes.azim)}")
    if not three and axes.get_frame_on() and axes.images:
        spine = axes.spines["left"]
        lines.append(f"  frame {_colour(spine.get_edgecolor())} {number(spine.get_linewidth())}")
    return lines + _artists(axes, three)


def _title(axes: Any) -> list[str]:
    return [f"  title {axes.get_title()!r} {_style(axes.title)}"] if axes.get_title() else []


def _place(axes: Any) -> str:
    """The position of the axes in the grid of the figure."""
    spec = axes.get_subplotspec()
    if spec is None:
        return ""
    rows, columns = spec.rowspan, spec.colspan
    grid = f"{spec.get_gridspec().nrows} x {spec.get_gridspec().ncols}"
    return f", rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop} of {grid}"


def _artists(axes: Any, three: bool) -> list[str]:
    lines = []
    for image in axes.images:
        data = np.ma.filled(image.get_array().astype(float), np.nan)
        lines.append(f"  image {data.shape} {image.get_cmap().name} {numbers(image.get_clim())}: {numbers(data)}")
    for line in axes.lines:
        xyz = line.get_data_3d() if three else line.get_data()
        look = f"{_colour(line.get_color())} {line.get_linestyle()} {number(line.get_linewidth())} {line.get_marker()}"
        more = f"{number(line.get_markersize())} {_colour(line.get_markeredgecolor())} alpha {line.get_alpha()} z {line.get_zorder()}"
        lines.append(
            f"  line {line.get_label()!r} {look} {more} {line.get_drawstyle()}: " + "; ".join(map(numbers, xyz))
        )
    for patch in axes.patches:
        box = patch.get_bbox().bounds
        lines.append(f"  patch {patch.get_label()!r} {_colour(patch.get_facecolor())} {numbers(box)}")
    for collection in axes.collections:
        colours = sorted({_colour(c) for c in collection.get_facecolors()})
        kind, data = type(collection).__name__, collection.get_array() if three else collection.get_offsets()
        lines.append(f"  {kind} {colours if len(colours) < 9 else len(colours)} {numbers(collection.get_linewidths())} "
                     f"alpha {collection.get_alpha()} z {number(collection.get_zorder())}: {numbers(data)}")  # fmt: skip
        if hasattr(collection, "get_sizes") and not three:
            lines[-1] += (
                f", edges {sorted({_colour(c) for c in collection.get_edgecolors()})}, sizes {numbers(collection.get_sizes())}"
            )
    for text in axes.texts:
        if text.get_text():
            lines.append(f"  text {text.get_text()!r} {_style(text)} at {numbers(text.get_position())}")
    if axes.get_legend() is not None:
        lines.append("  " + _legend(axes.get_legend()))
    return lines


def _legend(legend: Any) -> str:
    words = [text.get_text() for text in legend.get_texts()]
    keys = [_key(handle) for handle in legend.legend_handles]
    return f"legend {words} size {number(legend.get_texts()[0].get_fontsize()) if words else '-'}, {legend._ncols} columns, at {legend._loc_real}, {keys}"


def _key(handle: Any) -> str:
    """The line or patch beside a label of a legend."""
    if hasattr(handle, "get_linestyle") and hasattr(handle, "get_marker"):
        look = f"{handle.get_linestyle()} {number(handle.get_linewidth())} {handle.get_marker()}"
        return f"{_colour(handle.get_color())} {look} {number(handle.get_markersize())}"
    colours = handle.get_facecolor()
    return _colour(colours[0] if np.ndim(colours) > 1 else colours)


def _style(text: Any) -> str:
    return f"({number(text.get_fontsize())}, {_colour(text.get_color())}, {text.get_ha()} {text.get_va()}, {number(text.get_rotation())})"


def _colour(colour: Any) -> str:
    from matplotlib.colors import to_hex

    return str(to_hex(colour, keep_alpha=True))
