r"""Where words of GPT-2's pattern begin.

The pattern: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.

Text is scanned in blocks of 64 bytes, each represented by the bits of a number, lowest bit first: one number for each
class of characters. Bitwise logic then gives the bytes where a word begins.

Twin: tests/reference/gpt2_words.py::words_of
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import bytes_between, inlined, trailing_zeros, uncounted
from corpora.encoding.cache.word_symbols import code_point, utf8_size

OTHER, LETTER, NUMBER, WHITE = 0, 1, 2, 3  # classes of characters
BLOCK = 64
_SPACE, _APOSTROPHE = ord(" "), ord("'")
_S, _T, _M, _D, _R, _E, _V, _L = map(ord, "stmdrevl")
_ONE, _LAST, _ALL = np.uint64(1), np.uint64(BLOCK - 1), np.uint64(0xFFFFFFFFFFFFFFFF)
# `carried`, from one block of a text to the next: bytes of an unfinished character, by class; the class of the last
# byte, and whether it is a space; beginnings to remove and to add.
_UNFINISHED, _BEFORE, _SPACE_BEFORE, _TAKEN, _ADDED, CARRIED = 0, 4, 8, 9, 10, 11


@inlined
def _class(data: NDArray[np.uint8], position: int, classes: NDArray[np.uint8]) -> int:
    first = data[position]
    return int(classes[first if first < 0x80 else code_point(data, position, utf8_size(first))])


@inlined
def _contraction(data: NDArray[np.uint8], position: int, stop: int) -> int:
    """The length in bytes of 's 't 'm 'd 're 've 'll at `position`, an apostrophe; 0 if it is none of them."""
    if position + 1 >= stop:
        return 0
    second = data[position + 1]
    if second == _S or second == _T or second == _M or second == _D:  # noqa: SIM109 (kernels have no tuples)
        return 2
    if position + 2 >= stop:
        return 0
    third = data[position + 2]
    if third == _E:
        return 3 if second == _R or second == _V else 0  # noqa: SIM109
    return 3 if second == _L and third == _L else 0


@uncounted
def _characters(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    firsts: np.uint64,
    classes: NDArray[np.uint8],
    found: NDArray[np.uint64],
) -> np.uint64:
    """Bytes of the characters that begin at the bits `firsts`: `found[class]`, of the next block `found[4 + class]`.

    Returns the first bytes of white-space characters that are followed by something else.
    """
    found[:] = 0
    whites = np.uint64(0)
    while firsts != 0:
        place = trailing_zeros(firsts)
        firsts &= firsts - _ONE
        start = position + place
        size, kind = utf8_size(data[start]), _class(data, start, classes)
        bits = (_ONE << np.uint64(size)) - _ONE
        found[kind] |= bits << np.uint64(place)
        if place + size > BLOCK:
            found[4 + kind] = bits >> np.uint64(BLOCK - place)
        if kind == WHITE and start + size < stop and _class(data, start + size, classes) != WHITE:
            whites |= _ONE << np.uint64(place)
    return whites


@uncounted
def _with_contractions(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    begins: np.uint64,
    apostrophes: np.uint64,
    carried: NDArray[np.uint64],
) -> np.uint64:
    """`begins`, corrected where an apostrophe begins a contraction, which is a word of its own whatever follows."""
    while apostrophes != 0:
        place = trailing_zeros(apostrophes)
        apostrophes &= apostrophes - _ONE
        size = _contraction(data, position + place, stop)
        if size == 0:
            continue
        if place + 1 < BLOCK:
            begins &= ~(_ONE << np.uint64(place + 1))
        else:
            carried[_TAKEN] = _ONE
        if place + size < BLOCK:
            begins |= _ONE << np.uint64(place + size)
        else:
            carried[_ADDED] = _ONE << np.uint64(place + size - BLOCK)
    return begins


@inlined
def _letter_pairs(text: NDArray[np.uint8], at: int) -> np.uint64:
    """The first bytes of two-byte letters: U+00C0 to U+023F and U+0400 to U+047F, without U+00D7 and U+00F7."""
    signs = bytes_between(text, at + 1, 0x97, 0x97) | bytes_between(text, at + 1, 0xB7, 0xB7)
    others = bytes_between(text, at, 0xC4, 0xC8) | bytes_between(text, at, 0xD0, 0xD1)
    return np.uint64(others | bytes_between(text, at, 0xC3, 0xC3) & ~signs)


