"""CCNet's buckets: its rounding, and its published cut-offs."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import sample_settings
from corpora.sampling.methods.buckets import BUCKETS, Buckets

SPANISH = (180.0, 290.0)


@pytest.mark.parametrize(
    ("perplexity", "bucket"),
    [(179.94, "head"), (179.96, "middle"), (180.0, "middle"), (289.94, "middle"), (289.96, "tail"), (np.nan, "tail")],
)
def test_perplexities_are_rounded_as_ccnet_does(perplexity: float, bucket: str) -> None:
    assert BUCKETS[Buckets(cutoffs=SPANISH).bucket([perplexity])[0]] == bucket


def test_published_cutoffs_are_taken_as_they_are() -> None:
    settings = sample_settings(method="buckets", cutoffs=SPANISH, keep_buckets=("head",))
    fitted = settings.fit(LogHistogram.of([1.0, 2.0, 3.0]))
    assert isinstance(fitted, Buckets)
    assert tuple(fitted.cutoffs) == SPANISH
    assert settings.identity()["cutoffs"] == SPANISH
    assert "cutoffs" not in sample_settings(method="buckets").identity()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"cutoffs": (290.0, 180.0)}, "ascending"),
        ({"cutoffs": (180.0, float("inf"))}, "finite"),
        ({"cutoffs": SPANISH, "percentiles": (30.0, 60.0)}, "exclude each other"),
    ],
)
def test_cutoffs_that_cannot_be(given: dict[str, tuple[float, float]], problem: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=problem):
        sample_settings(method="buckets", **given)
