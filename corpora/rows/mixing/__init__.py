"""How much of each source a mixture has, one method per file: its settings and the shares that it gives.

base    what all methods share: the unit, the bound of epochs     weights    by hand
temperature    powers of the sources' sizes                       unimax     as even as a bound of epochs allows

Imports neither numpy nor torch, so that recipes load quickly.
"""

from __future__ import annotations

from corpora.choices import Choices
from corpora.rows.mixing.base import Available, MixtureSettings

DEFAULT = "weights"
MIXTURES: Choices[type[MixtureSettings]] = Choices(
    "method",
    "method",
    {
        "weights": "corpora.rows.mixing.weights:WeightsSettings",
        "temperature": "corpora.rows.mixing.temperature:TemperatureSettings",
        "unimax": "corpora.rows.mixing.unimax:UniMaxSettings",
    },
)

__all__ = ["DEFAULT", "MIXTURES", "Available", "MixtureSettings"]
