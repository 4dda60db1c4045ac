"""Sample: documents + scores/ -> sampled/, the kept documents, each with its perplexity and keep probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora import manifest
from corpora.annotations.joining import AnnotationFolder, join, open_folders, prefer
from corpora.annotations.reading import Languages, check_inputs, item_file, item_name
from corpora.documents.carried import CarriedColumn
from corpora.documents.carrying import Carrying, carrying
from corpora.documents.groups import Per, group_name, source_columns, source_of, sources_by
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.joined import JoinedPart
from corpora.documents.reading import DocumentBatch
from corpora.documents.sources import Inputs
from corpora.documents.writing import COLUMNS, DocumentWriter
from corpora.home import Home, Place
from corpora.manifest import MadeFrom, Manifest
from corpora.perplexity.calibration import Calibration
from corpora.perplexity.scores import check_rows, places_of, read_languages, read_perplexities, read_rows, score_files
from corpora.sampling.before_after import Histograms, histograms
from corpora.sampling.draw import keep_documents
from corpora.sampling.groups import FittedGroup, fit_groups
from corpora.sampling.methods import SampleSettings
from corpora.sampling.quartiles import QuartileCounts, count_quartiles
from corpora.sampling.sources import SourceCounts
from pipelines.accounts import input_identities
from pipelines.fitting import NAME as HISTOGRAMS
from pipelines.fitting import fitting_passes
from pipelines.fitting import summed as summed_histograms
from pipelines.items import ItemReader
from pipelines.join import ITEM_PARTS, SHARE, JoinWork, part_facts, part_file, parts_of, source_names
from pipelines.merging import FEW, Left, merge_passes
from pipelines.once import ItemResult
from pipelines.progress import Progress, size_of
from pipelines.sample_facts import column_facts, null_in_the_first_part, sample_facts
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Later, Outcome, Pass, run_stage
from pipelines.totals import NAME as TOTALS
from pipelines.totals import Totals, encode, merge, summed

ALGORITHM = 3  # 2: no page index, row groups of 10,000 rows

JOINED = ("part_bytes", "part_sources")


@dataclass(frozen=True)
class SampleWork:
    """Samples one work item: writes <out>/part-NNNNN.parquet, the kept documents in input order.

    joined: the part goes to `.progress` instead, where a second pass joins it with others.
    groups: keyed by `group_name`. extra_columns: name -> type of each column that the groups' curves add.
    """

    out: str
    fingerprint: str
    scores: str
    per: Per
    groups: Mapping[str, FittedGroup]
    seed: int
    format: str
    extra_columns: Mapping[str, str]
    annotations: tuple[AnnotationFolder, ...] = ()
    """Folders of annotations: they drop documents, name languages and add columns."""
    carried: tuple[CarriedColumn, ...] = ()
    """The columns of the inputs that the sample carries over."""
    watched: bool = False
    """Whether fields that nobody knew of before the rows were read are noted."""
    source_by: str = "file"
    """What a source is, where shares of sources are counted."""
    joined: bool = False

    @property
    def columns(self) -> dict[str, str]:
        """The columns that this sample adds to the usual ones: name -> type."""
        annotated = {name: kind for folder in self.annotations for name, kind in folder.carried.items()}
        return {**self.extra_columns, **annotated}

    def __call__(self, item: WorkItem) -> ItemResult:
        rows = _ItemRows(self, item)
        name = part_file(item.number, self.format)
        path = Home.of(self.out).at(f"{ITEM_PARTS}/{name}" if self.joined else name)
        with (
            DocumentWriter(path, self.format, self.columns, self.carried) as writer,
            ItemReader(self.out, item, source_columns(self.source_by)) as reader,
        ):
            for batch in reader.carrying(self.carried):
                rows.write_kept(batch, writer)
        check_rows(reader.read, rows.rows, item.path)
        totals = Totals(groups=rows.counts(), perplexities=rows.perplexities(), sources=rows.sources.largest())
        written = [writer.record(reader.out)]
        left = [Left(self.out, TOTALS).write(item.number, encode(totals))]
        return reader.result(
            kept=writer.rows,
            files=[] if self.joined else written,
            scratch=[*written, *left] if self.joined else left,
            facts={
                **({"dropped": rows.dropped()} if self.annotations else {}),
                **({"left_out": sorted(rows.left_out)} if rows.left_out else {}),
                "given": sorted(rows.given),
            },
        )


class _ItemRows:
    """The n rows of one item: perplexity, keep probability, annotations, and which have been kept so far."""

    def __init__(self, work: SampleWork, item: WorkItem) -> None:
        self._work, self._item = work, item
        path = item_file(work.scores, item)
        self.perplexity, self.rows = read_perplexities(path), read_rows(path)
        self._joined = join(work.annotations, item, len(self.perplexity))
        self._eligible = ~np.isnan(self.perplexity) & self._joined.keep
        self._masks = self._groups()
        self._probability = np.zeros(len(self.perplexity))
        self._extra = {name: np.empty(len(self.perplexity), np.object_) for name in work.extra_columns}
        self._kept = np.zeros(len(self.perplexity), np.bool_)
        self._document = np.zeros(len(self.perplexity), np.bool_)
        self.sources = SourceCounts()
        self.given: set[str] = set()
        """Which of url and timestamp any kept document has."""
        self.left_out: set[str] = set()
        """Fields of kept documents that nobody knew of before."""
        for name, mask in self._masks.items():
            curve = work.groups[name].curve
            self._probability[mask] = curve.keep_probability(self.perplexity[mask])
            if self._extra:
                for column, values in curve.columns(self.perplexity[mask]).items():
                    self._extra[column][mask] = np.array(values, np.object_)

    def _groups(self) -> dict[str, npt.NDArray[np.bool_]]:
        """bool[n] for each group: its rows that take part in the draw. Groups without such rows are left out."""
        per, source = self._work.per, source_of(self._item.name)
        eligible = self._eligible
        languages: Languages = [""], np.zeros(len(eligible), np.int64)
        if "language" in per:
            languages = prefer(read_languages(item_file(self._work.scores, self._item)), self._joined.languages)
        masks: dict[str, npt.NDArray[np.bool_]] = {}
        for code, language in enumerate(languages[0]):
            mask, name = (languages[1] == code) & eligible, group_name(per, language, source)
            if mask.any():
                masks[name] = masks[name] | mask if name in masks else mask
        return masks

    def write_kept(self, batch: DocumentBatch, writer: DocumentWriter) -> None:
        index = places_of(batch.rows, self.rows, self._item.path)
        kept = keep_documents(batch.texts, batch.urls, batch.timestamps, self._probability[index], self._work.seed)
        chosen = np.flatnonzero(kept)
        rows = index[chosen]
        self._kept[rows] = True
        self._document[index] = True
        self._count_sources(batch, index, kept)
        writer.write(
            [batch.texts[i] for i in chosen],
            [batch.timestamps[i] for i in chosen],
            [batch.urls[i] for i in chosen],
            self.perplexity[rows],
            self._probability[rows],
            *(values[rows].tolist() for values in self._extra.values()),
            *(column.take(rows).to_pylist() for column in self._joined.carried.values()),
            carried=batch.carried,
            places=chosen,
        )
        for name, values in (("timestamp", batch.timestamps), ("url", batch.urls)):
            if name not in self.given and any(values[i] is not None for i in chosen):
                self.given.add(name)
        if self._work.watched and batch.carried is not None:
            self.left_out |= batch.carried.left_out(chosen)

    def _count_sources(self, batch: DocumentBatch, index: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> None:
        """index: the documents' places among the item's rows."""
        drawn = np.flatnonzero(self._eligible[index])
        names = sources_by(self._work.source_by, batch, self._item.name)
        self.sources.add([names[place] for place in drawn], self._probability[index[drawn]], kept[drawn])

    def dropped(self) -> dict[str, int]:
        """How many documents each folder drops; a document may count in several folders."""
        return {path: int((drops & self._document).sum()) for path, drops in self._joined.dropped.items()}

    def counts(self) -> dict[str, QuartileCounts]:
        """Counts by group, sorted by name."""
        return {
            name: count_quartiles(
                self.perplexity[mask],
                self._probability[mask],
                self._kept[mask],
                self._work.groups[name].quartiles,
            )
            for name, mask in sorted(self._masks.items())
        }

    def perplexities(self) -> dict[str, Histograms]:
        """Histograms by group, sorted by name, before the draw and after it."""
        return {
            name: histograms(self.perplexity[mask], self._kept[mask]) for name, mask in sorted(self._masks.items())
        }


def sample(
    patterns: Inputs,
    scores: Place,
    out: Place,
    settings: SampleSettings,
    runner: RunnerSettings,
    *,
    annotations: Sequence[Place] = (),
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Draws the sample. The manifest's facts hold, for each group, the fitted curve and the kept share per quartile.

    Curves are fitted to the scores of these inputs, even if more inputs were scored. Raises BadArgument for a share
    that can't be reached or an unknown group, StaleOutput if scores or annotations were made from other inputs.

    annotations: finished folders made from the same inputs and items. A document whose `keep` is false in any of them
    takes part neither in the draw nor in the fit; their `language` is used if the scores name none; other columns
    are written into the sample.
    """
    scored = manifest.read_finished(scores, "score")
    item_bytes = int(scored.made_from.settings["item_bytes"])
    items = work_items(patterns, item_bytes)
    inputs = input_identities(items, out)
    check_inputs(scores, scored, inputs, "score it again (--rebuild)")
    folders = open_folders(
        annotations, scored.made_from.inputs, item_bytes, reserved=(*COLUMNS, *settings.extra_columns)
    )
    annotated = [name for folder in folders for name in folder.carried]
    carried = carrying(items, settings.columns, (*COLUMNS, *settings.extra_columns, *annotated))
    unusual = _unusual(settings, carried, len(items) < len(score_files(scored)), folders)
    identity = {**settings.identity(), "scores": scored.fingerprint, **unusual, **_joined(settings, patterns)}
    made_from = MadeFrom(stage="sample", algorithm=ALGORITHM, settings=identity, inputs=inputs)
    if not rebuild and manifest.is_finished(out, made_from):
        manifest.begin(out, made_from)
        return Outcome("finished", manifest.read(out))
    work = _work(out, made_from, scores, settings, folders, carried)
    passes = SamplePasses(work, settings, scored, made_from, items, source_names(patterns))
    finish, each = partial(_finish, passes, carried), passes.of(carried.of_glimpsed(items))
    return run_stage(out, made_from, each, runner, rebuild=rebuild, progress=progress, finish=finish)


