"""Sample: documents + scores/ -> sampled/, the documents kept, each with its perplexity and keep probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from corpora import manifest
from corpora.documents.groups import Per, group_name, source_of
from corpora.documents.item import WorkItem
from corpora.documents.items import Inputs, work_items
from corpora.documents.reading import DocumentBatch, read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.documents.writing import DocumentWriter
from corpora.errors import DamagedFile, StaleOutput
from corpora.manifest import MadeFrom, Manifest, record
from corpora.perplexity.calibration import Calibration
from corpora.perplexity.scores import read_languages, read_perplexities
from corpora.sampling.draw import keep_documents
from corpora.sampling.kernels import BUCKETS, Buckets, Gaussian, Stepwise, kernel_to_builtins
from corpora.sampling.quartiles import QuartileCounts, count_quartiles, flat_warning
from pipelines.accounts import input_identities
from pipelines.groups import FittedGroup, fit_groups
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.settings import RunnerSettings, SampleSettings
from pipelines.stage import Finish, Outcome, run_stage, settings_dict

ALGORITHM = 2


@dataclass(frozen=True)
class SampleWork:
    """Samples one work item: writes <out>/part-NNNNN.parquet, the kept documents in input order.

    groups: by `group_name`. buckets: whether the kernels are Buckets, and a column `bucket` is written.
    """

    out: str
    fingerprint: str
    scores: str
    per: Per
    groups: Mapping[str, FittedGroup]
    seed: int
    format: str
    buckets: bool

    def __call__(self, item: WorkItem) -> ItemResult:
        out, damage, read = Path(self.out), None, 0
        rows = _ItemScores(self, item)
        path = out / f"part-{item.number:05d}.{self.format}"
        rejected = RejectedWriter(out / "rejected" / f"{item.name}.jsonl")
        with DocumentWriter(path, self.format, ["bucket"] if self.buckets else []) as writer, rejected:
            for batch in read_batches(item):
                rows.write_kept(batch, writer)
                rejected.write(batch.rejected)
                read += batch.total
                damage = batch.damage or damage
        if read != len(rows.perplexity):
            raise DamagedFile(
                f"{item.path} has {read} rows, its scores {len(rows.perplexity)}: score it again (--rebuild)"
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
            facts={"groups": {name: msgspec.to_builtins(counts) for name, counts in rows.counts().items()}},
        )


class SampleDocuments(WorkOnItems):
    """PCollection[WorkItem] -> PCollection[ItemResult]. Writes the kept documents; draws are keyed by document."""

    def __init__(self, work: SampleWork) -> None:
        super().__init__(work)


class _ItemScores:
    """One item's rows [n]: perplexity, keep probability, and what has been kept of them so far."""

    def __init__(self, work: SampleWork, item: WorkItem) -> None:
        self._work, self._item = work, item
        self.perplexity = read_perplexities(Path(work.scores) / f"{item.name}.parquet")
        self._masks = self._groups()
        self._probability = np.zeros(len(self.perplexity))
        self._bucket = np.zeros(len(self.perplexity), np.int64)
        self._kept = np.zeros(len(self.perplexity), np.bool_)
        for name, mask in self._masks.items():
            kernel = work.groups[name].kernel
            self._probability[mask] = kernel.keep_probability(self.perplexity[mask])
            if isinstance(kernel, Buckets):
                self._bucket[mask] = kernel.place(self.perplexity[mask])

    def _groups(self) -> dict[str, npt.NDArray[np.bool_]]:
        """bool[n] for each group with a scored row here: its rows. No group, no scored row."""
        per, source = self._work.per, source_of(self._item.name)
        scored = ~np.isnan(self.perplexity)
        languages, codes = [""], np.zeros(len(scored), np.int64)
        if "language" in per:
            languages, codes = read_languages(Path(self._work.scores) / f"{self._item.name}.parquet")
        masks: dict[str, npt.NDArray[np.bool_]] = {}
        for code, language in enumerate(languages):
            mask, name = (codes == code) & scored, group_name(per, language, source)
            if mask.any():
                masks[name] = masks[name] | mask if name in masks else mask
        return masks

    def write_kept(self, batch: DocumentBatch, writer: DocumentWriter) -> None:
        index = np.asarray(batch.rows, dtype=np.int64) - self._item.first_row
        if len(index) and index[-1] >= len(self.perplexity):
            raise DamagedFile(
                f"{self._item.path} has more rows than its scores ({len(self.perplexity)}): "
                "score it again (--rebuild)"
            )
        kept = keep_documents(batch.texts, batch.urls, batch.timestamps, self._probability[index], self._work.seed)
        chosen = np.flatnonzero(kept)
        rows = index[chosen]
        self._kept[rows] = True
        writer.write(
            [batch.texts[i] for i in chosen],
            [batch.timestamps[i] for i in chosen],
            [batch.urls[i] for i in chosen],
            self.perplexity[rows],
            self._probability[rows],
            *([[BUCKETS[place] for place in self._bucket[rows]]] if self._work.buckets else []),
        )

    def counts(self) -> dict[str, QuartileCounts]:
        """By group, ascending names."""
        return {
            name: count_quartiles(
                self.perplexity[mask],
                self._probability[mask],
                self._kept[mask],
                self._work.groups[name].quartiles,
            )
            for name, mask in sorted(self._masks.items())
        }


