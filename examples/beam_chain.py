"""Your own Beam pipeline, from documents to training rows: ScoreDocuments, SampleDocuments and BuildShards.

    python examples/beam_chain.py [LM.bin [OUT [PATTERN...]]]

Run it in the folder where you ran `make demo`. An item goes from one step to the next as soon as it is done, on any
runner (`beam.Pipeline(options=...)`); what moves between workers is its description, never text. The sampler is given
by hand here; `tamiz sample` fits it to all scores first.
"""

import sys
from collections.abc import Iterator

import apache_beam as beam
import msgspec

from corpora.perplexity.routing import LmChoice
from corpora.sampling import Gaussian
from corpora.sampling.groups import FittedGroup
from corpora.tokens.objectives import OBJECTIVES
from pipelines import (
    BuildShards,
    ItemResult,
    SampleDocuments,
    SampleWork,
    ScoreDocuments,
    ScoreWork,
    ShardWork,
    WorkItem,
    work_items,
)

CURVE = Gaussian(median=300.0, factor=0.78, width=4.5)  # the probability to keep a document of some perplexity
ROWS = {"objective": "causal", "sequence_length": 128}


class Sampled(beam.DoFn):
    """The result of sampling an item -> the items of the file that it wrote, for the next step."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def process(self, result: ItemResult) -> Iterator[WorkItem]:
        for item in work_items([f"{self.folder}/{result.files[0].path}"], item_bytes=1 << 40):
            yield msgspec.structs.replace(item, number=result.number)  # names what it becomes


def main(lm: str = "demo/lm/lm.bin", out: str = "my-corpus", *patterns: str) -> None:
    items = {item.name: item for item in work_items(list(patterns) or ["demo/sampled/*.parquet"])}
    # an item with the same fingerprint is not done again: include everything that affects the output
    score = ScoreWork(out=f"{out}/scores", fingerprint=f"chain, {lm}", models=(LmChoice(lm),))
    sample = SampleWork(
        out=f"{out}/sampled",
        fingerprint=f"chain, {lm}, {CURVE}",
        scores=score.out,
        per="all",
        groups={"all": FittedGroup(CURVE, (150.0, 300.0, 600.0), 0)},
        seed=0,
        format="parquet",
        extra_columns={},
    )
    shards = ShardWork(f"{out}/shards", f"chain, {lm}, {CURVE}, {ROWS}", "byt5", OBJECTIVES.convert(ROWS))
    with beam.Pipeline() as pipeline:
        done = (
            pipeline
            | "Items" >> beam.Create(list(items.values()))
            | "Score" >> ScoreDocuments(score)
            | "Scored" >> beam.Map(lambda result: items[result.name])
            | "Sample" >> SampleDocuments(sample)
            | "Sampled" >> beam.ParDo(Sampled(sample.out))
            | "Shards" >> BuildShards(shards)
        )
        documents = done | "Documents" >> beam.Map(lambda result: result.kept) | "Sum" >> beam.CombineGlobally(sum)
        _ = documents | "Show" >> beam.Map(lambda number: print(f"{number} documents are rows in {shards.out}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
