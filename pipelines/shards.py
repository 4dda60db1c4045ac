"""Shards: documents -> packed training rows, every token accounted for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpora.documents.item import WorkItem
from corpora.documents.items import Inputs, work_items
from corpora.documents.reading import read_texts
from corpora.documents.rejected import RejectedWriter
from corpora.encoding import Encoder, load_encoder
from corpora.manifest import FileRecord, MadeFrom, record
from corpora.texts import Utf8
from corpora.tokens.build import ItemShards, build_item, check_settings, finish_tails
from corpora.tokens.facts import shard_facts
from corpora.tokens.settings import ShardSettings
from corpora.verify import check_intact
from pipelines.accounts import input_identities
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Outcome, run_stage, settings_dict

ALGORITHM = 4
ITEM_BYTES = 64 << 20


@dataclass(frozen=True)
class ShardWork:
    """Builds the rows of one work item: {train,validation}/part-NNNNN.parquet. Its tails wait in the result."""

    out: str
    fingerprint: str
    tokenizer: str
    settings: ShardSettings

    def __call__(self, item: WorkItem) -> ItemResult:
        out, reading = Path(self.out), _Reading()
        with RejectedWriter(out / "rejected" / f"{item.name}.jsonl") as rejected:
            built = build_item(
                reading.texts(item, rejected),
                _encoder(self.tokenizer),
                self.settings,
                folder=out,
                part=f"part-{item.number:05d}",
            )
        written = _records(out, built)
        if rejected.rows:
            written.append(record(out, rejected.path, rows=rejected.rows))
        return ItemResult(
            name=item.name,
            number=item.number,
            read=reading.read,
            kept=built.documents,
            rejected=dict(sorted(rejected.counts.items())),
            damage=reading.damage,
            files=written,
            facts={"shards": msgspec.to_builtins(built)},
        )


class BuildShards(WorkOnItems):
    """PCollection[WorkItem] -> PCollection[ItemResult]. Writes rows; what doesn't fill a row waits in the result."""

    def __init__(self, work: ShardWork) -> None:
        super().__init__(work)


class _Reading:
    """Texts of an item, its rejected rows put aside."""

    def __init__(self) -> None:
        self.read = 0
        self.damage: str | None = None

    def texts(self, item: WorkItem, rejected: RejectedWriter) -> Iterator[Utf8]:
        for batch in read_texts(item):
            self.read += batch.total
            self.damage = batch.damage or self.damage
            rejected.write(batch.rejected)
            yield batch.texts


@functools.lru_cache(maxsize=1)
def _load(tokenizer: str) -> Encoder:
    return load_encoder(tokenizer)


_loading = threading.Lock()


def _encoder(tokenizer: str) -> Encoder:
    """One encoder per process, shared by its threads."""
    with _loading:
        return _load(tokenizer)


def _records(out: Path, built: ItemShards) -> list[FileRecord]:
    shards = [s for s in built.splits.values() if s.file is not None]
    return [record(out, out / str(s.file), rows=s.rows) for s in shards]


def build_shards(
    patterns: Inputs,
    tokenizer: str,
    out: Path,
    settings: ShardSettings,
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Builds the rows of every document that the patterns name.

    Raises BadArgument for settings that the tokenizer can't serve (too few sentinels, no bos), DamagedFile for a bad
    tokenizer: before any work.
    """
    items = work_items(patterns, ITEM_BYTES)
    check_intact(Path(tokenizer))
    _load.cache_clear()  # the folder may hold another tokenizer than at the last call
    encoder = _encoder(tokenizer)
    check_settings(settings, encoder)
    identity = {**settings_dict(settings), "tokenizer_sha256": encoder.sha256}
    made_from = MadeFrom(stage="shards", algorithm=ALGORITHM, settings=identity, inputs=input_identities(items, out))
    work = ShardWork(out=str(out), fingerprint=made_from.fingerprint(), tokenizer=tokenizer, settings=settings)

    def finish(results: list[ItemResult]) -> Finish:
        return _finish(results, encoder, settings, out)

    return run_stage(
        out,
        made_from,
        work,
        lambda: BuildShards(work),
        items,
        runner,
        rebuild=rebuild,
        progress=progress,
        finish=finish,
    )


def _finish(results: list[ItemResult], encoder: Encoder, settings: ShardSettings, out: Path) -> Finish:
    """Packs the tails, in item order, into a last part; adds up the account."""
    built = [msgspec.convert(r.facts["shards"], ItemShards) for r in results]
    last = finish_tails(built, encoder, settings, folder=out, part=f"part-{len(built):05d}")
    return Finish(_records(out, last), shard_facts([*built, last], encoder, settings))
