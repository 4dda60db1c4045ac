"""Parquet: a row is a document. Its reader, which imports pyarrow, is in `parquet_file`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from corpora.documents.batches import DocumentBatch, TextBatch
from corpora.documents.carried import CarriedColumn
from corpora.documents.formats.base import Format, usual_columns
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage
from corpora.documents.splitting import Range, ranges_of_groups
from corpora.errors import BadArgument, TamizError
from corpora.hub.address import is_hub

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = Range(0, 0, 0)  # all row groups, however many there are


class Parquet(Format):
    """`.parquet`; compressed inside, so never `.parquet.gz`."""

    name = "parquet"
    extensions = (".parquet",)
    compressible = False
    takes_templates = True
    checks_glance = True

    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        from corpora.documents.formats.parquet_file import read_parquet

        yield from read_parquet(item, batch_bytes, columns)

    def texts(self, item: WorkItem, batch_bytes: int) -> Iterator[TextBatch]:
        """Reads no other column."""
        from corpora.documents.formats.parquet_file import read_parquet

        yield from map(TextBatch.of, read_parquet(item, batch_bytes, None))

    def carrying(
        self, item: WorkItem, batch_bytes: int, carry: Sequence[CarriedColumn], columns: tuple[str, ...] = ()
    ) -> Iterator[DocumentBatch]:
        from corpora.documents.formats.parquet_file import read_parquet

        yield from read_parquet(item, batch_bytes, columns, carry)

    def fields(self, item: WorkItem) -> Mapping[str, pa.DataType]:
        """Nothing if the file is empty or damaged: reading it reports what is wrong."""
        from corpora.documents.formats.parquet_file import opened

        try:
            with opened(item) as file:
                return file.types(usual_columns(item))
        except Damage:
            return {}

    def split(self, item: WorkItem, item_bytes: int) -> list[Range]:
        """Ranges that end between row groups. Raises BadArgument if there is no text column, or it isn't of strings;
        or if a template names others than there are.

        An empty or damaged file is one range: reading it reports what is wrong. So is one of the Hub, which is
        fetched whole: only if it is to be looked at (`glance`), its columns are checked.
        """
        from corpora.documents.formats.parquet_file import opened

        remote = is_hub(item.path)
        if item.size == 0 or (remote and not item.glance):
            return [WHOLE]
        try:
            with opened(item) as file:
                file.refuse(item)
                return [WHOLE] if remote else ranges_of_groups(file.row_groups(), item_bytes)
        except Damage:
            return [WHOLE]

    def check(self, item: WorkItem) -> None:
        super().check(item)
        if item.size is None and "cache::" not in item.path:
            raise BadArgument(
                f"{item.path}: its server doesn't tell its size, which Parquet needs; read a local copy of it: "
                f"simplecache::{item.path}"
            )

    def columns(self, item: WorkItem) -> Sequence[str] | None:
        """The columns, also those inside structs by their paths; None for a damaged file, which reading reports."""
        from corpora.documents.formats.parquet_file import opened

        try:
            with opened(item) as file:
                return [*file.names, *file.paths]
        except (Damage, TamizError):
            return None


PARQUET = Parquet()
