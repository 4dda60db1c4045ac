"""A repository on the Hub: what is in it, and the calls that change it. Each call is tried again; see `calls`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, TypeVar

from corpora.errors import TamizError
from tamiz.console import warn
from tamiz.hub import record
from tamiz.hub.calls import Fault, Patience, fault, refusal, trying
from tamiz.hub.plan import Plan
from tamiz.hub.record import Kept

T = TypeVar("T")
_CONFLICTS = (400, 409, 412, 422)  # of a merge


@dataclass(frozen=True)
class Look:
    """A commit, and what it holds: path -> the oid by which the Hub names the content."""

    commit: str
    tree: Mapping[str, str]


class Repository:
    """repo: OWNER/NAME. revision: the branch to publish on."""

    def __init__(self, repo: str, repo_type: str, revision: str, patience: Patience) -> None:
        from huggingface_hub import HfApi

        self.repo, self.repo_type, self.revision, self.patience = repo, repo_type, revision, patience
        self._changes = replace(patience)  # of its own: that the Hub answers questions doesn't renew it
        self._spent: TamizError | None = None
        self.api = HfApi(library_name="tamiz", library_version=version("tamiz"))
        self.at: dict[str, Any] = {"repo_id": repo, "repo_type": repo_type}

    @property
    def page(self) -> str:
        kind = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        return f"{self.api.endpoint}/{kind}{self.repo}"

    def prepare(self, *, private: bool) -> None:
        """Creates the repository and the branch, if there is none."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        def look() -> Any:
            try:
                return self.api.repo_info(**self.at, revision=self.revision)
            except GatedRepoError:
                raise
            except (RepositoryNotFoundError, RevisionNotFoundError) as error:
                return error

        found = self._try(look)
        if isinstance(found, RepositoryNotFoundError):
            self._try(lambda: self.api.create_repo(**self.at, private=private or None, exist_ok=True))
            found = self._try(look)
        elif private and getattr(found, "private", True) is False:
            warn(f"{self.repo} is public already: --private is for repositories that are created")
        if isinstance(found, RevisionNotFoundError):
            self._try(lambda: self.api.create_branch(**self.at, branch=self.revision, exist_ok=True))
            found = self._try(look)
        if isinstance(found, RepositoryNotFoundError | RevisionNotFoundError):
            raise refusal(found, self.repo)

    def look(self, revision: str | None = None) -> Look:
        """What is there now, at the branch or another revision."""

        def call() -> Look:
            commit = str(self.api.repo_info(**self.at, revision=revision or self.revision).sha)
            entries = self.api.list_repo_tree(**self.at, recursive=True, revision=commit)
            return Look(commit, {each.path: _oid(each) for each in entries if hasattr(each, "blob_id")})

        return self._try(call)

    def recorded(self, found: Look) -> dict[str, Kept]:
        """The entries of the record that is there; none if there is no record, or it was changed."""
        if record.NAME not in found.tree:
            return {}

        def call() -> bytes:
            from huggingface_hub import get_session, hf_hub_url
            from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

            at = {"endpoint": self.api.endpoint, "repo_type": self.repo_type, "revision": found.commit}
            url = hf_hub_url(self.repo, record.NAME, **at)
            answer = get_session().get(url, headers=build_hf_headers())
            hf_raise_for_status(answer)
            if not record.item(record.NAME, answer.content).is_at(found.tree[record.NAME]):
                raise ConnectionError(f"{record.NAME} came damaged")
            return answer.content

        entries = record.decode(self._try(call))
        if entries is None:
            warn(f"{record.NAME} in {self.repo} isn't as tamiz wrote it: nothing is deleted, and a card stays")
        return entries or {}

    def commit(self, part: Plan, additions: Sequence[Any], parent: str, message: str, **where: Any) -> Any:
        """One commit, once: what it raises may have been done. where: revision, create_pr."""
        from huggingface_hub import CommitOperationDelete

        deletions = [CommitOperationDelete(path, is_folder=False) for path in part.delete]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            made = self.api.create_commit(
                **self.at, operations=[*deletions, *additions], commit_message=message, parent_commit=parent, **where
            )
        for each in said:
            warn(" ".join(str(each.message).split()))
        return made

    def attempt(self, call: Callable[[], T]) -> T | Fault:
        """Makes a change that must not be repeated blindly. Returns its result, or a fault that was waited for: look
        what was done, then call `go_on`."""
        try:
            result = call()
        except Exception as error:
            found = fault(error, self.repo)
            try:
                self._changes.wait(found.said, found.wait)
            except TamizError as over:
                self._spent = over
            return found
        self._changes.renew()
        return result

    def go_on(self) -> None:
        """Raises TamizError if there were faults for too long."""
        if self._spent is not None:
            raise self._spent

    def pull_request(self, title: str) -> int | None:
        """The number of the open pull request of that title."""

        def call() -> int | None:
            kinds: dict[str, Any] = {"discussion_type": "pull_request", "discussion_status": "open"}
            numbers = [each.num for each in self.api.get_repo_discussions(**self.at, **kinds) if each.title == title]
            return max(numbers, default=None)

        return self._try(call)

    def merge(self, number: int) -> bool:
        """Whether the Hub could merge it. A lost answer counts as yes: the next look shows what is true."""
        from huggingface_hub.errors import HfHubHTTPError

        def call() -> bool:
            try:
                self.api.merge_pull_request(**self.at, discussion_num=number)
            except HfHubHTTPError as error:
                if error.response.status_code not in _CONFLICTS:
                    raise
                return False
            return True

        return self.attempt(call) is not False

    def close(self, number: int, why: str) -> None:
        def call() -> None:
            self.api.change_discussion_status(**self.at, discussion_num=number, new_status="closed", comment=why)

        self._try(call)

    def _try(self, call: Callable[[], T]) -> T:
        return trying(self.patience, call, self.repo)


def _oid(entry: Any) -> str:
    """The sha256 of a content outside of git, git's hash of another."""
    return str(entry.lfs.sha256 if entry.lfs else entry.blob_id)
