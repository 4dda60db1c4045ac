"""Quantiles and a histogram of scores, independent of how the input was partitioned."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from corpora import files, manifest
from corpora.errors import DamagedFile
from tamiz.report.data import read_scores
from tamiz.report.plots import draw_scores

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
BINS_PER_OCTAVE = 8


def calibrate(scores: Path) -> dict[str, Any]:
    """Writes calibration.json and calibration.png into the folder, named as derived in its manifest.

    Raises DamagedFile where the folder holds no finished scores, or none at all.
    """
    perplexities = read_scores(scores)
    if len(perplexities) == 0:
        raise DamagedFile(f"{scores} holds no scored document")
    quantiles = {f"{q:g}": float(np.quantile(perplexities, q)) for q in QUANTILES}
    facts: dict[str, Any] = {
        "documents": len(perplexities),
        "quantiles": quantiles,
        "histogram": {"bins_per_octave": BINS_PER_OCTAVE, "counts": _histogram(perplexities)},
    }
    written = [scores / "calibration.json", scores / "calibration.png"]
    files.write_bytes(written[0], msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
    draw_scores(perplexities, quantiles, written[1])
    manifest.add_derived(scores, written)
    return facts


def _histogram(perplexities: np.ndarray) -> dict[str, int]:
    """Documents by floor(BINS_PER_OCTAVE x log2 perplexity): integers, so that histograms add up exactly."""
    found = Counter(math.floor(BINS_PER_OCTAVE * math.log2(p)) for p in perplexities)
    return {str(n): found[n] for n in sorted(found)}
