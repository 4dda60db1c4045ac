"""Encoders: ids of every engine, long texts, damaged files."""

from __future__ import annotations

import pickle
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from corpora.encoding import load_encoder
from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder, longest_part, split_at_spaces
from corpora.encoding.sentencepiece.model_proto import (
    BYTES,
    NORMALIZER_SPEC,
    PIECES,
    VARINT,
    Field,
    Piece,
    encode,
    encode_piece,
    fields,
    read_model,
)
from corpora.errors import BadArgument, DamagedFile
from corpora.texts import utf8
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

SPACES = re.compile("[ \n]")


@pytest.fixture(scope="module")
def folder(texts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(lambda: texts, out, TokenizerSettings(vocab_size=600, extra_ids=50))
    return out


@pytest.fixture(scope="module")
def encoder(folder):
    return load_encoder(str(folder))


def test_the_layout_of_ids(encoder):
    assert (encoder.vocab_size, encoder.pad_id, encoder.eos_id, encoder.unk_id) == (600, 0, 1, 2)
    assert encoder.num_sentinels == 50
    assert (encoder.sentinel_id(0), encoder.sentinel_id(49)) == (599, 550)
    assert [encoder.id_to_piece(i) for i in (0, 1, 2, 599, 550)] == [
        "<pad>",
        "</s>",
        "<unk>",
        "<extra_id_0>",
        "<extra_id_49>",
    ]
    for bad in (-1, 50):
        with pytest.raises(BadArgument, match=f"sentinel {bad} is needed, but the tokenizer has only 50"):
            encoder.sentinel_id(bad)
    with pytest.raises(BadArgument, match="id 600 is not below vocab_size 600"):
        encoder.id_to_piece(600)


def test_ids_are_sentencepieces_own(encoder, folder, texts):
    engine = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    found = encoder.encode_batch(texts)
    assert all(ids.dtype == np.int32 for ids in found)
    assert [ids.tolist() for ids in found] == engine.encode(texts)


def test_special_strings_are_text(encoder):
    text = "uno </s> <pad> <unk> <extra_id_3> </S> dos"
    (ids,) = encoder.encode_batch([text])
    assert not set(ids.tolist()) & {0, 1, *range(550, 600)}


@pytest.mark.parametrize("text", ["", "   ", "\0", "a\0b", "\x01\x02", "\x85", "\ufeffhola", "a\r\nb", "▁", "\t"])
def test_odd_characters(encoder, text):
    engine = sentencepiece.SentencePieceProcessor(model_proto=encoder._model)
    assert encoder.encode_batch([text])[0].tolist() == engine.encode(text)


def test_decoding(encoder):
    (ids,) = encoder.encode_batch(["La casa de Ana"])
    assert encoder.decode([*ids, encoder.sentinel_id(0), *ids, 1, 0]) == "la casa de ana <extra_id_0> la casa de ana"


def test_threads_and_processes_may_share_one(encoder, texts):
    copy = pickle.loads(pickle.dumps(encoder))
    expected = [ids.tolist() for ids in encoder.encode_batch(texts)]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(copy.encode_batch, [texts] * 8):
            assert [ids.tolist() for ids in found] == expected
    assert (copy.sha256, copy.vocab_size) == (encoder.sha256, encoder.vocab_size)


def test_the_same_file_with_other_sentinels_is_another_encoder(encoder, folder):
    alone = load_encoder(str(folder / "spiece.model"))
    assert (alone.vocab_size, alone.num_sentinels) == (550, 0)
    assert alone.sha256 != encoder.sha256


def test_long_texts_get_the_ids_of_their_words(encoder, texts):
    text = "\n".join(texts) * 5
    engine = sentencepiece.SentencePieceProcessor(model_proto=encoder._model)
    words = [i for word in engine.encode(text.split()) for i in word]
    (ids,) = encoder.encode_batch([text])
    assert ids.tolist() == words
    lowest = min(piece.score for piece in read_model(encoder._model, "m").pieces)
    assert encoder._record.longest * (10 - lowest) <= 2**24 / 32, "a float32 sum of 32nds is exact up to here"


def test_a_giant_document_takes_seconds(encoder):
    text = "la casa de los españoles\n" * 400_000
    (ids,) = encoder.encode_batch([text])
    (one,) = encoder.encode_batch(["la casa de los españoles"])
    assert np.array_equal(ids, np.tile(one, 400_000))
    (unbroken,) = encoder.encode_batch(["ab" * 500_000])
    assert len(unbroken) > 100_000


def test_splitting_keeps_every_character():
    text = ("uno dos\ntres " * 30) + "x" * 500 + " fin  "
    parts = split_at_spaces(text, 50, SPACES)
    assert "".join(parts) == text
    assert all(part[0] in " \n" for part in parts[1:])
    assert sorted(map(len, parts))[-1] >= 500
    assert sorted(map(len, parts))[-2] <= 50
    assert split_at_spaces("y" * 200, 50, SPACES) == ["y" * 200]


def rewritten(model: bytes, pieces: list[Piece] | None = None, normalizer: dict[int, int] | None = None) -> bytes:
    """A model with other pieces or normaliser flags."""
    top = list(fields(model))
    if pieces is not None:
        top = [Field(PIECES, BYTES, encode_piece(p)) for p in pieces] + [f for f in top if f.number != PIECES]
    flags = [Field(number, VARINT, value) for number, value in (normalizer or {}).items()]
    return encode(
        f._replace(value=encode([*fields(f.value), *flags])) if f.number == NORMALIZER_SPEC else f for f in top
    )


def test_texts_are_cut_only_where_that_is_exact(encoder):
    model = encoder._model
    pieces = read_model(model, "m").pieces
    assert longest_part(read_model(model, "m")) > 10_000
    as_trained = [p._replace(score=p.score + 0.001) for p in pieces]
    across_words = [*pieces, Piece("▁de▁la", -5.0)]
    for other in (
        rewritten(model, as_trained),
        rewritten(model, across_words),
        rewritten(model, normalizer={3: 0}),
        rewritten(model, normalizer={4: 0}),
    ):
        assert longest_part(read_model(other, "m")) == 0
        text = "la casa de la  montaña " * 5000
        whole = sentencepiece.SentencePieceProcessor(model_proto=other).encode(text)
        assert SentencePieceEncoder(other).encode_batch([text])[0].tolist() == whole


def test_a_truncated_or_garbled_model(folder, tmp_path):
    model = (folder / "spiece.model").read_bytes()
    cuts = [0, 1, 7, 100, len(model) // 2, len(model) - 1000, len(model) - 1]
    for number, bad in enumerate([*(model[:n] for n in cuts), b"garbage" * 1000, b"\0" * 5000, b"\xff" * 500]):
        path = tmp_path / f"{number}.model"
        path.write_bytes(bad)
        with pytest.raises(DamagedFile, match=re.escape(str(path))) as raised:
            load_encoder(str(path))
        assert "\n" not in str(raised.value)


def test_one_changed_byte_is_noticed(folder, tmp_path):
    bad = shutil.copytree(folder, tmp_path / "bad")
    model = bytearray((bad / "spiece.model").read_bytes())
    model[len(model) // 2] ^= 1
    (bad / "spiece.model").write_bytes(model)
    with pytest.raises(DamagedFile, match=r"spiece\.model is not the file that tokenizer_config\.json records"):
        load_encoder(str(bad))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer.json"])
def test_damaged_json(folder, tmp_path, name):
    bad = shutil.copytree(folder, tmp_path / "bad")
    (bad / "spiece.model").unlink()
    (bad / name).write_bytes((bad / name).read_bytes()[:300])
    with pytest.raises(DamagedFile, match=name) as raised:
        load_encoder(str(bad))
    assert "\n" not in str(raised.value)


def test_no_tokenizer_there(tmp_path):
    with pytest.raises(BadArgument, match="no tokenizer 'byt6'"):
        load_encoder("byt6")
    with pytest.raises(BadArgument, match=r"neither spiece\.model nor tokenizer\.json"):
        load_encoder(str(tmp_path))


def test_a_folder_of_tokenizer_json_alone(folder, encoder, texts, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "json")
    (copied / "spiece.model").unlink()
    found = pickle.loads(pickle.dumps(load_encoder(str(copied))))
    odd = [*texts, "uno </s> <extra_id_3> <pad> dos", "</S> <UNK>"]
    for ours, theirs in zip(encoder.encode_batch(odd), found.encode_batch(odd), strict=True):
        assert np.array_equal(ours, theirs)
    assert (found.vocab_size, found.eos_id, found.pad_id, found.unk_id) == (600, 1, 0, 2)
    assert [found.sentinel_id(k) for k in (0, 49)] == [599, 550]
    assert found.decode([*found.encode_batch(["la casa"])[0], 1]) == "la casa"


def test_byte_level_bpe(texts, tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts[:50], trainer)
    bpe.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "<|endofdoc|>"}}')
    added = load_encoder(str(tmp_path))  # as AutoTokenizer does
    assert (added.vocab_size, added.eos_id) == (501, 500)
    assert added.encode_batch(["a<|endofdoc|>"])[0].max() < 500


def test_byt5_as_googles_weights_have_it():
    encoder = load_encoder("byt5")
    assert (encoder.vocab_size, encoder.pad_id, encoder.eos_id, encoder.unk_id) == (384, 0, 1, 2)
    (ids,) = encoder.encode_batch(["aÑ\0"])
    assert ids.tolist() == [ord("a") + 3, 0xC3 + 3, 0x91 + 3, 3]
    assert [encoder.sentinel_id(k) for k in (0, 8)] == [258, 250]
    with pytest.raises(BadArgument, match="sentinel 11 is needed, but the tokenizer has only 11"):
        encoder.sentinel_id(11)
    assert encoder.decode([*ids, 258, 257, 1, 0]) == "aÑ\0<extra_id_0><extra_id_1>"
    assert [encoder.id_to_piece(i) for i in (1, 258, ord("a") + 3, 3)] == ["</s>", "<extra_id_0>", "a", "<0x00>"]
    assert pickle.loads(pickle.dumps(encoder)).sha256 == encoder.sha256


def test_a_vocabulary_with_gaps_counts_the_ids_between(tmp_path):
    """vocab_size would else be too small for its ids, which uint16 would change."""
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "hola": 70_000}, unk_token="<unk>")).save(
        str(tmp_path / "tokenizer.json")
    )
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    encoder = load_encoder(str(tmp_path))
    assert encoder.vocab_size == 70_001
    assert encoder.encode_flat(utf8(["hola"])).ids.tolist() == [70_000]
