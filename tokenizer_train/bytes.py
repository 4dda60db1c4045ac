"""ByT5's tokenizer needs no training: its ids are bytes, after pad, eos and unk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.encoding.byte_encoder import BYTE_IDS, GOOGLE_VOCAB_SIZE
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
    return _export(extra_ids, out, {})


def export_google_bytes(out: Path) -> list[str]:
    """The folder of google/byt5-*, whose AutoTokenizer has 384 ids; returns the files' names.

    A key of tokenizer_config.json says that the sentinels are google's, 258 and downwards: `load_encoder` then gives
    the encoder named `byt5`. AutoTokenizer doesn't know the key: there, `<extra_id_0>` is 259.
    """
    return _export(GOOGLE_VOCAB_SIZE - BYTE_IDS, out, {"google_sentinels": True})


def _export(extra_ids: int, out: Path, more: dict[str, Any]) -> list[str]:
    config = {**tokenizer_config("ByT5Tokenizer", extra_ids, BYT5_MAX_LENGTH), **more}
    written = {
        "tokenizer.json": byte_tokenizer(extra_ids).to_str().encode(),
        "tokenizer_config.json": as_json(config),
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
