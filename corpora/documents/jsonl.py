"""One JSON object a line -> documents.

The fast path decodes a block at once; a block with anything unusual is read line by line, with the same outcome for
each line. Fields that aren't asked for only have to be grammatical JSON: what they hold is not looked at.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from corpora.documents.batches import BLANK, BatchBuilder, DocumentBatch, Outcome, Values, batch

_LONGEST_INT = 4000  # digits; Python refuses to convert more than 4300


class JsonlParser:
    """Lines -> DocumentBatch. url, timestamp and the extra columns are strings, or become their JSON text."""

    def __init__(self, file: str, columns: tuple[str, ...]) -> None:
        self._file = file
        self._columns = columns
        self._names = ("text", "url", "timestamp", *columns)
        fields = list(dict.fromkeys(self._names))
        self._getters = [attrgetter(f"f{fields.index(name)}") for name in self._names]
        self._decoder = msgspec.json.Decoder(_row_type(fields))

    def __call__(self, block: bytes, first_row: int) -> DocumentBatch:
        """`block` holds whole lines; the last may lack its newline."""
        fast = self._fast(block, first_row)
        if fast is not None:
            return fast
        builder = BatchBuilder(self._file, self._columns)
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for row, line in enumerate(lines, first_row):
            builder.add(row, self.outcome(line), line)
        return builder.build(len(block))

    def _fast(self, block: bytes, first_row: int) -> DocumentBatch | None:
        """The whole block at once, if every line is one plain document; None if it must be read line by line.

        decode_lines takes any white space between values. Where every newline stands between `}` and `{` it
        parts two values (inside one, neither strings nor the grammar allow it): as many values as lines means
        one each.
        """
        lines = _lines_of_braces(block)
        if not lines:
            return None
        try:
            found = self._decoder.decode_lines(block)
        except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
            return None
        values = [list(map(getter, found)) for getter in self._getters]
        if len(found) != lines or "" in values[0]:
            return None
        rows = range(first_row, first_row + len(found))
        return batch(rows, values, self._columns, [], len(block))

    def outcome(self, line: bytes) -> Outcome:
        """The document of one line, or the reason why it isn't one."""
        try:
            row = self._decoder.decode(line)
        except (ValueError, RecursionError):
            return self._second_look(line)
        values: Values = tuple(getter(row) for getter in self._getters)
        return values if values[0] else "text empty"

    def _second_look(self, line: bytes) -> Outcome:
        """What the strict decoder refuses: bad rows, and url or timestamp of another type than string."""
        if not line.strip(b" \t\r"):
            return BLANK
        try:
            found = _loads(line.decode("utf-8", "surrogateescape"))
        except json.JSONDecodeError as error:
            return f"not JSON: {error.msg} at character {error.pos}"
        except ValueError as error:
            return f"not JSON: {error}"
        except RecursionError:
            return "not JSON: nested too deeply"
        if not isinstance(found, dict):
            return f"not an object: {_type_name(found)}"
        return _text_problem(found) or self._strings(found, line)

    def _strings(self, found: dict[str, Any], line: bytes) -> Outcome:
        values = tuple(_as_string(found.get(name)) for name in self._names)
        for name, value in zip(self._names, values, strict=True):
            if value is not None and not _encodable(value):
                return _bad_characters(name, value, line)
        return values


def _lines_of_braces(block: bytes) -> int:
    """How many lines the block has, if each begins with `{` and ends with `}` at once; else 0."""
    characters = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(characters[:-1] == ord("\n"))  # without the one that ends the block
    if not block.startswith(b"{") or not block.endswith((b"}\n", b"}")):
        return 0
    parted = (characters[newlines - 1] == ord("}")) & (characters[newlines + 1] == ord("{"))
    return len(newlines) + 1 if bool(parted.all()) else 0


def _row_type(fields: list[str]) -> type[msgspec.Struct]:
    """A struct with attributes f0 (text), f1, ... : column names needn't be identifiers."""
    specification: list[Any] = [("f0", str)]
    specification += [(f"f{place}", str | None, None) for place in range(1, len(fields))]
    rename = {f"f{place}": name for place, name in enumerate(fields)}
    return msgspec.defstruct("Row", specification, rename=rename, gc=False)


def _loads(line: str) -> Any:
    return json.loads(line, parse_constant=_refuse_constant, parse_int=_integer)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


def _type_name(value: object) -> str:
    names = {list: "array", dict: "object", bool: "boolean", str: "string", type(None): "null"}
    return names.get(type(value), "number")


def _text_problem(found: dict[str, Any]) -> str | None:
    if "text" not in found:
        return "text missing"
    text = found["text"]
    if text is None:
        return "text null"
    if not isinstance(text, str):
        return f"text not a string: {_type_name(text)}"
    return None if text else "text empty"


def _as_string(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_characters(name: str, value: str, line: bytes) -> str:
    """Bytes that aren't UTF-8 came in as U+DC80..U+DCFF; any other surrogate was an escape without its partner."""
    if any("\udc80" <= character <= "\udcff" for character in value) and not _is_utf8(line):
        return f"invalid UTF-8: in {name}"
    return f"lone surrogate: in {name}"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
