"""T5: an encoder-decoder trained by span corruption. arXiv:1910.10683; T5 1.1: arXiv:2002.05202."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from corpora.errors import BadArgument
from tamiz.trainer.bounds import at_least
from tamiz.trainer.families.base import IGNORED, TARGETS, ModelSettings, summed_cross_entropy
from tamiz.trainer.families.decoding import NUM_BEAMS, Sampling

if TYPE_CHECKING:
    import torch

    from corpora.tokens.facts import ShardFacts
    from corpora.tokens.settings import ShardSettings
    from tamiz.trainer.settings import TrainSettings


class T5(ModelSettings, frozen=True, kw_only=True, tag="t5"):
    """The shape of a T5.

    The defaults are those of jalbarracin/T5-spanish-efficient-tiny: 7,176,896 parameters with 5,000 ids.
    """

    title: ClassVar[str] = "T5"
    model_type: ClassVar[str] = "t5"
    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"
    pipeline_tag: ClassVar[str | None] = None  # transformers 5 has no text2text-generation

    unread: ClassVar[str] = r"EncDecAttention\.relative_attention_bias\.weight$"

    num_layers: int = 4
    """Number of layers of the encoder."""
    num_decoder_layers: int = 3
    """Number of layers of the decoder."""
    d_model: int = 320
    """Width of the embeddings and of the residual stream."""
    d_ff: int = 512
    """Inner width of the feed-forward layers."""
    d_kv: int = 64
    """Width of one attention head; num_heads * d_kv may differ from d_model."""
    num_heads: int = 4
    """Number of attention heads per layer."""
    feed_forward: Literal["relu", "gated-gelu"] = "relu"
    """relu (T5 1.0) or gated-gelu (T5 1.1)."""
    tie_embeddings: bool = True
    """Whether the output layer shares the embedding's weights, with logits scaled by d_model ** -0.5."""
    dropout: float = 0.0
    """Share of activations dropped in training."""
    relative_attention_num_buckets: int = 32
    """Number of buckets of relative distance; each has a bias for each head."""
    relative_attention_max_distance: int = 128
    """From this distance on, all positions share the last bucket."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_layers", "num_decoder_layers", "d_model", "d_ff", "d_kv", "num_heads"):
            at_least(name, getattr(self, name), 1)
        at_least("relative_attention_num_buckets", self.relative_attention_num_buckets, 4)
        if self.relative_attention_max_distance <= self.relative_attention_num_buckets // 2:
            raise ValueError(
                f"relative_attention_max_distance is {self.relative_attention_max_distance}; it must be more than "
                f"half of relative_attention_num_buckets ({self.relative_attention_num_buckets})"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1")

    def new(self, pad_id: int, eos_id: int | None, bos_id: int | None) -> Any:  # noqa: ARG002
        """The decoder starts from the pad id, as in T5; bos_id is not used."""
        from transformers import T5Config, T5ForConditionalGeneration

        fields: dict[str, Any] = {
            "vocab_size": self.vocab_size,
            "num_layers": self.num_layers,
            "num_decoder_layers": self.num_decoder_layers,
            "d_model": self.d_model,
            "d_ff": self.d_ff,
            "d_kv": self.d_kv,
            "num_heads": self.num_heads,
            "feed_forward_proj": self.feed_forward,
            "tie_word_embeddings": self.tie_embeddings,
            "dropout_rate": self.dropout,
            "relative_attention_num_buckets": self.relative_attention_num_buckets,
            "relative_attention_max_distance": self.relative_attention_max_distance,
            "pad_token_id": pad_id,
            "eos_token_id": eos_id,
            "decoder_start_token_id": pad_id,
        }
        built = T5ForConditionalGeneration(T5Config(**fields))
        if not self.tie_embeddings:
            self._untie(built)
        return built

    def _untie(self, built: Any) -> None:
        """Gives the model a separate output layer. transformers 5 takes tie_word_embeddings=False to mean "don't
        scale the logits" and still ties the weights, but it loads an output layer that is stored. The initial
        standard deviation of this layer gives the logits the same spread as in the tied, scaled model."""
        import torch

        head = torch.empty(self.vocab_size, self.d_model)
        built.lm_head.weight = torch.nn.Parameter(head.normal_(std=self.d_model**-0.5))

    @classmethod
    def settings_of(cls, config: Any) -> dict[str, Any]:
        """transformers 5 calls an output layer of its own "logits that aren't scaled"."""
        named = (
            "vocab_size", "num_layers", "num_decoder_layers", "d_model", "d_ff", "d_kv", "num_heads",
            "relative_attention_num_buckets", "relative_attention_max_distance",
        )  # fmt: skip
        return {
            **{name: getattr(config, name) for name in named},
            "feed_forward": config.feed_forward_proj,
            "tie_embeddings": config.scale_decoder_outputs,
        }

    @property
    def config_extras(self) -> dict[str, Any]:
        """transformers 5 doesn't write it, and transformers 4 then ties the output layer again, and scales."""
        return {} if self.tie_embeddings else {"tie_word_embeddings": False}

    def check_shards(self, shards: ShardSettings, train: TrainSettings, num_sentinels: int | None = None) -> None:
        objective = shards.asdict()["objective"]
        if train.span_corruption is None:
            if objective == "causal":
                raise ValueError(
                    "shards.objective is 'causal', but model.family t5 needs rows with labels: set shards.objective "
                    "to 'span-corruption', or set train.span_corruption, which corrupts causal rows"
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
                f"{shards} holds {facts.objective} rows, but model.family is 't5': build shards with --objective "
                "span-corruption, or set train.span_corruption, which corrupts causal rows"
            )
        if facts.pad_id == facts.eos_id:
            raise BadArgument(
                f"{shards} pads with id {facts.pad_id}, which is also EOS: a T5 doesn't learn to predict padding, so "
                "it would never end; build the shards with a tokenizer that has a pad_token of its own"
            )
        super().takes(facts, shards)

    def prepare(self, batch: dict[str, torch.Tensor], pad_id: int) -> dict[str, torch.Tensor]:
        """input_ids [b, n] and targets [b, m]; padding is not predicted."""
        labels = batch["labels"]
        return {"input_ids": batch["input_ids"], TARGETS: labels.masked_fill(labels == pad_id, IGNORED)}

    def loss(self, model: Any, prepared: dict[str, torch.Tensor], z_loss: float = 0.0) -> torch.Tensor:
        """The encoder doesn't attend to padding."""
        input_ids, targets = prepared["input_ids"], prepared[TARGETS]
        decoder_input_ids = model.prepare_decoder_input_ids_from_labels(targets)
        mask = (input_ids != model.config.pad_token_id).long()
        logits = model(
            input_ids=input_ids, attention_mask=mask, decoder_input_ids=decoder_input_ids, use_cache=False
        ).logits[..., : self.vocab_size]
        return summed_cross_entropy(logits, targets, z_loss)

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
            f"A T5 of {parameters:,} parameters, pretrained from scratch by span corruption: it fills masked spans, "
            "and is meant to be fine-tuned."
        )

    def example(self, before: str, after: str) -> str:
        return f"""text = "{before} <extra_id_0> {after}"
inputs = tokenizer(text, return_tensors="pt")
ids = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=12)
print(tokenizer.decode(ids[0]))  # <extra_id_0> and the words that fill it
"""

    def row_description(self, facts: ShardFacts) -> str:
        return f"{facts.sequence_length} inputs, {facts.label_length} targets"
