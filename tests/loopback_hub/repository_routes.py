"""Routes of /api/ that make, describe and list repositories."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode

import yaml

from tests.loopback_hub.answers import Answer, Asked, Refused, no_entry, no_repo
from tests.loopback_hub.blobs import listing
from tests.loopback_hub.card_rules import BLOCK, problems, remarks
from tests.loopback_hub.repositories import Commit, Repository
from tests.loopback_hub.state import State

EXPANDED_PAGE = 50  # entries of a page with expand, at most


def whoami(state: State, asked: Asked) -> Answer:
    name = state.must_be_user(asked)
    token = {"displayName": "loopback", "role": "write", "createdAt": "2026-11-01T00:00:00.000Z"}
    auth = {"type": "access_token", "accessToken": token}
    return Answer.of({"type": "user", "id": name, "name": name, "fullname": name, "orgs": [], "auth": auth})


def harnesses(state: State, asked: Asked) -> Answer:  # noqa: ARG001
    return Answer.of({"standardEnvVars": [], "harnesses": {}})


def validate_yaml(state: State, asked: Asked) -> Answer:  # noqa: ARG001
    said = asked.json()
    content, kind = str(said.get("content", "")), str(said.get("repoType", "model"))
    errors = [{"message": message} for message in problems(content, kind)]
    found = [{"message": message} for message in remarks(content, kind)]
    return Answer.of({"errors": errors, "warnings": found}, 400 if errors else 200)


def create(state: State, asked: Asked) -> Answer:
    user, said = state.must_be_user(asked), asked.json()
    owner, kind = said.get("organization") or user, said.get("type") or "model"
    name = f"{owner}/{said.get('name', '')}"
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]{0,95}", name):
        raise Refused(400, f"Invalid repository name: {name}")
    if owner != user:
        raise Refused(403, f"You don't have the rights to create a {kind} under the namespace {owner!r}")
    url = f"{state.url}/{Repository(kind, name).place}"
    if (kind, name) in state.repositories:
        raise Refused(409, f"You already created this {kind} repo", url=url)
    private = said.get("visibility") == "private" or said.get("private") is True
    state.create(kind, name, private)
    return Answer.of({"url": url, "name": name, "id": name})


def delete(state: State, asked: Asked) -> Answer:
    said = asked.json()
    name, kind = f"{said.get('organization') or state.user(asked)}/{said.get('name')}", said.get("type") or "model"
    state.writable(asked, kind, name)
    del state.repositories[kind, name]
    return Answer.of({"success": True})


def auth_check(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    (state.writable if rest == "write" else state.contents)(asked, kind, name)
    return Answer.of({"success": True})


def info(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    repository = state.readable(asked, kind, name)
    commit = repository.commit_at(rest or "main")
    return Answer.of(_described(state, repository, commit, asked.flag("blobs")))


def _described(state: State, repository: Repository, commit: Commit, blobs: bool) -> dict[str, Any]:
    siblings = []
    for path in sorted(commit.tree):
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs:
            entry = commit.tree[path].entry(path)
            sibling |= {"size": entry["size"], "blobId": entry["oid"]}
            if "lfs" in entry:
                sibling["lfs"] = {**entry["lfs"], "sha256": entry["lfs"]["oid"]}
        siblings.append(sibling)
    newest, oldest = commit, list(repository.history(commit.sha))[-1]
    return {
        "_id": oldest.sha[:24],
        "id": repository.name,
        "author": repository.owner,
        "sha": commit.sha,
        "createdAt": oldest.date,
        "lastModified": newest.date,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
        "cardData": _card(state, commit),
        "usedStorage": sum(blob.size for blob in commit.tree.values()),
    }


def _card(state: State, commit: Commit) -> dict[str, Any]:
    readme = commit.tree.get("README.md")
    found = BLOCK.match(state.content(readme).decode("utf-8", "replace")) if readme else None
    data = yaml.safe_load(found[1]) if found else None
    return data if isinstance(data, dict) else {}


def tree(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    repository = state.readable(asked, kind, name)
    revision, folder = split_revision(repository, rest)
    commit = repository.commit_at(revision)
    entries = listing(commit.tree, folder, asked.flag("recursive"))
    if folder and not entries:
        raise no_entry(folder)
    size = min(state.page_size, EXPANDED_PAGE) if asked.flag("expand") else state.page_size
    size = min(size, int(asked.first("limit", str(size))))
    start = int(asked.first("cursor", "0"))
    page = entries[start : start + size]
    if asked.flag("expand"):
        page = [_expanded(repository, commit, entry) for entry in page]
    headers = {"X-Repo-Commit": commit.sha}
    if start + size < len(entries):
        query = {**{key: values[0] for key, values in asked.query.items()}, "cursor": start + size}
        headers["Link"] = f'<{state.url}{asked.target.partition("?")[0]}?{urlencode(query)}>; rel="next"'
    return Answer.of(page, headers=headers)


def split_revision(repository: Repository, rest: str) -> tuple[str, str]:
    """A revision may hold slashes (refs/pr/1): the longest name of a branch or tag that `rest` begins with."""
    names = [*repository.branches, *repository.tags]
    names += [f"refs/heads/{name}" for name in repository.branches]
    found = [name for name in names if rest == name or rest.startswith(f"{name}/")]
    revision = max(found, key=len) if found else rest.split("/")[0]
    return revision, rest[len(revision) + 1 :].strip("/")


def _expanded(repository: Repository, commit: Commit, entry: dict[str, Any]) -> dict[str, Any]:
    changed = repository.last_change(commit.sha, entry["path"])
    more: dict[str, Any] = {"lastCommit": {"id": changed.sha, "title": changed.title, "date": changed.date}}
    if entry["type"] == "file":
        more["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
    return {**entry, **more}


def paths_info(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    """Paths that aren't there are left out."""
    repository = state.readable(asked, kind, name)
    commit = repository.commit_at(rest or "main")
    if "json" in asked.headers.get("Content-Type", ""):
        said = asked.json()
        paths, expand = said.get("paths", []), bool(said.get("expand"))
    else:
        form = parse_qs(asked.body.decode())
        paths, expand = form.get("paths", []), form.get("expand", [""])[0].lower() in ("1", "true")
    known = {entry["path"]: entry for entry in listing(commit.tree, "", recursive=True)}
    found = [known[path.strip("/")] for path in paths if path.strip("/") in known]
    return Answer.of([_expanded(repository, commit, entry) for entry in found] if expand else found)


