"""Patterns -> the files that they match: local globs and any fsspec address, each file once, with its identity."""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from corpora.config import Config
from corpora.documents.addresses import packages_for, path_of, wildcards, with_path
from corpora.documents.compressions import compression_of
from corpora.errors import BadArgument, TamizError, Unreachable
from corpora.files import TEMPORARY, is_local
from corpora.hub.address import is_hub, parse, without_cache
from corpora.hub.tree import fixed_folder, look_up, matching
from corpora.stores.reading import register

_LOG = logging.getLogger(__name__)
_ESCAPED = re.compile(r"\[([*?[])\]")  # as glob.escape writes them
# The keys under which file systems report a content tag, best first, then those for the modification time.
_TAGS = ("sha256", "blob_id", "ETag", "etag", "e_tag", "md5Hash", "generation", "content_md5", "checksum", "CRC")
_TIMES = ("last_commit", "LastModified", "last_modified", "updated", "mtime", "modified", "created")


class Listed(Config, frozen=True, kw_only=True):
    """One input file. Two addresses of one file have equal keys; `stem` names its outputs.

    size: None if the file system doesn't tell it, as servers that send files in chunks. commit: of the Hub's files.
    """

    address: str
    key: str
    stem: str
    size: int | None
    mtime_ns: int | None = None
    etag: str | None = None
    commit: str | None = None


def list_files(patterns: Iterable[str]) -> list[Listed]:
    """Every file that the patterns name, once, in the patterns' order.

    Raises BadArgument for a pattern that matches nothing and for a folder.
    """
    files: dict[str, Listed] = {}
    patterns = [without_cache(pattern) for pattern in patterns]
    look_up(patterns)
    for pattern in patterns:
        matches = list(_expand(pattern))
        if not matches:
            raise BadArgument(f"{pattern}: no file matches this pattern{_quoting(pattern)}")
        for listed in matches:
            files.setdefault(listed.key, listed)
    return list(files.values())


def _expand(pattern: str) -> Iterator[Listed]:
    for scheme in ("file://", "local://"):
        pattern = pattern.removeprefix(scheme)
    if is_local(pattern):
        return _expand_local(pattern)
    return _expand_hub(pattern) if is_hub(pattern) else _expand_remote(pattern)


def _usual(folder: str) -> str:
    """The ending of most of the bytes of a folder's files, .jsonl.zst if there are none."""
    weights: Counter[str] = Counter()
    for path in Path(folder).iterdir():
        ends = path.suffixes[-2 if compression_of(path.name) else -1 :]
        if path.is_file() and not path.name.startswith(".") and ends:
            weights["".join(ends)] += path.stat().st_size
    return max(weights, key=lambda ending: weights[ending], default=".jsonl.zst")


def _expand_local(pattern: str) -> Iterator[Listed]:
    pattern = os.path.expanduser(pattern)  # noqa: PTH111 (pathlib would drop `./` and `//`)
    literal = os.path.lexists(pattern)
    # not pathlib's glob, which also matches dot files, unlike any shell
    paths = [pattern] if literal else glob.glob(pattern, recursive=True)  # noqa: PTH207
    if literal and os.path.isdir(pattern):  # noqa: PTH112
        raise BadArgument(f"{pattern} is a folder; name its files, such as {pattern.rstrip('/')}/*{_usual(pattern)}")
    prefix = os.path.dirname(pattern) if literal else _fixed_prefix(pattern)  # noqa: PTH120
    real = lru_cache(maxsize=1024)(os.path.realpath)
    for path in paths:
        if not TEMPORARY.search(path) and (listed := _local(path, prefix, real)) is not None:
            yield listed


def _quoting(pattern: str) -> str:
    """How to write a pattern that matches nothing because a file's or folder's name contains brackets."""
    quoted = pattern.replace("[", "[[]")
    if quoted == pattern or not is_local(pattern) or not glob.glob(quoted):  # noqa: PTH207
        return ""
    return f": its brackets are wildcards; write [[] where a name contains [, as in {quoted!r}"


