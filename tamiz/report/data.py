"""What the report draws, read from a run's folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from corpora import manifest
from corpora.errors import DamagedFile


@dataclass(frozen=True)
class Sieve:
    """Perplexities before and after, float64, and the keep probability that was fitted to them."""

    before: np.ndarray
    after: np.ndarray
    kernel: Any
    facts: dict[str, Any]


def read_sieve(run: Path) -> Sieve:
    sampled = run / "sampled"
    before = read_scores(run / "scores")
    content = manifest.read_finished(sampled, "sample")
    after = _column(sampled, content)
    return Sieve(before, after, kernel(content.facts["kernel"]), content.facts)


def read_scores(scores: Path) -> np.ndarray:
    """Every scored document's perplexity, float64[n], ascending."""
    return _column(scores, manifest.read_finished(scores, "score"))


def _column(folder: Path, content: manifest.Manifest) -> np.ndarray:
    names = [r.path for r in content.files if r.path.endswith(".parquet")]
    columns = [pq.read_table(folder / n, columns=["perplexity"]).column(0).drop_null().to_numpy() for n in names]
    return np.sort(np.concatenate([np.empty(0), *columns]))


def kernel(facts: dict[str, Any]) -> Any:
    """The keep-probability function that a sample's manifest describes."""
    from corpora.sampling.kernels import Gaussian, Stepwise, Uniform

    kinds = {"gaussian": Gaussian, "stepwise": Stepwise, "uniform": Uniform}
    values = {k: v for k, v in facts.items() if k != "name"}
    if facts["name"] not in kinds:
        raise DamagedFile(f"the sample's manifest names the kernel {facts['name']!r}; known: {', '.join(kinds)}")
    return kinds[facts["name"]](**values)


def read_metrics(run: Path) -> dict[str, Any] | None:
    """The training's figures, if it is finished."""
    if not (run / "model" / manifest.NAME).exists():
        return None
    content = manifest.read(run / "model")
    return content.facts if content.finished else None
