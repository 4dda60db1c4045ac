"""The facts of a shards folder, as its manifest states them: how rows were made, and the account of every id.

One type (`ShardFacts`, read by `facts_of`), written by `corpora.tokens.build` and `pipelines.shards`. It is read
without torch by `corpora.rows.shards` (`read_shards`), and by `tamiz shards inspect`, `tamiz verify` and the trainer.
Fields that have a default are missing from older manifests; fields that are UNSET are not written.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.home import Home, Place

WINDOW_GROUPS = 256  # default for manifests without it: 134 MB at 2**18 uint16 ids per group


class SentinelIds(msgspec.Struct, frozen=True, kw_only=True):
    """Sentinel k has the id first + k * step, 0 <= k < count."""

    first: int
    step: int
    count: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest id. Sentinels are consecutive ids, ascending or descending."""
        last = self.first + (self.count - 1) * self.step
        return min(self.first, last), max(self.first, last)


class DenoiserFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of noise in a mixture, and the shape of its rows."""

    name: str = ""
    noise_density: float | UnsetType = UNSET
    mean_noise_span_length: float | UnsetType | None = UNSET
    """None: one span, at the end of the row."""
    share: float | UnsetType = UNSET
    input_length: int | UnsetType = UNSET
    raw_length: int | UnsetType | None = UNSET
    label_length: int | UnsetType = UNSET
    num_noise_tokens: int | UnsetType = UNSET
    num_noise_spans: int | UnsetType = UNSET
    random_roll: bool | UnsetType = UNSET


class SplitAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Account of one split: ids + separators = row_ids + remainder."""

    documents: int
    ids: int
    separators: int
    rows: int
    row_ids: int = 0
    remainder: int
    rows_by_denoiser: list[int] | UnsetType = UNSET
    text_bytes: int | UnsetType = UNSET
    """UTF-8 bytes of the documents' texts; missing from older manifests."""


class PartAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Account of one part of a split: ids + separators + carried = row_ids + left_over."""

    file: str | None
    documents: int
    ids: int
    separators: int
    carried: int
    rows: int
    row_ids: int
    left_over: int


class ShardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`facts` of manifest.json."""

    tokenizer_sha256: str
    encoder: str | UnsetType = UNSET
    """The engine that encoded the text."""
    vocab_size: int
    objective: str
    packing: str | UnsetType = UNSET
    separator: str | UnsetType = UNSET
    """In words: the separators before and after every document."""
    sentinels: str | UnsetType = UNSET
    """In words: where the sentinels are in the vocabulary."""
    sentinel_ids: SentinelIds | None = None
    pad_id: int
    bos_id: int | UnsetType | None = UNSET
    eos_id: int | None
    seed: int | UnsetType = UNSET
    sequence_length: int
    raw_length: int | None = None
    """Stream ids that a row takes; None if rows differ."""
    label_length: int | None = None
    """Ids in a row's labels; None if rows have no labels."""
    denoisers: list[DenoiserFacts] | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET
    """Facts of an objective that fit no other field."""
    window_groups: int = WINDOW_GROUPS
    """Row groups that are shuffled together."""
    rows: dict[str, int]
    """Accounts by split."""
    account: dict[str, SplitAccount] | UnsetType = UNSET
    parts: dict[str, list[PartAccount]] | UnsetType = UNSET
    target_unigram_entropy_nats: float | None = None
    """Entropy of the training rows' target ids: the loss on these rows of a model that knows only how often each id
    occurs. On validation rows such a model has more, in particular if there are few rows."""

    def asdict(self) -> dict[str, Any]:
        """Plain data, as the manifest keeps it."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def denoiser(self, number: int | None) -> DenoiserFacts | None:
        """The denoiser's facts; None if the manifest doesn't describe it."""
        known = [] if self.denoisers is UNSET else self.denoisers
        return known[number] if number is not None and 0 <= number < len(known) else None


def facts_of(folder: Place, content: manifest.Manifest) -> ShardFacts:
    """The facts in a manifest of shards. Raises DamagedFile if one is missing or invalid."""
    try:
        return msgspec.convert(content.facts, ShardFacts)
    except msgspec.ValidationError as error:
        raise DamagedFile(
            f"{Home.of(folder).at(manifest.NAME)}: the facts are damaged ({error}); build the shards again"
        ) from None
