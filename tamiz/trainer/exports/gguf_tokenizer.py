"""The tokenizer of a model's folder, as GGUF files describe one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.encoding.sentencepiece.model_proto import BPE, UNIGRAM, USER_DEFINED, read_model
from corpora.errors import DamagedFile

NORMAL, CONTROL = 1, 3  # SentencePiece's types and GGUF's have the same numbers
LOWEST = -1000.0  # the score of tokens that text never yields
_SPECIAL = {"bos": "bos_token", "eos": "eos_token", "unk": "unk_token", "pad": "pad_token"}


@dataclass(frozen=True)
class Vocabulary:
    """model: GGUF's name of the kind: llama (SentencePiece BPE), t5 (unigram) or gpt2 (byte-level BPE). special: bos,
    eos, unk, pad -> id, where there is one."""

    model: str
    tokens: list[bytes]
    types: list[int]
    scores: list[float] | None = None
    merges: list[str] | None = None
    charsmap: bytes = b""
    pre: str = "default"
    space_prefix: bool = True
    collapses_spaces: bool = True
    special: Mapping[str, int] = field(default_factory=dict)
    adds_bos: bool = False
    adds_eos: bool = False


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """None for a tokenizer that GGUF can't describe. Raises DamagedFile for one that can't be read."""
    path = folder / "tokenizer.json"
    try:
        described = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedFile(f"{path} can't be read ({error}): train the model again") from None
    if (folder / "spiece.model").is_file():
        return _of_sentencepiece(folder, described)
    is_gpt2 = described["model"].get("type") == "BPE" and _has_byte_level(described.get("pre_tokenizer"))
    return _of_gpt2(folder, described) if is_gpt2 else None


def _of_sentencepiece(folder: Path, described: dict[str, Any]) -> Vocabulary | None:
    path = folder / "spiece.model"
    model = read_model(path.read_bytes(), str(path))
    kind = {UNIGRAM: "t5", BPE: "llama"}.get(model.model_type)
    if kind is None:
        return None
    tokens = [piece.text.encode() for piece in model.pieces]
    types, scores = [piece.type for piece in model.pieces], [piece.score for piece in model.pieces]
    added = {t["id"]: t["content"] for t in described.get("added_tokens", ()) if t["id"] >= len(tokens)}
    for number in range(len(tokens), len(tokens) + len(added)):
        if number not in added:
            return None
        tokens.append(added[number].encode())
    types += [USER_DEFINED] * len(added)
    scores += [LOWEST] * len(added)
    ids = {token.decode(): number for number, token in enumerate(tokens)}
    return Vocabulary(
        model=kind, tokens=tokens, types=types, scores=scores, charsmap=model.charsmap if kind == "t5" else b"",
        space_prefix=model.dummy_prefix, collapses_spaces=model.collapses_spaces, **_around(folder, ids),
    )  # fmt: skip


def _of_gpt2(folder: Path, described: dict[str, Any]) -> Vocabulary | None:
    ids = {**described["model"]["vocab"], **{t["content"]: t["id"] for t in described.get("added_tokens", ())}}
    names = {number: token for token, number in ids.items()}
    if sorted(names) != list(range(len(names))):
        return None
    special = {t["id"] for t in described.get("added_tokens", ())}
    merges = [m if isinstance(m, str) else " ".join(m) for m in described["model"]["merges"]]
    return Vocabulary(
        model="gpt2", tokens=[names[number].encode() for number in range(len(names))],
        types=[CONTROL if number in special else NORMAL for number in range(len(names))], merges=merges, pre="gpt-2",
        **_around(folder, ids),
    )  # fmt: skip


def _around(folder: Path, ids: Mapping[str, int]) -> dict[str, Any]:
    """The special ids of tokenizer_config.json, and which of them surround a text."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_bytes()) if path.is_file() else {}
    named = {short: config.get(name) for short, name in _SPECIAL.items()}
    named = {short: token["content"] if isinstance(token, dict) else token for short, token in named.items()}
    special = {short: ids[token] for short, token in named.items() if token is not None and token in ids}
    around = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("a").ids
    return {
        "special": special,
        "adds_bos": bool(around) and around[0] == special.get("bos"),
        "adds_eos": bool(around) and around[-1] == special.get("eos"),
    }


def _has_byte_level(described: Any) -> bool:
    """Whether a pre-tokenizer of tokenizer.json is, or contains, ByteLevel."""
    if isinstance(described, dict):
        return described.get("type") == "ByteLevel" or any(map(_has_byte_level, described.values()))
    return isinstance(described, list) and any(map(_has_byte_level, described))
