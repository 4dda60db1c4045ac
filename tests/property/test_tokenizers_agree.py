"""AutoTokenizer gives the engine's ids: on any text, and on every document of the Spanish shards."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizer_train.normalizer import FULLWIDTH_LESS_THAN, normalizer, rule_keys
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer
from transformers import AutoTokenizer

from corpora.encoding import load_encoder
from corpora.encoding.model_proto import read_model
from corpora.encoding.sentencepiece_encoder import split_at_spaces

LITERAL = re.compile(r"<pad>|</s>|<unk>|<extra_id_\d+>")
# Letters and marks newer than the Unicode 14 of tokenizers' NFKC, in sequences that SentencePiece composes.
NEWER = re.compile(
    "[\ua7f1\U0001ccd6-\U0001ccf9\U0001e030-\U0001e06d\U00011380-\U000113ff\U00016100-\U0001613f\U00016d40-\U00016d7f]"
)
LATIN = "aAeEoOuUnNsSİıßﬁǅ¨´àÀêÊñ"
MARKS = "\u0300\u0301\u0302\u0303\u0307\u0308\u0316\u0323\u0327\u031b\u0334\u0340\u0344\u0345\u0489\u20dd\u093c\u3099"
HANGUL = "\u1100\u1112\u1161\u1175\u11a8\u11c2\u3131\u3133\u314f\uffa1\uffc2가각"
OTHERS = "\0\x01\x02\x03\t\n\r \x0b\x7f\x85\xa0\u200b\u200d\u0e33\ufeff\u2581<>/＜～~ﾊﾞΩς"
WORDS = ["la ", "Casa", "</S>", "<PAD>", "<Unk>", "<EXTRA_ID_3>", "<unused_1>", " de", "  ", "1/2"]
TEXT = st.lists(
    st.sampled_from([*LATIN, *MARKS, *HANGUL, *OTHERS, *WORDS]) | st.characters(exclude_categories=["Cs"]),
    max_size=30,
).map("".join)


@pytest.fixture(scope="module", params=[True, False], ids=["lowercase", "cased"])
def both(request, demo, tmp_path_factory):
    """AutoTokenizer and the engine."""
    texts = [json.loads(line)["text"] for line in (demo / "documents.jsonl").read_bytes().splitlines()]
    out = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(lambda: texts, out, TokenizerSettings(vocab_size=900, lowercase=request.param))
    return AutoTokenizer.from_pretrained(out), load_encoder(str(out))


@settings(max_examples=500, deadline=None)
@given(text=TEXT)
def test_on_any_text(both, text):
    auto, engine = both
    assume(not LITERAL.search(text) and not NEWER.search(text))
    assert auto(text, add_special_tokens=False).input_ids == engine.encode_batch([text])[0].tolist()


@settings(max_examples=200, deadline=None)
@given(text=TEXT, longest=st.integers(1, 20))
def test_cutting_at_spaces_changes_no_id(both, text, longest):
    _, engine = both
    parts = split_at_spaces(text, longest, re.compile("[ \n]"))
    assert "".join(parts) == text
    assert np.array_equal(np.concatenate(engine.encode_batch(parts)), engine.encode_batch([text])[0])


@pytest.mark.slow
def test_every_rule_of_the_normaliser(both):
    """All 226,684: only sequences with characters newer than Unicode 14 differ."""
    _, engine = both
    sentence_piece = sentencepiece.SentencePieceProcessor(model_proto=engine._model)
    charsmap = read_model(engine._model, "m").charsmap
    ours, keys = normalizer(charsmap), rule_keys(charsmap)
    different = [
        key
        for key in keys
        if ours.normalize_str(key).replace(FULLWIDTH_LESS_THAN, "<") != sentence_piece.normalize(key)
    ]
    assert len(keys) > 200_000
    assert all(NEWER.search(key) for key in different)
    assert len(different) == 393


def documents(shard: Path) -> Iterator[str]:
    with open(shard, "rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n")
        yield from (json.loads(line)["text"] for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_every_spanish_document(es_shards, tmp_path):
    def everything() -> Iterator[str]:
        return (text for shard in es_shards for text in documents(shard))

    train_tokenizer(everything, tmp_path, TokenizerSettings())
    auto, engine = AutoTokenizer.from_pretrained(tmp_path), load_encoder(str(tmp_path))
    checked = with_special_strings = 0
    texts = everything()
    while batch := list(islice(texts, 512)):
        plain = [text for text in batch if not LITERAL.search(text)]
        with_special_strings += len(batch) - len(plain)
        theirs = auto(plain, add_special_tokens=False, verbose=False).input_ids
        for text, ours, ids in zip(plain, engine.encode_batch(plain), theirs, strict=True):
            assert ours.tolist() == ids, text[:200]
        checked += len(plain)
    assert checked + with_special_strings == 65_911
