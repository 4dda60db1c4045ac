"""Keeps documents that contain a word."""

import json
from dataclasses import dataclass

from corpora import manifest
from corpora.config import Config
from corpora.documents.items import work_items
from corpora.verify import bad_rows
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from tamiz.stages import STAGES, Section, Stage, StageReport


class WordSettings(Config, frozen=True, kw_only=True):
    word: str


@dataclass(frozen=True)
class KeepWord:
    out: str
    fingerprint: str
    word: str

    def __call__(self, item):
        with ItemReader(self.out, item) as reader:
            kept = [text for batch in reader.batches() for text in batch.texts if self.word in text]
        with reader.out.writing(f"kept/{item.name}.jsonl") as file:  # in a folder or in a store
            file.path.write_text("".join(json.dumps({"text": text}) + "\n" for text in kept))
        return reader.result(kept=len(kept), files=[file.record(rows=len(kept))])


def run(plan, context):
    from pipelines.stage import Pass, run_stage  # imports Beam

    out, word = plan.folder("words"), plan.recipe.words.word
    items = work_items(plan.documents("words"))
    inputs = input_identities(items, out)
    made_from = manifest.MadeFrom(stage="words", algorithm=1, settings={"word": word}, inputs=inputs)
    work = KeepWord(str(out), made_from.fingerprint(), word)
    done = run_stage(out, made_from, [Pass(work, items)], context.runner, rebuild=context.rebuild)
    return StageReport("words", done.state, out, [("documents kept", str(done.manifest.counts["kept"]))])


STAGES.register(
    Stage(
        name="words", folder="words", title="Words", help="documents that contain a word",
        sections=(Section("words", WordSettings),), run=run, reads=True, after="sample",
        leaves=lambda plan: [str(plan.folder("words") / "kept" / "*.jsonl")],
        check=lambda home, content: bad_rows(home, content, {"kept/": content.counts["kept"]}),
    )
)  # fmt: skip
