"""The address of an output folder, and of a file in it: a local path, or `scheme://...`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

from corpora.errors import BadArgument

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")
_MANGLED = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+):(?!//)")
_OBJECTS = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss")
_KNOWN = (*_OBJECTS, "http", "https", "hf", "memory", "file", "sftp")


def scheme_of(address: str) -> str:
    """`s3` of `s3://bucket/run`; empty for a local path."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def plain(place: str | Path) -> str:
    """The one way to write an address: no slash at its end, and a local path as `Path` writes it, or an absolute one.

    Raises BadArgument for an address that lost a slash, as it does in a `Path`: no folder `s3:` shall be made of it.
    And for names that no object has: an empty one, `.` and `..`.
    """
    text = os.fspath(place)
    scheme = scheme_of(text)
    if scheme in ("file", "local"):
        return str(Path(text.partition("://")[2] or "/"))
    if scheme:
        head, _, rest = text.partition("://")
        bucket, *names = rest.rstrip("/").split("/")
        if not rest.strip("/") or (scheme in _OBJECTS and not bucket):
            raise BadArgument(f"{text} names no bucket or folder: write {head.lower()}://NAME/FOLDER")
        if scheme in _OBJECTS and any(name in ("", ".", "..") for name in names):
            better = "/".join([bucket, *(name for name in names if name not in ("", ".", ".."))])
            raise BadArgument(f"{text} has an empty name, '.' or '..' between its slashes: write {scheme}://{better}")
        return f"{head.lower()}://{rest.rstrip('/')}"
    refuse_mangled(text)
    if _MANGLED.match(text):  # a folder es:run, which pyarrow would take for an address of a file system named es
        return str(Path(text).absolute())
    return str(Path(text).expanduser()) if text.startswith("~") else str(Path(text))


def refuse_mangled(path: str | PurePath) -> None:
    """Raises BadArgument for `s3:/bucket` and `s3:bucket`, which no local path is meant to be."""
    found = _MANGLED.match(str(path))
    if found and found[1].lower() in _KNOWN:
        rest = str(path)[len(found[1]) + 1 :].lstrip("/")
        raise BadArgument(f"{path} is no folder: an address has two slashes, as in {found[1]}://{rest or 'NAME'}")


def joined(address: str, name: str) -> str:
    """The address of what lies in a folder under a relative name."""
    return f"{address}/{name}" if name else address


def checked(name: str) -> str:
    """A relative name inside a folder. Raises ValueError for one that would leave it."""
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name!r} is no name inside a folder")
    return name
