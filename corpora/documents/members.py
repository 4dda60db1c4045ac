"""Decompression of .gz, .xz and .bz2: members one after another, each with its checksum; and where to cut BGZF.

A decoder that meets an error in a chunk drops the output of that chunk. The file is then decoded again, with that
chunk read byte by byte, so that everything before the error is yielded.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from isal import igzip_lib

from corpora.documents.source import PIECE, Damage, Source

_CHUNK = 1 << 18  # compressed bytes read at a time


class _Corrupt(Exception):
    """A decoding error in the chunk that starts at byte `start`."""

    def __init__(self, start: int, reason: str) -> None:
        super().__init__(reason)
        self.start = start


@dataclass(frozen=True)
class Members:
    """A compression whose files are members, and zero bytes after them. Called with a Source, it yields its bytes.

    name     in messages
    magic    the first bytes of a member
    decoder  makes what decodes one member: an object like bz2.BZ2Decompressor
    error    what it raises for corrupt data
    """

    name: str
    magic: bytes
    decoder: Callable[[], Any]
    error: type[Exception]

    def __call__(self, source: Source) -> Iterator[bytes]:
        """Uncompressed bytes from where the source is. Raises Damage for anything but members and zero padding."""
        done, begin = 0, source.position
        try:
            for piece in self._inflate(source, None):
                done += len(piece)
                yield piece
            return
        except _Corrupt as error:
            corrupt = error
        if source.seek(begin):
            try:
                yield from _skip(self._inflate(source, corrupt.start), done)
                return
            except _Corrupt as error:
                corrupt = error
        raise Damage(f"corrupt {self.name}: {corrupt} at byte {corrupt.start}") from corrupt

    def _inflate(self, source: Source, fine_from: int | None) -> Iterator[bytes]:
        """Pieces of output. Input is read in chunks, and one byte at a time from byte `fine_from` on."""
        decoder: Any = None  # None between members
        begin = source.position
        while True:
            start = source.position
            chunk = source.read(_chunk_length(start, fine_from))
            if not chunk:
                break
            if start == begin and not chunk.startswith(self.magic[: len(chunk)]):
                raise Damage(f"not {self.name}: the first bytes aren't those of a member")
            while chunk:
                if decoder is None:
                    chunk = chunk.lstrip(b"\0")
                    if not chunk:
                        break
                    decoder = self.decoder()
                yield from self._drain(decoder, chunk, start)
                chunk = decoder.unused_data if decoder.eof else b""
                decoder = None if decoder.eof else decoder
        if decoder is not None:
            raise Damage(f"truncated {self.name}: ends at byte {source.position}, inside a member")

    def _drain(self, decoder: Any, data: bytes, start: int) -> Iterator[bytes]:
        """The output of `data`, in bounded pieces."""
        while True:
            try:
                piece = decoder.decompress(data, PIECE)
            except self.error as error:
                raise _Corrupt(start, _reason(error)) from error
            if piece:
                yield piece
            if decoder.eof or decoder.needs_input:
                return
            data = b""


def _skip(stream: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in stream:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))


def _chunk_length(position: int, fine_from: int | None) -> int:
    if fine_from is None:
        return _CHUNK
    return max(1, min(_CHUNK, fine_from - position))


def _reason(error: Exception) -> str:
    """`Error -6 Incorrect checksum found` -> `incorrect checksum found`."""
    words = str(error).split(" ")
    return " ".join(words[2:] if words[0] == "Error" else words).lower()


def _gzip_decoder() -> Any:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz_decoder() -> Any:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ)


gunzip = Members("gzip", b"\x1f\x8b", _gzip_decoder, igzip_lib.error)  # type: ignore[arg-type]  # the stubs call it an instance
unxz = Members("xz", b"\xfd7zXZ\0", _xz_decoder, lzma.LZMAError)
bunzip2 = Members("bzip2", b"BZh", bz2.BZ2Decompressor, OSError)
