"""A KerasHub preset of a T5. keras-hub has no converter of its own: https://github.com/keras-team/keras-hub/issues/2999."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from corpora.errors import BadArgument, DamagedFile, in_a_line
from tamiz.trainer.exports.base import Export, Source
from tamiz.trainer.exports.keras_tokenizer import preset_tokenizer
from tamiz.trainer.families import ModelSettings
from tamiz.trainer.families.seq2seq import Seq2SeqSettings
from tamiz.trainer.weight_files import Weights

ACTIVATIONS = ("relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "silu")
HEAD_BYTES = 8192  # of a tensor in HDF5, with room to spare
FIXED = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128}  # in T5MultiHeadAttention


class Keras(Export, frozen=True, kw_only=True, tag="keras"):
    """A preset for KerasHub's T5Backbone and T5Seq2SeqLM (T5)."""

    title: ClassVar[str] = "KerasHub preset"
    packages: ClassVar[tuple[str, ...]] = ("keras", "keras_hub", "h5py")
    extra: ClassVar[str] = "keras"

    def install(self) -> str:
        """keras-hub asks for TensorFlow, which it doesn't need."""
        return f"{super().install()} && pip install --no-deps keras-hub"

    def unfit(self, family: type[ModelSettings], config: Mapping[str, Any]) -> str | None:
        if config.get("model_type") != Seq2SeqSettings.model_type:
            return f"is a {family.title}, and KerasHub's T5Backbone is for T5"
        layers, decoder_layers = config["num_layers"], config.get("num_decoder_layers") or config["num_layers"]
        if layers != decoder_layers:
            return f"has {layers} encoder and {decoder_layers} decoder layers, but T5Backbone has one number for both"
        for key, fixed in FIXED.items():
            if config.get(key, fixed) != fixed:
                return f"has {key} {config[key]}, but in KerasHub's T5Backbone it is always {fixed}"
        activation = _dense(config)[0]
        if activation not in ACTIVATIONS:
            return f"has the activation {activation}, but a preset can hold one of {', '.join(ACTIVATIONS)}"
        return None

    def unfit_tokenizer(self, source: Source) -> str | None:
        found = preset_tokenizer(source.folder)
        return found if isinstance(found, str) else None

    def num_bytes(self, source: Source) -> int:
        """At least as many as are needed: HDF5 ends the process if it can't write what it has in memory."""
        weights = source.weights()
        return sum(HEAD_BYTES + 4 * math.prod(weights.shape(name)) for name in weights)

    def write(self, source: Source, out: Path) -> None:
        os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported
        try:
            import keras
            import keras_hub
        except ImportError as error:  # of a backend that isn't installed
            raise BadArgument(
                f"KerasHub can't be loaded with KERAS_BACKEND={os.environ['KERAS_BACKEND']} ({in_a_line(error)}): "
                "set KERAS_BACKEND=torch"
            ) from None
        keras.utils.clear_session(free_memory=False)  # names, which are in the files, are numbered
        backbone = _backbone(source.config, source.weights())
        proto = preset_tokenizer(source.folder)
        assert isinstance(proto, bytes)
        tokenizer = keras_hub.models.T5Tokenizer(proto=proto)
        preprocessor = keras_hub.models.T5Seq2SeqLMPreprocessor(tokenizer)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of masks that attention doesn't take
            keras_hub.models.T5Seq2SeqLM(backbone, preprocessor=preprocessor).save_to_preset(str(out))
        _without_date(out / "metadata.json")

    def usage(self, source: Source) -> str:  # noqa: ARG002
        return """import json
import math
import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")  # or jax or tensorflow; read when keras is first imported
import keras_hub
import numpy as np

tokenizer = keras_hub.models.T5Tokenizer.from_preset(".")
model = keras_hub.models.T5Seq2SeqLM.from_preset(".", preprocessor=None)
model.compile(sampler="greedy")
ids = np.array([[*map(int, tokenizer("… <extra_id_0> …")), tokenizer.end_token_id]])
start = np.zeros((1, 16), "int32")  # room for 15 ids after <pad>
made = model.generate(
    {
        "encoder_token_ids": ids,
        "encoder_padding_mask": np.ones_like(ids),
        "decoder_token_ids": start,
        "decoder_padding_mask": np.arange(16)[None] < 1,
    },
    stop_token_ids=[tokenizer.end_token_id],
)
print(tokenizer.detokenize([int(i) for i in np.array(made["decoder_token_ids"])[0]]))
"""

    def limits(self, source: Source) -> str:
        dropout = source.config.get("dropout_rate")
        return (
            "`model.generate` of a text, in place of ids, needs TensorFlow in keras-hub 0.32. A sentinel has its id "
            "after a space or at the beginning of the text. KerasHub computes layer norms in the model's dtype, "
            f"transformers in float32: in float32, logits agree within 1e-4. Dropout is the model's own, {dropout}."
        )


