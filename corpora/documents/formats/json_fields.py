"""The fields of JSON objects that a sample carries over: parsed only for the rows that are kept."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from corpora.documents.batches import DocumentBatch, RejectedRow
from corpora.documents.carried import REST, CarriedColumn, nulls
from corpora.documents.formats.base import usual_columns
from corpora.documents.formats.json_parser import JsonlParser
from corpora.documents.formats.lines import BOM
from corpora.documents.item import WorkItem

if TYPE_CHECKING:
    import pyarrow as pa

Fields = dict[str, msgspec.Raw]

_decoder = msgspec.json.Decoder(Fields)


class CarryingParser:
    """As `parser`; each batch also has the columns `carry`."""

    def __init__(self, parser: JsonlParser, item: WorkItem, carry: Sequence[CarriedColumn]) -> None:
        self._parser, self._carry, self._usual = parser, carry, usual_columns(item)

    def __call__(self, block: bytes, first_row: int) -> DocumentBatch:
        batch = self._parser(block, first_row)
        return replace(batch, carried=CarriedFields(block, batch.rows - first_row, self._carry, self._usual))

    def rejected(self, row: RejectedRow, length: int) -> DocumentBatch:
        return self._parser.rejected(row, length)


class CarriedFields:
    """Fields of the documents of a block. documents: int[n], the line of each in the block."""

    def __init__(
        self, block: bytes, documents: NDArray[np.int32], columns: Sequence[CarriedColumn], usual: Sequence[str]
    ) -> None:
        self._block, self._documents, self._columns, self._usual = block, documents, columns, usual
        # where REST is a column, all fields are in it: the other columns are those of Parquet inputs
        self._rest = any(column.field == REST for column in columns)
        self._named = set() if self._rest else {column.field for column in columns}

    def table(self, places: NDArray[np.int64]) -> pa.Table:
        import pyarrow as pa

        rows = self._rows(places)
        schema = pa.schema([(column.name, column.type) for column in self._columns])
        return pa.Table.from_arrays([self._column(rows, column) for column in self._columns], schema=schema)

    def _column(self, rows: list[Fields], column: CarriedColumn) -> Any:
        import pyarrow as pa

        if column.field == REST:
            return pa.array([msgspec.json.encode(row).decode("utf-8", "replace") if row else None for row in rows])
        if column.field in self._named:
            return pa.array([_string(row.get(column.field)) for row in rows], pa.string())
        return nulls(len(rows), column.type)

    def objects(self, places: NDArray[np.int64]) -> list[dict[str, Any]]:
        return [self._object(row) for row in self._rows(places)]

    def left_out(self, places: NDArray[np.int64]) -> set[str]:
        return set() if self._rest else {name for row in self._rows(places) for name in row} - self._named

    def _object(self, row: Fields) -> dict[str, Any]:
        if self._rest:
            return {**dict.fromkeys(column.name for column in self._columns if column.field != REST), **row}
        return {column.name: row.get(column.field) for column in self._columns}

    def _rows(self, places: NDArray[np.int64]) -> list[Fields]:
        """The fields of each document, without those for text, url and timestamp."""
        lines = self._block.split(b"\n")
        return [without(self._usual, fields_of(lines[line])) for line in self._documents[places].tolist()]


def fields_of(line: bytes) -> Fields:
    """The fields of one object, each as the JSON that it is. No field if the line isn't an object."""
    text = line.removeprefix(BOM).decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        return _decoder.decode(text)
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    plain = row.items() if isinstance(row, dict) else ()
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in plain}


def without(names: Sequence[str], row: Fields) -> Fields:
    """The object without these fields; a name that isn't a field is the path to one inside other objects."""
    for name in names:
        row = _without_one([name] if name in row else name.split("."), row)
    return row


def _without_one(path: Sequence[str], row: Fields) -> Fields:
    first, *rest = path
    if first not in row:
        return row
    others = {name: raw for name, raw in row.items() if name != first}
    if not rest:
        return others
    try:
        inner = _decoder.decode(row[first])
    except (ValueError, RecursionError):  # not an object
        return row
    left = _without_one(rest, inner)
    if left is inner:
        return row
    return {**row, first: msgspec.Raw(msgspec.json.encode(left))} if left else others


def _string(raw: msgspec.Raw | None) -> str | None:
    """JSON as a string: a string's characters, otherwise its text; None for null, and for lone surrogates."""
    text = "null" if raw is None else bytes(raw).decode("utf-8", "replace")
    if text == "null":
        return None
    if not text.startswith('"'):
        return text
    try:
        return msgspec.json.decode(text, type=str)
    except ValueError:
        return None
