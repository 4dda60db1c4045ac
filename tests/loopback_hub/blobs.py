"""Files and trees with the ids that git gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def git_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


@dataclass(frozen=True)
class Blob:
    """A file of a commit: regular ones carry their content, LFS ones the sha256 of it."""

    size: int
    content: bytes | None = None
    sha256: str | None = None
    xet_hash: str | None = None

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @property
    def oid(self) -> str:
        """As git has it: of an LFS file the id of its pointer."""
        return git_id("blob", self.pointer if self.content is None else self.content)

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """As a line of a tree listing."""
        found: dict[str, Any] = {"type": "file", "oid": self.oid, "size": self.size, "path": path}
        if self.sha256:
            found["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": len(self.pointer)}
        if self.xet_hash:
            found["xetHash"] = self.xet_hash
        return found


Tree = Mapping[str, Blob]


def folder_ids(tree: Tree) -> dict[str, str]:
    """Git's id of every folder of `tree`; the root's is under ""."""
    children: dict[str, dict[str, str]] = {"": {}}
    for path in tree:
        parts = path.split("/")
        for depth in range(len(parts)):
            parent = "/".join(parts[:depth])
            children.setdefault(parent, {})[parts[depth]] = "/".join(parts[: depth + 1])
    ids: dict[str, str] = {}
    for folder in sorted(children, key=lambda name: (name != "", name.count("/")), reverse=True):
        ids[folder] = git_id("tree", b"".join(_lines(children[folder], tree, ids)))
    return ids


def _lines(names: Mapping[str, str], tree: Tree, ids: Mapping[str, str]) -> list[bytes]:
    """Sorted as git sorts: a folder's name counts as ending in a slash."""
    ordered = sorted(names, key=lambda name: (name if names[name] in tree else f"{name}/").encode())
    found = []
    for name in ordered:
        path = names[name]
        mode, oid = ("100644", tree[path].oid) if path in tree else ("40000", ids[path])
        found.append(f"{mode} {name}\0".encode() + bytes.fromhex(oid))
    return found


def listing(tree: Tree, folder: str, recursive: bool) -> list[dict[str, Any]]:
    """Entries below `folder` sorted by path: files, and folders with their ids."""
    prefix = f"{folder}/" if folder else ""
    ids = folder_ids(tree)
    found = {path: blob.entry(path) for path, blob in tree.items()}
    found |= {path: {"type": "directory", "oid": oid, "size": 0, "path": path} for path, oid in ids.items() if path}
    below = [path for path in sorted(found) if path.startswith(prefix)]
    return [found[path] for path in below if recursive or "/" not in path[len(prefix) :]]
