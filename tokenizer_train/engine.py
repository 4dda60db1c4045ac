"""SentencePiece's trainer, with errors in terms of the user's settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from corpora.encoding.sentencepiece.training import TrainingRefused, train_sentencepiece
from corpora.errors import TamizError
from corpora.words.selection import Selected
from tokenizer_train.advice import TextTooSmall, asked
from tokenizer_train.settings import TokenizerSettings

LONGEST_SENTENCE = 4000  # bytes of UTF-8; SentencePiece skips longer sentences
RESERVED = str.maketrans("\0\u2585", "  ")  # SentencePiece refuses the first, and skips lines with the second
SPACE = "▁"
NO_TEXT = "there is no text to train a tokenizer on: every document is blank"
UNTRAINABLE = frozenset("\0\t ▁\u2585")
_TOO_HIGH = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_LOW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


def train_engine(
    lines: Iterable[str], settings: TokenizerSettings, kept: Path | None = None, **options: Any
) -> bytes:
    """A model of `settings.num_pieces` pieces, as SentencePiece saves it; depends only on the lines and their order.

    kept: see `train_sentencepiece`. Raises TamizError if the text is too small for the vocabulary, or the vocabulary
    too small for the text's characters.
    """
    common = {
        "vocab_size": settings.num_pieces,
        "hard_vocab_limit": not settings.fill_unused,
        "shuffle_input_sentence": False,
        "max_sentence_length": LONGEST_SENTENCE,
        "num_threads": settings.num_threads,
        "minloglevel": 2,
    }
    try:
        return train_sentencepiece(lines, {**common, **options}, kept)
    except TrainingRefused as error:
        raise _reason(str(error), settings) from None


def weighted(selected: Selected) -> Iterator[str]:
    """Lines of SentencePiece's input_format tsv: the words, and each character of the corpus that is in none of them.

    Raises TamizError if there are no words.
    """
    if not any(word.strip() for word, _ in selected.words):
        raise TamizError(NO_TEXT)
    for word, count in selected.words:
        yield f"{word.translate(RESERVED)}\t{count}"
    present = {c for word, _ in selected.words for c in word}
    for character, count in selected.characters.items():
        if character not in present and character not in UNTRAINABLE:
            yield f"{character}\t{max(1, count // selected.unit)}"


def alphabet(selected: Selected, settings: TokenizerSettings, normalize: Any, spaces: int) -> dict[str, Any]:
    """Options that give pieces to the characters that cover the corpus, whichever words were selected.

    Characters that SentencePiece would choose only from the selected words' counts come after them. normalize: the
    model's normaliser; spaces: the number of spaces in all normalised words.
    """
    counts = {SPACE: spaces}
    for character, count in selected.characters.items():
        for c in normalize(character):
            if c not in UNTRAINABLE:
                counts[c] = counts.get(c, 0) + count
    total, covered, required = sum(counts.values()), 0, []
    for c, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= settings.coverage * total:
            break
        covered += count
        required.append(c)
    return {"required_chars": "".join(required), "character_coverage": settings.coverage}


def _reason(message: str, settings: TokenizerSettings) -> TamizError:
    """SentencePiece's error, in terms of the user's settings."""
    if found := _TOO_HIGH.search(message):
        return TextTooSmall(settings, int(found[1]) + settings.extra_ids)
    if found := _TOO_LOW.search(message):
        characters = int(found[1]) + settings.extra_ids
        return TamizError(
            f"{asked(settings)}, but the text's characters alone need more than {characters}: "
            "raise it, or lower character_coverage"
        )
    if "sentences_.empty()" in message:
        return TamizError(NO_TEXT)
    return TamizError(f"can't train a tokenizer on this text: {' '.join(message.split())[-200:]}")
