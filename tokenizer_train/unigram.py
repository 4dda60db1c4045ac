"""SentencePiece unigram training: documents in, the bytes of spiece.model out."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator

from corpora.errors import TamizError
from tokenizer_train.model_proto import settle
from tokenizer_train.settings import TokenizerSettings

SENTENCE_CHARACTERS = 1000
_LONGEST_SENTENCE = 4 * SENTENCE_CHARACTERS  # bytes of UTF-8; SentencePiece leaves longer ones out
_RESERVED = str.maketrans("\0\u2585", "  ")  # SentencePiece refuses the first and leaves out lines with the second
_TOO_HIGH = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_LOW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


def train_unigram(documents: Iterable[str], settings: TokenizerSettings) -> bytes:
    """A unigram model of `settings.num_pieces` pieces: <pad> 0, </s> 1, <unk> 2, no bos; scores rounded.

    Equal documents in equal order, settings and sentencepiece version give equal bytes. Memory: about 20 times the
    text. Raises TamizError where the text can't carry the vocabulary, or the vocabulary not the text's characters.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(part for document in documents for part in sentences(document)),
            model_writer=model,
            model_type="unigram",
            vocab_size=settings.num_pieces,
            hard_vocab_limit=not settings.fill_unused,
            character_coverage=settings.character_coverage,
            normalization_rule_name="nmt_nfkc_cf" if settings.lowercase else "nmt_nfkc",
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            shuffle_input_sentence=False,
            max_sentence_length=_LONGEST_SENTENCE,
            num_threads=settings.num_threads,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _reason(str(error), settings) from None
    return settle(model.getvalue(), settings.num_pieces)


def sentences(document: str) -> Iterator[str]:
    """The lines of a document, long ones cut at spaces, or inside a word longer than SENTENCE_CHARACTERS."""
    for line in document.translate(_RESERVED).split("\n"):
        start = 0
        while len(line) - start > SENTENCE_CHARACTERS:
            space = line.rfind(" ", start + 1, start + SENTENCE_CHARACTERS)
            end = space if space > 0 else start + SENTENCE_CHARACTERS
            yield line[start:end]
            start = end
        if line[start:].strip():
            yield line[start:]


def _reason(message: str, settings: TokenizerSettings) -> TamizError:
    """SentencePiece's message, with the numbers that a user sets."""
    asked = f"vocab_size is {settings.vocab_size} ({settings.extra_ids} extra_ids included)"
    if found := _TOO_HIGH.search(message):
        most = int(found[1]) + settings.extra_ids
        return TamizError(
            f"{asked}, but the text can carry {most} at most: "
            f"set it to {most} or less, give more text, or set fill_unused = true"
        )
    if found := _TOO_LOW.search(message):
        return TamizError(
            f"{asked}, but the text's characters alone need more than {int(found[1]) + settings.extra_ids}: "
            "raise it, or lower character_coverage"
        )
    if "sentences_.empty()" in message:
        return TamizError("there is no text to train a tokenizer on: every document is blank")
    return TamizError(f"can't train a tokenizer on this text: {' '.join(message.split())[-200:]}")
