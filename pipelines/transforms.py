"""The stages as Beam transforms, for your own pipelines.

Each takes a PCollection[WorkItem] (`beam.Create(work_items(patterns))`) and returns a PCollection[ItemResult]. When
an item's result is there, its files are in the work's `out` folder. The commands add what a transform can't: a
manifest, checks before any work, and clean-up after an interrupted run.
"""

from __future__ import annotations

import apache_beam as beam

from pipelines.annotate import AnnotateWork
from pipelines.evaluate import EvaluateWork
from pipelines.graph import WorkOnUnits
from pipelines.sample import SampleWork
from pipelines.score import ScoreWork
from pipelines.shards import ShardWork


def AnnotateDocuments(work: AnnotateWork) -> beam.PTransform:
    """Writes <out>/<name>.parquet: the annotator's columns, row by row. Memory: workers x the columns of an item."""
    return WorkOnUnits(work, label="AnnotateDocuments")


def ScoreDocuments(work: ScoreWork) -> beam.PTransform:
    """Writes <out>/<name>.parquet: the perplexity of every row. Memory: workers x one batch, and 22 bytes a row."""
    return WorkOnUnits(work, label="ScoreDocuments")


def SampleDocuments(work: SampleWork) -> beam.PTransform:
    """Writes <out>/part-NNNNN.<format>: the kept documents, in input order. Draws are keyed by the document."""
    return WorkOnUnits(work, label="SampleDocuments")


def BuildShards(work: ShardWork) -> beam.PTransform:
    """Writes <out>/<split>/part-NNNNN.parquet: rows of tokens. Tokens that don't fill a row are in the facts."""
    return WorkOnUnits(work, label="BuildShards")


def EvaluateTokenizers(work: EvaluateWork) -> beam.PTransform:
    """Counts what each tokenizer makes of the documents; the counts are in the result's facts."""
    return WorkOnUnits(work, label="EvaluateTokenizers")
