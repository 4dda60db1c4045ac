"""The facts of shards that have just been built: settings, vocabulary, and the sums of the parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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


class PartSums:
    """The parts so far: an account of each, and the sums of what isn't kept of each."""

    def __init__(self, encoder: Encoder, settings: ShardSettings) -> None:
        self.accounts: dict[str, list[PartAccount]] = {name: [] for name in SPLITS}
        self._encoder, self._settings = encoder, settings
        self._counts = np.zeros(encoder.vocab_size, np.int64)  # of each id in the training rows
        self._text_bytes: dict[str, int | UnsetType] = dict.fromkeys(SPLITS, 0)
        self._row_kinds: dict[str, npt.NDArray[np.int64]] = {}

    def add(self, built: ItemShards) -> ItemShards:
        """Adds the next part, and returns it."""
        self._counts += built.splits["train"].counts(len(self._counts))
        for name, part in built.splits.items():
            self.accounts[name].append(_part_account(part))
            known = self._text_bytes[name]
            unset = known is UNSET or part.text_bytes is UNSET  # if an older tamiz began the work
            self._text_bytes[name] = UNSET if unset else known + part.text_bytes  # type: ignore[operator]
            kinds = np.array(part.row_kinds, np.int64)
            self._row_kinds[name] = self._row_kinds[name] + kinds if name in self._row_kinds else kinds
        return built

    def facts(self) -> ShardFacts:
        """The facts, once the last part was added."""
        encoder, settings = self._encoder, self._settings
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
            rows={name: sum(part.rows for part in parts) for name, parts in self.accounts.items()},
            account={name: self._account(name) for name in self.accounts},
            parts=self.accounts,
            target_unigram_entropy_nats=unigram_entropy_nats(self._counts),
        )

    def _account(self, split: str) -> SplitAccount:
        parts = self.accounts[split]
        mixed = "denoiser" in self._settings.rows(self._encoder).columns  # rows are of several kinds
        return SplitAccount(
            documents=sum(part.documents for part in parts),
            ids=sum(part.ids for part in parts),
            separators=sum(part.separators for part in parts),
            rows=sum(part.rows for part in parts),
            row_ids=sum(part.row_ids for part in parts),
            remainder=parts[-1].left_over,
            text_bytes=self._text_bytes[split],
            rows_by_denoiser=self._row_kinds[split].tolist() if mixed else UNSET,
        )


def shard_facts(built: Iterable[ItemShards], encoder: Encoder, settings: ShardSettings) -> ShardFacts:
    """The facts from all parts, with the last part at the end."""
    sums = PartSums(encoder, settings)
    for each in built:
        sums.add(each)
    return sums.facts()


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
