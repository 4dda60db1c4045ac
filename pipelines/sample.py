"""Sample: documents + scores/ -> sampled/, the documents kept, each with its perplexity and keep probability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from corpora import manifest
from corpora.documents.items import WorkItem, work_items
from corpora.documents.reading import DocumentBatch, read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.documents.writing import DocumentWriter
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.manifest import MadeFrom, Manifest, record
from corpora.perplexity.scores import all_perplexities, read_perplexities
from corpora.sampling.draw import keep_documents
from corpora.sampling.kernels import Gaussian, Stepwise, Uniform
from corpora.sampling.quartiles import QuartileCounts, count_quartiles, flat_warning
from corpora.sampling.solve import fit, quartiles
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.settings import RunnerSettings, SampleSettings
from pipelines.stage import Finish, Outcome, input_identities, run_stage, settings_dict

ALGORITHM = 1

Kernel = Gaussian | Stepwise | Uniform


@dataclass(frozen=True)
class SampleWork:
    """Samples one work item: writes <out>/part-NNNNN.parquet, the kept documents in input order."""

    out: str
    fingerprint: str
    scores: str
    kernel: Kernel
    quartiles: tuple[float, float, float]
    seed: int
    format: str

    def __call__(self, item: WorkItem) -> ItemResult:
        out, damage, read, counts = Path(self.out), None, 0, QuartileCounts()
        perplexity = read_perplexities(Path(self.scores) / f"{item.name}.parquet")
        path = out / f"part-{item.number:05d}.{self.format}"
        rejected = RejectedWriter(out / "rejected" / f"{item.name}.jsonl")
        with DocumentWriter(path, format=self.format) as writer, rejected:
            for batch in read_batches(item):
                counts += self._write_kept(batch, perplexity, item, writer)
                rejected.write(batch.rejected)
                read += batch.total
                damage = batch.damage or damage
        if read != len(perplexity):
            raise DamagedFile(
                f"{item.path} has {read} rows, its scores {len(perplexity)}: score it again (--rebuild)"
            )
        kept = writer.rows
        written = [record(out, path, rows=kept)]
        if rejected.rows:
            written.append(record(out, rejected.path, rows=rejected.rows))
        return ItemResult(
            name=item.name,
            number=item.number,
            read=read,
            kept=kept,
            sampled_out=read - kept - rejected.rows,
            rejected=dict(sorted(rejected.counts.items())),
            damage=damage,
            files=written,
            facts={"quartiles": msgspec.to_builtins(counts)},
        )

    def _write_kept(
        self, batch: DocumentBatch, perplexity: np.ndarray, item: WorkItem, writer: DocumentWriter
    ) -> QuartileCounts:
        index = np.asarray(batch.rows, dtype=np.int64) - item.first_row
        if len(index) and index[-1] >= len(perplexity):
            raise DamagedFile(
                f"{item.path} has more rows than its scores ({len(perplexity)}): score it again (--rebuild)"
            )
        scores = perplexity[index]
        probability = self.kernel.keep_probability(scores)
        kept = keep_documents(batch.texts, batch.urls, batch.timestamps, probability, self.seed)
        chosen = np.flatnonzero(kept)
        writer.write(
            [batch.texts[i] for i in chosen],
            [batch.timestamps[i] for i in chosen],
            [batch.urls[i] for i in chosen],
            scores[chosen],
            probability[chosen],
        )
        return count_quartiles(scores, probability, kept, self.quartiles)


class SampleDocuments(WorkOnItems):
    """PCollection[WorkItem] -> PCollection[ItemResult]. Writes the kept documents; draws are keyed by document."""

    def __init__(self, work: SampleWork) -> None:
        super().__init__(work)


def fit_kernel(settings: SampleSettings, perplexities: np.ndarray) -> Kernel:
    """The keep-probability function that the settings ask for, fitted to the scores."""
    if len(perplexities) == 0:
        raise BadArgument("the scores hold no scored document: nothing to sample")
    keep = settings.keep
    if settings.keep_documents is not None:
        keep = settings.keep_documents / len(perplexities)
        if keep > 1:
            raise BadArgument(f"keep_documents is {settings.keep_documents}, but only {len(perplexities)} are scored")
    return fit(
        settings.method,
        perplexities,
        keep=keep,
        factor=settings.factor,
        width=settings.width,
        median=settings.median,
        boundaries=list(settings.boundaries) if settings.boundaries else None,
    )


def _check_scored(scores: Path, content: Manifest, inputs: list[manifest.InputIdentity]) -> None:
    """The scores must have been made from these very inputs."""
    scored = {tuple(i.content()) for i in content.made_from.inputs}
    for identity in inputs:
        if tuple(identity.content()) not in scored:
            raise StaleOutput(f"{identity.name} is not what {scores} was made from: score it again (--rebuild)")


def sample(
    patterns: list[str],
    scores: Path,
    out: Path,
    settings: SampleSettings,
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Draws the sample. The manifest's facts hold the fitted kernel and the kept share per quartile.

    Raises BadArgument for a ratio that can't be reached, StaleOutput where scores and inputs don't belong together.
    """
    scored = manifest.read_finished(scores, "score")
    items = work_items(patterns, int(scored.made_from.settings["item_bytes"]))
    inputs = input_identities(items, out)
    _check_scored(scores, scored, inputs)
    identity = {**settings_dict(settings), "scores": scored.fingerprint}
    made_from = MadeFrom(stage="sample", algorithm=ALGORITHM, settings=identity, inputs=inputs)
    if not rebuild and manifest.is_finished(out, made_from):
        manifest.begin(out, made_from)
        return Outcome("finished", manifest.read(out))
    perplexities = all_perplexities(scores, scored)
    kernel = fit_kernel(settings, perplexities)
    work = SampleWork(
        out=str(out),
        fingerprint=made_from.fingerprint(),
        scores=str(scores),
        kernel=kernel,
        quartiles=quartiles(perplexities),
        seed=settings.seed,
        format=settings.format,
    )

    def facts(results: list[ItemResult]) -> Finish:
        return Finish([], _facts(work, perplexities, results))

    return run_stage(
        out,
        made_from,
        work,
        lambda: SampleDocuments(work),
        items,
        runner,
        rebuild=rebuild,
        progress=progress,
        finish=facts,
    )


def _facts(work: SampleWork, perplexities: np.ndarray, results: list[ItemResult]) -> dict[str, Any]:
    counts = QuartileCounts()
    for result in results:
        counts += msgspec.convert(result.facts["quartiles"], QuartileCounts)
    expected = work.kernel.keep_probability(perplexities)
    return {
        "kernel": {"name": type(work.kernel).__name__.lower(), **settings_dict(work.kernel)},
        "expected_share": float(np.cumsum(expected)[-1] / len(expected)),
        "scored": len(perplexities),
        "quartiles": list(work.quartiles),
        "kept_shares": counts.kept_shares,
        "composition": counts.composition,
        "flat_warning": None if isinstance(work.kernel, Uniform) else flat_warning(counts),
    }
