"""Keeps documents that contain a word."""

import json

from corpora import files, manifest
from corpora.config import Config
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.verify import bad_rows
from pipelines.accounts import input_identities
from tamiz.stages import STAGES, Section, Stage, StageReport


class WordSettings(Config, frozen=True, kw_only=True):
    word: str


def run(plan, context):
    out, word = plan.folder("words"), plan.recipe.words.word
    items = work_items(plan.documents("words"))
    inputs = input_identities(items, out)
    made_from = manifest.MadeFrom(stage="words", algorithm=1, settings={"word": word}, inputs=inputs)
    state = manifest.begin(out, made_from, rebuild=context.rebuild)
    if state != "finished":
        texts = [text for item in items for batch in read_batches(item) for text in batch.texts]
        kept = [text for text in texts if word in text]
        files.write_bytes(out / "kept.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in kept).encode())
        counts = {"read": len(texts), "kept": len(kept), "sampled_out": len(texts) - len(kept), "rejected": {}}
        manifest.finish(out, records=[manifest.record(out, out / "kept.jsonl", rows=len(kept))], counts=counts)
    return StageReport("words", state, out, [("documents kept", str(manifest.read(out).counts["kept"]))])


STAGES.register(
    Stage(
        name="words",
        folder="words",
        title="Words",
        help="documents that contain a word",
        sections=(Section("words", WordSettings),),
        run=run,
        reads=True,
        after="sample",
        leaves=lambda plan: [str(plan.folder("words") / "kept.jsonl")],
        check=lambda home, content: bad_rows(home, content, {"kept": content.counts["kept"]}),
    )
)
