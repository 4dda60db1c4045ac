"""Where the members of a BGZF file begin: gzip whose members say their length (bgzip, htslib).

Source: SAM format specification, section 4.1. Other .gz files don't say it: finding their members is decompressing.
"""

from __future__ import annotations

from collections.abc import Iterator

from corpora.documents.looking import Look, NoRanges

_FIXED = 12  # bytes of a gzip header before its extra field
_HEADER = _FIXED + 6  # what a BGZF member begins with, if it has no other extra field
_MAGIC = b"\x1f\x8b\x08\x04"  # gzip, deflate, with an extra field
_LEAST = _HEADER + 8  # and checksum and length at the end


def bgzf_starts(look: Look, size: int, local: bool) -> Iterator[int]:
    """The position of each member, up to the first that isn't BGZF, or isn't whole.

    Raises NoRanges for a remote file: each member would be a request."""
    if not local:
        raise NoRanges
    position = 0
    while position < size:
        length = _member_length(look, position)
        if length < _LEAST or position + length > size:
            return
        yield position
        position += length


def is_member(look: Look, position: int) -> bool:
    return look(position, len(_MAGIC)) == _MAGIC


def _member_length(look: Look, position: int) -> int:
    """0 if no BGZF member begins there."""
    head = look(position, _HEADER)
    if len(head) < _HEADER or not head.startswith(_MAGIC):
        return 0
    length = int.from_bytes(head[10:12], "little")
    extra = head[_FIXED:] if length == _HEADER - _FIXED else look(position + _FIXED, length)
    while len(extra) >= 6:
        field = int.from_bytes(extra[2:4], "little")
        if extra[:2] == b"BC" and field == 2:
            return int.from_bytes(extra[4:6], "little") + 1
        extra = extra[4 + field :]
    return 0
