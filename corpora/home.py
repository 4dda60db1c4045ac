"""The one door to disk: an output folder at any address, a local path or `s3://bucket/run/scores`.

Files appear whole, under their final names, or not at all. On a disk: a temporary file beside, synced, renamed. In a
store: a local temporary file, hashed, sent to its final key, checked by what the store says of it. The manifest comes
last, so readers trust the manifest alone and never a listing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from corpora import addresses, files
from corpora.errors import TamizError
from corpora.stores import store_of, temporary
from corpora.stores.base import FileRecord, Store, Writing
from corpora.stores.cache import fetched

Place: TypeAlias = "str | Path | Home"
_LAST = "manifest.json"  # what says that all else is there


@dataclass(frozen=True, order=True)
class Home:
    """A folder for outputs. Immutable, hashable, picklable, cheap: nothing is opened until it is used.

    Names of files are relative and `/` separated.
    """

    address: str
    """A local path or `scheme://...`, without a slash at its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", addresses.plain(self.address))

    @classmethod
    def of(cls, place: str | Path | Home) -> Home:
        """Raises BadArgument for an address that names nothing, or that lost a slash in a `Path`."""
        return place if isinstance(place, Home) else Home(os.fspath(place))

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, name: str) -> Home:
        return Home(addresses.joined(self.address, addresses.checked(name)))

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.address.rpartition("/")[2]

    @property
    def above(self) -> Home:
        """The folder that it lies in; a bucket is its own."""
        if self.is_local:
            return Home.of(self.folder.resolve().parent)
        head, _, rest = self.address.partition("://")
        return Home(f"{head}://{rest.rpartition('/')[0] or rest}")

    @property
    def is_local(self) -> bool:
        return not addresses.scheme_of(self.address)

    @property
    def folder(self) -> Path:
        """Of a local folder alone."""
        if not self.is_local:
            raise ValueError(f"{self.address} is no local folder")
        return Path(self.address)

    @property
    def _store(self) -> Store:
        return store_of(self.address)

    def at(self, name: str) -> str:
        """The address of a file, for messages and readers."""
        return addresses.joined(self.address, name)

    def writing(self, name: str) -> contextlib.AbstractContextManager[Writing]:
        """`with home.writing(name) as file:` write to `file.path`; it is published when the block ends.

        An exception in the block leaves nothing. `file.record()` describes it afterwards. Raises TamizError.
        """
        return self._store.writing(addresses.checked(name))

    def write_bytes(self, name: str, data: bytes) -> None:
        self._store.write(addresses.checked(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Whether there was no such file; then it is written. Of several writers, one is told so."""
        return self._store.create(addresses.checked(name), data)

    def read_bytes(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        return self._store.read(addresses.checked(name))

    def open(self, name: str) -> IO[bytes]:
        """A seekable file; of a store, the ranges that are read come. Raises FileNotFoundError."""
        return self._store.open(addresses.checked(name))

    def fetched(self, name: str, sha256: str | None = None) -> Path:
        """The local file, or a checked copy of a store's file in this machine's cache. Raises FileNotFoundError."""
        if self.is_local:
            return self.folder / addresses.checked(name)
        return fetched(self._store, addresses.checked(name), sha256)

    def size(self, name: str) -> int | None:
        """None if there is no such file."""
        known = self._store.known(addresses.checked(name))
        return None if known is None else known.size

    def exists(self, name: str) -> bool:
        return self.size(name) is not None

    def entries(self, below: str = "") -> dict[str, int]:
        """Names and sizes of all files below a folder inside, in order; empty if there is none."""
        return self._store.entries(addresses.checked(below) if below else "")

    def is_folder(self) -> bool:
        """Whether there is such a folder; in a store, a file below it."""
        return self.folder.is_dir() if self.is_local else bool(self.entries())

    def remove(self, name: str) -> None:
        self._store.remove(addresses.checked(name))

    def remove_all(self, below: str = "") -> None:
        self._store.remove_all(addresses.checked(below) if below else "")

    def clear(self, name: str) -> None:
        """Removes a file or a folder inside, whichever it is. Raises TamizError."""
        if not self.is_local:
            self.remove(name)
            self.remove_all(name)
            return
        path = self.folder / addresses.checked(name)
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise TamizError(f"can't clear {self}: {error.strerror}") from error

    def sha256(self, name: str) -> str:
        """Of a file's content, which is read for it. Raises FileNotFoundError."""
        return self._store.digest(addresses.checked(name))

    def known_sha256(self, name: str) -> str | None:
        """What a store says of a file's content, without sending it; None if it doesn't know, or there is no file."""
        known = self._store.known(addresses.checked(name))
        return known.sha256 if known else None

    def tag(self, name: str) -> str:
        """What changes with a file, as far as the store tells without sending it; empty if there is none."""
        known = self._store.known(addresses.checked(name))
        return "" if known is None else known.sha256 or f"{known.size} {known.tag or ''}"

    def holds(self, record: FileRecord) -> bool:
        """Whether a file is there with this size and checksum. It is read unless the store knows its checksum."""
        known = self._store.known(addresses.checked(record.path))
        if known is None or known.size != record.bytes:
            return False
        return (known.sha256 or self.sha256(record.path)) == record.sha256

    def send(self, name: str, path: Path) -> FileRecord:
        """Publishes a complete local file under a name here, unless it is here."""
        record = FileRecord(path=addresses.checked(name), bytes=path.stat().st_size, sha256=files.sha256(path))
        if not self.holds(record):
            self._store.put(path, record)
        return record

    @contextlib.contextmanager
    def filled(self) -> Iterator[Path]:
        """A local folder to make files in: itself, or one whose files are published when the block ends."""
        if self.is_local:
            yield self.folder
            return
        with temporary.local_folder() as folder:
            yield folder
            self.publish(folder)

    def publish(self, folder: Path) -> list[FileRecord]:
        """A local folder's files, here under the same names, in order; manifests come last, its own the very last.

        What is here already isn't sent again.
        """
        records = []
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for name in sorted(names, key=lambda name: _turn(name, names)):
            records.append(self.send(name, folder / name))
        return records


def of_file(address: str | Path) -> tuple[Home, str]:
    """The folder and the name of a file at an address."""
    folder, _, name = addresses.plain(address).rpartition("/")
    return Home(folder or ("/" if str(address).startswith("/") else ".")), name


def writing(address: str | Path) -> contextlib.AbstractContextManager[Writing]:
    """`Home.writing` for a file at an address, or a local path."""
    home, name = of_file(address)
    return home.writing(name)


def exists(address: str | Path) -> bool:
    """Whether there is a file at an address."""
    home, name = of_file(address)
    return home.exists(name)


def opened(address: str | Path) -> IO[bytes]:
    """`Home.open` for a file at an address: what is read once needs no copy."""
    home, name = of_file(address)
    return home.open(name)


def source(address: str | Path) -> Any:
    """What pyarrow reads a file from: a local path, or the ranges of a store's file as they are asked for.

    Raises FileNotFoundError for a store's.
    """
    return Path(address) if not addresses.scheme_of(str(address)) else opened(address)


def local(address: str | Path, sha256: str | None = None) -> Path:
    """A local path to read a file from: its own, or that of a checked copy of a store's file.

    Raises FileNotFoundError for a store's.
    """
    if not addresses.scheme_of(str(address)):
        return Path(address)
    home, name = of_file(address)
    return home.fetched(name, sha256)


def _turn(name: str, names: Container[str]) -> tuple[bool, int, str]:
    """Manifests come last, the outer ones after the inner ones; LM.json is the manifest of LM.bin."""
    last = name.rpartition("/")[2] == _LAST or f"{name.removesuffix('.json')}.bin" in names
    return last, -name.count("/") if last else 0, name
