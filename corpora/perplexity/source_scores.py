"""How the scores of each source are distributed, if the documents and not the files' names tell the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from corpora.annotations.reading import item_file
from corpora.documents.groups import source_columns, sources_by
from corpora.documents.item import WorkItem
from corpora.documents.reading import read_batches
from corpora.home import Place
from corpora.perplexity.calibration import Calibration
from corpora.perplexity.scores import Floats, check_rows, places_of, read_languages, read_perplexities, read_rows
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.sources import MOST, OTHERS

Key = tuple[str, str]  # language, source


def calibrate_sources(
    scores: Place, items: Sequence[WorkItem], by: str, progress: Callable[[int, int], None] | None = None
) -> Calibration:
    """The histogram of each (language, source). Reads the documents again. by: a rule of `sources_by`.

    Of one item's sources, the MOST largest are counted by name, the others together as OTHERS. Raises DamagedFile if
    an item's documents aren't those of its scores.
    """
    return Calibration.of_each(partial(_of_item, scores, by), items, progress)


def _of_item(scores: Place, by: str, item: WorkItem) -> Calibration:
    path = item_file(scores, item)
    perplexities, rows, (languages, codes) = read_perplexities(path), read_rows(path), read_languages(path)
    known: dict[Key, int] = {}
    read = 0
    groups, values = [np.zeros(0, np.int64)], [np.zeros(0)]
    for batch in read_batches(item, columns=source_columns(by)):
        read += batch.total
        places = places_of(batch.rows, rows, item.path)
        keys = zip((languages[code] for code in codes[places]), sources_by(by, batch, item.name), strict=True)
        groups.append(np.array([known.setdefault(key, len(known)) for key in keys], np.int64))
        values.append(perplexities[places])
    check_rows(read, rows, item.path)
    return Calibration(_histograms(known, np.concatenate(groups), np.concatenate(values)))


def _histograms(known: Mapping[Key, int], groups: np.ndarray, values: Floats) -> dict[Key, LogHistogram]:
    """groups: int64[n], numbers in `known`; values: float64[n]."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(values[order], np.cumsum(np.bincount(groups, minlength=len(known)))[:-1]) if known else []
    of_key = {key: LogHistogram.of(part) for key, part in zip(known, parts, strict=True)}
    sizes = Counter[str]()
    for (_, source), histogram in of_key.items():
        sizes[source] += histogram.total
    named = set(sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST])
    found: dict[Key, LogHistogram] = {}
    for (language, source), histogram in of_key.items():
        key = (language, source if source in named else OTHERS)
        found[key] = found[key] + histogram if key in found else histogram
    return found
