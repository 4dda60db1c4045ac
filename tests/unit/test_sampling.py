"""Keep probabilities, the factor, and what the sieve did."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

import corpora.sampling
from corpora.errors import BadArgument, DamagedFile
from corpora.sampling import Gaussian, Stepwise, Uniform
from corpora.sampling.bertin import BERTIN_BOUNDARIES
from corpora.sampling.curve import Curve
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import read_curve, sample_settings
from corpora.sampling.methods.buckets import BUCKETS, Buckets
from corpora.sampling.methods.gaussian import WIDTHS
from corpora.sampling.quartiles import UNITS, QuartileCounts, count_quartiles, flat_warning
from corpora.sampling.recommended import POINTS, bertins, recommend
from corpora.sampling.solve import quartiles, solve_factor

B0, B1, B2 = BERTIN_BOUNDARIES
NAN = float("nan")


def scores(n: int = 20_001, seed: int = 0) -> np.ndarray:
    """Log-normal, as perplexities are."""
    return np.array([600.0 * math.exp(0.4 * z) for z in np.random.default_rng(seed).standard_normal(n).tolist()])


def fit(method: str, histogram: LogHistogram, *, keep: float | None = None, **options: object) -> Curve:
    return sample_settings(method, **options).fit(histogram, keep)


# reference: bertin/mc4/mc4.py as published, its commit 60b6f6bc, stepwise; at b0, median, b2, 2 and 4 medians
BERTINS_TABLE = {
    "gaussian bertin": [0.774, 0.78, 0.754, 0.625, 0.106],
    "gaussian bertin-early": [0.663, 0.78, 0.396, 0.009, 0.0],
    "stepwise": [0.280, 1.19, 0.0163, 0.0163, 0.0163],
    "random": [0.5, 0.5, 0.5, 0.5, 0.5],
}


@pytest.mark.parametrize("sampler", BERTINS_TABLE)
def test_acceptance_is_bertins(sampler):
    found, expected = bertins()[sampler], BERTINS_TABLE[sampler]
    assert len(POINTS) == len(expected)
    digits = [max(2, len(f"{e}".partition(".")[2])) if e else 3 for e in expected]
    assert [round(v, d) for v, d in zip(found.at_points, digits, strict=True)] == expected
    accepted = found.curve.keep_probability([B0, B1, B2, 2 * B1, 4 * B1])
    assert accepted.tolist() == [min(1.0, v) for v in found.at_points]


def test_stepwise_accepts_470_in_1000_of_true_quartiles():
    inside = Stepwise(boundaries=BERTIN_BOUNDARIES).keep_probability([B0 / 2, (B0 + B1) / 2, (B1 + B2) / 2, 2 * B2])
    assert round(float(inside.mean()), 3) == 0.470


def test_bertins_widths():
    assert WIDTHS == {"bertin": 9 / 2, "bertin-early": 2 / 9}


def test_gaussian_is_libms_to_the_last_bit():
    column = scores(2000)
    kernel = Gaussian(median=600.0, factor=1.0, width=2 / 9)
    distances = [(p - 600.0) / 600.0 for p in column.tolist()]
    plain = [math.exp((-1.0 / kernel.width) * (x * x)) for x in distances]
    assert kernel.keep_probability(column).tolist() == plain


def test_stepwise_acceptance_is_bertins_and_has_no_gap():
    kernel = Stepwise(boundaries=BERTIN_BOUNDARIES)
    inside = kernel.keep_probability([B0 / 2, (B0 + B1) / 2, (B1 + B2) / 2, 2 * B2])
    assert np.round(inside, 4).tolist() == [0.2796, 1.0, 0.5836, 0.0163]
    assert kernel.keep_probability([B0, B1, B2]).tolist() == [inside[0], inside[1], inside[3]]
    assert kernel.keep_probability(np.nextafter(B2, 0)) == inside[2]
    above = [np.nextafter(b, np.inf) for b in (B0, B1, B2)]
    assert kernel.keep_probability(above).tolist() == inside[1:].tolist()


def test_a_rejected_row_is_never_kept():
    for kernel in (
        Gaussian(median=5.0),
        Stepwise(boundaries=[1.0, 2.0, 3.0]),
        Uniform(0.5),
        Buckets(cutoffs=[1.0, 3.0]),
    ):
        kept = kernel.keep_probability(np.array([NAN, 2.0, math.inf, 0.0]))
        assert kept.dtype == np.float64
        assert kept[0] == 0
        assert ((kept >= 0) & (kept <= 1)).all()
        assert kept[1] > 0


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Gaussian(median=0.0), "median is 0.0"),
        (lambda: Gaussian(median=5.0, width=-1.0), "width is -1.0"),
        (lambda: Gaussian(median=5.0, factor=NAN), "factor is nan"),
        (lambda: Stepwise(boundaries=[1.0, 2.0]), "boundaries are 1,2: give three"),
        (lambda: Stepwise(boundaries=[1.0, 2.0, 2.0]), "boundaries are 1,2,2: .*none equal"),
        (lambda: Stepwise(boundaries=[3.0, 2.0, 4.0]), "ascend"),
        (lambda: Stepwise(boundaries=[0.0, 2.0, 4.0]), "above 0"),
        (lambda: Stepwise(boundaries=[1.0, 2.0, 4.0], factor=0.0), "factor is 0.0"),
        (lambda: Buckets(cutoffs=[1.0]), "cutoffs are 1: give two"),
        (lambda: Buckets(cutoffs=[2.0, 1.0]), "cutoffs are 2,1"),
        (lambda: Buckets(cutoffs=[1.0, 2.0], kept=["hed"]), "kept buckets are hed"),
        (lambda: Buckets(cutoffs=[1.0, 2.0], kept=[]), "kept buckets are none"),
        (lambda: Uniform(1.01), "probability is 1.01"),
        (lambda: Uniform(NAN), "probability is nan"),
    ],
)
def test_bad_parameters_are_named(make, named):
    with pytest.raises(BadArgument, match=named):
        make()


@pytest.mark.parametrize("ratio", [1e-5, 0.125, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("width", [4.5, 2 / 9])
def test_the_factor_keeps_the_ratio(ratio, width):
    column = np.minimum(scores(), 3000.0)
    kernel = Gaussian(median=600.0, width=width).shape(column)
    factor = solve_factor(kernel, ratio)
    assert abs(np.minimum(1.0, factor * kernel).mean() - ratio) < 1e-6
    assert solve_factor(kernel[::-1], ratio) == factor


def test_the_factor_with_equal_and_zero_kernels():
    assert solve_factor([1.0, 1.0, 1.0, 1.0], 0.25) == 0.25
    assert solve_factor([0.5, 0.5, 0.0, 0.0], 0.5) == 2.0
    assert solve_factor([0.1, 1.0], 0.75) == pytest.approx(5.0)
    assert solve_factor([1e-299, 1.0], 1.0) == pytest.approx(1e299)


@pytest.mark.parametrize(
    ("kernel", "ratio", "named"),
    [
        ([0.5, 0.5, 0.0, 0.0], 0.51, "at most 0.5 can be kept"),
        ([1.0, 1e-310, 0.0], 0.5, "at most 0.333333 can be kept"),
        ([], 0.5, "no document has a score"),
        ([1.0], 0.0, "keep is 0.0"),
        ([1.0], 1.5, "keep is 1.5"),
        ([1.0], NAN, "keep is nan"),
    ],
)
def test_unreachable_ratios_name_the_highest(kernel, ratio, named):
    with pytest.raises(BadArgument, match=named):
        solve_factor(kernel, ratio)


@pytest.mark.parametrize("ratio", [0.01, 0.4, 1.0])
def test_a_weight_is_as_many_equal_kernels(ratio):
    kernels, documents = [0.5, 0.1, 0.9, 0.3], [3, 1, 2, 4]
    repeated = np.repeat(kernels, documents)
    assert solve_factor(kernels, ratio, documents) == pytest.approx(solve_factor(repeated, ratio), rel=1e-14)
    with pytest.raises(BadArgument, match=r"at most 0\.75 can be kept"):
        solve_factor([0.5, 0.0], 0.8, [3, 1])


def test_quartiles_are_within_a_thousandth_and_cut_no_bin():
    column = scores()
    found = quartiles(LogHistogram.of(column))
    for value, exact in zip(found, np.quantile(column, [0.25, 0.5, 0.75]), strict=True):
        assert abs(value / exact - 1) < 0.001
        assert LogHistogram.of([value]).bins() != LogHistogram.of([math.nextafter(value, math.inf)]).bins()


METHODS = [
    ("gaussian", {"width": WIDTHS["bertin"]}),
    ("gaussian", {"width": WIDTHS["bertin-early"]}),
    ("stepwise", {}),
    ("random", {}),
    ("buckets", {"keep_buckets": ["head", "middle"]}),
]


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("ratio", [0.001, 0.125, 0.5])
def test_fitted_kernels_keep_the_ratio_over_scored_rows(method, options, ratio):
    column = scores()
    column[::7] = NAN
    kernel = fit(method, LogHistogram.of(column), keep=ratio, **options)
    kept = kernel.keep_probability(column)
    # the gaussian's centres of bins miss a little, as do buckets, which round to 0.1; other borders cut no bin
    assert abs(kept[~np.isnan(column)].mean() / ratio - 1) < {"gaussian": 1e-4, "buckets": 2e-4}.get(method, 1e-12)
    assert kernel.expected_share(LogHistogram.of(column)) == pytest.approx(ratio, rel=1e-12)
    assert (kept[np.isnan(column)] == 0).all()


@pytest.mark.parametrize("width", [4.5, 2 / 9, 0.05])
@pytest.mark.parametrize("ratio", [0.05, 0.5])
def test_the_kept_share_stays_within_its_bound_at_the_very_worst(width, ratio):
    """All documents at the lowest (highest) perplexity of their bins, so that no error makes up for another."""
    bins = LogHistogram.of(scores()).bins()
    for low in (True, False):
        column = ((bins + (not low)).astype(np.uint64) << np.uint64(41)).view(np.float64)
        column = column if low else np.nextafter(column, 0)
        kernel = fit("gaussian", LogHistogram.of(column), keep=ratio, width=width)
        kept = kernel.keep_probability(column)
        x = (column - kernel.median) / kernel.median
        bound = 2**-12 * (2 / width) * float((kept * np.abs(x) * (1 + x)).mean())
        assert abs(kept.mean() - ratio) <= bound * 1.01
    assert bound < 0.001 * ratio or width < 2 / 9


def test_fit_takes_what_is_given_and_bertins_for_the_rest():
    column = LogHistogram.of(scores())
    b0, b1, b2 = quartiles(column)
    assert fit("gaussian", column) == Gaussian(median=b1, width=WIDTHS["bertin-early"])
    assert fit("gaussian", column, median=5.0, width=2.0, factor=0.5) == Gaussian(median=5.0, width=2.0, factor=0.5)
    assert fit("stepwise", column, factor=9.0) == Stepwise(boundaries=(b0, b1, b2), factor=9.0)
    assert fit("stepwise", column, boundaries=[1.0, 2.0, 3.0]) == Stepwise(boundaries=(1.0, 2.0, 3.0))
    assert fit("random", column) == Uniform(0.5)
    assert fit("random", column, factor=0.25) == fit("random", column, keep=0.25) == Uniform(0.25)
    p30, p60 = column.border(0.3), column.border(0.6)
    assert fit("buckets", column) == Buckets(cutoffs=(p30, p60), kept=BUCKETS, factor=1.0)
    halves = fit("buckets", column, percentiles=[10, 50], keep_buckets=["middle"], keep=0.1)
    assert halves.cutoffs == (column.border(0.1), column.border(0.5))
    assert halves.factor == pytest.approx(0.25, rel=0.01)


@pytest.mark.parametrize(
    ("method", "options", "named"),
    [
        ("steps", {}, "method is 'steps'"),
        ("stepwise", {}, "stepwise needs --keep or --factor"),
        ("gaussian", {"keep": 2.0}, "keep is 2.0"),
        ("random", {"keep": 0.0}, "keep is 0.0"),
        (
            "buckets",
            {"keep": 0.31, "keep_buckets": ["head"]},
            r"at most 0\.(3|29)\d* can be kept .* or keep more buckets",
        ),
        ("gaussian", {"keep": 1.0, "width": 1e-4}, r"at most 0\.\d* can be kept .*lower --keep or raise --width"),
    ],
)
def test_fit_refuses_what_cannot_be_meant(method, options, named):
    with pytest.raises(BadArgument, match=named):
        fit(method, LogHistogram.of(scores(100)), **options)


@pytest.mark.parametrize(
    ("method", "options", "named"),
    [
        ("random", {"width": 1.0}, "width does not apply to the method random: remove it"),
        ("gaussian", {"boundaries": [1.0, 2.0, 3.0]}, "boundaries does not apply to the method gaussian"),
        ("stepwise", {"keep_buckets": ["head"]}, "keep_buckets does not apply to the method stepwise"),
        ("gaussian", {"widht": 1.0}, "unknown field `widht`"),
        ("gaussian", {"keep": 0.5, "factor": 0.5}, "exclude each other"),
    ],
)
def test_settings_refuse_what_cannot_be_meant(method, options, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        sample_settings(method, **options)


def test_fit_refuses_scores_without_quartiles():
    with pytest.raises(BadArgument, match="are not distinct"):
        fit("stepwise", LogHistogram.of([7.0] * 10), keep=0.5)
    with pytest.raises(BadArgument, match="are not distinct"):
        fit("buckets", LogHistogram.of([7.0] * 10), percentiles=(60, 70))
    for method in ("gaussian", "random", "stepwise", "buckets"):
        with pytest.raises(BadArgument, match="no document has a score"):
            fit(method, LogHistogram.of([NAN, NAN]), keep=0.5)


def test_buckets_are_ccnets():
    """cc_net/mine.py: head where pp < the 30th percentile, middle where pp < the 60th, else tail."""
    kernel = Buckets(cutoffs=[200.0, 300.0], kept=["head", "tail"], factor=0.5)
    column = [199.9, 200.0, 299.9, 300.0, NAN]
    assert [BUCKETS[n] for n in kernel.bucket(column[:4])] == ["head", "middle", "middle", "tail"]
    assert kernel.keep_probability(column).tolist() == [0.5, 0.0, 0.0, 0.5, 0.0]


def test_recommendations_keep_the_share_or_say_why_not():
    histogram = LogHistogram.of(scores())
    for keep_share in (0.125, 0.6):
        found = recommend(histogram, keep_share)
        assert list(found) == list(BERTINS_TABLE)
        for recommendation in found.values():
            assert recommendation.curve.expected_share(histogram) == pytest.approx(keep_share, rel=1e-12)
    equal = recommend(LogHistogram.of([7.0] * 10), 0.5)
    assert "are not distinct" in equal["stepwise"]
    assert equal["random"].curve == Uniform(0.5)


def test_curves_survive_json():
    histogram = LogHistogram.of(scores())
    for method, options in METHODS:
        kernel = fit(method, histogram, keep=0.25, **options)
        read = read_curve(msgspec.json.decode(msgspec.json.encode(kernel.to_builtins())))
        column = scores(500)
        assert read.keep_probability(column).tolist() == kernel.keep_probability(column).tolist()
    for plain in ({}, {"name": "steps"}, {"name": "gaussian"}, {"name": "gaussian", "median": -1.0}):
        with pytest.raises(DamagedFile, match="kernel"):
            read_curve(plain)


def test_kept_shares_by_quartile_add_up_over_parts():
    column = scores()
    column[::11] = NAN
    bounds = quartiles(LogHistogram.of(column))
    kernel = fit("gaussian", LogHistogram.of(column), keep=0.25, width=2 / 9)
    probability = kernel.keep_probability(column)
    kept = np.random.default_rng(0).random(len(column)) < probability
    whole = count_quartiles(column, probability, kept, bounds)
    parts = sum(
        (
            count_quartiles(column[i : i + 999], probability[i : i + 999], kept[i : i + 999], bounds)
            for i in range(0, len(column), 999)
        ),
        QuartileCounts(),
    )
    assert parts == whole
    assert whole.expected_share == pytest.approx(math.fsum(probability) / sum(whole.documents), abs=1 / UNITS)
    assert sum(whole.documents) == int((~np.isnan(column)).sum())
    assert max(whole.documents) - min(whole.documents) < 0.001 * len(column)  # a bin lies on one side
    assert np.allclose(whole.kept_shares, whole.expected_shares, atol=0.02)
    assert sum(whole.composition) == pytest.approx(1.0)
    assert np.mean(whole.expected_shares) == pytest.approx(0.25, abs=1e-4)


def test_the_published_width_is_flat_and_the_earlier_one_is_not():
    column = scores()
    for width, flat in [(4.5, True), (2 / 9, False)]:
        histogram = LogHistogram.of(column)
        probability = fit("gaussian", histogram, keep=0.125, width=width).keep_probability(column)
        counts = count_quartiles(column, probability, probability > 1, quartiles(histogram))
        warning = flat_warning(counts, "a smaller --keep filters more")
        assert (warning is not None) == flat
        if warning:
            assert "barely filters" in warning
    assert flat_warning(QuartileCounts(), "") is None


def test_the_package_exports_lazily():
    assert corpora.sampling.__all__ == ["Gaussian", "Stepwise", "Uniform", "keep"]
    with pytest.raises(AttributeError, match="no attribute 'Gauss'"):
        _ = corpora.sampling.Gauss
