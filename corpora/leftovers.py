"""What killed runs left in finished folders: files that no manifest names, temporary files, unfinished uploads."""

from __future__ import annotations

from dataclasses import dataclass

from corpora import files, manifest
from corpora.errors import DamagedFile
from corpora.home import Home, Place
from corpora.locks import check_free
from corpora.stores.uploads import Upload, abort, stale_uploads
from corpora.verify import described, unlisted


@dataclass(frozen=True)
class Leftover:
    """A file by its name in `home`, or an upload."""

    home: Home
    name: str
    why: str
    upload: Upload | None = None

    @property
    def said(self) -> str:
        return f"{self.home.at(self.name) if self.upload is None else self.name} ({self.why})"


def leftovers(folder: Place) -> list[Leftover]:
    """Of every finished folder of tamiz there and below. Raises DamagedFile if there is none, InUse."""
    root = Home.of(folder)
    check_free(root)
    found = [
        Leftover(root, name, f"no manifest of {root.at(inner) if inner else root} names it")
        for inner in described(root)
        if _is_finished(root / inner if inner else root)
        for name in unlisted(root, inner)
    ]
    if root.is_local:
        names = [name for name in root.entries() if files.TEMPORARY.search(name)]
        found += [Leftover(root, name, "a temporary file") for name in names]
    bucket = root.address.partition("://")[2].partition("/")[0]
    for upload in stale_uploads(root.address):
        why = f"an upload that was begun {upload.begun:%Y-%m-%d %H:%M} and never finished"
        found.append(Leftover(root, f"s3://{bucket}/{upload.key}", why, upload))
    return found


def remove(leftover: Leftover) -> None:
    if leftover.upload is not None:
        abort(leftover.home.address, leftover.upload)
    else:
        leftover.home.remove(leftover.name)


def _is_finished(home: Home) -> bool:
    try:
        return manifest.read(home).finished
    except DamagedFile:
        return False
