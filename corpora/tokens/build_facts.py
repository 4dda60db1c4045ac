"""The facts of shards that have just been built: settings, vocabulary, and the sums of the parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from corpora.encoding import Encoder
from corpora.encoding.byte_encoder import ByteEncoder
from corpora.tokens.build import ItemShards, SplitShard, separators
from corpora.tokens.facts import PartAccount, SentinelIds, ShardFacts, SplitAccount
from corpora.tokens.packing_kernels import NO_ID
from corpora.tokens.settings import ShardSettings
from corpora.tokens.split import SPLITS


def shard_facts(built: Sequence[ItemShards], encoder: Encoder, settings: ShardSettings) -> ShardFacts:
    """The facts from all parts, with the last part at the end."""
    splits = {name: [item.splits[name] for item in built] for name in SPLITS}
    counts = np.zeros(encoder.vocab_size, np.int64)
    for part in splits["train"]:
        counts += part.counts(encoder.vocab_size)
    mixed = "denoiser" in settings.rows(encoder).columns
    return ShardFacts(
        tokenizer_sha256=encoder.sha256,
        encoder=encoder.engine,
        vocab_size=encoder.vocab_size,
        objective=settings.objective,
        packing=settings.packing,
        separator=_separator_policy(settings, encoder),
        sentinels=_sentinel_convention(encoder),
        sentinel_ids=_sentinel_ids(encoder),
        pad_id=encoder.pad_id,
        bos_id=encoder.bos_id,
        eos_id=encoder.eos_id,
        seed=settings.seed,
        sequence_length=settings.sequence_length,
        **settings.facts(),
        window_groups=settings.window_groups,
        rows={name: sum(part.rows for part in parts) for name, parts in splits.items()},
        account={name: _account(parts, mixed=mixed) for name, parts in splits.items()},
        parts={name: [_part_account(part) for part in parts] for name, parts in splits.items()},
        target_unigram_entropy_nats=unigram_entropy_nats(counts),
    )


def _separator_policy(settings: ShardSettings, encoder: Encoder) -> str:
    bos_id, eos_id = separators(settings, encoder)
    before = "" if bos_id == NO_ID else f"BOS ({bos_id}) before"
    after = "" if eos_id == NO_ID else f"EOS ({eos_id}) after"
    return f"one {' and '.join(filter(None, (before, after)))} every document" if before or after else "none"


def _sentinel_ids(encoder: Encoder) -> SentinelIds | None:
    if not encoder.num_sentinels:
        return None
    first = encoder.sentinel_id(0)
    step = encoder.sentinel_id(1) - first if encoder.num_sentinels > 1 else -1
    return SentinelIds(first=first, step=step, count=encoder.num_sentinels)


def _sentinel_convention(encoder: Encoder) -> str:
    ids = _sentinel_ids(encoder)
    if ids is None:
        return "none"
    if isinstance(encoder, ByteEncoder) and ids.first < encoder.vocab_size - 1:
        return f"{ids.count} from id {ids.first} downwards, as in google's ByT5 weights"
    return f"{ids.count} at the top ids, the first {'the highest' if ids.step < 0 else 'the lowest'}"


def _account(parts: list[SplitShard], *, mixed: bool) -> SplitAccount:
    """mixed: rows are of several kinds, counted by kind."""
    return SplitAccount(
        documents=sum(part.documents for part in parts),
        ids=sum(part.ids_encoded for part in parts),
        separators=sum(part.separators for part in parts),
        rows=sum(part.rows for part in parts),
        row_ids=sum(part.row_ids for part in parts),
        remainder=parts[-1].tail.num_ids,
        text_bytes=_text_bytes(parts),
        rows_by_denoiser=np.sum([part.row_kinds for part in parts], axis=0).tolist() if mixed else UNSET,
    )


def _text_bytes(parts: list[SplitShard]) -> int | UnsetType:
    """Not known if an older tamiz began the work."""
    known = [part.text_bytes for part in parts if part.text_bytes is not UNSET]
    return sum(known) if len(known) == len(parts) else UNSET


def _part_account(part: SplitShard) -> PartAccount:
    return PartAccount(
        file=part.file,
        documents=part.documents,
        ids=part.ids_encoded,
        separators=part.separators,
        carried=part.carried,
        rows=part.rows,
        row_ids=part.row_ids,
        left_over=part.tail.num_ids,
    )


def unigram_entropy_nats(counts: Sequence[int] | npt.NDArray[np.integer]) -> float:
    """Entropy of the distribution with these counts: the loss of a model that knows only how often each id occurs."""
    present = [int(count) for count in counts if count]
    total = sum(present)
    # abs, as the sum is never positive: a minus sign would make -0.0 of the entropy of one id
    return abs(math.fsum(n / total * math.log(n / total) for n in present)) if total else 0.0
