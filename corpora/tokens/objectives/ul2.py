"""The objective `ul2`: span corruption with several kinds of noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from corpora.choices import Flag
from corpora.randomness import digest, keys
from corpora.tokens.denoisers import UL2, Denoiser
from corpora.tokens.facts import DenoiserFacts, ShardFacts
from corpora.tokens.objectives.corruption import RANDOM_ROLL, CorruptionSettings, MaskedRows, Noise
from corpora.tokens.row_maker import Vocabulary
from corpora.tokens.rows import Rows
from corpora.tokens.shapes import denoiser_shape
from corpora.tokens.shards import SCALAR, Column, ColumnSpec

MOST_DENOISERS = 255  # the column `denoiser` is uint8


class Ul2(CorruptionSettings, frozen=True, kw_only=True, tag="ul2"):
    """UL2's mixture of denoisers.

    Source: arXiv:2205.05131. Noise may be anywhere unless `random_roll` is false: the single span of a denoiser
    with long spans would otherwise always end the row.
    """

    flags: ClassVar[tuple[Flag, ...]] = (Flag("--random-roll", "random_roll", f"{RANDOM_ROLL} [default: yes]", bool),)

    denoisers: tuple[Denoiser, ...] = UL2
    """The mixture. Empty: UL2's own."""

    def __post_init__(self) -> None:
        if not self.denoisers:
            msgspec.structs.force_setattr(self, "denoisers", UL2)  # so that the manifest lists them
        if len(self.denoisers) > MOST_DENOISERS:
            raise ValueError(f"there are {len(self.denoisers)} denoisers: at most {MOST_DENOISERS} are allowed")
        if sum(denoiser.share for denoiser in self.denoisers) == float("inf"):
            raise ValueError("the sum of the denoisers' shares overflows a float64: scale them down")
        super().__post_init__()

    @property
    def noises(self) -> tuple[Noise, ...]:
        rolls = self.random_roll is not False
        return tuple(
            Noise(denoiser_shape(self.sequence_length, d), rolls and d.mean_noise_span_length is not None, d.share)
            for d in self.denoisers
        )

    def too_many_spans(self, sentinels: int) -> str:
        most = max(self.denoisers, key=lambda d: denoiser_shape(self.sequence_length, d).num_noise_spans)
        kind = _described(most.mean_noise_span_length, most.noise_density)
        return (
            f"denoiser {most.name} ({kind}) has {self.num_spans} noise spans at "
            f"sequence_length {self.sequence_length}, but the tokenizer has {sentinels} sentinels: use a lower "
            f"--sequence-length, or train the tokenizer with --extra-ids {self.num_spans}"
        )

    def rows(self, vocabulary: Vocabulary) -> MixedRows:
        self.check_vocabulary(vocabulary)
        return MixedRows(self, vocabulary)

    def facts(self) -> dict[str, Any]:
        denoisers = [
            DenoiserFacts(**msgspec.to_builtins(denoiser), **noise.shape._asdict(), random_roll=noise.rolls)
            for denoiser, noise in zip(self.denoisers, self.noises, strict=True)
        ]
        return {**super().facts(), "raw_length": None, "denoisers": denoisers}

    @classmethod
    def summary(cls, split: str, facts: ShardFacts) -> list[tuple[str, str]]:
        counts = UNSET if facts.account is UNSET else facts.account[split].rows_by_denoiser
        if counts is UNSET or facts.denoisers is UNSET:
            return []
        rows = []
        for denoiser, number in zip(facts.denoisers, counts, strict=True):
            mean, density = denoiser.mean_noise_span_length, denoiser.noise_density
            kind = f"{denoiser.name} ({_described(mean, density)})"
            rows.append((f"rows by {kind}, {split}", f"{number:,}"))
        return rows


def _described(mean: float | UnsetType | None, density: float | UnsetType) -> str:
    return f"{'one span' if mean is None else f'{mean:g}'}, {density:g}"


class MixedRows(MaskedRows):
    """As `MaskedRows`, but each row has one of several kinds of noise (column `denoiser`), drawn by key."""

    def __init__(self, settings: Ul2, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary, settings.noises)
        shares = [denoiser.share for denoiser in settings.denoisers]
        total = sum(shares)
        self._ends = np.cumsum([share / total for share in shares])[:-1]

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        return {**super().columns, "denoiser": (SCALAR, np.uint8)}

    def kinds(self, base: int, first: int, count: int) -> npt.NDArray[np.uint8]:
        draws = (keys(digest(base, "denoiser"), first, count) >> np.uint64(11)) / float(1 << 53)
        return np.searchsorted(self._ends, draws, side="right").astype(np.uint8)

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        return {**super().store(rows, base, first), "denoiser": rows.kinds}
