"""HTML for the documents nearest each decile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from corpora.documents.groups import source_of
from corpora.sampling.draw import keep_documents
from tamiz.drawing import number, shortened
from tamiz.excerpts import shown, visible
from tamiz.report.curves import curve_of
from tamiz.report.folders import Scored
from tamiz.report.html import escaped
from tamiz.report.nearest import Decile, Pick
from tamiz.report.texts import Found, ReadBack

NAME_CHARACTERS = 110
SMALLEST_SHOWN = 0.0001
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")


@dataclass(frozen=True)
class Outcome:
    """Whether the sampler kept a document; `kept` is None if its text couldn't be read."""

    probability: float
    kept: bool | None


def outcome_of(scored: Scored, language: str, pick: Pick, found: Found | None) -> Outcome | None:
    """Repeats the draw, which depends only on the document, the seed and the probability. None without a sample."""
    if scored.sample is None:
        return None
    curve = curve_of(scored.sample.facts, language, source_of(pick.name))
    if curve is None:
        return None
    probability = float(curve.keep_probability([pick.perplexity])[0])
    if found is None:
        return Outcome(probability, None)
    seed = int(scored.sample.made_from.settings["seed"])
    kept = keep_documents([found.text], [found.url], [found.timestamp], [probability], seed)
    return Outcome(probability, bool(kept[0]))


def section(scored: Scored, deciles: Sequence[Decile], texts: ReadBack, unit: str) -> list[str]:
    """HTML: deciles from low to high, for each language. The nearest document is visible, the others are folded."""
    languages = list(dict.fromkeys(d.language for d in deciles))
    parts = []
    for language in languages:
        if len(languages) > 1:
            parts.append(f"<h3>Language: <bdi>{escaped(language or 'not named')}</bdi></h3>")
        tag = language if _LANGUAGE.match(language) else scored.language
        for decile in (d for d in deciles if d.language == language):
            heading = "h4" if len(languages) > 1 else "h3"
            parts.append(_decile(scored, decile, texts, unit, tag, heading))
    return parts


def _decile(scored: Scored, decile: Decile, texts: ReadBack, unit: str, tag: str, heading: str) -> str:
    cards = []
    for pick in decile.picks:
        found = texts.documents.get((pick.item, pick.row))
        cards.append(_card(pick, found, outcome_of(scored, decile.language, pick, found), unit, tag))
    name = {0: "The lowest", 100: "The highest"}.get(decile.percent, f"{decile.percent}%")
    shown_value = "" if decile.percent in (0, 100) else f": perplexity {number(float(f'{decile.perplexity:.4g}'))}"
    more = f"<details><summary>{len(cards) - 1} more</summary>{''.join(cards[1:])}</details>" if cards[1:] else ""
    return f"<{heading}>{name}{shown_value}</{heading}>{cards[0]}{more}"


def _card(pick: Pick, found: Found | None, outcome: Outcome | None, unit: str, tag: str) -> str:
    """One document. Its text is shown in its own writing direction, and escaped."""
    figures = [f"perplexity {pick.perplexity:,.4g}", f"{pick.length:,} {unit}"]
    if outcome:
        figures.append(f"keep probability {_probability(outcome.probability)}")
    meta = escaped(" · ".join(figures))
    if outcome and outcome.kept is not None:
        meta += ' · <span class="kept">kept</span>' if outcome.kept else " · not kept"
    meta += f" · <bdi>{escaped(_name(pick.name))}</bdi>, row\N{NO-BREAK SPACE}{pick.row:,}"
    if found is None:
        text = '<p class="soft">text not read</p>'
    else:
        lang = f' lang="{tag}"' if tag else ""
        text = f'<p dir="auto"{lang}>{escaped(shown(found.text))}</p>'
    url = f'<p class="url"><bdi>{escaped(_name(found.url))}</bdi></p>' if found and found.url else ""
    return f'<div class="document"><p class="meta">{meta}</p>{text}{url}</div>'


def _probability(value: float) -> str:
    return f"below {SMALLEST_SHOWN}" if 0 < value < SMALLEST_SHOWN else f"{value:.3g}"


def _name(name: str) -> str:
    """A URL or file name, shortened in the middle if it is long."""
    return shortened(visible(shortened(name, 8 * NAME_CHARACTERS)), NAME_CHARACTERS)
