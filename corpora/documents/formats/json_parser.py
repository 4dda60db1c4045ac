"""One JSON object a line -> documents.

The fast path decodes a block at once. A block with anything unusual is read line by line, with the same outcome for
each line. Fields that aren't requested only need to be valid JSON; their values are ignored.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np

from corpora.documents.batches import BLANK, DocumentBatch, Outcome, Values, batch
from corpora.documents.formats.fields import TIMESTAMPS, URLS, find_first, keys_of
from corpora.documents.formats.json_rows import columns_of
from corpora.documents.formats.lines import LineParser
from corpora.documents.item import TEXT
from corpora.documents.paths import MISSING, find
from corpora.documents.templates import type_name
from corpora.texts import has_utf8

_LONGEST_INT = 4000  # digits; Python refuses to convert more than 4300


class JsonlParser(LineParser):
    """Lines -> DocumentBatch. url, timestamp and extra columns that aren't strings become their JSON text."""

    def __init__(
        self,
        file: str,
        columns: tuple[str, ...],
        text_column: str = TEXT,
        urls: tuple[str, ...] = URLS,
        timestamps: tuple[str, ...] = TIMESTAMPS,
    ) -> None:
        super().__init__(file, columns)
        self._names = ((text_column,), urls, timestamps, *((name,) for name in columns))
        found = columns_of(self._names)
        self._decoder: msgspec.json.Decoder[Any] | None = msgspec.json.Decoder(found[0]) if found else None
        self._columns = found[1] if found else []

    def whole(self, block: bytes, first_row: int) -> DocumentBatch | None:
        """The whole block at once, if every line is one plain document.

        decode_lines accepts any white space between values. A newline between `}` and `{` always separates two
        values (JSON allows it inside neither a string nor an object). So if every newline is of that kind and there
        are as many values as lines, every line is one value.
        """
        lines = _lines_of_braces(block)
        if not lines or self._decoder is None:
            return None
        try:
            documents = self._decoder.decode_lines(block)
        except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
            return None
        values = [column(documents) for column in self._columns]
        if len(documents) != lines or "" in values[0] or None in values[0]:
            return None
        rows = range(first_row, first_row + len(documents))
        return batch(rows, values, self.columns, [], len(block))

    def outcome(self, line: bytes) -> Outcome:
        try:
            rows = [self._decoder.decode(line)] if self._decoder else []
        except (ValueError, RecursionError):
            rows = []
        values: Values = tuple(column(rows)[0] for column in self._columns) if rows else (None,)
        return values if values[0] else self._second_look(line)

    def _second_look(self, line: bytes) -> Outcome:
        """For lines that the strict decoder refuses: bad rows, and a url or timestamp that isn't a string."""
        if not line.strip(b" \t\r"):
            return BLANK
        try:
            row = _loads(line.decode("utf-8", "surrogateescape"))
        except json.JSONDecodeError as error:
            return f"not JSON: {error.msg} at character {error.pos}"
        except ValueError as error:
            return f"not JSON: {error}"
        except RecursionError:
            return "not JSON: nested too deeply"
        if not isinstance(row, dict):
            return f"not an object: {type_name(row)}"
        return self._document(row, line)

    def _document(self, row: dict[str, Any], line: bytes) -> Outcome:
        """The document of an object that was decoded by `json`."""
        return _text_problem(row, self._names[0][0]) or self._strings(row, line)

    def _strings(self, row: dict[str, Any], line: bytes) -> Outcome:
        values = tuple(as_string(find_first(row, names)) for names in self._names)
        for (name, *_), value in zip(self._names, values, strict=True):
            if value is not None and not has_utf8(value):
                return bad_characters(name, value, line)
        return values


def _lines_of_braces(block: bytes) -> int:
    """The number of lines in the block if each starts with `{` and ends with `}`; otherwise 0."""
    characters = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(characters[:-1] == ord("\n"))  # without the block's final newline
    if not block.startswith(b"{") or not block.endswith((b"}\n", b"}")):
        return 0
    between = (characters[newlines - 1] == ord("}")) & (characters[newlines + 1] == ord("{"))
    return len(newlines) + 1 if bool(between.all()) else 0


def _loads(line: str) -> Any:
    return json.loads(line, parse_constant=_refuse_constant, parse_int=_integer)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


def _text_problem(row: dict[str, Any], name: str) -> str | None:
    text = find(row, name)
    if text is MISSING:
        return f"{name} missing: {keys_of(row)}"
    if text is None:
        return f"{name} null"
    if not isinstance(text, str):
        return f"{name} not a string: {type_name(text)}"
    return None if text else f"{name} empty"


def as_string(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def bad_characters(name: str, value: str, line: bytes) -> str:
    """Bytes that aren't UTF-8 became U+DC80..U+DCFF; any other surrogate is an escape without its partner."""
    if any("\udc80" <= character <= "\udcff" for character in value) and not _is_utf8(line):
        return f"invalid UTF-8: in {name}"
    return f"lone surrogate: in {name}"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
