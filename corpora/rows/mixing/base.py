"""What all methods share: the unit in which shares are counted, and the most epochs of a source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from corpora.choices import name_of
from corpora.config import Config
from corpora.errors import BadArgument

Unit = Literal["documents", "bytes", "tokens"]
MAX_EPOCHS = 4.0  # Muennighoff et al. 2023 (arXiv:2305.16264): up to 4 epochs are nearly as good as new text


class Available(NamedTuple):
    """What a source's training split holds. amount: in the mixture's unit."""

    rows: int
    amount: int


class MixtureSettings(Config, frozen=True, kw_only=True, tag_field="method"):
    """How sources are mixed. A subclass is a method: it has a tag, `shares`, and its own fields."""

    unit: Unit = "tokens"
    """What shares are shares of: the documents read, the UTF-8 bytes of their texts, or the ids. Rows hold different
    numbers of documents and bytes of each source, but about the same number of ids."""
    max_epochs: float = MAX_EPOCHS
    """How often a source's rows may be read, at most, in a training; above 0. A training that needs more is
    refused."""

    def __post_init__(self) -> None:
        if not 0 < self.max_epochs < math.inf:
            raise ValueError(f"max_epochs is {self.max_epochs}; it must be above 0 and finite")

    @property
    def method(self) -> str:
        """The tag."""
        return name_of(self)

    def check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError unless the settings fit sources with these names."""

    def shares(self, available: Mapping[str, Available], rows: int) -> dict[str, float]:
        """Each source's share of what a training of `rows` rows reads, in the unit; they add up to 1, nearly.

        Raises BadArgument if there are no such shares.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `shares`")

    def row_shares(self, available: Mapping[str, Available], rows: int) -> dict[str, float]:
        """As `shares`, but of the rows, which hold different amounts of the unit. Raises BadArgument as `shares`, and
        for a source without rows."""
        for name, source in available.items():
            if not source.rows or not source.amount:
                raise BadArgument(
                    f"{name} has {source.rows:,} training rows of {source.amount:,} {self.unit}: it can't be mixed; "
                    "give it more documents, or leave it out"
                )
        shares = self.shares(available, rows)
        return normalised({name: shares[name] * s.rows / s.amount for name, s in available.items()})


def normalised(values: Mapping[str, float]) -> dict[str, float]:
    """Divided by their sum."""
    total = math.fsum(values.values())
    return {name: value / total for name, value in values.items()}
