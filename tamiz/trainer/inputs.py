"""What training starts from: shards, the tokenizer that made them, a model with its vocabulary."""

from __future__ import annotations

from pathlib import Path

import msgspec

from corpora.encoding import load_encoder
from corpora.errors import BadArgument, DamagedFile
from corpora.rows.fresh_noise import corrupted_facts
from corpora.rows.shards import read_shards
from corpora.tokens.denoisers import SpanCorruptionSettings
from corpora.tokens.facts import ShardFacts
from tamiz.trainer.settings import ModelSettings

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model")


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Shards and tokenizer that belong together. fingerprint: of the shards' content."""

    shards: Path
    tokenizer: Path
    fingerprint: str
    facts: ShardFacts


def check_inputs(
    shards: Path, tokenizer: Path, model: ModelSettings, span_corruption: SpanCorruptionSettings | None = None
) -> Inputs:
    """Facts are those of the rows that the model sees: with `span_corruption`, of corrupted ones.

    Raises BadArgument where they don't belong together, DamagedFile where one of them is incomplete.
    """
    read = read_shards(shards)
    facts = corrupted_facts(read.facts, span_corruption) if span_corruption else read.facts
    if facts.objective == "causal" or facts.label_length is None:
        raise BadArgument(
            f"{shards} holds {facts.objective} rows, but model.family is {model.family!r}: "
            "build shards with --objective span-corruption, or set train.span_corruption, which corrupts causal rows"
        )
    if facts.vocab_size != model.vocab_size:
        raise BadArgument(
            f"model.vocab_size is {model.vocab_size} but {shards} has {facts.vocab_size} ids: "
            f"set model.vocab_size={facts.vocab_size}, or build the shards with another tokenizer"
        )
    found = tokenizer_sha256(tokenizer)
    if found != facts.tokenizer_sha256:
        raise BadArgument(
            f"{tokenizer} (sha256 {found[:12]}) is not the tokenizer of {shards} "
            f"({facts.tokenizer_sha256[:12]}): name the one that made the shards"
        )
    return Inputs(shards=shards, tokenizer=tokenizer, fingerprint=read.fingerprint, facts=facts)


def tokenizer_sha256(folder: Path) -> str:
    """The sha256 that shards record: its encoder's."""
    if not (folder / "tokenizer.json").is_file():
        raise DamagedFile(
            f"{folder / 'tokenizer.json'} is missing: train the tokenizer again, or name another folder"
        )
    return load_encoder(str(folder)).sha256


def tokenizer_files(folder: Path) -> list[Path]:
    """What AutoTokenizer needs, and the engine's own model."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
