"""`tamiz lm train`: texts to LM.bin (a KenLM probing binary), LM.spiece.model and LM.json.

Texts are cut into lines, lines normalised and cut into pieces of a SentencePiece model, pieces numbered, and the
n-grams of these numbers estimated. Equal texts and settings give equal files.
"""

from __future__ import annotations

import itertools
import re
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from corpora import files
from corpora.errors import BadArgument, TamizError
from corpora.perplexity.arpa import write_arpa
from corpora.perplexity.kenlm_binary import write_kenlm_binary
from corpora.perplexity.kneser_ney import estimate
from corpora.perplexity.lm_manifest import FORMAT, VERSION, manifest_path, tokenizer_path
from corpora.perplexity.lm_tokenizer import Spool, train_tokenizer
from corpora.perplexity.ngram_counts import BEGIN, END, Ids
from corpora.perplexity.normalise import normalise
from corpora.perplexity.pieces import batches, load_tokenizer
from corpora.perplexity.settings import SENTENCEPIECE_THREADS, LmSettings, parse_size

Progress = Callable[[int, int], None]

SPECIAL_WORDS = ("<unk>", "<s>", "</s>")
FIXED_BYTES = 300 << 20  # the libraries, the vocabulary, SentencePiece
_TEXTS_BETWEEN_UPDATES = 256
_NO_SENTENCE = "no sentence in the input: every line is blank"
_WORDS = re.compile(r"[^\0\t\r ]+")  # where lmplz splits a line (`\n` apart); other white space is letters to it


def train_lm(
    texts: Iterable[str] | Callable[[], Iterable[str]],
    out: str | Path,
    *,
    settings: LmSettings,
    progress: Progress = lambda _done, _total: None,
    inputs: Iterable[dict[str, Any]] = (),
    extra: Callable[[], dict[str, Any]] = dict,
) -> dict[str, Any]:
    """Trains on `texts` (read once) and writes the model's files, LM.json last; returns what LM.json says.

    out: LM.bin; the others' names follow from it. progress: called with percent done and 100. inputs: descriptions of
    where the texts come from, for LM.json. extra: more fields for LM.json, asked for once all texts are read.
    Raises BadArgument for texts without a sentence or a vocabulary that they can't carry, DamagedFile for a bad
    tokenizer, TamizError for words that can't be in a model, more text than `memory` holds, or a failed write.
    """
    out = Path(out)
    _remove_manifest(out)
    text, words, blank_lines = _read(texts() if callable(texts) else texts, out, settings, progress)
    tokenizer_sha256 = None if settings.words else files.sha256(tokenizer_path(out))
    model = estimate(text, settings.order, prune=settings.prune, progress=_part_of(progress, 75, 90))
    sentences = int(np.count_nonzero(text == BEGIN))
    del text
    write_kenlm_binary(out, model, words)
    if settings.arpa is not None:
        write_arpa(settings.arpa, model, words)
    described = {
        **_described(settings, tokenizer_sha256, files.sha256(out)),
        "order": model.order,
        "counts": model.counts,
        "sentences": sentences,
        "blank_lines": blank_lines,
        "inputs": list(inputs),
        **extra(),
    }
    files.write_bytes(manifest_path(out), msgspec.json.format(msgspec.json.encode(described)) + b"\n")
    progress(100, 100)
    return described


def _remove_manifest(out: Path) -> None:
    """LM.json never lies beside files that it does not describe."""
    try:
        manifest_path(out).unlink(missing_ok=True)
    except OSError as error:
        raise TamizError(f"can't write {manifest_path(out)}: {error.strerror or error}") from error


