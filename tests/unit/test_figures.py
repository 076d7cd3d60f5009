"""Figures, described in words and held to approved ones: sizes, labels, limits, colours, data.  See `tests.support.approval`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attacks import evaluation_plots, plots
from attacks.evolution import CPPN, Draws, FoolingResult
from attacks.report import fooling_plots
from attacks.report.by_class import Vulnerability
from attacks.report.evaluate import RobustnessCurve
from attacks.report.outcomes import Outcomes
from minidl.errors import ShapeError
from tests.laws.attacks.test_evaluate import ending
from tests.support.approval import approve, described


def images(count: int, channels: int = 1, height: int = 4, width: int = 4) -> np.ndarray:
    """Ramps: no two pixels of an image alike, and no two images."""
    ramp = np.linspace(0, 0.9, channels * height * width).reshape(channels, height, width)
    return np.stack([ramp + 0.02 * k for k in range(count)])


def fooled(seed: int = 0, classes: int = 3, generations: int = 4) -> FoolingResult:
    """Images and confidences of no network; the last class is not fooled."""
    k, g = np.arange(classes), np.arange(generations)[:, None]
    history = 1 - 10.0 ** -(1 + 0.5 * g + 0.3 * k + 0.1 * seed)
    history[:, -1] = 0.25 + 0.01 * g[:, 0]
    return FoolingResult(images(classes), history[-1], history, None, 1, 0, seed, {"attack": "evolve"}, 0.0)


def graphs(columns: int, channels: int = 1, count: int = 3) -> Any:
    encoding = CPPN((channels, 4, 5), bounds=(-1, 1), neurons=8)
    genomes = encoding.start(count, Draws(1, 0))
    for generation in range(1, 25):
        genomes = encoding.vary(genomes, genomes, generation, Draws(1, generation))
    painted = encoding.render(genomes)
    names = [f"genome {k}" for k in range(count)]
    return fooling_plots.cppn_graph(genomes, names, painted, title="CPPNs", columns=columns, bounds=(-1, 1))


def surfaces_on_one_scale() -> Any:
    figure = plots.new_figure(6, 3)
    for place, times in zip(figure.add_gridspec(1, 2), (1, 4)):
        z = times * np.arange(6.0).reshape(3, 2)
        plots.surface_axes(figure, place, np.arange(3.0), np.arange(2.0), z, ("a", "b", "c"), limits=(0.0, 20.0))
    return figure


MATRIX = np.array([[np.nan, 0.25, 0.5], [1.0, np.nan, 0.75], [0.0, 0.125, np.nan]])
CURVE = RobustnessCurve("pgd", np.array([0.0, 0.1, 0.2]), (1, 5), np.array([[0.9, 0.5, 0.1], [1.0, 0.8, 0.4]]))
DESTROYED = {
    "blur": ([0.5, 1.0], {"fast": [[0.1, 0.4], [0.2, np.nan]], "slow": [[0.3, 0.5], [0.2, 0.2]]}),
    "noise": ([1, 2, 4], {"fast": [[0.1, 0.4, 0.5]]}),
    "JPEG": ([90], {"fast": [[0.6]]}),
    "photo": ([1, 2], {"fast": [[0.7, 0.8]]}),
}
ATTACKED = ending([0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 1, 0])
NOTHING = ending([0, 0], [0, 0], [0, 0])

FIGURES: dict[str, Callable[[], Any]] = {
    "rows": lambda: plots.image_rows({"digits": images(3), "changes": list(images(3) - 0.45)}, {"digits": ["a", "b", "c"]},
                                     title="Rows", scales={"changes": (-0.5, 0.5)}, wrong={"digits": [True, False, True]}),
    "rows of different lengths": lambda: plots.image_rows({"colour": list(images(2, 3)), "flat": [np.arange(9) / 9]}, heads=["one", "two"],
                                                          scales={"flat": (0, 2)}),
    "rows with rings": lambda: plots.image_rows({"before": images(2), "after": images(2, 3)}, scales={"before": (0, 2)},
                                                rings={"after": [np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool)]}),
    "curves": lambda: plots.curves([1, 2, 3], {"up": [0.1, 0.2, 0.9], "down": [0.9, 0.5, 0.2]}, title="Curves", x_label="x",
                                   y_label="y", marks={"the paper": (2, 0.4), "another": (3, 0.1)}),
    "many curves": lambda: plots.curves([1, 2], {f"line {k}": [k, k + 1.0] for k in range(16)}, title="", x_label="x", y_label="y",
                                        y_limits=None),
    "grid": lambda: plots.image_grid([list(images(3)), [None, images(1)[0]]], title="Grid", rows=["a", "b"], columns=["0", "1", "2"],
                                     row_label="source", column_label="target", framed=[[True, False, True], [True, True]]),
    "grid without names": lambda: plots.image_grid([list(images(2, 3))]),
    "matrix": lambda: plots.matrix(MATRIX, title="Matrix", label="success"),
    "matrix of another form": lambda: plots.matrix(10 * MATRIX, title="", label="pixels", form="{:.0f}", row_label="r", column_label="c"),
    "matrix of percentages": lambda: plots.matrix(100 * MATRIX, title="", label="%", rows=["0 (6)", "1 (9)", "2 (1)"], limits=(0, 100)),
    "empty matrix": lambda: plots.matrix(np.full((2, 2), np.nan), title="", label=""),
    "surface": lambda: plots.surface(np.linspace(0, 1, 5), np.linspace(-1, 1, 4), np.outer(np.arange(5), np.arange(4)), title="Surface",
                                     labels=("x", "y", "z"), marks={"here": (0.5, 0.0, 3.0), "there": (1, 1, 12)}),
    "surface from elsewhere": lambda: plots.surface(np.arange(3.0), np.arange(2.0), np.arange(6.0).reshape(3, 2), title="",
                                                    labels=("a", "b", "c"), marks={}, seen_from=-40),
    "surfaces on one scale": surfaces_on_one_scale,
    "surface without marks": lambda: plots.surface(np.arange(3.0), np.arange(3.0), np.ones((3, 3)), title="", labels=("a", "b", "c"), marks={}),
    "robustness": lambda: evaluation_plots.robustness_curves({"PGD": CURVE, "FGSM": CURVE}, title="Robustness", scale=255),
    "destruction": lambda: evaluation_plots.destruction_curves(DESTROYED, title="Destroyed", levels={"blur": {"fast": 0.7, "none": 1}}),
    "destruction by one": lambda: evaluation_plots.destruction_curves({"JPEG": DESTROYED["JPEG"]}, k=(3,)),
    "destruction by less and less": lambda: evaluation_plots.destruction_curves({"JPEG": ([95, 60, 20], {"fast": [[0.1, 0.2, 0.6]]})}, k=(1,)),
    "no destruction": lambda: evaluation_plots.destruction_curves({}),
    "success by distance": lambda: evaluation_plots.success_by_distance({"a": ATTACKED, "none": NOTHING}, title="Success"),
    "success by linf": lambda: evaluation_plots.success_by_distance({"a": ATTACKED}, "linf"),
    "no success": lambda: evaluation_plots.success_by_distance({"none": NOTHING}),
    "outcomes": lambda: evaluation_plots.outcome_bars({"fast": Outcomes(np.array([0] * 12 + [1, 2, 3, 4, 4])), "one": Outcomes(np.zeros(1, int)),
                                                              "no images": Outcomes(np.zeros(0, int)), "just wide enough": Outcomes(np.repeat([0, 1, 2], [89, 6, 5]))}),
    "no outcomes": lambda: evaluation_plots.outcome_bars({}, title="None"),
    "vulnerability": lambda: evaluation_plots.vulnerability_bars(
        Vulnerability("l2", np.array([4, 2, 0]), np.array([0.5, 1.0, np.nan]), np.array([1.0, 2.0, np.nan]), np.array([1, 2, -1])), title="Classes"),
    "vulnerability of many": lambda: evaluation_plots.vulnerability_bars(
        Vulnerability("l2", np.ones(9), np.linspace(0, 1, 9), np.ones(9), np.arange(9)[::-1]), [f"class {k}" for k in range(9)]),
    "gallery": lambda: fooling_plots.gallery({"direct": fooled(), "CPPN": fooled(1)}, ["zero", "one", "two"], title="Gallery", bounds=(-0.5, 1.5)),
    "gallery without names": lambda: fooling_plots.gallery({"direct": fooled()}),
    "median": lambda: fooling_plots.median_confidence({"direct": [fooled(), fooled(1, generations=6)], "CPPN": [fooled(3)]}),
    "median of another": lambda: fooling_plots.median_confidence({"direct": [fooled()]}, title="Median", marks={"at 2": (2, 0.5)}),
    "judged": lambda: fooling_plots.judged({"direct": fooled(), "CPPN": fooled(1)}, {
        "MLP": {"direct": np.array([0.1, 0.5, 0.999]), "CPPN": np.array([0.2, 0.6, 1.0])},
        "LeNet": {"direct": np.zeros(3), "CPPN": np.ones(3)}}, title="Judged"),
    "three judged": lambda: fooling_plots.judged({name: fooled() for name in "abc"}, {"MLP": {name: np.zeros(3) for name in "abc"}}),
    "judged by name": lambda: fooling_plots.judged({"direct": fooled()}, {"MLP": {"direct": np.zeros(3)}}, ["a", "b", "c"]),
    "graphs": lambda: graphs(2),
    "graphs in a row": lambda: graphs(5, channels=3, count=2),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_as_it_was_approved(name) -> None:
    approve(f"figures/{name}", described(FIGURES[name]()))


def test_figures_have_no_state_in_common() -> None:
    """They are matplotlib's Figures, unknown to pyplot."""
    import matplotlib.pyplot as plt

    for draw in FIGURES.values():
        draw()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4, 4), (5,), (1, 1, 1, 1), ()])
def test_anything_but_a_picture_raises_an_error(shape) -> None:
    with pytest.raises(ShapeError, match="an image"):
        plots.as_picture(np.zeros(shape))


def test_pictures_of_every_kind() -> None:
    flat, grey, colour = np.arange(16.0), np.arange(12.0).reshape(3, 4), np.arange(60.0).reshape(3, 5, 4)
    np.testing.assert_array_equal(plots.as_picture(flat), flat.reshape(4, 4))
    np.testing.assert_array_equal(plots.as_picture(grey), grey)
    np.testing.assert_array_equal(plots.as_picture(grey[None]), grey)
    np.testing.assert_array_equal(plots.as_picture(colour), np.moveaxis(colour, 0, -1))
    np.testing.assert_array_equal(plots.as_picture(np.moveaxis(colour, 0, -1)), np.moveaxis(colour, 0, -1))


def test_percent() -> None:
    assert [plots.percent(p) for p in (0, 0.1234, np.float32(1))] == ["0.0 %", "12.3 %", "100.0 %"]
