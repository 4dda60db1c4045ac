"""The decompressed bytes of a line file in pieces of bounded size; Damage where it stops being readable."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from corpora.documents.batches import FIRST_BYTES
from corpora.documents.borders import after, border_of, until
from corpora.documents.compressions import COMPRESSIONS
from corpora.documents.item import WorkItem
from corpora.documents.opening import opened_file
from corpora.documents.source import PIECE, Damage, Source
from corpora.errors import TamizError


def pieces(item: WorkItem) -> Iterator[bytes]:
    """Uncompressed bytes of the item's lines. Raises Damage after the last good bytes, TamizError if reading itself
    fails."""
    with opened_file(item) as file:
        source = Source(file, item.path)
        if item.is_part and item.start == item.end:
            raise Damage(f"not read from byte {item.start} on: what is before is damaged")
        if not item.compression:
            yield from _plain(source, item)
        elif not item.is_part:
            yield from COMPRESSIONS[item.compression](source)
        else:
            border = border_of(item.blank_lines)
            stream = itertools.chain(_frames(source, item), until(_behind(source, item), border))
            yield from after(stream, border) if item.start else stream


def stored_pieces(item: WorkItem) -> Iterator[bytes]:
    """Uncompressed bytes of [start, end): in a compressed file, of these frames."""
    with opened_file(item) as file:
        source = Source(file, item.path)
        yield from _frames(source, item) if item.compression else _plain(source, item)


def _frames(source: Source, item: WorkItem) -> Iterator[bytes]:
    _go_to(source, item.start)
    source.end = item.end
    return COMPRESSIONS[item.compression](source)


def _behind(source: Source, item: WorkItem) -> Iterator[bytes]:
    """The frames behind the item's own, where its last line may end."""
    if item.end != item.size:
        source.end = None
        yield from COMPRESSIONS[item.compression](source)


def _go_to(source: Source, position: int) -> None:
    if position and not source.seek(position):
        raise TamizError(f"can't read {source.address} from byte {position} on: copy the file to this machine first")


def _plain(source: Source, item: WorkItem) -> Iterator[bytes]:
    if item.size is None:
        yield from iter(lambda: source.read(PIECE), b"")
        return
    _go_to(source, item.start)
    while source.position < item.end:
        piece = source.read(min(PIECE, item.end - source.position))
        if not piece:
            raise Damage(f"ends at byte {source.position}, but had {item.size} bytes when it was listed")
        yield piece


class LongLine(NamedTuple):
    """A line that is longer than allowed. Only its first bytes were kept.

    length: its bytes, without the newline. quotes: how many of them are `"`.
    """

    first: bytes
    length: int
    quotes: int

    @classmethod
    def of(cls, line: bytes) -> LongLine:
        return cls(line[:FIRST_BYTES], len(line), line.count(b'"'))

    def and_then(self, rest: bytes) -> LongLine:
        first = (self.first + rest[:FIRST_BYTES])[:FIRST_BYTES]
        return LongLine(first, self.length + len(rest), self.quotes + rest.count(b'"'))


def blocks_of_lines(stream: Iterator[bytes], size: int, longest: int) -> Iterator[bytes | LongLine]:
    """Blocks of about `size` bytes (more where a line is longer). Each ends with a newline, except the file's last.

    A line of more than `longest` bytes is never held whole: a LongLine stands for it, between the blocks.

    On Damage, the whole lines before it are yielded first; an incomplete last line is dropped, and Damage says so.
    """
    held: list[bytes] = []
    length = 0
    long: LongLine | None = None
    try:
        for piece in stream:
            rest = piece
            if long is not None:
                begin, newline, rest = piece.partition(b"\n")
                long = long.and_then(begin)
                if not newline:
                    continue
                yield long
                long = None
            cut = rest.rfind(b"\n") + 1 if length + len(rest) >= size else 0
            if cut:
                yield from _bounded(b"".join((*held, rest[:cut])), longest)
                held, length = [], 0
            held.append(rest[cut:])
            length += len(rest) - cut
            if length > size + longest:  # a newline past `size` would have ended the block
                whole, last = _last_line(held)
                yield from _bounded(whole, longest)
                held, length, long = [], 0, LongLine.of(last)
    except Damage as damage:
        whole, last = _last_line(held)
        yield from _bounded(whole, longest)
        dropped = len(last) if long is None else long.length
        raise Damage(f"{damage}; {dropped} bytes of an incomplete last line dropped") from damage
    yield from [long] if long is not None else _bounded(b"".join(held), longest)


def _last_line(held: Iterable[bytes]) -> tuple[bytes, bytes]:
    """(whole lines, the line after them that has no newline yet)."""
    block = b"".join(held)
    cut = block.rfind(b"\n") + 1
    return block[:cut], block[cut:]


def _bounded(block: bytes, longest: int) -> Iterator[bytes | LongLine]:
    """The lines of a block, those of more than `longest` bytes set apart."""
    if len(block) <= longest:  # as nearly always
        yield from [block] if block else []
        return
    newlines = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    starts = np.concatenate([[0], newlines + 1])
    ends = np.concatenate([newlines, [len(block)]])
    begin = 0
    for line in np.flatnonzero(ends - starts > longest):
        start, end = int(starts[line]), int(ends[line])
        if start > begin:
            yield block[begin:start]
        yield LongLine.of(block[start:end])
        begin = end + 1
    if begin < len(block):
        yield block[begin:]