def _local(path: str, prefix: str, real: Callable[[str], str]) -> Listed | None:
    """None for a folder. real: os.path.realpath, which asks the disk about each part of a path, for folders."""
    try:
        status = os.lstat(path)
        linked = stat.S_ISLNK(status.st_mode)
        status = os.stat(path) if linked else status  # noqa: PTH116
    except OSError as error:
        raise TamizError(f"can't read {path}: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        return None
    _refuse_undecodable(path)
    folder, name = os.path.split(path)
    return Listed(
        address=path,
        key=os.path.realpath(path) if linked else os.path.join(real(folder or "."), name),  # noqa: PTH118
        stem=_stem(os.path.relpath(path, prefix or ".")),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


def _refuse_undecodable(path: str) -> None:
    """Raises BadArgument for a name that isn't UTF-8: manifests and outputs couldn't name it."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise BadArgument(f"{path!r}: the name of this file isn't UTF-8; rename it, or link to it") from None


def _expand_remote(pattern: str) -> Iterator[Listed]:
    root, infos = _remote_glob(pattern)
    prefix = _fixed_prefix(path_of(root), wildcards(pattern)).lstrip("/")
    for path, info in infos.items():
        if info.get("type") == "directory" or TEMPORARY.search(path):
            continue
        address = with_path(pattern, path)
        stem = _stem(path_of(path).lstrip("/").removeprefix(prefix).lstrip("/"))
        listed = Listed(address=address, key=address, stem=stem, size=_size(info), etag=_tag(info))
        if listed.size is None and listed.etag is None:
            _LOG.warning("%s: its server tells neither size nor etag, so a later change of it isn't noticed", address)
        yield listed


def _expand_hub(pattern: str) -> Iterator[Listed]:
    """Files at one commit, known by their hashes."""
    address = parse(pattern)
    at, entries = matching(address)
    prefix = fixed_folder(address.path)
    for entry in entries:
        if not TEMPORARY.search(entry.path):
            yield Listed(
                address=address.with_path(entry.path),
                key=f"hf://{at.repository.page}@{at.commit}/{entry.path}",
                stem=_stem(entry.path.removeprefix(prefix).lstrip("/")),
                size=entry.size,
                etag=entry.tag,
                commit=at.commit,
            )


def _size(info: dict[str, Any]) -> int | None:
    """None if unknown: a file of unknown size isn't empty."""
    return None if info.get("size") is None else int(info["size"])


def _remote_glob(pattern: str) -> tuple[str, dict[str, dict[str, object]]]:
    """(the pattern in its file system's form, path -> info)."""
    import fsspec

    register()
    try:
        filesystem, root = fsspec.core.url_to_fs(pattern)
    except ImportError as error:
        packages = packages_for(pattern)
        advice = f"reading it needs more packages: pip install {packages}" if packages else _first_line(error)
        raise BadArgument(f"{pattern}: {advice}") from error
    except ValueError as error:
        raise BadArgument(f"{pattern}: {_first_line(error)}") from error
    except Exception as error:  # the outer file of a chain, which is opened at once
        raise Unreachable(f"can't list {pattern} ({_first_line(error)})") from error
    try:
        found: dict[str, dict[str, object]] = filesystem.glob(root, detail=True)
        if not found and wildcards(pattern) & set(root):
            filesystem.ls(_fixed_prefix(root, wildcards(pattern)))  # glob hides OSErrors, such as a missing network
        elif not found:
            filesystem.info(root)
        return root, found
    except FileNotFoundError:
        return root, {}
    except ValueError as error:
        raise BadArgument(f"{pattern}: {_first_line(error)}") from error
    except Exception as error:  # every file system raises its own exceptions
        raise Unreachable(f"can't list {pattern} ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tag(info: dict[str, object]) -> str | None:
    """A content tag from a file system's metadata, or else the modification time."""
    lfs = info.get("lfs")
    flat = {**info, **lfs} if isinstance(lfs, dict) else info
    return next((str(flat[name]) for name in (*_TAGS, *_TIMES) if flat.get(name)), None)


def _fixed_prefix(pattern: str, magic: frozenset[str] = frozenset("*?[")) -> str:
    """The folder part before the first wildcard: `a/b/*/c.txt` -> `a/b`, `a/b.txt` -> `a`, `a[[]1]/*` -> `a[1]`."""
    parts = pattern.split("/")
    wild = next((i for i, part in enumerate(parts) if magic & set(_ESCAPED.sub("", part))), len(parts) - 1)
    return _ESCAPED.sub(r"\1", "/".join(parts[:wild])) or ("/" if pattern.startswith("/") else "")


def _stem(relative: str) -> str:
    return relative.replace(os.sep, "/").replace("/", "__")


def refuse_collisions(files: Iterable[tuple[str, str]]) -> None:
    """files: (output name, address). Raises BadArgument for two files with the same output name."""
    owners: dict[str, str] = {}
    for name, address in files:
        other = owners.setdefault(name, address)
        if other != address:
            raise BadArgument(
                f"{other} and {address} would both be written as {name}; "
                "name them with one pattern that starts above both folders, such as FOLDER/**/*.jsonl"
            )
