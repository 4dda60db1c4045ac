"""What the plots draw: shares that add up, curves that are the kernel's, labels that don't collide."""

from __future__ import annotations

import math
from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.figure import Figure

from corpora.sampling import Gaussian, Stepwise
from corpora.sampling.histogram import LogHistogram
from tamiz.cards import plots as cards
from tamiz.drawing import drawable, drawing, log_axis, number, shortened
from tamiz.report import plots
from tamiz.report.grid import Grid
from tamiz.report.group_plots import Named, draw_bars, draw_groups
from tamiz.report.summary import Group, Tally

RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer pixels: what is tested is drawn the same."""
    monkeypatch.setattr("tamiz.drawing.DPI", 60)


def group(documents: int = 4000, median: float = 80.0, spread: float = 0.6, name: str = "web") -> Group:
    perplexities = np.exp(RNG.normal(math.log(median), spread, documents))
    lengths = np.ceil(np.exp(RNG.normal(5, 1, documents)))
    kept = RNG.random(documents) < Gaussian(median=median, width=2 / 9).keep_probability(perplexities)
    return Group("es", name, Tally.of(perplexities, lengths), Tally.of(perplexities[kept], lengths[kept]))


def axes_of():
    return Figure(figsize=(3.5, 2.6)).subplots()


def test_histograms_are_shares_of_all_documents():
    axes, one = axes_of(), group()
    edges = plots.perplexity_edges(one.before.perplexity)
    handles = plots.draw_group(axes, one, edges)
    inside = [np.sum(handle.get_data().values) for handle in handles]
    assert inside[0] == pytest.approx(100)  # the outermost bars count what lies beyond the axis
    assert inside[1] == pytest.approx(100.0, abs=0.5)
    assert axes.get_xlim() == pytest.approx((edges[0], edges[-1]))
    assert axes.get_xscale() == "log"


def test_the_curve_is_the_samplers():
    axes = axes_of()
    axes.set_xscale("log")
    axes.set_xlim(10, 1000)
    kernel = Stepwise(boundaries=(50.0, 80.0, 130.0), factor=30.0)
    twin, lines = plots.draw_curves(axes, [("stepwise", kernel), ("gaussian", Gaussian(median=80.0))])
    x, y = lines[0].get_data()
    assert x[0] == pytest.approx(10)
    assert x[-1] == pytest.approx(1000)
    assert np.array_equal(y, kernel.keep_probability(x))
    assert np.array_equal(lines[1].get_ydata(), Gaussian(median=80.0).keep_probability(x))
    assert len({line.get_color() for line in lines}) == len({line.get_linestyle() for line in lines}) == 2
    assert twin.get_ylim()[0] == 0
    assert 1 <= twin.get_ylim()[1] < 1.1


def test_every_curve_is_drawn_and_no_two_look_alike():
    axes = axes_of()
    axes.set_xscale("log")
    axes.set_xlim(10, 1000)
    curves = [(str(median), Gaussian(median=median)) for median in range(20, 160, 10)]
    _, lines = plots.draw_curves(axes, curves)
    assert [line.get_label() for line in lines] == [label for label, _ in curves]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(curves) == 14


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3, 0.8, 2.0])
def test_labels_of_quartiles_do_not_touch(spread):
    figure = Figure(figsize=(3.5, 2.6), dpi=100, layout="constrained")
    axes, histogram = figure.subplots(), group(spread=spread).before.perplexity
    axes.set_xscale("log")
    edges = plots.perplexity_edges(histogram)
    axes.set_xlim(edges[0], edges[-1])
    plots.mark_quartiles(axes, histogram)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text().split("\n")[0] for text in axes.texts] == ["25%", "50%", "75%"]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :])
    lines = [line.get_xdata()[0] for line in axes.lines]
    assert lines == [histogram.quantile(q) for q in (0.25, 0.5, 0.75)]


def test_short_lengths_are_not_drawn_as_combs():
    histogram = LogHistogram.of(np.repeat(np.arange(1.0, 60.0), 50))
    edges = plots.length_edges(histogram)
    assert np.all(np.diff(edges) >= 1)
    assert np.all(edges % 1 == 0.5)
    heights = plots._density(histogram, edges) / (edges[:-1] + edges[1:])  # even lengths: height grows with length
    assert heights.max() < 2.1 * heights.min()


def test_a_grid_counts_each_document_in_its_cell():
    perplexities, lengths = np.array([1.0, 1.01, 100.0, 7e5]), np.array([1.0, 1.0, 300.0, 5.0])
    grid = Grid.of(perplexities[:2], lengths[:2]) + Grid.of(perplexities[2:], lengths[2:])
    assert np.array_equal(grid.counts, Grid.of(perplexities, lengths).counts)
    for chosen in (grid, grid.coarser()):
        rows, columns, counts = chosen.dense(chosen)
        expected = np.histogram2d(perplexities, lengths, bins=(rows, columns))[0]
        assert np.array_equal(counts, expected)
        assert counts.sum() == 4
    assert len(grid.coarser().dense(grid.coarser())[0]) < len(grid.dense(grid)[0])


def test_a_median_lies_within_its_bin():
    assert plots._median(np.array([0, 4, 0]), np.array([1.0, 2.0, 4.0, 8.0])) == 3.0
    assert plots._median(np.array([1, 2, 1]), np.array([1.0, 2.0, 4.0, 8.0])) == 3.0


def test_ticks_are_few_and_plain():
    for low, high in ((3.0, 900.0), (90.0, 140.0), (60.0, 950.0), (1.0, 1e7), (4e5, 9e5)):
        axes = axes_of()
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        log_axis(axes.xaxis, low, high)
        ticks = [t for t in axes.xaxis.get_majorticklocs() if low <= t <= high]
        assert 2 <= len(ticks) <= 8, (low, high, ticks)
    assert [number(v) for v in (0.01, 20.0, 1000.0, 30000.0, 1e5, 2e6, 0)] == [
        "0.01", "20", "1,000", "30,000", "10⁵", "2×10⁶", "0",
    ]  # fmt: skip


def test_names_that_the_font_lacks_are_numbered():
    assert drawable("c4-es · $a_b$ ñ Ж")
    assert not drawable("ウェブ")
    assert not drawable("مرحبا")
    assert not drawable("a\u202eb")
    assert Named(3, "日本", Group("ja", "日本", group().before, None), None).label(30) == "ja · group 3"
    assert shortened("abcdefghij", 5) == "ab…ij"


@pytest.mark.parametrize("count", [2, 30])
@pytest.mark.filterwarnings("error")
def test_any_number_of_groups_is_drawn(tmp_path, count):
    kernel = Gaussian(median=80.0, width=2 / 9)
    named = [
        Named(n, f"source-{n} with a rather long name $x$", group(50 + n, 40.0 * n), kernel)
        for n in range(1, count + 1)
    ]
    for draw in (draw_groups, draw_bars):
        assert draw(named, tmp_path / "plot.png").stat().st_size > 2_000


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("documents", [1, 30])
def test_few_documents_and_none_kept(tmp_path, documents):
    one = group(documents)
    none = Group("", "x", one.before, Tally.of(np.empty(0), np.empty(0)))
    same = Group("", "x", Tally.of(np.full(documents, 5.0), np.full(documents, 3.0)), None)
    for chosen in (one, none, same):
        plots.draw_perplexity(chosen, Gaussian(median=5.0), tmp_path / "a.png")
        plots.draw_length(chosen, "pieces", tmp_path / "b.png")
        plots.draw_perplexity_by_length(chosen, "pieces", tmp_path / "c.png")
        plots.draw_scores(chosen.before.perplexity, tmp_path / "d.png", [("gaussian", Gaussian(median=5.0))])
        draw_bars([Named(1, "x", chosen, None), Named(2, "y", chosen, None)], tmp_path / "e.png")
        draw_groups([Named(1, "x", chosen, None), Named(2, "y", chosen, None)], tmp_path / "f.png")
        drawn = [path.read_bytes() for path in sorted(tmp_path.glob("*.png"))]
        assert [png[1:4] for png in drawn] == [b"PNG"] * 6
        assert min(map(len, drawn)) > 2_000
        for path in tmp_path.glob("*.png"):
            path.unlink()


@pytest.mark.parametrize("sizes", [(7,), (7, 30)])
def test_a_cards_plot_counts_each_group_where_it_is_drawn(tmp_path, monkeypatch, sizes):
    figures = []

    @contextmanager
    def kept(*arguments):
        with drawing(*arguments) as figure:
            figures.append(figure)
            yield figure

    monkeypatch.setattr(cards, "drawing", kept)
    histograms = [LogHistogram.of(np.geomspace(20, 500, size)).to_builtins() for size in sizes]
    both = {f"g{n}": {"before": one, "after": one} for n, one in enumerate(histograms)}
    cards.draw_perplexity({"perplexities": both, "groups": {name: {} for name in both}}, tmp_path / "plot.png")
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    titles = [axes.get_title() for axes in figures[0].axes]
    if len(sizes) == 1:
        assert (legend, titles) == (["before: 7 documents", "kept: 7 documents"], [""])
    else:
        assert legend == ["before", "kept"]
        assert titles == ["g0\n7 of 7 documents kept", "g1\n30 of 30 documents kept"]
