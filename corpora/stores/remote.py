"""What stores on other machines have in common: a complete local file is sent, then looked at.

The local file is hashed and sent to its final key at once: there is nothing to rename, and a reader sees all of it or
nothing. Whether it has come is what the store says of it afterwards, not what the request answered: an answer may be
lost, and a file may be cut.
"""

from __future__ import annotations

import contextlib
import io
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from corpora import files
from corpora.addresses import joined
from corpora.errors import DamagedFile, StoreFailed, TamizError, Unreachable
from corpora.stores import temporary
from corpora.stores.base import FileRecord, Known, Store, Writing

_BLOCK = 1 << 20
_LARGE = 8 << 20  # bytes of a request, where a whole file is read
_SENDS = 2


class RemoteStore(Store):
    """A store that takes whole files."""

    @abstractmethod
    def send(self, source: Path | bytes, record: FileRecord) -> None:
        """Sends a file to its final name. Raises Unreachable if there was no answer to it."""

    @abstractmethod
    def piece(self, name: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer at its end."""

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Writing]:
        with temporary.local_file(name) as path:
            file = Writing(self.address, name, path)
            try:
                yield file
            except OSError as error:
                raise self._cannot_write(name, path, error) from error
            record = FileRecord(path=name, bytes=path.stat().st_size, sha256=files.sha256(path))
            self.put(path, record)
        file.published(record)

    def _cannot_write(self, name: str, path: Path, error: OSError) -> TamizError:
        size = path.stat().st_size if path.exists() else 0
        advice = "let TMPDIR name a folder with more room" if error.errno in files.FULL else ""
        at = joined(self.address, name)
        return files.cannot_write(path, error, size, at_least=True, name=at, advice=advice)

    def put(self, source: Path | bytes, record: FileRecord) -> None:
        """Sends a file and looks whether it is there, twice at most. Raises Unreachable if it isn't."""
        at = joined(self.address, record.path)
        failed: Unreachable = StoreFailed(
            f"{at} was sent, but isn't there with its {record.bytes:,} bytes: run the command again"
        )
        for _ in range(_SENDS):
            lost = False
            try:
                self.send(source, record)
            except Unreachable as error:
                failed, lost = error, True
            if self._has(record, certain=lost):
                return
            if lost:
                break  # the client has tried again already
        raise failed

    def _has(self, record: FileRecord, *, certain: bool) -> bool:
        """certain: after an answer that was lost, a file of the same size may be an older one."""
        found = self.known(record.path)
        if found is None or found.size != record.bytes:
            return False
        digest = found.sha256 or (self.digest(record.path) if certain else None)
        return digest is None or digest == record.sha256

    def open(self, name: str) -> io.BufferedReader:
        found = self.known(name)
        if found is None:
            raise FileNotFoundError(f"{joined(self.address, name)}: no such file")
        return io.BufferedReader(_Pieces(self, name, found), min(_BLOCK, max(found.size, 1)))


class _Pieces(io.RawIOBase):
    """A file of a store, read in pieces as they are asked for."""

    def __init__(self, store: RemoteStore, name: str, known: Known) -> None:
        self._store, self._name, self._size, self._at = store, name, known.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        length = min(len(view), max(self._size - self._at, 0))
        if not length:
            return 0
        data = self._store.piece(self._name, self._at, length)
        if len(data) != length:
            raise DamagedFile(
                f"{joined(self._store.address, self._name)} ends at {self._at + len(data):,} of {self._size:,} "
                "bytes: it changed while it was read"
            )
        view[:length] = data
        self._at += length
        return length

    def readall(self) -> bytes:
        pieces = []
        while self._at < self._size:
            piece = bytearray(min(_LARGE, self._size - self._at))
            self.readinto(piece)
            pieces.append(bytes(piece))
        return b"".join(pieces)
