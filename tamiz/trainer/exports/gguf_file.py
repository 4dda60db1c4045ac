"""A GGUF file of a Llama or a T5, for llama.cpp and the programs that build on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from corpora.choices import Flag
from corpora.errors import DamagedFile
from tamiz.trainer.exports.base import Export, Source
from tamiz.trainer.exports.gguf_tokenizer import Vocabulary, read_vocabulary
from tamiz.trainer.exports.weights import Weights
from tamiz.trainer.families import ModelSettings

BLOCK = 32  # values with one scale in Q8_0 and Q4_0
ARCHITECTURES = {"llama": "LLAMA", "t5": "T5"}  # model_type -> gguf.MODEL_ARCH


class Gguf(Export, frozen=True, kw_only=True, tag="gguf"):
    """A GGUF file for llama.cpp (Llama, T5)."""

    precision: Literal["f16", "q8_0", "q4_0"] = "f16"
    """How matrices are stored: half precision, or 8 or 4 bits with a scale for each 32. With q4_0, the embedding and
    the output layer are q8_0; norms and the position bias are always float32."""

    title: ClassVar[str] = "GGUF file"
    packages: ClassVar[tuple[str, ...]] = ("gguf",)
    extra: ClassVar[str] = "gguf"
    flags: ClassVar[tuple[Flag, ...]] = (
        Flag("--precision", "precision", "How matrices are stored: f16, q8_0 or q4_0. [default: f16]"),
    )

    @property
    def file(self) -> str:
        return f"model-{self.precision}.gguf"

    def unfit(self, family: type[ModelSettings], config: Mapping[str, Any]) -> str | None:
        kind = config.get("model_type")
        if kind not in ARCHITECTURES:
            return f"is a {family.title}, which llama.cpp can't read"
        forward = config.get("feed_forward_proj")
        if kind == "t5" and forward not in ("relu", "gated-gelu"):
            return f"has feed_forward_proj {forward!r}, but llama.cpp's T5 has relu or gated-gelu"
        return None

    def unfit_tokenizer(self, source: Source) -> str | None:
        vocabulary, config = read_vocabulary(source.folder), source.config
        if vocabulary is None or (config["model_type"] == "t5") != (vocabulary.model == "t5"):
            return f"has a tokenizer that GGUF files of a {source.family.title} can't hold"
        if len(vocabulary.tokens) > config["vocab_size"]:
            return f"has {config['vocab_size']} ids, but its tokenizer {len(vocabulary.tokens)}"
        return None

    def write(self, source: Source, out: Path) -> None:
        """Reads one tensor at a time."""
        import gguf

        weights = Weights(source.folder)
        tensors = list(gguf_tensors(source, weights))
        architecture = ARCHITECTURES[source.config["model_type"]]
        writer = gguf.GGUFWriter(out / self.file, gguf.MODEL_ARCH_NAMES[getattr(gguf.MODEL_ARCH, architecture)])
        _describe(writer, source, getattr(gguf.LlamaFileType, f"MOSTLY_{self.precision.upper()}"))
        vocabulary = read_vocabulary(source.folder)
        assert vocabulary is not None
        _add_vocabulary(writer, vocabulary, source.config["vocab_size"])
        for tensor in tensors:
            shape, kind = weights.shape(tensor.stored), self._type(tensor, weights.shape(tensor.stored))
            size = gguf.quant_shape_to_byte_shape(shape, kind) if kind in _quantised(gguf) else shape
            dtype = _dtype(gguf, kind)
            writer.add_tensor_info(tensor.name, size, dtype, _bytes(size, dtype), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            array = tensor.value(weights)
            writer.write_tensor_data(gguf.quants.quantize(array, self._type(tensor, array.shape)))
        writer.close()

    def _type(self, tensor: _Tensor, shape: tuple[int, ...]) -> Any:
        """The GGML type of a tensor."""
        from gguf import GGMLQuantizationType as Types

        if len(shape) < 2 or tensor.is_exact:
            return Types.F32
        if self.precision == "f16" or shape[-1] % BLOCK:
            return Types.F16
        return Types.Q8_0 if self.precision == "q8_0" or tensor.is_vocabulary else Types.Q4_0

    def usage(self, source: Source) -> str:
        automatic = source.family.auto_class
        return f"""from transformers import {automatic}, AutoTokenizer

