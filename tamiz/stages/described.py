"""What a recipe says of its documents, in words for cards: languages and sources, without paths of this machine."""

from __future__ import annotations

import re

from corpora.documents.sources import SOURCES, DocumentSource, Inputs
from tamiz.recipes.schema import DEMO_PREFIX, Recipe

_HUB_DATASET = re.compile(r"hf://datasets/([^/@*?\[]+/[^/@*?\[]+)[/@]")


def languages_of(recipe: Recipe) -> tuple[str, ...]:
    """The languages that the sources name, else the one that the recipe names; empty if unknown."""
    named = [_language(source) for source in recipe.documents]
    found = [one for one in named if one] if all(named) else [recipe.language]
    return tuple(dict.fromkeys(one for one in found if one))


def _language(source: DocumentSource) -> str | None:
    if source.language or source.source is None or source.input is not None:
        return source.language
    return SOURCES[source.source].language


def sources_of(recipe: Recipe) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_named(source) for source in recipe.documents))


def _named(source: DocumentSource) -> str:
    if source.source is None or source.input is not None:
        if all(pattern.startswith(DEMO_PREFIX) for pattern in source.patterns):
            return "tamiz's demo documents"
        published = hub_datasets([source])
        return f"{', '.join(published)} of the Hugging Face Hub" if published else "the user's files"
    known = SOURCES[source.source]
    return f"{known.name}: {known.citation}; licence: {known.licence}"


def hub_datasets(inputs: Inputs) -> tuple[str, ...]:
    """The datasets of the Hub among the inputs, as OWNER/NAME."""
    patterns = [p for one in inputs for p in ([one] if isinstance(one, str) else one.patterns)]
    found = [_HUB_DATASET.match(pattern) for pattern in patterns]
    return tuple(dict.fromkeys(one[1] for one in found if one))
