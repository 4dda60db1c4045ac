"""Texts -> counts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from corpora.encoding.flat import FlatIds
from corpora.texts import Utf8, utf8
from tokenizer_train.evaluation.auto_tokenizer import LONGEST, AutoForm
from tokenizer_train.evaluation.candidate import Candidate
from tokenizer_train.evaluation.tally import Tally, bits
from tokenizer_train.evaluation.words import continued, count_unspaced, count_words


class Texts:
    """Texts of one group, prepared once for all tokenizers."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.joined: Utf8 = utf8(texts)
        self.unspaced = count_unspaced(self.joined.data)
        self.words: Counter[str] = count_words(texts)


def measure(candidate: Candidate, given: Texts) -> Tally:
    """Counts the results of a tokenizer on the texts. Keeps their ids and decoded texts in memory."""
    encoder = candidate.encoder
    ids = encoder.encode_flat(given.joined)
    used = np.zeros(encoder.vocab_size, np.bool_)
    used[ids.ids] = True
    tally = Tally(
        documents=len(given.texts),
        num_bytes=int(given.joined.offsets[-1] - given.joined.offsets[0]),
        characters=sum(map(len, given.texts)),
        unspaced=given.unspaced,
        words=given.words.total(),
        tokens=len(ids.ids),
        unknown=0 if encoder.unk_id is None else int(np.count_nonzero(ids.ids == encoder.unk_id)),
        continued_words=continued(encoder, given.words, candidate.prefix),
        used=bits(used),
    )
    _count_read_back(tally, candidate, given.texts, ids)
    if candidate.auto is not None:
        _count_auto(tally, candidate.auto, given.texts, ids)
    return tally


def _count_read_back(tally: Tally, candidate: Candidate, texts: list[str], ids: FlatIds) -> None:
    decoded = candidate.text.decode(ids)
    normalised = candidate.text.normalise(texts)
    tally.differs_from_raw = sum(a != b for a, b in zip(decoded, texts, strict=True))
    tally.differs_from_normalised = sum(a != b for a, b in zip(decoded, normalised, strict=True))


def _count_auto(tally: Tally, auto: AutoForm, texts: list[str], ids: FlatIds) -> None:
    too_long = [len(text) > LONGEST for text in texts]
    special = [not long and auto.has_special(text) for text, long in zip(texts, too_long, strict=True)]
    compared = [n for n in range(len(texts)) if not (too_long[n] or special[n])]
    own = list(pairwise(ids.offsets.tolist()))
    found = auto.encode([texts[n] for n in compared])
    tally.auto_too_long, tally.auto_special, tally.auto_compared = sum(too_long), sum(special), len(compared)
    tally.auto_differs = sum(
        not np.array_equal(ids.ids[slice(*own[n])], other) for n, other in zip(compared, found, strict=True)
    )
