"""The SentencePiece model of a preset: the engine's pieces, then the sentinels."""

from __future__ import annotations

import json
from pathlib import Path

from corpora.encoding.sentencepiece.model_proto import (
    BYTES,
    PIECES,
    UNIGRAM,
    USER_DEFINED,
    Field,
    Piece,
    encode,
    encode_piece,
    read_model,
)
from corpora.errors import DamagedFile

SPACE = "▁"


def preset_tokenizer(folder: Path) -> bytes | str:
    """The model file with the sentinels as pieces, whose ids are then the model's; or why there is none.

    A sentinel's piece begins with the space before it, which AutoTokenizer drops: seqio spells them so, too.
    """
    path = folder / "spiece.model"
    if not path.is_file():
        return "has no spiece.model, which KerasHub's T5Tokenizer reads"
    data = path.read_bytes()
    model = read_model(data, str(path))
    if model.model_type != UNIGRAM:
        return "has a tokenizer that isn't a unigram model, as T5's is"
    known = {piece.text for piece in model.pieces}
    missing = [token for token in ("</s>", "<pad>") if token not in known]
    if missing:
        return f"has a spiece.model without {missing[0]}, which KerasHub's T5Tokenizer needs"
    sentinels = _added(folder / "tokenizer.json", len(model.pieces))
    if sentinels is None:
        return f"has added tokens whose ids don't follow the {len(model.pieces)} pieces of spiece.model"
    new = [Piece(SPACE + name, 0.0, USER_DEFINED) for name in sentinels]
    return data + encode(Field(PIECES, BYTES, encode_piece(piece)) for piece in new)


def _added(path: Path, first: int) -> list[str] | None:
    """The tokens from id `first` on, by id; None if there is a gap. Raises DamagedFile."""
    try:
        listed = json.loads(path.read_bytes()).get("added_tokens", ())
        added = {token["id"]: token["content"] for token in listed if token["id"] >= first}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path} can't be read ({error}): train the model again") from None
    numbers = range(first, first + len(added))
    return [added[number] for number in numbers] if all(number in added for number in numbers) else None
