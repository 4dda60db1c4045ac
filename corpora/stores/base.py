"""What every kind of store can do, and the description of one of its files."""

from __future__ import annotations

import contextlib
import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO

import msgspec

from corpora.addresses import joined

_BLOCK = 1 << 20


class FileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of the folder; `path` is relative to it, `/` separated."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


class Writing:
    """A file that is being written: to `path`, a local temporary file; it has its name when the block has ended."""

    def __init__(self, folder: str, name: str, path: Path) -> None:
        self.address = joined(folder, name)
        self.path = path
        self._record: FileRecord | None = None

    def published(self, record: FileRecord) -> None:
        self._record = record

    def record(self, rows: int | None = None, *, of: object = None) -> FileRecord:
        """Its description, once the block has ended; the file isn't read again. of: a folder above, for its path."""
        if self._record is None:
            raise RuntimeError(f"{self.address} has no record before its block ends")
        path = self._record.path if of is None else self.address.removeprefix(f"{of}/")
        return msgspec.structs.replace(self._record, path=path, rows=rows)


class Known(msgspec.Struct, frozen=True):
    """What a store says of a file without sending it. sha256: None if it doesn't know; tag: changes with the file."""

    size: int
    sha256: str | None = None
    tag: str | None = None


class Store(ABC):
    """One folder at some place. Names are relative and `/` separated.

    Whatever goes wrong is a TamizError in one line that names the address (Unreachable where trying again may help);
    a file that isn't there is a FileNotFoundError.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    @abstractmethod
    def writing(self, name: str) -> contextlib.AbstractContextManager[Writing]:
        """Publishes a file when the block ends; an exception in the block leaves nothing."""

    @abstractmethod
    def put(self, source: Path | bytes, record: FileRecord) -> None:
        """Publishes a complete local file, or bytes, that `record` describes."""

    def write(self, name: str, data: bytes) -> None:
        self.put(data, FileRecord(path=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Writes a file only if there is none of the name, which one of several writers finds out."""

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def digest(self, name: str) -> str:
        """sha256 of a file's content, which is read for it."""
        found = hashlib.sha256()
        with self.open(name) as file:
            while block := file.read(_BLOCK):
                found.update(block)
        return found.hexdigest()

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """Seekable; reads what is asked for."""

    @abstractmethod
    def known(self, name: str) -> Known | None:
        """None if there is no such file."""

    @abstractmethod
    def entries(self, below: str) -> dict[str, int]:
        """The names and sizes of all files below a folder, in order; none if there is no such folder."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Nothing happens if it isn't there."""

    @abstractmethod
    def remove_all(self, below: str) -> None: ...