@dataclass(frozen=True)
class SamplePasses:
    """The passes of a sample. work: without its curves.

    The curves are fitted before, or for many items after passes that count their scores. Then come the pass over the
    items, that which sums what many items count and, if the items' parts are to be joined, the one that does it.
    """

    work: SampleWork
    settings: SampleSettings
    scored: Manifest
    made_from: MadeFrom
    items: list[WorkItem]
    names: list[str]
    """Of sources that have parts of their own."""

    @cached_property
    def fitting(self) -> list[Pass]:
        if len(self.items) <= FEW:
            return []
        work, settings = self.work, self.made_from.settings
        identity: dict[str, Any] = {name: settings[name] for name in ("scores", "annotations") if name in settings}
        counted = MadeFrom(stage="histograms", algorithm=1, settings=identity, inputs=self.made_from.inputs)
        return fitting_passes(work.out, counted.fingerprint(), work.scores, work.annotations, self.items)

    def of(self, units: Sequence[WorkItem]) -> list[Pass]:
        """Raises BadArgument for curves that can't be fitted, where that is known before anything is written."""
        if not self.fitting:
            _ = self.fitted
        passes = [*self.fitting, Pass(Later(lambda _: self.fitted), units)]
        passes += merge_passes(Left(self.work.out, TOTALS), self._fingerprint, len(units), merge)
        if self.settings.part_bytes is None:
            return passes
        join = JoinWork(
            self.work.out, self.made_from.fingerprint(), self.work.format, self.work.columns, self.work.carried
        )
        weight = int(sum(map(size_of, units)) * SHARE)
        return [*passes, Pass(join, lambda results: self.parts(results[len(self.fitting)]), weight)]

    @property
    def _fingerprint(self) -> str:
        return (_of_items(self.made_from) if self.settings.part_bytes else self.made_from).fingerprint()

    def parts(self, results: Sequence[ItemResult]) -> list[JoinedPart]:
        """What the items' parts are joined into, if they are."""
        size = self.settings.part_bytes
        return [] if size is None else parts_of(results, self.items, self.names, size)

    @cached_property
    def fitted(self) -> SampleWork:
        """The work with the curves, fitted to the scores of these items."""
        groups = fit_groups(self.settings, self._calibration().by(self.settings.per))
        joined = self.settings.part_bytes is not None
        return replace(self.work, groups=groups, joined=joined, fingerprint=self._fingerprint)

    def _calibration(self) -> Calibration:
        work = self.work
        if self.fitting:
            return summed_histograms(Left(work.out, HISTOGRAMS).all(len(self.items)))
        named = {item_name(item) for item in self.items}
        return Calibration.of_scores(work.scores, self.scored, annotations=work.annotations, only=named)


