"""Reads scores, one work item at a time, and finds which rows the sample kept."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.documents.items import work_items
from corpora.documents.joined import part_name
from corpora.documents.reading import read_batches
from corpora.errors import DamagedFile, StaleOutput
from corpora.home import Home, source
from corpora.manifest import Manifest
from tamiz.report.folders import Scored
from tamiz.stages.sample import sample_parts

Floats = npt.NDArray[np.float64]
_ITEM_SUFFIX = re.compile(r"\.item\d{4,}$")


@dataclass(frozen=True)
class ItemRows:
    """The scored rows of one work item, in input order.

    file: name of the input that contains the item; rows int64[n], numbers in the whole file; perplexities, lengths
    (num_tokens) float64[n]; language int64[n], an index into `languages` ("" if the scores name none); kept bool[n],
    None without a sample.
    """

    item: str
    file: str
    rows: npt.NDArray[np.int64]
    perplexities: Floats
    lengths: Floats
    language: npt.NDArray[np.int64]
    languages: list[str]
    kept: npt.NDArray[np.bool_] | None


def item_rows(scored: Scored, *, with_sample: bool = True) -> Iterator[ItemRows]:
    """The rows of every work item, in the order of items. Memory: one item. with_sample: whether to fill in `kept`.

    Raises DamagedFile for a file that can't be read, StaleOutput if the sample wasn't drawn from the scores.
    """
    found = kept_of_items(scored) if with_sample else itertools.repeat(None)
    for item, sampled in zip(scored.items, found, strict=False):
        columns = _columns(scored.scores.at(f"{item}.parquet"))
        kept = None if sampled is None else _kept(columns["perplexity"], *sampled)
        valid = np.isfinite(columns["perplexity"])
        yield ItemRows(
            item=item,
            file=_ITEM_SUFFIX.sub("", item),
            rows=columns["row"][valid].astype(np.int64),
            perplexities=columns["perplexity"][valid],
            lengths=columns["num_tokens"][valid].astype(np.float64),
            language=columns["language"][valid],
            languages=columns["languages"],
            kept=None if kept is None else kept[valid],
        )


def _columns(path: str) -> dict[str, Any]:
    """The columns of one file of scores as arrays, with the language as an index; rejected rows are NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(source(path), columns=["row", "perplexity", "num_tokens", "language"])
        named: Any = pc.fill_null(table.column("language").cast(pa.string()), "")
        language: Any = named.combine_chunks().dictionary_encode()
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} can't be read ({reason}): score again (--rebuild)") from None
    found: dict[str, Any] = {
        name: table.column(name).to_numpy(zero_copy_only=False) for name in ("row", "perplexity", "num_tokens")
    }
    codes = language.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return {**found, "language": codes, "languages": language.dictionary.to_pylist()}


def kept_of_items(scored: Scored) -> Iterator[tuple[Floats, str] | None]:
    """For each item, the perplexities float64[k] of its kept documents, and the file they are in; None: no sample."""
    if scored.sampled is None or scored.sample is None:
        yield from itertools.repeat(None, len(scored.items))
        return
    parts = sample_parts(scored.sample)
    for number in range(0 if parts else len(scored.items)):
        path = scored.sampled.at(_part(scored.sampled, scored.sample, number))
        yield _kept_perplexities(path), path
    if parts and [name for part in parts for name in part.items] != scored.items:
        raise DamagedFile(f"{scored.sampled}: the parts that its manifest lists hold other items: sample again")
    counts = {str(item["name"]): int(item.get("kept", 0)) for item in scored.sample.items}
    for part in parts:
        path = scored.sampled.at(part.file)
        perplexities = _kept_perplexities(path)
        ends = np.cumsum([counts.get(name, 0) for name in part.items])
        if len(perplexities) != sum(ends[-1:]):
            raise DamagedFile(f"{path} has {len(perplexities):,} rows, unlike its manifest: sample again (--rebuild)")
        for kept in np.split(perplexities, ends[:-1]):
            yield kept, path


def _part(sampled: Home, content: Manifest, number: int) -> str:
    """The sample's file for the item with this number, in any format."""
    name = f"{part_name(number)}.*"
    found = [r.path for r in content.files if fnmatch(r.path, name) and r.path.endswith((".parquet", ".gz", ".zst"))]
    if len(found) != 1:
        raise DamagedFile(f"{sampled} has {len(found)} files named {name}, not 1: sample again")
    return found[0]


def _kept_perplexities(part: str) -> Floats:
    """float64[k]: the perplexities of the kept documents, in input order."""
    if part.endswith(".parquet"):
        import pyarrow.parquet as pq

        try:
            column = pq.read_table(source(part), columns=["perplexity"]).column(0)
        except (OSError, ValueError, KeyError) as error:
            raise DamagedFile(f"{part} can't be read ({str(error).splitlines()[0]}): sample again") from None
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    batches = (b for item in work_items([part]) for b in read_batches(item, columns=("perplexity",)))
    return np.array([float(value or "nan") for b in batches for value in b.extra["perplexity"]], np.float64)


def _kept(perplexities: Floats, kept: Floats, part: str) -> npt.NDArray[np.bool_]:
    """bool[n]: which rows the kept perplexities [k] belong to.

    If rows have exactly the same perplexity (nearly always because their texts are equal), the first ones count as
    kept.
    """
    order = np.argsort(perplexities, kind="stable")
    ascending, wanted = perplexities[order], np.sort(kept)
    first = np.searchsorted(wanted, wanted, side="left")
    place = np.searchsorted(ascending, wanted, side="left") + np.arange(len(wanted)) - first
    fits = bool(np.all(place < len(ascending))) and bool(np.all(ascending[place] == wanted))
    if not fits:
        raise StaleOutput(f"{part} has perplexities that its scores don't have: sample again (--rebuild)")
    mask = np.zeros(len(perplexities), np.bool_)
    mask[order[place]] = True
    return mask
