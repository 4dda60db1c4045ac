"""The manifest of an output folder: what the folder was made from, what it contains, and whether it is intact.

A folder is *begun* (manifest with `finished: false`), worked on item by item, and *finished*. The fingerprint covers
the settings, the contents of the inputs, the stage's algorithm version and Python's Unicode tables. Same fingerprint
and finished: the work is skipped. Same and unfinished: continued. Different: refused, naming what changed, unless the
stage has made nothing yet: then the folder is begun anew. The manifest ends with a checksum of itself, so a manifest
that was changed later isn't read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from corpora import checksum, files, locks, nearby
from corpora.errors import DamagedFile, StaleOutput
from corpora.home import Home, Place, of_file
from corpora.made_from import InputIdentity as InputIdentity
from corpora.made_from import MadeFrom as MadeFrom
from corpora.stores.base import FileRecord as FileRecord

NAME = "manifest.json"
LOG = "log.jsonl"  # the log of the runs that wrote the folder: not listed in the manifest, not removed by a rebuild
PLAN = "plan.json"  # what `tamiz plan` said of the run: not listed either
CURVES = "tensorboard"  # the folder of a training's curves: not listed in the manifest
PROGRESS = ".progress"
REJECTED = "rejected"
FORMAT = "tamiz-manifest"
VERSION = 2  # 1 has no checksum
REDO = "pass --rebuild to redo it, or choose another --out"  # ends what StaleOutput says of other work
PACKAGES = (
    "apache-beam", "datasets", "kenlm", "llvmlite", "numba", "numpy", "pyarrow", "sentencepiece", "tamiz",
    "tokenizers", "torch", "transformers", "xxhash",
)  # fmt: skip

_MARKS = (FORMAT.encode(), b'"made_from"', b'"fingerprint"')  # of a damaged manifest, some are left

State = Literal["new", "continued", "finished"]


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
    """Describes a file that has just been written to a local folder. `Home.writing` knows it without reading it."""
    name = path.relative_to(folder).as_posix()
    return FileRecord(path=name, bytes=path.stat().st_size, sha256=files.sha256(path), rows=rows)


def local_identity(path: Path, name: str, known: dict[str, InputIdentity] | None = None) -> InputIdentity:
    """The identity of a local file; its sha256 is taken from `known` if size and mtime are unchanged."""
    status = path.stat()
    old = (known or {}).get(name)
    same = old and old.sha256 and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns)
    digest = old.sha256 if old and same else files.sha256(path)
    return InputIdentity(name=name, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=digest)


def known_inputs(folder: Place) -> dict[str, InputIdentity]:
    """The inputs listed in the folder's manifest, if there is a readable one."""
    try:
        return {i.name: i for i in read(folder).made_from.inputs}
    except DamagedFile:
        return {}


def read(folder: Place) -> Manifest:
    """Raises DamagedFile if manifest.json is missing or not a manifest."""
    home = Home.of(folder)
    path = home.at(NAME)
    try:
        data = home.read_bytes(NAME)
        manifest = msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise DamagedFile(nearby.absent(home, NAME)) from None
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


def read_finished(folder: Place, stage: str) -> Manifest:
    """The manifest of a finished folder of the given stage. Raises DamagedFile for any other folder."""
    manifest = read(folder)
    if manifest.stage != stage:
        hint = nearby.hint(Home.of(folder), NAME, stage)
        raise DamagedFile(f"{folder} holds the output of {manifest.stage!r}; that of {stage!r} is needed{hint}")
    if not manifest.finished:
        raise DamagedFile(f"{folder} is unfinished: run `tamiz {stage}` again to finish it")
    return manifest


def require(path: Path | str, manifest: Manifest, counts: Any = None, facts: Any = None) -> None:
    """Raises DamagedFile, naming the key, unless counts and facts have these types. path: of manifest.json."""
    for name, kind in (("counts", counts), ("facts", facts)):
        try:
            msgspec.convert(getattr(manifest, name), Any if kind is None else kind)
        except msgspec.ValidationError as error:
            said = str(error).replace("`$", f"`{name}") if "`$" in str(error) else f"{error} - at `{name}`"
            raise DamagedFile(f"{path} is damaged ({said}): pass --rebuild to make its folder again") from None


