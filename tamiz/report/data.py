"""What the report draws, read from a run's folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpora import manifest
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.errors import DamagedFile
from corpora.perplexity.scores import all_perplexities


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
    after = _sampled(sampled, content)
    return Sieve(before, after, kernel(content.facts["kernel"]), content.facts)


def read_scores(scores: Path) -> np.ndarray:
    """Every scored document's perplexity, float64[n], ascending."""
    return all_perplexities(scores, manifest.read_finished(scores, "score"))


def _sampled(folder: Path, content: manifest.Manifest) -> np.ndarray:
    """The kept documents' perplexities, whatever the sample's format."""
    if any(r.path.endswith(".parquet") for r in content.files):
        return all_perplexities(folder, content)
    batches = (
        b for item in work_items([str(folder / "part-*")]) for b in read_batches(item, columns=("perplexity",))
    )
    return np.sort([float(value) for b in batches for value in b.extra["perplexity"] if value is not None])


def kernel(facts: dict[str, Any]) -> Any:
    """The keep-probability function that a sample's manifest describes."""
    from corpora.sampling.kernels import Gaussian, Stepwise, Uniform

    kinds = {"gaussian": Gaussian, "stepwise": Stepwise, "uniform": Uniform}
    values = {k: v for k, v in facts.items() if k != "name"}
    if facts["name"] not in kinds:
        raise DamagedFile(f"the sample's manifest names the kernel {facts['name']!r}; known: {', '.join(kinds)}")
    return kinds[facts["name"]](**values)
