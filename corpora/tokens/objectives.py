"""What is stored for a group of rows, by objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from corpora.encoding.flat import id_dtype
from corpora.errors import BadArgument
from corpora.randomness import digest, keys
from corpora.tokens import causal, span_corruption
from corpora.tokens.rows import Ids, Positions, Rows
from corpora.tokens.settings import ShardSettings
from corpora.tokens.shapes import RowShape, denoiser_shape, row_shape
from corpora.tokens.shards import SCALAR, Column, ColumnSpec


class Vocabulary(Protocol):
    """What an objective asks of an encoder."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def bos_id(self) -> int | None: ...
    @property
    def eos_id(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def num_sentinels(self) -> int: ...
    def sentinel_id(self, k: int, /) -> int:
        """The id that marks the k-th noise span, from 0."""


class Objective(Protocol):
    """Turns the rows of one part of one split into columns. `base` identifies the part: its noise is keyed by it."""

    @property
    def columns(self) -> dict[str, ColumnSpec]: ...

    @property
    def widths(self) -> Positions:
        """Ids of the stream that a row takes, by kind."""

    def kinds(self, base: int, first: int, count: int) -> npt.NDArray[np.uint8]:
        """The kinds of rows first, first + 1, ... of the part."""

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        """The columns of rows first, first + 1, ... of the part."""

    def targets(self, columns: Mapping[str, Column], rows: Rows) -> tuple[Ids, int]:
        """The ids that a model is asked to predict [n, width], padding included, and how many of them are padding."""


class Corruption:
    """`input_ids` and `labels` of span corruption, of one kind or (UL2) of several, told by `denoiser`."""

    def __init__(self, denoising: span_corruption.Denoising, shares: list[float] | None, dtype: Any) -> None:
        self._denoising, self._dtype = denoising, dtype
        self._mixes = shares is not None
        total = sum(shares or [1.0])
        self._ends = np.cumsum([share / total for share in shares or [1.0]])[:-1]

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        shape = self._denoising.shapes[0]
        found: dict[str, ColumnSpec] = {
            "input_ids": (shape.input_length, self._dtype),
            "labels": (self._denoising.label_length, self._dtype),
        }
        return {**found, "denoiser": (SCALAR, np.uint8)} if self._mixes else found

    @property
    def widths(self) -> Positions:
        return np.array([shape.raw_length for shape in self._denoising.shapes], np.int64)

    def kinds(self, base: int, first: int, count: int) -> npt.NDArray[np.uint8]:
        if not self._mixes:
            return np.zeros(count, np.uint8)
        draws = (keys(digest(base, "denoiser"), first, count) >> np.uint64(11)) / float(1 << 53)
        return np.searchsorted(self._ends, draws, side="right").astype(np.uint8)

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        noise = keys(base, first, rows.num_rows)
        input_ids, labels = span_corruption.corrupt(rows.ids, rows.offsets, noise, rows.kinds, self._denoising)
        columns = {"input_ids": input_ids, "labels": labels}
        return {**columns, "denoiser": rows.kinds} if self._mixes else columns

    def targets(self, columns: Mapping[str, Column], rows: Rows) -> tuple[Ids, int]:
        labels = columns["labels"]
        assert isinstance(labels, np.ndarray)
        own = np.array([shape.num_noise_tokens + shape.num_noise_spans + 1 for shape in self._denoising.shapes])
        return labels, labels.size - int(own[rows.kinds].sum())


class Causal:
    """`input_ids` as they stand, `document_starts`, and `num_tokens` where rows may be short."""

    def __init__(self, width: int, dtype: Any, pad_id: int, *, short: bool) -> None:
        self._width, self._dtype, self._pad_id, self._short = width, dtype, pad_id, short

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        found: dict[str, ColumnSpec] = {
            "input_ids": (self._width, self._dtype),
            "document_starts": (None, np.int32),
        }
        return {**found, "num_tokens": (SCALAR, np.int32)} if self._short else found

    @property
    def widths(self) -> Positions:
        return np.array([self._width], np.int64)

    def kinds(self, base: int, first: int, count: int) -> npt.NDArray[np.uint8]:
        del base, first  # all rows are alike
        return np.zeros(count, np.uint8)

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        del base, first  # no noise
        starts = causal.document_starts(rows.starts, rows.offsets)
        if not self._short:
            return {"input_ids": rows.ids.reshape(-1, self._width), "document_starts": starts}
        lengths = np.diff(rows.offsets).astype(np.int32)
        padded = causal.padded(rows.ids, rows.offsets, self._width, self._pad_id)
        return {"input_ids": padded, "document_starts": starts, "num_tokens": lengths}

    def targets(self, columns: Mapping[str, Column], rows: Rows) -> tuple[Ids, int]:
        ids = columns["input_ids"]
        assert isinstance(ids, np.ndarray)
        wanted = causal.inputs_and_targets(ids)[1]
        return wanted, wanted.size - (rows.num_ids - rows.num_rows)


def objective(settings: ShardSettings, vocabulary: Vocabulary) -> Objective:
    """The objective that `settings` ask for.

    Raises:
        BadArgument: a row has more noise spans than the vocabulary has sentinels.
    """
    dtype = id_dtype(vocabulary.vocab_size)
    if settings.objective == "causal":
        short = settings.packing == "best-fit" or settings.character_borders
        return Causal(settings.sequence_length, dtype, vocabulary.pad_id, short=short)
    shapes = shapes_of(settings)
    spans = max(shape.num_noise_spans for shape in shapes)
    _check_sentinels(spans, vocabulary.num_sentinels, settings)
    if vocabulary.pad_id == vocabulary.eos_id:
        raise BadArgument(
            f"pad and eos are both id {vocabulary.eos_id}, but labels need both: name another pad_token"
        )
    sentinels = np.array(_run_of_sentinels(vocabulary)[:spans], dtype)
    rolls = tuple(settings.rolls and not _is_suffix(settings, kind) for kind in range(len(shapes)))
    denoising = span_corruption.Denoising(shapes, rolls, sentinels, vocabulary.eos_id, vocabulary.pad_id)
    shares = [denoiser.share for denoiser in settings.denoisers] if settings.objective == "ul2" else None
    return Corruption(denoising, shares, dtype)


def shapes_of(settings: ShardSettings) -> tuple[RowShape, ...]:
    """The shapes of corrupted rows, by kind."""
    if settings.objective == "ul2":
        return tuple(denoiser_shape(settings.sequence_length, denoiser) for denoiser in settings.denoisers)
    return (row_shape(settings.sequence_length, settings.noise_density, settings.mean_noise_span_length),)


def _is_suffix(settings: ShardSettings, kind: int) -> bool:
    return settings.objective == "ul2" and settings.denoisers[kind].mean_noise_span_length is None


def _run_of_sentinels(vocabulary: Vocabulary) -> list[int]:
    """Raises BadArgument for ids that aren't a run, up or down: readers of shards tell sentinels by their first and
    last.
    """
    found = [vocabulary.sentinel_id(k) for k in range(vocabulary.num_sentinels)]
    step = 1 if found[0] < found[-1] else -1
    for number, own in enumerate(found):
        if own != found[0] + step * number:
            raise BadArgument(
                f"<extra_id_0> is id {found[0]} and <extra_id_{number}> is id {own}: sentinels must follow each "
                "other upwards or downwards; number them so in the tokenizer"
            )
    return found


def _check_sentinels(spans: int, sentinels: int, settings: ShardSettings) -> None:
    if spans <= sentinels:
        return
    if settings.objective == "ul2":
        most = max(settings.denoisers, key=lambda d: denoiser_shape(settings.sequence_length, d).num_noise_spans)
        mean, density = most.mean_noise_span_length, most.noise_density
        which, more = f"denoiser {most.name} ({mean:g}, {density:g}) has", "use"
    else:
        which, more = "a row would have", "raise --mean-noise-span-length, use"
    raise BadArgument(
        f"{which} {spans} noise spans at sequence_length {settings.sequence_length}, the tokenizer has {sentinels} "
        f"sentinels: {more} a lower --sequence-length or --noise-density, or train it with --extra-ids {spans}"
    )
