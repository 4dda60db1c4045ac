"""Which file of a tokenizer folder has AutoTokenizer's ids: spiece.model, or the tokenizer.json beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder
from corpora.encoding.sentencepiece.model_proto import NORMAL, Piece
from corpora.encoding.tokenizer_folder import ROLES, AddedToken, TokenizerConfig, is_sentinel, name
from corpora.errors import BadArgument, DamagedFile

_FULLWIDTH = str.maketrans("＜", "<")  # tamiz writes pieces so in tokenizer.json


class _Model(msgspec.Struct):
    vocab: dict[str, int] | list[tuple[str, float]] = {}


class _File(msgspec.Struct):
    model: _Model
    added_tokens: list[AddedToken] = []


def json_has_more(path: Path, data: bytes, engine: SentencePieceEncoder, config: TokenizerConfig) -> bool:
    """Whether tokenizer.json, or the config, has tokens that spiece.model lacks, or numbers them differently.

    transformers writes tokens that somebody has added only to tokenizer.json; AutoTokenizer reads that file alone.
    Raises DamagedFile.
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} is damaged ({error}): copy or train the tokenizer again") from None
    names = [piece.text for piece in engine.pieces] + [engine.id_to_piece(k) for k in _above(engine)]
    vocab = file.model.vocab
    pairs = vocab.items() if isinstance(vocab, dict) else ((token, k) for k, (token, _) in enumerate(vocab))
    theirs = {k: token for token, k in pairs} | {token.id: token.content for token in file.added_tokens}
    return (
        len(theirs) != len(names)
        or any(_differ(theirs.get(k), text) for k, text in enumerate(names))
        or any(_cuts(token, engine.pieces) for token in file.added_tokens)
        or bool(lacking(config, names))
    )


def lacking(config: TokenizerConfig, names: Iterable[str], *, roles: bool = True) -> list[str]:
    """Tokens of the config that AutoTokenizer would add to these. roles: those with a role, such as pad, too."""
    tokens = [token.content for token in (config.added_tokens_decoder or {}).values()] + config.extra_tokens
    tokens += [name(getattr(config, role)) or "" for role in ROLES] if roles else []
    known = {"", *names}
    return [token for token in dict.fromkeys(tokens) if token not in known and not is_sentinel(token)]


def refuse_lacking(path: Path, config: TokenizerConfig, names: Iterable[str]) -> None:
    """Raises BadArgument if the config adds tokens to an engine that can't have them."""
    tokens = lacking(config, names, roles=False)
    if tokens:
        shown = ", ".join(map(repr, tokens[:3])) + (", ..." if len(tokens) > 3 else "")
        raise BadArgument(
            f"{path.parent} adds tokens ({shown}) that {path.name} lacks, and has no tokenizer.json with them: load "
            "the folder with AutoTokenizer, save it with save_pretrained, and name the saved folder"
        )


def _above(engine: SentencePieceEncoder) -> range:
    return range(engine.num_pieces, engine.vocab_size)


def _differ(theirs: str | None, ours: str) -> bool:
    return theirs != ours and (theirs is None or theirs.translate(_FULLWIDTH) != ours.translate(_FULLWIDTH))


def _cuts(token: AddedToken, pieces: Sequence[Piece]) -> bool:
    """Whether text is cut at an added token that is an ordinary piece of the model."""
    return not token.special and token.id is not None and token.id < len(pieces) and pieces[token.id].type == NORMAL
