"""Histograms of perplexity: exact sums whatever the partition, quantiles within the bound, bins that tell order."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.errors import BadArgument, DamagedFile
from corpora.sampling.histogram import BIN_WIDTH, LogHistogram

EXACT = 1e-9  # for the rounding of both quantiles

perplexity = st.one_of(
    st.floats(1.0, 1e300),
    st.floats(20.0, 2000.0),
    st.sampled_from([1.0, 2.0, 4.0, math.nextafter(2.0, 0), math.nextafter(2.0, 3), 536394.99320948]),
)
perplexities = st.lists(perplexity, min_size=1, max_size=60)
share = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.6, 0.75, 1.0]))


@given(perplexities, st.lists(st.integers(0, 60), max_size=6), st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_the_partition_or_the_order(values, cuts, random):
    whole = LogHistogram.of(values)
    shuffled = random.sample(values, len(values))
    borders = [0, *sorted(min(c, len(values)) for c in cuts), len(values)]
    parts = [LogHistogram.of(shuffled[a:b]) for a, b in itertools.pairwise(borders)]
    random.shuffle(parts)
    added = LogHistogram.of([])
    for part in parts:
        added = part + added
    assert added == whole == LogHistogram.sum(parts)
    assert added.to_builtins() == whole.to_builtins()
    assert [added.quantile(q / 7) for q in range(8)] == [whole.quantile(q / 7) for q in range(8)]


@given(perplexities, share)
def test_quantiles_are_within_a_bin_of_numpys(values, share):
    exact = float(np.quantile(values, share))
    histogram = LogHistogram.of(values)
    assert abs(histogram.quantile(share) - exact) <= (BIN_WIDTH + EXACT) * exact
    assert abs(histogram.border(share) - exact) <= 0.001 * exact


@given(perplexities, share)
def test_a_border_cuts_no_bin(values, share):
    border = LogHistogram.of(values).border(share)
    below = LogHistogram.of([v for v in values if v < border]).bins()
    above = LogHistogram.of([v for v in values if v >= border]).bins()
    assert not set(below.tolist()) & set(above.tolist())


@given(perplexity, perplexity)
def test_bins_ascend_with_perplexity_and_are_narrow(one, other):
    low, high = sorted([one, other])
    (first,), (second,) = LogHistogram.of([low]).bins(), LogHistogram.of([high]).bins()
    assert first <= second
    if first == second:
        assert high - low < BIN_WIDTH * low
        assert math.log2(high) - math.log2(low) < 2**-10
    if high > low * (1 + BIN_WIDTH):
        assert first < second


@given(perplexities)
def test_centres_lie_within_half_a_bin(values):
    for value in values:
        (centre,) = LogHistogram.of([value]).centres()
        assert abs(centre - value) <= BIN_WIDTH / 2 * value


@given(perplexities)
def test_it_survives_json(values):
    import msgspec

    histogram = LogHistogram.of(values)
    plain = msgspec.json.decode(msgspec.json.encode(histogram.to_builtins()))
    assert LogHistogram.from_builtins(plain) == histogram


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_quantiles_of_many_documents(seed):
    values = np.exp(np.random.default_rng(seed).normal(6.0, 0.5, 20_000))
    histogram = LogHistogram.of(values)
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        assert abs(histogram.quantile(share) / np.quantile(values, share) - 1) < BIN_WIDTH


def test_rejected_rows_are_left_out_and_zeros_are_one():
    histogram = LogHistogram.of([math.nan, 3.0, math.nan, 0.0, -0.0])
    assert histogram.total == 3
    assert histogram.counts().tolist() == [2, 1]
    assert LogHistogram.of([math.inf, 3.0]).quantile(1.0) == math.inf
    assert LogHistogram.of([math.nan]).total == 0


def test_what_cannot_be_a_histogram_is_refused():
    with pytest.raises(BadArgument, match=r"is -1\.0: it can't be negative"):
        LogHistogram.of([5.0, -1.0])
    with pytest.raises(BadArgument, match="no document has a score"):
        LogHistogram.of([]).quantile(0.5)
    with pytest.raises(BadArgument, match=r"quantile is 1\.5"):
        LogHistogram.of([1.0]).quantile(1.5)
    for plain in (
        {"bin_steps": [3]},
        {"bin_steps": [3, 0], "counts": [1, 1]},
        {"bin_steps": [3, 1], "counts": [1, 0]},
        {"bin_steps": [3], "counts": [1, 1]},
        {"bin_steps": [-3], "counts": [1]},
        {"bin_steps": [1 << 40], "counts": [1]},
        {"bin_steps": ["a"], "counts": [1]},
    ):
        with pytest.raises(DamagedFile, match="calibrate again"):
            LogHistogram.from_builtins(plain)


def test_a_border_is_the_nearer_one():
    eight = LogHistogram.of([2.0] * 8)  # taken to spread over the bin from 2 to 2 + 2**-10
    assert (eight.border(0.25), eight.border(0.75)) == (2.0, 2.0 + 2**-10)
