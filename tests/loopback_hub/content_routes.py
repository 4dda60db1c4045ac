"""Routes that carry contents: resolve on the Hub, the CDN behind it, LFS uploads, tokens for xet."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from tests.loopback_hub.answers import Answer, Asked, Refused, no_entry
from tests.loopback_hub.repositories import Repository
from tests.loopback_hub.repository_routes import split_revision
from tests.loopback_hub.state import State

LONG_AFTER = 4102444800  # 2100: tokens don't lapse


def resolve(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    """Regular files at once; of LFS ones the facts, and the way to the CDN."""
    repository = state.contents(asked, kind, name)
    revision, path = split_revision(repository, rest)
    commit = repository.commit_at(revision)
    blob = commit.tree.get(path)
    headers = {"X-Repo-Commit": commit.sha}
    if blob is None:
        raise no_entry(path, headers=headers)
    headers |= {"ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}
    if blob.content is not None:
        return _content(asked, blob.content, headers)
    headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size)}
    if blob.xet_hash:
        token = f"{state.url}/api/{kind}s/{name}/xet-read-token/{commit.sha}"
        headers |= {"X-Xet-Hash": blob.xet_hash, "Link": f'<{token}>; rel="xet-auth"'}
    link = state.cdn_link(f"/objects/{blob.sha256}")
    return Answer(
        302 if blob.xet_hash else 307,
        b"",
        {**headers, "Location": link},
        "head" if asked.method == "HEAD" else "resolve",
    )


def _content(asked: Asked, content: bytes, headers: dict[str, str]) -> Answer:
    """All of it, or the range that is asked for, unless If-Range names another version."""
    kind = "head" if asked.method == "HEAD" else "get"
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.headers.get("Range", ""))
    stated = asked.headers.get("If-Range")
    if not found or found.groups() == ("", "") or (stated and stated != headers["ETag"]):
        return Answer(200, content, headers, kind, content)
    first, last = found.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last) + 1 if first and last else len(content), len(content))
    if start >= end:
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"}, kind)
    headers = {**headers, "Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
    return Answer(206, content[start:end], headers, kind, content)


def cdn_object(state: State, asked: Asked, sha256: str) -> Answer:
    """GET, HEAD and PUT of a content under a signed link; a token must not come along."""
    _signed(state, asked)
    if asked.method == "PUT":
        if hashlib.sha256(asked.body).hexdigest() != sha256:
            raise Refused(400, f"The content isn't that of sha256 {sha256}")
        state.objects.put(asked.body)
        return Answer(200, b"", {"ETag": f'"{sha256}"'})
    if sha256 not in state.objects:
        raise Refused(404, "NoSuchKey")
    return _content(asked, state.objects.get(sha256), {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"})


def cdn_part(state: State, asked: Asked, sha256: str, number: str) -> Answer:
    _signed(state, asked)
    state.parts.setdefault(sha256, {})[int(number)] = asked.body
    return Answer(200, b"", {"ETag": f'"{hashlib.md5(asked.body).hexdigest()}"'})


def _signed(state: State, asked: Asked) -> None:
    if "Authorization" in asked.headers:
        raise Refused(400, "Only one auth mechanism allowed: the signature, not a token")
    if asked.first("signature") != state.signature(asked.path):
        raise Refused(403, "SignatureDoesNotMatch")


def batch(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:  # noqa: ARG001
    """What is there has no actions."""
    repository = state.writable(asked, kind, name)
    said = asked.json()
    lines, in_parts = [], "multipart" in said.get("transfers", [])
    for one in said.get("objects", []):
        line: dict[str, Any] = {"oid": one["oid"], "size": one["size"]}
        if not re.fullmatch("[0-9a-f]{64}", one["oid"]):
            line["error"] = {"code": 422, "message": "oid must be a sha256"}
        elif one["oid"] not in state.objects:
            line["actions"] = _actions(state, repository, one["oid"], one["size"], in_parts)
        lines.append(line)
    return Answer.of({"transfer": "multipart" if in_parts and state.part_bytes else "basic", "objects": lines})


def _actions(state: State, repository: Repository, oid: str, size: int, in_parts: bool) -> dict[str, Any]:
    verify = {"href": f"{state.url}/{repository.place}.git/info/lfs/objects/verify"}
    step = state.part_bytes
    if not in_parts or not step or size <= step:
        return {"upload": {"href": state.cdn_link(f"/objects/{oid}")}, "verify": verify}
    header = {"chunk_size": str(step)}
    for number in range(1, -(-size // step) + 1):
        header[f"{number:05d}"] = state.cdn_link(f"/parts/{oid}/{number}")
    done = f"{state.url}/{repository.place}.git/info/lfs/objects/complete"
    return {"upload": {"href": done, "header": header}, "verify": verify}


def complete(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:  # noqa: ARG001
    """Puts the parts together, if their tags are right."""
    said = asked.json()
    parts = state.parts.get(said.get("oid"), {})
    stated = {one["partNumber"]: one["etag"].strip('"') for one in said.get("parts", [])}
    if stated != {number: hashlib.md5(body).hexdigest() for number, body in parts.items()}:
        raise Refused(400, "InvalidPart")
    content = b"".join(parts[number] for number in sorted(parts))
    if hashlib.sha256(content).hexdigest() != said["oid"]:
        raise Refused(400, f"The parts don't make sha256 {said['oid']}")
    state.objects.put(content)
    del state.parts[said["oid"]]
    return Answer.of({"success": True})


def verify(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:  # noqa: ARG001
    state.writable(asked, kind, name)
    said = asked.json()
    if said.get("oid") not in state.objects or state.objects.size(said["oid"]) != said.get("size"):
        raise Refused(404, "Object does not exist on the server")
    return Answer.of({"success": True})


def xet_token(state: State, asked: Asked, kind: str, name: str, rest: str, way: str) -> Answer:  # noqa: ARG001
    """`way` is read or write. Without the xet way clients get an error at once."""
    (state.writable if way == "write" else state.contents)(asked, kind, name)
    if state.way != "xet":
        raise Refused(501, "This Hub serves the LFS way: set HF_HUB_DISABLE_XET=1")
    url = state.xet.write_url() if way == "write" else state.xet.read_url()
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": "loopback", "X-Xet-Token-Expiration": str(LONG_AFTER)}
    return Answer.of({"casUrl": url, "exp": LONG_AFTER, "accessToken": "loopback"}, headers=headers)
