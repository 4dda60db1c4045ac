"""What to say about inputs that don't look like what they were read as: nothing read, too many rejected rows."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from corpora.documents.batches import BLANK
from corpora.documents.formats import FORMATS
from corpora.documents.formats.fields import likely_text
from corpora.documents.item import WorkItem
from corpora.documents.templates import NO_TEXT
from corpora.errors import TamizError
from corpora.home import Home, Place

_LOG = logging.getLogger(__name__)
_LOOKED_AT = 20  # files of rejected rows
_BLANK_SHARE = 0.01  # of the rows; CC-100 has about one blank line in twenty
_FEWEST_BLANK = 5
_LINES_NEEDED = "one object a line is needed (then --rebuild)"


def warn_of_blank_lines(items: Sequence[WorkItem], counts: dict[str, Any]) -> None:
    """Logs a warning if blank lines seem to separate the documents of text files that are read line by line."""
    blank = counts["rejected"].get(BLANK, 0)
    lines = any(FORMATS.get(item.format).takes_blank_lines and not item.blank_lines for item in items)
    if lines and blank >= max(_FEWEST_BLANK, _BLANK_SHARE * counts["read"]):
        _LOG.warning(
            "%s of %s lines are blank, and every other line was read as a document: if blank lines separate the "
            "documents, as in CC-100, use --blank-lines (in a recipe: blank_lines = true)",
            f"{blank:,}", f"{counts['read']:,}",
        )  # fmt: skip


def check_read(items: Sequence[WorkItem], counts: dict[str, Any], damaged: bool) -> None:
    """Raises TamizError if files that aren't empty have no rows; logs a warning if all files are empty."""
    if counts["read"] or damaged:
        return
    files = {item.path: item.size for item in items}
    held = [path for path, size in files.items() if size != 0]
    if held:
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        raise TamizError(f"no rows were read: {held[0]}{more} holds no documents; check the inputs and their format")
    _LOG.warning(
        "no rows were read: %s", "the input file is empty" if len(files) == 1 else "all input files are empty"
    )


def of_rejected(folder: Place, limit: str) -> str:
    """What to do about rejected rows, from the first of each file in `folder`; `limit` if they suggest nothing."""
    for row in _first_rows(folder):
        reason, first = str(row["reason"]), base64.b64decode(row["first_bytes"])
        kind, _, detail = reason.partition(": ")
        if kind in ("not an object", "not JSON", "too long") and first.lstrip().startswith(b"["):
            return f"the file looks like one JSON array; {_LINES_NEEDED}: jq -c '.[]' FILE > FILE.jsonl"
        if kind == "not JSON" and first.strip() == b"{":
            return f"the file looks like pretty-printed JSON; {_LINES_NEEDED}: jq -c . FILE > FILE.jsonl"
        if kind == NO_TEXT:
            return f"{reason}; name other fields in the template or in turns, and pass --rebuild"
        if kind.endswith(" missing") and detail:
            name = likely_text(detail.removeprefix("its keys are ").split(", "))
            named = f' --text-column {name} (in a recipe: text_column = "{name}")' if name else " --text-column"
            return f"{reason}; name the field that holds the text with{named}, and pass --rebuild"
    return limit


def _first_rows(folder: Place) -> Iterator[dict[str, Any]]:
    home = Home.of(folder)
    for name in islice((name for name in home.entries() if name.endswith(".jsonl")), _LOOKED_AT):
        with home.open(name) as file:
            yield msgspec.json.decode(file.readline())
