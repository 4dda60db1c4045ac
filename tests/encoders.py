"""Small encoders of every kind, trained on the demo's documents, and texts at the edges of what they do."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

import numpy as np
import sentencepiece

from corpora.encoding.byte_encoder import ByteEncoder
from corpora.encoding.encoder import Encoder
from corpora.encoding.flat import id_dtype
from corpora.encoding.gpt2.byte_level_bpe import ByteLevelBpe
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder
from corpora.encoding.sentencepiece.model_proto import read_model
from corpora.encoding.sentencepiece.rounded_scores import with_rounded_scores
from corpora.encoding.tokenizer_folder import TokenizerConfig
from corpora.texts import utf8
from tests.conftest import DEMO
from tests.reference.sentencepiece_lines import normal, with_pieces

OTHER_SCRIPTS = (
    "東京は日本の首都である。人口は約1400万人。 서울은 대한민국의 수도이다. Москва — столица России. 👍🏽 x\u0301"
)
IDENTITY = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
SENTENCEPIECE: dict[str, dict[str, Any]] = {
    "unigram": {"model_type": "unigram", "vocab_size": 900},
    "unigram, rounded": {"model_type": "unigram", "vocab_size": 900},
    "bpe": {"model_type": "bpe", "vocab_size": 1200, "byte_fallback": True, **IDENTITY},
    "bpe, nfkc": {"model_type": "bpe", "vocab_size": 1200, "byte_fallback": True},
    "bpe, no bytes": {"model_type": "bpe", "vocab_size": 700, "character_coverage": 0.98},
    "bpe, nfkc, every space": {"model_type": "bpe", "vocab_size": 700, "remove_extra_whitespaces": False},
}  # fmt: skip
WORDS = [*SENTENCEPIECE, "bpe, runs of spaces", "byte-level"]  # served by the word cache
LIBRARY = ["byte-level, fastokens", "byte-level, Llama 3's words"]  # by fastokens
ENGINES = ["unigram, bytes", "symbols", "metaspace"]  # by the engine itself
KINDS = [*WORDS, *LIBRARY, *ENGINES, "bytes"]
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
ODD = [
    "",
    " ",
    "  ",
    "\n",
    "a",
    " a",
    "a ",
    " a  b \n\n c\n  d \t e\r\nf ",
    "▁ ▁a▁ ▁▁b a▁b",
    "\0 a\0b \x01\x02 \x7f\x85\xa0\u2028\u3000x\ufeff",
    "</s> <s> <pad> <unk> <|endoftext|> <extra_id_3> <0x41> <mask>x",
    "don't we'll I've 's 'S ''s x' 'r 've' 're'",
    "12345 1a2b ½² १२ x\u0301e\u0301 \u0301a ﬁﷺ 가\u11a8 ﾊﾞ Σς",
    "東京は日本の首都。" * 30,
    "☃☃ ☃ a☃☃b \U0001f9ff\U0002f800\U000e0041\U0010fffd",
    "x" * 70_000,
    "ab" * 400 + " " + "é" * 63 + " " + "ñ" * 64 + " " + "-" * 300 + " " * 100 + "\n" * 50 + "z",
]


@lru_cache(maxsize=1)
def demo_texts() -> list[str]:
    return [json.loads(line)["text"] for line in (DEMO / "documents.jsonl").read_bytes().splitlines()]


@lru_cache
def sentencepiece_model(kind: str) -> bytes:
    if kind == "bpe, runs of spaces":  # as Llama's has
        runs = {"▁▁": -0.5, "▁▁▁▁": -1.5, "▁▁de": -2.5, "▁▁▁▁▁▁▁▁": -3.5, "▁▁▁": -900.5}
        model = sentencepiece_model("bpe")
        return with_pieces(model, [*read_model(model, kind).pieces[3:], *normal(runs)])
    lines = [line for text in demo_texts() for line in text.split("\n") if line.strip()] + [OTHER_SCRIPTS] * 40
    out = io.BytesIO()
    settings: dict[str, Any] = {"hard_vocab_limit": False, "max_sentence_length": 10_000, "minloglevel": 2}
    if kind != "bpe":
        lines = [line.strip() for line in lines]
    if kind == "unigram, bytes":
        settings |= {"vocab_size": 900, "byte_fallback": True}
    elif kind == "symbols":
        settings |= {"vocab_size": 900, "user_defined_symbols": ["<x>", "ción"]}
    else:
        settings |= SENTENCEPIECE[kind]
    settings.pop("hard_vocab_limit" if settings.get("model_type") == "bpe" else "", None)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, **settings)
    return with_rounded_scores(out.getvalue()) if kind == "unigram, rounded" else out.getvalue()


@lru_cache
def tokenizer_json(kind: str) -> bytes:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    of_bytes = kind.startswith("byte-level")
    tokenizer = Tokenizer(models.BPE(unk_token=None if of_bytes else "<unk>"))
    specials, alphabet = ["<|endoftext|>"], []
    if of_bytes:
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        if "Llama" in kind:
            cut = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
            bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, bytes_only])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        specials.append("<unk>")
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*demo_texts()[:80], *[OTHER_SCRIPTS] * 20], trainer)
    found: bytes = tokenizer.to_str().encode()
    return found


def by_words(found: JsonEncoder) -> JsonEncoder:
    """The same, as where fastokens is not installed."""
    given = (found._data, id_dtype(found.vocab_size), found.encode_batch)
    found._flat._ways = [lambda: lambda cache_bytes: ByteLevelBpe(*given, cache_bytes)]
    return found


class ByWords(JsonEncoder):
    """As where fastokens is not installed."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        by_words(self)


class ByLibrary(JsonEncoder):
    """As where the words of the tokenizer are not GPT-2's."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._flat._ways = self._flat._ways[1:]


@lru_cache
def encoder(kind: str) -> Encoder:
    if kind == "bytes":
        return ByteEncoder(100)
    if kind == "byte-level":
        return ByWords(tokenizer_json(kind), TokenizerConfig())
    if kind == "byte-level, fastokens":
        return ByLibrary(tokenizer_json(kind), TokenizerConfig())
    if kind in LIBRARY or kind == "metaspace":
        return JsonEncoder(tokenizer_json(kind), TokenizerConfig())
    return SentencePieceEncoder(sentencepiece_model(kind), 50)


def flat(found: Encoder, texts: list[str]) -> list[list[int]]:
    """The ids of each text by `encode_flat`."""
    ids, offsets = found.encode_flat(utf8(texts))
    assert offsets[0] == 0
    assert offsets[-1] == len(ids)
    return [part.tolist() for part in np.split(ids, offsets[1:-1])] if texts else []


def of_record(found: Encoder, texts: list[str]) -> list[list[int]]:
    """The same by the engine of record."""
    return [ids.tolist() for ids in found.encode_batch(texts)]
