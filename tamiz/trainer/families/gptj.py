"""GPT-J: a causal model whose layers attend and feed forward side by side.

github.com/kingoflolz/mesh-transformer-jax
"""

from __future__ import annotations

from typing import Any, ClassVar

from tamiz.trainer.bounds import above_zero, at_least
from tamiz.trainer.families.causal import CausalSettings


class GptJ(CausalSettings, frozen=True, kw_only=True, tag="gptj"):
    """The shape of a GPT-J.

    The defaults are those of EleutherAI/gpt-j-6B and bertin-project/bertin-gpt-j-6B: 6,050,882,784 parameters with
    50,400 rows. The output layer has weights of its own, and a bias.
    """

    title: ClassVar[str] = "GPT-J"
    model_type: ClassVar[str] = "gptj"
    body: ClassVar[str | None] = "transformer"

    described: ClassVar[frozenset[str]] = frozenset({"n_inner"})
    unread: ClassVar[str] = r"\.attn\.(bias|masked_bias)$"

    document_masks: bool = True
    """Whether an id sees only those before it in its own document, as if each document were alone in its row:
    positions begin again, and the first id of a document isn't predicted. False: it sees the whole row before it."""
    hidden_size: int = 4096
    """Width of the embeddings and of the residual stream (n_embd); a multiple of num_heads."""
    intermediate_size: int | None = None
    """Inner width of the feed-forward layers (n_inner); None: four times hidden_size."""
    num_layers: int = 28
    """Number of layers (n_layer)."""
    num_heads: int = 16
    """Number of attention heads per layer (n_head)."""
    rotary_dim: int = 64
    """Width of the part of each head that has rotary positions: even, at most the width of a head."""
    max_position_embeddings: int = 2048
    """The maximum number of ids that the model reads at once (n_positions)."""
    layer_norm_epsilon: float = 1e-5
    """Added to the variance in layer norms."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden_size", "num_layers", "num_heads", "max_position_embeddings"):
            at_least(name, getattr(self, name), 1)
        if self.intermediate_size is not None:
            at_least("intermediate_size", self.intermediate_size, 1)
        for name in ("layer_norm_epsilon", "initializer_range"):
            above_zero(name, getattr(self, name))
        if self.initializer_range > 1.0:
            raise ValueError(f"initializer_range is {self.initializer_range}; it must be at most 1")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size is {self.hidden_size}; it must be a multiple of num_heads ({self.num_heads})"
            )
        width = self.hidden_size // self.num_heads
        if self.rotary_dim % 2 or not 2 <= self.rotary_dim <= width:
            raise ValueError(
                f"rotary_dim is {self.rotary_dim}; it must be even, at least 2 and at most the width of a head, "
                f"hidden_size / num_heads ({width})"
            )

    @property
    def max_ids(self) -> int:
        return self.max_position_embeddings

    def new(self, pad_id: int, eos_id: int | None, bos_id: int | None) -> Any:
        from transformers import GPTJConfig, GPTJForCausalLM

        from tamiz.trainer.families.gptj_attention import register

        fields: dict[str, Any] = {
            "vocab_size": self.vocab_size,
            "n_embd": self.hidden_size,
            "n_inner": self.intermediate_size,
            "n_layer": self.num_layers,
            "n_head": self.num_heads,
            "rotary_dim": self.rotary_dim,
            "n_positions": self.max_position_embeddings,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "activation_function": "gelu_new",
            "tie_word_embeddings": False,
            "pad_token_id": None if eos_id in (pad_id, None) else pad_id,
            "eos_token_id": eos_id,
            "bos_token_id": bos_id,
        }
        config = GPTJConfig(**fields)
        config._attn_implementation = register()
        return GPTJForCausalLM(config)

    @classmethod
    def settings_of(cls, config: Any) -> dict[str, Any]:
        return {
            "vocab_size": config.vocab_size,
            "hidden_size": config.n_embd,
            "intermediate_size": config.n_inner or 4 * config.n_embd,
            "num_layers": config.n_layer,
            "num_heads": config.n_head,
            "rotary_dim": config.rotary_dim,
            "max_position_embeddings": config.n_positions,
            "layer_norm_epsilon": config.layer_norm_epsilon,
        }
