"""Decompression of .gz: members one after another, each with its checksum and length (RFC 1952)."""

from __future__ import annotations

from collections.abc import Iterator

from isal import igzip_lib

from corpora.documents.source import PIECE, Damage, Source

_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 18  # compressed bytes read at a time


class _Corrupt(Exception):
    """A decoding error in the chunk that starts at byte `start`."""

    def __init__(self, start: int, reason: str) -> None:
        super().__init__(reason)
        self.start = start


def gunzip(source: Source) -> Iterator[bytes]:
    """Uncompressed bytes. Raises Damage for anything but members and zero padding, which `gzip -d` accepts too.

    When the decoder meets an error in a chunk, it drops the output of that chunk. The file is then decoded again,
    with that chunk read byte by byte, so that everything before the error is yielded.
    """
    done = 0
    try:
        for piece in _inflate(source, None):
            done += len(piece)
            yield piece
        return
    except _Corrupt as error:
        fine_from = error.start
    source.seek(0)
    try:
        yield from _skip(_inflate(source, fine_from), done)
    except _Corrupt as error:
        raise Damage(f"corrupt gzip: {error} at byte {error.start}") from error


def _skip(stream: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in stream:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))


def _inflate(source: Source, fine_from: int | None) -> Iterator[bytes]:
    """Pieces of output. Input is read in chunks, and one byte at a time from byte `fine_from` on."""
    decoder: igzip_lib.IgzipDecompressor | None = None  # None between members
    while True:
        start = source.position
        chunk = source.read(_chunk_length(start, fine_from))
        if not chunk:
            break
        if start == 0 and not chunk.startswith(_MAGIC[: len(chunk)]):
            raise Damage("not gzip: the first bytes aren't those of a member")
        while chunk:
            if decoder is None:
                chunk = chunk.lstrip(b"\0") if start else chunk
                if not chunk:
                    break
                decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            yield from _drain(decoder, chunk, start)
            chunk = decoder.unused_data if decoder.eof else b""
            decoder = None if decoder.eof else decoder
    if decoder is not None:
        raise Damage(f"truncated gzip: ends at byte {source.position}, inside a member")


def _chunk_length(position: int, fine_from: int | None) -> int:
    if fine_from is None:
        return _CHUNK
    return max(1, min(_CHUNK, fine_from - position))


def _drain(decoder: igzip_lib.IgzipDecompressor, data: bytes, start: int) -> Iterator[bytes]:
    """The output of `data`, in bounded pieces."""
    while True:
        try:
            piece = decoder.decompress(data, PIECE)
        except igzip_lib.error as error:  # type: ignore[misc]  # the stubs call it an instance
            raise _Corrupt(start, _reason(error)) from error
        if piece:
            yield piece
        if decoder.eof or decoder.needs_input:
            return
        data = b""


def _reason(error: Exception) -> str:
    """`Error -6 Incorrect checksum found` -> `incorrect checksum found`."""
    words = str(error).split(" ")
    return " ".join(words[2:] if words[0] == "Error" else words).lower()
