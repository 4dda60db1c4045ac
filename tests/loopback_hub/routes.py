"""Which function answers a request, and the name that faults and records call its route by."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from tests.loopback_hub import commit_routes as changing
from tests.loopback_hub import content_routes as content
from tests.loopback_hub import repository_routes as about
from tests.loopback_hub.answers import Answer, Asked, Refused
from tests.loopback_hub.state import State

Call = Callable[[State, Asked], Answer]

SINGLE: dict[tuple[str, str], tuple[str, Call]] = {
    ("GET", "/api/whoami-v2"): ("whoami", about.whoami),
    ("GET", "/api/agent-harnesses"): ("harnesses", about.harnesses),
    ("POST", "/api/validate-yaml"): ("validate", about.validate_yaml),
    ("POST", "/api/repos/create"): ("create", about.create),
    ("DELETE", "/api/repos/delete"): ("delete", about.delete),
}
OF_REPOSITORY: dict[str, tuple[str, Callable[..., Answer]]] = {
    "": ("info", about.info),
    "revision": ("revision", about.info),
    "tree": ("tree", about.tree),
    "paths-info": ("paths_info", about.paths_info),
    "refs": ("refs", about.refs),
    "commits": ("commits", about.commits),
    "branch": ("branch", about.branch),
    "tag": ("tag", about.tag),
    "auth-check": ("auth_check", about.auth_check),
    "preupload": ("preupload", changing.preupload),
    "commit": ("commit", changing.commit),
    "discussions": ("discussions", changing.discussions),
    "xet-read-token": ("xet_token", partial(content.xet_token, way="read")),
    "xet-write-token": ("xet_token", partial(content.xet_token, way="write")),
}
OF_LFS: dict[str, tuple[str, Callable[..., Answer]]] = {
    "batch": ("batch", content.batch),
    "verify": ("verify", content.verify),
    "complete": ("complete", content.complete),
}
API = re.compile(r"/api/(model|dataset|space)s/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?")
LFS = re.compile(r"/(datasets/|spaces/)?([^/]+/[^/]+)\.git/info/lfs/objects/(batch|verify|complete)")
RESOLVE = re.compile(r"/(datasets/|spaces/)?([^/]+/[^/]+)/resolve/(.+)")
KIND = {"datasets/": "dataset", "spaces/": "space", None: "model"}


def route(asked: Asked) -> tuple[str, Call]:
    """The path's parts are unquoted after they were told apart: a revision or path may hold %2F."""
    raw = asked.path
    if asked.server == "cdn":
        return _of_cdn(asked)
    if single := SINGLE.get((asked.method, raw)):
        return single
    if found := API.fullmatch(raw):
        kind, name, verb, rest = found.groups(default="")
        if verb in OF_REPOSITORY:
            known, call = OF_REPOSITORY[verb]
            return known, _bound(call, kind, name, rest)
    if found := LFS.fullmatch(raw):
        known, call = OF_LFS[found[3]]
        return known, _bound(call, KIND[found[1]], found[2], "")
    if found := RESOLVE.fullmatch(raw):
        known = "head" if asked.method == "HEAD" else "resolve"
        return known, _bound(content.resolve, KIND[found[1]], found[2], found[3])
    return "unknown", about.unknown


def _bound(call: Callable[..., Answer], kind: str, name: str, rest: str) -> Call:
    return lambda state, asked: call(state, asked, kind, unquote(name), unquote(rest))


def _of_cdn(asked: Asked) -> tuple[str, Call]:
    if found := re.fullmatch(r"/objects/([0-9a-f]{64})", asked.path):
        known = {"PUT": "lfs_put", "HEAD": "cdn_head"}.get(asked.method, "get")
        return known, lambda state, one: content.cdn_object(state, one, found[1])
    if found := re.fullmatch(r"/parts/([0-9a-f]{64})/(\d+)", asked.path):
        return "lfs_put", lambda state, one: content.cdn_part(state, one, found[1], found[2])
    return "unknown", _nothing


def _nothing(state: State, asked: Asked) -> Answer:  # noqa: ARG001
    raise Refused(404, "NoSuchKey")
