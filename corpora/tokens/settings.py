"""What `tamiz shards build` can be told. Light: imports no heavy library."""

from __future__ import annotations

from typing import Literal

import msgspec

from corpora.config import Config
from corpora.tokens.denoisers import UL2, Denoiser
from corpora.tokens.shapes import check_short_row, denoiser_shape, row_shape

MOST_DENOISERS = 255  # a column of uint8 says which
MOST_ROW_IDS = 1 << 20


_DEFAULT_NOISE = {"noise_density": 0.15, "mean_noise_span_length": 3.0}


class ShardSettings(Config, frozen=True, kw_only=True):
    """How documents become rows.

    objective, sequence_length: span-corruption and ul2, the width of `input_ids`, EOS included; causal, the stored
    row's width (2,049 for inputs and targets of 2,048).
    noise_density, mean_noise_span_length: span corruption only (T5's defaults). denoisers: ul2 only; none: UL2's own.
    random_roll: noise may stand anywhere in the row; None: in ul2, whose single spans would always be the row's end,
    but not in span corruption, as in T5.
    packing: "concatenate" joins documents and cuts the stream into rows; "best-fit" (causal) cuts only documents
    longer than a row and leaves rows short.
    bos, eos: put before and after every document.
    character_borders: byte tokenizers cut rows between characters; such rows may be up to three ids short.
    validation_fraction: of documents, drawn by the text alone. seed: of the split, the noise and best-fit's rows.
    window_groups: row groups that an epoch's order mixes; the dataset reads it from the manifest.
    """

    objective: Literal["span-corruption", "causal", "ul2"] = "span-corruption"
    sequence_length: int = 512
    noise_density: float = _DEFAULT_NOISE["noise_density"]
    mean_noise_span_length: float = _DEFAULT_NOISE["mean_noise_span_length"]
    random_roll: bool | None = None
    denoisers: tuple[Denoiser, ...] = ()
    packing: Literal["concatenate", "best-fit"] = "concatenate"
    bos: bool = False
    eos: bool = True
    character_borders: bool = False
    validation_fraction: float = 0.01
    seed: int = 0
    window_groups: int = 256

    def __post_init__(self) -> None:
        if not 2 <= self.sequence_length <= MOST_ROW_IDS:
            raise ValueError(f"sequence_length is {self.sequence_length}: it must be from 2 to {MOST_ROW_IDS}")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction is {self.validation_fraction}: it must be at least 0 and below 1")
        if self.window_groups < 1:
            raise ValueError(f"window_groups is {self.window_groups}: it must be at least 1")
        self._check_denoisers()
        if self.packing == "best-fit" and self.objective != "causal":
            raise ValueError(f"packing best-fit is for causal rows, not {self.objective}: use concatenate")
        if self.packing == "best-fit" and self.character_borders:
            raise ValueError("character_borders is for rows cut out of a stream: use packing concatenate with it")
        self._check_noise()
        self._check_shapes()

    def _check_noise(self) -> None:
        """What would be left aside without a word."""
        if self.random_roll and self.objective == "causal":
            raise ValueError("random_roll is for corrupted rows, not causal: leave it out")
        for name in ("noise_density", "mean_noise_span_length"):
            given = getattr(self, name)
            if self.objective != "span-corruption" and given != _DEFAULT_NOISE[name]:
                raise ValueError(
                    f"{name} is {given}, but it is for span-corruption, not {self.objective}: leave it out"
                )

    def _check_denoisers(self) -> None:
        if self.objective == "ul2" and not self.denoisers:
            msgspec.structs.force_setattr(self, "denoisers", UL2)  # so that the manifest names them
        if self.denoisers and self.objective != "ul2":
            raise ValueError(f"denoisers are for ul2, not {self.objective}: remove them")
        if len(self.denoisers) > MOST_DENOISERS:
            raise ValueError(f"there are {len(self.denoisers)} denoisers: there may be {MOST_DENOISERS}")
        if sum(denoiser.share for denoiser in self.denoisers) == float("inf"):
            raise ValueError("the shares of the denoisers add up to more than a float64 holds: divide them all")

    def _check_shapes(self) -> None:
        shapes = []
        if self.objective == "span-corruption":
            shapes = [row_shape(self.sequence_length, self.noise_density, self.mean_noise_span_length)]
        elif self.objective == "ul2":
            shapes = [denoiser_shape(self.sequence_length, denoiser) for denoiser in self.denoisers]
        if self.character_borders:
            for shape in shapes:
                check_short_row(shape)

    @property
    def rolls(self) -> bool:
        """`random_roll`, with its default by objective."""
        return self.objective == "ul2" if self.random_roll is None else self.random_roll
