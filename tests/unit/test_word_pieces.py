"""Pieces word by word against SentencePiece: examples of what words could get wrong, and the conditions."""

from __future__ import annotations

import json
import random
import tracemalloc

import numpy as np
import pytest

from corpora.encoding.cache.word_symbols import LONGEST_WORD
from corpora.encoding.sentencepiece.charsmap import read_rules
from corpora.encoding.sentencepiece.code_points import CODE_POINTS, LEFT_OUT, character_map, normalise_function
from corpora.encoding.sentencepiece.model_proto import (
    BYTE,
    NORMALIZER_SPEC,
    TRAINER_SPEC,
    USER_DEFINED,
    Piece,
    decode_piece,
    fields,
    read_model,
)
from corpora.encoding.sentencepiece.unigram_engine import engine
from corpora.encoding.sentencepiece.word_pieces import WordPieces, why_not
from corpora.errors import BadArgument, DamagedFile
from corpora.text.normalise import CCNET, Normaliser
from tests.conftest import DEMO
from tests.reference.sentencepiece_lines import Pair, normal, packed, train, with_pieces, with_setting

CASED = Normaliser(lower_case=False, remove_accents=False)
NORMALISERS = (CCNET, CASED, Normaliser(remove_accents=False), Normaliser(lower_case=False), None)
MODES = [(CCNET, "lines"), (CCNET, "ccnet"), (CASED, "lines"), (None, "shards")]
CJK = "東京は日本の首都である。人口は約1400万人で、世界最大の都市圏を形成している。私は猫が好きです。"
KOREAN = "서울은 대한민국의 수도이다. 한글은 세종대왕이 만든 글자로 각각의 음절을 모아 쓴다."
TEXTS = [
    "",
    " ",
    "\n",
    "\n\n a \n",
    "Hola,   mundo  ",
    "línea uno\nlínea dos\r\ntres\ttabs \t y\x00nul\x01\x1f fin\x85aquí\xa0 \u2028\u3000 x",
    "ΟΔΟΣ ΟΔΟΣ. Σ ΑΣ\u0301 ΣΑΣΣ",
    "a\u0315\u0300\u05ae\u0062 e\u0323\u0301 \u1d165\u1d16d\U0001d15e\U0001d16e",
    "\u0301hola \u0301 \u0308 e\u0301",
    "\u1100\u1161\u11a8 \u1161 가\u11a8 각\u11a8 ㄱㅏ ㅋㅋㅠㅠ ｶﾞ ﾊﾟ",
    "▁ ▁hola▁ mundo▁ ▁▁",
    "ﷺ ﷺa ¨a a¨ ΅ — a—b .．．",
    "👨‍👩‍👧‍👦 🏳️‍🌈 🇪🇸 ☕️",
    "ÿ☃☃☃ ☃a☃ a\U0002f800\U00020000b \U0010fffd \ue000 \ufdd0",
    CJK,
    CJK * 40,
    KOREAN,
    "x" * 5000 + " " + "0" * 777,
    "niño " * 300 + "\n" + "ñandú" * 300,
    "a" * 63 + " " + "a" * 64 + " " + "a" * 65 + " " + "é" * 33,
    "1234567 12345678 123456789 12345678a 12345678b 1234567812345678 1234567812345679",
    "ǅ ŉ ﬃ ㎏ ½ ⅷ ① Å İI ß ſ",
]


@pytest.fixture(scope="module")
def model() -> bytes:
    texts = [json.loads(line)["text"] for line in (DEMO / "clean.jsonl").read_bytes().splitlines()]
    normalise = normalise_function(CCNET)
    lines = [normalise(line) for text in texts for line in text.split("\n")]
    return train([*lines, *[CJK, KOREAN] * 50], 900)


@pytest.fixture(scope="module")
def rounded(model: bytes) -> bytes:
    """The scores as multiples of 1/16."""
    pieces = [decode_piece(f.value) for f in fields(model) if f.number == 1][3:]
    return with_pieces(model, [Piece(p.text, round(p.score * 16) / 16, p.type) for p in pieces])


@pytest.mark.parametrize(("normaliser", "mode"), MODES)
@pytest.mark.parametrize("which", ["model", "rounded"])
def test_examples_as_sentencepiece(which: str, normaliser: Normaliser | None, mode: str, request) -> None:
    pair = Pair(request.getfixturevalue(which), normaliser, mode)
    assert why_not(request.getfixturevalue(which)) is None
    for _ in range(2):  # the second time from the cache
        assert pair.words(TEXTS) == pair.slow(TEXTS)
    assert pair.words(TEXTS[::-1]) == pair.slow(TEXTS[::-1])


