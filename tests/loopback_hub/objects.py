"""Contents by sha256, on disk: what S3 holds behind the Hub."""

from __future__ import annotations

import hashlib
from pathlib import Path


class ObjectStore:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, sha256: str) -> bool:
        return (self.folder / sha256).exists()

    def put(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self:
            part = self.folder / f".{sha256}"
            part.write_bytes(content)
            part.rename(self.folder / sha256)
        return sha256

    def get(self, sha256: str) -> bytes:
        return (self.folder / sha256).read_bytes()

    def size(self, sha256: str) -> int:
        return (self.folder / sha256).stat().st_size
