"""What a repository holds at one commit: the path, size and hash of each file that a pattern names.

A revision is resolved once, and a folder listed once, in the life of a process: all stages of a run see the same
commit. A run that starts later sees the newest, and knows by the hashes whether anything that it reads has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from corpora.errors import BadArgument, Unreachable, in_a_line
from corpora.hub import client, guesses
from corpora.hub.address import HubAddress, Repository, is_hub, parse
from corpora.hub.refusals import NoRepository, NotThere, gated

WILD = frozenset("*?[")
MOST_FILES = 1_000_000  # in a listing: ten times what the Hub advises for a repository
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PATHS = 500  # asked for in one request
_EMPTY_PAGES = 10  # that a listing may have


class Entry(NamedTuple):
    """A file. tag: the sha256 of its content (64 digits), or its git blob's sha1 (40 digits) for a small file."""

    path: str
    size: int
    tag: str


class Pinned(NamedTuple):
    """A repository at one commit of one Hub."""

    endpoint: str
    repository: Repository
    commit: str

    @property
    def _what(self) -> str:
        return f"list {self.repository} of the Hub"

    def below(self, folder: str, *, deep: bool) -> tuple[Entry, ...]:
        """The files in a folder; deep: also in those inside it. Empty if there is no such folder."""
        return _below(self, folder, deep)

    def named(self, paths: Iterable[str]) -> dict[str, Entry | None]:
        """Path -> file of those that there are; None for a folder."""
        wanted = [path for path in dict.fromkeys(paths) if (self, path) not in _known]
        for first in range(0, len(wanted), _PATHS):
            some = wanted[first : first + _PATHS]
            body = {"paths": some, "expand": False}
            found, _ = client.json_of(
                self.repository.api("paths-info", self.commit, ""), self.repository, self._what, body=body
            )
            _known.update(dict.fromkeys(((self, path) for path in some), ()))
            for raw in _listed(found):
                _known[self, str(raw["path"])] = _entry(raw)
        found_now = ((path, _known[self, path]) for path in paths)
        return {path: entry for path, entry in found_now if entry != ()}  # type: ignore[misc]


_known: dict[tuple[Pinned, str], Entry | tuple[()] | None] = {}  # (): there is nothing


def pinned(repository: Repository, revision: str | None) -> Pinned:
    """The commit that the revision is now (None: the main branch)."""
    return _pinned(client.endpoint(), repository, revision)


@cache
def _pinned(endpoint: str, repository: Repository, revision: str | None) -> Pinned:
    what = f"find {repository} on the Hub"
    if revision is not None:
        what = f"find revision {revision} of {repository} on the Hub"
    about, _ = client.json_of(repository.api("revision", revision or "main", ""), repository, what)
    commit = about.get("sha") if isinstance(about, dict) else None
    if not isinstance(commit, str) or _COMMIT.fullmatch(commit) is None:
        raise BadArgument(f"can't {what}: {endpoint} answers without a commit: is it a Hub (HF_ENDPOINT)?")
    if about.get("gated") and not client.has_token():
        raise gated(repository)
    return Pinned(endpoint, repository, commit)


@cache
def _below(at: Pinned, folder: str, deep: bool) -> tuple[Entry, ...]:
    what = f"list {at.repository} of the Hub"
    url: str | None = f"{at.repository.api('tree', at.commit, folder)}?recursive={str(deep).lower()}&expand=false"
    entries: dict[str, Entry | None] = {}
    pages = 0
    while url is not None:
        try:
            page, url = client.json_of(url, at.repository, what)
        except NotThere:
            if pages:  # the folder was there: half a listing isn't one
                raise
            break
        entries |= {str(raw["path"]): _entry(raw) for raw in _listed(page)}
        pages += 1
        if url and (len(entries) > MOST_FILES or pages > len(entries) + _EMPTY_PAGES):
            raise Unreachable(f"can't {what}: after {pages:,} pages with {len(entries):,} names the list goes on: "
                              "name a folder with fewer files, or ask whoever runs the server")  # fmt: skip
    return tuple(entry for entry in entries.values() if entry is not None)


def _listed(page: Any) -> list[dict[str, Any]]:
    if not isinstance(page, list) or not all(isinstance(raw, dict) and "path" in raw for raw in page):
        raise BadArgument(f"{client.endpoint()} answers with something else than a list of files: is it a Hub?")
    return page


def _entry(raw: dict[str, Any]) -> Entry | None:
    """None for a folder. Paths and hashes name files of this machine later: they are as git has them, or refused."""
    kind, path = raw.get("type"), str(raw["path"])
    if kind in ("directory", "unknown"):
        return None
    content = raw.get("lfs") or raw
    size, tag = (content.get("size"), str(content.get("oid")).lower()) if isinstance(content, dict) else (None, "")
    if kind != "file" or type(size) is not int or size < 0 or not _TAG.fullmatch(tag) or not _is_inside(path):
        raise BadArgument(f"{client.endpoint()} lists what can be no file: {in_a_line(repr(raw))}: is it a Hub?")
    return Entry(path, size, tag)


def _is_inside(path: str) -> bool:
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def forget() -> None:
    """Looks anew from now on. For processes that live longer than a run."""
    _pinned.cache_clear()
    _below.cache_clear()
    _known.clear()


def look_up(patterns: Iterable[str]) -> None:
    """Asks for all files that the patterns name without wildcards at once, before they are expanded one by one."""
    found: dict[tuple[Repository, str | None], list[HubAddress]] = {}
    for pattern in filter(is_hub, patterns):
        address = parse(pattern)
        if not WILD & set(address.path):
            found.setdefault((address.repository, address.revision), []).append(address)
    for addresses in found.values():
        _home(addresses[0]).named([address.path for address in addresses])


def _home(address: HubAddress) -> Pinned:
    """`pinned`; if there is no such repository, the message says what may have been meant."""
    try:
        return pinned(address.repository, address.revision)
    except NoRepository as error:
        raise BadArgument(f"{error}{guesses.another_repository(*address.repository, address.path)}") from None


def matching(address: HubAddress) -> tuple[Pinned, list[Entry]]:
    """The files that match the address's path, sorted, by fsspec's rules: `*`, `?` and `[...]` stay inside a folder,
    `**` doesn't. Raises BadArgument for a folder and for a repository or revision that isn't there."""
    at = _home(address)
    if not WILD & set(address.path):
        one = _one(at, address)
        return at, [] if one is None else [one]
    from fsspec.utils import glob_translate

    matches = re.compile(glob_translate(address.path)).match
    folder = fixed_folder(address.path)
    rest = address.path.removeprefix(folder).lstrip("/")
    found = at.below(folder, deep="/" in rest or "**" in rest)
    return at, sorted(entry for entry in found if matches(entry.path))


def _one(at: Pinned, address: HubAddress) -> Entry | None:
    found = at.named([address.path])
    if found and found[address.path] is None:
        folder = address.with_path(address.path.rstrip("/"))
        raise BadArgument(f"{folder} is a folder; name its files, such as {folder}/*")
    return found.get(address.path)


def fixed_folder(path: str) -> str:
    """The folders before the first wildcard: `a/b/*/c` -> `a/b`."""
    parts = path.split("/")
    wild = next((number for number, part in enumerate(parts) if WILD & set(part)), len(parts) - 1)
    return "/".join(parts[:wild])
