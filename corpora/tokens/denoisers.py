"""The noise that corrupts rows: one kind, or UL2's mixture of kinds. Light: imports no heavy library."""

from __future__ import annotations

from corpora.config import Config


class Denoiser(Config, frozen=True, kw_only=True):
    """One way of corrupting a row in a mixture of denoisers (arXiv:2205.05131 section 3.1.2).

    mean_noise_span_length: None makes one span of all the noise, at the row's end: a prefix to go on from.
    share: of the rows, beside the other denoisers' shares.
    """

    name: str
    noise_density: float
    mean_noise_span_length: float | None
    share: float = 1.0

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a denoiser's name is empty: give it one, such as R")
        if not 0 < self.share < float("inf"):
            raise ValueError(f"denoiser {self.name}: share is {self.share}; it must be above 0")


# Source: UL2's table, by theblackcat102/unify-learning-paradigms. Equal shares: assumed.
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
    """Noise that corrupts causal rows while training, as `tamiz shards build` does once: T5's defaults.

    random_roll: any token may be noise, the first and the last too.
    """

    noise_density: float = 0.15
    mean_noise_span_length: float = 3.0
    random_roll: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.noise_density < 1.0:
            raise ValueError(f"noise_density is {self.noise_density}; it must be above 0 and below 1")
        if not 1.0 <= self.mean_noise_span_length < float("inf"):
            raise ValueError(f"mean_noise_span_length is {self.mean_noise_span_length}; it must be at least 1")
