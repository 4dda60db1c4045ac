"""The base of causal families: models that predict each id of a row from the previous ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from corpora.errors import BadArgument
from corpora.rows.columns import DOCUMENT_IDS
from tamiz.trainer.families.base import IGNORED, TARGETS, ModelSettings, summed_cross_entropy
from tamiz.trainer.families.decoding import NUM_BEAMS, Sampling

if TYPE_CHECKING:
    import torch

    from corpora.tokens.facts import ShardFacts
    from corpora.tokens.settings import ShardSettings
    from tamiz.trainer.settings import TrainSettings


class CausalSettings(ModelSettings, frozen=True, kw_only=True):
    """A family of causal models. A subclass sets `title` and `model_type`, adds its shape, and defines `new`, which
    returns a transformers model that AutoModelForCausalLM loads, or any that maps `input_ids` [b, n] to `.logits`.
    """

    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    pipeline_tag: ClassVar[str | None] = "text-generation"

    body: ClassVar[str | None] = None
    """The part of the model whose last hidden states its output layer turns into logits, with nothing in between:
    the loss is then computed without whole logits. None: from the model's logits."""

    document_masks: bool = False
    """Whether an id sees only those before it in its own document, as if each document were alone in its row:
    positions begin again, and the first id of a document isn't predicted. False: it sees the whole row before it."""

    younger: ClassVar[Mapping[str, Any]] = {"document_masks": False}

    @property
    def reads_documents(self) -> bool:
        return self.document_masks

    @property
    def max_ids(self) -> int | None:
        """The maximum number of ids that the model reads at once; None if there is no limit."""
        return None

    def check_shards(self, shards: ShardSettings, train: TrainSettings, num_sentinels: int | None = None) -> None:  # noqa: ARG002
        objective = shards.asdict()["objective"]
        if train.span_corruption is not None:
            raise ValueError(f"train.span_corruption is for t5, not {self.family}: remove it")
        if objective != "causal":
            raise ValueError(
                f"shards.objective is {objective!r}, but model.family {self.family} needs 'causal': change it"
            )
        read = ids_read(shards.sequence_length)
        if self.max_ids is not None and read > self.max_ids:
            raise ValueError(
                f"shards.sequence_length is {shards.sequence_length}, which gives the model {read} ids to read, but "
                f"model.family {self.family} reads at most {self.max_ids} here: shorten the rows or widen the model"
            )

    def takes(self, facts: ShardFacts, shards: Path) -> None:
        if facts.label_length is not None:
            raise BadArgument(
                f"{shards} holds {facts.objective} rows, but model.family is {self.family!r}: build shards with "
                "--objective causal, and leave train.span_corruption out"
            )
        read = ids_read(facts.sequence_length)
        if self.max_ids is not None and read > self.max_ids:
            raise BadArgument(
                f"{shards} has rows of {read} ids to read, but this {self.title} reads at most {self.max_ids}: build "
                "shards with a smaller --sequence-length, or widen the model"
            )
        super().takes(facts, shards)

    def prepare(self, batch: dict[str, torch.Tensor], pad_id: int) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """input_ids and targets, both [b, n]: target i is the id after input i. If packing left rows short,
        `num_tokens` tells which ids are padding; padding is not predicted, and no id before it attends to it.

        Mesh-style rows of 2**k + 1 ids give 2**k inputs, a width that kernels handle fast. In other rows the model
        reads every id, and predicts nothing after the last one.

        With document_masks, and unless each row is one document: also document_ids [b, n], equal within a document;
        padding is no document's.
        """
        from torch.nn import functional

        rows = batch["input_ids"]
        targets = rows[:, 1:]
        if "num_tokens" in batch:
            padding = _positions(targets) + 1 >= batch["num_tokens"][:, None]
            targets = targets.masked_fill(padding, IGNORED)
        read = ids_read(rows.shape[1])
        documents = self._documents(batch)
        if documents is not None:
            targets = targets.masked_fill(documents[:, 1:] != documents[:, :-1], IGNORED)
        targets = functional.pad(targets, (0, read - targets.shape[1]), value=IGNORED)
        prepared = {"input_ids": rows[:, :read], TARGETS: targets}
        return prepared if documents is None else {**prepared, DOCUMENT_IDS: documents[:, :read]}

    def _documents(self, batch: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """[b, width of a row]; None if no mask is needed."""
        if not self.document_masks:
            return None
        documents = batch[DOCUMENT_IDS]
        if bool((documents == documents[:, :1]).all()):
            return None  # short rows, too: padding comes last, so that nothing sees it
        if "num_tokens" in batch:
            padding = _positions(documents) >= batch["num_tokens"][:, None]
            documents = documents.masked_fill(padding, documents.shape[1] + 1)
        return documents

    def logits(self, model: Any, prepared: dict[str, torch.Tensor]) -> torch.Tensor:
        """[b, n, vocab_size], for rows of a prepared batch on the model's device."""
        return model(**self._given(model, prepared)).logits[..., : self.vocab_size]

    def _given(self, model: Any, prepared: dict[str, torch.Tensor]) -> dict[str, Any]:
        """The model's arguments."""
        given: dict[str, Any]
        given, documents = {"input_ids": prepared["input_ids"], "use_cache": False}, prepared.get(DOCUMENT_IDS)
        if documents is not None:
            from tamiz.trainer.families.attention import mask_for, positions

            mask = mask_for(documents, model.config._attn_implementation)
            given |= {"attention_mask": mask, "position_ids": positions(documents)}
        return given

    def loss(self, model: Any, prepared: dict[str, torch.Tensor], z_loss: float = 0.0) -> torch.Tensor:
        if self.body is None:
            return summed_cross_entropy(self.logits(model, prepared), prepared[TARGETS], z_loss)
        from tamiz.trainer.families.chunked_loss import chunked_cross_entropy

        hidden = getattr(model, self.body)(**self._given(model, prepared)).last_hidden_state
        head = model.get_output_embeddings()
        return chunked_cross_entropy(hidden, head, prepared[TARGETS], vocab_size=self.vocab_size, z_loss=z_loss)

    def ids_per_row(self, facts: ShardFacts) -> int:
        return ids_read(facts.sequence_length)

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
        """`text` and its most likely continuation, of at most max_new_tokens (40) ids."""
        from tamiz.trainer.families.continuation import continue_text

        most = max_new_tokens or 40
        return continue_text(folder, text, max_new_tokens=most, num_beams=num_beams, sampling=sampling)

    def description(self, parameters: int) -> str:
        return f"A {self.title} of {parameters:,} parameters, pretrained from scratch: it continues texts."

    def example(self, before: str, after: str) -> str:  # noqa: ARG002 (the model writes what follows)
        return f"""inputs = tokenizer("{before}", add_special_tokens=False, return_tensors="pt")
ids = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=40)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
"""

    def row_description(self, facts: ShardFacts) -> str:
        return f"{ids_read(facts.sequence_length):,}, each predicted from the previous ids"


def ids_read(width: int) -> int:
    """Number of ids of a stored row that the model reads: all but the last id of mesh-style rows (2**k + 1 ids)."""
    mesh = width > 2 and (width - 1) & (width - 2) == 0
    return width - 1 if mesh else width


def _positions(rows: torch.Tensor) -> torch.Tensor:
    """[n], counted from 0."""
    import torch

    return torch.arange(rows.shape[1], device=rows.device)
