"""Keeps documents below a perplexity."""

import numpy as np

from corpora.choices import Flag
from corpora.sampling.methods import METHODS, Curve, SampleSettings


class Below(Curve, frozen=True, tag="below"):
    limit: float
    factor: float = 1.0

    def shape(self, perplexity, /):
        return (np.asarray(perplexity) < self.limit) * 1.0


@METHODS.register
class BelowSettings(SampleSettings, frozen=True, kw_only=True, tag="below"):
    """Keeps only documents below a perplexity."""

    limit: float = 100.0
    curve = Below
    flags = (Flag("--limit", "limit", "Leave out documents with this perplexity or more. [default: 100]", float),)

    def unscaled(self, scores):
        return Below(self.limit)
