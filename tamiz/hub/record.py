"""What is published: one item per file, and the record of the items that a repository holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from corpora import files
from corpora.hub.remote import git_digest

NAME = ".tamiz-upload.json"
FORMAT, VERSION = "tamiz-upload", 1
CARD = "README.md"
MOST_REGULAR = 10_000_000  # bytes: the Hub stores larger files outside of git, and never tells git's hash of them


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One file. path: in the repository. source: the local file, or its bytes. git: git's hash, of small files."""

    path: str
    source: Path | bytes
    bytes: int
    sha256: str
    git: str | None

    def is_at(self, oid: str) -> bool:
        """Whether the Hub names this content by `oid`: a sha256 outside of git, else git's hash."""
        return oid in (self.sha256, self.git)


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the record says of a file."""

    bytes: int
    sha256: str
    git: str | None = None

    def is_at(self, oid: str) -> bool:
        return oid in (self.sha256, self.git)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The content of .tamiz-upload.json: the files that this tool put into the repository, and nothing else."""

    format: str
    version: int
    files: dict[str, Kept]


def item(path: str, source: Path | bytes, sha256: str | None = None) -> Item:
    """sha256: if it is known already."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    content = None
    if size <= MOST_REGULAR:
        content = source if isinstance(source, bytes) else source.read_bytes()
    if content is not None:
        return Item(
            path=path, source=source, bytes=size, sha256=hashlib.sha256(content).hexdigest(), git=git(content)
        )
    digest = sha256 or files.sha256(source)  # type: ignore[arg-type]  # bytes are never so many
    return Item(path=path, source=source, bytes=size, sha256=digest, git=None)


def git(content: bytes) -> str:
    """Git's hash of a file."""
    digest = git_digest(len(content))
    digest.update(content)
    return digest.hexdigest()


def kept(items: Iterable[Item]) -> dict[str, Kept]:
    return {each.path: Kept(bytes=each.bytes, sha256=each.sha256, git=each.git) for each in items}


def encode(entries: dict[str, Kept]) -> bytes:
    """Equal entries give equal bytes."""
    plain = Record(format=FORMAT, version=VERSION, files=dict(sorted(entries.items())))
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def decode(content: bytes) -> dict[str, Kept] | None:
    """The entries; None if this is no record that this version reads."""
    try:
        found = msgspec.json.decode(content, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found.files if (found.format, found.version) == (FORMAT, VERSION) else None
