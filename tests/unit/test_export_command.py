"""`tamiz export`: what it refuses, what is damaged or full, and how it ends."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corpora import manifest
from corpora.verify import verify
from tests.command import tamiz
from tests.model_folders import gptj_folder, llama_folder, load, t5_folder
from tests.unit.test_full_disk import NO_FILE, small_files

pytestmark = pytest.mark.usefixtures("offline")
torch = pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported

FULL = re.compile(r"can't write the export to .+: File too large: (needs .* bytes, )?more than a file may have .*")


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
    unequal, llama = (
        t5_folder(tmp_path / "t5", tokenizers, num_decoder_layers=1),
        llama_folder(tmp_path / "llama", tokenizers),
    )
    odd = t5_folder(tmp_path / "odd", tokenizers, relative_attention_num_buckets=16)
    gptj = gptj_folder(tmp_path / "gptj", tokenizers)
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
    model = t5_folder(tmp_path / "model", tokenizers)
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
            llama_folder,
            "gguf",
            {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
            "rotary positions of another kind",
        ),
        (llama_folder, "gguf", {"partial_rotary_factor": 0.5}, "rotary positions of another kind"),
        (llama_folder, "gguf", {"hidden_act": "gelu"}, "has hidden_act gelu, but llama.cpp's Llama has silu"),
        (llama_folder, "gguf", {"mlp_bias": True}, "has mlp_bias True"),
        (
            t5_folder,
            "gguf",
            {"relative_attention_max_distance": 64},
            "has relative_attention_max_distance 64, but",
        ),
        (
            t5_folder,
            "gguf",
            {"feed_forward_proj": "gelu"},
            "has feed_forward_proj gelu, but llama.cpp's T5 has",
        ),
        (
            t5_folder,
            "keras",
            {"feed_forward_proj": "gated-tanh"},
            "has the activation tanh, but a preset can hold",
        ),
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


@pytest.mark.parametrize(("make", "to"), [(llama_folder, "gguf"), (llama_folder, "nf4"), (t5_folder, "keras")])
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
        (llama_folder, "gguf", True),
        (llama_folder, "nf4", True),
        (t5_folder, "keras", True),  # HDF5 doesn't survive the other case
        (llama_folder, "gguf", False),
        (llama_folder, "nf4", False),
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

    for make, to in ((llama_folder, "gguf"), (llama_folder, "nf4"), (t5_folder, "keras")):
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

    model = llama_folder(tmp_path / "model", tokenizers)
    (tmp_path / "plain").mkdir()
    Gguf().write(read_source(model), tmp_path / "plain")
    weights = load("AutoModelForCausalLM", model).state_dict()
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    (model / "model.safetensors").unlink()
    torch.save(weights, model / "pytorch_model.bin")
    (tmp_path / "pickled").mkdir()
    Gguf().write(read_source(model), tmp_path / "pickled")
    files = [(tmp_path / name / "model-f16.gguf").read_bytes() for name in ("plain", "pickled")]
    assert files[0] == files[1]


def test_damaged_weights_are_one_line(tmp_path: Path, tokenizers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    model = llama_folder(tmp_path / "model", tokenizers)
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
    model, out = llama_folder(tmp_path / "model", tokenizers), tmp_path / "out"
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
