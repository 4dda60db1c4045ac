"""A folder of packed shards: the facts in its manifest, and its splits."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from corpora import manifest
from corpora.copies import local_folder
from corpora.files import is_local
from corpora.rows.split_reader import SplitReader
from corpora.tokens.facts import ShardFacts, facts_of


@dataclass(frozen=True)
class Shards:
    """A folder of finished shards. fingerprint: covers settings and the bytes of every file, not the folder's path.

    files: (path, rows) of each file, by split.
    """

    folder: Path
    fingerprint: str
    facts: ShardFacts
    files: dict[str, list[tuple[Path, int]]]
    _readers: dict[tuple[str, bool], SplitReader] = field(default_factory=dict, repr=False, compare=False)

    def split(self, name: str, *, with_documents: bool = False) -> SplitReader:
        """Reads the files' footers at the first call only.

        Raises BadArgument for a split without rows, DamagedFile for files that differ from the manifest.
        """
        key, files = (name, with_documents), self.files.get(name, [])
        if key not in self._readers:
            self._readers[key] = SplitReader(self.folder, self.facts, name, files, with_documents=with_documents)
        return self._readers[key]


def read_shards(path: str | Path) -> Shards:
    """The facts and files of finished shards; reads no rows. path: an address, too: the files are copied to this
    machine's cache, all of them now, so that training reads a disk.

    Raises DamagedFile if the manifest is missing, unfinished or lacks a fact.
    """
    folder = Path(path) if is_local(str(path)) else local_folder(str(path))
    made = manifest.read_finished(folder, "shards")
    message = [made.fingerprint, sorted((f.path, f.sha256) for f in made.files)]
    fingerprint = hashlib.sha256(json.dumps(message).encode()).hexdigest()[:32]
    return Shards(folder, fingerprint, facts_of(folder, made), _by_split(folder, made.files))


def _by_split(folder: Path, records: list[manifest.FileRecord]) -> dict[str, list[tuple[Path, int]]]:
    files: dict[str, list[tuple[Path, int]]] = {}
    for record in sorted(records, key=lambda r: r.path):
        if record.path.endswith(".parquet"):
            split = record.path.split("/")[0]
            files.setdefault(split, []).append((folder / record.path, record.rows or 0))
    return files
