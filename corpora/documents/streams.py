"""The bytes of a line file, decompressed, in pieces of bounded size; Damage where they stop being readable.

Beam's own readers (and zstandard's stream_reader) take a truncated .gz or .zst for a short one. Here a stream must
end where its format says that it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from corpora.errors import TamizError
from corpora.files import open_binary

if TYPE_CHECKING:
    from corpora.documents.items import WorkItem

PIECE = 1 << 20  # bytes yielded at a time, at most


class Damage(Exception):
    """The file is unreadable from here on. Its text is the reason and the position."""


def pieces(item: WorkItem) -> Iterator[bytes]:
    """Uncompressed bytes of the item. Raises Damage after the last good ones, TamizError if reading itself fails."""
    from corpora.documents.gzip_members import gunzip
    from corpora.documents.zstd_frames import unzstd

    try:
        file = open_binary(item.path)
    except Exception as error:  # each file system has exceptions of its own
        raise unreadable(item.path, error) from error
    with file:
        source = Source(file, item.path)
        if item.compression == "gz":
            yield from gunzip(source)
        elif item.compression == "zst":
            yield from unzstd(source)
        else:
            yield from _plain(source, item)


def _plain(source: Source, item: WorkItem) -> Iterator[bytes]:
    source.seek(item.start)
    while source.position < item.end:
        piece = source.read(min(PIECE, item.end - source.position))
        if not piece:
            raise Damage(f"ends at byte {source.position}, but had {item.size} bytes when it was listed")
        yield piece


class Source:
    """An open file that knows its position and its address. A read that fails is a TamizError, never Damage."""

    def __init__(self, file: IO[bytes], address: str) -> None:
        self._file = file
        self.address = address
        self.position = 0

    def seek(self, position: int) -> None:
        self._file.seek(position)
        self.position = position

    def read(self, length: int) -> bytes:
        """At most `length` bytes; none at the end."""
        try:
            data = self._file.read(length)
        except Exception as error:  # each file system has exceptions of its own
            raise unreadable(self.address, error) from error
        self.position += len(data)
        return data


def unreadable(address: str, error: BaseException) -> TamizError:
    """A file that can't be opened or read: a network, a disk or a permission, not its content."""
    detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return TamizError(f"can't read {address}: {detail.splitlines()[0]}")


def blocks_of_lines(stream: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Blocks of about `size` bytes (more where a line is longer) that end with a newline, except the file's last.

    At Damage the whole lines before it are yielded, the incomplete one is dropped, and Damage says so.
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
