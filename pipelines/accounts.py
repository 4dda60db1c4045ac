"""For stages with and without Beam: the identity of their inputs, and the limit on rejected rows."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from corpora import manifest
from corpora.addresses import scheme_of
from corpora.documents.batches import BLANK
from corpora.documents.formats import reading_of
from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.files import is_local
from corpora.home import Place, of_file
from corpora.locks import check_free
from corpora.manifest import InputIdentity
from corpora.stores import OBJECTS
from pipelines.advice import of_rejected

_READERS = 4  # threads that hash files
_BLOCK = 100  # files that a thread takes at a time, at most: a future costs as much as a small file


def input_identities(
    items: Sequence[WorkItem], folder: Place, known: dict[str, InputIdentity] | None = None
) -> list[InputIdentity]:
    """One identity per input file. Hashes only files that aren't in `known` (default: from the folder's manifest).

    Raises InUse, before it reads a file, if another run works in the folder.
    """
    check_free(folder)
    known = manifest.known_inputs(folder) if known is None else known
    paths = {item.path: item for item in items}
    ours = functools.cache(is_ours)
    every, size = list(paths.values()), min(_BLOCK, -(-len(paths) // _BLOCK)) or 1
    blocks = (every[start : start + size] for start in range(0, len(every), size))
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda block: [input_identity(item, known, ours) for item in block], blocks)
        return [identity for block in found for identity in block]


def input_identity(
    item: WorkItem, known: dict[str, InputIdentity], ours: Callable[[str], bool] | None = None
) -> InputIdentity:
    """The identity of the item's file, which is hashed only if it isn't in `known`. Raises OSError.

    ours: `is_ours`, if the caller remembers it. What tamiz wrote to a store is known by its sha256 there too, so that
    a run in a store has the fingerprints of the same run in a folder.
    """
    if is_local(item.path):
        content = manifest.local_identity(Path(item.path), item.input_name, known)
    elif digest := _written_sha256(item.path, ours or is_ours):
        content = InputIdentity(name=item.input_name, size=item.size, sha256=digest)
    else:
        content = InputIdentity(
            name=item.input_name, size=item.size, etag=item.etag, commit=item.commit or msgspec.UNSET
        )
    return msgspec.structs.replace(content, reading=reading_of(item) or msgspec.UNSET)


def is_ours(folder: str) -> bool:
    """Whether tamiz wrote the folder of an object store, so that its files have their sha256 as metadata."""
    with contextlib.suppress(TamizError):  # some stores refuse to say that a file isn't there
        return scheme_of(folder) in OBJECTS and manifest.is_tamiz_folder(folder)
    return False


def _written_sha256(path: str, ours: Callable[[str], bool]) -> str | None:
    """What the store says of this very file; None if somebody else wrote it."""
    if scheme_of(path) not in OBJECTS or not ours(path.rpartition("/")[0]):
        return None
    home, name = of_file(path)
    return home.known_sha256(name)


def too_many_rejected(rejected: Place, counts: dict[str, Any], max_rejected: float) -> str | None:
    """A message if more than this share of the rows was rejected, else None. Blank lines don't count."""
    blank = counts["rejected"].get(BLANK, 0)
    bad = sum(counts["rejected"].values()) - blank
    rows = counts["read"] - blank
    if not rows or bad / rows <= max_rejected:
        return None
    raising = "" if bad == rows else ", or raise the limit"
    return (
        f"{bad:,} of {rows:,} rows ({bad / rows:.1%}) were rejected, more than --max-rejected {max_rejected}: "
        f"see {rejected}; {of_rejected(rejected, f'fix the input and pass --rebuild{raising}')}"
    )
