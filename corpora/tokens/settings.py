"""What the settings of all objectives share, and the behaviour that an objective may override.

Imports no heavy library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from corpora.choices import Flag
from corpora.config import Config

if TYPE_CHECKING:
    from corpora.tokens.facts import ShardFacts
    from corpora.tokens.readable import Reader
    from corpora.tokens.row_maker import RowMaker, Vocabulary
    from corpora.tokens.row_views import Row, View
    from corpora.tokens.shards import Column

MOST_ROW_IDS = 1 << 20

# The settings of all objectives used to be one class, with these values where they didn't apply. Fingerprints keep
# the keys, so that finished folders are still recognised.
NEUTRAL: dict[str, Any] = {
    "noise_density": 0.15,
    "mean_noise_span_length": 3.0,
    "random_roll": None,
    "denoisers": [],
}


class ShardSettings(Config, frozen=True, kw_only=True, tag_field="objective"):
    """How documents become rows. Each objective is a subclass whose msgspec tag is its name.

    A subclass adds its own fields, their checks (in `__post_init__`, which calls this class's) and flags, and
    overrides the methods that its rows need. By default, rows are plain ids in one column, `input_ids`.
    """

    flags: ClassVar[tuple[Flag, ...]] = ()
    """Command-line flags of the objective's own fields."""
    packings: ClassVar[tuple[str, ...]] = ("concatenate",)
    """Values of `packing` that the objective accepts; best-fit makes rows of different lengths."""

    sequence_length: int = 512
    """Width of the model's input, EOS included; for causal rows, the width of the stored row (2,049 for inputs and
    targets of 2,048)."""
    packing: Literal["concatenate", "best-fit"] = "concatenate"
    """concatenate joins documents and cuts the stream into rows; best-fit cuts only documents that are longer than a
    row, and leaves rows short."""
    bos: bool = False
    """Put BOS before every document."""
    eos: bool = True
    """Put EOS after every document."""
    character_borders: bool = False
    """Cut rows between characters, up to three ids short. For byte tokenizers."""
    validation_fraction: float = 0.01
    """Share of the documents to hold out, drawn by the text alone."""
    seed: int = 0
    """Seed of the split, the noise, and the order of best-fit rows."""
    window_groups: int = 256
    """Row groups that an epoch's order mixes at a time. The dataset reads it from the manifest."""

    def __post_init__(self) -> None:
        if not 2 <= self.sequence_length <= MOST_ROW_IDS:
            raise ValueError(f"sequence_length is {self.sequence_length}: it must be from 2 to {MOST_ROW_IDS}")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction is {self.validation_fraction}: it must be at least 0 and below 1")
        if self.window_groups < 1:
            raise ValueError(f"window_groups is {self.window_groups}: it must be at least 1")
        if self.packing not in self.packings:
            known = " or ".join(self.packings)
            raise ValueError(f"packing {self.packing} is for causal rows, not {self.objective}: use {known}")
        if self.packing == "best-fit" and self.character_borders:
            raise ValueError("character_borders is only for rows cut from a stream: use it with packing concatenate")

    @property
    def objective(self) -> str:
        """The name of the objective."""
        return str(self.__struct_config__.tag)

    @property
    def num_spans(self) -> int:
        """The most sentinels that a row needs."""
        return 0

    def fingerprint_settings(self) -> dict[str, Any]:
        """What the fingerprint of a folder covers."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**NEUTRAL, **plain}

    def rows(self, vocabulary: Vocabulary) -> RowMaker:
        """Turns packed ids into the columns of shards. Raises BadArgument for an unsuitable vocabulary."""
        from corpora.tokens.row_maker import RowMaker

        return RowMaker(self, vocabulary)

    def facts(self) -> dict[str, Any]:
        """Fields of `ShardFacts` that depend on the objective."""
        return {"raw_length": self.sequence_length, "label_length": None}

    @classmethod
    def recount(cls, columns: Mapping[str, Column], facts: ShardFacts) -> int:
        """The number of stream ids in stored rows, for `tamiz verify`: no padding, nothing that the objective added.

        Raises ValueError for rows that the facts don't allow, KeyError for a missing column.
        """
        from corpora.tokens.plain_rows import plain_ids

        return plain_ids(columns, facts)

    @classmethod
    def view(cls, row: Row, facts: ShardFacts, reader: Reader) -> View:
        """A stored row, displayed for people. Raises DamagedFile for a missing column."""
        del facts
        from corpora.tokens.plain_rows import documents_view

        return documents_view(row, reader)

    @classmethod
    def summary(cls, split: str, facts: ShardFacts) -> list[tuple[str, str]]:
        """(what, value): lines about one split in the summary of a build."""
        from corpora.tokens.plain_rows import padding_share

        return padding_share(split, facts)
