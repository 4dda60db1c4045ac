"""Looks into a file of the Hub without fetching it: single ranges, read as needed, whose content nobody checks.

For decisions before the work that can only refuse it (is there such a column? does the model know the words?): the
work itself reads the file whole and checked. An answer that isn't exactly the range asked for isn't taken even here.
"""

from __future__ import annotations

import io
from typing import Any

from corpora.hub import client, tries
from corpora.hub.ranges import is_range
from corpora.hub.remote import RemoteFile
from corpora.hub.tries import Fault, Tries, steady
from corpora.stopping import go_on

BLOCK = 1 << 20  # bytes that a request asks for at least, the end of the file aside


def glimpsed(file: RemoteFile) -> io.BufferedReader:
    """An open file that fetches what is read of it."""
    return io.BufferedReader(_Ranges(file), BLOCK)


class _Ranges(io.RawIOBase):
    def __init__(self, file: RemoteFile) -> None:
        self._file, self._position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._file.size - self._position))
        if length:
            buffer[:length] = self._range(self._position, length)
            self._position += length
        return length

    def _range(self, first: int, length: int) -> bytes:
        tried = Tries(f"read {self._file.address}", self._file.url, tries.PATIENCE)
        while True:
            go_on()
            try:
                return self._asked(first, first + length - 1)
            except Fault as fault:
                tried.failed(fault)

    def _asked(self, first: int, last: int) -> bytes:
        file, headers = self._file, {"range": f"bytes={first}-{last}"}
        with client.opened(
            file.url, "resolvers", file.repository, f"read {file.address}", headers=headers
        ) as response:
            whole = first == 0 and last == file.size - 1 and response.status_code == 200
            if not (whole or is_range(response, first, last, file.size)):
                raise Fault(f"the server answers {response.status_code} without the range asked for")
            data, length = bytearray(), last - first + 1
            for piece in steady(response.iter_raw()):
                data += piece
                if len(data) > length:
                    break
        if len(data) != length:
            raise Fault(f"{len(data):,} bytes arrived instead of {length:,}")
        return bytes(data)
