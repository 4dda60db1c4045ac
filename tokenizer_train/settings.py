"""Settings of tokenizer training. Imports no heavy library."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from corpora.config import Config

NUM_SPECIAL = 3  # <pad> 0, </s> 1, <unk> 2, as in T5
BYTE_IDS = NUM_SPECIAL + 256
BPE_BYTE_IDS = 4 + 256  # <unk> 0, <s> 1, </s> 2, <pad> 3, as in Llama and TeenyTinyLlama, then the bytes
COVERAGE = {"unigram": 0.9995, "bpe": 0.9999, "bytes": 1.0}
MOST_OCCURRENCES = {
    "unigram": 5_000_000,
    "bpe": 1 << 62,
    "bytes": 1,
}  # a unigram trainer stores each: 700 MB
MOST_WORDS = {"unigram": 200_000, "bpe": 2_000_000, "bytes": 1}
FEWEST_PIECES = 8  # the special pieces and a few characters
MOST_IDS = 1 << 20
DEFAULT_IDS = 5000
LOWEST_COVERAGE = 0.98  # SentencePiece's bound


class TokenizerSettings(Config, frozen=True, kw_only=True):
    """How a tokenizer is trained."""

    kind: Literal["unigram", "bpe", "bytes"] = "unigram"
    """The algorithm. `bytes` (ByT5's) needs no training."""

    vocab_size: int = DEFAULT_IDS
    """Every id, with the `extra_ids` sentinels at the top. Kind `bytes` has 259 + extra_ids, which is its default."""

    lowercase: bool = True
    """Fold case inside the tokenizer's normaliser, so that text needn't be lowercased first."""

    extra_ids: int = 100
    """Number of sentinels for span corruption, `<extra_id_0>` and so on."""

    character_coverage: float | None = None
    """Share of the corpus's characters that get a piece; the rest become <unk> in a unigram, bytes in bpe.

    None: 0.9995 for a unigram (SentencePiece's default). 0.9999 for bpe, where a character without a piece costs two
    to four ids, and a few dozen more pieces cost little of 32,000.
    """

    most_words: int | None = None
    """Distinct words to learn from. None: 200,000 for a unigram; 2,000,000 for bpe, which takes seconds.

    If the corpus has more, counts are scaled down and rare words are subsampled, keyed by the word (see
    corpora.words.selection).
    """

    sample: int | None = None
    """None: learn from the words of all documents. A number: from the lines of a keyed draw of so many documents."""

    sample_bytes: int = 30_000_000
    """The most bytes of text in that draw."""

    fill_unused: bool = False
    """If the text is too small for the vocabulary, fill it up with pieces that no text yields."""

    num_threads: int = 2
    """SentencePiece's threads. The trained model depends on them, so they belong to the recipe."""

    seed: int = 0
    """Seed of all draws."""

    def __post_init__(self) -> None:
        if self.extra_ids < 0:
            raise ValueError(f"extra_ids is {self.extra_ids}: it must be 0 or more")
        if self.kind == "bytes" and self.vocab_size == DEFAULT_IDS:
            msgspec.structs.force_setattr(self, "vocab_size", BYTE_IDS + self.extra_ids)
        self._check_vocabulary()
        if not LOWEST_COVERAGE <= self.coverage <= 1:
            raise ValueError(f"character_coverage is {self.character_coverage}: it must be {LOWEST_COVERAGE} to 1")
        if self.words < 1:
            raise ValueError(f"most_words is {self.most_words}: it must be at least 1")
        if self.sample is not None and self.sample < 1:
            raise ValueError(f"sample is {self.sample}: it must be at least 1 document")
        if self.sample_bytes < 1:
            raise ValueError(f"sample_bytes is {self.sample_bytes}: it must be at least 1")
        if not 1 <= self.num_threads <= 1024:
            raise ValueError(f"num_threads is {self.num_threads}: it must be 1 to 1024")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: it must be 0 or more")

    def _check_vocabulary(self) -> None:
        if self.kind == "bytes" and self.vocab_size != BYTE_IDS + self.extra_ids:
            ids = BYTE_IDS + self.extra_ids
            raise ValueError(
                f"vocab_size is {self.vocab_size}, but kind 'bytes' with {self.extra_ids} extra_ids has {ids} ids: "
                f"set vocab_size to {ids}"
            )
        if not self.fewest_ids <= self.vocab_size <= MOST_IDS:
            raise ValueError(
                f"vocab_size is {self.vocab_size}: with {self.extra_ids} extra_ids it must be "
                f"{self.fewest_ids} to {MOST_IDS}"
            )

    @property
    def fewest_ids(self) -> int:
        """The smallest `vocab_size` for this kind and these `extra_ids`."""
        return FEWEST_PIECES + (BPE_BYTE_IDS if self.kind == "bpe" else 0) + self.extra_ids

    @property
    def num_pieces(self) -> int:
        """Ids in the trained engine: all except the sentinels."""
        return self.vocab_size - self.extra_ids

    @property
    def coverage(self) -> float:
        """`character_coverage`, or the kind's default."""
        return COVERAGE[self.kind] if self.character_coverage is None else self.character_coverage

    @property
    def words(self) -> int:
        """`most_words`, or the kind's default."""
        return MOST_WORDS[self.kind] if self.most_words is None else self.most_words

    def selection(self) -> dict[str, Any]:
        """Arguments for corpora.words.selection.select."""
        bounds = {"most": self.words, "most_occurrences": MOST_OCCURRENCES[self.kind]}
        return {**bounds, "seed": self.seed, "compose": not self.keeps_spaces}

    @property
    def keeps_spaces(self) -> bool:
        """Whether text is encoded as it is, so that decoding restores it."""
        return self.kind == "bpe" and not self.lowercase

    @property
    def learns_from_words(self) -> bool:
        """Whether it learns from the words of the whole corpus, not from a draw of documents or nothing."""
        return self.kind != "bytes" and self.sample is None

    @property
    def num_unlearned(self) -> int:
        """The number of first ids that don't depend on the text (kind bytes counts its bytes as learned)."""
        return BPE_BYTE_IDS if self.kind == "bpe" else NUM_SPECIAL
