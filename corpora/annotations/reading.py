"""Reads annotations back, and checks that they belong to these inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from corpora.changes import differences, some_inputs
from corpora.documents.item import WorkItem
from corpora.errors import DamagedFile, StaleOutput
from corpora.home import Home, Place, local
from corpora.manifest import InputIdentity, Manifest

Read = TypeVar("Read")

Languages = tuple[list[str], npt.NDArray[np.int64]]
"""The distinct names ("" for null), and int64[n]: the index of each row's name."""


def annotation_files(content: Manifest) -> list[str]:
    """Names of the files of annotations that a manifest lists, in order."""
    return [r.path for r in content.files if r.path.endswith(".parquet")]


def item_file(folder: Place, item: WorkItem) -> str:
    """The address of an item's file."""
    return Home.of(folder).at(item_name(item))


def item_name(item: WorkItem) -> str:
    return f"{item.name}.parquet"


def readable(path: Path | str, read: Callable[[], Read]) -> Read:
    """The result of `read`. Raises DamagedFile if the file isn't what it should be."""
    try:
        return read()
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} can't be read ({reason}): make it again (--rebuild)") from None


def read_columns(path: Path | str, names: Sequence[str]) -> Any:
    """The columns of one file, a pyarrow.Table of n rows; of a store's, a copy is fetched. Raises DamagedFile."""
    import pyarrow.parquet as pq

    def read() -> Any:
        with pq.ParquetFile(local(path)) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                raise KeyError(f"it has no column {missing[0]}")
            return file.read(columns=[*names])

    return readable(path, read)


def encode_strings(column: Any, known: dict[str, int]) -> npt.NDArray[np.int64]:
    """int64[n]: the number of each row's string in `known`; new strings are added to it. Null counts as ""."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named: Any = pc.fill_null(column.cast(pa.string()), "")
    if isinstance(named, pa.ChunkedArray):
        named = named.combine_chunks()
    encoded = named.dictionary_encode()
    numbers = [known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()]
    places = encoded.indices.to_numpy(zero_copy_only=False)
    codes: npt.NDArray[np.int64] = np.array(numbers, np.int64)[places]
    return codes


def read_strings(column: Any) -> Languages:
    """A string column as distinct names and indices."""
    known: dict[str, int] = {}
    codes = encode_strings(column, known)
    return list(known), codes


def check_inputs(folder: Place, content: Manifest, inputs: Iterable[InputIdentity], advice: str) -> None:
    """Raises StaleOutput if an input isn't byte for byte the one that the folder was made from, or was read in
    another way."""
    known = {tuple(i.content()) for i in content.made_from.inputs}
    readings = {i.name: i.reading for i in content.made_from.inputs}
    for identity in inputs:
        if identity.name not in readings:
            raise StaleOutput(
                f"{folder} was made from {some_inputs(readings)}, not from {identity.name}: "
                f"name the folder that was made from it, or {advice}"
            )
        if (was := readings[identity.name]) != identity.reading:
            how = differences(was or {}, identity.reading or {})
            raise StaleOutput(
                f"{identity.name} was read differently for {folder} ({how}): "
                f"pass the same --text-column, --template, --turns, --blank-lines and format, or {advice}"
            )
        if tuple(identity.content()) not in known:
            raise StaleOutput(f"{folder} was made from another {identity.name}: {advice}")
