"""The special ids of a tokenizer.json: those in tokenizer_config.json, else the first usual name that has an id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from corpora.encoding.tokenizer_folder import TokenizerConfig, name

_GPT2 = "<|endoftext|>"
_USUAL_EOS = ("</s>", _GPT2, "<eos>", "<|end_of_text|>", "<|im_end|>", "[SEP]")
_USUAL_BOS = ("<s>", "<|startoftext|>", "<bos>", "<|begin_of_text|>", "[CLS]")
_USUAL_PAD = ("<pad>", "[PAD]", "<|padding|>", "<|finetune_right_pad_id|>")
_USUAL_UNK = ("<unk>", "[UNK]", "<|unk|>")

IdOf = Callable[[str], int | None]


class SpecialIds(NamedTuple):
    """None: there is no such token. pad is eos if there is no pad token, and None if there is neither."""

    bos: int | None
    eos: int | None
    pad: int | None
    unk: int | None


def special_ids(config: TokenizerConfig, id_of: IdOf) -> SpecialIds:
    eos = _id(name(config.eos_token), _USUAL_EOS, id_of)
    bos = _id(name(config.bos_token), _USUAL_BOS, id_of)
    if bos is None and config.eos_token is None and eos == id_of(_GPT2):
        bos = eos  # GPT-2 has one token for both
    pad = _id(name(config.pad_token), _USUAL_PAD, id_of)
    return SpecialIds(bos, eos, eos if pad is None else pad, _id(name(config.unk_token), _USUAL_UNK, id_of))


def _id(named: str | None, usual: tuple[str, ...], id_of: IdOf) -> int | None:
    candidates = usual if named is None else (named,)
    return next((found for found in map(id_of, candidates) if found is not None), None)


def identity(engine_file: bytes, config: TokenizerConfig, id_of: IdOf) -> str:
    """A sha256 of everything that shards depend on: the file, and its bos, eos and pad if they aren't the usual ones.

    So it is the file's own sha256 if the config only repeats what tokenizer.json implies.
    """
    in_effect, usual = special_ids(config, id_of)[:3], special_ids(TokenizerConfig(), id_of)[:3]
    others = b"" if in_effect == usual else f" bos {in_effect[0]} eos {in_effect[1]} pad {in_effect[2]}".encode()
    return hashlib.sha256(engine_file + others).hexdigest()
