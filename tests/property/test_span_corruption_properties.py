"""Span corruption on any row: equal to the twin, nothing lost, rows independent of how many there are."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corpora import randomness
from corpora.tokens import span_corruption
from tests.reference import keyed_spans
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
    return span_corruption.corrupt_keyed(
        rows, randomness.keys(seed, 0, len(rows)), shape, sentinels=sentinels, eos_id=1, random_roll=roll
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
        sides = [[token for token in side if token != 0] for side in (row_inputs, row_labels)]
        assert t5.reassemble(*sides, sentinels, eos_id=1) == row
        order = [token for token in row_inputs if token in sentinels]
        assert order == sorted(sentinels, reverse=True)
        assert order == [token for token in row_labels if token in sentinels]


@settings(max_examples=150, deadline=None)
@given(block=blocks(), seed=st.integers(0, 2**64), roll=st.booleans())
def test_rows_equal_t5s_under_the_twins_masks(block, seed, roll):
    shape, rows = block
    inputs, labels = corrupt(block, seed, roll)
    for i, row in enumerate(rows.tolist()):
        key = keyed_spans.keys(seed, i, 1)[0]
        mask = keyed_spans.mask(key, len(row), shape.num_noise_tokens, shape.num_noise_spans, roll)
        inputs_twin, t5_labels = t5.corrupt(row, mask, TOP, eos_id=1)
        labels_twin = keyed_spans.labels(row, mask, TOP, eos_id=1)
        assert roll or labels_twin == t5_labels
        assert inputs[i].tolist() == [*inputs_twin, *[0] * (shape.input_length - len(inputs_twin))]
        assert labels[i].tolist() == [*labels_twin, *[0] * (shape.label_length - len(labels_twin))]


@settings(max_examples=60, deadline=None)
@given(block=blocks(), seed=st.integers(0, 2**64), roll=st.booleans())
def test_a_row_does_not_depend_on_those_after_it(block, seed, roll):
    shape, rows = block
    inputs, labels = corrupt(block, seed, roll)
    first_inputs, first_labels = corrupt((shape, rows[:1]), seed, roll)
    assert (inputs[:1] == first_inputs).all()
    assert (labels[:1] == first_labels).all()
