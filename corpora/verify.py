"""Checks output folders against their manifests: files, sizes, checksums, counts. On a disk or in a store.

Files that other programs, or killed runs, left outside of tamiz's folders are no fault. Nor are temporary files of a
killed run inside, or what a worker that outlived its run left in `.progress` of a finished folder: a note names them,
and the next run removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpora import checksum, files, lm_json, locks, manifest
from corpora.errors import DamagedFile
from corpora.home import Home, Place
from corpora.manifest import AnyCounts, Manifest

Check = Callable[[Home, Manifest], list[str]]


@dataclass(frozen=True)
class _Found:
    """What lies in a folder: names and sizes of all files, by one listing; the folders inside ("": itself) that have
    a manifest of tamiz, damaged or not; the names of the LM.json of every language model."""

    root: Home
    names: Mapping[str, int]
    homes: list[str]
    models: list[str]

    @classmethod
    def of(cls, place: Place) -> _Found:
        root = Home.of(place)
        names = root.entries()
        homes, models = [], []
        for name in names:
            folder, _, last = name.rpartition("/")
            if last == manifest.NAME:
                homes += [folder] if manifest.is_tamiz_folder(_inside(root, folder)) else []
            elif (
                last.endswith(".json")
                and manifest.PROGRESS not in name.split("/")
                and lm_json.is_lm_json(root.at(name))
            ):
                models.append(name)
        return cls(root, names, sorted(homes), sorted(models))

    def below(self, folder: str) -> list[str]:
        return [name for name in self.names if not folder or name.startswith(f"{folder}/")]


def _inside(root: Home, folder: str) -> Home:
    return root / folder if folder else root


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def is_described(folder: Place) -> bool:
    """Whether `folder`, or a folder below it, has a manifest or a language model's LM.json."""
    found = _Found.of(folder)
    return bool(found.homes or found.models)


def verify(folder: Place, checks: Mapping[str, Check] | None = None) -> tuple[int, list[str]]:
    """Checks `folder` and every folder below it that has a manifest.

    checks: stage -> a further check of its folders, besides files, checksums and counts. Returns the number of files
    checked, and the problems, one line each. Raises DamagedFile if there is no manifest.
    """
    found = _Found.of(folder)
    if not found.names and not found.root.is_folder():
        raise DamagedFile(f"{folder} is not a folder")
    if not found.homes and not found.models:
        raise DamagedFile(f"{folder}: no {manifest.NAME} of tamiz there or below, nor a language model's LM.json")
    checked = 0
    problems: list[str] = []
    for name in (*found.homes, *found.models):
        try:
            is_model = name in found.models
            content = lm_json.read(found.root.at(name)) if is_model else manifest.read(_inside(found.root, name))
        except DamagedFile as error:
            count, said = 1, [str(error)]
        else:
            count, said = _verify(found, name, content, checks or {})
        checked, problems = checked + count, problems + said
    return checked, problems


def described(folder: Place) -> list[str]:
    """The names of the folders inside ("": itself) that have a manifest. Raises DamagedFile if there are none."""
    found = _Found.of(folder)
    if not found.homes and not found.models:
        raise DamagedFile(f"{folder}: no {manifest.NAME} of tamiz there or below, nor a language model's LM.json")
    return found.homes


def unlisted(folder: Place, home: str) -> list[str]:
    """The names, in `folder`, of files in a folder inside that its manifest must name, but doesn't."""
    found = _Found.of(folder)
    content = manifest.read(_inside(found.root, home))
    named = {_joined(home, r.path) for r in (*content.files, *content.derived)}
    return [name for name in _present(found, home) if name not in named]


def notes(folder: Place) -> list[str]:
    """What is no fault, but worth a line each: where it was found, manifests without a checksum, temporary files."""
    found = _Found.of(folder)
    counted = [(len(found.homes), "folder", "folders"), (len(found.models), "language model", "language models")]
    lines = [" and ".join(f"{n} {one if n == 1 else many}" for n, one, many in counted if n)]
    manifests = [*(_joined(home, manifest.NAME) for home in found.homes), *found.models]
    unsigned = [found.root.at(name) for name in manifests if not checksum.is_signed(found.root.read_bytes(name))]
    if unsigned:
        lines.append(f"no checksum in {_first(unsigned)}: written by an older tamiz, so not every change is noticed")
    temporary = sorted({n for home in found.homes for n in found.below(home) if files.TEMPORARY.search(n)})
    if temporary:
        said = _first([found.root.at(name) for name in temporary])
        lines.append(f"temporary: {said}: left by a killed run, the next one removes it")
    late = [found.root.at(name) for home in found.homes for name in _late(found, home)]
    if late:
        lines.append(f"late: {_first(late)}: left by a worker that outlived its run, the next run removes it")
    return lines


def _late(found: _Found, home: str) -> list[str]:
    """What lies in `.progress` of a finished folder."""
    names = found.below(_joined(home, manifest.PROGRESS))
    try:
        return names if names and manifest.read(_inside(found.root, home)).finished else []
    except DamagedFile:  # `verify` says it
        return []


