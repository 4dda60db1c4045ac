"""SentencePiece unigram training: documents, or the words of a corpus with their counts, in; spiece.model out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from corpora.words.selection import Selected
from tokenizer_train.engine import RESERVED, alphabet, train_engine, weighted
from tokenizer_train.model_proto import settle
from tokenizer_train.settings import TokenizerSettings

SENTENCE_CHARACTERS = 1000
SEEDS_PER_PIECE = 6  # pieces that training begins with, per piece that stays (benchmarks/tokenizer_train.py)
_FEWEST_SEEDS, _MOST_SEEDS = 1000, 1_000_000  # SentencePiece's own bound and default


def train_unigram(documents: Iterable[str], settings: TokenizerSettings, kept: Path | None = None) -> bytes:
    """A unigram model of `settings.num_pieces` pieces: <pad> 0, </s> 1, <unk> 2, no bos; scores rounded.

    Equal documents in equal order, settings and sentencepiece version give equal bytes. Memory: about 20 times the
    text. kept: see `train_sentencepiece`. Raises TamizError if the text is too small for the vocabulary, or the
    vocabulary too small for the text's characters.
    """
    lines = (part for document in documents for part in sentences(document))
    model = train_engine(lines, settings, kept, character_coverage=settings.coverage, **_options(settings))
    return settle(model, settings.num_pieces)


def train_unigram_on_words(selected: Selected, settings: TokenizerSettings, kept: Path | None = None) -> bytes:
    """As `train_unigram`, from words and their counts: a third of the time. Memory: some 600 MB for 200,000 words."""
    import sentencepiece

    options = _options(settings)
    normalizer = sentencepiece.SentencePieceNormalizer(rule_name=options["normalization_rule_name"])
    characters = alphabet(selected, settings, normalizer.normalize, selected.occurrences)
    seeds = min(max(SEEDS_PER_PIECE * settings.num_pieces, _FEWEST_SEEDS), _MOST_SEEDS)
    model = train_engine(
        weighted(selected), settings, kept, input_format="tsv", seed_sentencepiece_size=seeds, **characters, **options
    )
    return settle(model, settings.num_pieces)


def _options(settings: TokenizerSettings) -> dict[str, Any]:
    return {
        "model_type": "unigram",
        "normalization_rule_name": "nmt_nfkc_cf" if settings.lowercase else "nmt_nfkc",
        "pad_id": 0,
        "eos_id": 1,
        "unk_id": 2,
        "bos_id": -1,
    }


def sentences(document: str) -> Iterator[str]:
    """The lines of a document, long ones cut at spaces, or inside a word longer than SENTENCE_CHARACTERS."""
    for line in document.translate(RESERVED).split("\n"):
        start = 0
        while len(line) - start > SENTENCE_CHARACTERS:
            space = line.rfind(" ", start + 1, start + SENTENCE_CHARACTERS)
            end = space if space > 0 else start + SENTENCE_CHARACTERS
            yield line[start:end]
            start = end
        if line[start:].strip():
            yield line[start:]
