"""The manifest of an output folder: what the folder was made from, what it contains, and whether it is intact.

A folder is *begun* (manifest with `finished: false`), worked on item by item, and *finished*. The fingerprint covers
the settings, the contents of the inputs, the stage's algorithm version and Python's Unicode tables. Same fingerprint
and finished: the work is skipped. Same and unfinished: continued. Different: refused, naming what changed, unless the
stage has made nothing yet: then the folder is begun anew. The manifest ends with a checksum of itself, so a manifest
that was changed later isn't read.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from corpora import changes, checksum, files, locks, nearby
from corpora.errors import DamagedFile, StaleOutput, TamizError

NAME = "manifest.json"
LOG = "log.jsonl"  # the log of the runs that wrote the folder: not listed in the manifest, not removed by a rebuild
CURVES = "tensorboard"  # the folder of a training's curves: not listed in the manifest
PROGRESS = ".progress"
REJECTED = "rejected"
FORMAT = "tamiz-manifest"
VERSION = 2  # 1 has no checksum
PACKAGES = (
    "apache-beam", "datasets", "kenlm", "llvmlite", "numba", "numpy", "pyarrow", "sentencepiece", "tamiz",
    "tokenizers", "torch", "transformers", "xxhash",
)  # fmt: skip

_MARKS = (FORMAT.encode(), b'"made_from"', b'"fingerprint"')  # of a damaged manifest, some are left

State = Literal["new", "continued", "finished"]


class InputIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One input file. Local contents are known by sha256, remote ones by etag (or size), those of the Hub by the hash
    that it lists, which is their etag here; commit: where they were found, which is no part of what they are.

    reading: how the file is read, if not in the default way; absent otherwise, so that older manifests still match.
    """

    name: str
    size: int | None
    mtime_ns: int | None = None
    sha256: str | None = None
    etag: str | None = None
    reading: dict[str, str | bool | int] | msgspec.UnsetType = msgspec.UNSET
    commit: str | msgspec.UnsetType = msgspec.UNSET

    def content(self) -> list[object]:
        """The part that the fingerprint covers: neither the mtime nor the folder."""
        content: list[object] = [self.name, self.sha256 or self.etag or self.size]
        return content if not self.reading else [*content, json.dumps(self.reading, sort_keys=True)]


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that determines the bytes of an output folder."""

    stage: str
    algorithm: int
    settings: dict[str, Any]
    inputs: list[InputIdentity]
    unicode: str = unicodedata.unidata_version

    def fingerprint(self) -> str:
        content = sorted(json.dumps(i.content()) for i in self.inputs)
        message = [self.stage, self.algorithm, self.settings, content, self.unicode]
        return hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()[:32]

    def changes_from(self, old: MadeFrom) -> str:
        """Lists the differences: settings by path, inputs by name."""
        if old.stage != self.stage:
            return f"the stage: {old.stage} -> {self.stage}"
        before, after = ([i.content() for i in m.inputs] for m in (old, self))
        found = (changes.differences(old.settings, self.settings), changes.input_differences(before, after))
        changed = [each for each in found if each]
        if old.algorithm != self.algorithm:
            changed.append(f"algorithm version {old.algorithm} -> {self.algorithm}")
        if old.unicode != self.unicode:
            changed.append(f"Unicode tables {old.unicode} -> {self.unicode}")
        said = "; ".join(changed) + _pinning(old.inputs, found[1])
        return said or "nothing but the fingerprint, which was changed by hand"


def _pinning(inputs: Iterable[InputIdentity], changed: str) -> str:
    """How to read the files of the Hub as they were, if inputs have changed."""
    commits = sorted({each.commit for each in inputs if each.commit})
    if not (commits and changed):
        return ""
    return f"; files of the Hub as they were: write @{' or @'.join(commits[:2])} after the name of the repository"


class FileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of the folder; `path` is relative to it, `/` separated."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """The counts of a stage that reads documents: read = kept + sampled_out + rejected (by reason)."""

    read: int
    kept: int
    sampled_out: int
    rejected: dict[str, int]


class AnyCounts(msgspec.Struct, frozen=True):
    """The counts of any stage, some of which count nothing, or of one item. What is absent is 0."""

    read: int = 0
    kept: int = 0
    sampled_out: int = 0
    rejected: dict[str, int] = {}
    name: str = "in all"

    @property
    def accounted(self) -> int:
        """What `read` must be."""
        return self.kept + self.sampled_out + sum(self.rejected.values())


class Manifest(msgspec.Struct, kw_only=True):
    """The content of manifest.json."""

    format: str = FORMAT
    version: int = VERSION
    stage: str
    finished: bool = False
    fingerprint: str
    made_from: MadeFrom
    counts: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    items: list[dict[str, Any]] = []
    damaged: list[dict[str, Any]] = []
    files: list[FileRecord] = []
    derived: list[FileRecord] = []
    versions: dict[str, str] = {}
    times: dict[str, str] = {}


def record(folder: Path, path: Path, rows: int | None = None) -> FileRecord:
    """Describes a file that has just been written."""
    name = path.relative_to(folder).as_posix()
    return FileRecord(path=name, bytes=path.stat().st_size, sha256=files.sha256(path), rows=rows)


def local_identity(path: Path, name: str, known: dict[str, InputIdentity] | None = None) -> InputIdentity:
    """The identity of a local file; its sha256 is taken from `known` if size and mtime are unchanged."""
    status = path.stat()
    old = (known or {}).get(name)
    same = old and old.sha256 and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns)
    digest = old.sha256 if old and same else files.sha256(path)
    return InputIdentity(name=name, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=digest)


def known_inputs(folder: Path) -> dict[str, InputIdentity]:
    """The inputs listed in the folder's manifest, if there is a readable one."""
    try:
        return {i.name: i for i in read(folder).made_from.inputs}
    except DamagedFile:
        return {}


