"""For stages with and without Beam: the identity of their inputs, and the limit on rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from corpora import manifest
from corpora.documents.batches import BLANK
from corpora.documents.formats import reading_of
from corpora.documents.item import WorkItem
from corpora.files import is_local
from corpora.home import Place
from corpora.locks import check_free
from corpora.manifest import InputIdentity
from pipelines.advice import of_rejected


def input_identities(
    items: Sequence[WorkItem], folder: Place, known: dict[str, InputIdentity] | None = None
) -> list[InputIdentity]:
    """One identity per input file. Hashes only files that aren't in `known` (default: from the folder's manifest).

    Raises InUse, before it reads a file, if another run works in the folder.
    """
    check_free(folder)
    known = manifest.known_inputs(folder) if known is None else known
    paths = {item.path: item for item in items}
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda item: input_identity(item, known), paths.values()))


def input_identity(item: WorkItem, known: dict[str, InputIdentity]) -> InputIdentity:
    """The identity of the item's file, which is hashed only if it isn't in `known`. Raises OSError."""
    if is_local(item.path):
        content = manifest.local_identity(Path(item.path), item.input_name, known)
    else:
        content = InputIdentity(
            name=item.input_name, size=item.size, etag=item.etag, commit=item.commit or msgspec.UNSET
        )
    return msgspec.structs.replace(content, reading=reading_of(item) or msgspec.UNSET)


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
