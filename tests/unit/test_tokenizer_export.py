"""The folder: what AutoTokenizer makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from corpora.encoding import load_encoder
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

SETTINGS = TokenizerSettings(vocab_size=800, extra_ids=100)


@pytest.fixture(scope="module")
def folder(texts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(lambda: texts, out, SETTINGS)
    return out


@pytest.fixture(scope="module")
def auto(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def engine(folder):
    return load_encoder(str(folder))


def ids_of(engine, text: str) -> list[int]:
    return engine.encode_batch([text])[0].tolist()


def test_special_ids(auto):
    assert (len(auto), auto.vocab_size) == (800, 800)
    assert (auto.pad_token_id, auto.eos_token_id, auto.unk_token_id) == (0, 1, 2)
    assert auto.convert_tokens_to_ids([f"<extra_id_{n}>" for n in range(100)]) == list(range(799, 699, -1))
    assert auto.model_max_length == 512
    assert set(auto.all_special_ids) == {0, 1, 2, *range(700, 800)}


def test_eos_is_appended(auto, engine):
    one, two = ids_of(engine, "La casa"), ids_of(engine, "Un río")
    assert auto("La casa").input_ids == [*one, 1]
    assert auto("La casa", "Un río").input_ids == [*one, 1, *two, 1]
    assert auto("La casa", add_special_tokens=False).input_ids == one
    batch = auto(["La casa", "La"], padding=True)
    assert list(batch) == ["input_ids", "attention_mask"]
    assert batch["input_ids"][1][-1] == 0


def test_decoding_is_readable(auto):
    ids = auto("Quiero <extra_id_0> el Árbol, ¿no?").input_ids
    assert 799 in ids
    assert auto.decode(ids, skip_special_tokens=True) == "quiero el árbol, ¿no?"


def test_ids_are_the_engines(auto, engine, texts):
    found = auto(texts, add_special_tokens=False).input_ids
    assert found == [ids.tolist() for ids in engine.encode_batch(texts)]


@pytest.mark.parametrize("text", ["</S> <PAD>", "<UNK>", "<Extra_Id_3>", "＜/s＞", "<pa\x01d>", "uno<\u200b/s>"])
def test_what_only_normalises_to_a_special_string_is_text(auto, engine, text):
    assert auto(text, add_special_tokens=False).input_ids == ids_of(engine, text)


def test_special_strings_are_text_on_request(auto, engine):
    text = "uno </s> <extra_id_3> <pad> dos <unk>"
    assert auto(text, add_special_tokens=False).input_ids != ids_of(engine, text)
    assert auto(text, add_special_tokens=False, split_special_tokens=True).input_ids == ids_of(engine, text)


def test_unused_pieces_stay_unused(texts, tmp_path):
    train_tokenizer(lambda: texts[:20], tmp_path, TokenizerSettings(fill_unused=True))
    auto, engine = AutoTokenizer.from_pretrained(tmp_path), load_encoder(str(tmp_path))
    assert len(auto) == engine.vocab_size == 5000
    assert auto.convert_ids_to_tokens(4899) == engine.id_to_piece(4899)
    assert engine.id_to_piece(4899).startswith("<unused_")
    for text in ("<unused_3>", "uno<UNUSED_0> dos", "<unused_2500>"):
        assert auto(text, add_special_tokens=False).input_ids == ids_of(engine, text)
        assert not any("unused_" in piece for piece in map(engine.id_to_piece, ids_of(engine, text)))


def test_a_model_folder_loads_the_same(folder, auto, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}')
    text = "E\u0301rase </S> una vez… 1/2"
    assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == auto(text).input_ids
    auto.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again(text).input_ids == auto(text).input_ids
    assert again.convert_tokens_to_ids("<extra_id_0>") == 799


def test_the_same_files_twice(folder, texts, tmp_path):
    facts = train_tokenizer(lambda: texts[::-1], tmp_path, SETTINGS)
    assert sorted(facts["files"]) == [
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name in facts["files"]:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_bytes(tmp_path, texts):
    facts = train_tokenizer(lambda: texts, tmp_path, TokenizerSettings(kind="bytes", vocab_size=359))
    assert facts["vocab_size"] == 359
    auto, engine = AutoTokenizer.from_pretrained(tmp_path), load_encoder(str(tmp_path))
    assert type(auto).__name__ == "ByT5Tokenizer"
    assert len(auto) == engine.vocab_size == 359
    assert auto.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_99>"]) == [259, 358]
    assert [engine.sentinel_id(k) for k in (0, 99)] == [259, 358]
    from tokenizers import Tokenizer

    fast = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*texts[:20], "Ñandú \0\t\x7f\u00ad日本"]:
        ids = ids_of(engine, text)
        assert auto(text).input_ids == [*ids, 1]
        assert fast.encode(text).ids == [*ids, 1]
        assert engine.decode(ids) == fast.decode(ids) == text


def test_bytes_without_sentinels(tmp_path):
    train_tokenizer(lambda: [], tmp_path, TokenizerSettings(kind="bytes", vocab_size=259, extra_ids=0))
    assert len(AutoTokenizer.from_pretrained(tmp_path)) == load_encoder(str(tmp_path)).vocab_size == 259


def test_training_imports_neither_torch_nor_transformers():
    code = (
        "import sys, tokenizer_train.train, tokenizer_train.unigram, tokenizer_train.bytes, corpora.encoding.encoder"
    )
    check = (
        f"{code}; print([m for m in ('torch', 'transformers', 'sentencepiece', 'tokenizers') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