@pytest.mark.parametrize(("normaliser", "mode"), MODES)
def test_long_documents_as_sentencepiece(model: bytes, normaliser: Normaliser | None, mode: str) -> None:
    """Documents that go over many blocks, among them a word that is left to SentencePiece."""
    text = "\n".join(TEXTS)
    documents = [(text + " ") * 30, "a", CJK * 2000, "b " + "xy" * LONGEST_WORD + " c", "ñ"]
    pair = Pair(model, normaliser, mode)
    assert pair.words(documents) == pair.slow(documents)


def test_five_megabytes_in_one_line(model: bytes) -> None:
    words = ["el", "niño", "1984", "come", "—", "«pan»", "y", "vino,", "ΣΑΣ", ""]
    line = " ".join(words[number % 101 * number % len(words)] for number in range(1_400_000))
    assert len(line.encode()) > 4_500_000
    pair = Pair(model)
    assert pair.words([line]) == pair.slow([line])


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("rules", ["nmt_nfkc", "nmt_nfkc_cf"])
def test_every_code_point_as_sentencepiece(normaliser: Normaliser | None, rules: str) -> None:
    """Alone, and between letters: what the table says of a character that depends on nothing else."""
    model = train([CJK, KOREAN, "hola mundo"] * 20, 200, rules)
    processor = engine(model, normaliser).processor
    found = character_map(processor, read_rules(read_model(model, "m").charsmap), normaliser)
    normalise = normalise_function(normaliser)
    alone = [c for c in range(CODE_POINTS) if not found.depends[c]]
    assert len(alone) > 0.99 * (CODE_POINTS - sum(map(len, LEFT_OUT)))
    text = "".join(map(chr, found.characters.tolist()))
    fate = [text[found.starts[c] : found.starts[c + 1]] for c in alone]
    assert processor.normalize([normalise(f"x{chr(c)}x") for c in alone]) == [f"▁x{f}x" for f in fate]
    stripped = [f.strip("▁") for f in fate]
    assert processor.normalize([normalise(chr(c)) for c in alone]) == [s and f"▁{s}" for s in stripped]


def test_the_cache_is_emptied_and_never_grows(model: bytes) -> None:
    pair = Pair(model, cache_bytes=1)
    documents = [
        " ".join(f"w{number * 7919 % 30011}x{number}" for number in range(start, start + 3000))
        for start in range(0, 60_000, 3000)
    ]
    before = [array.nbytes for array in vars(pair.fast).values() if isinstance(array, np.ndarray)]
    assert pair.words(documents) == pair.slow(documents)
    assert [array.nbytes for array in vars(pair.fast).values() if isinstance(array, np.ndarray)] == before
    assert pair.words(documents[:1]) == pair.slow(documents[:1])


def _mixed(value: int) -> int:
    """Of `word_cache`."""
    product = value * 0x9E3779B97F4A7C15 % 2**64
    return product ^ product >> 29


def test_words_of_one_hash_and_equal_ends_are_told_apart(model: bytes) -> None:
    """Words that differ in their second and third eight bytes only, chosen so that the hash is the same."""
    begin, letters = _mixed(int.from_bytes(b"igualpor", "little")), b"abcdefghijklmnopqrstuvwxyz"
    after = _mixed(begin ^ int.from_bytes(b"elcomien", "little")) ^ int.from_bytes(b"zoyelfin", "little")
    drawn = random.Random(0)
    while True:
        second = bytes(drawn.choices(letters, k=8))
        third = (after ^ _mixed(begin ^ int.from_bytes(second, "little"))).to_bytes(8, "little")
        if all(32 < byte < 127 for byte in third):
            break
    words = ["igualpor" + middle + "finalesy" for middle in ("elcomienzoyelfin", (second + third).decode())]
    pair = Pair(model)
    assert pair.words([" ".join(words)]) == pair.slow([" ".join(words)])
    assert pair.fast._cache.used[0] == 2


