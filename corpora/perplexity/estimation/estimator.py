"""Runs all steps: a text of ids in, a KenLM probing binary out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.machine import available_cores
from corpora.perplexity.estimation.contexts import Floats
from corpora.perplexity.estimation.counts import PRUNED
from corpora.perplexity.estimation.levels import Level, first_level, next_level
from corpora.perplexity.estimation.model_file import ModelFile, new_model_file
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.estimation.suffixes import Suffixes, Workers, order_suffixes
from corpora.perplexity.estimation.survey import KEPT
from corpora.perplexity.estimation.tables import Cells, Indices, fill_table, fill_unigrams
from corpora.perplexity.estimation.vocabulary import Vocabulary
from corpora.perplexity.kneser_ney import too_little_text
from corpora.perplexity.ngram_counts import BEGIN
from corpora.perplexity.small_text import Written

Progress = Callable[[int, int], None]

LEAST_PART = 256 << 20  # fewest bytes of a table to fill at once, with any memory: each part reads all text
_BLOCK = 1 << 20  # ids
_NO_WEIGHTS = np.zeros((1, 2), np.float32)
_NO_COUNTS = np.zeros(0, np.uint32)


def write_model(
    path: str | Path,
    text: Ids,
    vocabulary: Vocabulary,
    order: int,
    prune: Sequence[int] | None,
    scratch: Scratch,
    *,
    arpa: str | Path | None = None,
    threads: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Written:
    """Estimates a model and writes it at `path`.

    text: `order` times `<s>`, the sentences, each from `<s>` to `</s>`, and one `<s>`; ids as in
    `kneser_ney.estimate`. Raises the same errors. threads: by default one per core.
    """
    threads = threads or available_cores()
    thresholds = [*(prune or [0]), *[(prune or [0])[-1]] * order][:order]
    with ThreadPoolExecutor(threads) as pool:
        workers = Workers(pool, threads, scratch)
        suffixes = order_suffixes(workers, text, order, len(vocabulary))
        progress(3, 4 + order)
        survey = suffixes.survey(workers, thresholds)
        level = first_level(workers, suffixes, survey, thresholds[0])
        kept = np.flatnonzero((level.flags & PRUNED) == 0)
        _renumber(text, kept, len(vocabulary))
        counts = [len(kept), *(survey.total(k, KEPT) for k in range(2, order + 1))]
        words = vocabulary.only(kept)
        with _new_tables(workers, suffixes, counts, words, path, arpa) as tables:
            for threshold in thresholds[1:]:
                lower = level
                level, weights = next_level(workers, suffixes, survey, lower, threshold)
                tables.add(lower, weights)
                progress(2 + level.order, 4 + order)
            tables.add(level, _NO_WEIGHTS)
    return Written(counts, suffixes.sentences)


def _renumber(text: Ids, kept: npt.NDArray[np.int64], words: int) -> None:
    """Renumbers words in place, as build_binary does: pruned words become `<unk>`, the others close the gaps."""
    if len(kept) == words:
        return
    new = np.zeros(words, text.dtype)
    new[kept] = np.arange(len(kept), dtype=text.dtype)
    for start in range(0, len(text), _BLOCK):
        text[start : start + _BLOCK] = new[text[start : start + _BLOCK]]


class _Tables:
    """Writes finished orders to the file: a thread fills each table in suffix order, as build_binary does."""

    def __init__(self, workers: Workers, suffixes: Suffixes, file: ModelFile) -> None:
        self._workers = workers
        self._suffixes = suffixes
        self._file = file
        self.arpa: Callable[[Level, Floats], None] | None = None
        self._running: list[tuple[Level, Floats, Future[int]]] = []

    def add(self, level: Level, weights: Floats) -> None:
        """Starts to fill the table of `level`. Waits for the one before first, which saves memory."""
        longest = level.order == self._suffixes.order
        if not longest:
            self.finish()
        self._workers.scratch.release(level.adjusted)
        level = replace(level, adjusted=_NO_COUNTS)
        memory = self._workers.scratch.memory
        task = self._workers.pool.submit(_fill, self._file, self._suffixes, level, weights, memory)
        self._running.append((level, weights, task))
        if self.arpa is not None:
            self.arpa(level, weights)

    def finish(self) -> None:
        """Waits for all tables. Raises BadArgument if some probability or back-off isn't finite."""
        for level, weights, task in self._running:
            if task.result():
                raise BadArgument(too_little_text(level.order))
            self._workers.scratch.release(level.flags, level.probability)
            if weights is not _NO_WEIGHTS:
                self._workers.scratch.release(weights)
        self._running = []


@contextmanager
def _new_tables(
    workers: Workers,
    suffixes: Suffixes,
    counts: Sequence[int],
    words: Vocabulary,
    path: str | Path,
    arpa: str | Path | None,
) -> Iterator[_Tables]:
    """The tables of a new model. The file at `path`, and the ARPA file if any, appear if the block succeeds."""
    with ExitStack() as files:
        tables = _Tables(workers, suffixes, files.enter_context(new_model_file(path, counts, words)))
        if arpa is not None:
            from corpora.perplexity.estimation.arpa_sections import arpa_sections

            tables.arpa = files.enter_context(arpa_sections(arpa, suffixes, counts, words))
        yield tables
        tables.finish()


def _fill(file: ModelFile, suffixes: Suffixes, level: Level, weights: Floats, memory: int) -> int:
    if level.order == 1:
        kept = (level.flags & PRUNED) == 0
        floats = file.unigrams()
        bad = fill_unigrams(level.probability[kept], weights[kept], level.flags[kept], floats)
        floats[2 * BEGIN] = 0.0
        return int(bad)
    cells, buckets = file.table(level.order)
    parts = -(-cells.nbytes // max(memory, LEAST_PART))
    borders = [buckets * part // parts for part in range(parts + 1)]
    longest = level.order == suffixes.order
    read = (suffixes.text, suffixes.positions, suffixes.packed, level.order, longest)
    fill = partial(fill_table, *read, level.probability, weights, level.flags, cells, cells.view(np.float32), buckets)
    return _fill_parts(fill, cells.reshape(buckets, -1), borders)


def _fill_parts(fill: Callable[[int, int, Indices], tuple[Indices, int]], table: Cells, borders: list[int]) -> int:
    """Fills a table part by part, so that no more pages are in use at once than memory can hold.

    N-grams that find no free bucket in one part are carried to the next and inserted in their turn, so the result is
    the same as with one part. The last part carries over to the first, and so on until nothing is carried any more.
    """
    given: dict[int, list[int]] = {}
    carried, part, bad = np.zeros(0, np.int64), 0, 0
    while given.get(part) != carried.tolist():
        if part in given:
            table[borders[part] : borders[part + 1]] = 0
        given[part] = carried.tolist()
        carried, found = fill(borders[part], borders[part + 1], carried)
        bad += found
        part = (part + 1) % (len(borders) - 1)
    return bad
