"""The objective `span-corruption`: T5's rows, with one kind of noise."""

from __future__ import annotations

from typing import ClassVar

from corpora.choices import Flag
from corpora.tokens.objectives.corruption import RANDOM_ROLL, CorruptionSettings, Noise
from corpora.tokens.shapes import row_shape


class SpanCorruption(CorruptionSettings, frozen=True, kw_only=True, tag="span-corruption"):
    """T5's masked spans.

    Source: arXiv:1910.10683 section 3.1.4. Noise ends every row unless `random_roll` is set.
    """

    flags: ClassVar[tuple[Flag, ...]] = (
        Flag("--noise-density", "noise_density", "Share of a row's ids that is masked. [default: 0.15]", float),
        Flag(
            "--mean-noise-span-length",
            "mean_noise_span_length",
            "Mean length of noise spans, in ids. [default: 3]",
            float,
        ),
        Flag("--random-roll", "random_roll", f"{RANDOM_ROLL} [default: no]", bool),
    )

    noise_density: float = 0.15
    """Share of a row's ids that is masked."""
    mean_noise_span_length: float = 3.0
    """Mean length of noise spans, in ids; at least 1."""

    @property
    def noises(self) -> tuple[Noise, ...]:
        shape = row_shape(self.sequence_length, self.noise_density, self.mean_noise_span_length)
        return (Noise(shape, bool(self.random_roll)),)
