"""The checksum at the end of a manifest: sha256 of the file's bytes with the checksum itself left empty."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from corpora.errors import DamagedFile

KEY = "checksum"
_END = re.compile(rb'(,\n +"checksum": ")([0-9a-f]{64})("\n\}\n)\Z')


def sign(data: bytes) -> bytes:
    """data: a formatted JSON object, without the checksum and a last newline."""
    head, indent = data.removesuffix(b"\n}"), data[2 : len(data) - len(data[2:].lstrip(b" "))]
    start, end = head + b",\n" + indent + f'"{KEY}": "'.encode(), b'"\n}\n'
    return start + hashlib.sha256(start + end).hexdigest().encode() + end


def is_signed(data: bytes) -> bool:
    return _END.search(data) is not None


def check(path: Path | str, data: bytes, *, signed: bool) -> None:
    """Raises DamagedFile if `data`, the content of `path`, was changed. signed: whether there must be a checksum."""
    found = _END.search(data)
    if found is None and not signed:
        return  # written by an older version
    if found is None or hashlib.sha256(data[: found.start(2)] + found[3]).hexdigest().encode() != found[2]:
        raise DamagedFile(
            f"{path} was changed after tamiz wrote it (its checksum differs): restore it, or pass --rebuild to make "
            "its folder again"
        )
