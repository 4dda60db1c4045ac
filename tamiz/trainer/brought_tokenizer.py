"""A tokenizer that somebody brings without a tokenizer.json, in the files that AutoTokenizer loads: GPT-2's two
files, and google's ByT5 (`byt5`), which has no files at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.encoding import Encoder, load_encoder
from corpora.encoding.byte_encoder import ByteEncoder
from corpora.encoding.gpt2.files import find_files
from corpora.encoding.json_encoder import JsonEncoder
from corpora.errors import BadArgument
from tokenizer_train.bytes import BYT5_MAX_LENGTH, byte_tokenizer
from tokenizer_train.export import as_json

GOOGLE_BYTES = "byt5"


def is_brought(tokenizer: Path) -> bool:
    """Whether this module can write its files."""
    if str(tokenizer) == GOOGLE_BYTES and not tokenizer.is_dir():
        return True
    return not (tokenizer / "tokenizer.json").is_file() and find_files(tokenizer) is not None


def write_brought(tokenizer: Path, out: Path) -> None:
    """Writes tokenizer.json and tokenizer_config.json; their ids are those of the encoder."""
    encoder = load_encoder(str(tokenizer))
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    if isinstance(encoder, ByteEncoder):
        config["model_max_length"] = BYT5_MAX_LENGTH
        config["additional_special_tokens"] = [encoder.id_to_piece(n) for n in _sentinels(encoder)]
        written = byte_tokenizer(encoder.num_sentinels, google=True).to_str().encode()
    elif isinstance(encoder, JsonEncoder):
        written = encoder.data
    else:
        raise BadArgument(f"{tokenizer} has no tokenizer.json, which a trained model needs: convert it first")
    roles = {"bos_token": encoder.bos_id, "eos_token": encoder.eos_id, "unk_token": encoder.unk_id}
    if encoder.pad_id != encoder.eos_id:
        roles["pad_token"] = encoder.pad_id
    config |= {role: encoder.id_to_piece(number) for role, number in roles.items() if number is not None}
    (out / "tokenizer.json").write_bytes(written)
    (out / "tokenizer_config.json").write_bytes(as_json(config))


def _sentinels(encoder: Encoder) -> list[int]:
    return [encoder.sentinel_id(k) for k in range(encoder.num_sentinels)]
