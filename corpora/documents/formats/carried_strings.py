"""The columns that a sample carries over from formats whose values are all strings, such as CSV."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from corpora.documents.batches import DocumentBatch
from corpora.documents.carried import REST, CarriedColumn, nulls

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Read = Callable[[tuple[str, ...]], Iterator[DocumentBatch]]
Strings = Sequence[str | None]


class CarriedStrings:
    """values: field -> the values of a batch's n documents. Columns of other fields are null."""

    def __init__(self, values: Mapping[str, Strings], columns: Sequence[CarriedColumn]) -> None:
        self._values, self._columns = values, columns

    def table(self, places: NDArray[np.int64]) -> pa.Table:
        import pyarrow as pa

        schema = pa.schema([(column.name, column.type) for column in self._columns])
        return pa.Table.from_arrays([self._column(column, places) for column in self._columns], schema=schema)

    def objects(self, places: NDArray[np.int64]) -> list[dict[str, Any]]:
        names = [column.name for column in self._columns if column.field != REST]
        values = [self._taken(column.field, places) for column in self._columns if column.field != REST]
        rows = zip(*values, strict=True) if values else [()] * len(places)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def left_out(self, places: NDArray[np.int64]) -> set[str]:  # noqa: ARG002
        return set()  # a file's columns are known before its rows are read

    def _column(self, column: CarriedColumn, places: NDArray[np.int64]) -> Any:
        import pyarrow as pa

        if column.field not in self._values:
            return nulls(len(places), column.type)
        return pa.array(self._taken(column.field, places), pa.string()).cast(column.type)

    def _taken(self, field: str, places: NDArray[np.int64]) -> Strings:
        values = self._values.get(field)
        return [None if values is None else values[place] for place in places.tolist()]


def carry_strings(
    read: Read, known: Collection[str], carry: Sequence[CarriedColumn], columns: tuple[str, ...]
) -> Iterator[DocumentBatch]:
    """Batches with the columns `carry`. read: gives batches whose `extra` has the columns that it is called with,
    `columns` first. known: the fields that the file has."""
    fields = [column.field for column in carry if column.field in known]
    for batch in read(tuple(dict.fromkeys([*columns, *fields]))):
        values = {field: batch.extra[field] for field in fields}
        extra = {name: batch.extra[name] for name in columns}
        yield replace(batch, extra=extra, carried=CarriedStrings(values, carry))
