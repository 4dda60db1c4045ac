"""LM.json: what a language model is and how it must be used; and the recorded sha256 of models without LM.json."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from pathlib import Path

import msgspec

from corpora import files
from corpora.errors import BadArgument, DamagedFile, TamizError
from corpora.lm_json import check, manifest_path
from corpora.perplexity.settings import ScoringMode

_log = logging.getLogger(__name__)
SAFE_TYPES = ("probing",)  # read by `probing`, with bounds checked


class LmManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of LM.json that scoring needs; there may be others (settings, counts, inputs)."""

    format: str
    version: int
    mode: ScoringMode
    normaliser: str | None
    tokenizer_sha256: str | None
    lm_sha256: str


def read_manifest(lm: str | Path) -> LmManifest | None:
    """The content of LM.json beside `lm`; None if there is no such file. Raises DamagedFile."""
    path = manifest_path(lm)
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
        manifest = msgspec.json.decode(data, type=LmManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path}: not the manifest of a language model ({error})") from None
    check(path, data, manifest.format, manifest.version)
    return manifest


def check_sha256(path: Path, expected: str, says: Path) -> str:
    """The file's sha256. Raises DamagedFile if it isn't what `says` expects."""
    found = _sha256(path)
    if found != expected:
        raise DamagedFile(f"{path}: sha256 {found[:16]}…, but {says} says {expected[:16]}…: damaged or replaced")
    return found


def check_trusted(path: str | Path, header_type: str, *, trust: bool = False) -> str:
    """The sha256 of a foreign model, recorded before or now, and enforced from then on.

    A probing binary is read by tamiz's own code, which is safe with damaged files, so its first use records the
    sha256. All other types are loaded by kenlm, which trusts offsets and counts inside the file (a trie's pointers,
    an ARPA file's lines, a hash table's free cell) and may crash, or never return, if it is damaged: with up to 20
    bytes changed, every second trie killed the process. The only protection is a checksum recorded when the file was
    known to be good, so a file without one opens only with `trust`, which records it.
    Raises BadArgument without a record or trust, DamagedFile if the file has changed since.
    """
    path = Path(path)
    if header_type not in SAFE_TYPES and not trust and not _record_of(path).is_file():
        problem = f"{path} is of type {header_type}: kenlm loads it, and a damaged one can crash it"
        fix = "pass --trust-lm (in a recipe lm.trust = true), which records its sha256"
        raise BadArgument(f"{problem}; if you trust its source, {fix} in {_record_of(path)}")
    return recorded_sha256(path)


def recorded_sha256(path: str | Path, record: Path | None = None) -> str:
    """The sha256 of a foreign file: recorded at first use, enforced from then on.

    record: the file for the record; by default `<file>.sha256` beside it, or a file below ~/.cache/tamiz/lm if that
    can't be written, or if a manifest lists all files of the folder. If neither can be written, a warning is logged.
    Raises DamagedFile if the file has changed since it was recorded.
    """
    path = Path(path)
    record = record or _record_of(path)
    if not record.is_file():
        digest = _sha256(path)
        try:
            files.write_bytes(record, f"{digest}  {path.name}\n".encode())
        except TamizError as error:
            _log.warning("%s: its sha256 is not recorded, so a change won't be noticed (%s)", path, error)
        return digest
    with record.open(encoding="utf-8", errors="replace") as lines:
        expected = lines.read(64).lower()  # sha256sum writes the same line
    found = _sha256(path)
    if found != expected:
        problem = f"{path}: sha256 {found[:16]}…, but {expected[:16]}… was recorded at first use"
        raise DamagedFile(f"{problem}: restore the file, or remove {record} if it was meant to change")
    return found


def _sha256(path: Path) -> str:
    """Read once per process while the file is unchanged: a model is identified before it is loaded."""
    status = path.stat()
    return _sha256_of(str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=1024)
def _sha256_of(path: str, *_state: int) -> str:
    return files.sha256(path)


def _record_of(path: Path) -> Path:
    beside = path.with_name(path.name + ".sha256")
    manifested = (path.parent / "manifest.json").exists()  # a manifest lists every file of its folder
    if beside.is_file() or (os.access(path.parent, os.W_OK) and not manifested):
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  # needs no home
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return cache / "tamiz" / "lm" / f"{place}-{path.name}.sha256"
