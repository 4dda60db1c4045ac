"""Which ids stand for the masked spans of a text, in a model's folder and in shards.

T5's sentinels are the highest ids, downwards. For bytes there are three conventions, and weights only know theirs:
google's weights have 258 and downwards (bytes that UTF-8 never contains); transformers' ByT5Tokenizer names 259 and
upwards; its collators use 383 and downwards (huggingface/transformers#16303).
"""

from __future__ import annotations

from pathlib import Path

from corpora.encoding import Encoder, load_encoder
from corpora.encoding.tokenizer_folder import read_config
from corpora.tokens.facts import SentinelIds


def encoder_of_model(folder: Path) -> Encoder | None:
    """The encoder of the tokenizer in a model's folder; None if there is no tokenizer.

    ByT5Tokenizer without a tokenizer.json is google's: its weights have google's sentinels, whatever the names that
    ByT5Tokenizer gives. Raises BadArgument or DamagedFile for a tokenizer that can't be read.
    """
    named = ("spiece.model", "tokenizer.json", "vocab.json", "encoder.json", "tokenizer.model")
    if (folder / "tokenizer.json").is_file():
        return load_encoder(str(folder))
    if read_config(folder).kind == "ByT5Tokenizer":
        from corpora.encoding.byte_encoder import ByteEncoder

        return ByteEncoder(google=True)
    return load_encoder(str(folder)) if any((folder / name).is_file() for name in named) else None


def sentinels_of(encoder: Encoder) -> SentinelIds | None:
    """None if it has none."""
    if not encoder.num_sentinels:
        return None
    first = encoder.sentinel_id(0)
    step = encoder.sentinel_id(1) - first if encoder.num_sentinels > 1 else -1
    return SentinelIds(first=first, step=step, count=encoder.num_sentinels)


def in_words(ids: SentinelIds | None) -> str:
    """`258 and downwards`."""
    return "no sentinels" if ids is None else f"{ids.first} and {'downwards' if ids.step < 0 else 'upwards'}"
