"""Stage `tokenizer`: a tokenizer trained on documents."""

from __future__ import annotations

from pathlib import Path

import msgspec

from corpora import manifest
from corpora.documents.items import work_items
from corpora.manifest import MadeFrom
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs
from tamiz.stages.texts import Texts
from tokenizer_train.settings import TokenizerSettings

ALGORITHM = 1
ITEM_BYTES = 64 << 20


def tokenizer_stage(patterns: list[str], out: Path, settings: TokenizerSettings, context: Context) -> StageReport:
    """Brings `out` to hold the trained tokenizer."""
    from pipelines.accounts import input_identities, too_many_rejected

    items = work_items(patterns, ITEM_BYTES)
    made_from = MadeFrom(
        stage="tokenizer",
        algorithm=ALGORITHM,
        settings=msgspec.to_builtins(settings),
        inputs=input_identities(items, out),
    )
    state = manifest.begin(out, made_from, rebuild=context.rebuild)
    done = manifest.read(out)
    if state != "finished":
        from tokenizer_train.train import train_tokenizer

        with progress("tokenizer") as update:
            texts = Texts(items, out, update)
            facts = train_tokenizer(texts, out, settings)
        records = [manifest.record(out, out / name) for name in facts["files"]]
        done = manifest.finish(
            out,
            records=[*records, *texts.records],
            counts=texts.counts(),
            facts=facts,
            items=texts.accounts,
            damaged=texts.damaged,
        )
    many = too_many_rejected(out / "rejected", done.counts, context.max_rejected)
    rows = [
        ("ids", count(done.facts["vocab_size"])),
        ("documents it learned from", count(done.facts["documents"])),
    ]
    return StageReport("tokenizer", state, out, rows, (), damaged_inputs(done), many, done.facts)
