"""A figure for each measure: accuracy against ε, success against distance, destruction, outcomes, vulnerable classes.

As in `plots`, each function returns a Figure, and ``figure.savefig("name.png")`` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import to_numpy

from ..common.result import AttackResult
from .by_class import Vulnerability
from .evaluate import RobustnessCurve
from .outcomes import OUTCOMES, Outcomes
from .plots import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def robustness_curves(
    curves: Mapping[str, RobustnessCurve], *, title: str = "", x_label: str = "ε", scale: float = 1.0
) -> Figure:
    """Accuracy against ε: a colour for each attack, drawn through for the first k, dashed and dotted for the others.

    scale: what ε is multiplied by on the axis, 255 for steps of a byte.
    """
    figure = new_figure(6.0, 4.2, title)
    axes = figure.subplots()
    for colour, (name, curve) in zip(cycle(COLOURS), curves.items()):
        for dashes, k in zip(cycle(("-", "--", ":")), curve.k):
            axes.plot(scale * curve.epsilons, curve.top(k), dashes, color=colour, label=f"{name}, top-{k}",
                      linewidth=1.6, marker="o", markersize=3)  # fmt: skip
    axes.set(xlabel=x_label, ylabel="accuracy", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, ncols=3, loc="outside lower center")
    return figure


def destruction_curves(
    panels: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[Sequence[float]]]]],
    k: Sequence[int] = (1, 5),
    *,
    title: str = "",
    levels: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """Destruction rates against the amount of each transformation, side by side, as Kurakin et al. 2016 draw them.

    panels: by the label of its axis, the amounts, and by the name of each attack its rates, a row for each k: the first
    is drawn through, the others dashed and dotted.  Amounts that fall, such as JPEG's quality, fall along the axis.
    levels: by panel and attack, a rate to compare with, a triangle at the right edge.
    """
    columns = min(3, max(len(panels), 1))
    down = -(-len(panels) // columns) or 1
    figure = new_figure(3.1 * columns, 2.6 * down + 0.6, title)
    grid = figure.subplots(down, columns, squeeze=False, sharey=True).reshape(-1)
    for axes, (label, (amounts, lines)) in zip(grid, panels.items()):
        for colour, (name, rates) in zip(cycle(COLOURS), lines.items()):
            for dashes, each, values in zip(cycle(("-", "--", ":")), k, rates):
                axes.plot(amounts, values, dashes, color=colour, marker="o", markersize=3, linewidth=1.5,
                          label=f"{name}, top-{each}")  # fmt: skip
            if name in (levels or {}).get(label, {}):
                axes.plot(1.03, (levels or {})[label][name], "<", color=colour, markersize=7, clip_on=False,
                          transform=axes.get_yaxis_transform())  # fmt: skip
        axes.set(xlabel=label, ylim=(-0.02, 1.02), xticks=amounts)
        axes.set_xticklabels([f"{amount:g}" for amount in amounts], fontsize=8)
        if len(amounts) > 1 and amounts[0] > amounts[-1]:
            axes.invert_xaxis()
        axes.grid(alpha=0.3)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[::columns]:
        axes.set_ylabel("destruction rate")
    named = grid[0].get_legend_handles_labels()
    figure.legend(*named, fontsize=8, ncols=3, handlelength=3.5, loc="outside lower center")
    return figure


def success_by_distance(results: Mapping[str, AttackResult], norm: str = "l2", *, title: str = "") -> Figure:
    """The share of the images that each attack fooled within each distance: curves that end at its success."""
    figure = new_figure(6.0, 3.8, title)
    axes = figure.subplots()
    reached = [to_numpy(getattr(result, norm))[to_numpy(result.success)] for result in results.values()]
    right = max((float(d.max()) for d in reached if d.size), default=0.0) * 1.05 or 1.0
    for colour, (name, result), d in zip(cycle(COLOURS), results.items(), reached):
        share = np.arange(len(d) + 1) / max(len(result), 1)
        steps = np.concatenate([[0.0], np.sort(d), [right]])
        axes.step(steps, np.append(share, share[-1]), where="post", color=colour, label=name, linewidth=1.6)
    axes.set(xlabel=f"distance, {norm}", ylabel="share fooled within it", xlim=(0, right), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def outcome_bars(found: Mapping[str, Outcomes], *, title: str = "What became of the images") -> Figure:
    """A bar for each attack, cut into the shares of the outcomes."""
    figure = new_figure(6.6, 0.45 * len(found) + 1.6, title)
    axes = figure.subplots()
    shares = np.array([[each.counts[name] / max(len(each.which), 1) for name in OUTCOMES] for each in found.values()])
    shares = shares.reshape(len(found), len(OUTCOMES))
    left = np.cumsum(shares, axis=1) - shares
    colours = [COLOURS[1], COLOURS[4], COLOURS[3], COLOURS[2], "#C8C8C8"]
    for i, (name, colour) in enumerate(zip(OUTCOMES, colours)):
        bars = axes.barh(range(len(found)), shares[:, i], left=left[:, i], color=colour, label=name)
        written = [f"{100 * share:.0f} %" if share >= 0.06 else "" for share in shares[:, i]]
        axes.bar_label(bars, written, label_type="center", fontsize=7)
    axes.set(yticks=range(len(found)), yticklabels=list(found), xlim=(0, 1), xlabel="share of the images")
    axes.invert_yaxis()
    figure.legend(fontsize=8, ncols=3, loc="outside lower center")
    return figure


def vulnerability_bars(found: Vulnerability, class_names: Sequence[str] = (), *, title: str = "") -> Figure:
    """How often each class is attacked successfully, and over the bar what it is mostly taken for."""
    classes = len(found.counts)
    names = list(class_names) or [str(k) for k in range(classes)]
    figure = new_figure(max(4.5, 0.62 * classes + 1.2), 3.4, title)
    axes = figure.subplots()
    bars = axes.bar(range(classes), np.nan_to_num(found.success), color=COLOURS[0])
    axes.bar_label(bars, [f"→ {names[t]}" if t >= 0 else "" for t in found.taken_for], fontsize=7)
    axes.set(xlabel="class (→ what it is mostly taken for)", ylabel="success", ylim=(0, 1.1), xticks=range(classes))
    _name(axes, names)
    axes.grid(alpha=0.3, axis="y")
    return figure


def _name(axes: Any, names: Sequence[str]) -> None:
    """The classes along the axis, slanted if their names are long."""
    long = max(map(len, names), default=0) > 4
    axes.set_xticklabels(names, rotation=35 if long else 0, ha="right" if long else "center", fontsize=8)
