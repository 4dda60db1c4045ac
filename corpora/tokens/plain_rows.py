"""Stored rows of plain ids: recounted, summarised, and displayed for people."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from corpora.tokens.facts import ShardFacts
from corpora.tokens.readable import Reader, Segment
from corpora.tokens.row_views import Row, View, filled, padding, without_first_spaces
from corpora.tokens.shards import Column


def plain_ids(columns: Mapping[str, Column], facts: ShardFacts) -> int:
    """The number of ids in `input_ids` that aren't padding.

    Raises ValueError for rows that the facts don't allow, KeyError for a missing column.
    """
    ids = checked_ids(columns, "input_ids", facts)
    if "num_tokens" not in columns:
        return int(ids.size)
    lengths = columns["num_tokens"]
    if not isinstance(lengths, np.ndarray) or lengths.shape != (len(ids),):
        raise ValueError("num_tokens isn't one number per row")
    if len(lengths) and not 0 < lengths.min() <= lengths.max() <= ids.shape[1]:
        raise ValueError(f"num_tokens from {lengths.min()} to {lengths.max()} in rows of {ids.shape[1]}")
    beyond = np.arange(ids.shape[1]) >= lengths[:, None]
    if np.any(ids[beyond] != facts.pad_id):
        raise ValueError("ids other than padding after a row's num_tokens")
    return int(lengths.sum())


def checked_ids(columns: Mapping[str, Column], name: str, facts: ShardFacts) -> npt.NDArray[Any]:
    """A column of ids [n, width]. Raises ValueError for another shape or ids out of bounds, KeyError if missing."""
    rows = columns[name]
    if not isinstance(rows, np.ndarray) or rows.ndim != 2:
        raise ValueError(f"column {name} isn't lists of one length")
    if rows.size and not 0 <= rows.min() <= rows.max() < facts.vocab_size:
        wrong = rows.min() if rows.min() < 0 else rows.max()
        raise ValueError(f"id {wrong} in a vocabulary of {facts.vocab_size}")
    return rows


def padding_share(split: str, facts: ShardFacts) -> list[tuple[str, str]]:
    """A line for the summary if rows of a split are short; none if all are full."""
    account = {} if facts.account is UNSET else facts.account
    places = account[split].rows * facts.sequence_length
    if account[split].row_ids >= places:
        return []
    return [(f"padding, {split}", f"{1 - account[split].row_ids / places:.2%}")]


def documents_view(row: Row, reader: Reader) -> View:
    """One document after another, with a line at each border."""
    ids = row.ids("input_ids")
    num_tokens = row.value("num_tokens")
    length = len(ids) if num_tokens is None else min(num_tokens, len(ids))
    known = "document_starts" in row.columns
    starts = [int(start) for start in row.ids("document_starts")] if known else []
    segments: list[Segment] = []
    for begin, end in pairwise(sorted({0, length, *(s for s in starts if s < length)})):
        title = f"a document begins at {begin:,}" if begin in starts else "continues from the row before"
        segments.append(Segment(f"── {title} ──\n", "border"))
        segments += [*reader.read(ids[begin:end].tolist()), Segment("\n", "text")]
    segments += padding(len(ids) - length, reader)
    facts = [
        ("documents that begin here", f"{len(starts):,}" if known else "not recorded"),
        ("tokens", filled(length, len(ids))),
        ("target", shift(len(ids))),
    ]
    problems = [f"document_starts has {s}, past the row's {length} ids" for s in starts if s >= length]
    return View(without_first_spaces(segments), facts, problems)


def shift(width: int) -> str:
    """Which ids predict which. A power of two plus one is mesh-transformer-jax's width: input and target overlap."""
    if width > 2 and (width - 1) & (width - 2) == 0:
        return f"ids 1 to {width - 1:,} (row[1:]) for ids 0 to {width - 2:,} (row[:-1]), {width - 1:,} each"
    return f"the same {width:,} ids, each predicted from those before it"
