"""The curves of a sample are fitted to histograms of all scores: counted item by item on workers, then summed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from corpora.annotations.joining import AnnotationFolder
from corpora.annotations.reading import item_name
from corpora.documents.item import WorkItem
from corpora.home import Home
from corpora.perplexity.calibration import Calibration, calibration_of
from corpora.sampling.histogram import LogHistogram
from pipelines.merging import Left, merge_passes
from pipelines.once import ItemResult
from pipelines.stage import Pass

NAME = "histograms"


@dataclass(frozen=True)
class HistogramWork:
    """Counts the perplexities of one item's scores, without the documents that annotations drop."""

    out: str
    fingerprint: str
    scores: str
    annotations: tuple[AnnotationFolder, ...] = ()

    def __call__(self, item: WorkItem) -> ItemResult:
        found = encode(calibration_of(Home.of(self.scores), self.annotations, item_name(item)))
        written = Left(self.out, NAME).write(item.number, found)
        return ItemResult(name=item.name, number=item.number, scratch=[written])


def encode(calibration: Calibration) -> bytes:
    groups = [(*key, histogram.to_builtins()) for key, histogram in calibration.groups.items()]
    return msgspec.msgpack.encode(groups)


def decode(content: bytes) -> Calibration:
    groups = msgspec.msgpack.decode(content)
    return Calibration({(language, source): LogHistogram.from_builtins(h) for language, source, h in groups})


def merge(contents: Iterable[bytes]) -> bytes:
    return encode(summed(contents))


def summed(contents: Iterable[bytes]) -> Calibration:
    total = Calibration({})
    for content in contents:
        total = Calibration.sum([total, decode(content)])
    return total


def fitting_passes(
    out: str, fingerprint: str, scores: str, annotations: tuple[AnnotationFolder, ...], items: list[WorkItem]
) -> list[Pass]:
    """Count the scores of all items; then `summed(Left(out, NAME).all(items))` is what curves are fitted to."""
    count = HistogramWork(out, fingerprint, scores, annotations)
    merging = merge_passes(Left(out, NAME), fingerprint, len(items), merge, looks=True)
    return [Pass(count, items, looks=True), *merging]
