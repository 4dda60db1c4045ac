"""Kernels of span corruption: each row's mask drawn from its key, and rows written out by their masks.

T5 shuffles s ones among the places between items to cut these into s + 1 segments; Floyd's algorithm picks the same
uniform subset in s steps, here in a bit set, whose order gives the segments. Random numbers are SplitMix64 of the
row's key (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). A number below n is the upper
half of a product with n, which favours some numbers by at most n / 2**64.

Twin: tests/reference/keyed_spans.py::mask
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, kernel, multiply_high, trailing_zeros
from corpora.randomness import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)
_ONE = np.uint64(1)


@inlined
def _mixed(state: np.uint64) -> np.uint64:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


@inlined
def _below(state: np.uint64, bound: int) -> int:
    """0 to bound - 1."""
    return int(np.int64(multiply_high(_mixed(state), np.uint64(bound))))


@inlined
def _cut(
    state: np.uint64, items: int, cuts: int, bits: NDArray[np.uint64], segments: NDArray[np.int64], first: int
) -> np.uint64:
    """Lengths of cuts + 1 segments of `items`, all cuts equally likely, to segments[first], [first + 2], ...

    bits: scratch memory of zeros; zeros again afterwards. Returns the next state.
    """
    for top in range(items - 1 - cuts, items - 1):
        state += _GOLDEN
        place = _below(state, top + 1)
        if (bits[place >> 6] >> np.uint64(place & 63)) & _ONE:
            place = top
        bits[place >> 6] |= _ONE << np.uint64(place & 63)
    before, target = 0, first
    for word in range((items + 62) >> 6):
        left = bits[word]
        bits[word] = 0
        while left != 0:
            end = 64 * word + trailing_zeros(left) + 1
            left &= left - _ONE
            segments[target] = end - before
            before = end
            target += 2
    segments[target] = items - before
    return state


@inlined
def _roll(state: np.uint64, kept: int, spans: int, segments: NDArray[np.int64], turned: NDArray[np.int64]) -> int:
    """Rotates kept, noise, kept, noise, ... to begin at any kept token or span, all equally likely.

    `turned` is filled with the segments, with the part cut off at the beginning moved to the end. Returns their
    number.
    """
    start = _below(state + _GOLDEN, kept + spans)
    segment = 0
    while start >= (segments[segment] if segment & 1 == 0 else 1):
        start -= segments[segment] if segment & 1 == 0 else 1
        segment += 1
    count = 0
    if segment & 1:  # it begins with noise: no kept token before it
        turned[0] = 0
        count = 1
    for step in range(2 * spans):
        place = segment + step
        place -= 2 * spans if place >= 2 * spans else 0
        turned[count] = segments[place] - (start if step == 0 else 0)
        count += 1
    if start > 0:
        turned[count] = start
        count += 1
    return count


@inlined
def _drawn(
    key: np.uint64,
    length: int,
    noise: int,
    spans: int,
    rolls: bool,
    bits: NDArray[np.uint64],
    segments: NDArray[np.int64],
    turned: NDArray[np.int64],
) -> int:
    """Writes a row's segments to `turned`: kept, noise, kept, noise, ..., perhaps kept. Returns their number."""
    state = _cut(key, noise, spans - 1, bits, segments, 1)
    state = _cut(state, length - noise, spans - 1, bits, segments, 0)
    if rolls:
        return int(_roll(state, length - noise, spans, segments, turned))
    for segment in range(2 * spans):
        turned[segment] = segments[segment]
    return 2 * spans


@kernel
def draw_masks(keys: NDArray[np.uint64], noise: int, spans: int, rolls: bool, masks: NDArray[np.bool_]) -> None:
    """masks: bool[n, length], filled with one mask per key: exactly `noise` true, in exactly `spans` runs."""
    length = masks.shape[1]
    bits = np.zeros((length >> 6) + 1, np.uint64)
    segments, turned = np.empty(2 * spans, np.int64), np.empty(2 * spans + 2, np.int64)
    for row in range(keys.shape[0]):
        count = _drawn(keys[row], length, noise, spans, rolls, bits, segments, turned)
        position = 0
        for segment in range(count):
            for _ in range(turned[segment]):
                masks[row, position] = segment & 1 == 1
                position += 1


@kernel
def corrupt(
    ids: NDArray[np.unsignedinteger],
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    kinds: NDArray[np.uint8],
    shapes: NDArray[np.int64],
    sentinels: NDArray[np.unsignedinteger],
    eos_id: int,
    inputs: NDArray[np.unsignedinteger],
    labels: NDArray[np.unsignedinteger],
) -> None:
    """Corrupts rows ids[offsets[i]:offsets[i + 1]], the noise of row i drawn from keys[i].

    shapes[kinds[i]]: noise tokens, spans, whether the mask is rolled. inputs, labels: [n, widths], filled with
    padding on entry; each row is written from the left, EOS last.
    """
    longest, most_spans = 0, np.max(shapes[:, 1])
    for row in range(keys.shape[0]):
        longest = max(longest, offsets[row + 1] - offsets[row])
    bits = np.zeros((longest >> 6) + 1, np.uint64)
    segments, turned = np.empty(2 * most_spans, np.int64), np.empty(2 * most_spans + 2, np.int64)
    for row in range(keys.shape[0]):
        noise, spans, rolls = shapes[kinds[row], 0], shapes[kinds[row], 1], shapes[kinds[row], 2] != 0
        position, length = offsets[row], offsets[row + 1] - offsets[row]
        count = _drawn(keys[row], length, noise, spans, rolls, bits, segments, turned)
        input_end, label_end = 0, 0
        for segment in range(count):
            if segment & 1 == 0:
                for _ in range(turned[segment]):
                    inputs[row, input_end] = ids[position]
                    input_end += 1
                    position += 1
                continue
            inputs[row, input_end] = labels[row, label_end] = sentinels[segment >> 1]
            input_end += 1
            label_end += 1
            for _ in range(turned[segment]):
                labels[row, label_end] = ids[position]
                label_end += 1
                position += 1
        inputs[row, input_end] = labels[row, label_end] = eos_id
