"""A folder on a disk of this machine, or on a network disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpora import files
from corpora.errors import TamizError
from corpora.stores.base import FileRecord, Known, Store, Writing


class Folder(Store):
    """Temporary file beside the final name, synced, renamed."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.folder = Path(address)

    def _path(self, name: str) -> Path:
        return self.folder / name

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Writing]:
        with files.atomic_path(self._path(name)) as temporary:
            file = Writing(self.address, name, temporary)
            yield file
            size, digest = temporary.stat().st_size, files.sha256(temporary)
        file.published(FileRecord(path=name, bytes=size, sha256=digest))

    def put(self, source: Path | bytes, record: FileRecord) -> None:
        with files.atomic_path(self._path(record.path)) as temporary:
            if isinstance(source, bytes):
                temporary.write_bytes(source)
            else:
                shutil.copyfile(source, temporary)

    def write(self, name: str, data: bytes) -> None:
        files.write_bytes(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """By a link, which the kernel makes only where there is no file of the name."""
        final = self._path(name)
        temporary = final.with_name(f"{final.name}.tmp-{uuid.uuid4().hex[:12]}")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return _linked(temporary, final)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise files.cannot_write(final, error, len(data)) from error
        finally:
            temporary.unlink(missing_ok=True)

    def open(self, name: str) -> IO[bytes]:
        try:
            return self._path(name).open("rb")
        except NotADirectoryError as error:
            raise FileNotFoundError(str(error)) from error

    def known(self, name: str) -> Known | None:
        path = self._path(name)
        return Known(path.stat().st_size) if path.is_file() else None

    def entries(self, below: str) -> dict[str, int]:
        found = {}
        for here, _, names in os.walk(self.folder / below):
            for name in names:
                path = Path(here, name)
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile, or a link to nothing
                    found[path.relative_to(self.folder).as_posix()] = path.stat().st_size
        return dict(sorted(found.items()))

    def remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise TamizError(f"can't remove {self._path(name)}: {error.strerror}") from error

    def remove_all(self, below: str) -> None:
        shutil.rmtree(self.folder / below, ignore_errors=True)


def _linked(temporary: Path, final: Path) -> bool:
    try:
        os.link(temporary, final)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: nearly as good, under the folder's lock
        if final.exists():
            return False
        temporary.replace(final)
    return True
