"""Span corruption against the plain restatement of T5's: lengths, masks, rows, and the law of the masks."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from corpora.randomness import generator
from corpora.tokens import span_corruption
from tests.reference import t5_span_corruption as t5

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SENTINELS = np.arange(383, 283, -1).astype(np.uint16)


def segmentation_draw(lengths: np.ndarray) -> list[int]:
    """The shuffled vector with which T5 would have cut segments of these lengths."""
    return [bit for length in lengths.tolist() for bit in [1] + [0] * (length - 1)][1:]


def real_rows(num_rows: int, width: int) -> np.ndarray:
    path = SHARED / "corpora/es/es-00000-of-00016.jsonl.zst"
    if not path.exists():
        pytest.skip(f"no {path}")
    zstandard = pytest.importorskip("zstandard")
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        text = "\n".join(json.loads(line)["text"] for line in itertools.islice(lines, 300))
    ids = np.frombuffer(text.encode(), np.uint8).astype(np.uint16) + 3
    return ids[: num_rows * width].reshape(num_rows, width)


@pytest.mark.parametrize(
    ("settings", "raw", "labels", "noise", "spans"),
    [
        ((512, 0.15, 3), 568, 114, 85, 28),
        ((256, 0.15, 3), 284, 58, 43, 14),
        ((1024, 0.15, 3), 1137, 229, 171, 57),
        ((2048, 0.15, 3), 2274, 456, 341, 114),
        ((512, 0.15, 8), 588, 100, 88, 11),
        ((512, 0.5, 3), 766, 512, 383, 128),
        ((512, 0.5, 64), 1006, 512, 503, 8),
        ((512, 0.15, 64), 600, 92, 90, 1),
        ((1024, 0.15, 20), 1193, 189, 179, 9),
    ],
)
def test_published_lengths(settings, raw, labels, noise, spans):
    assert span_corruption.lengths(*settings) == (raw, labels)
    shape = span_corruption.row_shape(*settings)
    assert (shape.input_length, shape.num_noise_tokens, shape.num_noise_spans) == (settings[0], noise, spans)


def test_lengths_equal_t5s_helper_wherever_its_rows_can_be_cut():
    equal = refused = 0
    grid = itertools.product(range(2, 700, 5), (0.1, 0.15, 0.25, 0.5, 0.7), (1, 1.5, 2, 3, 5, 8, 20, 64))
    for length, density, mean in grid:
        raw, labels = t5.random_spans_helper(length, density, mean)
        try:
            shape = span_corruption.row_shape(length, density, mean)
        except ValueError:
            noise = round(raw * density)
            spans = round(noise / mean)
            # Half noise in spans of one: T5's lengths ask for one span more than its mask has tokens for.
            assert noise < 1 or spans < 1 or spans > raw - noise or (density, mean) == (0.5, 1)
            refused += 1
            continue
        assert (shape.raw_length, shape.label_length) == (raw, labels)
        assert shape.raw_length - shape.num_noise_tokens + shape.num_noise_spans + 1 == length
        assert shape.num_noise_tokens + shape.num_noise_spans + 1 == labels
        equal += 1
    assert equal > 4000
    assert refused > 100


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ((1,), "sequence_length=1"),
        ((512, 0.0), "noise_density=0.0"),
        ((512, 1.0), "noise_density=1.0"),
        ((512, float("nan")), "noise_density=nan"),
        ((512, 0.15, 0.5), "mean_noise_span_length=0.5"),
        ((512, 0.15, float("inf")), "mean_noise_span_length=inf"),
        ((2,), "no noise token in 1"),
        ((512, 0.15, 500), "90 noise tokens make no span"),
        ((512, 0.9, 1), "460 noise spans need as many gaps"),
        ((512, 0.9999999, 1e7), "more than 1048576 raw tokens"),
    ],
)
def test_lengths_refuse_what_t5_cannot_cut(settings, named):
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        span_corruption.lengths(*settings)


@pytest.mark.parametrize("settings", [(512, 0.15, 3.0), (512, 0.5, 3.0), (1024, 0.15, 20.0), (512, 0.15, 64.0)])
def test_rows_equal_t5s_given_the_same_segmentations(settings):
    shape = span_corruption.row_shape(*settings)
    rows = real_rows(60, shape.raw_length)
    sentinels = np.arange(999, 799, -1).astype(np.uint16)
    inputs, labels = span_corruption.corrupt_rows(rows, generator(7, "test"), shape, sentinels=sentinels, eos_id=1)
    cuts = shape.num_noise_spans - 1
    draws = generator(7, "test").random((len(rows), 2 * cuts))
    noise = span_corruption.segment_lengths(draws[:, :cuts], shape.num_noise_tokens)
    kept = span_corruption.segment_lengths(draws[:, cuts:], shape.raw_length - shape.num_noise_tokens)
    for i, row in enumerate(rows.tolist()):
        mask = t5.random_spans_noise_mask(len(row), segmentation_draw(noise[i]), segmentation_draw(kept[i]))
        assert t5.num_noise(len(row), *settings[1:]) == (sum(mask), shape.num_noise_spans)
        assert (inputs[i].tolist(), labels[i].tolist()) == t5.corrupt(row, mask, 1000, eos_id=1)
    assert inputs.dtype == labels.dtype == np.uint16
    assert inputs.shape == (60, settings[0])
    assert labels.shape == (60, shape.label_length)


def chi_square(counts: list[int], expected: float) -> float:
    """Standardised: about N(0, 1) for many cells."""
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    freedom = len(counts) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


def test_all_masks_of_a_short_row_are_equally_likely_as_in_the_twin():
    # 12 tokens, 6 noise in 3 spans: C(5,2) ways to cut the noise, as many to cut the rest.
    draws = 20_000
    fast = span_corruption.random_masks(generator(1, "law"), draws, 12, 6, 3)
    random = np.random.default_rng(2)
    twin = [t5.draw_mask(12, 0.5, 2.0, random) for _ in range(draws)]
    for masks in (fast.tolist(), twin):
        counts = Counter(tuple(mask) for mask in masks)
        assert len(counts) == 100
        assert abs(chi_square(list(counts.values()), draws / 100)) < 4.5


def test_the_end_of_a_row_is_masked_more_as_published():
    masks = span_corruption.random_masks(generator(3, "law"), 8000, 568, 85, 28)
    rates = masks.mean(axis=0)
    assert rates[0] == 0
    assert np.allclose(rates[-6:], [0.22, 0.27, 0.35, 0.49, 0.69, 1.0], atol=0.02)
    assert abs(rates[100:400].mean() - 0.146) < 0.003


def test_a_rolled_row_has_its_sentinels_anywhere():
    shape = span_corruption.row_shape(64)
    rows = np.full((20_000, shape.raw_length), 5, np.uint16)
    inputs, labels = span_corruption.corrupt_rows(
        rows, generator(4, "law"), shape, sentinels=SENTINELS, eos_id=1, random_roll=True
    )
    assert inputs.shape[1] == 64
    assert labels.shape[1] == shape.label_length
    per_position = (inputs[:, :-1] > 283).sum(axis=0)
    expected = len(rows) * shape.num_noise_spans / 63
    assert np.abs(per_position - expected).max() < 5 * math.sqrt(expected)
    assert (labels[:, 0] == SENTINELS[0]).all()


def test_noise_mask_of_one_row():
    mask = span_corruption.noise_mask(568, generator(0, "mask"))
    assert (mask.dtype, len(mask), int(mask.sum())) == (np.bool_, 568, 85)
    assert not mask[0]
    assert mask[-1]
    assert int((mask[1:] & ~mask[:-1]).sum()) == 28
    assert span_corruption.noise_mask(1, generator(0, "mask")).tolist() == [False]
    assert span_corruption.noise_mask(2, generator(0, "mask")).tolist() == [False, True]
    with pytest.raises(ValueError, match="length=0"):
        span_corruption.noise_mask(0, generator(0, "mask"))
    with pytest.raises(ValueError, match="9 noise spans need as many gaps, 1 tokens"):
        span_corruption.noise_mask(10, generator(0, "mask"), 0.9, 1.0)


def test_no_rows_give_no_rows():
    shape = span_corruption.row_shape(64)
    rows = np.empty((0, shape.raw_length), np.uint16)
    inputs, labels = span_corruption.corrupt_rows(rows, generator(0, "none"), shape, sentinels=SENTINELS, eos_id=1)
    assert inputs.shape == (0, 64)
    assert labels.shape == (0, shape.label_length)
