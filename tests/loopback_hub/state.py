"""All that the Hub holds: users, repositories, contents; and who may do what with them."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.loopback_hub.answers import Asked, Refused, no_repo
from tests.loopback_hub.blobs import Blob
from tests.loopback_hub.objects import ObjectStore
from tests.loopback_hub.repositories import Repository
from tests.loopback_hub.upload_modes import attributes, is_lfs
from tests.loopback_hub.xet_store import XetStore

INVALID_TOKEN = "Invalid credentials in Authorization header"


@dataclass
class State:
    way: str  # lfs or xet
    folder: Path
    page_size: int = 1000  # entries of a tree listing's page
    part_bytes: int | None = None  # LFS uploads above this go in parts of it
    url: str = ""
    cdn: str = ""
    users: dict[str, str] = field(default_factory=dict)  # token -> name
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)  # unfinished uploads in parts, by sha256
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        if self.way not in ("lfs", "xet"):
            raise ValueError(f"way is {self.way!r}, not lfs or xet")
        self.objects = ObjectStore(self.folder / "objects")
        self.xet = XetStore(self.folder / "xet", self.objects)

    def signature(self, text: str) -> str:
        """What makes a link to the CDN good without a token."""
        return hmac.new(b"loopback", text.encode(), hashlib.sha256).hexdigest()[:32]

    def cdn_link(self, path: str, **query: object) -> str:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return f"{self.cdn}{path}?signature={self.signature(path)}{more}"

    def uploaded(self, sha256: str) -> Blob | None:
        """An LFS file with this content, if its content has been uploaded either way."""
        xet_hash = self.xet.find(sha256) if self.way == "xet" else None
        if sha256 not in self.objects:
            return None
        return Blob(self.objects.size(sha256), sha256=sha256, xet_hash=xet_hash)

    def content(self, blob: Blob) -> bytes:
        return blob.content if blob.content is not None else self.objects.get(str(blob.sha256))

    def create(self, kind: str, name: str, private: bool = False, gated: bool = False) -> Repository:
        repository = Repository(kind, name, private, gated)
        rules = attributes(kind)
        repository.add("main", {".gitattributes": Blob(len(rules), rules)}, "initial commit", repository.owner)
        self.repositories[kind, name] = repository
        return repository

    def stored(self, files: Mapping[str, bytes], rules: bytes) -> dict[str, Blob]:
        """Files as the Hub keeps them: regular or LFS."""
        large = {path: one for path, one in files.items() if one and is_lfs(path, len(one), one[:512], rules)}
        if large and self.way == "xet":
            self.xet.put(large.values())
        found = {path: Blob(len(content), content) for path, content in files.items() if path not in large}
        for path, content in large.items():
            blob = self.uploaded(self.objects.put(content))
            assert blob is not None
            found[path] = blob
        return found

    def user(self, asked: Asked) -> str | None:
        """Who asks; None is anonymous."""
        words = asked.headers.get("Authorization", "").split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != "bearer" or words[1] not in self.users:
            raise Refused(401, INVALID_TOKEN)
        return self.users[words[1]]

    def readable(self, asked: Asked, kind: str, name: str) -> Repository:
        """The repository, if the one who asks may know of it. Anonymous readers get 401 for what isn't there, too."""
        user, found = self.user(asked), self.repositories.get((kind, name))
        if found is None or (found.private and user != found.owner):
            raise no_repo(name, 404 if user else 401)
        return found

    def contents(self, asked: Asked, kind: str, name: str) -> Repository:
        """The same, if the one who asks may read its files."""
        found, user = self.readable(asked, kind, name), self.user(asked)
        if found.gated and user not in {found.owner, *found.readers}:
            message = f"Access to {kind} {name} is restricted. You must have access to it and be authenticated."
            raise Refused(403 if user else 401, message, "GatedRepo")
        return found

    def writable(self, asked: Asked, kind: str, name: str) -> Repository:
        found, user = self.readable(asked, kind, name), self.user(asked)
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if user != found.owner:
            raise Refused(403, f"You don't have the rights to write to {kind} {name} with this token")
        return found

    def must_be_user(self, asked: Asked) -> str:
        user = self.user(asked)
        if user is None:
            raise Refused(401, "Invalid username or password.")
        return user
