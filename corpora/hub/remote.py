"""A file of the Hub as it was listed: everything that reading it, and knowing that it was read right, needs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from corpora.hub import client
from corpora.hub.address import Repository, parse
from corpora.hub.tree import Entry, Pinned

if TYPE_CHECKING:
    from hashlib import _Hash


class RemoteFile(NamedTuple):
    """address: as users write it. tag: as in `Entry`."""

    address: str
    repository: Repository
    commit: str
    path: str
    size: int
    tag: str

    @classmethod
    def at(cls, address: str, commit: str, size: int, tag: str) -> RemoteFile:
        parsed = parse(address)
        return cls(address, parsed.repository, commit, parsed.path, size, tag)

    @classmethod
    def of(cls, at: Pinned, entry: Entry) -> RemoteFile:
        address = f"hf://{at.repository.page}@{at.commit}/{entry.path}"
        return cls(address, at.repository, at.commit, *entry)

    @property
    def url(self) -> str:
        """At the commit: what was listed is what is read, even if the repository moves on meanwhile."""
        return f"{client.endpoint()}/{self.repository.page}/resolve/{self.commit}/{quote(self.path)}"

    def digest(self) -> _Hash:
        """To be updated with the content: ends as `tag`. Small files are git blobs, whose hash covers a header."""
        if len(self.tag) == 64:
            return hashlib.sha256()
        return git_digest(self.size)


def git_digest(size: int) -> _Hash:
    """To be updated with a content of `size` bytes: ends as git's hash of the file."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
