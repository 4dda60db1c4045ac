"""Words of a corpus: counted, parted, summed and drawn, as a Counter would."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.words.files import PARTS, CountsFile, summed
from corpora.words.selection import Selected, select
from corpora.words.table import LONGEST_WORD, HashedWords, WordTable
from tests.reference.words import as_counter, count, words_of

ADVERSARIAL = [
    "",
    " ",
    "a",
    "\0\0 a\0b \0",
    "  dos  espacios \n\n\r\n \t\tfin\f\x0b.",
    "ñ" * 4000 + " " + "日本語" * 1200 + "\U0001f600" * 751,
    " " * 7000 + "x",
    "\n" * 3001,
    "a" * (LONGEST_WORD - 1) + "é",
    " ".join(f"w{n}" for n in range(20_000)),  # more than the table has room for at first
]


def counted(texts: list[str], keep_spaces: bool, batch: int = 1 << 20) -> WordTable:
    table = WordTable(keep_spaces)
    for start in range(0, len(texts), batch):
        table.count(texts[start : start + batch])
    return table


@pytest.mark.parametrize("keep_spaces", [False, True])
@pytest.mark.parametrize("batch", [1, 7, 1 << 20])
def test_counts_are_a_counters(texts, keep_spaces, batch):
    every = texts + ADVERSARIAL
    table = counted(every, keep_spaces, batch)
    expected = count(every, keep_spaces)
    assert as_counter(table.words().words) == expected
    assert len(table) == len(expected)
    assert table.words_counted == expected.total()


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from("ab \n\r\t\0\f\x0bñ日\U0001f600▁") | st.characters(exclude_categories=["Cs"]))
    ),
    keep_spaces=st.booleans(),
)
def test_counts_of_any_text(texts, keep_spaces):
    assert as_counter(counted(texts, keep_spaces).words().words) == count(texts, keep_spaces)


def test_kept_words_are_the_text():
    for text in ADVERSARIAL:
        assert "".join(words_of(text, keep_spaces=True)) == " " + text.replace("\t", "").replace("\0", "")


def test_long_words_are_cut_between_characters_and_counted():
    table = counted(["x" + "ñ" * 3000], keep_spaces=False)
    found = as_counter(table.words().words)
    assert {len(word.encode()) for word in found} == {LONGEST_WORD - 1, LONGEST_WORD, 6001 - 383 - 14 * 384}
    assert sum(len(word) * n for word, n in found.items()) == 3001
    assert table.words_cut == table.words_counted - 1 == 15


def test_spanish_shard_equals_a_counter(es_shards):
    item = work_items([str(es_shards[0])])[0]
    table, expected = WordTable(keep_spaces=True), Counter[str]()
    for batch in islice(read_batches(item), 1):
        table.count(batch.texts)
        expected += count(batch.texts, keep_spaces=True)
    assert as_counter(table.words().words) == expected


def written(path, tables: list[WordTable]):
    with CountsFile(path) as file:
        for table in tables:
            file.write(table)
    return path


def test_the_sum_is_the_same_however_the_text_is_parted(texts, tmp_path):
    every = texts + ADVERSARIAL
    expected = count(every, keep_spaces=False)
    one = [written(tmp_path / "all", [counted(every, False)])]
    spilled = written(tmp_path / "spilled", [counted(every[n::3], False) for n in range(3)])
    apart = [written(tmp_path / f"{n}", [counted(every[n::5], False)]) for n in range(5)]
    empty = written(tmp_path / "empty", [WordTable(False)])
    for paths in (one, [spilled], [*apart, empty], apart[::-1]):
        parts = [as_counter(hashed.words) for hashed in summed(paths)]
        assert len(parts) == PARTS
        assert sum(map(len, parts)) == len(expected)
        assert sum(parts, Counter()) == expected


def drawn(parts: list[HashedWords], most: int, seed: int = 0) -> Selected:
    return select(parts, most=most, seed=seed, compose=True)


@pytest.fixture(scope="module")
def zipf() -> list[str]:
    draw = random.Random(0)
    return [" ".join(f"p{int(draw.paretovariate(0.6)) % 100_000}ñ" for _ in range(50)) for _ in range(2000)]


def test_few_words_are_all_selected(texts):
    found = drawn([counted(texts, False).words()], 1_000_000)
    expected = count(texts, keep_spaces=False)
    assert dict(found.words) == expected
    assert [word for word, _ in found.words] == sorted(expected)
    assert (found.unit, found.distinct, found.occurrences) == (1, len(expected), expected.total())


def test_a_draw_depends_on_words_and_seed_alone(zipf):
    one = drawn([counted(zipf, False).words()], 2000)
    parts = [counted([word], False).words() for word in ()]
    expected = count(zipf, keep_spaces=False)
    halves = [sorted(expected)[::2], sorted(expected)[1::2]]
    for half in halves[::-1]:
        table = counted([" ".join([word] * expected[word]) for word in half], False)
        parts.append(table.words())
    assert drawn(parts, 2000) == one
    assert drawn(parts, 2000, seed=1).words != one.words
    assert 1500 < len(one.words) <= 2000
    assert one.unit > 1
    assert all(expected[word] // one.unit <= n <= expected[word] // one.unit + 1 for word, n in one.words)
    assert {word for word, n in expected.items() if n >= one.unit} <= {word for word, _ in one.words}
    few = select([counted(zipf, False).words()], most=10**6, most_occurrences=3000, seed=0, compose=True)
    assert few.unit == -(-expected.total() // 3000)
    assert few.distinct == one.distinct


def test_a_draw_keeps_sums_of_counts_in_expectation(zipf):
    """Over seeds, the estimated count of words with a certain digit has the right mean."""
    hashed, expected = counted(zipf, False).words(), count(zipf, keep_spaces=False)
    true = sum(n for word, n in expected.items() if "7" in word)
    found = []
    for seed in range(40):
        one = drawn([hashed], 1500, seed)
        found.append(one.unit * sum(n for word, n in one.words if "7" in word))
    error = np.std(found) / len(found) ** 0.5
    assert abs(np.mean(found) - true) < 4 * error
    assert error < true / 100


def test_characters_are_those_of_all_words_whatever_is_selected(zipf):
    texts = [*zipf, "E\u0301a 日本 \U0001f600"]
    found = drawn([counted(texts, False).words()], 100)
    joined = "".join(texts).replace("E\u0301", "É").replace(" ", "")
    assert found.characters == Counter(joined)
    kept = select([counted(texts, True).words()], most=100, seed=0, compose=False)
    assert kept.characters == Counter("".join(f" {text}" for text in texts))
