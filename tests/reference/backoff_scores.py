"""A line's score as back-off models define it, by dictionaries: the twin of `corpora.perplexity.ngram_kernels`.

Source: Katz 1987, as kpu/kenlm computes it: float32, in the order of its sums.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

Ngrams = dict[tuple[str, ...], tuple[np.float32, np.float32]]


def read_arpa(path: Path) -> Ngrams:
    """n-gram -> log10 of its probability and of its back-off, 0 in the highest order."""
    found: Ngrams = {}
    for line in path.read_text().split("\n"):
        fields = line.split("\t")
        if len(fields) > 1:
            backoff = np.float32(fields[2]) if len(fields) > 2 else np.float32(0)
            found[tuple(fields[1].split(" "))] = (np.float32(fields[0]), backoff)
    return found


def score(words: list[str], ngrams: Ngrams, order: int) -> np.float32:
    """log10 of the probability of the words and `</s>` after `<s>`. A word that the model lacks is `<unk>`."""
    known = [word if (word,) in ngrams else "<unk>" for word in words]
    sentence, total = ["<s>", *known, "</s>"], np.float32(0)
    for end in range(2, len(sentence) + 1):
        begin = max(0, end - order)
        context_begin = begin
        while tuple(sentence[begin:end]) not in ngrams:
            begin += 1  # no such n-gram: a shorter context
        probability = ngrams[tuple(sentence[begin:end])][0]
        for longer in range(begin - 1, context_begin - 1, -1):  # and its price, for each context that was too long
            probability += ngrams.get(tuple(sentence[longer : end - 1]), (0, np.float32(0)))[1]
        total += probability
    return total
