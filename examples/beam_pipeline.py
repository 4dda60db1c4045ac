"""A Beam pipeline of your own around tamiz's scoring: it scores documents, then adds up what became of them.

    python examples/beam_pipeline.py [LM.bin [OUT [PATTERN...]]]

Run it where `make demo` ran. The elements are descriptors of files and their results, never text. The scores are
written to OUT, one Parquet file per work item, as `tamiz score` writes them.
"""

import sys

import apache_beam as beam

from corpora.perplexity.routing import LmChoice
from pipelines import ScoreDocuments, ScoreWork, work_items


def main(lm: str = "demo/lm/lm.bin", out: str = "my-scores", *patterns: str) -> None:
    items = work_items(list(patterns) or ["demo/sampled/*.parquet"])
    # an item that was done under the same fingerprint is not done again: name everything that decides the scores
    work = ScoreWork(out=out, fingerprint=f"example, {lm}", models=(LmChoice(lm),))
    with beam.Pipeline() as pipeline:
        results = pipeline | "Items" >> beam.Create(items) | "Score" >> ScoreDocuments(work)
        documents = results | "Documents" >> beam.Map(lambda result: result.kept) | "Sum" >> beam.CombineGlobally(sum)
        _ = documents | "Show" >> beam.Map(lambda number: print(f"{number} documents scored, into {out}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
