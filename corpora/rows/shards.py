"""What the manifest says of packed shards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import msgspec

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.rows import order


class SentinelIds(msgspec.Struct, frozen=True, kw_only=True):
    """Sentinel k has the id first + k * step."""

    first: int
    step: int
    count: int


class ShardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What training must know of shards. Facts that it doesn't need may be there as well.

    label_length: ids in a row's labels; None for causal rows. rows: by split.
    window_groups: row groups that are shuffled together.
    target_unigram_entropy_nats: entropy of the targets' ids, the loss of a model that knows only their frequencies.
    """

    tokenizer_sha256: str
    vocab_size: int
    objective: Literal["span-corruption", "causal", "ul2"]
    sequence_length: int
    label_length: int | None = None
    pad_id: int
    eos_id: int
    sentinel_ids: SentinelIds | None = None
    window_groups: int = order.WINDOW_GROUPS
    rows: dict[str, int]
    target_unigram_entropy_nats: float | None = None


class Shards(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of shards. fingerprint: of their making and of every file's bytes, wherever the folder lies."""

    folder: Path
    fingerprint: str
    facts: ShardFacts
    files: dict[str, list[tuple[Path, int]]]


def read_facts(path: str | Path) -> ShardFacts:
    """The facts of finished shards. Raises DamagedFile where the manifest is missing, unfinished or lacks one."""
    return read_shards(path).facts


def read_shards(path: str | Path) -> Shards:
    """Facts and files of finished shards; no row is read. Raises DamagedFile as `read_facts` does."""
    folder = Path(path)
    made = manifest.read_finished(folder, "shards")
    try:
        facts = msgspec.convert(made.facts, ShardFacts)
    except msgspec.ValidationError as error:
        raise DamagedFile(f"{folder}/{manifest.NAME}: facts: {error}; build the shards again") from None
    message = [made.fingerprint, sorted((f.path, f.sha256) for f in made.files)]
    return Shards(
        folder=folder,
        fingerprint=hashlib.sha256(json.dumps(message).encode()).hexdigest()[:32],
        facts=facts,
        files=_by_split(folder, made.files),
    )


def _by_split(folder: Path, records: list[manifest.FileRecord]) -> dict[str, list[tuple[Path, int]]]:
    found: dict[str, list[tuple[Path, int]]] = {}
    for record in sorted(records, key=lambda r: r.path):
        if record.path.endswith(".parquet"):
            split = record.path.split("/")[0]
            found.setdefault(split, []).append((folder / record.path, record.rows or 0))
    return found