def _described(settings: LmSettings, tokenizer_sha256: str | None, lm_sha256: str) -> dict[str, Any]:
    """What the model is and must be used with; its tokenizer by sha256, since a path says nothing elsewhere."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "mode": settings.scoring_mode,
        "normaliser": None if settings.words else "ccnet",
        "tokenizer_sha256": tokenizer_sha256,
        "lm_sha256": lm_sha256,
        "settings": {
            "order": settings.order,
            "prune": settings.prune,
            "mode": settings.mode,
            "words": settings.words,
            "train_tokenizer": settings.vocabulary_size,
            "memory": settings.memory,
            "threads": SENTENCEPIECE_THREADS,
        },
    }


def _read(texts: Iterable[str], out: Path, settings: LmSettings, progress: Progress) -> tuple[Ids, list[str], int]:
    """(text as ids, word of each id, blank lines); writes LM.spiece.model."""
    sentences = _Sentences(settings)
    lines = _all_lines(texts, settings, progress)
    if settings.words:
        for line in lines:
            sentences.add(_WORDS.findall(line))
    elif settings.tokenizer is not None:
        processor = load_tokenizer(settings.tokenizer)
        files.write_bytes(tokenizer_path(out), Path(settings.tokenizer).read_bytes())
        sentences.add_lines(processor, lines)
    else:
        sentences.blank_lines += _train_and_encode(sentences, lines, out, settings, progress)
    return *sentences.finish(), sentences.blank_lines


def _train_and_encode(
    sentences: _Sentences, lines: Iterator[str], out: Path, settings: LmSettings, progress: Progress
) -> int:
    """Keeps the lines on disk to read them again, once there is a tokenizer. Returns how many were blank."""
    assert settings.vocabulary_size is not None
    with Spool(out) as spool:
        blank_lines = spool.fill(lines)
        if not spool.bytes:
            raise BadArgument(_NO_SENTENCE)
        progress(10, 100)
        model = train_tokenizer(spool, settings.vocabulary_size)
        files.write_bytes(tokenizer_path(out), model)
        sentences.add_lines(load_tokenizer(tokenizer_path(out)), spool.lines(_part_of(progress, 50, 75)))
    return blank_lines


def _all_lines(texts: Iterable[str], settings: LmSettings, progress: Progress) -> Iterator[str]:
    for number, text in enumerate(texts):
        if number % _TEXTS_BETWEEN_UPDATES == 0:
            progress(0, 100)
        yield from _lines(text, settings)


def _lines(text: str, settings: LmSettings) -> list[str]:
    if settings.mode == "ccnet":
        return [normalise(text)]
    lines = text.split("\n")
    return lines if settings.words else [normalise(line) for line in lines]


class _Sentences:
    """Numbers words by first occurrence: `<s>`, words, `</s>`, sentence after sentence, 4 bytes each."""

    def __init__(self, settings: LmSettings) -> None:
        self.blank_lines = 0
        self._ids = array("I")
        self._vocabulary: defaultdict[str, int] = defaultdict(itertools.count(len(SPECIAL_WORDS)).__next__)
        self._settings = settings
        self._most = (parse_size(settings.memory) - FIXED_BYTES) // bytes_per_position(settings.order)

    def add_lines(self, processor: Any, lines: Iterable[str]) -> None:
        """Cuts lines into pieces and adds them."""
        for batch in batches(lines):
            for pieces in processor.encode(batch, out_type=str, num_threads=SENTENCEPIECE_THREADS):
                self.add(pieces)

    def add(self, words: list[str]) -> None:
        """Adds one sentence; a blank one is only counted."""
        if not words:
            self.blank_lines += 1
            return
        self._ids.append(BEGIN)
        self._ids.extend(map(self._vocabulary.__getitem__, words))
        self._ids.append(END)
        if len(self._ids) > self._most:
            self._refuse_size()

    def finish(self) -> tuple[Ids, list[str]]:
        """(ids, of 16 bits if they fit; word of each id)."""
        for word in SPECIAL_WORDS:
            if word in self._vocabulary:
                raise TamizError(f"the text has the word {word!r}, which the model keeps for itself: take it out")
        if not self._ids:
            raise BadArgument(_NO_SENTENCE)
        words = [*SPECIAL_WORDS, *map(sys.intern, self._vocabulary)]
        ids = np.frombuffer(self._ids, np.uint32)
        return (ids.astype(np.uint16) if len(words) <= 1 << 16 else ids.copy()), words

    def _refuse_size(self) -> None:
        raise TamizError(
            f"the text has more than the {self._most:,} words and sentence ends that memory "
            f"{self._settings.memory!r} holds at order {self._settings.order}: give more --memory, or less text"
        )


def bytes_per_position(order: int) -> int:
    """Measured peak of a text whose longer n-grams are nearly all distinct; Spanish takes two thirds of it."""
    return 20 + 24 * order


def _part_of(progress: Progress, start: int, end: int) -> Progress:
    """Progress of one phase as a part of the whole, in percent."""
    return lambda done, total: progress(start + (end - start) * done // max(total, 1), 100)
