"""The config files of a tokenizer folder, beside its engine's file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, TypeVar, overload

import msgspec

from corpora.errors import DamagedFile

_SENTINEL = re.compile(r"<extra_id_\d+>")
_T5_SENTINELS, _BYT5_SENTINELS = 100, 125  # of transformers' T5Tokenizer and ByT5Tokenizer, unless extra_ids is set
_MOST_SENTINELS = 1 << 20


# in the order in which AutoTokenizer adds those that have no id
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _Token(msgspec.Struct):
    content: str


TokenId = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,9}$")]


class AddedToken(msgspec.Struct):
    """A token that is added to an engine's own. Text is cut at it first, unless it is special."""

    content: str
    id: int | None = None
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True


Token = str | _Token
T = TypeVar("T")


class TokenizerConfig(msgspec.Struct):
    """tokenizer_config.json, as transformers writes it; tamiz adds `extra_ids` and `spiece_model_sha256`."""

    tokenizer_class: str | None = None
    extra_ids: Annotated[int, msgspec.Meta(ge=0, le=_MOST_SENTINELS)] | None = None
    additional_special_tokens: list[Token] | None = None
    extra_special_tokens: list[Token] | dict[str, Token] | None = None
    """The same, as transformers 5 writes it."""
    added_tokens_decoder: dict[TokenId, AddedToken] | None = None
    bos_token: Token | None = None
    eos_token: Token | None = None
    unk_token: Token | None = None
    sep_token: Token | None = None
    pad_token: Token | None = None
    cls_token: Token | None = None
    mask_token: Token | None = None
    spiece_model_sha256: str | None = None

    @property
    def kind(self) -> str:
        """The tokenizer's class, without the `Fast` of transformers 4."""
        return (self.tokenizer_class or "").removesuffix("Fast")

    @property
    def extra_tokens(self) -> list[str]:
        """Tokens that AutoTokenizer adds if the engine lacks them, besides those with a role."""
        extra = self.extra_special_tokens or []
        tokens = extra if isinstance(extra, list) else [*extra.values()]
        if not tokens or isinstance(extra, dict):
            tokens = [*tokens, *(self.additional_special_tokens or [])]
        return list(dict.fromkeys(name(token) for token in tokens))

    @property
    def num_sentinels(self) -> int:
        """The number of sentinels that AutoTokenizer puts above the engine's own ids."""
        named = sum(is_sentinel(token) for token in self.extra_tokens)
        return self.extra_ids or named or (0 if self.extra_ids == 0 else self._usual_sentinels)

    @property
    def _usual_sentinels(self) -> int:
        return {"T5Tokenizer": _T5_SENTINELS, "ByT5Tokenizer": _BYT5_SENTINELS}.get(self.kind, 0)

    @property
    def ascending(self) -> bool:
        """Whether those sentinels count upwards, as tokens that are only named do, but not those of `extra_ids`."""
        return self.extra_ids == 0 or (self.extra_ids is None and self.kind not in ("", "T5Tokenizer"))


def is_sentinel(token: str) -> bool:
    return _SENTINEL.fullmatch(token) is not None


@overload
def name(token: Token) -> str: ...
@overload
def name(token: Token | None) -> str | None: ...
def name(token: Token | None) -> str | None:
    return token.content if isinstance(token, _Token) else token


def read_config(folder: Path) -> TokenizerConfig:
    """tokenizer_config.json, completed from special_tokens_map.json and added_tokens.json. A missing file counts as
    empty.

    Raises DamagedFile.
    """
    config = _read(folder / "tokenizer_config.json", TokenizerConfig)
    named = _read(folder / "special_tokens_map.json", TokenizerConfig)
    for field in (*ROLES, "additional_special_tokens", "extra_special_tokens"):
        if getattr(config, field) is None:
            setattr(config, field, getattr(named, field))
    if config.added_tokens_decoder is None:
        special = {name(getattr(config, role)) for role in ROLES} | set(config.extra_tokens)
        config.added_tokens_decoder = {
            str(number): AddedToken(token, special=token in special, normalized=token not in special)
            for token, number in _read(folder / "added_tokens.json", dict[str, int]).items()
        }
    return config


def _read(path: Path, kind: type[T]) -> T:
    if not path.is_file():
        return kind()
    try:
        return msgspec.json.decode(read_file(path), type=kind)
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
