"""BPE with byte fallback: layout, lossless, and the same ids in sentencepiece, tokenizers and AutoTokenizer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.encoding import load_encoder
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.sentencepiece.model_proto import BYTE, NORMAL, Piece, fields, read_model
from corpora.encoding.tokenizer_folder import read_config
from corpora.errors import TamizError
from tests.conftest import SHARED
from tokenizer_train.export_bpe import merges
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

SETTINGS = TokenizerSettings(kind="bpe", vocab_size=1500, extra_ids=10, lowercase=False)
LOWER = TokenizerSettings(kind="bpe", vocab_size=1200, extra_ids=0)
LITERAL = re.compile(r"<pad>|</?s>|<unk>|<extra_id_\d+>")
WORDS = [
    " casa", "Árbol", "  ", "\n\n", "\r\n", "\t", "aaaa", "abab", "....", "<0x41>", "<0x", "</s", "<s", "<unused_1>",
    "日本", "ﬁ", "e\u0301", "\0", "\x7f", "\U0001f600", "\u2585", "\xa0", "ñ", "1234", "de la ",
]  # fmt: skip
TEXT = st.lists(
    st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=30
).map("".join)


@pytest.fixture(scope="module")
def texts(demo) -> list[str]:
    every = [json.loads(line)["text"] for line in (demo / "documents.jsonl").read_bytes().splitlines()]
    return [*every, *(f"x{'a' * n}  {'ab' * n}\n\n{'.' * n}" for n in range(40))]


@pytest.fixture(scope="module")
def folder(texts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bpe")
    train_tokenizer(lambda: texts, out, SETTINGS)
    return out


@pytest.fixture(scope="module")
def lower(texts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("lower")
    train_tokenizer(lambda: texts, out, LOWER)
    return out


@pytest.fixture(scope="module")
def engine(folder):
    return load_encoder(str(folder))


@pytest.fixture(scope="module")
def auto(folder):
    return AutoTokenizer.from_pretrained(folder)


def ids_of(engine, text: str) -> list[int]:
    return engine.encode_batch([text])[0].tolist()


def exported(folder: Path) -> JsonEncoder:
    return JsonEncoder((folder / "tokenizer.json").read_bytes(), read_config(folder))


def test_layout(folder, engine, auto):
    pieces = read_model((folder / "spiece.model").read_bytes(), "m").pieces
    assert [piece.text for piece in pieces[:4]] == ["<unk>", "<s>", "</s>", "<pad>"]
    assert pieces[4:260] == [Piece(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    assert {piece.type for piece in pieces[260:]} == {NORMAL}
    assert len(pieces) == 1490
    assert len(auto) == engine.vocab_size == 1500
    found = (auto.unk_token_id, auto.bos_token_id, auto.eos_token_id, auto.pad_token_id)
    assert found == (engine.unk_id, engine.bos_id, engine.eos_id, engine.pad_id) == (0, 1, 2, 3)
    assert auto.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_9>"]) == [1499, 1490]
    assert engine.sentinel_id(0) == 1499


def test_nothing_of_the_training_stays(folder):
    top = {f.number: f.value for f in fields((folder / "spiece.model").read_bytes())}
    trainer = {f.number: f.value for f in fields(top[2])}
    normaliser = {f.number: f.value for f in fields(top[3])}
    assert not {1, 2, 6, 7, 16, 36} & set(trainer)
    assert (normaliser[1], normaliser[3], normaliser[4]) == (b"identity", 1, 0)


def test_bos_and_eos_are_put_nowhere(auto, engine):
    """As in rows built with the defaults of `tamiz shards build`."""
    one, two = ids_of(engine, "La casa"), ids_of(engine, "Un río")
    assert auto("La casa").input_ids == one
    assert auto("La casa", "Un río").input_ids == [*one, *two]
    assert auto("La casa", add_special_tokens=False).input_ids == one
    assert auto.decode(auto("La casa").input_ids, skip_special_tokens=True) == "La casa"


def test_a_saved_tokenizer_loads_the_same(auto, tmp_path):
    auto.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "Érase  una\n\nvez… \U0001f600"
    assert again(text).input_ids == auto(text).input_ids
    assert again.decode(again(text).input_ids, skip_special_tokens=True) == text


@settings(max_examples=500, deadline=None)
@given(text=TEXT)
def test_any_text_comes_back_and_engines_agree(engine, auto, text):
    assume("\u2581" not in text)
    ids = ids_of(engine, text)
    assert engine.decode(ids) == text
    assert not {0, 1, 2, 3, *range(1490, 1500)} & set(ids)
    if not LITERAL.search(text):
        assert auto(text, add_special_tokens=False).input_ids == ids
        assert auto.decode(ids) == text


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_lowercase_engines_agree(lower, text):
    assume(not LITERAL.search(text.lower()) and "\u2581" not in text)
    assert exported(lower).encode_batch([text])[0].tolist() == ids_of(load_encoder(str(lower)), text)


@pytest.mark.parametrize("text", ["<s>", "</s> <pad>", "<unk>x", "<extra_id_3>", "<0x41>", "<unused_0>"])
def test_special_strings_are_text(engine, folder, text):
    ids = ids_of(engine, text)
    assert engine.decode(ids) == text
    assert min(ids) > 3
    assert exported(folder).encode_batch([text])[0].tolist() == ids


def test_unseen_characters_are_bytes(engine):
    assert "語" not in {engine.id_to_piece(n) for n in range(1490)}
    assert ids_of(engine, "語")[-3:] == [4 + byte for byte in "語".encode()]


def test_lowercase_collapses_spaces(lower):
    engine = load_encoder(str(lower))
    assert ids_of(engine, "  Árbol \n DE LA Ñ ") == ids_of(engine, "árbol de la ñ")
    assert engine.decode(ids_of(engine, "Árbol DE LA Ñ")) == "árbol de la ñ"


def test_the_same_files_twice(texts, folder, tmp_path):
    train_tokenizer(lambda: texts[::-1], tmp_path, SETTINGS)
    assert len(list(tmp_path.iterdir())) == 4
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_merges_are_every_way_to_make_a_piece():
    pieces = [Piece("<s>", 0.0, 3), Piece("ab", 0.0), Piece("abab", -1.0), Piece("aba", -2.0), Piece("a", -3.0)]
    pieces += [Piece("b", -4.0), Piece("ba", -5.0)]
    ways = [("a", "b"), ("aba", "b"), ("ab", "ab"), ("ab", "a"), ("a", "ba"), ("b", "a")]
    assert merges(pieces) == ways


def test_too_many_pieces(texts, tmp_path):
    with pytest.raises(TamizError, match=r"vocab_size is 32000 .*supports at most (\d+)") as raised:
        train_tokenizer(lambda: texts[:20], tmp_path, TokenizerSettings(kind="bpe", vocab_size=32000, extra_ids=0))
    most = int(str(raised.value).split("supports at most ")[1].split(":")[0])
    train_tokenizer(lambda: texts[:20], tmp_path, TokenizerSettings(kind="bpe", vocab_size=most, extra_ids=0))
    assert load_encoder(str(tmp_path)).vocab_size == most


def test_too_few_pieces_or_no_text(texts, tmp_path):
    with pytest.raises(TamizError, match=r"vocab_size is 270 .*characters alone need more than \d+"):
        train_tokenizer(lambda: texts, tmp_path, TokenizerSettings(kind="bpe", vocab_size=270, extra_ids=0))
    for empty in ([], ["", "\0\t"]):
        with pytest.raises(TamizError, match="no text to train a tokenizer on"):
            train_tokenizer(lambda: empty, tmp_path, SETTINGS)  # noqa: B023


def test_unused_pieces_fill_up(texts, tmp_path):
    filled = TokenizerSettings(kind="bpe", vocab_size=8000, extra_ids=5, lowercase=False, fill_unused=True)
    facts = train_tokenizer(lambda: [*texts[:20], "<unused_3> _" * 50], tmp_path, filled)
    assert facts["pieces"] + facts["unused_pieces"] == 8000 - 5 - 260
    engine = load_encoder(str(tmp_path))
    assert engine.id_to_piece(7994).startswith("<unused_")
    ids = ids_of(engine, "uno <unused_3> <unused_100><unused_0>")
    assert exported(tmp_path).encode_batch(["uno <unused_3> <unused_100><unused_0>"])[0].tolist() == ids
    assert not any(engine.id_to_piece(n).startswith("<unused_") for n in ids)


@pytest.mark.slow
def test_portuguese_on_whole_shards(tmp_path):
    paths = sorted((SHARED / "corpora" / "pt").glob("*.jsonl.zst"))
    if not paths:
        pytest.skip("no ../shared/corpora/pt beside the checkout")
    learned, held = ([t for b in read_batches(work_items([str(p)])[0]) for t in b.texts] for p in paths[:2])
    train_tokenizer(
        lambda: learned, tmp_path, TokenizerSettings(kind="bpe", vocab_size=32000, extra_ids=0, lowercase=False)
    )
    engine, auto = load_encoder(str(tmp_path)), AutoTokenizer.from_pretrained(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    every = [text for text in learned + held if not LITERAL.search(text)]
    ids = processor.encode(every)
    assert auto(every, add_special_tokens=False, verbose=False).input_ids == ids
    assert [found.tolist() for found in engine.encode_batch(every)] == ids
    assert processor.decode(ids) == [text.replace("\u2581", " ") for text in every]
