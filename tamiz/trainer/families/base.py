"""What every model family is: settings, tagged with the family's name, that build and train its models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from corpora.choices import name_of
from corpora.config import Config
from corpora.errors import BadArgument
from tamiz.trainer.bounds import at_least

if TYPE_CHECKING:
    import torch

    from corpora.tokens.facts import ShardFacts
    from corpora.tokens.settings import ShardSettings
    from tamiz.trainer.settings import TrainSettings

IGNORED = -100  # a target that the loss leaves out
PAD_ID = 0
EOS_ID = 1
TARGETS = "targets"


class ModelSettings(Config, frozen=True, kw_only=True, tag_field="family"):
    """The shape of a model, and all that its family does differently from others.

    A subclass must set `title`, `model_type`, `auto_class` and `pipeline_tag` and define `new`, `prepare`, `loss`,
    `ids_per_row` and `generate`; `CausalSettings` has all of these but `title`, `model_type` and `new`.
    """

    vocab_size: int
    """Rows of the embedding: at least the tokenizer's ids, reserved ones and sentinels included."""

    title: ClassVar[str]
    """The family in text, such as "T5"."""
    model_type: ClassVar[str]
    """What transformers writes as `model_type` into config.json: how `generate` knows the family of a folder."""
    auto_class: ClassVar[str]
    """The class of transformers that loads the exported folder, such as "AutoModelForCausalLM"."""
    pipeline_tag: ClassVar[str]
    """The Hub's name for what the model does, such as "text-generation"."""

    def __post_init__(self) -> None:
        at_least("vocab_size", self.vocab_size, 3)

    @property
    def family(self) -> str:
        """The family's name: the tag."""
        return name_of(self)

    # building

    def new(self, pad_id: int, eos_id: int, bos_id: int | None) -> Any:
        """A new model, initialised with torch's global generator."""
        raise NotImplementedError

    def build(self, *, seed: int, pad_id: int = PAD_ID, eos_id: int = EOS_ID, bos_id: int | None = None) -> Any:
        """A model with float32 weights on the CPU; equal settings and seed give equal weights. torch's global
        generator is left as it was."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.new(pad_id, eos_id, bos_id)

    def num_parameters(self) -> int:
        """Parameters, tied ones counted once. Allocates no weights."""
        import torch

        with torch.device("meta"):
            return num_parameters(self.build(seed=0))

    # training

    def check_shards(self, shards: ShardSettings, train: TrainSettings, num_sentinels: int | None = None) -> None:
        """Raises ValueError where a recipe's shards can't train this model, naming the key to change.

        num_sentinels: the tokenizer's; None where it isn't known yet.
        """

    def takes(self, facts: ShardFacts, shards: Path) -> None:
        """Raises BadArgument where finished shards can't train this model, naming the fix.

        facts: of the rows that the model sees, noise that training adds included.
        """
        if facts.vocab_size > self.vocab_size:
            raise BadArgument(
                f"model.vocab_size is {self.vocab_size} but {shards} has {facts.vocab_size} ids: "
                f"set model.vocab_size to at least {facts.vocab_size}, or build the shards with another tokenizer"
            )

    def prepare(self, batch: dict[str, torch.Tensor], pad_id: int) -> dict[str, torch.Tensor]:
        """A batch as `loss` takes it: tensors with a row per example; `targets` is IGNORED where nothing is
        predicted."""
        raise NotImplementedError

    def loss(self, model: Any, prepared: dict[str, torch.Tensor]) -> torch.Tensor:
        """Cross-entropy in nats, summed over the targets, of rows of a prepared batch on the model's device."""
        raise NotImplementedError

    def decays(self, name: str, parameter: torch.Tensor) -> bool:  # noqa: ARG002
        """Whether weight decay shrinks the parameter: matrices, but neither norms nor biases."""
        return parameter.ndim >= 2

    def ids_per_row(self, facts: ShardFacts) -> int:
        """Ids that a row gives the model to read, those of a decoder included."""
        raise NotImplementedError

    # use

    @classmethod
    def generate(cls, folder: str | Path, text: str, *, max_new_tokens: int | None = None, num_beams: int = 4) -> str:
        """What an exported model makes of `text`, by beam search. max_new_tokens: None for the family's default."""
        raise NotImplementedError

    # the model card

    @property
    def tags(self) -> tuple[str, ...]:
        """Hub tags of its own."""
        return (self.family,)

    def description(self, parameters: int) -> str:
        """One sentence for the card."""
        return f"A {self.title} of {parameters:,} parameters, pretrained from scratch."

    def row_description(self, facts: ShardFacts) -> str:
        """A training row in words, for the card."""
        return f"{facts.sequence_length:,}"


def num_parameters(model: torch.nn.Module) -> int:
    """Parameters of a model, tied ones counted once."""
    return sum(p.numel() for p in model.parameters())


def summed_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """In float32. logits [b, n, v], targets [b, n], IGNORED where nothing is predicted."""
    from torch.nn import functional

    return functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
