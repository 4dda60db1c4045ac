"""LM.json: what a language model is and must be used with; and the sha256 of a model that came without one.

The files of the model `LM.bin`: LM.json (this manifest), LM.spiece.model (its tokenizer, unless it is of raw words).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from corpora import files
from corpora.errors import DamagedFile
from corpora.perplexity.settings import ScoringMode

FORMAT = "tamiz-lm"
VERSION = 1


class LmManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of LM.json that scoring needs; others (settings, counts, inputs) may stand beside them."""

    format: str
    version: int
    mode: ScoringMode
    normaliser: str | None
    tokenizer_sha256: str | None
    lm_sha256: str


def manifest_path(lm: str | Path) -> Path:
    return Path(lm).with_suffix(".json")


def tokenizer_path(lm: str | Path) -> Path:
    return Path(lm).with_suffix(".spiece.model")


def read_manifest(lm: str | Path) -> LmManifest | None:
    """What LM.json beside `lm` says; None if there is none. Raises DamagedFile."""
    path = manifest_path(lm)
    if not path.is_file():
        return None
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=LmManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path}: not the manifest of a language model ({error})") from None
    if (manifest.format, manifest.version) != (FORMAT, VERSION):
        found = f"{manifest.format} {manifest.version}"
        raise DamagedFile(f"{path}: format {found!r}, but this version reads '{FORMAT} {VERSION}'")
    return manifest


def check_sha256(path: Path, expected: str, says: Path) -> str:
    """The file's sha256. Raises DamagedFile if it isn't what `says` expects."""
    found = files.sha256(path)
    if found != expected:
        raise DamagedFile(f"{path}: sha256 {found[:16]}…, but {says} says {expected[:16]}…: damaged or replaced")
    return found


def recorded_sha256(path: str | Path, record: Path | None = None) -> str:
    """The sha256 of a file from elsewhere: recorded at first use, enforced from then on.

    record: where; by default `<file>.sha256` beside it, or below ~/.cache/tamiz/lm where that can't be written.
    Raises DamagedFile if the file is no longer what was recorded.
    """
    path = Path(path)
    record = record or _record_of(path)
    if not record.is_file():
        digest = files.sha256(path)
        files.write_bytes(record, f"{digest}  {path.name}\n".encode())
        return digest
    expected = record.read_text("utf-8", "replace").partition(" ")[0]
    found = files.sha256(path)
    if found != expected:
        told = f"{path}: sha256 {found[:16]}…, but {expected[:16]}… was recorded at first use"
        raise DamagedFile(f"{told}: restore the file, or remove {record} if it was meant to change")
    return found


def _record_of(path: Path) -> Path:
    beside = path.with_name(path.name + ".sha256")
    if beside.is_file() or os.access(path.parent, os.W_OK):
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return cache / "tamiz" / "lm" / f"{place}-{path.name}.sha256"