def _first(paths: list[str]) -> str:
    return paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def check_intact(folder: Place) -> None:
    """Raises DamagedFile if a folder differs from its manifest; a folder without a manifest passes."""
    if Home.of(folder).exists(manifest.NAME):
        problems = verify(folder)[1]
        if problems:
            raise DamagedFile(f"{problems[0]}: make {folder} again (--rebuild)")


def bad_rows(home: Place, content: Manifest, expected: Mapping[str, int]) -> list[str]:
    """Compares the rows of files with the counts. expected: path prefix -> rows in all its files."""
    problems = []
    for prefix, number in expected.items():
        rows = sum(r.rows or 0 for r in content.files if r.path.startswith(prefix))
        if rows != number:
            problems.append(f"{home}: {prefix}* have {rows} rows, but the counts say {number}")
    return problems


def _present(found: _Found, home: str) -> list[str]:
    """The files that the folder's manifest must name: all but logs, locks, a training's curves, notes of units and
    what other manifests name."""
    inner = [f"{h}/" for h in found.homes if h != home and (not home or h.startswith(f"{home}/"))]
    inner += [f"{_joined(home, aside)}/" for aside in (manifest.CURVES, manifest.PROGRESS)]
    others = {
        _joined(home, manifest.NAME),
        _joined(home, manifest.LOG),
        _joined(home, manifest.PLAN),
        *(n for m in found.models for n in _beside(found, m)),
    }
    return [
        name
        for name in found.below(home)
        if name not in others
        and not (locks.is_lock(name) or files.TEMPORARY.search(name))
        and not name.startswith(tuple(inner))
    ]


def _beside(found: _Found, model: str) -> list[str]:
    """LM.json and what may lie beside it: LM.bin, LM.spiece.model, the log and the rejected rows."""
    stem = model.removesuffix(".json")
    names = (".bin", ".spiece.model", ".arpa", ".bin.sha256", ".spiece.model.sha256", f".{manifest.LOG}")
    return [model, *(stem + name for name in names), *_rejected(found, model)]


def _rejected(found: _Found, model: str) -> list[str]:
    """The files that LM.json must name; others in its folder may belong to others."""
    return found.below(f"{model.removesuffix('.json')}.rejected")


def _verify(found: _Found, name: str, content: Manifest, checks: Mapping[str, Check]) -> tuple[int, list[str]]:
    """name: of a folder, or of an LM.json."""
    is_model = name in found.models
    at = found.root.at(name) if name else str(found.root)
    if not content.finished:
        return 1, [f"{at}: unfinished"]
    below = f"{Path(name).stem}.rejected/" if is_model else ""
    problems = _bad_counts(at, content, below)
    if content.stage in checks:
        problems += checks[content.stage](_inside(found.root, name), content)
    folder = name.rpartition("/")[0] if is_model else name
    named = {_joined(folder, r.path) for r in (*content.files, *content.derived)}
    for record in (*content.files, *content.derived):
        problems += _bad_file(found, _joined(folder, record.path), record.bytes, record.sha256)
    present = _rejected(found, name) if is_model else _present(found, name)
    says = at if is_model else found.root.at(_joined(name, manifest.NAME))
    problems += [f"{found.root.at(path)}: not listed in {says}" for path in present if path not in named]
    return len(named), problems


def _bad_file(found: _Found, name: str, size: int, digest: str) -> list[str]:
    """The content is read, in a store as well: what a store says of a file is what was sent, not what it holds."""
    path = found.root.at(name)
    if name not in found.names:
        return [f"{path}: missing"]
    if found.names[name] != size:
        return [f"{path}: {found.names[name]} bytes, but the manifest says {size}"]
    if found.root.sha256(name) != digest:
        return [f"{path}: sha256 differs from the manifest's"]
    return []


def _bad_counts(home: str, content: Manifest, below: str) -> list[str]:
    """Checks read = kept + sampled out + rejected, per input and in all, and the fingerprint of the settings.

    below: the folder of a language model's rejected rows.
    """
    problems = []
    if content.made_from.fingerprint() != content.fingerprint:
        problems.append(f"{home}: the fingerprint doesn't match the manifest's settings and inputs")
    if content.made_from.stage != content.stage:
        problems.append(
            f"{home}: the stage is {content.stage!r}, but the fingerprint is for {content.made_from.stage!r}"
        )
    try:
        whole = msgspec.convert(content.counts, AnyCounts)
        items = msgspec.convert(content.items, list[AnyCounts])
    except msgspec.ValidationError as error:
        return [*problems, f"{home}: the manifest's counts are damaged ({error})"]
    for counts in (whole, *items):
        if counts.read != counts.accounted:
            problems.append(f"{home}: {counts.name}: read {counts.read} != {counts.accounted}")
    rejected = {f"{below}rejected/": sum(whole.rejected.values())}
    return problems + _bad_sums(home, whole, items) + bad_rows(home, content, rejected)


def _bad_sums(home: str, whole: AnyCounts, items: list[AnyCounts]) -> list[str]:
    """Compares the counts with the sums of the items' counts."""
    problems = []
    for key in ("read", "kept", "sampled_out"):
        parts = sum(getattr(item, key) for item in items)
        if items and getattr(whole, key) != parts:
            problems.append(f"{home}: {key} is {getattr(whole, key)}, but its items add up to {parts}")
    return problems
