"""T5 with the arguments of KerasHub's T5Backbone, keras-hub 0.32: keras_hub/src/models/t5/t5_backbone.py."""

from __future__ import annotations

from typing import Any, Literal

from corpora.errors import BadArgument
from tamiz.trainer.bounds import above_zero, at_least
from tamiz.trainer.families.seq2seq import Seq2SeqSettings
from tamiz.trainer.families.t5 import T5

# config.json's names of the arguments that only have another name
_NAMES = {
    "vocab_size": "vocab_size",
    "num_layers": "num_layers",
    "num_heads": "num_heads",
    "hidden_dim": "d_model",
    "intermediate_dim": "d_ff",
    "key_value_dim": "d_kv",
    "layer_norm_epsilon": "layer_norm_epsilon",
    "tie_embedding_weights": "scale_decoder_outputs",
}
_FIXED = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128}


class T5Backbone(Seq2SeqSettings, frozen=True, kw_only=True, tag="t5-backbone"):
    """The arguments of keras_hub.models.T5Backbone, with its defaults. `vocab_size` is its `vocabulary_size`.

    The model is the T5 that they describe (`t5`): equal weights, the same folder. Buckets of relative distance are
    fixed, as there: 32, up to a distance of 128.
    """

    num_layers: int
    """Number of layers of the encoder, and of the decoder."""
    num_heads: int
    """Number of attention heads per layer."""
    hidden_dim: int
    """Width of the embeddings and of the residual stream (T5's d_model)."""
    intermediate_dim: int
    """Inner width of the feed-forward layers (T5's d_ff)."""
    key_value_dim: int | None = None
    """Width of one attention head (T5's d_kv); None: hidden_dim / num_heads, which must be whole."""
    dropout: float = 0.1
    """Share of activations dropped in training."""
    activation: Literal["relu", "gelu"] = "relu"
    """relu, or gelu: approximated with tanh where it is gated, as in KerasHub's presets of T5 1.1, and exact where it
    isn't."""
    use_gated_activation: bool = True
    """Whether the feed-forward layers are gated. T5 1.0: relu, not gated; T5 1.1: gelu, gated."""
    layer_norm_epsilon: float = 1e-6
    """Added to the mean square in RMS norms."""
    tie_embedding_weights: bool = True
    """Whether the output layer shares the embedding's weights, with logits scaled by hidden_dim ** -0.5."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_layers", "num_heads", "hidden_dim", "intermediate_dim"):
            at_least(name, getattr(self, name), 1)
        if self.key_value_dim is not None:
            at_least("key_value_dim", self.key_value_dim, 1)
        elif self.hidden_dim % self.num_heads:
            raise ValueError(
                f"hidden_dim is {self.hidden_dim}; without key_value_dim it must be a multiple of num_heads "
                f"({self.num_heads}): set key_value_dim"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1")
        above_zero("layer_norm_epsilon", self.layer_norm_epsilon)

    @property
    def t5(self) -> T5:
        """The T5 that the arguments describe."""
        gated: Literal["gated-relu", "gated-gelu"] = "gated-relu" if self.activation == "relu" else "gated-gelu"
        return T5(
            vocab_size=self.vocab_size,
            num_layers=self.num_layers,
            num_decoder_layers=self.num_layers,
            d_model=self.hidden_dim,
            d_ff=self.intermediate_dim,
            d_kv=self.key_value_dim or self.hidden_dim // self.num_heads,
            num_heads=self.num_heads,
            feed_forward=gated if self.use_gated_activation else self.activation,
            tie_embeddings=self.tie_embedding_weights,
            dropout=self.dropout,
            layer_norm_epsilon=self.layer_norm_epsilon,
            **_FIXED,
        )

    def new(self, pad_id: int, eos_id: int | None, bos_id: int | None) -> Any:
        """Exactly the model that `t5` creates."""
        return self.t5.new(pad_id, eos_id, bos_id)

    @classmethod
    def settings_of(cls, config: Any) -> dict[str, Any]:
        """Raises BadArgument for a T5 that T5Backbone can't describe."""
        for name, wanted in {**_FIXED, "num_decoder_layers": config.num_layers}.items():
            found = getattr(config, name)
            if found != wanted:
                raise BadArgument(
                    f"train.init has {name} {found}, but with model.family t5-backbone it is {wanted}: set "
                    "model.family to t5"
                )
        gated, _, activation = config.feed_forward_proj.rpartition("-")
        return {
            **{name: getattr(config, theirs) for name, theirs in _NAMES.items()},
            "activation": activation,
            "use_gated_activation": gated == "gated",
        }

    @property
    def config_extras(self) -> dict[str, Any]:
        return self.t5.config_extras
