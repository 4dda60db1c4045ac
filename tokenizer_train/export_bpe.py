"""Exports a SentencePiece BPE model as a folder that AutoTokenizer loads, without transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from corpora.encoding.sentencepiece.model_proto import NORMAL, Piece, SentencePieceModel, read_model
from tokenizer_train.export import BOS, EOS, PAD, UNK, as_json, sentinel_names, write_files
from tokenizer_train.normalizer import SPACE, normalizer

SPECIALS = {"unk_token": UNK, "bos_token": BOS, "eos_token": EOS, "pad_token": PAD}  # ids 0 to 3
CAUSAL_MAX_LENGTH = 2048


def export_bpe(model: bytes, extra_ids: int, out: Path) -> list[str]:
    """Writes spiece.model and the files for AutoTokenizer below `out`; returns their names.

    Nothing is put around a text, as in rows built with the defaults of `tamiz shards build`; a model that is trained
    on rows with BOS gets a copy that puts `<s>` before it. Sentinels as in export_unigram.
    """
    sentinels = sentinel_names(extra_ids)
    special = {**SPECIALS, "additional_special_tokens": sentinels}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # reads tokenizer.json as it is
        "model_max_length": CAUSAL_MAX_LENGTH,
        "model_input_names": ["input_ids", "attention_mask"],
        **special,
        "add_bos_token": False,
        "add_eos_token": False,
        "extra_ids": extra_ids,
        "clean_up_tokenization_spaces": False,
        "spiece_model_sha256": hashlib.sha256(model).hexdigest(),
    }
    written = {
        "spiece.model": model,
        "tokenizer.json": bpe_tokenizer(read_model(model, "spiece.model"), extra_ids).to_str().encode(),
        "tokenizer_config.json": as_json(config),
        "special_tokens_map.json": as_json(special),
    }
    return write_files(out, written)


def bpe_tokenizer(model: SentencePieceModel, extra_ids: int) -> Any:
    """A `tokenizers.Tokenizer` that gives SentencePiece's ids, without BOS and EOS.

    Words are encoded one by one, which is exact because no piece crosses the beginning of a run of spaces. Text can't
    spell a special, byte or unused piece: no merge makes one.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    sentinels = sentinel_names(extra_ids)[::-1]
    names = [piece.text for piece in model.pieces] + sentinels
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges(model.pieces), unk_token=UNK, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = _normalizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(f"{SPACE}+"), "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = [AddedToken(name, special=True, normalized=False) for name in (*SPECIALS.values(), *sentinels)]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _normalizer(model: SentencePieceModel) -> Any:
    from tokenizers import normalizers

    if model.collapses_spaces:
        return normalizer(model.charsmap, hide_less_than=False)
    return normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])


def merges(pieces: Iterable[Piece]) -> list[tuple[str, str]]:
    """The merges that give SentencePiece's ids: every way to make a piece from two others, best piece first.

    SentencePiece merges the best piece wherever it can be made, leftmost first, from any two parts;
    `tokenizers` tries the parts in the order of this list.
    """
    scores = {piece.text: piece.score for piece in pieces if piece.type == NORMAL}
    ways = [
        (-score, -place, text[:place], text[place:])
        for text, score in scores.items()
        for place in range(1, len(text))
        if text[:place] in scores and text[place:] in scores
    ]
    return [(left, right) for _, _, left, right in sorted(ways)]
