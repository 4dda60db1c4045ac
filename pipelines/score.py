"""Score: documents -> scores/, one small file per work item, aligned row by row with the input. No text."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora import files
from corpora.documents.items import WorkItem, work_items
from corpora.documents.reading import DocumentBatch, read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.manifest import MadeFrom, record
from corpora.perplexity.model import PerplexityModel
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.settings import RunnerSettings, ScoreSettings
from pipelines.stage import Outcome, input_identities, run_stage, settings_dict

ALGORITHM = 1
SCHEMA = pa.schema(
    [  # type: ignore[arg-type]  # the stubs lack some constructors
        pa.field("row", pa.int32()),
        pa.field("perplexity", pa.float64()),
        pa.field("num_tokens", pa.int32()),
        pa.field("language", pa.string()),
    ]
)


@dataclass(frozen=True)
class ScoreWork:
    """Scores one work item: writes <out>/<name>.parquet and, if rows were rejected, rejected/<name>.jsonl."""

    out: str
    fingerprint: str
    lm: str
    tokenizer: str | None
    mode: str | None

    def __call__(self, item: WorkItem) -> ItemResult:
        model = _model(self.lm, self.tokenizer, self.mode)
        out, columns, damage = Path(self.out), _Columns(), None
        with RejectedWriter(out / "rejected" / f"{item.name}.jsonl") as rejected:
            for batch in read_batches(item):
                columns.add(batch, *model.score_with_lengths(batch.texts))
                rejected.write(batch.rejected)
                damage = batch.damage or damage
        path = out / f"{item.name}.parquet"
        scored, read = columns.write(path)
        written = [record(out, path, rows=read)]
        if rejected.rows:
            written.append(record(out, rejected.path, rows=rejected.rows))
        return ItemResult(
            name=item.name,
            number=item.number,
            read=read,
            kept=scored,
            rejected=dict(sorted(rejected.counts.items())),
            damage=damage,
            files=written,
        )


class ScoreDocuments(WorkOnItems):
    """PCollection[WorkItem] -> PCollection[ItemResult]. Writes scores; memory is bounded by workers x one batch."""

    def __init__(self, work: ScoreWork) -> None:
        super().__init__(work)


class _Columns:
    """The score columns of one item, 24 bytes a row."""

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []
        self._perplexity: list[np.ndarray] = []
        self._num_tokens: list[np.ndarray] = []

    def add(self, batch: DocumentBatch, perplexity: np.ndarray, num_tokens: np.ndarray) -> None:
        bad = np.array([r.row for r in batch.rejected], dtype=np.int64)
        rows = np.concatenate([np.asarray(batch.rows, dtype=np.int64), bad])
        order = np.argsort(rows, kind="stable")
        missing = np.full(len(bad), np.nan)
        self._rows.append(rows[order])
        self._perplexity.append(np.concatenate([perplexity, missing])[order])
        self._num_tokens.append(np.concatenate([num_tokens, missing])[order])

    def write(self, path: Path) -> tuple[int, int]:
        """Returns the numbers of scored rows and of all rows."""
        rows, perplexity, num_tokens = (
            np.concatenate([np.empty(0), *c]) for c in (self._rows, self._perplexity, self._num_tokens)
        )
        null = np.isnan(perplexity)
        table = pa.table(
            [
                pa.array(rows.astype(np.int32)),
                pa.array(perplexity, mask=null),
                pa.array(np.where(null, 0, num_tokens).astype(np.int32), mask=null),
                pa.nulls(len(rows), pa.string()),
            ],
            schema=SCHEMA,
        )
        with files.atomic_path(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return int((~null).sum()), len(rows)


_loading = threading.Lock()


def _model(lm: str, tokenizer: str | None, mode: str | None) -> PerplexityModel:
    """One model per process, shared by its threads."""
    with _loading:
        return _load(lm, tokenizer, mode)


@functools.lru_cache(maxsize=1)
def _load(lm: str, tokenizer: str | None, mode: str | None) -> PerplexityModel:
    return PerplexityModel(lm, tokenizer=tokenizer, mode=mode)


def score(
    patterns: list[str],
    lm: Path,
    out: Path,
    settings: ScoreSettings,
    runner: RunnerSettings,
    *,
    tokenizer: Path | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Scores every document that the patterns name.

    Raises BadArgument for a pattern without files, DamagedFile for a bad model, StaleOutput for other work's folder.
    """
    items = work_items(patterns, settings.item_bytes)
    _load.cache_clear()  # the file may hold another model than at the last call
    model = _model(str(lm), str(tokenizer) if tokenizer else None, settings.mode)
    made_from = MadeFrom(
        stage="score",
        algorithm=ALGORITHM,
        settings={**settings_dict(settings), "mode": model.mode, **model.identity()},
        inputs=input_identities(items, out),
    )
    work = ScoreWork(
        out=str(out),
        fingerprint=made_from.fingerprint(),
        lm=str(lm),
        tokenizer=str(tokenizer) if tokenizer else None,
        mode=settings.mode,
    )
    return run_stage(
        out, made_from, work, lambda: ScoreDocuments(work), items, runner, rebuild=rebuild, progress=progress
    )
