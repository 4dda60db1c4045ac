"""CCNet's normaliser, one step and one character at a time: the slow twin of `corpora.text.normalise`.

Source: facebookresearch/cc_net, cc_net/text_normalizer.py, `normalize` with its default arguments, or
without `accent` and `case`, as edugp/kenlm's `normalize`.
"""

from __future__ import annotations

import re
import unicodedata

# mark and replacement
PAIRS = """
，, 。. 、, „" ”" “" «" »" １" 」" 「" 《" 》" ´' ∶: ：: ？? ！! （( ）) ；; –- ～~ ’' …... ━- 〈< 〉> 【[ 】] ％% ►-
"""
PUNCTUATION = {pair[0]: pair[1:] for pair in PAIRS.split()} | {"—": " - ", "．": ". "}
DIGIT = re.compile(r"\d")


def normalise(line: str, accent: bool = True, case: bool = True) -> str:
    line = line.strip()
    if case:
        line = line.lower()
    if accent:
        line = "".join(c for c in unicodedata.normalize("NFD", line) if unicodedata.category(c) != "Mn")
    line = DIGIT.sub("0", line)
    line = "".join(PUNCTUATION.get(c, c) for c in line)
    return "".join(c for c in line if not (ord(c) < 32 or 127 <= ord(c) < 160))
