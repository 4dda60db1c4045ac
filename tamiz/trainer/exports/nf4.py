"""A causal model with 4-bit weights, as transformers loads it with bitsandbytes. arXiv:2305.14314, section 3."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from corpora.choices import Flag
from tamiz.trainer.exports.base import Export, Source
from tamiz.trainer.families import ModelSettings
from tamiz.trainer.families.causal import CausalSettings
from tamiz.trainer.quiet import quietly
from tamiz.trainer.weight_files import INDEX, ONE_FILE

BLOCK = 64  # weights with one scale: bitsandbytes' default
ROWS = 32  # that bitsandbytes packs together for AVX512-BF16: functional.py, _convert_weight_packed_for_cpu


class Nf4(Export, frozen=True, kw_only=True, tag="nf4"):
    """4-bit weights for transformers with bitsandbytes (causal models)."""

    double_quantisation: bool = True
    """Whether the scales are quantised, too: 0.4 bits less per weight."""
    compute_dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """What the 4-bit weights are multiplied in; embeddings, norms, biases and the output layer are stored in it."""
    shard_bytes: int = 2 << 30
    """The most bytes of a file of weights; about as much memory is used. [default: 2147483648]"""

    title: ClassVar[str] = "4-bit weights (nf4)"
    packages: ClassVar[tuple[str, ...]] = ("bitsandbytes", "accelerate")
    extra: ClassVar[str] = "nf4"
    flags: ClassVar[tuple[Flag, ...]] = (
        Flag("--double-quantisation", "double_quantisation", "Quantise the scales, too. [default: yes]", bool),
        Flag("--compute-dtype", "compute_dtype", "bfloat16, float16 or float32. [default: bfloat16]"),
    )

    def __post_init__(self) -> None:
        if self.shard_bytes < 1:
            raise ValueError(f"shard_bytes is {self.shard_bytes}; it must be at least 1")

    def unfit(self, family: type[ModelSettings], config: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        if not issubclass(family, CausalSettings):
            return f"is a {family.title}, and only causal models are quantised"
        return None

    def num_bytes(self, source: Source) -> int:
        weights, quantised = source.weights(), linear_weights(source)
        per_number = 4 if self.compute_dtype == "float32" else 2
        per_scale = 1 if self.double_quantisation else 4
        counts = {name: math.prod(weights.shape(name)) for name in weights}
        return sum(
            n // 2 + n // BLOCK * per_scale if name in quantised else n * per_number for name, n in counts.items()
        )

    def write(self, source: Source, out: Path) -> None:
        """Reads one tensor at a time, and holds one file's worth of quantised ones."""
        _write_shards(self._tensors(source), out, self.shard_bytes)
        published = json.loads((source.folder / "config.json").read_bytes())
        config = {**published, "dtype": self.compute_dtype, "quantization_config": self._config()}
        config.pop("torch_dtype", None)
        (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        generation = source.folder / "generation_config.json"
        for path in [*source.tokenizer_files(), *([generation] if generation.is_file() else [])]:
            shutil.copyfile(path, out / path.name)

    def _tensors(self, source: Source) -> Iterator[tuple[str, Any]]:
        """Name and value of each stored tensor."""
        import torch

        weights, quantised = source.weights(), linear_weights(source)
        dtype = getattr(torch, self.compute_dtype)
        for name in weights:
            tensor = weights[name]
            tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
            yield from quantise(name, tensor, self.double_quantisation) if name in quantised else [(name, tensor)]

    def _config(self) -> dict[str, Any]:
        return {
            "quant_method": "bitsandbytes",
            "load_in_4bit": True,
            "load_in_8bit": False,
            "_load_in_4bit": True,
            "_load_in_8bit": False,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": self.compute_dtype,
            "bnb_4bit_use_double_quant": self.double_quantisation,
            "bnb_4bit_quant_storage": "uint8",
            "llm_int8_threshold": 6.0,
            "llm_int8_skip_modules": None,
            "llm_int8_enable_fp32_cpu_offload": False,
            "llm_int8_has_fp16_weight": False,
        }

    def usage(self, source: Source) -> str:  # noqa: ARG002
        return """from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")  # needs bitsandbytes and accelerate
inputs = tokenizer("…", add_special_tokens=False, return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0], skip_special_tokens=True))
"""

    def limits(self, source: Source) -> str:
        text = (
            "The matrices of all layers have 4 bits per weight and a scale for each block of 64; embeddings, norms, "
            f"biases and the output layer are {self.compute_dtype}."
        )
        odd = next((shape for shape in linear_weights(source).values() if shape[1] % BLOCK or shape[0] % ROWS), None)
        if odd:
            text += (
                f" A matrix is {odd[0]} by {odd[1]}: on a CPU with AVX512-BF16, bitsandbytes only computes with "
                f"matrices of a multiple of {ROWS} rows and of {BLOCK} columns, so use a GPU or another CPU."
            )
        return text


def linear_weights(source: Source) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights that bitsandbytes' own quantiser takes: of all linear layers but the output
    layer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"), quietly():
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source.folder))
    output = model.get_output_embeddings()
    modules = ((name, m) for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not output)
    return {f"{name}.weight": tuple(m.weight.shape) for name, m in modules}


def quantise(name: str, weight: Any, double: bool) -> Iterator[tuple[str, Any]]:
    """The packed weight, and what bitsandbytes needs to read it, under the names that transformers stores."""
    from bitsandbytes.functional import quantize_4bit

    packed, state = quantize_4bit(weight, blocksize=BLOCK, compress_statistics=double, quant_type="nf4")
    yield name, packed
    for key, value in state.as_dict(packed=True).items():
        yield f"{name}.{key}", value


def _write_shards(tensors: Iterator[tuple[str, Any]], out: Path, most: int) -> None:
    """One file if it is small enough, else several and their index, named as transformers names them."""
    parts: list[tuple[Path, list[str]]] = []
    total = 0
    waiting: dict[str, Any] = {}
    for name, tensor in tensors:
        size = tensor.nbytes
        if waiting and sum(t.nbytes for t in waiting.values()) + size > most:
            parts.append(_part(waiting, out, len(parts)))
            waiting = {}
        waiting[name] = tensor.contiguous()
        total += size
    parts.append(_part(waiting, out, len(parts)))
    if len(parts) == 1:
        parts[0][0].rename(out / ONE_FILE)
        return
    places: dict[str, str] = {}
    for number, (path, names) in enumerate(parts, 1):
        final = path.with_name(f"model-{number:05d}-of-{len(parts):05d}.safetensors")
        path.rename(final)
        places |= dict.fromkeys(names, final.name)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (out / f"{ONE_FILE}{INDEX}").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _part(tensors: dict[str, Any], out: Path, number: int) -> tuple[Path, list[str]]:
    from safetensors.torch import save_file

    path = out / f"part-{number}.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    return path, list(tensors)
