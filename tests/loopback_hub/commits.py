"""The body of a commit request, applied to a tree: all of it, or nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Protocol

from tests.loopback_hub.answers import Refused, no_entry
from tests.loopback_hub.blobs import Blob, Tree
from tests.loopback_hub.card_rules import problems
from tests.loopback_hub.upload_modes import LARGEST_REGULAR


class Contents(Protocol):
    """Where uploaded contents are."""

    def uploaded(self, sha256: str) -> Blob | None: ...


def parse(body: bytes) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """The header, and the operations as (key, value)."""
    try:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        pairs = [(line["key"], line["value"]) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, f"A commit is one JSON object per line, with key and value: {error}") from error
    if not pairs or pairs[0][0] != "header" or not pairs[0][1].get("summary"):
        raise Refused(400, "The first line of a commit must be its header, with a summary")
    return pairs[0][1], pairs[1:]


def apply(tree: Tree, operations: list[tuple[str, dict[str, Any]]], contents: Contents, kind: str) -> dict[str, Blob]:
    """A new tree; `tree` stays as it was."""
    after = dict(tree)
    for key, value in operations:
        path = _checked(value.get("path", ""), key == "deletedFolder")
        if key == "file":
            after[path] = _regular(path, value, kind)
        elif key == "lfsFile":
            after[path] = _large(path, value, contents)
        elif key in ("deletedFile", "deletedFolder"):
            for gone in _deleted(after, key, path):
                del after[gone]
        else:
            raise Refused(400, f"Unknown operation in a commit: {key}")
    for path in after:
        if any(parent in after for parent in _parents(path)):
            raise Refused(400, f"{path} lies below a path that is a file")
    return after


def _checked(path: str, is_folder: bool) -> str:
    path = path.rstrip("/") if is_folder else path
    parts = path.split("/")
    if not path or any(part in ("", ".", "..", ".git") for part in parts):
        raise Refused(400, f"Invalid path in a commit: {path!r}")
    return path


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _regular(path: str, value: dict[str, Any], kind: str) -> Blob:
    try:
        content = base64.b64decode(value["content"], validate=True)
    except (KeyError, ValueError) as error:
        raise Refused(400, f"The content of {path} isn't base64") from error
    if len(content) > LARGEST_REGULAR:
        raise Refused(400, f"{path} has {len(content)} bytes: files above {LARGEST_REGULAR} go through LFS or Xet")
    if path == "README.md" and (found := problems(content.decode("utf-8", "replace"), kind)):
        raise Refused(400, "Invalid metadata in README.md: " + "; ".join(found))
    return Blob(len(content), content=content)


def _large(path: str, value: dict[str, Any], contents: Contents) -> Blob:
    blob = contents.uploaded(str(value.get("oid", "")))
    if blob is None or value.get("size", blob.size) != blob.size:
        raise Refused(
            400, f"The LFS content of {path} wasn't uploaded: oid {value.get('oid')}, size {value.get('size')}"
        )
    return blob


def _deleted(tree: Tree, key: str, path: str) -> list[str]:
    prefix = f"{path}/"
    gone = [one for one in tree if one.startswith(prefix)] if key == "deletedFolder" else [path] * (path in tree)
    if not gone:
        raise no_entry(path)
    return gone
