"""AutoTokenizer gives the engine's ids: on any text, and on every document of four Spanish shards."""

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
from transformers import AutoTokenizer

from corpora.encoding import load_encoder
from corpora.encoding.sentencepiece.encoder import split_at_spaces
from corpora.encoding.sentencepiece.model_proto import fields
from tokenizer_train.normalizer import FULLWIDTH_LESS_THAN, normalizer, rule_keys
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

LITERAL = re.compile(r"<pad>|</s>|<unk>|<extra_id_\d+>")
# Letters newer than the Unicode 12 of tokenizers' NFKC, in sequences that SentencePiece composes.
NEWER = re.compile(
    "[\ua7f1-\ua7f3\U000105d2\U000105da\U00010783\U000107a2\U00011380-\U000113c9\U00011930-\U00011938"
    "\U00016100-\U00016139\U00016d40-\U00016d79\U0001ccd6-\U0001ccef\U0001e030-\U0001e06d]"
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


TRAPS = [
    "E\u0301a",  # composed
    "A\u0316",  # no such letter: the mark stays
    "a\u0301\u0323",  # NFKC would reorder
    "ﬁ\u0301",  # and compose with the ligature's second letter
    "o\u0302\u0301\u0316 \u1112\u1161\u11ab ﾊﾞ",
    "\u0340\u0301",
    "～A\x02~",
    "A\U0001f3fb A\u200db A\u1acf",
    "\u2581 a\u2581\u2581b \u2581",
    "\r\n\x01 \xa0¨ a¨\u3000",
]


@pytest.fixture(scope="module", params=["nmt_nfkc_cf", "nmt_nfkc"])
def normalizers(request):
    """The rebuilt normaliser and SentencePiece's own."""
    own = sentencepiece.SentencePieceNormalizer(rule_name=request.param)
    charsmap = {f.number: f.value for f in fields(own.serialized_normalizer_spec())}[2]
    return normalizer(charsmap), own, charsmap


def normalized(normalizers, text: str) -> tuple[str, str]:
    rebuilt, own, _ = normalizers
    return rebuilt.normalize_str(text).replace(FULLWIDTH_LESS_THAN, "<"), own.normalize(text)


@pytest.mark.parametrize("text", TRAPS)
def test_normalising_traps(normalizers, text):
    found, expected = normalized(normalizers, text)
    assert found == expected


@settings(max_examples=1000, deadline=None)
@given(text=TEXT)
def test_normalising_any_text(normalizers, text):
    assume(not NEWER.search(text))
    found, expected = normalized(normalizers, text)
    assert found == expected


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


def test_every_rule_of_the_normaliser(normalizers):
    """All 226,684 of nmt_nfkc_cf: only sequences with characters newer than Unicode 12 differ."""
    keys = rule_keys(normalizers[2])
    different = []
    for key in keys:
        found, expected = normalized(normalizers, key)
        if found != expected:
            different.append(key)
    assert len(keys) > 200_000
    assert all(NEWER.search(key) for key in different)
    assert len(different) == 393


def documents(shard: Path) -> Iterator[str]:
    with open(shard, "rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n")
        yield from (json.loads(line)["text"] for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_every_document_of_four_spanish_shards(es_shards, tmp_path):
    def everything() -> Iterator[str]:
        return (text for shard in es_shards[:4] for text in documents(shard))

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
    assert checked + with_special_strings == 16_480
