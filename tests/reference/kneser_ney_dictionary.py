"""Interpolated modified Kneser-Ney with dictionaries: the slow readable twin of `corpora.perplexity.kneser_ney`.

Source: Chen and Goodman 1998; Heafield et al. 2013; kpu/kenlm lm/builder. float32 where lmplz has float32, in its
order, so that results are equal, not just close. An n-gram is a tuple of words, first word first.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

F = np.float32
Ngram = tuple[str, ...]

_libm = ctypes.CDLL(ctypes.util.find_library("m"))
_libm.log10f.restype, _libm.log10f.argtypes = ctypes.c_float, [ctypes.c_float]


def log10f(value: np.float32) -> np.float32:
    return F(_libm.log10f(float(value)))


class DictionaryModel:
    """probability and backoff: n-gram -> float32, for all n-grams that pruning keeps."""

    def __init__(self, sentences: Sequence[Sequence[str]], order: int, prune: Sequence[int] = (0,)) -> None:
        self.order = order
        self.thresholds = [*prune, *[prune[-1]] * order][:order]
        self.first_seen = {"<unk>": 0, "<s>": 1, "</s>": 2}
        self.occurrences: list[Counter[Ngram]] = [Counter() for _ in range(order + 1)]
        for words in sentences:
            self._count(["<s>", *words, "</s>"])
        self.last_of_all = max(itertools.chain.from_iterable(self.occurrences), key=self._suffix_order)
        self.adjusted = [{}, *(self._adjusted(k) for k in range(1, order + 1))]
        self.discounts = [(), *(self._discounts(k) for k in range(1, order + 1))]
        self.probability: dict[Ngram, np.float32] = {}
        self.backoff: dict[Ngram, np.float32] = {}
        self._unigrams()
        for k in range(2, order + 1):
            self._interpolate(k)

    def _count(self, sentence: list[str]) -> None:
        for word in sentence:
            self.first_seen.setdefault(word, len(self.first_seen))
        for k in range(1, self.order + 1):
            for end in range(k, len(sentence) + 1):
                self.occurrences[k][tuple(sentence[end - k : end])] += 1

    def _adjusted(self, k: int) -> dict[Ngram, int]:
        """How many different words stand before an n-gram; its occurrences in the highest order or after <s>."""
        if k == self.order:
            return dict(self.occurrences[k])
        left = Counter(longer[1:] for longer in self.occurrences[k + 1])
        counts = {g: n if g[0] == "<s>" else left[g] for g, n in self.occurrences[k].items()}
        return {**counts, ("<s>",): 0} if k == 1 else counts

    def _discounts(self, k: int) -> tuple[np.float32, ...]:
        n = Counter(self.adjusted[k].values())
        if k < self.order and self.adjusted[k]:  # lmplz counts the last n-gram of a lower order by its occurrences
            last = max(self.adjusted[k], key=self._suffix_order)
            if len(self.last_of_all) >= k:
                n[self.adjusted[k][last]] -= 1
                n[self.occurrences[k][last]] += 1
        if n[1] and n[2] and n[3]:
            y = F(n[1]) / F(n[1] + 2.0 * n[2])
            found = [F(j) - F(j + 1) * y * F(n[j + 1]) / F(n[j]) for j in (1, 2, 3)]
            if all(0 <= d <= j for j, d in zip((1, 2, 3), found, strict=True)):
                return (F(0), *found)
        return (F(0), F(0.5), F(1), F(1.5))

    def _suffix_order(self, ngram: Ngram) -> list[int]:
        return [self.first_seen[w] for w in reversed(ngram)]

    def kept(self, ngram: Ngram) -> bool:
        if ngram in (("<unk>",), ("<s>",), ("</s>",)):
            return True
        return self.occurrences[len(ngram)][ngram] > self.thresholds[len(ngram) - 1]

    def _sums(self, k: int) -> dict[Ngram, tuple[np.float32, np.float32]]:
        """For every context: the sum of its counts, and the share of it that discounts and pruning take."""
        by_context: dict[Ngram, list[Ngram]] = defaultdict(list)
        for ngram in self.adjusted[k]:
            by_context[ngram[:-1]].append(ngram)
        return {context: self._sum(k, ngrams) for context, ngrams in by_context.items()}

    def _sum(self, k: int, ngrams: list[Ngram]) -> tuple[np.float32, np.float32]:
        counts = self.adjusted[k]
        total = F(sum(counts[g] for g in ngrams))
        freed = F(0)
        for j in (1, 2, 3):
            freed += self.discounts[k][j] * F(sum(min(counts[g], 3) == j for g in ngrams if self.kept(g)))
        freed += F(sum(counts[g] for g in ngrams if not self.kept(g)))
        return total, freed / total

    def _unigrams(self) -> None:
        total, freed = self._sums(1)[()]
        words = sum(self.kept((w,)) for w in self.first_seen) - 1  # all but <s>
        uniform = F(1.0 / float(F(words)))
        for word in self.first_seen:
            count = self.adjusted[1].get((word,), 0)
            self.probability[word,] = (F(count) - self.discounts[1][min(count, 3)]) / total + freed * uniform
        self.probability["<s>",] = F(1)

    def _interpolate(self, k: int) -> None:
        sums = self._sums(k)
        for ngram, count in self.adjusted[k].items():
            total, freed = sums[ngram[:-1]]
            share = (F(count) - self.discounts[k][min(count, 3)]) / total
            self.probability[ngram] = share + freed * self.probability[ngram[1:]]
        for context, (_, freed) in sums.items():
            self.backoff[context] = freed

    def log10(self) -> dict[Ngram, tuple[np.float32, np.float32]]:
        """n-gram -> (log10 probability, log10 back-off) of all that pruning keeps; 0 where nothing follows."""
        return {
            ngram: (min(log10f(p), F(0)), log10f(self.backoff.get(ngram, F(1))))
            for ngram, p in self.probability.items()
            if self.kept(ngram)
        }
