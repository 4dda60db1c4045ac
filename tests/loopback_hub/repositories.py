"""Repositories: commits with a parent, branches, tags, pull requests, and revisions by any of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.loopback_hub.answers import Refused, no_revision
from tests.loopback_hub.blobs import Blob, Tree, folder_ids, git_id

SHORTEST_SHA = 7
FIRST_DATE = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    tree: Tree
    title: str
    message: str
    author: str
    date: str


@dataclass
class Pull:
    num: int
    title: str
    author: str
    base: str  # the commit of main that it started from
    status: str
    merged_as: str | None = None

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.num}"


@dataclass
class Repository:
    kind: str  # model, dataset or space
    name: str
    private: bool = False
    gated: bool = False
    readers: set[str] = field(default_factory=set)  # who was granted access to a gated one
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.name.split("/")[0]

    @property
    def place(self) -> str:
        """Its path on the Hub, without a slash before."""
        return self.name if self.kind == "model" else f"{self.kind}s/{self.name}"

    def branch_of(self, revision: str) -> str:
        """The branch that can be committed to under this name."""
        name = revision.removeprefix("refs/heads/")
        if name not in self.branches:
            raise no_revision(revision)
        return name

    def commit_at(self, revision: str) -> Commit:
        name = revision.removeprefix("refs/heads/")
        sha = self.branches.get(name) or self.tags.get(revision.removeprefix("refs/tags/"))
        if sha:
            return self.commits[sha]
        found = [one for one in self.commits if len(revision) >= SHORTEST_SHA and one.startswith(revision)]
        if len(found) != 1:
            raise no_revision(revision)
        return self.commits[found[0]]

    def history(self, revision: str) -> Iterator[Commit]:
        """Newest first."""
        commit: Commit | None = self.commit_at(revision)
        while commit:
            yield commit
            commit = self.commits[commit.parent] if commit.parent else None

    def last_change(self, revision: str, path: str) -> Commit:
        """The commit that gave `path`, a file or a folder, what it holds at `revision`."""
        found: Commit | None = None
        content = _below(self.commit_at(revision).tree, path)
        for commit in self.history(revision):
            if _below(commit.tree, path) != content:
                break
            found = commit
        assert found is not None
        return found

    def add(self, branch: str, tree: dict[str, Blob], title: str, author: str, message: str = "") -> Commit:
        """A commit on top of `branch`, which is made if it isn't there. Dates count commits, so ids repeat."""
        parent = self.branches.get(branch)
        date = (FIRST_DATE + timedelta(seconds=len(self.commits))).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        lines = [f"tree {folder_ids(tree)['']}", *([f"parent {parent}"] if parent else [])]
        text = "\n".join([*lines, f"author {author} {date}", "", title, message])
        commit = Commit(git_id("commit", text.encode()), parent, tree, title, message, author, date)
        self.commits[commit.sha] = commit
        self.branches[branch] = commit.sha
        return commit

    def open_pull(self, title: str, author: str, status: str) -> Pull:
        num = len(self.pulls) + 1
        pull = Pull(num, title, author, self.branches["main"], status)
        self.pulls[num] = pull
        self.branches[pull.ref] = pull.base
        return pull

    def merge(self, num: int, author: str) -> Commit:
        """One commit on main with the changes of the pull request."""
        pull = self.pulls[num]
        if pull.status != "open":
            raise Refused(400, f"A pull request whose status is {pull.status} can't be merged")
        base, theirs, ours = (self.commit_at(one).tree for one in (pull.base, pull.ref, "main"))
        merged = dict(ours)
        for path in base.keys() | theirs.keys():
            if theirs.get(path) == base.get(path):
                continue
            if ours.get(path) not in (base.get(path), theirs.get(path)):
                raise Refused(409, f"This pull request has conflicts: {path}")
            _set(merged, path, theirs.get(path))
        commit = self.add("main", merged, f"{pull.title} (#{num})", author)
        pull.status, pull.merged_as = "merged", commit.sha
        return commit


def _set(tree: dict[str, Blob], path: str, blob: Blob | None) -> None:
    if blob is None:
        tree.pop(path, None)
    else:
        tree[path] = blob


def _below(tree: Tree, path: str) -> dict[str, Blob]:
    inside: Callable[[str], bool] = lambda one: one == path or one.startswith(f"{path}/")  # noqa: E731
    return {one: blob for one, blob in tree.items() if inside(one)}
