"""Everywhere else that fsspec writes: sftp://, memory://, hdfs://, ... A complete local file is put there."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpora.addresses import joined, scheme_of
from corpora.errors import BadArgument, StoreFailed, TamizError, in_a_line
from corpora.stores.base import FileRecord, Known
from corpora.stores.remote import RemoteStore

READ_ONLY = ("http", "https", "hf", "zip", "tar", "github", "git", "data")


class Elsewhere(RemoteStore):
    """A folder at any other address of fsspec. It knows sizes, but no checksums."""

    @functools.cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the folder's path in it."""
        from fsspec.core import url_to_fs

        try:
            system, path = url_to_fs(self.address, use_listings_cache=False)
        except (ImportError, ValueError, OSError) as error:
            raise BadArgument(f"{self.address}: {in_a_line(error)}") from error
        return system, path.rstrip("/")

    def _path(self, name: str) -> str:
        return joined(self._place[1], name)

    def send(self, source: Path | bytes, record: FileRecord) -> None:
        if scheme_of(self.address) in READ_ONLY or "::" in self.address:
            raise BadArgument(
                f"{self.address} can't be written to: name a folder, or s3://, gs://, az://, sftp://..."
            )
        system, path = self._place[0], self._path(record.path)
        with self._said(record.path):
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            if isinstance(source, bytes):
                system.pipe_file(path, source)
            else:
                system.put_file(str(source), path)

    def create(self, name: str, data: bytes) -> bool:
        """With mode x where the file system has it; else a look, then the file, which isn't quite the same."""
        system, path = self._place[0], self._path(name)
        try:
            with self._said(name):
                if system.exists(path):
                    return False
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                system.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except (NotImplementedError, TypeError, ValueError):
            self.write(name, data)
        return True

    def piece(self, name: str, start: int, length: int) -> bytes:
        with self._said(name):
            return bytes(self._place[0].cat_file(self._path(name), start=start, end=start + length))

    def known(self, name: str) -> Known | None:
        try:
            with self._said(name):
                found = self._place[0].info(self._path(name))
        except FileNotFoundError:
            return None
        return None if found.get("type") == "directory" else Known(int(found["size"]), tag=_tag(found))

    def entries(self, below: str) -> dict[str, int]:
        system, root = self._place
        with self._said(below):
            found = system.find(self._path(below), detail=True)
        cut = len(root) + 1
        return {path[cut:]: int(info["size"]) for path, info in sorted(found.items())}

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._said(name):
            self._place[0].rm_file(self._path(name))

    def remove_all(self, below: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._said(below):
            self._place[0].rm(self._path(below), recursive=True)

    @contextlib.contextmanager
    def _said(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, FileExistsError, TamizError, NotImplementedError, TypeError, ValueError):
            raise
        except Exception as error:  # file systems raise what their libraries do
            raise StoreFailed(f"{joined(self.address, name)}: {in_a_line(error)}") from error


def _tag(info: dict[str, Any]) -> str | None:
    found = [str(info[key]) for key in ("ETag", "etag", "mtime", "created", "modified") if info.get(key)]
    return found[0] if found else None
