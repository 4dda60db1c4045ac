"""What `tamiz shards build` can be told. Light: imports no heavy library."""

from __future__ import annotations

from typing import Literal

from corpora.config import Config


class ShardSettings(Config, frozen=True, kw_only=True):
    """How documents become rows.

    objective, sequence_length: span-corruption, the width of `input_ids`, EOS included; causal, the stored row's
    width. noise_density, mean_noise_span_length, random_roll: span corruption only (T5's defaults).
    validation_fraction: of documents, drawn by the text alone. seed: of the split and the noise.
    packing: "concatenate" joins documents, each followed by EOS, and cuts the stream into rows.
    """

    objective: Literal["span-corruption", "causal"] = "span-corruption"
    sequence_length: int = 512
    noise_density: float = 0.15
    mean_noise_span_length: float = 3.0
    random_roll: bool = False
    validation_fraction: float = 0.01
    seed: int = 0
    packing: Literal["concatenate"] = "concatenate"

    def __post_init__(self) -> None:
        if self.sequence_length < 2:
            raise ValueError(f"sequence_length is {self.sequence_length}: it must be at least 2")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction is {self.validation_fraction}: it must be at least 0 and below 1")
        if self.objective == "span-corruption":
            from corpora.tokens.span_corruption import row_shape

            row_shape(self.sequence_length, self.noise_density, self.mean_noise_span_length)
