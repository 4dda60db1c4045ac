"""`encode_flat`: the ids of the engine of record, whatever the tokenizer, the document's length, the thread."""

from __future__ import annotations

import json
import logging
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from corpora.encoding.cache import flat_encoder, lending
from corpora.encoding.cache.flat_encoder import FlatEncoder, Make
from corpora.encoding.flat import FlatIds
from corpora.encoding.gpt2 import byte_level_bpe
from corpora.encoding.gpt2.byte_level_bpe import ByteLevelBpe
from corpora.encoding.gpt2.fast_bpe import Fastokens
from corpora.encoding.gpt2.files import byte_characters
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.sentencepiece import bpe as sentencepiece_bpe
from corpora.encoding.sentencepiece.bpe import SentencePieceBpe
from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder
from corpora.encoding.sentencepiece.model_proto import NORMALIZER_SPEC, UNUSED, USER_DEFINED, Piece, read_model
from corpora.encoding.sentencepiece.word_pieces import WordPieces
from corpora.encoding.tokenizer_folder import TokenizerConfig
from corpora.texts import Utf8, utf8
from tests.encoders import (
    ENGINES,
    KINDS,
    LIBRARY,
    ODD,
    WORDS,
    ByWords,
    demo_texts,
    encoder,
    flat,
    of_record,
    sentencepiece_model,
    tokenizer_json,
)
from tests.reference.sentencepiece_lines import normal, with_pieces, with_setting


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_the_engine_of_record(kind: str) -> None:
    found = encoder(kind)
    texts = [*demo_texts(), *ODD]
    expected = of_record(found, texts)
    for _ in range(2):  # the second time from the cache
        assert flat(found, texts) == expected
    assert flat(found, ODD[::-1]) == expected[: -len(ODD) - 1 : -1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_serves_is_said(kind: str) -> None:
    engine = encoder(kind).engine
    library = "tokenizers" if kind == "metaspace" else "sentencepiece"
    if kind in WORDS:
        assert engine == "word cache"
    elif kind in LIBRARY:
        assert engine.startswith("fastokens ")
    else:
        assert engine.startswith(library if kind in ENGINES else "bytes")


@pytest.mark.parametrize("kind", [*WORDS, *LIBRARY])
def test_giant_documents(kind: str) -> None:
    """A line of megabytes, which goes over many blocks; words that are too long to be looked at; all among others."""
    drawn = random.Random(0)
    words = [*" ".join(demo_texts()[:20]).split(" "), "", "☃", "\n", "don't", "日本語" * 40]
    line = " ".join(drawn.choices(words, k=400_000))
    texts = ["uno", line, "", "b " + "xy" * 120_000 + " c", "ñ" * 1000, "fin"]
    found = encoder(kind)
    assert flat(found, texts) == of_record(found, texts)


def test_a_word_of_a_megabyte() -> None:
    texts = ["a", "x" * 1_000_000, "b"]
    for kind in ("unigram, rounded", "byte-level"):
        found = encoder(kind)
        assert flat(found, texts) == of_record(found, texts)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_texts_and_parts_of_a_buffer(kind: str) -> None:
    found = encoder(kind)
    assert [array.tolist() for array in found.encode_flat(utf8([]))] == [[], [0]]
    assert [array.tolist() for array in found.encode_flat(utf8(["", ""]))] == [[], [0, 0, 0]]
    whole = utf8(["uno dos", "", "tres\ncuatro ", "cinco"])
    ids, bounds = found.encode_flat(Utf8(whole.data, whole.offsets[1:4]))
    expected = of_record(found, ["", "tres\ncuatro "])
    assert ids.tolist() == expected[1]
    assert bounds.tolist() == [0, 0, len(expected[1])]
    assert ids.dtype == np.uint16


@pytest.mark.parametrize("kind", KINDS)
def test_threads_and_pickles(kind: str) -> None:
    texts = demo_texts()[:60] + ODD
    expected = of_record(encoder(kind), texts)
    copy = pickle.loads(pickle.dumps(encoder(kind)))
    rotated = [texts[k:] + texts[:k] for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for k, ids in enumerate(pool.map(lambda some: flat(copy, some), rotated)):
            assert ids == expected[k:] + expected[:k]


def test_ids_past_65535_take_32_bits() -> None:
    file = json.loads(tokenizer_json("byte-level"))
    file["model"]["vocab"] |= {f"unused{number}": number for number in range(1500, 70_000)}
    found = ByWords(json.dumps(file).encode(), TokenizerConfig())
    ids, _ = found.encode_flat(utf8(ODD))
    assert (found.engine, ids.dtype) == ("word cache", np.uint32)
    assert flat(found, ODD) == of_record(encoder("byte-level"), ODD)


def test_gaps_in_ids_count() -> None:
    file = json.loads(tokenizer_json("byte-level"))
    file["model"]["vocab"]["a"] = 70_000
    found = JsonEncoder(json.dumps(file).encode(), TokenizerConfig())
    assert found.vocab_size == 70_001
    assert flat(found, ["b a"]) == of_record(found, ["b a"])
    assert 70_000 in flat(found, ["a"])[0]


def test_words_past_exact_sums_are_the_engines() -> None:
    """Of a rounded model each word stands alone, in a document of any length, unless its own score is too large."""
    pieces = {"▁": -1.0, "a": -3.0, "bc": -4.0, "ab": -4.0, "c": -3.0, "b": -9.0, "▁x": -2.0 - 2.0**-8}
    found = SentencePieceEncoder(with_pieces(sentencepiece_model("unigram"), normal(pieces)))
    texts = ["abc " * 50_000, "abc" * 6000 + " x abc", "abc " * 100 + "abc" * 30_000 + " abc" * 100]
    assert found.engine == "word cache"
    assert flat(found, texts) == of_record(found, texts)


def test_words_that_seldom_serve_are_left_out(monkeypatch) -> None:
    """Long lines of a model of near-ties go to SentencePiece anyway: from then on without looking at their words."""
    pieces = {"▁": -1.0, "a": -3.1, "bc": -4.3, "ab": -4.1, "c": -3.3000012, "b": -9.0, "▁x": -1.7}
    found = SentencePieceEncoder(with_pieces(sentencepiece_model("unigram"), normal(pieces)))
    texts = ["abc " * 300_000, "x abc"]
    expected = of_record(found, texts)
    assert flat(found, texts) == expected
    monkeypatch.setattr(WordPieces, "encode", lambda *_: pytest.fail("words were looked at"))
    assert flat(found, texts) == expected
    assert found.engine == "word cache"


def test_the_cache_never_grows(monkeypatch) -> None:
    """Megabytes of words that are all different, more than it holds."""
    monkeypatch.setattr(lending, "DEFAULT_CACHE", 1 << 18)
    drawn = random.Random(0)
    documents = [" ".join(f"{drawn.getrandbits(48):x}" for _ in range(5000)) for _ in range(20)]
    for kind in ("unigram, rounded", "bpe", "byte-level"):
        found = pickle.loads(pickle.dumps(encoder(kind)))
        flat(found, documents[:1])
        (words,) = found._flat._checked[0].lender._free
        before = _array_bytes(tuple(vars(words).values()))
        assert flat(found, documents) == of_record(found, documents)
        assert found._flat._checked[0].lender._free == [words]
        assert _array_bytes(tuple(vars(words).values())) == before < 40 << 20


def _array_bytes(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_array_bytes, value))
    return value.nbytes if isinstance(value, np.ndarray) else 0


class WrongWords:
    """Gives every text the ids of the others, but one."""

    engine, seldom_serve, slower_than_next = "wrong words", False, False

    def __init__(self, right: ByteLevelBpe) -> None:
        self._right = right

    def encode_flat(self, texts: Utf8) -> FlatIds:
        found = self._right.encode_flat(texts)
        found.ids[-1:] += 1
        return found


class Failing(WrongWords):
    def encode_flat(self, _texts: Utf8) -> FlatIds:
        raise RuntimeError("no such instruction")


@pytest.mark.parametrize(("words", "message"), [(WrongWords, "gave different ids"), (Failing, "no such instruction")])
def test_words_that_disagree_with_the_engine_do_not_serve(words, message, caplog) -> None:
    good = encoder("byte-level")
    right = good._flat._ways[0]()
    record = good.encode_batch
    with caplog.at_level(logging.WARNING):
        found = FlatEncoder("engine 1.0", record, np.dtype(np.uint16), [lambda: lambda size: words(right(size))])
        for _ in range(3):
            ids, _ = found.encode(utf8(ODD))
            assert ids.tolist() == [number for text in of_record(good, ODD) for number in text]
    assert found.engine == "engine 1.0"
    assert [message in entry.getMessage() for entry in caplog.records] == [True]
    assert "falling back to a slower one, at worst engine 1.0" in caplog.text


def test_texts_that_a_fast_way_refuses_are_the_engines(caplog) -> None:
    good = encoder("byte-level, fastokens")

    class Choosy(Fastokens):
        def encode_flat(self, texts: Utf8) -> FlatIds:
            if "paciencia" in texts.strings:
                raise ValueError("match limit exceeded")
            return super().encode_flat(texts)

    choosy = Choosy(tokenizer_json("byte-level, fastokens"), np.dtype(np.uint16))
    found = FlatEncoder("engine 1.0", good.encode_batch, np.dtype(np.uint16), [lambda: lambda _: choosy])
    for texts in (["a b"], ["con", "paciencia"], ["y más"]):
        ids, offsets = found.encode(utf8(texts))
        assert [part.tolist() for part in np.split(ids, offsets[1:-1])] == of_record(good, texts)
    assert [entry.getMessage() for entry in caplog.records] == [
        f"{choosy.engine} can't encode some texts (match limit exceeded): using a slower encoder"
    ]


def test_a_way_that_failed_is_made_anew() -> None:
    good, made = encoder("byte-level"), []

    class Once(ByteLevelBpe):
        def encode_flat(self, texts: Utf8) -> FlatIds:
            if made.index(self) == 1:
                raise ValueError("in the middle of its work")
            return super().encode_flat(texts)

    def make(size: int) -> ByteLevelBpe:
        made.append(Once(tokenizer_json("byte-level"), np.dtype(np.uint16), good.encode_batch, size))
        return made[-1]

    found = FlatEncoder("e", good.encode_batch, np.dtype(np.uint16), [lambda: make])  # the first one for the sample
    for _ in range(3):
        assert found.encode(utf8(ODD)).ids.tolist() == [number for text in of_record(good, ODD) for number in text]
    assert len(made) == 3


def test_new_words_are_the_librarys(monkeypatch) -> None:
    """Runs of Chinese are long words, nearly all new: with a library at hand, after a while they aren't looked up."""
    drawn = random.Random(3)
    texts = ["".join(chr(drawn.randrange(0x4E00, 0x5000)) for _ in range(900)) for _ in range(500)]
    good, data, dtype = encoder("byte-level"), tokenizer_json("byte-level"), np.dtype(np.uint16)

    def words() -> Make:
        return lambda size: ByteLevelBpe(data, dtype, good.encode_batch, size)

    found = FlatEncoder("e", good.encode_batch, dtype, [words, lambda: lambda _: Fastokens(data, dtype)])
    alone = FlatEncoder("e", good.encode_batch, dtype, [words, lambda: None])
    expected = [number for ids in of_record(good, texts) for number in ids]
    for encoding in (found, found, alone, alone):
        assert encoding.encode(utf8(texts)).ids.tolist() == expected
    monkeypatch.setattr(ByteLevelBpe, "encode_flat", lambda *_: pytest.fail("words were looked up"))
    assert found.encode(utf8(texts)).ids.tolist() == expected
    assert found.engine == "word cache"
    with pytest.raises(pytest.fail.Exception):  # no library: still faster than the engine of record
        alone.encode(utf8(texts))


def test_an_engine_gets_texts_in_batches(monkeypatch) -> None:
    monkeypatch.setattr(flat_encoder, "_BATCH_BYTES", 20)
    sizes: list[int] = []
    good = encoder("metaspace")

    def record(texts: list[str]) -> list[np.ndarray]:
        sizes.append(sum(len(text.encode()) for text in texts))
        return good.encode_batch(texts)

    texts = ["uno", "dos", "una línea mucho más larga", "", "tres", "x" * 19, "y", "z"]
    ids, offsets = FlatEncoder("e", record, np.dtype(np.uint16), [lambda: None]).encode(utf8(texts))
    assert sizes == [6, 27, 4, 20, 1]
    assert [part.tolist() for part in np.split(ids, offsets[1:-1])] == of_record(good, texts)


BPE_OBJECTIONS = {
    "not a BPE": lambda _: sentencepiece_model("unigram"),
    "don't begin with a space": lambda m: with_setting(m, NORMALIZER_SPEC, 3, 0),
    "doesn't write spaces": lambda m: with_setting(m, NORMALIZER_SPEC, 5, 0),
    "user-defined": lambda m: with_pieces(m, [*_own(m), Piece("<a>", 0, USER_DEFINED)]),
    "unused pieces": lambda m: with_pieces(m, [*_own(m), Piece("deza", 0, UNUSED)]),
    "cross spaces": lambda m: with_pieces(m, [*_own(m), Piece("de▁la", -99.5)]),
    "no piece for the space": lambda m: with_pieces(m, [piece for piece in _own(m) if piece.text != "▁"]),
    "equal scores": lambda m: with_pieces(m, [*_own(m), Piece("deqwa", -7.0)]),
}


def _own(model: bytes) -> list[Piece]:
    return read_model(model, "m").pieces[3:]


@pytest.mark.parametrize("reason", BPE_OBJECTIONS)
def test_bpe_models_that_words_cannot_serve(reason: str) -> None:
    model = sentencepiece_model("bpe, no bytes")
    assert sentencepiece_bpe.why_not(model) is None
    changed = BPE_OBJECTIONS[reason](model)
    assert reason in (sentencepiece_bpe.why_not(changed) or "")


def _changed(**changes) -> bytes:
    file = json.loads(tokenizer_json("byte-level"))
    for path, value in changes.items():
        part, _, key = path.partition("__")
        if key:
            file[part][key] = value
        else:
            file[part] = value
    return json.dumps(file).encode()


BYTE_LEVEL_OBJECTIONS = {
    "has a normalizer": {"normalizer": {"type": "NFC"}},
    "not GPT-2's": {"pre_tokenizer__add_prefix_space": True},
    "added tokens": {"added_tokens": [{"id": 1500, "content": "  ", "special": False}]},
    "dropout": {"model__dropout": 0.1},
    "marks where words": {"model__end_of_word_suffix": "</w>"},
    "ignores merges": {"model__ignore_merges": True},
    "lacks some bytes": {"model__vocab": {"a": 0}},
    "two bytes share an id": {
        "model__vocab": {character: max(byte, 1) for byte, character in byte_characters().items()},
        "model__merges": [],
    },
    "WordPiece": {"model__type": "WordPiece"},
    "not a byte-level BPE file": {"model": None},
}


@pytest.mark.parametrize("reason", BYTE_LEVEL_OBJECTIONS)
def test_files_that_words_cannot_serve(reason: str) -> None:
    assert byte_level_bpe.why_not(tokenizer_json("byte-level")) is None
    assert reason in (byte_level_bpe.why_not(_changed(**BYTE_LEVEL_OBJECTIONS[reason])) or "")


def test_one_implementation_serves_scoring_and_shards() -> None:
    unigram = encoder("unigram, rounded")
    bpe = encoder("bpe")
    flat(unigram, ["a"])
    flat(bpe, ["a"])
    assert {type(encoder._flat._checked[0].lender._free[0]) for encoder in (unigram, bpe)} == {
        WordPieces,
        SentencePieceBpe,
    }
