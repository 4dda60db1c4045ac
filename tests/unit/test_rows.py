"""Packing, document borders and the split."""

from __future__ import annotations

import numpy as np
import pytest

from corpora.tokens import causal
from corpora.tokens.concatenate import RowGroup, RowPacker, Tail
from corpora.tokens.split import is_validation

EOS = 1


def documents(seed: int, count: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(2, 60_000, random.integers(0, 40)).astype(np.uint16) for _ in range(count)]


def stream_and_starts(parts: list[np.ndarray]) -> tuple[list[int], list[int]]:
    stream: list[int] = []
    starts: list[int] = []
    for part in parts:
        starts.append(len(stream))
        stream += [*part.tolist(), EOS]
    return stream, starts


def pack(parts: list[np.ndarray], batch: int, width: int, group_rows: int) -> tuple[list[RowGroup], Tail, RowPacker]:
    packer = RowPacker(width, np.uint16, EOS, group_rows=group_rows)
    groups = [g for i in range(0, len(parts), batch) for g in packer.add(parts[i : i + batch])]
    last, tail = packer.finish()
    return [*groups, last], tail, packer


@pytest.mark.parametrize("batch", [1, 7, 500])
@pytest.mark.parametrize(("width", "group_rows"), [(10, 4), (33, 1), (7, 1000)])
def test_rows_and_tail_are_the_stream(batch, width, group_rows):
    parts = documents(0, 300)
    stream, starts = stream_and_starts(parts)
    groups, tail, packer = pack(parts, batch, width, group_rows)
    assert [len(g.rows) for g in groups[:-1]] == [group_rows] * (len(groups) - 1)
    assert len(groups[-1].rows) < group_rows
    assert len(tail.ids) < width
    assert [i for g in groups for i in g.rows.reshape(-1).tolist()] + tail.ids == stream
    whole = len(stream) - len(tail.ids)
    assert [s + whole for s in tail.document_starts] == [s for s in starts if s >= whole]
    begin = np.cumsum([0] + [g.rows.size for g in groups])
    found = [s + int(b) for g, b in zip(groups, begin, strict=False) for s in g.starts.tolist()]
    assert found == [s for s in starts if s < whole]
    assert (packer.ids, packer.separators) == (len(stream) - 300, 300)
    assert packer.ids + packer.separators == sum(g.rows.size for g in groups) + len(tail.ids)


def test_tails_go_on_as_one_stream():
    parts = documents(1, 90)
    packer = RowPacker(100, np.uint16, EOS, group_rows=2)
    groups: list[RowGroup] = []
    for i in range(0, 90, 5):
        stream, starts = stream_and_starts(parts[i : i + 5])
        groups += packer.add_tail(Tail(ids=stream, document_starts=starts))
    last, tail = packer.finish()
    stream, starts = stream_and_starts(parts)
    rows = np.concatenate([g.rows for g in [*groups, last]])
    assert rows.reshape(-1).tolist() + tail.ids == stream
    assert (packer.ids, packer.separators) == (0, 0)
    assert len(rows) == len(stream) // 100


def test_an_empty_document_is_a_separator():
    packer = RowPacker(2, np.uint16, EOS, group_rows=1)
    (group,) = packer.add([np.array([], np.uint16), np.array([9], np.int64)])
    assert group.rows.tolist() == [[EOS, 9]]
    assert group.starts.tolist() == [0, 1]
    assert list(packer.add([])) == []
    assert packer.finish()[1] == Tail(ids=[EOS], document_starts=[])


def test_an_id_that_does_not_fit_is_our_bug_not_another_id():
    packer = RowPacker(2, np.uint16, EOS)
    with pytest.raises(AssertionError, match="outside the vocabulary"):
        list(packer.add([np.array([70_000], np.uint32)]))


def test_document_starts_of_each_row():
    # Rows of 4; documents begin at 0, 3, 4 and 13: row 2 has none, row 1 begins with one.
    starts = causal.document_starts(np.array([0, 3, 4, 13]), 4, 4)
    rows = [starts.values[a:b].tolist() for a, b in zip(starts.offsets, starts.offsets[1:], strict=False)]
    assert rows == [[0, 3], [0], [], [1]]
    assert starts.values.dtype == starts.offsets.dtype == np.int32


def test_inputs_and_targets_overlap_by_all_but_one():
    inputs, targets = causal.inputs_and_targets(np.arange(6, dtype=np.uint16).reshape(2, 3))
    assert inputs.tolist() == [[0, 1], [3, 4]]
    assert targets.tolist() == [[1, 2], [4, 5]]


def test_the_split_is_by_text_and_seed():
    texts = [f"documento {i}" for i in range(20_000)]
    held_out = [is_validation(t, 0.1) for t in texts]
    assert abs(sum(held_out) - 2000) < 200
    assert held_out == [is_validation(t, 0.1, 0) for t in texts]
    assert held_out != [is_validation(t, 0.1, 1) for t in texts]
    # A larger fraction only adds documents.
    assert all(is_validation(t, 0.2) for t, v in zip(texts, held_out, strict=True) if v)
    assert not any(is_validation(t, 0.0) for t in texts)