@inlined
def _others_by_character(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    firsts: np.uint64,
    bits: tuple[np.uint64, np.uint64, np.uint64, np.uint64],
    classes: NDArray[np.uint8],
    carried: NDArray[np.uint64],
    found: NDArray[np.uint64],
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """Adds the characters that begin at `firsts` to `bits`: letters, numbers, others, whites.

    Also returns the last whites. `carried` gets the bytes of a character that continues in the next block.
    """
    last_whites = _characters(data, position, stop, firsts, classes, found)
    letters = bits[0] | found[LETTER]
    numbers = bits[1] | found[NUMBER] | carried[_UNFINISHED + NUMBER]
    others = bits[2] | found[OTHER] | carried[_UNFINISHED + OTHER]
    whites = bits[3] | found[WHITE] | carried[_UNFINISHED + WHITE]
    carried[_UNFINISHED + LETTER] |= found[4 + LETTER]
    for kind in (OTHER, NUMBER, WHITE):
        carried[_UNFINISHED + kind] = found[4 + kind]
    return letters, numbers, others, whites, last_whites


@inlined
def _begins(
    letters: np.uint64,
    numbers: np.uint64,
    others: np.uint64,
    whites: np.uint64,
    last_whites: np.uint64,
    spaces: np.uint64,
    carried: NDArray[np.uint64],
) -> np.uint64:
    """Where words begin, except contractions: where the class changes. A space is its word's first byte.

    A run of white space is a word too, except for its last character if something else follows: a space then belongs
    to the next word, and any other character is a word of its own.
    """
    changes = letters & ~(letters << _ONE | carried[_BEFORE + LETTER])
    changes |= numbers & ~(numbers << _ONE | carried[_BEFORE + NUMBER])
    changes |= others & ~(others << _ONE | carried[_BEFORE + OTHER])
    begins = changes & ~(spaces << _ONE | carried[_SPACE_BEFORE])
    begins |= whites & ~(whites << _ONE | carried[_BEFORE + WHITE]) | last_whites
    begins = np.uint64(begins & ~carried[_TAKEN] | carried[_ADDED])
    carried[_TAKEN] = carried[_ADDED] = np.uint64(0)
    carried[_BEFORE + LETTER], carried[_BEFORE + NUMBER] = letters >> _LAST, numbers >> _LAST
    carried[_BEFORE + OTHER], carried[_BEFORE + WHITE] = others >> _LAST, whites >> _LAST
    carried[_SPACE_BEFORE] = spaces >> _LAST
    return begins


@inlined
def beginnings(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    text: NDArray[np.uint8],
    at: int,
    classes: NDArray[np.uint8],
    carried: NDArray[np.uint64],
    found: NDArray[np.uint64],
) -> np.uint64:
    """The bytes of the block at `position` where a word begins, in a text that ends at `stop`.

    text: has the block at `at` and one more byte: `data`, or a copy if `data` ends too early. The data is valid
    UTF-8. classes: of each code point. carried: uint64[CARRIED], zeros for a text's first block. found: uint64[8],
    scratch memory.
    """
    valid = _ALL if stop - position >= BLOCK else (_ONE << np.uint64(stop - position)) - _ONE
    # ASCII's characters and the most common two-byte letters are recognised by byte ranges, the others below.
    pairs = _letter_pairs(text, at)
    letters = bytes_between(text, at, ord("a"), ord("z")) | bytes_between(text, at, ord("A"), ord("Z"))
    letters |= pairs | pairs << _ONE | carried[_UNFINISHED + LETTER]
    carried[_UNFINISHED + LETTER] = pairs >> _LAST
    numbers = bytes_between(text, at, ord("0"), ord("9"))
    spaces = bytes_between(text, at, _SPACE, _SPACE) & valid
    plain_whites = (bytes_between(text, at, ord("\t"), ord("\r")) | spaces) & valid
    high = bytes_between(text, at, 0x80, 0xFF)
    others, whites, last_whites = ~(letters | numbers | plain_whites | high), plain_whites, np.uint64(0)
    if high & ~letters & valid != 0:
        firsts = bytes_between(text, at, 0xC0, 0xFF) & ~letters & valid
        letters, numbers, others, whites, last_whites = _others_by_character(
            data, position, stop, firsts, (letters, numbers, others, whites), classes, carried, found
        )
    letters, numbers, others, whites = letters & valid, numbers & valid, others & valid, whites & valid
    # The last white-space character before something else: a space belongs to the next word, another is a word.
    followed = (letters | numbers | others) >> _ONE
    if plain_whites >> _LAST != 0 and position + BLOCK < stop:
        followed |= np.uint64(_class(data, position + BLOCK, classes) != WHITE) << _LAST
    last_whites |= plain_whites & followed
    begins = _begins(letters, numbers, others, whites, last_whites, spaces, carried)
    apostrophes = begins & bytes_between(text, at, _APOSTROPHE, _APOSTROPHE)
    if apostrophes != 0:
        begins = _with_contractions(data, position, stop, begins, apostrophes, carried)
    return np.uint64(begins & valid)
