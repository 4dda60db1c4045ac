"""Where documents end in a line file: after a line, or after a blank line if these separate them.

A document belongs to the part of a file that has the border before it; the first document, to the first part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LINE = re.compile(rb"\n")
BLANK_LINE = re.compile(rb"\n\r?\n")

_OVERLAP = 2  # bytes of the longest border without its last: one may begin in one piece and end in the next


def border_of(blank_lines: bool) -> re.Pattern[bytes]:
    return BLANK_LINE if blank_lines else LINE


def until(stream: Iterator[bytes], border: re.Pattern[bytes]) -> Iterator[bytes]:
    """The stream up to the end of its first border; all of it if it has none."""
    before = b""
    for piece in stream:
        end = _end(before, piece, border)
        if end is not None:
            yield piece[:end]
            return
        yield piece
        before = (before + piece[-_OVERLAP:])[-_OVERLAP:]


def after(stream: Iterator[bytes], border: re.Pattern[bytes]) -> Iterator[bytes]:
    """The stream after the end of its first border; nothing if it has none."""
    before = b""
    for piece in stream:
        end = _end(before, piece, border)
        if end is not None:
            yield piece[end:]
            yield from stream
            return
        before = (before + piece[-_OVERLAP:])[-_OVERLAP:]


def _end(before: bytes, piece: bytes, border: re.Pattern[bytes]) -> int | None:
    """The end in `piece` of the first border. before: the bytes before it, in which no border ends."""
    astride = border.search(before + piece[:_OVERLAP])
    if astride:
        return astride.end() - len(before)
    found = border.search(piece)
    return found.end() if found else None
