"""Stored rows of `input_ids` and `labels`: recounted, and displayed for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from corpora.tokens.facts import SentinelIds, ShardFacts
from corpora.tokens.plain_rows import checked_ids
from corpora.tokens.readable import Chunk, Reader, Reassembled, Segment, reassemble
from corpora.tokens.row_views import Row, View, filled, name_of, padding, without_first_spaces
from corpora.tokens.shards import Column


def masked_ids(columns: Mapping[str, Column], facts: ShardFacts) -> int:
    """The number of stream ids: without padding, sentinels, and the EOS of inputs and labels.

    Raises ValueError for rows that the facts don't allow, such as inputs whose sentinels the labels lack, KeyError
    for a missing column.
    """
    inputs, labels = checked_ids(columns, "input_ids", facts), checked_ids(columns, "labels", facts)
    masked = [_sentinels(rows, facts.sentinel_ids) for rows in (inputs, labels)]
    if not np.array_equal(inputs[masked[0]], labels[masked[1]]) or np.any(masked[0].sum(1) != masked[1].sum(1)):
        raise ValueError("the inputs and labels of a row have different sentinels")
    return sum(_before_end(rows, facts) for rows in (inputs, labels)) - 2 * int(np.count_nonzero(masked[0]))


def _before_end(rows: npt.NDArray[Any], facts: ShardFacts) -> int:
    """The number of ids before each row's final EOS; only padding follows it. (Text may yield the padding id.)"""
    ends = rows == facts.eos_id
    if not ends.any(1).all():
        raise ValueError("a row without EOS")
    lengths = rows.shape[1] - np.argmax(ends[:, ::-1], axis=1)
    if np.any(rows[np.arange(rows.shape[1]) >= lengths[:, None]] != facts.pad_id):
        raise ValueError("ids other than padding after a row's EOS")
    return int(lengths.sum()) - len(rows)


def _sentinels(rows: npt.NDArray[Any], known: SentinelIds | None) -> npt.NDArray[np.bool_]:
    if known is None:
        raise ValueError("masked rows, but the manifest names no sentinels")
    lowest, highest = known.ends
    sentinels: npt.NDArray[np.bool_] = (rows >= lowest) & (rows <= highest)
    return sentinels


def spans_view(row: Row, facts: ShardFacts, reader: Reader) -> View:
    """Source and target together: each masked span as `[<extra_id_0> -> its target]`, in its place."""
    inputs, labels = row.ids("input_ids"), row.ids("labels")
    whole = reassemble(inputs.tolist(), labels.tolist(), reader.vocabulary)
    segments: list[Segment] = []
    for chunk in whole.chunks:
        segments += reader.read(chunk.ids or []) if chunk.sentinel is None else _masked(chunk, reader)
    end = reader.vocabulary.name(reader.vocabulary.eos_id) or ""
    segments.append(Segment(end, "special"))
    segments += padding(len(inputs) - whole.input_length, reader)
    problems = [f"{name_of(s, reader)} is in the input, not in the labels" for ids, s in whole.chunks if ids is None]
    problems += [f"{name_of(s, reader)} is in the labels, not in the input" for s in whole.unplaced]
    if not reader.vocabulary.sentinels:
        problems.append("the manifest doesn't say which ids are sentinels: name the tokenizer")
    shown = without_first_spaces(_with_line_ends(segments, end))
    return View(shown, _facts(row, facts, whole, len(inputs), len(labels)), problems)


def _masked(chunk: Chunk, reader: Reader) -> list[Segment]:
    """A space at the start of the target goes before the bracket, so that a cut inside a word is visible."""
    target = reader.read(chunk.ids or [], "target")
    before = ""
    if target and target[0].kind == "target" and target[0].text.startswith(" "):
        before, target = " ", [Segment(target[0].text[1:], "target"), *target[1:]]
    if chunk.ids is None:
        target = [Segment("nothing", "broken")]
    return [
        Segment(f"{before}[", "joint"),
        Segment(name_of(chunk.sentinel, reader), "sentinel"),
        Segment(" -> ", "joint"),
        *target,
        Segment("]", "joint"),
    ]


def _facts(
    row: Row, facts: ShardFacts, whole: Reassembled, input_width: int, label_width: int
) -> list[tuple[str, str]]:
    spans = [ids or [] for ids, sentinel in whole.chunks if sentinel is not None]
    noise, raw = sum(map(len, spans)), sum(len(ids or []) for ids, _ in whole.chunks)
    noun = "span" if len(spans) == 1 else "spans"
    number = row.value("denoiser")
    return [
        *([] if number is None else [("denoiser", denoiser_name(number, facts))]),
        ("raw length", f"{raw:,} ids{_unexpected(raw, number, facts)}"),
        ("masked", f"{noise:,} ids ({noise / max(raw, 1):.1%}) in {len(spans):,} {noun}"),
        ("input", _with_end(whole.input_length, input_width)),
        ("labels", _with_end(whole.label_length, label_width)),
    ]


def _unexpected(raw: int, number: int | None, facts: ShardFacts) -> str:
    """A remark if the manifest states another length."""
    expected = (facts.denoiser(number) or facts).raw_length
    return "" if expected in (None, UNSET, raw) else f", but the manifest says {expected:,}"


def _with_end(length: int, width: int) -> str:
    return filled(length, width) + (", </s> included" if length >= width else "")


def denoiser_name(number: int, facts: ShardFacts) -> str:
    """The denoiser's number, name, density and mean span, as far as the manifest states them."""
    chosen = facts.denoiser(number)
    if chosen is None:
        return f"{number}, which the manifest doesn't describe"
    density, mean = chosen.noise_density, chosen.mean_noise_span_length
    more = [] if density is UNSET else [f"noise density {density:g}"]
    if mean is not UNSET:
        more.append("one span, at the end" if mean is None else f"mean span {mean:g}")
    return f"{number} {chosen.name}".rstrip() + (f" ({', '.join(more)})" if more else "")


def _with_line_ends(segments: list[Segment], end: str) -> list[Segment]:
    """Ends the line after each document but the last. end: how EOS is shown."""
    last = max((n for n, s in enumerate(segments) if s.text == end), default=-1)
    return [
        Segment(f"{s.text}\n", s.kind) if s.text == end and s.kind == "special" and n != last else s
        for n, s in enumerate(segments)
    ]
