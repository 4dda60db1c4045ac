"""rejected/<name>.jsonl: the rows that aren't documents, with file, row, reason, and first bytes in base64."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from corpora.documents.batches import RejectedRow
from corpora.home import Home, of_file, writing
from corpora.stores.base import FileRecord, Writing


class RejectedWriter:
    """Writes rows as they come. The complete file appears when the block ends, and only if it has a row.

    counts: rows by kind of reason. rows: their sum. A file from an earlier run is removed if there is no row now.
    """

    def __init__(self, path: str | Path) -> None:
        """path: an address, too."""
        self.path = path
        self.counts: Counter[str] = Counter()
        self._open = contextlib.ExitStack()
        self._file: IO[bytes] | None = None
        self._writing: Writing | None = None

    @property
    def rows(self) -> int:
        return self.counts.total()

    def write(self, rejected: Iterable[RejectedRow]) -> None:
        for row in rejected:
            if self._file is None:
                self._writing = self._open.enter_context(writing(self.path))
                self._file = self._open.enter_context(self._writing.path.open("wb"))
            # msgspec writes bytes as base64
            plain = {"file": row.file, "row": row.row, "reason": row.reason, "first_bytes": row.first_bytes}
            self._file.write(msgspec.json.encode(plain) + b"\n")
            self.counts[row.kind] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if error is None and self._file is None:
            home, name = of_file(self.path)
            home.remove(name)

    def records(self, of: Home) -> list[FileRecord]:
        """The file that was written, if there is one, once the block has ended. of: a folder above it."""
        return [self._writing.record(self.rows, of=of)] if self._writing else []
