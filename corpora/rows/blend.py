"""Several folders of shards as one: their names, their weights, and the facts that they share."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec
from msgspec import UNSET

from corpora.errors import BadArgument
from corpora.rows import mixture
from corpora.rows.mixture import EPOCH_ROWS, Mixture, apportion
from corpora.rows.shards import Shards, read_shards
from corpora.tokens.facts import ShardFacts

_SHARED = (
    "tokenizer_sha256", "vocab_size", "objective", "sequence_length", "raw_length", "label_length", "pad_id",
    "bos_id", "eos_id", "sentinel_ids", "denoisers", "details",
)  # fmt: skip

Given = str | Path | Shards | Mapping[Path, float] | Mapping[str, float]
"""Shards as callers name them: a folder, or folders with weights."""


@dataclass(frozen=True)
class Blend:
    """Opened folders, mixed by weights: shares of the rows, which needn't add up to 1. In the order given.

    names: what tells the folders apart, in short. method, unit, asked: where the weights come from: the asked shares,
    in the unit; empty if the weights were given as they are.
    """

    sources: tuple[Shards, ...]
    weights: tuple[float, ...]
    names: tuple[str, ...]
    method: str = "weights"
    unit: str = "rows"
    asked: tuple[float, ...] = ()

    @property
    def folder(self) -> Path:
        """The first folder, which stands for all in messages on what they share."""
        return self.sources[0].folder

    @property
    def shares(self) -> list[float]:
        """The asked share of the rows, for each source."""
        return [weight / math.fsum(self.weights) for weight in self.weights]

    @cached_property
    def facts(self) -> ShardFacts:
        """The shared facts. rows: sums. The entropy is the mean of the sources', by share: the loss of a model that
        knows how often each id occurs in each source."""
        known = [source.facts for source in self.sources]
        splits = dict.fromkeys(
            split for facts in known for split in facts.rows
        )  # one folder may lack validation rows
        entropies = [facts.target_unigram_entropy_nats for facts in known]
        mean = sum(s * e for s, e in zip(self.shares, entropies, strict=True) if e is not None)
        return msgspec.structs.replace(
            known[0],
            rows={split: sum(facts.rows.get(split, 0) for facts in known) for split in splits},
            account=UNSET,
            parts=UNSET,
            target_unigram_entropy_nats=None if None in entropies else mean,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Covers the content of every folder, and how they are mixed; neither paths nor names."""
        message = [[source.fingerprint for source in self.sources], self.counts("train"), mixture.VERSION]
        return hashlib.sha256(json.dumps(message).encode()).hexdigest()[:32]

    def counts(self, split: str) -> list[int]:
        """The rows of each source in an epoch, which has as many rows as the folders have, but at most EPOCH_ROWS.

        Raises BadArgument for a source without rows, and for one that would get none.
        """
        rows = [source.facts.rows.get(split, 0) for source in self.sources]
        for name, own in zip(self.names, rows, strict=True):
            require_rows(name, split, own)
        counts = apportion(self.weights, min(sum(rows), EPOCH_ROWS))
        if 0 in counts:
            place = counts.index(0)
            raise BadArgument(
                f"the weight of {self.names[place]} is {self.weights[place]:g}, {self.shares[place]:.2g} of all: it "
                f"would get none of the {sum(counts):,} rows of an epoch; raise it, or leave the folder out"
            )
        return counts

    def mixture(self, split: str) -> Mixture:
        """The order of an epoch."""
        return _mixture(tuple(self.counts(split)))


@lru_cache(4)
def _mixture(counts: tuple[int, ...]) -> Mixture:
    return Mixture(counts)


def opened(given: Given | Blend) -> Shards | Blend:
    """Opens a folder, or folders with weights; returns what is open already. One folder has all the weight.

    Raises BadArgument for weights that aren't above 0, and for folders that can't be mixed, naming both and what
    differs; DamagedFile as `read_shards`.
    """
    if isinstance(given, Shards | Blend):
        return given
    if not isinstance(given, Mapping):
        return read_shards(given)
    if not given:
        raise BadArgument("no folder of shards is given: name at least one")
    if len(given) == 1:
        return read_shards(*given)
    for path, weight in given.items():
        if not (isinstance(weight, int | float) and 0 < weight < math.inf):
            raise BadArgument(f"the weight of {path} is {weight!r}; it must be a number above 0")
    sources = tuple(read_shards(path) for path in given)
    for source in sources[1:]:
        require_alike(sources[0], source)
    return Blend(sources, tuple(map(float, given.values())), names_of([Path(path) for path in given]))


def named(shards: Shards | Blend) -> str:
    """For people: a folder, or folders with their weights."""
    if isinstance(shards, Shards):
        return str(shards.folder)
    pairs = zip(shards.names, shards.weights, strict=True)
    return " + ".join(f"{name}={weight:g}" for name, weight in pairs)


def names_of(folders: Sequence[Path]) -> tuple[str, ...]:
    """The shortest ends of the paths that tell all folders apart. Raises BadArgument if one is given twice."""
    whole = [folder.resolve() for folder in folders]
    twice = next((folder for place, folder in enumerate(whole) if folder in whole[:place]), None)
    if twice is not None:
        raise BadArgument(f"{twice} is given twice: name each folder of shards once")
    for count in range(1, max(len(folder.parts) for folder in whole) + 1):
        names = tuple("/".join(folder.parts[-count:]) for folder in whole)
        if len(set(names)) == len(names):
            return names
    raise AssertionError(f"different paths have different ends: {whole}")


def require_rows(name: object, split: str, rows: int) -> None:
    """Raises BadArgument for a folder without rows in the split."""
    if not rows:
        raise BadArgument(f"{name} has no {split} rows: it can't be mixed; give it more documents, or leave it out")


def require_alike(first: Shards, other: Shards) -> None:
    """Raises BadArgument unless the rows of both can be in one batch."""
    for name in _SHARED:
        here, there = getattr(first.facts, name), getattr(other.facts, name)
        if here != there and UNSET not in (here, there):  # unset: built by an older tamiz
            raise BadArgument(
                f"{first.folder} and {other.folder} can't be mixed: {name} is {_shown(here)} in the first and "
                f"{_shown(there)} in the second; build both with the same tokenizer and settings"
            )


def require_same_columns(sources: Sequence[Shards], split: str) -> None:
    """Raises BadArgument unless the rows of all sources have the same columns."""
    first = sources[0]
    for other in sources[1:]:
        here, there = (list(source.split(split).columns) for source in (first, other))
        if here != there:
            raise BadArgument(
                f"{first.folder} and {other.folder} can't be mixed: the rows of the first have {', '.join(here)}, "
                f"those of the second {', '.join(there)}; build both with the same settings"
            )


def _shown(value: object) -> str:
    return f"{value[:12]}..." if isinstance(value, str) and len(value) == 64 else f"{value}"
