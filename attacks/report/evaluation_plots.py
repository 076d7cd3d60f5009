"""Figures of the measures: accuracy against ε, success against distance, destruction, outcomes, vulnerability.

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
    """Accuracy against ε: a colour for each attack; a solid line for the first k, dashes and dots for the others.

    curves: by name, of `robustness_curve`.
    title: above the figure.
    x_label: of the axis of ε.
    scale: what ε is multiplied by on the axis, such as 255 for steps of a byte.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluate import robustness_curve
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> from attacks.report import evaluation_plots
    >>> curve = robustness_curve(net, x, y, fgsm, [0.0, 0.1])
    >>> len(evaluation_plots.robustness_curves({"FGSM": curve}).axes)
    1
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
    """Destruction rates against the strength of each transformation, side by side, as in Kurakin et al. 2016.

    panels: by the label of the axis, the strengths (N,) and, by attack, its rates, a row (N,) for each k.  Strengths
    that decrease, such as JPEG's quality, decrease along the axis.
    k: for each row, how many of the greatest logits count.  The first row is a solid line, the others dashes and dots.
    title: above the figure.
    levels: by panel and attack, a rate to compare with: a triangle at the right edge.

    >>> from attacks.report import evaluation_plots
    >>> panels = {"blur": ([0.5, 1.0], {"FGSM": [[0.1, 0.3]]})}
    >>> len(evaluation_plots.destruction_curves(panels, k=(1,)).axes)
    1
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
    """The share of images for which each attack succeeds within each distance.

    results: by name, of any attack.
    norm: "linf", "l2", "l1" or "l0".
    title: above the figure.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.evaluation_plots import success_by_distance
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> len(success_by_distance({"FGSM": result}).axes)
    1
    """
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


def outcome_bars(by_attack: Mapping[str, Outcomes], *, title: str = "What became of the images") -> Figure:
    """A bar for each attack, divided into the shares of the outcomes.

    by_attack: by name, of `outcomes`.
    title: above the figure.

    >>> import numpy as np
    >>> from attacks.report.evaluation_plots import outcome_bars
    >>> from attacks.report.outcomes import Outcomes
    >>> len(outcome_bars({"FGSM": Outcomes(np.array([0, 0, 3]))}).axes)
    1
    """
    figure = new_figure(6.6, 0.45 * len(by_attack) + 1.6, title)
    axes = figure.subplots()
    rows = [[each.counts[name] / max(len(each.which), 1) for name in OUTCOMES] for each in by_attack.values()]
    shares = np.array(rows).reshape(len(by_attack), len(OUTCOMES))
    left = np.cumsum(shares, axis=1) - shares
    colours = [COLOURS[1], COLOURS[4], COLOURS[3], COLOURS[2], "#C8C8C8"]
    for i, (name, colour) in enumerate(zip(OUTCOMES, colours)):
        bars = axes.barh(range(len(by_attack)), shares[:, i], left=left[:, i], color=colour, label=name)
        written = [f"{100 * share:.0f} %" if share >= 0.06 else "" for share in shares[:, i]]
        axes.bar_label(bars, written, label_type="center", fontsize=7)
    axes.set(yticks=range(len(by_attack)), yticklabels=list(by_attack), xlim=(0, 1), xlabel="share of the images")
    axes.invert_yaxis()
    figure.legend(fontsize=8, ncols=3, loc="outside lower center")
    return figure


def vulnerability_bars(measured: Vulnerability, class_names: Sequence[str] = (), *, title: str = "") -> Figure:
    """The success rate of each class, and above each bar its most frequent wrong prediction.

    measured: of `vulnerability`.
    class_names: under the bars; their numbers if there are none.
    title: above the figure.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.by_class import vulnerability
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> from attacks.report.evaluation_plots import vulnerability_bars
    >>> len(vulnerability_bars(vulnerability(result, classes=3)).axes)
    1
    """
    classes = len(measured.counts)
    names = list(class_names) or [str(k) for k in range(classes)]
    figure = new_figure(max(4.5, 0.62 * classes + 1.2), 3.4, title)
    axes = figure.subplots()
    bars = axes.bar(range(classes), np.nan_to_num(measured.success), color=COLOURS[0])
    axes.bar_label(bars, [f"→ {names[t]}" if t >= 0 else "" for t in measured.taken_for], fontsize=7)
    axes.set(xlabel="class (→ what it is mostly taken for)", ylabel="success", ylim=(0, 1.1), xticks=range(classes))
    _name(axes, names)
    axes.grid(alpha=0.3, axis="y")
    return figure


def _name(axes: Any, names: Sequence[str]) -> None:
    """The classes along the axis, slanted if their names are long."""
    long = max(map(len, names), default=0) > 4
    axes.set_xticklabels(names, rotation=35 if long else 0, ha="right" if long else "center", fontsize=8)
