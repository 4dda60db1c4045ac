"""CCNet's normaliser against its slow twin, and the quirks that its models were trained with."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.text.normalise import normalise
from tests.reference import ccnet_normalise


def test_a_newline_is_deleted_and_words_join() -> None:
    assert normalise("Hola mundo\nAdiós 123") == "hola mundoadios 000"


@pytest.mark.parametrize(
    ("line", "normalised"),
    [
        ("  «Árbol» — año 1984… ", '"arbol" - ano 0000...'),  # the dash's own spaces and those beside it stay
        ("٣ १ １", "0 0 0"),
        ("a\x00b\x7fc\x9fd\te", "abcde"),
        ("ΟΔΟΣ", "οδος"),
        ("．％►", ". %-"),
        ("ｅ́ İ", "ｅ i"),
        ("   ", ""),
    ],
)
def test_examples(line: str, normalised: str) -> None:
    assert normalise(line).replace("  ", " ") == normalised


def test_every_character_as_the_twin() -> None:
    assert len(ccnet_normalise.PUNCTUATION) == 34
    assigned = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Co")]
    assert len(assigned) > 140_000
    assert [c for c in assigned if normalise(f"a{c}Σ") != ccnet_normalise.normalise(f"a{c}Σ")] == []


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("ÁñΣσ\u0301\u0327\n\t 19–—…»\xa0\x85 가ｶﾞ")))
def test_any_text_as_the_twin(text: str) -> None:
    assert normalise(text) == ccnet_normalise.normalise(text)
