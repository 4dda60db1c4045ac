"""Packing on any documents: equal to the twins, nothing lost, nothing made up, whatever the batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.encoding.flat import FlatIds, flat_ids
from corpora.tokens import best_fit as packing
from corpora.tokens.best_fit import BestFit
from corpora.tokens.concatenate import Concatenation, Separators, Stream
from corpora.tokens.packing_kernels import NO_ID, best_fit
from corpora.tokens.rows import tail as tail_of
from tests.reference import packing as twin

BOS, EOS = 1, 2
DOCUMENTS = st.lists(st.lists(st.integers(3, 60), max_size=40), max_size=30)
MARKS = st.tuples(st.booleans(), st.booleans())


def batches(documents: list[list[int]], size: int) -> list[FlatIds]:
    return [
        flat_ids([np.array(d, np.uint16) for d in documents[i : i + size]], np.uint16)
        for i in range(0, len(documents), size)
    ]


def filled(documents: list[list[int]], marks: tuple[bool, bool], size: int, packer) -> tuple[Stream, list]:
    held = Stream(np.uint16, Separators(BOS if marks[0] else NO_ID, EOS if marks[1] else NO_ID))
    pack = packer(held)
    rows = []
    for batch in batches(documents, size):
        held.add(batch, np.ones(len(batch.offsets) - 1, np.bool_))
        rows += [unpacked(group) for group in pack.groups()]
    groups, tail = pack.finish(last=False)
    rows += [unpacked(group) for group in groups]
    return held, [rows, tail]


def unpacked(group) -> list[tuple[list[int], list[int]]]:
    """(ids, starts) of each row of a group."""
    ends = group.offsets.tolist()
    return [
        (group.ids[a:b].tolist(), [s - a for s in group.starts.tolist() if a <= s < b])
        for a, b in itertools.pairwise(ends)
    ]


@settings(max_examples=150, deadline=None)
@given(
    documents=DOCUMENTS, marks=MARKS, size=st.integers(1, 30), group=st.integers(1, 5),
    widths=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    inside=st.sampled_from([range(0), range(20, 40), range(10, 60)]),
)  # fmt: skip
def test_concatenation_equals_its_twin(documents, marks, size, group, widths, inside):
    def packer(held):
        def kinds(first, count):
            return (np.arange(first, first + count) % len(widths)).astype(np.uint8)

        return Concatenation(held, kinds, np.array(widths), group, (inside.start, inside.stop))

    held, (groups, tail) = filled(documents, marks, size, packer)
    ids, starts = twin.stream(documents, BOS if marks[0] else None, EOS if marks[1] else None)
    rows, rest = twin.cut(ids, itertools.cycle(widths), inside)
    assert [row for g in groups for row, _ in g] == rows
    assert tail.array.tolist() == rest
    assert all(len(g) == group for g in groups[:-1])
    begins = list(itertools.accumulate(map(len, rows), initial=0))
    found = [begin + s for begin, (_, own) in zip(begins, itertools.chain(*groups), strict=False) for s in own]
    assert found + [begins[-1] + s for s in tail.document_starts] == starts
    assert (held.ids, held.documents) == (sum(map(len, documents)), len(documents))
    assert held.ids + held.separators == sum(map(len, rows)) + tail.num_ids


@settings(max_examples=200, deadline=None)
@given(lengths=st.lists(st.integers(1, 70), max_size=60), width=st.sampled_from([70, 100, 128, 129]))
def test_best_fit_equals_its_twin(lengths, width):
    sizes, row_of = np.array(lengths, np.int64), np.empty(len(lengths), np.int64)
    rows = best_fit(sizes, np.argsort(-sizes, kind="stable"), width, row_of)
    assert row_of.tolist() == twin.best_fit(lengths, width)
    assert rows == len(set(row_of.tolist()))


@settings(max_examples=150, deadline=None)
@given(
    documents=DOCUMENTS, marks=MARKS, size=st.integers(1, 30), width=st.integers(1, 30), last=st.booleans(),
    window=st.sampled_from([5, 1000]),
)  # fmt: skip
def test_best_fit_rows_hold_every_document_once_and_cut_only_long_ones(documents, marks, size, width, last, window):
    def packer(held):
        pack = BestFit(held, width, 4, base=7)
        pack._window_ids = window * width  # above what may wait
        return pack

    held, (groups, tail) = filled(documents, marks, size, packer)
    if last:
        final = BestFit(rest := Stream(np.uint16, Separators(BOS, EOS)), width, 4, base=8)
        rest.add_tail(tail)
        more, tail = final.finish(last=True)
        groups += [unpacked(group) for group in more]
        assert tail.num_ids == 0
    ids, starts = twin.stream(documents, BOS if marks[0] else None, EOS if marks[1] else None)
    rows = [row for group in groups for row in group]
    assert all(0 < len(row) <= width for row, _ in rows)
    parts = [part for row, own in rows for part in split_at(row, own)]
    borders = sorted({*tail.document_starts, *tail.rests, tail.num_ids})
    parts += [tuple(tail.array[a:b].tolist()) for a, b in itertools.pairwise(borders)]
    wanted = [tuple(ids[a:b]) for a, b in itertools.pairwise([*starts, len(ids)])]
    slices = [part[at : at + width] for part in wanted for at in range(0, len(part), width)]
    assert sorted(parts) == sorted(slices)
    assert sum(len(own) for _, own in rows) <= len(parts)
    assert held.ids + held.separators == len(ids)


def split_at(row: list[int], starts: list[int]) -> list[tuple[int, ...]]:
    borders = sorted({0, *starts, len(row)})
    return [tuple(row[a:b]) for a, b in itertools.pairwise(borders)]


def test_rows_far_from_full_wait_and_a_begun_document_is_told_from_a_rest():
    held = Stream(np.uint16, Separators(NO_ID, EOS))
    held.add(flat_ids([np.full(n, n, np.uint16) for n in (9, 23, 4)], np.uint16), np.ones(3, np.bool_))
    groups, tail = BestFit(held, 10, 4, base=0).finish(last=False)
    assert sorted(unpacked(next(groups))) == [([9] * 9 + [2], [0]), ([23] * 10, []), ([23] * 10, [0])]
    assert (tail.document_starts, tail.rests) == ([4], [0])
    assert tail.array.tolist() == [23, 23, 23, 2, 4, 4, 4, 4, 2]
    assert tail.num_ids < packing.MOST_WAITING * 10


def equal_documents(number: int, ids: int) -> Stream:
    held = Stream(np.uint16, Separators(NO_ID, EOS))
    held.add(flat_ids([np.full(ids, 9, np.uint16)] * number, np.uint16), np.ones(number, np.bool_))
    return held


def test_rows_wait_while_they_hold_less_than_four_rows():
    groups, tail = BestFit(equal_documents(40, 5), 10, 4, base=0).finish(last=False)
    assert (sum(group.num_rows for group in groups), tail.num_ids) == (34, 36)  # rows of 6 ids; 7 would have 42


@pytest.mark.parametrize(("ids", "waiting"), [(95, 96), (96, 0)])
def test_rows_of_97_in_100_ids_do_not_wait(ids, waiting):
    assert BestFit(equal_documents(1, ids), 100, 4, base=0).finish(last=False)[1].num_ids == waiting


def test_best_fit_rows_do_not_depend_on_the_batches():
    """Windows end where documents do, so a window may be filled by the last document of a batch."""

    def packer(held):
        pack = BestFit(held, 10, 4, base=7)
        pack._window_ids = 50
        return pack

    documents = [[n + 3] * 9 for n in range(40)]
    found = [filled(documents, (False, True), size, packer)[1] for size in (1, 3, 40)]
    assert found[0] == found[1] == found[2]


def test_what_is_cut_off_takes_its_rests_along():
    """Tails of many parts are joined, so the rest of a document can begin anywhere."""
    held = Stream(np.uint16, Separators(NO_ID, EOS))
    one = tail_of(np.arange(10, dtype=np.uint16), np.array([4]), np.array([0]))
    held.add_tail(one)
    held.add_tail(one)
    cut = held.cut_off(10)
    for part in (held.tail(), cut):
        assert (part.array.tolist(), part.document_starts, part.rests) == (list(range(10)), [4], [0])
