"""KenLM's files: written as its own programs write them, read by kenlm, refused when damaged."""

from __future__ import annotations

import itertools
import random
import struct
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.errors import DamagedFile
from corpora.perplexity.arpa import format_float32, write_arpa
from corpora.perplexity.kenlm_binary import check_lm, murmur_hash, place, write_kenlm_binary
from corpora.perplexity.kneser_ney import estimate
from corpora.perplexity.lm_header import num_buckets
from tests.invented import sentences
from tests.unit.test_kneser_ney import numbered

GOLDEN = Path(__file__).parents[1] / "golden"
COUNTS = 88 + 20  # where the header's counts begin
MULTIPLIER, TYPE, VOCABULARY = 88 + 4, 88 + 8, COUNTS + 3 * 8 + 4


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trigram model, lm.bin and lm.arpa."""
    folder = tmp_path_factory.mktemp("kenlm")
    text, words = numbered(sentences(60, words=20))
    model = estimate(text, 3)
    write_kenlm_binary(folder / "lm.bin", model, words)
    write_arpa(folder / "lm.arpa", model, words)
    return folder


@pytest.mark.parametrize(("golden", "prune"), [("lmplz-order3", None), ("lmplz-order3-pruned", (0, 1))])
def test_arpa_is_that_of_lmplz(tmp_path: Path, golden: str, prune: tuple[int, ...] | None) -> None:
    """The files are what `lmplz -o 3 --discount_fallback` (KenLM 0.3.0) wrote for the same sentences.

    Another C library may round another last digit of a logarithm, so figures are compared as numbers.
    """
    text, words = numbered(sentences(60, words=20))
    write_arpa(tmp_path / "lm.arpa", estimate(text, 3, prune=prune), words)
    found, expected = (_fields(path) for path in (tmp_path / "lm.arpa", GOLDEN / f"{golden}.arpa"))
    assert len(found) == len(expected) > 100
    for ours, theirs in zip(found, expected, strict=True):
        assert [f for f in ours if isinstance(f, str)] == [f for f in theirs if isinstance(f, str)]
        numbers = ([f for f in fields if isinstance(f, float)] for fields in (ours, theirs))
        assert next(numbers) == pytest.approx(next(numbers), rel=3e-7, abs=1e-9)


def _fields(path: Path) -> list[list[str | float]]:
    return [[_number(field) for field in line.split("\t")] for line in path.read_text().split("\n")]


def _number(field: str) -> str | float:
    try:
        return float(field)
    except ValueError:
        return field


def test_kenlm_reads_binary_and_arpa_alike(written: Path) -> None:
    """The ARPA file goes through KenLM's own hashing, so equal scores vouch for ours."""
    binary, text = kenlm.Model(str(written / "lm.bin")), kenlm.Model(str(written / "lm.arpa"))
    assert binary.order == 3
    for line in sentences(300, words=20, seed=7):
        line = [*line, "unheard"] if len(line) % 3 == 0 else line
        assert list(binary.full_scores(" ".join(line))) == list(text.full_scores(" ".join(line)))


def test_every_word_is_in_the_vocabulary(written: Path) -> None:
    model = kenlm.Model(str(written / "lm.bin"))
    words = {word for line in sentences(60, words=20) for word in line}
    assert all(word in model for word in words)
    assert "unheard" not in model


def test_sign_bits_of_the_words(written: Path) -> None:
    """Set where no word was ever seen before the word (`<unk>`), clear elsewhere, for `<s>` too."""
    header = check_lm(written / "lm.bin")
    words = header.counts[0]
    start = VOCABULARY + 8 + 12 * num_buckets(words, 1.5)
    unigrams = np.frombuffer((written / "lm.bin").read_bytes(), "<f4", 2 * words, start).reshape(words, 2)
    assert np.flatnonzero(np.signbit(unigrams[:, 0])).tolist() == [0]
    assert unigrams[1, 0] == 0
    assert np.flatnonzero(unigrams[:, 1] == 0).tolist() == [0, 2]  # <unk> and </s> are no contexts
    assert np.signbit(unigrams[[0, 2], 1]).all()


def test_murmur_hash_of_each_length() -> None:
    """Of MurmurHash64A with seed 0: the empty string, and one of every length's branch."""
    assert murmur_hash(b"") == 0
    assert murmur_hash(b"hello") == 0x1E68D17C457BF117
    assert len({murmur_hash(b"x" * n) for n in range(40)}) == 40


