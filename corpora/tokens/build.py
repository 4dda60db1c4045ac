"""Texts to shards: the work on one item, and the last part, made from the ids that the items left over.

The account of every part of a split: ids encoded + separators + ids carried in = ids in rows + ids left over
(`unaccounted`). Sentinels, the EOS of inputs and labels, and padding don't count as ids in rows.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol, Self

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from corpora.encoding.byte_encoder import CONTINUATION_IDS, ByteEncoder
from corpora.encoding.flat import FlatIds, id_dtype
from corpora.errors import BadArgument
from corpora.home import Home, Place
from corpora.randomness import digest
from corpora.stores.base import FileRecord
from corpora.texts import Utf8
from corpora.tokens.best_fit import BestFit
from corpora.tokens.concatenate import Concatenation, Separators, Stream
from corpora.tokens.packing_kernels import NO_ID, count_ids
from corpora.tokens.row_maker import Vocabulary
from corpora.tokens.rows import Rows, Tail, group_rows
from corpora.tokens.settings import ShardSettings
from corpora.tokens.shards import ShardWriter
from corpora.tokens.split import SPLITS, validation_mask


class TextEncoder(Vocabulary, Protocol):
    """A vocabulary that encodes. Text never yields special ids, and none are added."""

    def encode_flat(self, texts: Utf8, /) -> FlatIds: ...


class SplitShard(msgspec.Struct, frozen=True, kw_only=True):
    """One part of one split: its ids in, rows out, and ids left over."""

    documents: int
    ids_encoded: int
    separators: int
    carried: int  # ids from other parts' tails
    rows: int
    row_ids: int  # stream ids in the rows
    row_kinds: list[int]  # rows of each kind (ul2: denoiser)
    file: str | None  # relative to the shards' folder; None if there are no rows
    tail: Tail
    target_counts: bytes  # count of each id in the rows: little-endian int64[vocab_size], zlib; empty without rows
    text_bytes: int | UnsetType = UNSET  # of the documents' texts, UTF-8; unset in the notes of an older tamiz

    def counts(self, vocab_size: int) -> npt.NDArray[np.int64]:
        if not self.target_counts:
            return np.zeros(vocab_size, np.int64)
        return np.frombuffer(zlib.decompress(self.target_counts), "<i8")


class ItemShards(msgspec.Struct, frozen=True, kw_only=True):
    """The part that one work item wrote, by split."""

    part: str
    splits: dict[str, SplitShard]

    @property
    def documents(self) -> int:
        return sum(split.documents for split in self.splits.values())

    @property
    def files(self) -> list[str]:
        return [split.file for split in self.splits.values() if split.file is not None]


def build_item(
    batches: Iterable[Utf8],
    encoder: TextEncoder,
    settings: ShardSettings,
    *,
    folder: Place,
    part: str,
    written: list[FileRecord] | None = None,
) -> ItemShards:
    """Writes FOLDER/{train,validation}/PART.parquet from batches of texts; no file for a split without rows.

    Memory: one batch and, per split, one row group (best-fit: one window). The same texts in the same order give the
    same bytes, however they are batched. Noise is keyed by (split, part, row).

    written: takes the records of the files. folder: an address, too.

    Raises:
        BadArgument: the encoder doesn't support the settings (raised before any text is read).
    """
    with contextlib.ExitStack() as stack:
        builders = _builders(stack, encoder, settings, folder, part)
        for texts in batches:
            ids, sizes = encoder.encode_flat(texts), np.diff(texts.offsets)
            held_out = validation_mask(texts, settings.validation_fraction, settings.seed)
            for split, builder in builders.items():
                builder.add(ids, held_out if split == "validation" else ~held_out, sizes)
        finished = ItemShards(part=part, splits={split: builder.finish() for split, builder in builders.items()})
    _note(written, builders, folder)
    return finished


def finish_tails(
    items: Iterable[ItemShards],
    encoder: Vocabulary,
    settings: ShardSettings,
    *,
    folder: Place,
    part: str,
    written: list[FileRecord] | None = None,
) -> ItemShards:
    """Packs the items' tails, in the order given, into a last part per split.

    Its `documents`, `ids_encoded` and `separators` are 0, since the items have counted them. Its own tails are the
    run's remainder: less than one row per split (best-fit: none).
    """
    with contextlib.ExitStack() as stack:
        builders = _builders(stack, encoder, settings, folder, part)
        for item in items:
            for split, builder in builders.items():
                builder.add_tail(item.splits[split].tail)
        finished = {split: builder.finish(last=True) for split, builder in builders.items()}
    _note(written, builders, folder)
    return ItemShards(part=part, splits=finished)


def _note(written: list[FileRecord] | None, builders: Mapping[str, _SplitBuilder], folder: Place) -> None:
    """Adds the records of the files, which are there once the builders' block has ended."""
    for builder in builders.values():
        if written is not None:
            written += builder.records(Home.of(folder))


