"""The xet way without a CAS server: hf_xet's own store in a folder, named to clients as local:///FOLDER.

One process at a time can hold such a folder (redb locks it). So there is one folder to write to, by one process at a
time, and each who reads gets a view of his own: hard links, and a copy of the index.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.loopback_hub.objects import ObjectStore

INDEX = "global_dedup_lookup.redb"
LINE = 48  # bytes of every record of a shard
HAS_CHECKS, HAS_SHA256 = 1 << 31, 1 << 30
LAST = b"\xff" * 32
ATTEMPTS = 5


class XetStore:
    def __init__(self, folder: Path, objects: ObjectStore) -> None:
        self.folder, self.objects = folder, objects
        self.files: dict[str, tuple[str, int]] = {}  # sha256 -> xet hash, size
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

    def find(self, sha256: str) -> str | None:
        """The xet hash of a file that a client has uploaded; its bytes are in `objects` from now on."""
        for path in _files(self._inner / "shards"):
            if path.suffix == ".mdb" and path not in self._scanned and (found := _shard(path.read_bytes())):
                self.files |= found
                self._scanned.add(path)
        if sha256 in self.files and sha256 not in self.objects:
            self._fetch({sha: found for sha, found in self.files.items() if sha not in self.objects})
        return self.files[sha256][0] if sha256 in self.files else None

    def _fetch(self, missing: Mapping[str, tuple[str, int]]) -> None:
        """Through a view, whose index may have been copied while a client wrote it: then another one is taken."""
        for attempt in range(ATTEMPTS):
            view = self.read_url().removeprefix("local://")
            try:
                self._fetch_from(view, missing)
                return
            except (RuntimeError, OSError):
                if attempt == ATTEMPTS - 1:
                    raise
            finally:
                shutil.rmtree(view)

    def _fetch_from(self, view: str, missing: Mapping[str, tuple[str, int]]) -> None:
        import hf_xet

        folder = Path(view, "fetched")
        folder.mkdir()
        with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{view}") as group:
            for sha256, (xet_hash, size) in missing.items():
                group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(folder / sha256))
        for sha256 in missing:
            if self.objects.put((folder / sha256).read_bytes()) != sha256:
                raise OSError(f"hf_xet's store gave other bytes for {sha256}")

    def put(self, contents: Iterable[bytes]) -> None:
        """Stores contents as a client would, while no client has the folder open."""
        import hf_xet

        with hf_xet.XetSession().new_upload_commit(endpoint=self.write_url()) as commit:
            for content in contents:
                commit.start_upload_bytes(content, sha256=self.objects.put(content))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _shard(data: bytes) -> dict[str, tuple[str, int]]:
    """sha256 -> xet hash and size of each file in a shard; nothing of one that is still being written.

    After a header, per file: a line with its hash, flags and number of segments; a line per segment; as many with
    checks, if flagged; one with the sha256, if flagged. A line of 0xff ends the files.
    """
    at, found = LINE, {}
    while data[at : at + 32] != LAST:
        if at + LINE > len(data):
            return {}
        flags, segments = struct.unpack_from("<II", data, at + 32)
        xet_hash, at = _hash(data[at : at + 32]), at + LINE
        lines = data[at : at + LINE * segments]
        size = sum(int.from_bytes(lines[one + 36 : one + 40], "little") for one in range(0, len(lines), LINE))
        at += LINE * segments * (2 if flags & HAS_CHECKS else 1)
        if flags & HAS_SHA256 and at + LINE <= len(data):
            found[_hash(data[at : at + 32])] = (xet_hash, size)
            at += LINE
    return found


def _hash(data: bytes) -> str:
    """As text it is four little-endian numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", data))