@pytest.mark.parametrize("seed", range(20))
def test_placing_at_once_is_inserting_one_by_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    buckets = int(draw.integers(2, 400))
    keys = draw.integers(1, draw.choice([10, 1 << 60]), buckets - 1).astype(np.uint64)
    table: dict[int, int] = {}
    for index, key in enumerate(keys.tolist()):
        cell = next(c % buckets for c in itertools.count(key % buckets) if c % buckets not in table)
        table[cell] = index
    assert {int(cell): index for index, cell in enumerate(place(keys, buckets))} == table


def test_placing_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.random.default_rng(0).integers(1, 1 << 60, 1000).astype(np.uint64)
    whole = place(keys, 1200)
    monkeypatch.setattr("corpora.perplexity.kenlm_binary._BLOCK", 7)
    assert np.array_equal(place(keys, 1200), whole)


def test_numbers_as_lmplz_writes_them() -> None:
    values = np.array([0, -0.0, -1, -0.30103, 1e-6, -5.1e-8, -12.5], np.float32)
    assert format_float32(values).to_pylist() == ["0", "0", "-1", "-0.30103", "0.000001", "-5.1e-8", "-12.5"]


def test_check_gives_the_header(written: Path) -> None:
    binary, text = check_lm(written / "lm.bin"), check_lm(written / "lm.arpa")
    assert (binary.type, binary.order, binary.size) == ("probing", 3, (written / "lm.bin").stat().st_size)
    assert (text.type, text.order) == ("arpa", 3)
    assert binary.counts == text.counts == tuple(estimate(numbered(sentences(60, words=20))[0], 3).counts)


DAMAGES = {
    "empty": lambda _: b"",
    "text": lambda _: b"Hola, mundo\n" * 100,
    "magic": lambda data: b"X" + data[1:],
    "old version": lambda data: data.replace(b"version 5", b"version 4"),
    "byte order": lambda data: data[:60] + data[60:64][::-1] + data[64:],
    "header only": lambda data: data[:88],
    "half a header": lambda data: data[:100],
    "no counts": lambda data: data[: COUNTS + 8],
    "half": lambda data: data[: len(data) // 2],
    "no words": lambda data: data[:-100],
    "last byte": lambda data: data[:-1],
    "one byte more": lambda data: data + b"x",
    "order 0": lambda data: data[:88] + b"\0" + data[89:],
    "order 200": lambda data: data[:88] + b"\xc8" + data[89:],
    "type 9": lambda data: data[:TYPE] + struct.pack("<i", 9) + data[TYPE + 4 :],
    "multiplier 0": lambda data: data[:MULTIPLIER] + struct.pack("<f", 0) + data[MULTIPLIER + 4 :],
    "multiplier nan": lambda data: data[:MULTIPLIER] + struct.pack("<f", float("nan")) + data[MULTIPLIER + 4 :],
    "huge words": lambda data: data[:COUNTS] + struct.pack("<Q", 1 << 62) + data[COUNTS + 8 :],
    "huge trigrams": lambda data: data[: COUNTS + 16] + struct.pack("<Q", 1 << 39) + data[COUNTS + 24 :],
    "one more bigram": lambda data: (
        data[: COUNTS + 8] + struct.pack("<Q", data[COUNTS + 8] + 9) + data[COUNTS + 16 :]
    ),
    "no words counted": lambda data: data[:COUNTS] + struct.pack("<Q", 0) + data[COUNTS + 8 :],
    "word ids": lambda data: data[: VOCABULARY + 8] + b"\xff" * 120 + data[VOCABULARY + 128 :],
    "words' number": lambda data: data[: VOCABULARY + 4] + b"\xff\xff" + data[VOCABULARY + 6 :],
    "arpa without counts": lambda _: b"\\data\\\n\n\\1-grams:\n",
    "arpa of bad counts": lambda _: b"\\data\\\nngram 1=x\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_before_kenlm_opens_the_file(written: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.bin"
    path.write_bytes(DAMAGES[damage]((written / "lm.bin").read_bytes()))
    with pytest.raises(DamagedFile, match=r"damaged\.bin") as raised:
        check_lm(path)
    assert "\n" not in str(raised.value)


@given(st.data())
def test_any_changed_byte_is_refused_or_read_safely(
    written: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Of header and vocabulary: the check never fails in another way, and kenlm survives what it lets through."""
    content = bytearray((written / "lm.bin").read_bytes())
    end = VOCABULARY + 8 + 12 * int(1.5 * struct.unpack_from("<Q", content, COUNTS)[0])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    path.write_bytes(content)
    try:
        check_lm(path)
    except DamagedFile:
        return
    draw = random.Random(0)
    model = kenlm.Model(str(path))
    words = [word for line in sentences(60, words=20) for word in line]
    assert model.score(" ".join(draw.choices(words, k=50))) <= 0
