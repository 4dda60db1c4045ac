"""The noise of benchmarks.sieve: the same from the same documents, in the stated shares, and of the stated kinds."""

from __future__ import annotations

import math
import random
import string
from collections import Counter

import pytest

from benchmarks.sieve_corpus import is_held_out
from benchmarks.sieve_noise import CLEAN, MAKERS, MENU, SELLING, SHARES, Document, Noise
from benchmarks.sieve_sizes import SIZES
from corpora.texts import utf8
from corpora.tokens.split import validation_mask
from tests.invented import document

OTHERS = ["Um texto em português.", "한국어 문장입니다. 또 하나.", "An English text of some length, to be cut."]
DOCUMENTS = [Document(document(n), f"https://example.org/{n}", "2019") for n in range(300)]
NOISE = Noise(OTHERS, SHARES)
BLANK = [" ", "\n", "\u2028", "\n \t\n"]
ODD = ["a", "x\n\n", "\n\n\n.", "una sola línea sin fin " * 50, "0", "\t.\t\n" * 5, "á" * 3000]


def test_the_shares_are_those_that_the_page_states():
    assert math.isclose(sum(SHARES.values()), 0.4)
    assert SHARES.keys() == MAKERS.keys()


def test_noise_depends_on_the_document_alone():
    planted = [NOISE.planted(one) for one in DOCUMENTS]
    backwards = [Noise(OTHERS, SHARES).planted(one) for one in reversed(DOCUMENTS)]
    assert planted == backwards[::-1]
    assert [Noise(OTHERS, SHARES, seed=1).kind(one) for one in DOCUMENTS] != [one.kind for one in planted]


def test_clean_documents_are_as_they_were():
    planted = [NOISE.planted(one) for one in DOCUMENTS]
    assert [new for new, old in zip(planted, DOCUMENTS, strict=True) if new.kind == CLEAN] == [
        old for new, old in zip(planted, DOCUMENTS, strict=True) if new.kind == CLEAN
    ]
    assert all(new.url.startswith(old.url) for new, old in zip(planted, DOCUMENTS, strict=True))


def test_kinds_have_their_shares():
    """Within five standard deviations of a binomial draw: the draws are fixed, so the test can't fail by chance."""
    number = 20_000
    counts = Counter(NOISE.kind(Document(str(n), "", "")) for n in range(number))
    for kind, share in {**SHARES, CLEAN: 1 - sum(SHARES.values())}.items():
        assert abs(counts[kind] - number * share) < 5 * math.sqrt(number * share * (1 - share)), kind


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("text", [*ODD, *(one.text for one in DOCUMENTS[:20])])
def test_noise_is_never_empty_and_about_as_long(kind, text):
    made = MAKERS[kind](text, len(text), random.Random(0))
    assert made.strip()
    assert len(made) <= max(2 * len(text) + 1, 215)  # a line at least twice, a menu at least whole


def test_nothing_is_made_of_blank_documents():
    noise = Noise(OTHERS, {kind: 1 / len(SHARES) for kind in SHARES})  # all is noise
    assert {noise.planted(Document(text, str(n), "")).kind for text in BLANK for n in range(50)} == {CLEAN}
    assert CLEAN not in {noise.kind(Document("a", str(n), "")) for n in range(50)}


def make(kind: str, number: int = 7) -> str:
    text = DOCUMENTS[number].text * 3
    return MAKERS[kind](text, len(text), random.Random(number))


def test_each_kind_is_what_it_is_called():
    text = DOCUMENTS[7].text * 3
    assert set(make("repeated lines").split("\n")) <= {line[:200] for line in text.split("\n")}
    assert len(set(make("repeated lines").split("\n"))) == 1
    assert sorted(make("shuffled words").split()) == sorted(text.split())
    assert make("shuffled words").split() != text.split()
    assert make("other language") == text[: len(text)]
    assert set(make("random characters")) <= {*string.ascii_letters, *string.digits, *"+/=_-%&# \n"}
    assert len(set(make("random characters").split()) & set(text.split())) == 0
    words = set(make("keywords").replace(",", " ").split())
    assert words & set(SELLING)
    assert words - set(SELLING) <= {word.strip(string.punctuation).lower() for word in text.split()} | {
        make("keywords").split()[-1].strip(",")  # may be cut
    }
    lines = make("boilerplate").split("\n")
    assert set(lines[:12]) <= set(MENU)


def test_other_languages_are_cut_to_the_length_of_the_document():
    kinds = [one for one in map(NOISE.planted, DOCUMENTS) if one.kind == "other language"]
    assert kinds
    assert all(any(other.startswith(one.text) for other in OTHERS) for one in kinds)


def test_held_out_documents_are_those_that_shards_hold_out():
    size = SIZES["tiny"]
    texts = [one.text for one in DOCUMENTS]
    expected = validation_mask(utf8(texts), size.held_out_share, 0).tolist()
    assert [is_held_out(text, size) for text in texts] == expected
    assert any(expected)
