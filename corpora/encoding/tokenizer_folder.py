"""The config files of a tokenizer folder, beside its engine's file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from corpora.errors import DamagedFile

_SENTINEL = re.compile(r"<extra_id_\d+>")


class _Token(msgspec.Struct):
    content: str


class TokenizerConfig(msgspec.Struct):
    """tokenizer_config.json, as transformers writes it; tamiz adds `extra_ids` and `spiece_model_sha256`."""

    tokenizer_class: str | None = None
    extra_ids: int | None = None
    additional_special_tokens: list[str | _Token] | None = None
    bos_token: str | _Token | None = None
    eos_token: str | _Token | None = None
    pad_token: str | _Token | None = None
    unk_token: str | _Token | None = None
    spiece_model_sha256: str | None = None

    @property
    def num_sentinels(self) -> int:
        """`extra_ids` if it is set, otherwise the number of special tokens named `<extra_id_N>`."""
        if self.extra_ids is not None:
            return self.extra_ids
        return sum(bool(_SENTINEL.fullmatch(name(t) or "")) for t in self.additional_special_tokens or [])


def name(token: str | _Token | None) -> str | None:
    return token.content if isinstance(token, _Token) else token


def read_config(folder: Path) -> TokenizerConfig:
    """tokenizer_config.json, completed from special_tokens_map.json. A missing file counts as empty.

    Raises DamagedFile.
    """
    config, named = (_read_config(folder / name) for name in ("tokenizer_config.json", "special_tokens_map.json"))
    for field in ("bos_token", "eos_token", "pad_token", "unk_token", "additional_special_tokens"):
        if getattr(config, field) is None:
            setattr(config, field, getattr(named, field))
    return config


def _read_config(path: Path) -> TokenizerConfig:
    if not path.is_file():
        return TokenizerConfig()
    try:
        return msgspec.json.decode(read_file(path), type=TokenizerConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} is damaged ({error}): copy or train the tokenizer again") from None


def read_file(path: Path) -> bytes:
    """Raises DamagedFile if the file can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedFile(f"can't read {path}: {error.strerror or error}") from None


def check_sha256(path: Path, data: bytes, expected: str | None) -> None:
    """Raises DamagedFile if the folder records a different checksum."""
    if expected is not None and hashlib.sha256(data).hexdigest() != expected:
        raise DamagedFile(
            f"{path} is not the file that tokenizer_config.json records (sha256 {expected[:12]}...): "
            "copy or train the tokenizer again"
        )
