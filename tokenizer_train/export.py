"""The tokenizer folder that `AutoTokenizer.from_pretrained` loads, written without transformers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from corpora.encoding.sentencepiece.model_proto import NORMAL, Piece, SentencePieceModel, read_model
from corpora.files import write_bytes
from tokenizer_train.normalizer import FULLWIDTH_LESS_THAN, SPACE, normalizer

PAD, EOS, UNK = "<pad>", "</s>", "<unk>"  # ids 0, 1, 2 for unigram and bytes
BOS = "<s>"  # only bpe has it
T5_MAX_LENGTH = 512


def sentinel_names(extra_ids: int) -> list[str]:
    """The names of the sentinels, `<extra_id_0>` first."""
    return [f"<extra_id_{n}>" for n in range(extra_ids)]


def export_unigram(model: bytes, extra_ids: int, out: Path) -> list[str]:
    """Writes spiece.model and the files for AutoTokenizer below `out`; returns their names.

    `<extra_id_0>` is the highest id, the other sentinels follow downwards to the engine's pieces.
    """
    spiece_sha256 = hashlib.sha256(model).hexdigest()
    written = {
        "spiece.model": model,
        "tokenizer.json": unigram_tokenizer(read_model(model, "spiece.model"), extra_ids).to_str().encode(),
        # PreTrainedTokenizerFast reads tokenizer.json as it is; T5Tokenizer would rebuild the normaliser
        "tokenizer_config.json": as_json(
            {
                **tokenizer_config("PreTrainedTokenizerFast", extra_ids, T5_MAX_LENGTH),
                "spiece_model_sha256": spiece_sha256,
            }
        ),
        "special_tokens_map.json": special_tokens_map(extra_ids),
    }
    return write_files(out, written)


def write_files(out: Path, written: dict[str, bytes]) -> list[str]:
    """Writes the files; returns their names."""
    for name, data in written.items():
        write_bytes(out / name, data)
    return sorted(written)


def tokenizer_config(tokenizer_class: str, extra_ids: int, max_length: int) -> dict[str, Any]:
    return {
        "tokenizer_class": tokenizer_class,
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": PAD,
        "eos_token": EOS,
        "unk_token": UNK,
        "extra_ids": extra_ids,
        "additional_special_tokens": sentinel_names(extra_ids),
        "clean_up_tokenization_spaces": False,
    }


def special_tokens_map(extra_ids: int) -> bytes:
    names = sentinel_names(extra_ids)
    return as_json({"eos_token": EOS, "unk_token": UNK, "pad_token": PAD, "additional_special_tokens": names})


def as_json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"


def unigram_tokenizer(model: SentencePieceModel, extra_ids: int) -> Any:
    """A `tokenizers.Tokenizer` that gives SentencePiece's ids, with `</s>` appended on request.

    Words are encoded one by one, which is exact because scores are rounded and no piece crosses a space. In
    pieces, a fullwidth less-than sign stands for `<`, so that text can't spell `<pad>`; decoding restores `<`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    sentinels = sentinel_names(extra_ids)[::-1]
    vocabulary = [(_spelling(piece), piece.score) for piece in model.pieces] + [(name, 0.0) for name in sentinels]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizer(model.charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(FULLWIDTH_LESS_THAN, "<"), decoders.Metaspace(SPACE, prepend_scheme="always")]
    )
    add_specials(tokenizer, sentinels)
    return tokenizer


def _spelling(piece: Piece) -> str:
    return piece.text.replace("<", FULLWIDTH_LESS_THAN) if piece.type == NORMAL else piece.text


def add_specials(tokenizer: Any, sentinels: list[str]) -> None:
    """Makes pad, eos, unk and `sentinels`, which already have ids, special; appends eos to a text or a pair."""
    from tokenizers import AddedToken, processors

    names = [PAD, EOS, UNK, *sentinels]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=[(EOS, tokenizer.token_to_id(EOS))]
    )
