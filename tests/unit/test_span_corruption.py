"""Span corruption against the plain restatement of T5's: lengths, masks, rows, and the law of the masks."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from corpora import randomness
from corpora.tokens import span_corruption
from tests.reference import keyed_spans
from tests.reference import t5_span_corruption as t5

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SENTINELS = np.arange(383, 283, -1).astype(np.uint16)


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


LENGTHS = [*range(2, 130), *range(130, 4097, 157), 4095, 4096]
DENSITIES = (0.05, 0.1, 0.15, 0.25, 0.3, 0.5, 0.7, 0.9)
MEANS = (1, 1.5, 2, 3, 5, 8, 20, 33.3, 64)


def test_lengths_equal_t5s_helper_wherever_its_rows_can_be_cut():
    equal = refused = 0
    for length, density, mean in itertools.product(LENGTHS, DENSITIES, MEANS):
        raw, labels = t5.random_spans_helper(length, density, mean)
        noise = round(raw * density)
        spans = round(noise / mean)
        if noise >= 1 and 1 <= spans <= raw - noise:
            shape = span_corruption.row_shape(length, density, mean)
            assert span_corruption.lengths(length, density, mean) == (raw, labels)
            assert (shape.num_noise_tokens, shape.num_noise_spans) == (noise, spans)
            assert t5.num_noise(raw, density, mean) == (noise, spans)
            short = length - (raw - noise + spans + 1), labels - (noise + spans + 1)
            assert short == (0, 0) or (density == 0.5 and short == (1, 1))
            equal += 1
        else:
            with pytest.raises(ValueError, match=f"sequence_length={length}"):
                span_corruption.lengths(length, density, mean)
            refused += 1
    assert equal > 7500
    assert refused > 1000


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
@pytest.mark.parametrize("roll", [False, True])
def test_real_rows_equal_t5s_under_the_twins_masks(settings, roll):
    shape = span_corruption.row_shape(*settings)
    rows = real_rows(60, shape.raw_length)
    sentinels = np.arange(999, 799, -1).astype(np.uint16)
    keys = randomness.keys(7, 3, len(rows))
    assert keys.tolist() == keyed_spans.keys(7, 3, len(rows))
    inputs, labels = span_corruption.corrupt_keyed(rows, keys, shape, sentinels=sentinels, eos_id=1, random_roll=roll)
    counts = shape.num_noise_tokens, shape.num_noise_spans
    masks = span_corruption.random_masks(keys, shape.raw_length, *counts, roll)
    for i, row in enumerate(rows.tolist()):
        mask = keyed_spans.mask(int(keys[i]), len(row), *counts, roll)
        assert masks[i].tolist() == mask
        expected = t5.corrupt(row, mask, 1000, eos_id=1)
        assert inputs[i].tolist() == expected[0]
        assert labels[i].tolist() == keyed_spans.labels(row, mask, 1000, eos_id=1)
        assert roll or labels[i].tolist() == expected[1]
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
    draws = 100_000
    fast = span_corruption.random_masks(randomness.keys(1, 0, draws), 12, 6, 3)
    random = np.random.default_rng(2)
    twin = [t5.draw_mask(12, 0.5, 2.0, random) for _ in range(draws // 5)]
    for masks in (fast.tolist(), twin):
        counts = Counter(tuple(mask) for mask in masks)
        assert len(counts) == 100
        assert abs(chi_square(list(counts.values()), len(masks) / 100)) < 4.5


def test_the_end_of_a_row_is_masked_more_as_published():
    masks = span_corruption.random_masks(randomness.keys(3, 0, 8000), 568, 85, 28)
    rates = masks.mean(axis=0)
    assert rates[0] == 0
    assert np.allclose(rates[-6:], [0.22, 0.27, 0.35, 0.49, 0.69, 1.0], atol=0.02)
    assert abs(rates[100:400].mean() - 0.146) < 0.003


def test_a_rolled_row_has_its_sentinels_anywhere():
    shape = span_corruption.row_shape(64)
    rows = np.full((20_000, shape.raw_length), 5, np.uint16)
    inputs, labels = span_corruption.corrupt_keyed(
        rows, randomness.keys(4, 0, len(rows)), shape, sentinels=SENTINELS, eos_id=1, random_roll=True
    )
    assert inputs.shape[1] == 64
    assert labels.shape[1] == shape.label_length
    per_position = (inputs[:, :-1] > 283).sum(axis=0)
    expected = len(rows) * shape.num_noise_spans / 63
    assert np.abs(per_position - expected).max() < 5 * math.sqrt(expected)
    assert (labels[:, 0] == SENTINELS[0]).all()


def test_noise_mask_of_one_row():
    mask = span_corruption.noise_mask(568, 5)
    assert (mask.dtype, len(mask), int(mask.sum())) == (np.bool_, 568, 85)
    assert not mask[0]
    assert mask[-1]
    assert int((mask[1:] & ~mask[:-1]).sum()) == 28
    assert span_corruption.noise_mask(1, 5).tolist() == [False]
    assert span_corruption.noise_mask(2, 5).tolist() == [False, True]
    with pytest.raises(ValueError, match="length=0"):
        span_corruption.noise_mask(0, 5)
    with pytest.raises(ValueError, match="9 noise spans need as many gaps, but only 1 tokens"):
        span_corruption.noise_mask(10, 5, 0.9, 1.0)


def test_no_rows_give_no_rows():
    shape = span_corruption.row_shape(64)
    rows = np.empty((0, shape.raw_length), np.uint16)
    inputs, labels = span_corruption.corrupt_keyed(rows, np.empty(0, np.uint64), shape, sentinels=SENTINELS, eos_id=1)
    assert inputs.shape == (0, 64)
    assert labels.shape == (0, shape.label_length)


def test_t5s_law_of_each_position_holds_on_a_hundred_thousand_draws():
    """The share of masks that cover each place of a row, ours against T5's own shuffles."""
    draws, length, noise, spans = 100_000, 64, 10, 3
    ours = span_corruption.random_masks(randomness.keys(9, 0, draws), length, noise, spans).sum(axis=0)
    random = np.random.default_rng(5)
    theirs = np.sum([t5.draw_mask(length, 0.15, 3.0, random) for _ in range(draws // 5)], axis=0)
    assert t5.num_noise(length, 0.15, 3.0) == (noise, spans)
    assert ours[0] == theirs[0] == 0
    assert (ours[-1], theirs[-1]) == (draws, draws // 5)
    rates = (ours + theirs)[1:-1] / (1.2 * draws)
    spread = rates * (1 - rates) * (1 / draws + 5 / draws)
    deviations = (ours[1:-1] / draws - 5 * theirs[1:-1] / draws) / np.sqrt(spread)
    assert abs(np.sum(deviations**2) - 62) < 6 * math.sqrt(2 * 62) * 2  # places of a row are not independent
    assert np.abs(deviations).max() < 5


def test_padding_where_t5s_lengths_leave_a_place():
    shape = span_corruption.row_shape(8, 0.5, 1)
    assert (shape.raw_length, shape.label_length) == t5.random_spans_helper(8, 0.5, 1)
    rows = np.arange(10, 10 + shape.raw_length, dtype=np.uint16)[None, :]
    inputs, labels = span_corruption.corrupt_keyed(
        rows, randomness.keys(0, 0, 1), shape, sentinels=SENTINELS, eos_id=1, pad_id=0
    )
    mask = keyed_spans.mask(int(randomness.keys(0, 0, 1)[0]), shape.raw_length, *shape[3:], False)
    expected = t5.corrupt(rows[0].tolist(), mask, 384, eos_id=1)
    assert (inputs[0].tolist(), labels[0].tolist()) == ([*expected[0], 0], [*expected[1], 0])
