"""The base of all model families: settings, tagged with the family's name, that build and train its models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from corpora.choices import name_of
from corpora.config import Config
from corpora.errors import BadArgument
from tamiz.trainer.bounds import at_least
from tamiz.trainer.families.decoding import NUM_BEAMS, Sampling

if TYPE_CHECKING:
    import torch

    from corpora.tokens.facts import ShardFacts
    from corpora.tokens.settings import ShardSettings
    from tamiz.trainer.settings import TrainSettings

IGNORED = -100  # a target that the loss ignores
PAD_ID = 0
EOS_ID = 1
TARGETS = "targets"
INPUT_MASK = "input_mask"  # of a prepared batch: bool [b, n], false where an encoder's input is padding
ABSENT = object()


class ModelSettings(Config, frozen=True, kw_only=True, tag_field="family"):
    """The shape of a model, and everything that is specific to its family.

    A subclass must set `title`, `model_type`, `auto_class` and `pipeline_tag` and define `new`, `prepare`, `loss`,
    `ids_per_row` and `generate`; `CausalSettings` has all of these but `title`, `model_type` and `new`.
    """

    vocab_size: int
    """Rows of the embedding: at least the number of the tokenizer's ids, including reserved ids and sentinels."""

    title: ClassVar[str]
    """The name of the family in texts, such as "T5"."""
    model_type: ClassVar[str]
    """The `model_type` that transformers writes into config.json; `generate` finds the family of a folder by it."""
    auto_class: ClassVar[str]
    """The transformers class that loads the exported folder, such as "AutoModelForCausalLM"."""
    younger: ClassVar[Mapping[str, Any]] = {}
    """Settings that `identity` leaves out while they have these values, their defaults."""
    pipeline_tag: ClassVar[str | None]
    """The task, such as "text-generation", as transformers' pipelines name it; None if no pipeline does it."""

    def __post_init__(self) -> None:
        at_least("vocab_size", self.vocab_size, 3)

    @property
    def family(self) -> str:
        """The name of the family, which is the tag."""
        return name_of(self)

    def example(self, before: str, after: str) -> str:  # noqa: ARG002
        """Python for the model's card: uses `tokenizer` and `model` on a text. before, after: words that the text may
        have, parted where a word is missing. Empty: the card shows how to load the model, no more."""
        return ""

    def identity(self) -> dict[str, Any]:
        """The settings that decide the model's bytes, as plain data. Settings younger than the first models are left
        out while they have their default, so that finished trainings stay finished."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in plain.items() if self.younger.get(name, ABSENT) != value}

    # building

    def new(self, pad_id: int, eos_id: int | None, bos_id: int | None) -> Any:
        """Creates a model whose weights are initialised with torch's global generator."""
        raise NotImplementedError(f"{type(self).__name__} must define `new`")

    def build(
        self, *, seed: int, pad_id: int = PAD_ID, eos_id: int | None = EOS_ID, bos_id: int | None = None
    ) -> Any:
        """Creates a model with float32 weights on the CPU; equal settings and seed give equal weights. The state of
        torch's global generator doesn't change."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.new(pad_id, eos_id, bos_id)

    def num_parameters(self) -> int:
        """Number of parameters; tied parameters count once. Allocates no weights."""
        import torch

        with torch.device("meta"):
            return num_parameters(self.build(seed=0))

    # a published model as the start of a training

    @classmethod
    def settings_of(cls, config: Any) -> dict[str, Any]:  # noqa: ARG003
        """The settings that a published model's shape stands for, from its transformers config: those that weights
        depend on, by name. Empty: only the shapes of weights are compared."""
        return {}

    described: ClassVar[frozenset[str]] = frozenset()
    """The keys of the config that `settings_of` reads and that may say the same in different ways."""

    unread: ClassVar[str] = r"rotary_emb\.inv_freq$"
    """The tensors of published models that aren't weights, as a regular expression."""

    @property
    def config_extras(self) -> dict[str, Any]:
        """Keys that config.json needs and transformers doesn't write."""
        return {}

    # training

    @property
    def reads_documents(self) -> bool:
        """Whether batches must have `document_ids`."""
        return False

    def check_shards(self, shards: ShardSettings, train: TrainSettings, num_sentinels: int | None = None) -> None:
        """Raises ValueError if a recipe's shards can't train this model, naming the key to change.

        num_sentinels: number of sentinels of the tokenizer; None if it isn't known yet.
        """

    def takes(self, facts: ShardFacts, shards: Path) -> None:
        """Raises BadArgument if finished shards can't train this model, naming the fix.

        facts: describe the rows that the model reads, after any noise that training adds.
        """
        if facts.vocab_size > self.vocab_size:
            raise BadArgument(
                f"model.vocab_size is {self.vocab_size} but {shards} has {facts.vocab_size} ids: "
                f"set model.vocab_size to at least {facts.vocab_size}, or build the shards with another tokenizer"
            )

    def prepare(self, batch: dict[str, torch.Tensor], pad_id: int) -> dict[str, torch.Tensor]:
        """Turns a batch into what `loss` takes: tensors with one row per example. `targets` is IGNORED where there
        is nothing to predict."""
        raise NotImplementedError(f"{type(self).__name__} must define `prepare`")

    def loss(self, model: Any, prepared: dict[str, torch.Tensor], z_loss: float = 0.0) -> torch.Tensor:
        """Cross-entropy in nats, summed over the targets, for rows of a prepared batch on the model's device.

        z_loss: its gradient, too, but not its value, has that of the z-loss with this factor; see
        `summed_cross_entropy`. A family without it is trained only where it is 0.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `loss`")

    def decays(self, model: torch.nn.Module, module: torch.nn.Module, parameter: torch.Tensor) -> bool:
        """Whether weight decay applies to a parameter of a module of the model: to matrices and to the embedding of
        ids, but not to norms and biases, which have one dimension, nor to other embeddings, such as those of
        positions."""
        return parameter.ndim >= 2 and not is_table(model, module)

    def ids_per_row(self, facts: ShardFacts) -> int:
        """Number of ids of a row that the model reads, including those of a decoder."""
        raise NotImplementedError(f"{type(self).__name__} must define `ids_per_row`")

    # use

    @classmethod
    def generate(
        cls,
        folder: str | Path,
        text: str,
        *,
        max_new_tokens: int | None = None,
        num_beams: int = NUM_BEAMS,
        sampling: Sampling | None = None,
    ) -> str:
        """The output of an exported model for `text`, by beam search, or drawn at random (sampling).
        max_new_tokens: None: the family's default."""
        raise NotImplementedError(f"{cls.__name__} must define `generate`")

    # the model card

    @property
    def tags(self) -> tuple[str, ...]:
        """Hub tags of the family."""
        return (self.family,)

    def description(self, parameters: int) -> str:
        """One sentence for the card."""
        return f"A {self.title} of {parameters:,} parameters, pretrained from scratch."

    def row_description(self, facts: ShardFacts) -> str:
        """Describes a training row in words, for the card."""
        return f"{facts.sequence_length:,}"


def num_parameters(model: torch.nn.Module) -> int:
    """Number of parameters of a model; tied parameters count once."""
    return sum(p.numel() for p in model.parameters())


def is_table(model: torch.nn.Module, module: torch.nn.Module) -> bool:
    """Whether a module is an embedding of anything but ids: of positions, or of relative distances."""
    from torch import nn

    of_ids = getattr(model, "get_input_embeddings", lambda: None)()
    return isinstance(module, nn.Embedding) and (of_ids is None or module.weight is not of_ids.weight)


def summed_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, z_loss: float = 0.0) -> torch.Tensor:
    """Computed in float32. logits [b, n, v]; targets [b, n], IGNORED where there is nothing to predict.

    z_loss: the gradient is that of the cross-entropy plus z_loss * log(Z)**2 for each target, where Z is the sum of
    the exponentials of its logits; the value is the cross-entropy alone. arXiv:2204.02311 §5.
    """
    from torch.nn import functional

    flat, wanted = logits.float().flatten(0, 1), targets.flatten()
    total = functional.cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="sum")
    if z_loss:
        squares = flat.logsumexp(-1).square()
        added = z_loss * squares.masked_fill(wanted == IGNORED, 0.0).sum()
        total = total + (added - added.detach())
    return total
