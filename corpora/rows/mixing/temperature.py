"""Shares by temperature, as for mT5 and ByT5: small sources count for more than their size."""

from __future__ import annotations

from collections.abc import Mapping

from corpora.rows.mixing.base import Available, MixtureSettings, normalised

ALPHA = 0.3  # Xue et al. 2021, mT5 (arXiv:2010.11934), section 3.2; seqio's temperature is 1 / alpha


class TemperatureSettings(MixtureSettings, frozen=True, kw_only=True, tag="temperature"):
    """Powers of the sources' sizes: a source of n units has a share in proportion to n ** alpha."""

    alpha: float = ALPHA
    """1: as large as the sources are. 0: all equal. mT5 has 0.3."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; it must be from 0 to 1")

    def shares(self, available: Mapping[str, Available], rows: int) -> dict[str, float]:  # noqa: ARG002
        return normalised({name: float(source.amount) ** self.alpha for name, source in available.items()})
