"""Kernels that join documents, cut the stream into rows, and find the fullest row that still has room.

Twin: tests/reference/packing.py::stream, tests/reference/packing.py::best_fit
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, kernel, trailing_zeros

NO_ID = -1
_ONE = np.uint64(1)


@inlined
def _copied(
    source: NDArray[np.unsignedinteger], begin: int, stop: int, target: NDArray[np.unsignedinteger], end: int
) -> int:
    """Copies source[begin:stop] to target[end:]. Returns where the copy ends."""
    first, to, count = np.uint64(begin), np.uint64(end), np.uint64(stop - begin)  # unsigned: moves whole blocks
    for place in range(count):
        target[to + place] = source[first + place]
    return end + stop - begin


@kernel
def append(
    ids: NDArray[np.unsignedinteger],
    offsets: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    bos_id: int,
    eos_id: int,
    stream: NDArray[np.unsignedinteger],
    end: int,
    starts: NDArray[np.int64],
) -> tuple[int, int]:
    """Copies the chosen documents to stream[end:], each between bos_id and eos_id (NO_ID: none).

    starts: filled with where each document begins, except documents that leave no id. Returns the stream's new end,
    and the number of starts.
    """
    begun = 0
    for place in range(chosen.shape[0]):
        if not chosen[place]:
            continue
        begin = end
        if bos_id != NO_ID:
            stream[end] = bos_id
            end += 1
        end = _copied(ids, offsets[place], offsets[place + 1], stream, end)
        if eos_id != NO_ID:
            stream[end] = eos_id
            end += 1
        if end > begin:
            starts[begun] = begin
            begun += 1
    return end, begun


@kernel
def cut(
    stream: NDArray[np.unsignedinteger],
    begin: int,
    end: int,
    widths: NDArray[np.int64],
    inside: tuple[int, int],
    finish: bool,
    offsets: NDArray[np.int64],
) -> int:
    """Cuts stream[begin:end] into at most len(widths) rows; row i takes widths[i] ids. Returns how many there are.

    No id in [inside[0], inside[1]) begins a row: instead, the row before ends a few ids earlier. So the id after a
    row must be known, unless `finish` is set.
    """
    offsets[0] = begin
    for row in range(widths.shape[0]):
        stop = offsets[row] + widths[row]
        if stop > end or (stop == end and not finish):
            return row
        border = stop
        while border < end and border > offsets[row] and inside[0] <= stream[border] < inside[1]:
            border -= 1
        offsets[row + 1] = border if border > offsets[row] else stop  # no border in the row: cut at its width
    return len(widths)


@inlined
def _first_set(bits: NDArray[np.uint64], place: int) -> int:
    """The first set bit at or after `place`; bits.shape[0] * 64 if there is none."""
    word = place >> 6
    left = bits[word] >> np.uint64(place & 63)
    if left != 0:
        return place + int(trailing_zeros(left))
    word += 1
    while word < bits.shape[0] and bits[word] == 0:
        word += 1
    if word == bits.shape[0]:
        return 64 * word
    return 64 * word + int(trailing_zeros(bits[word]))


@kernel
def best_fit(lengths: NDArray[np.int64], order: NDArray[np.int64], width: int, row_of: NDArray[np.int64]) -> int:
    """Puts each part, in this order, into the row with the least room that is enough, or into a new row.

    lengths: 1 to `width`. row_of[part]: filled with its row. Among rows with equal room, the one that reached it last
    is taken. Returns the number of rows.
    """
    parts = lengths.shape[0]
    room_bits = np.zeros((width >> 6) + 1, np.uint64)  # bit r: some row has room for r ids
    newest = np.full(width + 1, -1, np.int64)  # by room: the newest row, the head of a chain
    before = np.full(parts, -1, np.int64)
    rows = 0
    for turn in range(parts):
        part = order[turn]
        length = lengths[part]
        room = _first_set(room_bits, length)
        if room > width:
            row = rows
            rows += 1
            room = width
        else:
            row = newest[room]
            newest[room] = before[row]
            if newest[room] < 0:
                room_bits[room >> 6] &= ~(_ONE << np.uint64(room & 63))
        row_of[part] = row
        room -= length
        if room > 0:
            before[row] = newest[room]
            newest[room] = row
            room_bits[room >> 6] |= _ONE << np.uint64(room & 63)
    return rows


@kernel
def gather(
    stream: NDArray[np.unsignedinteger],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    order: NDArray[np.int64],
    out: NDArray[np.unsignedinteger],
) -> None:
    """Copies the parts stream[begins[p]:begins[p] + lengths[p]] one after the other, in the given order."""
    end = 0
    for turn in range(order.shape[0]):
        part = order[turn]
        end = _copied(stream, begins[part], begins[part] + lengths[part], out, end)


@kernel
def count_ids(ids: NDArray[np.unsignedinteger], counts: NDArray[np.int64]) -> None:
    """Adds how often each id occurs in ids [n, width]."""
    for row in range(ids.shape[0]):
        for place in range(ids.shape[1]):
            counts[ids[row, place]] += 1
