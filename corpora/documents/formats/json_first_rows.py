"""What the first rows of a file of JSON objects have: the fields, and whether those of a template are among them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from corpora.documents.formats.base import usual_columns
from corpora.documents.formats.fields import keys_of
from corpora.documents.formats.json_fields import fields_of, without
from corpora.documents.formats.lines import BOM, blocks
from corpora.documents.item import WorkItem
from corpora.documents.paths import MISSING, find
from corpora.documents.source import Damage
from corpora.documents.templates import ALIASES, RowText

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_ROWS = 1000  # looked at to find out what fields a file has
_FIRST_BYTES = 1 << 20


def first_fields(item: WorkItem) -> dict[str, pa.DataType]:
    """The fields of the item's first rows, in order of appearance, without those of text, url and timestamp. Damage
    ends the look."""
    import pyarrow as pa

    usual = usual_columns(item)
    names: dict[str, pa.DataType] = {}
    for line in _first_lines(item):
        names |= {name: pa.string() for name in without(usual, fields_of(line))}
    return names


def unknown_fields(item: WorkItem) -> str | None:
    """What of the item's template none of the first rows has, and what they have; None if all occurs."""
    text = item.row_text
    rows = [row for line in _first_lines(item) if isinstance(row := _decoded(line), dict)]
    if text is None or not rows:
        return None
    lacking = [name for name in text.columns if all(find(row, name) is MISSING for row in rows)]
    if lacking:
        return f"no {' and no '.join(lacking)} in its first rows; {keys_of(_all_of(rows))}"
    turns = list(_turns(text, rows))
    names = text.turn.fields if text.turn and turns else ()
    lacking = [name for name in names if all(_lacks(turn, name) for turn in turns)]
    if lacking:
        return (
            f"no {' and no '.join(lacking)} in the first {text.turns}; a turn has {', '.join(_all_of(turns))[:200]}"
        )
    return None


def _first_lines(item: WorkItem) -> Iterator[bytes]:
    if item.size == 0:
        return
    with contextlib.suppress(Damage), contextlib.closing(blocks(item, _FIRST_BYTES)) as found:  # type: ignore[type-var]
        first = next((block for block in found if isinstance(block, bytes)), b"")  # not a line that is too long
        yield from first.split(b"\n", FIRST_ROWS)[:FIRST_ROWS]


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line.removeprefix(BOM))
    except (ValueError, RecursionError):
        return None


def _turns(text: RowText, rows: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for row in rows if text.turns else ():
        listed = find(row, str(text.turns))
        yield from (turn for turn in (listed if isinstance(listed, list) else ()) if isinstance(turn, Mapping))


def _lacks(turn: Mapping[str, Any], name: str) -> bool:
    return all(find(turn, alias) is MISSING for alias in ALIASES.get(name, (name,)))


def _all_of(rows: list[Any]) -> dict[str, Any]:
    """One object with the keys of all."""
    return {key: value for row in rows for key, value in row.items()}
