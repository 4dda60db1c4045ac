"""SentencePiece BPE with byte fallback, as causal models use it: the words of a corpus in, spiece.model out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.words.selection import Selected
from tokenizer_train.engine import alphabet, train_engine, weighted
from tokenizer_train.model_proto import settle
from tokenizer_train.settings import TokenizerSettings


def train_bpe(selected: Selected, settings: TokenizerSettings, kept: Path | None = None) -> bytes:
    """A BPE model of `settings.num_pieces` pieces: <unk> 0, <s> 1, </s> 2, <pad> 3, bytes 4 to 259, then its own.

    Without `lowercase`, text is encoded as it is, with spaces and line ends, and the selected words must come from
    WordTable(keep_spaces=True), which keeps the spaces before them. With it, the normaliser is nmt_nfkc_cf. Raises
    TamizError if the text is too small for the vocabulary, or the vocabulary too small for the text's characters.
    """
    normaliser = collapsing() if settings.lowercase else keeping()
    characters = alphabet(selected, settings, _normalize(settings.lowercase), _spaces(selected, settings.lowercase))
    model = train_engine(
        weighted(selected),
        settings,
        kept,
        model_type="bpe",
        input_format="tsv",
        byte_fallback=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        **normaliser,
        **characters,
    )
    return settle(model, settings.num_pieces, dummy_prefix=True)


def collapsing() -> dict[str, Any]:
    """Options to normalise as unigram models do: case is folded, and any white space becomes one space."""
    return {"normalization_rule_name": "nmt_nfkc_cf"}


def keeping() -> dict[str, Any]:
    """Options to change nothing. The words already include their spaces, even the dummy prefix."""
    return {
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "add_dummy_prefix": False,
    }


def _normalize(lowercase: bool) -> Any:
    import sentencepiece

    if not lowercase:
        return str
    return sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc_cf").normalize


def _spaces(selected: Selected, lowercase: bool) -> int:
    return selected.occurrences if lowercase else selected.characters.get(" ", 0)