def check_settings(settings: ShardSettings, vocabulary: Vocabulary) -> None:
    """Raises BadArgument if the vocabulary doesn't support the settings."""
    settings.rows(vocabulary)
    separators(settings, vocabulary)
    if settings.character_borders:
        _inside_characters(vocabulary)


def unaccounted(part: SplitShard) -> int:
    """Ids that one part lost (> 0) or made up (< 0); 0 if the account is right."""
    return part.ids_encoded + part.separators + part.carried - part.row_ids - part.tail.num_ids


class _SplitBuilder:
    """Packs, corrupts and writes one split of one part."""

    def __init__(self, encoder: Vocabulary, settings: ShardSettings, folder: Place, split: str, part: str) -> None:
        self._maker = settings.rows(encoder)
        self._file = f"{split}/{part}.parquet"
        self._writer = ShardWriter(Home.of(folder).at(self._file), self._maker.columns)
        self._base = digest(settings.seed, "rows", split, part)
        self._stream = Stream(id_dtype(encoder.vocab_size), separators(settings, encoder))
        self._packer = self._packing(settings, encoder)
        self._row_ids = self._text_bytes = 0
        self._row_kinds = np.zeros(len(self._maker.widths), np.int64)
        self._pad_id = encoder.pad_id
        self._target_counts = np.zeros(encoder.vocab_size, np.int64)

    def _packing(self, settings: ShardSettings, encoder: Vocabulary) -> Concatenation | BestFit:
        maker = self._maker
        stored = sum(width or 0 for width, _ in maker.columns.values())
        if settings.packing == "best-fit":
            return BestFit(self._stream, settings.sequence_length, group_rows(stored), self._base)
        inside = _inside_characters(encoder) if settings.character_borders else (0, 0)
        kinds = partial(
            maker.kinds, self._base
        )  # holds no `self`, whose buffers would wait for the garbage collector
        return Concatenation(self._stream, kinds, maker.widths, group_rows(stored), inside)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)  # type: ignore[arg-type]

    def records(self, of: Home) -> list[FileRecord]:
        return self._writer.records(of)

    def add(self, documents: FlatIds, chosen: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64]) -> None:
        self._text_bytes += int(sizes[chosen].sum())
        self._stream.add(documents, chosen)
        self._write(self._packer.groups())

    def add_tail(self, tail: Tail) -> None:
        self._stream.add_tail(tail)
        self._write(self._packer.groups())

    def finish(self, *, last: bool = False) -> SplitShard:
        groups, tail = self._packer.finish(last=last)
        self._write(groups)
        stream = self._stream
        return SplitShard(
            documents=stream.documents,
            ids_encoded=stream.ids,
            separators=stream.separators,
            carried=stream.carried,
            rows=self._writer.rows,
            row_ids=self._row_ids,
            row_kinds=self._row_kinds.tolist(),
            file=self._file if self._writer.rows else None,
            tail=tail,
            text_bytes=self._text_bytes,
            target_counts=zlib.compress(self._target_counts.astype("<i8").tobytes(), 1) if self._writer.rows else b"",
        )

    def _write(self, groups: Iterator[Rows]) -> None:
        for rows in groups:
            if not rows.num_rows:
                continue
            columns = self._maker.store(rows, self._base, self._writer.rows)
            self._writer.write(columns)
            self._row_ids += rows.num_ids
            self._row_kinds += np.bincount(rows.kinds, minlength=len(self._row_kinds))
            targets, padding = self._maker.targets(columns, rows)
            count_ids(targets, self._target_counts)
            self._target_counts[self._pad_id] -= padding


def separators(settings: ShardSettings, vocabulary: Vocabulary) -> Separators:
    """The ids before and after every document. Raises BadArgument for a BOS or EOS that the vocabulary lacks."""
    if settings.bos and vocabulary.bos_id is None:
        raise BadArgument(
            "--bos needs a bos_token, which the tokenizer lacks: leave --bos out, or change the tokenizer"
        )
    if settings.eos and vocabulary.eos_id is None:
        raise BadArgument(
            "EOS after every document needs an eos_token, which the tokenizer lacks: set eos_token in its "
            "tokenizer_config.json, or leave EOS out (--no-eos; in a recipe, shards.eos = false)"
        )
    bos_id, eos_id = vocabulary.bos_id if settings.bos else None, vocabulary.eos_id if settings.eos else None
    return Separators(NO_ID if bos_id is None else bos_id, NO_ID if eos_id is None else eos_id)


def _inside_characters(encoder: Vocabulary) -> tuple[int, int]:
    if not isinstance(encoder, ByteEncoder):
        raise BadArgument(
            "--character-borders is only for byte tokenizers, whose rows can split a character: leave it out"
        )
    return CONTINUATION_IDS.start, CONTINUATION_IDS.stop


def _builders(
    stack: contextlib.ExitStack, encoder: Vocabulary, settings: ShardSettings, folder: Place, part: str
) -> dict[str, _SplitBuilder]:
    return {split: stack.enter_context(_SplitBuilder(encoder, settings, folder, split, part)) for split in SPLITS}
