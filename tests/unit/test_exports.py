"""Exports are loaded back by the libraries that they are for."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corpora import manifest
from corpora.verify import verify
from tests.command import exit_code, tamiz
from tests.invented import document
from tests.unit.test_full_disk import NO_FILE, small_files
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

torch = pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported

FULL = re.compile(r"can't write the export to .+: File too large: (needs .* bytes, )?more than a file may have .*")
TEXTS = [document(n) for n in range(300)]
T5_SHAPE = {
    "num_layers": 2,
    "num_decoder_layers": 2,
    "d_model": 64,
    "d_ff": 96,
    "d_kv": 16,
    "num_heads": 4,
    "dropout": 0.0,
}
LLAMA_SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2}


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """No library asks the Hub. Not by the environment, which is read once, for all tests of a process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tokenizers")
    for kind, size in (("unigram", 400), ("bpe", 600)):
        out = home / kind
        out.mkdir()
        extra = 20 if kind == "unigram" else 0
        train_tokenizer(
            lambda: iter(TEXTS),
            out,
            TokenizerSettings(kind=kind, vocab_size=size, extra_ids=extra, lowercase=kind == "unigram"),
        )
    return home


def _folder(out: Path, model: Any, tokenizer: Path) -> Path:
    model.save_pretrained(out)
    for path in tokenizer.iterdir():
        shutil.copy(path, out)
    return out


def _t5(out: Path, tokenizers: Path, **shape: Any) -> Path:
    from tamiz.trainer.families.t5 import T5

    model = T5(vocab_size=400, **{**T5_SHAPE, **shape}).build(seed=0, pad_id=0, eos_id=1)
    return _folder(out, model, tokenizers / "unigram")


def _llama(out: Path, tokenizers: Path, **shape: Any) -> Path:
    from tamiz.trainer.families.llama import Llama

    model = Llama(vocab_size=600, **{**LLAMA_SHAPE, **shape}).build(seed=0, pad_id=3, eos_id=2, bos_id=1)
    return _folder(out, model, tokenizers / "bpe")


def _gptj(out: Path, tokenizers: Path) -> Path:
    from tamiz.trainer.families.gptj import GptJ

    shape = GptJ(vocab_size=600, hidden_size=64, num_layers=2, num_heads=2, rotary_dim=16)
    return _folder(out, shape.build(seed=0, pad_id=3, eos_id=2, bos_id=1), tokenizers / "bpe")


def _load(auto: str, folder: Path, **more: Any) -> Any:
    import transformers

    return getattr(transformers, auto).from_pretrained(folder, **more).eval()


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

    model, out = _t5(tmp_path / "model", tokenizers, **shape), tmp_path / "keras"
    assert exit_code("export", model, "--to", "keras", "--out", out) == 0
    import keras_hub

    ids, decoded = _ids(2, 20, 400), _ids(2, 9, 400)
    inputs = {"encoder_token_ids": ids.numpy(), "decoder_token_ids": decoded.numpy()}
    inputs |= {name.replace("token_ids", "padding_mask"): np.ones_like(value) for name, value in inputs.items()}
    loaded = keras_hub.models.T5Seq2SeqLM.from_preset(str(out), preprocessor=None)
    with torch.no_grad():
        made = loaded(inputs).cpu()
        states = keras_hub.models.T5Backbone.from_preset(str(out))(inputs)["decoder_sequence_output"]
    expected = _logits(_load("AutoModelForSeq2SeqLM", model), ids, decoded)
    assert expected.abs().max() > 1
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)
    assert states.shape == (2, 9, 64)
    ours, theirs = AutoTokenizer.from_pretrained(model), keras_hub.models.T5Tokenizer.from_preset(str(out))
    for text in (*TEXTS[:20], "<extra_id_0> y <extra_id_19>", "Una <extra_id_3> más", "  dos   espacios "):
        assert list(map(int, theirs(text))) == ours(text, add_special_tokens=False).input_ids
    assert not any("tensorflow" in name for name in __import__("sys").modules)
    again = tmp_path / "again"
    assert exit_code("export", model, "--to", "keras", "--out", again) == 0
    records = [{r.path: r.sha256 for r in manifest.read(folder).files} for folder in (out, again)]
    assert records[0] == records[1]


