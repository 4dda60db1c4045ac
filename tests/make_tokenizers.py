"""One tokenizer of each kind that evaluation tells apart, small, trained on the demo's documents."""

from __future__ import annotations

import io
import json
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tokenizer_train.bytes import export_bytes
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

KINDS = ("unigram", "byte_level", "no_prefix", "keeps_spaces", "words", "bytes", "byt5")


def make_tokenizer(kind: str, texts: list[str], folder: Path) -> str:
    """What load_encoder takes.

    no_prefix: SentencePiece that puts no space before a text, as Gemma's. keeps_spaces: BPE with byte fallback that
    changes nothing in a text, as Llama 2's. words: whole words of `tokenizers`, no mark of spaces.
    """
    if kind == "unigram":
        train_tokenizer(lambda: texts, folder, TokenizerSettings(vocab_size=700, extra_ids=20))
    elif kind == "bytes":
        export_bytes(100, folder)
    elif kind == "byte_level":
        _byte_level(texts, folder)
    elif kind == "words":
        _words(texts, folder)
    elif kind == "byt5":
        return "byt5"
    else:
        options = {"add_dummy_prefix": False} if kind == "no_prefix" else {
            "model_type": "bpe", "byte_fallback": True, "remove_extra_whitespaces": False,
            "normalization_rule_name": "identity",
        }  # fmt: skip
        return str(_sentencepiece(texts, folder / "spiece.model", options))
    return str(folder)


def _sentencepiece(texts: list[str], path: Path, options: dict[str, object]) -> Path:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=600, minloglevel=2, num_threads=1,
        hard_vocab_limit=False, **options,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())
    return path


def _byte_level(texts: list[str], folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    _save(tokenizer, folder, {"eos_token": "<|endoftext|>"})


def _words(texts: list[str], folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=300, special_tokens=["</s>", "<unk>"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    _save(tokenizer, folder, {"eos_token": "</s>", "unk_token": "<unk>"})


def _save(tokenizer: Tokenizer, folder: Path, config: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
