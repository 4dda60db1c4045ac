"""Addresses on the Hub: `hf://datasets/OWNER/NAME[@REVISION]/PATH`; with `models/` or without a type, a model's."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from corpora.errors import BadArgument
from corpora.hub import guesses

_SCHEME = "hf://"
_ADDRESS = re.compile(
    r"hf://(?P<kind>datasets/|spaces/|models/)?(?!(?:datasets|spaces|models)/)(?P<name>\w[\w.-]*/\w[\w.-]*)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(?P<path>.*))?",
    re.DOTALL,
)


class Repository(NamedTuple):
    """kind: datasets, models or spaces. name: OWNER/NAME."""

    kind: str
    name: str

    @property
    def page(self) -> str:
        """The path of its page, below the Hub's own address."""
        return self.name if self.kind == "models" else f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        return f"the {self.kind.removesuffix('s')} {self.name}"

    def api(self, verb: str, *parts: str) -> str:
        """The path of a request on it, below the Hub's address. parts: quoted, `/` too, except in the last."""
        *firsts, last = parts or ("",)
        tail = "/".join([*(quote(part, safe="") for part in firsts), quote(last)])
        return f"api/{self.kind}/{self.name}/{verb}/{tail}".rstrip("/")


class HubAddress(NamedTuple):
    """revision: a branch, tag or commit; None for the main branch. path: inside the repository, may be a pattern."""

    repository: Repository
    revision: str | None
    path: str

    def with_path(self, path: str) -> str:
        """The address of another path at the same revision, as text."""
        revision = "" if self.revision is None else f"@{self.revision.replace('/', '%2F')}"
        return f"{_SCHEME}{self.repository.page}{revision}/{path}"


def is_hub(address: str) -> bool:
    """Whether it is a file's in a repository: neither a chain, which fsspec takes apart, nor a bucket's."""
    return address.startswith(_SCHEME) and "::" not in address and not address.startswith(f"{_SCHEME}buckets/")


def parse(address: str) -> HubAddress:
    """Raises BadArgument for an address that names no file of a repository."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise BadArgument(guesses.no_repository(address))
    owner, revision = found["name"].split("/")[0], found["revision"]
    if found["kind"] is None and owner in guesses.TYPES:
        raise BadArgument(guesses.no_type(address, owner))
    repository = Repository((found["kind"] or "models/").removesuffix("/"), found["name"])
    if not found["path"]:
        raise BadArgument(guesses.no_files(address, repository.page, repository.name))
    return HubAddress(repository, revision and unquote(revision), found["path"])


def without_cache(address: str) -> str:
    """`simplecache::hf://...` -> `hf://...`: fsspec's caches would fetch the file without checking it."""
    *links, last = address.split("::")
    return last if is_hub(last) and all("://" not in link for link in links) else address


def without_revision(address: str) -> str:
    """The same address whatever revision it names: `hf://datasets/a/b@v1/c` -> `hf://datasets/a/b/c`."""
    if not is_hub(address):
        return address
    parsed = parse(address)
    return parsed._replace(revision=None).with_path(parsed.path)
