"""A Hub in this process, for the real clients to talk to."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.loopback_hub.faults import Fault, Fired
from tests.loopback_hub.limits import Limit
from tests.loopback_hub.repositories import Commit, Repository
from tests.loopback_hub.server import Request, Served, Server
from tests.loopback_hub.state import State

USER, TOKEN = "me", "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"
CLIENT_SECONDS = "5"


class LoopbackHub:
    """`with LoopbackHub("lfs", tmp_path) as hub:`; `way` is "lfs" or "xet", `folder` holds contents and client homes.

    Its one user at first is `me`, whose token is `hub.token`. Contents of LFS files lie on a second port, as on the
    real Hub: another origin, which refuses requests that carry a token.
    """

    def __init__(
        self, way: str, folder: Path, *, port: int = 0, page_size: int = 1000, part_bytes: int | None = None
    ):
        self.folder, self.token, self.way = folder.resolve(), TOKEN, way
        self._state = State(way, self.folder / "hub", page_size, part_bytes, users={TOKEN: USER})
        self._served = Served(self._state)
        self._hub, self._cdn = Server("hub", self._served, port), Server("cdn", self._served)
        self._state.url, self._state.cdn = self._hub.url, self._cdn.url

    @property
    def url(self) -> str:
        return self._hub.url

    @property
    def cdn(self) -> str:
        return self._cdn.url

    def __enter__(self) -> Self:
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """An error of the server itself fails the test, unless another error is on its way."""
        self._served.stopping.set()
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()
        if error is None and self._served.errors:
            raise AssertionError(f"The loopback Hub failed: {self._served.errors}")

    def environment(self, home: str = "client", **more: str) -> dict[str, str]:
        """For a client in a process of its own. `home` names its cache: another name, another machine."""
        place = self.folder / home
        dropped = ("HF_", "HUGGING", "TRANSFORMERS_")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(dropped) and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(place),
            "HF_XET_CACHE": str(place / "xet"),
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_ETAG_TIMEOUT": CLIENT_SECONDS,
            "HF_HUB_DOWNLOAD_TIMEOUT": CLIENT_SECONDS,
            **({"HF_HUB_DISABLE_XET": "1"} if self._state.way == "lfs" else {}),
            **more,
        }

    def add_user(self, name: str) -> str:
        """Returns the token."""
        token = f"hf_LoopbackTokenOf{name.title()}"
        self._state.users[token] = name
        return token

    def create(
        self,
        kind: str,
        name: str,
        files: Mapping[str, bytes] | None = None,
        *,
        private: bool = False,
        gated: bool = False,
    ) -> str:
        """A repository with `files`; returns the commit. In xet mode only while no client writes."""
        with self._state.lock:
            if (kind, name) in self._state.repositories:
                raise ValueError(f"{kind} {name} is there already")
            made = self._state.create(kind, name, private, gated)
        return self.commit(kind, name, files) if files else made.branches["main"]

    def commit(
        self,
        kind: str,
        name: str,
        files: Mapping[str, bytes | None],
        *,
        branch: str = "main",
        title: str = "By the test",
    ) -> str:
        """Adds `files` (None deletes) as if somebody else had committed. Returns the commit."""
        with self._state.lock:
            repository = self.repository(kind, name)
            tree = dict(repository.commit_at(branch).tree)
            rules = self._state.content(tree[".gitattributes"])
            for path in [path for path, content in files.items() if content is None]:
                del tree[path]
            tree |= self._state.stored({path: one for path, one in files.items() if one is not None}, rules)
            return repository.add(branch, tree, title, repository.owner).sha

    def exists(self, kind: str, name: str) -> bool:
        return (kind, name) in self._state.repositories

    def repository(self, kind: str, name: str) -> Repository:
        """The server's own: its branches, tags, pulls."""
        return self._state.repositories[kind, name]

    def grant(self, kind: str, name: str, user: str) -> None:
        self.repository(kind, name).readers.add(user)

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """All files at a revision, the .gitattributes that every repository begins with left out."""
        with self._state.lock:
            tree = self.repository(kind, name).commit_at(revision).tree
            return {path: self._state.content(blob) for path, blob in tree.items() if path != ".gitattributes"}

    def commits(self, kind: str, name: str, revision: str = "main") -> list[Commit]:
        """Newest first; the last is the empty repository."""
        with self._state.lock:
            return list(self.repository(kind, name).history(revision))

    def stored_bytes(self) -> int:
        """Of all contents that were uploaded, committed or not: of the xet way, in xorbs."""
        if self._state.way == "xet":
            return self._state.xet.stored_bytes()
        return sum(path.stat().st_size for path in self._state.objects.folder.iterdir())

    def fault(self, route: str, kind: str, *, times: int | None = None, **settings: Any) -> Fault:
        """Once, `times` times, or with `probability` and `seed`, `when(asked)`: see `Fault`."""
        if times is None and "probability" not in settings:
            times = 1
        planned = Fault(route, kind, times, **settings)
        self._served.faults.planned.append(planned)
        return planned

    def clear_faults(self) -> None:
        """Those that fired stay in `fired`."""
        self._served.faults.planned.clear()

    def limit(self, bucket: str, requests: int, seconds: float = 300) -> None:
        """At most `requests` per window in "api" or "resolvers"; 429 past it."""
        self._served.limits[bucket] = Limit(requests, seconds)

    @property
    def fired(self) -> list[Fired]:
        return list(self._served.faults.fired)

    def fired_kinds(self) -> Counter[str]:
        return Counter(one.kind for one in self.fired)

    @property
    def requests(self) -> list[Request]:
        return list(self._served.requests)

    def clear(self) -> None:
        """Forgets the recorded requests."""
        self._served.requests.clear()

    def calm(self) -> None:
        """No faults, no limits, nothing recorded: as at first, but for what is stored."""
        self.clear()
        self.clear_faults()
        self._served.faults.fired.clear()
        self._served.limits.clear()
