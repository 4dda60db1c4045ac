"""Text to ids for any tokenizer, and ids back to text.

Start with `encoder`: what every encoder offers (`Encoder`), and how to load one (`load_encoder`).

    encoder            the protocol; folder, file or name -> encoder
    sentencepiece/     spiece.model: SentencePiece is the engine of record
    json_encoder       tokenizer.json: the `tokenizers` library is the engine of record
    gpt2/              vocab.json and merges.txt as a tokenizer.json; byte-level BPE word by word
    byte_encoder       ByT5: a byte is an id, so there is no engine
    cache/             words encoded once and looked up afterwards, for all encoders
    tokenizer_folder   the config files of a folder, beside its engine's file
    special_ids        bos, eos, pad and unk of a tokenizer.json, and its identity
    sentinels          `<extra_id_0>` and so on, and the identity of a SentencePiece encoder
    flat               ids of many texts in one array

Every encoder has two ways to compute the same ids. `encode_batch` is the engine of record: slow, and right by
definition. `encode_flat` is fast: `cache.flat_encoder.FlatEncoder` tries the tokenizer's fast ways in turn, checks
each against the engine of record on a sample before using it, and falls back to the engine. A fast way's `why_not`
says why it can't encode a tokenizer's texts exactly.

How text flows in a fast way: UTF-8 of many texts in one buffer -> words (`cache.word_scans`, or `gpt2.words`) ->
each word looked up (`cache.word_cache`, or `cache.word_table`) -> new words encoded (`cache.bpe_merges`, or
`sentencepiece.unigram_viterbi`) and kept -> ids of all texts in one array. Texts that can't be encoded word by word
go to the engine as a whole.

To add a kind of tokenizer: write a class that is an `Encoder` and return it from `encoder._from_folder`. To add a
fast way: write a class that is a `cache.flat_encoder.FastWay`, and give it to the encoder's FlatEncoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpora.encoding.encoder import Encoder, load_encoder

__all__ = ["Encoder", "load_encoder"]


def __getattr__(name: str) -> object:
    """Imports numpy only when a name that needs it is used (PEP 562)."""
    if name in __all__:
        from corpora.encoding import encoder

        return getattr(encoder, name)
    raise AttributeError(f"module 'corpora.encoding' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
