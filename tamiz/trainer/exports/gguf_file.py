"""A GGUF file of a Llama or a T5, for llama.cpp and the programs that build on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from corpora.choices import Flag
from corpora.errors import DamagedFile
from tamiz.trainer.exports.base import Export, Source
from tamiz.trainer.exports.gguf_tokenizer import Vocabulary, read_vocabulary
from tamiz.trainer.families import ModelSettings
from tamiz.trainer.weight_files import Weights

BLOCK = 32  # values with one scale in Q8_0 and Q4_0
ARCHITECTURES = {"llama": "LLAMA", "t5": "T5"}  # model_type -> gguf.MODEL_ARCH
KNOWN: dict[str, dict[str, tuple[Any, ...]]] = {  # what a file can't say, and llama.cpp takes for granted
    "llama": {"hidden_act": ("silu", "swish"), "attention_bias": (False,), "mlp_bias": (False,)},
    "t5": {
        "feed_forward_proj": ("relu", "gated-gelu"),
        "dense_act_fn": ("relu", "gelu_new", "gelu_pytorch_tanh"),
        "relative_attention_max_distance": (128,),
    },
}


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
        for key, known in KNOWN[kind].items():
            if config.get(key, known[0]) not in known:
                values = " or ".join(map(str, known))
                return f"has {key} {config[key]}, but llama.cpp's {family.title} has {values}"
        rotary = dict(config.get("rope_parameters") or {})
        if set(rotary) - {"rope_type", "type", "rope_theta"} or rotary.get("rope_type", "default") != "default":
            return f"has rotary positions of another kind ({rotary}), but the file would have the usual ones"
        return None

    def unfit_tokenizer(self, source: Source) -> str | None:
        vocabulary, config = read_vocabulary(source.folder), source.config
        if vocabulary is None or (config["model_type"] == "t5") != (vocabulary.model == "t5"):
            return f"has a tokenizer that GGUF files of a {source.family.title} can't hold"
        if len(vocabulary.tokens) > config["vocab_size"]:
            return f"has {config['vocab_size']} ids, but its tokenizer {len(vocabulary.tokens)}"
        return None

    def num_bytes(self, source: Source) -> int:
        weights = source.weights()
        layouts = (self._layout(tensor, weights) for tensor in gguf_tensors(source, weights))
        return sum(_bytes(size, dtype) for size, dtype, _ in layouts)

    def write(self, source: Source, out: Path) -> None:
        """Reads one tensor at a time."""
        import gguf

        weights = source.weights()
        tensors = list(gguf_tensors(source, weights))
        architecture = ARCHITECTURES[source.config["model_type"]]
        writer = gguf.GGUFWriter(out / self.file, gguf.MODEL_ARCH_NAMES[getattr(gguf.MODEL_ARCH, architecture)])
        _describe(writer, source, getattr(gguf.LlamaFileType, f"MOSTLY_{self.precision.upper()}"))
        vocabulary = read_vocabulary(source.folder)
        assert vocabulary is not None
        _add_vocabulary(writer, vocabulary, source.config["vocab_size"])
        for tensor in tensors:
            size, dtype, kind = self._layout(tensor, weights)
            writer.add_tensor_info(tensor.name, size, dtype, _bytes(size, dtype), raw_dtype=kind)
        with contextlib.closing(writer):  # else a file that couldn't be written keeps its room on the disk
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for tensor in tensors:
                array = tensor.value(weights)
                writer.write_tensor_data(gguf.quants.quantize(array, self._type(tensor, array.shape)))

    def _layout(self, tensor: _Tensor, weights: Weights) -> tuple[tuple[int, ...], Any, Any]:
        """Shape and numpy's type of what is stored of a tensor, and its GGML type."""
        import gguf

        shape = weights.shape(tensor.stored)
        kind = self._type(tensor, shape)
        size = gguf.quant_shape_to_byte_shape(shape, kind) if kind in _quantised(gguf) else shape
        return tuple(size), _dtype(gguf, kind), kind

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
        if source.config["model_type"] == "t5":
            return _T5_USAGE.format(automatic=automatic, file=self.file)
        return f"""from transformers import {automatic}, AutoTokenizer

model = {automatic}.from_pretrained(".", gguf_file="{self.file}")  # needs gguf; weights become float32
tokenizer = AutoTokenizer.from_pretrained(".", gguf_file="{self.file}")
"""

    def limits(self, source: Source) -> str:
        text = f"`llama-cli -m {self.file}` of llama.cpp reads it."
        if source.config["model_type"] == "t5":
            text += (
                " llama-server doesn't: it has no encoder-decoder models. With a config that it makes of the file, "
                "transformers loads another model without a word, and the file's tokenizer doesn't normalise text: "
                "config and tokenizer come from the original folder, which serves transformers better."
            )
        return text


_T5_USAGE = """from transformers import {automatic}, AutoConfig, AutoTokenizer

original = "ORIGINAL"  # the folder, or the name on the Hub, of the model that this file was made from
config = AutoConfig.from_pretrained(original)
config.scale_decoder_outputs = False  # the scale is in the file's output layer
model = {automatic}.from_pretrained(".", gguf_file="{file}", config=config)  # needs gguf; weights become float32
tokenizer = AutoTokenizer.from_pretrained(original)
"""


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
        array = weights.float32(self.stored).numpy()
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
    writer.add_name(source.name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config["vocab_size"])
    (_describe_t5 if config["model_type"] == "t5" else _describe_llama)(writer, config)


def _describe_llama(writer: Any, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if width * heads != config["hidden_size"]:
        writer.add_key_length(width)
        writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])


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