# 4 bits


@pytest.mark.parametrize(("make", "double"), [(_llama, True), (_llama, False), (_gptj, True)])
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
    reference = _load("AutoModelForCausalLM", model, quantization_config=quantiser, dtype=torch.bfloat16)
    reference.save_pretrained(tmp_path / "reference")
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (out, tmp_path / "reference"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    configs = [json.loads((folder / "config.json").read_bytes()) for folder in (out, tmp_path / "reference")]
    assert configs[0]["quantization_config"] == configs[1]["quantization_config"]
    loaded = _load("AutoModelForCausalLM", out)
    assert loaded.is_loaded_in_4bit
    made = loaded.generate(_ids(1, 4, 600), max_new_tokens=4, do_sample=False)
    assert torch.equal(made, reference.generate(_ids(1, 4, 600), max_new_tokens=4, do_sample=False))


def test_nf4_says_which_processors_cannot_compute_with_it(tmp_path: Path, tokenizers: Path) -> None:
    from tamiz.trainer.exports import EXPORTS, read_source

    nf4 = EXPORTS.convert({"to": "nf4"})
    for width, said in ((128, False), (96, True)):
        source = read_source(_llama(tmp_path / str(width), tokenizers, intermediate_size=width))
        assert ("A matrix is 64 by 96: on a CPU with AVX512-BF16" in nf4.limits(source)) is said


def test_nf4_in_many_files_is_the_same(tmp_path: Path, tokenizers: Path) -> None:
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    from tamiz.trainer.exports import read_source
    from tamiz.trainer.exports.nf4 import Nf4
    from tamiz.trainer.weight_files import Weights

    source = read_source(_llama(tmp_path / "model", tokenizers))
    one, many = tmp_path / "one", tmp_path / "many"
    for out, most in ((one, 2 << 30), (many, 20_000)):
        out.mkdir()
        Nf4(shard_bytes=most).write(source, out)
    assert len(list(many.glob("model-*-of-*.safetensors"))) > 3
    ours, theirs = Weights(many), Weights(one)
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert _load("AutoModelForCausalLM", many).is_loaded_in_4bit
    (next(many.glob("model-00002*"))).unlink()
    with pytest.raises(Exception, match="missing"):
        Weights(many)


# GGUF

BOUNDS = {"f16": 2e-3, "q8_0": 4e-2, "q4_0": 0.4}  # of the logits' root mean square; one rounding of each weight


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0"])
def test_gguf_of_a_llama(tmp_path: Path, tokenizers: Path, kind: str) -> None:
    pytest.importorskip("gguf")
    from transformers import AutoTokenizer

    model, out = _llama(tmp_path / "model", tokenizers), tmp_path / "gguf"
    assert exit_code("export", model, "--to", "gguf", "--precision", kind, "--out", out) == 0
    file = f"model-{kind}.gguf"
    ids = _ids(2, 20, 600)
    expected = _logits(_load("AutoModelForCausalLM", model), ids)
    made = _logits(_load("AutoModelForCausalLM", out, gguf_file=file), ids)
    error = (made - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt()
    assert 0 < error < BOUNDS[kind]
    if kind == "f16":
        ours, theirs = AutoTokenizer.from_pretrained(model), AutoTokenizer.from_pretrained(out, gguf_file=file)
        for text in (*TEXTS[:20], "日本 😀 ñ  dos\tespacios", "línea\nnueva"):
            assert theirs(text).input_ids == ours(text).input_ids


def test_gguf_of_a_t5(tmp_path: Path, tokenizers: Path) -> None:
    """A tied T5's output scale is in the file's output layer, so the loaded model must not scale again."""
    pytest.importorskip("gguf")
    from transformers import AutoConfig, AutoTokenizer

    shape = {"feed_forward": "relu", "tie_embeddings": True, "num_decoder_layers": 1}
    model, out = _t5(tmp_path / "model", tokenizers, **shape), tmp_path / "gguf"
    assert exit_code("export", model, "--to", "gguf", "--out", out) == 0
    config = AutoConfig.from_pretrained(model)
    config.scale_decoder_outputs = False
    ids, decoded = _ids(2, 20, 400), _ids(2, 9, 400)
    loaded = _load("AutoModelForSeq2SeqLM", out, gguf_file="model-f16.gguf", config=config)
    expected = _logits(_load("AutoModelForSeq2SeqLM", model), ids, decoded)
    error = (_logits(loaded, ids, decoded) - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt()
    assert 0 < error < BOUNDS["f16"]
    ours = AutoTokenizer.from_pretrained(model)
    theirs = AutoTokenizer.from_pretrained(out, gguf_file="model-f16.gguf")
    text = "ba ce <extra_id_0> di fo <extra_id_1>"
    assert theirs(text).input_ids == ours(text).input_ids


def test_gguf_names_of_a_gated_t5(tmp_path: Path, tokenizers: Path) -> None:
    pytest.importorskip("gguf")
    from tamiz.trainer.exports import read_source
    from tamiz.trainer.exports.gguf_file import Gguf, gguf_tensors
    from tamiz.trainer.weight_files import Weights

    model = _t5(tmp_path / "model", tokenizers, feed_forward="gated-gelu", tie_embeddings=False)
    source = read_source(model)
    Gguf().check(source)
    tensors = {tensor.name: tensor for tensor in gguf_tensors(source, Weights(model))}
    assert tensors["enc.blk.0.ffn_gate.weight"].stored == "encoder.block.0.layer.1.DenseReluDense.wi_0.weight"
    assert tensors["dec.blk.1.ffn_up.weight"].stored == "decoder.block.1.layer.2.DenseReluDense.wi_1.weight"
    assert (tensors["output.weight"].stored, tensors["output.weight"].scale) == ("lm_head.weight", 1.0)
    assert len(tensors) == len(list(Weights(model)))


# the command


def test_a_t5_with_kerashubs_arguments_is_a_t5() -> None:
    """A recipe's family is checked before any work; a finished model's is only known as T5."""
    from tamiz.trainer.exports import EXPORTS, config_of
    from tamiz.trainer.families.t5_backbone import T5Backbone

    family = T5Backbone(vocab_size=400, num_layers=2, num_heads=2, hidden_dim=32, intermediate_dim=32)
    config = config_of(family)
    assert EXPORTS.convert({"to": "keras"}).unfit(T5Backbone, config) is None
    relu = config_of(msgspec.structs.replace(family, use_gated_activation=False))
    assert EXPORTS.convert({"to": "gguf"}).unfit(T5Backbone, relu) is None
    assert "only causal models" in str(EXPORTS.convert({"to": "nf4"}).unfit(T5Backbone, config))


def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, tokenizers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unequal, llama = _t5(tmp_path / "t5", tokenizers, num_decoder_layers=1), _llama(tmp_path / "llama", tokenizers)
    odd = _t5(tmp_path / "odd", tokenizers, relative_attention_num_buckets=16)
    gptj = _gptj(tmp_path / "gptj", tokenizers)
    capsys.readouterr()  # transformers' own bars
    for model, to, reason in (
        (unequal, "keras", "2 encoder and 1 decoder layers"),
        (odd, "keras", "relative_attention_num_buckets 16, but in KerasHub's T5Backbone it is always 32"),
        (llama, "keras", "is a Llama, and KerasHub's T5Backbone is for T5"),
        (unequal, "nf4", "is a T5, and only causal models are quantised"),
        (gptj, "gguf", "is a GPT-J, which llama.cpp can't read"),
    ):
        code, _, error = tamiz(capsys, "export", model, "--to", to, "--out", tmp_path / "out")
        assert code == 2
        assert reason in error
        assert error.count("\n") == 1
    code, _, error = tamiz(capsys, "export", llama, "--to", "gguf", "--out", llama)
    assert (code, "is the folder of the model" in error) == (2, True)
    code, _, error = tamiz(capsys, "export", llama, "--to", "gguf", "--precision", "q5", "--out", tmp_path / "out")
    assert (code, "--precision" in error) == (2, True)
    code, _, error = tamiz(capsys, "export", tmp_path, "--to", "gguf", "--out", tmp_path / "out")
    assert (code, "has no trained model" in error) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_backend_that_is_not_installed_is_one_line(
    tmp_path: Path, tokenizers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h5py")
    pytest.importorskip("keras")
    model = _t5(tmp_path / "model", tokenizers)
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    monkeypatch.setattr("tamiz.trainer.exports.base.Export.require", lambda _self: None)
    code, _, error = tamiz(capsys, "export", model, "--to", "keras", "--out", tmp_path / "out")
    assert (code, "set KERAS_BACKEND=torch" in error, "Traceback" in error) == (2, True, False)


def _refuse(folder: Path, to: str) -> str | None:
    from tamiz.trainer.exports import EXPORTS, read_source

    source = read_source(folder)
    return EXPORTS.convert({"to": to}).unfit(source.family, source.config)


@pytest.mark.parametrize(
    ("make", "to", "changes", "reason"),
    [
        (
            _llama,
            "gguf",
            {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
            "rotary positions of another kind",
        ),
        (_llama, "gguf", {"partial_rotary_factor": 0.5}, "rotary positions of another kind"),
        (_llama, "gguf", {"hidden_act": "gelu"}, "has hidden_act gelu, but llama.cpp's Llama has silu"),
        (_llama, "gguf", {"mlp_bias": True}, "has mlp_bias True"),
        (_t5, "gguf", {"relative_attention_max_distance": 64}, "has relative_attention_max_distance 64, but llama"),
        (_t5, "gguf", {"feed_forward_proj": "gelu"}, "has feed_forward_proj gelu, but llama.cpp's T5 has relu or"),
        (_t5, "keras", {"feed_forward_proj": "gated-tanh"}, "has the activation tanh, but a preset can hold one of"),
    ],
)
def test_a_function_that_a_file_cannot_say_is_refused(
    tmp_path: Path, tokenizers: Path, make: Callable[..., Path], to: str, changes: dict[str, Any], reason: str
) -> None:
    model = make(tmp_path / "model", tokenizers)
    assert _refuse(model, to) is None
    config = json.loads((model / "config.json").read_bytes())
    if "rope_scaling" in changes or "partial_rotary_factor" in changes:
        del config["rope_parameters"]  # as transformers 4 writes it
    config.pop("dense_act_fn", None)  # which follows from feed_forward_proj
    (model / "config.json").write_text(json.dumps(config | changes))
    assert reason in str(_refuse(model, to))


@pytest.mark.parametrize(("make", "to"), [(_llama, "gguf"), (_llama, "nf4"), (_t5, "keras")])
def test_quantised_weights_are_refused(
    tmp_path: Path, tokenizers: Path, make: Callable[..., Path], to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tamiz.trainer.exports import EXPORTS

    for package in EXPORTS.get(to).packages:
        pytest.importorskip(package)
    model = make(tmp_path / "model", tokenizers)
    config = json.loads((model / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (model / "config.json").write_text(json.dumps(config))
    code, _, error = tamiz(capsys, "export", model, "--to", to, "--out", tmp_path / "out")
    assert (code, "is quantised already" in error) == (2, True)


@pytest.mark.parametrize(
    ("make", "to", "early"),
    [
        (_llama, "gguf", True),
        (_llama, "nf4", True),
        (_t5, "keras", True),  # HDF5 doesn't survive the other case
        (_llama, "gguf", False),
        (_llama, "nf4", False),
    ],
)
def test_a_full_disk_is_one_line(
    tmp_path: Path, tokenizers: Path, make: Callable[..., Path], to: str, early: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from corpora.errors import TamizError
    from tamiz.stages.common import Context
    from tamiz.stages.export import export_stage
    from tamiz.trainer.exports import EXPORTS

    settings = EXPORTS.convert({"to": to})
    for package in settings.packages:
        pytest.importorskip(package)
    model = make(tmp_path / "model", tokenizers)
    if not early:
        monkeypatch.setattr(type(settings), "num_bytes", lambda _self, _source: 0)
    with pytest.raises(TamizError) as error, small_files():
        export_stage(model, tmp_path / "out", settings, Context(rebuild=False))
    assert (NO_FILE if early else FULL).fullmatch(str(error.value)), error.value
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == [manifest.NAME]


def test_what_a_library_said_is_the_systems_error(tmp_path: Path) -> None:
    from corpora.errors import DamagedFile
    from tamiz.trainer.write_errors import system_error

    for error, number in (
        (RuntimeError("Can't write (file write failed: errno = 28, error message = 'No space')"), 28),
        (ValueError("I/O error: File too large (os error 27)"), 27),
        (OSError(5, "Input/output error"), 5),
        (OSError("10 requested and 3 written"), None),
    ):
        found = system_error(error, tmp_path)
        assert found is not None
        assert found.errno == number
    assert system_error(DamagedFile("model.safetensors is damaged (No such file (os error 2))"), tmp_path) is None
    assert system_error(ValueError("another fault"), tmp_path) is None


def test_the_room_of_an_export_is_about_what_it_takes(tmp_path: Path, tokenizers: Path) -> None:
    from tamiz.trainer.exports import EXPORTS, read_source

    for make, to in ((_llama, "gguf"), (_llama, "nf4"), (_t5, "keras")):
        settings = EXPORTS.convert({"to": to})
        for package in settings.packages:
            pytest.importorskip(package)
        source = read_source(make(tmp_path / to / "model", tokenizers))
        (tmp_path / to / "out").mkdir()
        settings.write(source, tmp_path / to / "out")
        written = max(path.stat().st_size for path in (tmp_path / to / "out").rglob("*") if path.is_file())
        assert 0.8 * written < settings.num_bytes(source) < 2.5 * written, to


def test_pickled_weights_and_the_tensors_of_old_models_are_read(tmp_path: Path, tokenizers: Path) -> None:
    """Warm starts and exports read the same files."""
    pytest.importorskip("gguf")
    from tamiz.trainer.exports import read_source
    from tamiz.trainer.exports.gguf_file import Gguf

    model = _llama(tmp_path / "model", tokenizers)
    (tmp_path / "plain").mkdir()
    Gguf().write(read_source(model), tmp_path / "plain")
    weights = _load("AutoModelForCausalLM", model).state_dict()
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    (model / "model.safetensors").unlink()
    torch.save(weights, model / "pytorch_model.bin")
    (tmp_path / "pickled").mkdir()
    Gguf().write(read_source(model), tmp_path / "pickled")
    files = [(tmp_path / name / "model-f16.gguf").read_bytes() for name in ("plain", "pickled")]
    assert files[0] == files[1]


def test_damaged_weights_are_one_line(tmp_path: Path, tokenizers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    model = _llama(tmp_path / "model", tokenizers)
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    capsys.readouterr()
    code, _, error = tamiz(capsys, "export", model, "--to", "gguf", "--out", tmp_path / "out")
    assert (code, error.count("\n")) == (1, 1)
    assert "model.safetensors is damaged" in error


def test_an_export_is_finished_once_and_verified(
    tmp_path: Path, tokenizers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gguf")
    model, out = _llama(tmp_path / "model", tokenizers), tmp_path / "out"
    assert tamiz(capsys, "export", model, "--to", "gguf", "--out", out)[0] == 0
    assert verify(out)[1] == []
    card = (out / "README.md").read_text()
    assert 'gguf_file="model-f16.gguf"' in card
    assert "nothing to do" in tamiz(capsys, "export", model, "--to", "gguf", "--out", out)[1]
    code, _, error = tamiz(capsys, "export", model, "--to", "gguf", "--precision", "q8_0", "--out", out)
    assert (code, "precision" in error, "q8_0" in error) == (1, True, True)
    assert tamiz(capsys, "export", model, "--to", "gguf", "--precision", "q8_0", "--out", out, "--rebuild")[0] == 0
    assert not (out / "model-f16.gguf").exists()
    assert verify(out)[1] == []
