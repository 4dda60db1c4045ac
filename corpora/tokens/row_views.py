"""A stored row, by objective, as segments and facts for a person."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from corpora.tokens.inspect_rows import Row
from corpora.tokens.readable import Chunk, Reader, Reassembled, Segment, reassemble


class View(NamedTuple):
    """What is shown of a row. facts: (what, value). problems: what shouldn't be."""

    segments: list[Segment]
    facts: list[tuple[str, str]]
    problems: list[str]


def view(row: Row, facts: Mapping[str, Any], reader: Reader) -> View:
    """The row as its objective has it: with labels, source and target together; else documents one after another."""
    return spans_view(row, facts, reader) if "labels" in row.columns else documents_view(row, reader)


def spans_view(row: Row, facts: Mapping[str, Any], reader: Reader) -> View:
    """Span corruption and UL2: each masked span as `[<extra_id_0> -> its target]`, where it was cut out."""
    inputs, labels = np.asarray(row.columns["input_ids"]), np.asarray(row.columns["labels"])
    found = reassemble(inputs.tolist(), labels.tolist(), reader.vocabulary)
    segments: list[Segment] = []
    for chunk in found.chunks:
        segments += reader.read(chunk.ids or []) if chunk.sentinel is None else _masked(chunk, reader)
    end = reader.vocabulary.name(reader.vocabulary.eos_id) or ""
    segments.append(Segment(end, "special"))
    segments += _padding(len(inputs) - found.input_length, _name(reader.vocabulary.pad_id, reader))
    problems = [f"{_name(s, reader)} is in the input, not in the labels" for ids, s in found.chunks if ids is None]
    problems += [f"{_name(s, reader)} is in the labels, not in the input" for s in found.unplaced]
    if not reader.vocabulary.sentinels:
        problems.append("the manifest doesn't say which ids are sentinels: name the tokenizer")
    return View(
        _without_first_spaces(_with_line_ends(segments, end)),
        _span_facts(row, facts, found, inputs, labels),
        problems,
    )


def _masked(chunk: Chunk, reader: Reader) -> list[Segment]:
    """The space that the target begins with stands before the bracket, so that a cut inside a word is seen."""
    target = reader.read(chunk.ids or [], "target")
    before = ""
    if target and target[0].kind == "target" and target[0].text.startswith(" "):
        before, target = " ", [Segment(target[0].text[1:], "target"), *target[1:]]
    if chunk.ids is None:
        target = [Segment("nothing", "broken")]
    return [
        Segment(f"{before}[", "joint"),
        Segment(_name(chunk.sentinel, reader), "sentinel"),
        Segment(" -> ", "joint"),
        *target,
        Segment("]", "joint"),
    ]


def _name(token: int | None, reader: Reader) -> str:
    return (reader.vocabulary.name(token) if token is not None else None) or str(token)


def _span_facts(
    row: Row, facts: Mapping[str, Any], found: Reassembled, inputs: np.ndarray, labels: np.ndarray
) -> list[tuple[str, str]]:
    spans = [ids or [] for ids, sentinel in found.chunks if sentinel is not None]
    noise, raw = sum(map(len, spans)), sum(len(ids or []) for ids, _ in found.chunks)
    noun = "span" if len(spans) == 1 else "spans"
    listed = [("denoiser", denoiser_name(row.columns["denoiser"], facts))] if "denoiser" in row.columns else []
    return [
        *listed,
        ("raw length", f"{raw:,} ids{_expected(raw, row, facts)}"),
        ("masked", f"{noise:,} ids ({noise / max(raw, 1):.1%}) in {len(spans):,} {noun}"),
        ("input", _filled(found.input_length, len(inputs))),
        ("labels", _filled(found.label_length, len(labels))),
    ]


def _expected(raw: int, row: Row, facts: Mapping[str, Any]) -> str:
    """A remark where the manifest says another length."""
    said = (_denoiser(row.columns.get("denoiser"), facts) or facts).get("raw_length")
    return "" if said is None or said == raw else f", the manifest says {said:,}"


def _filled(length: int, width: int) -> str:
    return f"{length:,} ids" + (f" of {width:,}; {width - length:,} padding" if length < width else ", </s> included")


def _denoiser(number: Any, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    named = facts.get("denoisers") or []
    return named[number] if number is not None and 0 <= number < len(named) else None


def denoiser_name(number: Any, facts: Mapping[str, Any]) -> str:
    """Its number, name, density and mean span, as far as the manifest says."""
    chosen = _denoiser(number, facts)
    if chosen is None:
        return f"{number}, of which the manifest says nothing"
    more = [f"noise density {chosen['noise_density']:g}"] if "noise_density" in chosen else []
    mean = chosen.get("mean_noise_span_length", 0)
    more += ["one span, at the end"] if mean is None else [f"mean span {mean:g}"] if mean else []
    return f"{number} {chosen.get('name', '')}".rstrip() + (f" ({', '.join(more)})" if more else "")


def documents_view(row: Row, reader: Reader) -> View:
    """Causal rows: a line at each border between documents."""
    ids = np.asarray(row.columns["input_ids"])
    length = min(int(row.columns.get("num_tokens", len(ids))), len(ids))
    starts = [int(s) for s in np.asarray(row.columns.get("document_starts", np.empty(0, np.int64)))]
    segments: list[Segment] = []
    for begin, end in pairwise(sorted({0, length, *(s for s in starts if s < length)})):
        title = f"a document begins at {begin:,}" if begin in starts else "goes on from the row before"
        segments.append(Segment(f"── {title} ──\n", "border"))
        segments += [*reader.read(ids[begin:end].tolist()), Segment("\n", "text")]
    segments += _padding(len(ids) - length, _name(reader.vocabulary.pad_id, reader))
    known = "document_starts" in row.columns
    listed = [
        ("documents that begin here", f"{len(starts):,}" if known else "not recorded"),
        ("tokens", _filled(length, len(ids)).removesuffix(", </s> included")),
        ("target", shift(len(ids))),
    ]
    problems = [f"document_starts has {s}, past the row's {length} ids" for s in starts if s >= length]
    return View(_without_first_spaces(segments), listed, problems)


def shift(width: int) -> str:
    """Which ids predict which. A power of two and one is mesh-transformer-jax's width: input and target overlap."""
    if width > 2 and (width - 1) & (width - 2) == 0:
        return f"ids 1 to {width - 1:,} (row[1:]) for ids 0 to {width - 2:,} (row[:-1]), {width - 1:,} each"
    return f"the same {width:,} ids, each predicted from those before it"


def _padding(number: int, name: str) -> list[Segment]:
    return [Segment(f" {name} x {number:,}", "special")] if number > 0 else []


def _with_line_ends(segments: list[Segment], name: str) -> list[Segment]:
    """A line ends after each document but the last."""
    last = max((n for n, s in enumerate(segments) if s.text == name), default=-1)
    return [
        Segment(f"{s.text}\n", s.kind) if s.text == name and s.kind == "special" and n != last else s
        for n, s in enumerate(segments)
    ]


def _without_first_spaces(segments: list[Segment]) -> list[Segment]:
    """Lines don't begin with the space that a document's first piece carries."""
    befores = [Segment("\n", "text"), *segments]
    return [
        Segment(s.text.removeprefix(" "), s.kind) if before.text.endswith("\n") else s
        for before, s in zip(befores, segments, strict=False)
    ]