def _of_items(made_from: MadeFrom) -> MadeFrom:
    """What determines the items' parts: after a killed attempt, they serve another part_bytes as well."""
    settings = {name: value for name, value in made_from.settings.items() if name not in JOINED}
    return MadeFrom(stage="sample items", algorithm=made_from.algorithm, settings=settings, inputs=made_from.inputs)


def _joined(settings: SampleSettings, inputs: Inputs) -> dict[str, Any]:
    """What fingerprints contain if parts are joined: sources with names have parts of their own."""
    if settings.part_bytes is None:
        return {}
    return dict(zip(JOINED, (settings.part_bytes, source_names(inputs)), strict=True))


def _unusual(
    settings: SampleSettings, carried: Carrying, of_some: bool, folders: Sequence[AnnotationFolder]
) -> dict[str, Any]:
    """What fingerprints contain only where it applies, so that all other samples stay what they were.

    of_some: whether more was scored than is sampled.
    """
    unusual = {
        "annotations": [folder.fingerprint for folder in folders],
        "columns": carried.identity,
        "fitted_to": "inputs" if of_some else None,
        "source_by": None if settings.source_by == "file" else settings.source_by,
        "values": "arrow" if carried.respelled else None,
    }
    return {name: value for name, value in unusual.items() if value}


