"""What a recipe says: one section per stage, each with the settings class of the stage itself."""

from __future__ import annotations

from typing import Any, Literal

from corpora.config import Config
from corpora.perplexity.settings import LmSettings
from corpora.tokens.settings import ShardSettings
from pipelines.settings import SampleSettings, ScoreSettings
from tamiz.trainer.settings import TrainSettings
from tokenizer_train.settings import TokenizerSettings

STAGES = ("lm", "score", "sample", "tokenizer", "shards", "train")


class DocumentSettings(Config, frozen=True, kw_only=True):
    """Where the raw documents come from: a named source, or patterns of files in `input`."""

    source: Literal["mc4-es", "mmarco-es"] = "mc4-es"
    input: tuple[str, ...] | str | None = None

    def __post_init__(self) -> None:
        _check_input(self.input)


def _check_input(value: tuple[str, ...] | str | None) -> None:
    if value is not None and not value:
        raise ValueError("input is empty: name patterns of files, or remove it")


class LmSource(LmSettings, frozen=True, kw_only=True):
    """The language model: trained on `input` (or a named source), or a ready KenLM `file` with its `tokenizer`.

    source_share: of the named source's documents, drawn by their text; `input` is always taken whole.
    trust: open a `file` that kenlm loads (a trie, an ARPA file) though no sha256 of it is recorded, and record it.
    """

    source: Literal["wikipedia-es"] = "wikipedia-es"
    source_share: float = 1.0
    input: tuple[str, ...] | str | None = None
    file: str | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_input(self.input)
        if not 0 < self.source_share <= 1:
            raise ValueError(f"source_share is {self.source_share}; it must be above 0 and at most 1")
        if self.file is not None and self.input:
            raise ValueError("file and input exclude each other: a model is brought, or trained on text")


class Recipe(Config, frozen=True, kw_only=True):
    """A published system, from raw text to model.

    sources: for every number, where it comes from, by path ("sample.width"), or "assumed: why".
    variants: whole sections that replace the recipe's own for another `documents.source`.
    """

    name: str
    title: str
    language: str
    licence: str
    reference: str
    documents: DocumentSettings
    lm: LmSource
    score: ScoreSettings
    sample: SampleSettings
    tokenizer: TokenizerSettings
    shards: ShardSettings
    model: Any  # ModelSettings of some family: the loader converts the section by FAMILIES
    train: TrainSettings
    sources: dict[str, str]
    variants: dict[str, dict[str, Any]] = {}  # noqa: RUF012 (msgspec copies it)

    def __post_init__(self) -> None:
        if self.tokenizer.vocab_size != self.model.vocab_size:
            raise ValueError(
                f"model.vocab_size is {self.model.vocab_size} but tokenizer.vocab_size is "
                f"{self.tokenizer.vocab_size}: they must be equal"
            )
        mode = self.lm.scoring_mode
        if self.lm.file is None and self.score.mode not in (None, mode):
            raise ValueError(f"score.mode is {self.score.mode!r} but lm scores in {mode!r}: they must be equal")
        if self.score.language_column is not None:
            raise ValueError("score.language_column routes to a model per language, but a recipe has one: remove it")
        self.model.check_shards(self.shards, self.train, self.tokenizer.extra_ids)
        if self.shards.objective == "span-corruption":
            self._check_sentinels()

    def _check_sentinels(self) -> None:
        from corpora.tokens.span_corruption import row_shape

        shards = self.shards
        shape = row_shape(shards.sequence_length, shards.noise_density, shards.mean_noise_span_length)
        if shape.num_noise_spans > self.tokenizer.extra_ids:
            raise ValueError(
                f"tokenizer.extra_ids is {self.tokenizer.extra_ids}, but a row of {shards.sequence_length} has "
                f"{shape.num_noise_spans} noise spans: raise it, or shards.mean_noise_span_length"
            )
