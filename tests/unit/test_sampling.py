"""Keep probabilities, the factor, the keyed draw, and what the sieve did."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

import corpora.sampling
from corpora.errors import BadArgument
from corpora.randomness import uniform
from corpora.sampling import Gaussian, Stepwise, Uniform, keep
from corpora.sampling.draw import keep_documents
from corpora.sampling.kernels import BERTIN_BOUNDARIES
from corpora.sampling.quartiles import QuartileCounts, count_quartiles, flat_warning
from corpora.sampling.solve import fit, quantile, quartiles, solve_factor

B0, B1, B2 = BERTIN_BOUNDARIES
NAN = float("nan")


def scores(n: int = 20_001, seed: int = 0) -> np.ndarray:
    """Log-normal, as perplexities are."""
    return np.array([600.0 * math.exp(0.4 * z) for z in np.random.default_rng(seed).standard_normal(n).tolist()])


@pytest.mark.parametrize(
    ("width", "expected"),
    [(4.5, [0.774, 0.78, 0.754, 0.625, 0.106]), (2 / 9, [0.663, 0.78, 0.396, 0.009, 0.0])],
)
def test_gaussian_acceptance_is_bertins(width, expected):
    found = Gaussian(median=B1, width=width).keep_probability([B0, B1, B2, 2 * B1, 4 * B1])
    assert np.round(found, 3).tolist() == expected


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
    assert kernel.keep_probability([B0, B1, B2]).tolist() == inside[:3].tolist()
    above = [np.nextafter(b, np.inf) for b in (B0, B1, B2)]
    assert kernel.keep_probability(above).tolist() == inside[1:].tolist()


def test_a_rejected_row_is_never_kept():
    for kernel in (Gaussian(median=5.0), Stepwise(boundaries=[1.0, 2.0, 3.0]), Uniform(0.5)):
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
    kernel = Gaussian(median=600.0, width=width).kernel(column)
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


def test_quantiles_are_numpys():
    for n in (1, 2, 3, 4, 5, 100, 1001):
        column = np.sort(scores(n))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            assert quantile(column, share) == pytest.approx(np.quantile(column, share), rel=1e-15)
    assert quartiles([NAN, 4.0, 1.0, 3.0, NAN, 2.0, 5.0]) == (2.0, 3.0, 4.0)


@pytest.mark.parametrize("method", ["gaussian", "stepwise", "random"])
def test_fitted_kernels_keep_the_ratio_over_scored_rows(method):
    column = scores()
    column[::7] = NAN
    kept = fit(method, column, keep=0.125).keep_probability(column)
    assert abs(kept[~np.isnan(column)].mean() - 0.125) < 1e-6
    assert (kept[np.isnan(column)] == 0).all()


def test_fit_takes_what_is_given_and_bertins_for_the_rest():
    column = scores()
    b0, b1, b2 = quartiles(column)
    assert fit("gaussian", column) == Gaussian(median=b1)
    assert fit("gaussian", column, median=5.0, width=2.0, factor=0.5) == Gaussian(median=5.0, width=2.0, factor=0.5)
    assert fit("stepwise", column, factor=9.0) == Stepwise(boundaries=(b0, b1, b2), factor=9.0)
    assert fit("stepwise", column, boundaries=[1.0, 2.0, 3.0]) == Stepwise(boundaries=(1.0, 2.0, 3.0))
    assert fit("random", column) == Uniform(0.5)
    assert fit("random", column, factor=0.25) == fit("random", column, keep=0.25) == Uniform(0.25)


@pytest.mark.parametrize(
    ("method", "options", "named"),
    [
        ("random", {"width": 1.0}, "--width is no option of --method random"),
        ("gaussian", {"boundaries": [1.0, 2.0, 3.0]}, "--boundaries is no option of --method gaussian"),
        ("gaussian", {"keep": 0.5, "factor": 0.5}, "exclude each other"),
        ("steps", {}, "method is 'steps'"),
        ("stepwise", {}, "stepwise needs --keep or --factor"),
        ("gaussian", {"keep": 2.0}, "keep is 2.0"),
        ("random", {"keep": 0.0}, "keep is 0.0"),
    ],
)
def test_fit_refuses_what_cannot_be_meant(method, options, named):
    with pytest.raises(BadArgument, match=named):
        fit(method, scores(100), **options)


def test_fit_refuses_scores_without_quartiles():
    with pytest.raises(BadArgument, match="none equal"):
        fit("stepwise", [7.0] * 10, keep=0.5)
    with pytest.raises(BadArgument, match="no document has a score"):
        fit("gaussian", [NAN, NAN], keep=0.5)


def table(n: int) -> pa.Table:
    return pa.table(
        {
            "text": [f"texto {i}" for i in range(n)],
            "url": [None if i % 3 == 0 else "" if i % 3 == 1 else f"http://a.es/{i}" for i in range(n)],
            "timestamp": ["2019-04-25T12:57:54Z"] * n,
        }
    )


def test_the_draw_is_keyed_by_the_document_alone():
    documents = table(3000)
    kept = keep(documents, np.full(3000, 0.3), seed=5)
    plain = [uniform(5, "sample", row["url"], row["timestamp"], row["text"]) < 0.3 for row in documents.to_pylist()]
    assert kept.dtype == np.bool_
    assert kept.tolist() == plain
    order = np.random.default_rng(0).permutation(3000)
    shuffled = keep(documents.take(order).combine_chunks().to_batches()[0], np.full(3000, 0.3), seed=5)
    assert shuffled.tolist() == kept[order].tolist()
    assert kept.tolist() != keep(documents, np.full(3000, 0.3), seed=6).tolist()
    assert abs(kept.mean() - 0.3) < 0.04


def test_null_differs_from_empty_and_a_missing_column_is_null():
    texts = [f"t{i}" for i in range(500)]
    half = np.full(500, 0.5)
    missing = keep(pa.table({"text": texts}), half).tolist()
    assert missing == keep_documents(texts, [None] * 500, [None] * 500, half).tolist()
    assert missing != keep_documents(texts, [""] * 500, [None] * 500, half).tolist()
    nulls = pa.table({"text": texts, "url": pa.nulls(500), "timestamp": pa.nulls(500, pa.string())})
    assert keep(nulls, half).tolist() == missing


def test_probabilities_of_zero_one_and_nan():
    documents = table(3)
    assert keep(documents, [0.0, 1.0, NAN]).tolist() == [False, True, False]
    with pytest.raises(BadArgument, match=r"shape \(2,\): .* each of 3 rows"):
        keep(documents, [0.5, 0.5])
    with pytest.raises(BadArgument, match="needs text"):
        keep(pa.table({"url": ["a"]}), [0.5])
    with pytest.raises(BadArgument, match="row 1 is null"):
        keep(pa.table({"text": ["a", None]}), [0.5, 0.5])


def test_kept_shares_by_quartile_add_up_over_parts():
    column = scores()
    column[::11] = NAN
    bounds = quartiles(column)
    kernel = fit("gaussian", column, keep=0.25, width=2 / 9)
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
    assert (parts.documents, parts.kept) == (whole.documents, whole.kept)
    assert parts.expected == pytest.approx(whole.expected)
    assert sum(whole.documents) == int((~np.isnan(column)).sum())
    assert max(whole.documents) - min(whole.documents) <= 1
    assert np.allclose(whole.kept_shares, whole.expected_shares, atol=0.02)
    assert sum(whole.composition) == pytest.approx(1.0)
    assert np.mean(whole.expected_shares) == pytest.approx(0.25, abs=1e-4)


def test_the_published_width_is_flat_and_the_earlier_one_is_not():
    column = scores()
    for width, flat in [(4.5, True), (2 / 9, False)]:
        probability = fit("gaussian", column, keep=0.125, width=width).keep_probability(column)
        counts = count_quartiles(column, probability, probability > 1, quartiles(column))
        warning = flat_warning(counts)
        assert (warning is not None) == flat
        if warning:
            assert "hardly sieves" in warning
    assert flat_warning(QuartileCounts()) is None


def test_the_package_exports_lazily():
    assert corpora.sampling.__all__ == ["Gaussian", "Stepwise", "Uniform", "keep"]
    with pytest.raises(AttributeError, match="no attribute 'Gauss'"):
        _ = corpora.sampling.Gauss
