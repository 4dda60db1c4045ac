"""Checks output folders against their manifests: files, sizes, checksums, counts.

Files that other programs, or killed runs, left outside of tamiz's folders are no fault. Nor are temporary files of a
killed run inside: a note names them, and the next run removes them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from corpora import checksum, files, lm_json, locks, manifest
from corpora.errors import DamagedFile
from corpora.manifest import AnyCounts, Manifest

Check = Callable[[Path, Manifest], list[str]]


def is_described(folder: Path) -> bool:
    """Whether `folder`, or a folder below it, has a manifest or a language model's LM.json."""
    return folder.is_dir() and any(_described(folder))


def verify(folder: Path, checks: Mapping[str, Check] | None = None) -> tuple[int, list[str]]:
    """Checks `folder` and every folder below it that has a manifest.

    checks: stage -> a further check of its folders, besides files, checksums and counts. Returns the number of files
    checked, and the problems, one line each. Raises DamagedFile if there is no manifest.
    """
    if not folder.is_dir():
        raise DamagedFile(f"{folder} is not a folder")
    homes, models = _described(folder)
    if not homes and not models:
        raise DamagedFile(f"{folder}: no {manifest.NAME} of tamiz there or below, nor a language model's LM.json")
    checked = 0
    problems: list[str] = []
    for home in (*homes, *models):
        try:
            content = lm_json.read(home) if home in models else manifest.read(home)
        except DamagedFile as error:
            count, found = 1, [str(error)]
        else:
            present = _rejected(home) if home in models else _present(home, homes, models)
            count, found = _verify(home, content, present, checks or {})
        checked, problems = checked + count, problems + found
    return checked, problems


def notes(folder: Path) -> list[str]:
    """What is no fault, but worth a line each: where it was found, manifests without a checksum, temporary files."""
    homes, models = _described(folder)
    found = [(len(homes), "folder", "folders"), (len(models), "language model", "language models")]
    lines = [" and ".join(f"{n} {one if n == 1 else many}" for n, one, many in found if n)]
    unsigned = [p for p in (*(h / manifest.NAME for h in homes), *models) if not checksum.is_signed(p.read_bytes())]
    if unsigned:
        lines.append(f"no checksum in {_first(unsigned)}: written by an older tamiz, so not every change is noticed")
    temporary = sorted({p for h in homes for p in _files(h) if files.TEMPORARY.search(p.name)})
    if temporary:
        lines.append(f"temporary: {_first(temporary)}: left by a killed run, the next one removes it")
    return lines


def _first(paths: list[Path]) -> str:
    return f"{paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def check_intact(folder: Path) -> None:
    """Raises DamagedFile if a folder differs from its manifest; a folder without a manifest passes."""
    if (folder / manifest.NAME).exists():
        problems = verify(folder)[1]
        if problems:
            raise DamagedFile(f"{problems[0]}: make {folder} again (--rebuild)")


def bad_rows(home: Path, content: Manifest, expected: Mapping[str, int]) -> list[str]:
    """Compares the rows of files with the counts. expected: path prefix -> rows in all its files."""
    problems = []
    for prefix, number in expected.items():
        rows = sum(r.rows or 0 for r in content.files if r.path.startswith(prefix))
        if rows != number:
            problems.append(f"{home}: {prefix}* have {rows} rows, but the counts say {number}")
    return problems


def _described(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders that have a manifest of tamiz, damaged or not, and the LM.json of every language model."""
    homes, models = [], []
    for path in _files(folder, ".json"):
        if path.name == manifest.NAME:
            homes += [path.parent] if manifest.is_tamiz_folder(path.parent) else []
        elif lm_json.is_lm_json(path):
            models.append(path)
    return sorted(homes), sorted(models)


def _files(folder: Path, ending: str = "") -> Iterator[Path]:
    """The files below `folder` whose names end so."""
    for here, _, names in os.walk(folder):
        yield from (Path(here, name) for name in names if name.endswith(ending))


def _present(home: Path, homes: list[Path], models: list[Path]) -> list[Path]:
    """The files that the folder's manifest must name: all but logs, locks, a training's curves and what other
    manifests name."""
    inner = [h for h in homes if home in h.parents]
    others = {
        home / manifest.NAME,
        home / manifest.LOG,
        home / manifest.PLAN,
        *(f for m in models for f in _beside(m)),
    }
    return [
        path
        for path in sorted(_files(home))
        if path not in others
        and not (locks.is_lock(path) or files.TEMPORARY.search(path.name))
        and not any(i in path.parents for i in (*inner, home / manifest.CURVES))
    ]


def _beside(model: Path) -> list[Path]:
    """LM.json and what may lie beside it: LM.bin, LM.spiece.model, the log and the rejected rows."""
    stem = model.with_suffix("")
    names = (".bin", ".spiece.model", ".arpa", ".bin.sha256", ".spiece.model.sha256", f".{manifest.LOG}")
    return [model, *(stem.with_name(stem.name + name) for name in names), *_rejected(model)]


def _rejected(model: Path) -> list[Path]:
    """The files that LM.json must name; others in its folder may belong to others."""
    return sorted(p for p in lm_json.rejected_folder(model).rglob("*") if p.is_file())


def _verify(home: Path, content: Manifest, present: list[Path], checks: Mapping[str, Check]) -> tuple[int, list[str]]:
    """home: a folder, or an LM.json."""
    if not content.finished:
        return 1, [f"{home}: unfinished"]
    problems = _bad_counts(home, content)
    if content.stage in checks:
        problems += checks[content.stage](home, content)
    folder, says = (home, home / manifest.NAME) if home.is_dir() else (home.parent, home)
    named = {folder / r.path for r in (*content.files, *content.derived)}
    for record in (*content.files, *content.derived):
        problems += _bad_file(folder / record.path, record.bytes, record.sha256)
    problems += [f"{path}: not listed in {says}" for path in present if path not in named]
    return len(named), problems


def _bad_file(path: Path, size: int, digest: str) -> list[str]:
    if not path.is_file():
        return [f"{path}: missing"]
    if path.stat().st_size != size:
        return [f"{path}: {path.stat().st_size} bytes, but the manifest says {size}"]
    if files.sha256(path) != digest:
        return [f"{path}: sha256 differs from the manifest's"]
    return []


def _bad_counts(home: Path, content: Manifest) -> list[str]:
    """Checks read = kept + sampled out + rejected, per input and in all, and the fingerprint of the settings."""
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
    below = "" if home.is_dir() else f"{lm_json.rejected_folder(home).name}/"
    rejected = {f"{below}rejected/": sum(whole.rejected.values())}
    return problems + _bad_sums(home, whole, items) + bad_rows(home, content, rejected)


def _bad_sums(home: Path, whole: AnyCounts, items: list[AnyCounts]) -> list[str]:
    """Compares the counts with the sums of the items' counts."""
    problems = []
    for key in ("read", "kept", "sampled_out"):
        parts = sum(getattr(item, key) for item in items)
        if items and getattr(whole, key) != parts:
            problems.append(f"{home}: {key} is {getattr(whole, key)}, but its items add up to {parts}")
    return problems
