"""The plot of `tamiz tokenizer eval`: languages as rows, tokenizers as colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tamiz.drawing import (
    AFTER,
    BEFORE_EDGE,
    CURVE,
    INK,
    PAGE,
    drawable,
    drawing,
    legend_above,
    number,
    shortened,
)
from tokenizer_train.evaluation.tally import words_mean_little

# Okabe and Ito's palette, then greys
COLOURS = (AFTER, CURVE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00", INK, BEFORE_EDGE)
MOST_TOKENIZERS = len(COLOURS)
MOST_GROUPS = 12
MUCH_UNKNOWN = 0.005  # share of tokens


def draw_tokenizers(facts: Mapping[str, Any], path: Path) -> Path:
    """Fertility, tokens per 1,000 characters and continued words by language (by source if no language is known)."""
    groups = plotted_groups(facts)
    names = [tokenizer["name"] for tokenizer in facts["tokenizers"]][:MOST_TOKENIZERS]
    height = 0.85 + len(groups) * (0.16 * len(names) + 0.14)
    with drawing(path, PAGE, max(height, 1.6)) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        labels = ("fertility (tokens per word)", "tokens per 1,000 characters", "continued words (% of words)")
        for axes, label, value in zip(panels, labels, (_fertility, _per_characters, _continued), strict=True):
            handles = _bars(axes, groups, names, value)
            axes.set_xlabel(label)
        panels[0].set_yticks(np.arange(len(groups)), [_label(group) for group, _ in groups])
        panels[0].set_ylim(len(groups) - 0.5, -0.5)
        legend_above(figure, handles, columns=min(len(names), 4))
        left_out = _left_out(facts, len(names), len(groups))
        if left_out:
            figure.supxlabel(f"not drawn, but in eval.json: {left_out}", fontsize=6, color=BEFORE_EDGE)
    return path


def plotted_groups(facts: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """(name, figures by tokenizer) of languages, or of sources if no language is known; most bytes first."""
    return sorted(_level(facts).items(), key=lambda item: (-_first(item[1])["bytes"], item[0]))[:MOST_GROUPS]


def _level(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    languages: Mapping[str, Any] = facts["per"]["language"]
    sources: Mapping[str, Any] = facts["per"]["source"]
    return sources if list(languages) == ["unknown"] else languages


def _left_out(facts: Mapping[str, Any], tokenizers: int, groups: int) -> str:
    more = (len(facts["tokenizers"]) - tokenizers, max(len(_level(facts)) - groups, 0))
    return " and ".join(f"{n} more {what}" for n, what in zip(more, ("tokenizers", "rows"), strict=True) if n)


def _first(by_tokenizer: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(iter(by_tokenizer.values()))
    return found


def _fertility(figures: Mapping[str, Any]) -> float | None:
    return None if words_mean_little(figures) else figures["fertility"]


def _per_characters(figures: Mapping[str, Any]) -> float | None:
    value: float | None = figures["tokens_per_1000_characters"]
    return value


def _continued(figures: Mapping[str, Any]) -> float | None:
    return None if words_mean_little(figures) else 100 * (figures["continued_word_share"] or 0.0)


def _bars(axes: Any, groups: Sequence[tuple[str, Mapping[str, Any]]], names: Sequence[str], value: Any) -> list[Any]:
    """A bar for each group and tokenizer, with its value. Hatched if many tokens are unknown, which shortens bars."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    width = 0.8 / len(names)
    found = [[value(by[name]) for _, by in groups] for name in names]
    most = max((v for row in found for v in row if v is not None), default=1.0) or 1.0
    handles = []
    for n, (name, row) in enumerate(zip(names, found, strict=True)):
        places = np.arange(len(groups)) + (n - (len(names) - 1) / 2) * width
        shown = shortened(name, 28) if drawable(name) else f"tokenizer {n + 1}"
        bars = axes.barh(places, [v or 0.0 for v in row], 0.92 * width, color=COLOURS[n])
        handles.append(Patch(color=COLOURS[n], label=shown))
        for bar, v, (_, by) in zip(bars, row, groups, strict=True):
            _mark(axes, bar, v, by[name], most / 60, middle=n == len(names) // 2)
    axes.set_xlim(0, most * 1.4)
    axes.set_xticks([tick for tick in MaxNLocator(5).tick_values(0, most) if tick <= 1.05 * most])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: number(v)))
    axes.tick_params(axis="y", length=0)
    return handles


def _mark(axes: Any, bar: Any, value: float | None, figures: Mapping[str, Any], gap: float, *, middle: bool) -> None:
    """Writes the value next to a bar; a group without values gets one line of text."""
    place = bar.get_y() + bar.get_height() / 2
    if value is None:
        if middle:
            axes.text(gap, place, "no spaces between words", va="center", fontsize=6, color=BEFORE_EDGE)
        return
    text, unknown = number(float(f"{value:.3g}")), figures["unknown_rate"] or 0.0
    if unknown >= MUCH_UNKNOWN:
        bar.set(hatch="////", edgecolor="white", linewidth=0)
        text += f" ({unknown:.0%} <unk>)"
    axes.text(value + gap, place, text, va="center", fontsize=6)


def _label(group: str) -> str:
    return shortened(group, 22) if drawable(group) else "?"