def read(folder: Path) -> Manifest:
    """Raises DamagedFile if manifest.json is missing or not a manifest."""
    path = folder / NAME
    try:
        data = path.read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise DamagedFile(nearby.absent(folder, NAME)) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} can't be read ({error}); remove the folder or pass --rebuild") from None
    if manifest.format != FORMAT:
        raise DamagedFile(f"{path}: format {manifest.format!r}, expected {FORMAT!r}")
    if manifest.version > VERSION:
        raise DamagedFile(
            f"{path}: version {manifest.version}, but this tamiz reads up to {VERSION}: install a newer one"
        )
    checksum.check(path, data, signed=manifest.version >= VERSION)
    require(path, manifest, AnyCounts)
    return manifest


def read_finished(folder: Path, stage: str) -> Manifest:
    """The manifest of a finished folder of the given stage. Raises DamagedFile for any other folder."""
    manifest = read(folder)
    if manifest.stage != stage:
        hint = nearby.hint(folder, NAME, stage)
        raise DamagedFile(f"{folder} holds the output of {manifest.stage!r}; that of {stage!r} is needed{hint}")
    if not manifest.finished:
        raise DamagedFile(f"{folder} is unfinished: run `tamiz {stage}` again to finish it")
    return manifest


def require(path: Path, manifest: Manifest, counts: Any = None, facts: Any = None) -> None:
    """Raises DamagedFile, naming the key, unless counts and facts have these types. path: of manifest.json."""
    for name, kind in (("counts", counts), ("facts", facts)):
        try:
            msgspec.convert(getattr(manifest, name), Any if kind is None else kind)
        except msgspec.ValidationError as error:
            said = str(error).replace("`$", f"`{name}") if "`$" in str(error) else f"{error} - at `{name}`"
            raise DamagedFile(f"{path} is damaged ({said}): pass --rebuild to make its folder again") from None


def write(folder: Path, manifest: Manifest) -> None:
    manifest.version = VERSION
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    files.write_bytes(folder / NAME, checksum.sign(data))


def begin(folder: Path, made_from: MadeFrom, *, rebuild: bool = False) -> State:
    """Claims `folder` for `made_from`.

    Returns "finished" (nothing to do), "continued" (same work, interrupted) or "new". Raises StaleOutput if the
    folder has other work, or files and no manifest; `rebuild` clears it instead. An attempt of the same stage that
    ended before it made anything counts for nothing: the folder is new.
    """
    if rebuild:
        _clear(folder, made_from.stage)
    if (folder / NAME).exists():
        old = read(folder)
        if _is_false_start(folder, old, made_from):
            _clear(folder, made_from.stage, keep=PROGRESS if _same_inputs(old.made_from, made_from) else "")
            _start(folder, made_from)
            return "new"
        state = resume(old, folder, made_from)
        files.remove_temporary(folder)
        if state == "finished":
            shutil.rmtree(folder / PROGRESS, ignore_errors=True)
        return state
    if any(not files.TEMPORARY.search(p.name) for p in _entries(folder)):
        raise StaleOutput(f"{folder} is not empty and has no {NAME}: choose another --out, or empty it")
    _start(folder, made_from)
    return "new"


def resume(old: Manifest, home: Path, made_from: MadeFrom) -> State:
    """Whether `made_from` is finished or to be continued where `old` was found.

    home: the manifest's folder, or a manifest of its own name (LM.json). Raises StaleOutput, DamagedFile.
    """
    if old.fingerprint != made_from.fingerprint():
        raise StaleOutput(
            f"{home} was made from something else ({made_from.changes_from(old.made_from)}); "
            "pass --rebuild to redo it, or choose another --out"
        )
    if not old.finished:
        return "continued"
    folder = home if home.is_dir() else home.parent
    for r in old.files:
        if not (folder / r.path).is_file() or (folder / r.path).stat().st_size != r.bytes:
            raise DamagedFile(f"{folder / r.path} is missing or cut short; pass --rebuild to make {home} again")
    return "finished"


