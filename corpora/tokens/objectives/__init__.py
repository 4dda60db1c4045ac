"""Objectives: what rows are made for. One file per objective, with its settings, checks, flags and behaviour.

span_corruption   T5's rows               corruption    what span_corruption and ul2 share
ul2               a mixture of noise      masked_rows   such rows, recounted and displayed
causal            ids as they come

To add one, subclass `ShardSettings` with a msgspec tag and register it with `OBJECTIVES.register`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from corpora.choices import VARIABLE, Choices
from corpora.errors import BadArgument, DamagedFile
from corpora.home import Place
from corpora.tokens.facts import ShardFacts
from corpora.tokens.settings import NEUTRAL, ShardSettings

if TYPE_CHECKING:
    from corpora.tokens.objectives.causal import Causal
    from corpora.tokens.objectives.span_corruption import SpanCorruption
    from corpora.tokens.objectives.ul2 import Ul2
    from corpora.tokens.row_maker import RowMaker

__all__ = ["DEFAULT", "OBJECTIVES", "Causal", "RowMaker", "ShardSettings", "SpanCorruption", "Ul2"]
DEFAULT = "span-corruption"
_MODULES = {
    "SpanCorruption": "corpora.tokens.objectives.span_corruption",
    "Ul2": "corpora.tokens.objectives.ul2",
    "Causal": "corpora.tokens.objectives.causal",
    "RowMaker": "corpora.tokens.row_maker",
}


class Objectives(Choices[type[ShardSettings]]):
    """The objectives by name."""

    def convert(self, settings: Mapping[str, Any], default: str | None = DEFAULT) -> ShardSettings:
        """As `Choices.convert`. Refuses, naming the owners, a key of other objectives, unless its value is that of
        an unset key."""
        chosen = {self.tag: default, **settings}
        name = chosen[self.tag]
        known = _fields(self.get(name)) | {self.tag} if isinstance(name, str) else set(chosen)
        for key in [key for key in chosen if key not in known]:
            owners = [other for other in self.names() if key in _fields(self.get(other))]
            if key in NEUTRAL and chosen[key] == NEUTRAL[key]:
                del chosen[key]
            elif owners:
                raise msgspec.ValidationError(
                    f"{key} is {_short(chosen[key])}, but it is for {' and '.join(owners)}, not {name}: leave it out"
                )
        converted: ShardSettings = super().convert(chosen)
        return converted


def objective_of(folder: Place, facts: ShardFacts) -> type[ShardSettings]:
    """The objective of finished shards. Raises DamagedFile for an unknown objective."""
    try:
        return OBJECTIVES.get(facts.objective)
    except BadArgument:
        raise DamagedFile(
            f"{folder} has the objective {facts.objective!r}, which isn't known here: name the module that registers "
            f"it in {VARIABLE}, or install its package"
        ) from None


def _fields(kind: type[ShardSettings]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def _short(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


OBJECTIVES = Objectives(
    "objective",
    "objective",
    {
        "span-corruption": "corpora.tokens.objectives.span_corruption:SpanCorruption",
        "causal": "corpora.tokens.objectives.causal:Causal",
        "ul2": "corpora.tokens.objectives.ul2:Ul2",
    },
)


def __getattr__(name: str) -> object:
    """Imports an objective only when it is used (PEP 562)."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
