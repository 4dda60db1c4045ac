"""The xet way without a CAS server: hf_xet's own store in a folder, named to clients as local:///FOLDER.

One process at a time can hold such a folder (redb locks it). So there is one folder to write to, by one process at a
time, and each who reads gets a view of his own: hard links, and a copy of the index.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.loopback_hub.objects import ObjectStore

INDEX = "global_dedup_lookup.redb"
LINE = 48  # bytes of every record of a shard
HAS_CHECKS, HAS_SHA256 = 1 << 31, 1 << 30
LAST = b"\xff" * 32


class XetStore:
    def __init__(self, folder: Path, objects: ObjectStore) -> None:
        self.folder, self.objects = folder, objects
        self.hashes: dict[str, tuple[str, int]] = {}  # sha256 -> xet hash, size
        self._scanned: set[Path] = set()
        self._views = 0

    @property
    def _inner(self) -> Path:
        return self.folder / "write" / "xet" / "xorbs"

    def write_url(self) -> str:
        return f"local://{self.folder / 'write'}"

    def read_url(self) -> str:
        """Of a view of all that was written until now."""
        self._views += 1
        view = self.folder / f"view-{self._views}"
        for name in ("shards", "xorbs"):
            (view / "xet" / "xorbs" / name).mkdir(parents=True)
            for path in _files(self._inner / name):
                (view / "xet" / "xorbs" / name / path.name).hardlink_to(path)
        if (self._inner / INDEX).exists():
            shutil.copy(self._inner / INDEX, view / "xet" / "xorbs")
        return f"local://{view}"

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in _files(self._inner / "xorbs"))

    def find(self, sha256: str) -> tuple[str, int] | None:
        """Hash and size of a file that a client has uploaded; its bytes are in `objects` from now on."""
        for path in _files(self._inner / "shards"):
            if path.suffix == ".mdb" and path not in self._scanned:
                self.hashes |= {sha: (xet, size) for sha, xet, size in _shard(path.read_bytes())}
                self._scanned.add(path)
        found = self.hashes.get(sha256)
        if found and sha256 not in self.objects:
            self._fetch(sha256, *found)
        return found

    def _fetch(self, sha256: str, xet_hash: str, size: int) -> None:
        import hf_xet

        path = self.objects.folder / f".{sha256}.xet"
        with hf_xet.XetSession().new_file_download_group(endpoint=self.read_url()) as group:
            group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(path))
        found = self.objects.put(path.read_bytes())
        path.unlink()
        if found != sha256:
            raise OSError(f"hf_xet's store gave other bytes for {sha256}: {found}")

    def put(self, contents: Sequence[bytes]) -> list[str]:
        """Stores contents as a client would, before any client has the folder open."""
        import hf_xet

        shas = [self.objects.put(content) for content in contents]
        with hf_xet.XetSession().new_upload_commit(endpoint=self.write_url()) as commit:
            for content, sha in zip(contents, shas, strict=True):
                commit.start_upload_bytes(content, sha256=sha)
        for sha in shas:
            if not self.find(sha):
                raise OSError(f"hf_xet's store lacks {sha}")
        return shas


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _shard(data: bytes) -> Iterator[tuple[str, str, int]]:
    """sha256, xet hash and size of each file in a shard.

    After a header, per file: a line with its hash, flags and number of segments; a line per segment; as many with
    checks, if flagged; one with the sha256, if flagged. A line of 0xff ends the files.
    """
    at = LINE
    while data[at : at + 32] != LAST:
        flags, segments = struct.unpack_from("<II", data, at + 32)
        xet_hash, at = _hash(data[at : at + 32]), at + LINE
        size = sum(struct.unpack_from("<I", data, at + LINE * one + 36)[0] for one in range(segments))
        at += LINE * segments * (2 if flags & HAS_CHECKS else 1)
        if flags & HAS_SHA256:
            yield _hash(data[at : at + 32]), xet_hash, size
            at += LINE


def _hash(data: bytes) -> str:
    """As text it is four little-endian numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", data))
