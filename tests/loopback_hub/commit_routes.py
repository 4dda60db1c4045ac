"""Routes of /api/ that change a repository's files: preupload, commit, pull requests."""

from __future__ import annotations

import base64
from typing import Any

from tests.loopback_hub.answers import Answer, Asked, Refused, no_entry
from tests.loopback_hub.commits import apply, parse
from tests.loopback_hub.repositories import Pull, Repository
from tests.loopback_hub.state import State
from tests.loopback_hub.upload_modes import is_lfs

PULLS_IN_A_PAGE = 10


def preupload(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    """For each file the way it should take, and the id of what is there under its path."""
    repository = state.writable(asked, kind, name)
    tree = repository.commit_at(rest or "main").tree
    rules = state.content(tree[".gitattributes"]) if ".gitattributes" in tree else b""
    found = []
    for one in asked.json().get("files", []):
        path, there = one["path"], tree.get(one["path"])
        large = is_lfs(path, one["size"], base64.b64decode(one.get("sample", "")), rules)
        line: dict[str, Any] = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        if there:
            line["oid"] = there.etag
        found.append(line)
    return Answer.of({"files": found})


def commit(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    repository, user = state.writable(asked, kind, name), state.must_be_user(asked)
    branch = repository.branch_of(rest or "main")
    header, operations = parse(asked.body)
    head = repository.branches[branch]
    stated = header.get("parentCommit")
    if stated and not (len(stated) >= 7 and head.startswith(stated)):
        raise Refused(412, "A commit has happened since. Please refresh and try again.")
    after = apply(repository.commits[head].tree, operations, state, kind)
    pull = None
    if asked.flag("create_pr"):
        pull = repository.open_pull(header["summary"], user, "open")
        branch = pull.ref
    made = repository.add(branch, after, header["summary"], user, header.get("description") or "")
    place = f"{state.url}/{repository.place}"
    said = {"success": True, "commitOid": made.sha, "commitUrl": f"{place}/commit/{made.sha}", "hookOutput": ""}
    if pull:
        said["pullRequestUrl"] = f"{place}/discussions/{pull.num}"
    return Answer.of(said)


def discussions(state: State, asked: Asked, kind: str, name: str, rest: str) -> Answer:
    """GET lists pull requests, POST opens one; NUM shows one; POST NUM/merge, NUM/status change it."""
    repository = state.readable(asked, kind, name)
    number, _, verb = rest.partition("/")
    if not number and asked.method == "GET":
        return Answer.of(_listed(repository, asked))
    if not number:
        user, said = state.must_be_user(asked), asked.json()
        if not said.get("pullRequest"):
            raise Refused(501, "Of discussions there are only pull requests here")
        return Answer.of({"num": repository.open_pull(str(said.get("title")), user, "draft").num})
    pull = repository.pulls.get(int(number)) if number.isdigit() else None
    if pull is None:
        raise no_entry(f"discussion {number}")
    if asked.method == "GET":
        return Answer.of(_shown(repository, pull))
    state.writable(asked, kind, name)
    return _changed(repository, pull, verb, asked, state.must_be_user(asked))


def _listed(repository: Repository, asked: Asked) -> dict[str, Any]:
    """A page of them. `status` is open (drafts, too) or closed (merged ones, too), `author` a user."""
    open_ones = {"open", "draft"}
    wanted = {"open": open_ones, "closed": {"closed", "merged"}}.get(
        asked.first("status"), {*open_ones, "closed", "merged"}
    )
    author = asked.first("author")
    pulls = [one for one in repository.pulls.values() if one.status in wanted and author in ("", one.author)]
    if asked.first("type") == "discussion":
        pulls = []
    start = int(asked.first("p", "0")) * PULLS_IN_A_PAGE
    page = [_shown(repository, pull) for pull in pulls[start : start + PULLS_IN_A_PAGE]]
    return {"discussions": page, "count": len(pulls), "start": start}


def _changed(repository: Repository, pull: Pull, verb: str, asked: Asked, user: str) -> Answer:
    if verb == "merge":
        return Answer.of({"success": True, "commitOid": repository.merge(pull.num, user).sha})
    if verb != "status" or asked.json().get("status") not in ("open", "closed"):
        raise Refused(400, f"A pull request can't do {verb!r}")
    pull.status = asked.json()["status"]
    data = {"status": pull.status}
    event = {"id": "1", "type": "status-change", "createdAt": "2026-11-01T00:00:00.000Z", "author": {"name": user}}
    return Answer.of({"newStatus": {**event, "data": data}})


def _shown(repository: Repository, pull: Pull) -> dict[str, Any]:
    return {
        "num": pull.num,
        "title": pull.title,
        "author": {"name": pull.author},
        "createdAt": "2026-11-01T00:00:00.000Z",
        "status": pull.status,
        "repo": {"name": repository.name, "type": repository.kind},
        "isPullRequest": True,
        "events": [],
        "filesWithConflicts": [],
        "changes": {"base": "refs/heads/main", "mergeCommitId": pull.merged_as},
        "diff": "",
    }
