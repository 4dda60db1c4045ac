"""More files than a commit takes: commits to a pull request, checked, then merged, so that the branch changes once.

The Hub's API merges nothing but pull requests, so a branch of our own wouldn't do. The pull request's title names the
content: a killed upload finds its own and goes on with it, unless it isn't what it would have made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corpora.errors import TamizError
from tamiz.hub.calls import Fault
from tamiz.hub.contents import Contents
from tamiz.hub.plan import Plan
from tamiz.hub.remote import Look, Repository


@dataclass(frozen=True)
class Request:
    """title: of the pull request. steps: the parts, as planned on the branch."""

    title: str
    steps: list[Plan]


def publish(
    repository: Repository,
    request: Request,
    base: Look,
    left: Callable[[Look], list[Plan]],
    contents: Contents,
) -> None:
    """Ends when the pull request is merged or closed. left: the parts that a tree still needs."""
    number = _opened(repository, request, base, contents)
    done = 0
    while done <= 2 * len(request.steps):
        there = repository.look(_reference(number))
        if _is_foreign(there, base, request.steps):
            repository.close(number, "It changes files that this upload doesn't; another pull request follows.")
            return
        steps = left(there)
        if not steps:
            if not repository.merge(number):
                repository.close(number, "The branch has changed since; another pull request follows.")
            contents.forget()
            return
        repository.go_on()
        where = {"revision": _reference(number)}
        done += not isinstance(_commit(repository, steps[0], there.commit, request.title, contents, where), Fault)
    raise TamizError(
        f"{repository.repo}: pull request {number} has {done} commits and still isn't whole: it wasn't merged; the "
        "repository's .gitignore may name some of the files"
    )


def _opened(repository: Repository, request: Request, base: Look, contents: Contents) -> int:
    """The number of the pull request, made with the first part if there is none of the title."""
    while True:
        number = repository.pull_request(request.title)
        if number is not None:
            return number
        repository.go_on()
        where = {"revision": repository.revision, "create_pr": True}
        made = _commit(repository, request.steps[0], base.commit, request.title, contents, where)
        if not isinstance(made, Fault):
            return int(made.pr_num)


def _is_foreign(there: Look, base: Look, steps: list[Plan]) -> bool:
    """Whether a pull request changes what the plan doesn't: anyone may open one of any title."""
    planned = {path for step in steps for path in (*(each.path for each in step.send), *step.delete)}
    both = {**base.tree, **there.tree}
    return any(there.tree.get(path) != base.tree.get(path) for path in both if path not in planned)


def _commit(
    repository: Repository, part: Plan, parent: str, title: str, contents: Contents, where: dict[str, Any]
) -> Any:
    """One part. After a fault the next look tells what was done."""
    contents.send(part.send)
    additions = contents.additions(part.send)
    made = repository.attempt(lambda: repository.commit(part, additions, parent, title, **where))
    if not isinstance(made, Fault) or made.changed:
        contents.forget(part.send)
    return made


def _reference(number: int) -> str:
    return f"refs/pr/{number}"
