"""Exports are loaded back by the libraries that they are for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora import manifest
from tests.command import exit_code
from tests.model_folders import TEXTS, gptj_folder, llama_folder, load, t5_folder

pytestmark = pytest.mark.usefixtures("offline")
torch = pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported


@torch.no_grad()
def _logits(model: Any, ids: Any, decoded: Any | None = None) -> Any:
    given = {"input_ids": ids} if decoded is None else {"input_ids": ids, "decoder_input_ids": decoded}
    return model(**given).logits


def _ids(rows: int, width: int, most: int) -> Any:
    return torch.randint(3, most, (rows, width), generator=torch.Generator().manual_seed(1))


# KerasHub


@pytest.mark.parametrize(
    "shape",
    [
        {"feed_forward": "relu", "tie_embeddings": True},
        {"feed_forward": "gated-gelu", "tie_embeddings": False},
        {"feed_forward": "gated-relu", "tie_embeddings": True, "layer_norm_epsilon": 0.1},
        {"feed_forward": "gelu", "tie_embeddings": True},
    ],
    ids=["1.0", "1.1", "KerasHub's default", "gelu"],
)
def test_keras_hub_gives_the_same_logits_and_ids(tmp_path: Path, tokenizers: Path, shape: dict[str, Any]) -> None:
    pytest.importorskip("keras_hub")
    import numpy as np
    from transformers import AutoTokenizer

    model, out = t5_folder(tmp_path / "model", tokenizers, **shape), tmp_path / "keras"
    assert exit_code("export", model, "--to", "keras", "--out", out) == 0
    import keras_hub

    ids, decoded = _ids(2, 20, 400), _ids(2, 9, 400)
    inputs = {"encoder_token_ids": ids.numpy(), "decoder_token_ids": decoded.numpy()}
    inputs |= {name.replace("token_ids", "padding_mask"): np.ones_like(value) for name, value in inputs.items()}
    loaded = keras_hub.models.T5Seq2SeqLM.from_preset(str(out), preprocessor=None)
    with torch.no_grad():
        made = loaded(inputs).cpu()
        states = keras_hub.models.T5Backbone.from_preset(str(out))(inputs)["decoder_sequence_output"]
    expected = _logits(load("AutoModelForSeq2SeqLM", model), ids, decoded)
    assert expected.abs().max() > 1
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)
    assert states.shape == (2, 9, 64)
    ours, theirs = AutoTokenizer.from_pretrained(model), keras_hub.models.T5Tokenizer.from_preset(str(out))
    for text in (*TEXTS[:20], "<extra_id_0> y <extra_id_19>", "Una <extra_id_3> más", "  dos   espacios "):
        assert list(map(int, theirs(text))) == ours(text, add_special_tokens=False).input_ids
    assert "tensorflow" not in sys.modules
    again = tmp_path / "again"
    assert exit_code("export", model, "--to", "keras", "--out", again) == 0
    records = [{r.path: r.sha256 for r in manifest.read(folder).files} for folder in (out, again)]
    assert records[0] == records[1]


# 4 bits


@pytest.mark.parametrize(("make", "double"), [(llama_folder, True), (llama_folder, False), (gptj_folder, True)])
def test_nf4_is_what_transformers_and_bitsandbytes_write(
    tmp_path: Path, tokenizers: Path, make: Callable[[Path, Path], Path], double: bool
) -> None:
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    from safetensors.torch import load_file
    from transformers import BitsAndBytesConfig

    model, out = make(tmp_path / "model", tokenizers), tmp_path / "nf4"
    flag = "--double-quantisation" if double else "--no-double-quantisation"
    assert exit_code("export", model, "--to", "nf4", flag, "--out", out) == 0
    quantiser = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    reference = load("AutoModelForCausalLM", model, quantization_config=quantiser, dtype=torch.bfloat16)
    reference.save_pretrained(tmp_path / "reference")
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (out, tmp_path / "reference"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    configs = [json.loads((folder / "config.json").read_bytes()) for folder in (out, tmp_path / "reference")]
    assert configs[0]["quantization_config"] == configs[1]["quantization_config"]
    loaded = load("AutoModelForCausalLM", out)
    assert loaded.is_loaded_in_4bit
    made = loaded.generate(_ids(1, 4, 600), max_new_tokens=4, do_sample=False)
    assert torch.equal(made, reference.generate(_ids(1, 4, 600), max_new_tokens=4, do_sample=False))


def test_nf4_says_which_processors_cannot_compute_with_it(tmp_path: Path, tokenizers: Path) -> None:
    from tamiz.trainer.exports import EXPORTS, read_source

    nf4 = EXPORTS.convert({"to": "nf4"})
    for width, said in ((128, False), (96, True)):
        source = read_source(llama_folder(tmp_path / str(width), tokenizers, intermediate_size=width))
        assert ("A matrix is 64 by 96: on a CPU with AVX512-BF16" in nf4.limits(source)) is said


def test_nf4_in_many_files_is_the_same(tmp_path: Path, tokenizers: Path) -> None:
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    from tamiz.trainer.exports import read_source
    from tamiz.trainer.exports.nf4 import Nf4
    from tamiz.trainer.weight_files import Weights

    source = read_source(llama_folder(tmp_path / "model", tokenizers))
    one, many = tmp_path / "one", tmp_path / "many"
    for out, most in ((one, 2 << 30), (many, 20_000)):
        out.mkdir()
        Nf4(shard_bytes=most).write(source, out)
    assert len(list(many.glob("model-*-of-*.safetensors"))) > 3
    ours, theirs = Weights(many), Weights(one)
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert load("AutoModelForCausalLM", many).is_loaded_in_4bit
    (next(many.glob("model-00002*"))).unlink()
    with pytest.raises(Exception, match="missing"):
        Weights(many)


# GGUF

BOUNDS = {"f16": 2e-3, "q8_0": 4e-2, "q4_0": 0.4}  # of the logits' root mean square; one rounding of each weight


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0"])
def test_gguf_of_a_llama(tmp_path: Path, tokenizers: Path, kind: str) -> None:
    pytest.importorskip("gguf")
    from transformers import AutoTokenizer

    model, out = llama_folder(tmp_path / "model", tokenizers), tmp_path / "gguf"
    assert exit_code("export", model, "--to", "gguf", "--precision", kind, "--out", out) == 0
    file = f"model-{kind}.gguf"
    ids = _ids(2, 20, 600)
    expected = _logits(load("AutoModelForCausalLM", model), ids)
    made = _logits(load("AutoModelForCausalLM", out, gguf_file=file), ids)
    error = (made - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt()
    assert 0 < error < BOUNDS[kind]
    if kind == "f16":
        ours, theirs = AutoTokenizer.from_pretrained(model), AutoTokenizer.from_pretrained(out, gguf_file=file)
        for text in (*TEXTS[:20], "日本 😀 ñ  dos\tespacios", "línea\nnueva"):
            assert theirs(text).input_ids == ours(text).input_ids


def test_gguf_of_a_t5(tmp_path: Path, tokenizers: Path) -> None:
    """A tied T5's output scale is in the file's output layer, so the loaded model must not scale again."""
    pytest.importorskip("gguf")
    from transformers import AutoTokenizer

    shape = {"feed_forward": "relu", "tie_embeddings": True, "num_decoder_layers": 1}
    model, out = t5_folder(tmp_path / "model", tokenizers, **shape), tmp_path / "gguf"
    assert exit_code("export", model, "--to", "gguf", "--out", out) == 0
    loaded = _as_the_card_says(out, model)
    ids, decoded = _ids(2, 20, 400), _ids(2, 9, 400)
    expected = _logits(load("AutoModelForSeq2SeqLM", model), ids, decoded)
    error = (_logits(loaded, ids, decoded) - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt()
    assert 0 < error < BOUNDS["f16"]
    ours = AutoTokenizer.from_pretrained(model)
    theirs = AutoTokenizer.from_pretrained(out, gguf_file="model-f16.gguf")
    text = "ba ce <extra_id_0> di fo <extra_id_1>"
    assert theirs(text).input_ids == ours(text).input_ids


def _as_the_card_says(out: Path, original: Path) -> Any:
    """The model that the code on the card of a T5's GGUF file loads."""
    code = (out / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert '"ORIGINAL"' in code
    found: dict[str, Any] = {}
    exec(code.replace('"ORIGINAL"', repr(str(original))).replace('"."', repr(str(out))), found)
    return found["model"].eval()


def test_gguf_names_of_a_gated_t5(tmp_path: Path, tokenizers: Path) -> None:
    pytest.importorskip("gguf")
    from tamiz.trainer.exports import read_source
    from tamiz.trainer.exports.gguf_file import Gguf, gguf_tensors
    from tamiz.trainer.weight_files import Weights

    model = t5_folder(tmp_path / "model", tokenizers, feed_forward="gated-gelu", tie_embeddings=False)
    source = read_source(model)
    Gguf().check(source)
    tensors = {tensor.name: tensor for tensor in gguf_tensors(source, Weights(model))}
    assert tensors["enc.blk.0.ffn_gate.weight"].stored == "encoder.block.0.layer.1.DenseReluDense.wi_0.weight"
    assert tensors["dec.blk.1.ffn_up.weight"].stored == "decoder.block.1.layer.2.DenseReluDense.wi_1.weight"
    assert (tensors["output.weight"].stored, tensors["output.weight"].scale) == ("lm_head.weight", 1.0)
    assert len(tensors) == len(list(Weights(model)))
