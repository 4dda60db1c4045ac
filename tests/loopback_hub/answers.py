"""What a request is to a route, and what a route answers: no sockets here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any


@dataclass
class Asked:
    """One request. `path` is unquoted only where routes match it; `target` is as the client sent it."""

    server: str  # "hub" or "cdn"
    method: str
    target: str
    path: str
    query: dict[str, list[str]]
    headers: Message  # of any case
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, f"Invalid JSON: {error}") from error

    def first(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        return self.first(name).lower() in ("1", "true")


@dataclass
class Answer:
    """`kind` overrides the route's name for faults: a resolve that carries content is a "get"."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    whole: bytes | None = None  # the file of which `body` is a range

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


class Refused(Exception):
    """An error in the Hub's form: `code` is what clients on plain HTTP go by (X-Error-Code)."""

    def __init__(self, status: int, message: str, code: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.more = status, message, code, more

    def answer(self) -> Answer:
        headers = {"X-Error-Message": " ".join(self.message.encode("ascii", "replace").decode().split())}
        if self.code:
            headers["X-Error-Code"] = self.code
        headers |= self.more.pop("headers", {})
        return Answer.of({"error": self.message, **self.more}, self.status, headers)


def no_repo(name: str, status: int = 404) -> Refused:
    return Refused(
        status, "Repository not found" if status == 404 else f"Access to {name} needs a token", "RepoNotFound"
    )


def no_revision(name: str) -> Refused:
    return Refused(404, f"Invalid rev id: {name}", "RevisionNotFound")


def no_entry(path: str, **more: Any) -> Refused:
    return Refused(404, f"{path} does not exist", "EntryNotFound", **more)
