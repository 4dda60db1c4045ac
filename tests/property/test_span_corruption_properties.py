"""Span corruption on any row: equal to the twin, nothing lost, rows independent of how many there are."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corpora.randomness import generator
from corpora.tokens import span_corruption
from tests.reference import t5_span_corruption as t5

TOP = 5000


@st.composite
def shapes(draw: st.DrawFn) -> span_corruption.RowShape:
    length = draw(st.integers(4, 300))
    density = draw(st.sampled_from([0.1, 0.15, 0.25, 0.3, 0.5, 0.6]))
    mean = draw(st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 20.0]))
    try:
        return span_corruption.row_shape(length, density, mean)
    except ValueError:
        assume(False)
        raise


@st.composite
def blocks(draw: st.DrawFn) -> tuple[span_corruption.RowShape, np.ndarray]:
    shape = draw(shapes())
    num_rows = draw(st.integers(1, 5))
    seed = draw(st.integers(0, 2**32))
    ids = np.random.default_rng(seed).integers(2, 4000, (num_rows, shape.raw_length))
    return shape, ids.astype(draw(st.sampled_from([np.uint16, np.uint32])))


def corrupt(block: tuple[span_corruption.RowShape, np.ndarray], seed: int, roll: bool) -> tuple:
    shape, rows = block
    sentinels = np.arange(TOP - 1, TOP - 1 - shape.num_noise_spans, -1).astype(np.uint16)
    return span_corruption.corrupt_rows(
        rows, generator(seed, "noise"), shape, sentinels=sentinels, eos_id=1, random_roll=roll
    )


@settings(max_examples=150, deadline=None)
@given(block=blocks(), seed=st.integers(0, 2**64), roll=st.booleans())
def test_inputs_and_labels_give_back_the_row(block, seed, roll):
    shape, rows = block
    inputs, labels = corrupt(block, seed, roll)
    assert inputs.shape == (len(rows), shape.input_length)
    assert labels.shape == (len(rows), shape.label_length)
    sentinels = set(range(TOP - shape.num_noise_spans, TOP))
    for row, row_inputs, row_labels in zip(rows.tolist(), inputs.tolist(), labels.tolist(), strict=True):
        assert t5.reassemble(row_inputs, row_labels, sentinels, eos_id=1) == row
        order = [token for token in row_inputs if token in sentinels]
        assert order == sorted(sentinels, reverse=True)
        assert order == [token for token in row_labels if token in sentinels]


@settings(max_examples=150, deadline=None)
@given(block=blocks(), seed=st.integers(0, 2**64))
def test_rows_equal_t5s_for_the_same_masks(block, seed):
    shape, rows = block
    masks = span_corruption.random_masks(
        generator(seed, "noise"), len(rows), shape.raw_length, shape.num_noise_tokens, shape.num_noise_spans
    )
    inputs, labels = corrupt(block, seed, roll=False)
    for i, row in enumerate(rows.tolist()):
        expected = t5.corrupt(row, masks[i].tolist(), TOP, eos_id=1)
        assert (inputs[i].tolist(), labels[i].tolist()) == expected


@settings(max_examples=60, deadline=None)
@given(block=blocks(), seed=st.integers(0, 2**64), roll=st.booleans())
def test_a_row_does_not_depend_on_those_after_it(block, seed, roll):
    shape, rows = block
    inputs, labels = corrupt(block, seed, roll)
    first_inputs, first_labels = corrupt((shape, rows[:1]), seed, roll)
    assert (inputs[:1] == first_inputs).all()
    assert (labels[:1] == first_labels).all()


@settings(max_examples=200, deadline=None)
@given(data=st.data(), items=st.integers(1, 60))
def test_segments_are_floyds_subset(data, items):
    cuts = data.draw(st.integers(0, items - 1))
    draws = np.array(
        [data.draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=cuts, max_size=cuts))], np.float64
    )
    chosen: set[int] = set()
    for draw, top in zip(draws[0].tolist(), range(items - 1 - cuts, items - 1), strict=True):
        place = int(draw * (top + 1))
        chosen.add(top if place in chosen else place)
    shuffled = [1 if place in chosen else 0 for place in range(items - 1)]
    assert span_corruption.segment_lengths(draws, items)[0].tolist() == t5.random_segmentation(shuffled)
