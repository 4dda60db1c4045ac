"""Inputs that once failed, with the right answers; they lie beside the checkout, and are never committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpora.documents.groups import language_of_value
from corpora.documents.items import work_items
from corpora.documents.reading import DocumentBatch, read_batches, read_texts
from corpora.documents.sources import DocumentSource

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside the checkout")


def read(name: str, item_bytes: int = 1 << 27, columns: tuple[str, ...] = (), **reading: Any) -> list[DocumentBatch]:
    items = work_items([DocumentSource(input=name.format(CASES), **reading)], item_bytes)
    found = [batch for item in items for batch in read_batches(item, columns=columns)]
    texts = [text for item in items for batch in read_texts(item) for text in batch.texts.strings]
    assert texts == [text for batch in found for text in batch.texts]
    return found


def texts(*given: Any, **reading: Any) -> list[str]:
    return [text for batch in read(*given, **reading) for text in batch.texts]


def values(found: list[DocumentBatch], column: str) -> list[str | None]:
    return [language_of_value(value) for batch in found for value in batch.extra[column]]


@pytest.mark.parametrize("item_bytes", [2000, 1 << 27])
def test_published_corpora(item_bytes: int) -> None:
    """The same 40 documents, however they are published."""
    expected = texts("{}/formats/x.csv")
    assert len(expected) == 40
    assert texts("{}/formats/es_meta_part_1.jsonl.zst", item_bytes, text_column="content") == expected
    assert texts("{}/formats/es_head.json.gz", item_bytes, text_column="raw_content") == expected
    assert texts("{}/formats/hplt2_spa_Latn_1.jsonl.zst", item_bytes) == expected
    assert texts("{}/formats/extracted/AA/wiki_00", item_bytes, format="jsonl") == expected
    assert texts("{}/formats/extracted/AA/wiki_01.bz2", item_bytes, format="jsonl") == expected
    for name in ("cc100-es.txt", "es.txt.xz"):  # their lines have no spaces at the ends
        found = texts(f"{{}}/formats/{name}", item_bytes, blank_lines=True)
        assert [text.split() for text in found] == [text.split() for text in expected]
    sentences = texts("{}/formats/spa_news_2020_10K-sentences.txt", item_bytes)
    assert len(sentences) == 200
    assert not any(sentence[0].isdigit() and "\t" in sentence for sentence in sentences)


def test_their_other_columns() -> None:
    (oscar,) = read("{}/formats/oscar_text.jsonl", columns=("metadata.identification.label",))
    assert values([oscar], "metadata.identification.label") == ["es", "es", "es"]
    (hplt,) = read("{}/formats/hplt2_spa_Latn_1.jsonl.zst", columns=("lang",))
    assert values([hplt], "lang") == ["spa_Latn"] * 40
    assert (hplt.urls[0], hplt.timestamps[0]) == ("https://e.es/0", "2021-01-16T21:36:41Z")
    (ccnet,) = read("{}/formats/es_head.json.gz", text_column="raw_content")
    assert (ccnet.urls[0], ccnet.timestamps[0]) == ("http://e.es/0", "2018-02-20T03:12:01Z")


def test_what_needs_another_shape() -> None:
    for name in ("array.json", "pretty.json"):
        found = read(f"{{}}/formats/{name}")
        assert [text for batch in found for text in batch.texts] == []
        assert all(batch.rejected for batch in found)


def test_a_long_window_and_a_chain() -> None:
    assert texts("{}/other/f9_long_window.jsonl.zst") == ["uno dos tres"]
    assert len(texts("zip://a.jsonl::{}/other/f11_chain.zip")) == 1


def test_a_truncated_long_window_is_damaged(tmp_path: Path) -> None:
    data = (CASES / "other" / "f9_long_window.jsonl.zst").read_bytes()
    (tmp_path / "x.jsonl.zst").write_bytes(data[:-6])
    assert "truncated zstd" in str(read(str(tmp_path / "x.jsonl.zst"))[-1].damage)
