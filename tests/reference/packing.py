"""Packing one id at a time: the slow twins of `corpora.tokens.concatenate` and `best_fit`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def stream(documents: Sequence[list[int]], bos: int | None, eos: int | None) -> tuple[list[int], list[int]]:
    """(ids, where documents begin)."""
    ids: list[int] = []
    starts: list[int] = []
    for document in documents:
        marked = [*([] if bos is None else [bos]), *document, *([] if eos is None else [eos])]
        starts += [len(ids)] if marked else []
        ids += marked
    return ids, starts


def cut(ids: list[int], widths: Iterator[int], inside: range = range(0)) -> tuple[list[list[int]], list[int]]:
    """(rows, what is left). No row begins with an id of `inside`, if a row can be had that way."""
    rows, begin = [], 0
    for width in widths:
        if begin + width > len(ids):
            break
        end = begin + width
        while end < len(ids) and end > begin and ids[end] in inside:
            end -= 1
        end = end if end > begin else begin + width
        rows.append(ids[begin:end])
        begin = end
    return rows, ids[begin:]


def best_fit(lengths: list[int], width: int) -> list[int]:
    """The row of each part: longest first, into the row with the least room that has enough, the newest of equals."""
    row_of = [0] * len(lengths)
    room: list[int] = []
    came: list[int] = []
    for turn, part in enumerate(sorted(range(len(lengths)), key=lambda p: (-lengths[p], p))):
        fitting = [row for row in range(len(room)) if room[row] >= lengths[part]]
        if fitting:
            row = min(fitting, key=lambda r: (room[r], -came[r]))
        else:
            row = len(room)
            room.append(width)
            came.append(0)
        room[row] -= lengths[part]
        came[row] = turn
        row_of[part] = row
    return row_of
