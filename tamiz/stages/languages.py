"""The languages of a recipe: which model scores which documents; no language is sieved by another's quartiles."""

from __future__ import annotations

from collections.abc import Sequence

from corpora.documents.groups import language_of_item
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument
from tamiz.console import warn
from tamiz.recipes.schema import Recipe


def settle_languages(recipe: Recipe) -> None:
    """Raises ValueError for documents without a model, and for a sample that mixes languages with models of their
    own."""
    languages, column = recipe.lm.languages, recipe.score.language_column
    if not languages:
        if column is not None:
            raise ValueError(
                "score.language_column selects a model per language, but a recipe has only one model: add "
                "[lm.languages.XX] for each language, or remove it"
            )
        return
    for number, source in enumerate(recipe.documents):
        language = source.language_of_documents
        place = "documents" if len(recipe.documents) == 1 else f"documents.{number}"
        if language is not None and language not in languages:
            raise ValueError(
                f"{place} is of language {language}, but there are models only for {', '.join(languages)}: add "
                f"[lm.languages.{language}] with source or input"
            )
        if language is not None and column is not None:
            raise ValueError(
                f"{place} is of language {language}, and score.language_column is {column!r}, which says it of each "
                "document: keep one"
            )
    sample = recipe.sample
    if sample and len(languages) > 1 and "language" not in sample.per and sample.method != "random":
        raise ValueError(
            f"sample.per is {sample.per!r}, but each language has a model of its own, whose perplexities aren't "
            "comparable with others: make it 'language' or 'language,source'"
        )


def check_routes(recipe: Recipe, items: Sequence[WorkItem]) -> None:
    """Raises BadArgument for a file whose language isn't known; warns of models that nothing needs, and of one model
    for several languages."""
    if not recipe.lm.languages:
        _warn_of_one_model(recipe, items)
        return
    if recipe.score.language_column is not None:
        return
    try:
        used = {language_of_item(item, recipe.lm.languages) for item in items}
    except BadArgument as error:
        raise BadArgument(f"{error} (in a recipe: documents.language, or score.language_column)") from None
    unused = [language for language in recipe.lm.languages if language not in used]
    if unused:
        warn(f"no document is of language {' or '.join(unused)}, whose models are made for nothing: remove them")


def _warn_of_one_model(recipe: Recipe, items: Sequence[WorkItem]) -> None:
    known = sorted({item.language for item in items if item.language is not None})
    if len(known) > 1 and recipe.sample and recipe.sample.method != "random":
        warn(
            f"one language model scores documents in {' and '.join(known)}, so that the quartiles of one language "
            f"sieve the others: give each its own, [lm.languages.{known[0]}] and so on"
        )