def claim(folder: Path, made_from: MadeFrom) -> None:
    """Claims a folder for `made_from` whatever it holds, which stays: the caller knows that it is of use."""
    _start(folder, made_from)


def is_finished(folder: Path, made_from: MadeFrom) -> bool:
    """Whether `folder` contains exactly this work, finished. Changes nothing."""
    if not (folder / NAME).exists():
        return False
    content = read(folder)
    return content.finished and content.fingerprint == made_from.fingerprint()


def is_tamiz_folder(folder: Path) -> bool:
    """Whether the folder has a manifest of tamiz, damaged or not: any of its marks will do. Cheap."""
    try:
        with (folder / NAME).open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    return not head or any(mark in head for mark in _MARKS)


def _start(folder: Path, made_from: MadeFrom) -> None:
    files.remove_temporary(folder) if folder.is_dir() else None
    fingerprint = made_from.fingerprint()
    times = {"begun": datetime.now(UTC).isoformat(timespec="seconds")}
    write(folder, Manifest(stage=made_from.stage, fingerprint=fingerprint, made_from=made_from, times=times))


def _is_false_start(folder: Path, old: Manifest, made_from: MadeFrom) -> bool:
    """Whether the folder has only an unfinished attempt of this stage, with other settings and no result."""
    if old.finished or old.stage != made_from.stage or old.fingerprint == made_from.fingerprint():
        return False
    return not any(_is_result(p, p.relative_to(folder).parts[0]) for p in folder.rglob("*") if p.is_file())


def _is_result(path: Path, below: str) -> bool:
    """Whether the file is an output, or the note on a unit that is done. below: the entry of the folder it is in."""
    if below == PROGRESS:
        return path.suffix == ".json" and _is_done(path)
    return not (is_aside(path) or below in (NAME, REJECTED, CURVES) or files.TEMPORARY.search(path.name))


class _Note(msgspec.Struct):
    """What matters here of the note on a unit: files in `.progress` are a step on the way, for the same run alone."""

    scratch: list[Any] = []
    step: bool = False


def _is_done(note: Path) -> bool:
    try:
        return not ((told := msgspec.json.decode(note.read_bytes(), type=tuple[str, _Note])[1]).scratch or told.step)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _same_inputs(old: MadeFrom, new: MadeFrom) -> bool:
    before, after = (sorted(json.dumps(i.content()) for i in m.inputs) for m in (old, new))
    return before == after and old.algorithm == new.algorithm


def is_aside(path: Path) -> bool:
    """Whether the file is no part of an output: the log of its runs, or a lock."""
    return path.name == LOG or locks.is_lock(path)


def _entries(folder: Path) -> list[Path]:
    """Everything in the folder except its log and its lock."""
    return [p for p in folder.iterdir() if not is_aside(p)] if folder.is_dir() else []


def _clear(folder: Path, stage: str, keep: str = "") -> None:
    """Removes an earlier output of the same stage, but never a foreign folder or another stage's. keep: an entry."""
    entries = [p for p in _entries(folder) if p.name != keep]
    if not entries:
        return
    text = (folder / NAME).read_bytes() if (folder / NAME).exists() else b""
    made_by = re.search(rb'"stage":\s*"([^"]*)"', text)  # no decoding: the manifest may be damaged
    if FORMAT.encode() not in text or not made_by or made_by[1].decode(errors="replace") != stage:
        raise StaleOutput(
            f"{folder} doesn't hold the output of {stage!r}, so --rebuild won't remove it: empty it yourself"
        )
    try:
        for path in entries:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError as error:
        raise TamizError(f"can't clear {folder}: {error.strerror}") from error


def finish(
    folder: Path,
    *,
    records: Iterable[FileRecord],
    counts: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
    items: list[dict[str, Any]] | None = None,
    damaged: list[dict[str, Any]] | None = None,
) -> Manifest:
    """Writes the final manifest, last of all, and removes the notes on single items."""
    manifest = read(folder)
    manifest.finished = True
    manifest.files = sorted(records, key=lambda r: r.path)
    manifest.counts, manifest.facts = counts or {}, facts or {}
    manifest.items, manifest.damaged = items or [], damaged or []
    manifest.versions = package_versions()
    manifest.times["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    write(folder, manifest)
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return manifest


def add_derived(folder: Path, paths: Iterable[Path]) -> None:
    """Lists files made later from the folder's content (plots, calibration). The fingerprint stays the same."""
    manifest = read(folder)
    new = {r.path: r for r in (*manifest.derived, *(record(folder, p) for p in paths))}
    manifest.derived = sorted(new.values(), key=lambda r: r.path)
    write(folder, manifest)


def package_versions() -> dict[str, str]:
    """The versions of tamiz and of the libraries it uses, as far as they are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
