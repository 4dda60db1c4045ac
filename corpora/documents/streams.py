"""The decompressed bytes of a line file in pieces of bounded size; Damage where it stops being readable."""

from __future__ import annotations

from collections.abc import Iterator

from corpora.documents.compressions import COMPRESSIONS
from corpora.documents.item import WorkItem
from corpora.documents.source import PIECE, Damage, Source, unreadable
from corpora.files import open_binary


def pieces(item: WorkItem) -> Iterator[bytes]:
    """Uncompressed bytes of the item. Raises Damage after the last good bytes, TamizError if reading itself fails."""
    try:
        file = open_binary(item.path)
    except Exception as error:  # every file system raises its own exceptions
        raise unreadable(item.path, error) from error
    with file:
        source = Source(file, item.path)
        if item.compression:
            yield from COMPRESSIONS[item.compression](source)
        else:
            yield from _plain(source, item)


def _plain(source: Source, item: WorkItem) -> Iterator[bytes]:
    if item.size is None:
        yield from iter(lambda: source.read(PIECE), b"")
        return
    source.seek(item.start)
    while source.position < item.end:
        piece = source.read(min(PIECE, item.end - source.position))
        if not piece:
            raise Damage(f"ends at byte {source.position}, but had {item.size} bytes when it was listed")
        yield piece


def blocks_of_lines(stream: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Blocks of about `size` bytes (more where a line is longer). Each ends with a newline, except the file's last.

    On Damage, the whole lines before it are yielded first; an incomplete last line is dropped, and Damage says so.
    """
    held: list[bytes] = []
    length = 0
    try:
        for piece in stream:
            cut = piece.rfind(b"\n") + 1 if length + len(piece) >= size else 0
            if cut:
                yield b"".join((*held, piece[:cut]))
                held, length = [], 0
            held.append(piece[cut:])
            length += len(piece) - cut
    except Damage as damage:
        rest = b"".join(held)
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut]
        dropped = len(rest) - cut
        raise Damage(f"{damage}; {dropped} bytes of an incomplete last line dropped") from damage
    if length:
        yield b"".join(held)
