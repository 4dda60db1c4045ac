"""Your own Beam pipeline with tamiz's scoring: it scores documents, then counts the scored ones.

    python examples/beam_pipeline.py [LM.bin [OUT [PATTERN...]]]

Run it in the folder where you ran `make demo`. The elements are descriptors of files and their results, never text.
The scores are written to OUT, one Parquet file per work item, as by `tamiz score`.
"""

import sys

import apache_beam as beam

from corpora.perplexity.routing import LmChoice
from pipelines import ScoreDocuments, ScoreWork, work_items


def main(lm: str = "demo/lm/lm.bin", out: str = "my-scores", *patterns: str) -> None:
    items = work_items(list(patterns) or ["demo/sampled/*.parquet"])
    # an item with the same fingerprint is not scored again: include everything that affects the scores
    work = ScoreWork(out=out, fingerprint=f"example, {lm}", models=(LmChoice(lm),))
    with beam.Pipeline() as pipeline:
        results = pipeline | "Items" >> beam.Create(items) | "Score" >> ScoreDocuments(work)
        documents = results | "Documents" >> beam.Map(lambda result: result.kept) | "Sum" >> beam.CombineGlobally(sum)
        _ = documents | "Show" >> beam.Map(lambda number: print(f"{number} documents scored, results in {out}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
