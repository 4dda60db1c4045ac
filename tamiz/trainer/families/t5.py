"""T5: an encoder-decoder trained by span corruption. arXiv:1910.10683; T5 1.1: arXiv:2002.05202."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from tamiz.trainer.bounds import above_zero, at_least
from tamiz.trainer.families.seq2seq import Seq2SeqSettings


class T5(Seq2SeqSettings, frozen=True, kw_only=True, tag="t5"):
    """The shape of a T5.

    The defaults are those of jalbarracin/T5-spanish-efficient-tiny: 7,176,896 parameters with 5,000 ids.
    """

    younger: ClassVar[Mapping[str, Any]] = {"layer_norm_epsilon": 1e-6}

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
    feed_forward: Literal["relu", "gated-gelu", "gated-relu", "gelu"] = "relu"
    """relu (T5 1.0), gated-gelu (T5 1.1), gated-relu (KerasHub's default) or gelu. As in transformers, a gated gelu
    is approximated with tanh, and gelu is exact."""
    tie_embeddings: bool = True
    """Whether the output layer shares the embedding's weights, with logits scaled by d_model ** -0.5."""
    dropout: float = 0.0
    """Share of activations dropped in training."""
    layer_norm_epsilon: float = 1e-6
    """Added to the mean square in RMS norms."""
    relative_attention_num_buckets: int = 32
    """Number of buckets of relative distance; each has a bias for each head."""
    relative_attention_max_distance: int = 128
    """From this distance on, all positions share the last bucket."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_layers", "num_decoder_layers", "d_model", "d_ff", "d_kv", "num_heads"):
            at_least(name, getattr(self, name), 1)
        above_zero("layer_norm_epsilon", self.layer_norm_epsilon)
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

        from tamiz.trainer.families import t5_attention

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
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "relative_attention_num_buckets": self.relative_attention_num_buckets,
            "relative_attention_max_distance": self.relative_attention_max_distance,
            "pad_token_id": pad_id,
            "eos_token_id": eos_id,
            "decoder_start_token_id": pad_id,
        }
        built = T5ForConditionalGeneration(T5Config(**fields))
        t5_attention.install(built)
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
            "relative_attention_num_buckets", "relative_attention_max_distance", "layer_norm_epsilon",
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
