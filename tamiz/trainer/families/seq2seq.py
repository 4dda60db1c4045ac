"""The base of T5's families: encoder-decoders trained by span corruption, whatever their shape is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from corpora.errors import BadArgument
from tamiz.trainer.families.base import IGNORED, INPUT_MASK, TARGETS, ModelSettings
from tamiz.trainer.families.decoding import NUM_BEAMS, Sampling

if TYPE_CHECKING:
    import torch

    from corpora.tokens.facts import ShardFacts
    from corpora.tokens.settings import ShardSettings
    from tamiz.trainer.settings import TrainSettings


class Seq2SeqSettings(ModelSettings, frozen=True, kw_only=True):
    """A family of T5 models. A subclass adds its shape and defines `new`, which returns transformers'
    T5ForConditionalGeneration."""

    title: ClassVar[str] = "T5"
    model_type: ClassVar[str] = "t5"
    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"
    pipeline_tag: ClassVar[str | None] = None  # transformers 5 has no text2text-generation

    unread: ClassVar[str] = r"EncDecAttention\.relative_attention_bias\.weight$"

    @property
    def tags(self) -> tuple[str, ...]:
        return (self.model_type,)

    def check_shards(self, shards: ShardSettings, train: TrainSettings, num_sentinels: int | None = None) -> None:
        objective = shards.asdict()["objective"]
        if train.span_corruption is None:
            if objective == "causal":
                raise ValueError(
                    f"shards.objective is 'causal', but model.family {self.family} needs rows with labels: set "
                    "shards.objective to 'span-corruption', or set train.span_corruption, which corrupts causal rows"
                )
            return
        if objective != "causal":
            raise ValueError(
                f"train.span_corruption corrupts causal rows, but shards.objective is {objective!r}: remove "
                "train.span_corruption, or set shards.objective to 'causal'"
            )
        self._check_noise(shards, train, num_sentinels)

    def _check_noise(self, shards: ShardSettings, train: TrainSettings, num_sentinels: int | None) -> None:
        """Checks that train.span_corruption suits the rows that the causal shards will have."""
        from corpora.rows.fresh_noise import corrupted_facts
        from corpora.tokens.facts import SentinelIds, ShardFacts

        short = [name for name in ("packing", "character_borders") if shards.asdict()[name] in ("best-fit", True)]
        if short:
            raise ValueError(
                f"train.span_corruption needs full rows, but shards.{short[0]} leaves some rows short: remove it"
            )
        count = self.vocab_size if num_sentinels is None else num_sentinels
        planned = ShardFacts(
            tokenizer_sha256="",
            vocab_size=self.vocab_size,
            objective="causal",
            sequence_length=shards.sequence_length,
            pad_id=0,
            eos_id=1,
            sentinel_ids=SentinelIds(first=self.vocab_size - 1, step=-1, count=count),
            rows={},
        )
        assert train.span_corruption is not None
        try:
            corrupted_facts(planned, train.span_corruption)
        except BadArgument as error:
            raise ValueError(f"train.span_corruption: {error}") from None

    def takes(self, facts: ShardFacts, shards: Path) -> None:
        if facts.label_length is None:
            raise BadArgument(
                f"{shards} holds {facts.objective} rows, but model.family is {self.family!r}: build shards with "
                "--objective span-corruption, or set train.span_corruption, which corrupts causal rows"
            )
        if facts.pad_id == facts.eos_id:
            raise BadArgument(
                f"{shards} pads with id {facts.pad_id}, which is also EOS: a T5 doesn't learn to predict padding, so "
                "it would never end; build the shards with a tokenizer that has a pad_token of its own"
            )
        super().takes(facts, shards)

    def prepare(self, batch: dict[str, torch.Tensor], pad_id: int) -> dict[str, torch.Tensor]:
        """input_ids [b, n] and targets [b, m]; padding is not predicted. If any input is padding, also INPUT_MASK:
        full rows need no mask, and attention is faster without one."""
        inputs, labels = batch["input_ids"], batch["labels"]
        known = inputs != pad_id
        prepared = {"input_ids": inputs, TARGETS: labels.masked_fill(labels == pad_id, IGNORED)}
        return prepared if bool(known.all()) else {**prepared, INPUT_MASK: known}

    def loss(self, model: Any, prepared: dict[str, torch.Tensor], z_loss: float = 0.0) -> torch.Tensor:
        """The encoder doesn't attend to padding."""
        from tamiz.trainer.families.chunked_loss import chunked_cross_entropy
        from tamiz.trainer.families.t5_attention import GPU_STEP, widened

        if prepared["input_ids"].is_cuda:
            prepared = widened(prepared, model.config.pad_token_id, GPU_STEP)
        input_ids, targets, mask = prepared["input_ids"], prepared[TARGETS], prepared.get(INPUT_MASK)
        decoder_input_ids = model.prepare_decoder_input_ids_from_labels(targets)
        encoded = model.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        hidden = model.decoder(
            input_ids=decoder_input_ids, encoder_hidden_states=encoded, encoder_attention_mask=mask, use_cache=False
        ).last_hidden_state
        if model.config.scale_decoder_outputs:
            hidden = hidden * model.model_dim**-0.5
        head = model.get_output_embeddings()
        return chunked_cross_entropy(hidden, head, targets, vocab_size=self.vocab_size, z_loss=z_loss)

    def ids_per_row(self, facts: ShardFacts) -> int:
        return facts.sequence_length + (facts.label_length or 0)

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
        """`text` with its spans <extra_id_0>, <extra_id_1>, ... filled, each with at most max_new_tokens ids (12;
        60 if they are bytes)."""
        from tamiz.trainer.families.t5_spans import fill_spans

        return fill_spans(folder, text, max_new_tokens=max_new_tokens, num_beams=num_beams, sampling=sampling)

    def description(self, parameters: int) -> str:
        return (
            f"A {self.title} of {parameters:,} parameters, pretrained from scratch by span corruption: it fills "
            "masked spans, and is meant to be fine-tuned."
        )

    def example(self, before: str, after: str) -> str:
        return f"""text = "{before} <extra_id_0> {after}"
inputs = tokenizer(text, return_tensors="pt")
ids = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=12)
print(tokenizer.decode(ids[0]))  # <extra_id_0> and the words that fill it
"""

    def row_description(self, facts: ShardFacts) -> str:
        return f"{facts.sequence_length} inputs, {facts.label_length} targets"
