"""Some files of a repository as a folder, in huggingface_hub's own cache: each fetched and checked as data is.

The cache names contents by their hash, so what is there already is checked, too, without a network. (Files that were
put there as plain files, without a link to a content, have no hash to check.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from corpora.errors import DamagedFile
from corpora.files import atomic_path
from corpora.hub.address import Repository
from corpora.hub.cache import is_right, kept
from corpora.hub.remote import RemoteFile
from corpora.hub.tree import pinned


def model_snapshot(name: str, revision: str | None, wanted: Callable[[list[str]], Iterable[str]]) -> Path:
    """The folder of the commit that the revision is now (None: the main branch), with the files that `wanted` chooses
    from the names of all. What is there is checked, what is missing is fetched.

    Raises what `tree.pinned` raises, Unreachable for a file that can't be fetched, TamizError if it can't be written.
    """
    at = pinned(Repository("models", name), revision)
    entries = {entry.path: entry for entry in at.below("", deep=True)}
    home = _home(name)
    folder = home / "snapshots" / at.commit
    for path in wanted(list(entries)):
        blob = home / "blobs" / entries[path].tag
        with kept(RemoteFile.of(at, entries[path]), blob, "HF_HOME names another place"):
            pass
        _link(folder / path, blob)
    if revision != at.commit:
        with atomic_path(home / "refs" / (revision or "main")) as temporary:
            temporary.write_text(at.commit)
    return folder


def check_cached(folder: Path) -> None:
    """Raises DamagedFile if a file of a cached snapshot isn't what its name says."""
    for path in sorted(folder.rglob("*")):
        blob = path.resolve()
        if path.is_symlink() and blob.is_file() and not _is_right(blob):
            raise DamagedFile(f"{path} in the Hub's cache isn't what was fetched: remove {blob}, and fetch it again")


def _home(name: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}")


def _is_right(blob: Path) -> bool:
    """Also for a content whose name is no hash: nobody knows."""
    if len(blob.name) not in (40, 64):
        return True
    with blob.open("rb") as copy:
        return is_right(RemoteFile("", Repository("models", ""), "", "", blob.stat().st_size, blob.name), copy)


def _link(path: Path, blob: Path) -> None:
    """As huggingface_hub does it: a relative link from the snapshot to the content."""
    target = os.path.relpath(blob, path.parent)
    if not path.is_symlink() or os.readlink(path) != target:  # noqa: PTH115
        with atomic_path(path) as temporary:  # another process may make the same one now
            temporary.symlink_to(target)