def write(folder: Place, manifest: Manifest) -> None:
    Home.of(folder).write_bytes(NAME, _encoded(manifest))


def _encoded(manifest: Manifest) -> bytes:
    manifest.version = VERSION
    return checksum.sign(msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def begin(folder: Place, made_from: MadeFrom, *, rebuild: bool = False, shared: bool = False) -> State:
    """Claims `folder` for `made_from`.

    Returns "finished" (nothing to do), "continued" (same work, interrupted) or "new". Raises StaleOutput if the
    folder has other work, or files and no manifest; `rebuild` clears it instead. An attempt of the same stage that
    ended before it made anything counts for nothing: the folder is new. But where others may be at work, it may be
    theirs: in a store, which has no locks, and if `shared` says so. Of two runs that begin at once, one makes the
    manifest, and the other finds it.
    """
    home = Home.of(folder)
    if rebuild:
        _clear(home, made_from.stage)
    if home.exists(NAME):
        return _found(home, made_from, shared)
    if any(not files.TEMPORARY.search(name) for name in _entries(home)):
        raise StaleOutput(f"{home} is not empty and has no {NAME}: choose another --out, or empty it")
    return "new" if _start(home, made_from, only_new=True) else _found(home, made_from, shared)


def _found(home: Home, made_from: MadeFrom, shared: bool) -> State:
    """What a folder is for `made_from` that has a manifest already."""
    old = read(home)
    if home.is_local and not shared and _is_false_start(home, old, made_from):
        _clear(home, made_from.stage, keep=PROGRESS if _same_inputs(old.made_from, made_from) else "")
        _start(home, made_from)
        return "new"
    state = resume(old, home, made_from)
    _remove_temporary(home)
    if state == "finished":
        home.remove_all(PROGRESS)
    return state


def resume(old: Manifest, home: Place, made_from: MadeFrom) -> State:
    """Whether `made_from` is finished or to be continued where `old` was found.

    home: the manifest's folder, or a manifest of its own name (LM.json). Raises StaleOutput, DamagedFile.
    """
    at = Home.of(home)
    folder = of_file(str(at))[0] if str(at).endswith(".json") else at
    if old.fingerprint != made_from.fingerprint():
        raise StaleOutput(f"{at} was made from something else ({made_from.changes_from(old.made_from)}); {REDO}")
    if not old.finished:
        return "continued"
    sizes = {r.path: folder.size(r.path) for r in old.files} if folder.is_local else folder.entries()
    for r in old.files:
        if sizes.get(r.path) != r.bytes:
            raise DamagedFile(f"{folder.at(r.path)} is missing or cut short; pass --rebuild to make {at} again")
    return "finished"


def claim(folder: Place, made_from: MadeFrom) -> None:
    """Claims a folder for `made_from` whatever it holds, which stays: the caller knows that it is of use."""
    _start(Home.of(folder), made_from)


def is_finished(folder: Place, made_from: MadeFrom) -> bool:
    """Whether `folder` contains exactly this work, finished. Changes nothing."""
    if not Home.of(folder).exists(NAME):
        return False
    content = read(folder)
    return content.finished and content.fingerprint == made_from.fingerprint()


def is_tamiz_folder(folder: Place) -> bool:
    """Whether the folder has a manifest of tamiz, damaged or not: any of its marks will do. Cheap."""
    try:
        with Home.of(folder).open(NAME) as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    return not head or any(mark in head for mark in _MARKS)


def _start(home: Home, made_from: MadeFrom, *, only_new: bool = False) -> bool:
    """Writes the manifest of work that begins. only_new: whether there was none."""
    _remove_temporary(home)
    fingerprint = made_from.fingerprint()
    times = {"begun": datetime.now(UTC).isoformat(timespec="seconds")}
    data = _encoded(Manifest(stage=made_from.stage, fingerprint=fingerprint, made_from=made_from, times=times))
    if only_new:
        return home.create(NAME, data)
    home.write_bytes(NAME, data)
    return True


def _remove_temporary(home: Home) -> None:
    """On a disk; what goes to a store has its temporary files elsewhere."""
    if home.is_local and home.folder.is_dir():
        files.remove_temporary(home.folder)


def _is_false_start(home: Home, old: Manifest, made_from: MadeFrom) -> bool:
    """Whether the folder has only an unfinished attempt of this stage, with other settings and no result."""
    if old.finished or old.stage != made_from.stage or old.fingerprint == made_from.fingerprint():
        return False
    return not any(_is_result(home, name) for name in home.entries())


def _is_result(home: Home, name: str) -> bool:
    """Whether the file is an output, or the note on a unit that is done."""
    below, last = name.split("/", 1)[0], name.rpartition("/")[2]
    if below == PROGRESS:
        return last.endswith(".json") and _is_done(home.read_bytes(name))
    return not (is_aside(last) or below in (NAME, REJECTED, CURVES) or files.TEMPORARY.search(last))


class _Note(msgspec.Struct):
    """What matters here of the note on a unit: files in `.progress` are a step on the way, for the same run alone."""

    scratch: list[Any] = []
    step: bool = False


def _is_done(note: bytes) -> bool:
    try:
        result = msgspec.json.decode(note, type=tuple[str, _Note])[1]
        return not (result.scratch or result.step)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _same_inputs(old: MadeFrom, new: MadeFrom) -> bool:
    before, after = (sorted(json.dumps(i.content()) for i in m.inputs) for m in (old, new))
    return before == after and old.algorithm == new.algorithm


def is_aside(path: Path | str) -> bool:
    """Whether the file is no part of an output: the log of its runs, their plan, or a lock."""
    name = Path(path).name
    return name in (LOG, PLAN) or locks.is_lock(name)


def _entries(home: Home) -> list[str]:
    """The names of everything in the folder except its log and its lock; empty folders on a disk, too."""
    if home.is_local:
        names = [p.name for p in home.folder.iterdir()] if home.folder.is_dir() else []
    else:
        names = list(dict.fromkeys(name.split("/", 1)[0] for name in home.entries()))
    return [name for name in names if not is_aside(name)]


def _clear(home: Home, stage: str, keep: str = "") -> None:
    """Removes an earlier output of the same stage, but never a foreign folder or another stage's. keep: an entry."""
    entries = [name for name in _entries(home) if name != keep]
    if not entries:
        return
    text = home.read_bytes(NAME) if home.exists(NAME) else b""
    made_by = re.search(rb'"stage":\s*"([^"]*)"', text)  # no decoding: the manifest may be damaged
    if FORMAT.encode() not in text or not made_by or made_by[1].decode(errors="replace") != stage:
        raise StaleOutput(
            f"{home} doesn't hold the output of {stage!r}, so --rebuild won't remove it: empty it yourself"
        )
    for name in entries:
        home.clear(name)


def finish(
    folder: Place,
    *,
    records: Iterable[FileRecord],
    counts: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
    items: list[dict[str, Any]] | None = None,
    damaged: list[dict[str, Any]] | None = None,
    made_from: MadeFrom | None = None,
) -> Manifest:
    """Writes the final manifest, last of all, and removes the notes on single items. What processes that were killed
    meanwhile left half written goes before.

    made_from: what the work was begun with. Raises StaleOutput if another run has taken the folder for other work
    meanwhile, as it can in a store.
    """
    home = Home.of(folder)
    manifest = read(home)
    if made_from is not None and manifest.fingerprint != made_from.fingerprint():
        raise StaleOutput(
            f"another run took {home} for other work meanwhile ({manifest.made_from.changes_from(made_from)}): "
            "choose another --out"
        )
    manifest.finished = True
    manifest.files = sorted(records, key=lambda r: r.path)
    manifest.counts, manifest.facts = counts or {}, facts or {}
    manifest.items, manifest.damaged = items or [], damaged or []
    manifest.versions = package_versions()
    manifest.times["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    _remove_temporary(home)
    write(home, manifest)
    home.remove_all(PROGRESS)
    return manifest


def add_derived(folder: Place, made: Iterable[Path | FileRecord]) -> None:
    """Lists files made later from the folder's content (plots, calibration). The fingerprint stays the same.

    made: records, or paths in a local folder.
    """
    manifest = read(folder)
    records = [each if isinstance(each, FileRecord) else record(Home.of(folder).folder, each) for each in made]
    new = {r.path: r for r in (*manifest.derived, *records)}
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
