"""From documents, or the words of a corpus, to a tokenizer folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from corpora.encoding import load_encoder
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.tokenizer_folder import read_config
from corpora.errors import TamizError
from corpora.files import sha256
from corpora.words.selection import Selected
from tokenizer_train.advice import train_or_advise
from tokenizer_train.evaluation.trained import evaluate
from tokenizer_train.export import BOS, EOS, PAD, UNK, export_unigram, sentinel_names
from tokenizer_train.sample import Sample, draw
from tokenizer_train.settings import TokenizerSettings

Phase = Callable[[str], None]

CHECKED_DOCUMENTS = 300
CHECKED_BYTES = 2_000_000
CHECKING = "comparing the engines"  # a phase
_SPECIAL_STRINGS = (PAD, EOS, UNK, BOS)


@dataclass(frozen=True)
class Corpus:
    """What a tokenizer learns from. texts: a few, to compare the engines on. bytes: of all documents.

    words_cut: parts of words longer than LONGEST_WORD, counted as words.
    """

    selected: Selected
    texts: list[str]
    documents: int
    bytes: int
    words_cut: int


def train_tokenizer(
    documents: Callable[[], Iterable[str]],
    out: Path,
    settings: TokenizerSettings,
    *,
    kept: Path | None = None,
    phase: Phase = lambda _: None,
) -> dict[str, Any]:
    """Trains on a draw of the documents, read once (for kind `bytes` not at all), and writes the folder.

    kept: a folder for what SentencePiece trained, should the run be interrupted later. phase: called with the name of
    each phase whose progress isn't known.
    Returns facts: vocab_size, pieces that text can yield, documents and bytes seen and learned from, the self-check's
    counts, sha256 by file name. Raises TamizError if the text is too small for the vocabulary or the engines
    disagree.
    """
    if settings.kind == "bytes":
        from tokenizer_train.bytes import export_bytes

        return _facts(out, export_bytes(settings.extra_ids, out), settings, Sample(), 256)
    sample = draw(documents(), seed=settings.seed, most=settings.sample, most_bytes=settings.sample_bytes)
    if settings.kind == "bpe":
        phase(training_phase(settings))
        model = _bpe(_words(sample.texts, settings), settings, kept)
    else:
        from tokenizer_train.unigram import train_unigram

        phase(training_phase(settings))
        model = train_or_advise(partial(train_unigram, sample.texts, kept=kept), settings)
    phase(CHECKING)
    return _exported(model, sample, out, settings)


def training_phase(settings: TokenizerSettings) -> str:
    """The name of the longest phase."""
    return f"SentencePiece, {settings.num_pieces:,} pieces"


def train_on_words(
    corpus: Corpus,
    out: Path,
    settings: TokenizerSettings,
    *,
    kept: Path | None = None,
    phase: Phase = lambda _: None,
) -> dict[str, Any]:
    """As `train_tokenizer`, from the words of a whole corpus. Facts include how many there were, and were used."""
    phase(training_phase(settings))
    if settings.kind == "bpe":
        model = _bpe(corpus.selected, settings, kept)
    else:
        from tokenizer_train.unigram import train_unigram_on_words

        model = train_or_advise(partial(train_unigram_on_words, corpus.selected, kept=kept), settings)
    phase(CHECKING)
    sample = Sample(corpus.texts, corpus.documents, corpus.bytes, corpus.bytes, 0)
    facts = _exported(model, sample, out, settings)
    selected = corpus.selected
    words = {
        "counted": selected.occurrences,
        "distinct": selected.distinct,
        "learned_from": len(selected.words),
        "unit": selected.unit,
        "cut": corpus.words_cut,
    }
    return {**facts, "documents": corpus.documents, "words": words}


def _words(texts: list[str], settings: TokenizerSettings) -> Selected:
    from corpora.words.selection import select
    from corpora.words.table import WordTable

    table = WordTable(settings.keeps_spaces)
    table.count(texts)
    return select([table.words()], **settings.selection())


def _bpe(selected: Selected, settings: TokenizerSettings, kept: Path | None) -> bytes:
    from tokenizer_train.bpe import train_bpe

    return train_or_advise(partial(train_bpe, selected, kept=kept), settings)


def _exported(model: bytes, sample: Sample, out: Path, settings: TokenizerSettings) -> dict[str, Any]:
    if settings.kind == "bpe":
        from tokenizer_train.export_bpe import export_bpe

        files = export_bpe(model, settings.extra_ids, out)
    else:
        files = export_unigram(model, settings.extra_ids, out)
    facts = _facts(out, files, settings, sample, _num_normal(model))
    checked = _first(sample.texts)
    check = check_engines_agree(out, checked, settings.extra_ids)
    return {**facts, "self_check": check, "evaluation": evaluate(out, checked)}


def _num_normal(model: bytes) -> int:
    from corpora.encoding.sentencepiece.model_proto import NORMAL, read_model

    return sum(piece.type == NORMAL for piece in read_model(model, "spiece.model").pieces)


def _facts(out: Path, files: list[str], settings: TokenizerSettings, sample: Sample, pieces: int) -> dict[str, Any]:
    """pieces: the number of learned pieces."""
    return {
        "kind": settings.kind,
        "vocab_size": settings.vocab_size,
        "extra_ids": settings.extra_ids,
        "pieces": pieces,
        "unused_pieces": settings.num_pieces - settings.num_unlearned - pieces,
        "documents": len(sample.texts),
        "documents_seen": sample.seen,
        "documents_cut": sample.cut,
        "bytes": sample.used_bytes,
        "bytes_seen": sample.seen_bytes,
        "files": {name: sha256(out / name) for name in files},
    }


def _first(texts: list[str]) -> list[str]:
    """A few hundred of them, enough to check and to describe a tokenizer."""
    first: list[str] = []
    size = 0
    for text in texts[:CHECKED_DOCUMENTS]:
        size += len(text)
        if first and size > CHECKED_BYTES:
            break
        first.append(text)
    return first


def check_engines_agree(out: Path, texts: list[str], extra_ids: int) -> dict[str, int]:
    """Encodes texts with SentencePiece and with `tokenizers`. Raises TamizError if ids differ.

    Both treat special strings as text here; AutoTokenizer makes special ids of them, so texts with one are counted.
    """
    checked = _first(texts)
    path = out / "tokenizer.json"
    of_record = load_encoder(str(out)).encode_batch(checked)
    exported = JsonEncoder(path.read_bytes(), read_config(out), str(path)).encode_batch(checked)
    different = sum(not np.array_equal(a, b) for a, b in zip(of_record, exported, strict=True))
    if different:
        raise TamizError(
            f"{path} gives different ids from spiece.model for {different} of {len(checked)} documents: "
            "install the versions of tokenizers and sentencepiece that constraints.txt names"
        )
    specials = [*_SPECIAL_STRINGS, *sentinel_names(extra_ids)]
    return {
        "documents": len(checked),
        "different": different,
        "with_special_strings": sum(any(special in text for special in specials) for text in checked),
    }