model = {automatic}.from_pretrained(".", gguf_file="{self.file}")  # needs gguf; weights become float32
tokenizer = AutoTokenizer.from_pretrained(".", gguf_file="{self.file}")
"""

    def limits(self, source: Source) -> str:
        text = f"`llama-cli -m {self.file}` of llama.cpp reads it."
        if source.config["model_type"] == "t5":
            text += (
                " llama-server doesn't: it has no encoder-decoder models. transformers needs the model's own config, "
                "`config=AutoConfig.from_pretrained(MODEL)`, with `scale_decoder_outputs` False, "
                "and doesn't normalise text as the tokenizer does: the original folder serves it better."
            )
        return text


class _Tensor(NamedTuple):
    """name: in GGUF. stored: in safetensors. heads: of a query or key matrix whose rows are reordered."""

    name: str
    stored: str
    heads: int | None = None
    scale: float = 1.0

    @property
    def is_vocabulary(self) -> bool:
        return self.name in ("token_embd.weight", "output.weight")

    @property
    def is_exact(self) -> bool:
        return "norm" in self.name or "attn_rel_b" in self.name

    def value(self, weights: Weights) -> Any:
        """float32 [...]."""
        array = weights[self.stored].float().numpy()
        if self.heads is not None:  # llama.cpp rotates neighbouring values, transformers those half a head apart
            rows = array.shape[0]
            array = array.reshape(self.heads, 2, rows // self.heads // 2, -1).swapaxes(1, 2).reshape(array.shape)
        return array * self.scale if self.scale != 1.0 else array


def gguf_tensors(source: Source, weights: Weights) -> Iterator[_Tensor]:
    """Every tensor of the file. Raises DamagedFile for weights that the architecture doesn't have."""
    import gguf

    config, kind = source.config, source.config["model_type"]
    layers = max(
        config.get("num_hidden_layers") or 0, config.get("num_layers") or 0, config.get("num_decoder_layers") or 0
    )
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, ARCHITECTURES[kind]), layers)
    heads = config.get("num_attention_heads")
    for stored in weights:
        name = names.get_name(stored, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise DamagedFile(f"{source.folder} has the weight {stored}, which GGUF files of a {kind} don't have")
        permuted = {"attn_q": heads, "attn_k": config.get("num_key_value_heads", heads)} if kind == "llama" else {}
        yield _Tensor(name, stored, permuted.get(name.split(".")[-2]))
    if kind == "t5" and "lm_head.weight" not in weights:
        # a tied T5 scales the decoder's output, which llama.cpp doesn't: the scale goes into an output layer
        scaled = config.get("scale_decoder_outputs", True)
        yield _Tensor("output.weight", "shared.weight", scale=config["d_model"] ** -0.5 if scaled else 1.0)


def _describe(writer: Any, source: Source, file_type: int) -> None:
    """The metadata that llama.cpp reads."""
    import gguf

    config = source.config
    writer.add_name(source.folder.resolve().name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config["vocab_size"])
    (_describe_t5 if config["model_type"] == "t5" else _describe_llama)(writer, config)


def _describe_llama(writer: Any, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(rope["rope_theta"])


def _describe_t5(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config.get("n_positions", 512))
    writer.add_embedding_length(config["d_model"])
    writer.add_feed_forward_length(config["d_ff"])
    writer.add_block_count(config["num_layers"])
    writer.add_decoder_block_count(config.get("num_decoder_layers") or config["num_layers"])
    writer.add_head_count(config["num_heads"])
    writer.add_key_length(config["d_kv"])
    writer.add_value_length(config["d_kv"])
    writer.add_layer_norm_eps(config.get("layer_norm_epsilon", 1e-6))
    writer.add_layer_norm_rms_eps(config.get("layer_norm_epsilon", 1e-6))
    writer.add_relative_attn_buckets_count(config.get("relative_attention_num_buckets", 32))
    writer.add_decoder_start_token_id(config["decoder_start_token_id"])


def _add_vocabulary(writer: Any, vocabulary: Vocabulary, rows: int) -> None:
    """rows: of the embedding; those that the tokenizer doesn't use are named so."""
    from gguf import TokenType

    more = range(len(vocabulary.tokens), rows)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list([*vocabulary.tokens, *(f"[UNUSED{number}]".encode() for number in more)])
    writer.add_token_types([*vocabulary.types, *(TokenType.UNUSED for _ in more)])
    if vocabulary.scores is not None:
        writer.add_token_scores([*vocabulary.scores, *(-10000.0 for _ in more)])
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    if vocabulary.charsmap:
        writer.add_precompiled_charsmap(vocabulary.charsmap)
    if vocabulary.model != "gpt2":
        writer.add_add_space_prefix(vocabulary.space_prefix)
        writer.add_remove_extra_whitespaces(vocabulary.collapses_spaces)
    for name, number in vocabulary.special.items():
        getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_add_eos_token(vocabulary.adds_eos)


def _quantised(gguf: Any) -> tuple[Any, ...]:
    return gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0


def _dtype(gguf: Any, kind: Any) -> Any:
    import numpy as np

    types = gguf.GGMLQuantizationType
    return np.dtype({types.F32: np.float32, types.F16: np.float16}.get(kind, np.uint8))


def _bytes(shape: tuple[int, ...], dtype: Any) -> int:
    import math

    return math.prod(shape) * int(dtype.itemsize)
