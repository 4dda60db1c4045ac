"""The work items of scored documents, split and read as they were for the scores."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from corpora.documents.formats import CUT
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.sources import DocumentSource
from corpora.errors import StaleOutput, TamizError
from corpora.manifest import InputIdentity, MadeFrom
from pipelines.accounts import input_identity


def items_as_scored(pattern: str, made_from: MadeFrom) -> list[WorkItem]:
    """The pattern's items, with the settings for reading that were used for the scores. Raises TamizError if there
    are none."""
    known = {
        identity.name: {key: value for key, value in (identity.reading or {}).items() if key != CUT}
        for identity in made_from.inputs
    }
    items: list[WorkItem] = []
    errors: list[TamizError] = []
    readings = list(known.values())
    for reading in (reading for n, reading in enumerate(readings) if reading not in readings[:n]):
        source = msgspec.convert({"input": [pattern], **reading}, DocumentSource)
        try:
            read = work_items([source], int(made_from.settings["item_bytes"]))
        except TamizError as error:
            errors.append(error)
        else:
            named = [_named_as_scored(item, made_from.inputs) for item in read]
            items += [item for item in named if known.get(item.input_name, reading) == reading]
    if errors and not items:
        raise errors[0]
    return items


def _named_as_scored(item: WorkItem, scored: Sequence[InputIdentity]) -> WorkItem:
    """The item under the name that it was scored with: the `name` of its source, which patterns don't say, is before
    that of its file."""
    known = {identity.name: identity for identity in scored}
    for name, identity in known.items():
        if name.endswith(f"__{item.input_name}") and item.input_name not in known and identity.size == item.size:
            renamed = msgspec.structs.replace(item, name=name.removesuffix(item.input_name) + item.name)
            if not_as_scored(renamed, known) is None:
                return renamed
    return item


def not_as_scored(item: WorkItem, known: dict[str, InputIdentity]) -> str | None:
    """A problem in one line, if the file isn't the file that was scored. known: the scored ones by name."""
    old = known.get(item.input_name)
    try:
        new = input_identity(item, known)
    except OSError as error:
        return f"{item.path} can't be read ({error.strerror})"
    if old is None or old.content() != new.content():
        return f"{item.path} is not the file that was scored"
    return None


def scored_items(patterns: Sequence[str], made_from: MadeFrom) -> list[WorkItem]:
    """The items of all patterns, ordered by name. Raises StaleOutput for a file that wasn't scored as it is now."""
    known = {identity.name: identity for identity in made_from.inputs}
    items = {item.name: item for pattern in patterns for item in items_as_scored(pattern, made_from)}
    for item in {item.input_name: item for item in items.values()}.values():
        problem = not_as_scored(item, known)
        if problem:
            raise StaleOutput(f"{problem}: name the scored files as they were named for `tamiz score`")
    return [items[name] for name in sorted(items)]
