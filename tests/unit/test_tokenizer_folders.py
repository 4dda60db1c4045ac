"""Folders of every make that AutoTokenizer loads: the same ids, and sentinels wherever the vocabulary has them."""

from __future__ import annotations

import io
import json
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from corpora.encoding import Encoder, load_encoder
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder
from corpora.errors import BadArgument, DamagedFile
from corpora.texts import utf8
from corpora.tokens.readable import surfaces
from tests.encoders import flat, of_record
from tokenizer_train.evaluation.candidate import load_candidate
from tokenizer_train.evaluation.read_back import read_back

SENTENCES = [
    "La tienda abre a las nueve y cierra a las dos.",
    "Mi hermana compró pan, queso y tres tomates.",
    "¿Dónde está la llave del coche? Está encima de la mesa.",
    "El tren llega tarde, pero la estación está abierta.",
    "Los niños juegan en el patio cuando no llueve.",
]
ODD = ["", " ", "la  casa [NUM]\nde\tla [CLS] costa", "ÑANDÚ Está 12.345 日本 ☃", "x" * 90, "<mask> [UNK] x<mask>y"]
NAMES = [f"<extra_id_{number}>" for number in range(20)]
FAST = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
SPECIAL = ["<pad>", "</s>", "<unk>"]


@lru_cache
def spiece(**options: Any) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20), model_writer=model, vocab_size=90, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, num_threads=1, **options,
    )  # fmt: skip
    return model.getvalue()


def unigram() -> Tokenizer:
    processor = sentencepiece.SentencePieceProcessor(model_proto=spiece())
    pieces = [(processor.id_to_piece(k), round(processor.get_score(k) * 32) / 32) for k in range(len(processor))]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.normalizer = normalizers.NFKC()
    return tokenizer


def bpe(dropout: float | None = None) -> Tokenizer:
    letters = sorted({c for text in SENTENCES for c in text} - {" "})
    vocab = {token: k for k, token in enumerate([*SPECIAL, "▁", *letters, "la", "▁la", "es", "est"])}
    merges = [("l", "a"), ("▁", "la"), ("e", "s"), ("es", "t")]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", dropout=dropout))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


