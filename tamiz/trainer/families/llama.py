"""Llama: a causal model with rotary positions, RMS norms and a gated feed-forward. arXiv:2302.13971."""

from __future__ import annotations

from typing import Any, ClassVar

from tamiz.trainer.bounds import above_zero, at_least
from tamiz.trainer.families.causal import CausalSettings


class Llama(CausalSettings, frozen=True, kw_only=True, tag="llama"):
    """The shape of a Llama. Fields are named as in transformers' config.json, unless tamiz has a name for them.

    The defaults are those of nicholasKluge/TeenyTinyLlama-160m (arXiv:2401.16640): 162,417,408 parameters with 32,000
    ids.
    """

    title: ClassVar[str] = "Llama"
    model_type: ClassVar[str] = "llama"
    body: ClassVar[str | None] = "model"

    document_masks: bool = True
    """Whether an id sees only those before it in its own document, as if each document were alone in its row:
    positions begin again, and the first id of a document isn't predicted. False: it sees the whole row before it."""
    hidden_size: int = 768
    """Width of the embeddings and of the residual stream (d_model); a multiple of twice num_heads."""
    intermediate_size: int = 3072
    """Inner width of the feed-forward layers (d_ff)."""
    num_layers: int = 12
    """Number of layers (num_hidden_layers)."""
    num_heads: int = 12
    """Number of query heads per layer (num_attention_heads)."""
    num_kv_heads: int | None = None
    """Number of key and value heads, each shared by a group of query heads (num_key_value_heads); None: num_heads."""
    max_position_embeddings: int = 2048
    """The maximum number of ids that the model reads at once."""
    rope_theta: float = 10000.0
    """Base of the wavelengths of rotary positions."""
    rms_norm_eps: float = 1e-5
    """Added to the mean square in RMS norms."""
    tie_embeddings: bool = False
    """Whether the output layer shares the embedding's weights (tie_word_embeddings)."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden_size", "intermediate_size", "num_layers", "num_heads", "max_position_embeddings"):
            at_least(name, getattr(self, name), 1)
        for name in ("rope_theta", "rms_norm_eps", "initializer_range"):
            above_zero(name, getattr(self, name))
        if self.initializer_range > 1.0:
            raise ValueError(f"initializer_range is {self.initializer_range}; it must be at most 1")
        heads, groups = self.num_heads, self.num_kv_heads
        if self.hidden_size % (2 * heads):
            raise ValueError(
                f"hidden_size is {self.hidden_size}; it must be a multiple of twice num_heads ({heads}), so that "
                "heads have an even width"
            )
        if groups is not None and (groups < 1 or heads % groups):
            raise ValueError(f"num_kv_heads is {groups}; it must divide num_heads ({heads})")

    @property
    def max_ids(self) -> int:
        return self.max_position_embeddings

    def new(self, pad_id: int, eos_id: int | None, bos_id: int | None) -> Any:
        from transformers import LlamaConfig, LlamaForCausalLM

        from tamiz.trainer.families import attention

        fields: dict[str, Any] = {
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads or self.num_heads,
            "max_position_embeddings": self.max_position_embeddings,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "rms_norm_eps": self.rms_norm_eps,
            "tie_word_embeddings": self.tie_embeddings,
            "initializer_range": self.initializer_range,
            # transformers gives the padding id's embedding no gradient, so this must never be EOS
            "pad_token_id": None if eos_id in (pad_id, None) else pad_id,
            "eos_token_id": eos_id,
            "bos_token_id": bos_id,
        }
        built = LlamaForCausalLM(LlamaConfig(**fields))
        built.set_attn_implementation(attention.register())
        return built

    @classmethod
    def settings_of(cls, config: Any) -> dict[str, Any]:
        return {
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_layers": config.num_hidden_layers,
            "num_heads": config.num_attention_heads,
            "num_kv_heads": config.num_key_value_heads,
            "max_position_embeddings": config.max_position_embeddings,
            "rope_theta": config.rope_parameters["rope_theta"],
            "rms_norm_eps": config.rms_norm_eps,
            "tie_embeddings": config.tie_word_embeddings,
        }
