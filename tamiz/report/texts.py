"""Reads documents from the inputs by file and row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from corpora.documents.item import WorkItem
from corpora.documents.reading import read_batches
from corpora.errors import TamizError
from corpora.files import is_local
from tamiz.log import without_secrets
from tamiz.report.folders import Scored
from tamiz.report.inputs import items_as_scored, not_as_scored
from tamiz.report.nearest import Pick

Place = tuple[str, int]  # work item, row
Update = Callable[[int, int], None]


@dataclass(frozen=True)
class Found:
    """A document that was read from the input."""

    text: str
    url: str | None
    timestamp: str | None


@dataclass(frozen=True)
class ReadBack:
    """The documents that could be read, and one line for each reason why others couldn't be read."""

    documents: dict[Place, Found]
    problems: list[str]


def read_back(scored: Scored, picks: Iterable[Pick], *, remote: bool, progress: Update) -> ReadBack:
    """Reads the picked documents. Opens only files that contain one, and stops after the last picked row.

    Missing or changed inputs raise no error but are listed in `problems`. remote: whether to read files that aren't
    local, too.
    """
    rows: dict[str, set[int]] = defaultdict(set)
    for pick in picks:
        rows[pick.item].add(pick.row)
    items, problems = _find_items(scored, remote)
    known = {identity.name: identity for identity in scored.scored.made_from.inputs}
    documents: dict[Place, Found] = {}
    missing = sorted(rows.keys() - items.keys())
    if missing and items:
        problems.append(f"{_listed(missing)}: no longer among the inputs")
    for number, name in enumerate(sorted(rows.keys() & items.keys()), 1):
        problem = not_as_scored(items[name], known)
        if problem is not None:
            problem += ": its documents are not shown"
        else:
            problem = _read_item(items[name], rows[name], documents)
        if problem is not None:
            problems.append(problem)
        progress(number, len(rows))
    return ReadBack(documents, without_secrets(problems))


def _find_items(scored: Scored, remote: bool) -> tuple[dict[str, WorkItem], list[str]]:
    """The work items by name, split as they were for the scores."""
    found: dict[str, WorkItem] = {}
    problems = [] if scored.inputs else ["the scored documents are unknown: name them with --input PATTERN"]
    for pattern in scored.inputs:
        if not (remote or is_local(pattern)):
            problems.append(f"{pattern} is not a local file and was not read: run `tamiz report` to read it")
            continue
        try:
            found.update((item.name, item) for item in items_as_scored(pattern, scored.scored.made_from))
        except TamizError as error:
            problems.append(f"{error}; name the documents with --input PATTERN")
    return found, problems


def _read_item(item: WorkItem, rows: set[int], documents: dict[Place, Found]) -> str | None:
    """Adds the documents at `rows`. Returns a problem in one line, if the file can't be read that far."""
    last = max(rows)
    try:
        for batch in read_batches(item):
            for n, row in enumerate(batch.rows.tolist()):
                if row in rows:
                    documents[item.name, row] = Found(batch.texts[n], batch.urls[n], batch.timestamps[n])
            if len(batch.rows) and batch.rows[-1] >= last:
                return None
    except (TamizError, OSError) as error:
        return f"{item.path} can't be read ({error})"
    return f"{item.path} is damaged: some of its documents can't be shown"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
