"""How scores are distributed, by language and source: histograms that can be summed in any order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from corpora.annotations.joining import AnnotationFolder, join, prefer
from corpora.documents.groups import Per, group_name, source_of
from corpora.home import Home, Place
from corpora.manifest import Manifest
from corpora.perplexity.scores import Floats, read_by_language, read_languages, read_perplexities, score_files
from corpora.sampling.histogram import LogHistogram

THREADS = 4

T = TypeVar("T")


class Calibration:
    """A histogram of perplexity for each (language, source). The language is "" if the scores don't name one."""

    def __init__(self, groups: Mapping[tuple[str, str], LogHistogram]) -> None:
        """Leaves out groups without documents."""
        self.groups = {key: groups[key] for key in sorted(groups) if groups[key].total}

    @classmethod
    def of_scores(
        cls,
        scores: Place,
        content: Manifest,
        progress: Callable[[int, int], None] | None = None,
        annotations: Sequence[AnnotationFolder] = (),
        only: Collection[str] | None = None,
    ) -> Calibration:
        """The histograms of a finished folder of scores, in one pass. only: names of the files to read; None: all.

        annotations: documents that they drop are left out, and they supply languages that the scores lack.
        Memory: a few thousand rows and the bins; with annotations, the scores of THREADS items.
        """
        names = [name for name in score_files(content) if only is None or name in only]
        return cls.of_each(partial(_of_file, Home.of(scores), annotations), names, progress)

    @classmethod
    def of_each(
        cls,
        read: Callable[[T], Calibration],
        units: Sequence[T],
        progress: Callable[[int, int], None] | None = None,
    ) -> Calibration:
        """The sum over all units, THREADS of which are read at a time."""
        parts: list[Calibration] = []
        with ThreadPoolExecutor(THREADS) as pool:
            for done, part in enumerate(pool.map(read, units), 1):
                parts.append(part)
                if len(parts) > THREADS * 16:
                    parts = [cls.sum(parts)]
                if progress:
                    progress(done, len(units))
        return cls.sum(parts)

    @classmethod
    def sum(cls, parts: Iterable[Calibration]) -> Calibration:
        """The sum, independent of the order."""
        found: dict[tuple[str, str], list[LogHistogram]] = {}
        for part in parts:
            for key, histogram in part.groups.items():
                found.setdefault(key, []).append(histogram)
        return cls({key: LogHistogram.sum(histograms) for key, histograms in found.items()})

    def by(self, per: Per) -> dict[str, LogHistogram]:
        """The histogram of each group, sorted by name; finer groups are summed."""
        found: dict[str, list[LogHistogram]] = {}
        for (language, source), histogram in self.groups.items():
            found.setdefault(group_name(per, language, source), []).append(histogram)
        return {name: LogHistogram.sum(found[name]) for name in sorted(found)}

    @property
    def total(self) -> int:
        """Number of scored documents."""
        return sum(histogram.total for histogram in self.groups.values())


def _of_file(scores: Home, annotations: Sequence[AnnotationFolder], name: str) -> Calibration:
    source = source_of(name)
    found: dict[tuple[str, str], LogHistogram] = {}
    read = _read_joined(scores, annotations, name) if annotations else read_by_language(scores.at(name))
    for language, perplexities in read:
        part = LogHistogram.of(perplexities)
        key = (language, source)
        found[key] = found[key] + part if key in found else part
    return Calibration(found)


def _read_joined(scores: Home, annotations: Sequence[AnnotationFolder], name: str) -> Iterator[tuple[str, Floats]]:
    """As `read_by_language`, without the documents that an annotation drops."""
    perplexities = read_perplexities(scores.at(name))
    joined = join(annotations, name, len(perplexities), carry=False)
    languages = prefer(read_languages(scores.at(name)), joined.languages)
    for code, language in enumerate(languages[0]):
        yield language, perplexities[(languages[1] == code) & joined.keep]
