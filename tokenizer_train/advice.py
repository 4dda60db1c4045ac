"""A vocabulary that the text can't fill: which size it can, tried before it is advised."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from corpora.errors import TamizError
from tokenizer_train.settings import TokenizerSettings


class TextTooSmall(TamizError):
    """most: the largest vocab_size that the text supports, as far as SentencePiece knows: it may be fewer."""

    def __init__(self, settings: TokenizerSettings, most: int) -> None:
        self.most = most
        super().__init__(
            f"{asked(settings)}, but the text supports at most {most}: set it to {most}, give more text, or fill up "
            "with unused pieces (--fill-unused; in a recipe, tokenizer.fill_unused = true)"
        )


def asked(settings: TokenizerSettings) -> str:
    return f"vocab_size is {settings.vocab_size} ({settings.extra_ids} extra_ids included)"


def train_or_advise(train: Callable[[TokenizerSettings], bytes], settings: TokenizerSettings) -> bytes:
    """`train(settings)`. If the text is too small, it trains smaller ones until one succeeds, whose size it advises.

    Raises TamizError.
    """
    try:
        return train(settings)
    except TextTooSmall as error:
        raise _advice(train, settings, error.most) from None


def _advice(train: Callable[[TokenizerSettings], bytes], settings: TokenizerSettings, most: int) -> TamizError:
    while most >= settings.fewest_ids:
        try:
            train(msgspec.structs.replace(settings, vocab_size=most))
        except TextTooSmall as smaller:
            most = min(smaller.most, most - 1)
        except TamizError:
            break
        else:
            return TextTooSmall(settings, most)
    return TamizError(
        f"{asked(settings)}, but the text is too small for any vocabulary of kind {settings.kind}: give more text, "
        "or fill up with unused pieces (--fill-unused; in a recipe, tokenizer.fill_unused = true)"
    )
