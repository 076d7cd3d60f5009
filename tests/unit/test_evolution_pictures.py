"""The pictures of evolution: every connection leads forward, and what is drawn is what there is, in colour too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attacks.evolution import CPPN, Draws, FoolingResult, Genome
from attacks.report import fooling_plots
from attacks.report.fooling_plots import (
    FUNCTION_COLOURS,
    PAPER,
    as_percent,
    cppn_graph,
    gallery,
    judged,
    layers,
    median_confidence,
    reaching,
)
from attacks.report.plots import COLOURS
from minidl.errors import DTypeError, ShapeError
from minidl.testing import Mutant, line


def result(classes: int = 3, channels: int = 1, generations: int = 4) -> FoolingResult:
    """Images and confidences of no network; the last class is not fooled."""
    rng = np.random.default_rng(classes)
    images = rng.random((classes, channels, 5, 6), dtype=np.float32)
    history = np.sort(rng.random((generations, classes)), axis=0) / 2 + 0.5
    history[:, -1] = 0.25
    return FoolingResult(images, history[-1], history, None, 1, 0, 0, {"attack": "evolve"}, 0.0)


def evolved(channels: int, count: int = 6, generations: int = 40) -> tuple[CPPN, Genome]:
    """CPPNs that have changed so often without selection that they have parts which reach no output."""
    encoding = CPPN((channels, 7, 5), neurons=12)
    genomes = encoding.start(count, Draws(1, 0))
    for generation in range(1, generations):
        genomes = encoding.vary(genomes, genomes, generation, Draws(1, generation))
    return encoding, genomes


def by_walking(weights: np.ndarray, outputs: int) -> tuple[set[int], dict[int, int]]:
    """What reaches an output, and the longest path to it among such: the definitions, by recursion."""
    size = len(weights)
    ends = {i for i in range(size) if i >= size - outputs}

    def leads(i: int) -> bool:
        return i in ends or any(weights[i, j] and leads(j) for j in range(size))

    def depth(j: int) -> int:
        return max((1 + depth(i) for i in range(size) if weights[i, j]), default=int(j >= 4))

    shown = {i for i in range(size) if leads(i)}
    return shown, {j: depth(j) for j in shown if j not in ends}


def test_empty_figures_and_genomes_that_are_no_networks_raise_an_error() -> None:
    for draw in (gallery, median_confidence, lambda of: judged(of, {"a judge": {}})):
        with pytest.raises(ShapeError, match="at least one of each, got nothing"):
            draw({})
    with pytest.raises(ShapeError, match="at least one of each, got 0 of runs"):
        median_confidence({"runs": []})
    with pytest.raises(DTypeError, match="genomes of CPPNs, got genomes of pixels"):
        cppn_graph(Genome({"pixels": np.zeros((1, 1, 2, 2))}), ["a"], np.zeros((1, 1, 2, 2)))


@pytest.mark.parametrize("channels", [1, 3])
def test_layers_hold_what_reaches_an_output_by_the_longest_path(channels) -> None:
    _, genomes = evolved(channels)
    left_out = 0
    for weights, there in zip(genomes["weights"], genomes["hidden"]):
        shown, depth = by_walking(weights, channels)
        assert set(np.flatnonzero(reaching(weights, channels))) == shown
        depths = layers(weights, channels)
        place = {j: k for k, layer in enumerate(depths) for j in layer}
        assert set(place) == shown | {0, 1, 2, 3}
        assert depths[0] == [0, 1, 2, 3]
        assert depths[-1] == list(range(len(weights) - channels, len(weights)))
        for i, j in np.argwhere(weights):
            assert not (i in place and j in place) or place[i] < place[j]
        hidden = {j: d for j, d in depth.items() if j >= 4}
        at_depth = [{j for j in hidden if hidden[j] == d} for d in sorted(set(hidden.values()))]
        assert [set(layer) for layer in depths[1:-1]] == at_depth
        left_out += int(there) - len(hidden)
    assert left_out > 0, "a law about what is left out needs something to leave out"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_graph_has_a_line_for_each_connection_and_a_dot_for_each_neuron(channels) -> None:
    from matplotlib.colors import to_rgb

    encoding, genomes = evolved(channels, count=3)
    figure = cppn_graph(genomes, ["a", "b", "c"], encoding.render(genomes))
    assert len(figure.axes) == 8  # two columns of a graph and an image, the last of them empty
    drawings, images = figure.axes[0:6:2], figure.axes[1:6:2]
    for axes, weights, functions in zip(drawings, genomes["weights"], genomes["functions"]):
        shown = reaching(weights, channels)
        inputs = np.arange(len(weights)) < 4
        assert len(axes.lines) == (weights[shown][:, shown] != 0).sum()
        assert len(axes.collections) == (shown | inputs).sum()
        assert [text.get_text() for text in axes.texts] == ["x", "y", "r", "1"]
        colours = sorted(tuple(dot.get_facecolor()[0][:3]) for dot in axes.collections[4:])
        painted = [to_rgb(list(FUNCTION_COLOURS.values())[functions[j]]) for j in np.flatnonzero(shown & ~inputs)]
        assert colours == sorted(painted)
    shape = (7, 5) if channels == 1 else (7, 5, 3)
    assert [axes.images[0].get_array().shape for axes in images] == [shape] * 3


def test_lines_are_as_wide_as_weights_are_great_and_show_their_signs() -> None:
    encoding, genomes = evolved(1, count=1)
    weights, lines = genomes["weights"][0], cppn_graph(genomes, ["a"], encoding.render(genomes)).axes[0].lines
    shown = reaching(weights, 1)
    there = weights[(weights != 0) & shown & shown[:, None]]
    widths, colours = [line.get_linewidth() for line in lines], [line.get_color() for line in lines]
    np.testing.assert_array_equal(np.argsort(widths, kind="stable"), np.argsort(abs(there), kind="stable"))
    assert max(widths) > 3 * min(widths) > 0
    assert {(colour, weight > 0) for colour, weight in zip(colours, there)} == {(COLOURS[0], True), (COLOURS[1], False)}


def test_a_graph_refuses_names_that_are_too_few() -> None:
    encoding, genomes = evolved(1, count=2, generations=2)
    with pytest.raises(ShapeError, match="2 genomes, 1 names"):
        cppn_graph(genomes, ["a"], encoding.render(genomes))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gallery_frames_the_classes_that_are_not_fooled(channels) -> None:
    figure = gallery({"few": result(3, channels), "more": result(12, channels)})
    assert len(figure.axes) == 24
    heads = [axes.get_title() for axes in figure.axes[:12]]
    assert heads == [str(k) for k in range(12)]
    framed = [axes.get_frame_on() for axes in figure.axes]
    assert np.flatnonzero(framed).tolist() == [2, 23]
    assert figure.axes[2].get_xlabel() == "25.00 %"


def test_bounds_are_what_is_drawn_black_and_white() -> None:
    whole = result()
    figure = gallery({"a": whole}, ["x", "y", "z"], bounds=(-1.0, 3.0))
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), (whole.images[0, 0] + 1) / 4)


def test_medians_of_runs_are_thin_and_their_median_is_thick() -> None:
    runs = [result(5, generations=7), result(3, generations=4), result(4, generations=5)]
    axes = median_confidence({"many": runs, "one": runs[:1]}).axes[0]
    assert axes.get_yscale() == "logit"
    assert [len(line.get_xdata()) for line in axes.lines] == [7, 4, 5, 4, 7, 2, 1]
    np.testing.assert_allclose(axes.lines[3].get_ydata(), np.median([run.median[:4] for run in runs], axis=0))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["many", "one", *PAPER]


def test_certainty_has_a_place_on_the_axis() -> None:
    """Where a logit would be infinite."""
    certain = replace(result(3), history=np.ones((4, 3)))
    drawn = median_confidence({"certain": [certain]}).axes[0].lines[0].get_ydata()
    assert (drawn == np.nextafter(1, 0)).all()


def test_judges_have_a_row_of_numbers_each() -> None:
    results = {"a": result(4), "b": result(4, 3)}
    judges = {who: {name: np.full(4, p) for name in results} for who, p in (("one", 0.999), ("two", 0.5))}
    figure = judged(results, judges)
    assert len(figure.axes) == 2 * (4 + 1)
    strip = figure.axes[4]
    assert [text.get_text() for text in strip.texts] == ["99 %"] * 4 + ["50 %"] * 4
    assert strip.images[0].get_array().shape == (2, 4)


def test_sureness_never_promises_more_than_there_is() -> None:
    assert as_percent(0.99996) == "99.99 %"
    assert as_percent(np.float32(1 - 2**-24)) == "99.99 %"
    assert as_percent(1.0) == "100.00 %"
    assert as_percent(0.5, 0) == "50 %"
    assert as_percent(0.00001, 4) == "0.0010 %"


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("graph: lines of one width", line(fooling_plots, "_draw_graph", "2.2 * abs(weights[i, j]) / heaviest", "2.2"), test_lines_are_as_wide_as_weights_are_great_and_show_their_signs),
    Mutant("graph: one colour for both signs", line(fooling_plots, "_draw_graph", "if weights[i, j] > 0 else", "if True else"), test_lines_are_as_wide_as_weights_are_great_and_show_their_signs),
]
# fmt: on
