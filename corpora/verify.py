"""Checks output folders against their manifests: files, sizes, checksums, counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from corpora import files, manifest
from corpora.errors import DamagedFile
from corpora.manifest import Manifest

LM_FORMAT = "tamiz-lm"
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
        raise DamagedFile(f"{folder} has no {manifest.NAME} (nor a language model's LM.json) at or below it")
    checked = 0
    problems: list[str] = []
    for home in homes:
        count, found = _verify_folder(home, [h for h in homes if h != home], models, checks or {})
        checked, problems = checked + count, problems + found
    for model in models:
        count, found = _verify_lm(model)
        checked, problems = checked + count, problems + found
    return checked, problems


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
    """The folders that have a manifest, and the LM.json of every language model."""
    homes = sorted({p.parent for p in folder.rglob(manifest.NAME)})
    return homes, sorted(p for p in folder.rglob("*.json") if _is_lm(p))


def _verify_folder(
    home: Path, others: list[Path], models: list[Path], checks: Mapping[str, Check]
) -> tuple[int, list[str]]:
    try:
        content = manifest.read(home)
    except DamagedFile as error:
        return 1, [str(error)]
    if not content.finished:
        return 1, [f"{home}: unfinished"]
    problems = _bad_counts(home, content)
    if content.stage in checks:
        problems += checks[content.stage](home, content)
    named = {r.path for r in (*content.files, *content.derived)}
    for record in (*content.files, *content.derived):
        problems += _bad_file(home / record.path, record.bytes, record.sha256)
    inner = [h for h in others if home in h.parents]
    unlisted = {home / manifest.LOG, *(f for m in models for f in _lm_files(m))}
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        if path.name == manifest.NAME or path in unlisted or any(i in path.parents for i in inner):
            continue
        if path.relative_to(home).as_posix() not in named:
            problems.append(f"{path}: not listed in {home / manifest.NAME}")
    return len(named), problems


def _bad_file(path: Path, size: int, digest: str) -> list[str]:
    if not path.is_file():
        return [f"{path}: missing"]
    if path.stat().st_size != size:
        return [f"{path}: {path.stat().st_size} bytes, but the manifest says {size}"]
    if files.sha256(path) != digest:
        return [f"{path}: sha256 differs from the manifest's"]
    return []


class _Counts(msgspec.Struct):
    """The counts of one input, or of all."""

    read: int | None = None
    kept: int = 0
    sampled_out: int = 0
    rejected: dict[str, int] = {}
    name: str = "in all"

    @property
    def accounted(self) -> int:
        return self.kept + self.sampled_out + sum(self.rejected.values())


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
        whole = msgspec.convert(content.counts, _Counts)
        items = msgspec.convert(content.items, list[_Counts])
    except msgspec.ValidationError as error:
        return [*problems, f"{home}: the manifest's counts are damaged ({error})"]
    for counts in (whole, *items):
        if counts.read is not None and counts.read != counts.accounted:
            problems.append(f"{home}: {counts.name}: read {counts.read} != {counts.accounted}")
    rejected = {"rejected/": sum(whole.rejected.values())}
    return problems + _bad_sums(home, whole, items) + bad_rows(home, content, rejected)


def _bad_sums(home: Path, whole: _Counts, items: list[_Counts]) -> list[str]:
    """Compares the counts with the sums of the items' counts."""
    problems = []
    for key in ("read", "kept", "sampled_out"):
        parts = sum(getattr(item, key) or 0 for item in items)
        if items and (getattr(whole, key) or 0) != parts:
            problems.append(f"{home}: {key} is {getattr(whole, key)}, but its items add up to {parts}")
    return problems


def _is_lm(path: Path) -> bool:
    if path.name == manifest.NAME or path.stat().st_size > 1 << 24:
        return False
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("format") == LM_FORMAT


def _lm_files(path: Path) -> list[Path]:
    """LM.json, LM.bin, LM.spiece.model, the log and the rejected rows of one language model."""
    stem = path.with_suffix("")
    names = (".bin", ".spiece.model", ".arpa", ".bin.sha256", ".spiece.model.sha256", f".{manifest.LOG}")
    return [path, *(stem.with_name(stem.name + name) for name in names), *_lm_rejected(path)]


def _lm_rejected(path: Path) -> list[Path]:
    folder = path.with_suffix(".rejected")
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _verify_lm(path: Path) -> tuple[int, list[str]]:
    content = json.loads(path.read_bytes())
    problems, checked = [], 0
    for file, key in zip(_lm_files(path)[1:3], ("lm_sha256", "tokenizer_sha256"), strict=True):
        expected = content.get(key)
        if expected is None:
            continue
        checked += 1
        if not file.is_file():
            problems.append(f"{file}: missing")
        elif files.sha256(file) != expected:
            problems.append(f"{file}: sha256 differs from {path.name}'s {key}")
    named = {r["path"]: r for r in content.get("rejected_files", [])}
    for name, r in named.items():
        problems += _bad_file(path.with_suffix(".rejected") / name, r["bytes"], r["sha256"])
    for file in _lm_rejected(path):
        if file.relative_to(path.with_suffix(".rejected")).as_posix() not in named:
            problems.append(f"{file}: not listed in {path}")
    return checked + len(named), problems
