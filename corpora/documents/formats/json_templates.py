"""One JSON object a line -> documents whose text is made of several fields, or of turns."""

from __future__ import annotations

from typing import Any

import msgspec

from corpora.documents.batches import DocumentBatch, Outcome
from corpora.documents.formats.fields import find_first, keys_of, timestamp_names, url_names
from corpora.documents.formats.json_parser import JsonlParser, as_string, bad_characters
from corpora.documents.item import WorkItem
from corpora.documents.templates import NO_TEXT, NotText, RowText, text_bytes
from corpora.texts import has_utf8

_decoder = msgspec.json.Decoder()


class TemplateParser(JsonlParser):
    """As JsonlParser, for an item with a template: each line is decoded by itself."""

    def __init__(self, item: WorkItem, columns: tuple[str, ...], text: RowText) -> None:
        super().__init__(item.path, columns, text.columns[0], url_names(item), timestamp_names(item))
        self._item, self._text = item, text

    def whole(self, block: bytes, first_row: int) -> DocumentBatch | None:  # noqa: ARG002
        return None

    def outcome(self, line: bytes) -> Outcome:
        try:
            row = _decoder.decode(line)
        except (ValueError, RecursionError):
            return self._second_look(line)
        return self._document(row, line) if isinstance(row, dict) else self._second_look(line)

    def _document(self, row: dict[str, Any], line: bytes) -> Outcome:
        try:
            text = self._text.of_object(row)
        except NotText as problem:
            reason = str(problem)
            return f"{reason}; {keys_of(row)}" if reason.startswith(NO_TEXT) else reason
        length = text_bytes(text, self._item.max_document_bytes)
        if length is not None:
            return self._item.too_long(length)
        others = [as_string(find_first(row, names)) for names in self._names[1:]]
        for name, value in zip(("the text", *(name for name, *_ in self._names[1:])), (text, *others), strict=True):
            if value is not None and not has_utf8(value):
                return bad_characters(name, value, line)
        return (text, *others)
