"""Model families: one file and one settings class each, tagged by `family`.

A family defines the shape of its models and the checks of it, how a model is built, which shards it trains on, its
loss, which parameters weight decay applies to, how it generates text and the text of its card (see `ModelSettings`).
A recipe's [model] names the family:

    [model]
    family = "llama"
    vocab_size = 32000

To add a family, write a subclass of `ModelSettings`, or of `CausalSettings` for a model that predicts each id from
the previous ids, and register it:

    @FAMILIES.register
    class Gpt2(CausalSettings, frozen=True, kw_only=True, tag="gpt2"):
        ...

Importing a family imports neither torch nor transformers: only its methods do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpora.choices import Choices
from corpora.errors import BadArgument
from tamiz.trainer.families.base import ModelSettings

__all__ = ["DEFAULT", "FAMILIES", "ModelSettings"]

DEFAULT = "t5"  # the family if [model] doesn't name one


class Families(Choices[type[ModelSettings]]):
    """The registry. For a key of another family, `convert` names that family."""

    def convert(self, settings: Mapping[str, Any], default: str | None = DEFAULT) -> Any:
        name = settings.get(self.tag, default)
        if isinstance(name, str):
            unknown = [key for key in settings if key not in (self.tag, *self.get(name).__struct_fields__)]
            for key in unknown:
                self._refuse_if_of_another(key, name)
        return super().convert(settings, default)

    def _refuse_if_of_another(self, key: str, name: str) -> None:
        owners = [other for other in self.names() if key in self.get(other).__struct_fields__]
        if owners:
            raise BadArgument(f"model.{key} is for family {' and '.join(owners)}, not {name}: remove it")


FAMILIES = Families(
    "family",
    "family",
    {
        "t5": "tamiz.trainer.families.t5:T5",
        "llama": "tamiz.trainer.families.llama:Llama",
        "gptj": "tamiz.trainer.families.gptj:GptJ",
        "t5-backbone": "tamiz.trainer.families.t5_backbone:T5Backbone",
    },
)
