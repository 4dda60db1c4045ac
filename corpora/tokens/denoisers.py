"""The noise that corrupts rows: one kind, or UL2's mixture of kinds. Imports no heavy library."""

from __future__ import annotations

from corpora.config import Config


class Denoiser(Config, frozen=True, kw_only=True):
    """One way of corrupting a row in a mixture of denoisers.

    Source: arXiv:2205.05131 section 3.1.2.
    """

    name: str
    """The name, as in the paper: R, S or X. Several denoisers may share one."""
    noise_density: float
    """Share of a row's ids that is masked."""
    mean_noise_span_length: float | None
    """Mean length of noise spans, in ids. None: one span at the end with all the noise; the rest is a prefix."""
    share: float = 1.0
    """Share of the rows, relative to the shares of the other denoisers."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a denoiser has an empty name: give it one, such as R")
        if not 0 < self.share < float("inf"):
            raise ValueError(f"denoiser {self.name}: share is {self.share}; it must be above 0")


# Source: UL2's table, as in theblackcat102/unify-learning-paradigms. Equal shares: assumed.
UL2 = (
    Denoiser(name="R", noise_density=0.15, mean_noise_span_length=3.0),
    Denoiser(name="R", noise_density=0.15, mean_noise_span_length=8.0),
    Denoiser(name="S", noise_density=0.25, mean_noise_span_length=None),
    Denoiser(name="X", noise_density=0.5, mean_noise_span_length=3.0),
    Denoiser(name="X", noise_density=0.5, mean_noise_span_length=8.0),
    Denoiser(name="X", noise_density=0.15, mean_noise_span_length=64.0),
    Denoiser(name="X", noise_density=0.5, mean_noise_span_length=64.0),
)


class SpanCorruptionSettings(Config, frozen=True, kw_only=True):
    """Noise that corrupts causal rows in training, different in each epoch. The defaults are T5's."""

    noise_density: float = 0.15
    """Share of a row's ids that is masked."""
    mean_noise_span_length: float = 3.0
    """Mean length of noise spans, in ids; at least 1."""
    random_roll: bool = False
    """Allow noise anywhere in the row, including the first and the last id."""

    def __post_init__(self) -> None:
        if not 0.0 < self.noise_density < 1.0:
            raise ValueError(f"noise_density is {self.noise_density}; it must be above 0 and below 1")
        if not 1.0 <= self.mean_noise_span_length < float("inf"):
            raise ValueError(f"mean_noise_span_length is {self.mean_noise_span_length}; it must be at least 1")
