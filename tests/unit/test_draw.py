"""The keyed draw: a document's own random number, and whether it is below its keep probability."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from corpora.errors import BadArgument
from corpora.randomness import uniform
from corpora.sampling import keep
from corpora.sampling.draw import keep_documents


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
    assert keep(documents, [0.0, 1.0, np.nan]).tolist() == [False, True, False]
    with pytest.raises(BadArgument, match=r"shape \(2,\): .* each of 3 rows"):
        keep(documents, [0.5, 0.5])
    with pytest.raises(BadArgument, match="must have text"):
        keep(pa.table({"url": ["a"]}), [0.5])
    with pytest.raises(BadArgument, match="row 1 is null"):
        keep(pa.table({"text": ["a", None]}), [0.5, 0.5])
    with pytest.raises(BadArgument, match="row 1 isn't UTF-8"):
        keep(pa.table({"text": [b"a", b"\xff"]}), [0.5, 0.5])
    with pytest.raises(BadArgument, match="column text is int64; it must be string"):
        keep(pa.table({"text": [1]}), [0.5])


def test_a_document_whose_draw_is_the_probability_itself_is_not_kept():
    texts, nothing = ["uno dos", "tres", "cuatro"], [None] * 3
    draws = np.array([uniform(7, "sample", None, None, text) for text in texts])
    assert keep_documents(texts, nothing, nothing, draws, 7).tolist() == [False] * 3
    assert keep_documents(texts, nothing, nothing, np.nextafter(draws, 1), 7).tolist() == [True] * 3
