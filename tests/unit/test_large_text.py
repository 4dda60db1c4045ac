"""A large text on its way to ids: the same words and ids as a small one's, in bounded memory."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.errors import BadArgument, TamizError
from corpora.perplexity import train_lm as train_module
from corpora.perplexity.estimation import large_text, spool
from corpora.perplexity.estimation.large_text import LargeText
from corpora.perplexity.estimation.pieces import PieceNumbers
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.estimation.vocabulary import vocabulary_of
from corpora.perplexity.estimation.words import WordNumbers
from corpora.perplexity.kenlm_binary import murmur_hash
from corpora.perplexity.pieces import load_tokenizer
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.small_text import SmallText
from tests.invented import sentences
from tests.unit.test_estimation import LARGE, SMALL, trained


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab é日\0\t\r \n\v\f\x1c\x85\u2028 1234567890"), max_size=40), max_size=6))
def test_words_are_those_of_the_small_path(texts: list[str]) -> None:
    small, large = SmallText(), LargeText("unused", LmSettings(words=True))
    small.add_words(texts)
    large.add_words(texts)
    assert small.blank_lines == large.blank_lines
    if not large._spool.length:
        return
    ids, words = small.numbered()
    assert large._vocabulary.words() == words
    with Scratch("unused", 1 << 20) as memory:
        assert large._spool.text(0, len(words), memory)[:-1].tolist() == ids.tolist()


def test_a_vocabulary_grows_as_it_must() -> None:
    numbers = WordNumbers()
    expected: dict[str, int] = {}
    for block in range(5):
        words = [f"w{number}" for number in range(block * 3000, block * 3000 + 9000)]
        ids, _ = numbers.number((" ".join(words) + "\n").encode())
        for word in words:
            expected.setdefault(word, len(expected) + 3)
        assert ids.tolist() == [1, *(expected[word] for word in words), 2]
    vocabulary = numbers.vocabulary()
    assert vocabulary.words() == ["<unk>", "<s>", "</s>", *expected]
    assert vocabulary.hashes()[3:50].tolist() == [murmur_hash(word.encode()) for word in list(expected)[:47]]


def test_murmur_of_words_of_every_length() -> None:
    words = ["é" * number + "x" * length for number in range(3) for length in range(1, 30)]
    assert vocabulary_of([w.encode() for w in words]).hashes().tolist() == [murmur_hash(w.encode()) for w in words]


def test_unknown_pieces_are_told_apart(lm: Path) -> None:
    processor = load_tokenizer(lm.with_suffix(".spiece.model"))
    numbers = PieceNumbers(processor)
    lines = ["日 本 日", "本 語", "", "語 日"]
    ids, blank = numbers.number(lines)
    words = numbers.vocabulary().words()
    expected = [["<s>", *pieces, "</s>"] for pieces in processor.encode(lines, out_type=str) if pieces]
    assert [words[number] for number in ids.tolist()] == list(itertools.chain(*expected))
    assert blank == 1
    assert {"日", "本", "語"} <= set(words)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>"])
def test_words_of_the_model_itself_are_refused(tmp_path: Path, size: int, word: str) -> None:
    with pytest.raises(TamizError, match=f"the text contains the word '{word}'"):
        trained(["hola mundo", f"hola {word}"], tmp_path / "lm.bin", size, words=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_blank_lines_are_skipped_and_counted(tmp_path: Path, size: int) -> None:
    lines = ["", *(" ".join(line) for line in sentences(100)), " \t\r", "a\n\nb"]
    made = trained(lines, tmp_path / "lm.bin", size, words=True, order=2)
    assert (made["sentences"], made["blank_lines"]) == (102, 3)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_no_sentence_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(BadArgument, match="no sentence"):
        trained(["", " "], tmp_path / "lm.bin", size, words=True)


def test_size_alone_chooses_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_module, "SMALL_INPUT", 10)
    assert [train_module._look_at_size(texts)[0] for texts in (["ñ" * 4], ["ñ" * 4, "x"], ["x"] * 5)] == [
        True,
        False,
        False,
    ]
    assert list(train_module._look_at_size(iter(["ñ" * 9, "x"]))[1]) == ["ñ" * 9, "x"]


def test_a_vocabulary_without_some_words() -> None:
    words = [b"<unk>", b"<s>", b"</s>", b"", "ñu".encode(), b"x" * 20]
    kept = vocabulary_of(words).only(np.array([0, 1, 2, 4, 5]))
    assert kept.words() == ["<unk>", "<s>", "</s>", "ñu", "x" * 20]
    assert kept.hashes().tolist() == [murmur_hash(w) for w in words if w]


def test_no_more_memory_is_taken_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trained(["a b c d"] * 300, tmp_path / "lm.bin", LARGE, words=True)
    expected = (tmp_path / "lm.bin").read_bytes()
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 10_000}[name])
    trained(["a b c d"] * 300, tmp_path / "lm.bin", LARGE, words=True)
    assert "the rest goes to disk" in caplog.text
    assert (tmp_path / "lm.bin").read_bytes() == expected


def test_a_spooled_text_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BLOCK", 7)
    ids = np.arange(3, 100, dtype=np.uint32)
    for memory in (0, 100, 1 << 20):
        kept = spool.IdSpool(tmp_path / "lm.bin", memory)
        for part in np.split(ids, [1, 2, 20, 90]):
            kept.add(part)
        with Scratch(tmp_path / "lm.bin", 1 << 20) as memory_of_text:
            assert kept.text(2, 100, memory_of_text).tolist() == [1, 1, *ids.tolist(), 1]
    assert not list(tmp_path.iterdir())


def test_too_much_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_POSITIONS", 1000)
    with pytest.raises(TamizError, match="more than 1,000 words and sentence ends"):
        trained(["a b c"] * 300, tmp_path / "lm.bin", LARGE, words=True)


def test_blocks_end_with_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_text, "_BLOCK_BYTES", 6)
    data = b"ab\ncd\n\n0123456789\ne\n"
    assert list(large_text.blocks(data)) == [b"ab\ncd\n", b"\n", b"0123456789\n", b"e\n"]
