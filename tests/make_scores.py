"""Scored documents without a language model: perplexities as given, in folders as the stage `score` leaves them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.manifest import FileRecord, MadeFrom
from corpora.sampling.methods import sample_settings
from pipelines.accounts import input_identities
from pipelines.sample import sample
from pipelines.settings import RunnerSettings


class Scored(NamedTuple):
    """A document and its perplexity."""

    text: str
    url: str | None
    perplexity: float


def write_scored(
    folder: Path,
    files: Mapping[str, Sequence[Scored]],
    languages: Mapping[str, str] | None = None,
    item_bytes: int = 64 << 20,
) -> tuple[list[str], Path]:
    """Writes folder/in/<name>.jsonl and folder/scores; languages: file -> language. Returns (patterns, scores)."""
    for name, rows in files.items():
        lines = [json.dumps({"text": row.text, "url": row.url}) for row in rows]
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("".join(line + "\n" for line in lines).encode())
    patterns = [str(folder / "in" / "*")]
    perplexities = {name: [row.perplexity for row in rows] for name, rows in files.items()}
    write_scores(folder / "scores", patterns, perplexities, languages or {}, item_bytes)
    return patterns, folder / "scores"


def write_scores(
    scores: Path,
    patterns: list[str],
    perplexities: Mapping[str, Sequence[float]],
    languages: Mapping[str, str],
    item_bytes: int = 64 << 20,
) -> None:
    """A finished folder of scores of the inputs: perplexities by file; lengths count the texts' words and lines."""
    items = work_items(patterns, item_bytes)
    settings = {"mode": "lines", "item_bytes": item_bytes}
    inputs = input_identities(items, scores)
    manifest.begin(scores, MadeFrom(stage="score", algorithm=1, settings=settings, inputs=inputs))
    records = [
        _write_item(scores, item, perplexities[item.input_name], languages.get(item.input_name)) for item in items
    ]
    accounts = [
        {"name": item.name, "read": record.rows, "kept": record.rows}
        for item, record in zip(items, records, strict=True)
    ]
    total = sum(record.rows or 0 for record in records)
    counts = {"read": total, "kept": total, "sampled_out": 0, "rejected": {}}
    manifest.finish(scores, records=records, counts=counts, items=accounts)


def _write_item(scores: Path, item: WorkItem, perplexities: Sequence[float], language: str | None) -> FileRecord:
    batches = list(read_batches(item))
    lengths: dict[int, int | None] = {rejected.row: None for batch in batches for rejected in batch.rejected}
    for batch in batches:
        counted = [len(text.split()) + text.count("\n") + 1 for text in batch.texts]
        lengths.update(zip(batch.rows.tolist(), counted, strict=True))
    rows = sorted(lengths)
    values = [None if lengths[row] is None else perplexities[row] for row in rows]
    table = pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "perplexity": pa.array(values, pa.float64()),
            "num_tokens": pa.array([lengths[row] for row in rows], pa.int32()),
            "language": pa.array([language] * len(rows), pa.string()),
        }
    )
    path = scores / f"{item.name}.parquet"
    pq.write_table(table, path)
    return manifest.record(scores, path, rows=len(rows))


def documents(rng: random.Random, name: str, count: int, median: float) -> list[Scored]:
    """Lognormal perplexities; every tenth document occurs twice, so that perplexities tie."""
    made: list[Scored] = []
    for n in range(count):
        perplexity = made[-1].perplexity if n % 10 == 9 else median * rng.lognormvariate(0, 0.7)
        words = " ".join(f"palabra{rng.randrange(1000)}" for _ in range(rng.randrange(1, 90)))
        made.append(Scored(f"{name} {n}: {words}", f"https://{name}.invalid/{n}", perplexity))
    return made


def sampled(folder: Path, patterns: list[str], **settings: object) -> Path:
    chosen = sample_settings(**{"keep": 0.4, "width": 2 / 9, **settings})
    sample(patterns, folder / "scores", folder / "sampled", chosen, RunnerSettings())
    return folder / "sampled"


def scored_corpus(folder: Path) -> tuple[Path, list[str]]:
    """Three sources in two languages, cut into items of some 20 kB, scored and sampled."""
    rng = random.Random(5)
    files = {
        "news-00000-of-00002.jsonl": documents(rng, "a", 300, 60.0),
        "news-00001-of-00002.jsonl": documents(rng, "b", 200, 60.0),
        "wiki.jsonl": documents(rng, "c", 250, 30.0),
        "livros.jsonl": documents(rng, "d", 150, 400.0),
    }
    languages = dict.fromkeys(files, "es") | {"livros.jsonl": "pt"}
    patterns, _ = write_scored(folder, files, languages, item_bytes=20_000)
    sampled(folder, patterns)
    return folder, patterns
