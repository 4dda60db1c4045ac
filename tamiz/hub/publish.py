"""Publishes items: looks at what is there, plans, sends contents, commits once, and looks again.

Nothing is visible until the commit, which names its parent: whatever was lost or came between, the next look tells
what is left to do. So a killed upload is continued, a lost answer isn't repeated, and nothing to do makes no commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpora.errors import TamizError
from tamiz.hub import parts as in_parts
from tamiz.hub.calls import Fault
from tamiz.hub.contents import Contents
from tamiz.hub.plan import Plan, fingerprint, parts, plan
from tamiz.hub.record import Item
from tamiz.hub.remote import Look, Repository

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Bounds:
    """most: operations in a commit (the Hub gives one 60 s). most_bytes: of small files in a commit. rounds: commits
    after which all must be there."""

    most: int = 1000
    most_bytes: int = 64_000_000
    rounds: int = 8


@dataclass(frozen=True)
class Outcome:
    """first: what there was to do. commit: where the content is now."""

    first: Plan
    commit: str


def publish(
    repository: Repository,
    items: Sequence[Item],
    message: str,
    contents: Contents,
    *,
    overwrite_card: bool = False,
    bounds: Bounds,
    planned: Callable[[Plan], None] = lambda _: None,
) -> Outcome:
    """planned: told what there is to do, before any of it. Raises TamizError if it couldn't be done."""
    first: Plan | None = None
    rounds = 0
    while rounds < bounds.rounds:
        there = repository.look()
        found = plan(items, there.tree, repository.recorded(there), overwrite_card=overwrite_card)
        if first is None:
            first = found
            planned(found)
        if not found.operations:
            return Outcome(first, there.commit)
        repository.go_on()
        steps = parts(found, bounds.most, bounds.most_bytes)
        if len(steps) == 1:
            rounds += _commit(repository, found, there, message, contents)
        else:
            request = in_parts.Request(f"{message} ({fingerprint(items)} to {repository.revision})", steps)
            _in_parts(repository, request, items, there, contents, bounds, overwrite_card=overwrite_card)
            rounds += 1
    left = [*(each.path for each in found.send), *found.delete]
    raise TamizError(
        f"{repository.repo}: after {rounds} commits there still are {len(left)} files to do ({left[0]}): someone "
        "else changes them, or the repository's .gitignore names them"
    )


def _commit(repository: Repository, found: Plan, there: Look, message: str, contents: Contents) -> bool:
    """Whether it was done, as far as the Hub's answer tells."""
    contents.send(found.send)
    made = repository.attempt(
        lambda: repository.commit(
            found, contents.additions(found.send), there.commit, message, revision=repository.revision
        )
    )
    if not isinstance(made, Fault) or made.changed:
        contents.forget()
    return not isinstance(made, Fault)


def _in_parts(
    repository: Repository,
    request: in_parts.Request,
    items: Sequence[Item],
    there: Look,
    contents: Contents,
    bounds: Bounds,
    *,
    overwrite_card: bool,
) -> None:
    recorded = repository.recorded(there)

    def left(look: Look) -> list[Plan]:
        found = plan(items, look.tree, recorded, overwrite_card=overwrite_card)
        return parts(found, bounds.most, bounds.most_bytes) if found.operations else []

    in_parts.publish(repository, request, there, left, contents)
