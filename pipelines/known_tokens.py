"""Before documents are scored: does the model know the words of a few of them? A wrong tokenizer shows there."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from corpora.annotations.annotator import FACTS, Annotate
from corpora.documents.item import WorkItem
from corpora.documents.reading import read_batches
from corpora.errors import BadArgument
from corpora.perplexity.annotator import Perplexity, PerplexityScorer
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.unknown_tokens import ALL, BOUNDS, MISFIT, TOKENS, UNKNOWN_TOKENS, unknown_share

MOST_ITEMS = 8  # of which documents are read, spread over all
ITEM_BYTES = 1 << 16  # of text to read in each
_ALL_THE_SAME = "To score all the same, pass --allow-unknown (score.allow_unknown = true)"
_log = logging.getLogger(__name__)


def check_known(
    items: Sequence[WorkItem],
    annotator: Perplexity,
    annotate: PerplexityScorer,
) -> None:
    """Raises BadArgument if a model's tokenizer isn't its own, or if it doesn't know most of some documents."""
    sums: dict[str, Counter[str]] = {TOKENS: Counter(), UNKNOWN_TOKENS: Counter()}
    for item in _spread(items):
        for fact, numbers in _counted(item, annotator, annotate).items():
            sums[fact].update(numbers)
    for choice in annotator.models:
        language = choice.language or ALL
        if language not in sums[TOKENS]:
            continue  # not loaded: none of the documents needs it
        _check_tokenizer(choice, annotate.model(choice.language).unreachable)
        tokens, unknown = sums[TOKENS][language], sums[UNKNOWN_TOKENS][language]
        share = unknown_share(tokens, unknown)
        bound = BOUNDS[annotator.mode(choice)].refuse
        if share is not None and share > bound:
            raise BadArgument(_refusal(choice, annotator.mode(choice), share, tokens, bound))


def _check_tokenizer(choice: LmChoice, unreachable: float) -> None:
    if unreachable > MISFIT.refuse and choice.tokenizer is None:
        raise BadArgument(
            f"{choice.path} is a model of pieces, and mode bertin scores raw words: choose lines or ccnet, and give "
            f"its tokenizer. {_ALL_THE_SAME}"
        )
    if unreachable > MISFIT.warn:
        problem = f"{choice.path}: {unreachable:.0%} of the model is words that {choice.tokenizer} never makes"
        if unreachable > MISFIT.refuse:
            raise BadArgument(f"{problem}: the tokenizer is not the model's own. {_ALL_THE_SAME}")
        _log.warning("%s: is the tokenizer the model's own?", problem)


def _spread(items: Sequence[WorkItem]) -> list[WorkItem]:
    number = min(len(items), MOST_ITEMS)
    return [items[place * len(items) // number] for place in range(number)]


def _counted(item: WorkItem, annotator: Perplexity, annotate: Annotate) -> Mapping[str, Mapping[str, int]]:
    """The facts of the item's first documents."""
    for batch in read_batches(item.at_a_glance(), batch_bytes=ITEM_BYTES, columns=annotator.columns):
        if batch.texts:
            facts: Mapping[str, Mapping[str, int]] = annotate(batch, item)[FACTS]
            return facts
    return {}


def _refusal(choice: LmChoice, mode: str, share: float, tokens: int, bound: float) -> str:
    cause = (
        "mode bertin needs a model of raw words." if mode == "bertin" else "is the tokenizer that of another model?"
    )
    return (
        f"{choice.path} doesn't know {share:.0%} of {tokens:,} tokens of the documents, but at most {bound:.0%} "
        f"is plausible: {cause} {_ALL_THE_SAME}"
    )
