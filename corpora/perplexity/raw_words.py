r"""Lines of raw words, in UTF-8: KenLM's ids for their words, and the number of words that Python counts.

KenLM ends words at ASCII whitespace (9-13 and 32; util/spaces.cc) and a line at its first NUL (it takes a C string).
`len(line.split())` splits at Unicode whitespace, and NUL is a letter. Both are done in one pass.

Twin: tests/reference/kenlm_loop.py::perplexity
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.probing import ProbingModel
from corpora.perplexity.vocabulary_kernels import SPARE
from corpora.text.murmur import murmur

_NEWLINE = 10
_LETTER, _SPACE, _PYTHON_SPACE, _END, _PERHAPS_WIDE = range(5)  # what a byte may be
_KINDS = np.zeros(256, np.uint8)
_KINDS[[*range(9, 14), 32]] = _SPACE
_KINDS[28:32] = _PYTHON_SPACE
_KINDS[0] = _END  # the end of KenLM's line; a letter to Python
_KINDS[[0xC2, 0xE1, 0xE2, 0xE3]] = _PERHAPS_WIDE  # first byte of a letter, or of whitespace beyond ASCII

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class RawLines(NamedTuple):
    """ids uint32[m]; offsets int64[lines + 1]: line k has ids[offsets[k]:offsets[k + 1]].

    lengths int64[lines]: Python's number of words, plus 1; lines_per_document int64[n].
    """

    ids: npt.NDArray[np.uint32]
    offsets: Offsets
    lengths: Offsets
    lines_per_document: Offsets


def raw_lines(model: ProbingModel, data: Bytes, offsets: Offsets, *, split: bool) -> RawLines:
    """The lines of documents data[offsets[k]:offsets[k + 1]]: split at newlines, or one line each. Any bytes."""
    lines_per_document = _count_lines(data, offsets) if split else np.ones(len(offsets) - 1, np.int64)
    hashes = np.empty((offsets[-1] - offsets[0] + len(offsets)) // 2 + 1, np.uint64)
    ends, lengths = _hash_lines(data, offsets, split, hashes, int(lines_per_document.sum()))
    return RawLines(model.hashed_word_ids(hashes[: ends[-1]]), ends, lengths, lines_per_document)


@kernel
def _count_lines(data: Bytes, offsets: Offsets) -> Offsets:
    lines = np.ones(len(offsets) - 1, np.int64)
    for document in range(len(lines)):
        for place in range(offsets[document], offsets[document + 1]):
            lines[document] += data[place] == _NEWLINE
    return lines


@kernel
def _hash_lines(
    data: Bytes, offsets: Offsets, split: bool, hashes: npt.NDArray[np.uint64], lines: int
) -> tuple[Offsets, Offsets]:
    """Writes the hashes of KenLM's words; returns (ends int64[lines + 1], 0 first; lengths int64[lines])."""
    ends, lengths = np.zeros(lines + 1, np.int64), np.zeros(lines, np.int64)
    line, words = 0, np.int64(0)  # typed, or numba compiles `_hash_line` twice
    for document in range(len(offsets) - 1):
        start, last = offsets[document], offsets[document + 1]
        while start <= last:
            start, words, length = _hash_line(data, start, last, split, hashes, words)
            line += 1
            ends[line], lengths[line - 1] = words, length
    return ends, lengths


@kernel
def _hash_line(
    data: Bytes, start: int, last: int, split: bool, hashes: npt.NDArray[np.uint64], words: np.int64
) -> tuple[int, np.int64, int]:
    """Hashes one line's words, from `start` on, into hashes[words:]; (start of the next, number of hashes, length).

    Two words may be open: KenLM's from `begin` on (until `ended` by NUL), and Python's from `own` on.
    """
    begin = own = place = start
    ended, length = False, 1
    while True:
        while place < last:
            kind = _KINDS[data[place]]
            if kind != _LETTER and (kind != _PERHAPS_WIDE or _wide_whitespace(data, place, last) > 0):
                break
            place += 1
        done = place == last or (split and data[place] == _NEWLINE)
        kind = _SPACE if done else _KINDS[data[place]]
        if not ended and kind in (_SPACE, _END):
            if place > begin:
                hashes[words] = _hash(data, begin, place)
                words += 1
            begin, ended = place + 1, kind == _END
        width = 1 if done or kind in (_SPACE, _PYTHON_SPACE) else _wide_whitespace(data, place, last)
        if width > 0:
            length += place > own
            own = place + width
        place += max(width, 1)
        if done:
            return place, words, length


@kernel
def _hash(data: Bytes, begin: int, end: int) -> np.uint64:
    if end + SPARE <= len(data):
        return murmur(data, begin, end - begin)
    spared = np.zeros(end - begin + SPARE, np.uint8)
    for place in range(begin, end):  # not a slice: numba takes seconds to compile slices
        spared[place - begin] = data[place]
    return murmur(spared, 0, end - begin)


@kernel
def _wide_whitespace(data: Bytes, place: int, last: int) -> int:
    """The length of the non-ASCII whitespace character (`str.isspace`) at `place`; 0 if there is none."""
    first = data[place]
    if first == 0xC2:
        return 2 if place + 1 < last and data[place + 1] in (0x85, 0xA0) else 0
    if place + 2 >= last:
        return 0
    second, third = data[place + 1], data[place + 2]
    found = False
    if first == 0xE3:
        found = second == 0x80 and third == 0x80
    elif first == 0xE1:
        found = second == 0x9A and third == 0x80
    elif first == 0xE2 and second == 0x80:
        found = 0x80 <= third <= 0x8A or third in (0xA8, 0xA9, 0xAF)
    elif first == 0xE2 and second == 0x81:
        found = third == 0x9F
    return 3 if found else 0