def test_memory_of_a_call_is_some_bytes_a_byte(model: bytes) -> None:
    data, offsets = packed([" ".join(["palabra", "niño", "a", "1984."] * 10) + "\n"] * 40_000)
    pair = Pair(model, cache_bytes=16 << 20)
    pair.fast.encode(data[: offsets[9]], offsets[:10])
    tracemalloc.start()
    pair.fast.encode(data, offsets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(data)


def test_documents_from_the_middle_of_a_buffer(model: bytes) -> None:
    pair = Pair(model)
    data, offsets = packed(["uno", "", "dos\ntres", "cuatro"])
    whole, part = pair.fast.encode(data, offsets), pair.fast.encode(data, offsets[1:4])
    assert whole.lines_per_document.tolist() == [1, 1, 2, 1]
    assert part.lines_per_document.tolist() == [1, 2]
    first, last = whole.offsets[1], whole.offsets[4]
    assert part.values.tolist() == whole.values[first:last].tolist()
    assert part.offsets.tolist() == (whole.offsets[1:5] - first).tolist()
    nothing = pair.fast.encode(data, offsets[:1])
    assert [len(array) for array in nothing] == [0, 1, 0]


def test_near_ties_are_sentencepieces(model: bytes) -> None:
    """`abc` is ab+c or a+bc by less than float32 can tell far into a line, so SentencePiece changes its mind."""
    pieces = {"▁": -1.0, "a": -3.1, "bc": -4.3, "ab": -4.1, "c": -3.3000012, "b": -9.0, "▁x": -1.7}
    tied = with_pieces(model, normal(pieces))
    lines = ["x " * before + "abc" for before in range(400)] + ["abc " * 300]
    pair = Pair(tied)
    expected = pair.slow(lines)
    assert {tuple(line[-1][-2:]) for line in expected} == {("a", "bc"), ("ab", "c")}
    assert pair.words(lines) == expected


def test_exact_sums_need_no_guard_until_they_are_too_large(model: bytes, monkeypatch) -> None:
    pieces = {"▁": -1.0, "a": -3.0, "bc": -4.0, "ab": -4.0, "c": -3.0, "b": -9.0, "▁x": -2.0 - 2.0**-10}
    asked: list[str] = []
    again = WordPieces._encode_texts
    monkeypatch.setattr(WordPieces, "_encode_texts", lambda self, texts: asked.extend(texts) or again(self, texts))
    pair = Pair(with_pieces(model, normal(pieces)))
    short, long = "abc " * 500 + "x", "abc " * 2500 + "x"
    assert pair.words([short]) == pair.slow([short])
    assert asked == []
    assert pair.words([long]) == pair.slow([long])
    assert asked == [long]


OBJECTIONS = {
    "not a unigram": lambda m: with_setting(m, TRAINER_SPEC, 3, 2),
    "don't begin with a space": lambda m: with_setting(m, NORMALIZER_SPEC, 3, 0),
    "keeps runs of spaces": lambda m: with_setting(m, NORMALIZER_SPEC, 4, 0),
    "doesn't write spaces": lambda m: with_setting(m, NORMALIZER_SPEC, 5, 0),
    "user-defined": lambda m: with_pieces(m, [*normal({"▁": -1}), Piece("<a>", 0, USER_DEFINED)]),
    "falls back to bytes": lambda m: with_setting(
        with_pieces(m, [*normal({"▁": -1}), *(Piece(f"<0x{byte:02X}>", 0, BYTE) for byte in range(256))]),
        TRAINER_SPEC,
        35,
        1,
    ),
    "cross spaces": lambda m: with_pieces(m, normal({"▁": -1, "a▁b": -2})),
    "no piece for the space": lambda m: with_pieces(m, normal({"▁a": -1})),
    "scores above 0": lambda m: with_pieces(m, normal({"▁": -1, "a": 0.5})),
}


@pytest.mark.parametrize("reason", OBJECTIONS)
def test_what_words_cannot_serve(model: bytes, reason: str) -> None:
    changed = OBJECTIONS[reason](model)
    assert reason in (why_not(changed) or "")
    with pytest.raises(BadArgument, match=reason):
        Pair(changed)


@pytest.mark.parametrize("rules", ["identity", "nfkc"])
def test_rules_that_keep_the_mark_of_a_space(rules: str) -> None:
    assert "U+2581" in (why_not(train(["hola mundo cruel"] * 20, 30, rules)) or "")


def test_no_model(model: bytes) -> None:
    with pytest.raises(DamagedFile):
        why_not(model[:-100])
    with pytest.raises(BadArgument, match="separators"):
        WordPieces(
            model, normaliser=None, separators=b"\n", line_end=True,
            values=np.zeros(900, np.uint32), unknown_values=lambda found: [0] * len(found),
        )  # fmt: skip


def test_the_text_of_spans_of_symbols(model: bytes) -> None:
    """Characters with a symbol of their own and others, in any order, in spans that skip some."""
    made = engine(model, None)
    text = "".join(chr(code) for code in made.trie.alphabet[:6].tolist()) + "한🙂a\u0301" + "ñ\U0010ffff"
    symbols = made.symbols(text)
    spans = [(0, 1), (2, 7), (5, 9), (9, len(text)), (0, len(text))]
    assert made.utf8(symbols, np.array(spans)) == [text[first:end].encode() for first, end in spans]