def _check_scored(scores: Path, content: Manifest, inputs: list[manifest.InputIdentity]) -> None:
    """The scores must have been made from these very inputs."""
    scored = {tuple(i.content()) for i in content.made_from.inputs}
    for identity in inputs:
        if tuple(identity.content()) not in scored:
            raise StaleOutput(f"{identity.name} is not what {scores} was made from: score it again (--rebuild)")


def sample(
    patterns: Inputs,
    scores: Path,
    out: Path,
    settings: SampleSettings,
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Draws the sample. The manifest's facts hold, for each group, the fitted kernel and the kept share per quartile.

    Kernels are fitted to all of the scores, whichever of their inputs are sampled: a part of the inputs gives the
    same documents as the whole does. Raises BadArgument for a ratio that can't be reached or a group that isn't
    there, StaleOutput where scores and inputs don't belong together.
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
    work = _work(out, made_from, scores, scored, settings)
    return run_stage(
        out,
        made_from,
        work,
        lambda: SampleDocuments(work),
        items,
        runner,
        rebuild=rebuild,
        progress=progress,
        finish=lambda results: Finish([], _facts(work, results)),
    )


def _work(out: Path, made_from: MadeFrom, scores: Path, scored: Manifest, settings: SampleSettings) -> SampleWork:
    return SampleWork(
        out=str(out),
        fingerprint=made_from.fingerprint(),
        scores=str(scores),
        per=settings.per,
        groups=fit_groups(settings, Calibration.of_scores(scores, scored)),
        seed=settings.seed,
        format=settings.format,
        buckets=settings.method == "buckets",
    )


def _facts(work: SampleWork, results: list[ItemResult]) -> dict[str, Any]:
    """What the manifest says of the sample: of all groups together, and of each."""
    counts = dict.fromkeys(work.groups, QuartileCounts())
    for result in results:
        for name, plain in result.facts["groups"].items():
            counts[name] += msgspec.convert(plain, QuartileCounts)
    groups = {name: _group_facts(work.groups[name], counts[name]) for name in work.groups}
    only = next(iter(groups.values())) if len(groups) == 1 else {"kernel": None, "quartiles": None}
    return {
        "per": work.per,
        "kernel": only["kernel"],
        "quartiles": only["quartiles"],
        "scored": sum(group.scored for group in work.groups.values()),
        **_share_facts(sum(counts.values(), QuartileCounts())),
        "flat_warning": _flat_warning({name: facts["flat_warning"] for name, facts in groups.items()}),
        "groups": groups,
    }


def _group_facts(group: FittedGroup, counts: QuartileCounts) -> dict[str, Any]:
    return {
        "kernel": kernel_to_builtins(group.kernel),
        "quartiles": list(group.quartiles),
        "scored": group.scored,
        **_share_facts(counts),
        "flat_warning": flat_warning(counts) if isinstance(group.kernel, Gaussian | Stepwise) else None,
    }


def _share_facts(counts: QuartileCounts) -> dict[str, Any]:
    """Of the sampled documents: each counts in its own group's quartile."""
    return {
        "documents": sum(counts.documents),
        "kept": sum(counts.kept),
        "expected_share": counts.expected_share,
        "kept_shares": counts.kept_shares,
        "composition": counts.composition,
    }


def _flat_warning(warnings: Mapping[str, str | None]) -> str | None:
    """One line for all groups."""
    flat = [name for name, warning in warnings.items() if warning]
    if not flat:
        return None
    more = f" (and {len(flat) - 1} more)" if len(flat) > 1 else ""
    return f"{flat[0]}{more}: {warnings[flat[0]]}" if len(warnings) > 1 else warnings[flat[0]]
