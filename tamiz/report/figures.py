"""The plots of a report, with their captions and alternative texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.sampling.curve import Curve
from tamiz.report.folders import Scored
from tamiz.report.group_plots import MOST_BARS, MOST_PANELS, Named, draw_bars, draw_groups
from tamiz.report.plots import draw_length, draw_perplexity, draw_perplexity_by_length
from tamiz.report.summary import Group, Summary

TAILS = "The outermost bars also count the documents beyond the axis."


@dataclass(frozen=True)
class Figure:
    """A finished plot. wide: as wide as both columns of a paper."""

    title: str
    path: Path
    alt: str
    caption: str
    wide: bool = False


def unit_of(scored: Scored) -> str:
    """The unit of num_tokens: tokens of the language model, plus one for each line."""
    return "words" if scored.scored.made_from.settings.get("mode") == "bertin" else "pieces"


def perplexity_figures(summary: Summary, named: Sequence[Named], home: Path) -> list[Figure]:
    """Draws the plots of perplexity into `home`; those that compare groups only if there are several groups."""
    figures = [_perplexity(summary.total, common_curve(named), len(summary.languages), home)]
    return [*figures, _groups(named, home), _bars(named, home)] if len(named) > 1 else figures


def length_figures(summary: Summary, unit: str, home: Path) -> list[Figure]:
    return [_length(summary.total, unit, home), _perplexity_by_length(summary.total, unit, home)]


def common_curve(named: Sequence[Named]) -> Curve | None:
    """The curve that all groups share; None if their curves differ."""
    first = named[0].curve
    return first if all(n.curve == first for n in named) else None


def _perplexity(total: Group, curve: Curve | None, languages: int, home: Path) -> Figure:
    quartiles = " / ".join(f"{value:,.3g}" for value in total.before.quartiles())
    what = f"Perplexity of {total.before.documents:,} documents"
    caption = f"Share of documents by perplexity (log scale); dotted lines: quartiles. {TAILS}"
    if total.after:
        what += f" before and {total.after.documents:,} after sampling"
        caption = caption.replace("quartiles.", "quartiles before sampling.") + " Each histogram adds up to 100%."
    alt = f"{what}, as histograms on a log scale; quartiles {quartiles}."
    if curve:
        alt += " The keep probability, from 0 to 1, is drawn over them."
        caption += " Orange, right axis: the probability with which a document of that perplexity was kept."
    if languages > 1:
        caption += " Perplexities of different languages can't be compared: each language is shown separately below."
    return Figure("Perplexity", draw_perplexity(total, curve, home / "perplexity.png"), alt, caption)


def _groups(named: Sequence[Named], home: Path) -> Figure:
    shown = min(len(named), MOST_PANELS)
    caption = "As above, by language and source; dotted: the group's median."
    if named[0].curve:
        caption += " Orange, right axis: the keep probability."
    if shown < len(named):
        caption += f" The {shown} largest of {len(named):,} groups."
    alt = f"Histograms of perplexity of {shown} groups: " + "; ".join(_described(n) for n in named[:shown]) + "."
    path = draw_groups(named, home / "groups.png")
    return Figure("Perplexity by language and source", path, alt, caption, wide=True)


def _bars(named: Sequence[Named], home: Path) -> Figure:
    shown = min(len(named), MOST_BARS)
    caption = "Documents and median perplexity of each group"
    caption += "; grey: before sampling, blue: after." if named[0].group.after else "."
    if shown < len(named):
        caption += f" The {shown} largest of {len(named):,} groups."
    alt = f"Documents, kept share and median perplexity of {shown} groups; the table below has the figures."
    return Figure("Sources and languages", draw_bars(named, home / "composition.png"), alt, caption, wide=True)


def _described(named: Named) -> str:
    return f"{named.name}, median {named.group.before.perplexity.quantile(0.5):,.3g}"


def _length(total: Group, unit: str, home: Path) -> Figure:
    alt = f"Histogram of lengths on a log scale, median {total.before.length.quantile(0.5):,.0f} {unit}"
    if total.after and total.after.documents:
        alt += f" before and {total.after.length.quantile(0.5):,.0f} after sampling"
    caption = (
        f"Share of documents by length in {unit} of the language model (plus one per line); dashed: medians. {TAILS}"
    )
    return Figure("Length", draw_length(total, unit, home / "length.png"), f"{alt}.", caption)


def _perplexity_by_length(total: Group, unit: str, home: Path) -> Figure:
    path = draw_perplexity_by_length(total, unit, home / "perplexity-by-length.png")
    alt = "Perplexity against length, both on log scales, as shares of documents in cells; a line marks the medians."
    caption = "Share of documents in each cell; orange: the median perplexity of documents of that length."
    return Figure("Perplexity against length", path, alt, caption, wide=bool(total.after and total.after.documents))