def refs(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:  # noqa: ARG001
    repository = state.readable(asked, kind, name)

    def listed(names: dict[str, str], prefix: str) -> list[dict[str, str]]:
        return [{"name": one, "ref": f"{prefix}{one}", "targetCommit": sha} for one, sha in names.items()]

    branches = {one: sha for one, sha in repository.branches.items() if not one.startswith("refs/")}
    found = {
        "branches": listed(branches, "refs/heads/"),
        "tags": listed(repository.tags, "refs/tags/"),
        "converts": [],
    }
    if asked.flag("include_prs"):
        found["pullRequests"] = [
            {"name": str(num), "ref": pull.ref, "targetCommit": repository.branches[pull.ref]}
            for num, pull in repository.pulls.items()
        ]
    return Answer.of(found)


def commits(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    repository = state.readable(asked, kind, name)
    found = [
        {
            "id": one.sha,
            "title": one.title,
            "message": one.message,
            "date": one.date,
            "authors": [{"user": one.author}],
        }
        for one in repository.history(rest or "main")
    ]
    return Answer.of(found, headers={"X-Total-Count": str(len(found))})


def branch(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    """POST makes one, DELETE removes it."""
    repository = state.writable(asked, kind, name)
    if asked.method == "DELETE":
        if rest == "main":
            raise Refused(403, "The branch main can't be deleted")
        del repository.branches[repository.branch_of(rest)]
        return Answer.of({"success": True})
    if rest in repository.branches:
        raise Refused(409, f"Reference refs/heads/{rest} already exists")
    repository.branches[rest] = repository.commit_at(asked.json().get("startingPoint") or "main").sha
    return Answer.of({"success": True})


def tag(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    """POST tag/REVISION makes one, DELETE tag/NAME removes it."""
    repository = state.writable(asked, kind, name)
    if asked.method == "DELETE":
        if rest not in repository.tags:
            raise no_entry(rest)
        del repository.tags[rest]
        return Answer.of({"success": True})
    made = str(asked.json().get("tag", ""))
    if not made or made in repository.tags:
        raise Refused(409, f"Tag {made!r} already exists")
    repository.tags[made] = repository.commit_at(rest).sha
    return Answer.of({"success": True})


def unknown(state: State, asked: Asked) -> Answer:  # noqa: ARG001
    """Paths of pages without a route are taken for repositories that aren't there."""
    raise no_repo(asked.path)
