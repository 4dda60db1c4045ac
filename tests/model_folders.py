"""Folders of small untrained models with tokenizers of invented text, a maker for each family: what exports take."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.invented import document
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

TEXTS = [document(n) for n in range(300)]
T5_SHAPE = {
    "num_layers": 2,
    "num_decoder_layers": 2,
    "d_model": 64,
    "d_ff": 96,
    "d_kv": 16,
    "num_heads": 4,
    "dropout": 0.0,
}
LLAMA_SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2}


def make_tokenizers(home: Path) -> Path:
    """A unigram model of 400 ids and a BPE of 600, in folders of these names."""
    for kind, size in (("unigram", 400), ("bpe", 600)):
        out = home / kind
        out.mkdir()
        extra = 20 if kind == "unigram" else 0
        train_tokenizer(
            lambda: iter(TEXTS),
            out,
            TokenizerSettings(kind=kind, vocab_size=size, extra_ids=extra, lowercase=kind == "unigram"),
        )
    return home


def _folder(out: Path, model: Any, tokenizer: Path) -> Path:
    model.save_pretrained(out)
    for path in tokenizer.iterdir():
        shutil.copy(path, out)
    return out


def t5_folder(out: Path, tokenizers: Path, **shape: Any) -> Path:
    from tamiz.trainer.families.t5 import T5

    model = T5(vocab_size=400, **{**T5_SHAPE, **shape}).build(seed=0, pad_id=0, eos_id=1)
    return _folder(out, model, tokenizers / "unigram")


def llama_folder(out: Path, tokenizers: Path, **shape: Any) -> Path:
    from tamiz.trainer.families.llama import Llama

    model = Llama(vocab_size=600, **{**LLAMA_SHAPE, **shape}).build(seed=0, pad_id=3, eos_id=2, bos_id=1)
    return _folder(out, model, tokenizers / "bpe")


def gptj_folder(out: Path, tokenizers: Path) -> Path:
    from tamiz.trainer.families.gptj import GptJ

    shape = GptJ(vocab_size=600, hidden_size=64, num_layers=2, num_heads=2, rotary_dim=16)
    return _folder(out, shape.build(seed=0, pad_id=3, eos_id=2, bos_id=1), tokenizers / "bpe")


def load(auto: str, folder: Path, **more: Any) -> Any:
    """By a class of transformers."""
    import transformers

    return getattr(transformers, auto).from_pretrained(folder, **more).eval()