def byte_level() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: k for k, token in enumerate([*SPECIAL, *alphabet, "la", "Ġla", "es"])}
    tokenizer = Tokenizer(models.BPE(vocab, [("l", "a"), ("Ġ", "la"), ("e", "s")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def word_piece() -> Tokenizer:
    letters = sorted({c for text in SENTENCES for c in text.lower()} - {" "})
    vocab = {token: k for k, token in enumerate([*SPECIAL, *letters, *(f"##{c}" for c in letters), "la", "##ta"])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="<unk>", max_input_chars_per_word=50))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("</s>", 1), ("<pad>", 0))
    return tokenizer


KINDS = {"unigram": unigram, "bpe": bpe, "byte_level": byte_level, "word_piece": word_piece}


def made(folder: Path, files: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        data = content.to_str() if isinstance(content, Tokenizer) else content
        data = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
        (folder / name).write_bytes(data)
    return folder


def auto_ids(folder: Path, texts: list[str]) -> list[list[int]]:
    """AutoTokenizer's ids."""
    auto = AutoTokenizer.from_pretrained(folder)
    return auto(texts, add_special_tokens=False, split_special_tokens=True).input_ids


def same_as_auto(folder: Path) -> Encoder:
    """The encoder, after a comparison with AutoTokenizer."""
    auto, ours = AutoTokenizer.from_pretrained(folder), load_encoder(str(folder))
    texts = [*SENTENCES, *ODD]
    theirs = auto_ids(folder, texts)
    assert of_record(ours, texts) == flat(ours, texts) == theirs
    assert ours.vocab_size == max(auto.get_vocab().values()) + 1
    assert ours.eos_id == auto.eos_token_id
    again = load_encoder(str(folder))
    assert again.sha256 == ours.sha256 == pickle.loads(pickle.dumps(ours)).sha256
    assert flat(pickle.loads(pickle.dumps(ours)), texts) == theirs
    return ours


def sentinels(encoder: Encoder) -> list[int]:
    return [encoder.sentinel_id(k) for k in range(encoder.num_sentinels)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("added", "config"),
    [
        ([], FAST),
        ([AddedToken("[NUM]"), AddedToken("\n", normalized=False), AddedToken("<mask>", lstrip=True)], FAST),
        (
            [],
            {
                **FAST,
                "mask_token": "<mask>",
                "cls_token": {"__type": "AddedToken", "content": "[CLS]", "special": True},
            },
        ),
        ([], {**FAST, "added_tokens_decoder": {"300": {"content": "[NUM]"}, "12": {"content": "\n"}}}),
    ],
    ids=["plain", "added", "roles", "config"],
)
def test_ids_are_those_of_auto_tokenizer(tmp_path: Path, kind: str, added: list, config: dict) -> None:
    tokenizer = KINDS[kind]()
    tokenizer.add_tokens(added)
    folder = made(tmp_path, {"tokenizer.json": tokenizer, "tokenizer_config.json": config})
    assert flat(same_as_auto(folder), [*SENTENCES, *ODD]) == auto_ids(folder, [*SENTENCES, *ODD])


def test_added_tokens_json_of_older_versions(tmp_path: Path) -> None:
    files = {"tokenizer.json": byte_level(), "tokenizer_config.json": FAST, "added_tokens.json": {"[NUM]": 999}}
    assert same_as_auto(made(tmp_path, files)).id_to_piece(byte_level().get_vocab_size()) == "[NUM]"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["extra_special_tokens", "additional_special_tokens", "file", "map", "extra_ids 0"])
def test_sentinels_are_found_in_every_place(tmp_path: Path, kind: str, place: str) -> None:
    tokenizer, config, files = KINDS[kind](), dict(FAST), {}
    first = tokenizer.get_vocab_size()
    if place in ("file", "extra_ids 0"):
        tokenizer.add_special_tokens(NAMES)
    if place == "extra_ids 0":
        config |= {"extra_ids": 0, "additional_special_tokens": NAMES}
    elif place == "map":
        files["special_tokens_map.json"] = {"additional_special_tokens": NAMES}
    elif place != "file":
        config[place] = NAMES
    files |= {"tokenizer.json": tokenizer, "tokenizer_config.json": config}
    assert sentinels(same_as_auto(made(tmp_path, files))) == [*range(first, first + 20)]


def test_a_bare_file_has_its_sentinels(tmp_path: Path) -> None:
    tokenizer = unigram()
    tokenizer.add_special_tokens(NAMES)
    made(tmp_path, {"any.json": tokenizer})
    assert load_encoder(str(tmp_path / "any.json")).num_sentinels == 20


def test_dropout_is_left_out(tmp_path: Path) -> None:
    """As truncation and padding are: equal texts must give equal shards."""
    dropping, without = bpe(0.5), bpe()
    dropping.enable_truncation(3)
    dropping.enable_padding(length=99)
    found = load_encoder(str(made(tmp_path / "a", {"tokenizer.json": dropping})))
    expected = load_encoder(str(made(tmp_path / "b", {"tokenizer.json": without})))
    for _ in range(3):
        assert of_record(found, SENTENCES) == flat(found, SENTENCES) == of_record(expected, SENTENCES)


def t5(folder: Path, **more: Any) -> Path:
    return made(
        folder, {"spiece.model": spiece(), "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", **more}}
    )


def test_t5_sentinels_without_a_tokenizer_json(tmp_path: Path) -> None:
    """Ids as transformers 5.23 gives them with protobuf 7; AutoTokenizer can't convert spiece.model without it."""
    pieces = len(sentencepiece.SentencePieceProcessor(model_proto=spiece()))
    down = [*range(pieces + 99, pieces - 1, -1)]
    cases = [
        ({}, down), ({"extra_ids": 20}, down[-20:]), ({"extra_ids": 0}, []),
        ({"extra_special_tokens": [f"<extra_id_{k}>" for k in range(100)]}, down),
        ({"extra_ids": 0, "additional_special_tokens": NAMES}, down[::-1][:20]),
    ]  # fmt: skip
    for number, (config, expected) in enumerate(cases):
        found = load_encoder(str(t5(tmp_path / str(number), **config)))
        assert sentinels(found) == expected, config
        assert found.vocab_size == pieces + len(expected)
        again = pickle.loads(pickle.dumps(found))
        assert (again.sha256, sentinels(again)) == (found.sha256, expected)
    assert len({load_encoder(str(tmp_path / str(k))).sha256 for k in (1, 2, 4)}) == 3


