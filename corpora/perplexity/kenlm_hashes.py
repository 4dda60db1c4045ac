"""KenLM's key of an n-gram in a hash table: combined from its words, the last one first.

key(w) = w; key(v ... w) = key(... w) * LAST_WORD_FACTOR ^ (v + 1) * NEXT_WORD_FACTOR, in 64 bits.
Source: kpu/kenlm lm/search_hashed.hh, `CombineWordHash`.
"""

from __future__ import annotations

import numpy as np

LAST_WORD_FACTOR = np.uint64(8978948897894561157)
NEXT_WORD_FACTOR = np.uint64(17894857484156487943)
