"""Several folders of annotations, side by side with the documents of one item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora import manifest
from corpora.annotations.columns import KEEP, LANGUAGE, ROW
from corpora.annotations.reading import Languages, check_inputs, item_name, read_columns, read_strings
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.home import Home, Place
from corpora.manifest import InputIdentity

FACT = "columns"  # in the manifest of a folder of annotations: column -> type
SETTING = "item_bytes"  # the size of the items that the inputs were cut into

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AnnotationFolder:
    """A finished folder. columns: name -> type, without `row`. Picklable: workers read its files."""

    path: str
    annotator: str
    fingerprint: str
    columns: Mapping[str, str]

    @property
    def carried(self) -> dict[str, str]:
        """The columns that are carried into the sample."""
        return {name: kind for name, kind in self.columns.items() if name not in (KEEP, LANGUAGE)}


def open_folders(
    folders: Sequence[Place], inputs: Sequence[InputIdentity], item_bytes: int, reserved: Sequence[str] = ()
) -> tuple[AnnotationFolder, ...]:
    """The folders, checked against the inputs of the scores and against their item_bytes.

    Raises DamagedFile for a folder that isn't finished or holds no annotations, StaleOutput for one made from
    different inputs or items, BadArgument if two folders carry a column of the same name, or a `reserved` name.
    """
    opened = tuple(_open(folder, inputs, item_bytes) for folder in folders)
    owner = dict.fromkeys(reserved, "the sample")
    for folder in opened:
        for name in folder.carried:
            if name in owner:
                raise BadArgument(
                    f"--annotations {folder.path} and {owner[name]} both have a column {name!r}: annotate under "
                    "another name, or leave the folder out"
                )
            owner[name] = folder.path
    return opened


def _open(folder: Place, inputs: Sequence[InputIdentity], item_bytes: int) -> AnnotationFolder:
    content = manifest.read(folder)
    if not content.finished:
        raise DamagedFile(f"--annotations {folder} is unfinished: annotate again to finish it")
    columns = content.facts.get(FACT)
    if not isinstance(columns, dict):
        raise DamagedFile(f"--annotations {folder} holds the output of {content.stage!r}, not annotations")
    check_inputs(folder, content, inputs, "annotate it again (--rebuild)")
    cut = content.made_from.settings.get(SETTING)
    if cut != item_bytes:
        raise StaleOutput(
            f"--annotations {folder} was made with item_bytes {cut}, but the scores with {item_bytes}: "
            "annotate again with the same item_bytes"
        )
    return AnnotationFolder(str(folder), content.stage, content.fingerprint, columns)


@dataclass(frozen=True)
class Joined:
    """What all folders say about the n rows of one item."""

    keep: Bools
    """bool[n]: false where any folder's `keep` is false"""
    dropped: Mapping[str, Bools] = field(default_factory=dict)
    """folder -> bool[n]: the rows that it drops"""
    languages: Languages | None = None
    """None if no folder has a column `language`"""
    carried: Mapping[str, Any] = field(default_factory=dict)
    """column -> pyarrow.ChunkedArray[n]"""


def join(folders: Iterable[AnnotationFolder], item: WorkItem | str, rows: int, *, carry: bool = True) -> Joined:
    """Reads the item's file in every folder. item: or its file's name. rows: the number of rows in the scores.

    carry: also read the carried columns. Raises DamagedFile if a file is damaged or has a different number of rows.
    """
    keep = np.ones(rows, np.bool_)
    dropped: dict[str, Bools] = {}
    languages: Languages | None = None
    carried: dict[str, Any] = {}
    for folder in folders:
        table = _read(folder, item, rows, carry)
        if KEEP in folder.columns:
            drops = table.column(KEEP).fill_null(True).to_numpy() == 0
            dropped[folder.path], keep = drops, keep & ~drops
        if LANGUAGE in folder.columns:
            found = read_strings(table.column(LANGUAGE))
            languages = found if languages is None else prefer(languages, found)
        carried |= {name: table.column(name) for name in (folder.carried if carry else ())}
    return Joined(keep, dropped, languages, carried)


def _read(folder: AnnotationFolder, item: WorkItem | str, rows: int, carry: bool) -> Any:
    path = Home.of(folder.path).at(item if isinstance(item, str) else item_name(item))
    wanted = [name for name in folder.columns if carry or name not in folder.carried]
    table = read_columns(path, [ROW, *wanted])
    if table.num_rows != rows:
        raise DamagedFile(
            f"{path} has {table.num_rows} rows, but the scores have {rows}: annotate it again (--rebuild)"
        )
    return table


def prefer(first: Languages, other: Languages | None) -> Languages:
    """The languages of `first`; where it has none, those of `other`."""
    if other is None:
        return first
    names = {name: n for n, name in enumerate(first[0])}
    numbers = np.array([names.setdefault(name, len(names)) for name in other[0]], np.int64)
    named = np.array([name != "" for name in first[0]], np.bool_)[first[1]]
    return list(names), np.where(named, first[1], numbers[other[1]])
