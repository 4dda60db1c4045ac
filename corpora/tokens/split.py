"""Which split a document belongs to: drawn before packing, keyed by its text alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.randomness import text_uniforms
from corpora.texts import Utf8

SPLITS = ("train", "validation")


def validation_mask(texts: Utf8, fraction: float, seed: int = 0) -> NDArray[np.bool_]:
    """bool[texts], true for `fraction` of all distinct texts. The same text under two URLs is in the same split."""
    if fraction <= 0.0:
        return np.zeros(len(texts), np.bool_)
    return text_uniforms(seed, "validation", texts.data, texts.offsets) < fraction