def _without_date(path: Path) -> None:
    """Equal models give equal bytes."""
    described = json.loads(path.read_bytes())
    described.pop("date_saved", None)
    path.write_text(json.dumps(described, indent=4), encoding="utf-8")


def _backbone(config: dict[str, Any], weights: Weights) -> Any:
    """A T5Backbone in float32 with the model's weights."""
    import keras
    import keras_hub

    activation, gated = _dense(config)
    with keras.device("cpu"):
        backbone = keras_hub.models.T5Backbone(
            vocabulary_size=config["vocab_size"],
            num_layers=config["num_layers"],
            num_heads=config["num_heads"],
            hidden_dim=config["d_model"],
            intermediate_dim=config["d_ff"],
            key_value_dim=config["d_kv"],
            dropout=config.get("dropout_rate", 0.1),
            activation=_activation(activation, gated=gated),
            use_gated_activation=gated,
            layer_norm_epsilon=config.get("layer_norm_epsilon", 1e-6),
            tie_embedding_weights=_is_tied(config, weights),
            dtype="float32",
        )
    for variable, value in _assignments(backbone, weights):
        if tuple(variable.shape) != value.shape:
            raise DamagedFile(
                f"{variable.path} has the shape {value.shape} in the weights, not {tuple(variable.shape)}"
            )
        variable.assign(value)
    return backbone


def _dense(config: Mapping[str, Any]) -> tuple[str, bool]:
    """The activation of the feed-forward layers, and whether they are gated."""
    kind = str(config.get("feed_forward_proj", "relu"))
    return str(config.get("dense_act_fn") or kind.removeprefix("gated-")), kind.startswith("gated-")


def _activation(name: str, *, gated: bool) -> Any:
    """transformers' gelu_new is the tanh approximation, which Keras's string "gelu" is not. A gated gelu is always
    gelu_new there."""
    from keras_hub.src.utils.keras_utils import gelu_approximate

    approximate = name in ("gelu_new", "gelu_pytorch_tanh") or (gated and name == "gelu")
    return gelu_approximate if approximate else name


def _is_tied(config: dict[str, Any], weights: Weights) -> bool:
    """Whether T5Backbone's `tie_embedding_weights` describes the model: it means both tied and scaled."""
    return "lm_head.weight" not in weights and bool(config.get("scale_decoder_outputs", True))


def _assignments(backbone: Any, weights: Weights) -> Iterator[tuple[Any, Any]]:
    """Each variable of the backbone with its value, a float32 array. Kernels of linear layers are transposed."""

    def value(name: str, *, transposed: bool = False) -> Any:
        array = weights.float32(name).numpy()
        return array.T if transposed else array

    yield backbone.token_embedding.embeddings, value("shared.weight")
    if not backbone.tie_embedding_weights:
        head = "lm_head.weight" if "lm_head.weight" in weights else "shared.weight"
        yield backbone.token_embedding.reverse_embeddings, value(head, transposed=True)
    for stack, layers in (
        ("encoder", backbone.encoder_transformer_layers),
        ("decoder", backbone.decoder_transformer_layers),
    ):
        for number, layer in enumerate(layers):
            for variable, name, transposed in _layer(layer, f"{stack}.block.{number}.layer", stack == "decoder"):
                yield variable, value(name, transposed=transposed)
    yield backbone.encoder_layer_norm.weight, value("encoder.final_layer_norm.weight")
    yield backbone.decoder_layer_norm.weight, value("decoder.final_layer_norm.weight")


def _layer(layer: Any, prefix: str, is_decoder: bool) -> Iterator[tuple[Any, str, bool]]:
    """(variable, name of its weight, whether it is transposed) of one layer."""
    yield from _attention(layer.self_attention, f"{prefix}.0.SelfAttention")
    yield layer.self_attention_layer_norm.weight, f"{prefix}.0.layer_norm.weight", False
    if is_decoder:
        yield from _attention(layer.cross_attention, f"{prefix}.1.EncDecAttention")
        yield layer.cross_attention_layer_norm.weight, f"{prefix}.1.layer_norm.weight", False
    last = 2 if is_decoder else 1
    dense = f"{prefix}.{last}.DenseReluDense"
    if layer.use_gated_activation:
        yield layer.input_projector.kernel, f"{dense}.wi_0.weight", True
        yield layer.gate_projector.kernel, f"{dense}.wi_1.weight", True
    else:
        yield layer.input_projector.kernel, f"{dense}.wi.weight", True
    yield layer.output_projector.kernel, f"{dense}.wo.weight", True
    yield layer.layer_norm.weight, f"{prefix}.{last}.layer_norm.weight", False


def _attention(attention: Any, prefix: str) -> Iterator[tuple[Any, str, bool]]:
    for letter, projector in (
        ("q", attention.query_projector),
        ("k", attention.key_projector),
        ("v", attention.value_projector),
        ("o", attention.output_projector),
    ):
        yield projector.kernel, f"{prefix}.{letter}.weight", True
    if attention.use_relative_attention_bias:
        yield attention.relative_attention_bias, f"{prefix}.relative_attention_bias.weight", False
