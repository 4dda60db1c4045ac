"""JSON lines: one object a line, whatever the extension (mC4 is published as .json.gz)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from corpora.documents.batches import DocumentBatch, TextBatch
from corpora.documents.carried import CarriedColumn
from corpora.documents.formats.fields import timestamp_names, url_names
from corpora.documents.formats.json_parser import JsonlParser
from corpora.documents.formats.json_templates import TemplateParser
from corpora.documents.formats.lines import LineFormat, read_lines
from corpora.documents.item import WorkItem

if TYPE_CHECKING:
    import pyarrow as pa


class JsonLines(LineFormat):
    """`.jsonl`, `.json`, `.ndjson`."""

    name = "jsonl"
    extensions = (".jsonl", ".json", ".ndjson")
    schemaless = True
    takes_templates = True

    def parser(self, item: WorkItem, columns: tuple[str, ...]) -> JsonlParser:
        if item.row_text:
            return TemplateParser(item, columns, item.row_text)
        return JsonlParser(item.path, columns, item.text_column, url_names(item), timestamp_names(item))

    def texts(self, item: WorkItem, batch_bytes: int) -> Iterator[TextBatch]:
        """Uses kernels, without a Python object per document, unless the text is made of several fields."""
        if item.row_text:
            yield from super().texts(item, batch_bytes)
            return
        from corpora.documents.formats.json_texts import JsonTexts  # compiled by numba, which takes a while to import

        yield from read_lines(item, batch_bytes, JsonTexts(self.parser(item, ()), item.text_column))

    def carrying(
        self, item: WorkItem, batch_bytes: int, carry: Sequence[CarriedColumn], columns: tuple[str, ...] = ()
    ) -> Iterator[DocumentBatch]:
        from corpora.documents.formats.json_fields import CarryingParser

        return read_lines(item, batch_bytes, CarryingParser(self.parser(item, columns), item, carry))

    def fields(self, item: WorkItem) -> Mapping[str, pa.DataType]:
        from corpora.documents.formats.json_first_rows import first_fields

        return first_fields(item)

    def unknown_fields(self, item: WorkItem) -> str | None:
        from corpora.documents.formats.json_first_rows import unknown_fields

        return unknown_fields(item)


JSONL = JsonLines()