def _work(
    out: Place,
    made_from: MadeFrom,
    scores: Place,
    settings: SampleSettings,
    annotations: tuple[AnnotationFolder, ...],
    carried: Carrying,
) -> SampleWork:
    """The work without its curves."""
    return SampleWork(
        out=str(out),
        fingerprint=made_from.fingerprint(),
        scores=str(scores),
        per=settings.per,
        groups={},
        seed=settings.seed,
        format=settings.format,
        extra_columns=dict(settings.extra_columns),
        annotations=annotations,
        carried=carried.columns,
        watched=carried.watched,
        source_by=settings.source_by,
    )


def _finish(passes: SamplePasses, carried: Carrying, *found: list[ItemResult]) -> Finish:
    work, results = passes.fitted, found[len(passes.fitting)]
    totals = summed(Left(work.out, TOTALS).all(len(results)))
    facts = sample_facts(work.per, work.groups, work.annotations, results, totals)
    parts = passes.parts(results)
    late = null_in_the_first_part(results, parts) if work.format != "parquet" else []
    more: dict[str, Any] = {"null_in_the_first_part": late} if late else {}
    if parts:
        more["parts"] = part_facts(parts, passes.items, work.format)
    return Finish(facts={**facts, **column_facts(carried, results, work.format), **more})
