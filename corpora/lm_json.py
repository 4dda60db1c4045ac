"""LM.json, the manifest of a language model, read as every other manifest.

Several models may lie in one folder, so a model's manifest is a file beside it: LM.json beside LM.bin and
LM.spiece.model, with rejected rows below LM.rejected. It names no file: a model may be renamed with all its files.
What other programs read (mode, tokenizer_sha256, ...) lies at its top level.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from corpora import checksum, manifest
from corpora.errors import DamagedFile
from corpora.home import Home, of_file
from corpora.manifest import Counts, FileRecord, MadeFrom, Manifest

FORMAT = "tamiz-lm"
VERSION = 2  # 1 has no checksum
_HEAD = 1 << 16  # bytes of a file in which its marks are looked for: of a damaged one, some are left
_MARKS = (f'"{FORMAT}"'.encode(), b'"lm_sha256"')
_BY_LIBRARY = MadeFrom(stage="train_lm", algorithm=0, settings={}, inputs=[])  # from texts that nothing identifies


class _Content(msgspec.Struct, kw_only=True):
    """What of LM.json makes it a manifest. made_from: None, and no accounts, where no stage wrote it."""

    format: str
    version: int
    lm_sha256: str
    tokenizer_sha256: str | None = None
    made_from: MadeFrom | None = None
    fingerprint: str | None = None
    documents: Any = None  # `Counts`, if a stage wrote it
    sentences: int = 0
    blank_lines: int = 0
    skipped_symbols: int = 0
    counts: list[int] = []
    items: list[dict[str, Any]] = []
    damaged: list[dict[str, Any]] = []
    rejected_files: list[FileRecord] = []


def manifest_path(lm: str | Path) -> Path:
    return Path(lm).with_suffix(".json")


def tokenizer_path(lm: str | Path) -> Path:
    return Path(lm).with_suffix(".spiece.model")


def rejected_folder(lm: str | Path) -> Path:
    return Path(lm).with_suffix(".rejected")


def progress_folder(lm: str | Path) -> Path:
    """Notes of a training that isn't finished. Its presence says that files without LM.json are tamiz's own."""
    return Path(lm).parent / manifest.PROGRESS / Path(lm).name


def is_lm_json(path: Path | str) -> bool:
    """Whether the file is an LM.json, damaged or not; cheap."""
    home, name = of_file(path)
    if name == manifest.NAME or not home.exists(name):
        return False
    with home.open(name) as file:
        head = file.read(_HEAD)
    return any(mark in head for mark in _MARKS)


def encode(content: dict[str, Any]) -> bytes:
    """The bytes of an LM.json that says `content`."""
    return checksum.sign(msgspec.json.format(msgspec.json.encode(content)))


def check(path: Path | str, data: bytes, format: str, version: int) -> None:
    """Raises DamagedFile if `data`, the content of LM.json, is of another format or was changed."""
    if format != FORMAT or not 1 <= version <= VERSION:
        raise DamagedFile(
            f"{path}: format '{format} {version}', but this version reads '{FORMAT} 1' to '{FORMAT} {VERSION}'"
        )
    checksum.check(path, data, signed=version > 1)


def read(path: Path | str) -> Manifest:
    """LM.json as a manifest whose files lie beside it; all that it says is in `facts`. Raises DamagedFile."""
    home, name = of_file(path)
    try:
        data = home.read_bytes(name)
        facts = msgspec.json.decode(data, type=dict[str, Any])
        content = msgspec.convert(facts, _Content)
        if content.made_from:
            msgspec.convert(content.documents, Counts)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} can't be read ({error}); remove it or pass --rebuild") from None
    check(path, data, content.format, content.version)
    facts.pop(checksum.KEY, None)
    made_from = content.made_from or _BY_LIBRARY
    return Manifest(
        stage=made_from.stage,
        finished=True,  # it is written last
        fingerprint=(content.made_from and content.fingerprint) or made_from.fingerprint(),
        made_from=made_from,
        counts=content.documents if content.made_from else {},
        facts=facts,
        items=content.items if content.made_from else [],
        damaged=content.damaged,
        files=_records(home, name.removesuffix(".json"), content),
    )


def _records(home: Home, stem: str, content: _Content) -> list[FileRecord]:
    """The model's files. Of the model and its tokenizer only checksums are known, which say what sizes would."""
    digests = {f"{stem}.bin": content.lm_sha256, f"{stem}.spiece.model": content.tokenizer_sha256}
    records = [
        FileRecord(path=name, bytes=home.size(name) or 0, sha256=digest) for name, digest in digests.items() if digest
    ]
    return records + [msgspec.structs.replace(r, path=f"{stem}.rejected/{r.path}") for r in content.rejected_files]
