"""Shards: documents -> packed training rows, every token accounted for."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from corpora.copies import local_tokenizer
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.sources import Inputs
from corpora.encoding import Encoder, load_encoder
from corpora.home import Place
from corpora.loaded import Loaded, check_content
from corpora.manifest import FileRecord, MadeFrom
from corpora.tokens.build import ItemShards, build_item, check_settings, finish_tails
from corpora.tokens.build_facts import shard_facts
from corpora.tokens.settings import ShardSettings
from corpora.verify import check_intact
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Outcome, Pass, run_stage

ALGORITHM = 4
ITEM_BYTES = 64 << 20


_encoders: Loaded[Encoder] = Loaded(size=2)


@dataclass(frozen=True)
class ShardWork:
    """Builds the rows of one work item: {train,validation}/part-NNNNN.parquet. Ids left over go into the facts."""

    out: str
    fingerprint: str
    tokenizer: str
    settings: ShardSettings
    tokenizer_sha256: str = ""
    """The encoder's identity; filled in on creation. A worker that finds another tokenizer raises an error."""

    def __post_init__(self) -> None:
        if not self.tokenizer_sha256:
            encoder = load_encoder(local_tokenizer(self.tokenizer))
            object.__setattr__(self, "tokenizer_sha256", encoder.sha256)
            _encoders.put(encoder.sha256, encoder)

    def encoder(self) -> Encoder:
        """Loaded once per process, shared by its threads. Raises TamizError if the worker's tokenizer differs."""
        return _encoders.get(self.tokenizer_sha256, self._load)

    def _load(self) -> Encoder:
        encoder = load_encoder(local_tokenizer(self.tokenizer))
        check_content(self.tokenizer, encoder.sha256, self.tokenizer_sha256)
        return encoder

    def __call__(self, item: WorkItem) -> ItemResult:
        written: list[FileRecord] = []
        with ItemReader(self.out, item) as reader:
            built = build_item(
                reader.texts(),
                self.encoder(),
                self.settings,
                folder=reader.out,
                part=f"part-{item.number:05d}",
                written=written,
            )
        return reader.result(
            kept=built.documents,
            files=written,
            facts={"shards": msgspec.to_builtins(built)},
        )


def build_shards(
    patterns: Inputs,
    tokenizer: str,
    out: Place,
    settings: ShardSettings,
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Builds the rows of every document that the patterns name.

    Before any work, raises BadArgument for settings that don't suit the tokenizer (too few sentinels, no BOS) and
    DamagedFile for a bad tokenizer.
    """
    items = work_items(patterns, ITEM_BYTES)
    check_intact(tokenizer)
    encoder = load_encoder(local_tokenizer(tokenizer))
    _encoders.put(encoder.sha256, encoder)
    check_settings(settings, encoder)
    identity = {**settings.fingerprint_settings(), "tokenizer_sha256": encoder.sha256}
    made_from = MadeFrom(stage="shards", algorithm=ALGORITHM, settings=identity, inputs=input_identities(items, out))
    work = ShardWork(
        out=str(out),
        fingerprint=made_from.fingerprint(),
        tokenizer=tokenizer,
        settings=settings,
        tokenizer_sha256=encoder.sha256,
    )

    def finish(results: list[ItemResult]) -> Finish:
        return _finish(results, encoder, settings, out)

    return run_stage(out, made_from, [Pass(work, items)], runner, rebuild=rebuild, progress=progress, finish=finish)


def _finish(results: list[ItemResult], encoder: Encoder, settings: ShardSettings, out: Place) -> Finish:
    """Packs the leftover ids of all items, in order, into a last part; adds up the account."""
    built = [msgspec.convert(r.facts["shards"], ItemShards) for r in results]
    written: list[FileRecord] = []
    last = finish_tails(built, encoder, settings, folder=out, part=f"part-{len(built):05d}", written=written)
    return Finish(written, shard_facts([*built, last], encoder, settings).asdict())
