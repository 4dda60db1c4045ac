"""The inputs of training: shards, the tokenizer that made them, and a model with enough rows for its ids."""

from __future__ import annotations

from pathlib import Path

import msgspec

from corpora.encoding import load_encoder
from corpora.errors import BadArgument, DamagedFile
from corpora.rows.blend import Blend, opened
from corpora.rows.fresh_noise import corrupted_facts
from corpora.tokens.denoisers import SpanCorruptionSettings
from corpora.tokens.facts import ShardFacts
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.settings import TrainSettings

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
)


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Shards and tokenizer that belong together."""

    shards: Path | Blend
    tokenizer: Path
    bos_id: int | None
    """The tokenizer's BOS id."""
    fingerprint: str
    """Fingerprint of the shards' content."""
    facts: ShardFacts
    """Facts about the rows that the model reads: corrupted rows, if training corrupts them."""


def check_inputs(
    shards: Path | Blend,
    tokenizer: Path,
    model: ModelSettings,
    span_corruption: SpanCorruptionSettings | None = None,
    init: str | None = None,
) -> Inputs:
    """shards: a folder, or several that are mixed.

    Raises BadArgument if shards, tokenizer, model and the weights to start from don't belong together, DamagedFile if
    one of them is incomplete.
    """
    read = opened(shards)
    facts = corrupted_facts(read.facts, span_corruption) if span_corruption else read.facts
    model.takes(facts, read.folder)
    if not can_be_saved(tokenizer):
        raise DamagedFile(
            f"{tokenizer / 'tokenizer.json'} is missing: train the tokenizer again, or name another folder"
        )
    encoder = load_encoder(str(tokenizer))
    if encoder.sha256 != facts.tokenizer_sha256:
        raise BadArgument(
            f"{tokenizer} (sha256 {encoder.sha256[:12]}) is not the tokenizer of {read.folder} "
            f"({facts.tokenizer_sha256[:12]}): name the tokenizer that made the shards"
        )
    if init is not None:
        from tamiz.trainer.warm_start import check_init

        check_init(init, model, facts, tokenizer)
    return Inputs(
        shards=shards, tokenizer=tokenizer, bos_id=encoder.bos_id, fingerprint=read.fingerprint, facts=facts
    )


def require_validation(settings: TrainSettings, facts: ShardFacts) -> None:
    """Raises BadArgument if something needs a validation loss, and there are no rows for it."""
    name = "early_stopping" if settings.early_stopping else "keep" if settings.keep == "best" else None
    if name is not None and not facts.rows.get("validation", 0):
        raise BadArgument(
            f"train.{name} is {getattr(settings, name)!r}, which needs validation rows, but the shards have none: "
            f"build them with a validation_fraction above 0, or remove train.{name}"
        )


def can_be_saved(tokenizer: Path) -> bool:
    """Whether a trained model can be saved with this tokenizer."""
    from tamiz.trainer.brought_tokenizer import is_brought

    return (tokenizer / "tokenizer.json").is_file() or is_brought(tokenizer)


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that AutoTokenizer needs, and the model of the tokenizer's engine."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