@pytest.mark.parametrize("option", ["user_defined_symbols", "control_symbols"])
@pytest.mark.parametrize("spelling", ["▁<extra_id_{}>", "<extra_id_{}>"])
def test_pieces_that_are_sentinels(tmp_path: Path, spelling: str, option: str) -> None:
    """As in mT5, whose config says extra_ids 0."""
    names = [spelling.format(k) for k in range(19, -1, -1)]
    model = spiece(**{option: ",".join(names)})
    files = {"spiece.model": model, "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}}
    found = load_encoder(str(made(tmp_path, files)))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert sentinels(found) == [processor.piece_to_id(name) for name in names[::-1]]
    assert found.vocab_size == len(processor)
    texts = [*SENTENCES, *ODD]
    assert of_record(found, texts) == flat(found, texts) == processor.encode(texts)
    (ids,) = flat(found, ["la <extra_id_3> casa ▁<extra_id_4>"])
    assert not set(ids) & set(sentinels(found))
    assert found.id_to_piece(found.sentinel_id(3)) == "<extra_id_3>"
    assert found.decode([found.sentinel_id(3)]) == "<extra_id_3>"


def test_tokens_added_beside_spiece_model(tmp_path: Path) -> None:
    """transformers saves added tokens in tokenizer.json only."""
    tokenizer = unigram()
    plain = {"spiece.model": spiece(), "tokenizer_config.json": FAST}
    assert isinstance(load_encoder(str(made(tmp_path, {**plain, "tokenizer.json": tokenizer}))), SentencePieceEncoder)
    tokenizer.add_tokens([AddedToken("\n", normalized=False), AddedToken("[NUM]")])
    found = same_as_auto(made(tmp_path, {"tokenizer.json": tokenizer}))
    assert isinstance(found, JsonEncoder)
    assert found.vocab_size == unigram().get_vocab_size() + 2
    decoded = read_back(str(tmp_path), found).decode(found.encode_flat(utf8(["la [NUM]"])))
    assert "[NUM]" in decoded[0]
    (tmp_path / "tokenizer.json").unlink()
    made(tmp_path, {"added_tokens.json": {"\n": 90}})
    with pytest.raises(BadArgument, match=r"adds tokens \('\\n'\) that spiece.model lacks, .* save_pretrained"):
        load_encoder(str(tmp_path))


def test_a_tokenizer_json_with_other_ids_wins(tmp_path: Path) -> None:
    tokenizer = unigram()
    file = json.loads(tokenizer.to_str())
    file["model"]["vocab"][10:12] = file["model"]["vocab"][11:9:-1]
    files = {"spiece.model": spiece(), "tokenizer_config.json": FAST, "tokenizer.json": file}
    assert isinstance(same_as_auto(made(tmp_path, files)), JsonEncoder)


def test_byt5_folders(tmp_path: Path) -> None:
    for config, count in (({}, 125), ({"extra_ids": 7}, 7), ({"extra_ids": 0}, 0)):
        folder = made(tmp_path, {"tokenizer_config.json": {"tokenizer_class": "ByT5Tokenizer", **config}})
        assert same_as_auto(folder).num_sentinels == count
    made(tmp_path, {"added_tokens.json": {"[NUM]": 259}})
    with pytest.raises(BadArgument, match=r"adds tokens \('\[NUM\]'\) that ByT5Tokenizer lacks"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize(("name", "folder"), [("gpt2", "gpt2"), ("google/mt5-small", "mt5-small")])
def test_names_of_the_hub_are_told_how(name: str, folder: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadArgument, match=f"hf download {name} .*--local-dir {folder}, then give {folder}$"):
        load_encoder(name)
    with pytest.raises(BadArgument, match=r"or byt5$"):
        load_encoder("data/tokenizer.json")


MUTATIONS: dict[str, dict[str, list[Any]]] = {
    "tokenizer.json": {
        "": [None, [], 3, "x", b"\xff\xfe{}", b"", b'{"version":', b"\0" * 9],
        "model": [None, {}, {"type": "BPE"}, {"type": "Nope"}, []],
        "model.vocab": [{}, [], None, {"a": -1}, {"a": 2**31}, {"a": "b"}, [["a", "b"]], {"a": 1 << 30, "b": 0}],
        "model.merges": [["a zz"], [["a"]], [3], None, {}],
        "model.unk_token": ["<none>", 3, ""],
        "model.dropout": [7, -1, "x"],
        "added_tokens": [[{"id": 5}], [3], {}, [{"id": 1 << 31, "content": "y", "special": False}], None],
        "normalizer": [{"type": "Nope"}, {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, 3],
        "pre_tokenizer": [{"type": "Split"}, {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"}],
        "truncation": [3, {"max_length": 1}],
    },
    "tokenizer_config.json": {
        "": [None, [], b"\xff", b"", b"{"],
        "extra_ids": [-1, 1 << 40, "x", 1.5],
        "additional_special_tokens": [3, [3], [None], {"a": 1}],
        "extra_special_tokens": [3, [3]],
        "added_tokens_decoder": [[], {"x": {"content": "y"}}, {"1": "y"}, {"1": {}}],
        "eos_token": [3, {}, ["</s>"]],
        "tokenizer_class": [3, []],
    },
    "special_tokens_map.json": {"": [None, b"[", b"\xff"], "eos_token": [3]},
    "added_tokens.json": {"": [None, [3], {"a": "b"}, b"\xff"]},
}  # fmt: skip


def mutated(content: Any, key: str, value: Any) -> bytes:
    if not key:
        return value if isinstance(value, bytes) else json.dumps(value).encode()
    copied = json.loads(json.dumps(content))
    *path, last = key.split(".")
    place = copied
    for part in path:
        place = place[part]
    place[last] = value
    return json.dumps(copied).encode()


def told_damage(folder: Path) -> str | None:
    """The one line about a damaged folder; None if it serves."""
    try:
        found = load_encoder(str(folder))
        assert flat(found, SENTENCES) == of_record(found, SENTENCES)
    except DamagedFile as error:
        return str(error).replace("\n", "a second line")
    return None


@pytest.mark.parametrize("name", MUTATIONS)
def test_damage_is_told_by_its_file(tmp_path: Path, name: str) -> None:
    """Either the folder still serves, or one line says which file, what, and what to do."""
    good: dict[str, Any] = {"tokenizer.json": json.loads(bpe().to_str()), "tokenizer_config.json": FAST}
    damaged = 0
    for key, values in MUTATIONS[name].items():
        for value in values:
            made(tmp_path, {**good, name: mutated(good.get(name, {}), key, value)})
            why = told_damage(tmp_path)
            damaged += why is not None
            assert why is None or (str(tmp_path / name) in why and "copy or train" in why), (key, value, why)
    assert damaged > 2


def test_a_damaged_spiece_model_is_told(tmp_path: Path) -> None:
    model = spiece()
    for data in (b"", b"{}", b"\xff" * 40, model[:-1], model[: len(model) // 2], model[40:]):
        made(tmp_path, {"spiece.model": data, "tokenizer_config.json": FAST})
        with pytest.raises(DamagedFile, match=r"spiece\.model .*copy or train it again"):
            load_encoder(str(tmp_path))


def test_ids_that_the_vocabulary_leaves_out_have_an_empty_piece(tmp_path: Path) -> None:
    """Such a tokenizer encodes, is evaluated, and its rows are shown."""
    content = json.loads(byte_level().to_str())
    content["model"]["vocab"]["es"] += 7
    folder = made(tmp_path, {"tokenizer.json": content, "tokenizer_config.json": FAST})
    found = same_as_auto(folder)
    last = found.vocab_size - 1
    assert [found.id_to_piece(k) for k in (last - 8, last - 7, last - 1, last)] == ["Ġla", "", "", "es"]
    with pytest.raises(BadArgument, match=rf"id {last + 1} has no piece"):
        found.id_to_piece(last + 1)
    assert load_candidate(str(folder), "t").prefix == " "
    assert surfaces(found)(last - 7) == b""
