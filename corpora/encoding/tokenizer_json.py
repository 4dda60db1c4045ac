"""A tokenizer.json as AutoTokenizer loads it, with the tokens that the config files add; its ids never vary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from corpora.encoding.sentinels import MOST_IDS
from corpora.encoding.tokenizer_folder import ROLES, AddedToken, TokenizerConfig, name
from corpora.errors import DamagedFile, TamizError

# strings that a vocabulary may lack: a file that can't encode them fails before any work
_PROBE = ["", " ", "a", "Ñandú 1, 2\n", "日本の\0 ☃ \U0001f9ff", "<s> </s> [UNK]"]


class LoadedJson(NamedTuple):
    """tokenizer: `tokenizers.Tokenizer`. data: a tokenizer.json of the same ids. vocabulary: the id of each token.

    grown: whether the config files add tokens.
    """

    tokenizer: Any
    data: bytes
    vocabulary: dict[str, int]
    grown: bool


def load_json(data: bytes, config: TokenizerConfig, path: str) -> LoadedJson:
    """The tokenizer without BPE dropout, truncation and padding; special strings are text. Raises DamagedFile."""
    from tokenizers import Tokenizer

    with loading(path):
        tokenizer = Tokenizer.from_str(data.decode())
        changed = grown = _add_tokens(tokenizer, config)
        if getattr(tokenizer.model, "dropout", None) is not None:
            tokenizer.model.dropout, changed = None, True
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        highest = max(vocabulary.values(), default=-1)
        if not 0 <= highest < MOST_IDS:
            raise ValueError(f"its highest id is {highest}, not 0 to {MOST_IDS - 1:,}")
        tokenizer.encode_batch_fast(_PROBE, add_special_tokens=False)
        return LoadedJson(tokenizer, tokenizer.to_str().encode() if changed else data, vocabulary, grown)


@contextmanager
def loading(path: str) -> Iterator[None]:
    """Turns whatever `tokenizers` raises into DamagedFile: it raises plain Exception, and its Rust code panics."""
    try:
        yield
    except (TamizError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise DamagedFile(f"tokenizers can't load {path} ({why}): copy or train it again") from None


def _add_tokens(tokenizer: Any, config: TokenizerConfig) -> bool:
    """Adds the tokens of the config files that have no id, in AutoTokenizer's order; whether there were any."""
    import tokenizers

    listed = sorted((config.added_tokens_decoder or {}).items(), key=lambda item: int(item[0]))
    found = {token.content: token for _, token in listed}
    named = [name(getattr(config, role)) for role in ROLES]
    for token in (*named, *config.extra_tokens):
        if token:
            found.setdefault(token, AddedToken(token, special=True, normalized=False))
    known = tokenizer.get_vocab(with_added_tokens=True)
    lacking = [token for token in found.values() if token.content not in known]
    tokenizer.add_tokens([tokenizers.AddedToken(**_flags(token)) for token in lacking])
    return bool(lacking)


def _flags(token: AddedToken) -> dict[str, Any]:
    return {key: value for key, value in msgspec.structs.asdict(token).items() if key != "id"}
