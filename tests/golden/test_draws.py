"""Values that must never change by accident: a new version must draw the same sample and the same rows."""

from __future__ import annotations

import numpy as np

from corpora.manifest import InputIdentity, MadeFrom
from corpora.randomness import digest, uniform


def test_keyed_draws():
    assert uniform(0, "sample", "https://a.es", None, "Hola") == DRAWS[0]
    assert uniform(0, "sample", "https://a.es", "", "Hola") == DRAWS[1]
    assert uniform(1, "sample", "https://a.es", None, "Hola") == DRAWS[2]


def test_fields_never_run_together():
    keys = [("ab", "c"), ("a", "bc"), ("abc", ""), ("abc", None), ("abc",), (None, "abc"), (b"abc", "")]
    assert len({digest(0, "p", *key) for key in keys}) == len(keys) - 1  # bytes and str of equal content agree
    assert digest(0, "p", 1) != digest(0, "p", "1")


def test_a_stream_of_numpys():
    """As the order of an epoch has them: PCG64 of a digest."""
    stream = np.random.Generator(np.random.PCG64(digest(0, "noise", "train", 3)))
    assert stream.integers(0, 1000, 5).tolist() == STREAM


def test_fingerprint():
    identity = InputIdentity(name="a.jsonl", size=3, mtime_ns=1, sha256="00")
    made_from = MadeFrom(stage="score", algorithm=1, settings={"mode": "lines"}, inputs=[identity], unicode="14.0.0")
    assert made_from.fingerprint() == FINGERPRINT


DRAWS = (0.539680826374618, 0.26201708469060236, 0.39075796801984897)
STREAM = [68, 100, 61, 887, 707]
FINGERPRINT = "759eea49383e49d45ebaafa04ec07e9f"
