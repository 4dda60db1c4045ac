"""What a sample carries over from its inputs, beside text, url and timestamp: columns, and where their values are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

REST = "\0"
"""As the field of a CarriedColumn: all fields of the object that no other column holds. No column has this name."""

PREFIX = "input_"  # before the name of an input's column that the sample has a column of its own for


@dataclass(frozen=True)
class CarriedColumn:
    """One column of the sample. name: in the sample. field: in the input, or REST. Picklable."""

    name: str
    field: str
    type: pa.DataType


class Carried(Protocol):
    """What the n documents of a batch have beside text, url and timestamp; parsed only when it is asked for."""

    def table(self, places: NDArray[np.int64]) -> pa.Table:
        """The columns of the documents at `places`, with the types that were asked for."""

    def objects(self, places: NDArray[np.int64]) -> list[dict[str, Any]]:
        """The same as dicts that msgspec can encode as JSON; the fields of REST stand by themselves."""

    def left_out(self, places: NDArray[np.int64]) -> set[str]:
        """The names of fields that no column carries, where they aren't known before the rows are read."""


def fields_digest(fields: Mapping[str, pa.DataType]) -> str:
    """The same for the same names and types."""
    told = "\0".join(f"{name}\0{kind}" for name, kind in fields.items())
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:16]


def missing(columns: Sequence[CarriedColumn], rows: int) -> pa.Table:
    """A table of nulls: what an input without any of the columns carries."""
    import pyarrow as pa

    schema = pa.schema([(column.name, column.type) for column in columns])
    return pa.Table.from_arrays([nulls(rows, column.type) for column in columns], schema=schema)


def nulls(rows: int, kind: Any) -> Any:
    """A pa.Array of nulls. (The stubs of pa.nulls take no pa.DataType.)"""
    import pyarrow as pa

    return pa.nulls(rows, kind)
