"""ByT5's tokenizer needs no training: its ids are bytes, after pad, eos and unk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.encoding.gpt2.files import byte_characters
from tokenizer_train.export import (
    EOS,
    PAD,
    UNK,
    add_specials,
    as_json,
    sentinel_names,
    special_tokens_map,
    tokenizer_config,
    write_files,
)
from tokenizer_train.settings import NUM_SPECIAL

BYT5_MAX_LENGTH = 1024


def export_bytes(extra_ids: int, out: Path) -> list[str]:
    """Writes a folder that AutoTokenizer loads as ByT5Tokenizer; returns the files' names.

    Sentinels are numbered as in ByT5Tokenizer: `<extra_id_0>` is 259, the next is 260, and so on. (Google's weights
    use 258 and downwards instead: the encoder named `byt5` has that convention.)
    """
    written = {
        "tokenizer.json": byte_tokenizer(extra_ids).to_str().encode(),
        "tokenizer_config.json": as_json(tokenizer_config("ByT5Tokenizer", extra_ids, BYT5_MAX_LENGTH)),
        "special_tokens_map.json": special_tokens_map(extra_ids),
    }
    return write_files(out, written)


def byte_tokenizer(extra_ids: int) -> Any:
    """The same ids with `tokenizers`, for readers of tokenizer.json: byte-level BPE without a single merge."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = [character for _, character in sorted(byte_characters().items())]
    names = [PAD, EOS, UNK, *alphabet, *sentinel_names(extra_ids)]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, [], unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    add_specials(tokenizer, sentinel_names(extra_ids))
    assert tokenizer.token_to_id("a") == ord("a") + NUM_SPECIAL
    return tokenizer
